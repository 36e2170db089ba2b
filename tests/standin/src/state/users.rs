//! Users.

use super::{State, User};
use crate::failure::{Code, Failure};
use crate::options::Version;

/// What a new user shall be; all of it may be empty.
#[derive(Clone, Debug, Default)]
pub(crate) struct NewUser {
    pub(crate) name: String,
    pub(crate) display_name: String,
    pub(crate) email: String,
    pub(crate) picture_url: String,
}

impl State {
    /// Makes a user. Names are not checked, as in the real one.
    pub(crate) fn create_user(&mut self, wanted: NewUser) -> Result<User, Failure> {
        if self.data.user_named(&wanted.name).is_some() {
            if self.version >= Version::V0_30 && !wanted.name.is_empty() {
                return Err(Failure::plain(Code::AlreadyExists, 409, "user already exists"));
            }
            let taken = Failure::name_taken("creating user", "creating user");
            let verb = if self.version == Version::V0_28 { "failed to create" } else { "creating" };
            let message = format!("{verb} user: {}", taken.message);
            return Err(taken.code(Code::Internal).message(message));
        }
        let created_at = self.now();
        self.change(|data| {
            data.last.user += 1;
            let NewUser { name, display_name, email, picture_url } = wanted;
            let id = data.last.user;
            let user = User { id, name, display_name, email, picture_url, created_at };
            data.users.push(user.clone());
            Ok(user)
        })
    }

    /// Gives a user another name.
    pub(crate) fn rename_user(&mut self, id: u64, name: &str) -> Result<User, Failure> {
        const DOING: &str = "renaming user";
        self.data.user(id).ok_or_else(|| Failure::user_not_found(DOING))?;
        if name.is_empty() {
            // The database takes it for no change, and then the user is looked up by it.
            let id = self.user_by_name(name, DOING)?;
            return self.data.user(id).cloned().ok_or_else(|| Failure::user_not_found(DOING));
        }
        if self.data.user_named(name).is_some_and(|other| other.id != id) {
            return Err(Failure::name_taken(DOING, "updating user"));
        }
        self.change(|data| {
            let user = data.users.iter_mut().find(|user| user.id == id);
            let user = user.ok_or_else(|| Failure::user_not_found(DOING))?;
            name.clone_into(&mut user.name);
            Ok(user.clone())
        })
    }

    /// Removes a user without nodes, and its pre-auth keys; on 0.28 those of every user.
    pub(crate) fn delete_user(&mut self, id: u64) -> Result<(), Failure> {
        const DOING: &str = "deleting user";
        self.data.user(id).ok_or_else(|| Failure::user_not_found(DOING))?;
        if self.data.nodes.iter().any(|node| node.user == Some(id)) {
            return Err(Failure::below(400, DOING, "user not empty: node(s) found"));
        }
        let takes_all = self.version == Version::V0_28;
        self.change(|data| {
            data.remove_auth_keys(|key| takes_all || key.user == Some(id));
            data.users.retain(|user| user.id != id);
            Ok(())
        })
    }

    /// The users that one filter lets through: the name, else the address, else the number.
    pub(crate) fn list_users(&self, name: &str, email: &str, id: u64) -> Vec<User> {
        let is_wanted = |user: &&User| match (name, email, id) {
            ("", "", 0) => true,
            ("", "", id) => user.id == id,
            ("", email, _) => user.email == email,
            (name, _, _) => user.name == name,
        };
        self.data.users.iter().filter(is_wanted).cloned().collect()
    }

    /// The user of this name, which must be there. No name is any user, of which there must be one.
    pub(super) fn user_by_name(&self, name: &str, doing: &str) -> Result<u64, Failure> {
        let mut found = self.data.users.iter().filter(|user| name.is_empty() || user.name == name);
        match (found.next(), found.count()) {
            (None, _) => Err(Failure::user_not_found(doing)),
            (Some(user), 0) => Ok(user.id),
            (Some(_), more) => {
                let found = more + 1;
                let words = format!("expected exactly one user, found {found}");
                Err(Failure::below(500, doing, words))
            }
        }
    }
}
