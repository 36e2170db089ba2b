#!/usr/bin/env bash
# Shows on the examples what the plugin does, and fails if an outcome is not the expected one.
# `make demo` builds the plugin and runs this.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bin=${CARGO_TARGET_DIR:-target}/release
case $bin in /*) ;; *) bin=$PWD/$bin ;; esac
PATH=$bin:$PATH
wrong=0

# expect CODE WHY COMMAND...: says why, runs the command, and holds its exit code against CODE.
expect() {
  local want=$1 why=$2 code=0
  shift 2
  printf '\n# %s\n$ %s\n' "$why" "$*"
  "$@" || code=$?
  printf '(exit code %d)\n' "$code"
  if [ "$code" -ne "$want" ]; then
    printf 'demo: expected exit code %d\n' "$want" >&2
    wrong=1
  fi
}

expect 0 'A correct policy, against the users and nodes it is for.' \
  kubectl-headscale policy check examples/small/policy.hujson --tailnet examples/small/tailnet.json
expect 0 'A policy whose own tests pass in its cluster.' \
  kubectl-headscale policy check examples/keystone/policy-0.29.hujson \
  --tailnet examples/keystone/tailnet.json
expect 0 'One policy before and after an upgrade.' \
  kubectl-headscale policy check examples/keystone/policy.hujson --headscale-version 0.28,0.29
expect 0 'Three hundred rules. An info does not fail the check.' \
  kubectl-headscale policy check examples/large/policy.hujson
expect 1 'A policy that Headscale refuses: where it is wrong, and what to write instead.' \
  kubectl-headscale policy check examples/keystone/original.hujson
expect 1 '0.28 does not know what 0.29 brought.' \
  kubectl-headscale policy check examples/keystone/policy-0.29.hujson --headscale-version 0.28
expect 0 'The same findings for a machine, here GitHub; JSON, SARIF and others work alike.' \
  kubectl-headscale policy check examples/keystone/original.hujson -o github --fail-on never
expect 0 'The standard format holds.' \
  kubectl-headscale policy fmt --check examples/small/policy.hujson \
  examples/keystone/policy.hujson examples/keystone/policy-0.29.hujson \
  examples/large/policy.hujson
expect 1 'What a proposed change opens, and a build that fails where more becomes reachable.' \
  kubectl-headscale policy diff examples/keystone/policy.hujson examples/keystone/proposed.hujson \
  --fail-on grows
expect 1 'The same change, held against what the cluster must never allow.' \
  kubectl-headscale policy test examples/keystone/proposed.hujson \
  --suite examples/keystone/suite.yaml
expect 0 'A policy of a cluster, from people, machines and services in one file.' \
  kubectl-headscale policy render builtin:keystone --values examples/keystone/values.yaml
expect 0 'Invariants, whatever rules a policy has.' \
  kubectl-headscale policy check examples/keystone/policy-0.29.hujson \
  --plugin builtin:guardrails --params examples/keystone/guardrails.yaml
expect 0 'Any rule, explained.' kubectl-headscale policy rules syntax

echo
if [ "$wrong" -ne 0 ]; then
  echo 'demo: something did not do what it should; see above' >&2
  exit 1
fi
echo 'demo: everything did what it should'
