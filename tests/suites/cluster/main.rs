//! Several processes over one store, seen from outside: they are killed, paused, stopped, added and cut off
//! while devices and another service go on (cluster §18, §20.6; issue "What must hold").
//!
//! | module | holds |
//! | --- | --- |
//! | `crowd` | devices and a service of elsewhere, what they do, what they saw, what must be there in the end |
//! | `scene` | a cluster with a crowd |
//! | `stretches` | figures of one part of a scene beside those of another |
//! | `killed` | `kill -9` of a back-end, and of the process that sends |
//! | `paused` | a back-end that is frozen, and wakes as if nothing had happened |
//! | `moved` | a third back-end, and an upgrade of every process in turn |
//! | `cut` | networks that break between processes, and to the store |
//! | `refused` | what is told to whom the service has no time for at present |
//! | `ordered` | `meshd cluster`: a node that another one is told to drain, a store that is to be raised |
//! | `signals` | SIGTERM, once and twice, and SIGHUP |
//! | `troubles` | a store that is away, takes no writes, is slow, answers late |
//! | `program` | the program `store-server` |
//!
//! The scenes run one after the other, whatever the number of threads: each is several processes. What takes
//! time is measured and printed, and insisted on only where the product promises a bound, and then
//! with a wide margin. Every suite runs over the store server of the tests or, with
//! `MESH_FDB_CLUSTER_FILE` set, over that FoundationDB cluster; scenes that need the store itself to be in
//! trouble are left out there.
#![cfg(debug_assertions)]
#![expect(clippy::print_stdout, reason = "figures are for who wants to see them")]

mod crowd;
mod scene;
mod stretches;

mod cut;
mod killed;
mod moved;
mod ordered;
mod paused;
mod program;
mod refused;
mod signals;
mod troubles;
