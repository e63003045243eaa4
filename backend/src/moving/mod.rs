//! Accounts as a whole: checked against their digests, copied to another store, written to files and read back
//! (cluster §16, architecture §1: "provable state").
//!
//! Containers only grow, and each has an apex over all its frames. So a copy that is made page by page, in as many
//! transactions as it takes, is a consistent one: what was there when its head was read is there unchanged at the end,
//! and the apex proves it. Nothing here needs a long snapshot, and nothing here stops the service.
//!
//! | module | holds |
//! | --- | --- |
//! | [`verify`] | recomputing the digests of accounts |
//! | [`listing`] | all accounts of a store, page by page |
//! | [`sync`] | a range of one store made the same as in another |
//! | [`rows`] | rows of the store as a stream of octets, with a digest at its end |
//! | [`archive`] | one account as files, and back |
//! | [`migrate`] | everything into another store, while the service runs |
//! | [`pacing`] | rests, so that a service beside it stays quick |
//! | [`restored`] | a store that came from a backup, before its doors are opened |

pub mod archive;
pub mod listing;
pub mod migrate;
pub mod pacing;
pub mod restored;
pub mod rows;
pub mod sync;
pub mod verify;
