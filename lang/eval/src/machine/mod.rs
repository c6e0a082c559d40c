//! The evaluator: one per thread, over a shared, immutable program.
//!
//! Expressions are evaluated eagerly, in frames on one stack. What is late-bound is evaluated when
//! it is first asked for, and then kept: the defaults of types, the fields of apps, the constants of
//! modules, and the changes made to any of these. Each of them is a body that depends on its record
//! alone, so an amended record is a copy whose bodies have not been evaluated yet.
//!
//! It knows nothing of files and threads; limits are in [`crate::limits`].

mod absent;
mod access;
mod amend;
pub(crate) use amend::Fresh;
mod budget;
mod builtin;
mod convert;
mod custom;
mod explain;
mod expr;
mod kube;
mod literal;
mod merge;
mod near;
mod ops;
pub(crate) mod pour;
mod power;
mod rules;
mod secret;
mod show;
mod strings;
mod suites;

use std::cell;
use std::collections::HashMap;
use std::rc::Rc;

use ordain_lang_syntax::{Diagnostic, Name, Span};
use ordain_lang_types::Program;
use ordain_lang_types::hir::{Amend, AmendOp, Body, ExprId, ExprKind};
use ordain_lang_types::kube::Rules;
use ordain_lang_types::program::{AppId, EnvId, EnvOp, LetId};
use ordain_lang_types::ty::{Origin, RecordDef, RecordId, Ty};

use crate::heap::{Cell, Entry, Heap, Item, Local};
use crate::limits;
use crate::provenance::{self, Prov};
use crate::session::Object;
use crate::value::{RecId, Reported, Res, Text, Value};

/// What is known of a record definition beside the definition, computed once.
#[derive(Debug)]
pub(crate) struct Info {
    /// Positions of the fields with a default.
    pub(crate) defaults: Box<[u32]>,
    /// Values of it are checked as a whole when they were read.
    pub(crate) ruled: bool,
    /// `metadata` of an object.
    pub(crate) metadata: Option<u32>,
    /// `name` and `namespace` of its metadata: the definition, and the positions there.
    pub(crate) name: Option<(RecordId, u32, Option<u32>)>,
    /// Kubernetes' own rules for it.
    pub(crate) kube: Option<Rules>,
    /// Positions of the lists and maps with a rule of their length, which changes may break.
    pub(crate) counted: Box<[u32]>,
}

/// The surroundings of an expression: its frame, the record in whose body it stands, its layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cx {
    pub(crate) base: usize,
    pub(crate) slots: u32,
    pub(crate) this: Option<RecId>,
    pub(crate) layer: u32,
}

/// The state of a constant or an app.
#[derive(Clone, Copy, Debug)]
enum Once<T> {
    Not,
    Running,
    Done(T),
    Failed,
}

/// Somebody on the way to the value that is being evaluated, for the message about a cycle.
#[derive(Clone, Copy, Debug)]
enum Link {
    Field(RecordId, RecId, u32),
    Let(LetId),
    App(AppId),
}

/// See the module.
pub(crate) struct Machine<'p> {
    pub(crate) program: &'p Program,
    pub(crate) env: Option<EnvId>,
    pub(crate) heap: Heap<'p>,
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// The object that is being looked at, for diagnostics.
    pub(crate) object: Option<String>,
    stack: Vec<Local>,
    /// What the environments of the chain change, by app, from the base on.
    changes: HashMap<AppId, Vec<(EnvId, &'p EnvOp)>>,
    lets: Vec<Once<Value>>,
    apps: Vec<Once<RecId>>,
    infos: Vec<Option<Rc<Info>>>,
    links: Vec<Link>,
    depth: u32,
    /// Places of the calls that are being evaluated.
    calls: Vec<Span>,
    turns: u64,
    /// Lists and records written or compared so far, shared ones as often as they appear.
    walked: usize,
    /// Bytes gone through for this app.
    read: cell::Cell<u64>,
    /// Bytes written for this app, and how many may be.
    written: u64,
    write_limit: u64,
    /// A limit was passed, which was reported: nothing of this app is evaluated any more.
    exhausted: bool,
    /// Records whose rules are still to be checked.
    unchecked: Vec<RecId>,
    /// Provenance of plain literals by layer and expression: one number for all its values.
    provs: Vec<Vec<u32>>,
    // Stacks of half-made containers.
    items: Vec<Item>,
    entries: Vec<Entry>,
    cells: Vec<Cell>,
    pouring: Vec<(Name, Ty, Value)>,
    /// The records of the object that is being settled which have rules of Kubernetes' own.
    judged: Vec<(RecId, Rules)>,
    /// Whether these are collected.
    pub(crate) judging: bool,
    /// The field that was read last.
    last_read: Option<(RecId, u32)>,
    /// Containers that an amend block of the innermost running change may change in place.
    fresh: Vec<amend::Fresh>,
    /// All objects of the build, for policies and tests.
    known: Vec<Item>,
    /// Which objects they are, and where their apps' names stand.
    known_as: Vec<(Object, Span)>,
    /// The same as a list, once somebody asked for it.
    objects: Option<Value>,
    /// Exemptions from policies that something needed.
    pub(crate) exempted: Vec<Span>,
    /// The parts of assertions of tests that did not hold, by the assertion's place.
    pub(crate) asserted: Vec<(Span, Vec<crate::suites::Part>)>,
}

impl<'p> Machine<'p> {
    pub(crate) fn new(program: &'p Program, env: Option<EnvId>) -> Self {
        let mut changes: HashMap<AppId, Vec<_>> = HashMap::new();
        let chain = env.map_or(&[][..], |env| &program.envs[env.index()].chain);
        for env in chain {
            for op in &program.envs[env.index()].ops {
                changes.entry(op.app).or_default().push((*env, op));
            }
        }
        Self {
            program,
            env,
            changes,
            heap: Heap::new(),
            diagnostics: Vec::new(),
            object: None,
            stack: Vec::new(),
            lets: vec![Once::Not; program.lets.len()],
            apps: vec![Once::Not; program.apps.len()],
            infos: vec![None; program.types.records().count()],
            links: Vec::new(),
            depth: 0,
            calls: Vec::new(),
            turns: 0,
            walked: 0,
            read: cell::Cell::new(0),
            written: 0,
            write_limit: limits::MAX_WRITTEN,
            exhausted: false,
            unchecked: Vec::new(),
            provs: Vec::new(),
            items: Vec::new(),
            entries: Vec::new(),
            cells: Vec::new(),
            pouring: Vec::new(),
            judged: Vec::new(),
            judging: false,
            last_read: None,
            fresh: Vec::new(),
            known: Vec::new(),
            known_as: Vec::new(),
            objects: None,
            exempted: Vec::new(),
            asserted: Vec::new(),
        }
    }

    /// Readies the machine for the next app: limits count anew, and a large heap is given back.
    pub(crate) fn next_app(&mut self) {
        self.turns = 0;
        self.walked = 0;
        self.read.set(0);
        self.written = 0;
        self.write_limit = limits::MAX_WRITTEN;
        self.exhausted = false;
        // Policies look at the objects of all apps.
        if self.program.policies.is_empty() && self.heap.size().0 > limits::FRESH_CELLS {
            self.heap = Heap::new();
            self.lets.fill(Once::Not);
            self.apps.fill(Once::Not);
            self.provs.clear();
            self.last_read = None;
            self.unchecked.clear();
            self.known.clear();
            self.known_as.clear();
            self.objects = None;
        }
    }

    pub(crate) fn report(&mut self, mut diagnostic: Diagnostic) -> Reported {
        if self.diagnostics.len() < limits::MAX_DIAGNOSTICS {
            // A mistake inside a function belongs to one of its many calls.
            if let (Some(call), true) = (self.calls.last(), diagnostic.labels.len() == 1) {
                diagnostic = diagnostic.label(*call, "in this call");
            }
            diagnostic.object = diagnostic.object.take().or_else(|| self.object.clone());
            let env = self
                .env
                .map(|env| self.program.envs[env.index()].name.as_str().to_owned());
            diagnostic.env = diagnostic.env.take().or(env);
            self.diagnostics.push(diagnostic);
        }
        Reported
    }

    pub(crate) fn text(&self, text: Text) -> &str {
        match text {
            Text::Own(index) => self.heap.own(index),
            Text::Lit(expr) => literal_text(self.program, expr),
        }
    }

    pub(crate) fn def(&self, id: RecordId) -> &'p RecordDef {
        self.program.types.record(id)
    }

    pub(crate) fn info(&mut self, id: RecordId) -> Rc<Info> {
        if let Some(info) = &self.infos[id.index()] {
            return Rc::clone(info);
        }
        let info = Rc::new(self.make_info(id));
        self.infos[id.index()] = Some(Rc::clone(&info));
        info
    }

    fn make_info(&self, id: RecordId) -> Info {
        let def = self.def(id);
        let positions = |wanted: &dyn Fn(usize) -> bool| -> Box<[u32]> {
            (0..def.fields.len())
                .filter(|i| wanted(*i))
                .map(|i| i as u32)
                .collect()
        };
        let metadata = def.gvk().and(def.field("metadata".into()));
        let name = metadata.and_then(|at| {
            let meta = self.program.types.as_record(def.fields[at as usize].ty)?;
            let fields = self.def(meta);
            Some((
                meta,
                fields.field("name".into())?,
                fields.field("namespace".into()),
            ))
        });
        let own = matches!(def.origin, Origin::Declared | Origin::App);
        let counted = positions(&|i| self.is_counted(def.fields[i].ty));
        Info {
            defaults: positions(&|i| def.fields[i].default.is_some()),
            ruled: own && (!def.is_plain() || !counted.is_empty()),
            metadata,
            name,
            kube: self.kube_rules(id),
            counted,
        }
    }

    /// Evaluates a body in a new frame.
    pub(crate) fn body(&mut self, body: Body, this: Option<RecId>, layer: u32) -> Res {
        let base = self.stack.len();
        self.stack.resize(base + body.slots as usize, Local::NULL);
        let value = self.eval(
            body.expr,
            Cx {
                base,
                slots: body.slots,
                this,
                layer,
            },
        );
        self.stack.truncate(base);
        value
    }

    /// Evaluates expressions that stand in a frame of their own, such as those of an environment.
    pub(crate) fn in_frame<T>(
        &mut self,
        slots: u32,
        layer: u32,
        run: impl FnOnce(&mut Self, Cx) -> T,
    ) -> T {
        let base = self.stack.len();
        self.stack.resize(base + slots as usize, Local::NULL);
        let value = run(
            self,
            Cx {
                base,
                slots,
                this: None,
                layer,
            },
        );
        self.stack.truncate(base);
        value
    }

    /// The value of a module's constant.
    pub(crate) fn constant(&mut self, id: LetId, span: Span) -> Res {
        match self.lets[id.index()] {
            Once::Done(value) => return Ok(value),
            Once::Failed => return Err(Reported),
            Once::Running => return Err(self.cycle(Link::Let(id), span)),
            Once::Not => {}
        }
        self.lets[id.index()] = Once::Running;
        self.links.push(Link::Let(id));
        let value = self.body(self.program.lets[id.index()].body, None, provenance::VALUE);
        self.links.pop();
        self.lets[id.index()] = value.map_or(Once::Failed, Once::Done);
        value
    }

    /// The record of an app with the changes of the chosen environment's chain.
    pub(crate) fn app(&mut self, id: AppId, span: Span) -> Res<RecId> {
        match self.apps[id.index()] {
            Once::Done(rec) => return Ok(rec),
            Once::Failed => return Err(Reported),
            Once::Running => return Err(self.cycle(Link::App(id), span)),
            Once::Not => {}
        }
        self.apps[id.index()] = Once::Running;
        self.links.push(Link::App(id));
        let rec = self.make_app(id);
        self.links.pop();
        self.apps[id.index()] = rec.map_or(Once::Failed, Once::Done);
        rec
    }

    fn make_app(&mut self, id: AppId) -> Res<RecId> {
        let program = self.program;
        let app = &program.apps[id.index()];
        let mut value = Value::Rec(self.new_record(app.record, app.span));
        let mut failed = false;
        for (env, op) in self.changes.get(&id).cloned().unwrap_or_default() {
            let slots = program.envs[env.index()].slots;
            let changed = self.in_frame(slots, provenance::env_layer(env), |m, cx| {
                m.amend(value, &op.amend, Ty::ERROR, cx)
            });
            match changed {
                Ok(changed) => value = changed,
                Err(Reported) => failed = true,
            }
        }
        match value {
            Value::Rec(rec) if !failed => Ok(rec),
            _ => Err(Reported),
        }
    }

    /// Amends an app by hand, for `must fail` blocks; it stays amended for this machine.
    pub(crate) fn amend_app(&mut self, id: AppId, amend: &'p Amend, slots: u32) -> Res<RecId> {
        let rec = self.app(id, self.program.apps[id.index()].span)?;
        let layer = u32::MAX;
        let value = self.in_frame(slots, layer, |m, cx| {
            m.amend(Value::Rec(rec), amend, Ty::ERROR, cx)
        })?;
        let Value::Rec(rec) = value else {
            return Err(Reported);
        };
        self.apps[id.index()] = Once::Done(rec);
        Ok(rec)
    }

    /// A record of which nothing is set.
    pub(crate) fn new_record(&mut self, def: RecordId, span: Span) -> RecId {
        let info = self.info(def);
        let cells = info.defaults.iter().map(|&pos| Cell {
            pos,
            at: 0,
            value: Value::Default,
        });
        self.heap.add_rec(def, span, cells)
    }

    /// The number of the provenance of a plain literal.
    pub(crate) fn prov(&mut self, expr: ExprId, span: Span, layer: u32) -> u32 {
        let plain = Prov::set(span, layer);
        // Layers are few; those of `must fail` blocks are not worth a table.
        if layer as usize > self.program.envs.len() + 2 {
            return self.heap.add_prov(plain);
        }
        if self.provs.len() <= layer as usize {
            self.provs.resize(layer as usize + 1, Vec::new());
        }
        let table = &mut self.provs[layer as usize];
        if table.is_empty() {
            table.resize(self.program.hir.len(), 0);
        }
        if table[expr.index()] == 0 {
            table[expr.index()] = self.heap.add_prov(plain);
        }
        table[expr.index()]
    }

    fn too_deep(&mut self, span: Span) -> Reported {
        self.report(
            Diagnostic::error(
                "E0502",
                format!("more than {} nested evaluations", limits::MAX_DEPTH),
            )
            .label(span, "the last one starts here")
            .help("break the chain with a value that does not depend on the others"),
        )
    }

    /// Reports that something needs itself, with all stations on the way.
    fn cycle(&mut self, last: Link, span: Span) -> Reported {
        let same = |link: &Link| match (*link, last) {
            (Link::Field(_, a, m), Link::Field(_, b, n)) => a == b && m == n,
            (Link::Let(a), Link::Let(b)) => a == b,
            (Link::App(a), Link::App(b)) => a == b,
            _ => false,
        };
        let from = self.links.iter().rposition(same).unwrap_or(0);
        let around: Vec<(String, Option<Span>)> = self.links[from..]
            .iter()
            .map(|link| self.link(*link))
            .collect();
        let Some((first, _)) = around.first() else {
            return Reported;
        };
        let mut way = String::new();
        for (name, _) in &around {
            way.push_str(&format!("`{name}` → "));
        }
        let mut diagnostic = Diagnostic::error("E0501", format!("`{first}` needs itself"))
            .label(span, "needed here again")
            .note(format!("{way}`{first}`"));
        for (name, at) in &around {
            if let Some(at) = at.filter(|at| *at != span) {
                diagnostic = diagnostic.label(at, format!("`{name}`"));
            }
        }
        self.report(diagnostic)
    }

    fn link(&self, link: Link) -> (String, Option<Span>) {
        match link {
            Link::Field(def, rec, pos) => {
                let def = self.def(def);
                let field = &def.fields[pos as usize];
                let set = self
                    .heap
                    .find(rec, pos)
                    .map(|cell| self.heap.cells[cell].at);
                let at = set
                    .filter(|at| *at != 0)
                    .map(|at| self.heap.provs[at as usize].span);
                (format!("{}.{}", def.name, field.name), at.or(field.span))
            }
            Link::Let(id) => {
                let constant = &self.program.lets[id.index()];
                (constant.name.as_str().to_owned(), Some(constant.span))
            }
            Link::App(id) => {
                let app = &self.program.apps[id.index()];
                (app.name.as_str().to_owned(), Some(app.span))
            }
        }
    }
}

fn literal_text(program: &Program, expr: ExprId) -> &str {
    match program.hir.kind(expr) {
        ExprKind::Str(text) | ExprKind::Quantity(text) => text,
        _ => "",
    }
}

/// A change of a field that waits for the field to be asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change<'p> {
    /// A change of an amend block, from the step with this number on.
    Op(&'p AmendOp, u32),
    /// `field { … }` in a record literal.
    Block(&'p Amend, Ty, Span),
    /// `field += value` in a record literal.
    Append(ExprId, Span),
}
