//! What front-ends established: the caller, and the evidence about what a request carries.

use super::basic::{put_list, take_list, wire_lists};
use super::{Input, Wire, WireError, wire_enum, wire_struct};
use crate::account::IntakeMessage;
use crate::account::intake::{ForwardingService, MessageSender};
use crate::cluster::{
    AccountRequest, ConnectEvidence, ContentEvidence, CreateEvidence, DeviceEvidence, DeviceFacts,
    Evidence, MessageEvidence, MessageSigners, SigningDevice, SigningKeys, Verified,
};
use crate::session::{Caller, Mode, Via};

/// What was established, as such: whoever reads it knows that it comes from a front-end (decision
///
impl<T: Wire> Wire for Verified<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (**self).put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        T::take(input).map(Self::declare)
    }
}

wire_struct!(AccountRequest {
    account,
    caller,
    request_id,
    request_digest,
    received_at,
    deadline,
    request,
    evidence,
});

wire_struct!(Caller {
    mode,
    via,
    account,
    profile_udf,
    key_udf,
    credential_digest,
    domain,
});
wire_enum!(Mode {
    0 => Device,
    1 => Profile,
    2 => Service,
    3 => Interop,
});
wire_enum!(Via {
    0 => Exchange,
    1 => Ticket,
    2 => Bare,
});

wire_enum!(Evidence {
    0 => Nothing,
    1 => Create(evidence),
    2 => Content(evidence),
    3 => Connection(evidence),
    4 => Forwarded(message),
});

wire_struct!(CreateEvidence {
    keys,
    mesh_updated,
    account_updated,
    mesh_digest,
    account_digest,
    by_offline_key,
    device_keys,
});
wire_struct!(SigningKeys {
    profile_version,
    mesh_udf,
    mesh_keys,
    account_udf,
    account_keys,
});

wire_struct!(ContentEvidence {
    profile_version,
    devices,
    messages,
});
wire_lists!((usize, DeviceEvidence), (usize, MessageEvidence));
wire_enum!(DeviceEvidence {
    0 => Valid(facts),
    1 => Invalid(error),
});
wire_struct!(DeviceFacts {
    device_udf,
    profile_keys,
    device_key,
    connection_digests,
    lists_permissions,
    is_administrator,
});
wire_enum!(MessageEvidence {
    0 => Valid(signers),
    1 => Invalid(error),
});
wire_struct!(MessageSigners { device, online_key });
wire_struct!(SigningDevice {
    key_udf,
    connection_digest,
    permissions,
});

impl Wire for Vec<[u8; 32]> {
    fn put(&self, out: &mut Vec<u8>) {
        put_list(self.iter(), out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        take_list(input)
    }
}

wire_struct!(ConnectEvidence {
    profile_version,
    device_udf,
    published_id,
    message_id,
    acknowledgement,
});

wire_struct!(IntakeMessage {
    sender,
    service,
    unique_id,
    message_type,
    payload_digest,
    envelope,
    block_bytes,
});
wire_struct!(MessageSender {
    address,
    account_udf,
    mesh_udf,
    signed_by,
});
wire_struct!(ForwardingService { domain, udf });
