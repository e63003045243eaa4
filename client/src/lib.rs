//! A person's device as a library: the folder it keeps everything in, its keys, the replicas of its
//! containers, and the service it exchanges them with. The `mesh` command is a thin shell over it.
//!
//! ```text
//!  home ── keystore  secret keys           catalogs ─▶ replica ◀─ sync ─▶ service ─▶ transport
//!       ├─ state     account, pinned service            containers/       mmm-kx-1    HTTPS
//!       └─ replica   one file per container
//! ```
//!
//! Time, chance and the way to the network are handed in, so that a test or a demonstration can
//! hold them still; [`ambient`] has those of the machine.

pub mod ambient;
pub mod entries;
pub mod home;
pub mod import;
pub mod limits;
pub mod replica;
pub mod transport;
