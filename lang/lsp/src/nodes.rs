//! The syntax tree as nodes with children, so that a place can be looked for without knowing every kind.
//!
//! Knows the typed tree and nothing of names or types.

use ordain_lang_syntax::Span;
use ordain_lang_syntax::ast::{
    Arg, Arm, Assert, Binding, Element, Exemption, ExemptionKind, Expr, ExprKind, FieldDecl,
    FieldOp, File, ForClause, Item, ItemKind, Member, MemberKind, Param, Pattern, PatternKind,
    Record, RecordType, Segment, SegmentKind, Selector, Stmt, StmtKind, StrPart, TypeBody,
    TypeExpr, TypeKind,
};

/// A part of the tree.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Node<'a> {
    /// An item of the file.
    Item(&'a Item),
    /// A field of a type.
    FieldDecl(&'a FieldDecl),
    /// The braces of a type.
    RecordType(&'a RecordType),
    /// An `assert`.
    Assert(&'a Assert),
    /// A parameter.
    Param(&'a Param),
    /// A `let`.
    Binding(&'a Binding),
    /// A statement of a test or policy.
    Stmt(&'a Stmt),
    /// An expression.
    Expr(&'a Expr),
    /// A type.
    Type(&'a TypeExpr),
    /// Braces.
    Record(&'a Record),
    /// A member of braces.
    Member(&'a Member),
    /// A step of a path.
    Segment(&'a Segment),
    /// What stands in brackets after something.
    Selector(&'a Selector, Span),
    /// An element of a list that is no plain expression.
    Element(&'a Element),
    /// A `for` clause.
    Clause(&'a ForClause),
    /// An arm of a match.
    Arm(&'a Arm),
    /// A pattern.
    Pattern(&'a Pattern),
    /// An argument.
    Arg(&'a Arg),
}

impl<'a> Node<'a> {
    /// Where it stands.
    pub(crate) fn span(self) -> Span {
        match self {
            Node::Item(item) => item.span,
            Node::FieldDecl(field) => field.span,
            Node::RecordType(record) => record.span,
            Node::Assert(assert) => assert.span,
            Node::Param(param) => param.span,
            Node::Binding(binding) => binding.span,
            Node::Stmt(stmt) => stmt.span,
            Node::Expr(expr) => expr.span,
            Node::Type(ty) => ty.span,
            Node::Record(record) => record.span,
            Node::Member(member) => member.span,
            Node::Segment(segment) => segment.span,
            Node::Selector(_, span) => span,
            Node::Element(element) => match element {
                Element::Item(e) | Element::Spread(e) => e.span,
                Element::For { span, .. } | Element::If { span, .. } => *span,
            },
            Node::Clause(clause) => clause.first.span.to(clause.iter.span),
            Node::Arm(arm) => match arm.patterns.first() {
                Some(first) => first.span.to(arm.body.span),
                None => arm.body.span,
            },
            Node::Pattern(pattern) => pattern.span,
            Node::Arg(arg) => match arg.name {
                Some(name) => name.span.to(arg.value.span),
                None => arg.value.span,
            },
        }
    }

    /// Calls `visit` for each child, in no promised order.
    pub(crate) fn children(self, visit: &mut dyn FnMut(Node<'a>)) {
        match self {
            Node::Item(item) => item_children(item, visit),
            Node::FieldDecl(field) => {
                visit(Node::Type(&field.ty));
                field.default.iter().for_each(|e| visit(Node::Expr(e)));
            }
            Node::RecordType(record) => {
                record.fields.iter().for_each(|f| visit(Node::FieldDecl(f)));
                record.asserts.iter().for_each(|a| visit(Node::Assert(a)));
            }
            Node::Assert(assert) => {
                visit(Node::Expr(&assert.condition));
                assert.message.iter().for_each(|e| visit(Node::Expr(e)));
            }
            Node::Param(param) => {
                param.ty.iter().for_each(|t| visit(Node::Type(t)));
                param.default.iter().for_each(|e| visit(Node::Expr(e)));
            }
            Node::Binding(binding) => {
                binding.ty.iter().for_each(|t| visit(Node::Type(t)));
                visit(Node::Expr(&binding.value));
            }
            Node::Stmt(stmt) => stmt_children(stmt, visit),
            Node::Expr(expr) => expr_children(expr, visit),
            Node::Type(ty) => type_children(ty, visit),
            Node::Record(record) => record.members.iter().for_each(|m| visit(Node::Member(m))),
            Node::Member(member) => member_children(member, visit),
            Node::Segment(segment) => match &segment.kind {
                SegmentKind::Name(_) => {}
                SegmentKind::Computed(e) => visit(Node::Expr(e)),
                SegmentKind::Select(selector) => visit(Node::Selector(selector, segment.span)),
            },
            Node::Selector(selector, _) => match selector {
                Selector::Key(e) => visit(Node::Expr(e)),
                Selector::Keys(keys) => keys.iter().for_each(|e| visit(Node::Expr(e))),
                Selector::Object { kind, name } => {
                    visit(Node::Expr(kind));
                    visit(Node::Expr(name));
                }
            },
            Node::Element(element) => match element {
                Element::Item(e) | Element::Spread(e) => visit(Node::Expr(e)),
                Element::For {
                    clauses,
                    condition,
                    body,
                    ..
                } => {
                    clauses.iter().for_each(|c| visit(Node::Clause(c)));
                    condition.iter().for_each(|e| visit(Node::Expr(e)));
                    visit(Node::Expr(body));
                }
                Element::If {
                    condition, body, ..
                } => {
                    visit(Node::Expr(condition));
                    visit(Node::Expr(body));
                }
            },
            Node::Clause(clause) => visit(Node::Expr(&clause.iter)),
            Node::Arm(arm) => {
                arm.patterns.iter().for_each(|p| visit(Node::Pattern(p)));
                arm.guard.iter().for_each(|e| visit(Node::Expr(e)));
                visit(Node::Expr(&arm.body));
            }
            Node::Pattern(pattern) => match &pattern.kind {
                PatternKind::Value(e) => visit(Node::Expr(e)),
                PatternKind::Type(ty, _) => visit(Node::Type(ty)),
                PatternKind::Error | PatternKind::Any | PatternKind::Bind(_) => {}
            },
            Node::Arg(arg) => visit(Node::Expr(&arg.value)),
        }
    }
}

fn item_children<'a>(item: &'a Item, visit: &mut dyn FnMut(Node<'a>)) {
    match &item.kind {
        ItemKind::Error | ItemKind::Use(_) => {}
        ItemKind::Type(decl) => match &decl.body {
            TypeBody::Record(record) => visit(Node::RecordType(record)),
            TypeBody::Alias(ty) => visit(Node::Type(ty)),
        },
        ItemKind::Fn(decl) => {
            decl.params.iter().for_each(|p| visit(Node::Param(p)));
            decl.result.iter().for_each(|t| visit(Node::Type(t)));
            visit(Node::Expr(&decl.body));
        }
        ItemKind::Let(binding) => visit(Node::Binding(binding)),
        ItemKind::Export(export) => {
            export.ty.iter().for_each(|t| visit(Node::Type(t)));
            visit(Node::Expr(&export.value));
        }
        ItemKind::App(app) => visit(Node::Record(&app.body)),
        ItemKind::Env(env) => visit(Node::Record(&env.body)),
        ItemKind::Test(test) => test.body.iter().for_each(|s| visit(Node::Stmt(s))),
        ItemKind::Policy(policy) => policy.body.iter().for_each(|s| visit(Node::Stmt(s))),
        #[allow(unreachable_patterns, reason = "kinds of items may be added")]
        _ => {}
    }
}

fn stmt_children<'a>(stmt: &'a Stmt, visit: &mut dyn FnMut(Node<'a>)) {
    match &stmt.kind {
        StmtKind::Error => {}
        StmtKind::Let(binding) => visit(Node::Binding(binding)),
        StmtKind::Assert(assert) => visit(Node::Assert(assert)),
        StmtKind::Snapshot(e) => visit(Node::Expr(e)),
        StmtKind::MustFail { body, .. } => visit(Node::Record(body)),
        StmtKind::For {
            clauses,
            condition,
            body,
        } => {
            clauses.iter().for_each(|c| visit(Node::Clause(c)));
            condition.iter().for_each(|e| visit(Node::Expr(e)));
            body.iter().for_each(|s| visit(Node::Stmt(s)));
        }
        StmtKind::If {
            condition,
            then,
            otherwise,
        } => {
            visit(Node::Expr(condition));
            then.iter().for_each(|s| visit(Node::Stmt(s)));
            otherwise.iter().for_each(|s| visit(Node::Stmt(s)));
        }
        StmtKind::Deny {
            condition, message, ..
        } => {
            condition.iter().for_each(|e| visit(Node::Expr(e)));
            message.iter().for_each(|e| visit(Node::Expr(e)));
        }
        #[allow(unreachable_patterns, reason = "kinds of statements may be added")]
        _ => {}
    }
}

fn expr_children<'a>(expr: &'a Expr, visit: &mut dyn FnMut(Node<'a>)) {
    match &expr.kind {
        ExprKind::Interp(parts) => {
            for part in parts {
                if let StrPart::Expr(e) = part {
                    visit(Node::Expr(e));
                }
            }
        }
        ExprKind::Field { base, .. } => visit(Node::Expr(base)),
        ExprKind::Index { base, selector } => {
            visit(Node::Expr(base));
            let span = Span {
                start: base.span.end,
                ..expr.span
            };
            visit(Node::Selector(selector, span));
        }
        ExprKind::Call { callee, args } => {
            visit(Node::Expr(callee));
            args.iter().for_each(|a| visit(Node::Arg(a)));
        }
        ExprKind::Amend { base, body } => {
            visit(Node::Expr(base));
            visit(Node::Record(body));
        }
        ExprKind::Record(record) => visit(Node::Record(record)),
        ExprKind::List(elements) => elements.iter().for_each(|e| visit(Node::Element(e))),
        ExprKind::If {
            condition,
            then,
            otherwise,
        } => {
            visit(Node::Expr(condition));
            visit(Node::Expr(then));
            otherwise.iter().for_each(|e| visit(Node::Expr(e)));
        }
        ExprKind::Match { value, arms } => {
            visit(Node::Expr(value));
            arms.iter().for_each(|a| visit(Node::Arm(a)));
        }
        ExprKind::Let { binding, body } => {
            visit(Node::Binding(binding));
            visit(Node::Expr(body));
        }
        ExprKind::Lambda { params, body } => {
            params.iter().for_each(|p| visit(Node::Param(p)));
            visit(Node::Expr(body));
        }
        ExprKind::Unary { operand, .. } => visit(Node::Expr(operand)),
        ExprKind::Binary { left, right, .. } => {
            visit(Node::Expr(left));
            visit(Node::Expr(right));
        }
        ExprKind::Range { low, high, .. } => {
            low.iter().chain(high).for_each(|e| visit(Node::Expr(e)));
        }
        _ => {}
    }
}

fn type_children<'a>(ty: &'a TypeExpr, visit: &mut dyn FnMut(Node<'a>)) {
    match &ty.kind {
        TypeKind::Error => {}
        TypeKind::Named {
            args, refinements, ..
        } => {
            args.iter().for_each(|t| visit(Node::Type(t)));
            refinements.iter().for_each(|r| visit(Node::Expr(&r.value)));
        }
        TypeKind::Optional(inner) => visit(Node::Type(inner)),
        TypeKind::Literal(e) => visit(Node::Expr(e)),
        TypeKind::Union(members) => members.iter().for_each(|t| visit(Node::Type(t))),
        TypeKind::Function { params, result } => {
            params.iter().for_each(|t| visit(Node::Type(t)));
            visit(Node::Type(result));
        }
        TypeKind::Record(record) => visit(Node::RecordType(record)),
    }
}

fn member_children<'a>(member: &'a Member, visit: &mut dyn FnMut(Node<'a>)) {
    match &member.kind {
        MemberKind::Error => {}
        MemberKind::Field(field) => {
            field.path.iter().for_each(|s| visit(Node::Segment(s)));
            field.ty.iter().for_each(|t| visit(Node::Type(t)));
            match &field.op {
                FieldOp::Set(e) | FieldOp::Append(e) => visit(Node::Expr(e)),
                FieldOp::Amend(record) => visit(Node::Record(record)),
                FieldOp::Declare => {}
            }
        }
        MemberKind::Delete(path) => path.iter().for_each(|s| visit(Node::Segment(s))),
        MemberKind::Let(binding) => visit(Node::Binding(binding)),
        MemberKind::Spread(e) => visit(Node::Expr(e)),
        MemberKind::Exempt(exemption) => exempt_children(exemption, visit),
        MemberKind::For {
            clauses,
            condition,
            body,
        } => {
            clauses.iter().for_each(|c| visit(Node::Clause(c)));
            condition.iter().for_each(|e| visit(Node::Expr(e)));
            body.iter().for_each(|m| visit(Node::Member(m)));
        }
        MemberKind::If {
            condition,
            then,
            otherwise,
        } => {
            visit(Node::Expr(condition));
            then.iter().for_each(|m| visit(Node::Member(m)));
            otherwise.iter().for_each(|m| visit(Node::Member(m)));
        }
    }
}

fn exempt_children<'a>(exemption: &'a Exemption, visit: &mut dyn FnMut(Node<'a>)) {
    match &exemption.kind {
        ExemptionKind::External { ty, .. } => visit(Node::Type(ty)),
        ExemptionKind::Allow { object, .. } => {
            object.iter().for_each(|(ty, _)| visit(Node::Type(ty)));
        }
    }
}

/// Returns the nodes around a place, outermost first. A place at the end of a node is still inside.
pub(crate) fn path_at(file: &File, offset: u32) -> Vec<Node<'_>> {
    let holds = |node: &Node<'_>| {
        let span = node.span();
        span.start <= offset && offset <= span.end
    };
    let mut path: Vec<Node<'_>> = Vec::new();
    // Of two neighbors that touch the place, the later one begins there.
    let mut next = file.items.iter().map(Node::Item).rev().find(holds);
    while let Some(node) = next {
        path.push(node);
        next = None;
        let mut best: Option<(u32, u32)> = None;
        node.children(&mut |child| {
            let span = child.span();
            if holds(&child) && best.is_none_or(|b| (span.start, b.1) >= (b.0, span.end)) {
                best = Some((span.start, span.end));
                next = Some(child);
            }
        });
    }
    path
}

/// Calls `visit` for every node of a file, outer ones first.
pub(crate) fn walk<'a>(file: &'a File, visit: &mut dyn FnMut(Node<'a>)) {
    for item in &file.items {
        walk_from(Node::Item(item), visit);
    }
}

/// Calls `visit` for a node and every node inside it, outer ones first.
pub(crate) fn walk_from<'a>(node: Node<'a>, visit: &mut dyn FnMut(Node<'a>)) {
    let mut todo = vec![node];
    while let Some(node) = todo.pop() {
        visit(node);
        let from = todo.len();
        node.children(&mut |child| todo.push(child));
        todo[from..].reverse();
    }
}
