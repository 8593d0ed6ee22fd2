/*
 * Datagram sockets: every datagram is a frame.
 *
 * The supervisor has connected the socket to its one client, so there are no
 * addresses here, and nothing but that client can be reached.  A client has no
 * end that could be read: that it is gone is what sending to it says.  So one
 * that is silent is sent a frame now and then that no guest takes for its own
 * business.  Then our copy of the socket is closed and the supervisor told,
 * who keeps another, to wait for the next client.
 *
 * Whoever comes to a socket is the same VM, also after our own restart, which
 * the client does not notice.
 */

#include <sys/socket.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/wr.h"

#include "ethd.h"

#define DGRAM_IN 16 /* as many as fit the arena when all are longest */

#define PROBE_SEC  2.0	  /* without a word before we look */
#define PROBE_TYPE 0x88b5 /* IEEE 802: for local experiments */
#define PROBE_LEN  60

/* Scratch of one read, the same for all clients. */
struct dgram_buf {
	struct mmsghdr in[DGRAM_IN];
	struct iovec in_iov[DGRAM_IN];
	uint8_t frame[DGRAM_IN][FRAMER_MAXFRAME];
};

/*
 * To a client.
 */

/* Whether an error of a socket means that its client is gone. */
static bool
is_end(int err)
{
	return err != EAGAIN && err != ENOBUFS && err != EINTR &&
	       err != EMSGSIZE;
}

/*
 * A call for each frame: sendmmsg(2), which takes many, also takes addresses,
 * and an owned ethd could send to any abstract socket of the host with it.
 */
int
dgram_write(struct conn *c)
{
	const struct chan_frame *f;
	struct vm *vm = c->vm;

	while (!c->closing && TAILQ_FIRST(&vm->conns) == c && vm->out_n > 0) {
		f = &vm->outq[vm->out_first];
		if (send(c->fd, f->p, f->len, MSG_DONTWAIT | MSG_NOSIGNAL) !=
		    -1) {
			daemon_moved(c->eth->d, f->len);
			vm_out_consume(vm, 0, f->len);
		} else if (errno == EMSGSIZE) {
			eth_bad(vm->eth, ETHS_TX_TOOBIG);
			vm_out_next(vm);
		} else if (is_end(errno)) {
			return -1;
		} else if (errno != EINTR) {
			ev_io_start(c->eth->d->loop, &c->wr);
			return 0;
		}
	}
	ev_io_stop(c->eth->d->loop, &c->wr);
	return c->closing ? -1 : 0;
}

/* One frame, which is not waited for.  -1: not sent. */
static int
dgram_send(struct conn *c, const uint8_t *frame, size_t len)
{
	if (send(c->fd, frame, len, MSG_DONTWAIT | MSG_NOSIGNAL) != -1)
		return 0;
	/* Who wants to send may not close: the end of this turn does. */
	if (is_end(errno)) {
		c->closing = true;
		conn_dirty(c);
	}
	return -1;
}

void
dgram_copy(struct conn *c, const uint8_t *frame, size_t len)
{
	if (dgram_send(c, frame, len) == -1)
		eth_count(c->eth, ETHS_SW_FULL, 1);
}

static void
dgram_probe_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct conn *c = w->data;
	uint8_t frame[PROBE_LEN];
	struct wr wr = wr_init(frame, sizeof(frame));

	if (!c->heard) {
		wr_bytes(&wr, c->vm->lease->mac.b, sizeof(struct macaddr));
		wr_bytes(&wr, c->eth->sw.server.b, sizeof(struct macaddr));
		wr_u16(&wr, PROBE_TYPE);
		wr_zero(&wr, sizeof(frame) - wr.len);
		dgram_send(c, frame, sizeof(frame));
	}
	c->heard = false;
}

/*
 * From a client.
 */

static void
dgram_input(struct conn *c, unsigned i)
{
	const struct mmsghdr *m = &c->eth->dgram->in[i];

	daemon_moved(c->eth->d, m->msg_len);
	if ((m->msg_hdr.msg_flags & MSG_TRUNC) != 0)
		eth_bad(c->eth, ETHS_DGRAM_TRUNC);
	else if (m->msg_len > 0 && m->msg_len < SWITCH_HDRLEN)
		/* Not worth a word: vfkit begins with four bytes. */
		eth_count(c->eth, ETHS_RX_SHORT, 1);
	else
		input_dgram(c, c->eth->dgram->frame[i], m->msg_len);
}

void
dgram_read(struct conn *c)
{
	size_t room = input_room(c);
	int i, n;

	if (room == 0)
		return;
	n = recvmmsg(c->fd, c->eth->dgram->in,
	    room < DGRAM_IN ? (unsigned)room : DGRAM_IN, MSG_DONTWAIT, NULL);
	if (n == -1 && is_end(errno)) {
		conn_close(c);
		return;
	}
	c->heard = true;
	for (i = 0; i < n; i++)
		dgram_input(c, (unsigned)i);
}

/*
 * Clients come and go.
 */

static int
buf_alloc(struct ethd *e)
{
	struct dgram_buf *b = e->dgram;
	int i;

	if (b != NULL)
		return 0;
	if ((b = calloc(1, sizeof(*b))) == NULL) {
		eth_bad(e, ETHS_NOMEM);
		return -1;
	}
	for (i = 0; i < DGRAM_IN; i++) {
		b->in_iov[i].iov_base = b->frame[i];
		b->in_iov[i].iov_len = sizeof(b->frame[i]);
		b->in[i].msg_hdr.msg_iov = &b->in_iov[i];
		b->in[i].msg_hdr.msg_iovlen = 1;
	}
	e->dgram = b;
	return 0;
}

static void
say_gone(struct ethd *e, uint32_t id)
{
	eth_count(e, ETHS_DGRAM_GONE, 1);
	ipc_send(
	    e->d->sup, IPC_DGRAM_GONE, NULL, 0, "{s:I}", "id", (json_int_t)id);
}

void
dgram_new(struct ethd *e, int fd, uint32_t id)
{
	struct vmnet_cmd cmd = { .uuid = uuid_dgram(id) };
	enum lease_result result;
	struct conn *c;

	if ((c = conn_new(e, FRAMING_NONE, fd)) == NULL) {
		say_gone(e, id);
		return;
	}
	c->dgram_id = id;
	ev_timer_init(&c->probe, dgram_probe_cb, PROBE_SEC, PROBE_SEC);
	ev_set_priority(&c->probe, TIMER_LATE);
	c->probe.data = c;
	if (buf_alloc(e) == -1 || conn_lease(c, &cmd, &result) == -1) {
		conn_close(c);
		return;
	}
	eth_count(e, ETHS_ACCEPTED, 1);
	ev_timer_start(e->d->loop, &c->probe);
}

void
dgram_closed(struct conn *c)
{
	ev_timer_stop(c->eth->d->loop, &c->probe);
	if (!c->eth->stopping)
		say_gone(c->eth, c->dgram_id);
}
