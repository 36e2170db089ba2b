{{/* Made by `cargo xtask generate` from api/src/operator; do not edit. */}}
{{- define "headscale-operator.rights" -}}
# What is declared. Finalizers and annotations are patched; nothing is deleted.
- apiGroups: [headscale.infrado.cloud]
  resources:
    - headscales
    - headscaleusers
    - headscalepreauthkeys
    - headscalepolicies
    - headscaleautoapprovers
  verbs: [get, list, patch, watch]
# How it stands.
- apiGroups: [headscale.infrado.cloud]
  resources:
    - headscales/status
    - headscaleusers/status
    - headscalepreauthkeys/status
    - headscalepolicies/status
    - headscaleautoapprovers/status
  verbs: [patch]
# The admission plugin OwnerReferencesPermissionEnforcement asks for it of who makes an
# object that blocks the deletion of its owner.
- apiGroups: [headscale.infrado.cloud]
  resources:
    - headscales/finalizers
    - headscaleusers/finalizers
    - headscalepreauthkeys/finalizers
  verbs: [update]
# API keys are read, keys of nodes are written, and those that are watched are the
# operator's by label. The sidecar may get, create and update them too. What they are
# called is up to the objects, so that no names can stand here.
- apiGroups: [""]
  resources: [secrets]
  verbs: [create, delete, get, list, patch, update, watch]
# What an instance is made of. Policies are read from ConfigMaps.
- apiGroups: [""]
  resources: [configmaps, serviceaccounts, services]
  verbs: [create, delete, get, list, patch, update, watch]
# The server of an instance.
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [create, delete, get, list, patch, update, watch]
# How clients outside of the cluster reach it.
- apiGroups: [networking.k8s.io]
  resources: [ingresses]
  verbs: [create, delete, get, list, patch, update, watch]
# What a sidecar may do: never more than stands here.
- apiGroups: [rbac.authorization.k8s.io]
  resources: [roles, rolebindings]
  verbs: [create, delete, get, list, patch, update, watch]
# The data of an instance: it may grow, and is never deleted.
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, patch]
# Why a server does not start. One of a former template that never gets ready is deleted.
- apiGroups: [""]
  resources: [pods]
  verbs: [delete, get]
# What the operator has to tell.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
# What the sidecar has to tell.
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end -}}
{{- define "headscale-operator.leaseRights" -}}
# Who of several operators is at work.
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [a4b8d1f0.infrado.cloud]
  verbs: [get, update]
# Kubernetes cannot restrict this by name.
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
{{- end -}}
