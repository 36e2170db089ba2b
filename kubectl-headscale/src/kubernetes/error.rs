//! Errors of the Kubernetes client in kubectl's words.

use std::collections::BTreeSet;
use std::error::Error as StdError;
use std::io::{self, ErrorKind};

use kube::core::Status;
use kube::core::response::StatusDetails;
use rustls::CertificateError;

use super::client::TimedOut;
use super::cluster::Server;
use super::kubeconfig;
use super::resource::Resource;
use crate::error::CommandError;

const UNAUTHORIZED: &str = "Unauthorized";
const NOT_FOUND: &str = "NotFound";
const FORBIDDEN: &str = "Forbidden";
const INVALID: &str = "Invalid";
const CONFLICT: &str = "Conflict";

/// `error` of a request to `server`.
pub(super) fn error(error: kube::Error, server: &Server) -> CommandError {
    match error {
        kube::Error::Api(status) => of_status(&status),
        kube::Error::Auth(error) => CommandError::failed(format!("getting credentials: {error}"))
            .hint("the kubeconfig's user asks a program for them; run it by hand to see why"),
        // Its own words would show the password that may be in the URL.
        kube::Error::ProxyProtocolUnsupported { proxy_url } => CommandError::failed(format!(
            "a proxy of the kind {:?} cannot be used: expected http, https or socks5",
            proxy_url.scheme_str().unwrap_or_default()
        )),
        kube::Error::InferKubeconfig(error) => kubeconfig::wrong(&error),
        error => {
            let told = of_connection(&error, server);
            match &server.proxy {
                Some(proxy) => told.hint(format!("it was asked through the proxy {proxy}")),
                None => told,
            }
        }
    }
}

/// The same where objects of `resource` were asked for.
pub(super) fn resource_error(
    error: kube::Error,
    server: &Server,
    resource: &Resource,
) -> CommandError {
    match &error {
        kube::Error::Api(status) if is_unknown_resource(status) => CommandError::failed(format!(
            "the server doesn't have a resource type {:?}",
            resource.plural
        ))
        .hint("`kubectl headscale install crds` installs it"),
        _ => self::error(error, server),
    }
}

/// Whether the server has no such resource at all: it then answers with a page and no status, or
/// with a status that names no object.
fn is_unknown_resource(status: &Status) -> bool {
    let named = |details: &StatusDetails| !details.name.is_empty() || !details.kind.is_empty();
    status.code == 404 && !status.details.as_ref().is_some_and(named)
}

fn of_status(status: &Status) -> CommandError {
    if status.reason == INVALID {
        return invalid(status);
    }
    if status.reason == UNAUTHORIZED || status.code == 401 {
        return CommandError::failed(format!(
            "You must be logged in to the server ({UNAUTHORIZED})"
        ))
        .hint("the kubeconfig's user, or --token, is not one that this server knows");
    }
    if is_unknown_resource(status) {
        return CommandError::failed_as(
            format!("Error from server ({NOT_FOUND})"),
            "the server could not find the requested resource",
        )
        .hint("`kubectl headscale install crds` installs the kinds of Headscale");
    }
    let label = match status.reason.as_str() {
        // What kube makes of an answer that is no status.
        "" | "Failed to parse error data" => "Error from server".to_owned(),
        reason => format!("Error from server ({reason})"),
    };
    let error = CommandError::failed_as(label, status.message.trim_end());
    match status.reason.as_str() {
        FORBIDDEN => error.hint("`kubectl auth can-i --list` shows what you may do"),
        CONFLICT if !status.message.starts_with("Apply failed") => {
            error.hint("someone else changed it meanwhile: try again")
        }
        _ => error,
    }
}

/// An object that the server does not take, with all that is wrong with it.
fn invalid(status: &Status) -> CommandError {
    let details = status.details.as_ref();
    let causes: BTreeSet<String> = details
        .into_iter()
        .flat_map(|details| &details.causes)
        .map(|cause| format!("{}: {}", cause.field, cause.message))
        .collect();
    let label = match details {
        Some(details) if !details.kind.is_empty() || !details.name.is_empty() => {
            format!("The {} {:?} is invalid", details.kind, details.name)
        }
        _ => "The request is invalid".to_owned(),
    };
    let mut causes = causes.into_iter();
    match (causes.next(), causes.len()) {
        (None, _) if status.message.is_empty() => CommandError::failed_as("", label),
        (None, _) => CommandError::failed_as(label, status.message.as_str()),
        (Some(only), 0) => CommandError::failed_as(label, only),
        (Some(first), _) => {
            let lines = std::iter::once(first).chain(causes);
            let lines: String = lines.map(|cause| format!("\n* {cause}")).collect();
            CommandError::failed_as(label, lines)
        }
    }
}

/// No answer came.
fn of_connection(error: &kube::Error, server: &Server) -> CommandError {
    let words = |words: &str| CommandError::failed_as("Unable to connect to the server", words);
    for cause in causes(error) {
        if let Some(timed_out) = cause.downcast_ref::<TimedOut>() {
            return words(&timed_out.to_string())
                .hint("--request-timeout 0 waits for as long as it takes");
        }
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return words(&of_tls(tls, server)).hint(
                "is this the right server? --certificate-authority names the authority that its \
                 certificate is from, --tls-server-name the name in it",
            );
        }
        match cause.downcast_ref::<io::Error>().map(io::Error::kind) {
            Some(ErrorKind::ConnectionRefused) => {
                return CommandError::failed_as(
                    "",
                    format!(
                        "The connection to the server {} was refused - did you specify the right \
                         host or port?",
                        server.address
                    ),
                );
            }
            Some(ErrorKind::TimedOut) => {
                return words(&format!("{} does not answer", server.address));
            }
            _ => {}
        }
    }
    match error {
        kube::Error::SerdeError(error) => {
            CommandError::failed(format!("the server's answer is not what was expected: {error}"))
                .hint("are the installed kinds older? `kubectl headscale install crds` renews them")
        }
        error => {
            let last = causes(error).last().map(ToString::to_string);
            words(&last.unwrap_or_else(|| error.to_string()))
        }
    }
}

/// A server that is not trusted, in the words of Go where it has some.
fn of_tls(error: &rustls::Error, server: &Server) -> String {
    let certificate = match error {
        rustls::Error::InvalidCertificate(certificate) => certificate,
        error => return format!("tls: {error}"),
    };
    let why = match certificate {
        CertificateError::UnknownIssuer => "certificate signed by unknown authority".to_owned(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("certificate is not valid for {}", server.name)
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => {
            "certificate has expired or is not yet valid".to_owned()
        }
        other => other.to_string(),
    };
    format!("tls: failed to verify certificate: x509: {why}")
}

/// `error` and all that is behind it. An error of input and output hides its own cause from
/// [`StdError::source`].
fn causes<'e>(
    error: &'e (dyn StdError + 'static),
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| {
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn StdError + 'static)),
            None => error.source(),
        }
    })
}
