//! `meshd verify`: every digest of an account recomputed from what is stored (cluster §16).
//!
//! Of each container the head is read first, then the frames below it, in transactions of bounded length. Their payload
//! digests, tree digests, indices and octets are computed anew; at the end the apex must be the head's. A frame never
//! changes once it is written, except that its payload may go (redaction) or it may go with a prefix (the floor rises).
//! So whatever looks wrong is looked at once more from the present head, and only what is wrong then is reported.

use mesh_common::account::state::Head;
use mesh_common::account::{AccountId, AccountState, ContainerNumber, FrameRecord, Standing};
use mesh_common::address::AccountAddress;
use mesh_common::dare::DigestStack;
use mesh_common::dare::merkle::payload_digest;
use mesh_common::limits::{READ_TX_BYTES_MAX, READ_TX_FRAMES_MAX};
use serde::{Deserialize, Serialize};

use super::listing::Listing;
use crate::partition::reading::{self, ReadError};
use crate::partition::records;
use crate::partition::{RowError, shared::chain};
use crate::store::keys::{AccountKeys, LookupKind};
use crate::store::{KeyRange, Limit, Order, Read, Store, StoreError, Tx, TxOptions};

/// What was found of one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// Its address.
    pub address: String,
    /// Its containers.
    pub containers: u64,
    /// Frames whose digests were recomputed.
    pub frames: u64,
    /// Octets of payloads that were read.
    pub octets: u64,
    /// Everything that is wrong; empty for an account that is as it should be.
    pub problems: Vec<Problem>,
}

/// Something that is not as its digests, or other rows, say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The container, if it is about one.
    pub container: Option<String>,
    /// The frame, if it is about one.
    pub index: Option<u64>,
    /// A sentence.
    pub what: String,
}

/// What a pass is to look at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// Which accounts, and behind which.
    pub listing: Listing,
    /// One account in so many, by the digits of their ids; 0 and 1 mean all.
    pub one_in: u64,
}

/// One page of a pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifiedPage {
    /// What was found of the accounts that were looked at.
    pub accounts: Vec<Verified>,
    /// Accounts that are not of the sample.
    pub passed_by: u64,
    /// The last address that was looked at or passed by; none if there was none left.
    pub last: Option<String>,
}

/// Verifies the next `max` addresses of `scope`.
///
/// # Errors
/// The store gives no answer. What does not read is a problem of the account, not an error.
pub async fn verify_page<S: Store>(
    store: &S,
    scope: &Scope,
    max: usize,
) -> Result<VerifiedPage, StoreError> {
    let listed = match scope.listing.page(store, max).await {
        Ok(listed) => listed,
        Err(ReadError::Store(error)) => return Err(error),
        Err(ReadError::Row(error)) => return Ok(broken_directory(&error)),
    };
    let mut page = VerifiedPage {
        accounts: Vec::new(),
        passed_by: 0,
        last: listed
            .last()
            .map(|last| last.address.canonical().to_owned()),
    };
    for one in listed {
        if one.is_reserved || !is_sampled(one.account, scope.one_in) {
            page.passed_by += 1;
        } else {
            page.accounts
                .push(verify_account(store, &one.address).await?);
        }
    }
    Ok(page)
}

/// A directory that does not read ends the pass: nobody knows what comes behind it.
fn broken_directory(error: &RowError) -> VerifiedPage {
    let problem = Problem {
        container: None,
        index: None,
        what: format!("the directory does not read: {}", chain(error)),
    };
    let found = Verified {
        address: String::new(),
        containers: 0,
        frames: 0,
        octets: 0,
        problems: vec![problem],
    };
    VerifiedPage {
        accounts: vec![found],
        passed_by: 0,
        last: None,
    }
}

/// Whether `account` is one of the sample. Its first two octets are its partition, the rest is chance.
fn is_sampled(account: AccountId, one_in: u64) -> bool {
    let tail = account.octets().last_chunk().copied();
    let chance = tail.map_or(0, u64::from_be_bytes);
    chance.checked_rem(one_in).is_none_or(|rest| rest == 0)
}

/// Recomputes everything of the account at `address`.
///
/// # Errors
/// The store gives no answer.
pub async fn verify_account<S: Store>(
    store: &S,
    address: &AccountAddress,
) -> Result<Verified, StoreError> {
    let first = Pass::over(store, address).await?;
    if first.found.problems.is_empty() {
        return Ok(first.found);
    }
    // Something may have been redacted, purged or deleted while it was read.
    Ok(Pass::over(store, address).await?.found)
}

/// Recomputes everything of an account that the directory does not name yet.
///
/// # Errors
/// The store gives no answer, or the account does not read.
pub(super) async fn verify_state<S: Store>(
    store: &S,
    state: &AccountState,
) -> Result<Verified, StoreError> {
    let mut pass = Pass::new(store, &state.record.address);
    pass.state(state).await?;
    Ok(pass.found)
}

/// One look at one account.
struct Pass<'a, S> {
    store: &'a S,
    keys: AccountKeys,
    found: Verified,
}

impl<'a, S: Store> Pass<'a, S> {
    async fn over(store: &'a S, address: &AccountAddress) -> Result<Self, StoreError> {
        let tx = store.begin(TxOptions::default());
        let standing = reading::standing(&tx, address).await;
        drop(tx);
        let mut pass = Self::new(store, address);
        match standing {
            Ok(Standing::Account(state)) => pass.state(&state).await?,
            // Deleted meanwhile.
            Ok(Standing::Unknown | Standing::Reserved(_)) => {}
            Err(ReadError::Store(error)) => return Err(error),
            Err(ReadError::Row(error)) => pass.problem(None, None, chain(&error)),
        }
        Ok(pass)
    }

    fn new(store: &'a S, address: &AccountAddress) -> Self {
        Self {
            store,
            keys: AccountKeys::of(AccountId::from_octets(Default::default())),
            found: Verified {
                address: address.canonical().to_owned(),
                containers: 0,
                frames: 0,
                octets: 0,
                problems: Vec::new(),
            },
        }
    }

    async fn state(&mut self, state: &AccountState) -> Result<(), StoreError> {
        self.keys = AccountKeys::of(state.record.id);
        for head in state.heads.values() {
            self.container(head).await?;
        }
        let sum: u64 = state.heads.values().map(|head| head.live_octets).sum();
        if sum != state.tip.bytes_used {
            let said = state.tip.bytes_used;
            let what = format!("the tip counts {said} octets in use, its containers have {sum}");
            self.problem(None, None, what);
        }
        Ok(())
    }

    fn problem(&mut self, head: Option<&Head>, index: Option<u64>, what: String) {
        self.found.problems.push(Problem {
            container: head.map(|head| head.name.to_string()),
            index,
            what,
        });
    }

    async fn container(&mut self, head: &Head) -> Result<(), StoreError> {
        self.found.containers += 1;
        let mut walk = Walk::new(head);
        // A purged prefix leaves frame 0, which says what the container is.
        if head.floor_digests.is_some() {
            self.frames(head, 0..1, &mut walk.apart()).await?;
        }
        let complete = self.frames(head, walk.next..head.digests.count(), &mut walk);
        if !complete.await? {
            return Ok(());
        }
        if walk.digests.apex() != head.digests.apex() {
            let what = "the apex of its frames is not the one in its head".to_owned();
            self.problem(Some(head), None, what);
        }
        self.unique_ids(head).await
    }

    /// Looks at the frames of `range`; whether all of them were there and could be read.
    async fn frames(
        &mut self,
        head: &Head,
        range: std::ops::Range<u64>,
        walk: &mut Walk,
    ) -> Result<bool, StoreError> {
        let mut next = range.start;
        while next < range.end {
            let tx = self.store.begin(TxOptions::default());
            let wanted = reading::Run {
                container: head.number,
                first: next,
                end: range.end,
            };
            let frames = match reading::run_of_frames(&tx, &self.keys, &wanted).await {
                Ok(frames) => frames,
                Err(ReadError::Store(error)) => return Err(error),
                Err(ReadError::Row(error)) => {
                    self.problem(Some(head), Some(next), chain(&error));
                    return Ok(false);
                }
            };
            if frames.is_empty() {
                self.problem(Some(head), Some(next), "the frame is missing".to_owned());
                return Ok(false);
            }
            for frame in frames {
                if frame.index != next {
                    self.problem(Some(head), Some(next), "the frame is missing".to_owned());
                    return Ok(false);
                }
                self.found.frames += 1;
                self.found.octets += frame.payload.len() as u64;
                for what in walk.frame(&frame.record, &frame.payload) {
                    self.problem(Some(head), Some(next), what);
                }
                next += 1;
            }
        }
        Ok(true)
    }

    /// Every unique id the container is asked by must lead to a frame of that id.
    async fn unique_ids(&mut self, head: &Head) -> Result<(), StoreError> {
        let mut rest: Option<KeyRange> = Some(self.keys.lookups(LookupKind::UniqueId, head.number));
        while let Some(range) = rest {
            let tx = self.store.begin(TxOptions::default());
            let limit = Limit {
                rows: READ_TX_FRAMES_MAX,
                bytes: READ_TX_BYTES_MAX,
            };
            let page = tx
                .range(&range, limit, Order::Forward, Read::Snapshot)
                .await?;
            for row in &page.rows {
                match self.unique_id(&tx, head.number, &row.key, &row.value).await {
                    Ok(None) => {}
                    Ok(Some((index, what))) => self.problem(Some(head), Some(index), what),
                    Err(ReadError::Store(error)) => return Err(error),
                    Err(ReadError::Row(error)) => self.problem(Some(head), None, chain(&error)),
                }
            }
            rest = page.rest(&range, Order::Forward);
        }
        Ok(())
    }

    async fn unique_id<T: Tx>(
        &self,
        tx: &T,
        container: ContainerNumber,
        key: &[u8],
        value: &[u8],
    ) -> Result<Option<(u64, String)>, ReadError> {
        let row = records::unique(value)?;
        let frame = reading::frame_record(tx, &self.keys, container, row.last).await?;
        let Some(record) = frame else {
            let what = "an entry is said to be in this frame, which is missing";
            return Ok(Some((row.last, what.to_owned())));
        };
        let found = record
            .unique_id
            .map(|id| records::unique_key(&self.keys, container, &id));
        Ok((found.as_deref() != Some(key)).then(|| {
            let what = "an entry is said to be in this frame, which has another";
            (row.last, what.to_owned())
        }))
    }
}

/// The digests as they follow from the frames so far.
struct Walk {
    digests: DigestStack,
    next: u64,
}

impl Walk {
    /// From the first frame that is kept behind a purged prefix, or from frame 0.
    fn new(head: &Head) -> Self {
        match &head.floor_digests {
            Some(digests) => Self {
                digests: digests.clone(),
                next: head.floor,
            },
            None => Self {
                digests: DigestStack::new(),
                next: 0,
            },
        }
    }

    /// For frame 0 alone.
    fn apart(&self) -> Self {
        Self {
            digests: DigestStack::new(),
            next: 0,
        }
    }

    /// What is wrong with the next frame.
    fn frame(&mut self, record: &FrameRecord, payload: &[u8]) -> Vec<String> {
        let mut wrong = Vec::new();
        if record.redacted {
            if !payload.is_empty() {
                wrong.push("its payload was elided, and is there".to_owned());
            }
        } else {
            if payload_digest(payload) != record.payload_digest {
                wrong.push("its payload has another digest than it says".to_owned());
            }
            if payload.len() as u64 != record.payload_octets {
                wrong.push("its payload has another length than it says".to_owned());
            }
        }
        if self.digests.append(&record.payload_digest) != record.tree_digest {
            wrong.push("its tree digest belongs to another history".to_owned());
        }
        wrong
    }
}
