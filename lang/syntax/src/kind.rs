//! Kinds of tokens and of tree nodes.

/// What a token is. Every byte of a source belongs to exactly one token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
#[rustfmt::skip]
#[allow(missing_docs, reason = "the names say it; `text` shows the characters")]
pub enum TokenKind {
    // Trivia.
    Whitespace, LineComment, BlockComment, DocComment,
    // Bytes that begin no token.
    Invalid,
    // Words. All of them may be field names; the parser decides by place.
    Ident,
    Allow, And, App, As, Assert, Crd, Delete, Deny, Else, Env, Export, Extends, External, Fail, False, Final, Fn, For,
    If, In, Let, Match, Must, Not, Null, Or, Policy, Snapshot, Test, Then, True, Type, Use, Warn,
    // Literals. A string is several tokens: quote, text, `{` … `}`, quote.
    Int, Float, Unit, Regex, Quote, QuoteEnd, StrText, InterpOpen, InterpClose,
    // Punctuation.
    LBrace, RBrace, LBracket, RBracket, LParen, RParen,
    Comma, Colon, Semicolon, Dot, QuestionDot, Ellipsis, DotDot, DotDotEq,
    Eq, EqEq, Ne, Lt, Le, Gt, Ge, Plus, PlusEq, Minus, Star, Slash, Percent,
    Question, Coalesce, Pipe, Arrow, FatArrow, At,
    // Operators of other languages, read so that the message can name ours.
    AmpAmp, PipePipe, Bang,
    Eof,
}

use TokenKind as T;

impl TokenKind {
    /// Returns whether the token is white space or a comment.
    pub fn is_trivia(self) -> bool {
        matches!(
            self,
            T::Whitespace | T::LineComment | T::BlockComment | T::DocComment
        )
    }

    /// Returns whether the token is an identifier or a keyword.
    pub fn is_word(self) -> bool {
        (T::Ident as u8..=T::Warn as u8).contains(&(self as u8))
    }

    /// Returns whether the word can never be an expression on its own.
    pub(crate) fn is_reserved(self) -> bool {
        matches!(
            self,
            T::And
                | T::Else
                | T::For
                | T::If
                | T::In
                | T::Let
                | T::Match
                | T::Not
                | T::Or
                | T::Then
        )
    }

    /// Returns whether an operand may end here, so that a `/` that follows divides.
    pub(crate) fn ends_operand(self) -> bool {
        (self.is_word() && !self.is_reserved())
            || matches!(
                self,
                T::Int
                    | T::Float
                    | T::Unit
                    | T::Regex
                    | T::QuoteEnd
                    | T::RBrace
                    | T::RBracket
                    | T::RParen
                    | T::Question
            )
    }

    /// Recognises keywords.
    pub(crate) fn word(text: &[u8]) -> TokenKind {
        match text {
            b"allow" => T::Allow,
            b"and" => T::And,
            b"app" => T::App,
            b"as" => T::As,
            b"assert" => T::Assert,
            b"crd" => T::Crd,
            b"delete" => T::Delete,
            b"deny" => T::Deny,
            b"else" => T::Else,
            b"env" => T::Env,
            b"export" => T::Export,
            b"extends" => T::Extends,
            b"external" => T::External,
            b"fail" => T::Fail,
            b"false" => T::False,
            b"final" => T::Final,
            b"fn" => T::Fn,
            b"for" => T::For,
            b"if" => T::If,
            b"in" => T::In,
            b"let" => T::Let,
            b"match" => T::Match,
            b"must" => T::Must,
            b"not" => T::Not,
            b"null" => T::Null,
            b"or" => T::Or,
            b"policy" => T::Policy,
            b"snapshot" => T::Snapshot,
            b"test" => T::Test,
            b"then" => T::Then,
            b"true" => T::True,
            b"type" => T::Type,
            b"use" => T::Use,
            b"warn" => T::Warn,
            _ => T::Ident,
        }
    }

    /// Returns the characters of punctuation, as a message shows them.
    pub(crate) fn text(self) -> &'static str {
        match self {
            T::LBrace | T::InterpOpen => "`{`",
            T::RBrace | T::InterpClose => "`}`",
            T::LBracket => "`[`",
            T::RBracket => "`]`",
            T::LParen => "`(`",
            T::RParen => "`)`",
            T::Comma => "`,`",
            T::Colon => "`:`",
            T::Eq => "`=`",
            T::Gt => "`>`",
            T::In => "`in`",
            T::Else => "`else`",
            T::Then => "`then`",
            T::FatArrow => "`=>`",
            T::Arrow => "`->`",
            T::Quote | T::QuoteEnd => "a string",
            T::Eof => "the end of the file",
            _ => "something else",
        }
    }
}

/// What a node of the lossless tree is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
#[rustfmt::skip]
#[allow(missing_docs, reason = "they are named as the typed tree's nodes, which are documented")]
pub enum NodeKind {
    File, Use, TypeDecl, FnDecl, Let, Export, App, Env, Test, Policy, Exemption,
    RecordType, FieldDecl, Assert, TypeParams, Params, Param,
    NamedType, TypeArgs, Refinements, Refinement, OptionalType, UnionType, FunctionType, LiteralType,
    ParenType,
    Block, Record, Field, Delete, Spread, For, If, ForClause, Path, Selector,
    Snapshot, MustFail, Deny,
    Literal, String, Interpolation, Name, FieldAccess, Index, Call, Args, Arg, Amend, List, IfExpr,
    Match, Arm, Pattern, LetExpr, Lambda, Unary, Binary, Range, Paren, Error,
}
