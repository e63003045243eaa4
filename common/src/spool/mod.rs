//! A container read as messages by id: what was posted, and in which state each message is
//! (schema draft §6.1, containers §7).
//!
//! A message's content never changes; later MessageComplete entries of the same spool change its
//! state. [`SpoolItem`] is what one frame says, [`Spool`] folds them in the order of their indices.

mod fold;
mod item;

pub use fold::{Delivery, Message, Spool};
pub use item::{MessageState, Reference, SpoolItem};
