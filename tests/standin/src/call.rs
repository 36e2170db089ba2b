//! The calls that there are, and where each is found.

use crate::options::Version;

/// A call, for faults and for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Every request, also one for which there is no call.
    Any,
    /// Makes a user.
    CreateUser,
    /// Renames a user.
    RenameUser,
    /// Removes a user.
    DeleteUser,
    /// Lists users.
    ListUsers,
    /// Makes a pre-auth key.
    CreatePreAuthKey,
    /// Lets a pre-auth key expire.
    ExpirePreAuthKey,
    /// Removes a pre-auth key.
    DeletePreAuthKey,
    /// Lists pre-auth keys.
    ListPreAuthKeys,
    /// Puts a login in progress.
    DebugCreateNode,
    /// One node.
    GetNode,
    /// Replaces a node's tags.
    SetTags,
    /// Replaces a node's approved routes.
    SetApprovedRoutes,
    /// Lets a login in.
    RegisterNode,
    /// Removes a node.
    DeleteNode,
    /// Says when a node expires.
    ExpireNode,
    /// Renames a node.
    RenameNode,
    /// Lists nodes.
    ListNodes,
    /// Gives addresses to nodes that lack them.
    BackfillNodeIps,
    /// Lets a login in; 0.29 and later.
    AuthRegister,
    /// Approves a login; 0.29 and later.
    AuthApprove,
    /// Refuses a login; 0.29 and later.
    AuthReject,
    /// Makes an API key.
    CreateApiKey,
    /// Lets an API key expire.
    ExpireApiKey,
    /// Lists API keys.
    ListApiKeys,
    /// Removes an API key.
    DeleteApiKey,
    /// The policy.
    GetPolicy,
    /// Replaces the policy.
    SetPolicy,
    /// Checks a policy; 0.29 and later.
    CheckPolicy,
    /// Whether the database answers; the call, not the page `/health`.
    Health,
    /// The page `/health`.
    HealthPage,
    /// The page `/version`.
    VersionPage,
    /// The document `/api/v1/openapi.yaml`.
    OpenApi,
}

/// What a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// A number of 64 bits, in decimal digits.
    Id,
    Flag,
    Texts,
    Time,
}

/// Where a field is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Path,
    Query,
    Body,
    /// The query on 0.29 and older, the body since.
    Moved,
}

/// One argument of a call, by its name in JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) place: Place,
    pub(crate) since: Version,
}

/// A call of the HTTP API.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) call: Call,
    pub(crate) method: &'static str,
    /// Below `/api/v1/`; parameters are in braces.
    pub(crate) path: &'static str,
    pub(crate) fields: &'static [Field],
    pub(crate) since: Version,
}

const fn field(place: Place, name: &'static str, kind: Kind) -> Field {
    Field { name, kind, place, since: Version::V0_28 }
}

const fn body(name: &'static str, kind: Kind) -> Field {
    field(Place::Body, name, kind)
}

const fn query(name: &'static str, kind: Kind) -> Field {
    field(Place::Query, name, kind)
}

const fn path(name: &'static str, kind: Kind) -> Field {
    field(Place::Path, name, kind)
}

const fn route(
    call: Call,
    method: &'static str,
    path: &'static str,
    fields: &'static [Field],
) -> Route {
    Route { call, method, path, fields, since: Version::V0_28 }
}

const fn later(
    call: Call,
    method: &'static str,
    path: &'static str,
    fields: &'static [Field],
) -> Route {
    Route { call, method, path, fields, since: Version::V0_29 }
}

use Kind::{Flag, Id, Text, Texts, Time};

/// Fixed paths stand before those with parameters that would match them too.
pub(crate) const ROUTES: &[Route] = &[
    route(
        Call::CreateUser,
        "POST",
        "user",
        &[
            body("name", Text),
            body("displayName", Text),
            body("email", Text),
            body("pictureUrl", Text),
        ],
    ),
    route(
        Call::RenameUser,
        "POST",
        "user/{oldId}/rename/{newName}",
        &[path("oldId", Id), path("newName", Text)],
    ),
    route(Call::DeleteUser, "DELETE", "user/{id}", &[path("id", Id)]),
    route(
        Call::ListUsers,
        "GET",
        "user",
        &[query("id", Id), query("name", Text), query("email", Text)],
    ),
    route(
        Call::CreatePreAuthKey,
        "POST",
        "preauthkey",
        &[
            body("user", Id),
            body("reusable", Flag),
            body("ephemeral", Flag),
            body("expiration", Time),
            body("aclTags", Texts),
        ],
    ),
    route(Call::ExpirePreAuthKey, "POST", "preauthkey/expire", &[body("id", Id)]),
    route(Call::DeletePreAuthKey, "DELETE", "preauthkey", &[query("id", Id)]),
    route(Call::ListPreAuthKeys, "GET", "preauthkey", &[]),
    route(
        Call::DebugCreateNode,
        "POST",
        "debug/node",
        &[body("user", Text), body("key", Text), body("name", Text), body("routes", Texts)],
    ),
    route(Call::RegisterNode, "POST", "node/register", &[query("user", Text), query("key", Text)]),
    route(Call::BackfillNodeIps, "POST", "node/backfillips", &[query("confirmed", Flag)]),
    route(Call::GetNode, "GET", "node/{nodeId}", &[path("nodeId", Id)]),
    route(Call::DeleteNode, "DELETE", "node/{nodeId}", &[path("nodeId", Id)]),
    route(Call::ListNodes, "GET", "node", &[query("user", Text)]),
    route(Call::SetTags, "POST", "node/{nodeId}/tags", &[path("nodeId", Id), body("tags", Texts)]),
    route(
        Call::SetApprovedRoutes,
        "POST",
        "node/{nodeId}/approve_routes",
        &[path("nodeId", Id), body("routes", Texts)],
    ),
    route(
        Call::ExpireNode,
        "POST",
        "node/{nodeId}/expire",
        &[
            path("nodeId", Id),
            field(Place::Moved, "expiry", Time),
            Field { name: "disableExpiry", kind: Flag, place: Place::Moved, since: Version::V0_29 },
        ],
    ),
    route(
        Call::RenameNode,
        "POST",
        "node/{nodeId}/rename/{newName}",
        &[path("nodeId", Id), path("newName", Text)],
    ),
    later(Call::AuthRegister, "POST", "auth/register", &[body("user", Text), body("authId", Text)]),
    later(Call::AuthApprove, "POST", "auth/approve", &[body("authId", Text)]),
    later(Call::AuthReject, "POST", "auth/reject", &[body("authId", Text)]),
    route(Call::CreateApiKey, "POST", "apikey", &[body("expiration", Time)]),
    route(Call::ExpireApiKey, "POST", "apikey/expire", &[body("prefix", Text), body("id", Id)]),
    route(Call::ListApiKeys, "GET", "apikey", &[]),
    route(
        Call::DeleteApiKey,
        "DELETE",
        "apikey/{prefix}",
        &[path("prefix", Text), query("id", Id)],
    ),
    route(Call::GetPolicy, "GET", "policy", &[]),
    route(Call::SetPolicy, "PUT", "policy", &[body("policy", Text)]),
    later(Call::CheckPolicy, "POST", "policy/check", &[body("policy", Text)]),
    route(Call::Health, "GET", "health", &[]),
];

/// Where a path leads.
pub(crate) enum Found<'p> {
    /// To a call, with the parameters in the path as they were sent.
    Route(&'static Route, Vec<(&'static str, &'p str)>),
    /// To calls with other methods.
    OtherMethod,
    Nothing,
}

/// Finds the call of a request. `segments` are those of the path below `/api/v1/`. Whether a
/// parameter may be empty depends on the version.
pub(crate) fn find<'p>(version: Version, method: &str, segments: &[&'p str]) -> Found<'p> {
    let mut found = Found::Nothing;
    for route in ROUTES.iter().filter(|route| route.since <= version) {
        let Some(parameters) = parameters(version, route.path, segments) else { continue };
        if route.method == method {
            return Found::Route(route, parameters);
        }
        found = Found::OtherMethod;
    }
    found
}

fn parameters<'p>(
    version: Version,
    pattern: &'static str,
    segments: &[&'p str],
) -> Option<Vec<(&'static str, &'p str)>> {
    let pattern: Vec<&'static str> = pattern.split('/').collect();
    if pattern.len() != segments.len() {
        return None;
    }
    let mut parameters = Vec::new();
    for (part, segment) in pattern.into_iter().zip(segments) {
        match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(name) if version.has_grpc() || !segment.is_empty() => {
                parameters.push((name, *segment));
            }
            None if part == *segment => {}
            _ => return None,
        }
    }
    Some(parameters)
}
