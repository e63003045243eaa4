//! What leaves for other services: the queue of each destination in the store (delivery §11).
//!
//! | module | holds |
//! | --- | --- |
//! | [`rows`] | how items and their messages are written |

pub(crate) mod rows;
