//! Compiled components on disk.

use std::fs;
use std::path::Path;

use headscale_policy_host::{Compilation, Host, Options, Validator, View, prune};
use serde_json::json;

use crate::guest::{Guest, told};
use crate::subject;

fn cached(dir: &Path) -> Host {
    Host::new(Options { cache: Some(dir.to_owned()), ..Options::default() }).unwrap()
}

fn compiled(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|ext| ext == "aot")).collect()
}

#[test]
fn a_component_is_compiled_once() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("a/aot");
    let bytes = Guest::new("x").finds(&[told("rule", "", "found")]).build();
    let first = cached(&dir).load("./x.wasm", &bytes).unwrap();
    assert_eq!(*first.compilation(), Compilation::Stored);
    let again = cached(&dir).load("./x.wasm", &bytes).unwrap();
    assert_eq!(*again.compilation(), Compilation::Cached);
    let verdict = again.validator(&json!({})).unwrap().validate(&View::new(subject())).unwrap();
    assert_eq!(verdict.findings[0].message, "found");
    // With other settings of the engine it is another one.
    let mut host = Options { cache: Some(dir.clone()), ..Options::default() };
    host.limits.set("memory=32MiB").unwrap();
    let other = Host::new(host).unwrap().load("./x.wasm", &bytes).unwrap();
    assert_eq!(*other.compilation(), Compilation::Cached, "limits are no settings of the engine");
}

#[test]
fn what_was_changed_is_compiled_again() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("aot");
    let bytes = Guest::new("x").build();
    cached(&dir).load("./x.wasm", &bytes).unwrap();
    let path = compiled(&dir).remove(0);
    let good = fs::read(&path).unwrap();
    // The seal, the head of the code, its middle and its end; cut off; empty.
    let mut changed: Vec<Vec<u8>> = [0, 32, good.len() / 2, good.len() - 1]
        .into_iter()
        .map(|at| {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            bytes
        })
        .collect();
    changed.extend([good[..good.len() - 1].to_vec(), good[..10].to_vec(), Vec::new()]);
    for bytes_on_disk in changed {
        fs::write(&path, &bytes_on_disk).unwrap();
        let plugin = cached(&dir).load("./x.wasm", &bytes).unwrap();
        assert_eq!(*plugin.compilation(), Compilation::Stored);
        assert_eq!(fs::read(&path).unwrap(), good);
    }
    // What another component was compiled to.
    let other = Guest::new("other").build();
    cached(&dir).load("./other.wasm", &other).unwrap();
    let other_path = compiled(&dir).into_iter().find(|p| *p != path).unwrap();
    fs::copy(&other_path, &path).unwrap();
    let plugin = cached(&dir).load("./x.wasm", &bytes).unwrap();
    assert_eq!(*plugin.compilation(), Compilation::Stored);
    assert_eq!(plugin.descriptor().name, "x");
    // What another user's cache holds, sealed with another key.
    fs::write(dir.join("key"), [7; 32]).unwrap();
    let plugin = cached(&dir).load("./x.wasm", &bytes).unwrap();
    assert_eq!(*plugin.compilation(), Compilation::Stored);
}

#[test]
fn old_ones_are_removed_first() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("aot");
    let host = cached(&dir);
    for name in ["a", "b", "c"] {
        host.load(name, &Guest::new(name).build()).unwrap();
    }
    let files = compiled(&dir);
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000);
    fs::File::options().append(true).open(&files[1]).unwrap().set_modified(old).unwrap();
    let size = |path: &Path| fs::metadata(path).unwrap().len();
    let all: u64 = files.iter().map(|path| size(path)).sum();
    let first = size(&files[1]);
    let pruned = prune(&dir, all - 1).unwrap();
    assert_eq!((pruned.components, pruned.bytes, pruned.left), (1, first, all - first));
    assert!(!files[1].exists() && files[0].exists());
    let pruned = prune(&dir, 0).unwrap();
    assert_eq!((pruned.components, pruned.left), (2, 0));
    assert_eq!(prune(&temp.path().join("none"), 0).unwrap().components, 0);
}

#[cfg(unix)]
#[test]
fn a_directory_that_others_can_change_is_not_used() {
    use std::os::unix::fs::PermissionsExt;

    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("aot");
    let bytes = Guest::new("x").build();
    cached(&dir).load("x", &bytes).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    for path in compiled(&dir).iter().chain([&dir.join("key")]) {
        assert_eq!(mode(path), 0o600, "{}", path.display());
    }
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
    let host = cached(&dir);
    let problem = host.cache_problem().unwrap().to_owned();
    assert!(
        problem.ends_with("aot is open to others: it must be yours alone (mode 700)"),
        "{problem}"
    );
    let plugin = host.load("x", &bytes).unwrap();
    assert_eq!(*plugin.compilation(), Compilation::NotStored(Some(problem)));
}
