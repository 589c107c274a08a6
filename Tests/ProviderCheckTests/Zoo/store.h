#ifndef STORE_H
#define STORE_H

/* The items of a load balancer that exists in memory only, and the reading of requests. */

#include "defects.h"
#include "egress_load_balancer.h"
#include "json_scanner.h"

#include <pthread.h>
#include <stdlib.h>

enum { PORTS = 500, LAST_FIRST_PORT = 6999 - PORTS + 1 };

/* One item of a request. */
typedef struct {
    char id[TEXT];
    char problem[TEXT]; /* why ensure refuses it; "" if it does not */
    bool has_pool, has_probe, has_path;
    long port;
} item;

typedef struct {
    item *items;
    size_t count;
    bool has_items;
    bool wants_desired; /* ensure and check; else references */
} batch;

typedef struct {
    char ids[PORTS][TEXT]; /* who has which port; "" is free */
} store;

static void spoil(item *i, const char *problem) {
    if (!i->problem[0]) snprintf(i->problem, TEXT, "%s", problem);
}

static bool pool_member(scanner *s, const char *key, void *context) {
    if (!strcmp(key, "nodepoolName") || !strcmp(key, "scaleSet")) ((item *)context)->has_pool = true;
    return skip(s, key, NULL);
}

static bool probe_member(scanner *s, const char *key, void *context) {
    item *i = context;
    char text[TEXT];
    space(s);
    if (!strcmp(key, "path") && peek(s) == '"') {
        if (!string(s, text)) return false;
        i->has_path = text[0] == '/';
        return true;
    }
    const uint8_t *from = s->at;
    if (!skip(s, key, NULL)) return false;
    if (strcmp(key, "port")) return true;
    size_t length = (size_t)(s->at - from);
    if (BROKEN == dies_of_large_number && length > 17) abort();
    if (length > 5) return i->port = -1, true;
    for (i->port = 0; from < s->at; from++) {
        if (!isdigit(*from)) return i->port = -1, true;
        i->port = i->port * 10 + (*from - '0');
    }
    return true;
}

/* Reads an object, or notes that it is none. */
static bool object_of_item(scanner *s, const char *key, member_visitor visit, item *i) {
    space(s);
    if (peek(s) == '{') return object(s, visit, i);
    spoil(i, "pool and probe must be objects");
    return skip(s, key, NULL);
}

static bool item_member(scanner *s, const char *key, void *context) {
    item *i = context;
    if (!strcmp(key, "id")) return string(s, i->id);
    if (!strcmp(key, "pool")) return object_of_item(s, key, pool_member, i);
    if (!strcmp(key, "probe")) return i->has_probe = true, object_of_item(s, key, probe_member, i);
    if (BROKEN == refuses_unknown_item_members) spoil(i, "has an unknown member");
    return skip(s, key, NULL);
}

static bool read_item(scanner *s, batch *b) {
    item *grown = realloc(b->items, (b->count + 1) * sizeof *grown);
    if (!grown) return fail(s, "out of memory");
    b->items = grown;
    item *i = &grown[b->count];
    memset(i, 0, sizeof *i);
    i->port = -1;
    snprintf(s->field, TEXT, "request.items[%zu].id", b->count);
    if (!object(s, item_member, i)) return false;
    if (!i->id[0]) return fail(s, "needs a text id; allowed are 1 to 255 bytes without NUL");
    for (size_t other = 0; other < b->count && BROKEN != takes_duplicates; other++)
        if (!strcmp(b->items[other].id, i->id)) return fail(s, "id occurs twice; ids must be unique in a batch");
    b->count++;
    if (!i->has_pool) spoil(i, "pool: nodepoolName or scaleSet is needed");
    if (b->wants_desired && (!i->has_probe || !i->has_path)) spoil(i, "probe.path: must begin with a slash");
    if (b->wants_desired && (i->port < 1 || i->port > 65535)) spoil(i, "probe.port: allowed are 1 to 65535");
    return true;
}

static bool request_member(scanner *s, const char *key, void *context) {
    batch *b = context;
    if (strcmp(key, "items")) {
        if (BROKEN == refuses_unknown_members) return fail(s, "has an unknown member");
        return skip(s, key, NULL);
    }
    snprintf(s->field, TEXT, "request.items");
    b->has_items = true;
    b->count = 0;
    if (!take(s, '[')) return fail(s, "must be a list");
    if (take(s, ']')) return true;
    do
        if (!read_item(s, b)) return false;
    while (take(s, ','));
    snprintf(s->field, TEXT, "request.items");
    return take(s, ']') || fail(s, "a comma or ] is missing");
}

/* Reads a request; s->error says what is wrong with it. The caller frees b->items. */
static bool read_request(scanner *s, const uint8_t *json, size_t length, batch *b) {
    bool good = document(s, json, length, "request", request_member, b);
    if (good && !b->has_items) good = fail(s, "items is missing; a list is needed");
    return good;
}

/* The id's slot; -1 if it has none. */
static long slot_of(const store *all, const char *id) {
    for (long slot = 0; slot < PORTS; slot++)
        if (!strcmp(all->ids[slot], id)) return slot;
    return -1;
}

/* The id's slot, or a free one that is now its own; -1 if all are taken. */
static long claim(store *all, const char *id) {
    long slot = slot_of(all, id);
    if (slot >= 0 && BROKEN == ensure_moves_port) {
        all->ids[slot][0] = 0;
        slot = (slot + 1) % PORTS;
        strcpy(all->ids[slot], id);
    }
    for (long free_slot = 0; slot < 0 && free_slot < PORTS; free_slot++)
        if (!all->ids[free_slot][0]) strcpy(all->ids[slot = free_slot], id);
    return slot;
}

static void put_text(FILE *out, const char *text) {
    for (const char *c = text; *c; c++)
        fprintf(out, (uint8_t)*c < 0x20 ? "\\u%04x" : strchr("\"\\", *c) ? "\\%c" : "%c", (uint8_t)*c);
}

#endif
