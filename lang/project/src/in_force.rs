//! The exemptions of a program that are in force in an environment, by the app they are for.
//!
//! What needs them is found elsewhere: by policies and by the rules of single objects in evaluation, by the rules over the
//! whole set afterwards.

use std::collections::HashMap;
use std::sync::Arc;

use ordain_lang_rules as rules;
use ordain_lang_syntax::{FileId, Span};
use ordain_lang_types::Program;
use ordain_lang_types::program::{Exempt, ExemptIn, ExemptRule, Exemption};

use crate::check::Environment;
use crate::shared::SharedNames;

/// The exemptions of a program that are in force in an environment.
#[derive(Default)]
pub(crate) struct InForce {
    /// Names of objects that others may declare as well.
    pub(crate) shared: SharedNames,
    // By scope, as thousands of apps may have some each.
    of_all: Vec<One>,
    by_file: HashMap<FileId, Vec<One>>,
    by_app: HashMap<Span, Vec<One>>,
}

/// One of them.
pub(crate) struct One {
    pub(crate) span: Span,
    pub(crate) scope: rules::Scope,
    /// None for those from policies, which the evaluator knows.
    pub(crate) rule: Option<Arc<rules::Exemption>>,
}

impl InForce {
    /// Finds them. The names are those of the whole project, of which the program may be a part.
    pub(crate) fn of(
        program: &Program,
        env: Option<&Environment>,
        shared: &SharedNames,
    ) -> InForce {
        let env = env.and_then(|env| program.env(&env.name));
        let chain = env.map_or(&[][..], |env| &program.envs[env.index()].chain);
        let mut in_force = InForce {
            shared: shared.clone(),
            ..InForce::default()
        };
        for exemption in &program.exemptions {
            let scope = match exemption.place {
                ExemptIn::Env(env) if !chain.contains(&env) => continue,
                ExemptIn::Env(_) => rules::Scope::All,
                ExemptIn::App(app) => rules::Scope::App(program.apps[app.index()].span),
                ExemptIn::Module(module) => {
                    rules::Scope::File(program.modules[module.index()].file)
                }
            };
            let one = One {
                span: exemption.span,
                scope,
                rule: as_rule(exemption, scope).map(Arc::new),
            };
            match scope {
                rules::Scope::All => &mut in_force.of_all,
                rules::Scope::File(file) => in_force.by_file.entry(file).or_default(),
                rules::Scope::App(app) => in_force.by_app.entry(app).or_default(),
            }
            .push(one);
        }
        in_force
    }

    /// Those that are for an app.
    pub(crate) fn of_app(&self, app: Span) -> impl Iterator<Item = &One> {
        let of_file = self.by_file.get(&app.file).into_iter().flatten();
        let of_app = self.by_app.get(&app).into_iter().flatten();
        self.of_all.iter().chain(of_file).chain(of_app)
    }
}

/// An exemption as the rules take it; none for those from policies.
fn as_rule(exemption: &Exemption, scope: rules::Scope) -> Option<rules::Exemption> {
    let what = match &exemption.what {
        Exempt::External(object, namespace) => rules::Exempt::External {
            group: object.group.to_string(),
            kind: object.kind.to_string(),
            name: object.name.to_string(),
            namespace: namespace.as_deref().map(str::to_owned),
        },
        Exempt::Allow {
            rule: ExemptRule::Code(code),
            object,
            ..
        } => rules::Exempt::Allow {
            code: code.to_string(),
            object: object.as_ref().map(|object| {
                let (group, kind) = (object.group.to_string(), object.kind.to_string());
                (group, kind, object.name.to_string())
            }),
        },
        Exempt::Allow {
            rule: ExemptRule::Policy(_),
            ..
        } => return None,
    };
    Some(rules::Exemption {
        what,
        scope,
        span: exemption.span,
    })
}
