//! The pool, driven by a simulated shell.
