//! Rules as Markdown: `policy rules -o markdown`, and `docs/rules.md`.

use std::fmt::{self, Write};

use headscale_acl::Source;
use headscale_acl::rules::Rule;

const HEAD: &str = "\
# Rules

What `kubectl headscale policy check` can find. A rule's id never changes and is never reused; \
`kubectl headscale policy rules ID` prints the same text.
";

/// A page about `rules`, which come grouped by source: for each group a table, and then
/// [`section`] of each rule.
#[must_use]
pub fn page<'a>(rules: impl IntoIterator<Item = &'a Rule>) -> String {
    let mut page = HEAD.to_owned();
    let rules: Vec<&Rule> = rules.into_iter().collect();
    for group in rules.chunk_by(|a, b| a.source == b.source) {
        // Writing to a String cannot fail.
        _ = write_group(&mut page, group);
    }
    page
}

/// What a rule is about, with its examples. The heading is its id, so `#ID` of the page leads to
/// it.
#[must_use]
pub fn section(rule: &Rule) -> String {
    let mut section = String::new();
    // Writing to a String cannot fail.
    _ = write_section(&mut section, rule);
    section
}

/// The examples of a rule that it has, each with its title.
pub(crate) fn examples(rule: &Rule) -> impl Iterator<Item = (String, &'static str)> {
    let bad = match rule.versions {
        "" => "Bad".to_owned(),
        versions => format!("Bad (Headscale {})", versions.replace(',', ", ")),
    };
    [(bad, rule.bad), ("Good".to_owned(), rule.good)]
        .into_iter()
        .filter(|(_, example)| !example.is_empty())
}

fn write_group(page: &mut String, group: &[&Rule]) -> fmt::Result {
    let Some(first) = group.first() else {
        return Ok(());
    };
    let (title, text) = match first.source {
        Source::Headscale => (
            "Headscale",
            "Headscale refuses a policy that breaks one of these. Configuration cannot change \
             their severity.",
        ),
        Source::Lint => (
            "Lints",
            "Headscale accepts these, and people regret them. They run only where a policy has \
             no errors, and configuration can change their severity. Those whose id starts with \
             `tailnet-` are about the users and nodes of `--tailnet`, whatever the policy says.",
        ),
        Source::Suite => (
            "Suites",
            "Entries of the suites beside a policy. Configuration can change their severity.",
        ),
        // A plugin describes its own.
        Source::Plugin(_) => return Ok(()),
    };
    write!(page, "\n## {title}\n\n{text}\n\n| rule | severity | finds |\n| --- | --- | --- |\n")?;
    for rule in group {
        let summary = rule.summary.replace('|', "\\|");
        writeln!(page, "| [`{id}`](#{id}) | {} | {summary} |", rule.severity, id = rule.id)?;
    }
    for rule in group {
        page.push('\n');
        write_section(page, rule)?;
    }
    Ok(())
}

fn write_section(out: &mut String, rule: &Rule) -> fmt::Result {
    let Rule { id, severity, summary, explanation, .. } = rule;
    write!(out, "### {id}\n\n**{severity}**: {summary}\n\n{explanation}\n")?;
    for (title, example) in examples(rule) {
        write!(out, "\n{title}:\n\n```jsonc\n{}\n```\n", example.trim_end())?;
    }
    Ok(())
}
