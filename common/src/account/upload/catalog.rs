//! What a catalog's event may do (containers §6.3 and §8.4 step 6): New, Update and Delete follow
//! the life of their entry. The rule is the one by which devices replay their replicas.

use super::Upload;
use super::ledger::Ledger;
use super::place::Course;
use super::prepare::Prepared;
use super::verdict::Verdict;
use crate::account::change::UniqueRow;
use crate::catalog::replay::{Effect, EntryFrames, EventError, check_event, unique_id_of};
use crate::dare::ContainerKind;
use crate::protocol::Code;

impl Upload<'_> {
    /// Checks an event and notes what it does to its entry.
    ///
    /// # Errors
    /// The Conflict or Reject.
    pub(super) fn check_entry(
        &self,
        ledger: &mut Ledger,
        course: &Course<'_>,
        one: &Prepared<'_>,
        position: usize,
    ) -> Result<(), Verdict> {
        let unique_id = unique_id_of(&one.meta).map_err(|error| refused(course, &error))?;
        let draft = ledger.draft_mut(course.name);
        let index = draft.head.count();
        let number = draft.head.number;
        let row = draft.unique_ids.get(unique_id).copied().or_else(|| {
            let key = (number, unique_id.to_owned());
            self.scene.lookups.unique_ids.get(&key).copied()
        });
        let live = row.filter(|row| row.live).map(|row| EntryFrames {
            first: row.first,
            last: row.last,
        });
        let effect = check_event(&one.meta, live).map_err(|error| refused(course, &error))?;
        if course.kind == ContainerKind::Device {
            self.check_device(ledger, course, unique_id, effect, position)?;
        }
        let draft = ledger.draft_mut(course.name);
        if let Some(row) = row {
            draft.superseded.insert(row.last, index);
        }
        let first = match (effect, live) {
            (Effect::Replace | Effect::Remove, Some(live)) => live.first,
            _ => index,
        };
        let row = UniqueRow {
            first,
            last: index,
            live: effect != Effect::Remove,
        };
        draft.unique_ids.insert(unique_id.to_owned(), row);
        Ok(())
    }
}

fn refused(course: &Course<'_>, error: &EventError) -> Verdict {
    let reason = format!("container {}: {error}", course.name);
    if error.is_conflict() {
        Verdict::conflict(reason)
    } else {
        Verdict::reject(Code::Malformed, reason)
    }
}
