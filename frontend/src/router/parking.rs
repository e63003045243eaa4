//! Where writes wait whose partition has no owner that answers (cluster §4.6): how many may, how long,
//! and in which order they go on.
//!
//! Reads and the messages of other services never wait here: they do not need the owner.
//!
//! After a crash everything that waited becomes possible in the same moment, for hundreds of
//! partitions of one node. So those who waited go on in turn, [`UNPARKED_AT_ONCE_MAX`] at once for each
//! node, each giving its turn to the next when it has its answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mesh_common::cluster::PartitionId;
use mesh_common::limits::{PARKED_MAX, PARKED_PER_PARTITION_MAX, UNPARKED_AT_ONCE_MAX};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::measures::Measures;

/// The places of one front-end.
#[derive(Debug)]
pub(crate) struct Parking {
    places: Mutex<Places>,
    measures: Measures,
}

#[derive(Debug, Default)]
struct Places {
    taken: usize,
    by_partition: HashMap<PartitionId, usize>,
}

/// A place; leaving it is dropping it.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    parking: &'a Parking,
    partition: PartitionId,
    /// Measures how long it was taken.
    _timer: prometheus::HistogramTimer,
}

/// The turns of those who waited, at one node.
#[derive(Debug)]
pub(crate) struct Turns(Arc<Semaphore>);

/// The turn of one that waited; given on by dropping it.
pub(crate) type UnparkTurn = OwnedSemaphorePermit;

impl Default for Turns {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(UNPARKED_AT_ONCE_MAX)))
    }
}

impl Turns {
    /// A turn, if nobody has to wait for one.
    pub(crate) fn at_once(&self) -> Option<UnparkTurn> {
        Arc::clone(&self.0).try_acquire_owned().ok()
    }

    /// Waits for a turn.
    pub(crate) async fn wait(&self) -> Option<UnparkTurn> {
        // An error would say that the semaphore was closed, which nobody does.
        Arc::clone(&self.0).acquire_owned().await.ok()
    }
}

impl Parking {
    pub(crate) fn new(measures: Measures) -> Self {
        Self {
            places: Mutex::default(),
            measures,
        }
    }

    /// A place for a write of `partition`; `None` if all are taken that it may have.
    pub(crate) fn place(&self, partition: PartitionId) -> Option<Place<'_>> {
        let mut places = self.places();
        if places.taken >= PARKED_MAX {
            return None;
        }
        let of_partition = places.by_partition.entry(partition).or_default();
        if *of_partition >= PARKED_PER_PARTITION_MAX {
            return None;
        }
        *of_partition += 1;
        places.taken += 1;
        self.measures.parked.inc();
        Some(Place {
            parking: self,
            partition,
            _timer: self.measures.park_seconds.start_timer(),
        })
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        // Whoever panicked while holding it left whole numbers.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut places = self.parking.places();
        places.taken -= 1;
        if let Some(count) = places.by_partition.get_mut(&self.partition) {
            *count -= 1;
            if *count == 0 {
                places.by_partition.remove(&self.partition);
            }
        }
        self.parking.measures.parked.dec();
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;

    fn parking() -> Parking {
        Parking::new(Measures::register(&Registry::new()).unwrap())
    }

    #[test]
    fn a_partition_has_so_many_places_and_gets_them_back() {
        let parking = parking();
        let place = || parking.place(PartitionId(1));
        let mut taken: Vec<_> = (1..PARKED_PER_PARTITION_MAX)
            .filter_map(|_| place())
            .collect();
        assert_eq!(taken.len(), PARKED_PER_PARTITION_MAX - 1);
        taken.extend(place());
        assert_eq!(taken.len(), PARKED_PER_PARTITION_MAX);
        assert!(place().is_none(), "one more");
        assert!(
            parking.place(PartitionId(2)).is_some(),
            "its neighbour has its own"
        );
        taken.pop();
        assert!(place().is_some());
        drop(taken);
        assert_eq!(parking.measures.parked.get(), 0);
        assert!(parking.places().by_partition.is_empty());
    }

    #[test]
    fn a_front_end_has_so_many_places() {
        let parking = parking();
        let mut taken = Vec::new();
        for place in 0..PARKED_MAX {
            let partition = PartitionId((place % 1_024) as u16);
            taken.extend(parking.place(partition));
        }
        assert_eq!(taken.len(), PARKED_MAX);
        assert_eq!(parking.measures.parked.get(), PARKED_MAX as i64);
        assert!(parking.place(PartitionId(0)).is_none(), "one more");
        taken.pop();
        assert!(parking.place(PartitionId(0)).is_some());
    }

    #[tokio::test]
    async fn so_many_go_on_at_once() {
        let turns = Turns::default();
        let mut taken: Vec<_> = (0..UNPARKED_AT_ONCE_MAX).map(|_| turns.at_once()).collect();
        assert!(taken.iter().all(Option::is_some));
        assert!(turns.at_once().is_none());
        let mut next = std::pin::pin!(turns.wait());
        assert!(futures_util::poll!(&mut next).is_pending());
        taken.pop();
        assert!(next.await.is_some());
    }
}
