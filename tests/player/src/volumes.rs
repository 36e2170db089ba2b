//! The volumes of a pod as directories.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{
    ConfigMap, Container, KeyToPath, PersistentVolumeClaim, Pod, Secret, Volume,
};
use kube::ResourceExt as _;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use crate::world::World;

/// Why a pod or a container cannot be started yet, as its status tells it.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

impl Trouble {
    pub(crate) fn new(reason: &'static str, message: String) -> Self {
        Self { reason, message }
    }

    /// The API server does not answer as it should.
    pub(crate) fn api(error: kube::Error) -> Self {
        Self::new("ContainerCreating", error.to_string())
    }
}

/// The directories of a pod's volumes, by their names.
#[derive(Debug, Default)]
pub(crate) struct Volumes(HashMap<String, PathBuf>);

impl Volumes {
    /// Makes them below `directory`, but those of claims, which stay.
    pub(crate) async fn make(world: &World, pod: &Pod, directory: &Path) -> Result<Self, Trouble> {
        let mut made = HashMap::new();
        let spec = pod.spec.as_ref();
        for volume in spec.and_then(|spec| spec.volumes.as_ref()).into_iter().flatten() {
            let path = match &volume.persistent_volume_claim {
                Some(claim) => claimed(world, &claim.claim_name).await?,
                None => {
                    let path = directory.join(&volume.name);
                    fs::create_dir_all(&path).expect("a directory");
                    for (name, bytes) in files(world, volume).await? {
                        let file = path.join(name);
                        fs::create_dir_all(file.parent().expect("a parent")).expect("a directory");
                        fs::write(file, bytes).expect("written");
                    }
                    path
                }
            };
            made.insert(volume.name.clone(), path);
        }
        Ok(Self(made))
    }

    /// Where what a container has at `path` is; `None` where nothing is mounted there.
    pub(crate) fn path(&self, container: &Container, path: &str) -> Option<PathBuf> {
        let mounts = container.volume_mounts.iter().flatten();
        let inside = |mount_path: &str| {
            let rest = path.strip_prefix(mount_path.trim_end_matches('/'))?;
            (rest.is_empty() || rest.starts_with('/')).then(|| rest.trim_start_matches('/'))
        };
        let (mount, rest) = mounts
            .filter_map(|mount| Some((mount, inside(&mount.mount_path)?)))
            .max_by_key(|(mount, _)| mount.mount_path.trim_end_matches('/').len())?;
        let volume = self.0.get(&mount.name)?.join(mount.sub_path.as_deref().unwrap_or_default());
        Some(if rest.is_empty() { volume } else { volume.join(rest) })
    }
}

/// The directory of a claim, which is bound now. Another claim of that name has another directory.
async fn claimed(world: &World, name: &str) -> Result<PathBuf, Trouble> {
    let claims: Api<PersistentVolumeClaim> =
        Api::namespaced(world.client.clone(), &world.namespace);
    let claim = claims.get_opt(name).await.map_err(Trouble::api)?;
    let missing = || format!("persistentvolumeclaim \"{name}\" not found");
    let claim = claim.ok_or_else(|| Trouble::new("Unschedulable", missing()))?;
    let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref());
    if phase != Some("Bound") {
        let requests = claim.spec.as_ref().and_then(|spec| spec.resources.clone()?.requests);
        let status = json!({ "status": {
            "phase": "Bound",
            "accessModes": ["ReadWriteOnce"],
            "capacity": requests,
        } });
        let patch = Patch::Merge(status);
        let bound = claims.patch_status(name, &PatchParams::default(), &patch).await;
        bound.map_err(Trouble::api)?;
    }
    let path = world.directory.join("claims").join(claim.uid().unwrap_or_default());
    fs::create_dir_all(&path).expect("a directory");
    world.known().claims.insert(name.to_owned(), path.clone());
    Ok(path)
}

/// What a volume has in it, by path. Accounts are left out: clients have a kubeconfig instead.
async fn files(world: &World, volume: &Volume) -> Result<BTreeMap<String, Vec<u8>>, Trouble> {
    if let Some(source) = &volume.config_map {
        let optional = source.optional == Some(true);
        return config_map(world, &source.name, source.items.as_ref(), optional).await;
    }
    if let Some(source) = &volume.secret {
        let name = source.secret_name.clone().unwrap_or_default();
        let optional = source.optional == Some(true);
        return secret(world, &name, source.items.as_ref(), optional).await;
    }
    let mut all = BTreeMap::new();
    for source in volume.projected.iter().flat_map(|it| it.sources.iter().flatten()) {
        if let Some(source) = &source.secret {
            let optional = source.optional == Some(true);
            all.extend(secret(world, &source.name, source.items.as_ref(), optional).await?);
        }
    }
    Ok(all)
}

async fn config_map(
    world: &World,
    name: &str,
    items: Option<&Vec<KeyToPath>>,
    optional: bool,
) -> Result<BTreeMap<String, Vec<u8>>, Trouble> {
    let maps: Api<ConfigMap> = Api::namespaced(world.client.clone(), &world.namespace);
    let found = maps.get_opt(name).await.map_err(Trouble::api)?;
    let data = found.map(|map| {
        let texts = map.data.unwrap_or_default().into_iter();
        let texts = texts.map(|(key, text)| (key, text.into_bytes()));
        let bytes = map.binary_data.unwrap_or_default().into_iter();
        texts.chain(bytes.map(|(key, bytes)| (key, bytes.0))).collect()
    });
    chosen(data, items, optional, || format!("configmap \"{name}\" not found"))
}

async fn secret(
    world: &World,
    name: &str,
    items: Option<&Vec<KeyToPath>>,
    optional: bool,
) -> Result<BTreeMap<String, Vec<u8>>, Trouble> {
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &world.namespace);
    let found = secrets.get_opt(name).await.map_err(Trouble::api)?;
    let data = found.map(|secret| {
        secret.data.unwrap_or_default().into_iter().map(|(key, bytes)| (key, bytes.0)).collect()
    });
    chosen(data, items, optional, || format!("secret \"{name}\" not found"))
}

/// All that there is, or those that are asked for at the paths that they are asked for.
fn chosen(
    data: Option<BTreeMap<String, Vec<u8>>>,
    items: Option<&Vec<KeyToPath>>,
    optional: bool,
    missing: impl Fn() -> String,
) -> Result<BTreeMap<String, Vec<u8>>, Trouble> {
    let creating = |message| Trouble::new("ContainerCreating", message);
    let Some(mut data) = data else {
        return if optional { Ok(BTreeMap::new()) } else { Err(creating(missing())) };
    };
    let Some(items) = items else { return Ok(data) };
    let mut chosen = BTreeMap::new();
    for item in items {
        match data.remove(&item.key) {
            Some(bytes) => drop(chosen.insert(item.path.clone(), bytes)),
            None if optional => {}
            None => {
                let message = format!("references non-existent secret key: {}", item.key);
                return Err(creating(message));
            }
        }
    }
    Ok(chosen)
}
