//! Running helm.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use headscale_testkit::tools::tool;
use serde_json::Value;
use tempfile::TempDir;

/// The release of most tests, which is called as the chart.
pub(crate) const RELEASE: &str = "headscale-operator";
/// Its namespace.
pub(crate) const NAMESPACE: &str = "headscale-operator-system";

/// The chart's folder.
pub(crate) fn chart() -> String {
    format!("{}/../charts/headscale-operator", env!("CARGO_MANIFEST_DIR"))
}

/// A file of the chart.
pub(crate) fn read(name: &str) -> String {
    let path = format!("{}/{name}", chart());
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A helm that knows nothing of whoever runs the tests.
pub(crate) struct Helm {
    program: PathBuf,
    folder: TempDir,
}

impl Helm {
    /// The one that `tests/tools` provides; `None`, and a line that says so, where there is none.
    pub(crate) fn new() -> Option<Self> {
        Some(Self { program: tool("helm")?, folder: tempfile::tempdir().expect("a folder") })
    }

    /// A folder that is gone with the value.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs it; gives what it prints, or what it says where it fails.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new(&self.program);
        command.env_clear().args(arguments);
        for (variable, folder) in [
            ("HELM_CACHE_HOME", "cache"),
            ("HELM_CONFIG_HOME", "config"),
            ("HELM_DATA_HOME", "data"),
            ("HOME", "home"),
        ] {
            command.env(variable, self.folder().join(folder));
        }
        let output = command.output().expect("helm runs");
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// Runs it with a file of `values`.
    pub(crate) fn run_with(&self, values: &Value, arguments: &[&str]) -> Result<String, String> {
        let file = self.folder().join("values.yaml");
        // JSON is YAML.
        fs::write(&file, values.to_string()).expect("written");
        let file = file.to_str().expect("a path in UTF-8");
        self.run(&[arguments, &["--values", file]].concat())
    }

    /// The objects of the chart with `values`, or why there are none.
    pub(crate) fn template(&self, values: &Value) -> Result<Vec<Value>, String> {
        self.template_as(RELEASE, NAMESPACE, values)
    }

    /// The same for a release of another name, or in another namespace.
    pub(crate) fn template_as(
        &self,
        release: &str,
        namespace: &str,
        values: &Value,
    ) -> Result<Vec<Value>, String> {
        let arguments = ["template", release, &chart(), "--namespace", namespace];
        let text = self.run_with(values, &arguments)?;
        // It refuses keys that stand twice.
        Ok(serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{error}\n{text}")))
    }
}

/// The only object of a kind; null where there is none.
pub(crate) fn only<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let mut found = objects.iter().filter(|object| object["kind"] == kind);
    let first = found.next().unwrap_or(&Value::Null);
    assert!(found.next().is_none(), "more than one {kind}");
    first
}
