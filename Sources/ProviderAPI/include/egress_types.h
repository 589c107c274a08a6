#ifndef EGRESS_TYPES_H
#define EGRESS_TYPES_H

/*
 * ProviderAPI 1.0: the types that cross the border between the egress host and its provider plugins.
 *
 *   egress_types.h     values: bytes, codes, limits                    (this file)
 *   egress_host.h      services of the host, given to each instance
 *   egress_provider.h  what a plugin exports: entry, provider, capability, verb
 *   egress_<capability>.h  one per capability: the JSON of its verbs
 *
 * CHANGE POLICY
 *   What is released here never changes: no member moves, no value gets another meaning, no name goes.
 *   Growth is by addition: a member at the end of a size-prefixed struct, a value at the end of an enum that flows
 *   from plugin to host, a capability id with a higher revision ("tunnel/2", served beside "tunnel/1"). An addition
 *   raises the minor version; there is no major version 2 in sight, and a host of major 1 loads every plugin of major
 *   1. What is to go is marked deprecated, with the version, and stays for at least four minor versions.
 *   `abidiff` holds each build against the released baseline. docs/provider-abi.md lists every version's additions,
 *   and the numbered requirements of plugins (P-n) and host (H-n) that the comments below refer to.
 *
 * OWNERSHIP
 *   No memory changes hands. Every egp_bytes and every pointer is borrowed: valid until the function it was passed to
 *   returns, unless its comment says longer. Who wants it longer copies it. Answers go into buffers of the caller's
 *   (egp_message) or through functions of the caller's (egp_sink, complete). Nothing is freed across the border.
 *
 * SIZES
 *   `size` is the first member of every struct that may grow. Who allocates the struct writes the bytes it has. The
 *   other side touches no member that lies beyond them: an absent member counts as zero. Members called `flags` hold
 *   0; a bit that the receiver does not know makes it refuse with EGP_INVALID.
 *
 * THREADS
 *   [host-thread]  Called by the host; never two [host-thread] calls of one instance at the same time. Not always the
 *                  same OS thread.
 *   [any-thread]   May be called on any thread, concurrently with everything else.
 *   No function may change the thread's namespaces, signal mask, working directory, umask, locale or floating-point
 *   mode beyond its return. No panic, exception or longjmp crosses the border; a trap ends the process (P-3).
 *
 * TEXT is UTF-8, its length is counted in bytes, and it is not NUL-terminated by contract.
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
    /* "EGP1" as bytes in memory on a little-endian machine; in egp_provider.magic. */
    EGP_MAGIC = 0x31504745,
    /* Versions are major << 16 | minor. */
    EGP_ABI_1_0 = 0x00010000,
    /* The version that this header describes. */
    EGP_ABI_VERSION = EGP_ABI_1_0
};

/* Bounds that both sides keep; the host enforces them. */
enum {
    EGP_MAXIMUM_BYTES = 16777216,         /* of one request, result, HTTP body or configuration */
    EGP_MAXIMUM_ITEMS = 10000,            /* in one request */
    EGP_MAXIMUM_IDENTIFIER = 255,         /* bytes of an item id, capability id, secret name */
    EGP_MAXIMUM_MESSAGE = 4096,           /* bytes of a message; what is longer is cut */
    EGP_MAXIMUM_SECRET = 65536,           /* bytes of one secret */
    EGP_MAXIMUM_TIMERS = 1024,            /* pending, per instance */
    EGP_MAXIMUM_HTTP_EXCHANGES = 256,     /* under way, per instance */
    EGP_MAXIMUM_METRIC_SERIES = 1000,     /* different (name, labels), per instance */
    EGP_MAXIMUM_HOST_THREAD_SECONDS = 5   /* within which every [host-thread] function and every verb must return */
};

/*
 * What the caller does next: a closed set. A receiver takes a number outside of it for EGP_TERMINAL and reports it.
 *
 *   code             when                                          the caller
 *   EGP_OK           done, or accepted                             goes on
 *   EGP_RETRY        passing fault                                 calls again, with growing delay
 *   EGP_THROTTLED    the target asked for less                     calls again, not before retry_after_ns
 *   EGP_CONFLICT     somebody else changed the target, or drift    calls again soon; not an error
 *   EGP_INVALID      request or configuration is wrong             calls again only when it has changed
 *   EGP_TERMINAL     will not succeed by repetition                tells a person; tries again rarely
 *   EGP_UNSUPPORTED  verb, service or change is not offered        does without
 *   EGP_CANCELLED    given up because the host asked, or revoked   nothing
 *   EGP_HOST_TOO_OLD only from egp_provider_entry                  refuses the plugin: it needs a newer host
 *   EGP_HOST_TOO_NEW only from egp_provider_entry                  refuses the plugin: it needs an older host
 */
enum {
    EGP_OK = 0,
    EGP_RETRY = 1,
    EGP_THROTTLED = 2,
    EGP_CONFLICT = 3,
    EGP_INVALID = 4,
    EGP_TERMINAL = 5,
    EGP_UNSUPPORTED = 6,
    EGP_CANCELLED = 7,
    EGP_HOST_TOO_OLD = 8,
    EGP_HOST_TOO_NEW = 9
};
typedef int32_t egp_code;

/* Borrowed bytes. */
typedef struct egp_bytes {
    const uint8_t *EGP_NULLABLE data; /* may be NULL only if length is 0 */
    uint64_t length;
} egp_bytes;

/* A buffer of the caller's for a text. The callee writes at most `capacity` bytes, cut at a character's end, and sets
 * `length`, which is 0 on entry. */
typedef struct egp_message {
    uint8_t *EGP_NULLABLE buffer;
    uint64_t capacity;
    uint64_t length;
} egp_message;

/* A function of the caller's for an answer of any length, in one or more chunks, which are put together in the order
 * of the calls. The callee calls `write` only before it returns, on the thread it was called on, at most
 * EGP_MAXIMUM_BYTES in all. */
typedef struct egp_sink {
    uint32_t size;
    uint32_t flags; /* 0 */
    void *EGP_NULLABLE context;
    void (*EGP_NULLABLE write)(void *EGP_NULLABLE context, egp_bytes chunk);
} egp_sink;

#if defined(__clang__)
#pragma clang assume_nonnull end
#pragma clang diagnostic pop
#endif

#ifdef __cplusplus
}
#endif

#endif
