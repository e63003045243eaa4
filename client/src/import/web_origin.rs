//! Protocol and service of the address of a login.

/// Where a login belongs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// The scheme, in lower case.
    pub(super) protocol: Option<String>,
    /// The host, in lower case, and the port where there is one.
    pub(super) service: String,
    /// Whether the address says more: a path, a user, further addresses.
    pub(super) rest: bool,
}

impl Origin {
    /// Reads an address; whatever has no host is taken whole.
    pub(super) fn of(address: &str) -> Self {
        let address = address.trim();
        let (protocol, behind) = match address.split_once("://") {
            Some((scheme, behind)) if is_scheme(scheme) => {
                (Some(scheme.to_ascii_lowercase()), behind)
            }
            _ => (None, address),
        };
        let end = behind
            .find(['/', '?', '#', ',', ' '])
            .unwrap_or(behind.len());
        let (authority, rest) = behind.split_at(end);
        let host = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        let host = host.to_lowercase();
        if host.is_empty() {
            return Self {
                protocol,
                service: behind.to_owned(),
                rest: false,
            };
        }
        let default_port = match protocol.as_deref() {
            Some("https") => ":443",
            Some("http") => ":80",
            _ => "",
        };
        let service = match host.strip_suffix(default_port) {
            Some(bare) if !default_port.is_empty() && !bare.is_empty() => bare.to_owned(),
            _ => host,
        };
        let said = authority.to_lowercase() == service && matches!(rest, "" | "/");
        Self {
            protocol,
            service,
            rest: !said,
        }
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && text
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gives_protocol_and_host() {
        for (address, protocol, service, rest) in [
            (
                "https://mail.example.com",
                Some("https"),
                "mail.example.com",
                false,
            ),
            (
                "https://Mail.Example.com/",
                Some("https"),
                "mail.example.com",
                false,
            ),
            (
                "https://mail.example.com/login?a=b",
                Some("https"),
                "mail.example.com",
                true,
            ),
            (
                "http://a:b@example.com:8080/",
                Some("http"),
                "example.com:8080",
                true,
            ),
            (
                "https://example.com:443/",
                Some("https"),
                "example.com",
                true,
            ),
            (
                "http://[2001:db8::1]:81/",
                Some("http"),
                "[2001:db8::1]:81",
                false,
            ),
            (
                "android://hash==@com.example.app/",
                Some("android"),
                "com.example.app",
                true,
            ),
            ("example.com/x", None, "example.com", true),
            (
                "https://a.example,https://b.example",
                Some("https"),
                "a.example",
                true,
            ),
            ("moz-extension://x", Some("moz-extension"), "x", false),
            ("://", None, ":", true),
            ("file:///home", Some("file"), "/home", false),
            ("", None, "", false),
        ] {
            let expected = Origin {
                protocol: protocol.map(Into::into),
                service: service.into(),
                rest,
            };
            assert_eq!(Origin::of(address), expected, "{address}");
        }
    }
}
