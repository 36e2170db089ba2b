//go:build tools

// Package krew pins what plugins are installed and their manifests are checked by.
package krew

import (
	_ "sigs.k8s.io/krew/cmd/krew"
	_ "sigs.k8s.io/krew/cmd/validate-krew-manifest"
)
