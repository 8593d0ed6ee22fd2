/*
 * ONE timer for all of the core's deadlines.
 *
 * It is set at the end of a turn of the loop, and only when the first deadline
 * has become earlier, or the timer has run out: one that fires too early asks
 * the core for nothing and is set again, which is cheaper than moving it with
 * every packet.
 */

#include "netstackd/netstackd.h"

static void
clock_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct stackd *s = w->data;

	s->clock.at = USEC_NEVER;
	if (s->net != NULL)
		net_tick(s->net, stackd_now(s));
}

void
clock_init(struct stackd *s)
{
	ev_timer_init(&s->clock.timer, clock_cb, 0., 0.);
	/* Behind frames and events of the same turn, which may undo it. */
	ev_set_priority(&s->clock.timer, -1);
	s->clock.timer.data = s;
	s->clock.at = USEC_NEVER;
}

void
clock_fini(struct stackd *s)
{
	ev_timer_stop(s->d->loop, &s->clock.timer);
}

void
clock_settle(struct stackd *s)
{
	struct clock *c = &s->clock;
	usec_t at, wait;

	if (s->net == NULL)
		return;
	at = net_deadline(s->net);
	if (at >= c->at)
		return;
	wait = at - stackd_now(s);
	if (wait < 0)
		wait = 0;
	ev_timer_stop(s->d->loop, &c->timer);
	ev_timer_set(&c->timer, (double)wait / (double)USEC_SEC, 0.);
	ev_timer_start(s->d->loop, &c->timer);
	c->at = at;
}
