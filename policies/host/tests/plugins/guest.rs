//! Makes plugins from text: core modules in WAT, wrapped as components.
//!
//! What a plugin tells stands ready in its memory, laid out as the canonical ABI has it, so that a
//! plugin without code of its own is a few constants.

#![allow(dead_code, reason = "tests and benches use different parts of it")]

use std::fmt::Write as _;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const WIT: &str = include_str!("../../../wit/policy.wit");

/// Where the data of a plugin starts in its memory.
const BASE: usize = 1 << 10;

/// Where memory is free for what the host hands over.
const HEAP: usize = 1 << 20;

/// A plugin to be made.
#[derive(Clone)]
pub(crate) struct Guest {
    name: String,
    version: String,
    world: &'static str,
    wit: String,
    settings_schema: Option<String>,
    params_schema: Option<String>,
    rules: Vec<String>,
    pages: usize,
    realloc: String,
    describe: Option<String>,
    check: Option<String>,
    validate: Option<String>,
    render: Option<String>,
    imports: String,
    rest: String,
    data: Vec<u8>,
}

/// A finding that a plugin tells.
#[derive(Clone, Default)]
pub(crate) struct Told {
    pub(crate) rule: String,
    /// 0 is an error, 1 a warning, 2 an info.
    pub(crate) severity: Option<u8>,
    pub(crate) message: String,
    pub(crate) pointer: String,
    pub(crate) related: Vec<(String, String)>,
    pub(crate) fixes: Vec<Repair>,
}

/// A repair that it brings.
#[derive(Clone, Default)]
pub(crate) struct Repair {
    pub(crate) title: String,
    pub(crate) safe: bool,
    pub(crate) edits: Vec<Change>,
}

#[derive(Clone)]
pub(crate) enum Change {
    Add(String, String),
    Replace(String, String),
    Remove(String),
}

pub(crate) fn told(rule: &str, pointer: &str, message: &str) -> Told {
    Told {
        rule: rule.to_owned(),
        pointer: pointer.to_owned(),
        message: message.to_owned(),
        ..Told::default()
    }
}

/// Takes as much memory as is asked for, and never gives it back.
const BUMP: &str = "
    (local $at i32)
    (local.set $at (i32.and
        (i32.add (global.get $heap) (i32.sub (local.get 2) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get 2))))
    (global.set $heap (i32.add (local.get $at) (local.get 3)))
    (block $enough
        (br_if $enough (i32.le_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536))))
        (drop (memory.grow (i32.add (i32.const 1) (i32.div_u (local.get 3) (i32.const 65536))))))
    (local.get $at)";

impl Guest {
    /// A validator with one rule, `rule`, that finds nothing.
    pub(crate) fn new(name: &str) -> Self {
        let mut guest = Self {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            world: "validator-plugin",
            wit: WIT.to_owned(),
            settings_schema: None,
            params_schema: None,
            rules: vec!["rule".to_owned()],
            pages: HEAP / 65536 + 1,
            realloc: BUMP.to_owned(),
            describe: None,
            check: None,
            validate: None,
            render: None,
            imports: String::new(),
            rest: String::new(),
            data: Vec::new(),
        };
        // The first words are 0: `ok` of nothing, and an empty list.
        guest.words(&[0; 8]);
        guest
    }

    /// A renderer that writes `text`.
    pub(crate) fn renderer(name: &str, text: &str) -> Self {
        let mut guest = Self::new(name);
        guest.world = "renderer-plugin";
        guest.rules.clear();
        let (at, len) = guest.text(text);
        let result = guest.words(&[0, at, len]);
        guest.render = Some(format!("i32.const {result}"));
        guest
    }

    pub(crate) fn version(mut self, version: &str) -> Self {
        self.version = version.to_owned();
        self
    }

    pub(crate) fn world(mut self, world: &'static str, wit: &str) -> Self {
        self.world = world;
        self.wit = wit.to_owned();
        self
    }

    /// For another version of the interface.
    pub(crate) fn interface(mut self, version: &str) -> Self {
        self.wit = WIT.replace("@0.1.0", &format!("@{version}"));
        self
    }

    pub(crate) fn rules(mut self, rules: &[&str]) -> Self {
        self.rules = rules.iter().map(|rule| (*rule).to_owned()).collect();
        self
    }

    pub(crate) fn settings_schema(mut self, schema: &str) -> Self {
        self.settings_schema = Some(schema.to_owned());
        self
    }

    pub(crate) fn params_schema(mut self, schema: &str) -> Self {
        self.params_schema = Some(schema.to_owned());
        self
    }

    pub(crate) fn pages(mut self, pages: usize) -> Self {
        self.pages = pages;
        self
    }

    pub(crate) fn realloc(mut self, body: &str) -> Self {
        self.realloc = body.to_owned();
        self
    }

    pub(crate) fn describe(mut self, body: &str) -> Self {
        self.describe = Some(body.to_owned());
        self
    }

    pub(crate) fn check(mut self, body: &str) -> Self {
        self.check = Some(body.to_owned());
        self
    }

    pub(crate) fn validate(mut self, body: &str) -> Self {
        self.validate = Some(body.to_owned());
        self
    }

    pub(crate) fn render(mut self, body: &str) -> Self {
        self.render = Some(body.to_owned());
        self
    }

    /// More imports.
    pub(crate) fn imports(mut self, wat: &str) -> Self {
        self.imports.push_str(wat);
        self
    }

    /// Imports `log`, as `$log`.
    pub(crate) fn with_log(self) -> Self {
        self.imports(
            r#"(import "headscale:policy/log@0.1.0" "write" (func $log (param i32 i32 i32)))"#,
        )
    }

    /// More parts of the module.
    pub(crate) fn rest(mut self, wat: &str) -> Self {
        self.rest.push_str(wat);
        self
    }

    /// Finds these.
    pub(crate) fn finds(mut self, findings: &[Told]) -> Self {
        let result = self.findings(findings);
        self.validate(&format!("i32.const {result}"))
    }

    /// Lays out a result of `validate`, and returns where.
    pub(crate) fn findings(&mut self, findings: &[Told]) -> usize {
        let mut all = Vec::new();
        for told in findings {
            let rule = self.text(&told.rule);
            let message = self.text(&told.message);
            let pointer = self.text(&told.pointer);
            let mut related = Vec::new();
            for (pointer, message) in &told.related {
                let (pointer, message) = (self.text(pointer), self.text(message));
                related.extend([pointer.0, pointer.1, message.0, message.1]);
            }
            let related_at = self.words(&related);
            let mut fixes = Vec::new();
            for fix in &told.fixes {
                let title = self.text(&fix.title);
                let mut edits = Vec::new();
                for edit in &fix.edits {
                    let (case, pointer, json) = match edit {
                        Change::Add(pointer, json) => (0, pointer, json.as_str()),
                        Change::Replace(pointer, json) => (1, pointer, json.as_str()),
                        Change::Remove(pointer) => (2, pointer, ""),
                    };
                    let (pointer, json) = (self.text(pointer), self.text(json));
                    edits.extend([case, pointer.0, pointer.1, json.0, json.1]);
                }
                let edits_at = self.words(&edits);
                let safe = usize::from(fix.safe);
                fixes.extend([title.0, title.1, safe, edits_at, fix.edits.len()]);
            }
            let fixes_at = self.words(&fixes);
            let severity = told.severity.map_or(0, |severity| 1 + (usize::from(severity) << 8));
            all.extend([rule.0, rule.1, severity, message.0, message.1, pointer.0, pointer.1]);
            all.extend([related_at, told.related.len(), fixes_at, told.fixes.len()]);
        }
        let at = self.words(&all);
        self.words(&[0, at, findings.len()])
    }

    /// Lays out an error of `validate` or `render`, and returns where.
    pub(crate) fn refusal(&mut self, message: &str) -> usize {
        let (at, len) = self.text(message);
        self.words(&[1, at, len])
    }

    /// Puts a text into memory: where, and how long it is.
    pub(crate) fn text(&mut self, text: &str) -> (usize, usize) {
        self.bytes(text.as_bytes())
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> (usize, usize) {
        let at = BASE + self.data.len();
        self.data.extend(bytes);
        (at, bytes.len())
    }

    /// Puts words of 32 bits into memory: where.
    pub(crate) fn words(&mut self, words: &[usize]) -> usize {
        self.data.resize(self.data.len().next_multiple_of(4), 0);
        let at = BASE + self.data.len();
        self.data.extend(words.iter().flat_map(|word| (*word as u32).to_le_bytes()));
        at
    }

    fn option(&mut self, text: Option<String>) -> [usize; 3] {
        let text = text.map(|text| self.text(&text));
        text.map_or([0; 3], |(at, len)| [1, at, len])
    }

    /// Lays out the descriptor: where.
    fn descriptor(&mut self) -> usize {
        let texts = [self.name.clone(), self.version.clone(), "A test".into(), "MIT".into()];
        let mut words: Vec<usize> = Vec::new();
        for text in texts {
            let (at, len) = self.text(&text);
            words.extend([at, len]);
        }
        words.extend([0; 3]);
        let mut rules = Vec::new();
        for rule in self.rules.clone() {
            let id = self.text(&rule);
            let summary = self.text(&format!("{rule} is broken"));
            // A warning.
            rules.extend([id.0, id.1, summary.0, summary.1, 1, 0, 0, 0, 0]);
        }
        words.extend([self.words(&rules), self.rules.len()]);
        let schemas = [self.settings_schema.take(), self.params_schema.take()];
        for schema in schemas {
            words.extend(self.option(schema));
        }
        words.extend([0; 2]);
        self.words(&words)
    }

    /// The core module, in WAT.
    pub(crate) fn wat(&self) -> String {
        let mut guest = self.clone();
        let descriptor = guest.descriptor();
        let version = guest.wit.split_once('@').unwrap().1;
        let version = version.split_once(';').unwrap().0;
        let export = |name: &str| {
            format!("(export \"headscale:policy/{name}\")").replace('#', &format!("@{version}#"))
        };
        let mut out =
            format!("(module {}\n(memory (export \"memory\") {})\n", guest.imports, guest.pages);
        write!(out, "(global $heap (mut i32) (i32.const {HEAP}))\n{}\n", guest.rest).unwrap();
        let params = |count| "i32 ".repeat(count);
        let mut function = |name: String, count: usize, body: &str| {
            writeln!(out, "(func {name} (param {}) (result i32) {body})", params(count)).unwrap();
        };
        function("(export \"cabi_realloc\")".into(), 4, &guest.realloc);
        let constant = format!("i32.const {descriptor}");
        function(export("meta#describe"), 0, guest.describe.as_deref().unwrap_or(&constant));
        let nothing = format!("i32.const {BASE}");
        function(export("meta#check-settings"), 2, guest.check.as_deref().unwrap_or(&nothing));
        if matches!(guest.world, "validator-plugin" | "plugin") {
            function(
                export("validator#validate"),
                14,
                guest.validate.as_deref().unwrap_or(&nothing),
            );
        }
        if matches!(guest.world, "renderer-plugin" | "plugin") {
            function(export("renderer#render"), 2, guest.render.as_deref().unwrap_or(&nothing));
        }
        assert!(guest.data.len() < HEAP - BASE, "too much data");
        let data: String = guest.data.iter().map(|byte| format!("\\{byte:02x}")).collect();
        write!(out, "(data (i32.const {BASE}) \"{data}\"))").unwrap();
        out
    }

    /// The core module.
    pub(crate) fn module(&self) -> Vec<u8> {
        let wat = self.wat();
        wat::parse_str(&wat).unwrap_or_else(|error| panic!("{error}\n{wat}"))
    }

    /// The component.
    pub(crate) fn build(&self) -> Vec<u8> {
        component(&self.wit, self.world, self.module())
    }
}

/// A core module as a component of a world.
pub(crate) fn component(wit: &str, world: &str, mut module: Vec<u8>) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("policy.wit", wit).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
}
