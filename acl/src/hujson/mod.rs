//! HuJSON exactly as Headscale reads it: JSON with comments and trailing commas, and nothing else.
//!
//! A text is read in two layers, because Headscale reads it in two. The first is HuJSON itself
//! ([`Document::parse`]); the second is what the JSON decoder behind it refuses although HuJSON
//! lets it pass ([`strictness`]): duplicate names, lone surrogates, invalid UTF-8 in strings,
//! nesting beyond 10,000.
//!
//! The tree is lossless by construction: it holds the text and the span of every value, and
//! whatever stands between two tokens is white space and comments. [`format()`] prints it in the
//! standard format; an [`Edit`] changes the text under it and keeps all else.
//!
//! ```
//! use headscale_acl::hujson::{Document, Kind};
//!
//! let doc = Document::parse(b"{\n\t// who may do what\n\t\"acls\": [],\n}\n");
//! assert!(doc.errors().is_empty());
//! let acls = doc.root().and_then(|root| root.member("acls"));
//! assert_eq!(acls.map(|value| value.kind()), Some(Kind::Array));
//! ```

mod change;
mod edit;
mod error;
mod format;
mod parse;
mod pointer;
mod standard;
pub mod strictness;
mod string;
mod tree;
mod walk;

pub use change::{Change, ChangeError, change};
pub use edit::{Edit, EditError, apply};
pub use error::{Habit, SyntaxError, SyntaxErrorKind};
pub use format::format;
pub use pointer::Pointers;
pub use standard::{minimize, standardize};
pub use string::quote;
pub use tree::{Document, Kind, Member, Node};
