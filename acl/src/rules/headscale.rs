//! Headscale's own rules: a policy that breaks one is refused. The messages stand in `wording.rs`
//! and in the checks, `decode/` and `validate/`.

super::rules! { Headscale;

SYNTAX = "syntax", Error, "the file is not HuJSON" {
    "A policy is HuJSON: JSON with `//` and `/* */` comments and a trailing comma, and \
     nothing else. Single quotes, names without quotes and `#` comments are JSON5 or YAML; \
     `policy fmt --from json5|yaml` converts them. Headscale stops at the first mistake; this \
     check reads on wherever it can tell what was meant."
    bad: "{'acls': []}";
    good: r#"{"acls": []}"#;
}

INVALID_UTF8 = "invalid-utf8", Error, "a string is not UTF-8" {
    "Headscale's JSON decoder refuses bytes in strings that are not UTF-8. Save the file as \
     UTF-8."
    bad: "";
    good: "";
}

LONE_SURROGATE = "lone-surrogate", Error, "an escaped surrogate stands alone" {
    "`\\ud800` to `\\udfff` are halves of characters: a pair of them writes one character. \
     Headscale's JSON decoder refuses one half without the other."
    bad: r#"{"hosts": {"a": "10.0.0.1\ud800"}}"#;
    good: r#"{"hosts": {"a": "10.0.0.1"}}"#;
}

DUPLICATE_MEMBER = "duplicate-member", Error, "an object has the same member twice" {
    "Headscale refuses a second member with the same name, since 0.27 (before, the last one \
     won). Names of fields are the same in any case and without `_` and `-`: `acls` and \
     `ACLs` are one field."
    bad: r#"{"groups": {"group:a": ["alice@"], "group:a": ["bob@"]}}"#;
    good: r#"{"groups": {"group:a": ["alice@", "bob@"]}}"#;
}

UNKNOWN_FIELD = "unknown-field", Error, "a field that the policy does not have" {
    "Headscale refuses fields that it does not know, since 0.27. Some exist in Tailscale's \
     service only (`postures`, `ipsets`), some came with 0.29 (`grants`, `nodeAttrs`, \
     `tests`, `sshTests`), some belong into Headscale's config.yaml."
    bad: r#"{"aclz": []}"#;
    good: r#"{"acls": []}"#;
}

WRONG_TYPE = "wrong-type", Error, "a value of the wrong type" {
    "Headscale wants exact types: a list stays a list with one element, and a number is no \
     string. Its own message names types of its source code."
    bad: r#"{"acls": [{"action": "accept", "src": "*", "dst": ["*:*"]}]}"#;
    good: r#"{"acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}]}"#;
}

GROUP_NAME = "group-name", Error, "a group whose name does not start with `group:`" {
    "The keys of `groups` start with `group:`, in lower case."
    bad: r#"{"groups": {"dev": ["alice@"]}}"#;
    good: r#"{"groups": {"group:dev": ["alice@"]}}"#;
}

GROUP_VALUE = "group-value", Error, "a group that is not a list" {
    "A group is a list of users, also with one user or none."
    bad: r#"{"groups": {"group:dev": "alice@"}}"#;
    good: r#"{"groups": {"group:dev": ["alice@"]}}"#;
}

GROUP_MEMBER = "group-member", Error, "a member of a group that is not a user" {
    "A group holds users, and every user is written with an `@`: `alice@`, \
     `alice@example.com`. Tags, hosts, addresses, `*` and autogroups cannot be members; name \
     them in the rules themselves."
    bad: r#"{"groups": {"group:dev": ["alice", "tag:ci"]}}"#;
    good: r#"{"groups": {"group:dev": ["alice@"]}}"#;
}

GROUP_NESTED = "group-nested", Error, "a group within a group" {
    "Groups do not nest: write the users of the inner group."
    bad: r#"{"groups": {"group:a": ["group:b"], "group:b": ["bob@"]}}"#;
    good: r#"{"groups": {"group:a": ["bob@"], "group:b": ["bob@"]}}"#;
}

HOST_NAME = "host-name", Error, "a host with `@` or `:` in its name" {
    "A name of `hosts` has neither `@` (it would be a user) nor `:` (it would be a tag or a \
     port)."
    bad: r#"{"hosts": {"db:1": "10.0.0.1"}}"#;
    good: r#"{"hosts": {"db-1": "10.0.0.1"}}"#;
}

HOST_ADDRESS = "host-address", Error, "a host without a valid address" {
    "A host stands for one address (`10.0.0.1`) or one prefix (`10.0.0.0/8`), without spaces, \
     ranges or leading zeros."
    bad: r#"{"hosts": {"db": "10.0.0.01"}}"#;
    good: r#"{"hosts": {"db": "10.0.0.1"}}"#;
}

TAG_NAME = "tag-name", Error, "a tag with a wrong name" {
    "A tag starts with `tag:`, in lower case, and since 0.29 its name starts with a letter."
    bad: r#"{"tagOwners": {"tag:1web": []}}"#;
    good: r#"{"tagOwners": {"tag:web1": []}}"#;
}

OWNER_FORMAT = "owner-format", Error, "an owner of a tag that is no user, group or tag" {
    "A tag is owned by users, groups and, since 0.28, tags."
    bad: r#"{"tagOwners": {"tag:web": ["alice"]}}"#;
    good: r#"{"tagOwners": {"tag:web": ["alice@"]}}"#;
}

APPROVER_FORMAT = "approver-format", Error, "an approver of a route that is no user, group or tag" {
    "Routes and exit nodes are approved for the nodes of users, groups and tags."
    bad: r#"{"autoApprovers": {"exitNode": ["*"]}}"#;
    good: r#"{"autoApprovers": {"exitNode": ["alice@"]}}"#;
}

ROUTE_FORMAT = "route-format", Error, "a route that is not a prefix" {
    "The keys of `autoApprovers.routes` and the entries of `ipPool` are prefixes and have a \
     `/`, also for one address."
    bad: r#"{"autoApprovers": {"routes": {"10.0.0.1": ["alice@"]}}}"#;
    good: r#"{"autoApprovers": {"routes": {"10.0.0.1/32": ["alice@"]}}}"#;
}

ALIAS_FORMAT = "alias-format", Error, "a name that is neither user, group, tag, host nor address" {
    "Headscale takes a name with an `@` for a user, one that starts with `group:`, `tag:` or \
     `autogroup:` for such, one without `:` for a host, and nothing else but addresses and \
     `*`. Prefixes are written in lower case."
    bad: r#"{"acls": [{"action": "accept", "src": ["Group:dev"], "dst": ["*:*"]}]}"#;
    good: r#"{"groups": {"group:dev": ["alice@"]}, "acls": [{"action": "accept", "src": ["group:dev"], "dst": ["*:*"]}]}"#;
}

AUTOGROUP_UNKNOWN = "autogroup-unknown", Error, "an autogroup that Headscale does not have" {
    "Headscale has `autogroup:internet`, `member`, `nonroot`, `tagged`, `self` and, since \
     0.29, `danger-all`. Roles of Tailscale's service such as `autogroup:admin` do not exist."
    bad: r#"{"acls": [{"action": "accept", "src": ["*"], "dst": ["autogroup:admin:22"]}]}"#;
    good: r#"{"acls": [{"action": "accept", "src": ["*"], "dst": ["autogroup:tagged:22"]}]}"#;
}

DESTINATION_FORMAT = "destination-format", Error, "a destination without ports, or with wrong brackets" {
    "A destination of `acls` and `tests` is an alias, a colon and ports: `tag:web:80,443`, \
     `10.0.0.0/8:*`. Since 0.29 an IPv6 address can stand in square brackets, and nothing \
     else can."
    bad: r#"{"acls": [{"action": "accept", "src": ["*"], "dst": ["10.0.0.1"]}]}"#;
    good: r#"{"acls": [{"action": "accept", "src": ["*"], "dst": ["10.0.0.1:*"]}]}"#;
}

PORT_RANGE = "port-range", Error, "ports that cannot be read" {
    "Ports are `*`, or numbers and ranges with commas between and no spaces: `22`, `80,443`, \
     `6800-7300`. Names such as `ssh` are not known."
    bad: r#"{"acls": [{"action": "accept", "src": ["*"], "dst": ["10.0.0.1:ssh"]}]}"#;
    good: r#"{"acls": [{"action": "accept", "src": ["*"], "dst": ["10.0.0.1:22"]}]}"#;
}

PROTOCOL_UNKNOWN = "protocol-unknown", Error, "a protocol that Headscale does not know" {
    "A protocol is a name (`tcp`, `udp`, `icmp`, `sctp`, ...) or a number from 1 to 255 \
     without leading zeros. For all protocols leave `proto` out."
    bad: r#"{"acls": [{"action": "accept", "proto": "any", "src": ["*"], "dst": ["*:*"]}]}"#;
    good: r#"{"acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}]}"#;
}

ACL_ACTION = "acl-action", Error, "a rule whose action is not `accept`" {
    "The only action in `acls` is `accept`: what no rule accepts is denied. Up to 0.28 a rule \
     without an action is refused too; since 0.29 it counts as `accept`."
    bad: r#"{"acls": [{"action": "deny", "src": ["*"], "dst": ["*:*"]}]}"#;
    good: r#"{"acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}]}"#;
}

HOST_UNDEFINED = "host-undefined", Error, "a host that the policy does not define" {
    "A word without `@` and `:` names an entry of `hosts`. Most often a user was meant, who \
     is written with an `@`."
    bad: r#"{"acls": [{"action": "accept", "src": ["alice"], "dst": ["*:*"]}]}"#;
    good: r#"{"acls": [{"action": "accept", "src": ["alice@"], "dst": ["*:*"]}]}"#;
}

GROUP_UNDEFINED = "group-undefined", Error, "a group that the policy does not define" {
    "A group that is named must stand in `groups`."
    bad: r#"{"acls": [{"action": "accept", "src": ["group:dev"], "dst": ["*:*"]}]}"#;
    good: r#"{"groups": {"group:dev": ["alice@"]}, "acls": [{"action": "accept", "src": ["group:dev"], "dst": ["*:*"]}]}"#;
}

TAG_UNDEFINED = "tag-undefined", Error, "a tag that the policy does not define" {
    "A tag that is named must stand in `tagOwners`, if only with an empty list of owners."
    bad: r#"{"acls": [{"action": "accept", "src": ["*"], "dst": ["tag:web:443"]}]}"#;
    good: r#"{"tagOwners": {"tag:web": ["alice@"]}, "acls": [{"action": "accept", "src": ["*"], "dst": ["tag:web:443"]}]}"#;
}

AUTOGROUP_MISPLACED = "autogroup-misplaced", Error, "an autogroup where it cannot stand" {
    "`autogroup:internet` and `autogroup:self` are destinations, `autogroup:danger-all` is a \
     source, `autogroup:nonroot` is an SSH login user; `autogroup:member` and \
     `autogroup:tagged` can stand on both sides."
    bad: r#"{"acls": [{"action": "accept", "src": ["autogroup:internet"], "dst": ["*:*"]}]}"#;
    good: r#"{"acls": [{"action": "accept", "src": ["autogroup:member"], "dst": ["*:*"]}]}"#;
}

PROTOCOL_PORTS = "protocol-ports", Error, "ports with a protocol that has none" {
    "Single ports go with TCP, UDP and SCTP, or with no protocol given; with any other \
     protocol the ports are `*`. Up to 0.28 that holds for `\"6\"` too, which is not taken \
     for `tcp`."
    bad: r#"{"acls": [{"action": "accept", "proto": "icmp", "src": ["*"], "dst": ["*:22"]}]}"#;
    good: r#"{"acls": [{"action": "accept", "proto": "icmp", "src": ["*"], "dst": ["*:*"]}]}"#;
}

SELF_SOURCES = "self-sources", Error, "`autogroup:self` for a source that is no user" {
    "`autogroup:self` means the devices of the very user who connects. Tags, hosts and \
     addresses are no users, so since 0.29 a rule with this destination has users, groups, \
     `autogroup:member` or, in `acls` only, `*` as sources."
    bad: r#"{"acls": [{"action": "accept", "src": ["10.0.0.1"], "dst": ["autogroup:self:*"]}]}"#;
    good: r#"{"acls": [{"action": "accept", "src": ["autogroup:member"], "dst": ["autogroup:self:*"]}]}"#;
}

GRANT_EMPTY = "grant-empty", Error, "a grant that grants nothing" {
    "A grant has `ip` (protocols and ports), `app` (capabilities), or both."
    bad: r#"{"grants": [{"src": ["*"], "dst": ["*"]}]}"#;
    good: r#"{"grants": [{"src": ["*"], "dst": ["*"], "ip": ["*"]}]}"#;
}

GRANT_IP = "grant-ip", Error, "protocols and ports of a grant that cannot be read" {
    "An entry of `ip` is `*`, ports (`443`, `6800-7300`), or a protocol in lower case, a \
     colon and ports (`tcp:443`, `icmp:*`)."
    bad: r#"{"grants": [{"src": ["*"], "dst": ["*"], "ip": ["TCP:443"]}]}"#;
    good: r#"{"grants": [{"src": ["*"], "dst": ["*"], "ip": ["tcp:443"]}]}"#;
}

GRANT_VIA = "grant-via", Error, "a grant via something that is no tag" {
    "`via` steers traffic through tagged routers, so it names tags only."
    bad: r#"{"grants": [{"src": ["*"], "dst": ["10.0.0.0/8"], "ip": ["*"], "via": ["alice@"]}]}"#;
    good: r#"{"tagOwners": {"tag:router": []}, "grants": [{"src": ["*"], "dst": ["10.0.0.0/8"], "ip": ["*"], "via": ["tag:router"]}]}"#;
}

CAPABILITY_NAME = "capability-name", Error, "a capability with a name that cannot be granted" {
    "A capability is named `DOMAIN/PATH`, without a scheme. Of the domain `tailscale.com` \
     only those that users may grant are allowed: `cap/drive`, `cap/relay`, `cap/webui`, \
     `cap/kubernetes`, `cap/tsidp` and, since 0.30, `cap/secrets`."
    bad: r#"{"grants": [{"src": ["*"], "dst": ["*"], "app": {"https://example.com/cap/x": [{}]}}]}"#;
    good: r#"{"grants": [{"src": ["*"], "dst": ["*"], "app": {"example.com/cap/x": [{}]}}]}"#;
}

GRANT_APP_INTERNET = "grant-app-internet", Error, "a capability on the internet" {
    "Capabilities are given to nodes of the tailnet; `autogroup:internet` is none."
    bad: r#"{"grants": [{"src": ["*"], "dst": ["autogroup:internet"], "app": {"example.com/cap/x": [{}]}}]}"#;
    good: r#"{"grants": [{"src": ["*"], "dst": ["autogroup:tagged"], "app": {"example.com/cap/x": [{}]}}]}"#;
}

GRANT_DEFAULT_ROUTE = "grant-default-route", Error, "a grant to all addresses as a prefix" {
    "A grant to `0.0.0.0/0` or `::/0` could mean two things: write `autogroup:internet` for \
     what lies behind exit nodes, or `*` for the tailnet."
    bad: r#"{"grants": [{"src": ["*"], "dst": ["0.0.0.0/0"], "ip": ["*"]}]}"#;
    good: r#"{"grants": [{"src": ["*"], "dst": ["autogroup:internet"], "ip": ["*"]}]}"#;
}

SSH_ACTION = "ssh-action", Error, "an SSH rule whose action is neither `accept` nor `check`" {
    "An SSH rule accepts, or checks: it then asks for a fresh login. Since 0.29 a missing \
     action is refused too."
    bad: r#"{"tagOwners": {"tag:web": ["alice@"]}, "ssh": [{"action": "deny", "src": ["alice@"], "dst": ["tag:web"], "users": ["root"]}]}"#;
    good: r#"{"tagOwners": {"tag:web": ["alice@"]}, "ssh": [{"action": "check", "src": ["alice@"], "dst": ["tag:web"], "users": ["root"]}]}"#;
}

SSH_USERS = "ssh-users", Error, "an SSH rule without login users" {
    "Since 0.29 an SSH rule names at least one login user. `autogroup:nonroot` is every user \
     but root."
    bad: r#"{"tagOwners": {"tag:web": ["alice@"]}, "ssh": [{"action": "accept", "src": ["alice@"], "dst": ["tag:web"], "users": []}]}"#;
    good: r#"{"tagOwners": {"tag:web": ["alice@"]}, "ssh": [{"action": "accept", "src": ["alice@"], "dst": ["tag:web"], "users": ["autogroup:nonroot"]}]}"#;
}

SSH_USER = "ssh-user", Error, "a login user that is none" {
    "A login user is a name on the machine, `autogroup:nonroot`, or `localpart:*@DOMAIN`. The \
     empty name and `*` are refused since 0.29; up to 0.28 other autogroups are."
    bad: r#"{"tagOwners": {"tag:web": ["alice@"]}, "ssh": [{"action": "accept", "src": ["alice@"], "dst": ["tag:web"], "users": ["*"]}]}"#;
    good: r#"{"tagOwners": {"tag:web": ["alice@"]}, "ssh": [{"action": "accept", "src": ["alice@"], "dst": ["tag:web"], "users": ["autogroup:nonroot", "root"]}]}"#;
}

SSH_ACCEPT_ENV = "ssh-accept-env", Error, "an empty name in `acceptEnv`" {
    "The entries of `acceptEnv` name environment variables; `*` stands for any text in a \
     name."
    bad: r#"{"tagOwners": {"tag:web": ["alice@"]}, "ssh": [{"action": "accept", "src": ["alice@"], "dst": ["tag:web"], "users": ["root"], "acceptEnv": [""]}]}"#;
    good: r#"{"tagOwners": {"tag:web": ["alice@"]}, "ssh": [{"action": "accept", "src": ["alice@"], "dst": ["tag:web"], "users": ["root"], "acceptEnv": ["GIT_*"]}]}"#;
}

SSH_SOURCE = "ssh-source", Error, "an SSH source that is no user, group or tag" {
    "Tailscale SSH knows who connects, not from which address: sources are users, groups, \
     tags, `autogroup:member` and `autogroup:tagged`."
    bad: r#"{"tagOwners": {"tag:web": ["alice@"]}, "ssh": [{"action": "accept", "src": ["*"], "dst": ["tag:web"], "users": ["root"]}]}"#;
    good: r#"{"tagOwners": {"tag:web": ["alice@"]}, "ssh": [{"action": "accept", "src": ["autogroup:member"], "dst": ["tag:web"], "users": ["root"]}]}"#;
}

SSH_DESTINATION = "ssh-destination", Error, "an SSH destination that cannot be one" {
    "SSH destinations are tags, a user (for that same user), `autogroup:self`, \
     `autogroup:tagged` and `autogroup:member`; not `*`, groups or addresses, and since 0.29 \
     no entry of `hosts`."
    bad: r#"{"tagOwners": {"tag:web": ["alice@"]}, "ssh": [{"action": "accept", "src": ["alice@"], "dst": ["*"], "users": ["root"]}]}"#;
    good: r#"{"tagOwners": {"tag:web": ["alice@"]}, "ssh": [{"action": "accept", "src": ["alice@"], "dst": ["autogroup:self"], "users": ["root"]}]}"#;
}

SSH_COMBINATION = "ssh-combination", Error, "SSH from a source to a destination that it may not reach" {
    "Users reach their own devices and tagged nodes; tagged nodes reach tagged nodes only. A \
     user as destination is for that same user alone."
    bad: r#"{"tagOwners": {"tag:web": ["alice@"]}, "ssh": [{"action": "accept", "src": ["alice@"], "dst": ["bob@"], "users": ["root"]}]}"#;
    good: r#"{"tagOwners": {"tag:web": ["alice@"]}, "ssh": [{"action": "accept", "src": ["alice@"], "dst": ["autogroup:self"], "users": ["root"]}]}"#;
}

SSH_CHECK_PERIOD = "ssh-check-period", Error, "a check period that Headscale does not take" {
    "Since 0.29 `checkPeriod` is a Go duration (`12h`, `90m`) of at most 168 hours, or \
     `always`, and goes with the action `check` only. Up to 0.28 it is a Prometheus duration \
     (`7d`). `168h` is understood by both."
    bad: r#"{"tagOwners": {"tag:web": ["alice@"]}, "ssh": [{"action": "check", "src": ["alice@"], "dst": ["tag:web"], "users": ["root"], "checkPeriod": "7d"}]}"#;
    good: r#"{"tagOwners": {"tag:web": ["alice@"]}, "ssh": [{"action": "check", "src": ["alice@"], "dst": ["tag:web"], "users": ["root"], "checkPeriod": "168h"}]}"#;
}

TAG_OWNER_UNDEFINED = "tag-owner-undefined", Error, "a tag owned by a tag that does not exist" {
    "A tag that owns another must stand in `tagOwners` itself. Headscale says this beside \
     `tag-undefined`."
    bad: r#"{"tagOwners": {"tag:web": ["tag:ci"]}}"#;
    good: r#"{"tagOwners": {"tag:web": ["tag:ci"], "tag:ci": []}}"#;
}

TAG_CYCLE = "tag-cycle", Error, "tags that own each other in a circle" {
    "Up to 0.28 tags that own each other in a circle are refused. Since 0.29 the circle is \
     tolerated and adds no owner."
    bad "0.28": r#"{"tagOwners": {"tag:a": ["tag:b"], "tag:b": ["tag:a"]}}"#;
    good: r#"{"tagOwners": {"tag:a": ["tag:b"], "tag:b": ["alice@"]}}"#;
}

NODE_ATTR_UNSUPPORTED = "node-attr-unsupported", Error, "a node attribute that Headscale does not support" {
    "Headscale refuses `funnel`, because nodes would announce what does not work."
    bad: r#"{"nodeAttrs": [{"target": ["*"], "attr": ["funnel"]}]}"#;
    good: r#"{"nodeAttrs": [{"target": ["*"], "attr": ["nextdns:no-device-info"]}]}"#;
}

NODE_ATTR_IP_POOL = "node-attr-ip-pool", Error, "an address pool" {
    "Headscale reads `ipPool` and refuses it: its address allocator has no pools yet."
    bad: r#"{"nodeAttrs": [{"target": ["*"], "ipPool": ["100.64.0.0/16"]}]}"#;
    good: r#"{"nodeAttrs": [{"target": ["*"], "attr": ["nextdns:no-device-info"]}]}"#;
}

TEST_SHAPE = "test-shape", Error, "a test that Headscale cannot run" {
    "An entry of `tests` says what one source may (`accept`) or may not (`deny`) reach: one \
     host and one port each, over TCP, UDP or SCTP."
    bad: r#"{"acls": [], "tests": [{"src": "alice@", "deny": ["bob@:22-23"]}]}"#;
    good: r#"{"acls": [], "tests": [{"src": "alice@", "deny": ["bob@:22"]}]}"#;
}

SSH_TEST_SHAPE = "ssh-test-shape", Error, "an SSH test that Headscale cannot run" {
    "An entry of `sshTests` has a source and at least one destination, each a tag that is \
     defined, a user, a host or one address, without ports."
    bad: r#"{"sshTests": [{"src": "alice@", "dst": ["100.64.0.0/10"], "deny": ["root"]}]}"#;
    good: r#"{"sshTests": [{"src": "alice@", "dst": ["100.64.0.3"], "deny": ["root"]}]}"#;
}

TEST_FAILED = "test-failed", Error, "a test of the policy that fails" {
    "Headscale runs `tests` when a policy is saved, and refuses one that fails. It looks at the \
     rules that hold for every node: `autogroup:self` and `via` are not seen. Every source must \
     reach one of the destination's addresses. Run with `--tailnet` only."
    bad: r#"{"acls": [{"action": "accept", "src": ["alice@"], "dst": ["bob@:80"]}], "tests": [{"src": "alice@", "accept": ["bob@:22"]}]}"#;
    good: r#"{"acls": [{"action": "accept", "src": ["alice@"], "dst": ["bob@:22"]}], "tests": [{"src": "alice@", "accept": ["bob@:22"]}]}"#;
}

SSH_TEST_FAILED = "ssh-test-failed", Error, "an SSH test of the policy that fails" {
    "Headscale runs `sshTests` when a policy is saved, and refuses one that fails. Every source \
     must get into every node under `accept` and `check` (where a rule has the action `check`), \
     and none into any node under `deny`. Run with `--tailnet` only."
    bad: r#"{"acls": [], "tagOwners": {"tag:web": []}, "ssh": [{"action": "accept", "src": ["alice@"], "dst": ["tag:web"], "users": ["root"]}], "sshTests": [{"src": "alice@", "dst": ["tag:web"], "deny": ["root"]}]}"#;
    good: r#"{"acls": [], "tagOwners": {"tag:web": []}, "ssh": [{"action": "accept", "src": ["alice@"], "dst": ["tag:web"], "users": ["deploy"]}], "sshTests": [{"src": "alice@", "dst": ["tag:web"], "deny": ["root"]}]}"#;
}

USER_AMBIGUOUS = "user-ambiguous", Error, "a user that is several" {
    "Since 0.29 a name that matches more than one user is refused, because Headscale would \
     drop it in silence. Found with `--tailnet` only. `grants` and `nodeAttrs` are not looked \
     at by Headscale."
    bad: r#"{"groups": {"group:dev": ["dup@"]}}"#;
    good: r#"{"groups": {"group:dev": ["dup@example.com"]}}"#;
}

NODE_ATTR_USER = "node-attr-user", Error, "node attributes for a user that does not exist" {
    "Headscale does not start when a target of `nodeAttrs` names a user that is not there, or \
     is several. Found with `--tailnet` only."
    bad: r#"{"nodeAttrs": [{"target": ["carol@"], "attr": ["nextdns:no-device-info"]}]}"#;
    good: r#"{"nodeAttrs": [{"target": ["alice@"], "attr": ["nextdns:no-device-info"]}]}"#;
}

}
