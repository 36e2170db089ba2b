#!/usr/bin/env bash
# Shows on a local control plane how an instance, a user and a key are made, and fails if an outcome
# is not the expected one. There is no operator and no node here: nothing answers the objects, and no
# pod runs. `make demo-cluster` builds what is needed and runs this.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

target=${CARGO_TARGET_DIR:-target}/debug
case $target in /*) ;; *) target=$PWD/$target ;; esac
PATH=$target:${XDG_CACHE_HOME:-$HOME/.cache}/kubectl-headscale/tools:$PATH
wrong=0

# show WHY COMMAND...: says why, and runs the command, which must succeed.
show() {
  local why=$1 code=0
  shift
  printf '\n# %s\n$ %s\n' "$why" "$*"
  "$@" || code=$?
  if [ "$code" -ne 0 ]; then
    printf 'demo: exit code %d\n' "$code" >&2
    wrong=1
  fi
}

# The control plane is there for as long as its standard input is open.
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
coproc plane { exec "$target/examples/serve" "$home"; }
plane_pid=$plane_PID
read -r KUBECONFIG <&"${plane[0]}" || {
  echo 'demo: the control plane does not start' >&2
  exit 1
}
export KUBECONFIG
printf '# A control plane is running: kube-apiserver and etcd, with a kubeconfig in KUBECONFIG.\n'

show 'The kinds that the operator and this plugin work with.' \
  kubectl headscale install crds
show 'A Headscale instance. With the operator it would start now.' \
  kubectl headscale create instance vpn --server-url https://vpn.example.com \
  --base-domain tail.example.com --policy-mode database
show 'A user of it. There is one instance in the namespace, so it need not be named.' \
  kubectl headscale create user alice --email alice@example.com
show 'A key for machines of hers. With the operator its Secret would appear.' \
  kubectl headscale create preauthkey laptop --user alice --expiration 24h
show 'A policy, checked before it is sent.' \
  kubectl headscale create policy main --from-file examples/small/policy.hujson
for kind in instances users preauthkeys policies; do
  show "All $kind." kubectl headscale get "$kind"
done
show 'What is wrong, between kubeconfig and keys: nobody answers the objects here.' \
  bash -c 'kubectl headscale doctor || [ $? -eq 1 ]'
show 'The same instance as plain manifests, for those who want no operator.' \
  kubectl headscale render instance vpn --server-url https://vpn.example.com \
  --base-domain tail.example.com --policy-mode database
show 'Those are what a real API server takes, with the strictest rules for pods.' \
  bash -c 'kubectl headscale render instance vpn --server-url https://vpn.example.com \
    --base-domain tail.example.com --policy-mode database | kubectl apply --server-side -f -'
show 'A user that nobody needs any more.' \
  kubectl headscale delete user alice --wait=false

# The end of its input ends the control plane.
eval "exec ${plane[1]}>&-"
wait "$plane_pid"

echo
if [ "$wrong" -ne 0 ]; then
  echo 'demo: something did not do what it should; see above' >&2
  exit 1
fi
echo 'demo: everything did what it should; the control plane is gone'
