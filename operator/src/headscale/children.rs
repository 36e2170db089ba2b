//! The objects that instances have.

use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::{self, Lookup, Store, store};
use kube::{Resource, ResourceExt};

use crate::context::Stores;

/// Names, owners and versions of the objects of instances, but for StatefulSets and Secrets.
#[derive(Clone)]
pub(crate) struct Children {
    config_maps: Store<PartialObjectMeta<ConfigMap>>,
    services: Store<PartialObjectMeta<Service>>,
    service_accounts: Store<PartialObjectMeta<ServiceAccount>>,
    roles: Store<PartialObjectMeta<Role>>,
    role_bindings: Store<PartialObjectMeta<RoleBinding>>,
    ingresses: Store<PartialObjectMeta<Ingress>>,
}

/// The writing ends of [`Children`].
pub(crate) struct Writers {
    pub(crate) config_maps: store::Writer<PartialObjectMeta<ConfigMap>>,
    pub(crate) services: store::Writer<PartialObjectMeta<Service>>,
    pub(crate) service_accounts: store::Writer<PartialObjectMeta<ServiceAccount>>,
    pub(crate) roles: store::Writer<PartialObjectMeta<Role>>,
    pub(crate) role_bindings: store::Writer<PartialObjectMeta<RoleBinding>>,
    pub(crate) ingresses: store::Writer<PartialObjectMeta<Ingress>>,
}

/// An object that an instance controls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Child {
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) uid: String,
    /// Its resource version.
    pub(crate) version: u64,
}

impl Children {
    /// Empty ones, and what fills them.
    pub(crate) fn new() -> (Self, Writers) {
        let (config_maps, config_maps_writer) = reflector::store();
        let (services, services_writer) = reflector::store();
        let (service_accounts, service_accounts_writer) = reflector::store();
        let (roles, roles_writer) = reflector::store();
        let (role_bindings, role_bindings_writer) = reflector::store();
        let (ingresses, ingresses_writer) = reflector::store();
        (
            Self { config_maps, services, service_accounts, roles, role_bindings, ingresses },
            Writers {
                config_maps: config_maps_writer,
                services: services_writer,
                service_accounts: service_accounts_writer,
                roles: roles_writer,
                role_bindings: role_bindings_writer,
                ingresses: ingresses_writer,
            },
        )
    }

    /// Waits until all have been filled once.
    pub(crate) async fn wait_until_ready(&self) {
        // They fail when their writers are gone, which is when the operator ends.
        self.config_maps.wait_until_ready().await.ok();
        self.services.wait_until_ready().await.ok();
        self.service_accounts.wait_until_ready().await.ok();
        self.roles.wait_until_ready().await.ok();
        self.role_bindings.wait_until_ready().await.ok();
        self.ingresses.wait_until_ready().await.ok();
    }
}

/// Whether the object with this uid controls an object.
pub(crate) fn is_controlled_by<K: Resource>(object: &K, uid: &str) -> bool {
    let mut owners = object.owner_references().iter();
    owners.any(|owner| owner.controller == Some(true) && owner.uid == uid)
}

/// The objects that the instance with this uid controls.
pub(crate) fn of(stores: &Stores, namespace: &str, uid: &str) -> Vec<Child> {
    let mut all = Vec::new();
    let children = &stores.children;
    collect(&children.service_accounts, "ServiceAccount", namespace, uid, &mut all);
    collect(&children.roles, "Role", namespace, uid, &mut all);
    collect(&children.role_bindings, "RoleBinding", namespace, uid, &mut all);
    collect(&stores.secrets, "Secret", namespace, uid, &mut all);
    collect(&children.config_maps, "ConfigMap", namespace, uid, &mut all);
    collect(&children.services, "Service", namespace, uid, &mut all);
    collect(&stores.stateful_sets, "StatefulSet", namespace, uid, &mut all);
    collect(&children.ingresses, "Ingress", namespace, uid, &mut all);
    all
}

fn collect<K>(
    store: &Store<K>,
    kind: &'static str,
    namespace: &str,
    uid: &str,
    all: &mut Vec<Child>,
) where
    K: Resource + Lookup + Clone + 'static,
    <K as Lookup>::DynamicType: Eq + std::hash::Hash + Clone,
{
    let is_its = |object: &K| {
        ResourceExt::namespace(object).as_deref() == Some(namespace)
            && is_controlled_by(object, uid)
    };
    all.extend(store.state_filter(is_its).iter().map(|object| Child {
        kind,
        name: object.name_any(),
        uid: ResourceExt::uid(&**object).unwrap_or_default(),
        version: version(object.meta().resource_version.as_deref()),
    }));
}

/// A resource version as a number, by which the newer of two of one kind is known.
pub(crate) fn version(text: Option<&str>) -> u64 {
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}
