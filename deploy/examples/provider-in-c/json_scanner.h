#ifndef JSON_SCANNER_H
#define JSON_SCANNER_H

/* A JSON scanner (RFC 8259) that checks the whole syntax, allocates nothing, and keeps only what is asked for. */
#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { TEXT = 256, MAXIMUM_DEPTH = 32 };

typedef struct {
    const uint8_t *at, *start, *end;
    int depth;
    char field[TEXT];     /* what is being read, for messages; kept by the visitors */
    char error[2 * TEXT]; /* the first mistake; "" while there is none */
} scanner;
/* Reads the value of one member of an object; false after a mistake. */
typedef bool (*member_visitor)(scanner *s, const char *key, void *context);

static bool fail(scanner *s, const char *problem) {
    if (s->error[0]) return false;
    snprintf(s->error, sizeof s->error, "%s: %.200s (byte %td)", s->field, problem, s->at - s->start);
    return false;
}

/* Where the member `key` of `parent` is, for messages: on one line, cut at a character's end. */
static void place(scanner *s, const char *parent, const char *key) {
    size_t used = (size_t)snprintf(s->field, sizeof s->field, "%s.", parent);
    for (; *key && used + 1 < sizeof s->field; key++) s->field[used++] = (uint8_t)*key < 0x20 ? '?' : *key;
    while (*key && (*key & 0xC0) == 0x80) key--, used--;
    s->field[used] = 0;
}

static int peek(const scanner *s) { return s->at < s->end ? *s->at : 0; }
static void space(scanner *s) { while (peek(s) && strchr(" \t\r\n", peek(s))) s->at++; }
static bool take(scanner *s, char wanted) { return space(s), peek(s) == wanted && s->at++; }
static bool digits(scanner *s) {
    if (!isdigit(peek(s))) return fail(s, "must be a JSON value");
    while (isdigit(peek(s))) s->at++;
    return true;
}

static bool number(scanner *s) {
    s->at += peek(s) == '-';
    if (peek(s) == '0') s->at++; else if (!digits(s)) return false;
    if (peek(s) == '.' && (s->at++, !digits(s))) return false;
    if (peek(s) != 'e' && peek(s) != 'E') return true;
    s->at++;
    s->at += peek(s) == '+' || peek(s) == '-';
    return digits(s);
}

static bool hexadecimal(scanner *s, uint32_t *value) {
    *value = 0;
    for (int count = 0; count < 4; count++, s->at++) {
        if (!isxdigit(peek(s))) return fail(s, "bad \\u escape in a string");
        *value = *value * 16 + (uint32_t)(isdigit(*s->at) ? *s->at - '0' : (*s->at | 32) - 'a' + 10);
    }
    return true;
}

static bool escape(scanner *s, uint32_t *character) {
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    const char *known = peek(s) ? strchr(letters, peek(s)) : NULL;
    uint32_t low = 0;
    if (known) return s->at++, *character = (uint8_t)meanings[known - letters], true;
    if (peek(s) != 'u') return fail(s, "unknown escape in a string");
    s->at++;
    if (!hexadecimal(s, character)) return false;
    if (*character < 0xD800 || *character > 0xDFFF) return true;
    if (*character > 0xDBFF || s->end - s->at < 6 || memcmp(s->at, "\\u", 2)) return fail(s, "half a surrogate pair");
    s->at += 2;
    if (!hexadecimal(s, &low)) return false;
    if (low < 0xDC00 || low > 0xDFFF) return fail(s, "half a surrogate pair");
    *character = 0x10000 + ((*character - 0xD800) << 10) + (low - 0xDC00);
    return true;
}

/* Bytes of the UTF-8 character (RFC 3629) that begins at `at`, which is not ASCII; 0 if there is none. */
static size_t encoded(const uint8_t *at, const uint8_t *end) {
    size_t count = *at >= 0xC2 && *at < 0xE0 ? 2 : (*at & 0xF0) == 0xE0 ? 3 : *at >= 0xF0 && *at < 0xF5 ? 4 : 0;
    if (!count || (size_t)(end - at) < count) return 0;
    for (size_t i = 1; i < count; i++) if ((at[i] & 0xC0) != 0x80) return 0;
    bool long_form = (*at == 0xE0 && at[1] < 0xA0) || (*at == 0xF0 && at[1] < 0x90);
    bool beyond = (*at == 0xED && at[1] > 0x9F) || (*at == 0xF4 && at[1] > 0x8F);
    return long_form || beyond ? 0 : count;
}

/* Reads a string into text[TEXT]. One that does not fit, or holds NUL, becomes "". */
static bool string(scanner *s, char *text) {
    size_t used = 0;
    bool fits = true;
    if (!take(s, '"')) return fail(s, "must be a string");
    while (s->at < s->end && *s->at != '"') {
        uint32_t c = *s->at++;
        char bytes[4] = {(char)c};
        size_t count = 1;
        if (c < 0x20) return fail(s, "control character in a string");
        if (c >= 0x80) {
            if (!(count = encoded(s->at - 1, s->end))) return fail(s, "a string that is not UTF-8");
            memcpy(bytes, s->at - 1, count), s->at += count - 1;
        }
        if (c == '\\') {
            if (!escape(s, &c)) return false;
            count = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
            static const uint8_t lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
            for (size_t i = count; i-- > 1; c >>= 6) bytes[i] = (char)(0x80 | (c & 0x3F));
            bytes[0] = (char)(lead[count] | c);
            fits = fits && bytes[0] != 0;
        }
        fits = fits && used + count < TEXT;
        if (fits) memcpy(text + used, bytes, count), used += count;
    }
    text[fits ? used : 0] = 0;
    return s->at < s->end ? (s->at++, true) : fail(s, "string without an end");
}

/* Reads an object; `visit` reads each value. */
static bool object(scanner *s, member_visitor visit, void *context) {
    char key[TEXT];
    if (!take(s, '{')) return fail(s, "must be an object");
    if (take(s, '}')) return true;
    do {
        if (!string(s, key)) return false;
        if (!take(s, ':')) return fail(s, "a colon is missing");
        if (!visit(s, key, context)) return false;
    } while (take(s, ','));
    return take(s, '}') || fail(s, "a comma or } is missing");
}

/* Checks any one value and forgets it; a member_visitor. */
static bool skip(scanner *s, const char *key, void *context) {
    char ignored[TEXT];
    bool good = true;
    if (++s->depth > MAXIMUM_DEPTH) return fail(s, "is nested too deeply");
    space(s);
    size_t left = (size_t)(s->end - s->at);
    if (peek(s) == '"') good = string(s, ignored);
    else if (peek(s) == '{') good = object(s, skip, context);
    else if (take(s, '[')) {
        if (!take(s, ']')) {
            do good = skip(s, key, context); while (good && take(s, ','));
            good = good && (take(s, ']') || fail(s, "a comma or ] is missing"));
        }
    } else if (left >= 4 && (!memcmp(s->at, "true", 4) || !memcmp(s->at, "null", 4))) s->at += 4;
    else if (left >= 5 && !memcmp(s->at, "false", 5)) s->at += 5;
    else good = number(s);
    return s->depth--, good;
}

/* Reads a whole text, which must be one object. `name` stands for it in messages. */
static bool document(scanner *s, const uint8_t *json, size_t length, const char *name, member_visitor visit,
                     void *context) {
    const uint8_t *start = length ? json : (const uint8_t *)"";
    *s = (scanner){.at = start, .start = start, .end = start + length};
    snprintf(s->field, sizeof s->field, "%s", name);
    if (!object(s, visit, context)) return false;
    return space(s), s->at == s->end || fail(s, "text after the end of the JSON");
}

#endif
