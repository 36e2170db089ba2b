//! The texts as the real kubectl reads them, whose YAML is not ours.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use headscale_api::kinds;
use headscale_controlplane::ControlPlane;
use headscale_testkit::tools::tool;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::Api;

use crate::cluster::{LOOK_EVERY, Namespace, PATIENCE};

struct Kubectl {
    command: Command,
}

impl Kubectl {
    fn new(program: &Path, kubeconfig: &Path) -> Self {
        let mut command = Command::new(program);
        command.arg("--kubeconfig").arg(kubeconfig).env_remove("KUBECONFIG");
        command.env("HOME", kubeconfig.parent().expect("a directory"));
        Self { command }
    }

    /// Runs it with `input`; gives what it says.
    fn run(self, args: &[&str], input: &str) -> String {
        self.try_run(args, input).unwrap_or_else(|said| panic!("{args:?}: {said}"))
    }

    /// The same, or what it says where it fails or warns.
    fn try_run(mut self, args: &[&str], input: &str) -> Result<String, String> {
        self.command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().expect("kubectl runs");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(input.as_bytes()).expect("it reads");
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() || said.contains("Warning") {
            return Err(said.into_owned());
        }
        Ok(String::from_utf8(output.stdout).expect("text"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_applies_the_text_and_explains_every_kind() {
    let Some(program) = tool("kubectl") else { return };
    // With the definitions as our types have them.
    let Some(namespace) = Namespace::new().await else { return };
    let Some(plane) = ControlPlane::shared().await else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let kubeconfig =
        plane.kubeconfig(directory.path(), plane.admin_token(), namespace.name(), None);
    let kubectl = || Kubectl::new(&program, &kubeconfig);

    let apply = ["apply", "--server-side", "--validate=strict", "-f", "-"];
    let said = kubectl().run(&apply, &kinds::crds_yaml());
    assert_eq!(said.lines().count(), kinds::crds().len(), "{said}");
    let api: Api<CustomResourceDefinition> = Api::all(plane.client());
    for crd in kinds::crds() {
        let stored = api.get(&crd.metadata.name.expect("a name")).await.expect("it is there");
        assert_eq!(stored.metadata.generation, Some(1), "the text says something else");
        let field = format!("{}.spec", crd.spec.names.plural);
        // What explains a kind is published a while after the kind is served.
        let explained = tokio::time::timeout(PATIENCE, async {
            loop {
                match kubectl().try_run(&["explain", &field], "") {
                    Ok(explained) => return explained,
                    Err(_) => tokio::time::sleep(LOOK_EVERY).await,
                }
            }
        });
        let explained = explained.await.unwrap_or_else(|_| panic!("{field} is not explained"));
        let what = if crd.spec.names.kind == "Headscale" { "How many" } else { "The name of the" };
        assert!(explained.contains(what), "{explained}");
    }

    let sample = include_str!("../../../examples/manifests/complete.yaml");
    let said = kubectl().run(&["apply", "-f", "-"], sample);
    assert_eq!(said.lines().count(), kinds::crds().len(), "{said}");
    let said = kubectl().run(&["apply", "-f", "-"], sample);
    assert!(said.lines().all(|line| line.ends_with(" unchanged")), "{said}");
    let table = kubectl().run(&["get", "hspak"], "");
    let table: Vec<Vec<&str>> =
        table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        table[0],
        [
            "NAME",
            "HEADSCALE",
            "HEADSCALEUSER",
            "USERID",
            "TAGS",
            "REUSABLE",
            "EPHEMERAL",
            "READY",
            "AGE",
        ],
    );
    assert_eq!(table[1][..5], ["company-runners", "company", r#"["tag:ci"]"#, "true", "true"]);
}
