//! Hello: who the service is, and the bounds it enforces (service §5.1, P 10.5).

use mesh_common::account::AccountPolicy;
use mesh_common::limits::POST_MESSAGES_MAX;
use mesh_common::protocol::{
    ConstraintsData, Encoding, HelloResponse, Outcome, PolicyAccount, Response, Version,
};

use crate::identity::ServiceIdentity;

/// The answer of the service that `identity` is, for a domain where `policy` holds.
pub(crate) fn response(identity: &ServiceIdentity, policy: &AccountPolicy) -> Response {
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
        constraints_update: Some(bounds(
            policy.upload_envelopes_max,
            policy.upload_payload_bytes_max,
        )),
        constraints_post: Some(bounds(POST_MESSAGES_MAX, policy.message_payload_bytes_max)),
        policy_account: Some(PolicyAccount {
            minimum: Some(policy.names.characters_min as u64),
            maximum: Some(policy.names.characters_max as u64),
            invalid_characters: Some(policy.names.characters_invalid.clone()),
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
