//! Values that Headscale takes for something else than they say.

use std::net::{Ipv4Addr, Ipv6Addr};

use headscale_acl::Version;
use headscale_acl::policy::Nanoseconds;
use headscale_acl::rules::{CONFIG_BAD_VALUE, CONFIG_SOCKET_PERMISSION, CONFIG_WRONG_TYPE, Rule};
use serde_json::Value;

use crate::config::finding::ConfigFinding;
use crate::config::key::{Key, Kind};
use crate::config::leaves::{Is, Leaf};
use crate::config::settings::{Settings, duration, number, push, text, texts, truth};
use crate::config::values::{listen_port, mode, prefix, url};

pub(super) fn check(settings: &Settings<'_>, leaves: &[Leaf<'_>]) -> Vec<ConfigFinding> {
    let mut findings = Vec::new();
    for leaf in leaves {
        if let Is::Key(key) = leaf.is
            && key.is_in(settings.version)
        {
            let mut told = Told { key, leaf, version: settings.version, findings: &mut findings };
            told.value();
        }
    }
    findings
}

/// What there is to tell of one value.
struct Told<'c> {
    key: &'static Key,
    leaf: &'c Leaf<'c>,
    version: Version,
    findings: &'c mut Vec<ConfigFinding>,
}

impl Told<'_> {
    fn push(&mut self, rule: &'static Rule, pointer: String, message: String, help: String) {
        let finding = ConfigFinding::value(rule, pointer, message).help(help);
        self.findings.push(finding.grave(self.key.is_security));
    }

    /// The whole value is not of the key's type, and read as `read_as`.
    fn wrong_type(&mut self, read_as: &str) {
        let path = self.key.path;
        let message = format!("`{path}` is {}, and is read as {read_as}", shown(self.leaf.value));
        let help = format!("write {}", self.key.kind.noun());
        self.push(&CONFIG_WRONG_TYPE, self.leaf.pointer.clone(), message, help);
    }

    /// The whole value has the right type and says something else than it does.
    fn bad(&mut self, so: &str, help: &str) {
        let message = format!("`{}` is {}, {so}", self.key.path, shown(self.leaf.value));
        self.push(&CONFIG_BAD_VALUE, self.leaf.pointer.clone(), message, help.to_owned());
    }

    /// The same of one item of a list or an object.
    fn bad_item(&mut self, step: &str, item: &Value, so: &str, help: &str) {
        let mut pointer = self.leaf.pointer.clone();
        push(&mut pointer, step);
        let message = format!("{} in `{}` {so}", shown(item), self.key.path);
        self.push(&CONFIG_BAD_VALUE, pointer, message, help.to_owned());
    }

    fn value(&mut self) {
        let value = self.leaf.value;
        match self.key.kind {
            Kind::Bool => {
                if truth(value).is_none() {
                    self.wrong_type("false");
                }
            }
            Kind::Int => {
                if number(value).is_none() {
                    self.wrong_type("0");
                }
            }
            Kind::Duration => self.duration(),
            Kind::Mode => self.mode(),
            kind if kind.is_list() => self.list(),
            kind if kind.is_map() => self.map(),
            _ => match text(value) {
                Some(text) => self.text(&text),
                None => self.wrong_type("if it were empty"),
            },
        }
    }

    fn text(&mut self, text: &str) {
        // The one word that nothing else asks for.
        if text.is_empty() && self.key.path != "policy.mode" {
            return;
        }
        match self.key.kind {
            Kind::Choice(words) => self.choice(words, text),
            Kind::Expiry => self.expiry(text),
            Kind::Listen if listen_port(text).is_none() => {
                self.bad("and no address to listen on", "write \"0.0.0.0:8080\"");
            }
            Kind::Url => match url(text) {
                Some(url) if url.host.is_empty() => {
                    self.bad("a URL without a host", "write it with its host");
                }
                Some(_) => {}
                None => self.bad("and no URL", "write it with https:// and its host"),
            },
            Kind::Prefix4 if prefix(text).is_some_and(|p| p.addr().is_ipv6()) => {
                self.bad("an IPv6 prefix", "write an IPv4 prefix here, and this in `prefixes.v6`");
            }
            Kind::Prefix6 if prefix(text).is_some_and(|p| p.addr().is_ipv4()) => {
                self.bad("an IPv4 prefix", "write an IPv6 prefix here, and this in `prefixes.v4`");
            }
            Kind::Ip4 if text.parse::<Ipv4Addr>().is_err() => {
                self.bad("and no IPv4 address", "write an address, or remove it");
            }
            Kind::Ip6 if text.parse::<Ipv6Addr>().is_err() => {
                self.bad("and no IPv6 address", "write an address, or remove it");
            }
            _ => {}
        }
    }

    fn choice(&mut self, words: &[&str], text: &str) {
        let is_known = if self.key.path == "log.level" {
            // Headscale's logger has more names for levels than anybody writes.
            words.iter().any(|word| word.eq_ignore_ascii_case(text))
                || text.eq_ignore_ascii_case("disabled")
                || text.parse::<i8>().is_ok()
        } else {
            words.contains(&text)
        };
        if !is_known {
            let so = match self.key.path {
                "log.level" => "which is read as debug",
                "policy.mode" => "so no policy counts, and everything may reach everything",
                _ => "which is none of its values",
            };
            self.bad(so, &format!("write one of {}", words.join(", ")));
        }
    }

    fn duration(&mut self) {
        let value = self.leaf.value;
        let Some(nanoseconds) = duration(value) else {
            return self.wrong_or_bad_duration();
        };
        let has_unit = value.as_str().is_some_and(|text| text.contains(char::is_alphabetic));
        if nanoseconds != 0 && !has_unit {
            let so = format!("which is {}", Nanoseconds(nanoseconds).to_go());
            let digits = text(value).unwrap_or_default();
            self.bad(
                &so,
                &format!("write the unit too: \"{digits}s\", \"{digits}m\" or \"{digits}h\""),
            );
        }
    }

    fn wrong_or_bad_duration(&mut self) {
        match self.leaf.value {
            // Headscale then looks for the old key, or does not start.
            Value::String(text)
                if text.is_empty() && self.key.path == "node.ephemeral.inactivity_timeout" => {}
            Value::String(_) => {
                let help = "write a duration such as 30m or 72h; days have no letter here";
                self.bad("which is no duration and read as 0s", help);
            }
            _ => self.wrong_type("0s"),
        }
    }

    fn expiry(&mut self, text: &str) {
        if Nanoseconds::parse_prometheus(text).is_err() {
            let so = if self.version <= Version::V0_28 {
                "which is no duration, so 180 days count"
            } else {
                "which is no duration, so nodes never expire"
            };
            self.bad(
                so,
                "write whole numbers with y, w, d, h, m or s, such as 90d, or 0 for never",
            );
        }
    }

    fn mode(&mut self) {
        let value = self.leaf.value;
        let Some(text) = text(value) else { return self.wrong_type("0700") };
        let path = self.key.path;
        let quoted = match octal(value) {
            Some(meant) => format!("write it in quotes, as octal digits: {meant:?}"),
            None => "write octal digits in quotes, such as \"0770\"".to_owned(),
        };
        let (message, help) = match mode(&text) {
            None => (format!("`{path}` is {}, which is read as 0700", shown(value)), quoted),
            Some(mode) if mode & 0o002 != 0 => (
                format!("with `{path}` {mode:04o} everybody on the machine is an administrator"),
                "write \"0770\", and put those who may into the group".to_owned(),
            ),
            Some(mode) if octal(value).is_some_and(|meant| meant != format!("{mode:04o}")) => {
                (format!("`{path}` is the number {text}, which is read as {mode:04o}"), quoted)
            }
            Some(_) => return,
        };
        let finding =
            ConfigFinding::value(&CONFIG_SOCKET_PERMISSION, self.leaf.pointer.clone(), message);
        self.findings.push(finding.help(help));
    }

    fn list(&mut self) {
        let value = self.leaf.value;
        if self.key.kind == Kind::Records {
            return self.records();
        }
        let Some(_) = texts(value) else { return self.wrong_type("an empty list") };
        if let Value::String(words) = value
            && words.contains(',')
        {
            return self.bad("one item and not several", "write a list: [a, b]");
        }
        let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
        if self.key.kind == Kind::Nameservers {
            for (index, item) in items.iter().enumerate() {
                self.nameserver(&index.to_string(), item, item);
            }
        }
    }

    fn nameserver(&mut self, step: &str, item: &Value, shown: &Value) {
        let text = text(item).unwrap_or_default();
        let is_address = text.parse::<std::net::IpAddr>().is_ok();
        let is_url = url(&text).is_some_and(|url| !url.host.is_empty());
        if !is_address && !is_url {
            let help = "write an IP address, or the https:// URL of a DNS server";
            self.bad_item(
                step,
                shown,
                "is neither an address nor a URL, and answers nothing",
                help,
            );
        }
    }

    fn map(&mut self) {
        let value = self.leaf.value;
        let Some(members) = value.as_object() else {
            return self.wrong_type("if nothing stood there");
        };
        for (name, item) in members {
            match self.key.kind {
                Kind::SplitNameservers => {
                    if texts(item).is_none() && !item.is_null() {
                        let so = "is no list of DNS servers, and read as an empty one";
                        self.bad_item(name, item, so, "write a list: [10.0.0.53]");
                        continue;
                    }
                    let servers = item.as_array().map(Vec::as_slice).unwrap_or_default();
                    for server in servers {
                        self.nameserver(name, server, server);
                    }
                    // One text is one server here, and not its words.
                    if item.is_string() {
                        self.nameserver(name, item, item);
                    }
                }
                _ if text(item).is_none() => {
                    self.bad_item(name, item, "is no text, and read as an empty one", "write text");
                }
                _ => {}
            }
        }
    }

    fn records(&mut self) {
        let items = self.leaf.value.as_array().map(Vec::as_slice).unwrap_or_default();
        for (index, item) in items.iter().enumerate() {
            let member = |name: &str| {
                let members = item.as_object()?.iter();
                let mut members = members.filter(|(member, _)| member.eq_ignore_ascii_case(name));
                members.next().and_then(|(_, value)| text(value))
            };
            let (name, value) = (member("name"), member("value").unwrap_or_default());
            let kind = member("type").unwrap_or_default();
            let is_read = match kind.as_str() {
                "" => value.parse::<std::net::IpAddr>().is_ok(),
                "A" => value.parse::<Ipv4Addr>().is_ok(),
                "AAAA" => value.parse::<Ipv6Addr>().is_ok(),
                _ => false,
            };
            let so = if !matches!(kind.as_str(), "" | "A" | "AAAA") {
                "is of a type that clients ignore"
            } else if name.is_none_or(|name| name.is_empty()) {
                "has no name"
            } else if !is_read {
                "has no address of its type as its value"
            } else {
                continue;
            };
            if item.is_object() {
                let help = "a record is {name: grafana.example.com, type: A, value: 100.64.0.3}";
                self.bad_item(&index.to_string(), item, so, help);
            }
        }
    }
}

/// The permissions that a number was meant to be: YAML has read 0770 as 504, and 770 as it looks.
/// `None` for what is no number.
pub(in crate::config) fn octal(value: &Value) -> Option<String> {
    let number = value.as_u64()?;
    let as_it_looks = mode(&number.to_string()).filter(|mode| is_usual(*mode));
    Some(format!("{:04o}", as_it_looks.unwrap_or(number)))
}

/// Whether the owner of a socket with these permissions can use it.
const fn is_usual(mode: u64) -> bool {
    mode <= 0o777 && mode & 0o600 == 0o600
}

/// A value in a sentence, short.
pub(super) fn shown(value: &Value) -> String {
    const LONGEST: usize = 60;
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => {
            let mut short: String = text.chars().take(LONGEST).collect();
            if short.len() < text.len() {
                short.push('…');
            }
            format!("{short:?}")
        }
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
