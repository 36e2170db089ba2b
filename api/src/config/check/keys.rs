//! Keys that are unknown, gone or not there yet.

use headscale_acl::Version;
use headscale_acl::rules::{
    CONFIG_IGNORED_KEY, CONFIG_REMOVED_KEY, CONFIG_UNKNOWN_KEY, CONFIG_WRONG_TYPE,
};

use crate::config::finding::ConfigFinding;
use crate::config::key::{Key, Refusal, Removed, Successor, keys};
use crate::config::leaves::{Is, Leaf};
use crate::config::settings::Settings;

/// Names that are longer are not compared with others.
const LONGEST: usize = 100;

pub(super) fn check(settings: &Settings<'_>, leaves: &[Leaf<'_>]) -> Vec<ConfigFinding> {
    leaves.iter().filter_map(|leaf| finding(settings, leaf)).collect()
}

fn finding(settings: &Settings<'_>, leaf: &Leaf<'_>) -> Option<ConfigFinding> {
    match leaf.is {
        Is::Unknown => Some(unknown(settings, leaf)),
        Is::Group => {
            let message = format!(
                "`{}` has keys below it, and no value of its own: not even their defaults count",
                leaf.path
            );
            let finding = ConfigFinding::value(&CONFIG_WRONG_TYPE, &leaf.pointer, message);
            let group = format!("{}.", leaf.path.to_lowercase());
            let is_security = keys().any(|key| key.is_security && key.path.starts_with(&group));
            Some(finding.help("write the keys below it").grave(is_security))
        }
        Is::Key(key) if key.is_in(settings.version) => None,
        Is::Key(key) => Some(absent(settings, leaf, key)),
    }
}

fn unknown(settings: &Settings<'_>, leaf: &Leaf<'_>) -> ConfigFinding {
    let version = settings.version;
    let message = format!("`{}` is no key of Headscale, which ignores it", leaf.path);
    let finding = ConfigFinding::key(&CONFIG_UNKNOWN_KEY, &leaf.pointer, message);
    match nearest(&leaf.path, version) {
        Some(meant) => {
            finding.help(format!("did you mean `{}`?", meant.path)).grave(meant.is_security)
        }
        None => finding,
    }
}

/// A key that the version does not read.
fn absent(settings: &Settings<'_>, leaf: &Leaf<'_>, key: &'static Key) -> ConfigFinding {
    let version = settings.version;
    let path = key.path;
    // Headscale names keys as it knows them.
    let is_newer = key.versions.first().is_some_and(|first| *first > version);
    let (Some(Removed { successor, refusal }), false) = (key.removed, is_newer) else {
        let since = key.since().map(|since| since.to_string()).unwrap_or_default();
        let message = format!("`{path}` has no effect before {since}");
        let finding = ConfigFinding::key(&CONFIG_IGNORED_KEY, &leaf.pointer, message);
        // Where its predecessor is set, nothing is lost.
        return match keys().find(|old| is_replaced_by(old, path) && old.is_in(version)) {
            Some(old) if settings.is_given(old.path) => finding,
            Some(old) => {
                finding.help(format!("{version} has `{}`", old.path)).grave(key.is_security)
            }
            None => finding.grave(key.is_security),
        };
    };
    if let Successor::Key(new) = successor
        && is_read_where_the_new_one_is_empty(settings, new)
    {
        let message = format!("`{path}` counts only because `{new}` is empty");
        let finding = ConfigFinding::key(&CONFIG_IGNORED_KEY, &leaf.pointer, message);
        return finding.help(format!("write `{new}` instead"));
    }
    let is_refused = match (refusal, successor) {
        (Refusal::Always, _) => true,
        (Refusal::UnlessSuccessor, Successor::Key(new)) => !settings.is_set(new),
        (Refusal::UnlessSuccessor | Refusal::Never, _) => false,
    };
    let help = match successor {
        Successor::Key(new) if settings.is_given(new) => {
            Some(format!("remove it: `{new}` is set too, and counts"))
        }
        Successor::Key(new) => Some(format!("write `{new}` instead")),
        Successor::Prefixes => Some("write `prefixes.v4` and `prefixes.v6` instead".to_owned()),
        Successor::Policy(field) => Some(format!(
            "remove it; where it was true, write `\"{field}\": true` at the top of the policy"
        )),
        Successor::None => Some("remove it".to_owned()),
    };
    let finding = if is_refused {
        let message = match successor {
            Successor::Key(new) if refusal == Refusal::Always => format!(
                "The \"{path}\" configuration key has been removed. Please use \"{new}\" instead."
            ),
            Successor::Key(new) => format!(
                "The \"{path}\" configuration key is deprecated. Please use \"{new}\" instead. \
                 \"{path}\" has been removed."
            ),
            Successor::Prefixes | Successor::Policy(_) | Successor::None => {
                format!("The \"{path}\" configuration key has been removed.")
            }
        };
        ConfigFinding::key(&CONFIG_REMOVED_KEY, &leaf.pointer, message)
    } else {
        let gone = Version::ALL.into_iter().find(|version| Some(*version) > key.until());
        let message = match gone.filter(|_| key.until().is_some()) {
            Some(gone) => format!("`{path}` has no effect since {gone}"),
            None => format!("`{path}` has no effect: no known version reads it"),
        };
        // Where its successor counts, nothing is lost.
        let is_lost = match successor {
            Successor::Key(new) => !settings.is_given(new),
            Successor::Prefixes | Successor::Policy(_) | Successor::None => true,
        };
        ConfigFinding::key(&CONFIG_IGNORED_KEY, &leaf.pointer, message)
            .grave(key.is_security && is_lost)
    };
    match help {
        Some(help) => finding.help(help),
        None => finding,
    }
}

/// Whether the old timeout of ephemeral nodes counts: the one case in which Headscale looks for it.
pub(super) fn is_read_where_the_new_one_is_empty(settings: &Settings<'_>, new: &str) -> bool {
    new == "node.ephemeral.inactivity_timeout"
        && settings.version > Version::V0_28
        && settings.found(new).is_some()
        && settings.text(new).is_empty()
        && settings.is_given("ephemeral_node_inactivity_timeout")
}

/// Whether `old` is the key that `path` took the place of.
fn is_replaced_by(old: &Key, path: &str) -> bool {
    let successor = old.removed.map(|removed| removed.successor);
    matches!(successor, Some(Successor::Key(new)) if new == path)
}

/// The key that was probably meant: one whose path differs by a letter or few, or else the one
/// whose last part is that of `path`, which then stands at another place.
fn nearest(path: &str, version: Version) -> Option<&'static Key> {
    let known = || keys().filter(move |key| key.is_in(version));
    if path.len() > LONGEST {
        return None;
    }
    let path = path.to_lowercase().replace('-', "_");
    let farthest = (path.len() / 5).clamp(1, 3);
    let by_path = known()
        .map(|key| (strsim::damerau_levenshtein(&path, key.path), key))
        .filter(|(distance, _)| *distance <= farthest)
        .min_by_key(|(distance, key)| (*distance, key.path));
    if let Some((_, key)) = by_path {
        return Some(key);
    }
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let name = last(&path);
    let mut same = known().filter(|key| last(key.path) == name);
    // Only where it is one: there are many that are called `enabled`.
    same.next().filter(|_| same.next().is_none())
}
