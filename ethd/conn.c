/*
 * One connection of a VM: its life, and everything that is written to it.
 *
 * Three things go out, and none may start in the middle of another's frame:
 * the rest of a half-written frame of the stack's, then the queue (answers of
 * the handshake, frames of other VMs), then the frames of the stack, straight
 * from the arena.  One writev() takes of all three what the socket will.
 *
 * Only the VM's first connection, the one that last sent, gets frames of the
 * stack.  Nothing is ever read from the arena here: it goes to the kernel as
 * it is.
 */

#include <sys/socket.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ethd.h"

/* Whether the stack's frames go to this connection. */
static bool
conn_is_out(const struct conn *c)
{
	return c->vm != NULL && TAILQ_FIRST(&c->vm->conns) == c;
}

void
conn_dirty(struct conn *c)
{
	/* One that waits for its socket writes when that is ready. */
	if (c->dirty || ev_is_active(&c->wr))
		return;
	c->dirty = true;
	TAILQ_INSERT_TAIL(&c->eth->dirty_conns, c, dirty_entry);
}

static void
add_iov(struct ethd *e, size_t *n, const void *p, size_t len)
{
	if (len == 0)
		return;
	e->iov[*n].iov_base = (void *)(uintptr_t)p;
	e->iov[*n].iov_len = len;
	(*n)++;
}

/* The i-th waiting frame, from byte off of prefix and frame together on. */
static void
add_frame(struct conn *c, size_t *n, size_t i, size_t off)
{
	struct vm *vm = c->vm;
	const struct chan_frame *f = &vm->outq[(vm->out_first + i) % VM_OUTQ];
	size_t plen = framer_prefix(c->framing);
	uint8_t *prefix = c->eth->prefix[*n];

	if (off < plen) {
		framer_put(c->framing, prefix, f->len);
		add_iov(c->eth, n, prefix + off, plen - off);
		off = plen;
	}
	add_iov(c->eth, n, f->p + (off - plen), f->len - (off - plen));
}

/* Fills eth->iov; returns its length. */
static size_t
gather(struct conn *c)
{
	struct vm *vm = c->vm;
	bool out = conn_is_out(c);
	size_t n = 0, i = 0;

	if (out && vm->out_off > 0)
		add_frame(c, &n, i++, vm->out_off);
	if (c->q_len > 0)
		add_iov(c->eth, &n, c->q + c->q_off, c->q_len);
	for (; out && i < vm->out_n && n + 2 <= ETH_IOVS; i++)
		add_frame(c, &n, i, 0);
	return n;
}

/* Takes n written bytes off what gather() found, in the same order. */
static void
consume(struct conn *c, size_t n)
{
	size_t plen = framer_prefix(c->framing), take;
	struct vm *vm = c->vm;
	bool out = conn_is_out(c);

	if (out && vm->out_off > 0)
		n = vm_out_consume(vm, plen, n);
	take = n < c->q_len ? n : c->q_len;
	c->q_off += take;
	c->q_len -= take;
	if (c->q_len == 0)
		c->q_off = 0;
	n -= take;
	while (out && n > 0)
		n = vm_out_consume(vm, plen, n);
}

int
conn_write(struct conn *c)
{
	struct iovec *iov = c->eth->iov;
	size_t i, niov, len;
	ssize_t n;

	if (c->framing == FRAMING_NONE)
		return dgram_write(c);
	while ((niov = gather(c)) > 0) {
		for (len = 0, i = 0; i < niov; i++)
			len += iov[i].iov_len;
		n = writev(c->fd, iov, (int)niov);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno != EAGAIN && errno != ENOBUFS)
			return -1;
		if (n > 0) {
			daemon_moved(c->eth->d, (size_t)n);
			consume(c, (size_t)n);
		}
		if (n == -1 || (size_t)n < len) {
			ev_io_start(c->eth->d->loop, &c->wr);
			return 0;
		}
	}
	ev_io_stop(c->eth->d->loop, &c->wr);
	return c->closing ? -1 : 0;
}

static int
queue_alloc(struct conn *c)
{
	if (c->q == NULL && (c->q = malloc(CONN_QCAP)) == NULL) {
		eth_bad(c->eth, ETHS_NOMEM);
		return -1;
	}
	return 0;
}

int
conn_queue(struct conn *c, const void *p, size_t len)
{
	if (queue_alloc(c) == -1)
		return -1;
	if (c->q_len + len > CONN_QUEUE) {
		eth_count(c->eth, ETHS_SW_FULL, 1);
		return -1;
	}
	if (c->q_off + c->q_len + len > CONN_QCAP) {
		memmove(c->q, c->q + c->q_off, c->q_len);
		c->q_off = 0;
	}
	memcpy(c->q + c->q_off + c->q_len, p, len);
	c->q_len += len;
	conn_dirty(c);
	return 0;
}

void
conn_copy(struct conn *c, const uint8_t *frame, size_t len)
{
	size_t plen = framer_prefix(c->framing);
	uint8_t prefix[FRAMER_MAXPREFIX];

	if (c->framing == FRAMING_NONE) {
		dgram_copy(c, frame, len);
		return;
	}
	/* Both or none: half a frame would be the end of the stream. */
	if (c->q_len + plen + len > CONN_QUEUE) {
		eth_count(c->eth, ETHS_SW_FULL, 1);
		return;
	}
	framer_put(c->framing, prefix, len);
	if (conn_queue(c, prefix, plen) == 0)
		conn_queue(c, frame, len);
}

int
conn_unwritten(struct conn *c)
{
	const struct chan_frame *f = &c->vm->outq[c->vm->out_first];
	size_t plen = framer_prefix(c->framing), off = c->vm->out_off;
	uint8_t prefix[FRAMER_MAXPREFIX];
	size_t len = plen + f->len - off;
	uint8_t *p;

	if (queue_alloc(c) == -1)
		return -1;
	/* CONN_QCAP has room for one frame beside a full queue. */
	memmove(c->q + len, c->q + c->q_off, c->q_len);
	c->q_off = 0;
	c->q_len += len;
	p = c->q;
	if (off < plen) {
		framer_put(c->framing, prefix, f->len);
		memcpy(p, prefix + off, plen - off);
		p += plen - off;
		off = plen;
	}
	memcpy(p, f->p + (off - plen), f->len - (off - plen));
	conn_dirty(c);
	return 0;
}

static void
conn_read_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct conn *c = w->data;

	if (c->vm == NULL && c->framing == FRAMING_BE32)
		nic_read(c);
	else if (c->vm == NULL)
		greeting_read(c);
	else if (c->vm->tap)
		input_idle(c);
	else if (c->framing == FRAMING_NONE)
		dgram_read(c);
	else
		input_read(c);
}

static void
conn_write_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct conn *c = w->data;
	struct vm *vm = c->vm;

	if (conn_write(c) == -1)
		conn_close(c);
	else if (vm != NULL)
		vm_watch(vm);
}

/*
 * With the system's usual buffer, a fifth of an arena, the machine and we take
 * turns: one waits for bytes while the other waits for room.  The kernel
 * doubles this for its own needs; less, where an administrator allows no more.
 */
static void
conn_buffer(int fd)
{
	int size = CHAN_ARENA / 2;

	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

struct conn *
conn_new(struct ethd *e, enum framing framing, int fd)
{
	struct conn *c;

	if ((c = calloc(1, sizeof(*c))) == NULL) {
		eth_bad(e, ETHS_NOMEM);
		close(fd);
		return NULL;
	}
	c->eth = e;
	c->framing = framing;
	c->fd = fd;
	if (framing != FRAMING_NONE)
		conn_buffer(fd);
	vmnet_init(&c->greeting);
	ev_io_init(&c->rd, conn_read_cb, fd, EV_READ);
	ev_io_init(&c->wr, conn_write_cb, fd, EV_WRITE);
	c->rd.data = c->wr.data = c;
	TAILQ_INSERT_TAIL(&e->greetings, c, entry);
	e->ngreeting++;
	eth_count(e, ETHS_CONNS, 1);
	return c;
}

void
conn_close(struct conn *c)
{
	struct ethd *e = c->eth;
	uint8_t junk[4096];

	ev_io_stop(e->d->loop, &c->rd);
	ev_io_stop(e->d->loop, &c->wr);
	/*
	 * Unread bytes would turn our last answer into ECONNRESET.  Datagrams
	 * are already the next client's.
	 */
	if (c->closing && c->framing != FRAMING_NONE)
		(void)recv(c->fd, junk, sizeof(junk), MSG_DONTWAIT);
	close(c->fd);
	if (c->framing == FRAMING_NONE)
		dgram_closed(c);
	if (c->dirty)
		TAILQ_REMOVE(&e->dirty_conns, c, dirty_entry);
	if (c->vm != NULL) {
		vm_detach(c);
	} else {
		TAILQ_REMOVE(&e->greetings, c, entry);
		e->ngreeting--;
	}
	eth_count(e, ETHS_CONNS, (uint64_t)-1);
	free(c->stash);
	free(c->q);
	free(c);
}
