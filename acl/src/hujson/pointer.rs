//! Places in a document by JSON pointers (RFC 6901).

use std::borrow::Cow;

use foldhash::HashMap;

use super::tree::{Document, Kind, Node};

/// Finds values by pointers. What an object or array holds is indexed when a pointer first leads
/// through it, so many pointers cost no more than their lengths and the document once.
///
/// # Examples
///
/// ```
/// use headscale_acl::hujson::{Document, Pointers};
///
/// let doc = Document::parse(br#"{"hosts": {"a/b": "10.0.0.1"}, "acls": [1, 2] /* two */}"#);
/// let mut pointers = Pointers::new(&doc);
/// assert_eq!(pointers.find("/hosts/a~1b").map(|node| node.raw()), Some(r#""10.0.0.1""#));
/// assert_eq!(pointers.find("/acls/1").map(|node| node.raw()), Some("2"));
/// assert_eq!(pointers.find("").map(|node| node.span().start), Some(0));
/// assert!(pointers.find("/acls/2").is_none() && pointers.find("acls").is_none());
/// ```
#[derive(Debug)]
pub struct Pointers<'d> {
    doc: &'d Document<'d>,
    objects: HashMap<u32, HashMap<Cow<'d, str>, u32>>,
    arrays: HashMap<u32, Vec<u32>>,
}

impl<'d> Pointers<'d> {
    /// Nothing is indexed yet.
    #[must_use]
    pub fn new(doc: &'d Document<'d>) -> Self {
        Self { doc, objects: HashMap::default(), arrays: HashMap::default() }
    }

    /// The value to which `pointer` leads; `None` where there is none, or where it is no pointer.
    /// Of members with one name the first counts.
    pub fn find(&mut self, pointer: &str) -> Option<Node<'d>> {
        let mut node = self.doc.root()?;
        let mut tokens = pointer.split('/');
        if tokens.next() != Some("") {
            return None;
        }
        for token in tokens {
            let index = match node.kind() {
                Kind::Object => {
                    let name = unescape(token)?;
                    let members = self.objects.entry(node.index).or_insert_with(|| {
                        let mut members = HashMap::default();
                        for member in node.members() {
                            let name = member.name.as_str().unwrap_or_default();
                            members.entry(name).or_insert(member.value.index);
                        }
                        members
                    });
                    *members.get(&name)?
                }
                Kind::Array => {
                    let elements = self.arrays.entry(node.index);
                    let elements = elements
                        .or_insert_with(|| node.elements().map(|element| element.index).collect());
                    *elements.get(element_index(token)?)?
                }
                _ => return None,
            };
            node = self.doc.node(index)?;
        }
        Some(node)
    }
}

/// A reference token as the name that it stands for; `None` where a `~` escapes nothing.
pub(super) fn unescape(token: &str) -> Option<Cow<'_, str>> {
    let Some((first, rest)) = token.split_once('~') else { return Some(Cow::Borrowed(token)) };
    let mut name = first.to_owned();
    for part in rest.split('~') {
        let (escaped, plain) = match (part.strip_prefix('0'), part.strip_prefix('1')) {
            (Some(plain), _) => ('~', plain),
            (_, Some(plain)) => ('/', plain),
            _ => return None,
        };
        name.push(escaped);
        name.push_str(plain);
    }
    Some(Cow::Owned(name))
}

/// A reference token as an index: digits without leading zeros.
pub(super) fn element_index(token: &str) -> Option<usize> {
    let digits = token.bytes().all(|b| b.is_ascii_digit());
    let canonical = digits && (token == "0" || !token.starts_with('0'));
    if canonical { token.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_unescaped_once() {
        assert_eq!(unescape("a~01~1b").as_deref(), Some("a~1/b"));
        assert_eq!(unescape("a~2"), None);
        assert_eq!(unescape("a~"), None);
        assert_eq!(element_index("10"), Some(10));
        assert_eq!(element_index("01"), None);
        assert_eq!(element_index("-"), None);
        assert_eq!(element_index(""), None);
    }
}
