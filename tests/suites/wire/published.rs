//! What hailing accounts publish, fetched by a plain GET; and devices that ask there to be connected
//! (service §6.5, decision Q-49, crypto §2.8).

use mesh_common::dare::Envelope;
use mesh_common::encoding::json;
use mesh_common::entropy::SeededEntropy;
use mesh_common::message::{
    ConnectionAnswer, ConnectionRequest, Earl, Message, Proved, response_id_2020,
};
use mesh_common::protocol::Code;
use mesh_tests::connecting::{complete, connect, request};
use mesh_tests::service::{DOMAIN, HOST_NAME, OTHER_DOMAIN};
use mesh_tests::wire::{Framing, HttpReply, HttpRequest};
use mesh_tests::{Client, Person, TestService, alice, frames};

use crate::refused;

/// A catalog of what anybody may fetch.
const PUBLICATIONS: &str = "mmm_Publication";
/// Where that is fetched.
const PLACE: &str = "/.well-known/mmm-udf/";

/// The maker of devices, with a hailing account.
fn maker() -> Person {
    maker_at(DOMAIN)
}

fn maker_at(domain: &str) -> Person {
    Person::at("devices", &format!("devices@{domain}"))
}

fn hailing_service() -> (TestService, Client) {
    hailing_service_of(&maker())
}

fn hailing_service_of(maker: &Person) -> (TestService, Client) {
    let service = TestService::with(|config| {
        config.backend.policy.connections.hailing = vec!["makers".into(), "devices".into()];
    });
    let client = Client::of_new_account_with_device(&service, maker);
    (service, client)
}

fn get(name: &str) -> HttpRequest {
    HttpRequest::post("")
        .method("GET")
        .target(&format!("{PLACE}{name}"))
        .without("Content-Type")
        .framing(Framing::None)
}

fn fetch(service: &TestService, request: &HttpRequest) -> HttpReply {
    service.connect().send(request)
}

fn earl(number: u64) -> Earl {
    Earl::draw(DOMAIN, &mut SeededEntropy::new(number))
}

/// Publishes `content` under the name of `earl`, behind `count` frames.
fn publish(client: &mut Client, earl: &Earl, count: u64, content: &[u8]) {
    let entry = frames::event(count.max(1), "New", earl.content_id().as_str(), content);
    let frames = match count {
        0 => vec![frames::first(), entry],
        _ => vec![entry],
    };
    client
        .ask(&frames::upload(PUBLICATIONS, frames))
        .must_be(Code::Ok);
}

// I-P-8.3-a
#[test]
fn what_is_published_is_fetched_by_its_name() {
    let (service, mut client) = hailing_service();
    let earl = earl(1);
    publish(&mut client, &earl, 0, b"sealed under a key");
    let name = earl.content_id();
    let found = fetch(&service, &get(name.as_str()));
    assert_eq!(
        (found.status, found.text()),
        (200, "sealed under a key".into())
    );
    let tag = found.header("etag").unwrap().to_owned();
    for (header, value) in [
        ("content-type", "application/octet-stream"),
        ("cache-control", "public, max-age=300"),
        ("x-content-type-options", "nosniff"),
        ("content-length", "18"),
    ] {
        assert_eq!(found.header(header), Some(value), "{header}");
    }
    // The head alone, and nothing at all to who has it.
    let mut connection = service.connect();
    let head = get(name.as_str()).method("HEAD");
    connection.write(&head.octets()).unwrap();
    let head = connection.reply(true);
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("18"))
    );
    assert!(head.body.is_empty());
    for (known, status) in [
        (tag.clone(), 304),
        (format!("\"other\", W/{tag}"), 304),
        ("*".to_owned(), 304),
        ("\"other\"".to_owned(), 200),
    ] {
        let request = get(name.as_str()).header("If-None-Match", known);
        assert_eq!(fetch(&service, &request).status, status);
    }
    // Other content has another tag.
    let changed = frames::event(2, "Update", name.as_str(), b"sealed again");
    client
        .ask(&frames::upload(PUBLICATIONS, vec![changed]))
        .must_be(Code::Ok);
    let request = get(name.as_str()).header("If-None-Match", tag);
    assert_eq!(fetch(&service, &request).text(), "sealed again");
}

//
#[test]
fn whatever_is_not_published_looks_the_same() {
    let (service, mut client) = hailing_service();
    let mut alices = Client::of_new_account_with_device(&service, &alice());
    let (gone, private, nowhere) = (earl(1), earl(2), earl(3));
    publish(&mut client, &gone, 0, b"for a while");
    let deleted = frames::event(2, "Delete", gone.content_id().as_str(), b"");
    client
        .ask(&frames::upload(PUBLICATIONS, vec![deleted]))
        .must_be(Code::Ok);
    // An account that is no hailing account publishes nothing, whatever it calls its catalogs.
    publish(&mut alices, &private, 0, b"private");
    let mut texts = Vec::new();
    for name in [
        gone.content_id().to_string(),
        private.content_id().to_string(),
        nowhere.content_id().to_string(),
        nowhere.content_id().to_string().to_lowercase(),
        alice().device.udf(),
        "NAAA-BBBB-CCCC".to_owned(),
        "no-name".to_owned(),
    ] {
        let request = get(&name);
        let reply = fetch(&service, &request);
        assert_eq!(reply.status, 404, "{name}");
        texts.push(reply.text());
    }
    assert!(texts.iter().all(|text| text == &texts[0]));
    let request = get(&nowhere.content_id().to_string());
    let reply = fetch(&service, &request);
    refused(Code::NotFound, "nothing-published", &request, &reply);
    for target in [PLACE, "/.well-known/mmm-udf", "/.well-known/mmm-udf/a/b"] {
        let request = get("").target(target);
        assert_eq!(fetch(&service, &request).status, 404, "{target}");
    }
}

#[test]
fn a_fetch_is_a_get_at_a_host_of_the_domain() {
    let (service, mut client) = hailing_service();
    let earl = earl(1);
    publish(&mut client, &earl, 0, b"sealed");
    let request = get(earl.content_id().as_str());
    for (host, status) in [
        (DOMAIN, 200),
        ("mmm.example.com", 200),
        (HOST_NAME, 200),
        // The same settings hold there, and nobody has an account.
        (OTHER_DOMAIN, 404),
        ("example.org", 421),
    ] {
        let request = request.clone().header("Host", host);
        assert_eq!(fetch(&service, &request).status, status, "{host}");
    }
    for method in ["POST", "PUT", "DELETE"] {
        let request = request.clone().method(method);
        let reply = fetch(&service, &request);
        if method == "POST" {
            let slug = "a-post-of-something-published";
            refused(Code::MethodNotAllowed, slug, &request, &reply);
        }
        assert_eq!(
            (reply.status, reply.header("allow")),
            (405, Some("GET, HEAD"))
        );
    }
}

//
#[test]
fn a_source_fetches_so_often_a_minute() {
    let service = TestService::with(|config| {
        config.limits.rate.enabled = true;
        config.limits.rate.fetch_per_minute = 2;
    });
    let request = get(earl(1).content_id().as_str());
    let mut connection = service.connect();
    let statuses: Vec<u16> = (0..2).map(|_| connection.send(&request).status).collect();
    assert_eq!(statuses, [404, 404]);
    let reply = connection.send(&request);
    refused(Code::RateLimited, "too-many-fetches", &request, &reply);
}

// I-P-8.3-a, Q-49
#[test]
fn a_device_that_was_sold_is_connected_by_whoever_scans_its_code() {
    sold_and_connected(DOMAIN);
}

// I-P-8.3-a, Q-49
#[test]
fn a_device_that_was_sold_in_another_domain_is_connected_as_well() {
    sold_and_connected(OTHER_DOMAIN);
}

/// A maker in `domain` sells a device, and alice connects it to her account.
fn sold_and_connected(domain: &str) {
    let (maker, owner) = (maker_at(domain), alice());
    let (service, mut makers) = hailing_service_of(&maker);
    let mut alices = Client::of_new_account_with_device(&service, &owner);
    // The maker prepares: the request is published, sealed under what is printed.
    let lamp = owner.another_device("lamp", &[]);
    let published = request(&lamp, &maker.address, "of the maker");
    let earl = Earl::draw(domain, &mut SeededEntropy::new(1));
    let sealed = earl.seal(&published, &mut SeededEntropy::new(2));
    publish(&mut makers, &earl, 0, &json::write(&sealed));
    // The device is switched on, and asks.
    let mut on_lamp = Client::new(&service, {
        let (profile, key) = (lamp.profile.clone(), lamp.keys.authentication.clone());
        let to = Some(maker.address.clone());
        mesh_common::session::client::ClientIdentity::device(profile, key, to)
    });
    on_lamp
        .exchange(&connect(published.clone()))
        .must_be(Code::Ok);
    let id = response_id_2020(&id_of(&published));
    on_lamp
        .by_ticket(&complete(&maker.address, &id))
        .must_be(Code::Pending);
    // Its owner scans, and answers the maker's account.
    let scanned = Earl::parse(&earl.reveal()).unwrap();
    let asked = get(scanned.content_id().as_str()).header("Host", scanned.domain());
    let reply = fetch(&service, &asked);
    let publication: Envelope = json::parse(&reply.body).unwrap();
    let found = scanned.open(&publication).unwrap();
    let checked = ConnectionRequest::verify(&found, false).unwrap();
    let mesh = mesh_common::assertion::ProfileMesh::verify(&owner.profile_mesh).unwrap();
    let proved = Proved::published(&checked);
    let witness = proved.witness(&scanned.pin(), &mesh);
    let added = frames::upload(frames::DEVICES, vec![lamp.frame(2, "New")]);
    alices.ask(&added).must_be(Code::Ok);
    let (from, to) = (address(&owner.address), address(&maker.address));
    let mut entry = lamp.entry.clone();
    entry.enveloped_profile_mesh = Some(owner.profile_mesh.clone());
    let answer = ConnectionAnswer::make(
        id.as_str(),
        Some(entry),
        Some(witness),
        Some((&from, &to)),
        &owner.mesh.online,
    );
    let post = frames::post(&[&maker.address], vec![answer]);
    alices.ask(&post).must_be(Code::Ok);
    // The device fetches it, and believes it because of the proof.
    let completed = loop {
        let answer = on_lamp.by_ticket(&complete(&maker.address, &id));
        if answer.code() != Some(Code::Pending) {
            break answer;
        }
    };
    completed.must_be(Code::Ok);
    let answer = completed.complete().signed_response.clone().unwrap();
    let believed = ConnectionAnswer::verify(&answer, &id, None, &proved, Some(&earl.pin()));
    assert!(
        matches!(believed, Ok(ConnectionAnswer::Accepted { .. })),
        "{believed:?}"
    );
    Client::of_device(&service, &lamp)
        .exchange(&frames::status())
        .must_be(Code::Ok);
}

fn address(text: &str) -> mesh_common::address::AccountAddress {
    mesh_common::address::AccountAddress::parse(text).unwrap()
}

fn id_of(request: &Envelope) -> String {
    let message = Message::from_envelope(request).unwrap();
    message.message_id().unwrap().to_owned()
}
