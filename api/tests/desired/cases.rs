//! Instances to make objects of.

use std::path::Path;

use headscale_api::desired::{Existing, Inputs, Names, Object, desired_state};
use headscale_api::kinds::Headscale;
use serde_json::{Value, json};

/// An instance with what it is told besides.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) headscale: Headscale,
    pub(crate) inputs: Inputs,
}

impl Case {
    pub(crate) fn objects(&self) -> Vec<Object> {
        desired_state(&self.headscale, &self.inputs)
    }
}

/// The instances of `cases`, by name, with the inputs that they need.
pub(crate) fn cases() -> Vec<Case> {
    files("desired/cases").map(|(name, text)| case(&name, &text)).collect()
}

/// The one of this name.
pub(crate) fn named(name: &str) -> Case {
    let text = files("desired/cases").find(|(file, _)| file == name);
    case(name, &text.expect("there is such a case").1)
}

/// What the Go operator published, and what it stored of that.
pub(crate) fn published() -> Vec<Case> {
    files("kinds/go").flat_map(|(file, text)| of_file(&file, &text)).collect()
}

fn of_file(file: &str, text: &str) -> Vec<Case> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(text).unwrap_or_else(|error| panic!("{file}: {error}"));
    let instances = documents.into_iter().filter(|document| document["kind"] == "Headscale");
    instances
        .enumerate()
        .filter_map(|(number, document)| {
            // Some examples leave out what is required; the API server refuses them.
            let headscale = serde_json::from_value(document).ok()?;
            let name = format!("{file}-{number}");
            Some(Case { name, headscale, inputs: Inputs::default() })
        })
        .collect()
}

fn case(name: &str, text: &str) -> Case {
    let mut object: Value = serde_saphyr::from_str(text).expect("YAML");
    object["apiVersion"] = json!("headscale.infrado.cloud/v1beta1");
    object["kind"] = json!("Headscale");
    let headscale: Headscale =
        serde_json::from_value(object).unwrap_or_else(|error| panic!("{name}: {error}"));
    Case { name: name.to_owned(), headscale, inputs: inputs(name) }
}

/// Without the version of this release, so that a release changes no snapshot.
fn inputs(name: &str) -> Inputs {
    let sidecar_image = "registry.example/sidecar:release".to_owned();
    let inputs = Inputs { sidecar_image, ..Inputs::default() };
    let hashes =
        |names: &[&str]| names.iter().map(|&name| (name.to_owned(), "1234".to_owned())).collect();
    match name {
        "legacy" => {
            let existing = Existing { names: Some(Names::legacy()), ..Existing::default() };
            Inputs { existing, ..inputs }
        }
        "go-sidecar" | "full" => Inputs { backup: true, ..inputs },
        "postgres" => {
            let secret_hashes = hashes(&["demo-database", "demo-oidc", "somebody-elses"]);
            Inputs { backup: true, secret_hashes, ..inputs }
        }
        _ => inputs,
    }
}

fn files(folder: &str) -> impl Iterator<Item = (String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    paths.into_iter().map(|path| {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        (name, std::fs::read_to_string(path).expect("a text"))
    })
}
