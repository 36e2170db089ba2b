//! Generated files: what is committed is what the code makes, and the pages read well.

use std::fs;

use clap::{Arg, Command};
use xtask::{cli_reference, generate, large_policy};

#[test]
fn written_files_are_up_to_date() {
    let root = tempfile::tempdir().expect("a directory");
    let written = generate::write(root.path()).expect("written");
    assert_eq!(generate::check(root.path()).expect("up to date"), written.len());
}

#[test]
fn a_changed_and_a_missing_file_are_named() {
    let root = tempfile::tempdir().expect("a directory");
    generate::write(root.path()).expect("written");
    fs::write(root.path().join("docs/rules.md"), "edited by hand\n").expect("edited");
    fs::remove_file(root.path().join("examples/large/policy.hujson")).expect("removed");
    let error = generate::check(root.path()).expect_err("two files differ");
    insta::assert_snapshot!(error, @r"
    not what the code makes: docs/rules.md, examples/large/policy.hujson
    run `make generate` and commit the result
    ");
}

#[test]
fn the_command_line_is_printed_with_its_subcommands() {
    let command = Command::new("kubectl-headscale")
        .bin_name("kubectl headscale")
        .about("Headscale on Kubernetes")
        .subcommand(
            Command::new("policy")
                .about("Work with policies")
                .subcommand(Command::new("check").about("Check policies").arg(Arg::new("FILE")))
                .subcommand(Command::new("secret").hide(true)),
        );
    insta::assert_snapshot!(cli_reference::render(command));
}

#[test]
fn the_large_policy_is_as_large_as_the_readme_says() {
    let text = large_policy::render();
    assert_eq!(text.matches("\"action\"").count(), 300);
    assert_eq!(text.matches("\"group:").count() - text.matches("[\"group:").count(), 50);
    assert!((80_000..90_000).contains(&text.len()), "{} bytes", text.len());
}
