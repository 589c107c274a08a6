#ifndef EGRESS_POD_NETWORK_H
#define EGRESS_POD_NETWORK_H

#include "egress_provider.h"

/*
 * pod-network/1: sends a pod's traffic into its tunnel link, and keeps it out of everything else.
 *
 * Exact forms, ranges and the results of check: schemas/pod-network-1.schema.json.
 *
 * ensure  request  {"items": [{"id", "namespace": path, "interface": "eth0", "tunnelLink": "wg0",
 *                              "defaultRoute": "staticEgressGateway"|"azureNetworking",
 *                              "excludedCIDRs": [CIDR], "exceptionCIDRs": [CIDR]}]}
 *         result   {"items": [ITEM + "observed": {"routes": [{"destination": CIDR, "gateway"?: address}]}]}
 * remove  request  {"items": [{"id", "namespace": path, "interface", "tunnelLink"}]}
 *         result   {"items": [ITEM]}
 * check   request  as ensure's
 *         result   {"items": [ITEM + "observed"?, "drift"?: [string]]}
 * prune   request  {"items": as remove's, all that shall exist, "namespaces": [path]}
 *                  Undoes what this provider did in these namespaces and is not listed.
 *         result   {"items": [ITEM]}: what was removed, or was to be and was not
 * status  as ensure's result, read from the kernel; request as remove.
 *
 * Every verb: [any-thread], live instances only, idempotent, and as egp_verb says about ownership and deadline. Error
 * rows beside those of egp_verb; "item" is an item's own code, "call" the whole completion's:
 *
 *   verb    where  code      when                                                 the caller
 *   ensure  item   invalid   a name or CIDR is wrong                              waits until the item changes
 *   ensure  item   retry     the tunnel link is not there, or not up              calls again with growing delay
 *   all but item   terminal  namespace or interface are gone, or there is no      forgets the pod, or tells a
 *    remove                  ordinary default route; this node cannot do it       person
 *   status  item   retry     an attachment is not whole                           calls ensure
 *   remove, item   ok        the namespace is gone                                goes on
 *    prune
 *   check   item   conflict  the pod differs; "drift" says where                  calls ensure
 *   status  item   ok        the pod has no attachment: without "observed"        goes on
 *
 * "excludedCIDRs" come from the gateway configuration: destinations that take the other path than defaultRoute.
 * "exceptionCIDRs" come from the operator: never through the tunnel; ignored with azureNetworking.
 * After an ensure that failed, the pod has either its old routes or none that leave: never a mixture.
 */
#define EGP_CAPABILITY_POD_NETWORK "pod-network/1"

#endif
