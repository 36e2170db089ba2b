//! Policies in Kubernetes objects: `HeadscalePolicy`, `Headscale` and `ConfigMap` in YAML.

mod embedded;
mod objects;
mod offsets;
mod tree;

use std::sync::Arc;

pub(crate) use embedded::{EmbedError, Embedded};
use objects::Objects;
pub(crate) use objects::References;

use crate::place::PlacedError;

/// A text with Kubernetes objects.
pub(crate) struct Manifest {
    source: Arc<str>,
    objects: Objects,
}

/// A policy of a manifest.
pub(crate) struct Found {
    /// Its text.
    pub(crate) text: String,
    /// Where it stands.
    pub(crate) embedded: Embedded,
}

/// Whether a text may have Kubernetes objects, at the cost of a look.
pub(crate) fn may_be_manifest(text: &str) -> bool {
    text.contains("apiVersion") && text.contains("kind")
}

/// Whether a text may have objects that hold policies.
pub(crate) fn may_hold_policies(text: &str) -> bool {
    may_be_manifest(text) && (text.contains(objects::GROUP) || text.contains("ConfigMap"))
}

/// Whether a text is a template of YAML, or may be one.
pub(crate) fn may_be_template(text: &str) -> bool {
    text.contains("{{")
}

/// Whether a text, which is no YAML, was meant to be Kubernetes objects.
pub(crate) fn is_meant_to_be_manifest(text: &str) -> bool {
    let has = |key: &str| text.lines().any(|line| line.starts_with(key));
    has("apiVersion:") && has("kind:")
}

impl Manifest {
    /// Reads the objects of a YAML text; `None` where there is none. `has_section` says whether a
    /// text has a section of a policy.
    ///
    /// # Errors
    ///
    /// Where the text is not YAML, or an alias stands where a policy may be.
    pub(crate) fn read(
        text: &str,
        has_section: impl Fn(&str) -> bool,
    ) -> Result<Option<Self>, PlacedError> {
        let mut objects = Objects::of(&tree::documents(text)?, has_section);
        if let Some(error) = objects.unknown.take() {
            return Err(error);
        }
        Ok(objects.any.then(|| Self { source: text.into(), objects }))
    }

    /// The keys of ConfigMaps that the objects of `manifests` name as policies.
    pub(crate) fn references<'m>(manifests: impl IntoIterator<Item = &'m Self>) -> References {
        manifests.into_iter().flat_map(|manifest| &manifest.objects.references).collect()
    }

    /// The policies, in order, where these are the references of all manifests.
    pub(crate) fn policies(&self, references: &References) -> Vec<Found> {
        let candidates = self.objects.candidates.iter();
        let policies: Vec<_> =
            candidates.filter(|candidate| candidate.is_policy(references)).collect();
        let many = policies.len() > 1;
        let policies = policies.into_iter().map(|candidate| {
            let place = (candidate.object.clone(), candidate.field.clone());
            let source = Arc::clone(&self.source);
            Found {
                text: candidate.scalar.text.clone(),
                embedded: Embedded::new(source, place, &candidate.scalar, many),
            }
        });
        policies.collect()
    }
}

/// The YAML text of `policies`, all of them from one, with the new text of each that has one. Gives
/// the policies as they stand in the new text too.
///
/// # Errors
///
/// Where one that has a new text is not written in a form that can be written.
pub(crate) fn replaced(
    policies: &[(&Embedded, &str, Option<&str>)],
) -> Result<(String, Vec<Found>), EmbedError> {
    let mut edits = Vec::new();
    for (embedded, old, new) in policies {
        if let Some(new) = new {
            let (range, text) = embedded.replacement(old, new)?;
            edits.push((range.start, range.end, text));
        }
    }
    edits.sort_unstable();
    // What is referred to by an alias stands there once, for all that refer to it.
    edits.dedup();
    let old_source = policies.first().map_or("", |(first, ..)| first.source());
    let mut source = String::with_capacity(old_source.len());
    let mut at = 0;
    for (start, end, text) in edits {
        // Where two want different things of one place, the first gets them, and what is read
        // below is not what the other one wants.
        if let Some(between) = old_source.get(at..start) {
            source.push_str(between);
            source.push_str(&text);
            at = end;
        }
    }
    source.push_str(old_source.get(at..).unwrap_or_default());
    let manifest = Manifest::read(&source, |_| true).ok().flatten();
    let mut candidates = manifest.iter().flat_map(|manifest| &manifest.objects.candidates);
    let many = policies.len() > 1;
    let mut found = Vec::new();
    let new_source: Arc<str> = source.as_str().into();
    for (embedded, old, new) in policies {
        let wanted = new.unwrap_or(old);
        let here = candidates.find(|candidate| {
            candidate.object == embedded.object() && candidate.field == embedded.field()
        });
        match here {
            // How many line ends a block has after its last line is its indicator's business.
            Some(here)
                if here.scalar.text.trim_end_matches('\n') == wanted.trim_end_matches('\n') =>
            {
                let place = (here.object.clone(), here.field.clone());
                found.push(Found {
                    text: here.scalar.text.clone(),
                    embedded: Embedded::new(Arc::clone(&new_source), place, &here.scalar, many),
                });
            }
            _ => return Err(embedded.ambiguous()),
        }
    }
    Ok((source, found))
}
