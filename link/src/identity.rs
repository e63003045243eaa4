//! Who a process is to the others of its cluster: a name of the cluster, and roles, as URI names in its
//! certificate (decision Q-61).
//!
//! ```text
//!  mesh-node:example/backend        one name per role; the certificate of a process with two roles
//!  mesh-node:example/outbound       has two
//! ```

use std::fmt;
use std::str::FromStr;

use rustls::pki_types::CertificateDer;

/// What such a name begins with.
const SCHEME: &str = "mesh-node:";
/// Characters of a cluster's name.
const CLUSTER_CHARACTERS_MAX: usize = 63;

/// The name of a cluster: letters in lower case, digits and hyphens, at most 63.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClusterName(String);

/// A text that is no name of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a cluster is named by 1 to {CLUSTER_CHARACTERS_MAX} of a-z, 0-9 and hyphen, not {found:?}"
)]
pub struct ClusterNameError {
    found: String,
}

impl FromStr for ClusterName {
    type Err = ClusterNameError;

    fn from_str(text: &str) -> Result<Self, ClusterNameError> {
        let is_allowed =
            |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-';
        if (1..=CLUSTER_CHARACTERS_MAX).contains(&text.len()) && text.bytes().all(is_allowed) {
            return Ok(Self(text.to_owned()));
        }
        Err(ClusterNameError {
            found: text.chars().take(CLUSTER_CHARACTERS_MAX + 1).collect(),
        })
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What a process of a cluster may be (architecture §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkRole {
    /// It speaks with devices and other services, and may send what it verified.
    Frontend,
    /// It owns accounts.
    Backend,
    /// It owns destinations.
    Outbound,
}

impl LinkRole {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Frontend, Self::Backend, Self::Outbound];

    /// As certificates and people write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Frontend => "frontend",
            Self::Backend => "backend",
            Self::Outbound => "outbound",
        }
    }

    /// The name that a certificate for this role in `cluster` has.
    #[must_use]
    pub fn uri(self, cluster: &ClusterName) -> String {
        format!("{SCHEME}{cluster}/{}", self.as_str())
    }
}

impl fmt::Display for LinkRole {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The roles that one process has shown to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkRoles {
    /// [`LinkRole::Frontend`].
    pub frontend: bool,
    /// [`LinkRole::Backend`].
    pub backend: bool,
    /// [`LinkRole::Outbound`].
    pub outbound: bool,
}

impl LinkRoles {
    /// Every role: who comes over plain loopback is not asked (architecture A-5).
    pub const ALL: Self = Self {
        frontend: true,
        backend: true,
        outbound: true,
    };

    /// Whether it has `role`.
    #[must_use]
    pub const fn has(self, role: LinkRole) -> bool {
        match role {
            LinkRole::Frontend => self.frontend,
            LinkRole::Backend => self.backend,
            LinkRole::Outbound => self.outbound,
        }
    }

    /// Whether it is a node: a process with a store.
    #[must_use]
    pub const fn is_node(self) -> bool {
        self.backend || self.outbound
    }

    /// Whether it has any role at all.
    #[must_use]
    pub const fn any(self) -> bool {
        self.frontend || self.is_node()
    }

    /// The roles in `cluster` that `certificate` names; none if it cannot be read. It is believed by
    /// whoever has verified its chain.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>, cluster: &ClusterName) -> Self {
        let Ok(parsed) = webpki::EndEntityCert::try_from(certificate) else {
            return Self::default();
        };
        let names: Vec<&str> = parsed.valid_uri_names().collect();
        let has = |role: LinkRole| names.contains(&role.uri(cluster).as_str());
        Self {
            frontend: has(LinkRole::Frontend),
            backend: has(LinkRole::Backend),
            outbound: has(LinkRole::Outbound),
        }
    }
}

impl FromIterator<LinkRole> for LinkRoles {
    fn from_iter<I: IntoIterator<Item = LinkRole>>(roles: I) -> Self {
        let mut all = Self::default();
        for role in roles {
            match role {
                LinkRole::Frontend => all.frontend = true,
                LinkRole::Backend => all.backend = true,
                LinkRole::Outbound => all.outbound = true,
            }
        }
        all
    }
}

impl fmt::Display for LinkRoles {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_process = LinkRole::ALL.into_iter().filter(|role| self.has(*role));
        let names: Vec<&str> = of_process.map(LinkRole::as_str).collect();
        formatter.write_str(&names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_has_a_plain_name() {
        for text in ["example", "a", "eu-1"] {
            assert_eq!(text.parse::<ClusterName>().unwrap().to_string(), text);
        }
        let long = "a".repeat(64);
        for text in ["", "Example", "a/b", "a b", "b\u{fc}ro", long.as_str()] {
            assert!(text.parse::<ClusterName>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_name_of_a_role_is_as_promised() {
        let cluster = "example".parse().unwrap();
        let names = LinkRole::ALL.map(|role| role.uri(&cluster));
        assert_eq!(
            names,
            [
                "mesh-node:example/frontend",
                "mesh-node:example/backend",
                "mesh-node:example/outbound"
            ]
        );
        let roles: LinkRoles = [LinkRole::Backend, LinkRole::Outbound]
            .into_iter()
            .collect();
        assert_eq!(roles.to_string(), "backend, outbound");
        assert!(roles.is_node() && !roles.frontend);
    }
}
