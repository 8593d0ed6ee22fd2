/*
 * The machine's own TAP, where its user has handed it over: frames are read
 * and written here, and no other process has to wake up for them.
 *
 * What is not for us is for other machines, by ethd; what is for everybody is
 * for both.  A write ends in the guest's kernel, which takes all it has memory
 * for, so nobody waits for room in a TAP.
 */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "netstackd/netstackd.h"

/* A turn, so that timers and sockets get theirs. */
#define TAP_MAXBATCH 64

/* With its namespace, as a rule, which its user has left. */
static void
tap_lost(struct stackd *s, int error)
{
	log_info("the TAP is gone: %s", strerror(error));
	tap_attach(s, -1);
	ipc_send(s->d->sup, IPC_TAP_LOST, NULL, 0, "{}");
}

static void
tap_input(struct stackd *s, usec_t now, const uint8_t *frame, size_t len)
{
	bool ours = len < sizeof(s->server_mac) ||
		    memcmp(frame, s->server_mac, sizeof(s->server_mac)) == 0;

	if (!ours)
		link_others(s, frame, len);
	if (ours || (frame[0] & 1) != 0)
		link_input(s, now, frame, len);
}

static void
tap_read_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct stackd *s = w->data;
	uint8_t *in = s->link.in;
	usec_t now = usec_now(loop);
	size_t at = 0;
	ssize_t n = 0;
	int i, error = 0;

	for (i = 0; i < TAP_MAXBATCH && at + NET_MAXFRAME <= TAP_BUF; i++) {
		n = read(s->link.tap, in + at, NET_MAXFRAME);
		if (n <= 0) {
			error = n == 0 ? ENODEV : errno;
			break;
		}
		tap_input(s, now, in + at, (size_t)n);
		at += (size_t)n;
	}
	if (i > 0)
		net_flush(s->net, now);
	if (error != 0 && error != EAGAIN && error != EINTR)
		tap_lost(s, error);
}

/* What it does not take, as it does not while it is down, is dropped. */
void
tap_write(struct stackd *s, const uint8_t *frame, size_t len)
{
	if (write(s->link.tap, frame, len) == -1)
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
tap_attach(struct stackd *s, int tap)
{
	struct link *l = &s->link;

	ev_io_stop(s->d->loop, &l->tap_rd);
	if (l->tap != -1)
		close(l->tap);
	l->tap = tap;
	if (tap == -1)
		return;
	ev_io_set(&l->tap_rd, tap, EV_READ);
	if (s->net != NULL)
		tap_start(s);
}

void
tap_start(struct stackd *s)
{
	if (s->link.tap != -1)
		ev_io_start(s->d->loop, &s->link.tap_rd);
}
