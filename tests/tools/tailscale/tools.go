//go:build tools

// Package tailscale pins the real node that tests log in.
package tailscale

import (
	_ "tailscale.com/cmd/tailscale"
	_ "tailscale.com/cmd/tailscaled"
)
