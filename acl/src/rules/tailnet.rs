//! Rules about snapshots of users and nodes, checked in `defects.rs`. No policy breaks them, so they
//! have no examples.

super::rules! { Lint;

TAILNET_USER_UNKNOWN = "tailnet-user-unknown", Warning, "a node of a user that the snapshot does not have" {
    "A node belongs to the user whose id its `user` has. Where no user has that id, the node counts \
     for `autogroup:member`, but no rule for a user or a group matches it. A snapshot without \
     `users`, such as the output of `headscale nodes list`, has the users that its nodes name; users \
     without nodes are missing from it. Tagged nodes belong to their tags, so their user is not \
     asked for."
    bad: "";
    good: "";
}

TAILNET_DUPLICATE_ID = "tailnet-duplicate-id", Warning, "two records of a snapshot with one id" {
    "Ids are unique in Headscale. The nodes of two users with one id belong to both of them, and \
     what is told of two nodes with one id cannot be told apart. It is found too where a snapshot \
     has no `users` and its nodes describe one user in two ways."
    bad: "";
    good: "";
}

TAILNET_DUPLICATE_ADDRESS = "tailnet-duplicate-address", Warning, "two nodes of a snapshot with one address" {
    "Headscale gives an address to one node only. Here a rule that matches one of the nodes matches \
     the other as well."
    bad: "";
    good: "";
}

TAILNET_NODE_WITHOUT_ADDRESS = "tailnet-node-without-address", Warning, "a node of a snapshot without addresses" {
    "Users and tags in rules stand for the addresses of their nodes, so no rule allows a node \
     without addresses anything. A misspelt member looks like this too: addresses are read from \
     `ipAddresses`, or from `ip_addresses` as Headscale's command line writes it."
    bad: "";
    good: "";
}

TAILNET_NODE_WITHOUT_OWNER = "tailnet-node-without-owner", Warning, "a node of a snapshot with neither a user nor tags" {
    "In Headscale a node belongs to a user or has tags. This one counts for `autogroup:member`, but \
     no rule for a user, a group or a tag matches it. Headscale shows the user `tagged-devices` \
     (2147455555) for tagged nodes, so a node with that user lacks its tags. Up to 0.27 tags are not \
     called `tags`, and are not read."
    bad: "";
    good: "";
}

TAILNET_INVALID_ROUTE = "tailnet-invalid-route", Warning, "a route of a snapshot that is no prefix" {
    "A route is a prefix such as `10.0.0.0/8`. What cannot be read is ignored: the node announces or \
     approves nothing by it. Headscale takes prefixes with bits beyond their length, but it compares \
     announced and approved routes as they are written, so an approved one that no announced one \
     equals approves nothing."
    bad: "";
    good: "";
}

TAILNET_OVERLAPPING_ROUTES = "tailnet-overlapping-routes", Info, "routes of two nodes of which one holds the other" {
    "Both are announced and approved, and packets take the narrower one. That is often meant. \
     Two nodes with the very same route are high availability and not told; nor are exit routes. \
     Of several wider routes the narrowest is told."
    bad: "";
    good: "";
}

TAILNET_CONTRADICTORY_TAGS = "tailnet-contradictory-tags", Warning, "tags of a node that cannot be" {
    "A tag starts with `tag:`, and a node has it once. Whatever stands under `tags` makes the node a \
     tagged one, which is no user's any more. Tags together with a user are not told: Headscale 0.28 \
     keeps the user who created a tagged node, and shows it in some answers. Tags win, and the user \
     is not counted."
    bad: "";
    good: "";
}
}
