//! How one service finds, greets and posts to another: DNS, addresses, TLS connections that are kept
//! warm, Service-mode sessions (service §7.3 and §9; delivery §11; decisions ).
//!
//! Both ends use it: the outbound pool to post, the front-end to call back whoever posts here.
