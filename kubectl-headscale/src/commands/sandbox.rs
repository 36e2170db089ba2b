//! What plugins may use, and which are taken.

use clap::Args;
use headscale_policy_host::{LimitError, Limits};

use super::Context;
use crate::config::Config;
use crate::error::CommandError;
use crate::plugins::Source;

/// What plugins may use, and which are taken.
#[derive(Debug, Default, Args)]
pub(super) struct SandboxArgs {
    /// Refuse plugins of registries that .headscale-policy.lock does not have
    #[arg(long)]
    locked: bool,

    #[command(flatten)]
    limits: LimitArgs,
}

impl SandboxArgs {
    /// Where plugins come from.
    ///
    /// # Errors
    ///
    /// When the runtime does not know this machine.
    pub(super) fn source<'e>(
        &self,
        config: &Config,
        context: &mut Context<'e>,
    ) -> Result<Source<'e>, CommandError> {
        let Context { environment, ui, .. } = context;
        Source::new(environment, config.file.as_deref(), self.limits.limits()?, self.locked, ui)
    }
}

/// What plugins may use.
#[derive(Debug, Default, Args)]
pub(super) struct LimitArgs {
    /// What a plugin may use, such as memory=128MiB (can be repeated)
    ///
    /// NAME is size, functions, code or branches of a component, and for each call fuel, time,
    /// memory, tables, instances, results, stack or log.
    #[arg(long, value_name = "NAME=VALUE", value_parser = limit)]
    plugin_limit: Vec<String>,
}

impl LimitArgs {
    /// Where plugins come from whom no lock file knows: files of this machine.
    ///
    /// # Errors
    ///
    /// When the runtime does not know this machine.
    pub(super) fn source<'e>(&self, context: &mut Context<'e>) -> Result<Source<'e>, CommandError> {
        let Context { environment, ui, .. } = context;
        Source::new(environment, None, self.limits()?, false, ui)
    }

    fn limits(&self) -> Result<Limits, CommandError> {
        let mut limits = Limits::default();
        for limit in &self.plugin_limit {
            limits.set(limit).map_err(|error| CommandError::usage(error.to_string()))?;
        }
        Ok(limits)
    }
}

/// A limit that can be set.
fn limit(text: &str) -> Result<String, LimitError> {
    Limits::default().set(text)?;
    Ok(text.to_owned())
}
