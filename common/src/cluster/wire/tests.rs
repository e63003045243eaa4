//! Round trips, golden octets, and octets that nobody writes.
