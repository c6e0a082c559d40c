//! Tokens to a tree, names resolved, macros expanded (cel-spec, doc/langdef.md, "Syntax" and "Macros").

use std::sync::Arc;

use crate::ast::{Expr, Kind, Op};
use crate::error::CompileError;
use crate::functions;
use crate::lexer::{Token, tokens};
use crate::names::{escape, is_reserved};
use crate::program::{MAX_DEPTH, MAX_NESTED, MAX_TEXT, Program};
use crate::value::Value;

/// Names in front of functions that are no variables.
const NAMESPACES: [&str; 6] = ["optional", "sets", "format", "ip", "strings", "cel"];

/// Types as values.
const TYPES: [&str; 10] = [
    "bool",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "list",
    "map",
    "null_type",
    "type",
];

pub(crate) type Parsed<T = Expr> = Result<T, CompileError>;

pub(crate) struct Parser {
    tokens: Vec<(Token, usize)>,
    at: usize,
    nested: usize,
    /// Variables in scope, outermost first.
    pub(crate) scope: Vec<Arc<str>>,
    used: Vec<bool>,
}

/// Parses a text to a program.
pub(crate) fn parse(text: &str, variables: &[&str]) -> Parsed<Program> {
    if text.len() > MAX_TEXT {
        return Err(CompileError::new(
            0,
            format!("the expression is longer than {MAX_TEXT} bytes"),
        ));
    }
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
        nested: 0,
        scope: variables.iter().map(|v| Arc::from(*v)).collect(),
        used: vec![false; variables.len()],
    };
    let root = parser.expr()?;
    if *parser.peek() != Token::End {
        return Err(parser.unexpected("the end"));
    }
    let names = parser.scope.iter().cloned();
    Ok(Program {
        root,
        variables: names.zip(parser.used).collect(),
    })
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.at.min(self.tokens.len() - 1)].0
    }

    pub(crate) fn offset(&self) -> usize {
        self.tokens[self.at.min(self.tokens.len() - 1)].1
    }

    fn bump(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn eat(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Token::Sign(s) if *s == sign);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Parsed<()> {
        match self.eat(sign) {
            true => Ok(()),
            false => Err(self.unexpected(&format!("`{sign}`"))),
        }
    }

    fn unexpected(&self, wanted: &str) -> CompileError {
        let found = match self.peek() {
            Token::End => "the end".to_owned(),
            Token::Sign(sign) => format!("`{sign}`"),
            Token::Name(name) | Token::Quoted(name) => format!("`{name}`"),
            Token::Literal(value) => format!("{value:?}"),
        };
        CompileError::new(self.offset(), format!("expected {wanted}, found {found}"))
    }

    /// A node above others.
    pub(crate) fn node(&self, kind: Kind, below: u32, offset: usize) -> Parsed {
        let depth = below + 1;
        if depth as usize > MAX_DEPTH {
            return Err(self.too_deep(MAX_DEPTH));
        }
        // A text is at most `MAX_TEXT` long.
        let at = offset as u32;
        Ok(Expr { kind, depth, at })
    }

    fn too_deep(&self, levels: usize) -> CompileError {
        CompileError::new(
            self.offset(),
            format!("the expression is nested deeper than {levels} levels"),
        )
    }

    pub(crate) fn expr(&mut self) -> Parsed {
        self.nested += 1;
        if self.nested > MAX_NESTED {
            return Err(self.too_deep(MAX_NESTED));
        }
        let condition = self.or()?;
        let offset = self.offset();
        let made = if self.eat("?") {
            let then = self.or()?;
            self.expect(":")?;
            let otherwise = self.expr()?;
            let below = condition.depth.max(then.depth).max(otherwise.depth);
            self.node(
                Kind::If(condition.into(), then.into(), otherwise.into()),
                below,
                offset,
            )?
        } else {
            condition
        };
        self.nested -= 1;
        Ok(made)
    }

    fn or(&mut self) -> Parsed {
        let first = self.and()?;
        if !matches!(self.peek(), Token::Sign("||")) {
            return Ok(first);
        }
        let offset = self.offset();
        let mut parts = vec![first];
        while self.eat("||") {
            parts.push(self.and()?);
        }
        let below = parts.iter().map(|p| p.depth).max().unwrap_or(0);
        self.node(Kind::Or(parts), below, offset)
    }

    fn and(&mut self) -> Parsed {
        let first = self.binary(0)?;
        if !matches!(self.peek(), Token::Sign("&&")) {
            return Ok(first);
        }
        let offset = self.offset();
        let mut parts = vec![first];
        while self.eat("&&") {
            parts.push(self.binary(0)?);
        }
        let below = parts.iter().map(|p| p.depth).max().unwrap_or(0);
        self.node(Kind::And(parts), below, offset)
    }

    /// Relations, sums and products, by how tightly they bind.
    fn binary(&mut self, level: u8) -> Parsed {
        let mut left = self.unary()?;
        loop {
            let (op, binds) = match self.peek() {
                Token::Sign("<") => (Op::Lt, 0),
                Token::Sign("<=") => (Op::Le, 0),
                Token::Sign(">") => (Op::Gt, 0),
                Token::Sign(">=") => (Op::Ge, 0),
                Token::Sign("==") => (Op::Eq, 0),
                Token::Sign("!=") => (Op::Ne, 0),
                Token::Sign("in") => (Op::In, 0),
                Token::Sign("+") => (Op::Add, 1),
                Token::Sign("-") => (Op::Sub, 1),
                Token::Sign("*") => (Op::Mul, 2),
                Token::Sign("/") => (Op::Div, 2),
                Token::Sign("%") => (Op::Rem, 2),
                _ => return Ok(left),
            };
            if binds < level {
                return Ok(left);
            }
            let offset = self.offset();
            self.bump();
            let right = self.binary(binds + 1)?;
            let below = left.depth.max(right.depth);
            left = self.node(Kind::Binary(op, left.into(), right.into()), below, offset)?;
        }
    }

    fn unary(&mut self) -> Parsed {
        let mut signs = Vec::new();
        while let Token::Sign(sign @ ("!" | "-")) = self.peek() {
            signs.push((*sign, self.offset()));
            self.at += 1;
        }
        let mut made = self.member()?;
        for (sign, offset) in signs.into_iter().rev() {
            let Expr { kind, depth, at } = made;
            made = match (sign, kind) {
                ("-", Kind::Literal(Value::Int(n))) => {
                    self.node(Kind::Literal(Value::Int(-n)), 0, offset)?
                }
                ("-", Kind::Literal(Value::Double(d))) => {
                    self.node(Kind::Literal(Value::Double(-d)), 0, offset)?
                }
                ("-", Kind::Literal(Value::Uint(n))) if n == i64::MIN.unsigned_abs() => {
                    self.node(Kind::Literal(Value::Int(i64::MIN)), 0, offset)?
                }
                (sign, kind) => {
                    let inner = Box::new(Expr { kind, depth, at });
                    let kind = match sign {
                        "-" => Kind::Negate(inner),
                        _ => Kind::Not(inner),
                    };
                    self.node(kind, depth, offset)?
                }
            };
        }
        Ok(made)
    }

    fn member(&mut self) -> Parsed {
        let mut base = self.primary()?;
        loop {
            let offset = self.offset();
            if self.eat(".?") {
                let offset = self.offset();
                let name = self.field_name()?;
                let below = base.depth;
                let kind = Kind::Select {
                    base: base.into(),
                    name,
                    optional: true,
                };
                base = self.node(kind, below, offset)?;
            } else if self.eat(".") {
                let offset = self.offset();
                let name = self.field_name()?;
                if self.eat("(") {
                    base = self.method(base, &name, offset)?;
                    continue;
                }
                let below = base.depth;
                let kind = Kind::Select {
                    base: base.into(),
                    name,
                    optional: false,
                };
                base = self.node(kind, below, offset)?;
            } else if matches!(self.peek(), Token::Sign("[" | "[?")) {
                let optional = self.bump() == Token::Sign("[?");
                let index = self.expr()?;
                self.expect("]")?;
                let below = base.depth.max(index.depth);
                let kind = Kind::Index {
                    base: base.into(),
                    index: index.into(),
                    optional,
                };
                base = self.node(kind, below, offset)?;
            } else {
                return Ok(base);
            }
        }
    }

    fn field_name(&mut self) -> Parsed<Arc<str>> {
        match self.bump() {
            Token::Name(name) => Ok(name),
            Token::Quoted(name) => Ok(escape(&name).into()),
            _ => {
                self.at -= 1;
                Err(self.unexpected("the name of a field"))
            }
        }
    }

    fn primary(&mut self) -> Parsed {
        let offset = self.offset();
        match self.bump() {
            Token::Literal(value) => {
                if let Value::Uint(n) = value
                    && n == i64::MIN.unsigned_abs()
                    && !matches!(
                        self.tokens.get(self.at.wrapping_sub(2)),
                        Some((Token::Sign("-"), _))
                    )
                {
                    return Err(CompileError::new(
                        offset,
                        "this number is too large for int",
                    ));
                }
                self.node(Kind::Literal(value), 0, offset)
            }
            Token::Sign("(") => {
                let inner = self.expr()?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Sign("[") => self.list(false, offset),
            // `[?a]` begins a list whose first element may be left out.
            Token::Sign("[?") => self.list(true, offset),
            Token::Sign("{") => self.map(false, offset),
            Token::Sign("{?") => self.map(true, offset),
            Token::Sign(".") => match self.bump() {
                Token::Name(name) => self.named(name, offset),
                _ => Err(CompileError::new(offset, "expected a name after `.`")),
            },
            Token::Name(name) => self.named(name, offset),
            _ => {
                self.at -= 1;
                Err(self.unexpected("a value"))
            }
        }
    }

    fn list(&mut self, mut optional: bool, offset: usize) -> Parsed {
        let mut items = Vec::new();
        while optional || !self.eat("]") {
            optional |= self.eat("?");
            items.push((self.expr()?, optional));
            optional = false;
            if !self.eat(",") {
                self.expect("]")?;
                break;
            }
        }
        let below = items.iter().map(|(e, _)| e.depth).max().unwrap_or(0);
        self.node(Kind::List(items), below, offset)
    }

    fn map(&mut self, mut optional: bool, offset: usize) -> Parsed {
        let mut entries = Vec::new();
        while optional || !self.eat("}") {
            optional |= self.eat("?");
            let key = self.expr()?;
            self.expect(":")?;
            entries.push((key, self.expr()?, optional));
            optional = false;
            if !self.eat(",") {
                self.expect("}")?;
                break;
            }
        }
        let below = entries
            .iter()
            .map(|(k, v, _)| k.depth.max(v.depth))
            .max()
            .unwrap_or(0);
        self.node(Kind::Map(entries), below, offset)
    }

    /// A variable, a type, a function or something of a namespace.
    fn named(&mut self, name: Arc<str>, offset: usize) -> Parsed {
        if self.eat("(") {
            if &*name == "has" {
                return self.has(offset);
            }
            let args = self.args()?;
            return self.call(&name, args, false, offset);
        }
        if let Some(at) = self.scope.iter().rposition(|v| *v == name) {
            if let Some(used) = self.used.get_mut(at) {
                *used = true;
            }
            return self.node(Kind::Variable(at), 0, offset);
        }
        if NAMESPACES.contains(&&*name) && self.eat(".") {
            let function = self.field_name()?;
            self.expect("(")?;
            if &*name == "cel" && &*function == "bind" {
                return self.bind(offset);
            }
            let args = self.args()?;
            return self.call(&format!("{name}.{function}"), args, false, offset);
        }
        if let Some(ty) = TYPES.into_iter().find(|ty| *ty == &*name) {
            return self.node(Kind::Literal(Value::Type(ty)), 0, offset);
        }
        if &*name == "google" {
            for ty in ["google.protobuf.Timestamp", "google.protobuf.Duration"] {
                let parts: Vec<&str> = ty.split('.').skip(1).collect();
                let names = |at: usize| match self.tokens.get(self.at + at).map(|(t, _)| t) {
                    Some(Token::Name(name)) => name.to_string(),
                    _ => String::new(),
                };
                if names(1) == parts[0] && names(3) == parts[1] {
                    self.at += 4;
                    return self.node(Kind::Literal(Value::Type(ty)), 0, offset);
                }
            }
        }
        if is_reserved(&name) {
            return Err(CompileError::new(
                offset,
                format!("`{name}` is a reserved word"),
            ));
        }
        Err(CompileError::new(
            offset,
            format!("there is no variable `{name}`"),
        ))
    }

    /// The arguments up to the closing bracket.
    pub(crate) fn args(&mut self) -> Parsed<Vec<Expr>> {
        let mut args = Vec::new();
        while !self.eat(")") {
            args.push(self.expr()?);
            if !self.eat(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(args)
    }

    /// A name that a macro binds, and the comma behind it.
    pub(crate) fn bound_name(&mut self) -> Parsed<Arc<str>> {
        let Token::Name(name) = self.bump() else {
            self.at -= 1;
            return Err(self.unexpected("the name of a variable"));
        };
        self.expect(",")?;
        Ok(name)
    }

    /// Whether a name and a comma follow: one more variable of a macro.
    pub(crate) fn is_name_and_comma(&self) -> bool {
        matches!(self.peek(), Token::Name(_))
            && matches!(self.tokens.get(self.at + 1), Some((Token::Sign(","), _)))
    }

    pub(crate) fn comma(&mut self) -> bool {
        self.eat(",")
    }

    pub(crate) fn close(&mut self) -> Parsed<()> {
        self.expect(")")
    }

    /// A call of a known function with as many arguments as it takes.
    pub(crate) fn call(
        &mut self,
        name: &str,
        args: Vec<Expr>,
        is_method: bool,
        offset: usize,
    ) -> Parsed {
        let Some(function) = functions::find(name, args.len()) else {
            let message = match functions::named(name) {
                Some(counts) => format!(
                    "`{name}` does not take {} arguments; it takes {counts}",
                    args.len()
                ),
                None => format!("there is no function `{name}`"),
            };
            return Err(CompileError::new(offset, message));
        };
        let regex = match (function, args.last().map(|a| &a.kind)) {
            ("matches" | "find", Some(Kind::Literal(Value::String(text)))) => {
                Some(functions::text::regex(text).map_err(|why| CompileError::new(offset, why))?)
            }
            ("findAll", _) if args.len() >= 2 => match &args[1].kind {
                Kind::Literal(Value::String(text)) => Some(
                    functions::text::regex(text).map_err(|why| CompileError::new(offset, why))?,
                ),
                _ => None,
            },
            _ => None,
        };
        let below = args.iter().map(|a| a.depth).max().unwrap_or(0);
        self.node(
            Kind::Call {
                function,
                is_method,
                args,
                regex,
            },
            below,
            offset,
        )
    }
}
