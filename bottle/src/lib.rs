//! The cluster in a bottle (cluster §20): nodes, store, network, clients and time, all simulated and all
//! decided by one seed, around the code that decides and commits in the service.
//!
//! | module | holds |
//! | --- | --- |
//! | [`world`] | time, chance and turns |
//! | [`store`] | the store as a node reaches it, with commits that land late |
//! | [`roads`] | the network to the nodes, and between them |
//! | [`node`] | a node: a Keeper, partitions, intakes and shards at work |
//! | [`cluster`] | nodes that come and go |
//! | [`client`] | devices that upload, post and repeat |
//! | [`correspondent`] | other services that post to accounts here |
//! | [`peers`] | other services that take messages from here |
//! | [`story`] | what happens in one run, and what must hold at its end |
//! | [`soak`] | many stories |
//! | [`scale`] | what more nodes bring |

pub mod client;
pub mod cluster;
pub mod correspondent;
pub mod node;
pub mod peers;
pub mod roads;
pub mod scale;
pub mod soak;
pub mod store;
pub mod story;
pub mod world;
