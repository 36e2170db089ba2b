//! What can be told of a component without compiling it.
//!
//! Nothing meters a compiler, so what would cost it too much is refused before.

use wasmparser::{BlockType, FunctionBody, Operator, Parser, Payload};

use crate::error::{Failure, NotAComponent};
use crate::limits::{Hit, Limit, Limits};

/// Package of the interface.
pub(crate) const PACKAGE: &str = "headscale:policy";

/// The version of the interface that is served.
pub(crate) const SERVED: &str = "0.1.0";

/// The interface that each plugin exports.
const META: &str = "headscale:policy/meta@0.1.0";

/// Major, minor and patch.
type Version = (u64, u64, u64);

/// What a component imports and exports, as its own text says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surface {
    /// Names of its imports; interfaces that only define types are among them.
    pub imports: Vec<String>,
    /// Names of its exports.
    pub exports: Vec<String>,
    /// How many functions there are in it.
    pub functions: u64,
    /// Bytes of their code.
    pub code: u64,
    /// What their branches may cost a compiler: see [`Limit::Branches`].
    pub branches: u64,
}

/// Reads what a component imports and exports, and how much code there is in it, without running or
/// compiling anything: linear in its bytes.
///
/// # Errors
///
/// When it is no component, or one that is too large to be compiled.
pub fn scan(bytes: &[u8], limits: &Limits) -> Result<Surface, Failure> {
    look_through(bytes, limits, true)
}

/// The same of a component that was compiled before: its branches are not counted.
pub(crate) fn scan_surface(bytes: &[u8], limits: &Limits) -> Result<Surface, Failure> {
    look_through(bytes, limits, false)
}

fn look_through(bytes: &[u8], limits: &Limits, into_code: bool) -> Result<Surface, Failure> {
    let too_large = |limit| Failure::TooLarge(Hit::of(limit, limits));
    if wasmtime::Engine::detect_precompiled(bytes).is_some() {
        return Err(Failure::NotAComponent(NotAComponent::Compiled));
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(Failure::NotAComponent(NotAComponent::NotWasm));
    }
    if Parser::is_core_wasm(bytes) {
        return Err(Failure::NotAComponent(NotAComponent::CoreModule));
    }
    if bytes.len() as u64 > limits.get(Limit::Size) {
        return Err(too_large(Limit::Size));
    }
    let damaged = |error: wasmparser::BinaryReaderError| {
        Failure::Damaged(crate::text::line(&error.to_string(), 500))
    };
    let mut surface = Surface::default();
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(damaged)? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CodeSectionStart { count, size, .. } => {
                surface.functions += u64::from(count);
                surface.code += u64::from(size);
                if surface.functions > limits.get(Limit::Functions) {
                    return Err(too_large(Limit::Functions));
                }
                if surface.code > limits.get(Limit::Code) {
                    return Err(too_large(Limit::Code));
                }
            }
            Payload::CodeSectionEntry(body) if into_code => {
                let more = branches(&body).map_err(damaged)?;
                surface.branches = surface.branches.saturating_add(more);
                if surface.branches > limits.get(Limit::Branches) {
                    return Err(too_large(Limit::Branches));
                }
            }
            Payload::ComponentImportSection(imports) if depth == 0 => {
                for import in imports {
                    surface.imports.push(import.map_err(damaged)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(exports) if depth == 0 => {
                for export in exports {
                    surface.exports.push(export.map_err(damaged)?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    surface.check()?;
    Ok(surface)
}

impl Surface {
    /// Whether it exports one of the interfaces of this version: `validator`.
    #[must_use]
    pub fn offers(&self, interface: &str) -> bool {
        self.exports.iter().any(|name| interface_of(name).is_some_and(|(own, _)| own == interface))
    }

    /// Holds the names against the interface that is served.
    fn check(&self) -> Result<(), Failure> {
        let own = |names: &[String]| -> Option<Version> {
            names.iter().filter_map(|name| interface_of(name)?.1).max()
        };
        let served = version(SERVED);
        let asked = own(&self.exports).max(own(&self.imports));
        if let (Some(asked), Some(served)) = (asked, served)
            && (asked.0, asked.1) != (served.0, served.1)
        {
            return Err(Failure::Interface {
                version: format!("{}.{}.{}", asked.0, asked.1, asked.2),
                served: SERVED,
                newer: asked > served,
            });
        }
        if !self.offers("meta") {
            let shown = self.exports.iter().take(5).map(|name| crate::text::line(name, 100));
            let shown: Vec<String> = shown.map(|name| format!("`{name}`")).collect();
            let exports = if shown.is_empty() { "nothing".to_owned() } else { shown.join(", ") };
            return Err(Failure::OtherWorld { exports, wanted: META.to_owned() });
        }
        if !self.offers("validator") && !self.offers("renderer") {
            return Err(Failure::Lacks("validator and no renderer: it would do nothing"));
        }
        let foreign = self.imports.iter().find(|name| {
            let known = ["log", "reachability", "types"];
            !interface_of(name).is_some_and(|(interface, _)| known.contains(&interface))
        });
        match foreign {
            Some(name) => Err(Failure::Import(crate::text::line(name, 200))),
            None => Ok(()),
        }
    }
}

/// The interface of our package that `name` is, and its version.
fn interface_of(name: &str) -> Option<(&str, Option<Version>)> {
    let rest = name.strip_prefix(PACKAGE)?.strip_prefix('/')?;
    match rest.split_once('@') {
        Some((interface, text)) => Some((interface, version(text))),
        None => Some((rest, None)),
    }
}

fn version(text: &str) -> Option<Version> {
    let mut parts = text.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??, parts.next()??))
}

/// What the branches of a function may cost a compiler.
///
/// At each branch a compiler looks at all values that may be needed behind it: at most all locals,
/// many times over within nested loops, and, 64 of them in one step, all others. A small function
/// can so take gigabytes. The weights were measured.
fn branches(body: &FunctionBody<'_>) -> wasmparser::Result<u64> {
    let mut locals = 0_u64;
    for local in body.get_locals_reader()? {
        locals += u64::from(local?.0);
    }
    let (mut edges, mut operators) = (0_u64, 0_u64);
    let (mut open, mut loops, mut deepest) = (Vec::new(), 0_u64, 0_u64);
    let mut carried = 0_u64;
    for operator in body.get_operators_reader()? {
        operators += 1;
        match operator? {
            Operator::Block { blockty } | Operator::If { blockty } => {
                carried += u64::from(matches!(blockty, BlockType::FuncType(_)));
                edges += 1;
                open.push(false);
            }
            Operator::Loop { blockty } => {
                carried += u64::from(matches!(blockty, BlockType::FuncType(_)));
                edges += 1;
                loops += 1;
                deepest = deepest.max(loops);
                open.push(true);
            }
            Operator::End => loops -= u64::from(open.pop().unwrap_or(false)),
            Operator::Else | Operator::Br { .. } | Operator::BrIf { .. } => edges += 1,
            Operator::BrTable { targets } => edges += 1 + u64::from(targets.len()),
            _ => {}
        }
    }
    // What blocks of such a type carry is a thousand values at most.
    let values = locals + if carried > 0 { 1_000.min(operators) } else { 0 };
    let in_loops = values.saturating_mul(100 + deepest) / 100;
    Ok(edges.saturating_mul(in_loops + operators / 64))
}
