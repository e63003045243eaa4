//! The account machine: what must be known of an account, what a request does to it, and what it
//! then is. *Decide* looks and returns a transition or a refusal; the shell commits; *apply* makes it
//! so (architecture §4).
