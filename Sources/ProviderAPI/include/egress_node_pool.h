#ifndef EGRESS_NODE_POOL_H
#define EGRESS_NODE_POOL_H

#include "egress_provider.h"

/*
 * node-pool/1: a secondary private address on every node of a gateway pool per gateway configuration, and the public
 * prefix those addresses leave through.
 *
 * ensure  request  {"items": [{"id", "pool": POOL, "publicIPs": bool, "prefixLength"?: int, "prefixID"?: string}]}
 *         result   {"items": [ITEM + "observed": {"egressPrefix", "nodes": [{"nodeName", "primaryIP",
 * "secondaryIP"}]}]} remove  request  {"items": [{"id", "pool": POOL}]}
 *         result   {"items": [ITEM]}
 * status  request  {}
 *         result   {"items": [{"id", "code": "ok", "observed": ...}]}
 *
 * POOL and ITEM as in egress_load_balancer.h. "egressPrefix" is a CIDR, or the comma-joined secondary addresses where
 * publicIPs is false. "prefixID" names a prefix the user brings; absent, the provider makes and removes its own.
 */
#define EGP_CAPABILITY_NODE_POOL "node-pool/1"

#endif
