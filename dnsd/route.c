#include "dnsd/route.h"

#include <stdlib.h>
#include <string.h>

void
route_clear(struct route *r)
{
	while (r->n > 0)
		free(r->server[--r->n].zone);
}

static bool
server_equal(const struct route_server *a, const struct route_server *b)
{
	size_t i;

	if (ipaddr_cmp(&a->addr, &b->addr) != 0 || a->port != b->port ||
	    a->order != b->order || a->timeout_ms != b->timeout_ms ||
	    a->nzone != b->nzone)
		return false;
	for (i = 0; i < a->nzone; i++)
		if (a->zone[i].len != b->zone[i].len ||
		    memcmp(a->zone[i].wire, b->zone[i].wire, a->zone[i].len) !=
			0)
			return false;
	return true;
}

bool
route_equal(const struct route *a, const struct route *b)
{
	size_t i;

	if (a->n != b->n)
		return false;
	for (i = 0; i < a->n; i++)
		if (!server_equal(&a->server[i], &b->server[i]))
			return false;
	return true;
}

/* The length of the longest zone the name is in; 0: none. */
static size_t
zone_match(const struct route_server *s, const uint8_t *name, size_t len)
{
	size_t i, best = 0;

	for (i = 0; i < s->nzone; i++)
		if (s->zone[i].len > best &&
		    name_in_zone(name, len, &s->zone[i]))
			best = s->zone[i].len;
	return best;
}

/* Keeps the list sorted; what is equal stays in the order it came. */
static size_t
insert(const struct route *r, uint8_t *list, size_t n, size_t num)
{
	size_t i;

	if (n == ROUTE_MAXASKED) {
		if (r->server[list[n - 1]].order <= r->server[num].order)
			return n;
		n--;
	}
	for (i = n;
	     i > 0 && r->server[list[i - 1]].order > r->server[num].order; i--)
		list[i] = list[i - 1];
	list[i] = (uint8_t)num;
	return n + 1;
}

size_t
route_select(const struct route *r, const uint8_t *name, size_t len,
    uint8_t list[ROUTE_MAXASKED])
{
	size_t i, n = 0, best = 0, general = 0, m[ROUTE_MAXSERVERS];

	for (i = 0; i < r->n; i++) {
		m[i] = zone_match(&r->server[i], name, len);
		if (m[i] > best)
			best = m[i];
		general += r->server[i].nzone == 0;
	}
	for (i = 0; i < r->n; i++)
		if (best > 0 ? m[i] == best
			     : general == 0 || r->server[i].nzone == 0)
			n = insert(r, list, n, i);
	return n;
}
