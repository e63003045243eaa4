//! What people and devices send each other: one structure per Mesh message (schema draft §7.5).
