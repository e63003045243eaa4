//! Asking somebody to do something (schema draft §7.5.11).

use mesh_common::address::AccountAddress;
use mesh_common::catalog::entry::{CatalogEntry, CatalogedTask, Task};
use mesh_common::message::{Message, Relationship, RequestTask};
use mesh_common::udf;
use serde_json::Value;

use super::compose::Draft;
use super::contact::Queued;
use super::failure::MessageFailure;
use super::folder::Letter;
use super::origin::Trust;
use super::outbox::reference;
use crate::catalogs::EntryPlace;
use crate::client::Client;
use crate::error::ClientError;

/// The member of a RequestTask that holds the task, as an entry of the Task catalog has it.
// Draft: RequestTask has no members of its own; without this one it could not say what to do.
const ENVELOPED_TASK: &str = "EnvelopedTask";
/// What the UniqueID of a task that somebody sent is made of.
const TASK_ID_TYPE: &str = "application/mmm/task";

impl Client {
    /// Asks the contact at `address` to do `task`. The message waits for [`Self::exchange`].
    ///
    /// # Errors
    /// [`MessageFailure::NotAContact`] if their account is not known.
    pub fn send_task(
        &mut self,
        address: &AccountAddress,
        task: &Task,
    ) -> Result<Queued, ClientError> {
        let book = self.book()?;
        let key = self.correspondent(&book, address)?;
        let mut entry = CatalogedTask::default();
        entry.enclose(task);
        let enclosed = serde_json::to_value(&entry.enveloped_task).unwrap_or(Value::Null);
        let id = self.new_message_id();
        let mut message = RequestTask {
            message_id: Some(id.clone()),
            sender: Some(self.own_address()?.as_written().to_owned()),
            recipient: Some(address.canonical().to_owned()),
            ..RequestTask::default()
        };
        message.extra.insert(ENVELOPED_TASK.to_owned(), enclosed);
        let draft = Draft {
            id,
            to: address.clone(),
            key: Some(key),
            message: Message::RequestTask(message),
        };
        self.enqueue_message(&draft, Vec::new())?;
        Ok(Queued::of(&draft))
    }

    /// Takes a task that a contact sent into the Task catalog.
    ///
    /// # Errors
    /// [`MessageFailure`]: there is no such message, it was answered, or it does not prove that it is
    /// from a contact.
    pub fn accept_task(&mut self, wanted: &str) -> Result<EntryPlace, ClientError> {
        let book = self.book()?;
        let letter = self.open_request(&book, wanted, &["RequestTask"])?;
        let origin = self.origin_of(&book, &letter)?;
        if origin.trust != Trust::Verified {
            return Err(MessageFailure::NotProven {
                id: letter.id,
                why: origin.why.unwrap_or_default(),
            }
            .into());
        }
        let Some(task) = task_in(&letter) else {
            return Err(MessageFailure::Unreadable { id: letter.id }.into());
        };
        // Every device gives the task the same id, and no sender can choose that of another entry.
        let account = origin.account.map(|account| account.to_string());
        let named = format!("{}:{}", account.unwrap_or_default(), letter.id);
        let id = udf::content_digest(TASK_ID_TYPE, named.as_bytes(), udf::BITS_DEFAULT);
        let mut entry = CatalogedTask {
            key: Some(id.to_string()),
            ..CatalogedTask::default()
        };
        entry.enclose(&task);
        let place = self.put(&CatalogEntry::CatalogedTask(entry))?;
        self.mark(vec![reference(&letter.id, Relationship::Accept, None)])?;
        Ok(place)
    }
}

/// The task in a RequestTask.
pub(crate) fn task_in(letter: &Letter) -> Option<Task> {
    let enclosed = letter.body.as_ref()?.get(ENVELOPED_TASK)?;
    let entry = CatalogedTask {
        enveloped_task: Some(serde_json::from_value(enclosed.clone()).ok()?),
        ..CatalogedTask::default()
    };
    entry.task().ok().flatten()
}
