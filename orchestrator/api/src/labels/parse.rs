//! The text form of label selectors. It does not know objects.

use super::{Operator, Requirement, SelectorError};
use crate::{invalid::FieldError, names};

/// Reads the requirements of a selector, in their order.
///
/// # Errors
/// In upstream's words.
pub(super) fn requirements(text: &str) -> Result<Vec<Requirement>, SelectorError> {
    Parser {
        tokens: tokens(text),
        at: 0,
    }
    .selector()
}

/// The words that upstream lists where a binary operator is missing.
const OPERATORS: &str = "=, ==, !=, in, notin, >, <";

#[derive(Clone, Debug, PartialEq)]
enum Token {
    End,
    Symbol(&'static str),
    Word(String),
    Bad(String),
}

impl Token {
    /// Returns the text of the token as error messages show it.
    fn text(&self) -> &str {
        match self {
            Token::End => "",
            Token::Symbol(text) => text,
            Token::Word(text) | Token::Bad(text) => text,
        }
    }

    fn is(&self, symbol: &str) -> bool {
        matches!(self, Token::Symbol(text) if *text == symbol)
    }
}

/// Splits a selector into tokens; the last one is `End`. `in` and `notin` are ordinary words here:
/// where an operator may stand, the parser takes them for one.
fn tokens(text: &str) -> Vec<Token> {
    const SYMBOLS: [&str; 9] = ["==", "!=", "=", "!", ">", "<", "(", ")", ","];
    let special = |c: char| "=!(),><".contains(c);
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        // Upstream's lexer ends at a zero byte.
        if rest.is_empty() || rest.starts_with('\0') {
            tokens.push(Token::End);
            return tokens;
        }
        if let Some(symbol) = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)) {
            tokens.push(Token::Symbol(symbol));
            rest = &rest[symbol.len()..];
            continue;
        }
        let end = rest
            .find(|c: char| special(c) || " \t\r\n\0".contains(c))
            .unwrap_or(rest.len());
        if end == 0 {
            tokens.push(Token::Bad(rest.to_owned()));
            tokens.push(Token::End);
            return tokens;
        }
        tokens.push(Token::Word(rest[..end].to_owned()));
        rest = &rest[end..];
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).unwrap_or(&Token::End)
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn selector(&mut self) -> Result<Vec<Requirement>, SelectorError> {
        let mut requirements = Vec::new();
        loop {
            match self.peek() {
                Token::End => return Ok(requirements),
                token if matches!(token, Token::Word(_)) || token.is("!") => {}
                token => {
                    return fail(token, "expected: !, identifier, or 'end of string'");
                }
            }
            let requirement = self
                .requirement()
                .map_err(|error| SelectorError(format!("unable to parse requirement: {error}")))?;
            requirements.push(requirement);
            match self.next() {
                Token::End => return Ok(requirements),
                token if token.is(",") => match self.peek() {
                    next if matches!(next, Token::Word(_)) || next.is("!") => {}
                    next => return fail(next, "expected: identifier after ','"),
                },
                token => return fail(&token, "expected: ',' or 'end of string'"),
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, SelectorError> {
        let mut token = self.next();
        let negated = token.is("!");
        if negated {
            token = self.next();
        }
        let Token::Word(key) = token else {
            return fail(&token, "expected: identifier");
        };
        let errors = names::qualified_name(&key);
        if !errors.is_empty() {
            let error = FieldError::invalid("<nil>", key.as_str(), errors.join("; "));
            return Err(SelectorError(error.to_string()));
        }
        if negated {
            return Requirement::new(&key, Operator::DoesNotExist, Vec::new());
        }
        if *self.peek() == Token::End || self.peek().is(",") {
            return Requirement::new(&key, Operator::Exists, Vec::new());
        }
        let token = self.next();
        let operator = match token.text() {
            "=" | "==" => Operator::Equals,
            "!=" => Operator::NotEquals,
            ">" => Operator::GreaterThan,
            "<" => Operator::LessThan,
            "in" => Operator::In,
            "notin" => Operator::NotIn,
            _ => return fail(&token, &format!("expected: {OPERATORS}")),
        };
        let values = match operator {
            Operator::In | Operator::NotIn => self.values()?,
            _ => vec![self.exact_value()?],
        };
        Requirement::new(&key, operator, values)
    }

    fn exact_value(&mut self) -> Result<String, SelectorError> {
        match self.peek() {
            Token::End => Ok(String::new()),
            token if token.is(",") => Ok(String::new()),
            _ => match self.next() {
                Token::Word(value) => Ok(value),
                token => fail(&token, "expected: identifier"),
            },
        }
    }

    /// Reads `(a,b)`; a missing word between commas or parentheses is the empty value.
    fn values(&mut self) -> Result<Vec<String>, SelectorError> {
        let open = self.next();
        if !open.is("(") {
            return Err(SelectorError(format!(
                "found '{}' expected: '('",
                open.text()
            )));
        }
        let mut values = Vec::new();
        let mut pending = true;
        loop {
            match self.next() {
                Token::Word(value) if pending => {
                    values.push(value);
                    pending = false;
                }
                token if token.is(",") => {
                    if pending {
                        values.push(String::new());
                    }
                    pending = true;
                }
                token if token.is(")") => {
                    if pending {
                        values.push(String::new());
                    }
                    return Ok(values);
                }
                token if pending => return fail(&token, "expected: ',', or identifier"),
                token => return fail(&token, "expected: ',' or ')'"),
            }
        }
    }
}

fn fail<T>(found: &Token, expected: &str) -> Result<T, SelectorError> {
    Err(SelectorError(format!(
        "found '{}', {expected}",
        found.text()
    )))
}
