//! Delivery between services as it is seen from outside (delivery §11–§13, bench G-10).
//!
//! | module | holds |
//! | --- | --- |
//! | `controller` | the windows of destinations, simulated (delivery §12.3) |
//! | `crowd` | healthy peers beside dead and slow ones, in virtual time |
//! | `program` | the program `peer-simulator` |

mod controller;
mod crowd;
mod program;
