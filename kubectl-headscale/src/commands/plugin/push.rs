//! `kubectl headscale plugin push`

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use headscale_policy_registry::{Annotations, Artifact, OciReference, block_on};

use super::project::file_reference;
use crate::commands::Context;
use crate::commands::sandbox::LimitArgs;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::plugins::{client, registry_error};

const EXAMPLES: &str = "\
Examples:
  # Push a plugin for others to use
  kubectl headscale plugin push ./owners.wasm oci://ghcr.io/acme/owners:1.0

Exit codes:
  0  pushed
  2  wrong usage, or a file that cannot be read
  3  the file is no plugin
  4  the registry cannot be used";

/// Push a plugin to a registry
///
/// It is loaded first, so that only what is a plugin gets there. The credentials are docker's.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct PushArgs {
    /// The component
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,

    /// Where to: oci://REGISTRY/REPOSITORY:TAG
    #[arg(value_name = "REF")]
    reference: OciReference,

    #[command(flatten)]
    limits: LimitArgs,
}

impl PushArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let source = self.limits.source(context)?;
        let file = self.file.display().to_string();
        let reference = file_reference(&file)?;
        let plugin = source.load(&reference, Path::new(""), &mut context.ui)?;
        let component = source.component(&reference, Path::new(""), &mut context.ui)?;
        let descriptor = plugin.descriptor();
        let annotations = Annotations {
            title: Some(descriptor.name.clone()),
            version: Some(descriptor.version.clone()),
            description: Some(descriptor.summary.clone()),
            licenses: Some(descriptor.license.clone()),
            source: descriptor.homepage.clone(),
            ..Annotations::default()
        };
        let artifact = Artifact::pack(component.into_owned(), None, &annotations)
            .map_err(|error| CommandError::usage(format!("{file}: {error}")))?;
        context.ui.progress(Some(&format!("pushing {}", self.reference)));
        let pushed = block_on(client(context.environment).push(&self.reference, &artifact));
        context.ui.progress(None);
        let digest = pushed.and_then(|pushed| pushed).map_err(|error| registry_error(&error))?;
        context.ui.print(&format!("{}\n", self.reference.pinned(digest)))?;
        Ok(Exit::Success)
    }
}
