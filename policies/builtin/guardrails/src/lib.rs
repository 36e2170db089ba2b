//! `builtin:guardrails`: what must hold whatever rules a policy has, over reachability: by any path
//! of groups, tags and routes.
//!
//! Each finding stands at the rule that lets through what must not be, and says by which chain of
//! names. A name that neither the policy nor the tailnet has, and a question without an answer, are
//! findings too: an invariant that says nothing must not look like one that holds.
//!
//! The host blanks comments, so that rules cannot be asked for an owner in a comment.

mod exit_nodes;
mod fan_out;
mod judge;
mod logins;
mod nodes;
mod pairs;
mod ports;
mod rules;
mod settings;

use headscale_policy_sdk::{Descriptor, Finding, Plugin, Reachability, Request, Validator, export};

pub use settings::Settings;

use crate::judge::Judge;

/// The plugin.
#[derive(Clone, Copy, Debug)]
pub struct Guardrails;

impl Plugin for Guardrails {
    fn describe() -> Descriptor {
        rules::all()
            .into_iter()
            .fold(
                Descriptor::new(
                    "guardrails",
                    env!("CARGO_PKG_VERSION"),
                    "Holds a policy to invariants over reachability",
                ),
                Descriptor::rule,
            )
            .homepage(env!("CARGO_PKG_REPOSITORY"))
            .settings_schema(include_str!("../settings.schema.json"))
    }
}

impl Validator for Guardrails {
    type Settings = Settings;

    fn check_settings(settings: &Settings) -> Vec<String> {
        settings.problems()
    }

    fn validate(
        request: &Request<Settings>,
        reachability: &dyn Reachability,
    ) -> Result<Vec<Finding>, String> {
        let mut judge = Judge::new(&request.policy, reachability);
        let settings = &request.settings;
        pairs::never(&mut judge, settings);
        pairs::always(&mut judge, settings);
        pairs::closed_ports(&mut judge, settings);
        fan_out::judge(&mut judge, settings);
        logins::judge(&mut judge, settings);
        exit_nodes::judge(&mut judge, settings);
        Ok(judge.findings)
    }
}

export!(Guardrails: validator);
