//! Rules of `policy test --coverage` and `--mutate`. They are about a policy together with its
//! suites, so they have no examples.

super::rules! { Lint;

RULE_UNTESTED = "rule-untested", Info, "a rule that no test goes through" {
    "Told by `policy test --coverage`. No test expects anything that this rule allows: neither under \
     `accept` of the policy's own `tests` and `sshTests`, nor in a suite."
    bad: "";
    good: "";
}

NAME_UNTESTED = "name-untested", Info, "a name in a rule that no test goes through" {
    "Told by `policy test --coverage`. Tests go through the rule, but none of them is about this \
     name in its `src` or `dst`."
    bad: "";
    good: "";
}

MUTANT_SURVIVES = "mutant-survives", Info, "a mistake in a rule that no test would notice" {
    "Told by `policy test --mutate`, which breaks the policy rule by rule: removes it, opens it to \
     everyone, on all ports, for root, or without a check. Every test comes out as before although \
     reachability changed."
    bad: "";
    good: "";
}

}
