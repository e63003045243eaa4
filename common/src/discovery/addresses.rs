//! Which addresses a service connects to because a domain says so. Whoever writes a DNS record must not
//! be able to make a service speak to its own host or its neighbours (delivery §11).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is allowed beyond addresses of the public network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AddressRules {
    /// Addresses of this host.
    pub allow_loopback: bool,
    /// Addresses of private networks, link-local and shared ones included.
    pub allow_private: bool,
}

/// What an address is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Public,
    Private,
    Loopback,
    /// Nobody can be connected to there.
    Never,
}

impl AddressRules {
    /// Whether `address` may be connected to. An IPv6 address that carries an IPv4 address is
    /// judged by that one.
    #[must_use]
    pub fn permit(&self, address: IpAddr) -> bool {
        let kind = match address {
            IpAddr::V4(address) => kind_of_v4(address),
            IpAddr::V6(address) => kind_of_v6(address),
        };
        match kind {
            Kind::Public => true,
            Kind::Private => self.allow_private,
            Kind::Loopback => self.allow_loopback,
            Kind::Never => false,
        }
    }
}

/// IANA's registry of special-purpose addresses (RFC 6890), as far as it matters here.
fn kind_of_v4(address: Ipv4Addr) -> Kind {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        (127, ..) => Kind::Loopback,
        (10, ..)
        | (100, 64..=127, _)
        | (169, 254, _)
        | (172, 16..=31, _)
        | (192, 168, _)
        | (198, 18..=19, _) => Kind::Private,
        (0 | 224..=255, ..) | (192, 0, 0 | 2) | (192, 88, 99) | (198, 51, 100) | (203, 0, 113) => {
            Kind::Never
        }
        _ => Kind::Public,
    }
}

fn kind_of_v6(address: Ipv6Addr) -> Kind {
    if address == Ipv6Addr::LOCALHOST {
        return Kind::Loopback;
    }
    let segments = address.segments();
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        kind_of_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // IPv4-mapped, and translated by NAT64.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            embedded(high, low)
        }
        // 6to4.
        [0x2002, high, low, ..] => embedded(high, low),
        // Unique local, link-local, NAT64 of one's own network.
        [0xfc00..=0xfdff, ..] | [0xfe80..=0xfebf, ..] | [0x64, 0xff9b, 1, ..] => Kind::Private,
        // Teredo and other protocol assignments, documentation.
        [0x2001, 0x0000..=0x01ff, ..] | [0x2001, 0x0db8, ..] => Kind::Never,
        // The global unicast addresses that have been given out.
        [0x2000..=0x3fff, ..] => Kind::Public,
        _ => Kind::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permitted(rules: AddressRules, text: &str) -> bool {
        rules.permit(text.parse().unwrap())
    }

    const PUBLIC_ONLY: AddressRules = AddressRules {
        allow_loopback: false,
        allow_private: false,
    };
    const LOOPBACK: AddressRules = AddressRules {
        allow_loopback: true,
        allow_private: false,
    };
    const PRIVATE: AddressRules = AddressRules {
        allow_loopback: false,
        allow_private: true,
    };

    #[test]
    fn public_addresses_are_always_permitted() {
        for text in [
            "1.1.1.1",
            "93.184.216.34",
            "172.32.0.1",
            "100.128.0.1",
            "2606:2800:220:1::1",
            "2a00:1450:4001:82b::200e",
            "64:ff9b::101:101",
            "2002:101:101::1",
        ] {
            assert!(permitted(PUBLIC_ONLY, text), "{text}");
        }
    }

    #[test]
    fn addresses_of_this_host_need_the_setting() {
        for text in [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
        ] {
            assert!(!permitted(PUBLIC_ONLY, text), "{text}");
            assert!(!permitted(PRIVATE, text), "{text}");
            assert!(permitted(LOOPBACK, text), "{text}");
        }
    }

    #[test]
    fn private_addresses_need_the_setting() {
        for text in [
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "198.19.0.1",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
            "2002:a00:1::1",
        ] {
            assert!(!permitted(PUBLIC_ONLY, text), "{text}");
            assert!(!permitted(LOOPBACK, text), "{text}");
            assert!(permitted(PRIVATE, text), "{text}");
        }
    }

    #[test]
    fn nobody_is_looked_for_where_nobody_can_be() {
        let all = AddressRules {
            allow_loopback: true,
            allow_private: true,
        };
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "192.0.2.1",
            "203.0.113.9",
            "::",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "::ffff:0.0.0.0",
            "4000::1",
        ] {
            assert!(!permitted(all, text), "{text}");
        }
    }
}
