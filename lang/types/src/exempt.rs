//! Exemptions from the rules over the whole set of objects: kinds, codes and policies that exist.

use std::sync::Arc;

use ordain_lang_syntax::ast::{
    AllowedRule, Exemption as Written, ExemptionKind, ItemKind, MemberKind, TypeExpr, TypeKind,
};
use ordain_lang_syntax::{Diagnostic, Span};

use crate::checker::Checker;
use crate::program::{
    AppId, EnvId, Exempt, ExemptIn, ExemptObject, ExemptRule, Exemption, ModuleId,
};
use crate::resolve::{TypeScope, with_near};
use crate::suggest::nearest;
use crate::ty::{Ty, TyKind};

/// The code of the rule that a selector selects its own pods. A label that a webhook adds is none that anyone could know
/// here, so the rule has exemptions although it is one of a single object.
pub const OWN_PODS: &str = "E0703";

/// The code of the rule that no kind is one that the version has no more. What is exempt from it is of no type.
const GONE: &str = "E0613";

/// Stands for any group where a kind is named that no version of the table may have.
const ANY_GROUP: &str = "*";

/// Whether a code is that of a rule which an exemption may name: one over the whole set, that no two objects share an
/// identity among them, or that of selectors and their own pods.
fn may_be_allowed(code: &str) -> bool {
    match code {
        "E0690" => false,
        "E0511" | OWN_PODS => true,
        _ => matches!(code.get(..3), Some("E06" | "W06")),
    }
}

impl<'a> Checker<'a> {
    /// Looks at all exemptions of files, apps and environments.
    pub(crate) fn check_exemptions(&mut self) {
        let mut written: Vec<(usize, &'a Written, ExemptIn)> = Vec::new();
        let of_members = |members: &'a [ordain_lang_syntax::ast::Member]| {
            members.iter().filter_map(|member| match &member.kind {
                MemberKind::Exempt(exemption) => Some(exemption),
                _ => None,
            })
        };
        for (at, module) in self.modules.iter().enumerate() {
            written.extend(module.file.items.iter().filter_map(|item| {
                let ItemKind::Exempt(exemption) = &item.kind else {
                    return None;
                };
                Some((at, exemption, ExemptIn::Module(ModuleId::new(at))))
            }));
        }
        for (at, app) in self.apps.iter().enumerate() {
            let place = ExemptIn::App(AppId::new(at));
            written.extend(of_members(&app.decl.body.members).map(|one| (app.module, one, place)));
        }
        for (at, env) in self.envs.iter().enumerate() {
            let place = ExemptIn::Env(EnvId::new(at));
            written.extend(of_members(&env.decl.body.members).map(|one| (env.module, one, place)));
        }
        let mut made = Vec::with_capacity(written.len());
        for (module, exemption, place) in written {
            if let Some(what) = self.exemption(module, &exemption.kind) {
                made.push(Exemption {
                    what,
                    place,
                    span: exemption.span,
                });
            }
        }
        self.exemptions = made;
    }

    /// Whether an exemption of a rule may be for the object around what is being checked. Which app and which environment
    /// it is built for only evaluation knows, which then judges it.
    pub(crate) fn may_be_exempt(&self, code: &str) -> bool {
        let around = self
            .objects
            .last()
            .map(|title| match title.split_once(' ') {
                Some((kind, name)) => (kind, Some(name)),
                None => (&**title, None),
            });
        self.exemptions.iter().any(|one| match &one.what {
            Exempt::Allow {
                rule: ExemptRule::Code(own),
                object,
                ..
            } if *own == *code => match (object, around) {
                (None, _) | (_, None) => true,
                (Some(object), Some((kind, name))) => {
                    *object.kind == *kind && name.is_none_or(|name| object.is_called(name))
                }
            },
            _ => false,
        })
    }

    /// Whether an object of a kind that the version does not have may stay as it is written; evaluation judges it.
    pub(crate) fn may_be_gone(&self, api_version: &str, kind: &str, name: Option<&str>) -> bool {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        let is_ours =
            group == "extensions" || self.k8s.table.kinds().iter().any(|own| own.group == group);
        is_ours
            && self.exemptions.iter().any(|one| match &one.what {
                Exempt::Allow {
                    rule: ExemptRule::Code(code),
                    object,
                    ..
                } if *code == *GONE => object.as_ref().is_none_or(|object| {
                    *object.kind == *kind && name.is_none_or(|name| object.is_called(name))
                }),
                _ => false,
            })
    }

    fn exemption(&mut self, module: usize, written: &'a ExemptionKind) -> Option<Exempt> {
        match written {
            ExemptionKind::External {
                ty,
                name,
                namespace,
            } => {
                let object = self.exempt_object(module, ty, name)?;
                Some(Exempt::External(
                    object,
                    namespace.as_deref().map(Arc::from),
                ))
            }
            ExemptionKind::Allow {
                rule,
                rule_span,
                object,
                reason,
            } => {
                let rule = self.exempt_rule(rule, *rule_span);
                let gone = matches!(&rule, Some(ExemptRule::Code(code)) if *code == *GONE);
                let object = match object {
                    Some((ty, name)) if gone => Some(match gone_object(ty, name) {
                        Some(object) => object,
                        None => self.exempt_object(module, ty, name)?,
                    }),
                    Some((ty, name)) => Some(self.exempt_object(module, ty, name)?),
                    None => None,
                };
                Some(Exempt::Allow {
                    rule: rule?,
                    object,
                    reason: Arc::from(&**reason),
                })
            }
        }
    }

    fn exempt_object(
        &mut self,
        module: usize,
        ty: &'a TypeExpr,
        name: &str,
    ) -> Option<ExemptObject> {
        let resolved = self.resolve(&TypeScope { module, args: &[] }, ty);
        if resolved == Ty::ERROR {
            return None;
        }
        let gvk = match self.kind(resolved) {
            TyKind::Record(id) => self.types.record(*id).gvk(),
            _ => None,
        };
        let Some(gvk) = gvk else {
            let shown = crate::show::show(&self.types, resolved);
            self.report(
                Diagnostic::error("E0690", format!("`{shown}` is no kind of object"))
                    .label(ty.span, "this type")
                    .help("name the kind of the object, such as `k8s.ConfigMap`"),
            );
            return None;
        };
        let group = gvk
            .api_version
            .split_once('/')
            .map_or("", |(group, _)| group);
        Some(ExemptObject {
            group: group.into(),
            kind: (&*gvk.kind).into(),
            name: name.into(),
        })
    }

    fn exempt_rule(&mut self, rule: &AllowedRule, span: Span) -> Option<ExemptRule> {
        match rule {
            AllowedRule::Code(code) if code.is_empty() => None,
            AllowedRule::Code(code) => {
                let text = code.as_str();
                if may_be_allowed(text) && crate::pages::codes().any(|known| known == text) {
                    return Some(ExemptRule::Code(*code));
                }
                let rules = || crate::pages::codes().filter(|code| may_be_allowed(code));
                let diagnostic = match crate::pages::codes().any(|known| known == text) {
                    true => Diagnostic::error("E0690", format!("{text} has no exemptions"))
                        .label(span, "this code")
                        .note(
                            "only rules over the whole set of objects have: E06…, W06…, E0511 and E0703",
                        ),
                    false => Diagnostic::error("E0690", format!("there is no rule {text}"))
                        .label(span, "not found"),
                };
                let near = nearest(text, rules());
                self.report(with_near(diagnostic, near));
                None
            }
            // Which policies there are is known when they are applied; one that is not there is never needed.
            AllowedRule::Policy(name) => Some(ExemptRule::Policy(Arc::from(&**name))),
        }
    }
}

/// An object of a kind by the name alone: `k8s.PodSecurityPolicy`, which no table has.
fn gone_object(ty: &TypeExpr, name: &str) -> Option<ExemptObject> {
    let TypeKind::Named { path, .. } = &ty.kind else {
        return None;
    };
    let [first, .., kind] = path.parts.as_slice() else {
        return None;
    };
    (first.name.as_str() == "k8s").then(|| ExemptObject {
        group: ANY_GROUP.into(),
        kind: kind.name.as_str().into(),
        name: name.into(),
    })
}
