//! The valid requests that are mutated: bare, sealed by ticket, sealed by exchange, and the
//! plaintext inside a ticket's seal, so that decoder and account machine are reached as well.

use mesh_client::ambient::SystemClock;
use mesh_common::address::AccountAddress;
use mesh_common::assertion::make::DeviceKeys;
use mesh_common::crypto::SecretKey;
use mesh_common::dare::{ContentMeta, Envelope, Header};
use mesh_common::encoding::json;
use mesh_common::entropy::SeededEntropy;
use mesh_common::message::{ConnectionRequest, Nonce, response_id_2020};
use mesh_common::protocol::{
    CompleteRequest, ConnectRequest, ConstraintsData, ConstraintsSelect, ContainerUpdate,
    CreateRequest, DeleteRequest, DownloadRequest, HelloRequest, PostRequest, Request as Asked,
    StatusRequest, UploadRequest,
};
use mesh_common::session::RequestId;
use mesh_common::session::client::{ExchangeRequest, StoredTicket, TicketRequest};
use mesh_common::time::Clock as _;
use mesh_common::udf;
use mesh_tests::device::{
    Account, Device, Reach, event, first_frame, ticket_of, unconnected, upload,
};
use mesh_tests::peer::Peer;
use mesh_tests::process::Process;
use mesh_tests::{Person, frames};

use super::mutate::{self, Dice};
use super::wire::{Answer, Request};

/// Accounts of one thread, besides the one that is deleted.
const ACCOUNTS: u64 = 4;
const CATALOG: &str = "mmm_Bookmark";

/// Which layer a mutation is made on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// A bare request.
    Bare,
    /// The octets of a sealed request.
    Sealed,
    /// The plaintext of a sealed request, sealed under a good ticket afterwards.
    Resealed,
    /// The same of a device that is not connected, and asks to be.
    Asking,
    /// The Post of another service: its plaintext, or the message in it before it is signed.
    Forwarded,
    /// The plaintext of a request sealed by an exchange afterwards.
    Exchanged,
    /// The head of HTTP.
    Head,
}

/// A device, its ticket, and the requests that would succeed or nearly so.
struct Member {
    device: Device,
    ticket: StoredTicket,
    /// Frames of the catalog, as far as this thread knows.
    frames: u64,
    /// A device that would like to be connected to the same account.
    asking: (DeviceKeys, StoredTicket),
}

/// Everything one thread mutates.
pub(crate) struct Corpus {
    members: Vec<Member>,
    /// Somebody at another service, and the ticket that service holds.
    sender: (Person, StoredTicket),
    chance: SeededEntropy,
    requests: u64,
    /// The member whose Upload is under way, if it was not mutated.
    appends: Option<usize>,
}

impl Corpus {
    /// Makes the accounts at the service.
    pub(crate) async fn make(process: &Process, elsewhere: &Peer, thread: u64) -> Self {
        let reach = Reach::of(process);
        let mut members = Vec::new();
        for number in 0..=ACCOUNTS {
            let address = format!("target{thread}x{number}@localhost");
            let seed = 1_000 * (thread + 1) + number;
            let (_, mut device) = Account::create(&reach, &address, seed).await;
            device.upload(CATALOG, Some(0), vec![first_frame()]).await;
            let ticket = device.session().ticket().cloned();
            members.push(Member {
                ticket: ticket.expect("a session that was used has a ticket"),
                device,
                frames: 1,
                asking: unconnected(&reach, &address, seed + 500).await,
            });
        }
        let address = format!("sender{thread}@{}", elsewhere.domain());
        let sender = Person::at(&address, &address);
        let ticket = ticket_of(&reach, elsewhere.as_client(), 900 + thread).await;
        Self {
            members,
            sender: (sender, ticket),
            chance: SeededEntropy::new(thread),
            requests: 0,
            appends: None,
        }
    }

    /// A Hello as it should be.
    pub(crate) fn hello(&self) -> Request {
        posted(&json::write(&Asked::Hello(HelloRequest::default())))
    }

    /// The next mutated request.
    pub(crate) fn mutated(&mut self, dice: &mut Dice) -> (Class, Request) {
        self.requests += 1;
        self.appends = None;
        // Exchanges cost both sides curve arithmetic, so there are fewer of them.
        match dice.below(20) {
            0..3 => (Class::Bare, posted(&self.bare(dice))),
            3..6 => (Class::Sealed, posted(&self.sealed(dice))),
            6 => (Class::Exchanged, posted(&self.exchanged(dice))),
            7 => {
                let body = self.sealed_soundly(dice);
                let octets = mutate::head(dice, &body);
                let is_sound = false;
                (Class::Head, Request { octets, is_sound })
            }
            8 => (Class::Asking, posted(&self.asking(dice))),
            9 => (Class::Forwarded, posted(&self.forwarded(dice))),
            _ => (Class::Resealed, posted(&self.resealed(dice))),
        }
    }

    /// Takes note of an answer: an Upload that succeeded made its catalog longer.
    pub(crate) fn learn(&mut self, answer: &Answer) {
        if let (Some(member), Answer::Http { status: 201, .. }) = (self.appends, answer) {
            self.members[member].frames += 1;
        }
    }

    fn bare(&mut self, dice: &mut Dice) -> Vec<u8> {
        let member = dice.below(self.members.len());
        let request = match dice.below(2) {
            0 => Asked::Hello(HelloRequest::default()),
            _ => self.request(dice, member),
        };
        let text = json::write(&request);
        match dice.below(4) {
            0 => mutate::octets(dice, text),
            1 => json::write(&Envelope::plain(mutate::json(dice, &text))),
            _ => mutate::json(dice, &text),
        }
    }

    fn sealed_soundly(&mut self, dice: &mut Dice) -> Vec<u8> {
        let member = dice.below(self.members.len());
        let request = json::write(&self.request(dice, member));
        self.by_ticket(dice, member, &request)
    }

    fn sealed(&mut self, dice: &mut Dice) -> Vec<u8> {
        let sound = match dice.below(4) {
            0 => {
                let member = dice.below(self.members.len());
                let request = json::write(&self.request(dice, member));
                self.by_exchange(dice, member, &request)
            }
            _ => self.sealed_soundly(dice),
        };
        match dice.below(2) {
            0 => mutate::octets(dice, sound),
            _ => mutate::json(dice, &sound),
        }
    }

    fn resealed(&mut self, dice: &mut Dice) -> Vec<u8> {
        let member = dice.below(self.members.len());
        let request = self.request(dice, member);
        let text = json::write(&request);
        let text = match dice.below(10) {
            // Unchanged, so that the accounts live on and the mutations meet full catalogs.
            0 => {
                let is_append = matches!(&request, Asked::Upload(upload) if upload.updates.len() == 1
                    && upload.updates[0].container.as_deref() == Some(CATALOG));
                self.appends = is_append.then_some(member);
                text
            }
            1 => mutate::octets(dice, text),
            _ => mutate::json(dice, &text),
        };
        self.by_ticket(dice, member, &text)
    }

    fn exchanged(&mut self, dice: &mut Dice) -> Vec<u8> {
        let member = dice.below(self.members.len());
        let text = json::write(&self.request(dice, member));
        let text = mutate::json(dice, &text);
        self.by_exchange(dice, member, &text)
    }

    /// A Connect that would be acknowledged, or a Complete, mutated outside or in the message.
    fn asking(&self, dice: &mut Dice) -> Vec<u8> {
        let member = &self.members[dice.below(self.members.len())];
        let (keys, ticket) = &member.asking;
        let address = AccountAddress::parse(&member.device.address).expect("it is one");
        let mut message = ConnectionRequest::make(
            &address,
            &keys.profile(None),
            &keys.authentication,
            &udf::nonce(&mut SeededEntropy::new(self.requests)),
            &Nonce::draw(&mut SeededEntropy::new(self.requests)),
            None,
        );
        let way = dice.below(5);
        if way == 0 {
            let payload = mutate::json(dice, message.payload.as_slice());
            message.payload = payload.into();
        }
        let request = match way {
            1 => Asked::Complete(CompleteRequest {
                service_id: Some(member.device.address.clone()),
                response_id: Some(response_id_2020("NAAA-AAAA").to_string()),
                ..CompleteRequest::default()
            }),
            _ => Asked::Connect(Box::new(ConnectRequest {
                message_connection_request_client: Some(message),
                ..ConnectRequest::default()
            })),
        };
        let text = json::write(&request);
        let text = match way {
            0 | 2 => text,
            _ => mutate::json(dice, &text),
        };
        under(dice, ticket, &text)
    }

    /// The Post of another service that would be taken in, mutated outside, or inside before it is
    /// signed, or not at all.
    fn forwarded(&self, dice: &mut Dice) -> Vec<u8> {
        let (sender, ticket) = &self.sender;
        let recipient = self.members[dice.below(self.members.len())]
            .device
            .address
            .clone();
        let id = format!("forwarded-{}", self.requests);
        let mut message = frames::message("RequestContact", &id, "{\"Subject\":\"we met\"}");
        let way = dice.below(5);
        if way == 0 {
            let payload = mutate::json(dice, message.payload.as_slice());
            message.payload = payload.into();
        }
        let message = sender.device.signed(message);
        let accounts = match way {
            1 => vec!["nobody@localhost".to_owned()],
            _ => vec![recipient],
        };
        let text = json::write(&Asked::Post(PostRequest {
            accounts,
            messages: vec![message],
            ..PostRequest::default()
        }));
        let text = match way {
            0..3 => text,
            _ => mutate::json(dice, &text),
        };
        under(dice, ticket, &text)
    }

    fn by_ticket(&self, dice: &mut Dice, member: usize, plaintext: &[u8]) -> Vec<u8> {
        under(dice, &self.members[member].ticket, plaintext)
    }

    fn by_exchange(&mut self, dice: &mut Dice, member: usize, plaintext: &[u8]) -> Vec<u8> {
        let session = self.members[member].device.session();
        let request = ExchangeRequest {
            service: session.service(),
            client: session.client(),
            time: SystemClock.now(),
            request_id: RequestId(dice.array()),
            ephemeral: SecretKey::generate(&mut self.chance),
            proof: None,
        };
        let sealed = request.seal(plaintext);
        json::write(&sealed.expect("the key of the service is one").0)
    }

    /// A request that would be answered. Only the last member's account is ever deleted.
    fn request(&mut self, dice: &mut Dice, member: usize) -> Asked {
        let address = self.members[member].device.address.clone();
        let account = Some(address.clone());
        match dice.below(16) {
            0 => Asked::Hello(HelloRequest::default()),
            1 => Asked::CreateAccount(Box::new(CreateRequest {
                service_id: account,
                signed_profile_mesh: Some(Envelope::plain(dice.octets(64))),
                signed_assertion_account: Some(Envelope::plain(dice.octets(64))),
                ..CreateRequest::default()
            })),
            2 if member as u64 == ACCOUNTS => Asked::DeleteAccount(DeleteRequest {
                account,
                ..DeleteRequest::default()
            }),
            3 => Asked::Complete(CompleteRequest {
                account,
                response_id: Some("MAAA-BBBB".to_owned()),
                ..CompleteRequest::default()
            }),
            4 => Asked::Post(PostRequest {
                accounts: vec![address],
                messages: vec![message(self.requests)],
                ..PostRequest::default()
            }),
            5 => Asked::Connect(Box::new(ConnectRequest {
                message_connection_request_client: Some(message(self.requests)),
                ..ConnectRequest::default()
            })),
            6 | 7 => Asked::Status(StatusRequest {
                account,
                catalogs: vec![CATALOG.to_owned(), "mmm_Contact".to_owned()],
                ..StatusRequest::default()
            }),
            8 | 9 => Asked::Download(download(account)),
            10 => self.many_updates(member),
            11 => self.device_upload(dice, member),
            _ => self.append(dice, member),
        }
    }

    fn append(&mut self, dice: &mut Dice, member: usize) -> Asked {
        let id = format!("id{}", self.requests);
        let length = dice.below(2_000);
        let content = dice.octets(length);
        let member = &mut self.members[member];
        let frame = match dice.below(3) {
            0 => event("New", &id, Envelope::plain(content)),
            _ => member.device.entry("New", &id, &content),
        };
        upload(CATALOG, Some(member.frames), vec![frame])
    }

    /// Several containers and messages of one's own in one Upload.
    fn many_updates(&mut self, member: usize) -> Asked {
        let id = format!("id{}", self.requests);
        let update = |container: &str, envelopes| ContainerUpdate {
            container: Some(container.to_owned()),
            envelopes,
            ..ContainerUpdate::default()
        };
        let entry = self.members[member].device.entry("New", &id, b"content");
        Asked::Upload(UploadRequest {
            updates: vec![
                update("mmm_Task", vec![first_frame(), entry]),
                update("mmm_Inbound", vec![message(self.requests)]),
                update("mmm_Contact", Vec::new()),
            ],
            self_messages: vec![message(self.requests)],
            ..UploadRequest::default()
        })
    }

    /// An entry of the Device catalog that is signed, but no CatalogedDevice.
    fn device_upload(&self, dice: &mut Dice, member: usize) -> Asked {
        let keys = self.members[member].device.keys();
        let content = match dice.below(2) {
            0 => b"{\"CatalogedDevice\":{\"UDF\":\"MAAA\",\"DeviceUDF\":\"MAAA\"}}".to_vec(),
            _ => dice.octets(40),
        };
        let signed = Envelope::signed(content, Header::default(), &[&keys.signature]);
        upload("mmm_Device", None, vec![event("New", "MAAA", signed)])
    }
}

fn download(account: Option<String>) -> DownloadRequest {
    DownloadRequest {
        account,
        select: vec![ConstraintsSelect {
            container: Some(CATALOG.to_owned()),
            index_min: Some(0),
            index_max: Some(20),
            not_before: Some(SystemClock.now()),
            ..ConstraintsSelect::default()
        }],
        constraints_post: Some(ConstraintsData {
            max_entries: Some(10),
            bytes_offset: Some(0),
            bytes_max: Some(10_000),
            header: Some(true),
            payload: Some(true),
            trailer: Some(true),
        }),
        ..DownloadRequest::default()
    }
}

fn message(number: u64) -> Envelope {
    let meta = ContentMeta {
        unique_id: Some(format!("NAAA-{number}")),
        message_type: Some("MessageComplete".to_owned()),
        ..ContentMeta::default()
    };
    let body = "{\"MessageComplete\":{\"References\":[{\"MessageID\":\"NAAA\",\
                \"Relationship\":\"Read\"}]}}";
    Envelope {
        header: Header::default().with_content_meta(&meta),
        ..Envelope::plain(body)
    }
}

/// A plaintext sealed by a ticket.
fn under(dice: &mut Dice, ticket: &StoredTicket, plaintext: &[u8]) -> Vec<u8> {
    let request = TicketRequest {
        ticket,
        time: SystemClock.now(),
        request_id: RequestId(dice.array()),
        salt: dice.array(),
    };
    json::write(&request.seal(plaintext).0)
}

/// A body behind a head as it should be.
fn posted(body: &[u8]) -> Request {
    let mut octets = format!(
        "POST /.well-known/mmm HTTP/1.1\r\nHost: localhost\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    octets.extend_from_slice(body);
    Request {
        octets,
        is_sound: true,
    }
}
