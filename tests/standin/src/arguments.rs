//! The arguments of a call, as each version reads them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::call::{Field, Kind, Place, Route};
use crate::failure::{Code, Failure};
use crate::moment::Moment;
use crate::options::Version;

/// The decoded arguments. What was not sent is empty, false or none.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    values: BTreeMap<&'static str, Argument>,
}

#[derive(Debug)]
enum Argument {
    Text(String),
    Flag(bool),
    Texts(Vec<String>),
    Time(Moment),
}

impl Arguments {
    pub(crate) fn text(&self, name: &str) -> &str {
        match self.values.get(name) {
            Some(Argument::Text(text)) => text,
            _ => "",
        }
    }

    /// A number; 0 where there is none. Only 0.30 gets as far with something else, and says `what`
    /// is wrong.
    pub(crate) fn id(&self, name: &str, what: &str) -> Result<u64, Failure> {
        match self.text(name) {
            "" => Ok(0),
            text => parse_id(text).map_err(|why| Failure::below(400, what, why)),
        }
    }

    /// The number of a node, whose absence in the path is worded alike by all versions.
    pub(crate) fn node(&self) -> Result<u64, Failure> {
        parse_id(self.text("nodeId")).map_err(|why| mismatch("node_id", &why))
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        matches!(self.values.get(name), Some(Argument::Flag(true)))
    }

    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        match self.values.get(name) {
            Some(Argument::Texts(texts)) => texts.clone(),
            _ => Vec::new(),
        }
    }

    pub(crate) fn time(&self, name: &str) -> Option<Moment> {
        match self.values.get(name) {
            Some(Argument::Time(moment)) => Some(*moment),
            _ => None,
        }
    }

    fn put(&mut self, field: &Field, argument: Argument) {
        self.values.insert(field.name, argument);
    }
}

/// What was sent, taken apart.
pub(crate) struct Sent<'r> {
    /// Parameters of the path, decoded.
    pub(crate) path: Vec<(&'static str, String)>,
    /// The query, decoded.
    pub(crate) query: Vec<(String, String)>,
    pub(crate) content_type: Option<&'r str>,
    pub(crate) body: &'r [u8],
}

impl Sent<'_> {
    fn parameter(&self, name: &str) -> Option<&str> {
        self.path.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
    }
}

/// Reads as the gateway of 0.29 and older: both spellings of names, numbers as text or not,
/// whatever is unknown ignored.
pub(crate) fn lenient(
    version: Version,
    route: &Route,
    sent: &Sent<'_>,
) -> Result<Arguments, Failure> {
    let mut arguments = Arguments::default();
    let wants = |place: Place| {
        let fields = route.fields.iter().filter(move |field| field.since <= version);
        fields.filter(move |field| field.place == place)
    };
    let has_body = wants(Place::Body).next().is_some();
    if has_body && !sent.body.is_empty() {
        // What follows the first value is not looked at.
        let mut values = serde_json::Deserializer::from_slice(sent.body).into_iter::<Value>();
        let body = values.next().transpose().map_err(|error| {
            let words =
                if error.is_eof() { "unexpected EOF".to_owned() } else { error.to_string() };
            invalid(words)
        })?;
        let body = body.unwrap_or_else(|| Value::Object(Map::new()));
        let body = body.as_object().ok_or_else(|| {
            invalid("proto: syntax error (line 1:1): unexpected token".to_owned())
        })?;
        for field in wants(Place::Body) {
            let value = body.get(field.name).or_else(|| body.get(&snake_case(field.name)));
            let Some(value) = value.filter(|value| !value.is_null()) else { continue };
            let argument = from_lenient_json(field, value).ok_or_else(|| {
                let kind = proto_kind(field.kind);
                let name = field.name;
                invalid(format!(
                    "proto: (line 1:1): invalid value for {kind} field {name}: {value}"
                ))
            })?;
            arguments.put(field, argument);
        }
    }
    for field in wants(Place::Path) {
        let text = sent.parameter(field.name).unwrap_or_default().to_owned();
        if field.kind == Kind::Id
            && let Err(why) = parse_id(&text)
        {
            return Err(mismatch(&snake_case(field.name), &why));
        }
        arguments.put(field, Argument::Text(text));
    }
    for field in wants(Place::Query).chain(wants(Place::Moved)) {
        let is_meant = |key: &str| key == field.name || key == snake_case(field.name);
        let Some((_, text)) = sent.query.iter().find(|(key, _)| is_meant(key)) else { continue };
        let argument = from_query(field, text)
            .map_err(|why| invalid(format!("parsing field {:?}: {why}", snake_case(field.name))))?;
        arguments.put(field, argument);
    }
    Ok(arguments)
}

/// Reads as 0.30: JSON alone, every property known and of its type.
pub(crate) fn strict(route: &Route, sent: &Sent<'_>) -> Result<Arguments, Refusal> {
    let mut arguments = Arguments::default();
    let mut errors = Vec::new();
    for field in route.fields.iter().filter(|field| field.place == Place::Path) {
        let text = sent.parameter(field.name).unwrap_or_default().to_owned();
        arguments.put(field, Argument::Text(text));
    }
    for field in route.fields.iter().filter(|field| field.place == Place::Query) {
        let Some((_, text)) = sent.query.iter().find(|(key, _)| key == field.name) else {
            continue;
        };
        if field.kind == Kind::Flag && !text.is_empty() && parse_flag(text).is_err() {
            let location = format!("query.{}", field.name);
            errors.push(problem("invalid boolean", &location, &json!(text)));
        } else if field.kind == Kind::Flag {
            arguments.put(field, Argument::Flag(parse_flag(text).unwrap_or_default()));
        } else {
            arguments.put(field, Argument::Text(text.clone()));
        }
    }
    let fields: Vec<&Field> = route
        .fields
        .iter()
        .filter(|field| matches!(field.place, Place::Body | Place::Moved))
        .collect();
    let mut status = 422;
    if !fields.is_empty() {
        let is_optional = fields.iter().all(|field| field.place == Place::Moved);
        if sent.body.is_empty() && !is_optional {
            return Err(Refusal {
                status: 400,
                detail: "request body is required",
                errors: vec![],
            });
        }
        if !sent.body.is_empty() {
            match parse_body(sent) {
                Ok(body) => read_strictly(&fields, &body, &mut arguments, &mut errors),
                Err((code, error)) => {
                    status = code;
                    errors.push(error);
                }
            }
        }
    }
    if errors.is_empty() {
        return Ok(arguments);
    }
    Err(Refusal { status, detail: "validation failed", errors })
}

/// Why 0.30 does not take a request, before it looks at what it asks for.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) detail: &'static str,
    pub(crate) errors: Vec<Value>,
}

fn parse_body(sent: &Sent<'_>) -> Result<Value, (u16, Value)> {
    let text = String::from_utf8_lossy(sent.body);
    let refuse = |status: u16, why: String| (status, problem(&why, "body", &json!(text)));
    let sent_type = sent.content_type.unwrap_or_default();
    let media_type = sent_type.split(';').next().unwrap_or_default().trim();
    let is_json = media_type.is_empty()
        || media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"));
    if !is_json {
        return Err(refuse(415, format!("unknown content type: {sent_type}")));
    }
    serde_json::from_slice(sent.body).map_err(|error| {
        let words = if error.is_eof() {
            "unexpected end of JSON input".to_owned()
        } else {
            error.to_string()
        };
        refuse(400, words)
    })
}

fn read_strictly(
    fields: &[&Field],
    body: &Value,
    arguments: &mut Arguments,
    errors: &mut Vec<Value>,
) {
    let Some(members) = body.as_object() else {
        errors.push(problem("expected object", "body", body));
        return;
    };
    for field in fields {
        let Some(value) = members.get(field.name).filter(|value| !value.is_null()) else {
            continue;
        };
        let location = format!("body.{}", field.name);
        if let (Kind::Texts, Some(items)) = (field.kind, value.as_array()) {
            let wrong = items.iter().enumerate().filter(|(_, item)| !item.is_string());
            errors.extend(
                wrong.map(|(at, item)| {
                    problem("expected string", &format!("{location}[{at}]"), item)
                }),
            );
        }
        match from_strict_json(field, value) {
            Ok(argument) => arguments.put(field, argument),
            Err(why) => errors.push(problem(why, &location, value)),
        }
    }
    for name in members.keys() {
        if !fields.iter().any(|field| field.name == name) {
            errors.push(problem("unexpected property", &format!("body.{name}"), body));
        }
    }
}

fn problem(message: &str, location: &str, value: &Value) -> Value {
    let mut error = Map::new();
    error.insert("message".to_owned(), json!(message));
    error.insert("location".to_owned(), json!(location));
    error.insert("value".to_owned(), value.clone());
    Value::Object(error)
}

fn from_lenient_json(field: &Field, value: &Value) -> Option<Argument> {
    match field.kind {
        Kind::Text => value.as_str().map(|text| Argument::Text(text.to_owned())),
        Kind::Id => {
            let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            text.parse::<u64>().ok().map(|_| Argument::Text(text))
        }
        Kind::Flag => value.as_bool().map(Argument::Flag),
        Kind::Texts => texts(value).map(Argument::Texts),
        Kind::Time => value.as_str().and_then(Moment::parse).map(Argument::Time),
    }
}

fn from_strict_json(field: &Field, value: &Value) -> Result<Argument, &'static str> {
    match field.kind {
        Kind::Text | Kind::Id => {
            value.as_str().map(|text| Argument::Text(text.to_owned())).ok_or("expected string")
        }
        Kind::Flag => value.as_bool().map(Argument::Flag).ok_or("expected boolean"),
        Kind::Texts if value.is_array() => Ok(Argument::Texts(texts(value).unwrap_or_default())),
        Kind::Texts => Err("expected array"),
        Kind::Time => {
            let text = value.as_str().ok_or("expected string")?;
            Moment::parse(text)
                .map(Argument::Time)
                .ok_or("expected string to be RFC 3339 date-time")
        }
    }
}

fn from_query(field: &Field, text: &str) -> Result<Argument, String> {
    match field.kind {
        Kind::Text => Ok(Argument::Text(text.to_owned())),
        Kind::Id => parse_id(text).map(|_| Argument::Text(text.to_owned())),
        Kind::Flag => parse_flag(text).map(Argument::Flag),
        Kind::Texts => Ok(Argument::Texts(vec![text.to_owned()])),
        Kind::Time => Moment::parse(text)
            .map(Argument::Time)
            .ok_or_else(|| format!("invalid google.protobuf.Timestamp value {text:?}")),
    }
}

fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|item| item.as_str().map(ToOwned::to_owned)).collect()
}

/// As Go reads numbers, with its words where it cannot.
fn parse_id(text: &str) -> Result<u64, String> {
    text.parse::<u64>().map_err(|_| {
        let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let why = if is_number { "value out of range" } else { "invalid syntax" };
        format!("strconv.ParseUint: parsing {text:?}: {why}")
    })
}

/// As Go reads booleans, with its words where it cannot.
fn parse_flag(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("strconv.ParseBool: parsing {text:?}: invalid syntax")),
    }
}

fn proto_kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Texts => "string",
        Kind::Id => "uint64",
        Kind::Flag => "bool",
        Kind::Time => "google.protobuf.Timestamp",
    }
}

/// The name of a field in a `.proto`.
fn snake_case(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

fn invalid(message: String) -> Failure {
    Failure::plain(Code::InvalidArgument, 400, message)
}

fn mismatch(name: &str, why: &str) -> Failure {
    invalid(format!("type mismatch, parameter: {name}, error: {why}"))
}
