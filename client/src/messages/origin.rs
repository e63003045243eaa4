//! Who a received message is from: the chain in its signature block, the sender it names, and what
//! the recipient's own contacts say about both (service §7.2, §7.4 steps 4 and 5, X-50). The
//! recipient's device checks this itself; that a service delivered it proves nothing to it.

use mesh_common::address::AccountAddress;
use mesh_common::crypto::PublicKey;
use mesh_common::dare::Envelope;
use mesh_common::message::Accreditation;
use mesh_common::udf::Udf;
use serde::Serialize;
use serde_json::{Map, Value};

use super::book::Book;

/// How far the sender of a message is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// The account in the owner's contacts signed it.
    Verified,
    /// An account signed it that the owner's contacts do not know.
    Stranger,
    /// A device of this account signed it.
    Own,
    /// The account's service signed it.
    Service,
    /// Nobody signed it.
    Unsigned,
    /// It is not what it says: a signature, a chain or a name in it is wrong.
    Forged,
}

impl Trust {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Stranger => "stranger",
            Self::Own => "own",
            Self::Service => "service",
            Self::Unsigned => "unsigned",
            Self::Forged => "FORGED",
        }
    }
}

/// Who a message is from.
#[derive(Debug, Clone, Serialize)]
pub struct Origin {
    /// How far that is proven.
    pub trust: Trust,
    /// The sender's address: proven, or merely claimed where `trust` says so.
    pub address: Option<String>,
    /// UDF of the account that signed.
    pub account: Option<Udf>,
    /// What the owner's contacts call the sender.
    pub contact: Option<String>,
    /// What is wrong, or not proven.
    pub why: Option<String>,
    /// The chain, where it verifies.
    #[serde(skip)]
    pub(crate) chain: Option<Box<Accreditation>>,
}

/// What a message is judged by.
pub(crate) struct Judge<'a> {
    pub(crate) book: &'a Book,
    pub(crate) own_address: &'a AccountAddress,
    pub(crate) own_account: &'a Udf,
    pub(crate) own_mesh: &'a Udf,
    /// Keys the service signs with.
    pub(crate) service_keys: Vec<PublicKey>,
}

impl Origin {
    fn new(trust: Trust, address: Option<String>) -> Self {
        Self {
            trust,
            address,
            account: None,
            contact: None,
            why: None,
            chain: None,
        }
    }

    fn because(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    /// The proven address; none where it is only claimed.
    #[must_use]
    pub fn proven_address(&self) -> Option<AccountAddress> {
        matches!(self.trust, Trust::Verified | Trust::Stranger)
            .then(|| AccountAddress::parse(self.address.as_deref()?).ok())?
    }
}

impl Judge<'_> {
    /// Judges the message in `envelope`, whose members are `body` if it could be read.
    pub(crate) fn judge(&self, envelope: &Envelope, body: Option<&Map<String, Value>>) -> Origin {
        let text = |member| body?.get(member)?.as_str().map(str::to_owned);
        let claimed: Option<String> = text("Sender");
        if envelope.signatures().is_empty() {
            return Origin::new(Trust::Unsigned, claimed).because("it is not signed");
        }
        if self
            .service_keys
            .iter()
            .any(|key| envelope.verify_by(key).is_ok())
        {
            return Origin::new(Trust::Service, claimed);
        }
        let forged = |why: String| Origin::new(Trust::Forged, claimed.clone()).because(why);
        let chain = match Accreditation::verify(envelope) {
            Ok(chain) => chain,
            Err(_) if self.book.signers.signed(envelope) => {
                return Origin::new(Trust::Own, claimed);
            }
            Err(error) => return forged(crate::verify::chain(&error)),
        };
        let addresses: Vec<AccountAddress> = chain
            .profile
            .service_ids
            .iter()
            .filter_map(|text| AccountAddress::parse(text).ok())
            .collect();
        let sender = match claimed.as_deref().map(AccountAddress::parse) {
            Some(Ok(sender)) if addresses.contains(&sender) => sender,
            Some(_) => return forged("its sender is not the account that signed it".to_owned()),
            // Whoever relays a ciphertext can sign it anew: only what is inside binds its author.
            None if envelope.header.is_encrypted() => {
                return forged("nothing inside says who wrote it".to_owned());
            }
            None => match addresses.into_iter().next() {
                Some(first) => first,
                None => return forged("the account that signed it has no address".to_owned()),
            },
        };
        if let Some(recipient) = text("Recipient")
            && AccountAddress::parse(&recipient).ok().as_ref() != Some(self.own_address)
        {
            return forged("it was written to somebody else".to_owned());
        }
        self.compare(chain, &sender)
    }

    /// Compares a chain that verifies with what the contacts say.
    fn compare(&self, chain: Accreditation, sender: &AccountAddress) -> Origin {
        let udf = chain.profile.udf().clone();
        let mut origin = Origin::new(Trust::Stranger, Some(sender.as_written().to_owned()));
        origin.account = Some(udf.clone());
        if udf == *self.own_account && chain.leads_to(&udf, Some(self.own_mesh.as_str())) {
            origin.trust = Trust::Own;
        } else if let Some(known) = self.book.by_account(&udf) {
            let mesh = known
                .account
                .as_ref()
                .and_then(|account| account.profile.mesh_profile_udf.as_deref());
            if chain.leads_to(&udf, mesh) {
                origin.trust = Trust::Verified;
            } else {
                origin.trust = Trust::Forged;
                origin = origin.because("another mesh vouches for the account than before");
            }
            origin.contact = Some(known.name.clone());
        } else if let Some(known) = self.book.by_address(sender).first() {
            origin.contact = Some(known.name.clone());
            if known.account.is_some() {
                origin.trust = Trust::Forged;
                origin = origin.because("another account signed it than the one in your contacts");
            } else {
                origin = origin.because("your contacts have the address, not the account");
            }
        } else {
            origin = origin.because("the account is not in your contacts");
        }
        if origin.trust != Trust::Forged {
            origin.chain = Some(Box::new(chain));
        }
        origin
    }
}

/// The members of a tagged message and its tag, of whatever kind it is.
pub(crate) fn tagged(plaintext: &[u8]) -> Option<(String, Map<String, Value>)> {
    let object: Map<String, Value> = mesh_common::encoding::json::parse(plaintext).ok()?;
    let mut members = object.into_iter();
    match (members.next(), members.next()) {
        (Some((tag, Value::Object(body))), None) => Some((tag, body)),
        _ => None,
    }
}
