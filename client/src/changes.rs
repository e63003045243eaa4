//! Changes to a catalog before they have a place in it, and how they get one: behind whatever the
//! catalog holds by then. A change that met another device's frames is arranged again, without
//! being encrypted or signed again: neither covers its place (containers §3.3, §5.5, §6.3).

use std::collections::{BTreeMap, BTreeSet};

use mesh_common::catalog::{CatalogIndex, Effect};
use mesh_common::dare::{ContentMeta, Envelope};
use serde::Serialize;

/// One change of one object.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The object's UniqueID.
    pub unique_id: String,
    /// Its new content, sealed; none if it is deleted.
    pub content: Option<Envelope>,
}

/// Whose change counts where an object was changed on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The one made here.
    Mine,
    /// The one that is at the service.
    Theirs,
}

/// Whose change counts, for all objects or for each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decisions {
    all: Option<Keep>,
    /// By container and UniqueID.
    each: BTreeMap<(String, String), Keep>,
}

impl From<Option<Keep>> for Decisions {
    fn from(all: Option<Keep>) -> Self {
        Self {
            all,
            each: BTreeMap::new(),
        }
    }
}

impl Decisions {
    /// Says whose change of the object in `collision` counts.
    pub fn decide(&mut self, collision: &Collision, keep: Keep) {
        let object = (collision.container.clone(), collision.id.clone());
        self.each.insert(object, keep);
    }

    /// Whose change of the object `id` counts, if anybody said so.
    #[must_use]
    pub fn about(&self, container: &str, id: &str) -> Option<Keep> {
        let object = (container.to_owned(), id.to_owned());
        self.each.get(&object).copied().or(self.all)
    }
}

/// What one side did to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// It has new content.
    Changed,
    /// It is deleted.
    Deleted,
}

/// An object that was changed on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Collision {
    /// The canonical name of the catalog.
    pub container: String,
    /// The object's UniqueID.
    pub id: String,
    /// What was done here.
    pub mine: Side,
    /// What another device did.
    pub theirs: Side,
}

/// Gives changes their events behind frame `next - 1` of a catalog whose objects are `index`. A
/// deletion of what is not there is left out.
#[must_use]
pub fn arrange(mut index: CatalogIndex, next: u64, changes: Vec<Change>) -> Vec<Envelope> {
    let mut place = next;
    let mut arranged = Vec::with_capacity(changes.len());
    for change in changes {
        let live = index.live(&change.unique_id);
        let (event, effect) = match (&change.content, live) {
            (Some(_), None) => ("New", Effect::Create),
            (Some(_), Some(_)) => ("Update", Effect::Replace),
            (None, Some(_)) => ("Delete", Effect::Remove),
            (None, None) => continue,
        };
        let mut envelope = change.content.unwrap_or_default();
        let meta = ContentMeta {
            unique_id: Some(change.unique_id.clone()),
            event: Some(event.to_owned()),
            first: live.map(|frames| frames.first),
            previous: live.map(|frames| frames.last),
            ..envelope.header.content_meta().unwrap_or_default()
        };
        envelope.header = envelope.header.with_content_meta(&meta);
        index.apply(place, &change.unique_id, effect);
        place += 1;
        arranged.push(envelope);
    }
    arranged
}

/// The changes that frames made, without their place.
#[must_use]
pub fn changes_of(frames: &[Envelope]) -> Vec<Change> {
    frames
        .iter()
        .filter_map(|frame| {
            let meta = frame.header.content_meta().ok()?;
            let unique_id = meta.unique_id?;
            let content = (meta.event.as_deref() != Some("Delete")).then(|| unplaced(frame));
            Some(Change { unique_id, content })
        })
        .collect()
}

/// What is left of the changes `mine` behind the frames `theirs`. `alike` tells whether two contents
/// say the same to who can open them: what both sides did alike is no collision.
///
/// # Errors
/// The objects both sides changed, if nobody says whose change counts.
pub fn rebase(
    container: &str,
    mine: &[Envelope],
    theirs: &[Envelope],
    decisions: &Decisions,
    alike: &dyn Fn(&Envelope, &Envelope) -> bool,
) -> Result<Vec<Change>, Vec<Collision>> {
    let known = theirs
        .iter()
        .zip(mine)
        .take_while(|(theirs, mine)| is_same(theirs, mine))
        .count();
    let (mine, theirs) = (changes_of(&mine[known..]), changes_of(&theirs[known..]));
    let (last_mine, last_theirs) = (last_of(&mine), last_of(&theirs));
    let mut collisions = Vec::new();
    let mut dropped = BTreeSet::new();
    for (id, own) in &last_mine {
        let Some(other) = last_theirs.get(id) else {
            continue;
        };
        let is_alike = match (own, other) {
            (None, None) => true,
            (Some(own), Some(other)) => own.payload == other.payload || alike(own, other),
            _ => false,
        };
        match decisions.about(container, id) {
            _ if is_alike => drop(dropped.insert((*id).to_owned())),
            Some(Keep::Theirs) => drop(dropped.insert((*id).to_owned())),
            Some(Keep::Mine) => {}
            None => collisions.push(Collision {
                container: container.to_owned(),
                id: (*id).to_owned(),
                mine: side(*own),
                theirs: side(*other),
            }),
        }
    }
    if !collisions.is_empty() {
        return Err(collisions);
    }
    Ok(mine
        .into_iter()
        .filter(|change| !dropped.contains(&change.unique_id))
        .collect())
}

/// What is left of the messages `mine` behind the frames `theirs` of a spool. Messages never
/// collide: each stands for itself, and the last word about a state wins (containers §7.3).
#[must_use]
pub fn behind(mine: &[Envelope], theirs: &[Envelope]) -> Vec<Envelope> {
    mine.iter()
        .filter(|own| !theirs.iter().any(|other| is_same(own, other)))
        .map(unplaced)
        .collect()
}

/// Whether two frames say the same: payload and content metadata (containers §8.4 step 5).
#[must_use]
pub fn is_same(one: &Envelope, other: &Envelope) -> bool {
    one.payload == other.payload
        && one.payload_digest() == other.payload_digest()
        && one.header.content_meta().ok() == other.header.content_meta().ok()
}

/// For each object the content it has after all of `changes`; none if it is deleted.
fn last_of(changes: &[Change]) -> BTreeMap<&str, Option<&Envelope>> {
    changes
        .iter()
        .map(|change| (change.unique_id.as_str(), change.content.as_ref()))
        .collect()
}

const fn side(content: Option<&Envelope>) -> Side {
    match content {
        Some(_) => Side::Changed,
        None => Side::Deleted,
    }
}

/// A frame without index and without what depends on the frames before it.
fn unplaced(frame: &Envelope) -> Envelope {
    let mut envelope = frame.clone();
    envelope.header.container_info = None;
    if let Some(trailer) = &mut envelope.trailer {
        trailer.tree_digest = None;
        trailer.chain_digest = None;
    }
    envelope
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(id: &str, content: &str) -> Change {
        Change {
            unique_id: id.into(),
            content: Some(Envelope::plain(content)),
        }
    }

    fn delete(id: &str) -> Change {
        Change {
            unique_id: id.into(),
            content: None,
        }
    }

    fn left_of(
        mine: &[Envelope],
        theirs: &[Envelope],
        keep: Option<Keep>,
    ) -> Result<Vec<Change>, Vec<Collision>> {
        rebase("mmm_Contact", mine, theirs, &keep.into(), &|_, _| false)
    }

    /// Frames behind a catalog of frame 0, `a` in frame 1 and `b` in frame 2.
    fn behind_base(changes: Vec<Change>) -> Vec<Envelope> {
        arrange(base(), 3, changes)
    }

    fn base() -> CatalogIndex {
        let mut index = CatalogIndex::new();
        index.apply(1, "a", Effect::Create);
        index.apply(2, "b", Effect::Create);
        index
    }

    fn told(frame: &Envelope) -> (String, Option<u64>, Option<u64>) {
        let meta = frame.header.content_meta().unwrap();
        (meta.event.unwrap(), meta.first, meta.previous)
    }

    #[test]
    fn events_follow_the_life_of_each_object() {
        let frames = behind_base(vec![
            put("c", "1"),
            put("c", "2"),
            put("a", "3"),
            delete("a"),
            delete("gone"),
            put("a", "4"),
        ]);
        let told: Vec<_> = frames.iter().map(told).collect();
        assert_eq!(
            told,
            [
                ("New".into(), None, None),
                ("Update".into(), Some(3), Some(3)),
                ("Update".into(), Some(1), Some(1)),
                ("Delete".into(), Some(1), Some(5)),
                ("New".into(), None, None),
            ]
        );
    }

    #[test]
    fn changes_of_different_objects_are_put_behind_each_other() {
        let mine = behind_base(vec![put("a", "mine"), put("c", "new")]);
        let theirs = behind_base(vec![put("b", "theirs"), put("d", "new")]);
        let left = left_of(&mine, &theirs, None).unwrap();
        let mut index = base();
        index.apply(3, "b", Effect::Replace);
        index.apply(4, "d", Effect::Create);
        let again = arrange(index, 5, left);
        assert_eq!(told(&again[0]), ("Update".into(), Some(1), Some(1)));
        assert_eq!(again[0].payload.as_slice(), b"mine");
        assert_eq!(told(&again[1]), ("New".into(), None, None));
    }

    #[test]
    fn a_change_on_both_sides_is_told_and_settled_by_who_is_asked() {
        let mine = behind_base(vec![put("a", "mine"), put("c", "new")]);
        let theirs = behind_base(vec![delete("a")]);
        let collisions = left_of(&mine, &theirs, None).unwrap_err();
        assert_eq!(
            collisions,
            [Collision {
                container: "mmm_Contact".into(),
                id: "a".into(),
                mine: Side::Changed,
                theirs: Side::Deleted,
            }]
        );
        let left = left_of(&mine, &theirs, Some(Keep::Theirs)).unwrap();
        assert_eq!(left.len(), 1);
        let left = left_of(&mine, &theirs, Some(Keep::Mine)).unwrap();
        let mut index = base();
        index.apply(3, "a", Effect::Remove);
        let again = arrange(index, 4, left);
        assert_eq!(told(&again[0]), ("New".into(), None, None));
    }

    #[test]
    fn what_both_sides_did_alike_is_no_collision() {
        let mine = behind_base(vec![delete("a"), put("c", "mine")]);
        let theirs = behind_base(vec![put("b", "x"), delete("a")]);
        let left = left_of(&mine, &theirs, None).unwrap();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].unique_id, "c");
    }

    #[test]
    fn frames_the_service_has_already_are_not_sent_again() {
        // The upload arrived, its answer did not.
        let mine = behind_base(vec![put("a", "1"), put("c", "2")]);
        let theirs = mine[..1].to_vec();
        let left = left_of(&mine, &theirs, None).unwrap();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].unique_id, "c");
    }

    #[test]
    fn contents_that_say_the_same_do_not_collide_however_they_were_encrypted() {
        let mine = behind_base(vec![put("a", "sealed once"), put("c", "mine")]);
        let theirs = behind_base(vec![put("a", "sealed twice")]);
        let says_the_same = |_: &Envelope, _: &Envelope| true;
        let left = rebase(
            "mmm_Contact",
            &mine,
            &theirs,
            &Decisions::default(),
            &says_the_same,
        );
        let left = left.unwrap();
        assert_eq!((left.len(), left[0].unique_id.as_str()), (1, "c"));
    }

    #[test]
    fn each_collision_is_decided_by_itself() {
        let mine = behind_base(vec![put("a", "mine"), put("b", "mine")]);
        let theirs = behind_base(vec![put("a", "theirs"), delete("b")]);
        let collisions = left_of(&mine, &theirs, None).unwrap_err();
        assert_eq!(collisions.len(), 2);
        let mut decisions = Decisions::default();
        decisions.decide(&collisions[0], Keep::Theirs);
        let undecided = rebase("mmm_Contact", &mine, &theirs, &decisions, &|_, _| false);
        assert_eq!(undecided.unwrap_err(), [collisions[1].clone()]);
        decisions.decide(&collisions[1], Keep::Mine);
        let left = rebase("mmm_Contact", &mine, &theirs, &decisions, &|_, _| false).unwrap();
        assert_eq!((left.len(), left[0].unique_id.as_str()), (1, "b"));
    }

    #[test]
    fn messages_are_put_behind_each_other_and_never_twice() {
        let said = |text: &str| Envelope::plain(text);
        let (mine, theirs) = (vec![said("a"), said("b")], vec![said("x"), said("a")]);
        let left = behind(&mine, &theirs);
        assert_eq!(left, [said("b")]);
    }
}
