//! How digests, digest states and moments stand in stored rows: short, and exact to the
//! millisecond. For `#[serde(with = "compact::…")]` on the types of this folder.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::encoding::base64url::Binary;

/// A digest as base64url text.
pub(super) mod digest {
    use super::{Binary, Deserialize, Deserializer, Serialize, Serializer, de};
    use crate::dare::Digest64;

    pub(in super::super) fn serialize<S: Serializer>(
        digest: &Digest64,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        Binary::from(*digest).serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Digest64, D::Error> {
        Binary::deserialize(from)?
            .as_slice()
            .try_into()
            .map_err(|_| de::Error::custom("a digest has 64 octets"))
    }
}

/// A container's digest state as base64url text.
pub(super) mod stack {
    use super::{Binary, Deserialize, Deserializer, Serialize, Serializer, de};
    use crate::dare::DigestStack;

    pub(in super::super) fn serialize<S: Serializer>(
        stack: &DigestStack,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        Binary(stack.to_octets()).serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<DigestStack, D::Error> {
        DigestStack::from_octets(Binary::deserialize(from)?.as_slice()).map_err(de::Error::custom)
    }
}

/// A digest state, if there is one, as base64url text.
pub(super) mod optional_stack {
    use super::{Binary, Deserialize, Deserializer, Serialize, Serializer, de};
    use crate::dare::DigestStack;

    pub(in super::super) fn serialize<S: Serializer>(
        stack: &Option<DigestStack>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let octets = stack.as_ref().map(|stack| Binary(stack.to_octets()));
        octets.serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<DigestStack>, D::Error> {
        let octets = Option::<Binary>::deserialize(from)?;
        let stack = octets.map(|octets| DigestStack::from_octets(octets.as_slice()));
        stack.transpose().map_err(de::Error::custom)
    }
}

/// A moment as milliseconds since 1970.
pub(crate) mod millis {
    use super::{Deserialize, Deserializer, Serializer};
    use crate::time::Timestamp;

    pub(crate) fn serialize<S: Serializer>(
        time: &Timestamp,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(time.as_millis())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(from).map(Timestamp::from_millis)
    }
}

/// A moment, if there is one, as milliseconds since 1970.
pub(super) mod optional_millis {
    use super::{Deserialize, Deserializer, Serialize, Serializer};
    use crate::time::Timestamp;

    pub(in super::super) fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(Timestamp::as_millis).serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        let millis = Option::<i64>::deserialize(from)?;
        Ok(millis.map(Timestamp::from_millis))
    }
}
