//! A service that lies. It has its own keys, and speaks the protocol without a flaw: every answer is
//! sealed as an honest one is. What it substitutes is found by the party that the drafts say finds
//! it, and what a person is told then is kept below `tests/data/golden/malice`.
//!
//! | module | the service substitutes | who finds it |
//! | --- | --- | --- |
//! | [`device`] | device, mesh profile, witness, acknowledgement | the new device, or both users who compare |
//! | [`pin`] | PIN: moved, replayed; the answer without the PIN | the administrator; the new device |
//! | [`answer`] | response | the new device |
//! | [`profiles`] | profile of the mesh: older, forked, another's; entry of a device | every device |
//! | [`history`] | containers: cut, forked, frames changed and kept back | every device |
//!
//! The scene is that of the device's own tests.

#![expect(
    clippy::unwrap_used,
    reason = "the scene is part of the test: what it cannot set up, it cannot tell"
)]

mod answer;
mod device;
mod history;
#[expect(dead_code, reason = "the device's own tests use more of the scene")]
#[path = "../../../client/tests/device/people.rs"]
mod people;
mod pin;
mod profiles;
#[expect(dead_code, reason = "the device's own tests use more of the service")]
#[path = "../../../client/tests/device/service.rs"]
mod service;
mod told;
