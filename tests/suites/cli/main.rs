//! The command `mesh` as people type it, against a `meshd` that runs as a process of its own: end to
//! end, from the README's first line to two devices that were killed in the middle of their work.
//! What a person or a program reads is kept as transcripts below `tests/data/golden/cli`.
//!
//! | module | tells |
//! | --- | --- |
//! | [`desk`] | the scene: a service, folders of devices, lines that are typed, transcripts |
//! | [`tour`] | every line of the README that can be typed |
//! | [`catalogs`] | each verb for each catalog, and what programs are answered with `--json` |
//! | [`answers`] | what goes wrong and what is said then, with its exit code |
//! | [`cluster`] | the cluster of the README, on one machine |
//! | [`connect`] | devices that ask to be connected: by witness, by PIN, by a code that is scanned |
//! | [`devices`] | two devices of one account, one after the other and at once |
//! | [`keys`] | the master key: offline, shared out, recovered with |
//! | [`killed`] | `kill -9` in the middle of an import or a synchronization |
//! | [`operate`] | an operator beside a dead service |
//! | [`people`] | two people: contacts, confirmations, tasks; a device that stays |
//! | [`sealed`] | keys under a passphrase |

mod answers;
mod catalogs;
mod cluster;
mod connect;
mod desk;
mod devices;
mod keys;
mod killed;
mod operate;
mod people;
mod sealed;
mod tour;
