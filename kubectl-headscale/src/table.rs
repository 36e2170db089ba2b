//! Tables as kubectl prints them.

/// Spaces between columns.
const GAP: usize = 3;

/// `header` and `rows` in columns, left-aligned, without spaces at the ends of lines.
pub(crate) fn table<const N: usize>(header: &[String; N], rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    let lines = || std::iter::once(header).chain(rows);
    for line in lines() {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut out = String::new();
    for line in lines() {
        let cells = line.iter().zip(widths);
        let padded: String =
            cells.map(|(cell, width)| format!("{cell:<pad$}", pad = width + GAP)).collect();
        out.push_str(padded.trim_end());
        out.push('\n');
    }
    out
}
