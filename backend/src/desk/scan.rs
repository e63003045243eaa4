//! Reading a whole table for an operator: page by page, each at its own version, so that a long read
//! never grows too old. What changes meanwhile is seen or not.

use std::ops::ControlFlow;

use super::DeskError;
use crate::store::{KeyRange, Limit, Order, Read, Row, Store, Tx, TxOptions};

/// Shows every row of `range` to `look`, in order, until it breaks.
pub(super) async fn each<S: Store>(
    store: &S,
    range: KeyRange,
    mut look: impl FnMut(&Row) -> ControlFlow<()> + Send,
) -> Result<(), DeskError> {
    let mut rest = Some(range);
    while let Some(range) = rest {
        let tx = store.begin(TxOptions::default());
        let page = tx
            .range(&range, Limit::default(), Order::Forward, Read::Snapshot)
            .await?;
        if page.rows.iter().try_for_each(&mut look).is_break() {
            break;
        }
        rest = page.rest(&range, Order::Forward);
    }
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
