#include <string.h>

#include "common/flowtab.h"

#define TRIES 64 /* copies taken of an entry that keeps changing */

/*
 * Writing.
 */

/* The fields of an entry are changed between these two. */
static void
open_entry(struct flowtab_entry *e)
{
	__atomic_store_n(&e->seq, e->seq | 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static void
close_entry(struct flowtab_entry *e)
{
	__atomic_store_n(&e->seq, e->seq + 1, __ATOMIC_RELEASE);
}

void
flowtab_begin(struct flowtab_file *f)
{
	uint32_t i, top = f->top;

	/* Only what was ever touched, so as not to touch it all now. */
	for (i = 0; i < top && i < FLOWTAB_SLOTS; i++)
		flowtab_clear(f, i);
	__atomic_store_n(&f->top, 0, __ATOMIC_RELAXED);
	f->version = FLOWTAB_VERSION;
	__atomic_store_n(&f->magic, FLOWTAB_MAGIC, __ATOMIC_RELEASE);
}

static void
put(struct flowtab_entry *e, const struct flowtab_flow *flow)
{
	open_entry(e);
	e->flow = *flow;
	e->used = 1;
	close_entry(e);
}

void
flowtab_put(
    struct flowtab_file *f, uint32_t slot, const struct flowtab_flow *flow)
{
	if (slot >= FLOWTAB_SLOTS)
		return;
	put(&f->entry[slot], flow);
	if (slot >= f->top)
		__atomic_store_n(&f->top, slot + 1, __ATOMIC_RELEASE);
}

void
flowtab_clear(struct flowtab_file *f, uint32_t slot)
{
	struct flowtab_entry *e;

	if (slot >= FLOWTAB_SLOTS)
		return;
	e = &f->entry[slot];
	open_entry(e);
	e->used = 0;
	close_entry(e);
}

void
flowtab_end(struct flowtab_file *f, const struct flowtab_flow *flow)
{
	put(&f->end[f->nends % FLOWTAB_ENDS], flow);
	__atomic_store_n(&f->nends, f->nends + 1, __ATOMIC_RELEASE);
}

/*
 * Reading.
 */

int
flowtab_check(const void *p, size_t len)
{
	const struct flowtab_file *f = p;

	if (len < FLOWTAB_BYTES ||
	    __atomic_load_n(&f->magic, __ATOMIC_ACQUIRE) != FLOWTAB_MAGIC ||
	    f->version != FLOWTAB_VERSION)
		return -1;
	return 0;
}

uint32_t
flowtab_top(const struct flowtab_file *f)
{
	uint32_t top = __atomic_load_n(&f->top, __ATOMIC_ACQUIRE);

	return top < FLOWTAB_SLOTS ? top : FLOWTAB_SLOTS;
}

static bool
get(const struct flowtab_entry *e, struct flowtab_flow *flow)
{
	uint32_t seq, used;
	int i;

	for (i = 0; i < TRIES; i++) {
		seq = __atomic_load_n(&e->seq, __ATOMIC_ACQUIRE);
		if (seq & 1)
			continue;
		used = e->used;
		if (used == 0)
			return false;
		memcpy(flow, &e->flow, sizeof(*flow));
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (__atomic_load_n(&e->seq, __ATOMIC_RELAXED) != seq)
			continue;
		flow->proto[sizeof(flow->proto) - 1] = '\0';
		flow->state[sizeof(flow->state) - 1] = '\0';
		flow->limit[sizeof(flow->limit) - 1] = '\0';
		return true;
	}
	return false;
}

bool
flowtab_get(
    const struct flowtab_file *f, uint32_t slot, struct flowtab_flow *flow)
{
	return slot < FLOWTAB_SLOTS && get(&f->entry[slot], flow);
}

bool
flowtab_get_end(
    const struct flowtab_file *f, uint32_t back, struct flowtab_flow *flow)
{
	uint32_t n = __atomic_load_n(&f->nends, __ATOMIC_ACQUIRE);

	return back < FLOWTAB_ENDS &&
	       get(&f->end[(n - 1 - back) % FLOWTAB_ENDS], flow);
}
