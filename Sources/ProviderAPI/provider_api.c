#include "egress_load_balancer.h"
#include "egress_node_pool.h"
#include "egress_pod_network.h"
#include "egress_provider.h"
#include "egress_tunnel.h"

#include <stddef.h>

/* The layout of 1.0 that plugins are compiled against, on every 64-bit target. These lines never change. */
_Static_assert(EGP_MAGIC == 0x31504745 && EGP_ABI_1_0 == 65536, "identity");
_Static_assert(EGP_OK == 0 && EGP_RETRY == 1 && EGP_THROTTLED == 2 && EGP_CONFLICT == 3 && EGP_INVALID == 4, "codes");
_Static_assert(EGP_TERMINAL == 5 && EGP_UNSUPPORTED == 6 && EGP_CANCELLED == 7, "codes");
_Static_assert(EGP_HOST_TOO_OLD == 8 && EGP_HOST_TOO_NEW == 9, "codes");
_Static_assert(EGP_LOG_TRACE == 0 && EGP_LOG_DEBUG == 1 && EGP_LOG_INFO == 2 && EGP_LOG_NOTICE == 3, "levels");
_Static_assert(EGP_LOG_WARNING == 4 && EGP_LOG_ERROR == 5, "levels");
_Static_assert(EGP_THREAD_OTHER == 0 && EGP_THREAD_HOST == 1 && EGP_THREAD_VERB == 2, "threads");
_Static_assert(EGP_METRIC_COUNTER == 0 && EGP_METRIC_GAUGE == 1 && EGP_METRIC_HISTOGRAM == 2, "metrics");
_Static_assert(EGP_EVENT_NORMAL == 0 && EGP_EVENT_WARNING == 1, "events");
_Static_assert(sizeof(egp_bytes) == 16, "egp_bytes");
_Static_assert(sizeof(egp_message) == 24, "egp_message");
_Static_assert(sizeof(egp_sink) == 24, "egp_sink");
_Static_assert(sizeof(egp_call) == 40, "egp_call");
_Static_assert(offsetof(egp_call, ticket) == 8, "egp_call.ticket");
_Static_assert(offsetof(egp_call, trace) == 24, "egp_call.trace");
_Static_assert(sizeof(egp_completion) == 64, "egp_completion");
_Static_assert(offsetof(egp_completion, retry_after_ns) == 40, "egp_completion.retry_after_ns");
_Static_assert(offsetof(egp_completion, reason) == 48, "egp_completion.reason");
_Static_assert(sizeof(egp_http_request) == 80, "egp_http_request");
_Static_assert(sizeof(egp_http_response) == 64, "egp_http_response");
_Static_assert(sizeof(egp_metric) == 48, "egp_metric");
_Static_assert(offsetof(egp_metric, value) == 40, "egp_metric.value");
_Static_assert(sizeof(egp_event) == 56, "egp_event");
_Static_assert(sizeof(egp_host) == 112, "egp_host");
_Static_assert(offsetof(egp_host, http_send) == 40, "egp_host.http_send");
_Static_assert(offsetof(egp_host, event) == 104, "egp_host.event");
_Static_assert(sizeof(egp_capability) == 48, "egp_capability");
_Static_assert(offsetof(egp_capability, status) == 40, "egp_capability.status");
_Static_assert(sizeof(egp_provider) == 88, "egp_provider");
_Static_assert(offsetof(egp_provider, descriptor) == 16, "egp_provider.descriptor");
_Static_assert(offsetof(egp_provider, create) == 32, "egp_provider.create");
_Static_assert(offsetof(egp_provider, probe) == 80, "egp_provider.probe");
