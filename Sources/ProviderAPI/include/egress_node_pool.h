#ifndef EGRESS_NODE_POOL_H
#define EGRESS_NODE_POOL_H

#include "egress_provider.h"

/*
 * node-pool/1: a secondary private address on every node of a gateway pool per gateway configuration, and the public
 * prefix those addresses leave through.
 *
 * Exact forms, ranges and the results of check: schemas/node-pool-1.schema.json.
 *
 * ensure  request  {"items": [{"id", "pool": POOL, "publicIPs": bool, "prefixLength"?: int, "prefixID"?: string}]}
 *         result   {"items": [ITEM + "observed": {"egressPrefix", "nodes": [NODE]}]}
 * remove  request  {"items": [{"id", "pool": POOL}]}
 *         result   {"items": [ITEM]}
 * check   request  as ensure's
 *         result   {"items": [ITEM + "observed"?, "drift"?: [string]]}
 * prune   request  as remove's; the items are all that shall exist
 * status  request  as remove's; an empty list asks for all that the provider knows
 *         result   as ensure's; an item that does not exist is "ok" without "observed"
 *
 * NODE    {"nodeName", "primaryIP", "secondaryIP"}
 * POOL and ITEM as in egress_load_balancer.h. "egressPrefix" is a CIDR, or the comma-joined secondary addresses where
 * publicIPs is false. "prefixID" names a prefix the user brings; absent, the provider makes and removes its own.
 */
#define EGP_CAPABILITY_NODE_POOL "node-pool/1"

#endif
