//! What Headscale has: users, nodes, pre-auth keys and a policy.

mod node;
mod policy;
mod preauth_key;
mod user;

pub use node::{NewDebugNode, Node, NodeExpiry, NodePreAuthKey, RegisterMethod};
pub use policy::Policy;
pub use preauth_key::{CreatedPreAuthKey, NewPreAuthKey, PreAuthKey};
pub use user::{NewUser, User, UserFilter};
