//! Documents at the top do not lie about what is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The lines after `heading` up to the next line that starts as `heading` does.
fn section<'a>(text: &'a str, heading: &'a str) -> impl Iterator<Item = &'a str> {
    let start = heading.split_inclusive(['[', ' ']).next().unwrap_or(heading);
    text.lines()
        .skip_while(move |line| *line != heading)
        .skip(1)
        .take_while(move |line| !line.starts_with(start))
}

#[test]
fn every_direct_dependency_has_its_line() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml");
    let used: BTreeSet<&str> = section(&manifest, "[workspace.dependencies]")
        .filter(|line| !line.contains("path = "))
        .filter_map(|line| line.split_once(" = ").map(|(name, _)| name))
        .collect();
    let architecture = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("a text");
    let explained: BTreeSet<&str> = section(&architecture, "## Direct dependencies")
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
        .filter(|name| !matches!(*name, "crate" | "---"))
        .collect();
    assert!(!used.is_empty());
    assert_eq!(used, explained, "[workspace.dependencies] and the table in ARCHITECTURE.md");
}

#[test]
fn the_way_to_a_rule_is_as_described() {
    let guide = fs::read_to_string(root().join("CONTRIBUTING.md")).expect("a guide");
    let lines: Vec<&str> = section(&guide, "## Find a rule").collect();
    let hits: Vec<_> = lines
        .iter()
        .skip_while(|line| **line != "$ git grep HOST_UNDEFINED")
        .skip(1)
        .take_while(|line| **line != "```")
        .map(|line| line.split_once(':').expect("a file and a line of it"))
        .collect();
    assert_eq!(hits.len(), 2, "the text and the check");
    for (file, hit) in hits {
        let code = fs::read_to_string(root().join(file)).expect("a file");
        assert!(code.lines().any(|line| line == hit), "{file}: {hit}");
    }
    let spans = lines.iter().flat_map(|line| line.split('`').skip(1).step_by(2));
    let paths: Vec<&str> = spans.filter(|span| span.starts_with("acl/")).collect();
    assert!(paths.len() > 7, "{paths:?}");
    for path in paths {
        assert!(root().join(path).exists(), "{path}");
    }
}

#[test]
fn links_lead_somewhere() {
    let mut links = 0;
    for page in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "docs/authkey.md",
        "docs/ci.md",
        "docs/cli.md",
        "docs/install.md",
        "docs/keys.md",
        "examples/README.md",
    ] {
        let page = root().join(page);
        let text = fs::read_to_string(&page).expect("a page");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            if !link.is_empty() && !link.contains("://") {
                links += 1;
                let target = page.with_file_name(link);
                assert!(target.exists(), "{}: {link}", page.display());
            }
        }
    }
    assert!(links > 10, "only {links} links found");
}
