//! One of everything that crosses the link, with every member set at least once.

use std::time::Duration;

use crate::account::IntakeMessage;
use crate::account::connect::Publication;
use crate::account::intake::{ForwardingService, MessageSender};
use crate::address::AccountAddress;
use crate::assertion::Permission;
use crate::cluster::wire::{
    KeysQuestion, PassOnOrder, PinQuestion, PublishedQuestion, StreamId, WatchOnOrder, WatchOrder,
    WatchReply,
};
use crate::cluster::{
    AccountRequest, Answer, CallFailure, ConnectEvidence, ContentEvidence, CreateEvidence,
    DeviceEvidence, DeviceFacts, Evidence, Fence, MessageEvidence, MessageSigners, NodeId, Nudge,
    PartitionId, Route, SigningDevice, SigningKeys, Unit, Verified,
};
use crate::crypto::SecretKey;
use crate::dare::Envelope;
use crate::delivery::ShardId;
use crate::discovery::{Pinned, ReplacedKey};
use crate::encoding::json;
use crate::entropy::SeededEntropy;
use crate::error::ServiceError;
use crate::protocol::{Code, Request, Response};
use crate::session::{Caller, Mode, RequestId, Via};
use crate::time::Timestamp;
use crate::udf::{Udf, content_digest};

/// An envelope with every member, a signature with envelopes in it, and values that no schema names.
pub(super) const ENVELOPE: &str = r#"[{"EnvelopeID":"id","enc":"A256CBC","dig":"S512","Salt":"AQI",
"Malt":"Aw","cloaked":"BA","Annotations":["BQ","Bg"],"signatures":[{"dig":"S512"}],
"recipients":[{"kid":"MAAA","kwd":"kw","epk":{"PublicKeyECDH":{"crv":"X448"}},"wmk":"Bw","Later":1}],
"ContentMetaData":"e30","ContainerInfo":{"DataEncoding":"JSON","Index":7,"ContainerType":"Merkle",
"IsMeta":false,"Default":true,"TreePosition":1,"IndexPosition":2,"ExchangePosition":3,"Later":[]},
"ContainerIndex":{"b":[1,-2,2.5,0.1,1e300,true,null,"\u0000 \ud83d\ude00"],"a":{}},"Session":"CA",
"PayloadDigest":"CQ","ChainDigest":"Cg","TreeDigest":"Cw","Later":{"z":18446744073709551615,"a":-1}},
"AQIDBA",{"signatures":[{"dig":"S512","alg":"Ed448","kid":"MAAA","signature":"DA","witness":"DQ",
"EnvelopedConnection":[{},"DQ"],"EnvelopedProfile":[{},"Dg",{}],
"EnvelopedProfileMesh":[{},"Dw",{"signatures":[{"kid":"MBBB"}]}],"path":"p"}],"SignedData":"EA",
"PayloadDigest":"EQ","ChainDigest":"Eg","TreeDigest":"Ew","Later":null}]"#;

/// Every request, with every member; `@` stands for the envelope.
const REQUESTS: [&str; 9] = [
    r#"{"Hello":{"Service":"example.com","ID":"AQ"}}"#,
    r#"{"CreateAccount":{"Service":"s","ID":"AQ","ServiceID":"alice@example.com",
    "SignedProfileMesh":@,"SignedAssertionAccount":@}}"#,
    r#"{"DeleteAccount":{"Service":"s","ID":"AQ","Account":"alice@example.com","DeviceProfile":@}}"#,
    r#"{"Complete":{"Service":"s","ID":"AQ","Account":"a@b","DeviceProfile":@,"DeviceUDF":"MAAA",
    "ProfileMasterDigest":"Ag","Catalogs":["mmm_Device"],"Spools":["mmm_Inbound"],
    "ServiceID":"alice@example.com","ResponseID":"NAAA"}}"#,
    r#"{"Status":{"Service":"s","ID":"AQ","Account":"a@b","DeviceProfile":@,"DeviceUDF":"MAAA",
    "ProfileMasterDigest":"Ag","Catalogs":["mmm_Device","mmm_Contact"],"Spools":["mmm_Inbound"]}}"#,
    r#"{"Download":{"Service":"s","ID":"AQ","Account":"a@b","DeviceProfile":@,
    "Select":[{"Container":"mmm_Device","IndexMin":-1,"IndexMax":9,"NotBefore":"2026-01-02T03:04:05Z",
    "Before":"2027-01-02T03:04:05Z","PageKey":"p"},{}],"ConstraintsPost":{"MaxEntries":1,
    "BytesOffset":2,"BytesMax":3,"Header":true,"Payload":false,"Trailer":true}}}"#,
    r#"{"Upload":{"Service":"s","ID":"AQ","Account":"a@b","DeviceProfile":@,
    "Updates":[{"Container":"mmm_Device","Index":3,"Digest":"Aw","Envelopes":[@,[{},"AA"]]}],
    "Self":[@]}}"#,
    r#"{"Post":{"Service":"s","ID":"AQ","Accounts":["a@b","c@d"],"Message":[@],"Self":[@]}}"#,
    r#"{"Connect":{"Service":"s","ID":"AQ","MessageConnectionRequestClient":@}}"#,
];

/// What every response begins with.
const OUTCOME: &str =
    r#""Status":409,"StatusExtended":112,"StatusDescription":"moved on","ID":"AQ""#;

/// Every response, with every member; `%` stands for the outcome.
const RESPONSES: [&str; 10] = [
    r#"{"MeshHelloResponse":{%,"Version":{"Major":3,"Minor":0,"Encodings":[{"ID":["application/json"],
    "Dictionary":["d"]}],"URI":["https://example.com/"]},"Alternates":[{"Major":4,"Minor":1}],
    "ConstraintsUpdate":{"MaxEntries":500},"ConstraintsPost":{"BytesMax":7},
    "PolicyAccount":{"Minimum":1,"Maximum":64,"InvalidCharacters":"/"},
    "EnvelopedProfileService":@,"EnvelopedProfileHost":@}}"#,
    r#"{"CreateResponse":{%,"Reason":"r","URL":"https://example.com/"}}"#,
    r#"{"DeleteResponse":{%}}"#,
    r#"{"CompleteResponse":{%,"SignedResponse":@}}"#,
    r#"{"StatusResponse":{%,"EnvelopedProfileMaster":@,"EnvelopedCatalogEntryDevice":@,
    "ContainerStatus":[{"Container":"mmm_Device","Index":3,"Digest":"Aw"},{}]}}"#,
    r#"{"DownloadResponse":{%,"Updates":[{"Container":"mmm_Device","Index":3,"Digest":"Aw",
    "Envelopes":[@,@]},{"Envelopes":[]}]}}"#,
    r#"{"UploadResponse":{%,"Entries":[{"IndexRequest":1,"IndexContainer":2,"Result":"Accept",
    "ConstraintsData":{"BytesMax":1}},{"Result":"Reject"},{"Result":"Conflict"}],
    "ConstraintsData":{"BytesMax":1}}}"#,
    r#"{"PostResponse":{%,"Entries":[{"IndexRequest":1}],"ConstraintsData":{"MaxEntries":0}}}"#,
    r#"{"ConnectResponse":{%,"EnvelopedConnectionResponse":@,"EnvelopedProfileMaster":@,
    "EnvelopedAccountAssertion":@}}"#,
    r#"{"MeshResponse":{%}}"#,
];

fn parse<T: serde::de::DeserializeOwned>(text: &str) -> T {
    let text = text.replace('%', OUTCOME).replace('@', ENVELOPE_MARK);
    // Addresses have the same character: the mark stands only where a value does.
    let text = text.replace(&format!(":{ENVELOPE_MARK}"), &format!(":{ENVELOPE}"));
    let text = text.replace(&format!("[{ENVELOPE_MARK}"), &format!("[{ENVELOPE}"));
    let text = text.replace(&format!(",{ENVELOPE_MARK}"), &format!(",{ENVELOPE}"));
    let text = text.replace(ENVELOPE_MARK, "@").replace('\n', "");
    json::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"))
}

const ENVELOPE_MARK: &str = "\u{1}";

pub(super) fn envelope() -> Envelope {
    parse(ENVELOPE)
}

pub(super) fn all_requests() -> Vec<Request> {
    REQUESTS.into_iter().map(parse).collect()
}

pub(super) fn all_responses() -> Vec<Response> {
    RESPONSES.into_iter().map(parse).collect()
}

fn udf(text: &str) -> Udf {
    content_digest("text/plain", text.as_bytes(), 140)
}

fn address(text: &str) -> AccountAddress {
    AccountAddress::parse(text).unwrap()
}

pub(super) fn error() -> ServiceError {
    ServiceError::new(Code::RateLimited, "too often")
        .with_context("what the log says")
        .retry_after(Duration::new(7, 9))
}

pub(super) fn keys() -> SigningKeys {
    SigningKeys {
        profile_version: 300,
        mesh_udf: udf("mesh"),
        mesh_keys: vec![vec![1; 57]],
        account_udf: udf("account"),
        account_keys: vec![vec![2; 57], Vec::new()],
    }
}

fn callers() -> Vec<Caller> {
    let caller = Caller {
        mode: Mode::Device,
        via: Via::Exchange,
        account: Some(address("Alice@B\u{fc}cher.example")),
        profile_udf: Some(udf("profile")),
        key_udf: udf("key"),
        credential_digest: [5; 32],
        domain: Some("peer.example".into()),
    };
    let bare = Caller {
        mode: Mode::Profile,
        via: Via::Ticket,
        account: None,
        profile_udf: None,
        domain: None,
        ..caller.clone()
    };
    let with = |mode, via| Caller {
        mode,
        via,
        ..caller.clone()
    };
    vec![
        caller.clone(),
        bare,
        with(Mode::Service, Via::Ticket),
        with(Mode::Interop, Via::Bare),
    ]
}

pub(super) fn all_evidence() -> Vec<Evidence> {
    let moment = Timestamp::from_millis(-1);
    let create = CreateEvidence {
        keys: keys(),
        mesh_updated: Some(moment),
        account_updated: None,
        mesh_digest: [1; 64],
        account_digest: [2; 64],
        by_offline_key: true,
        device_keys: vec![udf("one"), udf("two")],
    };
    let facts = DeviceFacts {
        device_udf: udf("device"),
        profile_keys: vec![udf("key")],
        device_key: Some(udf("own")),
        connection_digests: vec![[3; 32], [4; 32]],
        lists_permissions: true,
        is_administrator: false,
    };
    let permission = r#"{"Name":"*","Role":"Reject","Capabilities":[{},"AA"],"Later":1.5}"#;
    let signers = MessageSigners {
        device: Some(SigningDevice {
            key_udf: udf("signer"),
            connection_digest: [6; 32],
            permissions: vec![parse::<Permission>(permission), Permission::default()],
        }),
        online_key: Some(udf("online")),
    };
    let content = ContentEvidence {
        profile_version: 9,
        devices: vec![
            (0, DeviceEvidence::Valid(facts)),
            (300, DeviceEvidence::Invalid(error())),
        ],
        messages: vec![
            (1, MessageEvidence::Valid(signers)),
            (2, MessageEvidence::Valid(MessageSigners::default())),
            (3, MessageEvidence::Invalid(error())),
        ],
    };
    let connection = ConnectEvidence {
        profile_version: 1,
        device_udf: udf("device"),
        published_id: Some("NAAA".into()),
        message_id: udf("message"),
        acknowledgement: envelope(),
    };
    let forwarded = IntakeMessage {
        sender: MessageSender {
            address: address("bob@peer.example"),
            account_udf: udf("bob"),
            mesh_udf: Some(udf("bob's mesh")),
            signed_by: Some(udf("bob's device")),
        },
        service: Some(ForwardingService {
            domain: "peer.example".into(),
            udf: udf("peer"),
        }),
        unique_id: "NBBB".into(),
        message_type: Some("Message".into()),
        payload_digest: [8; 64],
        envelope: envelope(),
        block_bytes: 1_234,
    };
    vec![
        Evidence::Nothing,
        Evidence::Create(Box::new(create)),
        Evidence::Content(Box::new(content)),
        Evidence::Connection(Box::new(connection)),
        Evidence::Forwarded(Box::new(forwarded)),
    ]
}

/// Every request, every kind of caller and every kind of evidence at least once.
pub(super) fn calls() -> Vec<AccountRequest> {
    let (callers, evidence) = (callers(), all_evidence());
    let requests = all_requests().into_iter().enumerate();
    requests
        .map(|(position, request)| AccountRequest {
            account: address("Alice@B\u{fc}cher.example"),
            caller: callers[position % callers.len()].clone(),
            request_id: RequestId([6; 16]),
            request_digest: [7; 64],
            received_at: Timestamp::from_millis(1_900_000_000_123),
            deadline: Timestamp::from_millis(1_900_000_005_123),
            request,
            evidence: evidence[position % evidence.len()].clone(),
        })
        .collect()
}

fn route() -> Route {
    Route {
        node: NodeId([9; 16]),
        fence: Fence {
            generation: 2,
            epoch: 1 << 40,
        },
    }
}

/// Every answer, and every way to have none.
pub(super) fn answers() -> Vec<Result<Answer, CallFailure>> {
    let answer = |response| Answer {
        response,
        context: Some("for the log".into()),
        retry_after: Some(Duration::from_millis(2_500)),
    };
    let failures = [
        CallFailure::Refused(error()),
        CallFailure::Away(ServiceError::internal("why")),
        CallFailure::Moved(None),
        CallFailure::Moved(Some(route())),
        CallFailure::Busy(Duration::from_millis(1_500)),
        CallFailure::Stale,
    ];
    let answers = all_responses()
        .into_iter()
        .map(|response| Ok(answer(response)));
    answers.chain(failures.map(Err)).collect()
}

pub(super) fn nudge() -> Nudge {
    Nudge {
        intakes: vec![PartitionId(0), PartitionId(1_023)],
        queues: vec![ShardId(255)],
        released: vec![Unit::Partition(PartitionId(7)), Unit::Shard(ShardId(8))],
        heard: vec!["peer.example".into()],
    }
}

pub(super) fn publication() -> Publication {
    Publication {
        content: vec![1, 2, 3],
        digest: [4; 64],
    }
}

pub(super) fn keys_question() -> KeysQuestion {
    KeysQuestion {
        account: address("a@b"),
        deadline: Timestamp::from_secs(1),
    }
}

pub(super) fn published_question() -> PublishedQuestion {
    PublishedQuestion {
        account: address("a@b"),
        id: udf("name"),
        deadline: Timestamp::from_secs(1),
    }
}

pub(super) fn pass_on_order() -> PassOnOrder {
    PassOnOrder {
        route: route(),
        request: Verified::declare(calls().swap_remove(2)),
    }
}

pub(super) fn pin_question() -> PinQuestion {
    PinQuestion {
        domain: "peer.example".into(),
        seen: Some(pinned()),
        deadline: Timestamp::from_secs(1),
    }
}

pub(super) fn pinned() -> Pinned {
    let key = |seed| {
        let secret = SecretKey::generate(&mut SeededEntropy::new(seed));
        secret.public().clone()
    };
    Pinned {
        service_udf: udf("service"),
        updated: Timestamp::from_secs(2),
        host_key: key(1),
        replaced: Some(ReplacedKey {
            host_key: key(2),
            until: Timestamp::from_secs(3),
        }),
        since: Timestamp::from_millis(4_005),
    }
}

pub(super) fn watch_on_order() -> WatchOnOrder {
    WatchOnOrder {
        route: route(),
        order: watch_order(),
    }
}

pub(super) fn watch_order() -> WatchOrder {
    WatchOrder {
        stream: StreamId([1; 16]),
        begin: vec![(1, address("a@b")), (200, address("c@d"))],
        end: vec![7, u64::MAX],
    }
}

pub(super) fn watch_reply() -> WatchReply {
    WatchReply(vec![true, false])
}
