//! The local store.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use headscale_policy_registry::{Artifact, Digest, Store, StoreError, Stored};

use crate::support;

const LATER: Duration = Duration::from_secs(2 * 60 * 60);

fn store(directory: &Path) -> Store {
    Store::open(directory.join("cache/plugins")).expect("a store")
}

/// All files of the store, relative to it.
fn files(directory: &Path) -> Vec<PathBuf> {
    let root = directory.join("cache/plugins");
    let mut files = Vec::new();
    for part in ["blobs", "manifests"] {
        for entry in fs::read_dir(root.join(part)).expect("a directory") {
            files.push(Path::new(part).join(entry.expect("an entry").file_name()));
        }
    }
    files.sort();
    files
}

fn path(directory: &Path, part: &str, digest: &Digest) -> PathBuf {
    directory.join("cache/plugins").join(part).join(digest.hex())
}

fn listed(store: &Store) -> Vec<Stored> {
    store.list().expect("readable").into_iter().map(|found| found.expect("whole")).collect()
}

#[test]
fn what_is_put_is_got() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = store(directory.path());
    let artifact = support::artifact("a");
    assert_eq!(store.get(artifact.digest()).expect("readable"), None);
    store.put(&artifact).expect("stored");
    store.put(&artifact).expect("stored again");
    assert_eq!(store.get(artifact.digest()).expect("readable"), Some(artifact.clone()));
    // Of the same component, but another manifest.
    assert_eq!(store.get(&Digest::of(b"")).expect("readable"), None);
    assert_eq!(files(directory.path()).len(), 3);

    let list = listed(&store);
    assert_eq!(list.len(), 1);
    assert_eq!(list[0].manifest, *artifact.digest());
    assert_eq!(list[0].component, artifact.inspection().digest);
    assert_eq!(list[0].size, artifact.component().len() as u64);
    assert_eq!(list[0].title.as_deref(), Some("rules"));
    assert_eq!(list[0].version.as_deref(), Some("1.2.0"));
}

#[cfg(unix)]
#[test]
fn the_store_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path().join("cache/plugins");
    fs::create_dir_all(&root).expect("made");
    fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).expect("set");
    store(directory.path()).put(&support::artifact("a")).expect("stored");
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    for part in ["", "blobs", "manifests"] {
        assert_eq!(mode(&root.join(part)), 0o700, "{part}");
    }
    for file in files(directory.path()) {
        assert_eq!(mode(&root.join(&file)), 0o600, "{file:?}");
    }
}

#[test]
fn damage_is_found_and_mended() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = store(directory.path());
    let artifact = support::artifact("a");
    store.put(&artifact).expect("stored");
    for file in files(directory.path()) {
        let file = directory.path().join("cache/plugins").join(file);
        let whole = fs::read(&file).expect("readable");
        let mut flipped = whole.clone();
        flipped[7] ^= 1;
        for damaged in [&flipped, &whole[..whole.len() - 1], &[]] {
            fs::write(&file, damaged).expect("written");
            let found = store.get(artifact.digest());
            assert!(matches!(found, Err(StoreError::Damaged { .. })), "{file:?}");
        }
        store.put(&artifact).expect("stored");
        assert_eq!(store.get(artifact.digest()).expect("whole"), Some(artifact.clone()));
        fs::remove_file(&file).expect("removed");
        assert_eq!(store.get(artifact.digest()).expect("readable"), None);
        store.put(&artifact).expect("stored");
    }
    fs::write(path(directory.path(), "manifests", artifact.digest()), "{}").expect("written");
    let error = store.get(artifact.digest()).expect_err("damaged");
    let told = format!("{error}\n{}", error.help()).replace(artifact.digest().hex(), "MANIFEST");
    insta::assert_snapshot!(told);
    assert!(store.list().expect("readable")[0].is_err());
}

#[test]
fn prune_keeps_what_is_used() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = store(directory.path());
    // Both share the component, the third shares nothing.
    let shared = Artifact::pack(support::component("a"), Some("w"), &support::annotations());
    let (kept, dropped, other) =
        (support::artifact("a"), shared.expect("packed"), support::artifact("b"));
    for artifact in [&kept, &dropped, &other] {
        store.put(artifact).expect("stored");
    }
    let foreign = directory.path().join("cache/plugins/README");
    fs::write(&foreign, "not ours").expect("written");
    let all = files(directory.path()).len();
    assert_eq!(all, 8);

    let now = SystemTime::now();
    let nothing = store.prune(now, |_| true).expect("pruned");
    assert_eq!((nothing.plugins, nothing.bytes), (0, 0));
    let pruned = store.prune(now, |stored| stored.manifest == *kept.digest()).expect("pruned");
    assert_eq!(pruned.plugins, 2);
    let size = |artifact: &Artifact| (artifact.manifest().len() + artifact.config().len()) as u64;
    let freed = size(&dropped) + size(&other) + other.component().len() as u64;
    assert_eq!(pruned.bytes, freed);
    assert_eq!(files(directory.path()).len(), 3);
    assert_eq!(store.get(kept.digest()).expect("readable"), Some(kept));
    assert!(foreign.exists());
}

#[test]
fn prune_removes_leftovers_when_nobody_can_need_them() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = store(directory.path());
    let (orphan, damaged) = (support::artifact("a"), support::artifact("b"));
    store.put(&orphan).expect("stored");
    store.put(&damaged).expect("stored");
    fs::remove_file(path(directory.path(), "manifests", orphan.digest())).expect("removed");
    fs::write(path(directory.path(), "manifests", damaged.digest()), "").expect("written");
    fs::write(directory.path().join("cache/plugins/blobs/.new-x"), "x").expect("written");

    let now = SystemTime::now();
    assert_eq!(store.prune(now, |_| true).expect("pruned").plugins, 1);
    assert_eq!(files(directory.path()).len(), 5, "another process may be at work");
    store.prune(now + LATER, |_| true).expect("pruned");
    assert_eq!(files(directory.path()), Vec::<PathBuf>::new());
}

#[test]
fn several_may_store_the_same_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let artifact = support::artifact("a");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let store = store(directory.path());
                store.put(&artifact).expect("stored");
                assert_eq!(store.get(artifact.digest()).expect("whole").as_ref(), Some(&artifact));
            });
        }
    });
    assert_eq!(files(directory.path()).len(), 3);
}

#[test]
fn a_place_that_is_no_directory() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("file");
    fs::write(&file, "").expect("written");
    for place in [file.clone(), file.join("store")] {
        let error = Store::open(&place).expect_err("no directory");
        assert!(matches!(error, StoreError::Io { .. }), "{error}");
        assert!(error.to_string().contains("file"), "{error}");
    }
}
