//! Programs that give credentials, as kubeconfigs of cloud providers name them.
//!
//! The client library runs such a program three times for one connection, and puts what it printed
//! and its environment into errors. Here it runs once, and what it prints is shown to nobody. A
//! token that ends while a command is running is not renewed.

use std::io::ErrorKind;
use std::process::Stdio;

use k8s_openapi::ByteString;
use kube::config::{AuthInfo, Cluster, ExecAuthCluster, ExecConfig, ExecInteractiveMode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::process::Command;

use super::kubeconfig::wrong;
use crate::error::CommandError;

/// What the program is told about the request.
const INFO: &str = "KUBERNETES_EXEC_INFO";

/// Who may be asked for credentials on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// The user, where there is a terminal.
    User { terminal: bool },
    /// Nobody, and nobody is told what went wrong.
    Nobody,
}

/// What the program answers.
#[derive(Deserialize)]
struct Answer {
    status: Option<Credentials>,
}

// Not to be shown, and so without `Debug`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Credentials {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
}

/// `user` with the credentials that its program gives in place of the program, if it has one.
/// `cluster` is what the program may be told about.
///
/// # Errors
///
/// In kubectl's words: the program is not there, fails, or gives no credentials.
pub(super) async fn resolved(
    mut user: AuthInfo,
    cluster: &Cluster,
    ask: Ask,
) -> Result<AuthInfo, CommandError> {
    let Some(exec) = user.exec.take() else { return Ok(user) };
    let credentials = run(&exec, cluster, ask).await?;
    if let Some(token) = credentials.token {
        user.token = Some(token.into());
        user.token_file = None;
    }
    if let (Some(certificate), Some(key)) =
        (credentials.client_certificate_data, credentials.client_key_data)
    {
        user.client_certificate_data = Some(base64(&certificate));
        user.client_key_data = Some(base64(&key).into());
        user.client_certificate = None;
        user.client_key = None;
    }
    Ok(user)
}

async fn run(exec: &ExecConfig, cluster: &Cluster, ask: Ask) -> Result<Credentials, CommandError> {
    let name = exec.command.as_deref().unwrap_or_default();
    let failed = |why: String| {
        let error = CommandError::failed_as(
            "Unable to connect to the server",
            format!("getting credentials: exec: {why}"),
        );
        match exec.install_hint.as_deref().map(str::trim).filter(|hint| !hint.is_empty()) {
            Some(hint) => error.hint(hint),
            None => error.hint("the kubeconfig's user names this program for credentials"),
        }
    };
    let mode = exec.interactive_mode.as_ref();
    let (interactive, quiet) = match ask {
        Ask::Nobody => (false, true),
        Ask::User { terminal } => (terminal && mode != Some(&ExecInteractiveMode::Never), false),
    };
    if mode == Some(&ExecInteractiveMode::Always) && !interactive {
        return Err(failed(format!("plugin {name} cannot ask: standard input is no terminal")));
    }
    let mut command = Command::new(name);
    command
        .args(exec.args.iter().flatten())
        .env(INFO, info(exec, cluster, interactive)?.to_string())
        .stdin(if interactive { Stdio::inherit() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(if quiet { Stdio::null() } else { Stdio::inherit() })
        .kill_on_drop(true);
    for variable in exec.env.iter().flatten() {
        if let (Some(name), Some(value)) = (variable.get("name"), variable.get("value")) {
            command.env(name, value);
        }
    }
    let started = command.spawn().map_err(|error| match error.kind() {
        ErrorKind::NotFound => failed(format!("executable {name} not found")),
        _ => failed(format!("executable {name}: {error}")),
    })?;
    let ended = started.wait_with_output().await;
    let output = ended.map_err(|error| failed(format!("executable {name}: {error}")))?;
    if !output.status.success() {
        return Err(failed(match output.status.code() {
            Some(code) => format!("executable {name} failed with exit code {code}"),
            None => format!("executable {name} was killed"),
        }));
    }
    // Some programs write YAML, which kubectl reads too. What is wrong with it is not told: it may
    // quote a token.
    let answer: Option<Answer> = serde_saphyr::from_slice(&output.stdout).ok();
    let credentials = answer.and_then(|answer| answer.status).filter(|credentials| {
        let pair = (&credentials.client_certificate_data, &credentials.client_key_data);
        credentials.token.is_some() || matches!(pair, (Some(_), Some(_)))
    });
    credentials
        .ok_or_else(|| failed(format!("plugin {name} didn't return a token or cert/key pair")))
}

/// What the program is told.
fn info(exec: &ExecConfig, cluster: &Cluster, interactive: bool) -> Result<Value, CommandError> {
    let mut spec = json!({ "interactive": interactive });
    if exec.provide_cluster_info {
        let about = ExecAuthCluster::try_from(cluster).map_err(|error| wrong(&error))?;
        let about = serde_json::to_value(about);
        let broken = |error: serde_json::Error| CommandError::failed(error.to_string());
        if let Some(spec) = spec.as_object_mut() {
            spec.insert("cluster".to_owned(), about.map_err(broken)?);
        }
    }
    Ok(json!({ "apiVersion": exec.api_version, "kind": "ExecCredential", "spec": spec }))
}

/// `text` as kubeconfigs hold data.
fn base64(text: &str) -> String {
    let encoded = serde_json::to_value(ByteString(text.as_bytes().to_vec()));
    encoded.ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
