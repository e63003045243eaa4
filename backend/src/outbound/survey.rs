//! How a node of a cluster learns how much waits: other nodes queue too, and messages leave from others.
//! It looks through the whole queue every now and then, shard by shard, and at once where a bound is met
//! ([`super::depths`] says what is counted). The same look counts what is charged to whom, by which limits that
//! nodes share are kept ([`crate::escrow`]); so each shard is read at one moment, lest an item be missed that
//! moves from what is not read to what is.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use mesh_common::delivery::{Class, ShardId};
use mesh_common::limits::{
    ESCROW_COUNTED_LEAVING_MAX, OUTBOUND_POLL_INTERVAL, OUTBOUND_ROUND_INTERVAL, OUTBOUND_SHARDS,
};

use super::depths::Survey;
use super::load::{Found, found};
use crate::escrow::{Charges, Escrow, Wants, charge};
use crate::handle::Inner;
use crate::partition::shared::{Shared, chain};
use crate::store::{Limit, Order, Read, Store, StoreError, Tx, TxOptions, keys};

/// Rows of one page.
const PAGE_ROWS: usize = 256;
/// Time between two shards with anything in them.
const PACE: Duration = Duration::from_millis(20);
/// Times that a shard is read which is too long for one transaction.
const TRIES_MAX: usize = 3;

/// Counts what waits and gives back what is not needed, again and again, until the back-end is gone.
pub(crate) async fn run<S: Store>(home: Weak<Inner<S>>) {
    let mut since_look = OUTBOUND_ROUND_INTERVAL;
    loop {
        let Some(shared) = shared_of(&home) else {
            return;
        };
        let is_hurried = wait(&shared).await;
        since_look += OUTBOUND_POLL_INTERVAL;
        if let Some(escrow) = &shared.escrow
            && let Err(error) = escrow.give_back(&shared).await
        {
            tracing::warn!(cause = chain(&error), "grants cannot be given back");
        }
        if is_hurried || since_look >= OUTBOUND_ROUND_INTERVAL {
            since_look = Duration::ZERO;
            if let Err(error) = look_through(&shared, is_hurried).await {
                tracing::warn!(cause = chain(&error), "the queue cannot be counted");
            }
        }
        drop(shared);
        // However full it is: nobody counts all the time.
        if is_hurried {
            tokio::time::sleep(OUTBOUND_POLL_INTERVAL).await;
        }
    }
}

fn shared_of<S: Store>(home: &Weak<Inner<S>>) -> Option<Arc<Shared<S>>> {
    let inner = home.upgrade().filter(|inner| !inner.is_stopping())?;
    Some(Arc::clone(&inner.shared))
}

/// Waits until it is time; whether since a bound is met.
async fn wait<S: Store>(shared: &Shared<S>) -> bool {
    tokio::select! {
        () = shared.depths.full() => true,
        () = tokio::time::sleep(OUTBOUND_POLL_INTERVAL) => false,
    }
}

/// Gives back what this node was granted of the limits that nodes share, and spends no more: its holder is closed, and
/// one look finds what is still charged to it. A queue that is long is left to the next look of others, and so is
/// whatever fails.
pub(crate) async fn give_everything_back<S: Store>(shared: &Shared<S>) {
    let Some(escrow) = &shared.escrow else {
        return;
    };
    let items = [Class::Interactive, Class::Bulk].map(|class| shared.depths.of_class(class).items);
    let is_short = items.iter().sum::<u64>() <= ESCROW_COUNTED_LEAVING_MAX;
    let giving = async {
        if escrow.close_own(shared).await? && is_short {
            look_through(shared, true).await?;
        }
        Ok::<(), StoreError>(())
    };
    if let Err(error) = giving.await {
        tracing::warn!(cause = chain(&error), "grants are left for others to count");
    }
}

/// Counts what waits, once, and has what was granted to nodes that are gone follow it.
///
/// # Errors
/// The store cannot be read: what was counted before stands.
pub(crate) async fn look_through<S: Store>(
    shared: &Shared<S>,
    is_hurried: bool,
) -> Result<(), StoreError> {
    let (escrow, membership) = (shared.escrow.as_ref(), shared.membership.as_ref());
    let closed = match escrow.zip(membership) {
        Some((escrow, membership)) => {
            let alive = membership.alive();
            escrow.close_the_silent(shared, &alive).await?
        }
        None => BTreeSet::new(),
    };
    let (mut survey, mut charges) = (shared.depths.begin_survey(), Charges::new());
    let stamp = escrow.map(Escrow::begin_count);
    let tenants = shared.config.policy.domains_served.len();
    for shard in (0..OUTBOUND_SHARDS).map(ShardId) {
        let counted = count(shared, shard, tenants).await?;
        let is_empty = counted.charges.is_empty();
        survey.absorb(counted.survey);
        for (holder, wants) in counted.charges {
            let charged: &mut Wants = charges.entry(holder).or_default();
            for (scope, count) in wants {
                *charged.entry(scope).or_default() += count;
            }
        }
        if !is_empty && !is_hurried {
            tokio::time::sleep(PACE).await;
        }
    }
    shared.depths.end_survey(survey);
    if let Some((escrow, stamp)) = escrow.zip(stamp) {
        escrow.end_count(stamp, &charges);
        escrow.follow(shared, &closed, &charges).await?;
    }
    Ok(())
}

/// What was counted of one shard.
#[derive(Default)]
struct Counted {
    survey: Survey,
    charges: Charges,
}

/// Counts the items of a shard at one moment.
async fn count<S: Store>(
    shared: &Shared<S>,
    shard: ShardId,
    tenants: usize,
) -> Result<Counted, StoreError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match read(shared, shard, tenants).await {
            Err(StoreError::TooOld) if tries < TRIES_MAX => {}
            result => return result,
        }
    }
}

async fn read<S: Store>(
    shared: &Shared<S>,
    shard: ShardId,
    tenants: usize,
) -> Result<Counted, StoreError> {
    let tx = shared.store.begin(TxOptions::default());
    let (mut counted, mut rest) = (Counted::default(), Some(keys::queues(shard)));
    while let Some(range) = rest {
        let limit = Limit::rows(PAGE_ROWS);
        let page = tx
            .range(&range, limit, Order::Forward, Read::Snapshot)
            .await?;
        rest = page.rest(&range, Order::Forward);
        for row in page.rows {
            if let Found::Item(item) = found(row) {
                counted.survey.count(&item);
                charge(&mut counted.charges, &item, tenants);
            }
        }
    }
    Ok(counted)
}
