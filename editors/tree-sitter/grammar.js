/// The grammar of `.ord` for editors that use tree-sitter. `ordain` itself has its own parser, which is stricter.
///
/// A `(`, `[` or `{` belongs to what stands before it only on the same line, and `{` in a string begins an expression
/// only when a letter, `_` or `(` follows: both are told by src/scanner.c.

const PREC = { or: 1, and: 2, not: 3, compare: 4, coalesce: 5, range: 6, add: 7, multiply: 8, negate: 9, postfix: 10 };

/** Words that begin a member or statement and are field names all the same. */
const SOFT = ["if", "for", "let", "delete", "final", "assert", "external", "allow", "snapshot", "must", "deny", "warn"];

const separated = (rule) => seq(optional(","), repeat(seq(rule, optional(","))));
const listed = (rule) => optional(seq(rule, repeat(seq(",", rule)), optional(",")));
const open = ($, plain, near) => choice(plain, alias(near, plain));

/** The rules of expressions; in a head (`if …`, `for … in …`, `match …`) no `{` amends. */
function expressions(head) {
  const name = (rule) => (head ? `_head_${rule}` : rule);
  const self = ($) => (head ? $._head : $._expression);
  const as = ($, rule) => (head ? alias($[`_head_${rule}`], $[rule]) : $[rule]);
  const binary = ($, level, ...operators) =>
    prec.left(level, seq(field("left", self($)), field("operator", operators.length > 1 ? choice(...operators) : operators[0]), field("right", self($))));
  const rules = {
    [head ? "_head" : "_expression"]: ($) =>
      choice(
        $._literal,
        $.identifier,
        $.list,
        $.parenthesized,
        $.record,
        ...(head ? [] : [$.lambda, $.amend]),
        as($, "unary"),
        as($, "binary"),
        as($, "range"),
        as($, "access"),
        as($, "index"),
        as($, "call"),
        as($, "if_expression"),
        $.match,
        ...(head ? [] : [$.let_expression]),
      ),
    [name("unary")]: ($) =>
      choice(prec(PREC.negate, seq("-", self($))), prec(PREC.not, seq("not", self($)))),
    [name("binary")]: ($) =>
      choice(
        binary($, PREC.or, "or"),
        binary($, PREC.and, "and"),
        binary($, PREC.compare, "==", "!=", "<", "<=", ">", ">=", "in"),
        binary($, PREC.coalesce, "??"),
        binary($, PREC.add, "+", "-"),
        binary($, PREC.multiply, "*", "/", "%"),
      ),
    [name("range")]: ($) =>
      prec.left(
        PREC.range,
        choice(
          seq(self($), choice("..", "..="), self($)),
          seq(self($), choice("..", "..=")),
          seq(choice("..", "..="), self($)),
        ),
      ),
    [name("access")]: ($) =>
      prec.left(PREC.postfix, seq(self($), choice(".", "?."), field("field", choice($._field_name, $.string)))),
    [name("index")]: ($) => prec.left(PREC.postfix, seq(self($), $.selector)),
    [name("call")]: ($) => prec.left(PREC.postfix, seq(field("function", self($)), field("arguments", $.arguments))),
    [name("if_expression")]: ($) =>
      prec.right(
        choice(
          seq("if", field("condition", $._head), "then", field("then", self($)), "else", field("else", self($))),
          seq("if", field("condition", $._head), $._block, optional(seq("else", choice($._block, as($, "if_expression"))))),
        ),
      ),
  };
  return rules;
}

module.exports = grammar({
  name: "ord",

  externals: ($) => [
    $._call_open,
    $._index_open,
    $._amend_open,
    $.string_content,
    $.text_content,
    $._interpolation_open,
    $.block_comment,
    $._error,
  ],
  extras: ($) => [/\s/, /\u{FEFF}/, $.line_comment, $.doc_comment, $.block_comment],
  word: ($) => $.identifier,
  supertypes: ($) => [$._item],
  conflicts: ($) => [
    [$._if_members, $._block],
    [$._type_postfix, $.optional_type],
    [$._type_name, $._pattern_name],
    [$.segment, $._literal],
    [$._expression, $._field_name],
    [$._if_members, $.if_expression, $._field_name],
    [$.app_field, $.segment],
    [$._if_members, $._field_name],
    [$._expression, $._name],
    [$.assert],
    [$.deny],
  ],

  rules: {
    file: ($) => repeat(seq($._item, optional(","))),

    _item: ($) =>
      choice($.use, $.type_declaration, $.function, $.let, $.export, $.app, $.env, $.test, $.policy, $._exemption_item),

    use: ($) =>
      seq(
        "use",
        choice(
          seq(field("what", choice("crd", "secrets", "text")), field("file", $.string)),
          field("module", alias($._module, $.path)),
        ),
        optional(seq("as", field("alias", $.identifier))),
      ),
    _module: ($) => seq(choice($._field_name, $.string, alias(choice("crd", "secrets", "text"), $.identifier)), repeat(seq(".", choice($._field_name, $.string)))),

    type_declaration: ($) =>
      seq(
        "type",
        field("name", alias($.identifier, $.type_identifier)),
        optional($.type_parameters),
        choice(seq("=", field("alias", $._type)), $.record_type),
      ),
    type_parameters: ($) => seq("<", listed(alias($.identifier, $.type_identifier)), ">"),

    function: ($) =>
      seq(
        "fn",
        field("name", $._name),
        optional($.type_parameters),
        field("parameters", $.parameters),
        optional(seq("->", field("result", $._type))),
        "=",
        field("body", $._expression),
      ),
    parameters: ($) => seq(open($, "(", $._call_open), separated($.parameter), ")"),
    parameter: ($) => seq(field("name", $._name), optional($._annotation), optional(seq("=", $._expression))),
    _annotation: ($) => seq(":", field("type", $._type)),

    let: ($) => seq("let", field("name", $._name), optional($._annotation), "=", field("value", $._expression)),
    export: ($) =>
      seq("export", optional(seq(field("name", $._name), optional($._annotation), "=")), field("value", $._expression)),
    app: ($) => seq("app", field("name", $._name), field("body", alias($._app_body, $.record))),
    env: ($) =>
      seq("env", field("name", $._name), optional(seq("extends", field("base", $._name))), field("body", $.record)),
    test: ($) => seq("test", field("name", $.string), optional(seq("in", field("env", $._name))), $.statements),
    policy: ($) => seq("policy", field("name", $.string), optional(seq("in", field("env", $._name))), $.statements),

    // Types.
    _type: ($) => prec.right(seq(optional("|"), choice($._type_postfix, $.union_type))),
    union_type: ($) => prec.right(seq($._type_postfix, repeat1(seq("|", $._type_postfix)))),
    _type_postfix: ($) => choice($._type_atom, $.optional_type),
    optional_type: ($) => seq($._type_atom, "?"),
    _type_atom: ($) =>
      choice($.named_type, $.record_type, $.function_type, $.parenthesized_type, alias($._type_literal, $.literal_type)),
    _type_literal: ($) => choice($.string, seq(optional("-"), $._number), $.boolean, $.null),
    named_type: ($) => prec.right(seq($._type_path, optional($.type_arguments), optional($.refinements))),
    _type_path: ($) => seq($._type_name, repeat(seq(".", $._type_name))),
    _type_name: ($) => alias($.identifier, $.type_identifier),
    type_arguments: ($) => seq("<", listed($._type), ">"),
    refinements: ($) => seq(open($, "(", $._call_open), listed($.refinement), ")"),
    refinement: ($) => seq(optional(seq(field("name", $._name), "=")), $._expression),
    function_type: ($) => prec.right(seq(open($, "(", $._call_open), listed($._type), ")", "->", $._type_postfix)),
    parenthesized_type: ($) => seq(open($, "(", $._call_open), $._type, ")"),
    record_type: ($) => seq(open($, "{", $._amend_open), separated(choice($.field_declaration, $.assert)), "}"),
    field_declaration: ($) =>
      seq(
        optional("final"),
        field("name", choice($._field_name, $.string)),
        ":",
        field("type", $._type),
        optional(seq("=", field("default", $._expression))),
      ),

    // Records and their members.
    record: ($) => seq(open($, "{", $._amend_open), separated($._member), "}"),
    _app_body: ($) => seq(open($, "{", $._amend_open), separated(choice($._member, alias($.app_field, $.field))), "}"),
    app_field: ($) => seq(optional("final"), field("name", $._field_name), $._annotation, optional(seq("=", $._expression))),
    _member: ($) => choice($.field, $.spread, $.delete, $.for_member, $.if_member, alias($.let_member, $.let), $.exemption),
    field: ($) =>
      seq(
        optional("final"),
        field("path", $.path),
        choice(seq(choice("=", "+=", ":"), field("value", $._expression)), field("amend", $.record)),
      ),
    path: ($) => seq($.segment, repeat(choice(seq(".", $.segment), $.selector))),
    segment: ($) => choice($._field_name, $.string, $.computed),
    computed: ($) => prec(-1, seq("[", $._expression, optional($.string), repeat(seq(",", $._expression)), "]")),
    selector: ($) =>
      seq(alias($._index_open, "["), $._expression, optional($.string), repeat(seq(",", $._expression)), "]"),
    spread: ($) => seq("...", $._expression),
    delete: ($) => seq("delete", $.path),
    let_member: ($) => seq("let", field("name", $._name), optional($._annotation), "=", field("value", $._expression)),
    for_member: ($) => seq($._for_head, $.record),
    _for_head: ($) => seq("for", $.for_clause, repeat(seq(",", $.for_clause)), optional(seq("if", $._head))),
    for_clause: ($) => seq($._name, optional(seq(",", $._name)), "in", $._head),
    if_member: ($) => prec.right($._if_members),
    _if_members: ($) =>
      prec.right(seq("if", field("condition", $._head), $.record, optional(seq("else", choice($.record, $.if_member))))),

    exemption: ($) =>
      choice(
        seq("external", $.named_type, $.string, optional(seq("in", $.string))),
        seq(
          "allow",
          choice(field("rule", $.identifier), seq("policy", $.string)),
          optional(seq("for", $.named_type, $.string)),
          ",",
          field("reason", $.string),
        ),
      ),
    _exemption_item: ($) => $.exemption,

    // Statements.
    statements: ($) => seq(open($, "{", $._amend_open), separated($._statement), "}"),
    _statement: ($) =>
      choice($.let, $.assert, $.snapshot, $.must_fail, $.deny, alias($.for_statement, $.for), alias($.if_statement, $.if)),
    assert: ($) => seq("assert", $._expression, optional($._reason)),
    // A comma may also end the statement.
    _reason: ($) => seq(",", $.string),
    snapshot: ($) => seq("snapshot", $._expression),
    must_fail: ($) => seq("must", "fail", optional($.string), $.record),
    deny: ($) => seq(choice("deny", "warn"), choice(seq("if", $._expression, optional($._reason)), $.string)),
    for_statement: ($) => seq($._for_head, $.statements),
    if_statement: ($) =>
      prec.right(seq("if", $._head, $.statements, optional(seq("else", choice($.statements, alias($.if_statement, $.if)))))),

    // Expressions.
    ...expressions(false),
    ...expressions(true),

    amend: ($) => prec.left(PREC.postfix, seq($._expression, alias($._amendment, $.record))),
    _amendment: ($) => seq(alias($._amend_open, "{"), separated($._member), "}"),
    arguments: ($) => seq(alias($._call_open, "("), separated($.argument), ")"),
    argument: ($) => seq(optional(seq(field("name", $._name), "=")), $._expression),
    parenthesized: ($) => seq(open($, "(", $._call_open), $._expression, ")"),
    lambda: ($) =>
      prec.right(seq(optional("fn"), choice(field("parameter", $.identifier), $.parameters), "=>", field("body", $._expression))),
    list: ($) => seq(open($, "[", $._index_open), separated($._element), "]"),
    _element: ($) => choice($._expression, $.spread, alias($.for_element, $.for)),
    for_element: ($) => prec.right(seq($._for_head, choice(seq("=>", $._expression), $._block))),
    _block: ($) => choice(prec.dynamic(1, $.record), $.block),
    block: ($) => seq(open($, "{", $._amend_open), $._expression, "}"),
    let_expression: ($) =>
      // Above comparison, so that the first `in` ends the bound value.
      prec.right(PREC.coalesce, seq("let", field("name", $._name), optional($._annotation), "=", $._expression, "in", $._expression)),
    match: ($) => seq("match", field("value", $._head), open($, "{", $._amend_open), separated($.arm), "}"),
    arm: ($) => seq($._pattern, repeat(seq("|", $._pattern)), optional(seq("if", $._head)), "=>", $._expression),
    _pattern: ($) => choice(alias($._pattern_literal, $.literal_pattern), $.name_pattern, $.type_pattern),
    _pattern_literal: ($) =>
      choice(
        seq($._pattern_value, optional(seq(choice("..", "..="), optional($._pattern_value)))),
        seq(choice("..", "..="), $._pattern_value),
      ),
    _pattern_value: ($) => choice($.string, seq(optional("-"), $._number), $.boolean, $.null),
    name_pattern: ($) => $._pattern_name,
    _pattern_name: ($) => $.identifier,
    type_pattern: ($) => prec.dynamic(-1, seq($.named_type, optional(seq("as", $.identifier)))),

    // Literals.
    _literal: ($) => choice($.string, $._number, $.boolean, $.null, $.regex),
    _number: ($) => choice($.number, $.quantity),
    number: () => token(choice(/0x[0-9A-Fa-f_]+/, /0o[0-7_]+/, /[0-9][0-9_]*(\.[0-9][0-9_]*)?([eE][+-]?[0-9]+)?/)),
    quantity: () => token(prec(1, /[0-9][0-9_]*(\.[0-9]+)?[A-Za-z]+([0-9]+[A-Za-z]+)*/)),
    boolean: () => choice("true", "false"),
    null: () => "null",
    regex: () => token(prec(-1, /\/([^\/\\\n*\[]|\\.|\[[^\]\n]*\])([^\/\\\n\[]|\\.|\[[^\]\n]*\])*\//)),
    string: ($) =>
      choice(
        seq('"', repeat(choice($.string_content, $.escape, $.interpolation)), token.immediate('"')),
        seq('"""', repeat(choice(alias($.text_content, $.string_content), $.escape, $.interpolation)), token.immediate('"""')),
      ),
    escape: () => token.immediate(/\\(u\{[0-9A-Fa-f]+\}|[^\n])/),
    interpolation: ($) => seq(alias($._interpolation_open, "{"), $._expression, "}"),

    _name: ($) => $.identifier,
    _field_name: ($) => choice($.identifier, alias(choice(...SOFT), $.identifier)),
    identifier: () => /[\p{L}_][\p{L}\p{N}_]*/,
    doc_comment: () => token(prec(2, /\/\/\/[^\n]*/)),
    line_comment: () => token(prec(1, /\/\/[^\n]*/)),
  },
});
