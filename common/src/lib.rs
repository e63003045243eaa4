//! (placeholder)

pub mod catalog;
