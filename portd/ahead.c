/*
 * Sockets made ahead of the guest that will ask for them.
 *
 * A guest's SYN waits for portd's answer: a socket, what is set on it and the
 * connect.  Only the last depends on whom it is for; the others are done while
 * portd has nothing to do, or while the stack is busy with the answer before.
 * A few are enough for that.  They are the first to go when descriptors are
 * short.
 */

#include <unistd.h>

#include "portd/portd.h"

static void
ahead_cb(struct ev_loop *loop, struct ev_prepare *w, int revents)
{
	struct portd *p = w->data;
	struct ahead *a = &p->ahead;
	int fd;

	/* Whoever waits for a descriptor comes first. */
	while (a->n < AHEAD_MAX && TAILQ_EMPTY(&p->wait)) {
		if ((fd = sock_flow_tcp()) == -1)
			return;
		a->fd[a->n++] = fd;
	}
}

void
ahead_init(struct portd *p)
{
	ev_prepare_init(&p->ahead.turn, ahead_cb);
	p->ahead.turn.data = p;
	ev_prepare_start(p->d->loop, &p->ahead.turn);
}

void
ahead_fini(struct portd *p)
{
	ev_prepare_stop(p->d->loop, &p->ahead.turn);
	ahead_drop(p);
}

int
ahead_take(struct portd *p)
{
	struct ahead *a = &p->ahead;

	return a->n > 0 ? a->fd[--a->n] : sock_flow_tcp();
}

bool
ahead_drop(struct portd *p)
{
	struct ahead *a = &p->ahead;
	bool some = a->n > 0;

	while (a->n > 0)
		close(a->fd[--a->n]);
	return some;
}
