//! Delivery between services as it is seen from outside: the real program posts to simulated peers, or
//! to another real one (delivery §11–§13, bench G-10).
//!
//! | module | holds |
//! | --- | --- |
//! | `controller` | the windows of destinations, simulated (delivery §12.3) |
//! | `stage` | the service with one account that sends, beside the peers |
//! | `outcomes` | what the sender is told of each kind of peer |
//! | `isolation` | healthy peers beside dead and slow ones |
//! | `crowd` | the same at full size, in virtual time |
//! | `returns` | a peer that is away, and back |
//! | `strangers` | a great many destinations with one message each |
//! | `chaos` | two real services that are killed while messages flow both ways |
//! | `program` | the program `peer-simulator` |

mod chaos;
mod controller;
mod crowd;
mod isolation;
mod outcomes;
mod program;
mod returns;
mod stage;
mod strangers;
