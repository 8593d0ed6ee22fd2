/*
 * The head of a response waits a moment for its body.
 *
 * A server mostly writes both one right after the other, and who is quicker
 * than it sees the head alone: then each of the two is a write here, a frame to
 * the guest, and a wake-up there.  So a head without any of its body stays for
 * HOLD_USEC, in which this process does not sleep, since waking it would take
 * as long.  Where bodies do not come that soon, as from a server that has many
 * to answer, it is rarely tried.
 */

#include "proxyd/proxyd.h"

#define HOLD_USEC 60
#define HOLD_LUCK 16 /* as much as can be had */
#define HOLD_TRY  32 /* one of so many, without luck */

/* The head may leave. */
void
hold_end(struct conn *c)
{
	struct proxyd *p = c->p;

	if (c->hold == HOLD_WAITS) {
		TAILQ_REMOVE(&p->held, c, hold_entry);
		if (TAILQ_EMPTY(&p->held)) {
			daemon_stay(p->d, false);
			ev_prepare_stop(p->d->loop, &p->hold);
		}
	}
	c->hold = HOLD_OVER;
}

/* A turn ends. */
static void
hold_cb(struct ev_loop *loop, struct ev_prepare *w, int revents)
{
	struct proxyd *p = w->data;
	struct conn *c;

	while ((c = TAILQ_FIRST(&p->held)) != NULL &&
	       usec_now(loop) - c->held >= HOLD_USEC) {
		p->luck -= p->luck < 2 ? p->luck : 2;
		hold_end(c);
		conn_run(c);
	}
}

void
hold_init(struct proxyd *p)
{
	TAILQ_INIT(&p->held);
	ev_prepare_init(&p->hold, hold_cb);
	p->hold.data = p;
	p->luck = HOLD_LUCK;
}

/* There is no body to wait for, or there is some of it. */
static bool
hold_needless(const struct dir *d)
{
	return d->body.done || d->to->out == NULL || d->to->outoff > 0 ||
	       sock_unread(d->from) > 0 || sock_fill(d->from) || d->from->eof ||
	       d->from->broken;
}

static bool
hold_begin(struct conn *c)
{
	struct proxyd *p = c->p;

	c->hold = HOLD_OVER;
	if ((p->luck == 0 && ++p->tried % HOLD_TRY != 0) ||
	    !daemon_stay(p->d, true))
		return false;
	c->hold = HOLD_WAITS;
	c->held = usec_now(p->d->loop);
	TAILQ_INSERT_TAIL(&p->held, c, hold_entry);
	ev_prepare_start(p->d->loop, &p->hold);
	return true;
}

bool
hold_head(struct conn *c)
{
	if (c->hold == HOLD_OVER)
		return false;
	if (hold_needless(&c->res)) {
		if (c->hold == HOLD_WAITS)
			c->p->luck += c->p->luck < HOLD_LUCK;
		hold_end(c);
		return false;
	}
	return c->hold == HOLD_WAITS || hold_begin(c);
}
