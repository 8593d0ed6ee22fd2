#include "dnsd/names.h"

#include <stdlib.h>
#include <string.h>

#include "common/wr.h"

#define BUCKETS 4096

struct entry {
	struct entry *next;
	struct entry *more; /* owned: further addresses of this name */
	struct ipaddr ip;
	uint8_t len;
	uint8_t wire[];
};

/* Most names asked for are none of these: their length, or a bit, tells. */
struct names {
	uint64_t key;
	size_t n, names;
	bool has_len[NAME_WIRELEN + 1];
	uint8_t used[BUCKETS / 8];     /* a bit for each bucket */
	struct entry *bucket[BUCKETS]; /* owned */
};

static uint8_t
lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

bool
name_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (a[i] != b[i] && lower(a[i]) != lower(b[i]))
			return false;
	return true;
}

bool
name_in_zone(const uint8_t *name, size_t len, const struct name *zone)
{
	while (len > zone->len) {
		len -= 1 + (size_t)name[0];
		name += 1 + name[0];
	}
	return len == zone->len && name_equal(name, zone->wire, len);
}

uint64_t
name_hash(const uint8_t *name, size_t len, uint64_t key)
{
	uint64_t h = key;
	size_t i;

	for (i = 0; i < len; i++) {
		h = (h ^ lower(name[i])) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= (h >> 29) + key;
	}
	return h ^ h >> 32;
}

static int
write_label(struct wr *w, const char *s, size_t len)
{
	size_t i;

	if (len == 0 || len > NAME_LABEL || wr_u8(w, (uint8_t)len) == -1)
		return -1;
	for (i = 0; i < len; i++)
		if (wr_u8(w, lower((uint8_t)s[i])) == -1)
			return -1;
	return 0;
}

int
name_parse(const char *s, struct name *n)
{
	struct wr w = wr_init(n->wire, sizeof(n->wire));
	size_t len;

	do {
		len = strcspn(s, ".");
		if (write_label(&w, s, len) == -1)
			return -1;
		s += len;
		if (*s == '.')
			s++;
	} while (*s != '\0');
	if (wr_u8(&w, 0) == -1)
		return -1;
	n->len = (uint8_t)w.len;
	return 0;
}

struct names *
names_new(uint64_t key)
{
	struct names *ns;

	if ((ns = calloc(1, sizeof(*ns))) != NULL)
		ns->key = key;
	return ns;
}

void
names_free(struct names *ns)
{
	struct entry *e, *m;
	size_t i;

	for (i = 0; ns != NULL && i < BUCKETS; i++) {
		while ((e = ns->bucket[i]) != NULL) {
			ns->bucket[i] = e->next;
			while ((m = e->more) != NULL) {
				e->more = m->more;
				free(m);
			}
			free(e);
		}
	}
	free(ns);
}

static size_t
bucket_of(const struct names *ns, const uint8_t *wire, size_t len)
{
	return name_hash(wire, len, ns->key) % BUCKETS;
}

/* Where the name's first entry is, or would be. */
static struct entry **
find(struct names *ns, const uint8_t *wire, size_t len, size_t bucket)
{
	struct entry **pp = &ns->bucket[bucket];

	while (*pp != NULL &&
	       ((*pp)->len != len || !name_equal((*pp)->wire, wire, len)))
		pp = &(*pp)->next;
	return pp;
}

int
names_add(struct names *ns, const char *text, const struct ipaddr *ip)
{
	struct entry *e, **pp;
	struct name n;
	size_t b;

	if (ns->n == NAMES_MAX || name_parse(text, &n) == -1 ||
	    (e = calloc(1, sizeof(*e) + n.len)) == NULL)
		return -1;
	e->ip = *ip;
	e->len = n.len;
	memcpy(e->wire, n.wire, n.len);
	ns->n++;
	b = bucket_of(ns, n.wire, n.len);
	ns->has_len[n.len] = true;
	ns->used[b / 8] |= (uint8_t)(1u << b % 8);
	pp = find(ns, n.wire, n.len, b);
	if (*pp == NULL)
		ns->names++;
	for (; *pp != NULL && (*pp)->len == n.len &&
	       name_equal((*pp)->wire, n.wire, n.len);
	     pp = &(*pp)->more)
		continue;
	*pp = e;
	return 0;
}

size_t
names_count(const struct names *ns)
{
	return ns->names;
}

bool
names_find(const struct names *ns, const uint8_t *wire, size_t len,
    uint8_t family, struct ipaddr *ip, size_t max, size_t *n)
{
	const struct entry *e;
	size_t b;

	*n = 0;
	if (len > NAME_WIRELEN || !ns->has_len[len])
		return false;
	b = bucket_of(ns, wire, len);
	if ((ns->used[b / 8] >> b % 8 & 1) == 0)
		return false;
	e = *find((struct names *)(uintptr_t)ns, wire, len, b);
	if (e == NULL)
		return false;
	for (; e != NULL && *n < max; e = e->more)
		if (family == 0 || e->ip.family == family)
			ip[(*n)++] = e->ip;
	return true;
}
