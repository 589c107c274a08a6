/*
 * A provider of load-balancer/1 for people who have a load balancer that forwards a fixed range of UDP ports, in plain
 * C11. Settings: {"frontendIP": "10.0.0.4", "firstPort": 6000}; 1000 ports from firstPort on are handed out.
 * Ports are kept in memory. An id is offered the port its hash points to, so that it gets the same one after a restart
 * unless two ids collide; a provider for production writes them down.
 *
 *   clang -std=c11 -Wall -Wextra -Wpedantic -Werror -fPIC -shared -fvisibility=hidden -Wl,-z,nodelete \
 *       -I Sources/ProviderAPI/include -o libStaticLB.so deploy/examples/provider-in-c/static_load_balancer.c
 */
#define _POSIX_C_SOURCE 200809L
#include "egress_load_balancer.h"
#include "json_scanner.h"
#include <arpa/inet.h>
#include <stddef.h>
#include <stdlib.h>
#include <threads.h>

enum { PORTS = 1000, LAST_FIRST_PORT = 65535 - PORTS + 1 };
enum verb { ENSURE, REMOVE, STATUS };

struct egp_instance {
    const egp_host *host; /* the host's, valid until destroy returned */
    char frontend[TEXT];
    long first_port;
    mtx_t lock;            /* verbs are [any-thread]; guards ids */
    char ids[PORTS][TEXT]; /* who has which port; "" is free */
};

/* ---- The load balancer ---- */
typedef struct {
    egp_instance *instance;
    enum verb verb;
    bool acts, has_items;
    int index; /* of the item being read, afterwards their number */
    int count; /* of items in out */
    FILE *out;
    char id[TEXT]; /* of the item being read */
    char (*seen)[TEXT]; /* ids of the request so far; room grows by 64 */
} batch;

/* The id's slot, or else a free one, or -1. */
static long slot_of(egp_instance *instance, const char *id) {
    uint32_t hash = 2166136261u; /* FNV-1a */
    long free_slot = -1;
    for (const char *c = id; *c; c++) hash = (hash ^ (uint8_t)*c) * 16777619u;
    for (uint32_t i = 0; i < PORTS; i++) {
        long slot = (long)((hash % PORTS + i) % PORTS);
        if (!strcmp(instance->ids[slot], id)) return slot;
        if (free_slot < 0 && !instance->ids[slot][0]) free_slot = slot;
    }
    return free_slot;
}

/* Ids are unique in a batch: results are told apart by them. */
static bool first_time(scanner *s, batch *b) {
    for (int i = 0; i < b->index; i++) if (!strcmp(b->seen[i], b->id)) return fail(s, "id occurs twice in the batch");
    if (b->index == EGP_MAXIMUM_ITEMS) return fail(s, "too many items; at most 10000 are allowed");
    void *grown = b->index % 64 ? b->seen : realloc(b->seen, (size_t)(b->index + 64) * TEXT);
    if (!grown) return fail(s, "out of memory");
    b->seen = grown;
    return strcpy(b->seen[b->index], b->id), true;
}

static void report(batch *b, const char *id, long slot) {
    fputs(b->count++ ? ",{\"id\":\"" : "{\"id\":\"", b->out);
    for (const char *c = id; *c; c++)
        fprintf(b->out, (uint8_t)*c < 0x20 ? "\\u%04x" : strchr("\"\\", *c) ? "\\%c" : "%c", *c);
    if (b->verb == REMOVE) fputs("\",\"code\":\"ok\"}", b->out);
    else if (slot < 0 && b->verb == STATUS) fputs("\",\"code\":\"ok\"}", b->out); /* without observed: it is absent */
    else if (slot < 0) fprintf(b->out, "\",\"code\":\"terminal\",\"message\":\"all %d ports are taken\"}", PORTS);
    else fprintf(b->out, "\",\"code\":\"ok\",\"observed\":{\"frontendIP\":\"%s\",\"port\":%ld}}",
                 b->instance->frontend, b->instance->first_port + slot);
}

static bool item_member(scanner *s, const char *key, void *context) {
    if (strcmp(key, "id")) return skip(s, key, NULL); /* pool and probe say nothing to a fixed load balancer */
    batch *b = context;
    snprintf(s->field, TEXT, "request.items[%d].id", b->index);
    if (!string(s, b->id)) return false;
    snprintf(s->field, TEXT, "request.items[%d]", b->index);
    return true;
}

static bool request_member(scanner *s, const char *key, void *context) {
    batch *b = context;
    if (strcmp(key, "items")) return skip(s, key, NULL);
    strcpy(s->field, "request.items");
    b->has_items = true;
    b->index = 0;
    if (!take(s, '[')) return fail(s, "must be a list");
    if (take(s, ']')) return true;
    do {
        snprintf(s->field, TEXT, "request.items[%d]", b->index);
        b->id[0] = 0;
        if (!object(s, item_member, b)) return false;
        if (!b->id[0]) return fail(s, "needs a text id; allowed are 1 to 255 bytes without NUL");
        if (!b->acts && !first_time(s, b)) return false;
        long slot = b->acts ? slot_of(b->instance, b->id) : -1;
        if (b->verb == STATUS && slot >= 0 && !b->instance->ids[slot][0]) slot = -1; /* a free one */
        if (slot >= 0 && b->verb != STATUS) strcpy(b->instance->ids[slot], b->verb == ENSURE ? b->id : "");
        if (b->acts) report(b, b->id, slot);
        b->index++;
    } while (take(s, ','));
    strcpy(s->field, "request");
    return take(s, ']') || fail(s, "a comma or ] is missing");
}

static egp_code run(egp_instance *instance, const egp_call *call, egp_bytes request, enum verb verb) {
    scanner s;
    char *text = NULL;
    size_t length = 0;
    batch b = {.instance = instance, .verb = verb};
    if (call->size < sizeof *call || call->flags || request.length > EGP_MAXIMUM_BYTES) return EGP_INVALID;
    if (!(b.out = open_memstream(&text, &length))) return EGP_RETRY;
    fputs("{\"items\":[", b.out);
    mtx_lock(&instance->lock);
    /* The first pass checks everything, the second acts: a bad batch changes nothing. */
    bool good = document(&s, request.data, request.length, "request", request_member, &b);
    if (good && !b.has_items) good = fail(&s, "items is missing; a list is needed");
    bool lists_all = verb == STATUS && b.index == 0;
    b.acts = true;
    if (good) document(&s, request.data, request.length, "request", request_member, &b);
    for (long slot = 0; good && lists_all && slot < PORTS; slot++)
        if (instance->ids[slot][0]) report(&b, instance->ids[slot], slot);
    mtx_unlock(&instance->lock);
    fputs("]}", b.out);
    egp_completion end = {.size = sizeof end, .code = good ? EGP_OK : EGP_INVALID};
    if (fclose(b.out) && good) strcpy(s.error, "out of memory"), end.code = EGP_RETRY;
    if (end.code == EGP_OK) end.result = (egp_bytes){(uint8_t *)text, length};
    else end.message = (egp_bytes){(uint8_t *)s.error, strlen(s.error)};
    instance->host->complete(instance->host->context, call->ticket, &end);
    free(text), free(b.seen);
    return EGP_OK;
}

static egp_code ensure(egp_instance *i, const egp_call *call, egp_bytes json) { return run(i, call, json, ENSURE); }
static egp_code forget(egp_instance *i, const egp_call *call, egp_bytes json) { return run(i, call, json, REMOVE); }
static egp_code status(egp_instance *i, const egp_call *call, egp_bytes json) { return run(i, call, json, STATUS); }

/* ---- The plugin ---- */
static bool read_setting(scanner *s, const char *key, egp_instance *instance) {
    struct in_addr address;
    if (!strcmp(key, "frontendIP"))
        return string(s, instance->frontend)
            && (inet_pton(AF_INET, instance->frontend, &address) == 1 || fail(s, "allowed is an IPv4 address"));
    if (strcmp(key, "firstPort")) return fail(s, "is unknown; known are firstPort, frontendIP");
    const uint8_t *from = (space(s), s->at);
    if (!skip(s, key, NULL)) return false;
    for (instance->first_port = 0; from < s->at && isdigit(*from) && instance->first_port <= LAST_FIRST_PORT; from++)
        instance->first_port = instance->first_port * 10 + (*from - '0');
    return (from == s->at && instance->first_port >= 1 && instance->first_port <= LAST_FIRST_PORT)
        || fail(s, "allowed are the integers 1 to 64536");
}

static bool setting(scanner *s, const char *key, void *context) {
    place(s, "configuration", key);
    if (!read_setting(s, key, context)) return false;
    strcpy(s->field, "configuration");
    return true;
}

static egp_code create(const egp_host *host, egp_bytes json, egp_instance **instance, egp_message *error) {
    scanner s;
    egp_instance *made = calloc(1, sizeof *made);
    if (!made || mtx_init(&made->lock, mtx_plain) != thrd_success) return free(made), EGP_RETRY;
    made->host = host;
    if (document(&s, json.data, json.length, "configuration", setting, made)) {
        if (made->frontend[0] && made->first_port) return *instance = made, EGP_OK;
        strcpy(s.field, made->frontend[0] ? "configuration.firstPort" : "configuration.frontendIP");
        fail(&s, "is missing");
    }
    error->length = strlen(s.error) < error->capacity ? strlen(s.error) : error->capacity;
    while (error->length && (s.error[error->length] & 0xC0) == 0x80) error->length--; /* cut at a character's end */
    if (error->length) memcpy(error->buffer, s.error, error->length);
    return mtx_destroy(&made->lock), free(made), EGP_INVALID;
}

static void destroy(egp_instance *instance) { mtx_destroy(&instance->lock), free(instance); }
static const egp_capability *capability(egp_instance *instance, egp_bytes id) {
    static const egp_capability table = {.size = sizeof table, .ensure = ensure, .remove = forget, .status = status};
    size_t length = strlen(EGP_CAPABILITY_LOAD_BALANCER);
    bool known = id.length == length && !memcmp(id.data, EGP_CAPABILITY_LOAD_BALANCER, length);
    return (void)instance, known ? &table : NULL;
}
/* Nothing to give up: every call completes before its verb returns. */
static void cancel(egp_instance *instance, uint64_t ticket) { (void)instance, (void)ticket; }

egp_code egp_provider_entry(uint32_t host_minimum, uint32_t host_maximum, egp_provider *out) {
    static const char about[] = "{\"name\":\"StaticLB\",\"version\":\"1.0.0\",\"kind\":\"load-balancer\","
                                "\"capabilities\":[\"" EGP_CAPABILITY_LOAD_BALANCER "\"]}";
    if (out->size < sizeof *out) return EGP_INVALID;
    out->abi_version = EGP_ABI_1_0;
    if (host_maximum < EGP_ABI_1_0) return EGP_HOST_TOO_OLD;
    if (host_minimum > EGP_ABI_1_0) return EGP_HOST_TOO_NEW;
    *out = (egp_provider){.size = sizeof *out, .abi_version = EGP_ABI_1_0, .magic = EGP_MAGIC,
                          .descriptor = {(const uint8_t *)about, sizeof about - 1}, .create = create,
                          .destroy = destroy, .capability = capability, .cancel = cancel};
    return EGP_OK;
}
