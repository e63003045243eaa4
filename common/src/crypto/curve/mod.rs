//! edwards448 behind one trait, so that the arithmetic can be exchanged (architecture A-24).
//!
//! Scalars cross this boundary as 57 octets, little endian, below the group order; points as the
//! provider's own type, made only by strict decoding. What is built on top, signatures above all,
//! is in [`super::eddsa`] and the same for every provider.

mod crrl_provider;
mod crrl_table;
#[cfg(test)]
#[cfg(feature = "goldilocks")]
mod differential;
#[cfg(feature = "goldilocks")]
mod goldilocks_provider;

use std::fmt::Debug;

pub use crrl_provider::Crrl;
pub use crrl_table::Table as CrrlTable;
#[cfg(feature = "goldilocks")]
pub use goldilocks_provider::Goldilocks;

/// The provider that keys use: `crrl`, unless the feature `goldilocks` chooses the other.
#[cfg(not(feature = "goldilocks"))]
pub type Provider = Crrl;
/// The provider that keys use: `crrl`, unless the feature `goldilocks` chooses the other.
#[cfg(feature = "goldilocks")]
pub type Provider = Goldilocks;

/// Octets of an encoded point and of an encoded scalar.
pub const POINT_BYTES: usize = 57;

/// A scalar below the group order, little endian.
pub type Scalar = [u8; POINT_BYTES];

/// The group operations of edwards448.
///
/// Operations on secrets ([`base_times`](Self::base_times), [`times`](Self::times), the scalar
/// arithmetic) take the same time for every secret; those on public data are marked.
pub trait Ed448Provider {
    /// A point of the curve.
    type Point: Clone + Debug + Send + Sync;

    /// What is worth keeping of a point that many signatures are verified by; public data only.
    type Table: Debug + Send + Sync;

    /// Decodes a point of the curve from its one canonical encoding (RFC 8032 §5.2.3, decision
    /// y below the field prime, no stray bits in the last octet, no sign on x = 0.
    fn decode(octets: &[u8; POINT_BYTES]) -> Option<Self::Point>;

    /// The canonical encoding.
    fn encode(point: &Self::Point) -> [u8; POINT_BYTES];

    /// Whether four times the point is the identity.
    fn is_small_order(point: &Self::Point) -> bool;

    /// Whether the point is in the subgroup of prime order.
    fn is_prime_order(point: &Self::Point) -> bool;

    /// The sum of two points.
    fn add(one: &Self::Point, other: &Self::Point) -> Self::Point;

    /// Four times the point, which clears the small subgroup (service §4.2).
    fn times_cofactor(point: &Self::Point) -> Self::Point;

    /// `scalar` times the base point.
    fn base_times(scalar: &Scalar) -> Self::Point;

    /// `scalar` times a point **of prime order**.
    fn times(point: &Self::Point, scalar: &Scalar) -> Self::Point;

    /// `s` times the base point less `k` times any point; public data only.
    fn verification_point(s: &Scalar, k: &Scalar, point: &Self::Point) -> Self::Point;

    /// The table of a point.
    fn table(point: &Self::Point) -> Self::Table;

    /// [`verification_point`](Self::verification_point) by the table of the point.
    fn verification_point_by(s: &Scalar, k: &Scalar, table: &Self::Table) -> Self::Point;

    /// Reduces 114 octets, little endian, modulo the group order.
    fn reduce(octets: &[u8; 2 * POINT_BYTES]) -> Scalar;

    /// The sum of two scalars modulo the group order.
    fn scalar_add(one: &Scalar, other: &Scalar) -> Scalar;

    /// `factor · other + addend` modulo the group order.
    fn scalar_multiply_add(factor: &Scalar, other: &Scalar, addend: &Scalar) -> Scalar;
}
