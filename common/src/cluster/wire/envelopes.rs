//! Envelopes, fingerprints, addresses, moments, errors.

use super::basic::{put_octets, take_octets, take_text, wire_lists};
use super::{Input, Wire, WireError, wire_struct};
use crate::address::AccountAddress;
use crate::assertion::Permission;
use crate::catalog::entry::Members;
use crate::dare::{ContainerInfo, Envelope, Header, Recipient, Signature, Trailer};
use crate::encoding::base64url::Binary;
use crate::error::ServiceError;
use crate::protocol::Code;
use crate::session::RequestId;
use crate::time::Timestamp;
use crate::udf::Udf;

wire_lists!(Binary, Signature, Recipient, Envelope, Permission, Udf);

impl Wire for Binary {
    fn put(&self, out: &mut Vec<u8>) {
        put_octets(&self.0, out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        take_octets(input).map(Self::from)
    }
}

impl Wire for Envelope {
    fn put(&self, out: &mut Vec<u8>) {
        let Self {
            header,
            payload,
            trailer,
        } = self;
        header.put(out);
        payload.put(out);
        trailer.put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        // Envelopes stand in signatures of envelopes.
        input.deeper(|input| {
            Ok(Self {
                header: Wire::take(input)?,
                payload: Wire::take(input)?,
                trailer: Wire::take(input)?,
            })
        })
    }
}

wire_struct!(Header {
    envelope_id,
    enc,
    dig,
    salt,
    malt,
    cloaked,
    annotations,
    signatures,
    recipients,
    content_meta_data,
    container_info,
    container_index,
    session,
    payload_digest,
    chain_digest,
    tree_digest,
    extra,
});

wire_struct!(Trailer {
    signatures,
    signed_data,
    payload_digest,
    chain_digest,
    tree_digest,
    extra,
});

wire_struct!(Signature {
    dig,
    alg,
    kid,
    signature,
    witness,
    enveloped_connection,
    enveloped_profile,
    enveloped_profile_mesh,
    extra,
});

wire_struct!(Recipient {
    kid,
    kwd,
    epk,
    wmk,
    extra,
});

wire_struct!(ContainerInfo {
    data_encoding,
    index,
    container_type,
    is_meta,
    default,
    tree_position,
    index_position,
    exchange_position,
    extra,
});

wire_struct!(Permission {
    name,
    role,
    capabilities,
    extra,
});

impl Wire for Members {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        Wire::take(input).map(Self)
    }
}

/// The canonical text.
impl Wire for Udf {
    fn put(&self, out: &mut Vec<u8>) {
        put_octets(self.as_str().as_bytes(), out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        let text = take_text(input)?;
        Self::parse(text)
            .ok()
            .filter(|udf| udf.as_str() == text)
            .ok_or(WireError::Value {
                what: "fingerprint",
            })
    }
}

/// As it was written.
impl Wire for AccountAddress {
    fn put(&self, out: &mut Vec<u8>) {
        put_octets(self.as_written().as_bytes(), out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        Self::parse(take_text(input)?).map_err(|_| WireError::Value {
            what: "account address",
        })
    }
}

/// Milliseconds since 1970.
impl Wire for Timestamp {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_millis().put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        i64::take(input).map(Self::from_millis)
    }
}

impl Wire for RequestId {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        Wire::take(input).map(Self)
    }
}

/// Status and extended status, by which the table of codes is known (service §3).
impl Wire for Code {
    fn put(&self, out: &mut Vec<u8>) {
        self.status().put(out);
        self.status_extended().put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        Self::from_status(u16::take(input)?, Wire::take(input)?).ok_or(WireError::Value {
            what: "status of the protocol",
        })
    }
}

wire_struct!(ServiceError {
    code,
    message,
    context,
    retry_after,
});
