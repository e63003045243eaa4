//! Hello: constant per configuration and identity, so it is made once (service §5.1).

use mesh_common::limits::{
    MESSAGE_PAYLOAD_BYTES_MAX, NAME_CHARACTERS_INVALID, NAME_CHARACTERS_MAX, NAME_CHARACTERS_MIN,
    POST_MESSAGES_MAX, UPLOAD_ENVELOPES_MAX, UPLOAD_PAYLOAD_BYTES_MAX,
};
use mesh_common::protocol::{
    ConstraintsData, Encoding, HelloResponse, Outcome, PolicyAccount, Response, Version,
};

use crate::identity::ServiceIdentity;

/// The answer of the service that `identity` is.
pub(crate) fn response(identity: &ServiceIdentity) -> Response {
    Response::Hello(Box::new(HelloResponse {
        // The reference implementation gives Hello no description (service §3).
        outcome: Outcome {
            status_description: None,
            ..Outcome::ok()
        },
        version: Some(Version {
            major: 3,
            minor: 0,
            encodings: vec![Encoding {
                id: vec!["application/json".into()],
                dictionary: Vec::new(),
            }],
            uri: Vec::new(),
        }),
        alternates: Vec::new(),
        constraints_update: Some(bounds(UPLOAD_ENVELOPES_MAX, UPLOAD_PAYLOAD_BYTES_MAX)),
        constraints_post: Some(bounds(POST_MESSAGES_MAX, MESSAGE_PAYLOAD_BYTES_MAX)),
        policy_account: Some(PolicyAccount {
            minimum: Some(NAME_CHARACTERS_MIN as u64),
            maximum: Some(NAME_CHARACTERS_MAX as u64),
            invalid_characters: Some(NAME_CHARACTERS_INVALID.to_owned()),
        }),
        enveloped_profile_service: Some(identity.profile_service.clone()),
        enveloped_profile_host: Some(identity.profile_host.clone()),
    }))
}

fn bounds(entries_max: usize, bytes_max: usize) -> ConstraintsData {
    ConstraintsData {
        max_entries: i64::try_from(entries_max).ok(),
        bytes_max: i64::try_from(bytes_max).ok(),
        ..ConstraintsData::default()
    }
}
