//! A shell for tests: accounts in ordered maps, and people with devices whose keys are names. It
//! does what a partition does (look up, decide, commit, apply), without a store, without crypto.
//!
//! Every row goes through JSON, as it would to a store, so what cannot be stored is noticed.

mod envelopes;
mod people;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha512};

use super::intake::{
    self, ContactIndex, DeliveryKey, DeliveryRow, ExchangeKey, ExchangeRow, IntakeId, Reception,
    SeenRow, Setting, Tally,
};
use super::{
    AccountId, AccountPolicy, Change, ContainerNumber, Decision, DownloadAssembly, DownloadPlan,
    FrameRecord, IntakeEntry, Lookups, MessageKey, MessageRow, Needs, PostingCounts, RecipientRow,
    ReplayKey, ReplayRow, SendingRow, Standing, StoredFrame, Transition, UniqueRow, decide, needs,
};
use crate::address::AccountAddress;
use crate::cluster::{AccountRequest, Answer, Verified};
use crate::conduct::{Conduct, Incident, Level};
use crate::dare::{ContainerName, Digest64, DigestStack, Envelope};
use crate::delivery::{QueueItem, QueueScope};
use crate::encoding::json;
use crate::entropy::SeededEntropy;
use crate::time::Timestamp;

pub use envelopes::{
    at, badly_signed, completion, event, first_frame, message, rows_of, signed, signed_online,
    update,
};
pub use people::{Device, Person, connection_key, device_key, facts_of, udf};

/// The moment at which every test begins: 2020-03-10T12:00:00Z.
pub const NOON: Timestamp = Timestamp::from_secs(1_583_841_600);

/// Rows of one account.
#[derive(Debug, Clone, Default)]
struct Rows {
    frames: BTreeMap<(ContainerNumber, u64), (Arc<FrameRecord>, Vec<u8>)>,
    unique_ids: BTreeMap<(ContainerNumber, String), UniqueRow>,
    superseded: BTreeMap<(ContainerNumber, u64), u64>,
    messages: BTreeMap<MessageKey, MessageRow>,
    replays: BTreeMap<ReplayKey, ReplayRow>,
    sendings: BTreeMap<String, SendingRow>,
    recipients: BTreeMap<String, RecipientRow>,
    posting: Option<PostingCounts>,
    /// What was left in intakes by this account's commits, in their order.
    left: Vec<IntakeEntry>,
    /// What was queued for other services by this account's commits, in their order.
    queued: Vec<QueueItem>,
    purge: Option<Timestamp>,
    seen: BTreeMap<IntakeId, SeenRow>,
    exchanges: BTreeMap<ExchangeKey, ExchangeRow>,
    deliveries: BTreeMap<DeliveryKey, DeliveryRow>,
    tally: Option<Tally>,
}

/// Accounts in memory.
#[derive(Debug, Clone)]
pub struct Shell {
    /// The settings.
    pub policy: AccountPolicy,
    /// The time.
    pub now: Timestamp,
    /// What stands under the addresses.
    pub standings: BTreeMap<AccountAddress, Standing>,
    /// What operators were told.
    pub incidents: Vec<String>,
    /// What counts against anybody.
    pub complaints: Vec<Incident>,
    /// What waits for other services, as limits count it.
    pub waiting: BTreeMap<QueueScope, u64>,
    /// What the contacts of a sender say of recipients.
    pub senders_contacts: Option<Arc<ContactIndex>>,
    /// How the services that forward messages stand.
    pub service_level: Level,
    /// Transitions committed so far.
    pub commits: usize,
    rows: BTreeMap<AccountId, Rows>,
    entropy: SeededEntropy,
}

impl Default for Shell {
    fn default() -> Self {
        Self {
            policy: AccountPolicy {
                domains_served: BTreeSet::from(["example.com".to_owned()]),
                ..AccountPolicy::default()
            },
            now: NOON,
            standings: BTreeMap::new(),
            incidents: Vec::new(),
            complaints: Vec::new(),
            waiting: BTreeMap::new(),
            senders_contacts: None,
            service_level: Level::Normal,
            commits: 0,
            rows: BTreeMap::new(),
            entropy: SeededEntropy::new(1),
        }
    }
}

impl Shell {
    /// No accounts, other settings.
    #[must_use]
    pub fn with_policy(policy: AccountPolicy) -> Self {
        Self {
            policy,
            ..Self::default()
        }
    }

    /// Time passes.
    pub fn advance(&mut self, duration: Duration) {
        self.now = self.now + duration;
    }

    /// What stands under an address.
    #[must_use]
    pub fn standing(&self, address: &AccountAddress) -> Standing {
        self.standings.get(address).cloned().unwrap_or_default()
    }

    /// Carries out a request and answers it.
    ///
    /// # Panics
    /// If the evidence is stale: see [`Shell::decide`].
    pub fn perform(&mut self, request: AccountRequest) -> Answer {
        let standing = self.standing(&request.account);
        match self.decide(&request) {
            Decision::Answer(answer) => *answer,
            Decision::Report { answer, incidents } => {
                self.incidents.extend(incidents);
                *answer
            }
            Decision::Commit(transition) => {
                self.commit(&transition);
                transition.answer
            }
            Decision::Read(plan) => self.read(&standing, *plan),
            Decision::Stale => panic!("the evidence is stale"),
        }
    }

    /// Decides a request without carrying it out.
    #[must_use]
    pub fn decide(&mut self, request: &AccountRequest) -> Decision {
        let standing = self.standing(&request.account);
        let lookups = self.look_up(&standing, &needs(&standing, request));
        decide(
            &standing,
            &Verified::declare(request.clone()),
            &lookups,
            &self.policy,
            self.now,
            &mut self.entropy,
        )
    }

    fn look_up(&self, standing: &Standing, needs: &Needs) -> Lookups {
        let mut found = Lookups::default();
        if let Some((subject, _)) = &needs.conduct {
            let of_subject = self.complaints.iter().filter(|one| one.subject == *subject);
            found.conduct = Conduct(of_subject.map(|one| (one.at, one.weight)).collect());
        }
        let waiting = needs.waiting.iter();
        found.waiting = waiting
            .filter_map(|scope| Some((scope.clone(), *self.waiting.get(scope)?)))
            .collect();
        found.contacts.clone_from(&self.senders_contacts);
        let Some(rows) = standing.account_id().and_then(|id| self.rows.get(&id)) else {
            return found;
        };
        if let Some(key) = &needs.replay
            && let Some(row) = rows.replays.get(key)
        {
            found.replays.insert(key.clone(), row.clone());
        }
        for key in &needs.unique_ids {
            if let Some(row) = rows.unique_ids.get(key) {
                found.unique_ids.insert(key.clone(), *row);
            }
        }
        for key in &needs.newest {
            let Some(row) = rows.unique_ids.get(key) else {
                continue;
            };
            found.unique_ids.insert(key.clone(), *row);
            let place = (key.0, row.last);
            if let Some((record, payload)) = rows.frames.get(&place) {
                found.records.insert(place, Arc::clone(record));
                found.payloads.insert(place, payload.clone());
            }
        }
        for key in &needs.messages {
            if let Some(row) = rows.messages.get(key) {
                found.messages.insert(key.clone(), *row);
            }
        }
        for id in &needs.sendings {
            if let Some(row) = rows.sendings.get(id) {
                found.sendings.insert(id.clone(), row.clone());
            }
        }
        for recipient in &needs.recipients {
            if let Some(row) = rows.recipients.get(recipient) {
                found.recipients.insert(recipient.clone(), *row);
            }
        }
        if needs.posting {
            found.posting.clone_from(&rows.posting);
        }
        for &(container, first, end) in &needs.records {
            for (place, (record, _)) in rows.frames.range((container, first)..(container, end)) {
                found.records.insert(*place, Arc::clone(record));
            }
        }
        for place in &needs.payloads {
            if let Some((_, payload)) = rows.frames.get(place) {
                found.payloads.insert(*place, payload.clone());
            }
        }
        rows.find_received(needs, &mut found);
        found
    }

    /// Commits and applies a transition.
    pub fn commit(&mut self, transition: &Transition) {
        self.commits += 1;
        self.incidents.extend(transition.incidents.iter().cloned());
        self.note(&transition.changes);
        let rows = self.rows.entry(transition.account).or_default();
        for change in &transition.changes {
            rows.set(change);
        }
        self.standings
            .entry(transition.address.clone())
            .or_default()
            .apply(transition);
    }

    /// Notes what belongs to no account.
    fn note(&mut self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Incident(incident) => self.complaints.push((**incident).clone()),
                Change::Enqueue(queued) => {
                    for scope in queued.item.scopes() {
                        *self.waiting.entry(scope).or_default() += 1;
                    }
                }
                _ => {}
            }
        }
    }

    /// Writes rows of an account that no request leads to, without applying them.
    pub fn write(&mut self, account: AccountId, changes: &[Change]) {
        let rows = self.rows.entry(account).or_default();
        changes.iter().for_each(|change| rows.set(change));
    }

    /// Receives an entry of an intake as the owner of its account does, and commits what follows.
    ///
    /// # Panics
    /// If the entry is unfit.
    pub fn receive(
        &mut self,
        entry: &IntakeEntry,
        contacts: Option<&ContactIndex>,
        completion: Option<&Envelope>,
    ) -> Reception {
        let standing = self.standing(&entry.account);
        let lookups = self.look_up(&standing, &intake::needs(&standing, entry));
        let setting = Setting {
            policy: &self.policy,
            contacts,
            completion,
            service_level: self.service_level,
            now: self.now,
        };
        let reception =
            intake::receive(&standing, entry, &lookups, &setting).expect("tests leave fit entries");
        self.incidents.extend(reception.incidents.iter().cloned());
        self.note(&reception.changes);
        if let Some(account) = standing.account_id() {
            let rows = self.rows.entry(account).or_default();
            reception.changes.iter().for_each(|change| rows.set(change));
            let known = self.standings.entry(entry.account.clone()).or_default();
            known.apply_changes(&reception.changes);
        }
        reception
    }

    fn read(&self, standing: &Standing, plan: DownloadPlan) -> Answer {
        let mut assembly = DownloadAssembly::new(plan);
        while let Some(wanted) = assembly.wanted() {
            let frame = standing.account_id().and_then(|id| {
                self.rows
                    .get(&id)?
                    .frames
                    .get(&(wanted.container, wanted.first))
            });
            match frame {
                Some((record, payload)) => assembly.push(StoredFrame {
                    index: wanted.first,
                    record: Arc::clone(record),
                    payload: payload.clone(),
                }),
                None => assembly.skip_run(),
            }
        }
        assembly.finish()
    }

    /// The frames of a container, from index 0.
    #[must_use]
    pub fn frames(&self, address: &AccountAddress, name: &str) -> Vec<Arc<FrameRecord>> {
        let name = ContainerName::parse(name).expect("tests use acceptable names");
        let standing = self.standing(address);
        let head = standing.account().and_then(|state| state.head(&name));
        let (Some(id), Some(number)) = (standing.account_id(), head.map(|head| head.number)) else {
            return Vec::new();
        };
        let Some(rows) = self.rows.get(&id) else {
            return Vec::new();
        };
        rows.frames
            .range((number, 0)..=(number, u64::MAX))
            .map(|(_, (record, _))| Arc::clone(record))
            .collect()
    }

    /// Checks that heads, tips, frames and lookup rows of all accounts agree with each other.
    ///
    /// # Panics
    /// If they do not.
    pub fn check(&self) {
        for standing in self.standings.values() {
            let Some(state) = standing.account() else {
                continue;
            };
            let rows = self.rows.get(&state.record.id);
            let mut octets = 0;
            for head in state.heads.values() {
                let frames: Vec<_> = rows
                    .map(|rows| {
                        rows.frames
                            .range((head.number, 0)..=(head.number, u64::MAX))
                            .map(|(place, (record, payload))| (place.1, record, payload))
                            .collect()
                    })
                    .unwrap_or_default();
                let mut stack = DigestStack::new();
                let mut last = Timestamp::default();
                let mut live_octets = 0;
                for (place, (index, record, payload)) in (0..).zip(&frames) {
                    assert_eq!(place, *index, "{} has a gap", head.name);
                    let digest: Digest64 = Sha512::digest(payload).into();
                    assert_eq!(digest, record.payload_digest);
                    assert_eq!(stack.append(&digest), record.tree_digest);
                    assert!(record.committed_at >= last, "time runs backwards");
                    last = record.committed_at;
                    live_octets += record.live_octets();
                }
                assert_eq!(stack, head.digests, "{}", head.name);
                assert_eq!(live_octets, head.live_octets);
                octets += head.live_octets;
            }
            assert_eq!(octets, state.tip.bytes_used);
        }
    }

    /// When the rows of an account are purged.
    #[must_use]
    pub fn purge_of(&self, account: AccountId) -> Option<Timestamp> {
        self.rows.get(&account)?.purge
    }

    /// What the commits of `account` queued for other services, in their order.
    #[must_use]
    pub fn queued_by(&self, account: AccountId) -> &[QueueItem] {
        let rows = self.rows.get(&account);
        rows.map_or(&[], |rows| &rows.queued)
    }

    /// What the commits of `account` left in intakes, its own included, in their order.
    #[must_use]
    pub fn left_by(&self, account: AccountId) -> &[IntakeEntry] {
        let rows = self.rows.get(&account);
        rows.map_or(&[], |rows| &rows.left)
    }

    /// The answers that an account awaits.
    #[must_use]
    pub fn awaited_by(&self, account: AccountId) -> Vec<ExchangeKey> {
        let rows = self.rows.get(&account);
        rows.map_or_else(Vec::new, |rows| rows.exchanges.keys().cloned().collect())
    }

    /// Superseded frames of an account's container: older index, newer index.
    #[must_use]
    pub fn superseded(&self, account: AccountId) -> Vec<(ContainerNumber, u64, u64)> {
        let rows = self.rows.get(&account);
        rows.into_iter()
            .flat_map(|rows| &rows.superseded)
            .map(|(&(container, index), &by)| (container, index, by))
            .collect()
    }
}

/// Writes a row and reads it again.
fn stored<T: Serialize + DeserializeOwned>(row: &T) -> T {
    json::parse(&json::write(row)).expect("what is stored can be read")
}

impl Rows {
    /// What the drain of an intake looks up.
    fn find_received(&self, needs: &Needs, found: &mut Lookups) {
        if let Some(id) = needs.intake
            && let Some(row) = self.seen.get(&id)
        {
            found.intake.insert(id, *row);
        }
        found.tally = self.tally.clone().filter(|_| needs.tally);
        for key in &needs.exchanges {
            if let Some(row) = self.exchanges.get(key) {
                found.exchanges.insert(key.clone(), *row);
            }
        }
        for key in &needs.deliveries {
            if let Some(row) = self.deliveries.get(key) {
                found.deliveries.insert(key.clone(), *row);
            }
        }
    }

    fn set(&mut self, change: &Change) {
        match change {
            Change::Frame {
                container,
                index,
                record,
                payload,
            } => {
                let record: FrameRecord = stored(&**record);
                let frame = (Arc::new(record), payload.to_vec());
                self.frames.insert((*container, *index), frame);
            }
            Change::Unique {
                container,
                unique_id,
                row,
            } => {
                let key = (*container, unique_id.clone());
                self.unique_ids.insert(key, stored(row));
            }
            Change::Superseded {
                container,
                index,
                by,
            } => {
                self.superseded.insert((*container, *index), *by);
            }
            Change::Message { key, row } => {
                self.messages.insert(key.clone(), stored(row));
            }
            Change::Replay { key, row } => {
                self.replays.insert(key.clone(), stored(&**row));
            }
            Change::Sending { unique_id, row } => {
                self.sendings.insert(unique_id.clone(), stored(&**row));
            }
            Change::Recipient { recipient, row } => {
                self.recipients.insert(recipient.clone(), stored(row));
            }
            Change::Posting(counts) => self.posting = Some(stored(&**counts)),
            Change::Intake(entry) => self.left.push(stored(&**entry)),
            Change::Incident(_) => {}
            Change::Enqueue(queued) => self.queued.push(stored(&queued.item)),
            Change::Seen { id, row } => {
                self.seen.insert(*id, stored(row));
            }
            Change::Exchange { key, row } => {
                self.exchanges.insert(key.clone(), stored(row));
            }
            Change::Delivery { key, row } => {
                self.deliveries.insert(key.clone(), stored(row));
            }
            Change::Tally(tally) => self.tally = Some(stored(&**tally)),
            Change::Connection { row, .. } => assert_eq!(&stored(row), row),
            Change::Purge { due } => self.purge = Some(*due),
            Change::Account(record) => assert_eq!(stored(&**record), **record),
            Change::Head(head) => assert_eq!(stored(&**head), **head),
            Change::Directory(entry) => assert_eq!(&stored(entry), entry),
            Change::Device { entry, .. } => assert_eq!(&stored(entry), entry),
            Change::Tip(tip) => assert_eq!(&stored(tip), tip),
            Change::Retired(key) => assert_eq!(&stored(key), key),
        }
    }
}
