#include "egress_schemas.h"

#include <stddef.h>
#include <string.h>

/* #embed is C23; clang knows it in every standard, and writes the files into the dependency file. */
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wc23-extensions"
#endif

static const uint8_t load_balancer_1[] = {
#embed "schemas/load-balancer-1.schema.json"
};
static const uint8_t node_pool_1[] = {
#embed "schemas/node-pool-1.schema.json"
};
static const uint8_t pod_network_1[] = {
#embed "schemas/pod-network-1.schema.json"
};
static const uint8_t tunnel_1[] = {
#embed "schemas/tunnel-1.schema.json"
};
static const uint8_t probe_result[] = {
#embed "schemas/probe-result.schema.json"
};
static const uint8_t provider_descriptor[] = {
#embed "schemas/provider-descriptor.schema.json"
};
static const uint8_t provider_manifest[] = {
#embed "schemas/provider-manifest.schema.json"
};
static const uint8_t validation_report[] = {
#embed "schemas/validation-report.schema.json"
};

#define DOCUMENT(name, bytes) {{(const uint8_t *)name, sizeof name - 1}, {bytes, sizeof bytes}}

static const struct {
    egp_bytes name;
    egp_bytes document;
} documents[] = {
    DOCUMENT("load-balancer/1", load_balancer_1),
    DOCUMENT("node-pool/1", node_pool_1),
    DOCUMENT("pod-network/1", pod_network_1),
    DOCUMENT("tunnel/1", tunnel_1),
    DOCUMENT("probe-result", probe_result),
    DOCUMENT("provider-descriptor", provider_descriptor),
    DOCUMENT("provider-manifest", provider_manifest),
    DOCUMENT("validation-report", validation_report),
};

uint64_t egp_schema_count(void) {
    return sizeof documents / sizeof documents[0];
}

egp_bytes egp_schema_name(uint64_t index) {
    const egp_bytes none = {NULL, 0};
    return index < egp_schema_count() ? documents[index].name : none;
}

egp_bytes egp_schema_document(egp_bytes name) {
    const egp_bytes none = {NULL, 0};
    for (size_t index = 0; name.length > 0 && index < egp_schema_count(); index++) {
        const egp_bytes candidate = documents[index].name;
        if (candidate.length == name.length && memcmp(candidate.data, name.data, candidate.length) == 0) {
            return documents[index].document;
        }
    }
    return none;
}
