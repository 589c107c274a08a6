/*
 * Reaches every type of the plugin border from one exported function, so that abidw and abidiff see them all.
 * A type that is added to the headers is added here, too.
 */
#include "egress_load_balancer.h"
#include "egress_node_pool.h"
#include "egress_pod_network.h"
#include "egress_provider.h"
#include "egress_tunnel.h"

void egp_abi_types(egp_provider *provider, egp_capability *capability, egp_call *call, egp_host *host,
                   egp_completion *completion, egp_http_request *request, egp_http_response *response,
                   egp_metric *metric, egp_event *event, egp_message *message, egp_sink *sink, egp_bytes bytes,
                   egp_http_done http_done, egp_timer_done timer_done, egp_verb verb, egp_log_level level);

void egp_abi_types(egp_provider *provider, egp_capability *capability, egp_call *call, egp_host *host,
                   egp_completion *completion, egp_http_request *request, egp_http_response *response,
                   egp_metric *metric, egp_event *event, egp_message *message, egp_sink *sink, egp_bytes bytes,
                   egp_http_done http_done, egp_timer_done timer_done, egp_verb verb, egp_log_level level) {
    (void)provider, (void)capability, (void)call, (void)host, (void)completion, (void)request, (void)response;
    (void)metric, (void)event, (void)message, (void)sink, (void)bytes, (void)http_done, (void)timer_done;
    (void)verb, (void)level;
}
