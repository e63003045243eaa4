//! One page of a range while it is read: rows, bounds, and a transaction's own writes laid over them.
//!
//! Used by [`super::pending`] and by the local engines, which yield rows in order.

use std::iter::Peekable;

use bytes::Bytes;

use super::pending::{Pending, Write};
use super::{KeyRange, Limit, Order, Page, Row, StoreError};

/// A page while it is read.
#[derive(Debug)]
pub(super) struct Filling {
    page: Page,
    limit: Limit,
    bytes: usize,
}

impl Filling {
    pub(super) fn new(limit: Limit) -> Self {
        Self {
            page: Page::default(),
            limit,
            bytes: 0,
        }
    }

    /// Takes one more row, or notes that there is more. False when the page is full.
    pub(super) fn take(&mut self, row: Row) -> bool {
        self.bytes += row.key.len() + row.value.len();
        let is_full =
            self.page.rows.len() >= self.limit.rows.max(1) || self.bytes > self.limit.bytes;
        if is_full && !self.page.rows.is_empty() {
            self.page.more = true;
            return false;
        }
        self.page.rows.push(row);
        true
    }

    /// Takes rows until the page is full, the rows end, or so many rows and octets are taken in all.
    /// True when the page is done.
    pub(super) fn take_from(
        &mut self,
        rows: &mut impl Iterator<Item = Result<Row, StoreError>>,
        rows_max: usize,
        bytes_max: usize,
    ) -> Result<bool, StoreError> {
        while self.page.rows.len() < rows_max && self.bytes < bytes_max {
            let Some(row) = rows.next().transpose()? else {
                return Ok(true);
            };
            if !self.take(row) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn into_page(self) -> Page {
        self.page
    }
}

/// The engine's rows and the transaction's own, merged in order.
pub(super) struct Overlay<'a, Base: Iterator<Item = Result<Row, StoreError>>> {
    pending: &'a Pending,
    order: Order,
    own: Peekable<Box<dyn Iterator<Item = (&'a Bytes, &'a Write)> + 'a>>,
    base: Peekable<Base>,
}

impl<'a, Base: Iterator<Item = Result<Row, StoreError>>> Overlay<'a, Base> {
    pub(super) fn new(pending: &'a Pending, range: &KeyRange, order: Order, base: Base) -> Self {
        let own: Box<dyn Iterator<Item = _>> = if range.is_empty() {
            Box::new(std::iter::empty())
        } else {
            let own = pending.writes.range(range.begin.clone()..range.end.clone());
            match order {
                Order::Forward => Box::new(own),
                Order::Reverse => Box::new(own.rev()),
            }
        };
        Self {
            pending,
            order,
            own: own.peekable(),
            base: base.peekable(),
        }
    }

    pub(super) fn next_row(&mut self) -> Result<Option<Row>, StoreError> {
        loop {
            let base_key = match self.base.peek() {
                Some(Ok(row)) => Some(&row.key),
                Some(Err(_)) => return self.base.next().transpose(),
                None => None,
            };
            let own_key = self.own.peek().map(|(key, _)| *key);
            let (takes_own, skips_base) = match (own_key, base_key) {
                (None, None) => return Ok(None),
                (Some(_), None) => (true, false),
                (None, Some(_)) => (false, false),
                (Some(own), Some(base)) => {
                    let is_before = match self.order {
                        Order::Forward => own < base,
                        Order::Reverse => own > base,
                    };
                    (is_before || own == base, own == base)
                }
            };
            if skips_base {
                self.base.next();
            }
            if !takes_own {
                match self.base.next().transpose()? {
                    Some(row) if self.pending.is_cleared(&row.key) => continue,
                    row => return Ok(row),
                }
            }
            match self.own.next() {
                Some((key, Write::Set(value))) => {
                    return Ok(Some(Row {
                        key: key.clone(),
                        value: value.clone(),
                    }));
                }
                Some((_, Write::Stamped(..))) => return Err(StoreError::Unreadable),
                Some((_, Write::Clear)) | None => {}
            }
        }
    }
}

/// The part of `range` that a page speaks for.
pub(super) fn seen(range: &KeyRange, page: &Page, order: Order) -> KeyRange {
    match page.rows.last().filter(|_| page.more) {
        None => range.clone(),
        Some(last) => match order {
            Order::Forward => KeyRange {
                begin: range.begin.clone(),
                end: KeyRange::key(&last.key).end,
            },
            Order::Reverse => KeyRange {
                begin: last.key.clone(),
                end: range.end.clone(),
            },
        },
    }
}
