//! Rules of our own: what Headscale accepts and people regret. Warnings or infos, never errors by
//! default. They are checked in `lint/`, those about `policy-ignore` comments in `suppress.rs`.

super::rules! { Lint;

UNUSED_GROUP = "unused-group", Warning, "a group that nothing uses" {
    "Neither a rule nor an owner, approver or test names the group. A typo in the rule that was \
     meant to name it looks like this too."
    bad: r#"{"groups": {"group:dev": ["alice@"]}, "acls": []}"#;
    good: r#"{"groups": {"group:dev": ["alice@"]}, "acls": [{"action": "accept", "src": ["group:dev"], "dst": ["10.0.0.1:22"]}]}"#;
}

UNUSED_HOST = "unused-host", Warning, "a host that nothing uses" {
    "No rule, target or test names the host."
    bad: r#"{"hosts": {"db": "10.0.0.1"}, "acls": []}"#;
    good: r#"{"hosts": {"db": "10.0.0.1"}, "acls": [{"action": "accept", "src": ["alice@"], "dst": ["db:5432"]}]}"#;
}

UNUSED_TAG = "unused-tag", Warning, "a tag that no rule uses" {
    "Nodes with this tag are no user's any more, so without a rule that names the tag they can \
     reach nothing and cannot be reached, except through rules for all nodes."
    bad: r#"{"tagOwners": {"tag:storage": ["alice@"]}, "acls": []}"#;
    good: r#"{"tagOwners": {"tag:storage": ["alice@"]}, "acls": [{"action": "accept", "src": ["alice@"], "dst": ["tag:storage:443"]}]}"#;
}

TAG_WITHOUT_OWNER = "tag-without-owner", Info, "a tag that nobody owns" {
    "No user can register a node with this tag. That is right for tags that only an administrator \
     or a tagged pre-auth key gives."
    bad: r#"{"tagOwners": {"tag:web": []}, "acls": [{"action": "accept", "src": ["alice@"], "dst": ["tag:web:443"]}]}"#;
    good: r#"{"tagOwners": {"tag:web": ["alice@"]}, "acls": [{"action": "accept", "src": ["alice@"], "dst": ["tag:web:443"]}]}"#;
}

DUPLICATE_RULE = "duplicate-rule", Warning, "two rules that say the same" {
    "The order of names and ports does not count, nor does the order of rules: the second one \
     changes nothing."
    bad: r#"{"acls": [{"action": "accept", "src": ["alice@", "bob@"], "dst": ["10.0.0.1:22"]}, {"action": "accept", "src": ["bob@", "alice@"], "dst": ["10.0.0.1:22"]}]}"#;
    good: r#"{"acls": [{"action": "accept", "src": ["alice@", "bob@"], "dst": ["10.0.0.1:22"]}]}"#;
}

EMPTY_RULE = "empty-rule", Warning, "a rule without sources or destinations" {
    "Headscale accepts it, and it allows nothing."
    bad: r#"{"acls": [{"action": "accept", "src": [], "dst": ["10.0.0.1:22"]}]}"#;
    good: r#"{"acls": [{"action": "accept", "src": ["alice@"], "dst": ["10.0.0.1:22"]}]}"#;
}

ACTION_MISSING = "action-missing", Warning, "a rule without an action" {
    "Since 0.29 a rule in `acls` without an action is taken as `accept` in silence; up to 0.28 it \
     is refused."
    bad: r#"{"acls": [{"src": ["alice@"], "dst": ["10.0.0.1:22"]}]}"#;
    good: r#"{"acls": [{"action": "accept", "src": ["alice@"], "dst": ["10.0.0.1:22"]}]}"#;
}

WILDCARD_RULE = "wildcard-rule", Warning, "a rule that lets everyone reach everything" {
    "With `*` as source and destination on all ports every other rule is without effect."
    bad: r#"{"acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}]}"#;
    good: r#"{"acls": [{"action": "accept", "src": ["autogroup:member"], "dst": ["autogroup:self:*"]}]}"#;
}

ADMIN_PORT_OPEN = "admin-port-open", Warning, "a port for administrators that everyone reaches" {
    "Everyone (`*`, `autogroup:danger-all`) reaches a port behind which machines or clusters are \
     administered: SSH, RDP, the Kubernetes API, etcd, Docker and the like. `*` as ports includes \
     them."
    bad: r#"{"acls": [{"action": "accept", "src": ["*"], "dst": ["10.0.0.1:22"]}]}"#;
    good: r#"{"acls": [{"action": "accept", "src": ["alice@"], "dst": ["10.0.0.1:22"]}]}"#;
}

GRANT_PORTLESS = "grant-portless", Warning, "ports for a protocol that has none" {
    "In `acls` Headscale refuses this, in `grants` it accepts it and the rule matches no packet."
    bad: r#"{"grants": [{"src": ["alice@"], "dst": ["10.0.0.1"], "ip": ["icmp:22"]}]}"#;
    good: r#"{"grants": [{"src": ["alice@"], "dst": ["10.0.0.1"], "ip": ["icmp:*"]}]}"#;
}

TESTS_MISSING = "tests-missing", Info, "a policy without tests" {
    "Since 0.29 a policy can carry `tests` and `sshTests`. Headscale runs them before it takes a \
     new policy, and refuses one that breaks them."
    bad: r#"{"acls": [{"action": "accept", "src": ["alice@"], "dst": ["10.0.0.1:22"]}]}"#;
    good: r#"{"acls": [{"action": "accept", "src": ["alice@"], "dst": ["10.0.0.1:22"]}], "tests": [{"src": "alice@", "accept": ["10.0.0.1:22"]}]}"#;
}

HOST_UNREACHABLE = "host-unreachable", Warning, "a host that no rule can name" {
    "A name that is an address, `*` or empty is accepted in `hosts`, but in a rule it means the \
     address itself, everything, or nothing."
    bad: r#"{"hosts": {"10.0.0.9": "10.0.0.1"}, "acls": []}"#;
    good: r#"{"hosts": {"db": "10.0.0.1"}, "acls": [{"action": "accept", "src": ["alice@"], "dst": ["db:5432"]}]}"#;
}

HOST_BITS = "host-bits", Warning, "a prefix with bits beyond its length" {
    "Headscale drops the bits beyond the length in silence: `10.1.2.3/8` is all of `10.0.0.0/8`."
    bad: r#"{"hosts": {"db": "10.1.2.3/8"}, "acls": [{"action": "accept", "src": ["alice@"], "dst": ["db:5432"]}]}"#;
    good: r#"{"hosts": {"db": "10.0.0.0/8"}, "acls": [{"action": "accept", "src": ["alice@"], "dst": ["db:5432"]}]}"#;
}

EXIT_ROUTE_APPROVER = "exit-route-approver", Warning, "approvers of a default route that never approve one" {
    "Exit routes (`0.0.0.0/0`, `::/0`) are approved by `autoApprovers.exitNode` alone; the same \
     prefix in `autoApprovers.routes` approves every other route, but no exit node."
    bad: r#"{"autoApprovers": {"routes": {"0.0.0.0/0": ["alice@"]}}, "acls": []}"#;
    good: r#"{"autoApprovers": {"exitNode": ["alice@"]}, "acls": []}"#;
}

SURROUNDING_SPACE = "surrounding-space", Warning, "a name with space around it" {
    "In groups, owners, approvers, destinations and tests, and up to 0.28 everywhere, the space is \
     part of the name: Headscale accepts it, and it matches nobody."
    bad: r#"{"tagOwners": {"tag:web": [" alice@"]}, "acls": [{"action": "accept", "src": ["alice@"], "dst": ["tag:web:443"]}]}"#;
    good: r#"{"tagOwners": {"tag:web": ["alice@"]}, "acls": [{"action": "accept", "src": ["alice@"], "dst": ["tag:web:443"]}]}"#;
}

SUSPICIOUS_USER = "suspicious-user", Warning, "a user that was most likely meant as something else" {
    "Anything with an `@` is a user for Headscale: `group:dev@`, `alice@:22`, `user:*@example.com`. \
     Such a user does not exist, so the rule is without effect."
    bad: r#"{"acls": [{"action": "accept", "src": ["alice@:22"], "dst": ["10.0.0.1:22"]}]}"#;
    good: r#"{"acls": [{"action": "accept", "src": ["alice@"], "dst": ["10.0.0.1:22"]}]}"#;
}

USER_UNKNOWN = "user-unknown", Warning, "a user that the tailnet does not have" {
    "Headscale accepts names that match nobody, so a typo or a changed e-mail address takes access \
     away in silence. Found with `--tailnet` only."
    bad: r#"{"acls": [{"action": "accept", "src": ["alcie@"], "dst": ["10.0.0.1:22"]}]}"#;
    good: r#"{"acls": [{"action": "accept", "src": ["alice@"], "dst": ["10.0.0.1:22"]}]}"#;
}

USER_IGNORED = "user-ignored", Warning, "a user that is several and therefore matches none" {
    "Headscale does not look for ambiguous users in `grants`, and up to 0.28 nowhere: it drops \
     them in silence. Found with `--tailnet` only."
    bad: r#"{"grants": [{"src": ["dup@"], "dst": ["10.0.0.1"], "ip": ["22"]}]}"#;
    good: r#"{"grants": [{"src": ["dup@example.com"], "dst": ["10.0.0.1"], "ip": ["22"]}]}"#;
}

IMPLICIT_ALLOW_ALL = "implicit-allow-all", Warning, "a policy that allows everything without saying so" {
    "A file of 0 bytes, and a policy that has neither `acls` nor `grants`, allow everything. An \
     empty list (`\"acls\": []`) allows nothing."
    bad: r#"{"groups": {}}"#;
    good: r#"{"acls": []}"#;
}

SSH_TEST_ENUMERATES = "ssh-test-enumerates", Warning, "an SSH test that can take Headscale down" {
    "Headscale 0.29 lists every address of the source of an SSH test. For `*`, the internet or a \
     wide prefix it does so until its memory is gone, on `headscale policy check`, on \
     `headscale policy set` and when the server starts."
    bad: r#"{"acls": [], "sshTests": [{"src": "*", "dst": ["100.64.0.3"], "deny": ["root"]}]}"#;
    good: r#"{"acls": [], "sshTests": [{"src": "alice@", "dst": ["100.64.0.3"], "deny": ["root"]}]}"#;
}

NODE_ATTR_USER_TARGET = "node-attr-user-target", Warning, "node attributes for a user that may be deleted" {
    "Once a user that a target of `nodeAttrs` names is deleted, Headscale does not start until the \
     policy is replaced in its database."
    bad: r#"{"acls": [], "nodeAttrs": [{"target": ["alice@"], "attr": ["nextdns:no-device-info"]}]}"#;
    good: r#"{"acls": [], "nodeAttrs": [{"target": ["autogroup:member"], "attr": ["nextdns:no-device-info"]}]}"#;
}

WILDCARD_NARROWS = "wildcard-narrows", Warning, "`*` means less since 0.29" {
    "Up to 0.28 `*` is every address there is. Since 0.29 it is the tailnet's own addresses, and as \
     a source also approved subnet routes: subnets and the internet behind routers need rules of \
     their own. Asked where 0.28 and a newer version are checked together."
    bad "0.28,0.29": r#"{"acls": [{"action": "accept", "src": ["alice@"], "dst": ["*:443"]}]}"#;
    good: r#"{"acls": [{"action": "accept", "src": ["alice@"], "dst": ["10.0.0.0/8:443"]}]}"#;
}

ICMP_NARROWS = "icmp-narrows", Warning, "`icmp` means less since 0.29" {
    "Up to 0.28 `icmp` is ICMP and ICMPv6, since 0.29 ICMP alone. Asked where 0.28 and a newer \
     version are checked together."
    bad "0.28,0.29": r#"{"acls": [{"action": "accept", "proto": "icmp", "src": ["alice@"], "dst": ["10.0.0.0/8:*"]}]}"#;
    good: r#"{"acls": [{"action": "accept", "proto": "1", "src": ["alice@"], "dst": ["10.0.0.0/8:*"]}, {"action": "accept", "proto": "58", "src": ["alice@"], "dst": ["10.0.0.0/8:*"]}]}"#;
}

ADDRESS_NARROWS = "address-narrows", Info, "an address stands for itself alone since 0.29" {
    "Up to 0.28 the address of a node is also the node's other addresses, since 0.29 it is itself \
     alone: a rule for its IPv4 address says nothing about its IPv6 address any more. Asked where \
     0.28 and a newer version are checked together."
    bad "0.28,0.29": r#"{"acls": [{"action": "accept", "src": ["alice@"], "dst": ["100.64.0.1:22"]}]}"#;
    good: r#"{"acls": [{"action": "accept", "src": ["alice@"], "dst": ["bob@:22"]}]}"#;
}

SSH_CHECK_CHANGES = "ssh-check-changes", Info, "`check` is carried out since 0.29" {
    "Up to 0.28 the SSH action `check` accepts like `accept`. Since 0.29 it asks for a fresh login, \
     which scripts cannot give. Asked where 0.28 and a newer version are checked together."
    bad "0.28,0.29": r#"{"acls": [], "tagOwners": {"tag:web": ["alice@"]}, "ssh": [{"action": "check", "src": ["alice@"], "dst": ["tag:web"], "users": ["root"]}]}"#;
    good: r#"{"acls": [], "tagOwners": {"tag:web": ["alice@"]}, "ssh": [{"action": "accept", "src": ["alice@"], "dst": ["tag:web"], "users": ["root"]}]}"#;
}

RULE_COVERED = "rule-covered", Warning, "a rule that changes nothing" {
    "Other rules together allow all that this one does, so nothing changes when it goes; and when \
     it was to be the only way in, it is not. It is proved of the names and addresses alone, so it \
     holds whatever nodes there are. Rules with `via` or `app` are not looked at; an SSH rule is \
     compared with those of the same action, check period and environment."
    bad: r#"{"groups": {"group:dev": ["alice@", "bob@"]}, "acls": [{"action": "accept", "src": ["group:dev"], "dst": ["10.0.0.0/8:*"]}, {"action": "accept", "src": ["alice@"], "dst": ["10.0.0.1:22"]}]}"#;
    good: r#"{"groups": {"group:dev": ["alice@", "bob@"]}, "acls": [{"action": "accept", "src": ["group:dev"], "dst": ["10.0.0.0/8:443"]}, {"action": "accept", "src": ["alice@"], "dst": ["10.0.0.1:22"]}]}"#;
}

SSH_WITHOUT_NETWORK = "ssh-without-network", Warning, "an SSH rule that the network lets nobody use" {
    "Tailscale SSH needs two rules: one in `ssh` for the login, and one in `acls` or `grants` that \
     opens TCP port 22. Without the second no login of the rule gets through."
    bad: r#"{"tagOwners": {"tag:web": ["alice@"]}, "acls": [{"action": "accept", "src": ["alice@"], "dst": ["tag:web:443"]}], "ssh": [{"action": "accept", "src": ["alice@"], "dst": ["tag:web"], "users": ["root"]}]}"#;
    good: r#"{"tagOwners": {"tag:web": ["alice@"]}, "acls": [{"action": "accept", "src": ["alice@"], "dst": ["tag:web:22,443"]}], "ssh": [{"action": "accept", "src": ["alice@"], "dst": ["tag:web"], "users": ["root"]}]}"#;
}

SSH_PARTLY_WITHOUT_NETWORK = "ssh-partly-without-network", Info, "an SSH rule that the network lets not everybody use" {
    "Some logins of the SSH rule have no rule in `acls` or `grants` that opens TCP port 22 for them. \
     That is right where the SSH rule is meant to be wider than the network."
    bad: r#"{"tagOwners": {"tag:web": ["alice@"]}, "acls": [{"action": "accept", "src": ["alice@"], "dst": ["tag:web:22"]}], "ssh": [{"action": "accept", "src": ["autogroup:member"], "dst": ["tag:web"], "users": ["root"]}]}"#;
    good: r#"{"tagOwners": {"tag:web": ["alice@"]}, "acls": [{"action": "accept", "src": ["autogroup:member"], "dst": ["tag:web:22"]}], "ssh": [{"action": "accept", "src": ["autogroup:member"], "dst": ["tag:web"], "users": ["root"]}]}"#;
}

ROUTE_MISSING = "route-missing", Warning, "a destination that no route leads to" {
    "A rule allows connections to a prefix or to the internet, but no node has an approved route \
     that leads there, nor would the policy approve one that is announced. Found with `--tailnet` \
     only."
    bad: r#"{"acls": [{"action": "accept", "src": ["alice@"], "dst": ["192.168.1.0/24:443"]}]}"#;
    good: r#"{"tagOwners": {"tag:router": ["alice@"]}, "autoApprovers": {"routes": {"192.168.1.0/24": ["tag:router"]}}, "acls": [{"action": "accept", "src": ["alice@"], "dst": ["192.168.1.0/24:443"]}]}"#;
}

APPROVER_NEVER_MATCHES = "approver-never-matches", Warning, "an approver of routes that others announce" {
    "Nodes announce routes that an entry of `autoApprovers` is for, but none of them is of one of \
     its approvers. Most often the router carries a tag: a tagged node is no user's, so only its \
     tag can approve. Found with `--tailnet` only."
    bad: r#"{"autoApprovers": {"routes": {"192.168.0.0/16": ["alice@"]}}, "acls": []}"#;
    good: r#"{"tagOwners": {"tag:router": ["alice@"]}, "autoApprovers": {"routes": {"192.168.0.0/16": ["tag:router"]}}, "acls": []}"#;
}

VIA_WITHOUT_ROUTER = "via-without-router", Warning, "a grant with `via` that no router serves" {
    "A grant with `via` works only on nodes that carry one of its tags and have an approved route \
     that overlaps one of its destinations. Found with `--tailnet` only."
    bad: r#"{"tagOwners": {"tag:web": ["alice@"]}, "grants": [{"src": ["alice@"], "dst": ["10.0.0.0/8"], "ip": ["443"], "via": ["tag:web"]}]}"#;
    good: r#"{"tagOwners": {"tag:router": ["alice@"]}, "grants": [{"src": ["alice@"], "dst": ["10.0.0.0/8"], "ip": ["443"], "via": ["tag:router"]}]}"#;
}

TEST_UNSOUND = "test-unsound", Info, "a test that passes and proves little" {
    "For Headscale `accept` passes where one address of the destination is reached, and `deny` where \
     not all of the source is let in. Read soundly, `accept` is for all sources and destinations, \
     over TCP unless the test says otherwise, and `deny` for every pair of them by any protocol; \
     so read, this test does not hold."
    bad: r#"{"groups": {"group:dev": ["alice@", "bob@"]}, "tagOwners": {"tag:web": ["alice@"]}, "acls": [{"action": "accept", "src": ["alice@"], "dst": ["tag:web:22"]}], "tests": [{"src": "group:dev", "deny": ["tag:web:22"]}]}"#;
    good: r#"{"groups": {"group:dev": ["alice@", "bob@"]}, "tagOwners": {"tag:web": ["alice@"]}, "acls": [{"action": "accept", "src": ["alice@"], "dst": ["tag:web:22"]}], "tests": [{"src": "bob@", "deny": ["tag:web:22"]}]}"#;
}

IGNORE_MALFORMED = "ignore-malformed", Warning, "a `policy-ignore` comment that cannot be read" {
    "A finding is silenced where it stands by `// policy-ignore: RULE -- reason`, with an optional \
     `[until=2027-01-31]` at the end, on its line or the one before. The rule must exist and the \
     reason is required. What Headscale refuses cannot be silenced."
    bad: "{\n\t// policy-ignore: unused-group\n\t\"acls\": [],\n}";
    good: "{\n\t\"acls\": [],\n}";
}

IGNORE_UNUSED = "ignore-unused", Warning, "a `policy-ignore` comment that silences nothing" {
    "No such finding stands on the line of the comment or the one after it. Remove the comment, so \
     that it does not silence a finding to come."
    bad: "{\n\t// policy-ignore: wildcard-rule -- lab network\n\t\"acls\": [],\n}";
    good: "{\n\t// policy-ignore: wildcard-rule -- lab network\n\t\"acls\": [{\"action\": \"accept\", \"src\": [\"*\"], \"dst\": [\"*:*\"]}],\n}";
}

IGNORE_EXPIRED = "ignore-expired", Warning, "a `policy-ignore` comment whose time is over" {
    "The comment was written for a time that has passed; the finding is told again."
    bad: "{\n\t// policy-ignore: wildcard-rule -- migration [until=2020-01-31]\n\t\"acls\": [{\"action\": \"accept\", \"src\": [\"*\"], \"dst\": [\"*:*\"]}],\n}";
    good: "{\n\t// policy-ignore: wildcard-rule -- migration [until=2999-01-31]\n\t\"acls\": [{\"action\": \"accept\", \"src\": [\"*\"], \"dst\": [\"*:*\"]}],\n}";
}
}
