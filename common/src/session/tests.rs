//! The two ends of `mmm-kx-1` against each other, and everything the service's end refuses.

mod exchange;
mod world;
