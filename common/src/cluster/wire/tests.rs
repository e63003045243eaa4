//! Round trips, golden octets, and octets that nobody writes.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::Value;

use super::event::{Event, News};
use super::samples::*;
use super::*;
use crate::account::connect::Publication;
use crate::cluster::{
    AccountRequest, Answer, CallFailure, Fence, NodeId, Nudge, Owners, PartitionId, Roles, Route,
    RoutedNode, RoutingTable, SigningKeys, TicketSecret, Told, Unit, Verified,
};
use crate::dare::Envelope;
use crate::delivery::ShardId;
use crate::discovery::Pinned;
use crate::encoding::json;
use crate::limits::JSON_DEPTH_MAX;
use crate::protocol::{Request, Response};

/// The octets of each sample, in hexadecimal: they change with [`VERSION`] and not without.
const GOLDEN: &str = include_str!("golden.txt");

/// Answers by their name on the wire.
type Answered<T> = Result<T, CallFailure>;

/// A sample: its name, its octets, and what reads them and writes what was read.
struct Sample {
    name: String,
    octets: Vec<u8>,
    again: fn(&[u8]) -> Result<Vec<u8>, WireError>,
}

fn sample<T: Wire + PartialEq + Debug>(name: impl Into<String>, value: &T) -> Sample {
    let octets = write(value);
    assert_eq!(read::<T>(&octets).as_ref(), Ok(value));
    Sample {
        name: name.into(),
        octets,
        again: |octets| read::<T>(octets).map(|value| write(&value)),
    }
}

fn samples() -> Vec<Sample> {
    let mut all = vec![
        sample("nudge", &nudge()),
        sample("keys-question", &keys_question()),
        sample("keys", &Answered::Ok(Some(keys()))),
        sample("no-keys", &Answered::<Option<SigningKeys>>::Ok(None)),
        sample("published-question", &published_question()),
        sample(
            "publication",
            &Answered::<Option<Publication>>::Ok(Some(publication())),
        ),
        sample("watch-order", &watch_order()),
        sample("watch-reply", &Answered::Ok(watch_reply())),
        sample("nothing", &Answered::Ok(())),
        sample("envelope", &envelope()),
    ];
    for call in calls() {
        let name = format!("call-{}", call.request.transaction().request_tag());
        all.push(sample(name, &Verified::declare(call)));
    }
    for (number, answer) in answers().into_iter().enumerate() {
        all.push(sample(format!("answer-{number}"), &answer));
    }
    all.push(sample("pass-on-order", &pass_on_order()));
    all.push(sample("pin-question", &pin_question()));
    all.push(sample("pinned", &Answered::Ok(Some(pinned()))));
    all.push(sample("not-pinned", &Answered::<Option<Pinned>>::Ok(None)));
    all.push(sample("watch-on-order", &watch_on_order()));
    all
}

fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        write!(text, "{octet:02x}").unwrap();
        text
    })
}

#[test]
fn the_octets_are_those_that_were_promised() {
    let mut found = String::new();
    for sample in samples() {
        writeln!(found, "{} {}", sample.name, hexadecimal(&sample.octets)).unwrap();
    }
    assert_eq!(
        found, GOLDEN,
        "the wire changed: raise the version, or change it back"
    );
}

#[test]
fn samples_leave_no_variant_and_no_member_out() {
    let members: usize = [ENVELOPE]
        .iter()
        .map(|text| text.matches("\":").count())
        .sum();
    let envelope = json::write(&envelope());
    let written = String::from_utf8(envelope).unwrap();
    assert_eq!(written.matches("\":").count(), members);
    assert_eq!(
        all_requests().len(),
        crate::protocol::Transaction::ALL.len()
    );
    for request in all_requests() {
        let text = String::from_utf8(json::write(&request)).unwrap();
        assert!(text.contains("\"ID\":"), "{text}");
    }
}

#[test]
fn what_was_received_is_written_as_it_was_on_either_end() {
    for request in all_requests() {
        let crossed: Request = read(&write(&request)).unwrap();
        assert_eq!(json::write(&crossed), json::write(&request));
    }
    for response in all_responses() {
        let crossed: Response = read(&write(&response)).unwrap();
        assert_eq!(json::write(&crossed), json::write(&response));
    }
    let payload: Vec<u8> = (0..=u8::MAX).cycle().take(70_000).collect();
    let crossed: Envelope = read(&write(&Envelope::plain(payload.clone()))).unwrap();
    assert_eq!(crossed.payload.0, payload);
}

#[test]
fn a_call_is_hardly_larger_than_what_it_carries() {
    let mut call = calls().swap_remove(4);
    call.request = Request::Post(crate::protocol::PostRequest {
        messages: vec![Envelope::plain(vec![1; 4_096])],
        ..crate::protocol::PostRequest::default()
    });
    call.evidence = crate::cluster::Evidence::Nothing;
    assert!(write(&call).len() < 4_096 + 512);
}

#[test]
fn octets_that_end_too_early_or_go_on_are_refused() {
    for sample in samples() {
        for end in 0..sample.octets.len() {
            let ended = (sample.again)(&sample.octets[..end]);
            assert!(ended.is_err(), "{} cut at {end}", sample.name);
        }
        let more = [sample.octets.as_slice(), &[0]].concat();
        assert_eq!((sample.again)(&more), Err(WireError::LeftOver { left: 1 }));
    }
}

#[test]
fn numbers_have_one_form() {
    let number = |octets: &[u8]| read::<u64>(octets);
    for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
        assert_eq!(number(&write(&value)), Ok(value));
    }
    for octets in [
        &[0x80, 0x00][..],
        &[0xff, 0x80, 0x00],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
        &[
            0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01,
        ],
    ] {
        assert_eq!(number(octets), Err(WireError::Number), "{octets:x?}");
    }
    assert_eq!(read::<u16>(&write(&70_000_u64)), Err(WireError::Number));
    assert_eq!(
        read::<Value>(&[3, 0, 0, 0, 0, 0, 0, 0, 1]),
        Err(WireError::Number)
    );
    let not_a_number = [&[4][..], &f64::NAN.to_bits().to_be_bytes()].concat();
    assert_eq!(read::<Value>(&not_a_number), Err(WireError::Number));
}

#[test]
fn what_is_no_value_of_its_type_is_refused() {
    let value = |what| Err(WireError::Value { what });
    assert_eq!(
        read::<PartitionId>(&write(&1_024_u16)),
        value("partition").map(PartitionId)
    );
    assert_eq!(
        read::<ShardId>(&write(&256_u16)),
        value("shard").map(ShardId)
    );
    let code = (299_u16, None::<u16>);
    assert!(read::<crate::protocol::Code>(&write(&code)).is_err());
    for text in ["aaaa-bbbb", "AA", ""] {
        assert!(
            read::<crate::udf::Udf>(&write(&text.to_owned())).is_err(),
            "{text}"
        );
    }
    let no_address = write(&"nobody".to_owned());
    assert!(read::<crate::address::AccountAddress>(&no_address).is_err());
    assert_eq!(read::<String>(&[1, 0xff]), Err(WireError::Text));
    assert!(read::<bool>(&[2]).is_err());
    // One member twice.
    let twice = [&[7, 2][..], &[1, b'a', 0], &[1, b'a', 0]].concat();
    assert!(matches!(
        read::<Value>(&twice),
        Err(WireError::Value { .. })
    ));
}

#[test]
fn a_stated_length_reserves_nothing_and_nesting_has_an_end() {
    let long = write(&(u64::MAX >> 1));
    assert!(matches!(
        read::<Vec<String>>(&long),
        Err(WireError::Ended { .. })
    ));
    assert!(matches!(
        read::<Vec<u8>>(&long),
        Err(WireError::Ended { .. })
    ));
    // As many elements as octets: refused at the first that cannot be read.
    let many = [write(&4_000_000_u64), vec![0xff; 4_000_000]].concat();
    assert!(read::<Vec<Envelope>>(&many).is_err());
    let mut deep = Value::Null;
    for _ in 1..JSON_DEPTH_MAX {
        deep = Value::Array(vec![deep]);
    }
    assert_eq!(read(&write(&deep)), Ok(deep.clone()));
    let deeper = Value::Array(vec![deep]);
    assert_eq!(read::<Value>(&write(&deeper)), Err(WireError::TooDeep));
}

/// Something that stands in envelopes without being in any schema.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("finite", |number| number.is_finite())
            .prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A change somebody or something may make to octets.
#[derive(Debug, Clone)]
enum Damage {
    Set(prop::sample::Index, u8),
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Insert(prop::sample::Index, Vec<u8>),
    Copy(prop::sample::Index, prop::sample::Index, u8),
}

fn any_damage() -> impl Strategy<Value = Damage> {
    use prop::sample::Index;
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, octet)| Damage::Set(at, octet)),
        (any::<Index>(), 0_u8..8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        any::<Index>().prop_map(Damage::Cut),
        (any::<Index>(), prop::collection::vec(any::<u8>(), 1..9))
            .prop_map(|(at, more)| Damage::Insert(at, more)),
        (any::<Index>(), any::<Index>(), 1_u8..64)
            .prop_map(|(from, to, length)| Damage::Copy(from, to, length)),
    ]
}

fn damaged(mut octets: Vec<u8>, damage: &[Damage]) -> Vec<u8> {
    for one in damage {
        if octets.is_empty() {
            break;
        }
        let length = octets.len();
        match one {
            Damage::Set(at, octet) => octets[at.index(length)] = *octet,
            Damage::Flip(at, bit) => octets[at.index(length)] ^= 1 << bit,
            Damage::Cut(at) => octets.truncate(at.index(length)),
            Damage::Insert(at, more) => {
                octets.splice(at.index(length)..at.index(length), more.iter().copied());
            }
            Damage::Copy(from, to, count) => {
                let from = from.index(length);
                let piece = octets[from..length.min(from + usize::from(*count))].to_vec();
                let to = to.index(length);
                octets.splice(to..to, piece);
            }
        }
    }
    octets
}

/// Reads what `octets` may be, and says what was read writes.
fn read_all(octets: &[u8]) -> [Option<Vec<u8>>; 7] {
    fn again<T: Wire>(octets: &[u8]) -> Option<Vec<u8>> {
        read::<T>(octets).ok().map(|value| write(&value))
    }
    [
        again::<AccountRequest>(octets),
        again::<Answered<Answer>>(octets),
        again::<Nudge>(octets),
        again::<WatchOrder>(octets),
        again::<PassOnOrder>(octets),
        again::<PinQuestion>(octets),
        again::<WatchOnOrder>(octets),
    ]
}

proptest! {
    #[test]
    fn any_value_crosses_unchanged(value in any_value()) {
        prop_assert_eq!(read::<Value>(&write(&value)), Ok(value));
    }

    #[test]
    fn whatever_can_be_read_is_what_is_written(octets in prop::collection::vec(any::<u8>(), 0..400)) {
        for again in read_all(&octets).into_iter().flatten() {
            prop_assert_eq!(&again, &octets);
        }
    }

    #[test]
    fn damage_is_refused_or_is_another_value(
        which in any::<prop::sample::Index>(),
        damage in prop::collection::vec(any_damage(), 1..4),
    ) {
        thread_local!(static SAMPLES: Vec<Sample> = samples());
        SAMPLES.with(|samples| {
            let sample = which.get(samples);
            let octets = damaged(sample.octets.clone(), &damage);
            if let Ok(again) = (sample.again)(&octets) {
                prop_assert_eq!(again, octets);
            }
            Ok(())
        })?;
    }

    #[test]
    fn what_differs_makes_of_the_one_table_the_other(before in any_told(), now in any_told()) {
        let event = Event::Told(Box::new(News::between(&before, &now)));
        let line = event.to_line();
        let (end, line) = line.split_last().unwrap();
        prop_assert_eq!(*end, b'\n');
        prop_assert!(!line.contains(&b'\n'));
        let Ok(Event::Told(news)) = Event::from_line(line) else {
            return Err(TestCaseError::fail("the line is read as it was written"));
        };
        let told = news.onto(&before).unwrap();
        prop_assert_eq!(told.revision, now.revision);
        prop_assert_eq!(&told.routes, &now.routes);
        prop_assert_eq!(&told.ticket_secrets, &now.ticket_secrets);
    }

    #[test]
    fn lines_that_nobody_writes_are_refused_or_read(line in ".{0,200}") {
        if let Ok(event) = Event::from_line(line.as_bytes()) {
            let again = event.to_line();
            prop_assert_eq!(Event::from_line(&again[..again.len() - 1]), Ok(event));
        }
    }
}

fn any_told() -> impl Strategy<Value = Told> {
    let node = (any::<u8>(), "[a-z]{0,8}", any::<bool>()).prop_map(|(id, zone, draining)| {
        let node = RoutedNode {
            address: format!("10.0.0.{id}:7"),
            zone,
            roles: Roles {
                backend: !draining,
                outbound: draining,
            },
            draining,
        };
        (NodeId([id; 16]), node)
    });
    let unit = prop_oneof![
        (0..crate::limits::PARTITIONS).prop_map(|number| Unit::from(PartitionId(number))),
        (0..crate::limits::OUTBOUND_SHARDS).prop_map(|number| Unit::from(ShardId(number))),
    ];
    let owner = (unit, any::<u8>(), any::<u32>(), any::<u64>()).prop_map(
        |(unit, id, generation, epoch)| {
            let route = Route {
                node: NodeId([id; 16]),
                fence: Fence { generation, epoch },
            };
            (unit, route)
        },
    );
    let secret = (any::<u32>(), any::<[u8; 32]>()).prop_map(|(epoch, secret)| TicketSecret {
        epoch,
        secret: secret.into(),
    });
    (
        any::<u64>(),
        prop::collection::vec(node, 0..4),
        prop::collection::vec(owner, 0..20),
        prop::collection::vec(secret, 0..3),
    )
        .prop_map(|(revision, nodes, owners, secrets)| Told {
            revision,
            routes: Arc::new(RoutingTable {
                nodes: BTreeMap::from_iter(nodes),
                owners: owners.into_iter().collect(),
            }),
            ticket_secrets: Arc::new(secrets),
        })
}

#[test]
fn events_are_lines_that_people_can_read() {
    let id = NodeId([0xab; 16]);
    let now = Told {
        revision: 3,
        routes: Arc::new(RoutingTable {
            nodes: BTreeMap::from([(
                id,
                RoutedNode {
                    address: "10.0.0.1:7".into(),
                    zone: "north".into(),
                    roles: Roles {
                        backend: true,
                        outbound: false,
                    },
                    draining: false,
                },
            )]),
            owners: Owners::from_iter([(
                Unit::from(PartitionId(7)),
                Route {
                    node: id,
                    fence: Fence {
                        generation: 1,
                        epoch: 9,
                    },
                },
            )]),
        }),
        ticket_secrets: Arc::new(vec![TicketSecret {
            epoch: 5,
            secret: [1; 32].into(),
        }]),
    };
    let events = [
        Event::greeting(StreamId([1; 16])),
        Event::Told(Box::new(News::between(&Told::default(), &now))),
        Event::Told(Box::new(News::between(
            &now,
            &Told {
                revision: 4,
                ..Told::default()
            },
        ))),
        Event::Changed(vec![7, 9]),
        Event::Alive {},
    ];
    let lines: String = events
        .iter()
        .map(|event| String::from_utf8(event.to_line()).unwrap())
        .collect();
    assert_eq!(lines, EVENTS);
    let printed = format!("{events:?}");
    assert!(
        !printed.contains("AQEBAQEB"),
        "no secret in a log: {printed}"
    );
}

const EVENTS: &str = concat!(
    r#"{"Greeting":{"versions":[1,1],"stream":"01010101010101010101010101010101"}}"#,
    "\n",
    r#"{"Told":{"revision":3,"nodes":{"abababababababababababababababab":{"address":"10.0.0.1:7","#,
    r#""zone":"north","roles":{"backend":true,"outbound":false},"draining":false}},"#,
    r#""owned":[["p7","abababababababababababababababab",1,9]],"#,
    r#""ticket_secrets":[[5,"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"]]}}"#,
    "\n",
    r#"{"Told":{"revision":4,"nodes":{},"abandoned":["p7"],"ticket_secrets":[]}}"#,
    "\n",
    r#"{"Changed":[7,9]}"#,
    "\n",
    r#"{"Alive":{}}"#,
    "\n",
);

#[test]
fn lines_that_say_what_cannot_be_are_refused() {
    for line in [
        r#"{"Changed":[-1]}"#,
        r#"{"Later":{}}"#,
        r#"{"Changed":[1],"Alive":{}}"#,
        r#"{"Greeting":{"versions":[1,1],"stream":"1"}}"#,
        r#"{"Greeting":{"versions":[1,1],"stream":"+1010101010101010101010101010101"}}"#,
        r#"{"Told":{"revision":1,"abandoned":["p1024"]}}"#,
        r#"{"Told":{"revision":1,"abandoned":["p01"]}}"#,
        r#"{"Told":{"revision":1,"abandoned":["x1"]}}"#,
        "",
    ] {
        assert!(Event::from_line(line.as_bytes()).is_err(), "{line}");
    }
    let long = vec![b' '; crate::limits::LINK_EVENT_BYTES_MAX + 1];
    assert!(Event::from_line(&long).is_err());
    for line in [
        r#"{"Told":{"revision":1,"ticket_secrets":[[1,"AQ"]]}}"#,
        r#"{"Told":{"revision":1,"ticket_secrets":[[1,"!"]]}}"#,
    ] {
        let Ok(Event::Told(news)) = Event::from_line(line.as_bytes()) else {
            panic!("{line} is an event");
        };
        assert!(news.onto(&Told::default()).is_err(), "{line}");
    }
}
