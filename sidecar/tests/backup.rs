//! The copy before an upgrade: whole, private, one of them, and never of a migrated database.

#![expect(clippy::expect_used, reason = "a helper of a test fails by a panic, as the test does")]

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const DATABASE: &[u8] = b"SQLite format 3\0and what follows";

struct Volume(TempDir);

impl Volume {
    fn new() -> Self {
        let volume = Self(tempfile::tempdir().expect("a directory"));
        volume.write("db.sqlite", DATABASE);
        volume.write("db.sqlite-wal", b"wal");
        volume.write("noise_private.key", b"privkey:0123");
        volume
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, bytes).expect("written");
    }

    fn read(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.path(name)).ok()
    }

    fn backup(&self, label: &str) -> Output {
        let flag = |name: &str, file: &str| format!("--{name}={}", self.path(file).display());
        Command::new(env!("CARGO_BIN_EXE_headscale-sidecar"))
            .env_clear()
            .args(["backup", "--log-format=text", "--label", label])
            .arg(flag("database", "db.sqlite"))
            .arg(flag("noise-key", "noise_private.key"))
            .arg(flag("to", "backup"))
            .output()
            .expect("the program runs")
    }

    fn succeeds(&self, label: &str) {
        let output = self.backup(label);
        assert!(output.status.success(), "{output:?}");
    }

    fn fails(&self, label: &str, text: &str) {
        let output = self.backup(label);
        let said = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(text), "{said}");
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[test]
fn everything_that_belongs_to_the_database_is_copied_for_its_owner_alone() {
    let volume = Volume::new();
    volume.succeeds("0.30");
    assert_eq!(volume.read("backup/db.sqlite").as_deref(), Some(DATABASE));
    assert_eq!(volume.read("backup/db.sqlite-wal").as_deref(), Some(&b"wal"[..]));
    assert_eq!(volume.read("backup/db.sqlite-shm"), None);
    assert_eq!(volume.read("backup/noise_private.key").as_deref(), Some(&b"privkey:0123"[..]));
    assert_eq!(mode(&volume.path("backup")), 0o700);
    assert_eq!(mode(&volume.path("backup/db.sqlite")), 0o600);
}

#[test]
fn a_restart_during_the_upgrade_does_not_copy_the_migrated_database() {
    let volume = Volume::new();
    volume.succeeds("0.30");
    volume.write("db.sqlite", b"SQLite format 3\0migrated");
    volume.succeeds("0.30");
    assert_eq!(volume.read("backup/db.sqlite").as_deref(), Some(DATABASE));
    // Nor does one that goes back, whose image starts before anything is copied back.
    volume.succeeds("v0.29.2");
    assert_eq!(volume.read("backup/db.sqlite").as_deref(), Some(DATABASE));
    // The next upgrade replaces the copy.
    volume.succeeds("0.31\n");
    let copied = volume.read("backup/db.sqlite");
    assert_eq!(copied.as_deref(), Some(&b"SQLite format 3\0migrated"[..]));
    let names: Vec<_> = fs::read_dir(volume.0.path())
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name())
        .filter(|name| name.to_string_lossy().starts_with("backup"))
        .collect();
    assert_eq!(names, ["backup"], "one copy is kept");
}

#[test]
fn without_a_database_there_is_nothing_to_copy() {
    let volume = Volume::new();
    fs::remove_file(volume.path("db.sqlite")).expect("removed");
    volume.succeeds("0.30");
    assert!(!volume.path("backup").exists());
}

#[test]
fn what_a_killed_run_left_is_cleared_away_or_taken_up() {
    let volume = Volume::new();
    // Killed while copying: the copy has no label.
    volume.write("backup.next/db.sqlite", b"half");
    volume.succeeds("0.29");
    assert_eq!(volume.read("backup/db.sqlite").as_deref(), Some(DATABASE));
    // Killed between the two renames: the new copy is whole, and the database may be migrated now.
    fs::rename(volume.path("backup"), volume.path("backup.former")).expect("renamed");
    volume.write("backup.next/db.sqlite", DATABASE);
    volume.write("backup.next/label", b"0.30\n");
    volume.write("db.sqlite", b"SQLite format 3\0migrated");
    volume.succeeds("0.30");
    assert_eq!(volume.read("backup/db.sqlite").as_deref(), Some(DATABASE));
}

#[test]
fn what_cannot_be_copied_leaves_the_former_copy() {
    let volume = Volume::new();
    volume.succeeds("0.29");
    let database = File::options().write(true).open(volume.path("db.sqlite")).expect("opened");
    database.set_len(1 << 42).expect("a file with holes");
    volume.fails("0.30", "make the volume larger. Nothing was changed");
    volume.write("db.sqlite", b"PGDMP");
    volume.fails("0.30", "not an SQLite database; name it with --database");
    assert_eq!(volume.read("backup/db.sqlite").as_deref(), Some(DATABASE));
    assert_eq!(volume.read("backup/label").as_deref(), Some(&b"0.29\n"[..]));
}
