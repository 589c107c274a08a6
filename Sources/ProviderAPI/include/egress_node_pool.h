#ifndef EGRESS_NODE_POOL_H
#define EGRESS_NODE_POOL_H

#include "egress_provider.h"

/*
 * node-pool/1: a secondary private address on every node of a gateway pool per gateway configuration, and the public
 * prefix those addresses leave through.
 *
 * Exact forms, ranges and the results of check: schemas/node-pool-1.schema.json.
 *
 * ensure  request  {"items": [{"id", "pool": POOL, "publicIPs": bool, "prefixLength"?: int, "prefixID"?: string,
 *                              "ipFamilies"?: ["IPv4"|"IPv6"]}]}
 *         result   {"items": [ITEM + "observed": {"egressPrefix", "egressPrefixV6"?, "nodes": [NODE]}]}
 * remove  request  {"items": [{"id", "pool": POOL}]}
 *         result   {"items": [ITEM]}
 * check   request  as ensure's
 *         result   {"items": [ITEM + "observed"?, "drift"?: [string]]}
 * prune   request  as remove's; the items are all that shall exist
 *         result   {"items": [ITEM]}: what was removed, or was to be and was not
 * status  request  as remove's; an empty list asks for all that the provider knows
 *         result   as ensure's; an item that does not exist is "ok" without "observed"
 *
 * NODE    {"nodeName", "primaryIP", "secondaryIP", "secondaryIPv6"?}
 * POOL and ITEM as in egress_load_balancer.h. "egressPrefix" is a CIDR, or the comma-joined secondary addresses where
 * publicIPs is false. "prefixID" names a prefix the user brings; absent, the provider makes and removes its own.
 * "ipFamilies" holds IPv4, and IPv6 where the nodes shall have an address of that version, too, out of a second prefix
 * that the provider makes; absent, it is IPv4 alone, and so is the answer. "nodeName" may name the node's network
 * interface where that is what the cloud knows it by; "primaryIP" then says which node it is.
 *
 * Every verb: [any-thread], live instances only, idempotent, and as egp_verb says about ownership and deadline. Error
 * rows beside those of egp_verb; "item" is an item's own code, "call" the whole completion's:
 *
 *   verb           where  code       when                                         the caller
 *   ensure, check  item   invalid    pool, prefixID or prefixLength are wrong     waits until pool or item changes
 *   ensure, check  item   invalid    ipFamilies asks for what is not to be had    waits until pool or item changes
 *   ensure         item   terminal   subnet, prefix or quota is exhausted         tells a person; tries again rarely
 *   remove         item   conflict   the prefix is still in use                   calls again soon
 *   check          item   conflict   the world differs; "drift" says where        calls ensure
 *   remove, status item   ok         there is no such item (status: no observed)  goes on
 *   prune          item   retry      it was left: too much for one call           calls again later
 *   ensure         item   retry      some nodes have no address yet               calls again; "observed" has the rest
 *   all            any    throttled  the cloud asked for less                     waits retryAfterMilliseconds
 *   all            any    retry      no answer, a failed operation                calls again with growing delay
 *   all            call   terminal   identity or rights are refused               tells a person; tries again rarely
 */
#define EGP_CAPABILITY_NODE_POOL "node-pool/1"

#endif
