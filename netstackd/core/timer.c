/*
 * Timers: a binary heap of deadlines, the earliest at its top.  A timer knows
 * its slot, so that setting, moving and clearing one costs O(log n).
 *
 * Whoever owns a timer must clear it before its memory goes.  The heap grows
 * with the number of timers armed at once, which max_flows bounds.
 */

#include <stdlib.h>

#include "netstackd/core/core.h"

#define HEAP_FIRST 64

static void
heap_put(struct net *net, uint32_t i, struct timer *t)
{
	net->heap[i] = t;
	t->slot = i + 1;
}

/* Places t at i or above it. */
static void
heap_up(struct net *net, uint32_t i, struct timer *t)
{
	uint32_t parent;

	while (i > 0) {
		parent = (i - 1) / 2;
		if (net->heap[parent]->at <= t->at)
			break;
		heap_put(net, i, net->heap[parent]);
		i = parent;
	}
	heap_put(net, i, t);
}

/* Places t at i or below it. */
static void
heap_down(struct net *net, uint32_t i, struct timer *t)
{
	uint32_t kid;

	while ((kid = 2 * i + 1) < net->nheap) {
		if (kid + 1 < net->nheap &&
		    net->heap[kid + 1]->at < net->heap[kid]->at)
			kid++;
		if (t->at <= net->heap[kid]->at)
			break;
		heap_put(net, i, net->heap[kid]);
		i = kid;
	}
	heap_put(net, i, t);
}

static void
heap_place(struct net *net, uint32_t i, struct timer *t)
{
	if (i > 0 && t->at < net->heap[(i - 1) / 2]->at)
		heap_up(net, i, t);
	else
		heap_down(net, i, t);
}

static int
heap_grow(struct net *net)
{
	struct timer **p;
	uint32_t cap = net->heap_cap > 0 ? 2 * net->heap_cap : HEAP_FIRST;

	p = realloc(net->heap, cap * sizeof(*p));
	if (p == NULL)
		return -1;
	net->heap = p;
	net->heap_cap = cap;
	return 0;
}

void
timer_set(struct net *net, struct timer *t, usec_t at)
{
	if (at == USEC_NEVER) {
		timer_clear(net, t);
		return;
	}
	t->at = at;
	if (t->slot != 0) {
		heap_place(net, t->slot - 1, t);
		return;
	}
	/*
	 * Without memory for a pointer the timer stays unarmed: its flow then
	 * lives until its peers or the limits end it.
	 */
	if (net->nheap == net->heap_cap && heap_grow(net) == -1)
		return;
	heap_up(net, net->nheap++, t);
}

void
timer_clear(struct net *net, struct timer *t)
{
	struct timer *last;
	uint32_t i;

	if (t->slot == 0)
		return;
	i = t->slot - 1;
	t->slot = 0;
	last = net->heap[--net->nheap];
	if (last != t)
		heap_place(net, i, last);
}

/*
 * Only as many callbacks run as there were timers at the start, so that one
 * which arms itself in the past cannot keep us here.
 */
void
net_tick(struct net *net, usec_t now)
{
	struct timer *t;
	uint32_t n;

	for (n = net->nheap; n > 0 && net->nheap > 0; n--) {
		t = net->heap[0];
		if (t->at > now)
			return;
		timer_clear(net, t);
		net->drop = net->fail = NULL;
		t->fn(net, now, t);
	}
}

usec_t
net_deadline(struct net *net)
{
	return net->nheap > 0 ? net->heap[0]->at : USEC_NEVER;
}
