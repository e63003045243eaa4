//! Entries as a person sees them: their kinds, and what is shown of them.

mod kind;
mod summary;

pub use self::kind::EntryKind;
pub use self::summary::{HIDDEN, Secrets, Summary, application_key, to_json};
