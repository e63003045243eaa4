//! The device from outside, over a service that lives in the same process: real sessions, real
//! evidence, the real account machine, no network.
//!
//! | module | tells |
//! | --- | --- |
//! | [`service`], [`people`] | the scene: a service that can be disturbed, and people with devices |
//! | [`account`] | making an account, being interrupted, deleting it |
//! | [`administration`], [`recovery`] | master key and online keys; all devices lost |
//! | [`catalogs`] | entries added, found, changed, deleted, imported |
//! | [`connect`] | devices that ask to be connected, by witness and by PIN, and removing one |
//! | [`sync`] | two devices: races, collisions, large uploads |
//! | [`answers`] | refusals, hints, lost answers, wrong clocks, another service |
//! | [`carrying`] | the post, carried by hand |
//! | [`messages`] | contacts, confirmations, tasks: what is made and what is believed |
//! | [`proof`] | exports and verification, and what they find |
//! | [`command`], [`golden`] | what the command prints and how it ends, compared with golden files |

#![expect(
    clippy::unwrap_used,
    reason = "the scene is part of the test: what it cannot set up, it cannot tell"
)]

mod account;
mod administration;
mod answers;
mod carrying;
mod catalogs;
mod command;
mod connect;
mod golden;
mod messages;
mod people;
mod proof;
mod recovery;
mod service;
mod sync;
