//! Catalogs: sets of objects that a person's devices share, told as a sequence of frames.
//!
//! Schema draft §5 and §7.3 to §7.4, containers §6.

pub mod entry;
