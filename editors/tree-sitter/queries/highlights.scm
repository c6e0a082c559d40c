; What things are, for editors that color by tree-sitter.

(line_comment) @comment
(block_comment) @comment
(doc_comment) @comment.documentation

(string) @string
(escape) @string.escape
(regex) @string.regexp
(number) @number
(quantity) @number
(boolean) @boolean
(null) @constant.builtin
(interpolation ["{" "}"] @punctuation.special)

["use" "crd" "secrets" "text" "as"] @keyword.import
["type" "fn" "let" "export" "app" "env" "test" "policy" "extends" "final"] @keyword
["if" "then" "else" "match"] @keyword.conditional
["for" "in"] @keyword.repeat
["assert" "snapshot" "must" "fail" "deny" "warn" "delete" "external" "allow"] @keyword
["and" "or" "not"] @keyword.operator
["==" "!=" "<" "<=" ">" ">=" "+" "-" "*" "/" "%" "??" ".." "..=" "=" "+=" "=>" "->" "|" "..."] @operator
["{" "}" "[" "]" "(" ")"] @punctuation.bracket
["," ":" "." "?."] @punctuation.delimiter

(identifier) @variable
(type_identifier) @type
((type_identifier) @module
  (#any-of? @module "k8s" "std"))
((type_identifier) @type.builtin
  (#any-of? @type.builtin "Int" "Float" "String" "Bool" "Quantity" "Duration" "List" "Map" "Secret" "Any"))
((identifier) @module
  (#any-of? @module "k8s" "std"))

(segment (identifier) @property)
(field_declaration name: (identifier) @property)
(access field: (identifier) @property)
(argument name: (identifier) @variable.parameter)
(parameter name: (identifier) @variable.parameter)
(lambda parameter: (identifier) @variable.parameter)
(function name: (identifier) @function)
(call function: (identifier) @function.call)
(call function: (access field: (identifier) @function.method.call))
(app name: (identifier) @module)
(env name: (identifier) @module)
(env base: (identifier) @module)
