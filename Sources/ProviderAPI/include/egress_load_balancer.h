#ifndef EGRESS_LOAD_BALANCER_H
#define EGRESS_LOAD_BALANCER_H

#include "egress_provider.h"

/*
 * load-balancer/1: one UDP frontend address and port per gateway configuration, spread over the healthy nodes of a
 * gateway pool, with the destination address kept (floating IP).
 *
 * Exact forms, ranges and the results of check: schemas/load-balancer-1.schema.json.
 *
 * ensure  request  {"items": [{"id", "pool": POOL, "probe": {"path", "port"}}]}
 *         result   {"items": [ITEM + "observed": {"frontendIP", "port"}]}
 * remove  request  {"items": [{"id", "pool": POOL}]}
 *         result   {"items": [ITEM]}
 * check   request  as ensure's
 *         result   {"items": [ITEM + "observed"?, "drift"?: [string]]}
 * prune   request  as remove's; the items are all that shall exist
 *         result   {"items": [ITEM]}: what was removed, or was to be and was not
 * status  request  as remove's; an empty list asks for all that the provider knows
 *         result   as ensure's; an item that does not exist is "ok" without "observed"
 *
 * POOL    {"nodepoolName": "gwpool"} or {"scaleSet": {"resourceGroup": "rg", "name": "vmss"}}
 * ITEM    {"id", "code": "ok"|"retry"|"throttled"|"conflict"|"invalid"|"terminal"|"unsupported"|"cancelled",
 *          "message"?, "retryAfterMilliseconds"?, "reason"?}
 *
 * Every verb: [any-thread], live instances only, idempotent, and as egp_verb says about ownership and deadline. Error
 * rows beside those of egp_verb; "item" is an item's own code, "call" the whole completion's:
 *
 *   verb           where  code       when                                         the caller
 *   ensure, check  item   invalid    the pool does not exist, or has no nodes     waits until pool or item changes
 *   ensure         item   terminal   all 1000 ports are taken                     tells a person; tries again rarely
 *   check          item   conflict   the world differs; "drift" says where        calls ensure
 *   remove, status item   ok         there is no such item (status: no observed)  goes on
 *   prune          item   retry      it was left: too much for one call           calls again later
 *   ensure         item   conflict   somebody else wrote at the same moment       calls again soon
 *   all            any    throttled  the cloud asked for less                     waits retryAfterMilliseconds
 *   all            any    retry      no answer, a failed operation                calls again with growing delay
 *   all            call   terminal   identity or rights are refused               tells a person; tries again rarely
 *
 * "reason" is one CamelCase word for what a person can mend; the host makes it the reason of the object's condition. It
 * is absent where the failure passes by itself. The closed list, for this capability and for node-pool/1:
 *
 *   PoolNotFound PoolUnsupported PoolTagMissing                           the item's pool
 *   PrefixIDInvalid PrefixNotFound PrefixLengthInvalid PrefixExhausted
 *   PrefixMismatch                                                        the item's prefix (node-pool/1 only)
 *   IPFamilyUnsupported                                                   the item's IP versions (node-pool/1 only)
 *   ForeignSubscription SubscriptionNotFound ResourceGroupNotFound
 *   SubnetNotFound SubnetFull                                             where the provider works
 *   MissingRole CredentialRefused QuotaExceeded PolicyDenied
 *   ServiceNotRegistered                                                  what the provider may do
 *   LoadBalancerFull LoadBalancerConflict                                 the load balancer
 *
 * An item's port, once given, stays until remove. Items of one call succeed or fail one by one.
 */
#define EGP_CAPABILITY_LOAD_BALANCER "load-balancer/1"

#endif
