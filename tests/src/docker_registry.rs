//! A real OCI registry: Docker's own.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::tools::tool;

/// A running registry, and what it keeps; gone with the value.
#[derive(Debug)]
pub struct Registry {
    process: Child,
    directory: tempfile::TempDir,
    address: String,
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Registry {
    /// Starts one that is configured by `extra`, lines of YAML in which `DIR` is the directory that
    /// `prepare` filled. `None` where there is no such program.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn start(extra: &str, prepare: impl FnOnce(&Path)) -> Option<Self> {
        let program = tool("docker-registry")?;
        let directory = tempfile::tempdir().expect("a directory");
        prepare(directory.path());
        let place = directory.path().display().to_string();
        let configuration = format!(
            "version: 0.1\n\
             log: {{level: info, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {place}/data}}}}\n\
             {}",
            extra.replace("DIR", &place)
        );
        let file = directory.path().join("config.yml");
        fs::write(&file, configuration).expect("written");
        let mut process = Command::new(program)
            .arg("serve")
            .arg(file)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("docker-registry runs");
        let mut lines = BufReader::new(process.stderr.take().expect("a pipe")).lines();
        let mut said = String::new();
        let address = lines.by_ref().map_while(Result::ok).find_map(|line| {
            said.extend([line.as_str(), "\n"]);
            let (_, rest) = line.split_once("listening on ")?;
            rest.split([',', '"']).next().map(str::to_owned)
        });
        // It must not wait for somebody to read what it says.
        std::thread::spawn(move || lines.for_each(drop));
        let address = address.unwrap_or_else(|| panic!("docker-registry does not start: {said}"));
        Some(Self { process, directory, address })
    }

    /// Starts one that takes everything from everyone, over HTTP. `None` where there is no such
    /// program.
    #[must_use]
    pub fn plain() -> Option<Self> {
        Self::start("http: {addr: \"127.0.0.1:0\"}\n", |_| {})
    }

    /// Its host and port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where it keeps its data, under `data`, and what was prepared.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}
