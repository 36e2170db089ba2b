//! `sarif`: SARIF 2.1.0, for GitHub code scanning and other viewers.

use std::collections::HashMap;
use std::io;

use headscale_acl::{Finding, Fix, Severity, Span, rules};
use headscale_policy_host::Rule;
use serde::Serialize;
use serde_json::{Value, json};

use super::fingerprint::Fingerprints;
use super::gitlab::description;
use super::json::write_json;
use super::source::{Source, repository_path};
use super::summary::counted;
use super::utf16::Utf16Index;
use super::{FileReport, RULES_URL, Report, Reporter, counts, visible};

/// Where the schema of the format stands.
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// GitHub takes descriptions of up to 1,024 characters.
const DESCRIBED: usize = 1_000;

/// Writes one SARIF run.
pub(super) struct Sarif;

impl Reporter for Sarif {
    fn report(&self, report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
        let mut used = Rules { plugins: &report.plugin_rules, ..Rules::default() };
        let mut fingerprints = Fingerprints::default();
        let mut results = Vec::new();
        for file in report.files.iter().filter(|file| !file.findings.is_empty()) {
            let file = File::new(file);
            results.extend(
                file.report
                    .findings
                    .iter()
                    .map(|finding| file.result(finding, &mut used, &mut fingerprints)),
            );
        }
        let omitted = counts(report).total() - results.len() as u64;
        let mut run = json!({
            "tool": {"driver": {
                "name": env!("CARGO_PKG_NAME"),
                "version": report.tool_version,
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": used.descriptors,
            }},
            "columnKind": "utf16CodeUnits",
        });
        if omitted > 0
            && let Value::Object(run) = &mut run
        {
            let text = format!("{} only counted", counted(omitted, "more finding"));
            run.insert(
                "invocations".to_owned(),
                json!([{
                    "executionSuccessful": true,
                    "toolExecutionNotifications": [{"level": "warning", "message": {"text": text}}],
                }]),
            );
        }
        let log = Log { schema: SCHEMA, version: "2.1.0", runs: [Run { about: run, results }] };
        write_json(&log, out)
    }
}

#[derive(Serialize)]
struct Log {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run; 1],
}

#[derive(Serialize)]
struct Run {
    #[serde(flatten)]
    about: Value,
    results: Vec<Value>,
}

/// The rules that results name, each described once.
#[derive(Default)]
struct Rules<'a> {
    index: HashMap<&'a str, usize>,
    plugins: &'a [Rule],
    descriptors: Vec<Value>,
}

impl<'a> Rules<'a> {
    /// The place of the rule `id` among the descriptors.
    fn index(&mut self, id: &'a str) -> usize {
        let Self { index, plugins, descriptors } = self;
        *index.entry(id).or_insert_with(|| {
            descriptors.push(descriptor(id, plugins));
            descriptors.len() - 1
        })
    }
}

/// What SARIF says of a rule, ours or of one of `plugins`.
fn descriptor(id: &str, plugins: &[Rule]) -> Value {
    let Some(rule) = rules::by_id(id) else {
        return match plugins.iter().find(|rule| rule.id == id) {
            Some(rule) => of_plugin(rule),
            None => json!({"id": id}),
        };
    };
    let url = format!("{RULES_URL}#{id}");
    let mut markdown = rule.explanation.to_owned();
    for (title, example) in [("Instead of", rule.bad), ("write", rule.good)] {
        if !example.is_empty() {
            markdown = format!("{markdown}\n\n{title}\n\n```json5\n{}\n```", example.trim_end());
        }
    }
    let (explanation, cut) = visible::capped(rule.explanation, DESCRIBED);
    json!({
        "id": id,
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": format!("{explanation}{cut}")},
        "help": {"text": rule.explanation, "markdown": markdown},
        "helpUri": url,
        "defaultConfiguration": {"level": level(rule.severity)},
        "properties": {"tags": [rule.source]},
    })
}

/// What SARIF says of a plugin's rule, in the plugin's words.
fn of_plugin(rule: &Rule) -> Value {
    let mut described = json!({
        "id": rule.id,
        "shortDescription": {"text": plain(&rule.summary)},
        "defaultConfiguration": {"level": level(rule.default_severity)},
        "properties": {"tags": rule.tags},
    });
    if let Value::Object(described) = &mut described
        && !rule.help.is_empty()
    {
        let (help, cut) = visible::capped(&rule.help, DESCRIBED);
        let text = plain(&format!("{help}{cut}"));
        described.insert("fullDescription".to_owned(), json!({"text": text}));
        described.insert("help".to_owned(), json!({"text": plain(&rule.help)}));
    }
    described
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

/// A file with what SARIF counts in it.
struct File<'a> {
    report: &'a FileReport,
    source: Source<'a>,
    utf16: Utf16Index<'a>,
    artifact: Value,
}

impl<'a> File<'a> {
    fn new(report: &'a FileReport) -> Self {
        let source = Source::new(report);
        let utf16 = Utf16Index::new(source.text());
        Self { report, source, utf16, artifact: artifact(&report.name) }
    }

    fn result(
        &self,
        finding: &'a Finding,
        used: &mut Rules<'a>,
        fingerprints: &mut Fingerprints,
    ) -> Value {
        let mut physical = json!({"artifactLocation": self.artifact});
        if let (Some(span), Value::Object(physical)) = (finding.span, &mut physical) {
            physical.insert("region".to_owned(), self.region(span));
        }
        let path = repository_path(&self.report.name).unwrap_or_default();
        let mut result = json!({
            "ruleId": finding.rule,
            "ruleIndex": used.index(&finding.rule),
            "level": level(finding.severity),
            "message": {"text": plain(&description(finding))},
            "locations": [{"physicalLocation": physical}],
            "partialFingerprints": {
                "findingHash/v1": fingerprints.next(&path, &self.source, finding),
            },
        });
        if let (Some(fix), Value::Object(result)) = (&finding.fix, &mut result)
            && !fix.edits.is_empty()
        {
            result.insert("fixes".to_owned(), json!([self.fix(fix)]));
        }
        result
    }

    fn fix(&self, fix: &Fix) -> Value {
        let replacements: Vec<_> = fix
            .edits
            .iter()
            .map(|edit| {
                json!({
                    "deletedRegion": self.region(edit.span),
                    "insertedContent": {"text": edit.text},
                })
            })
            .collect();
        json!({
            "description": {"text": plain(&fix.title)},
            "artifactChanges": [{
                "artifactLocation": self.artifact,
                "replacements": replacements,
            }],
        })
    }

    fn region(&self, span: Span) -> Value {
        let (start, end) = self.source.places(span);
        let column = |at: headscale_acl::Position| {
            let offset = at.offset as usize;
            self.utf16.units(offset - (at.column as usize - 1), offset) + 1
        };
        json!({
            "startLine": start.line,
            "startColumn": column(start),
            "endLine": end.line,
            "endColumn": column(end),
            "byteOffset": start.offset,
            "byteLength": end.offset - start.offset,
        })
    }
}

/// The file `name` as a URI: relative to the repository where the path is relative.
fn artifact(name: &str) -> Value {
    let Some(path) = repository_path(name) else {
        return json!({"uri": percent_encoded(name)});
    };
    let drive = path.get(1..3) == Some(":/") && cfg!(windows);
    let uri = percent_encoded(&path);
    if drive {
        json!({"uri": format!("file:///{uri}")})
    } else if path.starts_with('/') {
        json!({"uri": format!("file://{uri}")})
    } else {
        json!({"uri": uri, "uriBaseId": "%SRCROOT%"})
    }
}

/// `path` as the path of a URI: everything but slashes and what RFC 3986 calls unreserved is
/// percent-encoded.
fn percent_encoded(path: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// A text as a plain message of SARIF, in which `[text](target)` would be a link.
fn plain(text: &str) -> String {
    text.replace("](", "\\](")
}
