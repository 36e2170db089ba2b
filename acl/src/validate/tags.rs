//! Owners of tags, and approvers of routes.

use foldhash::HashMap;

use super::{Names, Site};
use crate::context::Context;
use crate::finding::Finding;
use crate::policy::{Alias, Policy, TagOwner};
use crate::rules::{TAG_CYCLE, TAG_OWNER_UNDEFINED};
use crate::semantics::Semantics;

impl Context<'_> {
    pub(super) fn check_tags(&mut self, policy: &Policy<'_>, names: &Names<'_>) {
        for TagOwner { tag, owners, .. } in &policy.tag_owners {
            self.references(owners, Site::Owner, names);
            for owner in owners {
                let Alias::Tag(name) = &owner.value else {
                    continue;
                };
                if !names.tags.contains(&**name) {
                    // Headscale says this beside the sentence about the tag itself.
                    self.push(&TAG_OWNER_UNDEFINED, || {
                        let message = Semantics::owner_tag_undefined(&tag.value, name);
                        Finding::new(&TAG_OWNER_UNDEFINED, owner.span, message)
                            .help(format!("define `{name}` in `tagOwners`, or remove it here"))
                    });
                }
            }
        }
        if self.semantics.tag_cycles_refused {
            for cycle in cycles(&policy.tag_owners) {
                let mut tags: Vec<&str> = cycle.iter().map(|owner| &*owner.tag.value).collect();
                tags.sort_unstable();
                let Some(first) = cycle.first() else { continue };
                self.push(&TAG_CYCLE, || {
                    Finding::new(&TAG_CYCLE, first.tag.span, Semantics::tag_cycle(&tags))
                        .help("let a user or group own one of these tags instead of a tag")
                });
            }
        }
    }

    pub(super) fn check_approvers(&mut self, policy: &Policy<'_>, names: &Names<'_>) {
        for route in &policy.auto_approvers.routes {
            self.references(&route.approvers, Site::Owner, names);
        }
        self.references(&policy.auto_approvers.exit_node, Site::Owner, names);
    }
}

/// Circles of tags that own each other, each once, its members in the order of a walk that starts
/// at the first one in the document. Linear in tags and owners.
fn cycles<'p, 'd>(tags: &'p [TagOwner<'d>]) -> Vec<Vec<&'p TagOwner<'d>>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        OnPath,
        Done,
    }
    let index: HashMap<&str, usize> =
        tags.iter().enumerate().map(|(at, tag)| (&*tag.tag.value, at)).collect();
    let owner_tags = |at: usize| {
        let owners = tags.get(at).map(|tag| tag.owners.as_slice()).unwrap_or_default();
        owners
            .iter()
            .filter_map(|owner| match &owner.value {
                Alias::Tag(name) => index.get(&**name).copied(),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    let mut marks = vec![Mark::New; tags.len()];
    let mark_of = |marks: &[Mark], at: usize| marks.get(at).copied().unwrap_or(Mark::Done);
    let mut found = Vec::new();
    for start in 0..tags.len() {
        if mark_of(&marks, start) != Mark::New {
            continue;
        }
        // The path from `start`, each step with the owners that are still to be followed.
        let mut path = vec![(start, owner_tags(start))];
        if let Some(mark) = marks.get_mut(start) {
            *mark = Mark::OnPath;
        }
        while let Some((at, next)) = path.last_mut() {
            let at = *at;
            let Some(owner) = next.pop() else {
                if let Some(mark) = marks.get_mut(at) {
                    *mark = Mark::Done;
                }
                path.pop();
                continue;
            };
            match mark_of(&marks, owner) {
                Mark::Done => {}
                Mark::OnPath => found.push(
                    path.iter()
                        .skip_while(|(step, _)| *step != owner)
                        .filter_map(|(step, _)| tags.get(*step))
                        .collect(),
                ),
                Mark::New => {
                    if let Some(mark) = marks.get_mut(owner) {
                        *mark = Mark::OnPath;
                    }
                    path.push((owner, owner_tags(owner)));
                }
            }
        }
    }
    found
}
