//! Contacts decide who comes in: read with the service's keys, beside the partition, and followed as
//! the catalog grows (service §7.6, decision Q-53).

use mesh_common::catalog::entry::{Address, CatalogEntry, CatalogedContact, Contact, Permission};

use super::*;

const CONTACTS: &str = "mmm_Contact";

/// Keys of the service: the present one, the retired one, and one that it does not have.
fn reading_key(number: usize) -> SecretKey {
    let seed = [102, 103, 104][number];
    SecretKey::generate(&mut SeededEntropy::new(seed))
}

/// What `person` may send, encrypted to one of the keys.
pub(super) fn contact(person: &Person, permission: (&str, &str), key: usize) -> Envelope {
    let mut entry = CatalogedContact {
        permissions: vec![Permission {
            name: Some(permission.0.to_owned()),
            role: Some(permission.1.to_owned()),
            ..Permission::default()
        }],
        ..CatalogedContact::default()
    };
    entry.enclose(&Contact {
        addresses: vec![Address {
            uri: Some(format!("mmm:{}", person.address)),
            ..Address::default()
        }],
        ..Contact::default()
    });
    let plaintext = CatalogEntry::CatalogedContact(entry).to_json();
    let recipient = reading_key(key);
    let mut entropy = SeededEntropy::new(7);
    let recipients = [recipient.public()];
    Envelope::encrypted(&plaintext, Header::default(), &recipients, &mut entropy).unwrap()
}

impl Scene<MemoryStore> {
    /// Puts `content` into the catalog of contacts at `index`; frame 0 with the first entry.
    pub(super) async fn set_contact(
        &self,
        owner: &Person,
        index: u64,
        id: &str,
        content: Option<Envelope>,
    ) {
        let event = match (&content, index) {
            (None, _) => "Delete",
            (Some(_), _) => "Update",
        };
        let mut envelope = content.unwrap_or_default();
        let meta = ContentMeta {
            unique_id: Some(id.to_owned()),
            event: Some(event.to_owned()),
            ..ContentMeta::default()
        };
        envelope.header = envelope.header.with_content_meta(&meta);
        envelope.header.container_info = Some(ContainerInfo {
            index: Some(index),
            ..ContainerInfo::default()
        });
        let mut envelopes = vec![envelope];
        if index == 1 {
            envelopes.insert(0, first_frame());
        }
        let update = ContainerUpdate {
            container: Some(CONTACTS.into()),
            envelopes,
            ..ContainerUpdate::default()
        };
        let upload = UploadRequest {
            updates: vec![update],
            ..UploadRequest::default()
        };
        let request = owner.request(self.now(), Via::Ticket, Request::Upload(upload));
        assert_eq!(self.ask(request).await.0, Code::Ok);
    }

    async fn comes_in(&self, sender: &Person, recipient: &Person, number: u32) -> bool {
        let before = self.inbound(recipient).await.len();
        self.leave(&[forwarded(sender, recipient, number)]).await;
        self.drain().await;
        self.inbound(recipient).await.len() > before
    }
}

// S-5.3-a P-9.1.2.2-a
#[actix::test]
async fn a_blocked_contact_is_kept_out_and_let_in_again() {
    let (scene, alice, bob) = (Scene::new().await, Person::new("alice"), Person::new("bob"));
    scene.create(&alice).await;
    assert!(scene.comes_in(&bob, &alice, 1).await, "a stranger");
    let reject = contact(&bob, ("*", "Reject"), 0);
    scene.set_contact(&alice, 1, "b", Some(reject)).await;
    assert!(!scene.comes_in(&bob, &alice, 2).await, "blocked");
    let accept = contact(&bob, ("Contact", "Accept"), 1);
    scene.set_contact(&alice, 2, "b", Some(accept)).await;
    assert!(
        scene.comes_in(&bob, &alice, 3).await,
        "read with a retired key"
    );
    let reject = contact(&bob, ("RequestContact", "Reject"), 0);
    scene.set_contact(&alice, 3, "b2", Some(reject)).await;
    assert!(
        !scene.comes_in(&bob, &alice, 4).await,
        "another entry says more"
    );
    scene.set_contact(&alice, 4, "b2", None).await;
    assert!(scene.comes_in(&bob, &alice, 5).await);
}

#[actix::test]
async fn a_contact_nobody_can_read_keeps_strangers_out_while_it_lives() {
    // Decision Q-53
    let (scene, alice, bob) = (Scene::new().await, Person::new("alice"), Person::new("bob"));
    let carol = Person::new("carol");
    scene.create(&alice).await;
    let known = contact(&carol, ("Contact", "Accept"), 0);
    scene.set_contact(&alice, 1, "c", Some(known)).await;
    let sealed = contact(&bob, ("*", "Reject"), 2);
    scene.set_contact(&alice, 2, "b", Some(sealed)).await;
    assert!(!scene.comes_in(&bob, &alice, 1).await);
    assert!(
        scene.comes_in(&carol, &alice, 1).await,
        "she is no stranger"
    );
    scene.set_contact(&alice, 3, "b", None).await;
    assert!(scene.comes_in(&bob, &alice, 2).await);
}

#[actix::test]
async fn rules_hold_after_a_restart_as_before() {
    let (mut scene, alice, bob) = (Scene::new().await, Person::new("alice"), Person::new("bob"));
    scene.create(&alice).await;
    for number in 1..=5 {
        assert!(scene.comes_in(&bob, &alice, number).await);
    }
    scene.restart().await;
    assert!(
        !scene.comes_in(&bob, &alice, 6).await,
        "five a day are counted durably"
    );
    scene.clock.advance(Duration::from_secs(12 * 3_600));
    assert!(scene.comes_in(&bob, &alice, 7).await);
}
