//! Archives hold what they should and nothing else, and are the same each time.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use flate2::bufread::DeflateDecoder;
use flate2::read::GzDecoder;
use headscale_krew::archive::{Contents, Effort, write};
use headscale_krew::{KrewError, PLATFORMS, Platform, Version};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

const PROGRAM: &[u8] = b"\x7fELF and so on";
const LICENSE: &[u8] = b"Do as you like.\n";

/// A file as it stands in an archive.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    name: String,
    mode: u32,
    bytes: Vec<u8>,
}

struct Release {
    dir: TempDir,
    version: Version,
}

impl Release {
    fn new() -> Self {
        let release =
            Self { dir: TempDir::new().unwrap(), version: "v1.2.3-rc.1".parse().unwrap() };
        fs::write(release.path("built"), PROGRAM).unwrap();
        fs::write(release.path("license"), LICENSE).unwrap();
        release
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn pack(&self, platform: &'static Platform, out: &str) -> Result<PathBuf, KrewError> {
        let contents = Contents {
            platform,
            version: &self.version,
            program: &self.path("built"),
            license: &self.path("license"),
        };
        write(&contents, &self.path(out), Effort::Best)
    }
}

fn entries(archive: &Path) -> Vec<Entry> {
    if archive.extension().is_some_and(|extension| extension == "zip") {
        return zip_entries(&fs::read(archive).unwrap());
    }
    let mut tar = tar::Archive::new(GzDecoder::new(fs::File::open(archive).unwrap()));
    let entries = tar.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let header = entry.header();
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
        assert_eq!(header.mtime().unwrap(), 0);
        assert!(header.entry_type().is_file(), "krew takes nothing else");
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        let mode = entry.header().mode().unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        Entry { name, mode, bytes }
    });
    entries.collect()
}

fn zip_entries(archive: &[u8]) -> Vec<Entry> {
    let zip = rawzip::ZipArchive::from_slice(archive).unwrap();
    let mut found = Vec::new();
    let mut entries = zip.entries();
    while let Some(entry) = entries.next_entry().unwrap() {
        let name = entry.file_path().try_normalize().unwrap().as_ref().to_owned();
        let time = entry.last_modified();
        assert_eq!((time.year(), time.month(), time.day()), (1980, 1, 1));
        let packed = zip.get_entry(entry.wayfinder()).unwrap();
        let mut bytes = Vec::new();
        let mut reader = packed.verifying_reader(DeflateDecoder::new(packed.data()));
        reader.read_to_end(&mut bytes).unwrap();
        found.push(Entry { name, mode: entry.mode().value() & 0o777, bytes });
    }
    found
}

#[test]
fn every_archive_has_the_program_and_the_licence_at_its_root() {
    let release = Release::new();
    for platform in &PLATFORMS {
        let archive = release.pack(platform, "out").unwrap();
        let found = entries(&archive);
        let expected = [("LICENSE", 0o644, LICENSE), (platform.program(), 0o755, PROGRAM)];
        let expected = expected.map(|(name, mode, bytes)| Entry {
            name: name.to_owned(),
            mode,
            bytes: bytes.to_vec(),
        });
        assert_eq!(found, expected, "{}", platform.triple);
    }
}

#[test]
fn archives_are_called_after_their_version_and_target() {
    let version: Version = "v1.2.3".parse().unwrap();
    let names = PLATFORMS.each_ref().map(|platform| platform.archive(&version));
    assert_eq!(
        names,
        [
            "kubectl-headscale-v1.2.3-x86_64-unknown-linux-musl.tar.gz",
            "kubectl-headscale-v1.2.3-aarch64-unknown-linux-musl.tar.gz",
            "kubectl-headscale-v1.2.3-x86_64-apple-darwin.tar.gz",
            "kubectl-headscale-v1.2.3-aarch64-apple-darwin.tar.gz",
            "kubectl-headscale-v1.2.3-x86_64-pc-windows-msvc.zip",
        ]
    );
}

#[test]
fn an_archive_is_the_same_each_time() {
    let release = Release::new();
    for platform in &PLATFORMS {
        let first = fs::read(release.pack(platform, "out").unwrap()).unwrap();
        // Other times and permissions, another folder, and over what is there already.
        for name in ["built", "license"] {
            let bytes = fs::read(release.path(name)).unwrap();
            fs::remove_file(release.path(name)).unwrap();
            fs::write(release.path(name), bytes).unwrap();
            let mut permissions = fs::metadata(release.path(name)).unwrap().permissions();
            permissions.set_readonly(true);
            fs::set_permissions(release.path(name), permissions).unwrap();
        }
        for out in ["elsewhere/deep", "out"] {
            let again = fs::read(release.pack(platform, out).unwrap()).unwrap();
            assert!(first == again, "{} in {out}", platform.triple);
        }
    }
}

#[test]
fn the_digest_beside_an_archive_is_one_that_sha256sum_reads() {
    let release = Release::new();
    let archive = release.pack(&PLATFORMS[0], "out").unwrap();
    let name = PLATFORMS[0].archive(&release.version);
    let sum = fs::read_to_string(release.path("out").join(format!("{name}.sha256"))).unwrap();
    let digest = Sha256::digest(fs::read(archive).unwrap());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(sum, format!("{digest}  {name}\n"));
}

#[test]
fn what_cannot_be_packed_is_named() {
    let release = Release::new();
    fs::write(release.path("license"), "").unwrap();
    let error = release.pack(&PLATFORMS[0], "out").unwrap_err().to_string();
    assert!(error.ends_with("license: an empty file is no part of a release"), "{error}");
    fs::remove_file(release.path("license")).unwrap();
    let error = release.pack(&PLATFORMS[0], "out").unwrap_err().to_string();
    assert!(error.contains("license: "), "{error}");
    assert!(!release.path("out").exists());
}

#[test]
fn other_targets_are_refused_with_those_that_there_are() {
    let error = Platform::of("x86_64-unknown-linux-gnu").unwrap_err().to_string();
    assert!(error.starts_with("\"x86_64-unknown-linux-gnu\" is no target"), "{error}");
    assert!(error.contains("x86_64-unknown-linux-musl, "), "{error}");
    assert_eq!(Platform::of("aarch64-apple-darwin").unwrap().arch, "arm64");
}
