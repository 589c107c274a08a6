#ifndef EGRESS_SCHEMAS_H
#define EGRESS_SCHEMAS_H

#include "egress_provider.h"

/*
 * The JSON Schemas of the border, for programs that link ProviderAPI: the host, ProviderKit and the validator. Not part
 * of the plugin ABI: nothing here crosses the border, and a plugin that is compiled from the headers alone does not
 * need it.
 *
 * The documents are the files Sources/ProviderAPI/schemas/<name>.schema.json, with '-' for the '/' of a capability.
 * They are compiled in, so that what a program checks is what it was built with.
 */

#ifdef __cplusplus
extern "C" {
#endif

/* How many documents are compiled in. [any-thread] */
uint64_t egp_schema_count(void);

/* The name of document `index`, "load-balancer/1" or "provider-manifest"; empty if index is not below the count.
 * [any-thread] Lives as long as the process, as does what egp_schema_document returns. */
egp_bytes egp_schema_name(uint64_t index);

/* The document of that name, UTF-8 JSON; empty if there is none. [any-thread] */
egp_bytes egp_schema_document(egp_bytes name);

#ifdef __cplusplus
}
#endif

#endif
