//! Plugins in a real registry: Docker's own.

use std::fs;
use std::path::PathBuf;

use headscale_policy_registry::{
    Artifact, Client, Credentials, Digest, Error, OciReference, Options, Store, Transport, block_on,
};
use headscale_testkit::certificates::{Issued, issue};
use headscale_testkit::docker_registry::Registry;

use crate::support;

fn reference(registry: &Registry, rest: &str) -> OciReference {
    format!("oci://{}/{rest}", registry.address()).parse().expect("a reference")
}

/// The file in which a registry keeps the content with this digest.
fn blob(registry: &Registry, digest: &Digest) -> PathBuf {
    let hex = digest.hex();
    let blobs = registry.directory().join("data/docker/registry/v2/blobs/sha256");
    blobs.join(hex.split_at(2).0).join(hex).join("data")
}

fn push(options: &Options, to: &OciReference, artifact: &Artifact) -> Result<Digest, Error> {
    block_on(Client::new(options.clone()).push(to, artifact)).expect("a runtime")
}

fn pull(options: &Options, from: &OciReference) -> Result<Artifact, Error> {
    block_on(Client::new(options.clone()).pull(from)).expect("a runtime")
}

#[test]
fn what_is_pushed_is_pulled() {
    let Some(registry) = Registry::plain() else { return };
    let options = Options::default();
    let tag = reference(&registry, "acme/policy/rules:1.2.0");
    let first = support::artifact("a");
    let digest = push(&options, &tag, &first).expect("pushed");
    assert_eq!(digest, *first.digest());
    assert_eq!(push(&options, &tag, &first).expect("pushed again"), digest);
    assert_eq!(pull(&options, &tag).expect("pulled"), first);
    let pinned = tag.pinned(digest.clone());
    assert_eq!(pull(&options, &pinned).expect("pulled"), first);

    // The tag moves, what is pinned does not.
    let second = support::artifact("b");
    push(&options, &tag, &second).expect("pushed");
    assert_eq!(pull(&options, &tag).expect("pulled"), second);
    assert_eq!(pull(&options, &pinned).expect("pulled"), first);
    let resolved = block_on(Client::new(options.clone()).resolve(&tag)).expect("a runtime");
    assert_eq!(resolved.expect("there"), *second.digest());

    // A large component, in another repository, by digest alone.
    let mut large = support::component("large");
    // A custom section of 8 MiB: its id, its size in LEB128, the length of its name.
    large.extend([0, 0x81, 0x80, 0x80, 0x04, 0]);
    large.resize(large.len() + (8 << 20), 7);
    let large = Artifact::pack(large, None, &support::annotations()).expect("a component");
    let name = format!("other@{}", large.digest());
    push(&options, &reference(&registry, &name), &large).expect("pushed");
    assert_eq!(pull(&options, &reference(&registry, &name)).expect("pulled"), large);

    for missing in ["acme/policy/rules:2", "acme/none:1", "other:1"] {
        let error = pull(&options, &reference(&registry, missing)).expect_err(missing);
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
    }
}

#[test]
fn what_was_pulled_needs_no_registry() {
    let Some(registry) = Registry::plain() else { return };
    let artifact = support::artifact("a");
    let tag = reference(&registry, "rules:1");
    let pinned = tag.pinned(push(&Options::default(), &tag, &artifact).expect("pushed"));
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(directory.path().join("plugins")).expect("a store");
    let client = Client::new(Options { attempts: 1, ..Options::default() });
    let fetched = block_on(client.fetch(&store, &pinned)).expect("a runtime").expect("fetched");
    assert_eq!(fetched, artifact);
    drop(registry);
    let fetched = block_on(client.fetch(&store, &pinned)).expect("a runtime").expect("stored");
    assert_eq!(fetched, artifact);
    assert!(block_on(client.fetch(&store, &tag)).expect("a runtime").is_err());
}

#[test]
fn what_changes_in_the_registry_is_found() {
    let Some(registry) = Registry::plain() else { return };
    let options = Options::default();
    let artifact = support::artifact("a");
    let tag = reference(&registry, "rules:1");
    let digest = push(&options, &tag, &artifact).expect("pushed");
    for content in [artifact.component(), artifact.config(), artifact.manifest()] {
        let file = blob(&registry, &Digest::of(content));
        let mut changed = content.to_vec();
        let last = changed.len() - 2;
        changed[last] ^= 1;
        fs::write(&file, changed).expect("written");
        let error = pull(&options, &tag.pinned(digest.clone())).expect_err("changed");
        // The registry itself refuses to serve a manifest that is not what its name says.
        let refused = content == artifact.manifest();
        let found = matches!(error, Error::Integrity { .. });
        assert!(found || refused, "{error}");
        fs::write(&file, content).expect("written");
        assert_eq!(pull(&options, &tag).expect("whole again"), artifact);
    }
}

#[test]
fn passwords() {
    let extra = "http: {addr: \"127.0.0.1:0\"}\n\
                 auth: {htpasswd: {realm: test, path: DIR/htpasswd}}\n";
    // bcrypt of "s3".
    let users = "alice:$2b$04$n47adxq6F5JhlYNqqjHbS.EBWnvL42VINVzrvUakRiWf2RstCZDIi\n";
    let Some(registry) = Registry::start(extra, |directory| {
        fs::write(directory.join("htpasswd"), users).expect("written");
    }) else {
        return;
    };
    let with = |auth: &str| {
        let file = registry.directory().join("config.json");
        let json = format!(r#"{{"auths": {{"{}": {{"auth": "{auth}"}}}}}}"#, registry.address());
        fs::write(&file, json).expect("written");
        Options { credentials: Credentials::DockerConfig(file), ..Options::default() }
    };
    let tag = reference(&registry, "rules:1");
    let artifact = support::artifact("a");
    // "alice:wrong" and "alice:s3" in base64.
    for options in [Options::default(), with("YWxpY2U6d3Jvbmc=")] {
        let error = push(&options, &tag, &artifact).expect_err("refused");
        assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
    }
    let alice = with("YWxpY2U6czM=");
    push(&alice, &tag, &artifact).expect("pushed");
    assert_eq!(pull(&alice, &tag).expect("pulled"), artifact);
    let error = pull(&Options::default(), &tag).expect_err("refused");
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
}

#[test]
fn encrypted() {
    let Issued { authority, certificate, key } = issue("127.0.0.1");
    let extra = "http:\n  addr: \"127.0.0.1:0\"\n  \
                 tls: {certificate: DIR/certificate.pem, key: DIR/key.pem}\n";
    let Some(registry) = Registry::start(extra, |directory| {
        fs::write(directory.join("certificate.pem"), certificate).expect("written");
        fs::write(directory.join("key.pem"), key).expect("written");
    }) else {
        return;
    };
    let tag = reference(&registry, "rules:1");
    let artifact = support::artifact("a");
    let options = Options { transport: Transport::Tls, attempts: 1, ..Options::default() };
    let error = push(&options, &tag, &artifact).expect_err("an unknown authority");
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    let trusting = Options { certificates: authority.into_bytes(), ..options };
    push(&trusting, &tag, &artifact).expect("pushed");
    assert_eq!(pull(&trusting, &tag).expect("pulled"), artifact);
}
