//! What DNS says of a service: SRV targets with their addresses, and TXT records (service §9.2).

use core::net::IpAddr;

use crate::limits::SERVICE_PATH_BYTES_MAX;
use crate::udf::Udf;

/// One target of a domain's SRV records, or its fallback host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Lower ones are tried first.
    pub priority: u16,
    /// Share among those of one priority.
    pub weight: u16,
    /// The host's name, canonical, without the last dot.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Addresses that may be connected to, in the order they are tried.
    pub addresses: Vec<IpAddr>,
    /// Where requests are posted to, if not to the well-known path: TXT `path=` of the host, else of
    /// the domain.
    pub path: Option<String>,
}

/// Where the service of a domain is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Located {
    /// Its targets, at least one of them with an address.
    pub targets: Vec<Target>,
    /// UDF of its ProfileService, from TXT `udf=`: what stands there replaces trust on first use,
    /// never the fetch (decision Q-52).
    pub udf: Option<Udf>,
}

/// A domain has no service that may be posted to, and DNS says so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Absence {
    /// The domain does not exist; the zone above it says so.
    #[error("the domain does not exist")]
    NoDomain,
    /// The domain says that it has no Mesh service: SRV target ".".
    #[error("the domain has no Mesh service")]
    NoService,
    /// The domain exists and names no host that has an address.
    #[error("the domain names no host of a Mesh service that has an address")]
    NoHost,
    /// All addresses are ones that this service does not connect to.
    #[error("the domain's addresses are private or loopback, which discovery does not allow here")]
    Forbidden,
}

/// What the TXT records of a service or a host say; keys that are not known are ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceText {
    /// Where requests are posted to.
    pub path: Option<String>,
    /// UDF of the ProfileService.
    pub udf: Option<Udf>,
}

impl ServiceText {
    /// Reads the strings of all TXT records at one name. The first usable value of a key counts;
    /// what cannot be used is as if it were not there.
    pub fn read<'a>(strings: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut text = Self::default();
        for string in strings {
            let Some((key, value)) = std::str::from_utf8(string)
                .ok()
                .and_then(|string| string.split_once('='))
            else {
                continue;
            };
            if key.eq_ignore_ascii_case("path") {
                text.path = text.path.or_else(|| usable_path(value));
            } else if key.eq_ignore_ascii_case("udf") {
                text.udf = text.udf.or_else(|| Udf::parse(value).ok());
            }
        }
        text
    }
}

/// A path that can stand in a request line as it is.
fn usable_path(value: &str) -> Option<String> {
    let holds = value.starts_with('/')
        && value.len() <= SERVICE_PATH_BYTES_MAX
        && value
            .bytes()
            .all(|octet| octet.is_ascii_graphic() && !matches!(octet, b'?' | b'#'));
    holds.then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(strings: &[&str]) -> ServiceText {
        ServiceText::read(strings.iter().map(|string| string.as_bytes()))
    }

    #[test]
    fn path_and_fingerprint_are_read_and_the_rest_is_ignored() {
        let text = read(&[
            "version=3.0",
            "udf=MBSC-YIGU-GPCJ-YQGJ-763A-X6Y4-DDZN",
            "path=/service",
            "nothing",
        ]);
        assert_eq!(text.path.as_deref(), Some("/service"));
        assert_eq!(
            text.udf.as_ref().map(Udf::as_str),
            Some("MBSC-YIGU-GPCJ-YQGJ-763A-X6Y4-DDZN")
        );
        let rest = ServiceText::read([&b"\xff\xfe=x"[..], b"=", b""]);
        assert_eq!(rest, ServiceText::default());
    }

    #[test]
    fn a_path_that_no_request_line_can_carry_is_none() {
        for path in [
            "path=",
            "path=service",
            "path=/a b",
            "path=/a?b",
            "path=/a\r\nHost: x",
            "path=/\u{fc}",
        ] {
            assert_eq!(read(&[path]).path, None, "{path}");
        }
        let long = format!("path=/{}", "a".repeat(SERVICE_PATH_BYTES_MAX));
        assert_eq!(read(&[&long]).path, None);
        assert_eq!(read(&[&long, "path=/b"]).path.as_deref(), Some("/b"));
    }
}
