//! `kubectl headscale create`

mod autoapprover;
mod chosen;
mod draft;
mod expiration;
mod findings;
mod instance;
mod make;
mod path;
mod policy;
mod preauthkey;
mod print;
mod request;
mod schema;
mod user;
mod wait;

use clap::Subcommand;

pub(crate) use draft::DraftArgs;
pub(crate) use instance::InstanceArgs;
pub(crate) use print::{DryRun, ObjectFormat, yaml_documents};

use super::Context;
use crate::error::CommandError;
use crate::exit::Exit;

/// Makes an object.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Instance(Box<instance::CreateInstanceArgs>),
    User(Box<user::UserArgs>),
    #[command(name = "preauthkey")]
    PreAuthKey(Box<preauthkey::PreAuthKeyArgs>),
    Policy(Box<policy::PolicyArgs>),
    #[command(name = "autoapprover")]
    AutoApprover(Box<autoapprover::AutoApproverArgs>),
}

impl Command {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        match self {
            Self::Instance(args) => args.run(context),
            Self::User(args) => args.run(context),
            Self::PreAuthKey(args) => args.run(context),
            Self::Policy(args) => args.run(context),
            Self::AutoApprover(args) => args.run(context),
        }
    }
}
