/*
 * lexer.h: SQL text to tokens, one at a time. A lexer is a small value: copying it is how the parser looks ahead.
 *
 * Knows: comments (-- and nested slash-star), 'text' with '' inside, E'…' with backslashes, $tag$…$tag$, x'…', "names" and
 * `names`, $1 and ?, numbers with _ between digits, 0x…; the longest operator wins.
 */
#ifndef SQL_LEXER_H
#define SQL_LEXER_H

#include "sql/ast.h"

typedef enum token_kind {
    TK_END,
    TK_WORD,     /* unquoted identifier or keyword: text as written */
    TK_QUOTED,   /* quoted identifier: text without quotes */
    TK_STRING,   /* text unescaped */
    TK_BYTES,    /* x'…': text is the bytes */
    TK_INTEGER,  /* text: digits, without _ */
    TK_DECIMAL,  /* digits with a point */
    TK_FLOAT,    /* with an exponent */
    TK_HEX,      /* text: the hex digits */
    TK_PARAM,    /* text: digits of $n, empty for ? */
    TK_OP,       /* operator or punctuation */
} token_kind;

typedef struct token {
    uint8_t kind;
    str text;
    size_t offset, end; /* bytes in the script */
    sql_pos pos;
} token;

typedef struct lexer {
    str text;
    size_t at;
    int32_t line, column;
} lexer;

/* The next token; TK_END at the end of the text. Unescaped texts lie in the arena. FZ_SYNTAX at the token's position. */
fz_status lexer_next(lexer *l, arena *a, token *out, fz_error *err);
/* Moves behind the next semicolon that is outside of quotes and comments (or to the end); after an error. */
void lexer_skip_statement(lexer *l);
/* What is open at the end of the text: 0 nothing, else one of ' " ` $ * (a comment). *depth: of parentheses;
 * *pending: something stands behind the last semicolon. */
char lexer_open_at_end(str text, int *depth, bool *pending);

/* Keywords, by how they restrict a bare word. */
enum {
    WORD_STRUCTURAL = 1, /* begins or joins clauses: no bare column name */
    WORD_NO_ALIAS = 2,   /* no alias without AS */
};
unsigned word_flags(str w); /* 0: an ordinary word */
bool word_is(const token *t, const char *lower); /* an unquoted word, without regard to case */

#endif
