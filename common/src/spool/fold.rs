//! Folding a spool: frames in the order of their indices, references in the order of their list,
//! the last one wins (containers D12).

use std::collections::BTreeMap;

use super::item::{MessageState, Reference, SpoolItem};
use crate::dare::ContainerKind;

/// One message of a spool and its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `UniqueID` of its content metadata.
    pub unique_id: Option<String>,
    /// Its `MessageID`, if it could be read.
    pub message_id: Option<String>,
    /// Its tag, if it is known.
    pub message_type: Option<String>,
    /// Its state now.
    pub state: MessageState,
    /// The Relationship that led to the state, as it was written: tells Accept and Reject apart.
    pub relationship: Option<String>,
    /// Index of the MessageComplete that led to the state.
    pub by: Option<u64>,
    /// The answer that MessageComplete names.
    pub response: Option<String>,
    /// How delivery went, by recipient; the recipient is empty where none was named.
    pub deliveries: BTreeMap<String, Delivery>,
}

/// How the delivery of a message to one recipient went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// `Sent`, `Delayed`, `Received`, `Refused` or `Failed`.
    pub state: MessageState,
    /// Why, in a phrase for people, where the service says so.
    pub reason: Option<String>,
    /// Index of the MessageComplete that says so.
    pub by: u64,
}

/// The messages of a spool, by index and by id.
#[derive(Debug, Clone)]
pub struct Spool {
    initial: MessageState,
    messages: BTreeMap<u64, Message>,
    /// Indices, oldest first, of the messages with this UniqueID or MessageID. Two senders may
    /// use the same one; a reference to it then speaks of both.
    by_id: BTreeMap<String, Vec<u64>>,
    pending: BTreeMap<String, Vec<(u64, Reference)>>,
}

impl Spool {
    /// A spool of this kind without messages.
    #[must_use]
    pub const fn new(kind: ContainerKind) -> Self {
        Self {
            initial: MessageState::initial(kind),
            messages: BTreeMap::new(),
            by_id: BTreeMap::new(),
            pending: BTreeMap::new(),
        }
    }

    /// Takes what the next frame says and returns the indices of the messages whose state is new.
    pub fn fold(&mut self, index: u64, item: SpoolItem) -> Vec<u64> {
        match item {
            SpoolItem::Nothing => Vec::new(),
            SpoolItem::Message {
                unique_id,
                message_id,
                message_type,
            } => {
                self.post(index, unique_id, message_id, message_type);
                vec![index]
            }
            SpoolItem::Completion {
                recipient,
                references,
            } => {
                let recipient = recipient.unwrap_or_default();
                let mut changed = Vec::new();
                for reference in references {
                    changed.extend(self.complete(index, &recipient, reference));
                }
                changed.sort_unstable();
                changed.dedup();
                changed
            }
        }
    }

    fn post(
        &mut self,
        index: u64,
        unique_id: Option<String>,
        message_id: Option<String>,
        message_type: Option<String>,
    ) {
        let second = message_id
            .as_ref()
            .filter(|id| unique_id.as_ref() != Some(id));
        for id in unique_id.iter().chain(second) {
            self.by_id.entry(id.clone()).or_default().push(index);
        }
        let message = Message {
            unique_id,
            message_id,
            message_type,
            state: self.initial,
            relationship: None,
            by: None,
            response: None,
            deliveries: BTreeMap::new(),
        };
        self.messages.insert(index, message);
    }

    fn complete(&mut self, by: u64, recipient: &str, reference: Reference) -> Vec<u64> {
        let Some(targets) = self.by_id.get(&reference.message_id) else {
            self.pending
                .entry(reference.message_id.clone())
                .or_default()
                .push((by, reference));
            return Vec::new();
        };
        let mut changed = Vec::new();
        for target in targets {
            if let Some(message) = self.messages.get_mut(target)
                && message.complete(by, recipient, &reference)
            {
                changed.push(*target);
            }
        }
        changed
    }

    /// The newest message with this UniqueID or MessageID (decision Q-26), and its index.
    #[must_use]
    pub fn message(&self, id: &str) -> Option<(u64, &Message)> {
        let index = *self.by_id.get(id)?.last()?;
        Some((index, self.messages.get(&index)?))
    }

    /// The message in frame `index`.
    #[must_use]
    pub fn at(&self, index: u64) -> Option<&Message> {
        self.messages.get(&index)
    }

    /// All messages with their indices, oldest first.
    pub fn messages(&self) -> impl ExactSizeIterator<Item = (u64, &Message)> {
        self.messages
            .iter()
            .map(|(index, message)| (*index, message))
    }

    /// References to ids that no message has, each with the index of its MessageComplete.
    pub fn pending(&self) -> impl Iterator<Item = (&str, &[(u64, Reference)])> {
        self.pending
            .iter()
            .map(|(id, references)| (id.as_str(), references.as_slice()))
    }
}

impl Message {
    /// Takes what one reference says; whether anything changed.
    ///
    /// The way of a sent message is told per recipient, and nothing follows a final state
    /// (decision Q-59). It does not revive a message that its owner deleted: only marking it read
    /// or unread does (schema draft §6.1).
    fn complete(&mut self, by: u64, recipient: &str, reference: &Reference) -> bool {
        let Some(state) = MessageState::of_relationship(&reference.relationship) else {
            return false;
        };
        if state.is_delivery() {
            let delivery = Delivery {
                state,
                reason: reference.reason.clone(),
                by,
            };
            let known = self.deliveries.get(recipient);
            if known.is_some_and(|known| known.state.is_final() && !state.is_final()) {
                return false;
            }
            self.deliveries.insert(recipient.to_owned(), delivery);
            if self.state == MessageState::Deleted {
                return true;
            }
        }
        self.state = state;
        self.relationship = Some(reference.relationship.clone());
        self.by = Some(by);
        self.response = reference.response_id.clone();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dare::{ContainerInfo, ContentMeta, Header};

    fn message(id: &str) -> SpoolItem {
        SpoolItem::Message {
            unique_id: Some(format!("U-{id}")),
            message_id: Some(format!("M-{id}")),
            message_type: Some("RequestContact".to_owned()),
        }
    }

    fn completion(recipient: Option<&str>, references: &[(&str, &str)]) -> SpoolItem {
        SpoolItem::Completion {
            recipient: recipient.map(str::to_owned),
            references: references
                .iter()
                .map(|(id, relationship)| Reference {
                    message_id: (*id).to_owned(),
                    response_id: None,
                    relationship: (*relationship).to_owned(),
                    reason: None,
                })
                .collect(),
        }
    }

    fn state(spool: &Spool, id: &str) -> MessageState {
        spool.message(id).expect("the message is there").1.state
    }

    #[test]
    fn the_last_word_wins_by_either_id() {
        let mut spool = Spool::new(ContainerKind::Inbound);
        assert_eq!(spool.fold(1, message("1")), [1]);
        assert_eq!(state(&spool, "U-1"), MessageState::Unread);
        let words = completion(None, &[("M-1", "Accept"), ("U-1", "Delete")]);
        assert_eq!(spool.fold(2, words), [1]);
        assert_eq!(state(&spool, "M-1"), MessageState::Deleted);
        spool.fold(3, completion(None, &[("M-1", "Unread")]));
        assert_eq!(state(&spool, "U-1"), MessageState::Unread);
        assert!(
            spool
                .fold(4, completion(None, &[("M-1", "Lost")]))
                .is_empty()
        );
        assert_eq!(spool.at(1).and_then(|message| message.by), Some(3));
    }

    #[test]
    fn a_reference_to_nothing_is_kept() {
        let mut spool = Spool::new(ContainerKind::Local);
        assert!(
            spool
                .fold(1, completion(None, &[("M-1", "Read")]))
                .is_empty()
        );
        spool.fold(2, message("1"));
        assert_eq!(state(&spool, "M-1"), MessageState::Unread);
        let kept: Vec<_> = spool.pending().collect();
        assert_eq!((kept.len(), kept[0].0, kept[0].1[0].0), (1, "M-1", 1));
    }

    #[test]
    fn two_messages_with_one_id_change_together_and_the_newest_answers_to_it() {
        let mut spool = Spool::new(ContainerKind::Inbound);
        spool.fold(1, message("1"));
        spool.fold(2, message("1"));
        assert_eq!(spool.fold(3, completion(None, &[("M-1", "Read")])), [1, 2]);
        assert_eq!(spool.message("U-1").map(|(index, _)| index), Some(2));
    }

    #[test]
    fn delivery_is_told_by_recipient_and_a_final_word_stays() {
        let mut spool = Spool::new(ContainerKind::Outbound);
        spool.fold(1, message("1"));
        assert_eq!(state(&spool, "M-1"), MessageState::Pending);
        for (index, recipient, relationship) in [
            (2, "bob@example.net", "Delayed"),
            (3, "carol@example.org", "Sent"),
            (4, "bob@example.net", "Received"),
            (5, "bob@example.net", "Sent"),
            (6, "carol@example.org", "Refused"),
        ] {
            spool.fold(index, completion(Some(recipient), &[("M-1", relationship)]));
        }
        let (_, sent) = spool.message("M-1").expect("the message is there");
        let told: Vec<_> = sent
            .deliveries
            .values()
            .map(|delivery| (delivery.state, delivery.by))
            .collect();
        assert_eq!(
            told,
            [(MessageState::Received, 4), (MessageState::Refused, 6)]
        );
        assert_eq!(sent.state, MessageState::Refused);
        spool.fold(7, completion(None, &[("M-1", "Deleted")]));
        spool.fold(8, completion(Some("bob@example.net"), &[("M-1", "Failed")]));
        assert_eq!(state(&spool, "M-1"), MessageState::Deleted);
    }

    /// Every word after every other one, by either id, about the same recipient: rows are the first
    /// word, columns the second (containers §7.3, decisions ).
    #[test]
    fn the_second_of_two_words_counts_unless_the_first_was_final_or_the_owners() {
        const WORDS: [&str; 10] = [
            "Read", "Unread", "Accept", "Reject", "Deleted", "Sent", "Delayed", "Received",
            "Refused", "Failed",
        ];
        const TABLE: [&str; 10] = [
            "R U R R D S Y V N F",
            "R U R R D S Y V N F",
            "R U R R D S Y V N F",
            "R U R R D S Y V N F",
            "R U R R D D D D D D",
            "R U R R D S Y V N F",
            "R U R R D S Y V N F",
            "R U R R D V V V N F",
            "R U R R D N N V N F",
            "R U R R D F F V N F",
        ];
        let state_of = |letter| match letter {
            "R" => MessageState::Read,
            "U" => MessageState::Unread,
            "D" => MessageState::Deleted,
            "S" => MessageState::Sent,
            "Y" => MessageState::Delayed,
            "V" => MessageState::Received,
            "N" => MessageState::Refused,
            _ => MessageState::Failed,
        };
        for (first, row) in WORDS.into_iter().zip(TABLE) {
            for (second, letter) in WORDS.into_iter().zip(row.split(' ')) {
                for (one, other) in [("M-1", "U-1"), ("U-1", "M-1")] {
                    let mut spool = Spool::new(ContainerKind::Outbound);
                    spool.fold(1, message("1"));
                    spool.fold(2, completion(Some("bob@example.net"), &[(one, first)]));
                    spool.fold(3, completion(Some("bob@example.net"), &[(other, second)]));
                    assert_eq!(
                        state(&spool, "M-1"),
                        state_of(letter),
                        "{first}, then {second}"
                    );
                }
            }
        }
    }

    fn header(unique_id: &str, message_type: &str) -> Header {
        Header::default().with_content_meta(&ContentMeta {
            unique_id: Some(unique_id.to_owned()),
            message_type: Some(message_type.to_owned()),
            ..ContentMeta::default()
        })
    }

    #[test]
    fn a_frame_that_cannot_be_opened_is_known_by_its_header() {
        let closed = SpoolItem::read(1, &header("N1", "RequestContact"), None);
        assert_eq!(
            closed,
            SpoolItem::Message {
                unique_id: Some("N1".to_owned()),
                message_id: None,
                message_type: Some("RequestContact".to_owned()),
            }
        );
        let completion = header("N2", "MessageComplete");
        assert_eq!(SpoolItem::read(2, &completion, None), SpoolItem::Nothing);
        assert_eq!(
            SpoolItem::read(2, &completion, Some(b"no message")),
            SpoolItem::Nothing
        );
    }

    #[test]
    fn frame_zero_and_meta_frames_say_nothing() {
        let mut header = header("N1", "RequestContact");
        assert_eq!(SpoolItem::read(0, &header, None), SpoolItem::Nothing);
        header.container_info = Some(ContainerInfo {
            is_meta: Some(true),
            ..ContainerInfo::default()
        });
        assert_eq!(SpoolItem::read(1, &header, None), SpoolItem::Nothing);
    }
}
