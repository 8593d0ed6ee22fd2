#ifndef STATS_H
#define STATS_H

/*
 * Named counters in a small shared memory file made by the supervisor, so that
 * reading them costs the writer nothing.  A daemon's counters are an enum and
 * an array of names of the same length; the file holds the names once and
 * then one 64-bit value for each.  One writer; readers see whole values.
 */

#include <stddef.h>
#include <stdint.h>

#define STATS_MAX     128 /* counters of one daemon */
#define STATS_NAMELEN 32
#define STATS_BYTES   (sizeof(struct stats_file))

struct stats_file {
	uint32_t n; /* counters in use */
	uint32_t pad;
	char name[STATS_MAX][STATS_NAMELEN];
	uint64_t value[STATS_MAX];
};

struct stats {
	struct stats_file *file; /* owned: mapped, or heap memory when no fd */
};

/* fd is the shared file or -1 (tests: private memory); not kept open. */
int stats_init(struct stats *, int fd, const char *const *names, size_t n);

static inline void
stats_add(struct stats *s, unsigned i, uint64_t n)
{
	__atomic_store_n(&s->file->value[i], s->file->value[i] + n,
	    __ATOMIC_RELAXED);
}

static inline void
stats_inc(struct stats *s, unsigned i)
{
	stats_add(s, i, 1);
}

static inline void
stats_set(struct stats *s, unsigned i, uint64_t v)
{
	__atomic_store_n(&s->file->value[i], v, __ATOMIC_RELAXED);
}

#endif
