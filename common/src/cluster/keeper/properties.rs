//! Several Keepers over one table.
