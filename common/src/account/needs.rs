//! What has to be looked up in the store before a request can be decided, and the answers
//! (containers §12.3). The shell reads exactly what [`super::needs()`] names, at the version it will commit
//! against.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::change::{
    MessageKey, MessageRow, RecipientRow, ReplayKey, ReplayRow, SendingRow, UniqueRow,
};
use super::frame::{FrameRecord, StoredFrame};
use super::intake::{
    ContactIndex, DeliveryKey, DeliveryRow, ExchangeKey, ExchangeRow, IntakeId, SeenRow, Tally,
};
use super::post::PostingCounts;
use super::state::ContainerNumber;
use super::usage::DomainRoom;
use crate::conduct::{Conduct, Level, Subject};
use crate::delivery::QueueScope;
use crate::time::Timestamp;

/// Rows to look up. Those that do not exist are simply missing from the [`Lookups`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// An earlier request under the same id, below [`super::Standing::account_id`].
    pub replay: Option<ReplayKey>,
    /// What containers know under unique ids.
    pub unique_ids: BTreeSet<(ContainerNumber, String)>,
    /// The newest frames of unique ids: the row of the id, the frame's record and its payload.
    pub newest: BTreeSet<(ContainerNumber, String)>,
    /// Messages that may be duplicates.
    pub messages: BTreeSet<MessageKey>,
    /// To whom messages of Outbound were sent, by their UniqueIDs.
    pub sendings: BTreeSet<String>,
    /// Canonical addresses that the account may have written to.
    pub recipients: BTreeSet<String>,
    /// What the account has sent lately.
    pub posting: bool,
    /// Frame records, without payloads: container, first index, index behind the last.
    pub records: Vec<(ContainerNumber, u64, u64)>,
    /// Payloads of single frames (their records are among `records`).
    pub payloads: Vec<(ContainerNumber, u64)>,
    /// An entry of the intake that may have been drained before.
    pub intake: Option<IntakeId>,
    /// Exchanges that may have been begun.
    pub exchanges: BTreeSet<ExchangeKey>,
    /// Deliveries that may have been told of.
    pub deliveries: BTreeSet<DeliveryKey>,
    /// Whether to look up what was taken today.
    pub tally: bool,
    /// Whose complaints to look up, and at which moment they count.
    pub conduct: Option<(Subject, Timestamp)>,
    /// Of what to say how much waits for other services.
    pub waiting: BTreeSet<QueueScope>,
}

impl Needs {
    /// Whether there is nothing to look up.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The rows that were found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Lookups {
    /// Earlier requests.
    pub replays: BTreeMap<ReplayKey, ReplayRow>,
    /// What containers know under unique ids.
    pub unique_ids: BTreeMap<(ContainerNumber, String), UniqueRow>,
    /// Messages that came before.
    pub messages: BTreeMap<MessageKey, MessageRow>,
    /// To whom messages of Outbound were sent.
    pub sendings: BTreeMap<String, SendingRow>,
    /// Whom the account has written to, and when.
    pub recipients: BTreeMap<String, RecipientRow>,
    /// What the account has sent lately; `None` if it never sent anything.
    pub posting: Option<PostingCounts>,
    /// Frame records.
    pub records: BTreeMap<(ContainerNumber, u64), Arc<FrameRecord>>,
    /// Payloads.
    pub payloads: BTreeMap<(ContainerNumber, u64), Vec<u8>>,
    /// Entries of the intake that were drained before.
    pub intake: BTreeMap<IntakeId, SeenRow>,
    /// Exchanges that were begun.
    pub exchanges: BTreeMap<ExchangeKey, ExchangeRow>,
    /// Deliveries that were told of.
    pub deliveries: BTreeMap<DeliveryKey, DeliveryRow>,
    /// What was taken lately.
    pub tally: Option<Tally>,
    /// What counts against the account, or whoever was asked for.
    pub conduct: Conduct,
    /// How many messages wait for other services, by what a bound is set on; nothing is none.
    pub waiting: BTreeMap<QueueScope, u64>,
    /// Recipients served here for whom as much waits as may, by their canonical names (cluster §14).
    pub closed: BTreeSet<String>,
    /// Whether the domain is known to have as many accounts as it may have.
    pub is_domain_full: bool,
    /// What is left to the domain of octets and messages, where it is known that this may be too little.
    pub room: DomainRoom,
    /// How the service stands that posts the message.
    pub service_level: Level,
    /// What the account's contacts say; `None` where nobody read them.
    pub contacts: Option<Arc<ContactIndex>>,
}

impl Lookups {
    /// The newest frame that `container` knows under `unique_id`, of those that were looked up.
    #[must_use]
    pub fn newest(&self, container: ContainerNumber, unique_id: &str) -> Option<StoredFrame> {
        let row = self.unique_ids.get(&(container, unique_id.to_owned()))?;
        let place = (container, row.last);
        Some(StoredFrame {
            index: row.last,
            record: Arc::clone(self.records.get(&place)?),
            payload: self.payloads.get(&place)?.clone(),
        })
    }
}
