//! The cluster in a bottle (cluster §20): nodes, store, network, clients and time, all simulated and all
//! decided by one seed, around the code that decides and commits in the service.
//!
//! | module | holds |
//! | --- | --- |
//! | [`world`] | time, chance and turns |
//! | [`store`] | the store as a node reaches it, with commits that land late |
//! | [`node`] | a node: a Keeper, partitions at work |
//! | [`client`] | devices that upload and repeat, and the network to the nodes |
//! | [`story`] | what happens in one run, and what must hold at its end |
//! | [`scale`] | what more nodes bring |

pub mod client;
pub mod node;
pub mod scale;
pub mod store;
pub mod story;
pub mod world;
