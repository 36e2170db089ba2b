//! The manifest says what krew wants to know, in the way that its index asks for.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use std::fs;

use headscale_krew::manifest::render;
use headscale_krew::{KrewError, PLATFORMS, Version};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// A folder with an archive for each platform, which holds the name of its target.
fn archives(version: &Version) -> TempDir {
    let dir = TempDir::new().unwrap();
    for platform in &PLATFORMS {
        fs::write(dir.path().join(platform.archive(version)), platform.triple).unwrap();
    }
    dir
}

fn version() -> Version {
    "v1.2.3".parse().unwrap()
}

fn manifest(base_url: &str) -> Result<String, KrewError> {
    render(&version(), archives(&version()).path(), base_url)
}

fn parsed() -> Value {
    serde_saphyr::from_str(&manifest("https://example.com/v1.2.3/").unwrap()).unwrap()
}

#[test]
fn each_platform_has_its_archive_and_digest() {
    let manifest = parsed();
    let expected = PLATFORMS.each_ref().map(|platform| {
        let archive = platform.archive(&version());
        let digest = Sha256::digest(platform.triple);
        json!({
            "selector": {"matchLabels": {"os": platform.os, "arch": platform.arch}},
            "uri": format!("https://example.com/v1.2.3/{archive}"),
            "sha256": digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
            "bin": platform.program(),
        })
    });
    assert_eq!(manifest["spec"]["platforms"], json!(expected));
    assert_eq!(manifest["spec"]["version"], "v1.2.3");
    assert_eq!(manifest["metadata"]["name"], "headscale");
}

#[test]
fn nothing_of_the_template_is_left() {
    let manifest = manifest("http://127.0.0.1:80").unwrap();
    assert!(!manifest.contains("{{") && !manifest.contains("}}"), "{manifest}");
    assert!(manifest.ends_with("kubectl-headscale.exe\n"), "{manifest}");
}

#[test]
fn the_text_is_as_the_index_asks_for() {
    let spec = &parsed()["spec"];
    let text = |key: &str| spec[key].as_str().unwrap().to_owned();
    let short = text("shortDescription");
    assert!(short.chars().count() <= 50, "{short}");
    assert!(!short.ends_with('.') && !short.contains('\n'), "{short}");
    assert!(short.starts_with(|first: char| first.is_uppercase()), "{short}");
    assert!(!short.to_lowercase().contains("kubectl"), "it is listed by kubectl: {short}");
    for key in ["description", "caveats"] {
        let text = text(key);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{text}");
    }
    assert!(!text("description").contains("kubectl headscale"), "usage stands in the help");
    assert!(text("caveats").contains("kubectl headscale completion install"));
    assert_eq!(text("homepage"), "https://github.com/infradohq/kubectl-headscale");
}

#[test]
fn a_release_that_lacks_an_archive_has_no_manifest() {
    let dir = archives(&version());
    let missing = PLATFORMS[3].archive(&version());
    fs::remove_file(dir.path().join(&missing)).unwrap();
    let error = render(&version(), dir.path(), "https://example.com").unwrap_err();
    assert!(error.to_string().contains(&missing), "{error}");
}

#[test]
fn addresses_that_krew_or_yaml_would_misread_are_refused() {
    for url in
        ["", "https://", "file:///archives", "ftp://example.com", "https://a b", "http://a\n"]
            .into_iter()
            .chain(["https://example.com/#", "https://example.com/\"", "example.com"])
    {
        let error = manifest(url).unwrap_err().to_string();
        assert!(error.contains("is no address of archives"), "{url}: {error}");
    }
}

#[test]
fn versions_are_those_that_krew_takes() {
    for text in ["v0.1.0", "v1.2.3-rc.1", "v10.20.30"] {
        assert_eq!(text.parse::<Version>().unwrap().to_string(), text);
    }
    for text in
        ["", "v", "0.1.0", "v0.1", "v1.2.3.4", "v01.2.3", "v1.2.3+build", "V1.2.3", "v1.2.x"]
    {
        let error = text.parse::<Version>().unwrap_err().to_string();
        assert!(error.contains("is no version of a release"), "{text}: {error}");
    }
    assert_eq!(Version::current().to_string(), concat!("v", env!("CARGO_PKG_VERSION")));
}
