//! Properties: whatever comes, in whatever order and however often, heads, frames and lookup rows
//! agree, retries change nothing, and nothing panics.

use proptest::prelude::*;

use super::*;
use crate::account::testing::{at, completion, update};
use crate::cluster::Evidence;
use crate::dare::{ContainerInfo, ContentMeta, Envelope, Header, Trailer};
use crate::encoding::base64url::Binary;
use crate::protocol::{
    ConstraintsData, ConstraintsSelect, ContainerUpdate, DownloadRequest, Request, StatusRequest,
    UploadRequest,
};
use crate::session::{Mode, Via};
use crate::time::Timestamp;

const NAMES: [&str; 8] = [
    "mmm_Contact",
    "mmm/CatalogContact",
    "mmm_Inbound",
    "mmm_Outbound",
    "mmm_Local",
    "mmm_Device",
    "acme_plans",
    "no name",
];

fn small_index() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![
        4 => (0_u64..6).prop_map(Some),
        2 => Just(None),
        1 => any::<u64>().prop_map(Some),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just("a".to_owned()), Just("b".to_owned()), ".{0,6}"]
}

fn octets() -> impl Strategy<Value = Binary> {
    prop_oneof![
        3 => Just(Binary(Vec::new())),
        3 => "[a-c]{0,2}".prop_map(|text| Binary(text.into_bytes())),
        1 => prop::collection::vec(any::<u8>(), 0..70).prop_map(Binary),
        1 => Just(Binary(b"{\"MessageComplete\":{\"References\":[{\"MessageID\":\"a\",\
            \"Relationship\":\"Read\"}]}}".to_vec())),
    ]
}

prop_compose! {
    fn any_envelope()(
        index in small_index(),
        is_first in any::<bool>(),
        event in prop::option::of(prop::sample::select(vec!["New", "Update", "Delete", "x"])),
        unique_id in prop::option::of(text()),
        previous in prop::option::of(0_u64..5),
        tag in prop::option::of(prop::sample::select(vec!["MessageComplete", "MessagePIN", "N"])),
        payload in octets(),
        digest in prop::option::weighted(0.2, octets()),
        tree in prop::option::weighted(0.1, octets()),
        is_meta in prop::option::weighted(0.1, any::<bool>()),
        is_noise in prop::bool::weighted(0.05),
    ) -> Envelope {
        let meta = ContentMeta {
            unique_id,
            message_type: tag.map(str::to_owned),
            event: event.map(str::to_owned),
            previous,
            ..ContentMeta::default()
        };
        let mut header = Header::default().with_content_meta(&meta);
        if is_noise {
            header.content_meta_data = Some(payload.clone());
        }
        header.container_info = Some(ContainerInfo {
            index,
            container_type: is_first.then(|| "Merkle".to_owned()),
            is_meta,
            ..ContainerInfo::default()
        });
        Envelope {
            header,
            payload,
            trailer: Some(Trailer {
                payload_digest: digest,
                tree_digest: tree,
                ..Trailer::default()
            }),
        }
    }
}

prop_compose! {
    fn any_update()(
        container in prop::option::weighted(0.98, prop::sample::select(NAMES.to_vec())),
        index in small_index(),
        digest in prop::option::weighted(0.1, octets()),
        envelopes in prop::collection::vec(any_envelope(), 0..4),
    ) -> ContainerUpdate {
        ContainerUpdate {
            container: container.map(str::to_owned),
            index,
            digest,
            envelopes,
        }
    }
}

fn any_request() -> impl Strategy<Value = Request> {
    let upload = (
        prop::collection::vec(any_update(), 0..4),
        prop::collection::vec(any_envelope(), 0..3),
    )
        .prop_map(|(updates, self_messages)| {
            Request::Upload(UploadRequest {
                updates,
                self_messages,
                ..UploadRequest::default()
            })
        });
    let names = || prop::collection::vec(prop::sample::select(NAMES.to_vec()), 0..4);
    let status = (names(), names()).prop_map(|(catalogs, spools)| {
        Request::Status(StatusRequest {
            catalogs: catalogs.into_iter().map(str::to_owned).collect(),
            spools: spools.into_iter().map(str::to_owned).collect(),
            ..StatusRequest::default()
        })
    });
    let select = (
        prop::sample::select(NAMES.to_vec()),
        any::<Option<i64>>(),
        any::<Option<i64>>(),
        any::<Option<i64>>(),
    )
        .prop_map(
            |(container, index_min, index_max, time)| ConstraintsSelect {
                container: Some(container.to_owned()),
                index_min,
                index_max,
                not_before: time.map(Timestamp::from_millis),
                ..ConstraintsSelect::default()
            },
        );
    let download = (
        prop::collection::vec(select, 0..3),
        any::<[Option<i64>; 3]>(),
        any::<[Option<bool>; 3]>(),
    )
        .prop_map(|(select, numbers, parts)| {
            Request::Download(DownloadRequest {
                select,
                constraints_post: Some(ConstraintsData {
                    max_entries: numbers[0],
                    bytes_offset: numbers[1],
                    bytes_max: numbers[2],
                    header: parts[0],
                    payload: parts[1],
                    trailer: parts[2],
                }),
                ..DownloadRequest::default()
            })
        });
    prop_oneof![6 => upload, 1 => status, 1 => download]
}

fn any_way() -> impl Strategy<Value = (Mode, Via)> {
    prop_oneof![
        8 => Just((Mode::Profile, Via::Ticket)),
        1 => Just((Mode::Device, Via::Exchange)),
        1 => Just((Mode::Service, Via::Ticket)),
        1 => Just((Mode::Interop, Via::Bare)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    // containers §13
    #[test]
    fn no_request_panics_and_the_apex_is_always_that_of_a_recomputation(
        requests in prop::collection::vec((any_way(), any_request()), 1..12),
    ) {
        let (mut shell, laptop) = alice_with_contacts();
        for ((mode, via), request) in requests {
            let mut device = laptop.clone().authenticating(mode, via);
            shell.perform(device.ask(request, Evidence::Nothing));
            shell.check();
        }
    }

    #[test]
    fn any_order_of_retries_ends_in_the_same_state(
        sizes in prop::collection::vec(1_usize..4, 1..6),
        repeats in prop::collection::vec((0_usize..6, any::<bool>()), 0..12),
    ) {
        let (mut shell, mut laptop) = alice_with_contacts();
        let mut index = 3;
        let mut uploads = Vec::new();
        for size in &sizes {
            let entries = (index..).take(*size);
            let frames = entries.map(|at| event(at, "New", &at.to_string(), "x")).collect();
            index += *size as u64;
            let own = completion(&format!("C{index}"), "nobody", "Read");
            uploads.push((vec![update("mmm_Contact", frames)], vec![own]));
        }
        let mut done = Vec::new();
        let mut repeats = repeats.into_iter();
        for (updates, own) in uploads {
            let request = laptop.upload_all(updates, own);
            prop_assert_eq!(code(&shell.perform(request.clone())), Code::Ok);
            done.push(request);
            if let Some((which, is_fresh)) = repeats.next() {
                let mut again = done[which % done.len()].clone();
                if is_fresh {
                    again.request_id.0[15] ^= 0xff;
                }
                prop_assert_eq!(code(&shell.perform(again)), Code::Ok);
            }
            shell.check();
        }
        let account = state(&shell, &laptop);
        prop_assert_eq!(account.tip.change_seq as usize, 2 + sizes.len());
        prop_assert_eq!(count(&shell, &laptop, "mmm_Contact") as u64, index);
        prop_assert_eq!(count(&shell, &laptop, "mmm_Inbound"), 1 + sizes.len());
    }

    #[test]
    fn any_split_of_a_container_gives_the_same_apex(cuts in prop::collection::vec(1_usize..5, 1..8)) {
        let frames: Vec<Envelope> = std::iter::once(first_frame())
            .chain((1..=20).map(|at| event(at, "New", &at.to_string(), &at.to_string())))
            .collect();
        let (mut whole, mut laptop) = alice();
        let everything = laptop.upload("mmm_Task", frames.clone());
        prop_assert_eq!(code(&whole.perform(everything)), Code::Ok);
        let (mut split, mut phone) = alice();
        let mut rest = frames.as_slice();
        for cut in cuts.iter().cycle() {
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            if now.is_empty() {
                break;
            }
            prop_assert_eq!(code(&split.perform(phone.upload("mmm_Task", now.to_vec()))), Code::Ok);
            rest = later;
        }
        let apex = |shell: &Shell| shell.frames(&laptop.address, "mmm_Task").last().map(|one| one.tree_digest);
        prop_assert_eq!(apex(&split), apex(&whole));
    }

    #[test]
    fn what_is_stored_comes_back_as_the_same_envelope(envelope in any_envelope()) {
        let (mut shell, mut laptop) = alice_with_contacts();
        let envelope = at(3, envelope);
        let answer = shell.perform(laptop.upload("mmm_Contact", vec![envelope.clone()]));
        let frames = shell.frames(&laptop.address, "mmm_Contact");
        if code(&answer) == Code::Ok && frames.len() == 4 {
            let back = frames[3].envelope(3, envelope.payload.0.clone());
            prop_assert_eq!(&back.header.content_meta_data, &envelope.header.content_meta_data);
            prop_assert_eq!(&back.payload, &envelope.payload);
            prop_assert_eq!(back.index(), Some(3));
            let claimed = envelope.payload_digest().cloned();
            prop_assert!(claimed.is_none() || back.payload_digest() == claimed.as_ref());
        }
    }
}
