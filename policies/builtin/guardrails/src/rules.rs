//! The rules that findings name.

use headscale_policy_sdk::{Rule, Severity};

pub(crate) const FORBIDDEN_ACCESS: &str = "forbidden-access";
pub(crate) const MISSING_ACCESS: &str = "missing-access";
pub(crate) const OPEN_PORT: &str = "open-port";
pub(crate) const WIDE_FAN_OUT: &str = "wide-fan-out";
pub(crate) const FAN_OUT_UNPROVED: &str = "fan-out-unproved";
pub(crate) const ROOT_LOGIN: &str = "root-login";
pub(crate) const EXIT_NODE: &str = "exit-node";
pub(crate) const UNKNOWN_NAME: &str = "unknown-name";
pub(crate) const UNANSWERED: &str = "unanswered";

/// All of them.
pub(crate) fn all() -> Vec<Rule> {
    let security = |rule: Rule| rule.tag("security");
    vec![
        security(Rule::new(FORBIDDEN_ACCESS, Severity::Error, "Someone reaches what they must not"))
            .help(
                "A pair of `never` is let through, in part at least. The finding stands at the rule \
                 that does it, once for each rule, and names the chain from who was named in the \
                 settings to whom the rule names. Narrow the rule, or change who is in the group or \
                 carries the tag.",
            ),
        Rule::new(MISSING_ACCESS, Severity::Error, "Someone does not reach what they must")
            .help(
                "A pair of `always` is not let through for all of its nodes and ports. The message \
                 has a pair of nodes that is denied; the finding stands at a rule that lets a part \
                 of it through, if there is one.",
            )
            .tag("availability"),
        security(Rule::new(OPEN_PORT, Severity::Error, "A closed port is open to someone")).help(
            "Someone other than those of `except` reaches a port of `closedPorts`. The finding \
             stands at the rule that opens it.",
        ),
        security(Rule::new(WIDE_FAN_OUT, Severity::Warning, "Someone reaches more nodes than they may"))
            .help(
                "One who is named in `maxFanOut` reaches more nodes, on any port, than `nodes` says. \
                 The finding stands at the rule that leads to most of them.",
            ),
        Rule::new(FAN_OUT_UNPROVED, Severity::Info, "A fan-out cannot be counted without a tailnet")
            .help(
                "Without a tailnet each name of the policy stands for one made-up node, so that \
                 `maxFanOut` counts too few. Name one with `--tailnet FILE`.",
            ),
        security(Rule::new(ROOT_LOGIN, Severity::Error, "Someone may log in as root who must not"))
            .help(
                "An SSH rule, together with the network, lets in as root someone other than those \
                 of `rootLoginOnlyFrom`. Take `root` out of its users, or narrow its sources.",
            ),
        security(Rule::new(EXIT_NODE, Severity::Error, "Someone may use exit nodes who must not"))
            .help(
                "A rule lets someone other than those of `exitNodesOnlyFor` out to the internet \
                 through exit nodes.",
            ),
        Rule::new(UNKNOWN_NAME, Severity::Error, "A setting names what is not there").help(
            "Neither the policy nor the tailnet has the name, so that the invariant says nothing. \
             Mostly it is misspelt, or was renamed in the policy.",
        ),
        Rule::new(UNANSWERED, Severity::Warning, "An invariant says nothing").help(
            "There is nothing that the invariant is about: a name with no node behind it, or a \
             single node on both sides.",
        ),
    ]
}
