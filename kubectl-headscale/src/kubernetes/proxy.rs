//! Proxies on the way to the API server, as Go programs find them: the kubeconfig's, or that of the
//! environment, unless `NO_PROXY` has the server. The client library holds `NO_PROXY` against the
//! proxy and not against the server.

use std::net::IpAddr;

use http::Uri;
use ipnet::IpNet;

use crate::environment::Environment;
use crate::error::CommandError;

/// The proxy to `server`, where there is one; `configured` is the kubeconfig's.
///
/// # Errors
///
/// When it is no URL.
pub(super) fn proxy(
    server: &Uri,
    configured: Option<&str>,
    environment: &Environment,
) -> Result<Option<Uri>, CommandError> {
    let variable = |names: [&str; 2]| {
        let values = names.into_iter().filter_map(|name| (environment.variable)(name));
        values.filter_map(|value| value.into_string().ok()).find(|value| !value.is_empty())
    };
    let named = match configured.filter(|proxy| !proxy.is_empty()) {
        Some(proxy) => Some(proxy.to_owned()),
        None => {
            let found = match server.scheme_str() {
                Some("https") => variable(["HTTPS_PROXY", "https_proxy"]),
                _ => variable(["HTTP_PROXY", "http_proxy"]),
            };
            let exempt = variable(["NO_PROXY", "no_proxy"]).unwrap_or_default();
            found.filter(|_| !is_exempt(server, &exempt))
        }
    };
    let Some(named) = named else { return Ok(None) };
    let url = if named.contains("://") { named.clone() } else { format!("http://{named}") };
    match url.parse() {
        Ok(proxy) => Ok(Some(proxy)),
        Err(_) => Err(CommandError::failed("the proxy to the server is no URL").hint(
            "it is the cluster's `proxy-url` in the kubeconfig, or HTTPS_PROXY in the environment",
        )),
    }
}

/// Whether `list`, as in `NO_PROXY`, has `server`. What is on this machine needs no proxy.
fn is_exempt(server: &Uri, list: &str) -> bool {
    let host = server.host().unwrap_or_default().trim_matches(['[', ']']).to_lowercase();
    let port = server.port_u16().unwrap_or(match server.scheme_str() {
        Some("https") => 443,
        _ => 80,
    });
    let address: Option<IpAddr> = host.parse().ok();
    if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
        return true;
    }
    list.split(',').map(|entry| entry.trim().to_lowercase()).any(|entry| {
        if entry == "*" {
            return true;
        }
        if let Ok(net) = entry.parse::<IpNet>() {
            return address.is_some_and(|address| net.contains(&address));
        }
        if let Ok(exempt) = entry.trim_matches(['[', ']']).parse::<IpAddr>() {
            return address == Some(exempt);
        }
        let (name, wanted) = match entry.rsplit_once(':') {
            Some((name, wanted)) => (name.trim_matches(['[', ']']), wanted.parse().ok()),
            None => (entry.as_str(), None),
        };
        let name = name.strip_prefix('*').unwrap_or(name);
        let within = match name.strip_prefix('.') {
            _ if name.is_empty() => false,
            // Only what is below it.
            Some(_) => host.ends_with(name),
            None => {
                host == name || host.strip_suffix(name).is_some_and(|before| before.ends_with('.'))
            }
        };
        within && wanted.is_none_or(|wanted: u16| wanted == port)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_is_read_as_go_reads_it() {
        let exempt = |server: &str, list| is_exempt(&server.parse().expect("a URL"), list);
        for (server, list) in [
            ("https://localhost:6443", ""),
            ("https://127.0.0.1", ""),
            ("https://[::1]:6443", ""),
            ("https://a.example.com", "*"),
            ("https://a.example.com", "other, .example.com,"),
            ("https://a.example.com", "example.com"),
            ("https://A.example.com", "*.Example.com"),
            ("https://a.example.com:6443", "a.example.com:6443"),
            ("https://10.1.2.3:6443", "10.0.0.0/8"),
            ("https://10.1.2.3", "10.1.2.3"),
            ("https://[fd00::1]:6443", "fd00::/8"),
        ] {
            assert!(exempt(server, list), "{server} {list}");
        }
        for (server, list) in [
            ("https://a.example.com", ""),
            ("https://a.example.com", ",, "),
            ("https://example.com", ".example.com"),
            ("https://anexample.com", "example.com"),
            ("https://a.example.com:6443", "a.example.com:443"),
            ("https://11.1.2.3", "10.0.0.0/8"),
        ] {
            assert!(!exempt(server, list), "{server} {list}");
        }
    }
}
