//! The committed files that are made from code, so that they cannot tell another story.

use std::borrow::Cow;
use std::fs;
use std::io;
use std::path::Path;

use headscale_acl::rules;
use headscale_api::{kinds, operator};
use kubectl_headscale::rules_markdown;
use thiserror::Error;

use crate::{chart, cli_reference, large_policy, plugin_interface, protobuf};

/// A generated file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Where it stands, from the root of the repository, with `/`.
    pub path: Cow<'static, str>,
    /// All of its text.
    pub text: String,
}

/// Why the files could not be written or differ.
#[derive(Debug, Error)]
pub enum GenerateError {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which one.
        path: Cow<'static, str>,
        /// Why.
        source: io::Error,
    },
    /// Committed files are not what the code makes.
    #[error("not what the code makes: {}\nrun `make generate` and commit the result", .0.join(", "))]
    Differ(Vec<Cow<'static, str>>),
}

/// Every generated file as it should be, in the order in which they are told.
#[must_use]
pub fn files() -> Vec<File> {
    let mut files = vec![
        File { path: "docs/api.md".into(), text: kinds::reference() },
        File {
            path: "docs/cli.md".into(),
            text: cli_reference::render(kubectl_headscale::command()),
        },
        File {
            path: "docs/headscale-policy.schema.json".into(),
            text: format!("{:#}\n", kubectl_headscale::config_schema()),
        },
        File {
            path: "docs/plugin-cases.schema.json".into(),
            text: format!("{:#}\n", kubectl_headscale::cases_schema()),
        },
        // Where the interface cannot be read, why: that is not what is committed.
        File {
            path: "docs/plugin-interface.md".into(),
            text: plugin_interface::render().unwrap_or_else(|error| error),
        },
        File {
            path: "docs/policy-suite.schema.json".into(),
            text: format!("{:#}\n", kubectl_headscale::suite_schema()),
        },
        File { path: "docs/rules.md".into(), text: rules_page() },
        File { path: "examples/large/policy.hujson".into(), text: large_policy::render() },
        File { path: "operator/manifests/rbac.yaml".into(), text: operator::rbac_yaml() },
        // Where it cannot be read, why, which is no program.
        File {
            path: protobuf::PATH.into(),
            text: protobuf::render().unwrap_or_else(|error| error),
        },
    ];
    let crds = kinds::crd_files().into_iter();
    files.extend(crds.map(|(name, text)| File { path: format!("api/crds/{name}").into(), text }));
    files.extend(chart::files());
    files
}

fn rules_page() -> String {
    let page = rules_markdown::page(rules::all());
    format!("<!-- Made by `cargo xtask generate` from acl/src/rules. Do not edit. -->\n\n{page}")
}

/// Writes every file under `root`; gives their paths.
///
/// # Errors
/// When a file cannot be written.
pub fn write(root: &Path) -> Result<Vec<Cow<'static, str>>, GenerateError> {
    files()
        .into_iter()
        .map(|File { path, text }| {
            let file = root.join(&*path);
            let parent = file.parent().unwrap_or(root);
            fs::create_dir_all(parent)
                .and_then(|()| fs::write(&file, text))
                .map_err(|source| GenerateError::Io { path: path.clone(), source })?;
            Ok(path)
        })
        .collect()
}

/// Holds the files under `root` against the code; gives how many there are.
///
/// # Errors
/// [`GenerateError::Differ`] with those that differ or are missing.
pub fn check(root: &Path) -> Result<usize, GenerateError> {
    let files = files();
    let mut differ = Vec::new();
    let count = files.len();
    for File { path, text } in files {
        match fs::read(root.join(&*path)) {
            Ok(committed) if committed == text.as_bytes() => {}
            Ok(_) => differ.push(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => differ.push(path),
            Err(source) => return Err(GenerateError::Io { path, source }),
        }
    }
    if differ.is_empty() { Ok(count) } else { Err(GenerateError::Differ(differ)) }
}
