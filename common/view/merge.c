#include "common/view/merge.h"

/* Who writes faster than that, or lies, is looked at again later. */
#define TRIES 64

/* What was overwritten: on with the oldest that is there. */
static void
catch_up(struct merge *m)
{
	uint64_t count, oldest;
	uint32_t nslot;
	char name[16];

	oldest = ++m->next;
	m->lost++;
	if (tape_ring(
		m->file->p, m->file->len, m->ring, name, &count, &nslot) &&
	    count >= nslot)
		oldest = count - nslot + 1;
	if (oldest > m->next) {
		m->lost += oldest - m->next;
		m->next = oldest;
	}
}

/* The time of the next packet; false: there is none yet. */
static bool
peek(struct merge *m, bool open, usec_t *when)
{
	struct tape_slot head;
	bool is_open = false;
	int i, r = -1;

	for (i = 0; i < TRIES && r == -1; i++) {
		r = tape_peek(m->file->p, m->file->len, m->ring, m->next, &head,
		    &is_open);
		if (r == -1)
			catch_up(m);
	}
	if (r != 1 || (is_open && !open))
		return false;
	*when = head.when;
	return true;
}

size_t
merge_oldest(struct merge *m, size_t n, bool open)
{
	usec_t when, oldest = 0;
	size_t i, best = n;

	for (i = 0; i < n; i++) {
		if (peek(&m[i], open, &when) && (best == n || when < oldest)) {
			best = i;
			oldest = when;
		}
	}
	return best;
}

bool
merge_take(struct merge *m, struct tape_pkt *pkt)
{
	int r = tape_get(m->file->p, m->file->len, m->ring, m->next, pkt);

	if (r == 1)
		m->next++;
	else if (r == -1)
		catch_up(m);
	return r == 1;
}
