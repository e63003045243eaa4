//! Who should own what: weighted rendezvous hashing over the nodes that are alive (cluster §4.3).
//!
//! Each unit goes to the node with the highest score, weight / −ln(hash01(unit, node)). A node that
//! joins takes its share from all others and moves nothing between them; a node that leaves gives its
//! units to all others. Every node computes this by itself and comes to the same result, to the bit:
//! only operations that IEEE 754 rounds in one way take part.

use std::collections::BTreeMap;

use super::node::{NodeId, NodeRecord, Roles};
use super::unit::Unit;
use crate::crypto::digest::sha256;

/// A node among which units are placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// What it may own.
    pub roles: Roles,
    /// Its share beside that of others; 0 counts as 1.
    pub weight: u32,
}

impl From<&NodeRecord> for Candidate {
    fn from(node: &NodeRecord) -> Self {
        Self {
            roles: node.roles,
            weight: node.weight,
        }
    }
}

/// The nodes that anything may be given to, as one node sees them at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Placement {
    candidates: BTreeMap<NodeId, Candidate>,
}

impl Placement {
    /// Among these nodes.
    #[must_use]
    pub const fn among(candidates: BTreeMap<NodeId, Candidate>) -> Self {
        Self { candidates }
    }

    /// The nodes.
    #[must_use]
    pub const fn candidates(&self) -> &BTreeMap<NodeId, Candidate> {
        &self.candidates
    }

    /// Who should own `unit`; none if no node has the role.
    #[must_use]
    pub fn desired(&self, unit: Unit) -> Option<NodeId> {
        self.ranked(unit)
            .max_by(|(one, a), (other, b)| a.total_cmp(b).then(one.cmp(other)))
            .map(|(node, _)| node)
    }

    /// All nodes that may own `unit`, the one that should first, then who comes after it.
    #[must_use]
    pub fn order(&self, unit: Unit) -> Vec<NodeId> {
        let mut ranked: Vec<(NodeId, f64)> = self.ranked(unit).collect();
        ranked.sort_by(|(one, a), (other, b)| b.total_cmp(a).then(other.cmp(one)));
        ranked.into_iter().map(|(node, _)| node).collect()
    }

    fn ranked(&self, unit: Unit) -> impl Iterator<Item = (NodeId, f64)> {
        self.candidates
            .iter()
            .filter(move |(_, candidate)| candidate.roles.may_own(unit))
            .map(move |(node, candidate)| (*node, score(unit, *node, candidate.weight)))
    }
}

/// How much `node` wants `unit`.
fn score(unit: Unit, node: NodeId, weight: u32) -> f64 {
    f64::from(weight.max(1)) / -ln(hash01(unit, node))
}

/// A number strictly between 0 and 1 that belongs to the pair.
fn hash01(unit: Unit, node: NodeId) -> f64 {
    let (kind, number) = match unit {
        Unit::Partition(partition) => (0_u8, partition.0),
        Unit::Shard(shard) => (1, shard.0),
    };
    let digest = sha256(&[&[kind], &number.to_be_bytes(), &node.0]);
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    // 52 bits and a half, so that neither end is reached and every step is exact.
    let steps = u64::from_be_bytes(first) >> 12;
    (steps as f64 + 0.5) / (1_u64 << 52) as f64
}

/// The natural logarithm of a number between 0 and 1, by operations that every machine rounds alike.
/// The library's own may differ in its last bit between platforms.
fn ln(x: f64) -> f64 {
    const MANTISSA: u64 = (1 << 52) - 1;
    let bits = x.to_bits();
    // The numbers of `hash01` are normal: the exponent says which power of two is next below.
    let exponent = f64::from((bits >> 52) as u16) - 1_023.0;
    let mantissa = f64::from_bits((bits & MANTISSA) | (1_023 << 52));
    // ln m = 2 artanh((m − 1)/(m + 1)), and the quotient is at most 1/3: 18 terms suffice.
    let quotient = (mantissa - 1.0) / (mantissa + 1.0);
    let square = quotient * quotient;
    let mut sum = 0.0;
    for term in (0..18).rev() {
        sum = sum * square + 1.0 / f64::from(2 * term + 1);
    }
    exponent * std::f64::consts::LN_2 + 2.0 * quotient * sum
}

#[cfg(test)]
mod tests;
