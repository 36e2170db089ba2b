//! The JSON of an answer, written node by node.
//!
//! Most of it is the sources of the same rules again, for every node that keeps them. So a list that
//! nodes share is printed once, with its layout, and then written as it stands.

use std::borrow::Cow;
use std::cell::RefCell;
use std::hash::Hash;
use std::io::Write;
use std::rc::Rc;

use foldhash::HashMap;
use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use super::answers::{Answers, Form};
use super::peers::Peers;
use super::rule::Sources;
use super::ssh::{Applied, Principals, SshRules};

/// How JSON is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Without any space, as `serde_json::to_writer` writes it.
    Compact,
    /// Members and elements on lines of their own, two spaces for each level, as
    /// `serde_json::to_writer_pretty` writes it.
    Pretty,
}

/// Levels above the elements of `SrcIPs`: answer, nodes, node, filter, rule.
const SOURCES_LEVEL: usize = 5;
/// The same for `principals`, which stand in `sshPolicy` and its `rules`.
const PRINCIPALS_LEVEL: usize = 6;

/// Writes the answer.
pub(super) fn write(
    answers: &Answers<'_, '_, '_>,
    layout: Layout,
    writer: impl Write,
) -> Result<(), serde_json::Error> {
    let ids = answers.inventory_nodes().iter().map(|node| to_raw_value(&node.id.to_string()));
    let json = Json {
        layout,
        ids: ids.collect::<Result<_, _>>()?,
        peers: &answers.peers,
        ssh: &answers.ssh,
        sources: Printed::default(),
        principals: Printed::default(),
    };
    let compiled = answers.around(Nodes { answers, json: &json });
    match layout {
        Layout::Compact => serde_json::to_writer(writer, &compiled),
        Layout::Pretty => serde_json::to_writer_pretty(writer, &compiled),
    }
}

/// The nodes, one after the other.
struct Nodes<'s, 'a, 'n, 'd> {
    answers: &'s Answers<'a, 'n, 'd>,
    json: &'s Json<'s>,
}

impl Serialize for Nodes<'_, '_, '_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.answers.nodes_as(self.json))
    }
}

/// What is printed already, and what it is printed from.
struct Json<'s> {
    layout: Layout,
    /// The id of each node.
    ids: Vec<Box<RawValue>>,
    peers: &'s Peers,
    ssh: &'s SshRules<'s, 's>,
    sources: Printed<*const Sources>,
    /// Those of an SSH rule, by its place, that are not only for one node.
    principals: Printed<(usize, Principals)>,
}

/// Lists that are printed.
type Printed<Key> = RefCell<HashMap<Key, Rc<RawValue>>>;

impl Json<'_> {
    /// `list` as it is written below so many levels.
    fn print(
        &self,
        list: &impl Serialize,
        level: usize,
    ) -> Result<Rc<RawValue>, serde_json::Error> {
        let text = match self.layout {
            Layout::Compact => serde_json::to_string(list)?,
            // A newline in a text is escaped, so all of these are the layout's.
            Layout::Pretty => {
                let indent = format!("\n{}", "  ".repeat(level));
                serde_json::to_string_pretty(list)?.replace('\n', &indent)
            }
        };
        Ok(Rc::from(RawValue::from_string(text)?))
    }

    /// The printed list of `key`, printed now if it is asked for the first time.
    fn once<Key: Hash + Eq, List: Serialize>(
        &self,
        printed: &Printed<Key>,
        key: Key,
        level: usize,
        list: impl FnOnce() -> List,
    ) -> Result<Rc<RawValue>, serde_json::Error> {
        if let Some(known) = printed.borrow().get(&key) {
            return Ok(Rc::clone(known));
        }
        let list = self.print(&list(), level)?;
        printed.borrow_mut().insert(key, Rc::clone(&list));
        Ok(list)
    }
}

impl<'s> Form<'s> for &'s Json<'s> {
    type List = List<'s>;
    type Text = Cow<'s, str>;
    type Principals = List<'s>;

    fn sources(&self, sources: &'s Rc<Sources>) -> List<'s> {
        List::Sources(self, sources)
    }

    fn peers(&self, at: usize) -> List<'s> {
        List::Peers(self, at)
    }

    fn principals(&self, applied: Applied) -> List<'s> {
        List::Principals(self, applied)
    }
}

/// A list of an answer.
enum List<'s> {
    Sources(&'s Json<'s>, &'s Sources),
    /// Of the node with this index.
    Peers(&'s Json<'s>, usize),
    Principals(&'s Json<'s>, Applied),
}

impl Serialize for List<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let list = match *self {
            Self::Peers(json, at) => {
                let ids = json.peers.iter(at).filter_map(|peer| json.ids.get(peer));
                return serializer.collect_seq(ids);
            }
            Self::Sources(json, sources) => {
                json.once(&json.sources, sources, SOURCES_LEVEL, || sources.texts())
            }
            Self::Principals(json, applied) => {
                let principals = || json.ssh.written_principals(applied);
                match applied.from {
                    Principals::Node(_) => json.print(&principals(), PRINCIPALS_LEVEL),
                    from => {
                        let key = (applied.rule, from);
                        json.once(&json.principals, key, PRINCIPALS_LEVEL, principals)
                    }
                }
            }
        };
        list.map_err(S::Error::custom)?.serialize(serializer)
    }
}
