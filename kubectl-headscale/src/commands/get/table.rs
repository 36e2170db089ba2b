//! Tables of the API server, printed as kubectl prints them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::report::visible::printable;

/// Spaces between columns.
const PADDING: usize = 3;
/// What a column and the spaces after it have at least.
const MINIMUM: usize = 6;

/// `meta.k8s.io/v1` `Table`, as far as it is printed.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Table {
    #[serde(default)]
    pub(super) metadata: ListMetadata,
    /// `null` in a watch, but for the first event.
    #[serde(default)]
    pub(super) column_definitions: Option<Vec<Column>>,
    #[serde(default)]
    pub(super) rows: Option<Vec<Row>>,
}

/// What a list says about itself.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListMetadata {
    #[serde(default)]
    pub(super) resource_version: String,
    /// How to ask for the rest.
    #[serde(default, rename = "continue")]
    pub(super) rest: String,
}

/// A column.
#[derive(Debug, Deserialize)]
pub(super) struct Column {
    name: String,
    /// 0 for those that are always shown.
    #[serde(default)]
    priority: i32,
}

/// An object.
#[derive(Debug, Deserialize)]
pub(super) struct Row {
    cells: Vec<Value>,
    #[serde(default)]
    object: Option<RowObject>,
}

#[derive(Debug, Deserialize)]
struct RowObject {
    #[serde(default)]
    metadata: RowMetadata,
}

#[derive(Debug, Default, Deserialize)]
struct RowMetadata {
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// What of a table is shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown {
    /// The columns with a priority above 0, too.
    pub(super) wide: bool,
    /// No line of headers.
    pub(super) no_headers: bool,
    /// A first column with namespaces.
    pub(super) namespaces: bool,
    /// A last column with all labels.
    pub(super) labels: bool,
    /// A column for each of these labels.
    pub(super) label_columns: Vec<String>,
    /// What stands before names, such as `headscaleuser.headscale.infrado.cloud/`.
    pub(super) prefix: String,
}

impl Shown {
    /// Whether the rows must come with the metadata of their objects.
    pub(super) const fn needs_metadata(&self) -> bool {
        self.namespaces || self.labels || !self.label_columns.is_empty()
    }
}

/// Prints tables with the same columns one after another: widths never shrink.
#[derive(Debug)]
pub(super) struct Printer {
    shown: Shown,
    columns: Vec<Column>,
    widths: Vec<usize>,
    headed: bool,
}

impl Printer {
    pub(super) fn new(shown: Shown) -> Self {
        Self { shown, columns: Vec::new(), widths: Vec::new(), headed: false }
    }

    /// The text of `tables`, with headers where none were printed before and there are rows.
    pub(super) fn print(&mut self, tables: Vec<Table>) -> String {
        let mut lines: Vec<Vec<String>> = Vec::new();
        for table in tables {
            if let Some(columns) = table.column_definitions.filter(|columns| !columns.is_empty()) {
                self.columns = columns;
            }
            let rows = table.rows.unwrap_or_default();
            if !rows.is_empty() && !self.headed && !self.shown.no_headers {
                lines.push(self.header());
            }
            self.headed |= !rows.is_empty();
            lines.extend(rows.iter().map(|row| self.line(row)));
        }
        self.align(&lines)
    }

    fn header(&self) -> Vec<String> {
        let namespace = self.shown.namespaces.then(|| "NAMESPACE".to_owned());
        let shown = self.columns.iter().filter(|column| self.shows(column));
        let labels = self.shown.label_columns.iter().map(|label| {
            label.rsplit_once('/').map_or(label.as_str(), |(_, name)| name).to_uppercase()
        });
        namespace
            .into_iter()
            .chain(shown.map(|column| column.name.to_uppercase()))
            .chain(labels)
            .chain(self.shown.labels.then(|| "LABELS".to_owned()))
            .collect()
    }

    fn line(&self, row: &Row) -> Vec<String> {
        let no_metadata = RowMetadata::default();
        let metadata = row.object.as_ref().map_or(&no_metadata, |object| &object.metadata);
        let namespace = self.shown.namespaces.then(|| printable(&metadata.namespace).into_owned());
        let cells = self.columns.iter().zip(&row.cells).enumerate();
        let cells = cells.filter(|(_, (column, _))| self.shows(column)).map(|(at, (_, value))| {
            let text = cell(value);
            if at == 0 { format!("{}{text}", self.shown.prefix) } else { text }
        });
        let label = |name: &String| {
            printable(metadata.labels.get(name).map_or("", String::as_str)).into_owned()
        };
        let labels = self.shown.labels.then(|| {
            let pairs: Vec<String> =
                metadata.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            if pairs.is_empty() {
                "<none>".to_owned()
            } else {
                printable(&pairs.join(",")).into_owned()
            }
        });
        namespace
            .into_iter()
            .chain(cells)
            .chain(self.shown.label_columns.iter().map(label))
            .chain(labels)
            .collect()
    }

    const fn shows(&self, column: &Column) -> bool {
        self.shown.wide || column.priority == 0
    }

    /// `lines` in columns. The last cell of a line is not padded.
    fn align(&mut self, lines: &[Vec<String>]) -> String {
        for line in lines {
            let padded = line.len().saturating_sub(1);
            for (at, cell) in line.iter().take(padded).enumerate() {
                let width = (cell.chars().count() + PADDING).max(MINIMUM);
                match self.widths.get_mut(at) {
                    Some(widest) => *widest = width.max(*widest),
                    None => self.widths.push(width),
                }
            }
        }
        let mut out = String::new();
        for line in lines {
            let last = line.len().saturating_sub(1);
            for (at, cell) in line.iter().enumerate() {
                out.push_str(cell);
                if at < last {
                    let width = self.widths.get(at).copied().unwrap_or_default();
                    let spaces = width.saturating_sub(cell.chars().count());
                    out.extend(std::iter::repeat_n(' ', spaces));
                }
            }
            out.push('\n');
        }
        out
    }
}

/// A cell: text up to its first line, `...` where there is more; nothing where there is nothing.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => return String::new(),
        Value::String(text) => text,
        other => return other.to_string(),
    };
    match text.find(['\n', '\r', '\u{c}']) {
        Some(end) => format!("{}...", printable(text.get(..end).unwrap_or_default())),
        None => printable(text).into_owned(),
    }
}
