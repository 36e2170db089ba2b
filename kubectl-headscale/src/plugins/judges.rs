//! The plugins that judge the policies of a run.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use headscale_acl::{Counts, Date, Finding, Tailnet, Version, silence_plugins};
use headscale_policy_host::{PluginValidator, Rule, Subject, Validator, run};

use super::{Source, Wanted};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::severity::RuleLevel;
use crate::suggest::did_you_mean;
use crate::ui::Ui;

/// Plugins with their settings, and what they judge policies for.
pub(crate) struct Judges {
    plugins: Vec<PluginValidator>,
    /// The users and nodes that the policies are for.
    tailnet: Option<Arc<Tailnet>>,
    /// The version of Headscale that they are for.
    version: Version,
    /// When comments that silence findings have ended.
    today: Option<Date>,
    /// What plugins have to say beside findings, each once however many policies there are.
    told: RefCell<BTreeSet<Told>>,
}

/// What a plugin has to say beside findings.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    /// It could not do its work.
    Failed(String),
    /// Something is odd about what it said.
    Note(String),
}

impl Judges {
    /// No plugins yet, for policies for Headscale of `version`, and for the users and nodes of
    /// `tailnet`. Without `today` no comment has ended that silences findings.
    pub(crate) fn new(
        version: Version,
        tailnet: Option<Arc<Tailnet>>,
        today: Option<Date>,
    ) -> Self {
        Self { plugins: Vec::new(), tailnet, version, today, told: RefCell::default() }
    }

    /// Loads a plugin and adds it.
    ///
    /// # Errors
    ///
    /// When it cannot be had or does not take its settings.
    pub(crate) fn add(
        &mut self,
        source: &Source<'_>,
        wanted: &Wanted,
        ui: &mut Ui<'_>,
    ) -> Result<(), CommandError> {
        self.plugins.push(source.validator(wanted, ui)?);
        Ok(())
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.plugins.is_empty()
    }

    /// The rules of all plugins, by id.
    pub(crate) fn rules(&self) -> BTreeMap<String, Rule> {
        let rules = self.plugins.iter().flat_map(|plugin| &plugin.descriptor().rules);
        rules.map(|rule| (rule.id.clone(), rule.clone())).collect()
    }

    /// Holds the rules whose level is set against those of the plugins. Rules of plugins that did
    /// not come with this run are nobody's business.
    ///
    /// # Errors
    ///
    /// A rule that its plugin does not have.
    pub(crate) fn check_levels<'l>(
        &self,
        levels: impl Iterator<Item = &'l RuleLevel>,
    ) -> Result<(), CommandError> {
        let rules = self.rules();
        for RuleLevel { id, .. } in levels {
            let Some((plugin, _)) = id.split_once('/') else { continue };
            let is_here = self.plugins.iter().any(|known| known.descriptor().name == plugin);
            if is_here && !rules.contains_key(&**id) && !id.ends_with("/undeclared") {
                let error = CommandError::usage(format!("the plugin {plugin} has no rule {id:?}"));
                let near = did_you_mean(id, rules.keys().map(String::as_str));
                return Err(match near {
                    Some(hint) => error.hint(hint),
                    None => error,
                });
            }
        }
        Ok(())
    }

    /// What the plugins find in a policy that Headscale takes, in document order, and how many
    /// findings more they only counted. What is no HuJSON is not for them.
    pub(crate) fn judge(&self, name: &str, text: &[u8]) -> (Vec<Finding>, Counts) {
        let mut uncounted = Counts::default();
        let Ok(subject) = Subject::new(name, text, self.tailnet.clone(), self.version) else {
            return (Vec::new(), uncounted);
        };
        let validators: Vec<&dyn Validator> =
            self.plugins.iter().map(|plugin| plugin as &dyn Validator).collect();
        let (mut findings, mut ran) = (Vec::new(), Vec::new());
        let mut told = self.told.borrow_mut();
        for (plugin, verdict) in self.plugins.iter().zip(run(&validators, &subject)) {
            match verdict {
                Ok(verdict) => {
                    let plugin_name = plugin.descriptor().name.as_str();
                    ran.push(plugin_name);
                    findings.extend(verdict.findings);
                    uncounted = uncounted.plus(verdict.uncounted);
                    let notes = verdict.notes.into_iter();
                    told.extend(notes.map(|note| {
                        Told::Note(format!("plugin {}, {name}: {note}", plugin.plugin().label()))
                    }));
                }
                Err(error) => {
                    let message = format!("plugin {}, {name}: {}", error.plugin, error.failure);
                    told.insert(Told::Failed(message));
                }
            }
        }
        (silence_plugins(subject.document(), findings, self.today, &ran), uncounted)
    }

    /// Tells what the plugins had to say beside findings. Returns whether one failed.
    pub(crate) fn tell(&self, ui: &mut Ui<'_>) -> Exit {
        let mut exit = Exit::Success;
        for told in self.told.take() {
            match told {
                Told::Note(note) => ui.warning(&note),
                Told::Failed(message) => {
                    let error = CommandError::plugin(message);
                    ui.error(&error);
                    exit = exit.max(error.exit);
                }
            }
        }
        exit
    }
}
