//! To whom a Post goes: well-formed addresses, not too many, and not too much for one commit (service §7.2, decisions ).

use super::outgoing::Outgoing;
use crate::address::AccountAddress;
use crate::error::ServiceError;
use crate::limits::{
    POST_DELIVERED_BLOCKS_BYTES_MAX, POST_DELIVERED_BYTES_MAX, POST_RECIPIENTS_MAX,
};
use crate::protocol::{Code, PostRequest};

/// The recipients of a Post, each once, in the order of the request.
#[derive(Debug)]
pub(super) struct Recipients(Vec<AccountAddress>);

impl Recipients {
    /// Reads `Accounts`.
    ///
    /// # Errors
    /// 413/8 for too many, 422/117 for what is no address.
    pub(super) fn of(request: &PostRequest) -> Result<Self, ServiceError> {
        let count = request.accounts.len();
        if count > POST_RECIPIENTS_MAX {
            return Err(ServiceError::new(
                Code::TooLarge,
                format!(
                    "a Post has at most {POST_RECIPIENTS_MAX} recipients, this one has {count}"
                ),
            ));
        }
        let mut recipients: Vec<AccountAddress> = Vec::with_capacity(count);
        for text in &request.accounts {
            let address = AccountAddress::parse(text).map_err(|error| {
                ServiceError::new(
                    Code::InvalidName,
                    format!("a recipient is no account: {error}"),
                )
            })?;
            if !recipients.contains(&address) {
                recipients.push(address);
            }
        }
        Ok(Self(recipients))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &AccountAddress> {
        self.0.iter()
    }

    /// Whether `messages` for all recipients fit into one commit (decision Q-55).
    ///
    /// # Errors
    /// 413/8.
    pub(super) fn check_size(&self, messages: &[Outgoing<'_>]) -> Result<(), ServiceError> {
        let payloads: usize = messages.iter().map(Outgoing::payload_octets).sum();
        let blocks: usize = messages.iter().map(Outgoing::block_octets).sum();
        let count = self.0.len();
        for (what, octets, max) in [
            ("payload", payloads * count, POST_DELIVERED_BYTES_MAX),
            (
                "header and trailer",
                blocks * count,
                POST_DELIVERED_BLOCKS_BYTES_MAX,
            ),
        ] {
            if octets > max {
                return Err(ServiceError::new(
                    Code::TooLarge,
                    format!(
                        "the messages of a Post have at most {max} octets of {what}, each counted \
                         once per recipient; these have {octets}"
                    ),
                ));
            }
        }
        Ok(())
    }
}
