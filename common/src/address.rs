//! Account addresses: `user@domain`, compared in canonical form (service §1.2, decision Q-45).

use std::fmt;

use crate::limits::{ADDRESS_BYTES_MAX, NAME_CHARACTERS_INVALID};

/// An account address as it was first written, with its canonical form.
///
/// The canonical form is what addresses are compared by: user part in ASCII lower case, domain as
/// lower-case A-labels (decision Q-35). Equality and order use it alone.
#[derive(Debug, Clone)]
pub struct AccountAddress {
    written: String,
    canonical: String,
    user_bytes: usize,
}

/// Why a text is no account address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// There is no `@`, or nothing on one side of it.
    #[error("an account address is written user@domain")]
    Form,
    /// A character that no name may hold.
    #[error("an account name must not hold {character:?}")]
    Character {
        /// The character.
        character: char,
    },
    /// Longer than [`ADDRESS_BYTES_MAX`].
    #[error("an account address has at most {ADDRESS_BYTES_MAX} octets")]
    TooLong,
    /// The domain is no domain name.
    #[error("the domain of the account address is not a domain name")]
    Domain,
}

impl AccountAddress {
    /// Reads `user@domain`, split at the last `@`.
    ///
    /// # Errors
    /// [`AddressError`]: its variants say when.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.len() > ADDRESS_BYTES_MAX {
            return Err(AddressError::TooLong);
        }
        let (user, domain) = text.rsplit_once('@').ok_or(AddressError::Form)?;
        if user.is_empty() || domain.is_empty() {
            return Err(AddressError::Form);
        }
        if let Some(character) = user.chars().find(|&character| is_forbidden(character)) {
            return Err(AddressError::Character { character });
        }
        let user_bytes = user.len();
        let canonical = if is_plain_domain(domain) {
            text.to_ascii_lowercase()
        } else {
            format!(
                "{}@{}",
                user.to_ascii_lowercase(),
                canonical_domain(domain)?
            )
        };
        Ok(Self {
            written: text.to_owned(),
            canonical,
            user_bytes,
        })
    }

    /// As first written.
    #[must_use]
    pub fn as_written(&self) -> &str {
        &self.written
    }

    /// Whether `text` is this address, however it is written.
    ///
    /// What is written as this address was, or canonically, is told without reading it.
    #[must_use]
    pub fn is_written(&self, text: &str) -> bool {
        text == self.written
            || text == self.canonical
            || Self::parse(text).is_ok_and(|address| address == *self)
    }

    /// In canonical form.
    #[must_use]
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// The user part, canonical.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.canonical[..self.user_bytes]
    }

    /// The domain, canonical.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.canonical[self.user_bytes + 1..]
    }
}

/// The lower-case A-label form of a domain name.
///
/// # Errors
/// [`AddressError::Domain`] if `domain` is none.
pub fn canonical_domain(domain: &str) -> Result<String, AddressError> {
    if is_plain_domain(domain) {
        return Ok(domain.to_ascii_lowercase());
    }
    canonical_domain_by_unicode(domain)
}

/// Octets of a domain name (RFC 1035 §2.3.4).
const DOMAIN_BYTES_MAX: usize = 253;
/// Octets of one label of a domain name (RFC 1035 §2.3.4).
const LABEL_BYTES_MAX: usize = 63;

/// Whether a domain is made of letters, digits and hyphens in places where they mean nothing: its
/// canonical form is then the lower case, and no table of Unicode is asked. Nearly every domain is.
fn is_plain_domain(domain: &str) -> bool {
    let is_plain = |label: &[u8]| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label
                .iter()
                .all(|octet| octet.is_ascii_alphanumeric() || *octet == b'-')
            && !label.starts_with(b"-")
            && !label.ends_with(b"-")
            // `xn--` says that the label is another one; whatever else has them there is refused.
            && label.get(2..4) != Some(b"--")
    };
    domain.len() <= DOMAIN_BYTES_MAX
        && domain
            .as_bytes()
            .split(|octet| *octet == b'.')
            .all(is_plain)
}

fn canonical_domain_by_unicode(domain: &str) -> Result<String, AddressError> {
    let ascii = idna::domain_to_ascii_strict(domain).map_err(|_| AddressError::Domain)?;
    let trimmed = ascii.strip_suffix('.').unwrap_or(&ascii);
    let labels_hold = trimmed
        .split('.')
        .all(|label| !label.is_empty() && label.len() <= LABEL_BYTES_MAX);
    if trimmed.is_empty() || trimmed.len() > DOMAIN_BYTES_MAX || !labels_hold {
        return Err(AddressError::Domain);
    }
    Ok(trimmed.to_owned())
}

fn is_forbidden(character: char) -> bool {
    character.is_control()
        || character.is_whitespace()
        || NAME_CHARACTERS_INVALID.contains(character)
}

impl PartialEq for AccountAddress {
    fn eq(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }
}

impl Eq for AccountAddress {}

impl std::hash::Hash for AccountAddress {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.canonical.hash(state);
    }
}

impl PartialOrd for AccountAddress {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for AccountAddress {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.canonical.cmp(&other.canonical)
    }
}

impl fmt::Display for AccountAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.written)
    }
}

impl std::str::FromStr for AccountAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

impl serde::Serialize for AccountAddress {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.written)
    }
}

impl<'de> serde::Deserialize<'de> for AccountAddress {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::{SeededEntropy, draw};

    #[test]
    fn addresses_compare_in_canonical_form() {
        let one = AccountAddress::parse("Alice@Example.COM").unwrap();
        assert_eq!(one, AccountAddress::parse("alice@example.com").unwrap());
        assert_eq!(one.as_written(), "Alice@Example.COM");
        assert_eq!((one.user(), one.domain()), ("alice", "example.com"));
        let umlaut = AccountAddress::parse("a@Bücher.example").unwrap();
        assert_eq!(umlaut.domain(), "xn--bcher-kva.example");
    }

    #[test]
    fn an_address_is_known_however_it_is_written() {
        let address = AccountAddress::parse("Alice@B\u{fc}cher.example").unwrap();
        for text in [
            "Alice@B\u{fc}cher.example",
            "alice@xn--bcher-kva.example",
            "ALICE@b\u{dc}CHER.Example",
        ] {
            assert!(address.is_written(text), "{text}");
        }
        for text in [
            "alice@b\u{fc}cher.example.org",
            "alic@b\u{fc}cher.example",
            "Alice",
            "",
        ] {
            assert!(!address.is_written(text), "{text}");
        }
    }

    #[test]
    fn plain_domains_are_what_the_tables_of_unicode_make_of_them() {
        let long = ["a".repeat(63), "b".repeat(64)];
        let mut domains: Vec<String> = [
            "localhost",
            "EXAMPLE.com",
            "a.b",
            "1.2.3.4",
            "a-b.c--d.org",
            "ab--c.org",
            "xn--a.org",
            "xn--bcher-kva.org",
            "-a.org",
            "a-.org",
            "a..b",
            ".a",
            "a.",
            ".",
            "",
            "a_b.org",
            "[::1]",
            "a b",
            "b\u{fc}cher.org",
        ]
        .map(str::to_owned)
        .into();
        domains.extend(
            long.iter()
                .flat_map(|label| [label.clone(), format!("{label}.org")]),
        );
        domains.extend((120..=130).map(|labels| vec!["a"; labels].join(".")));
        let mut entropy = SeededEntropy::new(12);
        for _ in 0..2_000 {
            let drawn = draw::<9>(&mut entropy);
            let letter = |octet: &u8| char::from(b"aZ9-.x_n"[usize::from(octet % 8)]);
            domains.push(drawn.iter().map(letter).collect());
        }
        let mut plain = 0;
        for domain in domains {
            let expected = canonical_domain_by_unicode(&domain);
            assert_eq!(canonical_domain(&domain), expected, "{domain}");
            plain += u32::from(is_plain_domain(&domain));
        }
        assert!(plain > 100, "only {plain} of them were plain");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        assert_eq!(AccountAddress::parse("alice"), Err(AddressError::Form));
        assert_eq!(
            AccountAddress::parse("@example.com"),
            Err(AddressError::Form)
        );
        assert_eq!(AccountAddress::parse("alice@"), Err(AddressError::Form));
        for text in [
            "a b@x.org",
            "a/b@x.org",
            "a\u{7}@x.org",
            "a@b@x.org",
            "a,b@x.org",
        ] {
            assert!(
                matches!(
                    AccountAddress::parse(text),
                    Err(AddressError::Character { .. })
                ),
                "{text}"
            );
        }
        assert_eq!(AccountAddress::parse("a@x..org"), Err(AddressError::Domain));
        assert_eq!(AccountAddress::parse("a@-x.org"), Err(AddressError::Domain));
        let long = format!("{}@x.org", "a".repeat(ADDRESS_BYTES_MAX));
        assert_eq!(AccountAddress::parse(&long), Err(AddressError::TooLong));
    }
}
