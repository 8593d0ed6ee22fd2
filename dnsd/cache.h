#ifndef CACHE_H
#define CACHE_H

/*
 * Answers, kept whole: what answered a plain query answers the same one again
 * (RFC 2308 for what is not there).  An answer whose time is over stays for a
 * while, for when no server can be reached (RFC 8767).  Whoever asks gets them.
 * When there is no room the one that was of use longest ago goes, of the owner
 * who has most: a guest that asks for everything loses what it asked for
 * itself.  Pure.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/usec.h"
#include "dnsd/query.h"

#define CACHE_OWNERS 256
#define CACHE_STALE  (86400 * USEC_SEC) /* RFC 8767 5: one to three days */

struct cache;

struct cache_answer {
	const uint8_t *msg; /* borrowed, until the next call */
	size_t len;
	uint32_t age; /* seconds */
	bool stale;
};

/* NULL: no memory. */
struct cache *cache_new(size_t max_entries, size_t max_bytes, uint64_t key);
void cache_free(struct cache *);
void cache_flush(struct cache *);
size_t cache_count(const struct cache *);
/*
 * Replaces what is there; -1: not kept.  owner: who asked first; those whose
 * numbers are equal modulo CACHE_OWNERS are one.
 */
int cache_put(struct cache *, usec_t now, const struct query *,
    const uint8_t *msg, size_t len, uint32_t ttl, uint32_t owner);
void cache_forget(struct cache *, const struct query *);
bool cache_get(
    struct cache *, usec_t now, const struct query *, struct cache_answer *);

#endif
