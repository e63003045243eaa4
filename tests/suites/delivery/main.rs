//! Delivery between services as it is seen from outside (delivery §11–§13, bench G-10).
//!
//! | module | holds |
//! | --- | --- |
//! | `program` | the program `peer-simulator` |

mod program;
