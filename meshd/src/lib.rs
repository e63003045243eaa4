//! The Mesh service daemon: from a configuration to a running service.
//!
//! `meshd` puts the parts together and owns what only a process has: files, the clock, the system's
//! randomness, signals, logs. Everything it decides about the Mesh itself stands in `mesh-common`;
//! everything about accounts in `mesh-backend`; everything about HTTPS in `mesh-frontend`.
//!
//! | module | holds |
//! | --- | --- |
//! | [`args`] | the command line, whose help text is the manual |
//! | [`config`] | every setting of the file, its unit, its default, its reason |
//! | [`cluster_files`] | the files that the processes of a cluster are given |
//! | [`data_dir`] | what lies in the data folder, and how it is first made |
//! | [`identity`] | the service's profiles and keys |
//! | [`development_ca`] | a CA and a certificate for `localhost`, for first steps |
//! | [`ticket_keys`] | the secrets tickets are sealed under, and their rotation |
//! | [`peers`] | the other services, as this one reaches them |
//! | [`service`] | a running service: store, back-end, front-end, admin listener |
//! | [`admin`] | `/metrics`, `/livez`, `/readyz`, and the API of operators |
//! | [`operate`] | the commands of operators |
//! | [`telemetry`], [`propagation`] | logs, and traces by OTLP; traces through several processes |
//! | [`dns_records`] | what a domain's zone must say for others to find this service |
//! | [`authority`] | a small name server that says so, for the demonstration and for tests |
//! | [`open_files`] | how many connections the limit of open files allows |
//! | [`demo`] | the whole story in one process, as a transcript |
//! | `stores` | stores that commands open themselves |
//! | [`run`] | `meshd run`: start, say where, wait for signals, stop |

pub mod admin;
pub mod args;
pub mod authority;
pub mod cluster_files;
pub mod config;
pub mod data_dir;
pub mod demo;
pub mod development_ca;
pub mod dns_records;
pub mod identity;
pub mod open_files;
pub mod operate;
pub mod peers;
pub mod propagation;
pub mod run;
pub mod service;
mod stores;
pub mod telemetry;
pub mod ticket_keys;

/// The allocator of the daemon: a request takes many short pieces and some of several kilobytes, for
/// which the C library's leaves its fast path.
pub use mimalloc::MiMalloc as Allocator;

/// Makes aws-lc-rs the cryptographic provider of this process. Must come before anything that builds
/// a TLS client, the OTLP exporter included.
pub fn install_provider() {
    // It fails only if somebody installed one before, and then there is one.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
}
