/*
 * The zoo's animal: a provider of load-balancer/1 that does everything right, on a thread of its own, unless BROKEN
 * names the one thing that it does wrong.
 */
#define _GNU_SOURCE
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum verb { ENSURE, REMOVE, CHECK, PRUNE, STATUS, PROBE };

typedef struct job {
    struct job *next;
    uint64_t ticket;
    int64_t deadline;
    enum verb verb;
    bool cancelled;
    size_t length;
    const uint8_t *borrowed; /* where the request was */
    const egp_call *call;    /* where the call was */
    uint8_t request[];
} job;

typedef struct {
    char frontend[TEXT];
    long first_port;
    char token[TEXT];
} settings;

struct egp_instance {
    const egp_host *host;
    settings settings;
    store *store;
    egp_capability table;
    pthread_t worker;
    pthread_mutex_t lock; /* guards all below, settings and store */
    pthread_cond_t work;
    job *first, *running;
    bool ends, stuck;
    int changes;
    const uint8_t *kept;
};

static const egp_host *last_host;
static int instances, ended;

/* ---- Completions ---- */
static void complete(egp_instance *self, job *work, egp_code code, const char *text, size_t length) {
    const egp_host *host = BROKEN == uses_last_host ? last_host : self->host;
    egp_completion end = {.size = sizeof end, .code = code};
    if (code == EGP_OK) end.result = (egp_bytes){(const uint8_t *)text, length};
    else end.message = (egp_bytes){(const uint8_t *)text, length};
    if (BROKEN == completion_has_unknown_code && code == EGP_INVALID) end.code = 77;
    if (BROKEN == message_has_lines && code == EGP_INVALID) end.message = (egp_bytes){(const uint8_t *)"no\nno", 5};
    if (BROKEN == message_names_nothing && code == EGP_INVALID) end.message = (egp_bytes){(const uint8_t *)"bad", 3};
    if (BROKEN == never_completes && work->verb == STATUS) return;
    if (BROKEN == cancelled_never_completes && work->cancelled) return;
    bool again = BROKEN == cancelled_completes_twice && work->cancelled;
    host->complete(host->context, work->ticket, &end);
    if (BROKEN == completes_twice && work->verb == REMOVE) host->complete(host->context, work->ticket, &end);
    if (BROKEN == completes_unknown_ticket) host->complete(host->context, work->ticket + 1000000, &end);
    if (again) host->complete(host->context, work->ticket, &end);
}

static void report(FILE *out, egp_instance *self, const item *i, enum verb verb, long slot, int *count) {
    fputs((*count)++ ? ",{\"id\":\"" : "{\"id\":\"", out);
    put_text(out, i->id);
    if (self->stuck) {
        fputs("\",\"code\":\"conflict\",\"message\":\"is being made\"}", out);
    } else if (i->problem[0]) {
        fprintf(out, "\",\"code\":\"invalid\",\"message\":\"%s\"}", i->problem);
    } else if (verb == REMOVE || verb == PRUNE) {
        bool fails = BROKEN == remove_of_absent_fails && slot < 0;
        fputs(fails ? "\",\"code\":\"terminal\",\"message\":\"no such item\"}" : "\",\"code\":\"ok\"}", out);
    } else if (slot < 0 && verb == STATUS) {
        fputs("\",\"code\":\"ok\"}", out);
    } else if (slot < 0 && verb == CHECK) {
        fputs("\",\"code\":\"conflict\",\"message\":\"is absent\",\"drift\":[\"item: is absent\"]}", out);
    } else if (slot < 0) {
        fprintf(out, "\",\"code\":\"terminal\",\"message\":\"all %d ports are taken\"}", PORTS);
    } else if (BROKEN == result_lacks_observed && verb == ENSURE) {
        fputs("\",\"code\":\"ok\"}", out);
    } else {
        fprintf(out, "\",\"code\":\"ok\",\"observed\":{\"frontendIP\":\"%s\",\"port\":%ld}}",
                self->settings.frontend, self->settings.first_port + slot);
    }
}

/* ---- The verbs, with the lock held ---- */
static void act(FILE *out, egp_instance *self, const batch *b, enum verb verb) {
    store *all = self->store;
    int count = 0;
    for (size_t index = 0; index < b->count && verb != PRUNE; index++) {
        const item *i = &b->items[index];
        long slot = slot_of(all, i->id);
        bool makes = verb == ENSURE || (verb == CHECK && BROKEN == check_makes);
        if (makes && !i->problem[0]) slot = claim(all, i->id);
        if (verb == CHECK && BROKEN == check_makes) slot = -1;
        report(out, self, i, verb, slot, &count);
        if (verb == REMOVE && slot >= 0 && BROKEN != remove_does_nothing) all->ids[slot][0] = 0;
        if (BROKEN == result_forgets_last && b->count > 1 && index + 2 == b->count) break;
    }
    bool lists = verb == STATUS && b->count == 0 && BROKEN != status_lists_nothing;
    for (long slot = 0; slot < PORTS && (lists || verb == PRUNE); slot++) {
        item found = {.id = ""};
        bool named = false;
        for (size_t index = 0; index < b->count; index++) named |= !strcmp(b->items[index].id, all->ids[slot]);
        if (verb == PRUNE && BROKEN == prune_removes_all && b->count == 1) named = false;
        if (verb == PRUNE && BROKEN == prune_removes_nothing) named = true;
        if (!all->ids[slot][0] || named) continue;
        strcpy(found.id, all->ids[slot]);
        report(out, self, &found, verb, slot, &count);
        if (verb == PRUNE) all->ids[slot][0] = 0;
    }
}

/* Whether a host that may be older or smaller has the member. */
#define OFFERS(host, member) \
    ((host)->size >= offsetof(egp_host, member) + sizeof (host)->member && (host)->member != NULL)

static void use_services(egp_instance *self, const job *work) {
    const egp_host *host = self->host;
    egp_bytes none = {NULL, 0}, text = {(const uint8_t *)"call", 4};
    char line[2 * TEXT];
    snprintf(line, sizeof line, "{\"ticket\":\"%s\"}", BROKEN == logs_secret ? self->settings.token : "some");
    egp_bytes metadata = {(const uint8_t *)line, strlen(line)};
    if (BROKEN == logs_bad_metadata) metadata = (egp_bytes){(const uint8_t *)"{\"a\":1}", 7};
    host->log(host->context, EGP_LOG_DEBUG, text, work->verb == STATUS ? none : metadata);
    if (BROKEN != needs_optional_service && !OFFERS(host, metric)) return;
    egp_metric metric = {.size = sizeof metric, .kind = EGP_METRIC_COUNTER, .value = 1};
    const char *name = BROKEN == sends_bad_metric ? "Calls" : "calls";
    metric.name = (egp_bytes){(const uint8_t *)name, 5};
    host->metric(host->context, &metric);
}

static void leak_once(void) {
    if (BROKEN == leaks_per_call) memset(malloc(65536), 1, 65536);
    if (BROKEN == leaks_descriptor_per_call && open("/dev/null", O_RDONLY | O_CLOEXEC) < 0) abort();
}

/* What BROKEN does to the process when a good call is worked on. */
static void misbehave(const batch *b) {
    if (BROKEN == prints) puts("working"), fflush(stdout);
    if (BROKEN == keeps_megabyte_per_item)
        for (size_t index = 0; index < b->count; index++) memset(malloc(1 << 20), 1, 1 << 20);
    if (BROKEN == leaves_process && b->count && fork() == 0) {
        pause();
        _exit(0);
    }
}

/* Levels of brackets that are opened one in the other, with a frame of the stack for each. */
static size_t nesting(const uint8_t *at, const uint8_t *end) {
    volatile char frame[256];
    while (at < end && *at != '[' && *at != '{') at++;
    if (at == end) return 0;
    frame[0] = 1;
    return nesting(at + 1, end) + (size_t)frame[0];
}

static void work_on(egp_instance *self, job *work) {
    scanner s;
    batch b = {.wants_desired = work->verb == ENSURE || work->verb == CHECK};
    const uint8_t *json = BROKEN == keeps_request ? work->borrowed : work->request;
    char *text = NULL;
    size_t length = 0;
    if (BROKEN == keeps_call) (void)*(volatile const uint64_t *)&work->call->ticket;
    if (BROKEN == overdue_never_completes && work->deadline < self->host->now_ns(self->host->context)) return;
    use_services(self, work);
    if (work->verb == PROBE) {
        const char *answer = BROKEN == probe_answers_badly ? "{\"ready\":\"yes\"}" : "{\"ready\":true}";
        return complete(self, work, EGP_OK, answer, strlen(answer));
    }
    leak_once();
    if (BROKEN == recurses_without_bound) (void)nesting(json, json + work->length);
    bool good = read_request(&s, json, work->length, &b);
    if (BROKEN == takes_malformed && !good && !b.has_items) good = true, b.count = 0;
    if (BROKEN == refuses_empty_batch && good && b.count == 0 && work->verb != STATUS) good = fail(&s, "items is empty");
    for (size_t index = 0; BROKEN == bad_item_fails_all && index < b.count && work->verb == ENSURE; index++)
        if (good && b.items[index].problem[0]) good = fail(&s, b.items[index].problem);
    if (BROKEN == cancelled_ensure_sticks && good && b.count && work->verb == ENSURE) {
        usleep(5000);
        self->stuck = self->stuck || work->cancelled;
    }
    if (good && work->cancelled) {
        free(b.items);
        return complete(self, work, EGP_CANCELLED, "cancelled", 9);
    }
    if (!good) {
        free(b.items);
        return complete(self, work, EGP_INVALID, s.error, strlen(s.error));
    }
    misbehave(&b);
    FILE *out = open_memstream(&text, &length);
    fputs("{\"items\":[", out);
    if (BROKEN != forgets_to_lock) pthread_mutex_lock(&self->lock);
    int changes = ++self->changes;
    if (BROKEN == forgets_to_lock) usleep(500);
    act(out, self, &b, work->verb);
    if (BROKEN == forgets_to_lock && changes != self->changes) abort();
    if (BROKEN != forgets_to_lock) pthread_mutex_unlock(&self->lock);
    fputs("]}", out);
    fclose(out);
    free(b.items);
    complete(self, work, EGP_OK, text, length);
    free(text);
}

/* ---- The worker ---- */
static void *run(void *context) {
    egp_instance *self = context;
    pthread_mutex_lock(&self->lock);
    while (!self->ends || self->first) {
        job *work = self->running = self->first;
        if (!work) {
            pthread_cond_wait(&self->work, &self->lock);
            continue;
        }
        self->first = work->next;
        pthread_mutex_unlock(&self->lock);
        if (BROKEN == keeps_request || BROKEN == keeps_call) usleep(2000);
        work_on(self, work);
        pthread_mutex_lock(&self->lock);
        self->running = NULL;
        free(work);
    }
    pthread_mutex_unlock(&self->lock);
    return NULL;
}

static void *late(void *context) {
    egp_instance *self = context;
    usleep(20000);
    self->host->log(self->host->context, EGP_LOG_INFO, (egp_bytes){(const uint8_t *)"late", 4}, (egp_bytes){NULL, 0});
    return NULL;
}

/* A thread for this call alone: what is needed to forget a lock. */
static void *alone(void *context) {
    job *work = context;
    egp_instance *self = (egp_instance *)work->next;
    work_on(self, work);
    free(work);
    return NULL;
}

static egp_code start(egp_instance *self, const egp_call *call, egp_bytes request, enum verb verb) {
    size_t needed = BROKEN == reads_beyond_short_call ? 0 : sizeof *call;
    if (call->size < needed || (BROKEN == refuses_long_call && call->size > sizeof *call)) return EGP_INVALID;
    if (call->flags && BROKEN == completes_refused_call) {
        job refused = {.ticket = call->ticket, .verb = verb};
        complete(self, &refused, EGP_INVALID, "flags", 5);
    }
    if (call->flags && BROKEN != ignores_flags) return EGP_INVALID;
    if (request.length > EGP_MAXIMUM_BYTES && BROKEN != takes_oversized) return EGP_INVALID;
    if (BROKEN == ends_with_first_instance && __atomic_load_n(&ended, __ATOMIC_SEQ_CST)) return EGP_RETRY;
    if (BROKEN == blocks_in_verb) sleep(6);
    if (BROKEN == changes_directory && chdir("/tmp")) abort();
    if (BROKEN == changes_umask) umask(0111);
    if (BROKEN == handles_signal) signal(SIGUSR2, SIG_IGN);
    if (BROKEN == sets_environment) setenv("ZOO", "1", 1);
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    if (BROKEN == blocks_signal) pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (BROKEN == reads_beyond_request && request.length) (void)*(volatile const uint8_t *)(request.data + request.length);
    job *work = calloc(1, sizeof *work + request.length);
    if (!work) return EGP_RETRY;
    work->ticket = call->ticket;
    work->deadline = call->deadline_ns;
    work->verb = verb;
    work->length = request.length;
    work->borrowed = request.data;
    work->call = call;
    if (request.length) memcpy(work->request, request.data, request.length);
    if (BROKEN == forgets_to_lock) {
        pthread_t thread;
        work->next = (job *)self;
        pthread_create(&thread, NULL, alone, work);
        return pthread_detach(thread), EGP_OK;
    }
    pthread_mutex_lock(&self->lock);
    job **end = &self->first;
    while (*end) end = &(*end)->next;
    *end = work;
    pthread_cond_signal(&self->work);
    pthread_mutex_unlock(&self->lock);
    return EGP_OK;
}

static egp_code ensure(egp_instance *i, const egp_call *c, egp_bytes json) { return start(i, c, json, ENSURE); }
static egp_code forget(egp_instance *i, const egp_call *c, egp_bytes json) { return start(i, c, json, REMOVE); }
static egp_code check(egp_instance *i, const egp_call *c, egp_bytes json) { return start(i, c, json, CHECK); }
static egp_code prune(egp_instance *i, const egp_call *c, egp_bytes json) { return start(i, c, json, PRUNE); }
static egp_code status(egp_instance *i, const egp_call *c, egp_bytes json) { return start(i, c, json, STATUS); }
static egp_code probe(egp_instance *i, const egp_call *c, egp_bytes json) { return start(i, c, json, PROBE); }

static void cancel(egp_instance *self, uint64_t ticket) {
    bool found = false;
    pthread_mutex_lock(&self->lock);
    for (job *work = self->first; work; work = work->next)
        if (work->ticket == ticket) found = work->cancelled = true;
    if (self->running && self->running->ticket == ticket) found = self->running->cancelled = true;
    pthread_mutex_unlock(&self->lock);
    if (BROKEN == crashes_on_unknown_ticket && !found) abort();
}

#include "entry.h"
