//! How far a command is that takes its time.

use std::io::{IsTerminal as _, Write as _};

/// Tells a person at a terminal how far it is; a program reads nothing of it.
pub(super) struct Progress {
    is_shown: bool,
}

impl Progress {
    pub(super) fn begin() -> Self {
        Self {
            is_shown: std::io::stderr().is_terminal(),
        }
    }

    /// Whether anybody reads it.
    pub(super) const fn is_shown(&self) -> bool {
        self.is_shown
    }

    pub(super) fn tell(&self, line: &str) {
        if self.is_shown {
            // Who cannot read it needs it less than the work.
            let _unwritten = write!(std::io::stderr(), "\r{line}\u{1b}[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.tell("");
    }
}
