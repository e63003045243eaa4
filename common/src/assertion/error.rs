//! Why an assertion is not believed, and the codes that its sender sees (service §3, decisions Q-1
//! and Q-25).

use crate::crypto::KeyError;
use crate::dare::EnvelopeError;
use crate::encoding::json::JsonError;
use crate::error::ServiceError;
use crate::protocol::Code;

/// Why an assertion is not believed.
#[derive(Debug, thiserror::Error)]
pub enum AssertionError {
    /// Not the tagged structure that was expected here.
    #[error("the {tag} cannot be read")]
    Unreadable {
        /// The structure.
        tag: &'static str,
        /// What the reader says.
        #[source]
        source: JsonError,
    },
    /// It is encrypted where everybody must be able to read it.
    #[error("the {tag} is encrypted")]
    Encrypted {
        /// The structure.
        tag: &'static str,
    },
    /// A member it cannot do without is absent.
    #[error("the {tag} has no {member}")]
    Missing {
        /// The structure.
        tag: &'static str,
        /// The member.
        member: &'static str,
    },
    /// A member holds more than our bound allows.
    #[error("the {tag} has too many {member}")]
    TooMany {
        /// The structure.
        tag: &'static str,
        /// The member.
        member: &'static str,
    },
    /// A key that is no point of its curve, or not the one its UDF names.
    #[error("{member} of the {tag} is no usable key")]
    Key {
        /// The structure.
        tag: &'static str,
        /// The member.
        member: &'static str,
        /// What is wrong with it.
        #[source]
        source: KeyError,
    },
    /// A key of another curve than its use needs.
    #[error("{member} of the {tag} must be an Ed448 key")]
    Curve {
        /// The structure.
        tag: &'static str,
        /// The member.
        member: &'static str,
    },
    /// The digest stated is not that of the payload, or of an unknown kind.
    #[error("the digest of the {tag} does not match its payload")]
    Digest {
        /// The structure.
        tag: &'static str,
        /// What was found.
        #[source]
        source: EnvelopeError,
    },
    /// A known key's signature does not verify (decision Q-32).
    #[error("the signature of the {tag} by {kid} does not verify")]
    Signature {
        /// The structure.
        tag: &'static str,
        /// The key that is said to have signed.
        kid: String,
    },
    /// Nobody signed it who could (decision Q-32).
    #[error("the {tag} is not signed by a key that may sign it")]
    Unsigned {
        /// The structure.
        tag: &'static str,
    },
    /// A member names another subject, authority or account than it must (decision Q-42).
    #[error("{member} of the {tag} does not match")]
    Mismatch {
        /// The structure.
        tag: &'static str,
        /// The member.
        member: &'static str,
    },
    /// An envelope inside it cannot be decrypted by the one it is for.
    #[error("the {tag} cannot be decrypted")]
    Undecryptable {
        /// The structure.
        tag: &'static str,
        /// What went wrong.
        #[source]
        source: EnvelopeError,
    },
}

impl AssertionError {
    /// The code this has in the content of a request: a signature or digest that fails is
    /// 422/115, everything else 422/116 (decision Q-25).
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Digest { .. } | Self::Signature { .. } | Self::Unsigned { .. } => {
                Code::InvalidSignature
            }
            Self::Unreadable { .. }
            | Self::Encrypted { .. }
            | Self::Missing { .. }
            | Self::TooMany { .. }
            | Self::Key { .. }
            | Self::Curve { .. }
            | Self::Mismatch { .. }
            | Self::Undecryptable { .. } => Code::InvalidProfile,
        }
    }

    /// The refusal of a request whose content holds this assertion.
    #[must_use]
    pub fn refusal(&self) -> ServiceError {
        ServiceError::new(self.code(), self.to_string()).with_context(self.context())
    }

    /// The refusal of a request that was authenticated by this assertion: it tells the peer
    /// nothing (decision Q-1).
    #[must_use]
    pub fn credential_refusal(&self) -> ServiceError {
        crate::session::authentication_failed(self.context())
    }

    /// The sentence with its causes.
    fn context(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}
