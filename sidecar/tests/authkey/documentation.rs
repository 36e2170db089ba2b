//! What the documentation says of the command line, the command line takes.

use std::collections::BTreeSet;
use std::fs;

use crate::support::{flags, parse};

fn page() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/authkey.md");
    fs::read_to_string(path).expect("a page")
}

#[test]
fn every_flag_of_the_page_exists_and_every_flag_stands_there() {
    let page = page();
    let named: BTreeSet<_> = page
        .split(|c: char| !c.is_ascii_lowercase() && c != '-')
        .filter_map(|word| word.strip_prefix("--"))
        .filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase()))
        .map(str::to_owned)
        .collect();
    // Of tailscaled, of clap, and of the operator.
    let of_others = ["config", "state", "help", "in-flight", "reissue-interval", "send-deadline"];
    let of_others = of_others.map(str::to_owned);
    let known: BTreeSet<_> = flags().into_iter().collect();
    let unknown: Vec<_> =
        named.difference(&known).filter(|name| !of_others.contains(name)).collect();
    assert_eq!(unknown, [""; 0], "flags that do not exist");
    let missing: Vec<_> = known.difference(&named).filter(|name| *name != "context").collect();
    assert_eq!(missing, [""; 0], "flags that the page does not name");
}

#[test]
fn every_example_of_the_page_parses() {
    let page = page();
    let examples = page.lines().filter_map(|line| line.strip_prefix("headscale-sidecar authkey "));
    let parsed: Vec<_> = examples.map(|words| parse(words.split(' '))).collect();
    assert_eq!(parsed.len(), 4);
}
