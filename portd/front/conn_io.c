/*
 * The bytes of one client of a forward, between its socket and the VM: over a
 * channel of the multiplexer, or over a transport of its own (2017).
 *
 * Toward the VM a byte is read only when there is room for it: the channel's
 * window, the tunnel's output.  Toward the client, what its socket does not
 * take waits here, at most a window of it, and no more credit is given.
 *
 * A datagram goes into the stream behind a head with its client's address.
 * Each client has a channel of its own, so whatever address an answer has, it
 * is this client's.
 */

#include <sys/socket.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/plat/plat.h"
#include "portd/front/front.h"

#define PUMP_TIMES 4
#define UDP_TIMES  16
#define OUT_MAX	   65536 /* of a transport of its own */
#define UDP_IDLE   (120 * USEC_SEC)
#define LOOK_SEC   1. /* between two looks at what the kernel keeps */

static void client_read_cb(struct ev_loop *, struct ev_io *, int);
static void client_write_cb(struct ev_loop *, struct ev_io *, int);
static void vm_read_cb(struct ev_loop *, struct ev_io *, int);
static void vm_write_cb(struct ev_loop *, struct ev_io *, int);
static void timer_cb(struct ev_loop *, struct ev_timer *, int);

bool
conn_udp(const struct conn *c)
{
	return c->dest.proto == MUX_UDP;
}

static struct ev_loop *
loop_of(const struct conn *c)
{
	return c->f->d->loop;
}

static void
watch(struct conn *c, struct ev_io *w, bool on)
{
	if (on)
		ev_io_start(loop_of(c), w);
	else
		ev_io_stop(loop_of(c), w);
}

void
conn_init(struct conn *c)
{
	ev_io_init(&c->rd, client_read_cb, c->fd, EV_READ);
	ev_io_init(&c->wr, client_write_cb, c->fd, EV_WRITE);
	ev_io_init(&c->trd, vm_read_cb, -1, EV_READ);
	ev_io_init(&c->twr, vm_write_cb, -1, EV_WRITE);
	ev_init(&c->timer, timer_cb);
	c->rd.data = c->wr.data = c->trd.data = c->twr.data = c->timer.data = c;
	if (!conn_udp(c))
		return;
	c->last = usec_now(loop_of(c));
	c->timer.repeat = (double)UDP_IDLE / USEC_SEC;
	ev_timer_again(loop_of(c), &c->timer);
}

/* The way to the VM is not needed any more. */
static void
leave_vm(struct conn *c)
{
	if (c->chan != NULL)
		mux_close(c->chan);
	c->chan = NULL;
	ev_io_stop(loop_of(c), &c->trd);
	ev_io_stop(loop_of(c), &c->twr);
	if (c->tfd != -1)
		close(c->tfd);
	c->tfd = -1;
}

void
conn_free(struct conn *c)
{
	struct front *f = c->f;

	leave_vm(c);
	ev_io_stop(loop_of(c), &c->rd);
	ev_io_stop(loop_of(c), &c->wr);
	ev_timer_stop(loop_of(c), &c->timer);
	close(c->fd);
	if (c->early != -1)
		close(c->early);
	buf_free(&c->tohost);
	buf_free(&c->tovm);
	if (f->portd != NULL && c->portd == f->nportd)
		ipc_send(f->portd, IPC_TUNNEL_CLOSE, NULL, 0, "{s:I}", "id",
		    (json_int_t)c->id);
	TAILQ_REMOVE(c->ending ? &f->ending : &f->conns, c, entry);
	f->nending -= c->ending;
	f->nconn--;
	front_now(f, FRONTS_CONNS, -1);
	free(c);
}

void
conn_reset(struct conn *c)
{
	const struct linger now = { 1, 0 };

	(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	conn_free(c);
}

/*
 * Only the client has to take the rest, and has just taken some: it is the last
 * of those that may have to give way to a new one.
 */
static void
ending(struct conn *c)
{
	struct front *f = c->f;

	TAILQ_REMOVE(c->ending ? &f->ending : &f->conns, c, entry);
	TAILQ_INSERT_TAIL(&f->ending, c, entry);
	f->nending += !c->ending;
	c->ending = true;
}

/* When all is sent, or the client's TCP has died, close() cuts nothing. */
static void
look_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct conn *c = w->data;
	socklen_t len = sizeof(int);
	int error = 0;
	size_t unsent = plat_unsent(c->fd);

	(void)getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (unsent == 0 || error != 0) {
		conn_free(c);
	} else if (unsent < c->unsent) {
		c->unsent = unsent;
		ending(c);
	}
}

/*
 * Both have said their last.  What a client has no room for the kernel forgets
 * some minutes after close(): until it is sent the socket stays open.
 */
static void
conn_done(struct conn *c)
{
	c->unsent = plat_unsent(c->fd);
	if (c->unsent == 0) {
		conn_free(c);
		return;
	}
	leave_vm(c);
	ending(c);
	conn_watch(c);
	ev_set_cb(&c->timer, look_cb);
	c->timer.repeat = LOOK_SEC;
	ev_timer_again(loop_of(c), &c->timer);
}

/*
 * The way to the VM, whichever it is.
 */

static size_t
vm_room(const struct conn *c)
{
	if (c->chan != NULL)
		return mux_room(c->chan);
	return c->tfd != -1 && c->tovm.len < OUT_MAX ? MUX_DATAMAX : 0;
}

static uint8_t *
vm_begin(struct conn *c, size_t max)
{
	return c->chan != NULL ? mux_begin(c->chan, max)
			       : buf_room(&c->tovm, max);
}

static void
vm_end(struct conn *c, size_t n)
{
	if (c->chan != NULL)
		mux_end(c->chan, n);
	else
		buf_add(&c->tovm, n);
}

static void
vm_shutdown(struct conn *c)
{
	c->host_eof = true;
	if (c->chan != NULL)
		mux_shutdown(c->chan);
	else if (c->tovm.len == 0)
		(void)shutdown(c->tfd, SHUT_WR);
}

/* Both have said their last: the channel's last word is ours. */
static bool
finished(const struct conn *c)
{
	return c->host_eof && c->vm_eof && c->tohost.len == 0 &&
	       (c->chan != NULL || c->tovm.len == 0);
}

/* Reads the client when there is room, and only then. */
void
conn_watch(struct conn *c)
{
	bool open = c->chan != NULL || c->tfd != -1;
	size_t room = vm_room(c);

	if (c->chan != NULL && room == 0 && !c->host_eof &&
	    c->f->tunnel.mux.out.len >= MUX_OUTMAX)
		c->f->tunnel.choked = true;
	watch(c, &c->rd, open && !c->host_eof && room > 0);
	watch(c, &c->wr, c->tohost.len > 0 && !conn_udp(c));
	/*
	 * Datagrams that came early make no event.  They are a few: portd's end
	 * of their socket is closed.
	 */
	if (c->early != -1 && conn_udp(c) && room > 0)
		ev_feed_event(loop_of(c), &c->rd, EV_READ);
}

/*
 * Toward the VM.
 */

/* 1: some bytes; 0: none now, or no more at all; -1: the client is broken. */
static int
pump_stream(struct conn *c)
{
	size_t room = vm_room(c);
	uint8_t *p;
	ssize_t n;

	if (room == 0)
		return 0;
	if ((p = vm_begin(c, room)) == NULL)
		return -1;
	n = read(c->fd, p, room);
	if (n > 0) {
		vm_end(c, (size_t)n);
		return (size_t)n == room;
	}
	if (n == -1)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	vm_shutdown(c);
	return 0;
}

/*
 * The next datagram into buf; those that came early first.  -1: none.  One of
 * IPv6 may be longer than the tunnel's can: its length says so.
 */
static ssize_t
next_datagram(struct conn *c, uint8_t *buf)
{
	const int flags = MSG_DONTWAIT | MSG_TRUNC;
	ssize_t n;

	if (c->early != -1) {
		n = recv(c->early, buf, UDPENC_MAXPAYLOAD, flags);
		if (n != -1 || errno != EAGAIN)
			return n;
		close(c->early);
		c->early = -1;
	}
	/* An error is an ICMP message of the client's: it may be back. */
	return recv(c->fd, buf, UDPENC_MAXPAYLOAD, flags);
}

/* Puts one datagram with its head into tovm.  0: there is none. */
static int
encapsulate(struct conn *c)
{
	static uint8_t payload[UDPENC_MAXPAYLOAD];
	uint8_t head[UDPENC_MAXHEAD];
	struct wr w = wr_init(head, sizeof(head));
	ssize_t n;

	if ((n = next_datagram(c, payload)) == -1)
		return 0;
	if (n > UDPENC_MAXPAYLOAD) {
		front_count(c->f, FRONTS_DATAGRAM_LONG);
		return 1;
	}
	front_count(c->f, FRONTS_DATAGRAMS);
	c->last = usec_now(loop_of(c));
	udpenc_put(&w, &c->from, c->fport, (size_t)n);
	if (buf_put(&c->tovm, head, w.len) == -1 ||
	    buf_put(&c->tovm, payload, (size_t)n) == -1)
		return -1;
	return 1;
}

/* What waits of a datagram, in as many pieces as there is room for. */
static int
pump_pieces(struct conn *c)
{
	size_t room, n;
	uint8_t *p;

	while (c->tovm.len > 0 && (room = vm_room(c)) > 0) {
		n = c->tovm.len < room ? c->tovm.len : room;
		if ((p = mux_begin(c->chan, n)) == NULL)
			return -1;
		memcpy(p, buf_data(&c->tovm), n);
		mux_end(c->chan, n);
		buf_take(&c->tovm, n);
	}
	return c->tovm.len == 0;
}

/*
 * One more datagram, as a whole: the rest of one makes an event when there is
 * room again, and only then.  See pump_stream().
 */
static int
pump_datagram(struct conn *c)
{
	int r;

	if (vm_room(c) == 0)
		return 0;
	if (c->chan == NULL)
		return encapsulate(c);
	if (c->tovm.len == 0 && (r = encapsulate(c)) != 1)
		return r;
	return pump_pieces(c);
}

/* Does not write to the tunnel: who calls this does, once for many. */
void
conn_pump(struct conn *c)
{
	bool udp = conn_udp(c);
	int i, r = 1;

	/* Who was served comes last in the next round. */
	TAILQ_REMOVE(&c->f->conns, c, entry);
	TAILQ_INSERT_TAIL(&c->f->conns, c, entry);
	for (i = 0; i < (udp ? UDP_TIMES : PUMP_TIMES) && r == 1; i++)
		r = c->host_eof ? 0 : udp ? pump_datagram(c) : pump_stream(c);
	if (r == -1)
		conn_reset(c);
	else if (finished(c))
		conn_done(c);
	else
		conn_watch(c);
}

static void
client_read_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct conn *c = w->data;
	struct front *f = c->f;
	bool own = c->chan == NULL;

	if (own)
		watch(c, &c->twr, true);
	conn_pump(c);
	tunnel_flush(&f->tunnel);
}

/*
 * Toward the client.
 */

/* So many bytes are where they belong. */
static void
taken(struct conn *c, size_t n)
{
	if (c->chan != NULL)
		mux_taken(c->chan, n);
}

/* -1: the stream is none of datagrams. */
static int
input_datagrams(struct conn *c, const uint8_t *p, size_t n)
{
	struct rd payload;
	int len;

	if (buf_put(&c->tohost, p, n) == -1)
		return -1;
	/* Also the part of one: the rest may need the credit. */
	taken(c, n);
	while ((len = udpenc_get(
		    buf_data(&c->tohost), c->tohost.len, &payload)) > 0) {
		front_count(c->f, FRONTS_DATAGRAMS);
		c->last = usec_now(loop_of(c));
		if (send(c->fd, payload.p, payload.len, MSG_DONTWAIT) == -1 &&
		    errno == EAGAIN)
			front_count(c->f, FRONTS_DATAGRAM_FULL);
		buf_take(&c->tohost, (size_t)len);
		if (c->tohost.len == 0)
			return 0;
	}
	return len == -1 ? -1 : 0;
}

/* Everything is written: what the VM has said about its end counts now. */
static void
flushed(struct conn *c)
{
	if (c->vm_eof || c->vm_closed)
		(void)shutdown(c->fd, SHUT_WR);
	if (c->vm_closed || finished(c))
		conn_done(c);
	else
		conn_watch(c);
}

void
conn_flush(struct conn *c)
{
	ssize_t n;

	while (c->tohost.len > 0) {
		n = write(c->fd, buf_data(&c->tohost), c->tohost.len);
		if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
			conn_watch(c);
			return;
		}
		if (n == -1) {
			conn_reset(c);
			return;
		}
		buf_take(&c->tohost, (size_t)n);
		taken(c, (size_t)n);
		if (c->ending)
			ending(c);
	}
	flushed(c);
}

static void
client_write_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct conn *c = w->data;
	struct front *f = c->f;

	if (c->tfd != -1)
		ev_io_start(loop, &c->trd);
	conn_flush(c);
	tunnel_flush(&f->tunnel);
}

void
conn_input(struct conn *c, const uint8_t *p, size_t n)
{
	ssize_t done = 0;

	c->heard = true;
	if (conn_udp(c)) {
		if (input_datagrams(c, p, n) == -1)
			conn_reset(c);
		return;
	}
	if (c->tohost.len == 0) {
		done = write(c->fd, p, n);
		if (done == -1 && errno != EAGAIN && errno != EINTR) {
			conn_reset(c);
			return;
		}
		if (done == -1)
			done = 0;
		taken(c, (size_t)done);
	}
	if (buf_put(&c->tohost, p + done, n - (size_t)done) == -1)
		conn_reset(c);
	else
		conn_watch(c);
}

/* It sends no more.  Datagrams have no half of an end. */
void
conn_vm_eof(struct conn *c)
{
	c->vm_eof = true;
	if (conn_udp(c))
		conn_free(c);
	else if (c->tohost.len == 0)
		flushed(c);
}

/*
 * It is gone.  A client that it has told nothing was refused, and is shown
 * just that; others get what is still here, in their own time: TCP itself
 * finds those that have died.
 */
void
conn_vm_closed(struct conn *c)
{
	c->chan = NULL;
	c->vm_closed = true;
	if (conn_udp(c)) {
		conn_free(c);
	} else if (!c->heard && !c->vm_eof) {
		conn_reset(c);
	} else if (c->tohost.len == 0) {
		flushed(c);
	} else {
		ending(c);
		conn_watch(c);
	}
}

static void
timer_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct conn *c = w->data;
	struct front *f = c->f;
	usec_t left = c->last + UDP_IDLE - usec_now(loop);

	if (left > 0) {
		w->repeat = (double)left / USEC_SEC + 0.1;
		ev_timer_again(loop, w);
		return;
	}
	conn_free(c);
	tunnel_flush(&f->tunnel);
}

/*
 * A transport of its own.
 */

void
conn_dedicated(struct conn *c, int fd)
{
	uint8_t head[MUX_MAXHEAD];
	struct wr w = wr_init(head, sizeof(head));

	c->waiting = false;
	c->tfd = fd;
	ev_io_set(&c->trd, fd, EV_READ);
	ev_io_set(&c->twr, fd, EV_WRITE);
	if (c->dest.proto == MUX_UNIX || mux_put_dest(&w, &c->dest) == -1 ||
	    tunnel_line(c->f, &c->tovm) == -1 ||
	    buf_put(&c->tovm, head, w.len) == -1) {
		conn_reset(c);
		return;
	}
	watch(c, &c->trd, true);
	watch(c, &c->twr, true);
	conn_watch(c);
}

static void
vm_read_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
	static uint8_t in[MUX_DATAMAX];
	struct conn *c = w->data;
	ssize_t n;

	/* Not before the client has taken what came before. */
	if (c->tohost.len > 0 && !conn_udp(c)) {
		ev_io_stop(loop, w);
		return;
	}
	n = read(c->tfd, in, sizeof(in));
	if (n > 0) {
		conn_input(c, in, (size_t)n);
	} else if (n == 0) {
		/* Half an end or all of it: the client's own will tell. */
		ev_io_stop(loop, w);
		if (!c->heard)
			conn_reset(c);
		else
			conn_vm_eof(c);
	} else if (errno != EAGAIN && errno != EINTR) {
		conn_reset(c);
	}
}

static void
vm_write_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct conn *c = w->data;
	ssize_t n;

	while (c->tovm.len > 0) {
		n = write(c->tfd, buf_data(&c->tovm), c->tovm.len);
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n == -1) {
			conn_reset(c);
			return;
		}
		buf_take(&c->tovm, (size_t)n);
	}
	if (c->tovm.len == 0)
		ev_io_stop(loop, w);
	if (c->tovm.len == 0 && c->host_eof)
		(void)shutdown(c->tfd, SHUT_WR);
	if (finished(c))
		conn_done(c);
	else
		conn_watch(c);
}
