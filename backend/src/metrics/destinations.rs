//! Which destinations have a label of their own in measures: the busiest [`DESTINATIONS_LABELLED_MAX`];
//! all others share one (cluster §17). Whoever sends to ten thousand domains has no more labels than that.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mesh_common::limits::{DESTINATIONS_COUNTED_MAX, DESTINATIONS_LABELLED_MAX};

/// The label of all destinations that have none of their own.
pub(crate) const OTHER: &str = "other";

/// What was sent to one destination since somebody looked.
#[derive(Debug, Default, Clone, Copy)]
struct Traffic {
    /// Transfers; halved with each look, so that it is what was sent lately that counts.
    weight: u64,
    /// Transfers since the last look, and those of them that were slow.
    transfers: u64,
    slow: u64,
}

#[derive(Debug, Default)]
struct Book {
    traffic: HashMap<Box<str>, Traffic>,
    labelled: BTreeSet<Box<str>>,
    other: Traffic,
}

/// The destinations that measures tell apart.
#[derive(Debug, Default)]
pub(crate) struct Destinations(Mutex<Book>);

/// What a look found.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Look {
    /// Destinations that have lost their label.
    pub(crate) unlabelled: Vec<Box<str>>,
    /// Labels, with the share of slow transfers since the last look.
    pub(crate) slow_ratios: Vec<(Box<str>, f64)>,
}

impl Traffic {
    fn add(&mut self, is_slow: bool) {
        self.weight += 1;
        self.transfers += 1;
        self.slow += u64::from(is_slow);
    }

    #[allow(
        clippy::cast_precision_loss,
        reason = "transfers between two looks are far below 2^52"
    )]
    fn slow_ratio(self) -> f64 {
        if self.transfers == 0 {
            0.0
        } else {
            self.slow as f64 / self.transfers as f64
        }
    }
}

impl Destinations {
    /// Counts a transfer, and names the label it is measured under.
    pub(crate) fn count(&self, domain: &str, is_slow: bool) -> Box<str> {
        let mut book = self.lock();
        let book = &mut *book;
        if let Some(traffic) = book.traffic.get_mut(domain) {
            traffic.add(is_slow);
        } else if book.traffic.len() < DESTINATIONS_COUNTED_MAX {
            book.traffic.entry(domain.into()).or_default().add(is_slow);
        }
        if book.labelled.len() < DESTINATIONS_LABELLED_MAX && book.traffic.contains_key(domain) {
            book.labelled.insert(domain.into());
        }
        if book.labelled.contains(domain) {
            return domain.into();
        }
        book.other.add(is_slow);
        OTHER.into()
    }

    /// Whether `domain` has a label of its own.
    pub(crate) fn is_labelled(&self, domain: &str) -> bool {
        self.lock().labelled.contains(domain)
    }

    /// Chooses the busiest anew, and says what has changed since the last time.
    pub(crate) fn look(&self) -> Look {
        let mut book = self.lock();
        let book = &mut *book;
        // Of equals, whoever has a label keeps it.
        let rank = |(domain, traffic): (_, &Traffic)| {
            (traffic.weight, book.labelled.contains(domain), domain)
        };
        let mut busiest: Vec<(u64, bool, &Box<str>)> = book.traffic.iter().map(rank).collect();
        busiest.sort_unstable_by(|one, other| other.cmp(one));
        let labelled: BTreeSet<Box<str>> = busiest
            .into_iter()
            .take(DESTINATIONS_LABELLED_MAX)
            .map(|(_, _, domain)| domain.clone())
            .collect();
        let unlabelled = book.labelled.difference(&labelled).cloned().collect();
        book.labelled = labelled;
        let of = |domain: &str| {
            let traffic = book.traffic.get(domain).copied().unwrap_or_default();
            (domain.into(), traffic.slow_ratio())
        };
        let mut slow_ratios: Vec<_> = book.labelled.iter().map(|domain| of(domain)).collect();
        slow_ratios.push((OTHER.into(), book.other.slow_ratio()));
        book.other = Traffic::default();
        book.traffic.retain(|_, traffic| {
            *traffic = Traffic {
                weight: traffic.weight / 2,
                ..Traffic::default()
            };
            traffic.weight > 0
        });
        Look {
            unlabelled,
            slow_ratios,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_have_labels_and_all_others_share_one() {
        let destinations = Destinations::default();
        for number in 0..DESTINATIONS_LABELLED_MAX {
            let domain = format!("early{number}.example");
            assert_eq!(&*destinations.count(&domain, false), domain);
        }
        assert_eq!(&*destinations.count("late.example", true), OTHER);
        for _ in 0..9 {
            destinations.count("late.example", true);
        }
        let look = destinations.look();
        assert_eq!(look.unlabelled.len(), 1);
        assert!(destinations.is_labelled("late.example"));
        assert!(!destinations.is_labelled(&look.unlabelled[0]));
        assert_eq!(look.slow_ratios.len(), DESTINATIONS_LABELLED_MAX + 1);
        let other = look.slow_ratios.last().unwrap();
        assert_eq!(*other, (OTHER.into(), 1.0));
        assert_eq!(&*destinations.count("late.example", false), "late.example");
    }

    #[test]
    fn what_is_not_sent_to_any_more_is_forgotten() {
        let destinations = Destinations::default();
        destinations.count("a.example", true);
        destinations.look();
        let look = destinations.look();
        assert_eq!(look.unlabelled, ["a.example".into()]);
        assert!(!destinations.is_labelled("a.example"));
    }

    #[test]
    fn what_is_counted_is_bounded() {
        let destinations = Destinations::default();
        for number in 0..2 * DESTINATIONS_COUNTED_MAX {
            destinations.count(&format!("d{number}.example"), false);
        }
        assert_eq!(destinations.lock().traffic.len(), DESTINATIONS_COUNTED_MAX);
        assert_eq!(
            destinations.lock().labelled.len(),
            DESTINATIONS_LABELLED_MAX
        );
    }
}
