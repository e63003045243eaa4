//! The heads of an account's containers, in the order of a Status, with the rows that a Status tells
//! of them (containers §8.2 and §12.2).

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use super::state::Head;
use crate::dare::ContainerName;
use crate::dare::container_name::NameStyle;
use crate::protocol::{ContainerStatus, StatusRows};

/// Heads by the names of their containers: Inbound, Outbound, Local, Archive, catalogs.
///
/// What is told of all of them stands beside them until one changes: a copy of the account shares it,
/// and no head changes but by [`insert`](Self::insert).
#[derive(Debug, Clone, Default)]
pub struct Heads {
    by_name: BTreeMap<ContainerName, Arc<Head>>,
    told: OnceLock<(NameStyle, StatusRows)>,
}

impl Heads {
    /// Takes over a head that is new, or as it stands now.
    pub fn insert(&mut self, head: Arc<Head>) {
        self.told = OnceLock::new();
        self.by_name.insert(head.name.clone(), head);
    }

    /// One row for each container, with its name in the style of the account's domain.
    pub(super) fn rows(&self, style: NameStyle) -> StatusRows {
        let (told_in, rows) = self.told.get_or_init(|| (style, self.rows_now(style)));
        if *told_in == style {
            rows.clone()
        } else {
            self.rows_now(style)
        }
    }

    fn rows_now(&self, style: NameStyle) -> StatusRows {
        let heads = self.by_name.values();
        heads
            .map(|head| head.row(head.name.spelled(style)))
            .collect()
    }
}

impl Deref for Heads {
    type Target = BTreeMap<ContainerName, Arc<Head>>;

    fn deref(&self) -> &Self::Target {
        &self.by_name
    }
}

/// The same heads; what was told of them follows from them.
impl PartialEq for Heads {
    fn eq(&self, other: &Self) -> bool {
        self.by_name == other.by_name
    }
}

impl Head {
    /// Where the container stands, under the name it is asked for by.
    pub(super) fn row(&self, name: String) -> ContainerStatus {
        ContainerStatus {
            container: Some(name),
            index: Some(self.count()),
            digest: self.apex().map(Into::into),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::state::Import;

    fn head(name: &str, frames: u8) -> Arc<Head> {
        let name = ContainerName::parse(name).unwrap();
        let mut head = Head::new(0, &name, Import::Closed);
        for frame in 0..frames {
            head.digests.append(&[frame; 64]);
        }
        Arc::new(head)
    }

    fn counts(rows: &StatusRows) -> Vec<(&str, u64)> {
        let row = |row| match row {
            &ContainerStatus {
                container: Some(ref name),
                index: Some(index),
                ..
            } => (name.as_str(), index),
            other => panic!("{other:?}"),
        };
        rows.iter().map(row).collect()
    }

    #[test]
    fn what_is_told_follows_every_change() {
        let mut heads = Heads::default();
        assert!(heads.rows(NameStyle::Underscore).is_empty());
        heads.insert(head("mmm_Task", 1));
        let before = heads.clone();
        for frames in 2..5 {
            heads.insert(head("mmm_Task", frames));
            let rows = heads.rows(NameStyle::Underscore);
            assert_eq!(counts(&rows), [("mmm_Task", u64::from(frames))]);
            assert_eq!(rows, heads.rows(NameStyle::Underscore), "once more");
        }
        heads.insert(head("mmm_Contact", 1));
        let rows = heads.rows(NameStyle::Underscore);
        assert_eq!(counts(&rows), [("mmm_Contact", 1), ("mmm_Task", 4)]);
        let rows = before.rows(NameStyle::Underscore);
        assert_eq!(counts(&rows), [("mmm_Task", 1)], "a copy made before");
    }

    #[test]
    fn names_are_spelled_as_they_are_asked_for_each_time() {
        let mut heads = Heads::default();
        heads.insert(head("mmm_Task", 1));
        for (style, name) in [
            (NameStyle::Underscore, "mmm_Task"),
            (NameStyle::Upper, "MMM_Task"),
            (NameStyle::Underscore, "mmm_Task"),
        ] {
            assert_eq!(counts(&heads.rows(style)), [(name, 1)]);
        }
    }
}
