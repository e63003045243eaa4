//! Nothing that arrives makes the service panic, and nothing random is believed.

use proptest::prelude::*;

use super::world::{NOW, World};
use crate::dare::{Envelope, Header};
use crate::encoding::base64url::Binary;
use crate::session::{Body, open_request, parse_request, read_body};

fn sealed(enc: &str, salt: Option<Vec<u8>>, session: Vec<u8>, payload: Vec<u8>) -> Envelope {
    Envelope {
        header: Header {
            enc: Some(enc.into()),
            salt: salt.map(Binary),
            session: Some(Binary(session)),
            ..Header::default()
        },
        payload: Binary(payload),
        trailer: None,
    }
}

/// A session that has the right shape and random values.
fn shaped() -> impl Strategy<Value = Vec<u8>> {
    let octets = || {
        prop::collection::vec(any::<u8>(), 0..80)
            .prop_map(|octets| crate::encoding::base64url::encode(&octets))
    };
    let ticket = (octets(), octets()).prop_map(|(ticket, id)| {
        format!(
            r#"{{"SessionTicket":{{"Version":"mmm-kx-1","Ticket":"{ticket}","Time":"{}","RequestID":"{id}"}}}}"#,
            NOW.to_text()
        )
    });
    let modes = prop::sample::select(vec!["Device", "Profile", "Service"]);
    let members = prop::sample::select(vec![
        "EnvelopedProfileDevice",
        "EnvelopedConnectionAccount",
        "EnvelopedConnectionDevice",
        "EnvelopedProfileService",
        "EnvelopedProfileHost",
    ]);
    let exchange = (modes, members, octets(), octets(), octets()).prop_map(
        |(mode, member, id, ephemeral, payload)| {
            let host = World::host_key();
            format!(
                r#"{{"SessionExchange":{{"Version":"mmm-kx-1","Mode":"{mode}","HostKey":"{host}","Account":"alice@example.com","Time":"{}","RequestID":"{id}","Ephemeral":"{ephemeral}","Credential":{{"{member}":[{{}},"{payload}"]}}}}}}"#,
                NOW.to_text()
            )
        },
    );
    prop_oneof![ticket, exchange].prop_map(String::into_bytes)
}

proptest! {
    #[test]
    fn random_octets_are_no_request(body in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse_request(&body);
        if let Ok(Body::Sealed(envelope)) = read_body(&body) {
            let world = World::shared();
            prop_assert!(open_request(*envelope, &world.hosts, &world.tickets, NOW).is_err());
        }
    }

    #[test]
    fn random_sessions_are_refused(
        enc in prop::sample::select(vec!["A256GCM", "A256CBC"]),
        salt in prop::option::of(prop::collection::vec(any::<u8>(), 0..40)),
        session in prop_oneof![prop::collection::vec(any::<u8>(), 0..200), shaped()],
        payload in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let world = World::shared();
        let envelope = sealed(enc, salt, session, payload);
        prop_assert!(open_request(envelope, &world.hosts, &world.tickets, NOW).is_err());
    }

    #[test]
    fn random_tickets_are_refused(mut ticket in prop::collection::vec(any::<u8>(), 0..1100)) {
        let world = World::shared();
        prop_assert!(world.tickets.open(&ticket, NOW).is_err());
        // The same behind a head that names a known key.
        if ticket.len() >= 5 {
            ticket[0] = 1;
            let number = crate::session::Epoch::at(NOW).0.to_be_bytes();
            ticket[1..5].copy_from_slice(&number);
            prop_assert!(world.tickets.open(&ticket, NOW).is_err());
        }
    }
}
