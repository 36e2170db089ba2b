//! References: what is one, what is none, and what people are told then.

use std::path::Path;

use headscale_policy_registry::{OciReference, Reference};
use proptest::prelude::*;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn references_are_displayed_as_they_were_written() {
    let long = format!("oci://[::1]:5000/a/b__c/d--e.f:Tag_1.2-rc@{DIGEST}");
    let by_digest = format!("oci://ghcr.io/acme/rules@{DIGEST}");
    for (text, kind) in [
        ("./x.wasm", "file"),
        ("../a/./x", "file"),
        ("/opt/x.WASM", "file"),
        ("plugins/x.wasm", "file"),
        ("x.wasm", "file"),
        ("./mit Leerzeichen/ü.wasm", "file"),
        ("builtin:keystone", "builtin"),
        ("builtin:a-1", "builtin"),
        ("oci://ghcr.io/acme/rules:1.2", "oci"),
        ("oci://localhost:5000/rules:latest", "oci"),
        ("oci://127.0.0.1/rules:_", "oci"),
        (&by_digest, "oci"),
        (&long, "oci"),
    ] {
        let reference: Reference = text.parse().expect(text);
        assert_eq!(reference.to_string(), text);
        let parsed = match reference {
            Reference::File(_) => "file",
            Reference::Builtin(_) => "builtin",
            Reference::Oci(_) => "oci",
        };
        assert_eq!(parsed, kind, "{text}");
    }
}

#[test]
fn what_is_no_reference_says_what_was_expected() {
    let bad_digest = format!("oci://ghcr.io/acme/rules:1@{}", DIGEST.to_uppercase());
    let short = "oci://ghcr.io/acme/rules:1@sha256:abc";
    let texts = [
        "",
        "keystone",
        "Keystone Rules",
        "ghcr.io/acme/rules:1.2",
        "localhost:5000/rules",
        "https://ghcr.io/acme/rules:1.2",
        "file:///opt/x.wasm",
        "s3://bucket/x.wasm",
        "./x\n.wasm",
        "./x.cwasm",
        "builtin:",
        "builtin:Keystone",
        "builtin:-a",
        "oci://",
        "oci://ghcr.io",
        "oci://ghcr.io/",
        "oci://ghcr.io/acme/rules",
        "oci://ghcr.io/acme/rules:",
        "oci://ghcr.io/acme/rules:.1",
        "oci://ghcr.io/Acme/rules:1",
        "oci://ghcr.io/acme//rules:1",
        "oci://ghcr.io/acme/ru..les:1",
        "oci://GHCR.io/acme/rules:1",
        "oci://user:secret@ghcr.io/acme/rules:1",
        "oci://ghcr.io:0/rules:1",
        "oci://ghcr.io:+80/rules:1",
        "oci://ghcr.io:65536/rules:1",
        "oci://:5000/rules:1",
        "oci://::1/rules:1",
        "oci://[::1/rules:1",
        "oci://ghcr.io/acme/rules:1?x=y",
        short,
        &bad_digest,
    ];
    let told: Vec<String> = texts
        .iter()
        .map(|text| {
            let error = text.parse::<Reference>().expect_err(text);
            format!("{error}\n  {}", error.help)
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn paths_are_relative_to_the_base() {
    let path = |text: &str| match text.parse() {
        Ok(Reference::File(file)) => file.path(Path::new("/repo/policies")),
        other => panic!("{other:?}"),
    };
    assert_eq!(path("./x.wasm"), Path::new("/repo/policies/./x.wasm"));
    assert_eq!(path("/opt/x.wasm"), Path::new("/opt/x.wasm"));
}

#[test]
fn the_parts_of_a_reference() {
    let text = format!("oci://localhost:5000/acme/rules:1.2@{DIGEST}");
    let reference: OciReference = text.parse().expect("a reference");
    assert_eq!(reference.registry(), "localhost:5000");
    assert_eq!(reference.repository(), "acme/rules");
    assert_eq!(reference.tag(), Some("1.2"));
    assert_eq!(reference.digest().map(ToString::to_string).as_deref(), Some(DIGEST));
    assert_eq!(reference.name().to_string(), "oci://localhost:5000/acme/rules:1.2");
    let by_digest: OciReference = format!("oci://r.io/x@{DIGEST}").parse().expect("a reference");
    assert_eq!(by_digest.name(), by_digest);
    let pinned = reference.name().pinned(by_digest.digest().expect("a digest").clone());
    assert_eq!(pinned, reference);
    assert!("./x.wasm".parse::<OciReference>().is_err());
}

proptest! {
    /// Any text is refused or displayed as it was written.
    #[test]
    fn any_text(text in "\\PC*|(oci://|builtin:|\\./)?[a-zA-Z0-9:/@._\\[\\]-]{0,40}") {
        if let Ok(reference) = text.parse::<Reference>() {
            prop_assert_eq!(reference.to_string(), text);
        }
    }

    /// What registries take is taken.
    #[test]
    fn references_to_registries(
        host in "[a-z0-9]([a-z0-9-]{0,5}[a-z0-9])?(\\.[a-z0-9]+){0,2}(:[1-9][0-9]{0,3})?",
        repository in "[a-z0-9]+((\\.|_|__|-{1,3})[a-z0-9]+){0,2}(/[a-z0-9]+){0,3}",
        tag in "[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}",
        pinned in any::<bool>(),
    ) {
        let digest = if pinned { format!("@{DIGEST}") } else { String::new() };
        let text = format!("oci://{host}/{repository}:{tag}{digest}");
        let reference: OciReference = text.parse().expect("registries take it");
        prop_assert_eq!(reference.registry(), host);
        prop_assert_eq!(reference.repository(), repository);
        prop_assert_eq!(reference.tag(), Some(tag.as_str()));
        prop_assert_eq!(reference.digest().is_some(), pinned);
        prop_assert_eq!(reference.to_string(), text);
    }
}
