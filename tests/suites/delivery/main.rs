//! Delivery between services as it is seen from outside (delivery §11–§13, bench G-10).
//!
//! | module | holds |
//! | --- | --- |
//! | `crowd` | healthy peers beside dead and slow ones, in virtual time |
//! | `program` | the program `peer-simulator` |

mod crowd;
mod program;
