//! What a spool takes through Upload (containers §7.2, §8.4 step 6, D11, D21, D31; decisions Q-19,
//! completions everywhere, imports, anything in Local and Archive; and `Self`.

use serde_json::{Map, Value};

use super::Upload;
use super::ledger::Ledger;
use super::place::Course;
use super::prepare::Prepared;
use super::verdict::{Verdict, Verdicts};
use crate::account::change::{MessageKey, MessageRow};
use crate::account::state::Import;
use crate::dare::{ContainerKind, ContainerName, Envelope};
use crate::encoding::json;
use crate::limits::{COMPLETION_REFERENCES_MAX, UNIQUE_ID_BYTES_MAX};
use crate::protocol::Code;
use crate::spool::Reference;

/// The tag of the messages that change states.
const COMPLETION: &str = "MessageComplete";
/// What a device may say about a message it sent (decision Q-20).
const OUTBOUND_RELATIONSHIPS: [&str; 4] = ["Read", "Unread", "Deleted", "Delete"];

/// The spools in which a completion's target is looked for, in this order.
pub(in crate::account) const SPOOLS: [ContainerKind; 4] = [
    ContainerKind::Inbound,
    ContainerKind::Outbound,
    ContainerKind::Local,
    ContainerKind::Archive,
];

/// What can be read of a message.
#[derive(Debug)]
pub(in crate::account) struct Readable {
    pub(in crate::account) tag: String,
    pub(in crate::account) message_id: Option<String>,
    pub(in crate::account) sender: Option<String>,
    /// Whether one of the two is there and is no text.
    pub(in crate::account) is_odd: bool,
    /// Of a MessageComplete, if they are well-formed.
    pub(in crate::account) references: Option<Vec<Reference>>,
}

impl Readable {
    /// Reads a message; `None` if it is encrypted or is no tagged object.
    pub(in crate::account) fn of(envelope: &Envelope) -> Option<Self> {
        if envelope.header.is_encrypted() {
            return None;
        }
        let tagged: Map<String, Value> = json::parse(envelope.payload.as_slice()).ok()?;
        let mut members = tagged.into_iter();
        let (tag, Value::Object(mut body)) = members.next()? else {
            return None;
        };
        if members.next().is_some() {
            return None;
        }
        let mut is_odd = false;
        let mut text = |member| match body.remove(member) {
            Some(Value::String(text)) => Some(text),
            None | Some(Value::Null) => None,
            Some(_) => {
                is_odd = true;
                None
            }
        };
        let (message_id, sender) = (text("MessageID"), text("Sender"));
        let references = (tag == COMPLETION)
            .then(|| {
                body.remove("References")
                    .unwrap_or(Value::Array(Vec::new()))
            })
            .and_then(|list| serde_json::from_value(list).ok());
        Some(Self {
            tag,
            message_id,
            sender,
            is_odd,
            references,
        })
    }
}

impl Upload<'_> {
    /// Checks a message for the spool of `course`. `Some(Accept)` if it is there already.
    ///
    /// # Errors
    /// The Reject.
    pub(super) fn check_message(
        &self,
        ledger: &mut Ledger,
        course: &Course<'_>,
        one: &Prepared<'_>,
        position: usize,
    ) -> Result<Option<Verdict>, Verdict> {
        let is_restricted = matches!(
            course.kind,
            ContainerKind::Inbound | ContainerKind::Outbound
        );
        if one.is_meta() && (course.imports || !is_restricted) {
            return Ok(None);
        }
        let readable = Readable::of(one.envelope);
        let unique_id = check_identifier(one)?;
        // What comes from elsewhere is history: it stands as it is (decision Q-28).
        if course.imports {
            // Senders of the messages in Inbound are others, who will not send them again here.
            if course.kind == ContainerKind::Inbound {
                return Ok(None);
            }
            self.note_sender(ledger, course.name, unique_id, one);
            return Ok(None);
        }
        if course.kind != ContainerKind::Archive {
            check_agreement(one, readable.as_ref())?;
        }
        if is_restricted {
            check_completion(course.kind, one, readable.as_ref())?;
        }
        if course.kind != ContainerKind::Archive {
            self.check_author(ledger, one, readable.as_ref(), position)?;
        }
        if let Some(there) = self.duplicate(ledger, course.name, unique_id, one)? {
            return Ok(Some(there));
        }
        self.note_sender(ledger, course.name, unique_id, one);
        Ok(None)
    }

    /// Appends one message for the account itself and adds its row. What is no completion goes to
    /// the spool `otherwise` (decision Q-27).
    pub(in crate::account) fn own_message(
        &self,
        ledger: &mut Ledger,
        verdicts: &mut Verdicts,
        envelope: &Envelope,
        otherwise: ContainerKind,
    ) {
        let readable = Readable::of(envelope);
        let kind = self.target(ledger, envelope, readable.as_ref(), otherwise);
        let Some(name) = kind.name() else { return };
        let position = verdicts.next_envelope();
        let verdict = self
            .append_own(ledger, &name, envelope, readable.as_ref(), position)
            .unwrap_or_else(|verdict| verdict);
        verdicts.add(&name, verdict);
    }

    fn append_own(
        &self,
        ledger: &mut Ledger,
        name: &ContainerName,
        envelope: &Envelope,
        readable: Option<&Readable>,
        position: usize,
    ) -> Result<Verdict, Verdict> {
        let kind = name.kind();
        let one = Prepared::whole(envelope, kind, self.scene.policy)?;
        let unique_id = check_identifier(&one)?;
        check_agreement(&one, readable)?;
        if kind == ContainerKind::Outbound {
            check_completion(kind, &one, readable)?;
        }
        self.check_author(ledger, &one, readable, position)?;
        if let Some(there) = self.duplicate(ledger, name, unique_id, &one)? {
            return Ok(there);
        }
        let index = self.write(ledger, name, &one, |_| Ok(()))?;
        let draft = ledger.draft_mut(name);
        draft.head.import = Import::Closed;
        self.note_sender_at(ledger, name, unique_id, &one, index);
        Ok(Verdict::Accept(index))
    }

    /// The spool a message for the account itself belongs to: a completion to that of its first known
    /// target, or Inbound; everything else where the transaction says (decision Q-27).
    fn target(
        &self,
        ledger: &Ledger,
        envelope: &Envelope,
        readable: Option<&Readable>,
        otherwise: ContainerKind,
    ) -> ContainerKind {
        let is_completion = match readable {
            Some(readable) => readable.tag == COMPLETION,
            None => envelope
                .header
                .content_meta()
                .is_ok_and(|meta| meta.message_type.as_deref() == Some(COMPLETION)),
        };
        if !is_completion {
            return otherwise;
        }
        let references = readable
            .and_then(|readable| readable.references.as_deref())
            .unwrap_or_default();
        references
            .iter()
            .take(COMPLETION_REFERENCES_MAX)
            .find_map(|reference| {
                SPOOLS
                    .into_iter()
                    .find(|kind| self.holds(ledger, *kind, &reference.message_id))
            })
            .unwrap_or(ContainerKind::Inbound)
    }

    fn holds(&self, ledger: &Ledger, kind: ContainerKind, id: &str) -> bool {
        let Some(name) = kind.name() else {
            return false;
        };
        let stored = self
            .state
            .head(&name)
            .map(|head| (head.number, id.to_owned()));
        ledger.would_know(&name, id)
            || stored.is_some_and(|key| self.scene.lookups.unique_ids.contains_key(&key))
    }

    /// A message of the same id: the same one is accepted where it is, another one is refused in
    /// the spools that other accounts see (architecture A-13, decision Q-26, containers D11).
    pub(in crate::account) fn duplicate(
        &self,
        ledger: &mut Ledger,
        name: &ContainerName,
        unique_id: &str,
        one: &Prepared<'_>,
    ) -> Result<Option<Verdict>, Verdict> {
        let draft = ledger.draft_mut(name);
        let key = self.message_key(draft.head.number, unique_id);
        let known = draft
            .messages
            .get(&key)
            .or_else(|| self.scene.lookups.messages.get(&key))
            .filter(|row| self.scene.now < row.expires_at());
        match known {
            Some(row) if row.payload_digest == one.payload_digest => {
                Ok(Some(Verdict::Accept(row.index)))
            }
            Some(_)
                if matches!(
                    name.kind(),
                    ContainerKind::Inbound | ContainerKind::Outbound
                ) =>
            {
                Err(Verdict::reject(
                    Code::IdReused,
                    "another message of this UniqueID is in the spool",
                ))
            }
            _ => Ok(None),
        }
    }

    fn note_sender(
        &self,
        ledger: &mut Ledger,
        name: &ContainerName,
        unique_id: &str,
        one: &Prepared<'_>,
    ) {
        let index = ledger.draft_mut(name).head.count();
        self.note_sender_at(ledger, name, unique_id, one, index);
    }

    /// Remembers a message of this account, for recognizing its duplicates.
    pub(in crate::account) fn note_sender_at(
        &self,
        ledger: &mut Ledger,
        name: &ContainerName,
        unique_id: &str,
        one: &Prepared<'_>,
        index: u64,
    ) {
        let draft = ledger.draft_mut(name);
        let key = self.message_key(draft.head.number, unique_id);
        let row = MessageRow {
            index,
            payload_digest: one.payload_digest,
            committed_at: self.scene.now,
        };
        draft.messages.insert(key, row);
    }

    fn message_key(&self, container: u16, unique_id: &str) -> MessageKey {
        MessageKey {
            container,
            sender: self.state.record.address.canonical().to_owned(),
            unique_id: unique_id.to_owned(),
        }
    }
}

/// The tag of a message: as it reads, or as its content metadata say.
pub(in crate::account) fn tag_of<'a>(
    one: &'a Prepared<'_>,
    readable: Option<&'a Readable>,
) -> Option<&'a str> {
    readable
        .map(|readable| readable.tag.as_str())
        .or(one.meta.message_type.as_deref())
}

/// Messages have an identifier (decisions ).
pub(in crate::account) fn check_identifier<'a>(one: &'a Prepared<'_>) -> Result<&'a str, Verdict> {
    let id = one.meta.unique_id.as_deref().unwrap_or_default();
    if id.is_empty() || id.len() > UNIQUE_ID_BYTES_MAX || id.chars().any(char::is_control) {
        return Err(Verdict::reject(
            Code::Malformed,
            format!(
                "a message has a UniqueID of at most {UNIQUE_ID_BYTES_MAX} octets without control \
                 characters"
            ),
        ));
    }
    Ok(id)
}

/// What can be read of a message agrees with its content metadata (decision Q-26).
pub(in crate::account) fn check_agreement(
    one: &Prepared<'_>,
    readable: Option<&Readable>,
) -> Result<(), Verdict> {
    let Some(readable) = readable else {
        return Ok(());
    };
    let ids_agree = readable.message_id.is_none() || readable.message_id == one.meta.unique_id;
    let tags_agree = one
        .meta
        .message_type
        .as_ref()
        .is_none_or(|tag| *tag == readable.tag);
    let count = readable.references.as_ref().map_or(0, Vec::len);
    if count > COMPLETION_REFERENCES_MAX {
        return Err(Verdict::reject(
            Code::TooLarge,
            format!("a MessageComplete has at most {COMPLETION_REFERENCES_MAX} references"),
        ));
    }
    if ids_agree && tags_agree {
        Ok(())
    } else {
        Err(Verdict::reject(
            Code::Malformed,
            "MessageID and tag of a message equal UniqueID and MessageType",
        ))
    }
}

/// Inbound and Outbound take nothing but completions from a device; in Outbound the service must be
/// able to read that it does not forge a delivery (X-37, decision Q-20).
fn check_completion(
    kind: ContainerKind,
    one: &Prepared<'_>,
    readable: Option<&Readable>,
) -> Result<(), Verdict> {
    let is_completion = tag_of(one, readable) == Some(COMPLETION);
    let is_allowed = match kind {
        ContainerKind::Outbound => readable
            .and_then(|readable| readable.references.as_ref())
            .is_some_and(|references| {
                references
                    .iter()
                    .all(|one| OUTBOUND_RELATIONSHIPS.contains(&one.relationship.as_str()))
            }),
        _ => true,
    };
    if is_completion && is_allowed {
        Ok(())
    } else {
        Err(Verdict::reject(
            Code::InvalidProfile,
            "a device writes only MessageComplete here, in Outbound only Read, Unread or Deleted",
        ))
    }
}
