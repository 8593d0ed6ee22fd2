#ifndef ROUTE_H
#define ROUTE_H

/*
 * Which servers a name is asked of, and what a lookup makes of them: split DNS
 * by the longest zone.  Pure.
 */

#include "common/ipaddr.h"
#include "common/usec.h"
#include "dnsd/names.h"

#define ROUTE_MAXSERVERS 64
#define ROUTE_MAXASKED	 8 /* for one name */

struct route_server {
	struct ipaddr addr;
	uint16_t port;
	uint32_t order;
	uint32_t timeout_ms;
	size_t nzone;
	struct name *zone; /* owned */
};

struct route {
	size_t n;
	struct route_server server[ROUTE_MAXSERVERS];
};

void route_clear(struct route *);
bool route_equal(const struct route *, const struct route *);
/*
 * The servers for a name, by their order and then their place: those with the
 * longest zone it is in; else those without zones; else all.  At most
 * ROUTE_MAXASKED; returns how many.
 */
size_t route_select(const struct route *, const uint8_t *name, size_t len,
    uint8_t server[ROUTE_MAXASKED]);

#endif
