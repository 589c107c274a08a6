#ifndef EGRESS_PROVIDER_H
#define EGRESS_PROVIDER_H

/*
 * What a provider plugin is: a shared object that exports exactly one symbol, egp_provider_entry. The host reads its
 * manifest, loads it with RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE and never unloads it. See egress_types.h for the
 * rules on ownership, sizes, threads and change.
 *
 * STATES of an instance
 *   negotiated  the entry has returned EGP_OK; there is no instance yet
 *   live        from create's EGP_OK until destroy is entered: all functions may be called
 *   gone        from destroy's entry on: no function of the instance is called any more
 * One image may have several instances at a time. They share nothing that a caller could see (P-6).
 */

#include "egress_host.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wnullability-extension"
#pragma clang assume_nonnull begin
#endif

/* One configured instance of a provider; opaque to the host. */
typedef struct egp_instance egp_instance;

/* The circumstances of one verb call. Borrowed until the verb returns; the values may be kept. */
typedef struct egp_call {
    uint32_t size;
    uint32_t flags;      /* 0 */
    uint64_t ticket;     /* names this call in complete and cancel; never 0, never used twice */
    int64_t deadline_ns; /* absolute, host clock; the host gives up waiting at it */
    egp_bytes trace;     /* W3C traceparent to put into log lines and outgoing requests; may be empty */
} egp_call;

/*
 * A verb: one JSON request, one JSON result.
 *   Thread       [any-thread]
 *   States       live
 *   Ownership    `request` is JSON, borrowed until the verb returns
 *   Returns      EGP_OK: accepted; host->complete will be called once with this ticket. Any other code: not accepted,
 *                and complete must not be called: EGP_INVALID (request too large, bad size or flag), EGP_RETRY (no
 *                memory, too many calls), EGP_UNSUPPORTED. Must not block: long work continues on threads of the
 *                plugin's own.
 *   Idempotency  level-triggered: a request states what shall be, not what to change. Repeating it changes nothing
 *                more. Items of one call succeed or fail one by one, by their own `code` in the result; a completion
 *                with a code other than EGP_OK fails all of them.
 *   Concurrency  the host has at most one call in flight per item id, and any number for different ids (H-6).
 *   Deadline     after deadline_ns nobody waits. The plugin still completes, once, as soon as it can, and leaves every
 *                item either as before or as asked, or in a state that the next ensure or remove puts right (P-10).
 *   Unknown members of a request are ignored.
 */
typedef egp_code (*egp_verb)(egp_instance *instance, const egp_call *call, egp_bytes request);

/* What a capability id resolves to. A verb that is not offered is NULL; ensure and remove are always there. The JSON
 * of requests and results: the capability's own header, and its schema in
 * schemas/<capability>-<revision>.schema.json. */
typedef struct egp_capability {
    uint32_t size;
    uint32_t flags; /* 0 */

    /* Makes a batch of items exist as described, and reports each as it now is. */
    egp_verb EGP_NULLABLE ensure;

    /* Makes a batch of items not exist. An item that does not exist is a success. */
    egp_verb EGP_NULLABLE remove;

    /* Compares a batch with the world and changes nothing. An item as desired is "ok"; one that differs is "conflict"
     * and lists what ensure would put right in "drift". */
    egp_verb EGP_NULLABLE check;

    /* Given all items that shall exist, removes the rest of what is provably this provider's own (by name or tag), in
     * the scopes that the request names. Never removes what it cannot prove to be its own. */
    egp_verb EGP_NULLABLE prune;

    /* Reports the named items as they are, changes nothing. An empty list asks for all that the provider knows. */
    egp_verb EGP_NULLABLE status;
} egp_capability;

/* The plugin, as egp_provider_entry fills it in. Everything it points to lives as long as the process. */
typedef struct egp_provider {
    uint32_t size;
    uint32_t abi_version; /* the version taken */
    uint32_t magic;       /* EGP_MAGIC */
    uint32_t flags;       /* 0 */

    /* JSON, schema provider-descriptor: {"name", "version", "kind", "capabilities": ["load-balancer/1", ...],
     * "configurationSchema"?, "liveSettings"?, "build"?}. Equal to what the manifest says. */
    egp_bytes descriptor;

    /*
     * Makes an instance.
     *   Thread       [host-thread]
     *   States       negotiated; afterwards the instance is live
     *   Ownership    `host` is valid until destroy has returned (see egress_host.h for what create may call);
     *                `configuration` is the JSON object of the entry's `config` in host.yaml, borrowed until return
     *   Returns      EGP_OK: *instance is set. Else *instance stays NULL, nothing is left behind, and `error` says
     *                which field, which value, and what is allowed: EGP_INVALID (configuration), EGP_UNSUPPORTED (a
     *                host service that it needs is missing), EGP_RETRY (no memory), EGP_TERMINAL (this machine cannot
     *                run it)
     *   Idempotency  each call makes another instance; no effect on the world
     *   Deadline     EGP_MAXIMUM_HOST_THREAD_SECONDS; no network IO
     */
    egp_code (*EGP_NULLABLE create)(const egp_host *host, egp_bytes configuration,
                                    egp_instance *EGP_NULLABLE *EGP_NULLABLE instance, egp_message *error);

    /*
     * Ends an instance and frees all it holds. What it made in the world stays.
     *   Thread       [host-thread]
     *   States       live; afterwards there is no instance
     *   Ownership    frees the instance and the tables of capability; the host's table may be used until it returns
     *   Idempotency  called once for each instance
     *   Concurrency  no function of the instance runs; calls in flight have been cancelled and may still be at work
     *                on the plugin's threads: destroy ends or awaits them. It may complete them; nobody listens.
     *   Deadline     EGP_MAXIMUM_HOST_THREAD_SECONDS. After return no thread of the plugin touches the instance or
     *                the host.
     */
    void (*EGP_NULLABLE destroy)(egp_instance *instance);

    /*
     * The table for "name/revision", or NULL if it is not offered (not an error).
     *   Thread       [any-thread]
     *   States       live
     *   Ownership    the table is valid until destroy
     *   Idempotency  the same id gives an equal table each time
     *   Deadline     EGP_MAXIMUM_HOST_THREAD_SECONDS; no IO
     */
    const egp_capability *EGP_NULLABLE (*EGP_NULLABLE capability)(egp_instance *instance, egp_bytes identifier);

    /*
     * A hint that nobody waits for the call any more. It still completes exactly once, preferably soon, with
     * EGP_CANCELLED or its real end. A ticket that is unknown or has ended is no error.
     *   Thread       [any-thread], also while the verb has not returned
     *   States       live
     *   Idempotency  yes
     *   Deadline     EGP_MAXIMUM_HOST_THREAD_SECONDS; does not wait for the call's end
     */
    void (*EGP_NULLABLE cancel)(egp_instance *instance, uint64_t ticket);

    /*
     * Optional. Judges a configuration without making anything: offline, no side effect, no instance.
     *   Thread       [any-thread]
     *   States       negotiated, live
     *   Ownership    both arguments are borrowed until return; `report` gets a JSON object by schema
     *                validation-report: {"mistakes": [{"path": "/port", "message": "70000: allowed are 1 to 65535"},
     *                ...]}
     *   Returns      EGP_OK: create would not answer EGP_INVALID for it. EGP_INVALID: the report lists at least one
     *                mistake.
     *   Idempotency  yes
     *   Deadline     EGP_MAXIMUM_HOST_THREAD_SECONDS; no IO
     */
    egp_code (*EGP_NULLABLE validate)(egp_bytes configuration, const egp_sink *report);

    /*
     * Optional. Gives a live instance other settings, wholly or not at all.
     *   Thread       [host-thread]
     *   States       live; calls may be in flight, and those that began before may end with the old settings
     *   Ownership    `configuration` and `error` are borrowed until return
     *   Returns      EGP_OK: in force. EGP_UNSUPPORTED: a setting changed that needs a new instance; `error` names it.
     *                EGP_INVALID: as create. In both the old settings stay in force.
     *   Idempotency  yes
     *   Deadline     EGP_MAXIMUM_HOST_THREAD_SECONDS; no network IO
     */
    egp_code (*EGP_NULLABLE reconfigure)(egp_instance *instance, egp_bytes configuration, egp_message *error);

    /*
     * Optional. A verb without request (an empty egp_bytes) that tells whether the provider could work now, by schema
     * probe-result: {"ready": true} or {"ready": false, "reason": "..."}, and "facts", for people: which back end,
     * whether traffic is encrypted, which account. It may do IO; it changes nothing. Not ready is EGP_OK with
     * "ready": false.
     */
    egp_verb EGP_NULLABLE probe;
} egp_provider;

#if defined(__GNUC__)
#define EGP_EXPORT __attribute__((visibility("default")))
#else
#define EGP_EXPORT
#endif

/*
 * The one exported symbol: negotiation.
 * The host speaks every version from host_minimum to host_maximum. The plugin takes the highest one that it knows too,
 * writes it to out->abi_version, fills at most out->size bytes of *out and sets out->size to what it filled.
 *   Thread       [host-thread]
 *   States       any
 *   Returns      EGP_OK
 *                EGP_HOST_TOO_OLD  host_maximum is below all that the plugin knows; out->abi_version is its lowest
 *                EGP_HOST_TOO_NEW  host_minimum is above all that the plugin knows; out->abi_version is its highest
 *                EGP_INVALID       out->size does not even hold the members of 1.0
 *   Idempotency  yes: no side effects; it may be called any number of times and gives the same answer
 *   Deadline     EGP_MAXIMUM_HOST_THREAD_SECONDS; offline
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
