import Foundation

/// A provider in C that answers `ensure` with the `label` of its settings, takes another label while it lives, and
/// refuses another `fixed` (needs a restart) and the label `bad` (wrong).
enum SettablePlugin {
    /// - Parameter schema: JSON without blanks in texts.
    static func source(schema: String = "{}") -> String {
        let about = """
            {"name":"Settable","version":"1","kind":"load-balancer","capabilities":["load-balancer/1","node-pool/1"],\
            "configurationSchema":\(schema)}
            """
        return """
            #define _GNU_SOURCE
            #include "egress_load_balancer.h"
            #include <stdio.h>
            #include <stdlib.h>
            #include <string.h>
            struct egp_instance { const egp_host *host; char label[64]; long fixed; };
            static egp_code verb(egp_instance *i, const egp_call *call, egp_bytes request) { (void)request;
                char text[256];
                int n = snprintf(text, sizeof text, "{\\"items\\":[{\\"id\\":\\"a\\",\\"code\\":\\"ok\\",\\"observed\\":"
                    "{\\"frontendIP\\":\\"%s\\",\\"port\\":6000}}]}", i->label);
                egp_completion c = {.size = sizeof c, .result = {(const uint8_t *)text, (uint64_t)n}};
                i->host->complete(i->host->context, call->ticket, &c);
                return EGP_OK;
            }
            static const egp_capability table = {
                .size = sizeof table, .ensure = verb, .remove = verb, .status = verb};
            static const char *member(egp_bytes c, const char *name) {
                const char *at = memmem(c.data, c.length, name, strlen(name));
                return at ? at + strlen(name) : NULL;
            }
            static egp_code say(egp_message *e, egp_code code, const char *text) {
                e->length = strlen(text); memcpy(e->buffer, text, e->length); return code;
            }
            static egp_code take(egp_instance *i, egp_bytes c, egp_message *e, int first) {
                const char *label = member(c, "\\"label\\":\\""), *number = member(c, "\\"fixed\\":");
                long fixed = number ? strtol(number, NULL, 10) : 0;
                if (label && !strncmp(label, "bad", 3)) return say(e, EGP_INVALID, "label: bad is not allowed");
                if (!first && fixed != i->fixed) return say(e, EGP_UNSUPPORTED, "fixed takes a new instance");
                i->fixed = fixed;
                int length = label ? (int)strcspn(label, "\\"") : 4;
                snprintf(i->label, sizeof i->label, "%.*s", length, label ? label : "none");
                return EGP_OK;
            }
            static egp_code create(const egp_host *h, egp_bytes c, egp_instance **out, egp_message *e) {
                egp_instance *i = calloc(1, sizeof *i); i->host = h;
                egp_code code = take(i, c, e, 1);
                if (code != EGP_OK) { free(i); return code; }
                *out = i; return EGP_OK;
            }
            static egp_code reconfigure(egp_instance *i, egp_bytes c, egp_message *e) { return take(i, c, e, 0); }
            static void destroy(egp_instance *i) { free(i); }
            static const egp_capability *capability(egp_instance *i, egp_bytes id) { (void)i;
                return (id.length == 15 && !memcmp(id.data, "load-balancer/1", 15))
                    || (id.length == 11 && !memcmp(id.data, "node-pool/1", 11)) ? &table : NULL;
            }
            static void cancel(egp_instance *i, uint64_t ticket) { (void)i, (void)ticket; }
            egp_code egp_provider_entry(uint32_t low, uint32_t high, egp_provider *out) { (void)low, (void)high;
                static const char about[] = "\(about.replacing("\"", with: "\\\""))";
                *out = (egp_provider){.size = sizeof *out, .abi_version = EGP_ABI_1_0, .magic = EGP_MAGIC,
                    .descriptor = {(const uint8_t *)about, sizeof about - 1}, .create = create, .destroy = destroy,
                    .capability = capability, .cancel = cancel, .reconfigure = reconfigure};
                return EGP_OK;
            }
            """
    }

    /// With nested members, for mistakes at every depth.
    static let schema = """
        {"type":"object","additionalProperties":false,"required":["label"],"properties":{"label":{"type":"string"},\
        "fixed":{"type":"integer","minimum":0,"maximum":9},"pools":{"type":"array","items":{"type":"object",\
        "required":["name"],"properties":{"name":{"type":"string"},"size":{"type":"integer","maximum":5}}}}}}
        """
}
