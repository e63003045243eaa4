//! Catalogs: sets of objects that a person's devices share, told as a sequence of frames.
//!
//! Schema draft §5 and §7.3 to §7.4, containers §6.
//!
//! | module | holds |
//! | --- | --- |
//! | [`entry`] | what the entries say |
//! | [`replay`] | which frame speaks for which object, from headers alone |
//! | [`read`] | the entries themselves, for who can decrypt them |

pub mod entry;
pub mod read;
pub mod replay;

pub use read::{CatalogRead, UnreadableEntry, read_catalog};
pub use replay::{CatalogIndex, Effect, EntryFrames, EventError, check_event};
