//! Visits every state, nearest first.

use std::collections::{HashMap, VecDeque};
use std::fmt::Debug;
use std::hash::Hash;
use std::ops::ControlFlow;
use std::rc::Rc;

/// How each state was come to: by what, from which.
pub(crate) struct Ways<S>(HashMap<Rc<S>, Option<(&'static str, Rc<S>)>>);

impl<S: Clone + Debug + Eq + Hash> Ways<S> {
    /// The shortest way to a state that was seen: what happened and each state, in turn.
    pub(crate) fn to(&self, end: &S) -> String {
        let mut steps = vec![format!("{end:?}")];
        let mut at = self.0.get(end).and_then(Option::as_ref);
        while let Some((name, before)) = at {
            steps.extend([format!("{name}:"), format!("{before:?}")]);
            at = self.0.get(before).and_then(Option::as_ref);
        }
        steps.reverse();
        steps.iter().map(|step| format!("  {step}\n")).collect()
    }
}

/// Visits what `first` leads to, until `visit` ends it or more than `cap` states were seen; gives how
/// many were seen. `visit` gives what a state leads to, and by what.
pub(crate) fn search<S: Clone + Debug + Eq + Hash>(
    first: S,
    cap: usize,
    mut visit: impl FnMut(&S, &Ways<S>) -> ControlFlow<(), Vec<(&'static str, S)>>,
) -> usize {
    let first = Rc::new(first);
    let mut ways = Ways(HashMap::from([(Rc::clone(&first), None)]));
    let mut queue = VecDeque::from([first]);
    while let Some(state) = queue.pop_front() {
        if ways.0.len() > cap {
            break;
        }
        let ControlFlow::Continue(next) = visit(&state, &ways) else { break };
        for (name, next) in next {
            if !ways.0.contains_key(&next) {
                let next = Rc::new(next);
                ways.0.insert(Rc::clone(&next), Some((name, Rc::clone(&state))));
                queue.push_back(next);
            }
        }
    }
    ways.0.len()
}
