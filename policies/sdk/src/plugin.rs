//! What a plugin is made of, and how the host's calls reach it.

use serde::de::DeserializeOwned;

use crate::bindings::headscale::policy::types;
use crate::inventory::Inventory;
use crate::reachability::Host;
use crate::{Descriptor, Finding, Policy, Reachability, log};

/// What every plugin tells of itself.
pub trait Plugin {
    /// What it is: its name, version, rules and schemas. Always the same.
    fn describe() -> Descriptor;
}

/// A plugin that judges policies.
pub trait Validator: Plugin {
    /// What users may set. `{}` must be readable as it: it is what they set who set nothing.
    type Settings: DeserializeOwned;

    /// What is wrong with settings beyond what the schema says: one message for each problem.
    fn check_settings(settings: &Self::Settings) -> Vec<String> {
        _ = settings;
        Vec::new()
    }

    /// Judges a policy that Headscale takes.
    ///
    /// # Errors
    /// When the plugin cannot do its work, and why; never because the policy is bad.
    fn validate(
        request: &Request<Self::Settings>,
        reachability: &dyn Reachability,
    ) -> Result<Vec<Finding>, String>;
}

/// A plugin that writes policies.
pub trait Renderer: Plugin {
    /// What a policy is made from.
    type Params: DeserializeOwned;

    /// A policy as HuJSON, whose comments are kept.
    ///
    /// # Errors
    /// What is wrong with the parameters, all of it, one problem a line.
    fn render(params: Self::Params) -> Result<String, String>;
}

/// What a validator is asked.
#[derive(Clone, Debug)]
pub struct Request<S> {
    /// The policy to judge.
    pub policy: Policy,
    /// The policy before the change, where it is known.
    pub previous: Option<Policy>,
    /// Users and nodes as JSON, where the tailnet is known: see [`Request::inventory`].
    pub inventory_json: Option<String>,
    /// What the user set.
    pub settings: S,
}

impl<S: DeserializeOwned> Request<S> {
    /// Reads what the host sends: JSON texts.
    ///
    /// # Errors
    /// Which of them cannot be read, and why.
    pub fn read(
        policy: &str,
        previous: Option<&str>,
        inventory: Option<&str>,
        settings: &str,
    ) -> Result<Self, String> {
        let previous = previous.map(Policy::parse).transpose();
        Ok(Self {
            policy: read("the policy", Policy::parse(policy))?,
            previous: read("the previous policy", previous)?,
            inventory_json: inventory.map(str::to_owned),
            settings: read("the settings", serde_json::from_str(settings))?,
        })
    }
}

impl<S> Request<S> {
    /// Users and nodes, where the tailnet is known.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn inventory(&self) -> Result<Option<Inventory>, String> {
        let inventory = self.inventory_json.as_deref().map(serde_json::from_str).transpose();
        read("the inventory", inventory)
    }
}

fn read<T>(what: &str, result: Result<T, serde_json::Error>) -> Result<T, String> {
    result.map_err(|error| format!("{what}: {error}"))
}

/// Serves `meta.describe`.
#[must_use]
pub fn describe<P: Plugin>() -> Descriptor {
    log::panics();
    P::describe()
}

/// Serves `meta.check-settings`.
///
/// # Errors
/// What is wrong with the settings.
pub fn check_settings<P: Validator>(settings: &str) -> Result<(), Vec<String>> {
    log::panics();
    let settings = serde_json::from_str(settings).map_err(|error| vec![error.to_string()])?;
    let problems = P::check_settings(&settings);
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// Serves `validator.validate`.
///
/// # Errors
/// Those of the plugin.
pub fn validate<P: Validator>(request: &types::Request) -> Result<Vec<Finding>, String> {
    log::panics();
    let previous = request.previous.as_ref().map(|previous| previous.content.as_str());
    let request = Request::read(
        &request.policy.content,
        previous,
        request.inventory.as_deref(),
        &request.settings,
    )?;
    P::validate(&request, &Host)
}

/// Serves `renderer.render`.
///
/// # Errors
/// Those of the plugin.
pub fn render<P: Renderer>(params: &str) -> Result<String, String> {
    log::panics();
    P::render(read("the parameters", serde_json::from_str(params))?)
}
