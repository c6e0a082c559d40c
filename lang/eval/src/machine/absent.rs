//! What is told of changes that cannot be: to something that is not there, or that is final.

use ordain_lang_syntax::{Diagnostic, Span};
use ordain_lang_types::ty::RecordId;

use super::Machine;
use super::near::{nearest, some_of};
use crate::value::{MapId, Reported, Text};

impl Machine<'_> {
    /// A deletion that deletes nothing is a misspelled key, or one that is no longer there. It changes nothing, and it is
    /// told and no error, so that changes can be made twice.
    pub(super) fn nothing_to_delete(&mut self, map: MapId, key: Text, span: Span) {
        let name = self.text(key).to_owned();
        let entries = self.heap.map(map);
        let known: Vec<String> = entries
            .iter()
            .map(|e| self.text(e.key).to_owned())
            .collect();
        let mut diagnostic =
            Diagnostic::warning("W0511", format!("there is no key `{name}` to delete"))
                .label(span, "deleted here");
        diagnostic = match known.is_empty() {
            true => diagnostic.note("the map is empty"),
            false => diagnostic.note(format!("the map has {}", some_of(&known))),
        };
        diagnostic = match nearest(&name, &known) {
            Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
            None => diagnostic.help("remove this line"),
        };
        let _ = self.report(diagnostic);
    }

    /// An amendment of a list's element names one that the list has.
    pub(super) fn nothing_to_amend(
        &mut self,
        name: &str,
        known: &[String],
        span: Span,
    ) -> Reported {
        let mut diagnostic = Diagnostic::error("E0513", format!("there is no element `{name}`"))
            .label(span, "an amendment changes what is there");
        if known.is_empty() {
            diagnostic = diagnostic.note("the list is empty");
        } else {
            diagnostic = diagnostic.note(format!("the list has {}", some_of(known)));
        }
        diagnostic = match nearest(name, known) {
            Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
            None => diagnostic.help("to add an element, use `+=` or `[…] = { … }`"),
        };
        self.report(diagnostic)
    }

    /// A change of a record by a computed name that it does not have.
    pub(super) fn no_such_field(&mut self, def: RecordId, name: String, span: Span) -> Reported {
        let message = format!("`{}` has no field `{name}`", self.def(def).name);
        self.report(Diagnostic::error("E0201", message).label(span, "unknown field"))
    }

    pub(super) fn is_final(&mut self, name: &str, span: Span, rule: Option<Span>) -> Reported {
        let mut diagnostic =
            Diagnostic::error("E0303", format!("`{name}` is final")).label(span, "changed here");
        if let Some(rule) = rule {
            diagnostic = diagnostic.label(rule, "made final here");
        }
        self.report(diagnostic)
    }
}
