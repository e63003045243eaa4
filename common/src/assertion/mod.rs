//! Signed statements: profiles say who someone is, connections who belongs to whom, activations what a
//! device was given (schema draft §7.2 and §7.4.2). What was received is unverified until the one
//! function for its kind has checked it.
