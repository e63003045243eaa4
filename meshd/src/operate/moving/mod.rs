//! `meshd verify`, `export`, `import`, `migrate` and `restore-check`: accounts as a whole (cluster §16).
//!
//! The first four ask the running service, page by page, and so can be broken off and begun again at any time. With
//! `--stopped`, and for what only a stopped service allows, the command opens the store itself.
//!
//! | module | holds |
//! | --- | --- |
//! | `hand` | who does it: the running service, or this process over the store of a stopped one |
//! | `passes` | verify, export, import, and the copying of migrate |
//! | `usage` | the last part of verify: what domains use |
//! | `stopped` | the end of a migration, and what is done after a restore |

mod hand;
mod passes;
mod stopped;
mod usage;

use mesh_common::time::Timestamp;

use self::hand::{Asked, Direct, Hand};
use super::Done;
use super::args::{Desk, Export, Import, Migrate, Place, RestoreCheck, Verify};
use super::failure::Failure;
use super::link::Link;

/// One of the commands.
#[derive(Debug, Clone)]
pub enum Moving {
    /// `meshd verify`.
    Verify(Verify),
    /// `meshd export`.
    Export(Export),
    /// `meshd import`.
    Import(Import),
    /// `meshd migrate`.
    Migrate(Migrate),
    /// `meshd restore-check`.
    RestoreCheck(RestoreCheck),
}

impl Moving {
    /// Which service.
    #[must_use]
    pub const fn desk(&self) -> &Desk {
        match self {
            Self::Verify(asked) => &asked.place.desk,
            Self::Export(asked) => &asked.place.desk,
            Self::Import(asked) => &asked.place.desk,
            Self::Migrate(asked) => &asked.place.desk,
            Self::RestoreCheck(asked) => &asked.desk,
        }
    }
}

/// Carries it out.
///
/// # Errors
/// [`Failure`].
pub fn run(command: &Moving, now: Timestamp) -> Result<Done, Failure> {
    match command {
        Moving::Verify(asked) => {
            let hand = hand(&asked.place, now)?;
            passes::verify(asked, &*hand)
        }
        Moving::Export(asked) => {
            let hand = hand(&asked.place, now)?;
            passes::export(asked, &*hand)
        }
        Moving::Import(asked) => {
            let hand = hand(&asked.place, now)?;
            passes::import(asked, &*hand)
        }
        Moving::Migrate(asked) if asked.finish => stopped::finish(asked, now),
        Moving::Migrate(asked) => {
            let hand = hand(&asked.place, now)?;
            passes::copy(asked, &*hand)
        }
        Moving::RestoreCheck(asked) => stopped::restore_check(asked, now),
    }
}

/// Whoever does it: the running service, unless it is said to be stopped.
fn hand(place: &Place, now: Timestamp) -> Result<Box<dyn Hand>, Failure> {
    if place.stopped {
        Ok(Box::new(Direct::open(&place.desk, now)?))
    } else {
        Ok(Box::new(Asked(Link::open(&place.desk)?.patient())))
    }
}
