//! From flags, kubeconfigs and the pod's own account to one configuration, in kubectl's order.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use http::Uri;
use k8s_openapi::ByteString;
use kube::Config;
use kube::config::{AuthInfo, Cluster, Context, Kubeconfig, KubeconfigError, LoadDataError};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::ConnectionArgs;
use super::exec::{self, Ask};
use super::proxy::proxy;
use crate::environment::Environment;
use crate::error::{CommandError, io_words};

/// Where Kubernetes puts what a pod needs to talk to its cluster.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const DEFAULT_NAMESPACE: &str = "default";

/// What is meant: parts of a kubeconfig, after the flags.
struct Given {
    cluster: Cluster,
    user: AuthInfo,
    namespace: Option<String>,
}

/// The configuration, and whether a flag named the namespace. `ask` says who may be asked for
/// credentials.
pub(super) async fn config(
    args: &ConnectionArgs,
    environment: &Environment,
    ask: Ask,
) -> Result<(Config, bool), CommandError> {
    let mut given = read(args, environment)?;
    override_cluster(args, environment, &mut given.cluster)?;
    override_user(args, environment, &mut given.user)?;
    let user = exec::resolved(given.user, &given.cluster, ask).await?;
    let cluster = given.cluster;
    let server = nonempty(cluster.server.as_deref()).ok_or_else(|| {
        CommandError::failed("no server found for cluster")
            .hint("the kubeconfig's cluster has no `server`")
    })?;
    let url: Uri = server.parse().map_err(|error| {
        CommandError::failed(format!("host must be a URL or a host:port pair: {error}"))
    })?;
    let flag = nonempty(args.namespace.as_deref());
    let mut config = Config::new(url);
    config.default_namespace =
        flag.map(str::to_owned).or(given.namespace).unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
    config.root_cert = authority(&cluster)?;
    config.accept_invalid_certs = cluster.insecure_skip_tls_verify == Some(true);
    config.tls_server_name = cluster.tls_server_name;
    config.proxy_url = proxy(&config.cluster_url, cluster.proxy_url.as_deref(), environment)?;
    config.auth_info = user;
    Ok((config, flag.is_some()))
}

/// The certificates of the cluster's authority, in DER; the system's where `None`.
fn authority(cluster: &Cluster) -> Result<Option<Vec<Vec<u8>>>, CommandError> {
    let unusable = || {
        CommandError::failed("unable to load root certificates: unable to parse bytes as PEM block")
    };
    let pem = match (&cluster.certificate_authority_data, &cluster.certificate_authority) {
        (Some(data), _) if !data.is_empty() => {
            let decoded = serde_json::from_value::<ByteString>(data.as_str().into());
            decoded.map_err(|_| unusable())?.0
        }
        (_, Some(file)) if !file.is_empty() => std::fs::read(file)
            .map_err(|error| unreadable_part("certificate-authority", Path::new(file), &error))?,
        _ => return Ok(None),
    };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates.map_err(|_| unusable())?;
    if certificates.is_empty() {
        return Err(unusable());
    }
    Ok(Some(certificates.into_iter().map(|certificate| certificate.to_vec()).collect()))
}

/// The namespace that is meant, without a way to the cluster.
pub(super) fn namespace(
    args: &ConnectionArgs,
    environment: &Environment,
) -> Result<String, CommandError> {
    if let Some(flag) = nonempty(args.namespace.as_deref()) {
        return Ok(flag.to_owned());
    }
    let kubeconfig = load(args, environment)?;
    let context = context(args, &kubeconfig)?;
    let named = context.and_then(|context| nonempty(context.namespace.as_deref()));
    let pod = || environment.in_cluster.as_ref().and_then(|_| pod_namespace());
    Ok(match named {
        Some(named) => named.to_owned(),
        None if context.is_none() => pod().unwrap_or_else(|| DEFAULT_NAMESPACE.into()),
        None => DEFAULT_NAMESPACE.into(),
    })
}

/// The kubeconfigs that count, merged; an empty one where there is none.
pub(crate) fn load(
    args: &ConnectionArgs,
    environment: &Environment,
) -> Result<Kubeconfig, CommandError> {
    if let Some(file) = args.kubeconfig.as_ref().filter(|file| !file.as_os_str().is_empty()) {
        return load_file(&environment.cwd.join(file)).map_err(|error| match error {
            KubeconfigError::ReadConfig(cause, _) => {
                CommandError::failed(format!("stat {}: {}", file.display(), go_words(&cause)))
                    .hint("--kubeconfig names the file that says where the cluster is")
            }
            error => unreadable(file, &error),
        });
    }
    let mut merged = Kubeconfig::default();
    for file in files(environment) {
        let read = match load_file(&environment.cwd.join(&file)) {
            Ok(read) => read,
            // kubectl leaves out those that are not there.
            Err(KubeconfigError::ReadConfig(cause, _))
                if cause.kind() == std::io::ErrorKind::NotFound =>
            {
                continue;
            }
            Err(error) => return Err(unreadable(&file, &error)),
        };
        merged = merged.merge(read).map_err(|error| unreadable(&file, &error))?;
    }
    Ok(merged)
}

/// Reads one kubeconfig. What it has of paths is relative to it.
fn load_file(file: &Path) -> Result<Kubeconfig, KubeconfigError> {
    Kubeconfig::read_from(file)
}

/// The kubeconfigs to look for: those of `KUBECONFIG`, or the one in the home directory.
fn files(environment: &Environment) -> Vec<PathBuf> {
    let listed = environment.kubeconfig.as_deref().filter(|list| !list.is_empty());
    let split = |list: &OsStr| -> Vec<PathBuf> {
        std::env::split_paths(list).filter(|file| !file.as_os_str().is_empty()).collect()
    };
    let home = || environment.home.as_ref().map(|home| home.join(".kube/config"));
    listed.map(split).unwrap_or_else(|| home().into_iter().collect())
}

fn context<'k>(
    args: &ConnectionArgs,
    kubeconfig: &'k Kubeconfig,
) -> Result<Option<&'k Context>, CommandError> {
    let name = nonempty(args.context.as_deref());
    let Some(name) = name.or_else(|| nonempty(kubeconfig.current_context.as_deref())) else {
        return Ok(None);
    };
    let found = kubeconfig.contexts.iter().find(|context| context.name == name);
    let found = found.and_then(|context| context.context.as_ref());
    found.map(Some).ok_or_else(|| {
        let message = format!("context was not found for specified context: {name}");
        let error = CommandError::failed_as("Error in configuration", message);
        error.hint(known("context", kubeconfig.contexts.iter().map(|context| &context.name)))
    })
}

/// The cluster and the user that context and flags name, or the pod's own.
fn read(args: &ConnectionArgs, environment: &Environment) -> Result<Given, CommandError> {
    let kubeconfig = load(args, environment)?;
    let context = context(args, &kubeconfig)?;
    let cluster_name = nonempty(args.cluster.as_deref())
        .or_else(|| context.and_then(|context| nonempty(Some(&context.cluster))));
    let cluster = cluster_name
        .map(|name| {
            let found = kubeconfig.clusters.iter().find(|cluster| cluster.name == name);
            found.and_then(|cluster| cluster.cluster.clone()).ok_or_else(|| {
                CommandError::failed(format!("no server found for cluster {name:?}"))
                    .hint(known("cluster", kubeconfig.clusters.iter().map(|cluster| &cluster.name)))
            })
        })
        .transpose()?;
    let user_name = nonempty(args.user.as_deref())
        .or_else(|| context.and_then(|context| nonempty(context.user.as_deref())));
    let user = user_name
        .map(|name| {
            let found = kubeconfig.auth_infos.iter().find(|user| user.name == name);
            found.and_then(|user| user.auth_info.clone()).ok_or_else(|| {
                CommandError::failed(format!("auth info {name:?} does not exist"))
                    .hint(known("user", kubeconfig.auth_infos.iter().map(|user| &user.name)))
            })
        })
        .transpose()?;
    let server = nonempty(args.server.as_deref());
    let namespace = context.and_then(|context| nonempty(context.namespace.as_deref()));
    if cluster.is_some() || server.is_some() {
        return Ok(Given {
            cluster: cluster.unwrap_or_default(),
            user: user.unwrap_or_default(),
            namespace: namespace.map(str::to_owned),
        });
    }
    match &environment.in_cluster {
        Some((host, port)) => Ok(pod(host, port)),
        None => Err(nothing(args, environment)),
    }
}

/// What the account of the pod is given.
fn pod(host: &str, port: &str) -> Given {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    Given {
        cluster: Cluster {
            server: Some(format!("https://{host}:{port}")),
            certificate_authority: Some(format!("{ACCOUNT}/ca.crt")),
            ..Cluster::default()
        },
        user: AuthInfo { token_file: Some(format!("{ACCOUNT}/token")), ..AuthInfo::default() },
        namespace: pod_namespace(),
    }
}

fn pod_namespace() -> Option<String> {
    let namespace = std::fs::read_to_string(format!("{ACCOUNT}/namespace")).ok()?;
    Some(namespace.trim().to_owned()).filter(|namespace| !namespace.is_empty())
}

/// Nothing names a cluster.
fn nothing(args: &ConnectionArgs, environment: &Environment) -> CommandError {
    let error = CommandError::failed(
        "no configuration has been provided: no kubeconfig names a cluster, and this is no pod",
    );
    let looked = match &args.kubeconfig {
        Some(file) => vec![file.clone()],
        None => files(environment),
    };
    let looked: Vec<String> = looked.iter().map(|file| file.display().to_string()).collect();
    let error = if looked.is_empty() {
        error
    } else {
        error.hint(format!("looked into {}", looked.join(", ")))
    };
    error.hint("name a kubeconfig with --kubeconfig or KUBECONFIG, or a server with --server")
}

fn override_cluster(
    args: &ConnectionArgs,
    environment: &Environment,
    cluster: &mut Cluster,
) -> Result<(), CommandError> {
    if let Some(server) = nonempty(args.server.as_deref()) {
        let plain = !server.contains("://");
        cluster.server = Some(if plain { format!("http://{server}") } else { server.to_owned() });
        // It was the name of the other server.
        cluster.tls_server_name = None;
    }
    if let Some(name) = nonempty(args.tls_server_name.as_deref()) {
        cluster.tls_server_name = Some(name.to_owned());
    }
    let authority = args.certificate_authority.as_deref();
    if let Some(authority) = authority {
        cluster.certificate_authority = Some(path(environment, authority));
        cluster.certificate_authority_data = None;
        cluster.insecure_skip_tls_verify = None;
    }
    match args.insecure_skip_tls_verify {
        Some(true) if authority.is_some() => {
            return Err(CommandError::failed(
                "specifying a root certificates file with the insecure flag is not allowed",
            ));
        }
        Some(true) => {
            cluster.certificate_authority = None;
            cluster.certificate_authority_data = None;
            cluster.insecure_skip_tls_verify = Some(true);
        }
        Some(false) => cluster.insecure_skip_tls_verify = None,
        None => {}
    }
    Ok(())
}

fn override_user(
    args: &ConnectionArgs,
    environment: &Environment,
    user: &mut AuthInfo,
) -> Result<(), CommandError> {
    if let Some(token) = &args.token {
        user.token = Some(token.clone());
        user.token_file = None;
        user.exec = None;
        user.auth_provider = None;
    }
    if let Some(username) = nonempty(args.username.as_deref()) {
        user.username = Some(username.to_owned());
    }
    if let Some(password) = &args.password {
        user.password = Some(password.clone());
    }
    if let Some(certificate) = &args.client_certificate {
        user.client_certificate = Some(path(environment, certificate));
        user.client_certificate_data = None;
    }
    if let Some(key) = &args.client_key {
        user.client_key = Some(path(environment, key));
        user.client_key_data = None;
    }
    if args.token.is_some() && args.username.is_some() {
        return Err(CommandError::failed(
            "more than one authentication method found: token and username, only one is allowed",
        ));
    }
    if let Some(name) = nonempty(args.as_user.as_deref()) {
        user.impersonate = Some(name.to_owned());
    }
    if !args.as_groups.is_empty() {
        user.impersonate_groups = Some(args.as_groups.clone());
    }
    if let Some(uid) = nonempty(args.as_uid.as_deref()) {
        user.impersonate_uid = Some(uid.to_owned());
    }
    let as_nobody = user.impersonate.is_none();
    if as_nobody && (user.impersonate_groups.is_some() || user.impersonate_uid.is_some()) {
        return Err(CommandError::failed("requesting uid or groups without impersonating a user")
            .hint("--as names the user"));
    }
    Ok(())
}

/// `file` as seen from the current directory.
fn path(environment: &Environment, file: &Path) -> String {
    environment.cwd.join(file).display().to_string()
}

/// Empty means that there is none, in flags and in kubeconfigs.
fn nonempty(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

/// A kubeconfig that cannot be read. What stands in it may be secret, so it is not shown.
fn unreadable(file: &Path, error: &KubeconfigError) -> CommandError {
    let why = match error {
        KubeconfigError::ReadConfig(cause, _) => go_words(cause),
        KubeconfigError::Parse(error) => {
            let place = error.location().map_or_else(String::new, |place| {
                format!("line {}, column {}: ", place.line(), place.column())
            });
            format!("yaml: {place}this is not what a kubeconfig has there")
        }
        error => error.to_string(),
    };
    let file = file.display().to_string();
    CommandError::failed(format!("error loading config file {file:?}: {why}"))
}

pub(super) fn wrong(error: &KubeconfigError) -> CommandError {
    match error {
        KubeconfigError::LoadCertificateAuthority(LoadDataError::ReadFile(cause, file)) => {
            unreadable_part("certificate-authority", file, cause)
        }
        KubeconfigError::LoadClientCertificate(LoadDataError::ReadFile(cause, file)) => {
            unreadable_part("client-cert", file, cause)
        }
        KubeconfigError::LoadClientKey(LoadDataError::ReadFile(cause, file)) => {
            unreadable_part("client-key", file, cause)
        }
        error => CommandError::failed_as("Error in configuration", error.to_string()),
    }
}

/// A file that a kubeconfig or a flag names.
fn unreadable_part(what: &str, file: &Path, cause: &std::io::Error) -> CommandError {
    let why = go_words(cause);
    CommandError::failed(format!("unable to read {what} {}: {why}", file.display()))
}

/// What the operating system says, as kubectl says it.
fn go_words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        std::io::ErrorKind::IsADirectory => "is a directory".to_owned(),
        _ => io_words(error),
    }
}

/// Which names there are, where another one was asked for.
fn known<'n>(what: &str, names: impl Iterator<Item = &'n String>) -> String {
    let names: Vec<&str> = names.map(String::as_str).collect();
    if names.is_empty() {
        return format!("there is no {what} at all: is this the right kubeconfig?");
    }
    format!("there is: {}", names.join(", "))
}
