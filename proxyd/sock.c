/*
 * Bytes from one socket to another.
 *
 * What has come lies in one block until it has left.  A socket is read only
 * when its event said so: `readable' spares the calls that would find nothing.
 */

#include <sys/socket.h>
#include <sys/uio.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxyd/proxyd.h"

#define PUMP_TURNS 16 /* blocks, then others have their turn */

static struct block *
block_get(struct proxyd *p)
{
	struct block *b = p->spare;

	if (b != NULL) {
		p->spare = b->next;
		p->nspare--;
	} else if ((b = malloc(sizeof(*b))) == NULL) {
		return NULL;
	}
	b->off = b->len = 0;
	return b;
}

static void
block_put(struct proxyd *p, struct block *b)
{
	if (p->nspare == BLOCK_SPARE) {
		free(b);
		return;
	}
	b->next = p->spare;
	p->spare = b;
	p->nspare++;
}

void
blocks_free(struct proxyd *p)
{
	struct block *b;

	while ((b = p->spare) != NULL) {
		p->spare = b->next;
		free(b);
	}
	p->nspare = 0;
}

void
sock_init(struct sock *s, struct proxyd *p, int fd,
    void (*cb)(struct ev_loop *, struct ev_io *, int), void *data)
{
	memset(s, 0, sizeof(*s));
	s->p = p;
	s->fd = fd;
	ev_io_init(&s->rd, cb, fd, EV_READ);
	ev_io_init(&s->wr, cb, fd, EV_WRITE);
	s->rd.data = s->wr.data = data;
}

void
sock_fini(struct sock *s)
{
	if (s->fd == -1)
		return;
	ev_io_stop(s->p->d->loop, &s->rd);
	ev_io_stop(s->p->d->loop, &s->wr);
	if (s->in != NULL)
		block_put(s->p, s->in);
	s->in = NULL;
	free(s->out);
	s->out = NULL;
	close(s->fd);
	s->fd = -1;
}

void
sock_want(struct sock *s, bool rd, bool wr)
{
	struct ev_loop *loop = s->p->d->loop;

	if (rd)
		ev_io_start(loop, &s->rd);
	else
		ev_io_stop(loop, &s->rd);
	if (wr)
		ev_io_start(loop, &s->wr);
	else
		ev_io_stop(loop, &s->wr);
}

bool
sock_fill(struct sock *s)
{
	struct block *b = s->in;
	size_t room;
	ssize_t n;

	if (!s->readable || s->eof || s->broken)
		return false;
	if (b == NULL && (b = s->in = block_get(s->p)) == NULL) {
		s->broken = true;
		return true;
	}
	if (b->off > 0 && b->off + b->len == BLOCK_SIZE) {
		memmove(b->data, b->data + b->off, b->len);
		b->off = 0;
	}
	room = BLOCK_SIZE - b->off - b->len;
	n = room == 0 ? 0 : read(s->fd, b->data + b->off + b->len, room);
	if (n > 0) {
		b->len += (size_t)n;
		s->readable = (size_t)n == room;
		return true;
	}
	if (b->len == 0)
		sock_consume(s, 0);
	if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
		s->readable = false;
		return false;
	}
	if (room == 0)
		return false;
	s->eof = n == 0;
	s->broken = n == -1;
	return true;
}

void
sock_consume(struct sock *s, size_t n)
{
	if (s->in == NULL)
		return;
	s->in->off += n;
	s->in->len -= n;
	if (s->in->len > 0)
		return;
	block_put(s->p, s->in);
	s->in = NULL;
}

int
sock_put(struct sock *s, const void *data, size_t len)
{
	size_t left = s->outlen - s->outoff;
	uint8_t *out;

	if ((out = malloc(left + len)) == NULL) {
		s->broken = true;
		return -1;
	}
	if (left > 0)
		memcpy(out, s->out + s->outoff, left);
	memcpy(out + left, data, len);
	free(s->out);
	s->out = out;
	s->outoff = 0;
	s->outlen = left + len;
	return 0;
}

static void
out_sent(struct sock *s, size_t n)
{
	s->outoff += n;
	if (s->outoff < s->outlen)
		return;
	free(s->out);
	s->out = NULL;
	s->outoff = s->outlen = 0;
}

int
sock_send(struct sock *s, struct sock *from, size_t n, size_t *sent)
{
	size_t left = s->outlen - s->outoff;
	struct iovec iov[2];
	int niov = 0;
	ssize_t w;

	*sent = 0;
	if (left > 0)
		iov[niov++] = (struct iovec){ s->out + s->outoff, left };
	if (n > 0)
		iov[niov++] =
		    (struct iovec){ from->in->data + from->in->off, n };
	if (niov == 0)
		return 1;
	w = s->broken || s->shut ? -1 : writev(s->fd, iov, niov);
	if (w == -1) {
		if (!s->broken && !s->shut &&
		    (errno == EAGAIN || errno == EINTR))
			return 0;
		s->broken = true;
		return -1;
	}
	daemon_moved(s->p->d, (size_t)w);
	if (left > 0)
		out_sent(s, (size_t)w < left ? (size_t)w : left);
	if ((size_t)w > left) {
		*sent = (size_t)w - left;
		sock_consume(from, *sent);
	}
	return (size_t)w == left + n;
}

void
sock_shutdown(struct sock *s)
{
	if (!s->shut)
		(void)shutdown(s->fd, SHUT_WR);
	s->shut = true;
}

bool
sock_hungup(const struct sock *s)
{
	struct pollfd p = { .fd = s->fd };

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR)) != 0;
}

void
dir_init(struct dir *d, struct sock *from, struct sock *to,
    enum framing framing, uint64_t length)
{
	d->from = from;
	d->to = to;
	d->ready = 0;
	body_init(&d->body, framing, length);
}

/* More of the body, if there is any.  -1: it is malformed. */
static int
dir_take(struct dir *d)
{
	ssize_t n;

	if (d->ready > 0 || d->body.done)
		return 0;
	if (sock_unread(d->from) == 0 && !sock_fill(d->from))
		return 0;
	if (sock_unread(d->from) == 0)
		return 0;
	n = body_take(&d->body, sock_bytes(d->from), sock_unread(d->from));
	if (n == -1)
		return -1;
	d->ready = (size_t)n;
	return 0;
}

static enum pump
dir_end(struct dir *d)
{
	if (d->body.done)
		return PUMP_DONE;
	if (d->from->broken)
		return PUMP_CUT;
	if (!d->from->eof)
		return PUMP_WAIT;
	if (d->body.framing != FRAMING_EOF)
		return PUMP_CUT;
	d->body.done = true;
	return PUMP_DONE;
}

enum pump
dir_pump(struct dir *d)
{
	size_t sent;
	int i, r;

	for (i = 0; i < PUMP_TURNS; i++) {
		if (dir_take(d) == -1)
			return PUMP_BAD;
		if (d->ready == 0 && d->to->out == NULL)
			return dir_end(d);
		r = sock_send(d->to, d->from, d->ready, &sent);
		d->ready -= sent;
		if (r == -1)
			return PUMP_BROKEN;
		if (r == 0)
			return PUMP_WAIT;
	}
	return dir_end(d);
}

void
dir_watch(struct dir *d)
{
	struct ev_loop *loop = d->to->p->d->loop;
	bool blocked = d->ready > 0 || d->to->out != NULL;

	if (blocked)
		ev_io_start(loop, &d->to->wr);
	else
		ev_io_stop(loop, &d->to->wr);
	if (!blocked && !d->body.done && !d->from->eof && !d->from->broken)
		ev_io_start(loop, &d->from->rd);
	else
		ev_io_stop(loop, &d->from->rd);
}
