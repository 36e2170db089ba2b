//! What a Headscale knows: on disk, but for logins in progress.

mod api_keys;
mod auth_keys;
mod nodes;
mod policy;
mod register;
mod routes;
mod stored;
mod users;
mod version;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use crate::clock::Clock;
use crate::failure::{Code, Failure};
use crate::moment::Moment;
use crate::options::{Options, PolicyMode, Version};

pub(crate) use auth_keys::NewAuthKey;
pub(crate) use nodes::Expiry;
pub(crate) use policy::KeptPolicy;
pub(crate) use register::Pending;
pub use register::Registration;
pub(crate) use stored::{ApiKey, AuthKey, Data, Method, Node, User};
pub(crate) use users::NewUser;

/// The name of the file, below the directory of the options.
const FILE: &str = "headscale.json";
/// What every database of SQLite begins with.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// The state of one stand-in. Every change is on disk when the call that makes it returns.
pub(crate) struct State {
    pub(crate) version: Version,
    clock: Clock,
    policy_mode: PolicyMode,
    policy_path: Option<PathBuf>,
    file: PathBuf,
    /// What stands before the data in the file.
    magic: &'static [u8],
    data: Data,
    /// Logins in progress by their id, which a restart forgets.
    pending: BTreeMap<String, Pending>,
    /// The text of every key made here, for tests of secrecy alone.
    ever: Vec<String>,
    /// Nothing is written any more once the server is down, whatever is still running.
    is_down: bool,
}

impl State {
    /// Reads what is stored. An error where this version does not start on it.
    pub(crate) fn open(options: &Options) -> io::Result<Self> {
        fs::create_dir_all(&options.directory)?;
        let (file, magic) = match &options.database {
            Some(file) => (file.clone(), MAGIC),
            None => (options.directory.join(FILE), &b""[..]),
        };
        let data: Data = match fs::read(&file) {
            Ok(bytes) => match bytes.strip_prefix(magic) {
                Some(text) => serde_json::from_slice(text)?,
                None => return Err(io::Error::other("file is not a database")),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Data::default(),
            Err(error) => return Err(error),
        };
        let reported = &options.reported_version;
        version::check(options.version, reported, data.version.as_deref())?;
        let mut state = Self {
            version: options.version,
            clock: options.clock.clone(),
            policy_mode: options.policy_mode,
            policy_path: options.policy_path.clone(),
            file,
            magic,
            data,
            pending: BTreeMap::new(),
            ever: Vec::new(),
            is_down: false,
        };
        let mut data = state.data.clone();
        if version::keeps(options.version) {
            data.version = Some(reported.clone());
        }
        state.replace(data)?;
        Ok(state)
    }

    /// Lets nothing be written from now on.
    pub(crate) fn take_down(&mut self) {
        self.is_down = true;
    }

    /// What is stored.
    pub(crate) fn data(&self) -> &Data {
        &self.data
    }

    /// The text of every key made since the start.
    pub(crate) fn every_key_ever(&self) -> &[String] {
        &self.ever
    }

    /// Replaces all that is stored.
    pub(crate) fn replace(&mut self, data: Data) -> io::Result<()> {
        self.write(&data)?;
        self.data = data;
        self.pending.clear();
        Ok(())
    }

    fn now(&self) -> Moment {
        Moment::from(self.clock.now())
    }

    /// Changes what is stored: all of it, or nothing where `change` fails.
    fn change<T>(
        &mut self,
        change: impl FnOnce(&mut Data) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if self.is_down {
            return Err(Failure::plain(Code::Unavailable, 503, "server is shutting down"));
        }
        let mut data = self.data.clone();
        let outcome = change(&mut data)?;
        self.write(&data)?;
        self.data = data;
        Ok(outcome)
    }

    /// By renaming, so that a reader finds the old or the new one.
    fn write(&self, data: &Data) -> io::Result<()> {
        let temporary = self.file.with_extension("new");
        fs::write(&temporary, [self.magic, &serde_json::to_vec_pretty(data)?].concat())?;
        fs::rename(&temporary, &self.file)
    }
}
