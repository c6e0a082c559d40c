//! Exemptions from the rules over the whole set: `external` and `allow`.

use super::Parser;
use crate::Name;
use crate::ast::{AllowedRule, Exemption, ExemptionKind};
use crate::kind::{NodeKind, TokenKind as T};

impl Parser<'_> {
    /// Whether the word here begins an exemption, and is no field of that name.
    pub(super) fn at_exemption(&self) -> bool {
        self.peek_at(1).is_word() && !self.tokens[self.at + 1].new_line
    }

    /// `external k8s.Secret "tls" in "other"` or `allow E0601 for k8s.Service "web", "reason"`.
    pub(super) fn exemption(&mut self) -> Exemption {
        let start = self.start();
        let kind = if self.bump().kind == T::External {
            self.external()
        } else {
            self.allow()
        };
        let span = self.finish(start, NodeKind::Exemption);
        Exemption {
            id: self.id(),
            span,
            kind,
        }
    }

    fn external(&mut self) -> ExemptionKind {
        let ty = self.ty();
        let (name, _) = self.plain_string("the name of an object");
        let namespace = self.eat(T::In).then(|| self.plain_string("a namespace").0);
        ExemptionKind::External {
            ty,
            name,
            namespace,
        }
    }

    fn allow(&mut self) -> ExemptionKind {
        let (rule, rule_span) = if self.peek() == T::Policy && self.peek_at(1) == T::Quote {
            self.bump();
            let (name, span) = self.plain_string("the name of a policy");
            (AllowedRule::Policy(name), span)
        } else {
            let code = self.ident("the code of a rule, such as E0601");
            (AllowedRule::Code(Name::new(&code.name)), code.span)
        };
        let object = self.eat(T::For).then(|| {
            let ty = self.ty();
            let (name, _) = self.plain_string("the name of an object");
            (ty, name)
        });
        let has_reason = self.peek() == T::Comma && self.peek_at(1) == T::Quote;
        let reason = if has_reason && self.eat(T::Comma) {
            self.plain_string("a reason").0
        } else {
            self.unexpected("a comma and the reason, a string");
            "".into()
        };
        ExemptionKind::Allow {
            rule,
            rule_span,
            object,
            reason,
        }
    }
}
