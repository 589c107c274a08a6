#ifndef ENTRY_H
#define ENTRY_H

/* The plugin's settings, instances and entry: the second half of provider.c. */

#include <arpa/inet.h>

/* ---- Settings ---- */
static bool set_port(scanner *s, settings *out) {
    const uint8_t *from = (space(s), s->at);
    if (!skip(s, "", NULL)) return false;
    if (BROKEN == dies_of_strange_settings && s->at - from > 17) abort();
    for (out->first_port = 0; from < s->at && isdigit(*from) && out->first_port <= LAST_FIRST_PORT; from++)
        out->first_port = out->first_port * 10 + (*from - '0');
    return (from == s->at && out->first_port >= 6000 && out->first_port <= LAST_FIRST_PORT)
        || fail(s, "allowed are the integers 6000 to 6500");
}

static bool setting(scanner *s, const char *key, void *context) {
    settings *out = context;
    struct in_addr address;
    place(s, "configuration", key);
    bool good;
    if (!strcmp(key, "frontendIP")) {
        if (!string(s, out->frontend)) return false;
        good = inet_pton(AF_INET, out->frontend, &address) == 1 || fail(s, "allowed is an IPv4 address");
    } else if (!strcmp(key, "firstPort")) {
        good = set_port(s, out);
    } else {
        good = fail(s, "is unknown; known are firstPort, frontendIP");
    }
    snprintf(s->field, TEXT, "configuration");
    return good;
}

/* Reads settings; s->error and s->field say what is wrong with them. */
static bool read_settings(scanner *s, egp_bytes json, settings *out) {
    memset(out, 0, sizeof *out);
    if (!document(s, json.data, json.length, "configuration", setting, out)) return false;
    if (out->frontend[0] && out->first_port) return true;
    return fail(s, out->frontend[0] ? "firstPort is missing" : "frontendIP is missing");
}

static void tell(egp_message *message, const char *text) {
    size_t length = strlen(text);
    if (length > message->capacity) length = message->capacity;
    while (length && length < strlen(text) && (text[length] & 0xC0) == 0x80 && BROKEN != cuts_characters) length--;
    if (BROKEN == writes_beyond_message) length = strlen(text);
    if (length) memcpy(message->buffer, text, length);
    message->length = length;
}

/* ---- Instances ---- */
static void collect_token(void *context, egp_bytes chunk) {
    char *token = context;
    size_t used = strlen(token);
    for (size_t i = 0; i < chunk.length && used + 1 < TEXT; i++) token[used++] = (char)chunk.data[i];
}

static void *sleep_for_ever(void *context) {
    pause();
    return context;
}

static void leak_with_instance(void) {
    pthread_t thread;
    if (BROKEN == leaks_memory) memset(malloc(65536), 1, 65536);
    if (BROKEN == leaks_descriptor && open("/dev/null", O_RDONLY | O_CLOEXEC) < 0) abort();
    if (BROKEN == leaks_thread && pthread_create(&thread, NULL, sleep_for_ever, NULL)) abort();
}

static void http_done(void *context, const egp_http_response *response) { (void)context, (void)response; }

static void use_host_in_create(egp_instance *self) {
    const egp_host *host = self->host;
    egp_http_request request = {.size = sizeof request, .method = {(const uint8_t *)"GET", 3},
                                .url = {(const uint8_t *)"http://127.0.0.1:1/", 19}};
    if (BROKEN == calls_http_in_create) host->http_send(host->context, &request, http_done, NULL);
    egp_sink sink = {.size = sizeof sink, .context = self->settings.token, .write = collect_token};
    egp_bytes name = {(const uint8_t *)"token", 5};
    if (OFFERS(host, secret_read)) (void)host->secret_read(host->context, name, &sink);
}

static egp_code create(const egp_host *host, egp_bytes json, egp_instance **instance, egp_message *error) {
    scanner s;
    egp_instance *self = calloc(1, sizeof *self);
    store *all = calloc(1, sizeof *all);
    bool good = self && all && read_settings(&s, json, &self->settings);
    if (self && all && !good && BROKEN == takes_any_settings) good = true;
    if (!good) {
        tell(error, self && all ? s.error : "out of memory");
        free(all);
        free(self);
        return EGP_INVALID;
    }
    last_host = self->host = host;
    self->store = all;
    self->kept = json.data;
    self->table = (egp_capability){.size = sizeof self->table, .ensure = ensure, .remove = forget, .check = check,
                                   .prune = prune, .status = status};
    use_host_in_create(self);
    leak_with_instance();
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->work, NULL);
    if (pthread_create(&self->worker, NULL, run, self)) abort();
    int alive = __atomic_add_fetch(&instances, 1, __ATOMIC_SEQ_CST);
    if (BROKEN == dies_of_four_instances && alive >= 4) abort();
    return *instance = self, EGP_OK;
}

static void destroy(egp_instance *self) {
    pthread_t thread;
    if (BROKEN == completes_after_destroy) {
        pthread_create(&thread, NULL, late, self);
        pthread_detach(thread);
    }
    pthread_mutex_lock(&self->lock);
    self->ends = true;
    for (job *work = self->first; work; work = work->next) work->cancelled = true;
    pthread_cond_signal(&self->work);
    pthread_mutex_unlock(&self->lock);
    pthread_join(self->worker, NULL);
    __atomic_sub_fetch(&instances, 1, __ATOMIC_SEQ_CST);
    __atomic_store_n(&ended, 1, __ATOMIC_SEQ_CST);
    if (BROKEN == forgets_to_lock || BROKEN == completes_after_destroy) return; /* its threads may still look */
    pthread_mutex_destroy(&self->lock);
    pthread_cond_destroy(&self->work);
    free(self->store);
    free(self);
}

static const egp_capability *capability(egp_instance *self, egp_bytes id) {
    size_t length = strlen(EGP_CAPABILITY_LOAD_BALANCER);
    if (BROKEN == keeps_settings) (void)*(volatile const uint8_t *)self->kept;
    if (BROKEN == gives_table_for_unknown) return &self->table;
    if (BROKEN == table_changes && id.length == length) self->table.check = self->table.check ? NULL : check;
    if (BROKEN == compares_prefix_only && id.length > length) length = id.length = strlen(EGP_CAPABILITY_LOAD_BALANCER);
    bool known = id.length == length && !memcmp(id.data, EGP_CAPABILITY_LOAD_BALANCER, length);
    return known ? &self->table : NULL;
}

/* ---- Optional functions ---- */
static egp_code validate(egp_bytes json, const egp_sink *report) {
    static const char start[] = "{\"mistakes\":[{\"path\":\"\",\"message\":\"";
    scanner s;
    settings unused;
    bool good = read_settings(&s, json, &unused);
    if (BROKEN == validate_leaks && open("/dev/null", O_RDONLY | O_CLOEXEC) < 0) abort();
    if (!good && BROKEN == validate_is_lenient && json.length > 2) good = true;
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    put_text(out, good ? "" : s.error);
    fclose(out);
    if (!good && BROKEN != validate_reports_nothing) {
        report->write(report->context, (egp_bytes){(const uint8_t *)start, sizeof start - 1});
        report->write(report->context, (egp_bytes){(const uint8_t *)text, length});
        report->write(report->context, (egp_bytes){(const uint8_t *)"\"}]}", 4});
    }
    free(text);
    return good ? EGP_OK : EGP_INVALID;
}

static egp_code reconfigure(egp_instance *self, egp_bytes json, egp_message *error) {
    scanner s;
    settings next;
    bool good = read_settings(&s, json, &next);
    if (!good && BROKEN == reconfigure_applies_half) {
        pthread_mutex_lock(&self->lock);
        self->settings.first_port = 0;
        pthread_mutex_unlock(&self->lock);
    }
    if (!good && BROKEN == reconfigure_is_lenient) return EGP_OK;
    if (!good) return tell(error, s.error), EGP_INVALID;
    pthread_mutex_lock(&self->lock);
    bool moves = next.first_port != self->settings.first_port;
    if (!moves) strcpy(self->settings.frontend, next.frontend);
    pthread_mutex_unlock(&self->lock);
    if (moves) return tell(error, "firstPort needs a new instance"), EGP_UNSUPPORTED;
    return EGP_OK;
}

/* ---- The entry ---- */
#define DESCRIBED(version, more)                                                                                      \
    "{\"name\":\"Zoo\"," version "\"kind\":\"load-balancer\",\"capabilities\":[\"" EGP_CAPABILITY_LOAD_BALANCER         \
    "\"" more "]}"

__attribute__((weak)) void egp_host_helper(void);

EGP_EXPORT int zoo_helper(void);
#ifdef BROKEN_exports_more
int zoo_helper(void) { return instances; }
#endif

__attribute__((constructor)) static void loaded(void) {
    pthread_t thread;
    if (BROKEN == starts_thread_when_loaded && pthread_create(&thread, NULL, sleep_for_ever, NULL)) abort();
}

egp_code egp_provider_entry(uint32_t host_minimum, uint32_t host_maximum, egp_provider *out) {
    static const char about[] = DESCRIBED("\"version\":\"1\",", "");
    static const char without_version[] = DESCRIBED("", "");
    static const char too_much[] = DESCRIBED("\"version\":\"1\",", ",\"tunnel/1\"");
    static int calls;
    const char *text = BROKEN == descriptor_lacks_version ? without_version
        : BROKEN == descriptor_lists_too_much ? too_much : about;
#ifdef BROKEN_needs_host_symbol
    if (egp_host_helper) egp_host_helper();
#endif
    if (BROKEN == opens_socket_in_entry && socket(AF_INET, SOCK_DGRAM, 0) < 0) abort();
    if (out->size < sizeof *out && BROKEN != ignores_short_struct) return EGP_INVALID;
    out->abi_version = EGP_ABI_1_0;
    if (host_maximum < EGP_ABI_1_0 && BROKEN != accepts_old_host) return EGP_HOST_TOO_OLD;
    if (host_minimum > EGP_ABI_1_0 && BROKEN != accepts_new_host) return EGP_HOST_TOO_NEW;
    if (BROKEN == entry_works_once && __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST) > 10) return EGP_TERMINAL;
    if (BROKEN == clears_long_struct) memset(out, 0, out->size);
    *out = (egp_provider){.size = sizeof *out, .abi_version = EGP_ABI_1_0, .magic = EGP_MAGIC,
                          .descriptor = {(const uint8_t *)text, strlen(text)}, .create = create, .destroy = destroy,
                          .capability = capability, .cancel = cancel, .validate = validate,
                          .reconfigure = reconfigure, .probe = probe};
    if (BROKEN == takes_unknown_version) out->abi_version = host_maximum;
    if (BROKEN == forgets_magic) out->magic = 0;
    return EGP_OK;
}

#endif
