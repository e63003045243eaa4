//! Tests of what stands beside this file.
