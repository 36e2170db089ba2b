//go:build tools

// Package helm pins what the chart is installed by.
package helm

import _ "helm.sh/helm/v4/cmd/helm"
