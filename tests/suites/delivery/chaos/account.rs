//! One account of one of the services, with a connection that is made again after each kill.

use mesh_common::protocol::{Code, ConstraintsSelect};
use mesh_tests::client::Client;
use mesh_tests::frames;
use mesh_tests::people::Person;
use mesh_tests::wire::Connection;

use super::super::stage::completions;

const INBOUND: &str = "mmm_Inbound";
const OUTBOUND: &str = "mmm_Outbound";

/// An account.
pub(crate) struct Account {
    pub(crate) person: Person,
    pub(crate) client: Client,
}

impl Account {
    /// Makes the account of `person`.
    pub(crate) fn new(person: Person, connection: Connection) -> Self {
        let mut client = Client::on(connection, person.device.as_connected());
        client.create_account(&person).must_be(Code::Ok);
        let entry = vec![frames::first(), person.device.frame(1, "New")];
        let uploaded = client.ask(&frames::upload(frames::DEVICES, entry));
        uploaded.must_be(Code::Ok);
        Self { person, client }
    }

    pub(crate) fn address(&self) -> &str {
        &self.person.address
    }

    /// What the service told in Outbound: message, recipient, state.
    pub(crate) fn told(&mut self) -> Vec<(String, String, String)> {
        let spool = self.spool(OUTBOUND);
        spool.iter().flat_map(completions).collect()
    }

    /// The ids of the messages in Inbound.
    pub(crate) fn inbound(&mut self) -> Vec<String> {
        let spool = self.spool(INBOUND);
        let ids = spool.iter().map(|envelope| {
            let meta = envelope.header.content_meta().expect("it reads");
            meta.unique_id.expect("a message has an id")
        });
        ids.collect()
    }

    fn spool(&mut self, name: &str) -> Vec<mesh_common::dare::Envelope> {
        let mut envelopes = Vec::new();
        loop {
            let select = ConstraintsSelect {
                container: Some(name.to_owned()),
                index_min: Some(1 + i64::try_from(envelopes.len()).expect("spools are short")),
                ..ConstraintsSelect::default()
            };
            let answer = self.client.ask(&frames::download_select(vec![select]));
            let page = &answer.must_be(Code::Ok).download().updates[0].envelopes;
            if page.is_empty() {
                return envelopes;
            }
            envelopes.extend(page.iter().cloned());
        }
    }
}
