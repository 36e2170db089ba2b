//! What is mounted into the pod, and where.

use k8s_openapi::api::core::v1::{
    ConfigMapProjection, ConfigMapVolumeSource, DownwardAPIProjection, DownwardAPIVolumeFile,
    EmptyDirVolumeSource, KeyToPath, ObjectFieldSelector, ProjectedVolumeSource,
    SecretVolumeSource, ServiceAccountTokenProjection, Volume, VolumeMount, VolumeProjection,
};

use super::facts::{CONFIG, DATA};
use super::plan::{Plan, TLS};

const CONFIG_VOLUME: &str = "config";
pub(super) const DATA_VOLUME: &str = "data";
const SOCKET_VOLUME: &str = "socket";
// The names below are longer than they need be, so that the volumes of users can have those.
const SCRATCH_VOLUME: &str = "headscale-tmp";
const TLS_VOLUME: &str = "headscale-tls";
const CA_VOLUME: &str = "headscale-ca";
const TOKEN_VOLUME: &str = "headscale-api-access";

/// Where the certificates that Headscale's is checked by are mounted in the sidecar.
const CA: &str = "/etc/headscale-ca";
/// The file with those certificates.
pub(super) const CA_FILE: &str = "/etc/headscale-ca/ca.crt";
/// Where clients of Kubernetes look for their account.
const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// How long a token is good for, in seconds: as long as Kubernetes' own.
const TOKEN_SECONDS: i64 = 3607;
/// `0440`: the group is the pod's.
const SECRET_MODE: i32 = 0o440;
/// `0644`, as Kubernetes mounts accounts.
const TOKEN_MODE: i32 = 0o644;

/// The volumes of the pod but for the claim, which is the StatefulSet's. Of two with one name ours
/// counts: Headscale does not start without them.
pub(super) fn volumes(plan: &Plan<'_>) -> Vec<Volume> {
    let secret = |name: &str, items| SecretVolumeSource {
        secret_name: Some(name.to_owned()),
        default_mode: Some(SECRET_MODE),
        items,
        ..SecretVolumeSource::default()
    };
    let mut volumes = vec![
        Volume {
            config_map: Some(ConfigMapVolumeSource {
                name: plan.names.config.clone(),
                ..ConfigMapVolumeSource::default()
            }),
            ..named(CONFIG_VOLUME)
        },
        empty(SOCKET_VOLUME),
        empty(SCRATCH_VOLUME),
    ];
    volumes.extend(
        plan.secrets
            .tls
            .as_ref()
            .map(|tls| Volume { secret: Some(secret(&tls.name, None)), ..named(TLS_VOLUME) }),
    );
    if plan.has_sidecar() {
        let ca = plan.secrets.ca.as_ref().filter(|_| plan.has_ca());
        volumes.extend(ca.map(|ca| {
            let item = KeyToPath { key: ca.key.clone(), path: "ca.crt".to_owned(), mode: None };
            Volume { secret: Some(secret(&ca.name, Some(vec![item]))), ..named(CA_VOLUME) }
        }));
        volumes.push(token());
    }
    for extra in &plan.spec.extra_volumes {
        let is_taken = |volume: &Volume| volume.name == extra.name;
        if extra.name != DATA_VOLUME && !volumes.iter().any(is_taken) {
            volumes.push(extra.clone());
        }
    }
    volumes
}

fn named(name: &str) -> Volume {
    Volume { name: name.to_owned(), ..Volume::default() }
}

fn empty(name: &str) -> Volume {
    Volume { empty_dir: Some(EmptyDirVolumeSource::default()), ..named(name) }
}

/// The account of the pod, as Kubernetes itself would mount it into all containers.
fn token() -> Volume {
    let token = ServiceAccountTokenProjection {
        path: "token".to_owned(),
        expiration_seconds: Some(TOKEN_SECONDS),
        ..ServiceAccountTokenProjection::default()
    };
    let ca = ConfigMapProjection {
        name: "kube-root-ca.crt".to_owned(),
        items: Some(vec![KeyToPath {
            key: "ca.crt".to_owned(),
            path: "ca.crt".to_owned(),
            mode: None,
        }]),
        ..ConfigMapProjection::default()
    };
    let namespace = DownwardAPIVolumeFile {
        path: "namespace".to_owned(),
        field_ref: Some(ObjectFieldSelector {
            field_path: "metadata.namespace".to_owned(),
            ..ObjectFieldSelector::default()
        }),
        ..DownwardAPIVolumeFile::default()
    };
    let sources = vec![
        VolumeProjection { service_account_token: Some(token), ..VolumeProjection::default() },
        VolumeProjection { config_map: Some(ca), ..VolumeProjection::default() },
        VolumeProjection {
            downward_api: Some(DownwardAPIProjection { items: Some(vec![namespace]) }),
            ..VolumeProjection::default()
        },
    ];
    Volume {
        projected: Some(ProjectedVolumeSource {
            default_mode: Some(TOKEN_MODE),
            sources: Some(sources),
        }),
        ..named(TOKEN_VOLUME)
    }
}

/// What is mounted into Headscale's container. Where a user mounts something at a path of ours, that
/// is what they want.
pub(super) fn headscale(plan: &Plan<'_>) -> Vec<VolumeMount> {
    let mut mounts = vec![
        read_only(CONFIG_VOLUME, CONFIG),
        mount(DATA_VOLUME, DATA),
        mount(SCRATCH_VOLUME, "/tmp"),
    ];
    if plan.secrets.tls.is_some() {
        mounts.push(read_only(TLS_VOLUME, TLS));
    }
    for extra in &plan.spec.extra_volume_mounts {
        mounts.retain(|mount| !is_at(mount, &extra.mount_path));
        mounts.push(extra.clone());
    }
    let folder = plan.facts.socket_folder();
    if !mounts.iter().any(|mount| is_at(mount, folder)) {
        mounts.push(mount(SOCKET_VOLUME, folder));
    }
    mounts
}

/// What is mounted into the sidecar that looks after the API key.
pub(super) fn sidecar(plan: &Plan<'_>) -> Vec<VolumeMount> {
    let folder = plan.facts.socket_folder();
    let mut mounts: Vec<VolumeMount> =
        headscale(plan).into_iter().filter(|mount| is_at(mount, folder)).collect();
    if plan.has_ca() {
        mounts.push(read_only(CA_VOLUME, CA));
    }
    mounts.push(read_only(TOKEN_VOLUME, TOKEN));
    mounts
}

/// What is mounted into the container that copies the database: where that may be.
pub(super) fn backup(plan: &Plan<'_>) -> Vec<VolumeMount> {
    let ours = [CONFIG_VOLUME, SCRATCH_VOLUME, TLS_VOLUME, SOCKET_VOLUME];
    headscale(plan).into_iter().filter(|mount| !ours.contains(&mount.name.as_str())).collect()
}

fn is_at(mount: &VolumeMount, path: &str) -> bool {
    mount.mount_path.trim_end_matches('/') == path.trim_end_matches('/')
}

fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount { name: name.to_owned(), mount_path: path.to_owned(), ..VolumeMount::default() }
}

fn read_only(name: &str, path: &str) -> VolumeMount {
    VolumeMount { read_only: Some(true), ..mount(name, path) }
}
