//! A device that waits for news: a Status in two halves, with whatever happens between them
//! (architecture A-14).

use mesh_common::crypto::digest::sha512;
use mesh_common::encoding::base64url::Binary;
use mesh_common::encoding::json;
use mesh_common::protocol::{KnownState, Request, StatusRequest};
use mesh_common::session::client::Pending;

use crate::client::{Answer, Circumstances, Client, Form, opened};
use crate::people::Person;
use crate::wire::{Connection, HttpRequest};

/// A request that was sent and is not answered yet.
#[derive(Debug)]
pub struct Begun {
    text: Vec<u8>,
    pending: Pending,
}

/// A Status of everything by a device that has the profile of `person`.
#[must_use]
pub fn status(person: &Person) -> Request {
    status_of(person, &[])
}

/// The same of some containers.
#[must_use]
pub fn status_of(person: &Person, containers: &[&str]) -> Request {
    let profile = person.profile_mesh.payload.as_slice();
    Request::Status(StatusRequest {
        profile_master_digest: Some(Binary::from(sha512(&[profile]))),
        catalogs: containers.iter().map(|&name| name.to_owned()).collect(),
        ..StatusRequest::default()
    })
}

/// The header's value: wait so long, unless there is something else than `known`.
#[must_use]
pub fn prefer(seconds: u64, known: &KnownState) -> String {
    format!("wait={seconds}; known=\"{known}\"")
}

impl Client {
    /// Sends a request with a preference, by ticket.
    ///
    /// # Panics
    /// If there is no ticket, or the connection is closed.
    pub fn begin(&mut self, request: &Request, prefer: &str) -> Begun {
        let text = json::write(request);
        let (envelope, pending) = self.seal_ticket(&text, &Circumstances::default());
        let http = HttpRequest::post(json::write(&envelope)).header("Prefer", prefer);
        let sent = self.connection.write(&http.octets());
        sent.expect("the service takes requests on this connection");
        Begun { text, pending }
    }

    /// Reads the answer of a request that was begun.
    ///
    /// # Panics
    /// If none comes.
    pub fn finish(&mut self, begun: Begun) -> Answer {
        let http = self.connection.reply(false);
        opened(Form::Ticket, begun.text, http, &begun.pending)
    }

    /// Sends a request with a preference and reads the answer.
    ///
    /// # Panics
    /// As [`Self::begin`] and [`Self::finish`].
    pub fn ask_preferring(&mut self, request: &Request, prefer: &str) -> Answer {
        let begun = self.begin(request, prefer);
        self.finish(begun)
    }
}

impl Answer {
    /// What `Preference-Applied` says.
    #[must_use]
    pub fn applied(&self) -> Option<&str> {
        self.http.header("preference-applied")
    }
}

/// Value of a measure, as the admin listener at `address` shows it under its name and labels.
///
/// # Panics
/// If it shows none of that name.
#[must_use]
pub fn measure(address: std::net::SocketAddr, name: &str) -> u64 {
    find_measure(address, name).unwrap_or_else(|| panic!("there is no measure {name}"))
}

/// The same where the measure may not be there: one with labels comes with its first count.
#[must_use]
pub fn find_measure(address: std::net::SocketAddr, name: &str) -> Option<u64> {
    let mut connection = Connection::plain(address);
    let request = HttpRequest::post(Vec::new())
        .method("GET")
        .target("/metrics");
    let text = connection.send(&request).text();
    text.lines()
        .filter_map(|line| line.strip_prefix(name))
        .find_map(|rest| rest.trim().parse().ok())
}
