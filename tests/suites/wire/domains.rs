//! What the accounts of one domain may use together: octets, and messages on a day (cluster §9). Who meets such a limit
//! is answered as who meets his account's own. Posts and requests to connect are in `posting`, `forwarded` and `connecting`.

use mesh_common::protocol::{Code, Transaction};
use mesh_tests::{Client, TestService, alice, bob, frames};

use crate::sealed;

const BOOKMARKS: &str = "mmm_Bookmark";

/// A service whose domain may store so many octets.
pub(crate) fn octets_at_most(octets: u64) -> TestService {
    TestService::with(|config| config.backend.policy.domain.octets_max = Some(octets))
}

/// Writes bookmarks until there is no room for another one; says where it would go.
pub(crate) fn fill_up(client: &mut Client) -> u64 {
    client
        .ask(&frames::upload(BOOKMARKS, frames::catalog(0)))
        .must_be(Code::Ok);
    let (mut index, mut octets) = (1, 16 * 1024);
    while octets > 0 {
        let id = format!("{index}-{octets}");
        let event = frames::event(index, "New", &id, &vec![7; octets]);
        let answer = client.ask(&frames::upload(BOOKMARKS, vec![event]));
        match answer.code() {
            Some(Code::Ok) => index += 1,
            _ => {
                answer.must_be(Code::QuotaExceeded);
                octets /= 2;
            }
        }
    }
    index
}

//
#[test]
fn a_domain_has_its_quota() {
    let service = octets_at_most(64 * 1024);
    let mut alices = Client::of_new_account(&service, &alice());
    let mut bobs = Client::of_new_account(&service, &bob());
    let index = fill_up(&mut alices);
    // What is used up is all accounts'.
    let large = frames::event(1, "New", "large", &[7; 1024]);
    let mut frames_of_bob = frames::catalog(0);
    frames_of_bob.push(large);
    let answer = bobs.ask(&frames::upload("mmm_Contact", frames_of_bob));
    sealed(
        Transaction::Upload,
        Code::QuotaExceeded,
        "octets-above-the-quota-of-the-domain",
        &answer,
    );
    // What gives space back is taken, as are whatever takes none.
    let deleted = frames::event(index, "Delete", "1-16384", b"");
    alices
        .ask(&frames::upload(BOOKMARKS, vec![deleted]))
        .must_be(Code::Ok);
    alices.ask(&frames::download(BOOKMARKS)).must_be(Code::Ok);
    bobs.ask(&frames::status()).must_be(Code::Ok);
}

//
#[test]
fn a_domain_without_room_has_none_for_another_account() {
    let service = octets_at_most(1);
    let alice = alice();
    let mut client = Client::new(&service, alice.device.as_device());
    let answer = client.create_account(&alice);
    let slug = "a-domain-without-room";
    sealed(Transaction::CreateAccount, Code::Refused, slug, &answer);
}
