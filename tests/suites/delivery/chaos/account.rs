//! One account of one of the services, with a connection that is made again after each kill.

use mesh_tests::client::Client;
use mesh_tests::people::Person;
use mesh_tests::spools::{self, INBOUND, spool};
use mesh_tests::wire::Connection;

/// An account.
pub(crate) struct Account {
    pub(crate) person: Person,
    pub(crate) client: Client,
}

impl Account {
    /// Makes the account of `person`.
    pub(crate) fn new(person: Person, connection: Connection) -> Self {
        let client = Client::with_device_on(connection, &person);
        Self { person, client }
    }

    pub(crate) fn address(&self) -> &str {
        &self.person.address
    }

    /// What the service told in Outbound: message, recipient, state.
    pub(crate) fn told(&mut self) -> Vec<(String, String, String)> {
        spools::told(&mut self.client)
    }

    /// The ids of the messages in Inbound.
    pub(crate) fn inbound(&mut self) -> Vec<String> {
        let spool = spool(&mut self.client, INBOUND);
        let ids = spool.iter().map(|envelope| {
            let meta = envelope.header.content_meta().expect("it reads");
            meta.unique_id.expect("a message has an id")
        });
        ids.collect()
    }
}
