//! An object that is to be made: a base, then fields by `--set`, then by flags.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use headscale_acl::{LineIndex, MAX_POLICY_BYTES};
use headscale_api::kinds;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use serde_json::{Value, json};

use super::path::{Assignment, assignment, put_member};
use super::schema::{self, Problem};
use crate::commands::Context;
use crate::error::{CommandError, io_words};
use crate::input::read_file;
use crate::kubernetes::Resource;
use crate::locate::{self, Language};
use crate::place::PlacedError;
use crate::yaml;

/// What the server writes into an object, so that `kubectl get -o yaml` gives a base.
const OF_THE_SERVER: [&str; 6] =
    ["creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"];

/// What to make, beside the flags of the kind.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct DraftArgs {
    /// Begin with the object in this YAML or JSON file, `-` for standard input
    ///
    /// It is one object of the kind. Flags count more than --set, and that more than the file.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) filename: Option<PathBuf>,

    /// Set a field, such as config.dns.magic_dns=false (can be repeated)
    ///
    /// FIELD is a path in `spec`, or begins with `metadata.`; a dot in a name is written `\.`, an
    /// element of a list `[0]`. VALUE is YAML, or text where the kind wants text; `null` takes the
    /// field away.
    #[arg(long, value_name = "FIELD=VALUE", value_parser = assignment)]
    pub(super) set: Vec<Assignment>,
}

/// An object that is to be made.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    /// Its kind.
    pub(crate) resource: &'static Resource,
    /// The object, with `apiVersion`, `kind`, `metadata.name` and `spec`.
    pub(crate) object: Value,
    schema: JSONSchemaProps,
    base: Option<Base>,
}

/// The file that it began with.
#[derive(Clone, Debug)]
struct Base {
    name: String,
    text: String,
}

impl Draft {
    /// The object of `kind` that the file and the fields of `args` give, and the `name` if there is
    /// one.
    ///
    /// # Errors
    ///
    /// When the file is no object of that kind, with line and column; when there is no name.
    pub(super) fn new(
        kind: &str,
        name: Option<&str>,
        args: &DraftArgs,
        context: &mut Context<'_>,
    ) -> Result<Self, CommandError> {
        let resource = Resource::of_kind(kind);
        let (Some(resource), Some(schema)) = (resource, schema::of_kind(kind)) else {
            return Err(CommandError::usage(format!("no kind is called {kind}")));
        };
        let mut draft = Self {
            resource,
            object: json!({ "apiVersion": kinds::API_VERSION, "kind": kind, "metadata": {},
                "spec": {} }),
            schema,
            base: None,
        };
        if let Some(file) = &args.filename {
            draft.read(file, context)?;
        }
        for assignment in &args.set {
            assignment.set(&mut draft.object, &draft.schema)?;
        }
        if let Some(name) = name {
            draft.put("metadata.name", name);
        }
        if draft.name().is_empty() {
            return Err(CommandError::usage(format!("which {}? NAME is missing", resource.noun))
                .hint(format!("as in `kubectl headscale create {} NAME`", resource.noun)));
        }
        Ok(draft)
    }

    /// The name of the object.
    pub(crate) fn name(&self) -> &str {
        self.text("/metadata/name").unwrap_or_default()
    }

    /// The text at `pointer`.
    pub(crate) fn text(&self, pointer: &str) -> Option<&str> {
        self.object.pointer(pointer).and_then(Value::as_str)
    }

    /// Sets the field at `path`, whose names have no dots.
    pub(super) fn put(&mut self, path: &str, value: impl Into<Value>) {
        put_member(&mut self.object, path, value.into());
    }

    /// Sets the field at `path` if a flag has a value for it.
    pub(super) fn put_if<V: Into<Value>>(&mut self, path: &str, value: Option<V>) {
        if let Some(value) = value {
            self.put(path, value);
        }
    }

    /// Sets the field at `path` if nothing is there.
    pub(super) fn put_default(&mut self, path: &str, value: impl Into<Value>) {
        let pointer = format!("/{}", path.replace('.', "/"));
        if self.object.pointer(&pointer).is_none() {
            self.put(path, value);
        }
    }

    /// Whether the object has a field at `pointer`.
    pub(super) fn has(&self, pointer: &str) -> bool {
        self.object.pointer(pointer).is_some_and(|value| !value.is_null())
    }

    /// `NAME:LINE:COLUMN: MESSAGE` for what stands at `pointer`, where the object came from a file, or
    /// the field and the message.
    pub(super) fn placed(&self, pointer: &str, message: &str) -> String {
        match &self.base {
            Some(base) => placed(&base.name, &base.text, pointer, message),
            None => {
                let path = pointer.trim_start_matches('/').replace('/', ".");
                let path = path.replace("~1", "/").replace("~0", "~");
                format!("{path}: {message}")
            }
        }
    }

    /// Checks the whole object against the definition of its kind.
    ///
    /// # Errors
    ///
    /// With all that does not fit.
    pub(super) fn check(&self) -> Result<(), CommandError> {
        match self.told(schema::problems(&self.object, &self.schema, true)) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Takes the object of `file`.
    fn read(&mut self, file: &Path, context: &mut Context<'_>) -> Result<(), CommandError> {
        let (name, bytes) = if file == Path::new("-") {
            ("<stdin>".to_owned(), read_stdin(context)?)
        } else {
            let name = file.display().to_string();
            let bytes = read_file(&context.environment.cwd.join(file), &name)?;
            (name, bytes)
        };
        let text = String::from_utf8(bytes)
            .map_err(|_| CommandError::usage(format!("{name}: the file is not UTF-8")))?;
        let mut object: Value =
            yaml::read(&text).map_err(|error| CommandError::usage(error.in_file(&name)))?;
        let wrong = |pointer: &str, message: String| {
            CommandError::usage(placed(&name, &text, pointer, &message))
        };
        if !object.is_object() {
            return Err(wrong("", "expected an object of Kubernetes".to_owned()));
        }
        let kind = object.get("kind").and_then(Value::as_str);
        if kind != Some(self.resource.kind) {
            let found = kind.unwrap_or("nothing");
            let message = format!("kind must be {}, not {found}", self.resource.kind);
            let error = wrong("/kind", message);
            return Err(match kind.and_then(Resource::of_kind) {
                Some(other) => {
                    error.hint(format!("`kubectl headscale create {}` makes it", other.noun))
                }
                None => error,
            });
        }
        let version = object.get("apiVersion").and_then(Value::as_str);
        if version != Some(kinds::API_VERSION) {
            let found = version.unwrap_or("nothing");
            let message = format!("apiVersion must be {}, not {found}", kinds::API_VERSION);
            return Err(wrong("/apiVersion", message));
        }
        if let Some(members) = object.as_object_mut() {
            members.remove("status");
        }
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.retain(|name, _| !OF_THE_SERVER.contains(&name.as_str()));
        }
        self.base = Some(Base { name, text });
        let problems = schema::problems(&object, &self.schema, false);
        if let Some(error) = self.told(problems) {
            return Err(error);
        }
        self.object = object;
        Ok(())
    }

    /// The error that tells `problems`, with their places in the base; `None` where there are none.
    fn told(&self, problems: Vec<Problem>) -> Option<CommandError> {
        let mut lines = Vec::new();
        let mut hints = Vec::new();
        for Problem { pointer, message, hint } in problems {
            lines.push(match &self.base {
                Some(base) => placed(&base.name, &base.text, &pointer, &message),
                None => message,
            });
            hints.extend(hint.filter(|hint| !hints.contains(hint)));
        }
        let message = match lines.as_slice() {
            [] => return None,
            [only] => only.clone(),
            several => {
                let lines: String = several.iter().map(|line| format!("\n  {line}")).collect();
                let what = self.resource.noun;
                let n = several.len();
                format!("the {what} has {n} fields that do not fit{lines}")
            }
        };
        Some(CommandError { hints, ..CommandError::usage(message) })
    }
}

/// What standard input holds, up to the size of a file.
fn read_stdin(context: &mut Context<'_>) -> Result<Vec<u8>, CommandError> {
    let mut bytes = Vec::new();
    let read = (&mut *context.stdin).take(MAX_POLICY_BYTES).read_to_end(&mut bytes);
    read.map_err(|error| {
        CommandError::usage(format!("cannot read standard input: {}", io_words(&error)))
    })?;
    Ok(bytes)
}

/// `NAME:LINE:COLUMN: MESSAGE` for the member, or the element, at `pointer` of a YAML text.
fn placed(name: &str, text: &str, pointer: &str, message: &str) -> String {
    let span = locate::pointers(text, Language::Yaml, [pointer].into_iter()).into_iter().next();
    let placed = match span.flatten() {
        Some(span) => {
            let at = key_before(text, span.start, pointer).unwrap_or(span.start);
            let at = LineIndex::new(text.as_bytes()).position(at);
            PlacedError::at(at.line.into(), at.column.into(), message)
        }
        None => PlacedError::whole(message),
    };
    placed.in_file(name)
}

/// Where the key of the value at `start` stands, which may be lines before it.
fn key_before(text: &str, start: u32, pointer: &str) -> Option<u32> {
    let key = pointer.rsplit('/').next()?.replace("~1", "/").replace("~0", "~");
    let before = text.get(..usize::try_from(start).ok()?)?;
    let at = before.rfind(&key)?;
    let after = before.get(at + key.len()..)?.trim_start_matches(['"', '\'', ' ']);
    after.starts_with(':').then(|| u32::try_from(at).ok())?
}
