//! What a version of Headscale makes of a configuration.
//!
//! An error is what Headscale refuses to start with, in its own words where it has some, and what
//! it silently does not do although it decides who may do what. All else is a warning: whoever
//! wrote it meant something, and gets something else.

mod advice;
mod keys;
mod start;
mod values;

pub(super) use values::octal;

use std::collections::HashSet;

use headscale_acl::{Source, Version};
use serde_json::Value;

use super::finding::ConfigFinding;
use super::leaves::leaves;
use super::settings::Settings;

/// Checks a configuration as `version` reads it.
///
/// The findings are sorted by their pointer, and those about one by severity, the worst first.
/// Total: any value can be checked.
#[must_use]
pub fn check(config: &Value, version: Version) -> Vec<ConfigFinding> {
    check_beside(config, version, &[])
}

/// The same, where the environment sets the keys `elsewhere` (`database.postgres.pass`), whose
/// values are not known here.
#[must_use]
pub fn check_beside(config: &Value, version: Version, elsewhere: &[&str]) -> Vec<ConfigFinding> {
    let settings = Settings::new(config, version, elsewhere);
    if !config.is_object() && !config.is_null() {
        return vec![start::unreadable(config)];
    }
    let leaves = leaves(config);
    let mut findings = start::check(&settings, &leaves);
    findings.extend(keys::check(&settings, &leaves));
    findings.extend(values::check(&settings, &leaves));
    findings.extend(advice::check(&settings));
    // What Headscale refuses is said once, in its words.
    let refused: HashSet<String> = findings
        .iter()
        .filter(|finding| finding.is_refused() && !finding.about_key)
        .map(|finding| finding.pointer.clone())
        .collect();
    findings.retain(|finding| {
        let is_told = finding.finding.rule == headscale_acl::rules::CONFIG_WRONG_TYPE.id
            || finding.finding.rule == headscale_acl::rules::CONFIG_BAD_VALUE.id;
        !(is_told && refused.contains(&finding.pointer))
    });
    findings.sort_by(|a, b| {
        let key = |f: &ConfigFinding| {
            (
                f.pointer.clone(),
                std::cmp::Reverse(f.finding.severity),
                f.finding.source != Source::Headscale,
            )
        };
        key(a)
            .cmp(&key(b))
            .then_with(|| a.finding.rule.cmp(&b.finding.rule))
            .then_with(|| a.finding.message.cmp(&b.finding.message))
    });
    findings.dedup();
    findings
}
