//! Recipients whose accounts live at other services. Until messages are forwarded, a Post that names
//! one is refused as a whole, before anything is written: a message that only some of its recipients
//! get would look sent.

use crate::address::AccountAddress;
use crate::error::ServiceError;
use crate::protocol::Code;

/// The refusal of a Post to `recipient`: 501/101, since no other request would be carried out either.
pub(super) fn refuse(recipient: &AccountAddress) -> ServiceError {
    ServiceError::new(
        Code::UnknownOperation,
        format!(
            "this service delivers to accounts of its own domains only, not to {}",
            recipient.domain()
        ),
    )
}
