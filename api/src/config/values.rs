//! Values as Headscale reads them: URLs, addresses, prefixes and permissions.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr as _;

use ipnet::IpNet;

/// What counts of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url<'t> {
    pub(crate) scheme: &'t str,
    /// Host and port, as they are written.
    pub(crate) authority: &'t str,
    /// The host without its port, and an IPv6 address without its brackets.
    pub(crate) host: &'t str,
    /// The port as it is written; empty for none.
    pub(crate) port: &'t str,
}

/// Reads a URL that has a host, as Go does; `None` where Go has no such URL.
pub(crate) fn url(text: &str) -> Option<Url<'_>> {
    if text.chars().any(|c| c.is_ascii_control()) {
        return None;
    }
    let (scheme, rest) = text.split_once("://")?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    let (authority, path) = split_where(rest, |c| matches!(c, '/' | '?' | '#'));
    if !is_scheme || !escapes_are_whole(path) {
        return None;
    }
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            (host, after)
        }
        None => {
            let (host, after) = authority.split_at(authority.rfind(':').unwrap_or(authority.len()));
            (host, after)
        }
    };
    let port = match port.strip_prefix(':') {
        Some(port) => port,
        None if port.is_empty() => "",
        None => return None,
    };
    let is_host = host.chars().all(|c| {
        !c.is_whitespace() && !matches!(c, '<' | '>' | '"' | '^' | '`' | '{' | '}' | '|' | '\\')
    });
    let is_port = port.chars().all(|c| c.is_ascii_digit());
    (is_host && is_port).then_some(Url { scheme, authority, host, port })
}

fn split_where(text: &str, end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(end).unwrap_or(text.len()))
}

/// Whether each `%` is followed by two hexadecimal digits.
fn escapes_are_whole(text: &str) -> bool {
    text.split('%')
        .skip(1)
        .all(|part| part.chars().take(2).filter(char::is_ascii_hexdigit).count() == 2)
}

/// The port of an address to listen on: `0.0.0.0:8080`, `:http`, `[::]:80`. `None` where it is no
/// such address.
pub(super) fn listen_port(text: &str) -> Option<u16> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(rest) => {
            let host = rest.strip_suffix(']')?;
            let address = host.split_once('%').map_or(host, |(address, _)| address);
            Ipv6Addr::from_str(address).ok()?;
            host
        }
        None if host.contains([':', '[', ']']) => return None,
        None => host,
    };
    if host.contains(|c: char| c.is_whitespace() || c == '/') {
        return None;
    }
    match port {
        "http" => Some(80),
        "https" => Some(443),
        "" => Some(0),
        digits if digits.chars().all(|c| c.is_ascii_digit()) => digits.parse().ok(),
        _ => None,
    }
}

/// A prefix as Headscale takes it: an address with a length, also with bits beyond it.
pub(super) fn prefix(text: &str) -> Option<IpNet> {
    let (_, length) = text.split_once('/')?;
    let leads = length.starts_with('0') && length != "0";
    let is_length = !length.is_empty() && length.chars().all(|c| c.is_ascii_digit()) && !leads;
    if is_length { text.parse().ok() } else { None }
}

/// Whether all of `prefix` is among the addresses that Tailscale's clients are made for.
pub(super) fn is_in_tailscale_range(prefix: &IpNet) -> bool {
    let range = match prefix {
        IpNet::V4(_) => ipnet::Ipv4Net::new(Ipv4Addr::new(100, 64, 0, 0), 10).map(IpNet::V4),
        IpNet::V6(_) => {
            let first = Ipv6Addr::new(0xfd7a, 0x115c, 0xa1e0, 0, 0, 0, 0, 0);
            ipnet::Ipv6Net::new(first, 48).map(IpNet::V6)
        }
    };
    range.is_ok_and(|range| range.contains(prefix))
}

/// Whether an address is one of those for documentation, which nobody has.
pub(super) fn is_documentation(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_documentation(),
        IpAddr::V6(address) => matches!(address.segments(), [0x2001, 0xdb8, ..]),
    }
}

/// Permissions in octal digits; `None` where they are none, and Headscale takes 0700.
pub(super) fn mode(text: &str) -> Option<u64> {
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    u64::from_str_radix(text, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::{listen_port, mode, prefix, url};

    #[test]
    fn urls_have_a_host_and_a_numeric_port() {
        let parts = |text| url(text).map(|url| (url.scheme, url.host, url.port));
        assert_eq!(parts("https://a.example.com"), Some(("https", "a.example.com", "")));
        assert_eq!(parts("http://a:80/x?y#z"), Some(("http", "a", "80")));
        assert_eq!(parts("https://u:p@[fd7a::1]:443/"), Some(("https", "fd7a::1", "443")));
        for text in ["a.example.com", "https://a:b", "https://a b", "https://a/%zz", "://a"] {
            assert_eq!(url(text), None, "{text}");
        }
    }

    #[test]
    fn addresses_to_listen_on_have_a_port() {
        let good = [("0.0.0.0:8080", 8080), (":http", 80), ("[::]:443", 443), ("localhost:1", 1)];
        for (text, port) in good {
            assert_eq!(listen_port(text), Some(port), "{text}");
        }
        for text in ["8080", "0.0.0.0", ":99999", "::1:80", "[::1:80", "http://a:80", ":x"] {
            assert_eq!(listen_port(text), None, "{text}");
        }
    }

    #[test]
    fn prefixes_and_modes_are_strict() {
        assert!(prefix("100.64.0.1/10").is_some());
        for text in ["100.64.0.0", "100.64.0.0/", "100.64.0.0/33", "100.64.0.0/010", "x/8"] {
            assert_eq!(prefix(text), None, "{text}");
        }
        assert_eq!(mode("0770"), Some(0o770));
        for text in ["0o770", "rwx", "", "-1", "789"] {
            assert_eq!(mode(text), None, "{text}");
        }
    }
}
