//! Tickets: across epochs, at their end, of other services (service §4.5, X-21 and X-22).

use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::exchange::{authenticate, ok, status};
use super::world::{NOW, World};
use crate::crypto::derive::{hkdf512_expand, hkdf512_extract};
use crate::entropy::SeededEntropy;
use crate::limits::{TICKET_BYTES_MAX, TICKET_KEY_EPOCH, TICKET_PROFILE_LIFE};
use crate::protocol::{Code, Request, StatusRequest, Transaction};
use crate::session::client::StoredTicket;
use crate::session::{
    Epoch, SessionSecret, Ticket, TicketError, TicketGrant, TicketKeys, open_request,
};
use crate::udf::Udf;

/// A ticket that a connected device got.
pub(super) fn ticket_of(world: &mut World) -> StoredTicket {
    let client = world.as_connected();
    let session = world.session(client);
    let mut entropy = world.entropy.clone();
    let (envelope, pending) = session.request(NOW, &mut entropy, &status()).unwrap();
    let opened = open_request(envelope, &world.hosts, &world.tickets, NOW).unwrap();
    let answer = authenticate(world, opened)
        .sealer
        .seal_response(
            Some(Transaction::Status),
            &ok(Transaction::Status),
            &world.tickets,
            NOW,
            &mut entropy,
        )
        .unwrap();
    world.entropy = entropy;
    pending.open_sealed(&answer).unwrap().ticket.unwrap()
}

fn key(octet: u8) -> Zeroizing<[u8; 32]> {
    Zeroizing::new([octet; 32])
}

fn service() -> Udf {
    Udf::parse("MAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA").unwrap()
}

/// A ticket for a device and nobody's account.
pub(in crate::session) fn ticket() -> Ticket {
    let caller = crate::session::Caller {
        mode: crate::session::Mode::Device,
        via: crate::session::Via::Ticket,
        account: None,
        profile_udf: Some(service()),
        key_udf: service(),
        credential_digest: [4; 32],
        domain: None,
    };
    let secret = SessionSecret::from_octets(Zeroizing::new([3; 64]));
    Ticket::new(secret, caller, NOW)
}

#[test]
fn a_ticket_is_good_until_its_end() {
    let mut world = World::new();
    let stored = ticket_of(&mut world);
    assert_eq!(stored.expires, NOW + TICKET_PROFILE_LIFE);
    let millisecond = Duration::from_millis(1);
    let opened = |now| {
        world
            .tickets
            .open(&stored.ticket, now)
            .map(|ticket| ticket.secret.clone())
    };
    assert_eq!(opened(NOW), Ok(stored.secret.clone()));
    assert_eq!(
        opened(stored.expires - millisecond),
        Ok(stored.secret.clone())
    );
    assert_eq!(opened(stored.expires), Err(TicketError::Expired));
    assert_eq!(
        opened(stored.expires + millisecond),
        Err(TicketError::Expired)
    );
}

// I-P-4.3.4-a
#[test]
fn keys_are_kept_for_two_epochs_and_drawn_ahead() {
    let mut entropy = SeededEntropy::new(5);
    let mut keys = TicketKeys::new(service());
    assert_eq!(keys.seal(&ticket(), NOW, &mut entropy), None);
    keys.rotate(NOW, &mut entropy);
    let Epoch(current) = Epoch::at(NOW);
    let numbers = |keys: &TicketKeys| keys.epochs().map(|epoch| epoch.0).collect::<Vec<_>>();
    assert_eq!(numbers(&keys), [current, current + 1, current + 2]);
    let mut long_lived = ticket();
    long_lived.expires = NOW + TICKET_KEY_EPOCH * 10;
    let sealed = keys.seal(&long_lived, NOW, &mut entropy).unwrap();
    for epochs in 0..=2 {
        let now = NOW + TICKET_KEY_EPOCH * epochs;
        keys.rotate(now, &mut entropy);
        assert_eq!(
            keys.open(&sealed, now),
            Ok(Arc::new(long_lived.clone())),
            "{epochs}"
        );
    }
    assert_eq!(numbers(&keys).len(), 5);
    let now = NOW + TICKET_KEY_EPOCH * 3;
    let as_before_erasing = keys.open(&sealed, now);
    assert_eq!(as_before_erasing, Err(TicketError::UnknownKey));
    keys.rotate(now, &mut entropy);
    assert_eq!(numbers(&keys)[0], current + 1);
    assert_eq!(keys.open(&sealed, now), Err(TicketError::UnknownKey));
}

// I-P-4.3.4-a
#[test]
fn a_ticket_is_good_at_every_front_end_of_its_service_and_at_no_other() {
    let mut entropy = SeededEntropy::new(6);
    let with = |service: Udf, octet| {
        let mut keys = TicketKeys::new(service);
        keys.insert(Epoch::at(NOW), key(octet));
        keys
    };
    let sealed = with(service(), 1)
        .seal(&ticket(), NOW, &mut entropy)
        .unwrap();
    assert_eq!(
        with(service(), 1).open(&sealed, NOW),
        Ok(Arc::new(ticket()))
    );
    assert_eq!(
        with(service(), 2).open(&sealed, NOW),
        Err(TicketError::Forged)
    );
    let other = Udf::parse("MBBB-BBBB-BBBB-BBBB-BBBB-BBBB-BBBB").unwrap();
    assert_eq!(with(other, 1).open(&sealed, NOW), Err(TicketError::Forged));
    // Front-ends whose clocks differ: the next epoch's key is known before its time.
    let mut ahead = with(service(), 1);
    ahead.insert(Epoch(Epoch::at(NOW).0 + 1), key(9));
    let later = NOW + TICKET_KEY_EPOCH;
    let mut next = ticket();
    next.expires = later + Duration::from_secs(60);
    let sealed = ahead.seal(&next, later, &mut entropy).unwrap();
    assert_eq!(ahead.open(&sealed, NOW), Ok(Arc::new(next)));
}

#[test]
fn misshapen_tickets_are_refused() {
    let mut entropy = SeededEntropy::new(7);
    let mut keys = TicketKeys::new(service());
    keys.insert(Epoch::at(NOW), key(1));
    let sealed = keys.seal(&ticket(), NOW, &mut entropy).unwrap();
    assert!(sealed.len() <= TICKET_BYTES_MAX);
    let mut version = sealed.clone();
    version[0] = 1;
    assert_eq!(keys.open(&version, NOW), Err(TicketError::Version));
    let mut epoch = sealed.clone();
    epoch[4] ^= 1;
    assert_eq!(keys.open(&epoch, NOW), Err(TicketError::UnknownKey));
    for length in 0..sealed.len() {
        assert!(keys.open(&sealed[..length], NOW).is_err(), "{length}");
    }
    assert_eq!(
        keys.open(&vec![1; TICKET_BYTES_MAX + 1], NOW),
        Err(TicketError::Length)
    );
    for position in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[position] ^= 0x10;
        assert!(keys.open(&changed, NOW).is_err(), "{position}");
    }
}

// Decision Q-54 and service §4.5: what another implementation of the format reads.
#[test]
fn the_ticket_has_the_published_layout() {
    let mut entropy = SeededEntropy::new(8);
    let mut keys = TicketKeys::new(service());
    keys.insert(Epoch::at(NOW), key(1));
    let sealed = keys.seal(&ticket(), NOW, &mut entropy).unwrap();
    assert_eq!(sealed[0], 2);
    assert_eq!(sealed[1..5], Epoch::at(NOW).0.to_be_bytes());
    let prk = hkdf512_extract(&sealed[5..37], &[1; 32]);
    let aad = [&sealed[..37], service().as_str().as_bytes()].concat();
    let text = crate::crypto::cipher::gcm_open(
        &hkdf512_expand(&prk, b"mmm-kx-1 ticket key"),
        &hkdf512_expand(&prk, b"mmm-kx-1 ticket nonce"),
        &aad,
        &sealed[37..],
    )
    .unwrap();
    let mut expected = vec![2, 0, 64];
    expected.extend([3; 64]);
    expected.extend([0, 1, 1, 0, 0]);
    for _ in 0..2 {
        expected.extend([0, 34]);
        expected.extend(service().as_str().as_bytes());
    }
    expected.extend([0, 32]);
    expected.extend([4; 32]);
    for time in [NOW, NOW + crate::limits::TICKET_DEVICE_LIFE] {
        expected.extend([0, 8]);
        expected.extend(time.as_millis().to_be_bytes());
    }
    assert_eq!(*text, expected);
}

#[test]
fn a_ticket_is_renewed_past_half_its_life_under_the_same_secret() {
    let mut world = World::new();
    let stored = ticket_of(&mut world);
    let client = world.as_connected();
    let session = world.session(client).with_ticket(Some(stored.clone()));
    let mut entropy = world.entropy.clone();
    let half = NOW + TICKET_PROFILE_LIFE / 2;
    for (now, renewed) in [(half, false), (half + Duration::from_secs(1), true)] {
        let (envelope, pending) = session.request(now, &mut entropy, &status()).unwrap();
        let opened = open_request(envelope, &world.hosts, &world.tickets, now).unwrap();
        let answer = authenticate(&world, opened)
            .sealer
            .seal_response(
                Some(Transaction::Status),
                &ok(Transaction::Status),
                &world.tickets,
                now,
                &mut entropy,
            )
            .unwrap();
        let ticket = pending.open_sealed(&answer).unwrap().ticket;
        assert_eq!(ticket.is_some(), renewed);
        if let Some(ticket) = ticket {
            assert_eq!(ticket.secret, stored.secret);
            assert_eq!(ticket.expires, now + TICKET_PROFILE_LIFE);
            assert_ne!(ticket.ticket, stored.ticket);
        }
    }
}

// Decisions
#[test]
fn who_gets_a_ticket_depends_on_mode_and_outcome() {
    let mut world = World::new();
    let mut grant_for = |client, transaction, code| {
        let session = world.session(client);
        let mut entropy = world.entropy.clone();
        let request = Request::Status(StatusRequest::default());
        let (envelope, _) = session.request(NOW, &mut entropy, &request).unwrap();
        let opened = open_request(envelope, &world.hosts, &world.tickets, NOW).unwrap();
        world.entropy = entropy;
        authenticate(&world, opened)
            .sealer
            .grant(Some(transaction), Some(code))
    };
    let other = World::new();
    let (device, connected) = (other.as_device(), other.as_connected());
    for (client, transaction, code, expected) in [
        (&device, Transaction::Hello, Code::Ok, TicketGrant::Grant),
        (
            &device,
            Transaction::CreateAccount,
            Code::Ok,
            TicketGrant::Grant,
        ),
        (
            &device,
            Transaction::Connect,
            Code::Refused,
            TicketGrant::Grant,
        ),
        (
            &device,
            Transaction::Complete,
            Code::Ok,
            TicketGrant::Withhold,
        ),
        (
            &device,
            Transaction::Status,
            Code::Ok,
            TicketGrant::Withhold,
        ),
        (
            &connected,
            Transaction::Status,
            Code::Ok,
            TicketGrant::Grant,
        ),
        (
            &connected,
            Transaction::Upload,
            Code::Conflict,
            TicketGrant::Grant,
        ),
        (
            &connected,
            Transaction::Status,
            Code::DeviceRevoked,
            TicketGrant::Withhold,
        ),
    ] {
        assert_eq!(
            grant_for(client.clone(), transaction, code),
            expected,
            "{transaction:?} {code:?}"
        );
    }
}

// Service §4.2: a replay must not make a key stream repeat.
#[test]
fn every_answer_has_its_own_key() {
    let mut world = World::new();
    let stored = ticket_of(&mut world);
    let client = world.as_connected();
    for ticket in [None, Some(stored)] {
        let session = world.session(client.clone()).with_ticket(ticket);
        let mut entropy = world.entropy.clone();
        let (envelope, pending) = session.request(NOW, &mut entropy, &status()).unwrap();
        let opened = open_request(envelope, &world.hosts, &world.tickets, NOW).unwrap();
        let sealer = authenticate(&world, opened).sealer;
        let mut answer = || {
            let grant = TicketGrant::Withhold;
            sealer
                .seal(b"{}", grant, &world.tickets, NOW, &mut entropy)
                .unwrap()
        };
        let (one, other) = (answer(), answer());
        assert_ne!(one.payload, other.payload);
        for sealed in [one, other] {
            assert_eq!(*pending.open_sealed(&sealed).unwrap().plaintext, b"{}");
        }
    }
}

// X-21/22
#[test]
fn an_opened_ticket_is_judged_anew_with_every_request() {
    let mut entropy = SeededEntropy::new(8);
    let mut keys = TicketKeys::new(service());
    keys.insert(Epoch::at(NOW), key(1));
    let ticket = ticket();
    let sealed = keys.seal(&ticket, NOW, &mut entropy).unwrap();
    let first = keys.open(&sealed, NOW).unwrap();
    let again = keys.open(&sealed, NOW).unwrap();
    assert!(Arc::ptr_eq(&first, &again), "opened once");
    assert_eq!(
        keys.open(&sealed, ticket.expires),
        Err(TicketError::Expired)
    );
    let mut forged = sealed.clone();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(keys.open(&forged, NOW), Err(TicketError::Forged));
    assert!(keys.open(&sealed, NOW).is_ok(), "a forgery changes nothing");
    keys.insert(Epoch::at(NOW), key(2));
    assert_eq!(keys.open(&sealed, NOW), Err(TicketError::Forged));
}
