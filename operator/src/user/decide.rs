//! What comes next for a user.

use std::time::Duration;

use headscale_api::kinds::{HeadscaleUser, names};
use headscale_client::{ErrorKind, NewUser, User};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;

use crate::conditions::{self, Verdict};
use crate::instance::AskError;
use crate::names::FORCE_DELETE_ANNOTATION;
use crate::objects::{self, Managed as _};
use crate::stored;

/// How soon it is looked again where something that nobody tells of is in the way.
const SOON: Duration = Duration::from_secs(30);

/// The Headscale that the user is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceView {
    /// There is none of that name.
    Missing,
    /// It is being deleted.
    Ending,
    /// It is there.
    There,
}

/// What Headscale says.
#[derive(Clone, Copy, Debug)]
pub enum Users<'a> {
    /// It was not asked.
    NotAsked,
    /// It could not be asked.
    Failed(&'a AskError),
    /// All of its users. Those that are not `fresh` may be as they were a while ago.
    Known {
        /// Them.
        users: &'a [User],
        /// Whether they were asked for by this turn, after whatever it did.
        fresh: bool,
    },
}

/// What became of the last thing that was done in Headscale.
#[derive(Clone, Copy, Debug)]
pub enum Done<'a> {
    /// Nothing was.
    Nothing,
    /// The user was made.
    Created(&'a User),
    /// The user is gone.
    Deleted,
    /// It failed.
    Failed(&'a AskError),
}

/// Everything that a decision is made from.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// The object.
    pub user: &'a HeadscaleUser,
    /// The Headscale that it names, or in which it was made.
    pub instance: InstanceView,
    /// Another object that stands for the same user and comes first: one that is older.
    pub elder: Option<&'a str>,
    /// Another object that stands for the same user, whoever comes first.
    pub heir: Option<&'a str>,
    /// What Headscale says.
    pub users: Users<'a>,
    /// What was done.
    pub done: Done<'a>,
    /// How long a Headscale that is away is waited for when the object is deleted.
    pub patience: Duration,
    /// What time it is.
    pub now: Timestamp,
}

/// The next thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Nothing at all: it is not ours to do.
    Nothing,
    /// Ask Headscale for its users; where `fresh` is not set, an answer of a while ago will do.
    Ask {
        /// Whether they are to be asked for now.
        fresh: bool,
    },
    /// Set the finalizer and where the user is made.
    Hold,
    /// Make the user.
    Create(NewUser),
    /// Remove the user of this number.
    Delete(u64),
    /// Take the finalizer away, and tell why where that is not as it should be.
    LetGo(Option<(&'static str, String)>),
    /// Write the status, and look again after a while.
    Say {
        /// What `Ready` says; `None` where nothing is known and what was said stays.
        ready: Option<Verdict>,
        /// What Headscale has of the user; `None` leaves what was said.
        user: Option<Identity>,
        /// When to look again; `None` for when it is looked at all objects.
        again: Option<Duration>,
        /// Whether the next look should come after a longer pause each time.
        is_failure: bool,
    },
}

/// What tells a user from others, also from one that got its number after the database was
/// replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Headscale's number of it.
    pub id: u64,
    /// When it was made.
    pub created_at: Option<Timestamp>,
}

impl Identity {
    fn of(user: &User) -> Self {
        Self { id: user.id, created_at: user.created_at }
    }

    /// What the status says.
    #[must_use]
    pub fn from_status(user: &HeadscaleUser) -> Option<Self> {
        let status = user.status.as_ref()?;
        let id = status.user_id.as_ref()?.parse().ok()?;
        let created_at = status.created_at.as_ref().and_then(|time| time.parse().ok());
        Some(Self { id, created_at })
    }

    /// Whether this is the user.
    fn is(&self, user: &User) -> bool {
        let same_time = match (self.created_at, user.created_at) {
            (Some(said), Some(is)) => is_same_time(said, is),
            _ => true,
        };
        self.id == user.id && same_time
    }
}

/// Whether what was `said` is when a user was made. The Go operator keeps whole seconds, and a
/// database may round what Headscale says when it makes a user. Two users that get the same number
/// can be made within a second: the second one after the database was lost.
pub(super) fn is_same_time(said: Timestamp, is: Timestamp) -> bool {
    if said.subsec_nanosecond() == 0 {
        return said.as_second() == is.as_second();
    }
    said.duration_since(is).abs() <= SignedDuration::from_millis(1)
}

/// What comes next. Decides from its arguments alone.
#[must_use]
pub fn decide(observed: &Observed<'_>) -> Decision {
    match objects::deleted_at(observed.user) {
        Some(at) => deletion(observed, at),
        None => life(observed),
    }
}

fn bad(reason: &'static str, message: String, again: Option<Duration>) -> Decision {
    let ready = Some(Verdict::bad(reason, message));
    Decision::Say { ready, user: None, again, is_failure: false }
}

/// A failure that is tried again after longer and longer pauses.
fn failure(reason: &'static str, message: String) -> Decision {
    let ready = Some(Verdict::bad(reason, message));
    Decision::Say { ready, user: None, again: None, is_failure: true }
}

fn life(observed: &Observed<'_>) -> Decision {
    let user = observed.user;
    let name = &user.spec.username;
    if let Some(ready) = stored::verdict(user) {
        return Decision::Say { ready: Some(ready), user: None, again: None, is_failure: false };
    }
    if objects::has_moved(user) {
        let made_in = objects::made_in(user).unwrap_or_default();
        let message = format!(
            "spec.headscaleRef is {}, and the user was made in Headscale {made_in}: set it back, \
             or delete this object and make another",
            user.spec.headscale_ref
        );
        return bad("HeadscaleRefChanged", message, None);
    }
    match observed.instance {
        InstanceView::There => {}
        InstanceView::Missing => {
            let message = format!(
                "Referenced Headscale instance {} not found: make it in namespace {}, or correct \
                 spec.headscaleRef",
                user.spec.headscale_ref,
                user.namespace().unwrap_or_default()
            );
            return bad("HeadscaleNotFound", message, None);
        }
        InstanceView::Ending => {
            let message = format!("Headscale {} is being deleted", user.spec.headscale_ref);
            return bad("HeadscaleNotFound", message, Some(SOON));
        }
    }
    if let Some(elder) = observed.elder {
        let message = format!(
            "HeadscaleUser {elder} is older and stands for user {name} already: delete one of them"
        );
        return bad("UserClaimed", message, None);
    }
    if !objects::has_finalizer(user) || objects::made_in(user) != Some(&user.spec.headscale_ref) {
        return Decision::Hold;
    }
    match observed.done {
        Done::Created(made) => return ready(user, made),
        Done::Failed(error) if error.kind() != Some(ErrorKind::AlreadyExists) => {
            let message = format!("Failed to create user: {}", error.with_hint());
            return failure("UserCreationFailed", message);
        }
        _ => {}
    }
    let identity = Identity::from_status(user);
    let (users, fresh) = match observed.users {
        Users::NotAsked => return Decision::Ask { fresh: false },
        Users::Failed(error) => return not_asked(user, error),
        Users::Known { users, fresh } => (users, fresh),
    };
    let mine = identity.as_ref().and_then(|identity| users.iter().find(|it| identity.is(it)));
    if let Some(mine) = mine {
        if mine.name == *name {
            return ready(user, mine);
        }
        if !fresh {
            return Decision::Ask { fresh: true };
        }
        let message = format!(
            "user {} is called {} in Headscale now, not {name}: rename it back (`headscale users \
             rename -i {} -r {name}`), or delete this object, which leaves that user alone",
            mine.id, mine.name, mine.id
        );
        return bad("UserRenamed", message, Some(SOON));
    }
    if let Some(namesake) = users.iter().find(|it| it.name == *name) {
        return ready(user, namesake);
    }
    if !fresh {
        return Decision::Ask { fresh: true };
    }
    if let Done::Failed(error) = observed.done {
        let message = format!(
            "Failed to create user: {} (and Headscale does not list one of that name)",
            error.with_hint()
        );
        return failure("UserCreationFailed", message);
    }
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    Decision::Create(NewUser {
        name: name.clone(),
        display_name: text(&user.spec.display_name),
        email: text(&user.spec.email),
        picture_url: text(&user.spec.picture_url),
    })
}

fn ready(user: &HeadscaleUser, is: &User) -> Decision {
    let differs = |wanted: &Option<String>, is: &str, field| {
        wanted.as_ref().filter(|wanted| *wanted != is).map(|_| field)
    };
    let fields = [
        differs(&user.spec.display_name, &is.display_name, "displayName"),
        differs(&user.spec.email, &is.email, "email"),
        differs(&user.spec.picture_url, &is.profile_picture_url, "pictureURL"),
    ];
    let fields: Vec<_> = fields.into_iter().flatten().collect();
    let message = if fields.is_empty() {
        "User is ready in Headscale".to_owned()
    } else {
        format!(
            "User is ready in Headscale; {} is different there, and Headscale has no way to change \
             it",
            fields.join(", ")
        )
    };
    Decision::Say {
        ready: Some(Verdict::good("UserReady", message)),
        user: Some(Identity::of(is)),
        again: None,
        is_failure: false,
    }
}

/// Headscale could not be asked.
fn not_asked(user: &HeadscaleUser, error: &AskError) -> Decision {
    let was_ready = conditions::holds(user.conditions(), names::READY)
        && user.observed_generation() == user.metadata.generation;
    if error.is_away() && was_ready {
        // Nothing is known that would change what was said: the Headscale's own status says that it
        // is away.
        return Decision::Say { ready: None, user: None, again: None, is_failure: true };
    }
    let (reason, what) = if Identity::from_status(user).is_some() {
        ("UserVerificationFailed", "Failed to verify user")
    } else {
        ("UserCreationFailed", "Failed to create user")
    };
    failure(reason, format!("{what}: {}", error.with_hint()))
}

fn deletion(observed: &Observed<'_>, at: Timestamp) -> Decision {
    let user = observed.user;
    if !objects::has_finalizer(user) {
        return Decision::Nothing;
    }
    if objects::is_forced(user) {
        let note = format!(
            "annotation {FORCE_DELETE_ANNOTATION}: whatever Headscale has of user {} stays there",
            user.spec.username
        );
        return Decision::LetGo(Some(("UserOrphaned", note)));
    }
    let is_over = matches!(observed.done, Done::Deleted)
        // Its users go with it, or outlive it with its volume.
        || observed.instance != InstanceView::There
        // Theirs now.
        || observed.elder.is_some()
        || observed.heir.is_some();
    if is_over {
        return Decision::LetGo(None);
    }
    if stored::is_unreadable(user, "username") {
        // It may be another's by now.
        let note = "spec.username cannot be read, so whatever Headscale has of the user stays \
                    there: delete it by hand (`headscale users destroy`)";
        return Decision::LetGo(Some(("UserLeft", note.to_owned())));
    }
    if let Done::Failed(error) = observed.done {
        return not_deleted(observed, error, at);
    }
    let (users, fresh) = match observed.users {
        Users::NotAsked => return Decision::Ask { fresh: true },
        Users::Failed(error) => return not_deleted(observed, error, at),
        Users::Known { users, fresh } => (users, fresh),
    };
    if !fresh {
        return Decision::Ask { fresh: true };
    }
    let name = &user.spec.username;
    match Identity::from_status(user) {
        Some(identity) => match users.iter().find(|it| identity.is(it)) {
            Some(mine) if mine.name == *name => Decision::Delete(mine.id),
            Some(renamed) => {
                let note = format!(
                    "user {} was renamed to {} by hand, and stays in Headscale",
                    renamed.id, renamed.name
                );
                Decision::LetGo(Some(("UserLeft", note)))
            }
            None => Decision::LetGo(None),
        },
        // It may have been made without anybody having written that down.
        None => match users.iter().find(|it| it.name == *name) {
            Some(mine) if objects::made_in(user).is_some() => Decision::Delete(mine.id),
            _ => Decision::LetGo(None),
        },
    }
}

fn not_deleted(observed: &Observed<'_>, error: &AskError, at: Timestamp) -> Decision {
    let name = &observed.user.spec.username;
    if error.kind() == Some(ErrorKind::NotFound) {
        return Decision::LetGo(None);
    }
    if error.kind() == Some(ErrorKind::Invalid) && matches!(observed.done, Done::Failed(_)) {
        let message = format!(
            "user {name} still has nodes, and is deleted once they are gone: remove them \
             (`headscale nodes delete`), or set annotation {FORCE_DELETE_ANNOTATION}: \"true\" to \
             leave the user in Headscale. {error}"
        );
        return bad("UserHasNodes", message, Some(SOON));
    }
    let patience = SignedDuration::try_from(observed.patience).unwrap_or(SignedDuration::MAX);
    if observed.now.duration_since(at) >= patience {
        let note = format!(
            "user {name} could not be deleted within {patience:#} and may still be in Headscale: \
             {error}"
        );
        return Decision::LetGo(Some(("UserOrphaned", note)));
    }
    let message = format!(
        "Failed to delete user: {}; it is tried for {patience:#}, then left there",
        error.with_hint()
    );
    failure("UserDeletionFailed", message)
}
