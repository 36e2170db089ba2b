//go:build tools

// Package etcd pins the store of the Kubernetes API server that tests run.
package etcd

import _ "go.etcd.io/etcd/server/v3"
