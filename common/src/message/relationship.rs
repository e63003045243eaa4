//! The words in which messages speak of each other's state (service §6 and §7.8, decision Q-6).

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Declares an enumeration of words; a word that is not among them is kept as it is.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$meta:meta])* $word:ident,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$meta])* $word,)*
            /// A word this revision does not know.
            Other(String),
        }

        impl $name {
            /// The word.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$word => stringify!($word),)*
                    Self::Other(word) => word,
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $(stringify!($word) => Self::$word,)*
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(|word| Self::from(word.as_str()))
            }
        }
    };
}

words! {
    /// The state a message is in, as a MessageComplete says.
    Relationship {
        /// Its user has read it.
        Read,
        /// Its user wants to read it again.
        Unread,
        /// A request was granted.
        Accept,
        /// A request was denied.
        Reject,
        /// Its user does not want to see it again.
        Deleted,
        /// The recipient's service has accepted it (decision Q-6).
        Sent,
        /// It is in the recipient's Inbound spool.
        Received,
        /// The recipient's service does not want it.
        Refused,
        /// It could not be delivered.
        Failed,
        /// It could not be delivered yet.
        Delayed,
    }
}

words! {
    /// What became of a request to connect a device.
    ConnectionResult {
        /// The device is connected.
        Accept,
        /// It will not be.
        Reject,
        /// Not decided yet; only ever from an administrator.
        Pending,
    }
}
