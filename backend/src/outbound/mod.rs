//! What leaves for other services: the queue of each destination in the store (delivery §11).
//!
//! | module | holds |
//! | --- | --- |
//! | `rows` | how items and their messages are written |
//! | `bell` | how the owner of a destination learns of what was queued |
//! | `depths` | how much waits, by destination and tenant |

pub(crate) mod bell;
pub(crate) mod depths;
pub(crate) mod rows;

pub use depths::Depth;
