//! Which line set a field, in which layer, and what it overrode: kept as spans and small numbers.

use ordain_lang_syntax::Span;
use ordain_lang_types::program::EnvId;

use crate::value::RecId;

/// How a field came to its value, innermost link of a chain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prov {
    pub(crate) span: Span,
    pub(crate) layer: u32,
    /// What it overrode, by number; 0 is nothing.
    pub(crate) before: u32,
    /// `final`: no later layer may change it.
    pub(crate) is_final: bool,
    /// It set the value; else it changed part of what was there.
    pub(crate) whole: bool,
    /// It removed the value.
    pub(crate) is_deleted: bool,
    /// Where the value was copied from.
    pub(crate) from: Copied,
}

// One for each field that is no plain literal.
const _: () = assert!(size_of::<Prov>() <= 32);

/// Where a value was copied from, in eight bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Copied(u32, u32);

/// What a [`Copied`] says.
pub(crate) enum Copy {
    /// The field of another record.
    Field(RecId, u32),
    /// Whatever has this provenance, by number: an argument of a call, an element that was looped over.
    Prov(u32),
}

impl Copied {
    /// Nowhere.
    pub(crate) const NONE: Copied = Copied(u32::MAX, u32::MAX);

    pub(crate) fn field(rec: RecId, pos: u32) -> Copied {
        Copied(rec.0, pos)
    }

    /// 0 is nowhere.
    pub(crate) fn prov(at: u32) -> Copied {
        match at {
            0 => Copied::NONE,
            at => Copied(at, u32::MAX),
        }
    }

    pub(crate) fn get(self) -> Option<Copy> {
        match self {
            Copied::NONE => None,
            Copied(at, u32::MAX) => Some(Copy::Prov(at)),
            Copied(rec, pos) => Some(Copy::Field(RecId(rec), pos)),
        }
    }
}

impl Prov {
    /// Stands at number 0.
    pub(crate) const NONE: Prov = Prov {
        span: Span {
            file: ordain_lang_syntax::FileId(u32::MAX),
            start: 0,
            end: 0,
        },
        layer: VALUE,
        before: 0,
        is_final: false,
        whole: true,
        is_deleted: false,
        from: Copied::NONE,
    };

    /// A value set at a place in a layer, where nothing was before.
    pub(crate) fn set(span: Span, layer: u32) -> Self {
        Prov {
            span,
            layer,
            ..Self::NONE
        }
    }
}

/// Layer number of what a program itself sets: record literals, functions, the app's body.
pub(crate) const VALUE: u32 = 0;
/// Layer number of the defaults of types.
pub(crate) const DEFAULT: u32 = 1;
const ENVS: u32 = 2;

/// The layer number of an environment.
pub(crate) fn env_layer(env: EnvId) -> u32 {
    ENVS + u32::try_from(env.index()).unwrap_or(u32::MAX - ENVS)
}

/// A layer that can set a field. Later ones win: default, then value, then the environments
/// from the base to the chosen one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// The default of a type.
    Default,
    /// The app, or a function or module it uses.
    Value,
    /// An environment, by its position in the program's `envs`.
    Env(usize),
}

impl Layer {
    pub(crate) fn of(number: u32) -> Self {
        match number {
            VALUE => Layer::Value,
            DEFAULT => Layer::Default,
            n => Layer::Env((n - ENVS) as usize),
        }
    }
}

/// What a link of a provenance chain did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It set the value.
    Set,
    /// It changed a part of the value.
    Changed,
    /// It is where the value was copied from.
    From,
    /// It removed the value.
    Deleted,
}

/// One link of a provenance chain, as [`App::explain`](crate::App::explain) gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Where it stands.
    pub span: Span,
    /// In which layer.
    pub layer: Layer,
    /// What it did.
    pub how: How,
}
