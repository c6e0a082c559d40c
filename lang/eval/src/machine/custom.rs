//! Finished objects of custom kinds under the schema and the CEL rules of their CustomResourceDefinition.
//!
//! The judging is done by `ordain_lang_crd`; here its findings get the places of the values.

use ordain_lang_crd::{Step, Violation, check_object};
use ordain_lang_syntax::{Diagnostic, Span};
use ordain_lang_types::CrdFile;

use super::Machine;
use super::pour::Pour;
use crate::emit::JsonSink;
use crate::session::Object;
use crate::value::{Reported, Res, Value};

impl Machine<'_> {
    /// Holds a finished object against the definition of its kind, when the project has one.
    pub(crate) fn judge_custom(&mut self, value: Value, object: &Object) -> Res<()> {
        let program = self.program;
        if program.crds.is_empty() {
            return Ok(());
        }
        let Some(kind) = program.crds.find(&object.api_version, &object.kind) else {
            return Ok(());
        };
        let how = Pour {
            namespace: object.namespace.as_deref(),
            ..Pour::default()
        };
        let mut sink = JsonSink::new();
        self.pour(value, &mut sink, how)?;
        let mut result = Ok(());
        for violation in check_object(kind.version, &sink.finish()) {
            let diagnostic = self.violation(value, object, kind.file, &violation);
            self.report(diagnostic);
            result = Err(Reported);
        }
        result
    }

    fn violation(
        &mut self,
        value: Value,
        object: &Object,
        file: &CrdFile,
        violation: &Violation,
    ) -> Diagnostic {
        let field = violation.field();
        let message = match (violation.code, field.as_str()) {
            ("E0860", "") => format!("the {} {}", object.kind, violation.message),
            ("E0860", field) => format!("`{field}` {}", violation.message),
            (_, "") => violation.message.clone(),
            (_, field) => format!("`{field}`: {}", violation.message),
        };
        let (place, label) = self.violation_place(value, object, &violation.path);
        let mut diagnostic = Diagnostic::error(violation.code, message)
            .label(place, label)
            .label(file.span(violation.rule), &violation.label);
        for note in &violation.notes {
            diagnostic = diagnostic.note(note);
        }
        diagnostic
    }

    /// Where the value at a path was set, or else the nearest value around it.
    fn violation_place(
        &mut self,
        value: Value,
        object: &Object,
        path: &[Step],
    ) -> (Span, &'static str) {
        let steps: Vec<String> = path.iter().map(Step::to_string).collect();
        for end in (1..=steps.len()).rev() {
            let steps: Vec<&str> = steps[..end].iter().map(String::as_str).collect();
            if let Some((_, chain)) = self.explain(value, &steps)
                && let Some(source) = chain.first()
            {
                let label = if end == path.len() {
                    "set here"
                } else {
                    "in this value"
                };
                return (source.span, label);
            }
        }
        let at = object.made;
        (
            Span {
                end: at.end.min(at.start + 1),
                ..at
            },
            "this object",
        )
    }
}
