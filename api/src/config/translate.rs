//! A configuration in the keys of one version.

use std::collections::{BTreeMap, HashSet};

use headscale_acl::rules::{
    CONFIG_IGNORED_KEY, CONFIG_PLAINTEXT_SECRET, CONFIG_TRANSLATED, CONFIG_WRONG_TYPE,
};
use headscale_acl::{Severity, Version};
use serde_json::Value;

use super::finding::ConfigFinding;
use super::key::{Key, Removed, Successor, keys};
use super::leaves::{Is, Leaf, leaves};
use super::secret::without_secrets;
use super::settings::{text, texts, truth};
use super::values::prefix;

/// A configuration in the keys of one version.
#[derive(Default)]
pub(super) struct Translated {
    /// The keys that the version knows, by path.
    pub(super) known: BTreeMap<&'static str, Value>,
    /// Where their values stood.
    pub(super) pointers: BTreeMap<&'static str, String>,
    /// What no version knows, by the names of its steps.
    pub(super) unknown: Vec<(Vec<String>, Value)>,
    /// Whether the policy takes over `randomize_client_port`.
    pub(super) randomize_client_port: bool,
    pub(super) notes: Vec<ConfigFinding>,
}

/// Carries the keys of other versions over to those of `version`. The environment sets the keys
/// `elsewhere`.
pub(super) fn translate(config: &Value, version: Version, elsewhere: &[&str]) -> Translated {
    let mut translated = Translated::default();
    let mut others: Vec<(&'static Key, Leaf<'_>)> = Vec::new();
    for leaf in leaves(config) {
        match leaf.is {
            Is::Key(key) if key.is_in(version) => translated.put(key, leaf.value.clone(), &leaf),
            Is::Key(key) => others.push((key, leaf)),
            Is::Group => {
                let message = format!("`{}` is left out: it has keys below it", leaf.path);
                let note = ConfigFinding::value(&CONFIG_WRONG_TYPE, &leaf.pointer, message);
                translated.notes.push(note);
            }
            Is::Unknown => {
                let steps = leaf.pointer.split('/').skip(1);
                let steps = steps.map(|step| step.replace("~1", "/").replace("~0", "~"));
                let notes = &mut translated.notes;
                let left = without_secrets(leaf.value, &leaf.pointer, &mut |pointer| {
                    let message = "no version reads it, and its name is that of a secret: it is \
                                   left out";
                    let note =
                        ConfigFinding::key(&CONFIG_PLAINTEXT_SECRET, pointer, message.to_owned());
                    notes.push(note.help("remove it, or hand it over in `extra_env`"));
                });
                translated.unknown.extend(left.map(|left| (steps.collect(), left)));
            }
        }
    }
    let given: HashSet<&'static str> = translated.known.keys().copied().collect();
    for (key, leaf) in others {
        if key.path != "oidc.expiry" || !translated.old_expiry(key, &leaf, elsewhere) {
            translated.carry_over(key, &leaf, version, &given);
        }
    }
    translated
}

impl Translated {
    /// Takes the value of a key; the first where it is set more than once.
    fn put(&mut self, key: &'static Key, value: Value, leaf: &Leaf<'_>) {
        if self.known.contains_key(key.path) {
            return;
        }
        self.known.insert(key.path, value);
        self.pointers.insert(key.path, leaf.pointer.clone());
    }

    /// Tells what was made of `leaf`.
    fn note(&mut self, leaf: &Leaf<'_>, message: String) {
        self.notes.push(ConfigFinding::key(&CONFIG_TRANSLATED, &leaf.pointer, message));
    }

    /// Tells that what `leaf` says is lost.
    fn lost(&mut self, leaf: &Leaf<'_>, key: &Key, message: String) {
        let finding = ConfigFinding::key(&CONFIG_IGNORED_KEY, &leaf.pointer, message);
        self.notes.push(finding.grave(key.is_security));
    }

    /// Carries over a key that `version` does not have. What is `given` by its own key stays.
    fn carry_over(
        &mut self,
        key: &'static Key,
        leaf: &Leaf<'_>,
        version: Version,
        given: &HashSet<&'static str>,
    ) {
        let path = key.path;
        let is_newer = key.versions.first().is_some_and(|first| *first > version);
        if is_newer {
            // The only one that says the same under an older name.
            let old = keys().find(|old| {
                old.path == "ephemeral_node_inactivity_timeout"
                    && path == "node.ephemeral.inactivity_timeout"
                    && old.is_in(version)
            });
            match old {
                Some(old) if given.contains(old.path) => {
                    self.note(leaf, format!("`{path}` is left out: `{}` is set too", old.path));
                }
                Some(old) => {
                    self.note(leaf, format!("`{path}` is written as `{}`", old.path));
                    self.put(old, leaf.value.clone(), leaf);
                }
                None => {
                    let message = format!("Headscale {version} has no `{path}`: it is left out");
                    self.lost(leaf, key, message);
                }
            }
            return;
        }
        match key.removed.map(|Removed { successor, .. }| successor) {
            Some(Successor::Key(new)) if given.contains(new) => {
                self.note(leaf, format!("`{path}` is left out: `{new}` is set too"));
            }
            Some(Successor::Key(new)) => {
                let successor = keys().find(|key| key.path == new);
                match successor.filter(|key| key.is_in(version) && is_same(path)) {
                    Some(successor) => {
                        self.note(leaf, format!("`{path}` is written as `{new}`"));
                        self.put(successor, leaf.value.clone(), leaf);
                    }
                    None => self.note(leaf, format!("`{path}` is left out: no version reads it")),
                }
            }
            Some(Successor::Prefixes) => self.prefixes(leaf, given),
            Some(Successor::Policy(field)) => {
                if truth(leaf.value) == Some(true) {
                    self.randomize_client_port = true;
                    self.note(leaf, format!("`{path}` is written into the policy, as `{field}`"));
                } else {
                    let message = format!("`{path}` is left out: false is the default");
                    self.note(leaf, message);
                }
            }
            Some(Successor::None) | None => {
                self.note(leaf, format!("`{path}` is left out: Headscale {version} has none"));
            }
        }
    }

    /// Whether `oidc.expiry`, or its default, ended logins up to 0.28: those through OIDC, where
    /// their token did not.
    pub(super) fn has_oidc_expiry(&self, elsewhere: &[&str]) -> bool {
        let issuer = self.known.get("oidc.issuer").and_then(text).unwrap_or_default();
        let has_issuer = !issuer.is_empty() || elsewhere.contains(&"oidc.issuer");
        has_issuer && self.known.get("oidc.use_expiry_from_token").and_then(truth) != Some(true)
    }

    /// Where no login ended by `oidc.expiry`: leaves out its default, which the Go operator wrote
    /// into every object, because as `node.expiry` it would end logins. Another value was chosen,
    /// and is carried over with a warning. Gives whether that is all to do.
    fn old_expiry(&mut self, key: &Key, leaf: &Leaf<'_>, elsewhere: &[&str]) -> bool {
        let new = "node.expiry";
        if self.has_oidc_expiry(elsewhere) || self.known.contains_key(new) {
            return false;
        }
        if text(leaf.value).as_deref() == Some(key.default) {
            let message = "`oidc.expiry` is left out: it is the default, and ended no login";
            self.note(leaf, message.to_owned());
            return true;
        }
        let Some(successor) = keys().find(|key| key.path == new) else { return false };
        let message = "`oidc.expiry` ended no login here, and is written as `node.expiry`, which \
                       does";
        let note = ConfigFinding::key(&CONFIG_TRANSLATED, &leaf.pointer, message.to_owned());
        let mut note = note.help("write `node.expiry`, with 0 where nodes are to stay for ever");
        note.finding.severity = Severity::Warning;
        self.notes.push(note);
        self.put(successor, leaf.value.clone(), leaf);
        true
    }

    /// `ip_prefixes` as `prefixes.v4` and `prefixes.v6`.
    fn prefixes(&mut self, leaf: &Leaf<'_>, given: &HashSet<&'static str>) {
        for text in texts(leaf.value).unwrap_or_default() {
            let path = match prefix(&text) {
                Some(prefix) if prefix.addr().is_ipv4() => "prefixes.v4",
                Some(_) => "prefixes.v6",
                None => continue,
            };
            let key = keys().find(|key| key.path == path);
            if let Some(key) = key.filter(|key| !given.contains(key.path)) {
                self.put(key, Value::String(text), leaf);
            }
        }
        self.note(leaf, "`ip_prefixes` is written as `prefixes.v4` and `prefixes.v6`".to_owned());
    }
}

/// Whether the value of a removed key means the same under its successor.
fn is_same(path: &str) -> bool {
    !matches!(path, "oidc.enabled" | "derp.server.stun.enabled")
}
