/*
 * The packet channel and the core.
 *
 * When ethd dies the channel goes and the flows stay; the supervisor sends a
 * new channel.  Hooks run while the core may still hold frames of the channel,
 * so a channel found dead there is only marked, and closed later.
 *
 * Beside a TAP the channel has frames of other machines, which go there.
 */

#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "netstackd/netstackd.h"

/* Per wake-up, so that timers and sockets get a turn. */
#define LINK_MAXBATCH 4
#define LINK_BIGBATCH (CHAN_BATCH / 4)
/* Below this the core may have wanted more: the fragments of the largest
 * datagram, a burst. */
#define LINK_LOW_BYTES (4 * NET_MAXFRAME)
#define LINK_LOW_SLOTS 64

void
link_input(
    struct stackd *s, usec_t now, const uint8_t *frame, size_t len, bool open)
{
	daemon_moved(s->d, len);
	show_input(s, frame, len);
	if (open)
		net_input_open(s->net, now, frame, len);
	else
		net_input(s->net, now, frame, len);
	show_input_done(s, frame, len, net_dropped(s->net));
}

void
link_bad(struct stackd *s, const uint8_t *frame, size_t len, enum net_stat why)
{
	stats_add(&s->d->stats, why, 1);
	show_frame(s, TAPE_FROM_GUEST, frame, len, net_stat_name[why]);
}

/*
 * One batch in.  True when it was so large that the next is likely there
 * already; asking after each small one would mostly be asking in vain.
 */
static bool
link_batch(struct stackd *s, usec_t now)
{
	struct link *l = &s->link;
	struct chan_frame f;
	size_t n = 0;
	int r;

	if ((r = chan_read(&l->chan)) != 1) {
		l->dead = r == -1;
		return false;
	}
	for (; chan_next(&l->chan, &f); n++) {
		if (l->tap != -1)
			tap_write(s, f.p, f.len, NULL);
		else
			link_input(s, now, f.p, f.len, false);
	}
	if (n > 0) {
		net_flush(s->net, now);
		chan_release(&l->chan, f.end);
	}
	return n >= LINK_BIGBATCH;
}

static uint8_t *
others_space(struct link *l, size_t *space)
{
	*space = 0;
	return l->open && !l->dead ? chan_space(&l->chan, space) : NULL;
}

/*
 * As many segments as there is room for: the sender repeats the others, as it
 * would those that are lost in a switch.
 */
static void
others_cut(struct stackd *s, const uint8_t *frame, const struct vnet *v)
{
	struct link *l = &s->link;
	struct vnet_cut c;
	size_t space, n;
	uint8_t *p;

	stats_add(&s->d->stats, NETS_CUT, 1);
	vnet_cut(&c, v, frame);
	while (!c.over) {
		p = others_space(l, &space);
		if ((n = vnet_cut_next(&c, p, space)) == 0) {
			stats_add(&s->d->stats, NETS_TX_FULL, 1);
			return;
		}
		chan_push(&l->chan, 0, n);
	}
}

void
link_others(
    struct stackd *s, const uint8_t *frame, size_t len, const struct vnet *v)
{
	size_t space;
	uint8_t *p;

	if (v != NULL && v->seg > 0) {
		others_cut(s, frame, v);
		return;
	}
	p = others_space(&s->link, &space);
	if (space < len) {
		stats_add(&s->d->stats, NETS_TX_FULL, 1);
		return;
	}
	memcpy(p, frame, len);
	chan_push(&s->link.chan, 0, len);
}

/* The core is told of new space only when it has missed some. */
static void
link_tx_ready(struct stackd *s, usec_t now)
{
	if (!s->link.starved)
		return;
	s->link.starved = false;
	net_tx_ready(s->net, now);
}

static void
link_flush(struct link *l)
{
	if (!l->dead && chan_flush(&l->chan) == -1)
		l->dead = true;
}

static void
link_read_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct stackd *s = w->data;
	usec_t now = usec_now(loop);
	int i = 0;

	while (link_batch(s, now) && ++i < LINK_MAXBATCH) {
		link_tx_ready(s, now);
		link_flush(&s->link);
	}
	if (!s->link.dead)
		link_tx_ready(s, now);
	if (s->link.dead && errno == EPROTO)
		ipc_send(s->d->sup, IPC_BAD_PEER, NULL, 0, "{s:s,s:i,s:s}",
		    "role", ipc_role_name[ROLE_ETH], "vm", 0, "why",
		    "bad record on the packet channel");
	if (s->link.dead)
		link_close(s);
}

static void
link_write_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct stackd *s = w->data;

	link_flush(&s->link);
	link_tx_ready(s, usec_now(loop));
}

void
link_init(struct stackd *s)
{
	ev_init(&s->link.rd, link_read_cb);
	ev_init(&s->link.wr, link_write_cb);
	s->link.rd.data = s->link.wr.data = s;
	tap_init(s);
}

void
link_attach(struct stackd *s, int fd, int tx_fd, int rx_fd, int tap, bool vnet)
{
	struct link *l = &s->link;

	link_close(s);
	tap_attach(s, tap, vnet);
	if (chan_init(&l->chan, fd, tx_fd, rx_fd) == -1) {
		log_warn("packet channel");
		return;
	}
	l->open = true;
	ev_io_set(&l->rd, l->chan.fd, EV_READ);
	ev_io_set(&l->wr, l->chan.fd, EV_WRITE);
	if (s->net != NULL)
		link_start(s);
}

void
link_start(struct stackd *s)
{
	tap_start(s);
	if (!s->link.open)
		return;
	ev_io_start(s->d->loop, &s->link.rd);
	link_tx_ready(s, stackd_now(s));
}

void
link_close(struct stackd *s)
{
	struct link *l = &s->link;

	if (!l->open)
		return;
	ev_io_stop(s->d->loop, &l->rd);
	ev_io_stop(s->d->loop, &l->wr);
	chan_fini(&l->chan);
	l->open = l->dead = false;
	l->starved = true; /* whatever comes next is news to the core */
}

void
link_settle(struct stackd *s)
{
	struct link *l = &s->link;

	if (!l->open)
		return;
	link_flush(l);
	if (!l->dead && !chan_blocked(&l->chan) && ev_is_active(&l->wr)) {
		/* Instead of the event that now does not come. */
		ev_io_stop(s->d->loop, &l->wr);
		link_tx_ready(s, stackd_now(s));
		link_flush(l);
	}
	if (l->dead)
		link_close(s);
	else if (chan_blocked(&l->chan))
		ev_io_start(s->d->loop, &l->wr);
}

uint8_t *
link_space(void *arg, size_t *len)
{
	struct stackd *s = arg;
	struct link *l = &s->link;
	uint8_t *p = NULL;

	*len = 0;
	if (l->tap != -1) {
		p = l->out;
		*len = TAP_BUF;
	} else if (l->open && !l->dead) {
		/*
		 * Records leave at the end of a turn.  When so many wait that
		 * the queue is low they leave now, or nobody would say when
		 * there is room: a little credit by itself never comes.
		 */
		if (chan_slots(&l->chan) < LINK_LOW_SLOTS &&
		    !ev_is_active(&l->wr))
			link_flush(l);
		p = chan_space(&l->chan, len);
		/* Space is good for a whole burst of pushes, or is none. */
		if (chan_slots(&l->chan) < LINK_LOW_SLOTS)
			*len = 0;
	}
	if (*len < LINK_LOW_BYTES)
		l->starved = true;
	l->space = p;
	return p;
}

void
link_push(void *arg, size_t off, size_t len)
{
	struct stackd *s = arg;

	daemon_moved(s->d, len);
	show_frame(s, TAPE_TO_GUEST, s->link.space + off, len, NULL);
	if (s->link.tap != -1)
		tap_write(s, s->link.space + off, len, NULL);
	else
		chan_push(&s->link.chan, off, len);
}

void
link_push_vnet(void *arg, size_t off, size_t len, const struct vnet *v)
{
	struct stackd *s = arg;

	daemon_moved(s->d, len);
	if (v->udp)
		show_datagrams(s, s->link.space + off, v);
	else
		show_frame(s, TAPE_TO_GUEST, s->link.space + off, len, NULL);
	tap_write(s, s->link.space + off, len, v);
}
