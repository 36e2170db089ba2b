//! Errors of commands, and the one place that gives them their words, hints and exit codes.

use std::borrow::Cow;
use std::io;

use crate::exit::Exit;
use crate::input::InputError;
use crate::severity::RuleError;

/// Why a command could not do its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommandError {
    /// What stands before the message and a colon, such as `error`; nothing where it is empty.
    pub(crate) label: Cow<'static, str>,
    /// What went wrong, without a full stop.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hints: Vec<String>,
    /// The code to exit with.
    pub(crate) exit: Exit,
}

impl CommandError {
    /// Wrong usage or configuration, or input that cannot be read.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        let message = message.into();
        Self { label: "error".into(), message, hints: Vec::new(), exit: Exit::Usage }
    }

    /// What was asked for did not work out, such as a request to a cluster: kubectl's exit code.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { exit: Exit::FAILED, ..Self::usage(message) }
    }

    /// The same under a label of its own, as kubectl's `Error from server (NotFound)`; an empty one
    /// is none.
    pub(crate) fn failed_as(
        label: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self { label: label.into(), ..Self::failed(message) }
    }

    /// A plugin could not do its work.
    pub(crate) fn plugin(message: impl Into<String>) -> Self {
        Self { exit: Exit::Plugin, ..Self::usage(message) }
    }

    /// The same with a hint.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Standard output cannot be written.
    pub(crate) fn stdout(error: &io::Error) -> Self {
        Self::usage(format!("cannot write standard output: {}", io_words(error)))
    }
}

impl From<InputError> for CommandError {
    fn from(error: InputError) -> Self {
        let hint = match &error {
            InputError::Read { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => "paths are relative to the current directory",
                io::ErrorKind::PermissionDenied => "run as a user who may read it",
                _ => return Self::usage(error.to_string()),
            },
            InputError::TooLarge { .. } => "no policy or snapshot is as large; is it another file?",
            InputError::NoPolicyIn(_) => {
                "a directory means the *.hujson files directly in it, the *.json files that have a \
                 section of a policy, such as \"acls\", and the *.yaml files with Kubernetes \
                 objects that hold one"
            }
            InputError::NoPolicyInObjects(_) => {
                "looked for are `spec.inline` of a HeadscalePolicy, `spec.acl_policy.inline` of a \
                 Headscale, and the keys of a ConfigMap that end in .hujson, are named policy.json \
                 or acl.json, or that a HeadscalePolicy refers to"
            }
            InputError::NotYaml { is_template: true, .. } => {
                "it looks like a template: check what it renders to, as in `helm template . | \
                 kubectl headscale policy check -`"
            }
            InputError::NotYaml { .. } => return Self::usage(error.to_string()),
        };
        Self::usage(error.to_string()).hint(hint)
    }
}

impl From<RuleError> for CommandError {
    fn from(error: RuleError) -> Self {
        Self::usage(error.to_string()).hint("`kubectl headscale policy rules` lists all rules")
    }
}

/// What the operating system says, in the words that all of them share, with its code.
pub(crate) fn io_words(error: &io::Error) -> String {
    let words = match error.kind() {
        io::ErrorKind::NotFound => "no such file",
        io::ErrorKind::PermissionDenied => "permission denied",
        io::ErrorKind::IsADirectory => "it is a directory",
        io::ErrorKind::NotADirectory => "a part of the path is not a directory",
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only",
        io::ErrorKind::StorageFull => "no space left",
        _ => {
            let text = error.to_string();
            let mut chars = text.chars();
            let first = chars.next().map(|c| c.to_lowercase().to_string());
            return first.unwrap_or_default() + chars.as_str();
        }
    };
    match error.raw_os_error() {
        Some(code) => format!("{words} (os error {code})"),
        None => words.to_owned(),
    }
}
