//! `docs/plugin-interface.md`: the interface of policy plugins, from `policies/wit`.

use std::fmt::{self, Write};

use wit_parser::{
    Docs, Function, Interface, PackageId, Resolve, Type, TypeDef, TypeDefKind, TypeId, WorldItem,
};

const WIT: &str = include_str!("../../policies/wit/policy.wit");

const HEAD: &str = "\
<!-- Made by `cargo xtask generate` from policies/wit/policy.wit. Do not edit. -->

# The interface of policy plugins
";

/// The page: every interface with its types and functions, then the worlds.
///
/// # Errors
///
/// What is wrong with the interface, for which nothing can be shown.
pub fn render() -> Result<String, String> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("policy.wit", WIT).map_err(|error| format!("{error:#}"))?;
    let mut page = HEAD.to_owned();
    write_package(&mut page, &resolve, package).map_err(|error| error.to_string())?;
    Ok(page)
}

fn write_package(page: &mut String, resolve: &Resolve, id: PackageId) -> fmt::Result {
    let Some(package) = resolve.packages.get(id) else { return Ok(()) };
    writeln!(
        page,
        "\nPackage `{}`. [`policies/wit/policy.wit`](../policies/wit/policy.wit) is the contract itself.\n",
        package.name
    )?;
    writeln!(page, "{}", text(&package.docs))?;
    for (name, id) in &package.interfaces {
        if let Some(interface) = resolve.interfaces.get(*id) {
            write_interface(page, resolve, name, interface)?;
        }
    }
    page.push_str("\n## Worlds\n\nWhat a component is built for.\n\n| world | | imports | exports |\n| --- | --- | --- | --- |\n");
    for (name, id) in &package.worlds {
        let Some(world) = resolve.worlds.get(*id) else { continue };
        let names = |items: &mut dyn Iterator<Item = &WorldItem>| {
            let names = items.filter_map(|item| match item {
                WorldItem::Interface { id, .. } => {
                    resolve.interfaces.get(*id)?.name.as_ref().map(|name| format!("`{name}`"))
                }
                WorldItem::Function(_) | WorldItem::Type { .. } => None,
            });
            // `types` comes with whatever uses it.
            names.filter(|name| name != "`types`").collect::<Vec<_>>().join(", ")
        };
        let imports = names(&mut world.imports.values());
        let exports = names(&mut world.exports.values());
        writeln!(page, "| `{name}` | {} | {imports} | {exports} |", line(&world.docs))?;
    }
    Ok(())
}

fn write_interface(
    page: &mut String,
    resolve: &Resolve,
    name: &str,
    interface: &Interface,
) -> fmt::Result {
    write!(page, "\n## {name}\n\n{}\n", text(&interface.docs))?;
    for (name, id) in &interface.types {
        if let Some(definition) = resolve.types.get(*id) {
            write_type(page, resolve, name, definition)?;
        }
    }
    for (name, function) in &interface.functions {
        let signature = signature(resolve, function);
        write!(page, "\n### {name}\n\n`{signature}`\n\n{}\n", text(&function.docs))?;
    }
    Ok(())
}

/// A type that an interface makes; one that it takes from another interface stands there.
fn write_type(
    page: &mut String,
    resolve: &Resolve,
    name: &str,
    definition: &TypeDef,
) -> fmt::Result {
    let TypeDef { kind, docs, .. } = definition;
    let of = |ty: &Type| type_name(resolve, ty);
    let mut rows: Vec<(&str, String, &Docs)> = Vec::new();
    match kind {
        TypeDefKind::Type(Type::Id(_)) => return Ok(()),
        TypeDefKind::Record(record) => {
            rows.extend(record.fields.iter().map(|f| (f.name.as_str(), of(&f.ty), &f.docs)));
        }
        TypeDefKind::Variant(variant) => rows.extend(
            variant
                .cases
                .iter()
                .map(|c| (c.name.as_str(), c.ty.as_ref().map(of).unwrap_or_default(), &c.docs)),
        ),
        TypeDefKind::Enum(cases) => {
            rows.extend(cases.cases.iter().map(|c| (c.name.as_str(), String::new(), &c.docs)));
        }
        _ => {}
    }
    let what = match kind {
        TypeDefKind::Type(ty) => format!("{}, as `{}`", kind.as_str(), of(ty)),
        _ => kind.as_str().to_owned(),
    };
    write!(page, "\n### {name}\n\n{} ({what})\n", text(docs))?;
    if rows.is_empty() {
        return Ok(());
    }
    let typed = rows.iter().any(|(_, ty, _)| !ty.is_empty());
    page.push_str(if typed {
        "\n| | type | |\n| --- | --- | --- |\n"
    } else {
        "\n| | |\n| --- | --- |\n"
    });
    for (name, ty, docs) in rows {
        let docs = line(docs);
        match (typed, ty.is_empty()) {
            (false, _) => writeln!(page, "| `{name}` | {docs} |")?,
            (true, true) => writeln!(page, "| `{name}` | | {docs} |")?,
            (true, false) => writeln!(page, "| `{name}` | `{ty}` | {docs} |")?,
        }
    }
    Ok(())
}

fn signature(resolve: &Resolve, function: &Function) -> String {
    let params = function.params.iter();
    let params = params.map(|param| format!("{}: {}", param.name, type_name(resolve, &param.ty)));
    let result = function.result.as_ref();
    let result = result.map(|ty| format!(" -> {}", type_name(resolve, ty))).unwrap_or_default();
    format!("func({}){result}", params.collect::<Vec<_>>().join(", "))
}

/// A type as WIT writes it.
fn type_name(resolve: &Resolve, ty: &Type) -> String {
    let named = |id: TypeId| {
        let definition = resolve.types.get(id)?;
        Some(definition.name.clone().unwrap_or_else(|| kind_name(resolve, &definition.kind)))
    };
    match ty {
        Type::Id(id) => named(*id).unwrap_or_default(),
        Type::Bool => "bool".to_owned(),
        Type::String => "string".to_owned(),
        Type::U16 => "u16".to_owned(),
        // No other one is in the interface; the name of the variant says which it would be.
        other => format!("{other:?}").to_lowercase(),
    }
}

fn kind_name(resolve: &Resolve, kind: &TypeDefKind) -> String {
    let of = |ty: &Type| type_name(resolve, ty);
    let or_none = |ty: &Option<Type>| ty.as_ref().map_or_else(|| "_".to_owned(), of);
    match kind {
        TypeDefKind::Option(ty) => format!("option<{}>", of(ty)),
        TypeDefKind::List(ty) => format!("list<{}>", of(ty)),
        TypeDefKind::Result(result) => {
            format!("result<{}, {}>", or_none(&result.ok), or_none(&result.err))
        }
        TypeDefKind::Tuple(tuple) => {
            format!("tuple<{}>", tuple.types.iter().map(of).collect::<Vec<_>>().join(", "))
        }
        other => other.as_str().to_owned(),
    }
}

fn text(docs: &Docs) -> &str {
    docs.contents.as_deref().unwrap_or_default().trim_end()
}

/// A text in a cell of a table.
fn line(docs: &Docs) -> String {
    text(docs).split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
