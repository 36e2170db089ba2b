//! A plugin for Headscale policies: rules that let anyone through are findings.

use headscale_policy_sdk::{
    Descriptor, Finding, Plugin, Reachability, Request, Rule, Severity, Validator, export, pointer,
};
use serde::Deserialize;

/// The plugin.
pub struct MyPlugin;

/// What users set: `settings.schema.json` describes it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    /// Destinations that anyone may reach, as the policy writes them.
    pub public: Vec<String>,
}

impl Plugin for MyPlugin {
    fn describe() -> Descriptor {
        Descriptor::new(
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
            "Rules name who connects",
        )
        .rule(Rule::new("any-source", Severity::Warning, "A rule lets anyone through").help(
            "Name the group that needs it. Where anyone is meant, put the destination into \
                 `public`.",
        ))
        .settings_schema(include_str!("../settings.schema.json"))
    }
}

impl Validator for MyPlugin {
    type Settings = Settings;

    fn validate(
        request: &Request<Settings>,
        _reachability: &dyn Reachability,
    ) -> Result<Vec<Finding>, String> {
        let mut findings = Vec::new();
        for acl in &request.policy.acls {
            let public = acl.dst.iter().all(|to| request.settings.public.contains(to));
            for (at, source) in acl.src.iter().enumerate() {
                if source == "*" && !public {
                    let place = pointer::element(&pointer::member(&acl.pointer, "src"), at);
                    let message = format!("anyone reaches {}", acl.dst.join(", "));
                    findings.push(Finding::new("any-source", &place, message));
                }
            }
        }
        Ok(findings)
    }
}

export!(MyPlugin: validator);
