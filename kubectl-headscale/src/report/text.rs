//! `text`: the source line with a caret under what is wrong.

use std::io;

use annotate_snippets::{AnnotationKind, Group, Level, Message, Origin, Renderer, Snippet};
use headscale_acl::{Finding, Severity};

use super::excerpt::excerpt;
use super::selection::Selection;
use super::source::Source;
use super::summary::summary;
use super::visible::{self, visible};
use super::{Report, Reporter, Style};

/// A terminal narrower than this is written as if it had this many columns.
const NARROWEST: usize = 40;

/// Writes for people.
pub(super) struct Text {
    renderer: Renderer,
}

impl Text {
    pub(super) fn new(style: Style) -> Self {
        let renderer = if style.color { Renderer::styled() } else { Renderer::plain() };
        Self {
            renderer: match style.width {
                Some(width) => renderer.term_width(width.max(NARROWEST)),
                None => renderer,
            },
        }
    }

    fn finding(&self, name: &str, source: &Source<'_>, finding: &Finding) -> String {
        let level = match finding.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Info => Level::INFO,
        };
        let title =
            level.clone().primary_title(visible(&finding.message)).id(visible::name(&finding.rule));
        let Some(span) = finding.span else {
            let file = Origin::path(name.to_owned());
            return self.render(title.element(file).elements(advice(finding)));
        };
        let (start, end) = source.places(span);
        let line = source.line(start.line);
        let from = start.column as usize - 1;
        let to = if end.line == start.line { end.column as usize - 1 } else { line.len() };
        let excerpt = excerpt(line, from..to);
        let (line, column) = (start.line as usize, start.column as usize);
        // A snippet would count its column in the excerpt, so the place is rendered for itself and
        // moved to where the snippet would write it: right of the line number.
        let place = Origin::path(name).line(line).char_column(column);
        let snippet = Snippet::source(excerpt.text)
            .line_start(line)
            .annotation(AnnotationKind::Primary.span(excerpt.mark));
        format!(
            "{title}\n{:width$}{place}\n{body}",
            "",
            width = line.to_string().len(),
            title = self.render(Group::with_title(title)),
            place = self.render(Group::with_level(level.clone()).element(place)),
            body = self.render(Group::with_level(level).element(snippet).elements(advice(finding))),
        )
    }

    fn render(&self, group: Group<'_>) -> String {
        self.renderer.render(&[group])
    }
}

/// What stands under the source line.
fn advice(finding: &Finding) -> impl Iterator<Item = Message<'static>> {
    let help = finding.help.as_deref().map(|help| Level::HELP.message(visible(help)));
    let fix = finding.fix.as_ref().map(|fix| {
        let title = visible::folded(&fix.title);
        Level::NOTE.message(format!("`--fix` can do it: {title}"))
    });
    help.into_iter().chain(fix)
}

impl Reporter for Text {
    fn report(&self, report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
        let selection = Selection::new(report);
        for (file, findings) in selection.files() {
            let name = visible::name(&file.name);
            let source = Source::new(file);
            for finding in findings {
                writeln!(out, "{}\n", self.finding(&name, &source, finding))?;
            }
        }
        if let Some(rest) = selection.rest(selection.printed().total()) {
            writeln!(out, "{rest}")?;
        }
        writeln!(out, "{}", summary(report))
    }
}
