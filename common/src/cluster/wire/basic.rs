//! Numbers, texts, lists, choices, JSON values.

use std::time::Duration;

use serde_json::{Map, Number, Value};

use super::{Input, Wire, WireError};

/// Elements for which room is made before they are read: a stated length alone reserves little.
const ROOM_MAX: usize = 64;

/// Writes a number as [`Input::number`] reads it.
pub(super) fn put_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Writes octets behind their length.
pub(super) fn put_octets(octets: &[u8], out: &mut Vec<u8>) {
    put_number(octets.len() as u64, out);
    out.extend_from_slice(octets);
}

/// Reads octets behind their length.
pub(super) fn take_octets<'a>(input: &mut Input<'a>) -> Result<&'a [u8], WireError> {
    let length = input.length()?;
    input.octets(length)
}

/// Reads a text, which must be UTF-8.
pub(super) fn take_text<'a>(input: &mut Input<'a>) -> Result<&'a str, WireError> {
    std::str::from_utf8(take_octets(input)?).map_err(|_| WireError::Text)
}

/// Writes a list behind the number of its elements.
pub(super) fn put_list<'a, T: Wire + 'a>(
    elements: impl ExactSizeIterator<Item = &'a T>,
    out: &mut Vec<u8>,
) {
    put_number(elements.len() as u64, out);
    for element in elements {
        element.put(out);
    }
}

impl Wire for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        match input.octet()? {
            0 => Ok(false),
            1 => Ok(true),
            number => Err(WireError::Choice { of: "bool", number }),
        }
    }
}

/// Unsigned numbers, as [`Input::number`] reads them.
macro_rules! wire_unsigned {
    ($($type:ty),*) => {
        $(impl Wire for $type {
            fn put(&self, out: &mut Vec<u8>) {
                put_number(*self as u64, out);
            }

            fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
                Self::try_from(input.number()?).map_err(|_| WireError::Number)
            }
        })*
    };
}

wire_unsigned!(u16, u32, u64, usize);

/// Eight octets, the highest first.
impl Wire for i64 {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        Ok(Self::from_be_bytes(Wire::take(input)?))
    }
}

impl<const N: usize> Wire for [u8; N] {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        let mut octets = [0; N];
        octets.copy_from_slice(input.octets(N)?);
        Ok(octets)
    }
}

impl Wire for Vec<u8> {
    fn put(&self, out: &mut Vec<u8>) {
        put_octets(self, out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        take_octets(input).map(<[u8]>::to_vec)
    }
}

impl Wire for String {
    fn put(&self, out: &mut Vec<u8>) {
        put_octets(self.as_bytes(), out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        take_text(input).map(str::to_owned)
    }
}

/// Seconds, then the nanoseconds of the next one.
impl Wire for Duration {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_secs().put(out);
        self.subsec_nanos().put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        let (seconds, nanoseconds) = (u64::take(input)?, u32::take(input)?);
        if nanoseconds >= 1_000_000_000 {
            return Err(WireError::Number);
        }
        Ok(Self::new(seconds, nanoseconds))
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        bool::take(input)?.then(|| T::take(input)).transpose()
    }
}

impl<T: Wire> Wire for Box<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (**self).put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        T::take(input).map(Self::new)
    }
}

/// Lists of anything but octets, which are written as one piece.
macro_rules! wire_lists {
    ($($type:ty),* $(,)?) => {
        $(impl $crate::cluster::wire::Wire for Vec<$type> {
            fn put(&self, out: &mut Vec<u8>) {
                $crate::cluster::wire::basic::put_list(self.iter(), out);
            }

            fn take(
                input: &mut $crate::cluster::wire::Input<'_>,
            ) -> Result<Self, $crate::cluster::wire::WireError> {
                $crate::cluster::wire::basic::take_list(input)
            }
        })*
    };
}

pub(super) use wire_lists;

/// Reads a list behind the number of its elements.
pub(super) fn take_list<T: Wire>(input: &mut Input<'_>) -> Result<Vec<T>, WireError> {
    let length = input.length()?;
    let mut elements = Vec::with_capacity(length.min(ROOM_MAX));
    for _ in 0..length {
        elements.push(T::take(input)?);
    }
    Ok(elements)
}

wire_lists!(String, Vec<u8>, Value, bool, u64);

impl<A: Wire, B: Wire> Wire for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        Ok((A::take(input)?, B::take(input)?))
    }
}

impl<T: Wire, E: Wire> Wire for Result<T, E> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_ok().put(out);
        match self {
            Ok(value) => value.put(out),
            Err(error) => error.put(out),
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        Ok(if bool::take(input)? {
            Ok(T::take(input)?)
        } else {
            Err(E::take(input)?)
        })
    }
}

/// Written value by value and not as text, which would round numbers.
impl Wire for Value {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.push(0),
            Self::Bool(value) => {
                out.push(1);
                value.put(out);
            }
            Self::Number(number) => put_json_number(number, out),
            Self::String(text) => {
                out.push(5);
                text.put(out);
            }
            Self::Array(values) => {
                out.push(6);
                values.put(out);
            }
            Self::Object(members) => {
                out.push(7);
                members.put(out);
            }
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        input.deeper(|input| {
            Ok(match input.octet()? {
                0 => Self::Null,
                1 => Self::Bool(bool::take(input)?),
                2 => Self::from(u64::take(input)?),
                3 => Self::from(take_negative(input)?),
                4 => {
                    let number = f64::from_bits(u64::from_be_bytes(Wire::take(input)?));
                    Self::Number(Number::from_f64(number).ok_or(WireError::Number)?)
                }
                5 => Self::String(String::take(input)?),
                6 => Self::Array(Wire::take(input)?),
                7 => Self::Object(Wire::take(input)?),
                number => {
                    return Err(WireError::Choice {
                        of: "Value",
                        number,
                    });
                }
            })
        })
    }
}

/// A JSON number is one of three: natural, negative, or with a point.
fn put_json_number(number: &Number, out: &mut Vec<u8>) {
    if let Some(natural) = number.as_u64() {
        out.push(2);
        natural.put(out);
    } else if let Some(integer) = number.as_i64() {
        out.push(3);
        integer.put(out);
    } else {
        out.push(4);
        let octets = number.as_f64().unwrap_or_default().to_bits().to_be_bytes();
        octets.put(out);
    }
}

/// A number that is not written as a natural one.
fn take_negative(input: &mut Input<'_>) -> Result<i64, WireError> {
    let number = i64::take(input)?;
    (number < 0).then_some(number).ok_or(WireError::Number)
}

/// Members in the order in which they were read.
impl Wire for Map<String, Value> {
    fn put(&self, out: &mut Vec<u8>) {
        put_number(self.len() as u64, out);
        for (name, value) in self {
            name.put(out);
            value.put(out);
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        let length = input.length()?;
        let mut members = Self::new();
        for _ in 0..length {
            let name = String::take(input)?;
            if members.insert(name, Wire::take(input)?).is_some() {
                return Err(WireError::Value {
                    what: "object whose members differ in name",
                });
            }
        }
        Ok(members)
    }
}
