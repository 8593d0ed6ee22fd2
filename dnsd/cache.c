#include "dnsd/cache.h"

#include <bsd/sys/queue.h>
#include <stdlib.h>

#include "dnsd/names.h"

#define BUCKETS 4096

struct entry {
	struct entry *next;
	TAILQ_ENTRY(entry) use;
	uint64_t hash;
	usec_t stored, expires;
	uint16_t type, class;
	uint8_t variant, namelen, owner;
	size_t len;
	uint8_t data[]; /* the name, then the message */
};

struct cache {
	uint64_t key;
	size_t n, bytes, max_n, max_bytes;
	size_t share[CACHE_OWNERS];    /* what each has of it: share_of() */
	struct entry *bucket[BUCKETS]; /* owned */
	TAILQ_HEAD(entry_list, entry) use[CACHE_OWNERS]; /* latest first */
};

struct cache *
cache_new(size_t max_n, size_t max_bytes, uint64_t key)
{
	struct cache *c;
	size_t i;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	c->key = key;
	c->max_n = max_n;
	c->max_bytes = max_bytes;
	for (i = 0; i < CACHE_OWNERS; i++)
		TAILQ_INIT(&c->use[i]);
	return c;
}

static bool
is_for(const struct entry *e, const struct query *q, uint64_t hash)
{
	return e->hash == hash && e->type == q->head.type &&
	       e->class == q->head.class && e->variant == q->variant &&
	       e->namelen == q->head.namelen &&
	       name_equal(e->data, q->head.name, e->namelen);
}

static size_t
size_of(const struct entry *e)
{
	return sizeof(*e) + e->namelen + e->len;
}

/* There is as much room for bytes as for entries. */
static size_t
share_of(const struct cache *c, const struct entry *e)
{
	return size_of(e) + c->max_bytes / c->max_n;
}

static void
entry_free(struct cache *c, struct entry *e)
{
	struct entry **pp = &c->bucket[e->hash % BUCKETS];

	while (*pp != e)
		pp = &(*pp)->next;
	*pp = e->next;
	TAILQ_REMOVE(&c->use[e->owner], e, use);
	c->share[e->owner] -= share_of(c, e);
	c->n--;
	c->bytes -= size_of(e);
	free(e);
}

void
cache_flush(struct cache *c)
{
	size_t i;

	for (i = 0; i < CACHE_OWNERS; i++)
		while (!TAILQ_EMPTY(&c->use[i]))
			entry_free(c, TAILQ_FIRST(&c->use[i]));
}

void
cache_free(struct cache *c)
{
	if (c != NULL)
		cache_flush(c);
	free(c);
}

size_t
cache_count(const struct cache *c)
{
	return c->n;
}

static struct entry *
find(struct cache *c, const struct query *q, uint64_t hash)
{
	struct entry *e = c->bucket[hash % BUCKETS];

	while (e != NULL && !is_for(e, q, hash))
		e = e->next;
	return e;
}

void
cache_forget(struct cache *c, const struct query *q)
{
	struct entry *e = find(c, q, query_hash(q, c->key));

	if (e != NULL)
		entry_free(c, e);
}

static void
make_room(struct cache *c)
{
	size_t i, most = 0;

	for (i = 1; i < CACHE_OWNERS; i++)
		if (c->share[i] > c->share[most])
			most = i;
	entry_free(c, TAILQ_LAST(&c->use[most], entry_list));
}

int
cache_put(struct cache *c, usec_t now, const struct query *q,
    const uint8_t *msg, size_t len, uint32_t ttl, uint32_t owner)
{
	uint64_t hash = query_hash(q, c->key);
	struct entry *e, **pp;

	if ((e = find(c, q, hash)) != NULL)
		entry_free(c, e);
	e = malloc(sizeof(*e) + q->head.namelen + len);
	if (e == NULL)
		return -1;
	*e = (struct entry){ .hash = hash,
		.stored = now,
		.expires = now + ttl * USEC_SEC,
		.type = q->head.type,
		.class = q->head.class,
		.variant = q->variant,
		.namelen = (uint8_t)q->head.namelen,
		.owner = (uint8_t)(owner % CACHE_OWNERS),
		.len = len };
	memcpy(e->data, q->head.name, e->namelen);
	memcpy(e->data + e->namelen, msg, len);
	pp = &c->bucket[hash % BUCKETS];
	e->next = *pp;
	*pp = e;
	TAILQ_INSERT_HEAD(&c->use[e->owner], e, use);
	c->share[e->owner] += share_of(c, e);
	c->n++;
	c->bytes += size_of(e);
	while (c->n > 1 && (c->n > c->max_n || c->bytes > c->max_bytes))
		make_room(c);
	return 0;
}

bool
cache_get(
    struct cache *c, usec_t now, const struct query *q, struct cache_answer *a)
{
	struct entry *e = find(c, q, query_hash(q, c->key));

	if (e == NULL)
		return false;
	if (now >= e->expires + CACHE_STALE) {
		entry_free(c, e);
		return false;
	}
	TAILQ_REMOVE(&c->use[e->owner], e, use);
	TAILQ_INSERT_HEAD(&c->use[e->owner], e, use);
	*a = (struct cache_answer){ .msg = e->data + e->namelen,
		.len = e->len,
		.age = (uint32_t)((now - e->stored) / USEC_SEC),
		.stale = now >= e->expires };
	return true;
}
