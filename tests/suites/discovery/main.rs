//! One service reaches others: found in DNS, whatever that says or fails to say; greeted; posted to. The
//! peers are simulated, the name server is ours, everything is on loopback (service §7.3 and §9; delivery
//! §11 and §13; decisions ).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod answers;
mod back_ends;
mod identities;
mod names;
mod outages;
mod real;
mod sender;
mod ways;
