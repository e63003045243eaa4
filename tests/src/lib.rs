//! What the suites share.

pub mod device;
pub mod process;
