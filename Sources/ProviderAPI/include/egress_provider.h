#ifndef EGRESS_PROVIDER_H
#define EGRESS_PROVIDER_H

/*
 * The border between the egress host and its provider plugins.
 *
 * A plugin is a shared object that exports exactly one symbol, egp_provider_entry. The host loads it with
 * RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE and never unloads it. Only the C types below cross the border.
 *
 * Conventions
 *   size          First member of every struct that may grow. The side that allocates the struct writes the bytes it
 *                 has; the other side touches no member beyond it. A member may only be added at the end.
 *   egp_bytes     Pointer and length, UTF-8 where it is text, never NUL-terminated by contract. Borrowed: valid until
 *                 the call it was passed to returns. Who wants it longer copies it.
 *   [any-thread]  May be called from any thread, concurrently with every other call.
 *   [host-thread] Called by the host, never concurrently with another [host-thread] call of the same instance.
 *   Panics, exceptions and longjmp never cross the border.
 *
 * This is revision 1 of the ABI, a draft: it is not frozen until the project's 1.0.
 */

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wnullability-extension"
#pragma clang assume_nonnull begin
#define EGP_NULLABLE _Nullable
#else
#define EGP_NULLABLE
#endif

enum {
    /* The one ABI version this header describes. */
    EGP_ABI_VERSION = 1
};

/* What the caller does next; a closed set. */
enum {
    EGP_OK = 0,          /* done */
    EGP_RETRY = 1,       /* passing fault: call again with backoff */
    EGP_THROTTLED = 2,   /* call again, not before the stated delay */
    EGP_CONFLICT = 3,    /* somebody else changed the target: read again soon; not an error */
    EGP_INVALID = 4,     /* the request or configuration is wrong: call again only when it changed */
    EGP_TERMINAL = 5,    /* will not succeed by repetition: tell a person */
    EGP_UNSUPPORTED = 6, /* this version, capability or verb is not offered */
    EGP_CANCELLED = 7    /* given up because the host asked for it */
};
typedef int32_t egp_code;

enum {
    EGP_LOG_TRACE = 0,
    EGP_LOG_DEBUG = 1,
    EGP_LOG_INFO = 2,
    EGP_LOG_NOTICE = 3,
    EGP_LOG_WARNING = 4,
    EGP_LOG_ERROR = 5
};
typedef int32_t egp_log_level;

typedef struct egp_bytes {
    const uint8_t *EGP_NULLABLE data; /* may be NULL only if length is 0 */
    uint64_t length;
} egp_bytes;

/* A text buffer of the caller's for an error message. The callee writes at most `capacity` bytes (UTF-8, cut at a
 * character's end) and sets `length`. */
typedef struct egp_message {
    uint8_t *EGP_NULLABLE buffer;
    uint64_t capacity;
    uint64_t length;
} egp_message;

/* The end of one verb call. All of it is borrowed by the receiver until `complete` returns. */
typedef struct egp_completion {
    uint32_t size;
    egp_code code;
    egp_bytes result;       /* JSON, the capability's result; empty unless code is EGP_OK */
    egp_bytes message;      /* what went wrong, one line; empty if code is EGP_OK */
    int64_t retry_after_ns; /* with EGP_THROTTLED: the least wait; else 0 */
} egp_completion;

/* One HTTP exchange done by the host on behalf of a plugin. */
typedef struct egp_http_request {
    uint32_t size;
    uint32_t reserved;     /* 0 */
    egp_bytes method;      /* "GET" */
    egp_bytes url;         /* absolute, http or https */
    egp_bytes headers;     /* JSON: [["name", "value"], ...] */
    egp_bytes body;        /* may be empty */
    int64_t deadline_ns;   /* absolute, host clock */
} egp_http_request;

typedef struct egp_http_response {
    uint32_t size;
    egp_code code;         /* EGP_OK: a response came, whatever its status; else no response came */
    int32_t status;        /* HTTP status */
    uint32_t reserved;     /* 0 */
    egp_bytes headers;     /* JSON: [["name", "value"], ...], names in lower case */
    egp_bytes body;
    egp_bytes message;     /* why no response came */
} egp_http_response;

/* Called exactly once per accepted http_send, from any thread. The response is borrowed until it returns. */
typedef void (*egp_http_done)(void *EGP_NULLABLE done_context, const egp_http_response *response);

/* Services of the host, given to create. Valid until destroy has returned. Every function is [any-thread]. */
typedef struct egp_host {
    uint32_t size;
    uint32_t abi_version;
    void *EGP_NULLABLE context; /* first argument of every function below */

    /* One log line. `metadata` is a JSON object of strings, or empty. Never blocks. */
    void (*EGP_NULLABLE log)(void *EGP_NULLABLE context, egp_log_level level, egp_bytes message, egp_bytes metadata);

    /* Monotonic time in nanoseconds; the clock of every deadline. */
    int64_t (*EGP_NULLABLE now_ns)(void *EGP_NULLABLE context);

    /* Ends the verb call that was accepted under `ticket`: exactly once per accepted call. A second end, or one for an
     * unknown ticket, is ignored and logged against the plugin. */
    void (*EGP_NULLABLE complete)(void *EGP_NULLABLE context, uint64_t ticket, const egp_completion *completion);

    /* Starts an HTTP exchange. EGP_OK: `done` will be called. Anything else: it will not. */
    egp_code (*EGP_NULLABLE http_send)(void *EGP_NULLABLE context, const egp_http_request *request, egp_http_done done,
                                       void *EGP_NULLABLE done_context);
} egp_host;

/* One configured instance of a provider; opaque to the host. */
typedef struct egp_instance egp_instance;

/* The circumstances of one verb call. Borrowed until the verb returns; the values may be kept. */
typedef struct egp_call {
    uint32_t size;
    uint32_t reserved;   /* 0 */
    uint64_t ticket;     /* names this call in complete and cancel; never 0, never used twice */
    int64_t deadline_ns; /* absolute, host clock; the host gives up waiting after it */
} egp_call;

/*
 * A verb. [any-thread] EGP_OK means accepted: host->complete will be called once with this ticket, from any thread,
 * possibly before the verb returns. Any other code means not accepted: complete must not be called.
 * Verbs are level-triggered and idempotent: a request states what shall be, not what to change. The host has at most
 * one call in flight per item id. `request` is JSON, borrowed until the verb returns.
 */
typedef egp_code (*egp_verb)(egp_instance *instance, const egp_call *call, egp_bytes request);

/* What a capability id resolves to. A verb that is not offered is NULL. The JSON of requests and results is described
 * in the capability's own header. */
typedef struct egp_capability {
    uint32_t size;
    uint32_t reserved; /* 0 */
    egp_verb EGP_NULLABLE ensure; /* make a batch of items exist as described */
    egp_verb EGP_NULLABLE remove; /* make a batch of items not exist; absent is success */
    egp_verb EGP_NULLABLE check;  /* compare a batch with the world, change nothing */
    egp_verb EGP_NULLABLE prune;  /* given all items that shall exist, remove the rest of ours */
    egp_verb EGP_NULLABLE status; /* report what exists */
} egp_capability;

/* The plugin, as filled in by egp_provider_entry. Everything it points to lives as long as the process. */
typedef struct egp_provider {
    uint32_t size;
    uint32_t abi_version;
    egp_bytes descriptor; /* JSON: {"name", "version", "capabilities": ["load-balancer/1", ...]} */

    /* [host-thread] Makes an instance. `configuration` is the JSON object of the plugin's entry in host.yaml. Must not
     * call the host except log and now_ns, and must not block on IO. On failure *instance stays NULL and `error` says
     * which field, which value, and what is allowed. */
    egp_code (*EGP_NULLABLE create)(const egp_host *host, egp_bytes configuration,
                                    egp_instance *EGP_NULLABLE *EGP_NULLABLE instance, egp_message *error);

    /* [host-thread] Ends an instance. No function of the plugin is running on it, and no call is in flight, except those
     * that were cancelled; after return the plugin calls the host no more. */
    void (*EGP_NULLABLE destroy)(egp_instance *instance);

    /* [any-thread] The vtable for "name/revision", or NULL if it is not offered. Valid until destroy. */
    const egp_capability *EGP_NULLABLE (*EGP_NULLABLE capability)(egp_instance *instance, egp_bytes identifier);

    /* [any-thread] A hint that nobody waits for the call any more; it still completes exactly once. */
    void (*EGP_NULLABLE cancel)(egp_instance *instance, uint64_t ticket);
} egp_provider;

#if defined(__GNUC__)
#define EGP_EXPORT __attribute__((visibility("default")))
#else
#define EGP_EXPORT
#endif

/*
 * The one exported symbol. [host-thread] The host supports the ABI versions host_minimum..host_maximum. The plugin takes
 * the highest one it knows, writes it to out->abi_version and fills at most out->size bytes of *out, setting out->size to
 * what it filled. If it knows none of them it returns EGP_UNSUPPORTED and writes the highest it knows to
 * out->abi_version. No side effects: it may be called any number of times.
 */
EGP_EXPORT egp_code egp_provider_entry(uint32_t host_minimum, uint32_t host_maximum, egp_provider *out);

#if defined(__clang__)
#pragma clang assume_nonnull end
#pragma clang diagnostic pop
#endif

#ifdef __cplusplus
}
#endif

#endif
