//! The commands, one file each.

mod complete;
mod completion;
mod config;
mod create;
mod delete;
mod describe;
mod doctor;
mod get;
mod install;
mod names;
mod operator;
mod options;
mod plugin;
mod policy;
mod render;
mod sandbox;
mod targets;
mod uninstall;
mod upgrade;
mod version;

use std::io::Read;

use clap::Subcommand;

pub(crate) use complete::complete;

use crate::environment::Environment;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::ui::Ui;

/// What a command works with.
pub(crate) struct Context<'a> {
    /// What the process was started with.
    pub(crate) environment: &'a Environment,
    /// Standard input.
    pub(crate) stdin: &'a mut dyn Read,
    /// Where to write.
    pub(crate) ui: Ui<'a>,
}

/// A command of `kubectl headscale`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check, format and look up policies
    #[command(subcommand)]
    Policy(policy::Command),
    /// Check Headscale's own configuration
    #[command(subcommand)]
    Config(config::Command),
    /// Write, test, inspect and distribute policy plugins
    #[command(subcommand)]
    Plugin(plugin::Command),
    /// Make instances, users, pre-auth keys, policies and approvers of routes
    #[command(subcommand)]
    Create(create::Command),
    Get(get::GetArgs),
    Describe(describe::DescribeArgs),
    Delete(delete::DeleteArgs),
    Install(Box<install::InstallArgs>),
    Upgrade(Box<upgrade::UpgradeArgs>),
    Uninstall(Box<uninstall::UninstallArgs>),
    /// Write manifests
    #[command(subcommand)]
    Render(render::Command),
    Doctor(Box<doctor::DoctorArgs>),
    Version(version::VersionArgs),
    Completion(completion::CompletionArgs),
    Options(options::OptionsArgs),
}

impl Command {
    /// Runs the command.
    pub(crate) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        match self {
            Self::Policy(command) => command.run(context),
            Self::Config(command) => command.run(context),
            Self::Plugin(command) => command.run(context),
            Self::Create(command) => command.run(context),
            Self::Get(args) => args.run(context),
            Self::Describe(args) => args.run(context),
            Self::Delete(args) => args.run(context),
            Self::Install(args) => args.run(context),
            Self::Upgrade(args) => args.run(context),
            Self::Uninstall(args) => args.run(context),
            Self::Render(command) => command.run(context),
            Self::Doctor(args) => args.run(context),
            Self::Version(args) => args.run(context),
            Self::Completion(args) => args.run(context),
            Self::Options(args) => args.run(context),
        }
    }
}
