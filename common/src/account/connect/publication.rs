//! What a hailing account publishes for whoever knows its name (service §6.5 step 1, decision Q-49):
//! a live entry of its catalog `mmm_Publication`.

use std::collections::BTreeSet;

use crate::account::needs::{Lookups, Needs};
use crate::account::policy::AccountPolicy;
use crate::account::state::{AccountState, AccountStatus, Head};
use crate::dare::merkle::payload_digest;
use crate::dare::{ContainerName, Digest64, Envelope};
use crate::encoding::json;
use crate::udf::Udf;
use crate::udf::digest::{BITS_MAX, TYPE_SHA2, TYPE_SHA3};

/// Kinds of compression that the type octet of a content digest counts (crypto §2.2).
const COMPRESSIONS: u8 = 5;

/// What is published under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// The octets: the payload of the entry, or its whole envelope if that is encrypted itself.
    pub content: Vec<u8>,
    /// Their SHA-512.
    pub digest: Digest64,
}

/// Reads the name of a publication: a content digest in its canonical text. No other name can lead
/// anywhere, since what is published is asked for by the digest of its key (crypto §2.8).
#[must_use]
pub fn publication_id(text: &str) -> Option<Udf> {
    let udf = Udf::parse(text).ok().filter(|udf| udf.as_str() == text)?;
    let letters = text.bytes().filter(|octet| *octet != b'-').count();
    let is_digest = [TYPE_SHA2, TYPE_SHA3]
        .into_iter()
        .any(|first| (first..first + COMPRESSIONS).contains(&udf.type_octet()));
    (is_digest && letters * 5 <= BITS_MAX).then_some(udf)
}

/// The rows that tell what is published under `id`. None are needed of an account that publishes
/// nothing.
#[must_use]
pub fn publication_needs(state: &AccountState, policy: &AccountPolicy, id: &Udf) -> Needs {
    let newest: BTreeSet<_> = catalog(state, policy)
        .map(|head| (head.number, id.as_str().to_owned()))
        .into_iter()
        .collect();
    Needs {
        newest,
        ..Needs::default()
    }
}

/// What is published under `id`, by the rows of [`publication_needs`].
#[must_use]
pub fn publication(
    state: &AccountState,
    policy: &AccountPolicy,
    id: &Udf,
    lookups: &Lookups,
) -> Option<Publication> {
    let number = catalog(state, policy)?.number;
    let row = lookups.unique_ids.get(&(number, id.as_str().to_owned()))?;
    let frame = lookups.newest(number, id.as_str())?;
    if !row.live || frame.record.redacted {
        return None;
    }
    let header = &frame.record.header;
    let content = if header.is_encrypted() {
        json::write(&Envelope {
            header: header.clone(),
            payload: frame.payload.into(),
            trailer: Some(frame.record.trailer.clone()),
        })
    } else {
        frame.payload
    };
    Some(Publication {
        digest: payload_digest(&content),
        content,
    })
}

/// The catalog of a hailing account that is in use.
fn catalog<'a>(state: &'a AccountState, policy: &AccountPolicy) -> Option<&'a Head> {
    let publishes = state.record.status == AccountStatus::Connected
        && policy.connections.hails(&state.record.address);
    let name = ContainerName::parse(ContainerName::PUBLICATION).ok()?;
    publishes.then(|| state.head(&name)).flatten()
}
