//! `ssh`

use super::field::Shape;
use super::{present, trimmed, unquoted};
use crate::context::Context;
use crate::finding::Finding;
use crate::hujson::{Edit, Kind, Node};
use crate::policy::{Alias, CheckPeriod, Nanoseconds, Spanned, Ssh, SshAction, Text};
use crate::rules::{SSH_ACTION, SSH_CHECK_PERIOD, SSH_DESTINATION, SSH_SOURCE};
use crate::semantics::CheckPeriodSyntax;
use crate::wording::SSH_WILDCARD;

const SSH: Shape<6> = Shape {
    what: "an SSH rule",
    fields: ["action", "src", "dst", "users", "checkPeriod", "acceptEnv"],
    fields_0_28: 5,
};

impl Context<'_> {
    pub(super) fn ssh<'d>(&mut self, node: Option<Node<'d>>) -> Vec<Ssh<'d>> {
        self.list(node, "an array of SSH rules", Self::ssh_rule)
    }

    fn ssh_rule<'d>(&mut self, node: Node<'d>) -> Option<Ssh<'d>> {
        let [action, sources, destinations, users, check_period, accept_env] =
            self.fields(node, &SSH)?;
        let sources = self.aliases(sources).into_iter().filter(|s| self.ssh_source(s)).collect();
        let destinations =
            self.aliases(destinations).into_iter().filter(|d| self.ssh_destination(d)).collect();
        let users_readable = users.is_none_or(|users| {
            matches!(users.kind(), Kind::Null)
                || (users.kind() == Kind::Array
                    && users.elements().all(|u| matches!(u.kind(), Kind::String | Kind::Null)))
        });
        let users = self.ssh_users(users);
        Some(Ssh {
            action: self.ssh_action(action),
            sources,
            destinations,
            users: (users_readable || !users.is_empty()).then_some(users),
            check_period: self.check_period(check_period),
            accept_env: self.list(accept_env, "an array of environment variables", |this, node| {
                this.text(node, "the name of an environment variable")
            }),
            span: node.span(),
        })
    }

    /// Login users, as SSH rules and tests name them.
    pub(super) fn ssh_users<'d>(&mut self, node: Option<Node<'d>>) -> Vec<Spanned<Text<'d>>> {
        self.list(node, "an array of login users", |this, node| {
            let Spanned { value, span } = this.text(node, "a login user")?;
            let user = if this.semantics.trims { trimmed(value) } else { value };
            Some(Spanned::new(user, span))
        })
    }

    #[expect(clippy::option_option, reason = "unreadable and missing are two things")]
    fn ssh_action(&mut self, node: Option<Node<'_>>) -> Option<Option<SshAction>> {
        let Some(node) = node else { return Some(None) };
        let text = unquoted(node);
        let text = if self.semantics.trims { text.trim() } else { &*text };
        match text {
            "accept" => Some(Some(SshAction::Accept)),
            "check" => Some(Some(SshAction::Check)),
            "" if self.semantics.ssh_rules_checked => Some(None),
            _ if node.kind() == Kind::Broken => None,
            _ => {
                let message = self.semantics.ssh_action(text);
                self.push(&SSH_ACTION, || {
                    Finding::new(&SSH_ACTION, node.span(), message)
                        .help("write `accept`, or `check` to ask for a fresh login")
                });
                None
            }
        }
    }

    fn ssh_source(&mut self, source: &Spanned<Alias<'_>>) -> bool {
        let help = match &source.value {
            Alias::User(_) | Alias::Group(_) | Alias::Tag(_) | Alias::Autogroup(_) => return true,
            Alias::Wildcard => {
                "write `autogroup:member` for all users, `autogroup:tagged` for all tagged nodes"
                    .to_owned()
            }
            Alias::Host(name) => format!("did you mean the user `{name}@`?"),
            Alias::Prefix(_) => "name the user, group or tag that has this address".to_owned(),
        };
        let message = self.semantics.ssh_alias("source", &source.value);
        self.push(&SSH_SOURCE, || Finding::new(&SSH_SOURCE, source.span, message).help(help));
        false
    }

    fn ssh_destination(&mut self, destination: &Spanned<Alias<'_>>) -> bool {
        let semantics = self.semantics;
        let (message, help) = match &destination.value {
            // A host passes here and is refused later, since 0.29.
            Alias::User(_) | Alias::Tag(_) | Alias::Autogroup(_) | Alias::Host(_) => return true,
            Alias::Wildcard => (
                SSH_WILDCARD.to_owned(),
                "write `autogroup:self` for one's own devices, `autogroup:tagged` for servers",
            ),
            alias @ Alias::Group(_) => (
                semantics.ssh_alias("destination", alias),
                "write `autogroup:self` to let each user reach their own devices, or tag the \
                 devices",
            ),
            alias @ Alias::Prefix(_) => {
                (semantics.ssh_alias("destination", alias), "tag the device and name the tag")
            }
        };
        self.push(&SSH_DESTINATION, || {
            Finding::new(&SSH_DESTINATION, destination.span, message).help(help)
        });
        false
    }

    fn check_period(&mut self, node: Option<Node<'_>>) -> Option<Spanned<CheckPeriod>> {
        let node = node.filter(|node| node.kind() != Kind::Broken)?;
        let parsed = match self.semantics.check_period {
            CheckPeriodSyntax::Go => {
                let text = unquoted(present(Some(node))?);
                match &*text {
                    "always" => Ok(CheckPeriod::Always),
                    text => Nanoseconds::parse_go(text).map(CheckPeriod::For),
                }
            }
            CheckPeriodSyntax::Prometheus => {
                let text = self.text(node, "a duration as a string: \"12h\"")?.value;
                Nanoseconds::parse_prometheus(&text).map(CheckPeriod::For)
            }
        };
        match parsed {
            Ok(period) => Some(Spanned::new(period, node.span())),
            Err(message) => {
                let syntax = self.semantics.check_period;
                self.push(&SSH_CHECK_PERIOD, || {
                    let finding = Finding::new(&SSH_CHECK_PERIOD, node.span(), message);
                    let days = Nanoseconds::parse_prometheus(&unquoted(node)).ok();
                    match (syntax, days) {
                        (CheckPeriodSyntax::Prometheus, _) => {
                            finding.help("write a duration such as \"12h\" or \"7d\"")
                        }
                        (CheckPeriodSyntax::Go, Some(period)) if period.0 >= 0 => {
                            let go = period.in_hours();
                            finding
                                .help(format!(
                                    "since 0.29 days and weeks are written in hours: \"{go}\""
                                ))
                                .fix(
                                    format!("write `{go}`"),
                                    vec![Edit::replace(node.span(), format!("\"{go}\""))],
                                )
                        }
                        _ => finding
                            .help("write a duration such as \"12h\" or \"90m\", or \"always\""),
                    }
                });
                None
            }
        }
    }
}
