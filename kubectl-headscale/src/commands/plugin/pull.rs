//! `kubectl headscale plugin pull`

use clap::Args;
use headscale_policy_registry::{Change, OciReference, Reference, block_on};

use crate::commands::Context;
use crate::commands::sandbox::SandboxArgs;
use crate::config::Config;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::plugins::{client, fetch_error, lock_error, registry_error};

const EXAMPLES: &str = "\
Examples:
  # Pull the plugins of .headscale-policy.yaml, and agree to what they are now
  kubectl headscale plugin pull

  # Pull one
  kubectl headscale plugin pull oci://ghcr.io/acme/rules:1.2

Exit codes:
  0  pulled, and .headscale-policy.lock says so
  2  wrong usage or configuration, or a file that cannot be read or written
  4  the registry cannot be used
  5  what came is not what was asked for";

/// Pull plugins from registries, and write their digests into .headscale-policy.lock
///
/// The lock file says what everyone who uses the repository runs: review it and commit it.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct PullArgs {
    /// Plugins: oci://REGISTRY/REPOSITORY:TAG
    ///
    /// Without REF those of .headscale-policy.yaml.
    #[arg(value_name = "REF")]
    plugins: Vec<OciReference>,
}

impl PullArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let config = Config::find(&context.environment.cwd, None)?.unwrap_or_default();
        let source = SandboxArgs::default().source(&config, context)?;
        let mut references = self.plugins;
        if references.is_empty() {
            references.extend(config.plugins.iter().filter_map(|wanted| match &wanted.reference {
                Reference::Oci(reference) => Some(reference.clone()),
                Reference::File(_) | Reference::Builtin(_) => None,
            }));
        }
        if references.is_empty() {
            return Err(CommandError::usage("no plugin of a registry is named").hint(
                "name one, as in `kubectl headscale plugin pull oci://ghcr.io/acme/rules:1.2`, or \
                 list it under `plugins` in .headscale-policy.yaml",
            ));
        }
        let mut lock = source.read_lock()?;
        let store = source.store()?;
        let client = client(context.environment);
        for reference in references {
            context.ui.progress(Some(&format!("pulling {reference}")));
            let fetched = block_on(client.fetch(&store, &reference));
            context.ui.progress(None);
            let artifact = fetched
                .map_err(|error| registry_error(&error))?
                .map_err(|error| fetch_error(&error))?;
            let digest = artifact.digest().clone();
            let change = lock.insert(&reference, &artifact).map_err(|error| lock_error(&error))?;
            let told = match change {
                Change::Same => "as agreed to",
                Change::Added => "added",
                Change::Replaced(_) => "changed",
            };
            context.ui.note(&format!("{} {digest}: {told}", reference.name()));
        }
        let file = context.environment.cwd.join(source.lock_file());
        if lock.write(&file).map_err(|error| lock_error(&error))? {
            let file = source.lock_file().display();
            context.ui.note(&format!("wrote {file}: review it and commit it"));
        }
        Ok(Exit::Success)
    }
}
