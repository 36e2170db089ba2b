//! What `get`, `describe` and `delete` are about, as kubectl writes it.

use crate::error::CommandError;
use crate::kubernetes::{RESOURCES, Resource};

/// Objects of one kind: those with these names, or all where there are none.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Their kind.
    pub(super) resource: &'static Resource,
    /// Their names, in the order in which they were given.
    pub(super) names: Vec<String>,
}

/// Reads `KIND NAME…`, `KIND,KIND`, `all` or `KIND/NAME…`.
///
/// # Errors
///
/// kubectl's: kinds that are none of ours, both forms at once, names that cannot be.
pub(super) fn targets(words: &[String]) -> Result<Vec<Target>, CommandError> {
    let Some((first, names)) = words.split_first() else { return Ok(Vec::new()) };
    if words.iter().any(|word| word.contains('/')) {
        return qualified(words);
    }
    for name in names {
        check(name)?;
    }
    let kinds: Vec<&'static Resource> = if first == "all" {
        RESOURCES.iter().collect()
    } else {
        first.split(',').map(Resource::find).collect::<Result<_, _>>()?
    };
    let target = |resource| Target { resource, names: names.to_vec() };
    Ok(kinds.into_iter().map(target).collect())
}

/// `KIND/NAME…`. Neighbours of one kind are asked for together.
fn qualified(words: &[String]) -> Result<Vec<Target>, CommandError> {
    let mut targets: Vec<Target> = Vec::new();
    for word in words {
        let Some((kind, name)) = word.split_once('/') else {
            return Err(CommandError::failed(
                "there is no need to specify a resource type as a separate argument when passing \
                 arguments in resource/name form (e.g. 'kubectl headscale get user/alice' instead \
                 of 'kubectl headscale get users user/alice')",
            ));
        };
        if kind.is_empty() || name.is_empty() {
            return Err(CommandError::failed(
                "arguments in resource/name form must have a single resource and name",
            ));
        }
        check(name)?;
        let resource = Resource::find(kind)?;
        match targets.last_mut().filter(|last| last.resource == resource) {
            Some(last) => last.names.push(name.to_owned()),
            None => targets.push(Target { resource, names: vec![name.to_owned()] }),
        }
    }
    Ok(targets)
}

/// Refuses names that would be another path.
fn check(name: &str) -> Result<(), CommandError> {
    let why = match name {
        "" => "may not be empty",
        "." => "may not be '.'",
        ".." => "may not be '..'",
        name if name.contains('/') => "may not contain '/'",
        name if name.contains('%') => "may not contain '%'",
        name if !name.bytes().all(|byte| byte.is_ascii_graphic()) || name.contains(['?', '#']) => {
            "may have only lower case letters, digits, '-' and '.'"
        }
        _ => return Ok(()),
    };
    Err(CommandError::failed(format!("invalid resource name {name:?}: [{why}]")))
}
