//! What programs read: JSON, SARIF, JUnit and Code Quality.

use headscale_acl::Severity;
use kubectl_headscale::report::{Format, Report, counts};
use serde_json::Value;

use crate::hostile::hostile;
use crate::samples::sample;
use crate::{at, file, finding, parsed, report, written};

#[test]
fn json_holds_everything_as_it_is() {
    let hostile = hostile();
    let out = parsed(Format::Json, &hostile);
    let all: Vec<_> = hostile
        .files
        .iter()
        .flat_map(|file| file.findings.iter().map(move |finding| (file, finding)))
        .collect();
    let rows = out["findings"].as_array().unwrap();
    assert_eq!(rows.len(), all.len());
    for (row, (file, finding)) in rows.iter().zip(all) {
        assert_eq!(row["message"], finding.message);
        assert_eq!(row["rule"], *finding.rule);
        assert_eq!(row["file"], file.name);
        assert_eq!(row["span"].is_null(), finding.span.is_none());
    }
    assert_eq!(out["summary"]["errors"], counts(&hostile).errors);
    assert_eq!(out.get("omitted"), None);
}

/// The schema that OASIS publishes, from a package that ships it.
fn sarif_schema() -> Value {
    let rustc = std::process::Command::new("rustc").arg("-vV").output().unwrap();
    let rustc = String::from_utf8(rustc.stdout).unwrap();
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    // Without the platform, cargo asks for packages that only other platforms have downloaded.
    let metadata = cargo_metadata::MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .other_options(["--offline", "--filter-platform", host].map(str::to_owned))
        .exec()
        .unwrap();
    let package = metadata.packages.iter().find(|package| *package.name == "serde-sarif").unwrap();
    let path = package.manifest_path.with_file_name("src").join("schema.json");
    let mut schema: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    // Its pattern for languages, which we do not write, has a bracket too many and is no regex.
    for about in ["run", "toolComponent"] {
        let language = &mut schema["definitions"][about]["properties"]["language"];
        assert!(language.as_object_mut().unwrap().remove("pattern").is_some());
    }
    schema
}

#[test]
fn sarif_keeps_to_the_schema() {
    let validator = jsonschema::validator_for(&sarif_schema()).unwrap();
    let mut omitting = sample();
    omitting.files[0].uncounted.errors = 5;
    for (name, report) in [
        ("sample", sample()),
        ("hostile", hostile()),
        ("omitting", omitting),
        ("clean", report(vec![file("a.hujson", "{}", vec![])])),
        ("no files", report(vec![])),
    ] {
        let out = parsed(Format::Sarif, &report);
        let wrong: Vec<_> =
            validator.iter_errors(&out).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(wrong.is_empty(), "{name}: {wrong:#?}");
    }
    let broken = serde_json::json!({"version": "2.1.0", "runs": [{}]});
    assert!(!validator.is_valid(&broken), "the schema itself must be able to say no");
}

#[test]
fn sarif_names_files_as_uris() {
    for (name, uri, relative) in [
        ("policies/main policy.hujson", "policies/main%20policy.hujson", true),
        ("/srv/ü:1.hujson", "file:///srv/%C3%BC%3A1.hujson", false),
        ("././/a.hujson", "a.hujson", true),
        ("../a#b?c%.hujson", "../a%23b%3Fc%25.hujson", true),
        ("<stdin>", "%3Cstdin%3E", false),
    ] {
        let report = report(vec![file(name, "x", vec![finding(Severity::Error, "r", None, "m")])]);
        let out = parsed(Format::Sarif, &report);
        let at = &out["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
        assert_eq!(at["artifactLocation"]["uri"], uri);
        assert_eq!(at["artifactLocation"].get("uriBaseId").is_some(), relative, "{name}");
    }
}

#[test]
fn sarif_columns_agree_with_a_count_from_the_start_of_the_line() {
    // Characters of each length, bytes that are none, and long lines.
    let mut text = Vec::new();
    for at in 0..3000_u32 {
        text.extend_from_slice(["a", "é", "€", "😀"][at as usize % 4].as_bytes());
        if at % 7 == 0 {
            text.push(0xff);
        }
        if at % 1000 == 999 {
            text.push(b'\n');
        }
    }
    let offsets: Vec<_> = (0..text.len() as u32).step_by(13).collect();
    let findings =
        offsets.iter().map(|at| finding(Severity::Error, "r", Some((*at, *at)), "m")).collect();
    let report = report(vec![file("a.hujson", text.clone(), findings)]);
    let out = parsed(Format::Sarif, &report);
    for (at, result) in offsets.iter().zip(out["runs"][0]["results"].as_array().unwrap()) {
        let before = &text[..*at as usize];
        let line = before.rsplit(|byte| *byte == b'\n').next().unwrap();
        let column = String::from_utf8_lossy(line).encode_utf16().count() + 1;
        let region = &result["locations"][0]["physicalLocation"]["region"];
        assert_eq!(region["startColumn"], column, "offset {at}");
    }
}

fn fingerprints(format: Format, report: &Report) -> Vec<String> {
    let out = parsed(format, report);
    let rows = if format == Format::Sarif { &out["runs"][0]["results"] } else { &out };
    rows.as_array()
        .unwrap()
        .iter()
        .map(|row| match format {
            Format::Sarif => &row["partialFingerprints"]["findingHash/v1"],
            _ => &row["fingerprint"],
        })
        .map(|value| value.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn fingerprints_stay_when_lines_move_and_are_unique() {
    let text = "{\n  \"a\": 1,\n  \"b\": 2,\n}\n";
    let moved = format!("// a comment\n\n{}", text.replace("  ", "\t"));
    let findings = |text: &str| {
        ["\"a\"", "1", "\"b\""]
            .map(|part| finding(Severity::Error, "r", at(text, part), "m"))
            .to_vec()
    };
    for format in [Format::Sarif, Format::Gitlab] {
        let before = fingerprints(format, &report(vec![file("a", text, findings(text))]));
        let after = report(vec![file("./a", moved.as_str(), findings(&moved))]);
        assert_eq!(before, fingerprints(format, &after));

        let mut all = fingerprints(format, &hostile());
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count, "{format}");
    }
}

#[test]
fn gitlab_has_the_members_that_gitlab_asks_for() {
    for row in parsed(Format::Gitlab, &hostile()).as_array().unwrap() {
        assert!(row["description"].is_string() && row["check_name"].is_string());
        assert!(row["location"]["path"].is_string());
        assert!(row["location"]["lines"]["begin"].as_u64() >= Some(1));
        assert!(["critical", "minor", "info"].contains(&row["severity"].as_str().unwrap()));
    }
}

#[test]
fn junit_is_xml_and_only_errors_fail() {
    let mut omitting = report(vec![file("a.hujson", "{}", vec![])]);
    omitting.files[0].uncounted.errors = 1;
    for report in [sample(), hostile(), omitting] {
        let out = written(Format::Junit, &report);
        let doc = roxmltree::Document::parse(&out).unwrap();
        let count = |tag: &'static str| {
            doc.descendants().filter(|node| node.has_tag_name(tag)).count() as u64
        };
        let counts = counts(&report);
        assert_eq!(count("testsuite"), report.files.len() as u64);
        assert_eq!(count("failure"), counts.errors);
        assert_eq!(count("system-out"), counts.warnings + counts.infos);
        let failures = counts.errors.to_string();
        assert_eq!(doc.root_element().attribute("failures"), Some(failures.as_str()));
    }
}
