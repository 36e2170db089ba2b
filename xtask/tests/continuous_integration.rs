//! The files that other systems read are at least what those systems can read.

#![expect(clippy::panic, reason = "a helper of a test fails by a panic, as the test does")]

use std::fs;
use std::path::Path;

use headscale_api::desired::DEFAULT_SIDECAR_IMAGE;
use headscale_api::operator::DEFAULT_OPERATOR_IMAGE;
use headscale_krew::{PLATFORMS, Version};
use serde_json::Value;

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(path: &str, text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The text of each fenced block of `language` on the page.
fn fenced<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let open = format!("```{language}\n");
    page.split(open.as_str()).skip(1).filter_map(|rest| rest.split("\n```").next()).collect()
}

fn text_of<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[test]
fn yaml_in_the_guide_is_yaml() {
    let guide = read("docs/ci.md");
    let blocks = fenced(&guide, "yaml");
    assert_eq!(blocks.len(), 5, "configuration, two workflows, GitLab, pre-commit");
    for block in blocks {
        assert!(yaml("docs/ci.md", block).is_object(), "{block}");
    }
}

#[test]
fn the_configuration_in_the_guide_is_one() {
    let guide = read("docs/ci.md");
    let block = fenced(&guide, "yaml").first().copied().unwrap_or_default();
    let schema = jsonschema::validator_for(&kubectl_headscale::config_schema()).expect("a schema");
    let wrong: Vec<String> =
        schema.iter_errors(&yaml("docs/ci.md", block)).map(|error| error.to_string()).collect();
    assert_eq!(wrong, Vec::<String>::new(), "{block}");
    assert!(block.contains("/docs/headscale-policy.schema.json\n"), "{block}");
}

#[test]
fn workflows_have_jobs() {
    for path in [".github/workflows/ci.yml", ".github/workflows/release.yml"] {
        let workflow = yaml(path, &read(path));
        let jobs = workflow["jobs"].as_object().unwrap_or_else(|| panic!("{path}: jobs"));
        assert!(jobs.values().all(|job| job["steps"].is_array()), "{path}");
    }
}

#[test]
fn nothing_is_released_with_a_known_vulnerability() {
    let release = yaml("release.yml", &read(".github/workflows/release.yml"));
    let steps = release["jobs"]["advisories"]["steps"].as_array().expect("steps");
    assert!(steps.iter().any(|step| text_of(step, "/run").contains("cargo deny")));
    for job in ["archive", "image", "chart"] {
        assert_eq!(text_of(&release["jobs"][job], "/needs"), "advisories");
    }
    assert_eq!(
        release["jobs"]["publish"]["needs"],
        serde_json::json!(["archive", "image", "manifest", "chart", "registry"])
    );
}

#[test]
fn images_are_tested_before_they_are_released() {
    let release = yaml("release.yml", &read(".github/workflows/release.yml"));
    let steps = release["jobs"]["image"]["steps"].as_array().expect("steps");
    let at = |needle: &str| {
        let found = steps.iter().position(|step| step.to_string().contains(needle));
        found.unwrap_or_else(|| panic!("no step has {needle}"))
    };
    assert!(at("make image-test") < at("upload-artifact"));
    assert!(read("Makefile").contains("\nimage-test: image "));
    let platforms = release["jobs"]["image"]["strategy"]["matrix"]["include"].as_array();
    assert_eq!(platforms.expect("a matrix").len(), 2, "x86_64 and aarch64");
}

#[test]
fn images_and_chart_are_pushed_to_where_they_are_looked_for() {
    let release = yaml("release.yml", &read(".github/workflows/release.yml"));
    let job = &release["jobs"]["registry"];
    let registry = text_of(job, "/env/REGISTRY");
    assert!(DEFAULT_OPERATOR_IMAGE.starts_with(&format!("{registry}/operator:v")));
    assert!(DEFAULT_SIDECAR_IMAGE.starts_with(&format!("{registry}/sidecar:v")));
    let script: String = job.to_string();
    for needle in ["images/push", "for name in sidecar operator;", "oci://$REGISTRY/charts"] {
        assert!(script.contains(needle), "{needle}: {script}");
    }
    assert!(
        read("docs/install.md").contains(&format!("oci://{registry}/charts/headscale-operator"))
    );
}

#[test]
fn the_machine_of_ci_can_build_what_tests_run() {
    let workflow = yaml("ci.yml", &read(".github/workflows/ci.yml"));
    let steps = workflow["jobs"]["ci"]["steps"].as_array().expect("steps");
    let at = |needle: &str| steps.iter().position(|step| step.to_string().contains(needle));
    let run = at(".ci/run");
    assert!(run.is_some());
    for needed in ["setup-go", "buildah"] {
        assert!(at(needed).is_some() && at(needed) < run, "{needed}");
    }
}

#[test]
fn the_action_gives_inputs_to_the_shell_as_data_only() {
    let action = yaml("action.yml", &read("action.yml"));
    let steps = action["runs"]["steps"].as_array().expect("steps");
    let scripts: String = steps.iter().map(|step| text_of(step, "/run")).collect();
    assert!(!scripts.contains("${{"), "an expression in a script is code");

    let given: Vec<&str> = steps
        .iter()
        .filter_map(|step| step["env"].as_object())
        .flat_map(|env| env.values().filter_map(Value::as_str))
        .collect();
    for name in action["inputs"].as_object().expect("inputs").keys() {
        let expression = format!("${{{{ inputs.{name} }}}}");
        assert!(given.contains(&expression.as_str()), "{name} is not given to any step");
    }
}

#[test]
fn the_action_downloads_what_a_release_has() {
    let action = read("action.yml");
    for platform in &PLATFORMS {
        // The action runs on Linux and macOS.
        let named = action.contains(&format!("target={} ;;", platform.triple));
        assert_eq!(named, platform.os != "windows", "{}", platform.triple);
    }
    assert!(action.contains("\n        archive=kubectl-headscale-$VERSION-$target.tar.gz\n"));
    let version = Version::current();
    assert_eq!(
        PLATFORMS[0].archive(&version),
        format!("kubectl-headscale-{version}-{}.tar.gz", PLATFORMS[0].triple)
    );
    assert!(action.contains("\"$base/$archive.sha256\""));
}

#[test]
fn releases_are_made_for_the_platforms_of_the_manifest() {
    let release = yaml("release.yml", &read(".github/workflows/release.yml"));
    let built = release["jobs"]["archive"]["strategy"]["matrix"]["include"].as_array();
    let built: Vec<&str> =
        built.expect("a matrix").iter().map(|platform| text_of(platform, "/target")).collect();
    assert_eq!(built, PLATFORMS.each_ref().map(|platform| platform.triple));
}

#[test]
fn what_is_released_has_passed_its_checks() {
    let release = yaml("release.yml", &read(".github/workflows/release.yml"));
    let runs = |job: &str| -> String {
        let steps = release["jobs"][job]["steps"].as_array().expect("steps");
        steps.iter().map(|step| format!("{}\n", text_of(step, "/run"))).collect()
    };
    let archive = runs("archive");
    let at = |needle: &str| archive.find(needle).unwrap_or_else(|| panic!("{needle}: {archive}"));
    assert!(at(".ci/size \"$PROGRAM\"") < at("cargo xtask archive"));
    assert!(at("\"$PROGRAM\" version") < at("cargo xtask archive"));
    assert!(runs("manifest").contains("validate-krew-manifest -skip-install"));
    assert!(runs("publish").contains(" headscale.yaml kubectl-headscale-* "));
    assert!(read(".ci/run").contains("make release-size"));
}

#[test]
fn hooks_run_a_script_that_is_there() {
    let hooks = yaml(".pre-commit-hooks.yaml", &read(".pre-commit-hooks.yaml"));
    let hooks = hooks.as_array().expect("a list");
    let ids: Vec<&str> = hooks.iter().map(|hook| text_of(hook, "/id")).collect();
    assert_eq!(ids, ["headscale-policy-check", "headscale-policy-fmt"]);
    for hook in hooks {
        let script = text_of(hook, "/entry").split(' ').next().expect("a script");
        assert!(read(script).starts_with("#!"), "{script}");
    }
}
