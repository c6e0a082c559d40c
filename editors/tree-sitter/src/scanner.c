// What tree-sitter's own lexer cannot tell: whether a bracket stands on the line of what is before it, where a string's
// text ends, and where a nested comment ends. It keeps no state.
#include "tree_sitter/parser.h"

enum { CALL_OPEN, INDEX_OPEN, AMEND_OPEN, STRING_CONTENT, TEXT_CONTENT, INTERPOLATION_OPEN, BLOCK_COMMENT, ERROR };

void *tree_sitter_ord_external_scanner_create(void) { return 0; }
void tree_sitter_ord_external_scanner_destroy(void *state) { (void)state; }
unsigned tree_sitter_ord_external_scanner_serialize(void *state, char *buffer) {
    (void)state, (void)buffer;
    return 0;
}
void tree_sitter_ord_external_scanner_deserialize(void *state, const char *buffer, unsigned length) {
    (void)state, (void)buffer, (void)length;
}

static bool begins_expression(int32_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '(' || c > 127;
}

// Text up to the quote, an escape or an interpolation. `{{` and `${` are text.
static bool text(TSLexer *lexer, const bool *valid, bool is_block) {
    bool any = false;
    for (;;) {
        lexer->mark_end(lexer);
        lexer->result_symbol = is_block ? TEXT_CONTENT : STRING_CONTENT;
        int32_t c = lexer->lookahead;
        if (lexer->eof(lexer) || c == '\\' || (!is_block && (c == '"' || c == '\n'))) {
            return any;
        }
        if (c == '"') {
            int quotes = 0;
            while (lexer->lookahead == '"' && quotes < 3) {
                lexer->advance(lexer, false);
                quotes++;
            }
            if (quotes == 3) {
                return any;
            }
        } else if (c == '$') {
            lexer->advance(lexer, false);
            if (lexer->lookahead == '{') {
                lexer->advance(lexer, false);
            }
        } else if (c == '{') {
            lexer->advance(lexer, false);
            if (lexer->lookahead == '{') {
                lexer->advance(lexer, false);
            } else if (begins_expression(lexer->lookahead)) {
                if (any) {
                    return true;
                }
                if (!valid[INTERPOLATION_OPEN]) {
                    return false;
                }
                lexer->mark_end(lexer);
                lexer->result_symbol = INTERPOLATION_OPEN;
                return true;
            }
        } else {
            lexer->advance(lexer, false);
        }
        any = true;
    }
}

static bool block_comment(TSLexer *lexer) {
    unsigned depth = 1;
    while (depth > 0) {
        if (lexer->eof(lexer)) {
            return false;
        }
        int32_t c = lexer->lookahead;
        lexer->advance(lexer, false);
        if (c == '/' && lexer->lookahead == '*') {
            lexer->advance(lexer, false);
            depth++;
        } else if (c == '*' && lexer->lookahead == '/') {
            lexer->advance(lexer, false);
            depth--;
        }
    }
    lexer->mark_end(lexer);
    lexer->result_symbol = BLOCK_COMMENT;
    return true;
}

bool tree_sitter_ord_external_scanner_scan(void *state, TSLexer *lexer, const bool *valid) {
    (void)state;
    if (valid[ERROR]) {
        return false;
    }
    if (valid[STRING_CONTENT] || valid[TEXT_CONTENT]) {
        return text(lexer, valid, valid[TEXT_CONTENT]);
    }
    bool same_line = true;
    for (;;) {
        int32_t c = lexer->lookahead;
        if (c == '\n') {
            same_line = false;
        } else if (c != ' ' && c != '\t' && c != '\r') {
            break;
        }
        lexer->advance(lexer, true);
    }
    int32_t c = lexer->lookahead;
    if (c == '/' && valid[BLOCK_COMMENT]) {
        lexer->advance(lexer, false);
        if (lexer->lookahead != '*') {
            return false;
        }
        lexer->advance(lexer, false);
        return block_comment(lexer);
    }
    int symbol = c == '(' ? CALL_OPEN : c == '[' ? INDEX_OPEN : c == '{' ? AMEND_OPEN : ERROR;
    if (!same_line || symbol == ERROR || !valid[symbol]) {
        return false;
    }
    lexer->advance(lexer, false);
    lexer->mark_end(lexer);
    lexer->result_symbol = (TSSymbol)symbol;
    return true;
}
