//! The test vectors: every entry of every file under `tests/data/vectors` is checked, and each file
//! has one test that fails when an entry was left out. One binary, so that it links once.

#![expect(
    clippy::unwrap_used,
    reason = "a vector that cannot be read fails its test, and that is all there is to do"
)]

mod cogeneration;
mod containers;
mod count;
mod encryption;
mod envelopes;
mod full_objects;
mod hex;
mod jsonb;
mod layout;
mod objects;
mod service;
mod synchronization;
mod trace;
mod udf;

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

/// A file of the vectors.
fn octets_of(name: &str) -> Vec<u8> {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "data", "vectors", name]
        .iter()
        .collect();
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A file of the vectors that is JSON.
fn json_of(name: &str) -> Value {
    serde_json::from_slice(&octets_of(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}
