//! What a WebAssembly binary is and asks for, read without running or compiling any of it.

use serde::Serialize;
use thiserror::Error;
use wasmparser::component_types::ComponentEntityType;
use wasmparser::types::TypesRef;
use wasmparser::{Chunk, Encoding, Parser, Payload, Validator};

use crate::digest::Digest;

/// What every WebAssembly binary begins with.
const MAGIC: &[u8] = b"\0asm";

/// What kind of content it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A WebAssembly component.
    Component,
    /// A core WebAssembly module.
    CoreModule,
    /// No WebAssembly binary.
    Other,
}

/// Something that a component imports or exports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Extern {
    /// Its name, with the version where it has one: `headscale:policy/log@0.1.0`.
    pub name: String,
    /// Whether there is anything to call or to run in it. Of an import, `false` means that it
    /// only names types, so that granting it grants nothing.
    pub capability: bool,
}

/// What [`inspect`] found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    /// What kind of content it is.
    pub kind: Kind,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub digest: Digest,
    /// What a component imports, by name; empty for other kinds.
    pub imports: Vec<Extern>,
    /// What a component exports, by name; empty for other kinds.
    pub exports: Vec<Extern>,
}

impl Inspection {
    /// The names of the imports that are capabilities, sorted.
    pub fn capabilities(&self) -> impl Iterator<Item = &str> {
        self.imports.iter().filter(|import| import.capability).map(|import| import.name.as_str())
    }
}

/// A WebAssembly binary that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("broken WebAssembly at byte {offset}: {message}")]
pub struct InspectError {
    /// Where, counted from 0.
    pub offset: u64,
    /// What is wrong.
    pub message: String,
}

impl From<wasmparser::BinaryReaderError> for InspectError {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        Self { offset: error.offset() as u64, message: error.message().to_owned() }
    }
}

/// Reads what `content` is. Function bodies are skipped; the time is linear in the size.
///
/// # Errors
///
/// When it begins as WebAssembly and then is none: cut short, broken, or of an unknown version.
pub fn inspect(content: &[u8]) -> Result<Inspection, InspectError> {
    let mut inspection = Inspection {
        kind: kind(content)?,
        size: content.len() as u64,
        digest: Digest::of(content),
        imports: Vec::new(),
        exports: Vec::new(),
    };
    match inspection.kind {
        Kind::Component => read_component(content, &mut inspection)?,
        Kind::CoreModule => check_module(content)?,
        Kind::Other => {}
    }
    Ok(inspection)
}

/// What the preamble says.
fn kind(content: &[u8]) -> Result<Kind, InspectError> {
    if !content.starts_with(MAGIC) {
        return Ok(Kind::Other);
    }
    Ok(match Parser::new(0).parse(content, true)? {
        Chunk::Parsed {
            payload: Payload::Version { encoding: Encoding::Component, .. }, ..
        } => Kind::Component,
        Chunk::Parsed { .. } | Chunk::NeedMoreData(_) => Kind::CoreModule,
    })
}

fn check_module(content: &[u8]) -> Result<(), InspectError> {
    for payload in Parser::new(0).parse_all(content) {
        payload?;
    }
    Ok(())
}

fn read_component(content: &[u8], into: &mut Inspection) -> Result<(), InspectError> {
    let mut validator = Validator::new();
    // How many components and modules the current payload stands in.
    let mut depth = 0_usize;
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(content) {
        let payload = payload?;
        match &payload {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section.clone() {
                    imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section.clone() {
                    exports.push(export?.name.name.to_owned());
                }
            }
            _ => {}
        }
        // A body that is not validated yet comes back as such, and is dropped.
        if let wasmparser::ValidPayload::End(types) = validator.payload(&payload)?
            && depth == 0
        {
            let types = types.as_ref();
            into.imports = externs(&imports, |name| {
                types.component_item_for_import(name).is_none_or(|item| runs(&types, item.ty))
            });
            into.exports = externs(&exports, |name| {
                types.component_item_for_export(name).is_none_or(|item| runs(&types, item.ty))
            });
        }
    }
    Ok(())
}

fn externs(names: &[String], capability: impl Fn(&str) -> bool) -> Vec<Extern> {
    let mut externs: Vec<Extern> = names
        .iter()
        .map(|name| Extern { name: name.clone(), capability: capability(name) })
        .collect();
    externs.sort();
    externs
}

/// Whether there is anything in `entity` but types.
fn runs(types: &TypesRef<'_>, entity: ComponentEntityType) -> bool {
    match entity {
        ComponentEntityType::Type { .. } => false,
        ComponentEntityType::Instance(id) => {
            types.get(id).is_none_or(|ty| ty.exports.values().any(|item| runs(types, item.ty)))
        }
        ComponentEntityType::Module(_)
        | ComponentEntityType::Func(_)
        | ComponentEntityType::Value(_)
        | ComponentEntityType::Component(_) => true,
    }
}
