/*
 * Datagram sockets: every datagram is a frame, and whoever sends from another
 * bound address is another VM.  A sender without an address cannot be
 * answered, so its datagrams are dropped.
 *
 * All peers share one socket, which has no connections and no end: a peer is
 * taken for gone when it cannot be sent to and sends nothing itself for as long
 * as a VM has to come back.  A VM whose channel is full, or is not there yet,
 * loses frames, because waiting for it would stop the others.
 */

#include <stddef.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ethd.h"

#define DGRAM_BATCH 32
#define DGRAM_RETRY 0.001 /* seconds; a full peer cannot be polled for */

struct dgram_buf {
	struct mmsghdr in[DGRAM_BATCH], out[DGRAM_BATCH];
	struct iovec in_iov[DGRAM_BATCH], out_iov[DGRAM_BATCH];
	struct sockaddr_un from[DGRAM_BATCH];
	uint8_t frame[DGRAM_BATCH][FRAMER_MAXFRAME];
};

/*
 * To a peer.
 */

static void
dgram_retry(struct listener *l)
{
	if (!ev_is_active(&l->pause)) {
		ev_timer_set(&l->pause, DGRAM_RETRY, 0.);
		ev_timer_start(l->eth->d->loop, &l->pause);
	}
}

static void
dgram_retry_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct listener *l = w->data;
	struct conn *c;
	struct vm *vm;

	TAILQ_FOREACH (vm, &l->eth->vms, entry) {
		c = TAILQ_FIRST(&vm->conns);
		if (c != NULL && c->dgram == l && vm->out_n > 0)
			conn_dirty(c);
	}
}

/* Fills buf->out with the frames that wait for this peer. */
static unsigned
dgram_gather(struct conn *c)
{
	struct dgram_buf *b = c->dgram->buf;
	const struct chan_frame *f;
	struct vm *vm = c->vm;
	unsigned i;

	for (i = 0; i < DGRAM_BATCH && i < vm->out_n; i++) {
		f = &vm->outq[(vm->out_first + i) % VM_OUTQ];
		b->out_iov[i].iov_base = (void *)(uintptr_t)f->p;
		b->out_iov[i].iov_len = f->len;
		b->out[i].msg_hdr.msg_name = &c->peer;
		b->out[i].msg_hdr.msg_namelen = c->peerlen;
	}
	return i;
}

/* The first frame cannot be sent, and why is in errno. */
static void
dgram_lose(struct vm *vm)
{
	if (errno == EMSGSIZE)
		eth_bad(vm->eth, ETHS_TX_TOOBIG);
	else
		vm_away(vm);
	eth_bad(vm->eth, ETHS_DGRAM_LOST);
	vm_out_next(vm);
}

int
dgram_write(struct conn *c)
{
	struct listener *l = c->dgram;
	struct vm *vm = c->vm;
	unsigned n;
	int i, sent;

	if (vm == NULL || TAILQ_FIRST(&vm->conns) != c)
		return c->closing ? -1 : 0;
	while ((n = dgram_gather(c)) > 0) {
		sent = sendmmsg(
		    l->fd, l->buf->out, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent == -1 && errno == EINTR)
			continue;
		if (sent == -1 && (errno == EAGAIN || errno == ENOBUFS)) {
			dgram_retry(l);
			return 0;
		}
		for (i = 0; i < sent; i++)
			vm_out_consume(vm, 0, l->buf->out_iov[i].iov_len);
		if (sent == -1)
			dgram_lose(vm);
	}
	return 0;
}

void
dgram_copy(struct conn *c, const uint8_t *frame, size_t len)
{
	struct iovec iov = { (void *)(uintptr_t)frame, len };
	struct msghdr mh = { .msg_name = &c->peer,
		.msg_namelen = c->peerlen,
		.msg_iov = &iov,
		.msg_iovlen = 1 };

	if (sendmsg(c->dgram->fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) == -1)
		eth_count(c->eth, ETHS_SW_FULL, 1);
}

/*
 * From a peer.
 */

static bool
is_peer(const struct conn *c, const struct listener *l,
    const struct sockaddr_un *sun, socklen_t len)
{
	return c != NULL && c->dgram == l && c->peerlen == len &&
	       memcmp(&c->peer, sun, len) == 0;
}

static struct conn *
peer_find(struct listener *l, const struct sockaddr_un *sun, socklen_t len)
{
	struct vm *vm;

	if (is_peer(l->last, l, sun, len))
		return l->last;
	TAILQ_FOREACH (vm, &l->eth->vms, entry)
		if (is_peer(TAILQ_FIRST(&vm->conns), l, sun, len))
			return TAILQ_FIRST(&vm->conns);
	return NULL;
}

static struct conn *
peer_new(struct listener *l, const struct sockaddr_un *sun, socklen_t len)
{
	struct vmnet_cmd cmd = { .anonymous = true };
	enum lease_result result;
	struct conn *c;

	if ((c = conn_new(l->eth, FRAMING_NONE, -1)) == NULL)
		return NULL;
	c->dgram = l;
	memcpy(&c->peer, sun, len);
	c->peerlen = len;
	if (conn_lease(c, &cmd, &result) == -1) {
		conn_close(c);
		return NULL;
	}
	return c;
}

static void
dgram_input(struct listener *l, unsigned i)
{
	const struct msghdr *mh = &l->buf->in[i].msg_hdr;
	const struct sockaddr_un *sun = &l->buf->from[i];
	struct conn *c;

	if (mh->msg_namelen <= offsetof(struct sockaddr_un, sun_path) ||
	    mh->msg_namelen > sizeof(*sun)) {
		eth_bad(l->eth, ETHS_DGRAM_UNNAMED);
		return;
	}
	if ((mh->msg_flags & MSG_TRUNC) != 0) {
		eth_bad(l->eth, ETHS_DGRAM_TRUNC);
		return;
	}
	if ((c = peer_find(l, sun, mh->msg_namelen)) == NULL &&
	    (c = peer_new(l, sun, mh->msg_namelen)) == NULL)
		return;
	l->last = c;
	vm_back(c->vm);
	input_dgram(c, l->buf->frame[i], l->buf->in[i].msg_len);
}

static void
dgram_read_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct listener *l = w->data;
	struct dgram_buf *b = l->buf;
	int i, n;

	for (i = 0; i < DGRAM_BATCH; i++)
		b->in[i].msg_hdr.msg_namelen = sizeof(b->from[i]);
	n = recvmmsg(l->fd, b->in, DGRAM_BATCH, MSG_DONTWAIT, NULL);
	for (i = 0; i < n; i++)
		dgram_input(l, (unsigned)i);
}

int
dgram_start(struct listener *l)
{
	struct dgram_buf *b;
	int i;

	if ((b = calloc(1, sizeof(*b))) == NULL)
		return -1;
	for (i = 0; i < DGRAM_BATCH; i++) {
		b->in_iov[i].iov_base = b->frame[i];
		b->in_iov[i].iov_len = sizeof(b->frame[i]);
		b->in[i].msg_hdr.msg_iov = &b->in_iov[i];
		b->in[i].msg_hdr.msg_iovlen = 1;
		b->in[i].msg_hdr.msg_name = &b->from[i];
		b->out[i].msg_hdr.msg_iov = &b->out_iov[i];
		b->out[i].msg_hdr.msg_iovlen = 1;
	}
	l->buf = b;
	ev_set_cb(&l->rd, dgram_read_cb);
	ev_set_cb(&l->pause, dgram_retry_cb);
	return 0;
}

void
dgram_stop(struct listener *l)
{
	free(l->buf);
}
