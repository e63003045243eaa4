//! What crosses the internal link, as octets: calls, their answers, and what nodes tell (architecture
//! A-5, decision Q-63).
//!
//! Calls and answers are binary: each member of a type in the order of its declaration, without names;
//! numbers in as few octets as they need, texts and octets behind their length, a choice behind its
//! number. What a device or a peer sent stays as it was received, octet by octet; nothing is turned into
//! text on the way, and nothing is computed but lengths. Events are lines of JSON ([`event`]), read by
//! people who look for trouble.
//!
//! Reading is strict, although whoever writes has shown a certificate: a broken process must not break
//! others. Every length is checked against what is left, every level of nesting is counted, a number is
//! written in one way only, and nothing may be left over.
//!
//! **Versions.** A change of anything here raises [`VERSION`]. The version stands in the path of each
//! call and in the greeting of the stream of events; a release answers its own version and the one
//! before, so that neighbours of two releases understand each other (cluster §15). The octets of
//! `golden.txt` must stay as they are meanwhile. A call that is new changes nothing that was there: who
//! does not know it says so, and whoever asks does without.
//!
//! | module | holds |
//! | --- | --- |
//! | `input` | octets that are being read, and why they cannot be |
//! | `basic` | numbers, texts, lists, choices, JSON values |
//! | `envelopes` | envelopes, fingerprints, addresses, moments, errors |
//! | `transactions` | the requests and responses of the protocol |
//! | `verified` | what front-ends established |
//! | `calls` | everything that is asked of a node, and how it answers |
//! | [`event`] | what a node tells by itself |

mod basic;
mod calls;
mod envelopes;
pub mod event;
mod input;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
mod transactions;
mod verified;

pub use calls::{
    KeysQuestion, PassOnOrder, PinQuestion, PublishedQuestion, StreamId, WatchOnOrder, WatchOrder,
    WatchReply,
};
pub use input::{Input, WireError};

/// Counts the changes of what is written here.
pub const VERSION: u16 = 1;

/// A value that crosses the link.
pub trait Wire: Sized {
    /// Writes the value behind what stands in `out`.
    fn put(&self, out: &mut Vec<u8>);

    /// Reads a value from what is left.
    ///
    /// # Errors
    /// [`WireError`]: octets that [`Self::put`] does not write.
    fn take(input: &mut Input<'_>) -> Result<Self, WireError>;
}

/// Octets that a call or answer without payload usually takes: only a first guess.
const USUAL_BYTES: usize = 1_024;

/// Writes `value`.
#[must_use]
pub fn write<T: Wire>(value: &T) -> Vec<u8> {
    let mut out = Vec::with_capacity(USUAL_BYTES);
    value.put(&mut out);
    out
}

/// Reads the one value that `octets` are.
///
/// # Errors
/// [`WireError`]: octets that [`write()`] does not write.
pub fn read<T: Wire>(octets: &[u8]) -> Result<T, WireError> {
    let mut input = Input::new(octets);
    let value = T::take(&mut input)?;
    input.end()?;
    Ok(value)
}

/// How a struct is written: its members in this order. Naming them all is checked by the compiler.
macro_rules! wire_struct {
    ($type:ty { $($member:ident),* $(,)? }) => {
        impl $crate::cluster::wire::Wire for $type {
            fn put(&self, out: &mut Vec<u8>) {
                let Self { $($member),* } = self;
                $($crate::cluster::wire::Wire::put($member, out);)*
            }

            fn take(
                input: &mut $crate::cluster::wire::Input<'_>,
            ) -> Result<Self, $crate::cluster::wire::WireError> {
                Ok(Self { $($member: $crate::cluster::wire::Wire::take(input)?),* })
            }
        }
    };
}

/// How an enum is written: the number of the variant, then what it holds.
macro_rules! wire_enum {
    ($type:ty { $($number:literal => $variant:ident $(($inner:ident))?),* $(,)? }) => {
        impl $crate::cluster::wire::Wire for $type {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant $(($inner))? => {
                        out.push($number);
                        $($crate::cluster::wire::Wire::put($inner, out);)?
                    })*
                }
            }

            fn take(
                input: &mut $crate::cluster::wire::Input<'_>,
            ) -> Result<Self, $crate::cluster::wire::WireError> {
                match input.octet()? {
                    $($number => Ok(Self::$variant $(({
                        let $inner = $crate::cluster::wire::Wire::take(input)?;
                        $inner
                    }))?),)*
                    number => Err($crate::cluster::wire::WireError::Choice {
                        of: stringify!($type),
                        number,
                    }),
                }
            }
        }
    };
}

use {wire_enum, wire_struct};
