/*
 * Host sockets and the core's flows.
 *
 * Every socket is in one edge-triggered set: the core hears of a change once,
 * and asks again itself when it has stopped early.  An event carries the
 * flow's id and how often that id has been used, so that one that was taken
 * together with the event that closed the flow meets nobody.
 */

#include <sys/socket.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/plat/plat.h"
#include "netstackd/netstackd.h"

#define HOSTIO_MAXEVENTS 128
#define HOSTIO_MAXIOV	 1024 /* of one writev(); IOV_MAX everywhere */
#define HOSTIO_MAXPEEK	 NET_TXBATCH

static uint64_t
tag_of(uint32_t id, uint32_t gen)
{
	return (uint64_t)gen << 32 | id;
}

/* The flow an event is about; NULL when that is gone. */
static struct hostflow *
flow_of(struct hostio *h, uint64_t tag)
{
	uint32_t id = (uint32_t)tag;
	struct hostflow *f;

	if (id >= h->nflow)
		return NULL;
	f = &h->flow[id];
	return f->fd != -1 && f->gen == tag >> 32 ? f : NULL;
}

struct hostflow *
hostio_flow(void *arg, uint32_t id)
{
	struct stackd *s = arg;
	struct hostflow *f = NULL;

	if (id < s->host.nflow)
		f = &s->host.flow[id];
	if (f == NULL || f->fd == -1) {
		errno = EBADF;
		return NULL;
	}
	return f;
}

/* Takes the pending error from the socket. */
static int
flow_error(const struct hostflow *f)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(f->fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		return errno;
	return error;
}

/*
 * What others wait for goes out first, such as the request for the connection
 * that follows the one that ends here.
 */
static void
late(struct stackd *s, struct hostflow *f, enum hostio_what what)
{
	if (s->host.nlate == nitems(s->host.late))
		hostio_settle(s);
	s->host.late[s->host.nlate++] = (struct hostio_late){ f->fd, what, f };
}

/*
 * Of a connection that is there, errors of this kind mean nothing.  And its
 * first bytes need not wait for what can be done before they come.
 */
static void
connected(struct hostflow *f, int fd)
{
	if (f->fd != fd)
		return; /* closed in the same turn, which comes next */
	plat_sockerr_keep(fd, false);
	plat_peek_prepare(fd, &f->cur);
}

void
hostio_settle(struct stackd *s)
{
	static const struct linger now = { .l_onoff = 1, .l_linger = 0 };
	struct hostio *h = &s->host;
	size_t i;
	int fd;

	for (i = 0; i < h->nlate; i++) {
		fd = h->late[i].fd;
		switch (h->late[i].what) {
		case LATE_CONNECTED:
			connected(h->late[i].flow, fd);
			continue;
		case LATE_SHUTDOWN:
			shutdown(fd, SHUT_WR);
			continue;
		case LATE_RESET:
			setsockopt(
			    fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
			break;
		case LATE_CLOSE:
			break;
		}
		plat_edge_del(h->set, fd);
		close(fd);
	}
	h->nlate = 0;
}

/*
 * Sockets but TCP's tell of room whenever something has left, and an event for
 * each request that a neighbour has read is a wake-up for nothing.  So only
 * who has met a full one listens.  Keeps errno, unless that fails.
 */
static void
room_wait(struct stackd *s, struct hostflow *f, uint32_t id, bool waits)
{
	int error = errno;

	if (f->tells || f->waits == waits)
		return;
	if (plat_edge_writes(s->host.set, f->fd, tag_of(id, f->gen), waits) ==
	    -1)
		return;
	f->waits = waits;
	errno = error;
}

void
hostio_full(void *arg, uint32_t id)
{
	struct hostflow *f = hostio_flow(arg, id);

	if (f != NULL)
		room_wait(arg, f, id, true);
}

/*
 * The first event of a connecting socket is its result.  A connection that is
 * lost already was there.  Returns that error, or 0.
 */
static int
event_connect(struct stackd *s, struct hostflow *f, uint32_t id, usec_t now)
{
	int error = flow_error(f);
	bool was_there = error == ECONNRESET || error == EPIPE;

	f->connecting = false;
	if (error != 0 && !was_there) {
		net_failed(s->net, now, id, neterr_from_errno(error));
		return 0;
	}
	late(s, f, LATE_CONNECTED);
	net_writable(s->net, now, id);
	return error;
}

/*
 * A datagram's error may only be in the socket's queue, when a call in between
 * has taken the other sign of it.
 */
static void
event_failed(struct stackd *s, const struct hostflow *f, uint32_t id,
    usec_t now, int error)
{
	enum net_error e = neterr_from_errno(error);

	if (error == 0) {
		if (f->proto != NET_UDP && f->proto != NET_ICMP)
			return;
		e = NET_EQUEUED;
	}
	net_failed(s->net, now, id, e);
}

/*
 * What has arrived is told before an error, so that it is still delivered;
 * the error is taken first, for the next call on the socket would return it.
 * But a stream would seem to have ended there, so of TCP the error comes first:
 * the core then asks for what has arrived itself.
 */
static void
event(struct stackd *s, const struct plat_edge_event *e, usec_t now)
{
	struct hostio *h = &s->host;
	struct hostflow *f = flow_of(h, e->tag);
	uint32_t id = (uint32_t)e->tag;
	unsigned what = e->what;
	int error = 0;

	if (f == NULL)
		return;
	f->dry = 0;
	if (what & PLAT_EDGE_WRITE)
		room_wait(s, f, id, false);
	if (what & PLAT_EDGE_HUP)
		what |= PLAT_EDGE_READ; /* the end of the stream, at least */
	/* At a mark of urgent data, too, a short peek is not the end. */
	if (what & (PLAT_EDGE_HUP | PLAT_EDGE_EOF | PLAT_EDGE_URG))
		f->eof = true;
	if (f->connecting) {
		error = event_connect(s, f, id, now);
		what &= ~PLAT_EDGE_WRITE;
	} else if (what & PLAT_EDGE_HUP) {
		error = flow_error(f);
		error = error != 0 ? error : f->error;
	}
	if (error != 0 && f->proto == NET_TCP) {
		if (flow_of(h, e->tag) == f)
			event_failed(s, f, id, now, error);
		return;
	}
	if ((what & PLAT_EDGE_READ) && flow_of(h, e->tag) != NULL)
		net_readable(s->net, now, id);
	if ((error != 0 || (what & PLAT_EDGE_HUP)) && flow_of(h, e->tag) == f)
		event_failed(s, f, id, now, error);
	if ((what & PLAT_EDGE_WRITE) && flow_of(h, e->tag) != NULL)
		net_writable(s->net, now, id);
}

static void
take_events(struct stackd *s, usec_t now)
{
	struct plat_edge_event e[HOSTIO_MAXEVENTS];
	int i, n;

	n = plat_edge_wait(s->host.set, e, HOSTIO_MAXEVENTS);
	daemon_many(s->d, n > 0 ? (size_t)n : 0);
	for (i = 0; i < n; i++)
		event(s, &e[i], now);
}

static void
hostio_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
	take_events(w->data, usec_now(loop));
}

void
hostio_look(struct stackd *s)
{
	if (s->host.look)
		take_events(s, stackd_now(s));
	s->host.look = false;
}

int
hostio_init(struct stackd *s, uint32_t nflow)
{
	struct hostio *h = &s->host;
	uint32_t i;

	ev_init(&h->watch, hostio_cb);
	h->watch.data = s;
	h->flow = calloc(nflow, sizeof(*h->flow));
	if (h->flow == NULL || (h->set = plat_edge_new()) == -1)
		return -1;
	h->nflow = nflow;
	for (i = 0; i < nflow; i++)
		h->flow[i].fd = h->flow[i].early = -1;
	ev_io_set(&h->watch, h->set, EV_READ);
	ev_io_start(s->d->loop, &h->watch);
	return 0;
}

void
hostio_fini(struct stackd *s)
{
	struct hostio *h = &s->host;
	uint32_t i;

	ev_io_stop(s->d->loop, &h->watch);
	for (i = 0; i < h->nflow; i++)
		hostio_close(s, i, false);
	hostio_settle(s);
	if (h->nflow > 0)
		close(h->set);
	free(h->flow);
}

int
hostio_add(struct stackd *s, uint32_t id, int fd, enum net_proto proto,
    bool connecting)
{
	struct hostflow *f = &s->host.flow[id];

	if (plat_edge_add(
		s->host.set, fd, tag_of(id, f->gen + 1), connecting) == -1) {
		close(fd);
		return -1;
	}
	f->gen++;
	f->fd = fd;
	f->cur = -1;
	f->dry = 0;
	f->eof = f->reads = false;
	f->error = 0;
	f->waits = false;
	f->tells = connecting;
	f->gso = 0;
	f->ttl = f->tos = 0;
	f->df = -1;
	f->gso_bad = proto == NET_UDP ? HOSTDGRAM_GSO : HOSTDGRAM_SINGLY;
	f->proto = (uint8_t)proto;
	f->connecting = connecting;
	s->host.look |= connecting;
	return 0;
}

int
hostio_head(struct stackd *s, uint32_t id, const void *p, size_t len)
{
	struct hostflow *f = &s->host.flow[id];

	if ((f->head = malloc(len)) == NULL)
		return -1;
	memcpy(f->head, p, len);
	f->headlen = len;
	return 0;
}

void
hostio_early(struct stackd *s, uint32_t id, int early)
{
	s->host.flow[id].early = early;
}

void
hostio_early_end(struct hostflow *f)
{
	if (f->early != -1)
		close(f->early);
	f->early = -1;
}

void
hostio_close(struct stackd *s, uint32_t id, bool reset)
{
	struct hostflow *f = hostio_flow(s, id);

	if (f == NULL)
		return;
	late(s, f, reset && f->proto == NET_TCP ? LATE_RESET : LATE_CLOSE);
	f->fd = -1;
	hostio_early_end(f);
	free(f->head);
	f->head = NULL;
}

int
hostio_fd(const struct stackd *s, uint32_t id, enum net_proto proto)
{
	const struct hostflow *f;

	if (id >= s->host.nflow)
		return -1;
	f = &s->host.flow[id];
	return f->proto == proto ? f->fd : -1;
}

size_t
hostio_len(const struct iovec *iov, int n)
{
	size_t len = 0;
	int i;

	for (i = 0; i < n; i++)
		len += iov[i].iov_len;
	return len;
}

/* What is left of iov behind its first skip bytes, in out. */
static int
iov_behind(const struct iovec *iov, int n, size_t skip, struct iovec *out)
{
	int i, k = 0;

	for (i = 0; i < n; i++) {
		if (skip >= iov[i].iov_len) {
			skip -= iov[i].iov_len;
			continue;
		}
		out[k++] = (struct iovec){ (uint8_t *)iov[i].iov_base + skip,
			iov[i].iov_len - skip };
		skip = 0;
	}
	return k;
}

/*
 * An error that tells of a lost connection comes with an event, which tells the
 * core when it has been given what came before.
 */
static void
lost(struct hostflow *f)
{
	if (errno != ECONNRESET && errno != EPIPE && errno != ETIMEDOUT)
		return;
	f->error = errno;
	errno = EAGAIN;
}

static ssize_t
stream_peek(struct hostflow *f, size_t off, const struct iovec *iov, int n)
{
	ssize_t got = plat_peek(f->fd, off, &f->cur, iov, n);

	if (got == -1)
		lost(f);
	return got;
}

/* A peek at a stream that begins with bytes of our own. */
static ssize_t
head_peek(struct hostflow *f, size_t off, const struct iovec *iov, int n)
{
	struct iovec rest[HOSTIO_MAXPEEK];
	size_t put = 0, k;
	ssize_t got = 0;
	int i, nrest;

	if (n > HOSTIO_MAXPEEK)
		n = HOSTIO_MAXPEEK;
	for (i = 0; i < n && off + put < f->headlen; i++) {
		k = f->headlen - off - put;
		if (k > iov[i].iov_len)
			k = iov[i].iov_len;
		memcpy(iov[i].iov_base, f->head + off + put, k);
		put += k;
	}
	nrest = iov_behind(iov, n, put, rest);
	if (nrest > 0)
		got = stream_peek(f, off + put - f->headlen, rest, nrest);
	if (put > 0)
		return (ssize_t)put + (got > 0 ? got : 0);
	return got;
}

/* Drops up to n bytes of the head; how many. */
static size_t
head_consume(struct hostflow *f, size_t n)
{
	if (f->head == NULL)
		return 0;
	if (n < f->headlen) {
		memmove(f->head, f->head + n, f->headlen - n);
		f->headlen -= n;
		return n;
	}
	n = f->headlen;
	free(f->head);
	f->head = NULL;
	return n;
}

/*
 * A peek that gets less than it asked for has seen the end of the queue, and
 * whatever comes later is announced by an edge: until then there is nothing
 * behind that place, and no need to ask.  But for the end of the stream,
 * which may have been announced already.
 */
ssize_t
hostio_peek(void *arg, uint32_t id, size_t off, const struct iovec *iov, int n)
{
	struct hostflow *f = hostio_flow(arg, id);
	ssize_t got;

	if (f == NULL)
		return -1;
	if (f->head != NULL)
		return head_peek(f, off, iov, n);
	if (f->dry > 0 && off >= f->dry) {
		errno = EAGAIN;
		return -1;
	}
	got = stream_peek(f, off, iov, n);
	if (got > 0 && !f->eof && (size_t)got < hostio_len(iov, n))
		f->dry = off + (size_t)got;
	return got;
}

void
hostio_consume(void *arg, uint32_t id, size_t n)
{
	struct hostflow *f = hostio_flow(arg, id);

	if (f == NULL)
		return;
	n -= head_consume(f, n);
	if (n > 0)
		plat_discard(f->fd, n, &f->cur, &f->reads);
	show_moved(arg, id, 0, n);
	f->dry = f->dry > n ? f->dry - n : 0;
}

void
hostio_hold(void *arg, uint32_t id, size_t n)
{
	struct hostflow *f = hostio_flow(arg, id);

	if (f != NULL)
		plat_hold(f->fd, n);
}

ssize_t
hostio_write(void *arg, uint32_t id, const struct iovec *iov, int n)
{
	struct hostflow *f = hostio_flow(arg, id);
	ssize_t done;

	if (f == NULL)
		return -1;
	done = writev(f->fd, iov, n < HOSTIO_MAXIOV ? n : HOSTIO_MAXIOV);
	if (done > 0)
		show_moved(arg, id, (uint64_t)done, 0);
	else if (done == -1 && errno == EAGAIN)
		hostio_full(arg, id);
	else if (done == -1)
		lost(f);
	return done;
}

void
hostio_shutdown(void *arg, uint32_t id)
{
	struct hostflow *f = hostio_flow(arg, id);

	if (f != NULL)
		late(arg, f, LATE_SHUTDOWN);
}

size_t
hostio_room(void *arg, uint32_t id)
{
	struct hostflow *f = hostio_flow(arg, id);

	return f == NULL ? 0 : plat_room(f->fd);
}

bool
hostio_error(void *arg, uint32_t id, struct net_hosterr *h)
{
	struct hostflow *f = hostio_flow(arg, id);
	struct plat_sockerr e;

	h->len = sizeof(h->data);
	if (f == NULL || plat_sockerr(f->fd, &e, h->data, &h->len) == -1)
		return false;
	h->type = e.type;
	h->code = e.code;
	h->mtu = e.info < UINT16_MAX ? (uint16_t)e.info : UINT16_MAX;
	h->from = e.from;
	return true;
}

size_t
hostio_mtu(void *arg, uint32_t id)
{
	struct hostflow *f = hostio_flow(arg, id);

	return f == NULL ? 0 : plat_path_mtu(f->fd);
}
