#ifndef EGRESS_TUNNEL_H
#define EGRESS_TUNNEL_H

#include "egress_provider.h"

/*
 * tunnel/1: the link between a pod and its gateways. A gateway end listens on a UDP port of its node and ends in a
 * link inside the gateway namespace; a pod end is a link inside the pod's namespace whose socket stays on the node.
 *
 * Exact forms, ranges and the results of check: schemas/tunnel-1.schema.json.
 *
 * ensure  request  {"items": [{"id", "namespace": path, "link": name, "addresses": [CIDR],
 *                              "gateway"?: {"port", "privateKey", "peers": [{"id", "publicKey", "allowedIPs":
 *                              [CIDR]}]}, "pod"?: {"endpoint": {"address", "port"}, "gatewayPublicKey"}}]}
 *                  Exactly one of "gateway" and "pod". "peers" is the full set: others are removed.
 *         result   {"items": [ITEM + "observed": {"link", "publicKey", "mtu", "form", "encrypted"?: bool}]}
 *                  A pod end makes its own key pair, keeps it while the link lives, and returns the public half.
 * remove  request  {"items": [{"id", "namespace": path, "link": name}]}
 *         result   {"items": [ITEM]}
 * check   request  as ensure's
 *         result   {"items": [ITEM + "observed"?, "drift"?: [string]]}
 * prune   request  {"items": [{"id", "namespace": path, "link": name}], "namespaces": [path]}
 *                  Removes links of this provider in these namespaces that are not listed.
 *         result   {"items": [ITEM]}: what was removed, or was to be and was not
 * status  request  {"items": [{"id", "namespace": path, "link": name}]}
 *         result   {"items": [ITEM + "observed": {"link", "publicKey", "mtu", "form", "encrypted"?: bool, "peers":
 *                   [{"publicKey", "lastHandshakeSeconds"?, "receivedBytes", "sentBytes"}]}]}
 *
 * Every verb: [any-thread], live instances only, idempotent, and as egp_verb says about ownership and deadline. Error
 * rows beside those of egp_verb; "item" is an item's own code, "call" the whole completion's:
 *
 *   verb           where  code       when                                         the caller
 *   ensure         item   invalid    a name, key, address or port is wrong        waits until the item changes
 *   ensure         item   retry      the namespace or the port is not there yet   calls again with growing delay
 *   ensure         item   terminal   this node cannot make such links             tells a person
 *   remove, prune  item   ok         namespace or link are gone                   goes on
 *   check          item   conflict   the link differs; "drift" says where         calls ensure
 *   status         item   ok         no such link: without "observed"             goes on
 *
 * Private keys are base64 text of 32 bytes; a provider never logs them. "form" names what carries the packets, for
 * example "kernel" or "userspace".
 */
#define EGP_CAPABILITY_TUNNEL "tunnel/1"

#endif
