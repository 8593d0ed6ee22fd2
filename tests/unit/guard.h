#ifndef GUARD_H
#define GUARD_H

/*
 * Input that ends at a page which cannot be touched: a parser that looks one
 * byte too far is killed on the spot.
 */

#include <sys/mman.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct guard {
	uint8_t *map; /* owned */
	size_t room;  /* bytes before the guard page */
};

static inline struct guard
guard_new(size_t max)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct guard g = { NULL, (max + page - 1) / page * page };

	g.map = mmap(NULL, g.room + page, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (g.map == MAP_FAILED || mprotect(g.map + g.room, page, PROT_NONE))
		abort();
	return g;
}

/* A copy of the bytes whose end is the end of the world. */
static inline void *
guard_put(const struct guard *g, const void *p, size_t len)
{
	if (len > g->room)
		abort();
	return memcpy(g->map + g->room - len, p, len);
}

static inline void
guard_free(struct guard *g)
{
	munmap(g->map, g->room + (size_t)sysconf(_SC_PAGESIZE));
}

#endif
