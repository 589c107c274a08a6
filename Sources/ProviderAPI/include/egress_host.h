#ifndef EGRESS_HOST_H
#define EGRESS_HOST_H

/*
 * Services of the host, given to `create` as a table. One table per instance: the host knows by the function that is
 * called which instance calls, whatever the arguments say, and can revoke it.
 *
 * For every function below, unless its comment says otherwise:
 *   Thread      [any-thread], also from inside a verb. Not from `create`, `validate` and the entry, which may call
 *               log, log_enabled, now_ns, current_thread and secret_read only (validate and the entry get no table).
 *   States      from `create` until `destroy` has returned. A later call is revoked: it has no effect, answers
 *               EGP_CANCELLED (or 0), and is reported against the plugin. The table itself stays readable for ever.
 *   Ownership   all arguments are borrowed until the function returns, except callback contexts.
 *   Blocking    never longer than a lock is held; no IO on the caller's thread.
 *   Callbacks   an accepted callback (EGP_OK) is called exactly once, on any thread, never from inside the function
 *               that accepted it, and not after `destroy` was entered: the host first ends every timer and exchange
 *               and waits for their callbacks. That one call is also where the plugin frees the callback's context.
 * A member may be NULL: the host does not offer the service. log, now_ns, complete and http_send are always there.
 */

#include "egress_types.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wnullability-extension"
#pragma clang assume_nonnull begin
#endif

enum {
    EGP_LOG_TRACE = 0,
    EGP_LOG_DEBUG = 1,
    EGP_LOG_INFO = 2,
    EGP_LOG_NOTICE = 3,
    EGP_LOG_WARNING = 4,
    EGP_LOG_ERROR = 5
};
typedef int32_t egp_log_level;

enum {
    EGP_THREAD_OTHER = 0, /* not inside a call of the host into this instance */
    EGP_THREAD_HOST = 1,  /* inside a [host-thread] call of this instance */
    EGP_THREAD_VERB = 2   /* inside a verb, cancel or capability call of this instance */
};

enum {
    EGP_METRIC_COUNTER = 0,  /* value >= 0 is added */
    EGP_METRIC_GAUGE = 1,    /* value replaces the last one */
    EGP_METRIC_HISTOGRAM = 2 /* value is one observation; seconds where it is a time */
};

enum {
    EGP_EVENT_NORMAL = 0,
    EGP_EVENT_WARNING = 1
};

/* The end of one verb call. */
typedef struct egp_completion {
    uint32_t size;
    egp_code code;
    egp_bytes result;       /* JSON, the verb's result by its schema; empty unless code is EGP_OK */
    egp_bytes message;      /* what went wrong: one line that names field, value and what is allowed; empty if EGP_OK
    */
    int64_t retry_after_ns; /* with EGP_THROTTLED: the least wait; else 0 */
    egp_bytes reason;       /* one CamelCase word of the plugin's documented list, for conditions; may be empty */
} egp_completion;

/* One HTTP exchange that the host does on behalf of a plugin, over its own pool of connections. */
typedef struct egp_http_request {
    uint32_t size;
    uint32_t flags;      /* 0 */
    egp_bytes method;    /* "GET" */
    egp_bytes url;       /* absolute, http or https */
    egp_bytes headers;   /* JSON: [["name", "value"], ...]; never logged */
    egp_bytes body;      /* may be empty; at most EGP_MAXIMUM_BYTES; never logged */
    int64_t deadline_ns; /* absolute, host clock: until the whole answer is read */
} egp_http_request;

typedef struct egp_http_response {
    uint32_t size;
    egp_code code;     /* EGP_OK: a response came, whatever its status; EGP_RETRY, EGP_TERMINAL, EGP_CANCELLED: none */
    int32_t status;    /* HTTP status, 100 to 599; 0 if none came */
    uint32_t flags;    /* 0 */
    egp_bytes headers; /* JSON: [["name", "value"], ...], names in lower case */
    egp_bytes body;
    egp_bytes message; /* why no response came */
} egp_http_response;

/* [any-thread] The end of one accepted http_send. `response` is borrowed until it returns. */
typedef void (*egp_http_done)(void *EGP_NULLABLE done_context, const egp_http_response *response);

/* [any-thread] The end of one accepted timer. `fired` is 1 if its time came, 0 if it was cancelled or revoked. */
typedef void (*egp_timer_done)(void *EGP_NULLABLE done_context, int32_t fired);

typedef struct egp_metric {
    uint32_t size;
    int32_t kind;     /* EGP_METRIC_... */
    egp_bytes name;   /* [a-z][a-z0-9_]*, 1 to 64 bytes; the host puts egress_plugin_ before it */
    egp_bytes labels; /* JSON object of strings, at most 8; or empty. The host adds `plugin`, the instance's name */
    double value;     /* finite */
} egp_metric;

typedef struct egp_event {
    uint32_t size;
    int32_t severity;  /* EGP_EVENT_... */
    egp_bytes item;    /* the id of an item of a request: the event is shown at that item's object */
    egp_bytes reason;  /* one CamelCase word, 1 to 128 bytes */
    egp_bytes message; /* for a person, at most 1024 bytes; longer is cut */
} egp_event;

typedef struct egp_host {
    uint32_t size;
    uint32_t abi_version;       /* the version that was negotiated */
    void *EGP_NULLABLE context; /* first argument of every function below */

    /* One log line: a constant message; the data in `metadata`, a JSON object of strings, or empty. Values that came
     * from secret_read are blotted out by the host; do not rely on it. An unknown level counts as EGP_LOG_ERROR. */
    void (*EGP_NULLABLE log)(void *EGP_NULLABLE context, egp_log_level level, egp_bytes message, egp_bytes metadata);

    /* Monotonic time in nanoseconds; the clock of every deadline. Idempotent. Revoked: INT64_MAX. */
    int64_t (*EGP_NULLABLE now_ns)(void *EGP_NULLABLE context);

    /* Ends the verb call that was accepted under `ticket`: exactly once per accepted call, from any thread, possibly
     * before the verb has returned. A second end, one for a ticket never given, or one after the host gave up is
     * ignored; the first two are counted against the plugin (P-9). A `size` too small ends the call as
     * EGP_TERMINAL. */
    void (*EGP_NULLABLE complete)(void *EGP_NULLABLE context, uint64_t ticket, const egp_completion *completion);

    /* Starts an HTTP exchange; `done` is the callback.
     *   EGP_OK         accepted
     *   EGP_INVALID    a bad size, flag, header list, or a body too large: not sent
     *   EGP_THROTTLED  EGP_MAXIMUM_HTTP_EXCHANGES are under way: try again when one has ended
     *   EGP_CANCELLED  revoked */
    egp_code (*EGP_NULLABLE http_send)(void *EGP_NULLABLE context, const egp_http_request *request, egp_http_done done,
                                       void *EGP_NULLABLE done_context);

    /* 1 if a line of this level would be kept, else 0: to skip costly metadata. */
    int32_t (*EGP_NULLABLE log_enabled)(void *EGP_NULLABLE context, egp_log_level level);

    /* What the current thread is to this instance: EGP_THREAD_... For assertions. */
    int32_t (*EGP_NULLABLE current_thread)(void *EGP_NULLABLE context);

    /* 1 if nobody waits for this ticket any more (cancelled, overdue, completed, never given), else 0. For loops that
     * poll instead of taking `cancel`. */
    int32_t (*EGP_NULLABLE is_cancelled)(void *EGP_NULLABLE context, uint64_t ticket);

    /* Calls `done` after `delay_ns` (0 or more) and writes the timer's number, which is never 0 and never used twice.
     *   EGP_OK         accepted; *timer is set
     *   EGP_INVALID    negative delay
     *   EGP_THROTTLED  EGP_MAXIMUM_TIMERS are pending
     *   EGP_CANCELLED  revoked */
    egp_code (*EGP_NULLABLE timer_start)(void *EGP_NULLABLE context, int64_t delay_ns, egp_timer_done done,
                                         void *EGP_NULLABLE done_context, uint64_t *timer);

    /* EGP_OK: `done` is called with fired = 0. EGP_INVALID: no such timer is pending (its `done` was or is being
     * called). Idempotent in effect. */
    egp_code (*EGP_NULLABLE timer_cancel)(void *EGP_NULLABLE context, uint64_t timer);

    /* Writes the present bytes of the secret that the instance's entry in host.yaml calls `name` into `sink`. Read it
     * when it is needed and do not keep it: it may be rotated at any time. Reads a small local file on the caller's
     * thread.
     *   EGP_OK        written
     *   EGP_INVALID   the entry has no secret of this name
     *   EGP_RETRY     it cannot be read now (the log says why)
     *   EGP_TERMINAL  it is larger than EGP_MAXIMUM_SECRET */
    egp_code (*EGP_NULLABLE secret_read)(void *EGP_NULLABLE context, egp_bytes name, const egp_sink *sink);

    /* EGP_OK; EGP_INVALID for a bad kind, name, label or value; EGP_THROTTLED when the instance has
     * EGP_MAXIMUM_METRIC_SERIES series and this would be one more (it is dropped, and counted). */
    egp_code (*EGP_NULLABLE metric)(void *EGP_NULLABLE context, const egp_metric *metric);

    /* Tells people of something at an item's object; equal events are counted, not repeated.
     *   EGP_OK         taken
     *   EGP_INVALID    a bad reason or severity, or an item that was in no request
     *   EGP_THROTTLED  too many at once: it is dropped, and counted */
    egp_code (*EGP_NULLABLE event)(void *EGP_NULLABLE context, const egp_event *event);
} egp_host;

#if defined(__clang__)
#pragma clang assume_nonnull end
#pragma clang diagnostic pop
#endif

#ifdef __cplusplus
}
#endif

#endif
