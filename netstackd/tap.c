/*
 * The machine's own TAP, where its user has handed it over: frames are read
 * and written here, and no other process has to wake up for them.
 *
 * What is not for us is for other machines, by ethd; what is for everybody is
 * for both.  A write ends in the guest's kernel, which takes all it has memory
 * for, so nobody waits for room in a TAP.
 *
 * One with vnet headers (common/vnet.h) has up to 64 KB of a stream in a frame,
 * both ways, and the core takes and gives them so.  Other machines may not have
 * such a card: what goes to them is completed, and cut, here.
 */

#include <sys/uio.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "netstackd/netstackd.h"

/* A turn, so that timers and sockets get theirs. */
#define TAP_MAXBATCH 64
#define TAP_BATCHES  4

/* With its namespace, as a rule, which its user has left. */
static void
tap_lost(struct stackd *s, int error)
{
	log_info("the TAP is gone: %s", strerror(error));
	tap_attach(s, -1, false);
	ipc_send(s->d->sup, IPC_TAP_LOST, NULL, 0, "{}");
}

static bool
is_ours(const struct stackd *s, const uint8_t *frame, size_t len)
{
	return len < sizeof(s->server_mac) ||
	       memcmp(frame, s->server_mac, sizeof(s->server_mac)) == 0;
}

static void
tap_input(struct stackd *s, usec_t now, const uint8_t *frame, size_t len)
{
	bool ours = is_ours(s, frame, len);

	if (!ours)
		link_others(s, frame, len, NULL);
	if (ours || (frame[0] & 1) != 0)
		link_input(s, now, frame, len, false);
}

/* The same of a frame behind its header. */
static void
tap_input_vnet(struct stackd *s, usec_t now, uint8_t *p, size_t len)
{
	struct rd r = rd_init(p, len);
	struct vnet v;
	bool ours;

	if (vnet_read(&r, &v) == -1) {
		link_bad(s, r.p, r.len, NETS_RX_VNET);
		return;
	}
	p += len - r.len;
	ours = is_ours(s, p, r.len);
	/* Large ones are cut; of others only our own may be left as they are.
	 */
	if (v.seg == 0 && !(ours && v.plain)) {
		vnet_complete(p, r.len, &v);
		v.sum = false;
	}
	if (!ours)
		link_others(s, p, r.len, &v);
	if (!ours && (r.len == 0 || (p[0] & 1) == 0))
		return;
	if (v.seg > 0)
		stats_add(&s->d->stats, NETS_RX_LARGE, 1);
	link_input(s, now, p, r.len, v.sum);
}

/* How many bytes there were; *error: why no more, 0 if there may be. */
static size_t
tap_batch(struct stackd *s, usec_t now, int *error)
{
	size_t at = 0, most = NET_MAXFRAME + s->link.tap_head;
	uint8_t *in = s->link.in;
	ssize_t n;
	int i;

	*error = 0;
	for (i = 0; i < TAP_MAXBATCH && at + most <= TAP_BUF; i++) {
		n = read(s->link.tap, in + at, most);
		if (n <= 0) {
			*error = n == 0 ? ENODEV : errno;
			break;
		}
		if (s->link.tap_head > 0)
			tap_input_vnet(s, now, in + at, (size_t)n);
		else
			tap_input(s, now, in + at, (size_t)n);
		at += (size_t)n;
	}
	if (at > 0)
		net_flush(s->net, now);
	return at;
}

/* A stream's next batch is mostly there when the ACK of the last is out. */
static void
tap_read_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct stackd *s = w->data;
	size_t n = SPIN_BULK;
	int i, error = 0;

	for (i = 0; i < TAP_BATCHES && n >= SPIN_BULK; i++)
		n = tap_batch(s, usec_now(loop), &error);
	if (error != 0 && error != EAGAIN && error != EINTR)
		tap_lost(s, error);
}

/* Before Linux 6.2 no TAP cuts UDP: it is left none from now on. */
static void
tap_write_cut(struct stackd *s, const uint8_t *frame, const struct vnet *v)
{
	uint8_t one[STACKD_DGRAM];
	struct vnet_cut c;
	size_t n;

	net_no_uso(s->net);
	vnet_cut(&c, v, frame);
	while ((n = vnet_cut_next(&c, one, sizeof(one))) > 0)
		tap_write(s, one, n, NULL);
}

/* What it does not take, as it does not while it is down, is dropped. */
void
tap_write(
    struct stackd *s, const uint8_t *frame, size_t len, const struct vnet *v)
{
	uint8_t head[VNET_HDRLEN] = { 0 };
	struct iovec iov[2] = { { head, s->link.tap_head },
		{ (void *)(uintptr_t)frame, len } };
	ssize_t n;

	if (v != NULL)
		vnet_write(head, v);
	if (s->link.tap_head > 0)
		n = writev(s->link.tap, iov, 2);
	else
		n = write(s->link.tap, frame, len);
	if (n == -1 && errno == EINVAL && v != NULL && v->udp)
		tap_write_cut(s, frame, v);
	else if (n == -1)
		stats_add(&s->d->stats, NETS_TX_FULL, 1);
}

void
tap_init(struct stackd *s)
{
	s->link.tap = -1;
	ev_init(&s->link.tap_rd, tap_read_cb);
	s->link.tap_rd.data = s;
}

void
tap_attach(struct stackd *s, int tap, bool vnet)
{
	struct link *l = &s->link;

	ev_io_stop(s->d->loop, &l->tap_rd);
	if (l->tap != -1)
		close(l->tap);
	l->tap = tap;
	l->tap_head = tap != -1 && vnet ? VNET_HDRLEN : 0;
	if (tap != -1)
		ev_io_set(&l->tap_rd, tap, EV_READ);
	if (s->net != NULL)
		tap_start(s);
}

void
tap_start(struct stackd *s)
{
	net_set_vnet(s->net, s->link.tap_head > 0);
	if (s->link.tap != -1)
		ev_io_start(s->d->loop, &s->link.tap_rd);
}
