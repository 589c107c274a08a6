#include "egress_load_balancer.h"
#include "egress_node_pool.h"
#include "egress_pod_network.h"
#include "egress_provider.h"
#include "egress_tunnel.h"

#include <stddef.h>

/* The layout that plugins are compiled against, on every 64-bit target. */
_Static_assert(sizeof(egp_bytes) == 16, "egp_bytes");
_Static_assert(sizeof(egp_message) == 24, "egp_message");
_Static_assert(sizeof(egp_call) == 24, "egp_call");
_Static_assert(offsetof(egp_call, ticket) == 8, "egp_call.ticket");
_Static_assert(sizeof(egp_completion) == 48, "egp_completion");
_Static_assert(offsetof(egp_completion, retry_after_ns) == 40, "egp_completion.retry_after_ns");
_Static_assert(sizeof(egp_http_request) == 80, "egp_http_request");
_Static_assert(sizeof(egp_http_response) == 64, "egp_http_response");
_Static_assert(sizeof(egp_host) == 48, "egp_host");
_Static_assert(sizeof(egp_capability) == 48, "egp_capability");
_Static_assert(sizeof(egp_provider) == 56, "egp_provider");
_Static_assert(offsetof(egp_provider, create) == 24, "egp_provider.create");
