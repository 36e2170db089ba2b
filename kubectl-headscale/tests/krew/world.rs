//! A machine with krew, kubectl and git, on which nothing is installed yet.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use headscale_krew::archive::{Contents, Effort, write};
use headscale_krew::{PLATFORMS, Platform, Version, manifest};
use headscale_testkit::tools::tool;
use tempfile::TempDir;

/// A machine whose home, temporary files and configuration are its own.
pub(crate) struct World {
    dir: TempDir,
    base_url: String,
}

impl World {
    /// `None`, and a line that says so, where one of the programs is missing.
    pub(crate) fn new() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        for name in ["home", "index/plugins", "krew", "programs", "tmp", "www"] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        for name in ["krew", "validate-krew-manifest", "kubectl"] {
            symlink(tool(name)?, dir.path().join("programs").join(name)).unwrap();
        }
        // As kubectl finds it, which is how manifests are checked.
        symlink("krew", dir.path().join("programs/kubectl-krew")).unwrap();
        if Command::new("git").arg("--version").output().is_err() {
            headscale_testkit::tell("skipped: needs git");
            return None;
        }
        let base_url = super::server::serve(dir.path().join("www"));
        let world = Self { dir, base_url };
        world.success("git", &["init", "--quiet", &world.text("index")]);
        Some(world)
    }

    /// The path of `name` on the machine.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The same as an argument.
    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// The address of a file of the web server.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("{}{name}", self.base_url)
    }

    /// The path of this machine's archive.
    pub(crate) fn archive(&self, version: &str) -> String {
        self.text(&format!("www/{}", here().archive(&version.parse().unwrap())))
    }

    /// What krew's link to the program leads to.
    pub(crate) fn installed(&self) -> String {
        let program = fs::read_link(self.path("krew/bin/kubectl-headscale")).unwrap();
        program.to_str().unwrap().to_owned()
    }

    /// Puts archives and manifest on the web server, as a release does: the real program for this
    /// machine, and something for the other platforms. Gives the path of the manifest.
    pub(crate) fn release(&self, version: &str) -> String {
        let version: Version = version.parse().unwrap();
        let other = self.path("other");
        fs::write(&other, "a program for another platform").unwrap();
        let license = root().join("LICENSE");
        for platform in &PLATFORMS {
            let program = if platform == here() { self.program() } else { other.clone() };
            let contents =
                Contents { platform, version: &version, program: &program, license: &license };
            write(&contents, &self.path("www"), Effort::Quick).unwrap();
        }
        let manifest = manifest::render(&version, &self.path("www"), &self.base_url).unwrap();
        fs::write(self.path("www/headscale.yaml"), manifest).unwrap();
        self.text("www/headscale.yaml")
    }

    /// Commits the last release to the index.
    pub(crate) fn publish(&self) {
        fs::copy(self.path("www/headscale.yaml"), self.path("index/plugins/headscale.yaml"))
            .unwrap();
        let index = self.text("index");
        self.success("git", &["-C", &index, "add", "--all"]);
        self.success("git", &["-C", &index, "commit", "--quiet", "--message", "a release"]);
    }

    /// Runs krew; gives all that it printed.
    #[track_caller]
    pub(crate) fn krew(&self, arguments: &[&str]) -> String {
        self.success("krew", arguments)
    }

    /// Runs kubectl; gives all that it printed.
    #[track_caller]
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        self.success("kubectl", arguments)
    }

    /// Runs a program that succeeds; gives all that it printed.
    #[track_caller]
    pub(crate) fn success(&self, program: &str, arguments: &[&str]) -> String {
        let (ok, told) = self.run(program, arguments);
        assert!(ok, "{program} {arguments:?}: {told}");
        told
    }

    /// Runs a program in a checkout, with nothing to read; gives whether it succeeded, and all that
    /// it printed.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> (bool, String) {
        let path = self.search_path();
        let named = env::split_paths(&path).map(|dir| dir.join(program)).find(|it| it.is_file());
        let output = Command::new(named.unwrap_or_else(|| panic!("{program} is not on PATH")))
            .args(arguments)
            .current_dir(root())
            .env_clear()
            .env("PATH", &path)
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("tmp"))
            .env("KREW_ROOT", self.path("krew"))
            .env("KREW_NO_UPGRADE_CHECK", "1")
            .env("GIT_ALLOW_PROTOCOL", "file")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .envs(["AUTHOR", "COMMITTER"].into_iter().flat_map(|who| {
                [("NAME", "a test"), ("EMAIL", "test@example.com")]
                    .map(|(what, value)| (format!("GIT_{who}_{what}"), value))
            }))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let told = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(told).unwrap())
    }

    /// The plugins that krew installs, the programs, and last where this machine has git.
    fn search_path(&self) -> OsString {
        let path = env::var_os("PATH").unwrap_or_default();
        let own = [self.path("krew/bin"), self.path("programs")];
        env::join_paths(own.into_iter().chain(env::split_paths(&path))).unwrap()
    }

    /// The plugin, without what debuggers read where that can be taken out: it is most of it.
    fn program(&self) -> PathBuf {
        let (built, stripped) = (env!("CARGO_BIN_EXE_kubectl-headscale"), self.path("stripped"));
        let strip = Command::new("strip").arg("-o").args([&stripped, Path::new(built)]).output();
        if strip.is_ok_and(|output| output.status.success()) { stripped } else { built.into() }
    }
}

/// The platform that this is.
fn here() -> &'static Platform {
    let os = if env::consts::OS == "macos" { "darwin" } else { env::consts::OS };
    let arch = match env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let platform = PLATFORMS.iter().find(|platform| (platform.os, platform.arch) == (os, arch));
    platform.expect("tests run where releases do")
}

/// The checkout.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
