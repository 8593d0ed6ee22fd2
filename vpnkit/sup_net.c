/*
 * The host's network changes: what name servers said before may be wrong on
 * the new one, and sockets to them may lead nowhere, also when they are still
 * the same.  dnsd is told of them again, which makes it forget all that.
 *
 * A change is many at once; the first quiet half of a second ends it, but
 * where it never becomes quiet dnsd hears of it all the same.
 */

#include <unistd.h>

#include "common/log.h"
#include "common/plat/plat.h"

#include "sup.h"

#define SETTLE_SEC 0.5
#define LONGEST	   (2 * USEC_SEC)

static void
settle_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct sup *s = w->data;

	ev_timer_stop(loop, w);
	s->net.since = 0;
	log_info("the host's network has changed");
	s->conf.network++;
	sup_resend(s, ROLE_DNS);
}

static void
change_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct sup *s = w->data;
	usec_t now;

	if (!plat_netchange_read(s->net.fd))
		return;
	now = plat_now();
	if (s->net.since == 0)
		s->net.since = now;
	if (now - s->net.since < LONGEST || !ev_is_active(&s->net.settle))
		ev_timer_again(loop, &s->net.settle);
}

void
sup_net_init(struct sup *s)
{
	ev_init(&s->net.settle, settle_cb);
	s->net.settle.repeat = SETTLE_SEC;
	ev_init(&s->net.io, change_cb);
	s->net.settle.data = s->net.io.data = s;
	if ((s->net.fd = plat_netchange_new()) == -1) {
		log_warn("changes of the network will not be seen");
		return;
	}
	ev_io_set(&s->net.io, s->net.fd, EV_READ);
	ev_io_start(s->loop, &s->net.io);
}

void
sup_net_fini(struct sup *s)
{
	ev_timer_stop(s->loop, &s->net.settle);
	ev_io_stop(s->loop, &s->net.io);
	if (s->net.fd > 0)
		close(s->net.fd);
	s->net.fd = -1;
}
