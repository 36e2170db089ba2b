//! The lock file.

use std::fs;

use headscale_policy_registry::{
    Change, Digest, LOCK_FILE, Lock, LockError, Mode, OciReference, Pin,
};

use crate::support;

fn reference(text: &str) -> OciReference {
    text.parse().expect(text)
}

/// A lock file of three plugins, the last one without a tag.
fn lock() -> Lock {
    let mut lock = Lock::default();
    let digest = support::artifact("c").digest().clone();
    for (text, name) in [
        ("oci://r.io/z/rules:2".to_owned(), "b"),
        ("oci://r.io/a/rules:1".to_owned(), "a"),
        (format!("oci://r.io/m/rules@{digest}"), "c"),
    ] {
        let change = lock.insert(&reference(&text), &support::artifact(name));
        assert!(matches!(change, Ok(Change::Added)));
    }
    lock
}

#[test]
fn the_file() {
    let text = lock().render().expect("it is written");
    insta::assert_snapshot!(text);
    assert_eq!(Lock::parse(&text).expect("it is read"), lock());
    insta::assert_snapshot!(Lock::default().render().expect("it is written"), @r"
    # Written by `kubectl headscale plugin pull`. Commit it, do not edit it.
    version: 1
    plugins: []
    ");
}

#[test]
fn what_a_reference_means() {
    let lock = lock();
    let digest = |name| support::artifact(name).digest().clone();
    let unknown = Digest::of(b"");
    for (text, mode, expected) in [
        ("oci://r.io/a/rules:1".to_owned(), Mode::Locked, Ok(("locked", digest("a")))),
        ("oci://r.io/a/rules:1".to_owned(), Mode::Unlocked, Ok(("locked", digest("a")))),
        (
            format!("oci://r.io/a/rules:1@{}", digest("a")),
            Mode::Locked,
            Ok(("locked", digest("a"))),
        ),
        (format!("oci://r.io/a/rules:1@{unknown}"), Mode::Locked, Err("conflict")),
        (format!("oci://r.io/a/rules:1@{unknown}"), Mode::Unlocked, Err("conflict")),
        (format!("oci://r.io/m/rules@{}", digest("c")), Mode::Locked, Ok(("locked", digest("c")))),
        (format!("oci://r.io/m/rules@{unknown}"), Mode::Locked, Err("missing")),
        (format!("oci://r.io/m/rules@{unknown}"), Mode::Unlocked, Ok(("named", unknown.clone()))),
        ("oci://r.io/a/rules:2".to_owned(), Mode::Unlocked, Err("missing")),
        ("oci://r.io/a/rules:2".to_owned(), Mode::Locked, Err("missing")),
        (format!("oci://r.io/b:2@{unknown}"), Mode::Locked, Err("missing")),
        (format!("oci://r.io/b:2@{unknown}"), Mode::Unlocked, Ok(("named", unknown.clone()))),
    ] {
        let asked = reference(&text);
        let found = match lock.pin(&asked, mode) {
            Ok(pin @ Pin::Locked(_)) => Ok(("locked", pin.manifest().clone())),
            Ok(pin @ Pin::Named(_)) => Ok(("named", pin.manifest().clone())),
            Err(LockError::Missing { .. }) => Err("missing"),
            Err(LockError::Conflict { .. }) => Err("conflict"),
            Err(error) => panic!("{text}: {error}"),
        };
        assert_eq!(found, expected, "{text} {mode:?}");
    }
}

#[test]
fn what_people_are_told() {
    let lock = lock();
    let asked = |text: &str| lock.pin(&reference(text), Mode::Locked).expect_err(text);
    let other = format!("oci://r.io/a/rules:1@{}", Digest::of(b""));
    let mut changed = lock.clone();
    let named = changed.insert(&reference(&other), &support::artifact("a")).expect_err("other");
    let entry = lock.entry(&reference("oci://r.io/a/rules:1")).expect("an entry");
    let mismatch = entry.check(&support::artifact("b")).expect_err("another plugin");
    let errors = [asked("oci://r.io/new:1"), asked(&other), named, mismatch];
    let told: Vec<String> =
        errors.iter().map(|error| format!("{error}\n  {}", error.help())).collect();
    insta::assert_snapshot!(told.join("\n"));
    assert_eq!(changed, lock);
}

#[test]
fn every_field_is_held_against_the_plugin() {
    let artifact = support::artifact("a");
    let lock = lock();
    let entry = lock.entry(&reference("oci://r.io/a/rules:1")).expect("an entry");
    assert!(entry.check(&artifact).is_ok());
    let field = |entry: &headscale_policy_registry::Entry| match entry.check(&artifact) {
        Err(LockError::Mismatch { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    let mut changed = entry.clone();
    changed.imports.clear();
    assert_eq!(field(&changed), "imports");
    changed.size += 1;
    assert_eq!(field(&changed), "size");
    changed.component = Digest::of(b"");
    assert_eq!(field(&changed), "component");
    changed.manifest = Digest::of(b"");
    assert_eq!(field(&changed), "manifest");
}

#[test]
fn entries_are_added_replaced_and_dropped() {
    let mut lock = lock();
    let (a, z) = (reference("oci://r.io/a/rules:1"), reference("oci://r.io/z/rules:2"));
    assert_eq!(lock.insert(&a, &support::artifact("a")).expect("locked"), Change::Same);
    match lock.insert(&a, &support::artifact("b")) {
        Ok(Change::Replaced(old)) => assert_eq!(old.manifest, *support::artifact("a").digest()),
        other => panic!("{other:?}"),
    }
    let pinned = z.pinned(support::artifact("b").digest().clone());
    let dropped = lock.retain(&[pinned]);
    let names: Vec<String> = dropped.iter().map(|entry| entry.reference.to_string()).collect();
    assert_eq!(names.len(), 2);
    assert_eq!(names[0], "oci://r.io/a/rules:1");
    assert_eq!(lock.entries().len(), 1);
}

#[test]
fn what_is_no_lock_file_says_where() {
    let good = lock().render().expect("it is written");
    let without_tag = support::artifact("c");
    let without_tag = without_tag.digest().as_str();
    let entry = good.split("- ref").nth(1).expect("an entry");
    let conflict = good.replacen("  - ref", "<<<<<<< HEAD\n  - ref", 1);
    let texts = [
        String::new(),
        "version: 1\n".to_owned(),
        "version: 2\nmodules: {}\n".to_owned(),
        "version: 1\nplugins: {}\n".to_owned(),
        "version: 1\nplugins: []\nversion: 1\n".to_owned(),
        "version: 1\nplugins: []\nextra: 1\n".to_owned(),
        good.replacen("manifest:", "manifset:", 1),
        good.replacen("sha256:", "sha512:", 1),
        good.replacen("oci://r.io/a/rules:1", "r.io/a/rules:1", 1),
        good.replacen("oci://r.io/a/rules:1", "./x.wasm", 1),
        good.replacen("rules:1", &format!("rules:1@{}", Digest::of(b"")), 1),
        good.replacen(without_tag, Digest::of(b"").as_str(), 1),
        good.replacen("size: ", "size: -", 1),
        format!("{good}  - ref{entry}"),
        conflict,
        "version: 1\nplugins: [".to_owned(),
    ];
    let told: Vec<String> =
        texts.iter().map(|text| Lock::parse(text).expect_err(text).to_string()).collect();
    let digests = [("DIGEST", Digest::of(b""))];
    let told = digests
        .iter()
        .fold(told.join("\n"), |told, (name, digest)| told.replace(digest.hex(), name));
    insta::assert_snapshot!(told);
}

#[test]
fn files() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join(LOCK_FILE);
    assert_eq!(Lock::read(&path).expect("there is none"), Lock::default());
    assert!(lock().write(&path).expect("written"));
    assert!(!lock().write(&path).expect("it is there"));
    assert_eq!(Lock::read(&path).expect("readable"), lock());
    assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 1);

    let nowhere = directory.path().join("none").join(LOCK_FILE);
    assert!(matches!(lock().write(&nowhere), Err(LockError::Io { .. })));
    fs::write(&path, b"\xff").expect("written");
    assert_eq!(
        Lock::read(&path).expect_err("no text").to_string(),
        ".headscale-policy.lock: it is not UTF-8"
    );
}

#[cfg(unix)]
#[test]
fn a_link_to_the_file_stays() {
    let directory = tempfile::tempdir().expect("a directory");
    let (real, link) = (directory.path().join("real"), directory.path().join(LOCK_FILE));
    fs::write(&real, "").expect("written");
    std::os::unix::fs::symlink(&real, &link).expect("linked");
    assert!(lock().write(&link).expect("written"));
    assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
    assert_eq!(Lock::read(&real).expect("readable"), lock());
}
