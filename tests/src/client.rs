//! One device speaking to one service. Each verb sends one request in a form that the test names,
//! and returns what came back, opened; there are no second tries.

use std::io;

use mesh_backend::{SystemClock, SystemEntropy};
use mesh_common::address::AccountAddress;
use mesh_common::crypto::SecretKey;
use mesh_common::dare::Envelope;
use mesh_common::encoding::json;
use mesh_common::entropy::draw;
use mesh_common::protocol::{
    Code, CompleteResponse, ConnectResponse, DownloadResponse, HelloResponse, Outcome,
    PostResponse, Request, Response, StatusResponse, Transaction, UploadResponse,
};
use mesh_common::session::client::{
    ClientIdentity, ExchangeRequest, Pending, ServiceIdentity, StoredTicket, TicketRequest,
};
use mesh_common::session::{ClientSession, RequestId};
use mesh_common::time::{Clock, Timestamp};

use crate::frames;
use crate::people::{Device, Person};
use crate::service::TestService;
use crate::wire::{Connection, HttpReply, HttpRequest};

/// In which form a request travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As it is.
    Bare,
    /// Sealed, by a key exchange.
    Exchange,
    /// Sealed, by a ticket.
    Ticket,
}

/// A device, or a service, speaking to a service.
#[derive(Debug)]
pub struct Client {
    /// The open connection.
    pub connection: Connection,
    /// Whom it speaks to.
    pub service: ServiceIdentity,
    /// As whom it speaks.
    pub identity: ClientIdentity,
    /// The ticket it holds.
    pub ticket: Option<StoredTicket>,
    /// Chance.
    pub entropy: SystemEntropy,
}

/// What a request says besides its content. Everything is as it should be unless a test says
/// otherwise.
#[derive(Debug, Default, Clone)]
pub struct Circumstances<'a> {
    /// The clock of the client; the present moment if it is not given.
    pub time: Option<Timestamp>,
    /// The request's id; drawn if it is not given.
    pub request_id: Option<[u8; 16]>,
    /// For CreateAccount: the key of the mesh that makes the Proof, and for which address.
    pub proof: Option<(&'a SecretKey, &'a str)>,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// In which form the request travelled.
    pub form: Form,
    /// The request's text.
    pub asked: Vec<u8>,
    /// The HTTP response.
    pub http: HttpReply,
    /// Whether the response was sealed, and opened.
    pub is_sealed: bool,
    /// The response's text.
    pub text: Vec<u8>,
    /// The response.
    pub response: Response,
    /// The ticket that came with it.
    pub ticket: Option<StoredTicket>,
}

impl Client {
    /// A client that has said Hello to `service`.
    ///
    /// # Panics
    /// If the profiles in the answer do not verify.
    #[must_use]
    pub fn new(service: &TestService, identity: ClientIdentity) -> Self {
        Self::on(service.connect(), identity)
    }

    /// The same on a connection that is open.
    ///
    /// # Panics
    /// As [`Self::new`].
    #[must_use]
    pub fn on(mut connection: Connection, identity: ClientIdentity) -> Self {
        let hello = hello(&mut connection);
        Self {
            connection,
            service: ServiceIdentity::from_hello(&hello).expect("the service proves who it is"),
            identity,
            ticket: None,
            entropy: SystemEntropy,
        }
    }

    /// The connected device of somebody whose account is made here, with a ticket: what most tests
    /// begin with. The Device catalog is empty, so it is the bootstrap device.
    ///
    /// # Panics
    /// If the account cannot be made.
    #[must_use]
    pub fn of_new_account(service: &TestService, person: &Person) -> Self {
        let mut client = Self::new(service, person.device.as_connected());
        client.create_account(person).must_be(Code::Ok);
        client
    }

    /// The same, and the device has its entry in the Device catalog.
    ///
    /// # Panics
    /// If the account cannot be made.
    #[must_use]
    pub fn of_new_account_with_device(service: &TestService, person: &Person) -> Self {
        Self::with_device_on(service.connect(), person)
    }

    /// The same on a connection that is open, to whichever service.
    ///
    /// # Panics
    /// If the account cannot be made.
    #[must_use]
    pub fn with_device_on(connection: Connection, person: &Person) -> Self {
        let mut client = Self::on(connection, person.device.as_connected());
        client.create_account(person).must_be(Code::Ok);
        let frames = vec![frames::first(), person.device.frame(1, "New")];
        let uploaded = client.ask(&frames::upload(frames::DEVICES, frames));
        uploaded.must_be(Code::Ok);
        client
    }

    /// Another device of an account that is there.
    #[must_use]
    pub fn of_device(service: &TestService, device: &Device) -> Self {
        Self::new(service, device.as_connected())
    }

    /// Makes the account of `person`, with the Proof of their mesh.
    ///
    /// # Panics
    /// If their address is none.
    pub fn create_account(&mut self, person: &Person) -> Answer {
        let address = AccountAddress::parse(&person.address).expect("people have addresses");
        let circumstances = Circumstances {
            proof: Some((&person.mesh.online, address.canonical())),
            ..Circumstances::default()
        };
        self.exchange_as(&person.creation(), circumstances)
    }

    /// By ticket if there is one, else by exchange.
    pub fn ask(&mut self, request: &Request) -> Answer {
        if self.ticket.is_some() && request.transaction() != Transaction::CreateAccount {
            self.by_ticket(request)
        } else {
            self.exchange(request)
        }
    }

    /// By exchange.
    pub fn exchange(&mut self, request: &Request) -> Answer {
        self.exchange_as(request, Circumstances::default())
    }

    /// By exchange, in circumstances the test chooses.
    pub fn exchange_as(&mut self, request: &Request, how: Circumstances<'_>) -> Answer {
        let text = json::write(request);
        let (envelope, pending) = self.seal_exchange(&text, how);
        self.send(Form::Exchange, text, &envelope, &pending)
    }

    /// By ticket.
    ///
    /// # Panics
    /// If the client has none.
    pub fn by_ticket(&mut self, request: &Request) -> Answer {
        self.by_ticket_as(request, &Circumstances::default())
    }

    /// By ticket, in circumstances the test chooses.
    ///
    /// # Panics
    /// If the client has none.
    pub fn by_ticket_as(&mut self, request: &Request, how: &Circumstances<'_>) -> Answer {
        let text = json::write(request);
        let (envelope, pending) = self.seal_ticket(&text, how);
        self.send(Form::Ticket, text, &envelope, &pending)
    }

    /// By ticket if there is one, else by exchange, where the service may be gone before it answers.
    ///
    /// # Errors
    /// It is.
    ///
    /// # Panics
    /// If it answers what does not open.
    pub fn try_ask_as(&mut self, request: &Request, how: &Circumstances<'_>) -> io::Result<Answer> {
        let text = json::write(request);
        let (form, (envelope, pending)) = if self.ticket.is_some() {
            (Form::Ticket, self.seal_ticket(&text, how))
        } else {
            (Form::Exchange, self.seal_exchange(&text, how.clone()))
        };
        let octets = HttpRequest::post(json::write(&envelope)).octets();
        self.connection.write(&octets)?;
        let http = self.connection.try_reply(false)?;
        let answer = opened(form, text, http, &pending);
        if answer.ticket.is_some() {
            self.ticket.clone_from(&answer.ticket);
        }
        Ok(answer)
    }

    /// Seals a text by exchange.
    ///
    /// # Panics
    /// If the service's key cannot be agreed with.
    pub fn seal_exchange(&mut self, text: &[u8], how: Circumstances<'_>) -> (Envelope, Pending) {
        let request = ExchangeRequest {
            service: &self.service,
            client: &self.identity,
            time: how.time.unwrap_or_else(now),
            request_id: RequestId(how.request_id.unwrap_or_else(|| draw(&mut self.entropy))),
            ephemeral: SecretKey::generate(&mut self.entropy),
            proof: how.proof,
        };
        request
            .seal(text)
            .expect("the key of the service can be agreed with")
    }

    /// Seals a text by ticket.
    ///
    /// # Panics
    /// If the client has none.
    pub fn seal_ticket(&mut self, text: &[u8], how: &Circumstances<'_>) -> (Envelope, Pending) {
        let request_id = how.request_id.unwrap_or_else(|| draw(&mut self.entropy));
        let salt = draw(&mut self.entropy);
        TicketRequest {
            ticket: self.ticket.as_ref().expect("this client has a ticket"),
            time: how.time.unwrap_or_else(now),
            request_id: RequestId(request_id),
            salt,
        }
        .seal(text)
    }

    /// Sends a sealed text and opens the answer, if it is sealed.
    ///
    /// # Panics
    /// If the answer is neither a response nor opens.
    pub fn send(
        &mut self,
        form: Form,
        asked: Vec<u8>,
        envelope: &Envelope,
        pending: &Pending,
    ) -> Answer {
        let http = self
            .connection
            .send(&HttpRequest::post(json::write(envelope)));
        let answer = opened(form, asked, http, pending);
        if answer.ticket.is_some() {
            self.ticket.clone_from(&answer.ticket);
        }
        answer
    }
}

/// Reads the answer to a sealed request.
pub(crate) fn opened(form: Form, asked: Vec<u8>, http: HttpReply, pending: &Pending) -> Answer {
    if http.body.first() != Some(&b'[') {
        return Answer::bare(form, asked, http);
    }
    let envelope: Envelope = json::parse(&http.body).expect("a sealed answer is an envelope");
    let opened = pending
        .open_sealed(&envelope)
        .expect("the answer opens under the keys of its request");
    Answer {
        form,
        asked,
        http,
        is_sealed: true,
        response: json::parse(&opened.plaintext).expect("the answer holds a response"),
        text: opened.plaintext.to_vec(),
        ticket: opened.ticket,
    }
}

impl Answer {
    /// Reads an answer that is not sealed.
    ///
    /// # Panics
    /// If it is no response.
    #[must_use]
    pub fn bare(form: Form, asked: Vec<u8>, http: HttpReply) -> Self {
        let response = json::parse(&http.body)
            .unwrap_or_else(|error| panic!("no response: {error}: {:?}", http.text()));
        Self {
            form,
            asked,
            text: http.body.clone(),
            http,
            is_sealed: false,
            response,
            ticket: None,
        }
    }

    /// How it went.
    #[must_use]
    pub fn outcome(&self) -> &Outcome {
        self.response.outcome()
    }

    /// Which row of the table of codes it is.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        self.outcome().code()
    }

    /// Insists on a code: Mesh status, extended status and HTTP code.
    ///
    /// # Panics
    /// If any of the three is another one.
    #[track_caller]
    pub fn must_be(&self, code: Code) -> &Self {
        let found = (
            self.outcome().status,
            self.outcome().status_extended,
            self.http.status,
        );
        let expected = (Some(code.status()), code.status_extended(), code.http());
        assert_eq!(found, expected, "not {code:?}: {}", self.told());
        self
    }

    /// The body of a Status.
    ///
    /// # Panics
    /// If it is another response.
    #[must_use]
    #[track_caller]
    pub fn status(&self) -> &StatusResponse {
        match &self.response {
            Response::Status(response) => response,
            _ => panic!("not a Status: {}", self.told()),
        }
    }

    /// Frame count of a container in a Status.
    ///
    /// # Panics
    /// If it is another response.
    #[must_use]
    #[track_caller]
    pub fn count_of(&self, container: &str) -> Option<u64> {
        let rows = &self.status().container_status;
        rows.iter()
            .find(|row| row.container.as_deref() == Some(container))
            .and_then(|row| row.index)
    }

    /// The body of a Download.
    ///
    /// # Panics
    /// If it is another response.
    #[must_use]
    #[track_caller]
    pub fn download(&self) -> &DownloadResponse {
        match &self.response {
            Response::Download(response) => response,
            _ => panic!("not a Download: {}", self.told()),
        }
    }

    /// The body of an Upload.
    ///
    /// # Panics
    /// If it is another response.
    #[must_use]
    #[track_caller]
    pub fn upload(&self) -> &UploadResponse {
        match &self.response {
            Response::Upload(response) => response,
            _ => panic!("not an Upload: {}", self.told()),
        }
    }

    /// The body of a Post.
    ///
    /// # Panics
    /// If it is another response.
    #[must_use]
    #[track_caller]
    pub fn post(&self) -> &PostResponse {
        match &self.response {
            Response::Post(response) => response,
            _ => panic!("not a Post: {}", self.told()),
        }
    }

    /// The body of a Connect.
    ///
    /// # Panics
    /// If it is another response.
    #[must_use]
    #[track_caller]
    pub fn connect(&self) -> &ConnectResponse {
        match &self.response {
            Response::Connect(response) => response,
            _ => panic!("not a Connect: {}", self.told()),
        }
    }

    /// The body of a Complete.
    ///
    /// # Panics
    /// If it is another response.
    #[must_use]
    #[track_caller]
    pub fn complete(&self) -> &CompleteResponse {
        match &self.response {
            Response::Complete(response) => response,
            _ => panic!("not a Complete: {}", self.told()),
        }
    }

    /// The response as text, for messages.
    #[must_use]
    pub fn told(&self) -> String {
        String::from_utf8_lossy(&self.text).into_owned()
    }
}

/// Says a bare Hello.
///
/// # Panics
/// If anything but a Hello is answered.
pub fn hello(connection: &mut Connection) -> HelloResponse {
    let answer = bare(connection, &ClientSession::bare_hello());
    match &answer.response {
        Response::Hello(hello) if hello.outcome.is_success() => (**hello).clone(),
        _ => panic!("not a Hello: {}", answer.told()),
    }
}

/// Sends a text as it is.
///
/// # Panics
/// If no response comes back.
pub fn bare(connection: &mut Connection, text: &[u8]) -> Answer {
    let http = connection.send(&HttpRequest::post(text));
    Answer::bare(Form::Bare, text.to_vec(), http)
}

/// The present moment.
#[must_use]
pub fn now() -> Timestamp {
    SystemClock.now()
}
