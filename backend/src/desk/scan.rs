//! Reading a whole table for an operator, in the order of its keys.

use std::ops::ControlFlow;

use super::DeskError;
use crate::store::{KeyRange, Order, Row, Store, walk};

/// Shows every row of `range` to `look`, in order, until it breaks.
pub(super) async fn each<S: Store>(
    store: &S,
    range: KeyRange,
    mut look: impl FnMut(&Row) -> ControlFlow<()> + Send,
) -> Result<(), DeskError> {
    walk::each_row(store, range, Order::Forward, |row| look(&row)).await?;
    Ok(())
}

/// Octets as hexadecimal digits.
pub(super) fn hexadecimal(octets: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(octets)
}

/// Octets of hexadecimal digits, large or small.
pub(super) fn octets_of(digits: &str) -> Option<Vec<u8>> {
    data_encoding::HEXLOWER_PERMISSIVE
        .decode(digits.as_bytes())
        .ok()
}
