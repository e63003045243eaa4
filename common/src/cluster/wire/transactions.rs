//! The requests and responses of the protocol.

use super::basic::{put_list, take_list, wire_lists};
use super::{Input, Wire, WireError, wire_enum, wire_struct};
use crate::protocol::{
    CompleteRequest, CompleteResponse, ConnectRequest, ConnectResponse, ConstraintsData,
    ConstraintsSelect, ContainerStatus, ContainerUpdate, CreateRequest, CreateResponse,
    DeleteRequest, DeleteResponse, DownloadRequest, DownloadResponse, Encoding, EntryResponse,
    EntryResult, HelloRequest, HelloResponse, MeshResponse, Outcome, PolicyAccount, PostRequest,
    PostResponse, Request, Response, StatusRequest, StatusResponse, StatusRows, UploadRequest,
    UploadResponse, Version,
};

wire_lists!(
    ContainerUpdate,
    ConstraintsSelect,
    EntryResponse,
    Version,
    Encoding,
);

wire_enum!(Request {
    0 => Hello(request),
    1 => CreateAccount(request),
    2 => DeleteAccount(request),
    3 => Complete(request),
    4 => Status(request),
    5 => Download(request),
    6 => Upload(request),
    7 => Post(request),
    8 => Connect(request),
});

wire_enum!(Response {
    0 => Hello(response),
    1 => CreateAccount(response),
    2 => DeleteAccount(response),
    3 => Complete(response),
    4 => Status(response),
    5 => Download(response),
    6 => Upload(response),
    7 => Post(response),
    8 => Connect(response),
    9 => Unknown(response),
});

wire_struct!(HelloRequest { service, id });
wire_struct!(CreateRequest {
    service,
    id,
    service_id,
    signed_profile_mesh,
    signed_assertion_account,
});
wire_struct!(DeleteRequest {
    service,
    id,
    account,
    device_profile,
});
wire_struct!(CompleteRequest {
    service,
    id,
    account,
    device_profile,
    device_udf,
    profile_master_digest,
    catalogs,
    spools,
    service_id,
    response_id,
});
wire_struct!(StatusRequest {
    service,
    id,
    account,
    device_profile,
    device_udf,
    profile_master_digest,
    catalogs,
    spools,
});
wire_struct!(DownloadRequest {
    service,
    id,
    account,
    device_profile,
    select,
    constraints_post,
});
wire_struct!(UploadRequest {
    service,
    id,
    account,
    device_profile,
    updates,
    self_messages,
});
wire_struct!(PostRequest {
    service,
    id,
    accounts,
    messages,
    self_messages,
});
wire_struct!(ConnectRequest {
    service,
    id,
    message_connection_request_client,
});

wire_struct!(Outcome {
    status,
    status_extended,
    status_description,
    id,
});
wire_struct!(MeshResponse { outcome });
wire_struct!(HelloResponse {
    outcome,
    version,
    alternates,
    constraints_update,
    constraints_post,
    policy_account,
    enveloped_profile_service,
    enveloped_profile_host,
});
wire_struct!(CreateResponse {
    outcome,
    reason,
    url,
});
wire_struct!(DeleteResponse { outcome });
wire_struct!(CompleteResponse {
    outcome,
    signed_response,
});
wire_struct!(StatusResponse {
    outcome,
    enveloped_profile_master,
    enveloped_catalog_entry_device,
    container_status,
});
wire_struct!(DownloadResponse { outcome, updates });
wire_struct!(UploadResponse {
    outcome,
    entries,
    constraints_data,
});
wire_struct!(PostResponse {
    outcome,
    entries,
    constraints_data,
});
wire_struct!(ConnectResponse {
    outcome,
    enveloped_connection_response,
    enveloped_profile_master,
    enveloped_account_assertion,
});

wire_struct!(Version {
    major,
    minor,
    encodings,
    uri,
});
wire_struct!(Encoding { id, dictionary });
wire_struct!(PolicyAccount {
    minimum,
    maximum,
    invalid_characters,
});
wire_struct!(ConstraintsSelect {
    container,
    index_min,
    index_max,
    not_before,
    before,
    page_key,
});
wire_struct!(ConstraintsData {
    max_entries,
    bytes_offset,
    bytes_max,
    header,
    payload,
    trailer,
});
wire_struct!(ContainerStatus {
    container,
    index,
    digest,
});
wire_struct!(ContainerUpdate {
    container,
    index,
    digest,
    envelopes,
});
wire_struct!(EntryResponse {
    index_request,
    index_container,
    result,
    constraints_data,
});
wire_enum!(EntryResult {
    0 => Accept,
    1 => Reject,
    2 => Conflict,
});

/// The rows; what was written of them is written again where they are read.
impl Wire for StatusRows {
    fn put(&self, out: &mut Vec<u8>) {
        put_list(self.iter(), out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        take_list::<ContainerStatus>(input).map(Self::from)
    }
}
