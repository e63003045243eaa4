//! Reading an envelope, and telling which known keys signed it (crypto §5.3, decision Q-32).

use super::super::profile::key_of;
use super::super::{Assertion, AssertionError, Profile};
use super::Signed;
use crate::crypto::{Curve, KeyData, PublicKey};
use crate::dare::Envelope;
use crate::dare::sign::DIGEST_NAMES;
use crate::limits::{KEYS_PER_PROFILE_MAX, SIGNATURES_PER_ENVELOPE_MAX};
use crate::udf::Udf;

/// The keys of a profile that sign: online, then offline.
pub(super) struct ProfileKeys {
    pub(super) all: Vec<PublicKey>,
}

impl ProfileKeys {
    /// Reads and fingerprints every key the profile names.
    pub(super) fn of<T: Profile>(profile: &T) -> Result<Self, AssertionError> {
        let online = profile.keys_online_signature();
        let others = profile.other_keys();
        let offline = profile.key_offline_signature();
        let keys = online.len() + others.len() + usize::from(offline.is_some());
        if keys > KEYS_PER_PROFILE_MAX {
            return Err(AssertionError::TooMany {
                tag: T::TAG,
                member: "keys",
            });
        }
        for (name, key) in others {
            key_of(T::TAG, name, Some(key))?;
        }
        let signing = |name: &'static str, key: Option<&KeyData>| {
            ed448(T::TAG, name, key_of(T::TAG, name, key)?)
        };
        let mut all = online
            .iter()
            .map(|key| signing("KeysOnlineSignature", Some(key)))
            .collect::<Result<Vec<_>, _>>()?;
        all.push(signing("KeyOfflineSignature", offline)?);
        Ok(Self { all })
    }

    pub(super) fn offline(&self) -> &PublicKey {
        &self.all[self.all.len() - 1]
    }
}

/// An assertion that was read and whose payload has the digest it states.
pub(super) struct Opened<'a, T> {
    pub(super) assertion: T,
    pub(super) digest: [u8; 64],
    envelope: &'a Envelope,
}

impl<'a, T: Assertion> Opened<'a, T> {
    pub(super) fn read(envelope: &'a Envelope) -> Result<Self, AssertionError> {
        let assertion = T::from_envelope(envelope)?;
        let digest = digest_of(T::TAG, envelope)?;
        Ok(Self {
            assertion,
            digest,
            envelope,
        })
    }

    pub(super) fn signers<'k>(
        &self,
        known: impl Iterator<Item = &'k PublicKey>,
    ) -> Result<Signers, AssertionError> {
        signers_of(T::TAG, self.envelope, &self.digest, known)
    }

    pub(super) fn believed(self, keys: ProfileKeys) -> Signed<T> {
        Signed {
            digest: self.digest,
            udf: keys.offline().udf(),
            assertion: self.assertion,
            keys: keys.all,
        }
    }
}

/// The known keys whose signatures verified.
pub(super) struct Signers {
    tag: &'static str,
    pub(super) udfs: Vec<Udf>,
}

impl Signers {
    pub(super) fn include_one_of(&self, keys: &[PublicKey]) -> Result<(), AssertionError> {
        if keys.iter().any(|key| self.udfs.contains(&key.udf())) {
            Ok(())
        } else {
            Err(AssertionError::Unsigned { tag: self.tag })
        }
    }
}

/// SHA-512 of the payload, which is what the envelope states, if it states any.
pub(super) fn digest_of(
    tag: &'static str,
    envelope: &Envelope,
) -> Result<[u8; 64], AssertionError> {
    envelope
        .check_digest()
        .map_err(|source| AssertionError::Digest { tag, source })
}

/// Checks every signature made by one of `known` and gives the keys that made them.
pub(super) fn signers_of<'k>(
    tag: &'static str,
    envelope: &Envelope,
    digest: &[u8; 64],
    known: impl Iterator<Item = &'k PublicKey>,
) -> Result<Signers, AssertionError> {
    let signatures = envelope.signatures();
    if signatures.len() > SIGNATURES_PER_ENVELOPE_MAX {
        return Err(AssertionError::TooMany {
            tag,
            member: "signatures",
        });
    }
    let known: Vec<(Udf, &PublicKey)> = known.map(|key| (key.udf(), key)).collect();
    let mut udfs = Vec::new();
    for signature in signatures {
        let kid = signature.kid.as_deref().unwrap_or_default();
        let Some((udf, key)) = Udf::parse(kid)
            .ok()
            .and_then(|kid| known.iter().find(|(udf, _)| udf == &kid))
        else {
            continue;
        };
        let value = signature.signature.as_ref().map(AsRef::as_ref);
        let names_sha512 = signature
            .alg
            .as_deref()
            .is_none_or(|name| DIGEST_NAMES.contains(&name));
        if !names_sha512 || key.verify(digest, value.unwrap_or_default()).is_err() {
            return Err(AssertionError::Signature {
                tag,
                kid: udf.to_string(),
            });
        }
        udfs.push(udf.clone());
    }
    Ok(Signers { tag, udfs })
}

/// `text` names `udf`, whole (decision Q-18).
pub(super) fn matches_udf(
    tag: &'static str,
    member: &'static str,
    text: Option<&str>,
    udf: &Udf,
) -> Result<(), AssertionError> {
    let text = text.ok_or(AssertionError::Missing { tag, member })?;
    match Udf::parse(text) {
        Ok(parsed) if &parsed == udf => Ok(()),
        _ => Err(AssertionError::Mismatch { tag, member }),
    }
}

/// `key`, if it is one that signs.
pub(super) fn ed448(
    tag: &'static str,
    member: &'static str,
    key: PublicKey,
) -> Result<PublicKey, AssertionError> {
    if key.curve() == Curve::Ed448 {
        Ok(key)
    } else {
        Err(AssertionError::Curve { tag, member })
    }
}
