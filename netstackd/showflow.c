/*
 * Flows into the file, as they change.
 */

#include <sys/socket.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bsd/string.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "common/plat/plat.h"
#include "netstackd/netstackd.h"

#define PERIOD	   (100 * USEC_MS)
#define MORE	   (2 * USEC_MS) /* when it was too much for one go */
#define BATCH	   512		 /* flows written at a time */
#define RTT_EVERY  USEC_SEC	 /* for each flow */
#define RTT_BATCH  32		 /* system calls at a time, for all */
#define WALL_NEAR  20		 /* microseconds from one clock to the other */
#define WALL_TRIES 3

static void
mark(struct show *sh, uint32_t id)
{
	struct showflow *f = &sh->flow[id];

	if (f->dirty)
		return;
	f->dirty = true;
	sh->dirty[sh->ndirty++] = id;
}

/* What the host's kernel has measured; asked rarely. */
static uint32_t
host_rtt(int fd)
{
	struct tcp_info ti;
	socklen_t len = sizeof(ti);

	memset(&ti, 0, sizeof(ti));
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &ti, &len) == -1)
		return 0;
	return ti.tcpi_rtt;
}

/* The flow as the file has it; -1: it is gone. */
static int
flow_of(struct stackd *s, uint32_t id, struct flowtab_flow *o, const char **why)
{
	static const char *const proto[] = {
		[NET_TCP] = "tcp",
		[NET_UDP_BIND] = "udp-bind",
		[NET_UDP] = "udp",
		[NET_DNS] = "dns",
		[NET_ICMP] = "icmp",
	};
	const struct showflow *f = &s->show.flow[id];
	struct net_flow_info i;

	if (net_flow_info(s->net, id, &i) == -1)
		return -1;
	memset(o, 0, sizeof(*o));
	strlcpy(o->proto,
	    (size_t)i.proto < nitems(proto) && proto[i.proto] != NULL
		? proto[i.proto]
		: "other",
	    sizeof(o->proto));
	strlcpy(o->state, i.state, sizeof(o->state));
	strlcpy(o->limit, i.limit, sizeof(o->limit));
	o->guest_ip = i.guest_ip;
	o->host_ip = i.host_ip;
	o->guest_port = i.guest_port;
	o->host_port = i.host_port;
	o->rtt_guest = i.rtt;
	o->rtt_host = f->rtt_host;
	o->to_host = f->to_host;
	o->to_guest = f->to_guest;
	o->opened = f->opened;
	o->changed = f->changed;
	*why = i.why;
	return 0;
}

/* One flow into the file; budget is of system calls. */
static void
publish(struct stackd *s, uint32_t id, usec_t now, unsigned *budget)
{
	struct show *sh = &s->show;
	struct showflow *f = &sh->flow[id];
	struct flowtab_flow o;
	const char *why;

	f->dirty = false;
	if (f->slot == 0 && sh->nfree > 0)
		f->slot = sh->free[--sh->nfree] + 1;
	if (f->slot == 0)
		return;
	f->changed = now;
	if (*budget > 0 && now - f->rtt_at >= RTT_EVERY &&
	    hostio_fd(s, id, NET_TCP) != -1) {
		f->rtt_host = host_rtt(hostio_fd(s, id, NET_TCP));
		f->rtt_at = now;
		--*budget;
	}
	if (flow_of(s, id, &o, &why) == 0)
		flowtab_put(sh->tab, f->slot - 1, &o);
}

/*
 * Both clocks at one moment: packets' times must not run backwards because we
 * had to wait for the processor between the two.
 */
static void
wall_set(struct show *sh)
{
	usec_t before, after = plat_now();
	struct timespec ts;
	int i;

	for (i = 0; i < WALL_TRIES; i++) {
		before = after;
		clock_gettime(CLOCK_REALTIME, &ts);
		after = plat_now();
		if (sh->wall == 0 || after - before <= WALL_NEAR)
			sh->wall = (usec_t)ts.tv_sec * USEC_SEC +
				   ts.tv_nsec / 1000 - after;
		if (after - before <= WALL_NEAR)
			return;
	}
}

static void
write_some(struct stackd *s, usec_t now)
{
	struct show *sh = &s->show;
	unsigned budget = RTT_BATCH;
	int i;

	for (i = 0; i < BATCH && sh->ndirty > 0; i++)
		publish(s, sh->dirty[--sh->ndirty], now, &budget);
	sh->last = now;
	wall_set(sh);
}

static void
timer_start(struct stackd *s, usec_t wait)
{
	ev_timer_stop(s->d->loop, &s->show.timer);
	ev_timer_set(&s->show.timer, (double)wait / (double)USEC_SEC, 0.);
	ev_timer_start(s->d->loop, &s->show.timer);
}

static void
timer_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct stackd *s = w->data;

	write_some(s, stackd_now(s));
	if (s->show.ndirty > 0)
		timer_start(s, MORE);
}

/* At the end of a turn, and only when something has changed in it. */
void
show_settle(struct stackd *s)
{
	struct show *sh = &s->show;

	if (sh->ndirty == 0 || ev_is_active(&sh->timer) || sh->tab == NULL)
		return;
	timer_start(s, PERIOD);
}

/* It ends: told at once, since nothing of it is left afterwards. */
static void
gone(struct stackd *s, uint32_t id)
{
	struct show *sh = &s->show;
	struct showflow *f = &sh->flow[id];
	struct flowtab_flow o;
	const char *why;

	f->changed = stackd_now(s);
	if (flow_of(s, id, &o, &why) == 0) {
		strlcpy(o.limit, why, sizeof(o.limit));
		flowtab_end(sh->tab, &o);
	}
	if (f->slot != 0) {
		flowtab_clear(sh->tab, f->slot - 1);
		sh->free[sh->nfree++] = f->slot - 1;
		f->slot = 0;
	}
}

void
show_flow(void *arg, uint32_t id, enum net_flow_event e)
{
	struct stackd *s = arg;
	struct show *sh = &s->show;
	struct showflow *f;

	if (sh->tab == NULL || id >= sh->nflow)
		return;
	f = &sh->flow[id];
	if (e == NET_FLOW_GONE) {
		gone(s, id);
		return;
	}
	if (e == NET_FLOW_NEW) {
		f->to_host = f->to_guest = 0;
		f->rtt_host = 0;
		f->opened = stackd_now(s);
		f->rtt_at = f->opened; /* the kernel knows nothing yet */
	}
	mark(sh, id);
}

int
show_init(struct stackd *s, uint32_t nflow)
{
	struct show *sh = &s->show;
	uint32_t i;

	ev_timer_init(&sh->timer, timer_cb, 0., 0.);
	sh->timer.data = s;
	sh->flow = calloc(nflow, sizeof(*sh->flow));
	sh->dirty = calloc(nflow, sizeof(*sh->dirty));
	sh->free = calloc(FLOWTAB_SLOTS, sizeof(*sh->free));
	if (sh->flow == NULL || sh->dirty == NULL || sh->free == NULL)
		return -1;
	sh->nflow = nflow;
	/* The lowest are used first: then the file stays small. */
	for (i = 0; i < FLOWTAB_SLOTS; i++)
		sh->free[i] = FLOWTAB_SLOTS - 1 - i;
	sh->nfree = FLOWTAB_SLOTS;
	wall_set(sh);
	return 0;
}
