//! Rules per kind, written as data: which kinds a rule is for, and its expressions, compiled once.
//!
//! A text of rules is YAML; `docs/health.md` describes it. Ordain's own rules lie in `rules/`, one file per
//! group; a user's rules have the same form and win over them. What a rule says of an object is decided
//! in `judge`.

use ordain_cel::{CompileError, Program};
use serde::Deserialize;
use thiserror::Error;

use super::Status;

/// What every expression may use; names of `let` come behind them.
pub(super) const VARIABLES: [&str; 8] = [
    "self",
    "metadata",
    "spec",
    "status",
    "conditions",
    "isTrue",
    "isFalse",
    "isUnknown",
];

/// Why a text holds no rules.
#[derive(Debug, Error)]
pub enum RuleError {
    /// It is no YAML, or does not have the form of rules.
    #[error("rules of health, document {document}: they do not have the form of rules")]
    Form {
        /// Which of the documents in the text, from 1.
        document: usize,
        /// What is wrong, with line and column.
        #[source]
        source: serde_yaml::Error,
    },
    /// A step says no status, or more than one.
    #[error("rule `{rule}`, {place}: {reason}")]
    Step {
        /// `group/Kind` of the rule.
        rule: String,
        /// Where in the rule: `steps[2]`.
        place: String,
        /// What is wrong there.
        reason: String,
    },
    /// An expression does not compile.
    #[error("rule `{rule}`, {place}: at `{excerpt}`")]
    Expression {
        /// `group/Kind` of the rule.
        rule: String,
        /// Where in the rule: `steps[2].degraded`.
        place: String,
        /// The expression from the place of the mistake on.
        excerpt: String,
        /// What is wrong with it.
        #[source]
        source: CompileError,
    },
}

/// Rules of health beside Ordain's own: none, or those of a user.
///
/// A rule of a user wins over everything that Ordain knows about the kind, except that an object which is
/// being deleted, or whose status is of an older generation, is progressing.
///
/// ```
/// use ordain_reconciler_plan::health::{HealthRules, Status};
///
/// let rules = HealthRules::parse(
///     r#"
/// group: example.com
/// kinds:
///   - kind: Printer
///     steps:
///       - degraded: status.?paper.orValue(0) == 0
///         message: "'no paper'"
///       - healthy: "'Ready' in isTrue"
/// "#,
/// )
/// .expect("they are right");
/// let printer = serde_json::json!({
///     "apiVersion": "example.com/v1", "kind": "Printer", "status": {"paper": 0},
/// });
/// let health = rules.of(&printer);
/// assert_eq!((health.status, health.message.as_str()), (Status::Degraded, "no paper"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct HealthRules {
    rules: Vec<Rule>,
}

impl HealthRules {
    /// Reads a text of rules: YAML, one document for each group.
    ///
    /// # Errors
    /// When it does not have the form of rules, or an expression does not compile; the error names the rule
    /// and the place in it.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let mut rules = Vec::new();
        for (at, document) in serde_yaml::Deserializer::from_str(text).enumerate() {
            let document = Option::<Document>::deserialize(document).map_err(|source| {
                let document = at + 1;
                RuleError::Form { document, source }
            })?;
            // A document of nothing but comments.
            let Some(document) = document else { continue };
            for kind in document.kinds {
                rules.push(Rule::compile(&document.group, kind)?);
            }
        }
        Ok(Self { rules })
    }

    /// These rules and others; where both have one for a kind, the other's counts.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.rules.extend(other.rules);
        self
    }

    /// True when there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The names of the rules, as `group/Kind`, in the order in which they are written.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.rules.iter().map(Rule::name)
    }

    /// The rule that fits a kind best: a group or kind by its name fits better than by a wildcard, a long
    /// wildcard better than a short one, and of two that are equal the later.
    pub(super) fn find(&self, group: &str, kind: &str) -> Option<&Rule> {
        let fit = |rule: &Rule| Some((best(&rule.groups, group)?, best(&rule.kinds, kind)?));
        self.rules
            .iter()
            .filter_map(|rule| Some((fit(rule)?, rule)))
            .max_by_key(|(fit, _)| *fit)
            .map(|(_, rule)| rule)
    }
}

/// A name, or one with `*` at its start or end.
#[derive(Debug, Clone)]
enum Pattern {
    Exactly(String),
    EndsWith(String),
    StartsWith(String),
}

impl Pattern {
    fn new(text: String) -> Self {
        match (text.strip_prefix('*'), text.strip_suffix('*')) {
            (Some(end), _) => Self::EndsWith(end.to_owned()),
            (_, Some(start)) => Self::StartsWith(start.to_owned()),
            _ => Self::Exactly(text),
        }
    }

    /// How well it fits: better is more.
    fn fit(&self, name: &str) -> Option<usize> {
        match self {
            Self::Exactly(text) => (text == name).then_some(usize::MAX),
            Self::EndsWith(end) => name.ends_with(end.as_str()).then_some(end.len()),
            Self::StartsWith(start) => name.starts_with(start.as_str()).then_some(start.len()),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Exactly(text) => text.clone(),
            Self::EndsWith(end) => format!("*{end}"),
            Self::StartsWith(start) => format!("{start}*"),
        }
    }
}

fn best(patterns: &[Pattern], name: &str) -> Option<usize> {
    patterns
        .iter()
        .filter_map(|pattern| pattern.fit(name))
        .max()
}

/// The rule of one kind, or of several that mean the same by their status.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    groups: Vec<Pattern>,
    kinds: Vec<Pattern>,
    /// True when an object without a status is not observed yet.
    pub(super) needs_status: bool,
    /// Names for values, each may use those before it.
    pub(super) lets: Vec<(String, Program)>,
    pub(super) steps: Vec<Step>,
}

/// One question to the object. The first that is true decides.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) status: Status,
    pub(super) when: Program,
    pub(super) message: Option<Program>,
}

impl Rule {
    /// `group/Kind`, the first of each.
    pub(super) fn name(&self) -> String {
        let first = |patterns: &[Pattern]| patterns.first().map_or_else(String::new, Pattern::text);
        format!("{}/{}", first(&self.groups), first(&self.kinds))
    }

    /// Whether any of its expressions uses a variable.
    pub(super) fn uses(&self, variable: &str) -> bool {
        let lets = self.lets.iter().map(|(_, program)| program);
        let steps = self.steps.iter();
        let steps = steps.flat_map(|step| step.message.iter().chain([&step.when]));
        lets.chain(steps).any(|program| program.uses(variable))
    }

    fn compile(groups: &OneOrMore, written: WrittenKind) -> Result<Self, RuleError> {
        let patterns = |names: &OneOrMore| names.all().into_iter().map(Pattern::new).collect();
        let mut rule = Self {
            groups: patterns(groups),
            kinds: patterns(&written.kind),
            needs_status: written.status == WrittenStatus::Required,
            lets: Vec::new(),
            steps: Vec::new(),
        };
        let name = rule.name();
        let mut variables: Vec<String> = VARIABLES.map(str::to_owned).into();
        for (variable, value) in written.variables {
            let place = format!("let.{}", show(&variable));
            let (Some(variable), Some(value)) = (variable.as_str(), value.as_str()) else {
                let reason = "a name and an expression are expected".to_owned();
                return Err(RuleError::Step {
                    rule: name,
                    place,
                    reason,
                });
            };
            let program = compile(&name, place, value, &variables)?;
            rule.lets.push((variable.to_owned(), program));
            variables.push(variable.to_owned());
        }
        if written.steps.is_empty() {
            return Err(RuleError::Step {
                rule: name,
                place: "steps".to_owned(),
                reason: "at least one step is needed".to_owned(),
            });
        }
        for (at, step) in written.steps.into_iter().enumerate() {
            rule.steps.push(step.compile(&name, at, &variables)?);
        }
        Ok(rule)
    }
}

fn show(value: &serde_yaml::Value) -> String {
    value.as_str().unwrap_or("?").to_owned()
}

fn compile(
    rule: &str,
    place: String,
    text: &str,
    variables: &[String],
) -> Result<Program, RuleError> {
    let variables: Vec<&str> = variables.iter().map(String::as_str).collect();
    Program::compile(text, &variables).map_err(|source| RuleError::Expression {
        rule: rule.to_owned(),
        place,
        excerpt: source.excerpt(text).to_owned(),
        source,
    })
}

/// A document as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    group: OneOrMore,
    kinds: Vec<WrittenKind>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    fn all(&self) -> Vec<String> {
        match self {
            Self::One(name) => vec![name.clone()],
            Self::More(names) => names.clone(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenKind {
    kind: OneOrMore,
    #[serde(default)]
    status: WrittenStatus,
    #[serde(default, rename = "let")]
    variables: serde_yaml::Mapping,
    steps: Vec<WrittenStep>,
}

/// Whether the kind has a status that its controller writes.
#[derive(Deserialize, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum WrittenStatus {
    /// Without one the object is not observed yet, and no step is asked.
    #[default]
    Required,
    /// The steps are asked in any case.
    Optional,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenStep {
    healthy: Option<Expression>,
    suspended: Option<Expression>,
    progressing: Option<Expression>,
    missing: Option<Expression>,
    degraded: Option<Expression>,
    unknown: Option<Expression>,
    message: Option<String>,
}

/// `true` needs no quotes.
#[derive(Deserialize)]
#[serde(untagged)]
enum Expression {
    Constant(bool),
    Text(String),
}

impl WrittenStep {
    fn compile(self, rule: &str, at: usize, variables: &[String]) -> Result<Step, RuleError> {
        let said = [
            (Status::Healthy, self.healthy),
            (Status::Suspended, self.suspended),
            (Status::Progressing, self.progressing),
            (Status::Missing, self.missing),
            (Status::Degraded, self.degraded),
            (Status::Unknown, self.unknown),
        ];
        let mut said = said
            .into_iter()
            .filter_map(|(status, when)| Some((status, when?)));
        let (Some((status, when)), None) = (said.next(), said.next()) else {
            return Err(RuleError::Step {
                rule: rule.to_owned(),
                place: format!("steps[{at}]"),
                reason:
                    "a step has exactly one of `healthy`, `suspended`, `progressing`, `missing`, \
                         `degraded` and `unknown`"
                        .to_owned(),
            });
        };
        let when = match when {
            Expression::Constant(holds) => holds.to_string(),
            Expression::Text(text) => text,
        };
        let message = |text: String| {
            let place = format!("steps[{at}].message");
            compile(rule, place, &text, variables)
        };
        Ok(Step {
            status,
            when: compile(rule, format!("steps[{at}].{status}"), &when, variables)?,
            message: self.message.map(message).transpose()?,
        })
    }
}
