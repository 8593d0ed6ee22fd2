/*
 * Host sockets and the core's flows.
 *
 * Every socket is in one edge-triggered set: the core hears of a change once,
 * and asks again itself when it has stopped early.  An event carries the
 * flow's id and how often that id has been used, so that one that was taken
 * together with the event that closed the flow meets nobody.
 *
 * This process may not send to an address.  A burst of equal datagrams goes as
 * one write on a connected socket, which the kernel cuts (UDP_SEGMENT).
 */

#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/plat/plat.h"
#include "netstackd/netstackd.h"

#define HOSTIO_MAXEVENTS 128
#define HOSTIO_MAXIOV	 1024 /* of one writev(); IOV_MAX everywhere */
#define HOSTIO_MAXDGRAM	 64
#define HOSTIO_MAXPEEK	 NET_TXBATCH
/* Limits of one write with UDP_SEGMENT. */
#define GSO_MAXSEGS  64
#define GSO_MAXBYTES 65507
#define GSO_NEVER    0 /* as gso_bad: every size is refused */
#define GSO_ALL	     UINT16_MAX

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

static struct hostflow *
flow_get(void *arg, uint32_t id)
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
late(struct stackd *s, int fd, enum hostio_what what)
{
	if (s->host.nlate == nitems(s->host.late))
		hostio_settle(s);
	s->host.late[s->host.nlate++] = (struct hostio_late){ fd, what };
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
		case LATE_ERRORS_OFF:
			plat_sockerr_keep(fd, false);
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

/* The first event of a connecting socket is its result. */
static void
event_connect(struct stackd *s, struct hostflow *f, uint32_t id, usec_t now)
{
	int error = flow_error(f);

	f->connecting = false;
	if (error != 0) {
		net_failed(s->net, now, id, neterr_from_errno(error));
		return;
	}
	/* Of a connection that is there, errors of this kind mean nothing. */
	late(s, f->fd, LATE_ERRORS_OFF);
	net_writable(s->net, now, id);
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
		event_connect(s, f, id, now);
		what &= ~PLAT_EDGE_WRITE;
	} else if (what & PLAT_EDGE_HUP) {
		error = flow_error(f);
	}
	if ((what & PLAT_EDGE_READ) && flow_of(h, e->tag) != NULL)
		net_readable(s->net, now, id);
	if ((error != 0 || (what & PLAT_EDGE_HUP)) && flow_of(h, e->tag) == f)
		event_failed(s, f, id, now, error);
	if ((what & PLAT_EDGE_WRITE) && flow_of(h, e->tag) != NULL)
		net_writable(s->net, now, id);
}

static void
hostio_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct stackd *s = w->data;
	struct plat_edge_event e[HOSTIO_MAXEVENTS];
	usec_t now = usec_now(loop);
	int i, n;

	n = plat_edge_wait(s->host.set, e, HOSTIO_MAXEVENTS);
	daemon_many(s->d, n > 0 ? (size_t)n : 0);
	for (i = 0; i < n; i++)
		event(s, &e[i], now);
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
	f->waits = false;
	f->tells = connecting;
	f->gso = 0;
	f->ttl = f->tos = 0;
	f->df = -1;
	f->gso_bad = proto == NET_UDP ? GSO_ALL : GSO_NEVER;
	f->proto = (uint8_t)proto;
	f->connecting = connecting;
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

static void
early_close(struct hostflow *f)
{
	if (f->early != -1)
		close(f->early);
	f->early = -1;
}

void
hostio_close(struct stackd *s, uint32_t id, bool reset)
{
	struct hostflow *f = flow_get(s, id);

	if (f == NULL)
		return;
	late(s, f->fd, reset && f->proto == NET_TCP ? LATE_RESET : LATE_CLOSE);
	f->fd = -1;
	early_close(f);
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

static size_t
iov_len(const struct iovec *iov, int n)
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
		got = plat_peek(
		    f->fd, off + put - f->headlen, &f->cur, rest, nrest);
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
	struct hostflow *f = flow_get(arg, id);
	ssize_t got;

	if (f == NULL)
		return -1;
	if (f->head != NULL)
		return head_peek(f, off, iov, n);
	if (f->dry > 0 && off >= f->dry) {
		errno = EAGAIN;
		return -1;
	}
	got = plat_peek(f->fd, off, &f->cur, iov, n);
	if (got > 0 && !f->eof && (size_t)got < iov_len(iov, n))
		f->dry = off + (size_t)got;
	return got;
}

void
hostio_consume(void *arg, uint32_t id, size_t n)
{
	struct hostflow *f = flow_get(arg, id);

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
	struct hostflow *f = flow_get(arg, id);

	if (f != NULL)
		plat_hold(f->fd, n);
}

ssize_t
hostio_write(void *arg, uint32_t id, const struct iovec *iov, int n)
{
	struct hostflow *f = flow_get(arg, id);
	ssize_t done;

	if (f == NULL)
		return -1;
	done = writev(f->fd, iov, n < HOSTIO_MAXIOV ? n : HOSTIO_MAXIOV);
	if (done > 0)
		show_moved(arg, id, (uint64_t)done, 0);
	else if (done == -1 && errno == EAGAIN)
		room_wait(arg, f, id, true);
	return done;
}

void
hostio_shutdown(void *arg, uint32_t id)
{
	struct hostflow *f = flow_get(arg, id);

	if (f != NULL)
		late(arg, f->fd, LATE_SHUTDOWN);
}

size_t
hostio_room(void *arg, uint32_t id)
{
	struct hostflow *f = flow_get(arg, id);

	return f == NULL ? 0 : plat_room(f->fd);
}

static int
recv_icmp(const struct hostflow *f, struct net_dgram *d)
{
	ssize_t n = plat_recv_ttl(f->fd, d->iov, d->niov, &d->addr, &d->ttl);

	if (n == -1)
		return -1;
	d->len = (size_t)n;
	d->port = 0;
	return 1;
}

/* Those from before the socket was there come first. */
static int
recv_many(struct hostflow *f, struct mmsghdr *mm, unsigned n)
{
	int got = -1;

	if (f->early != -1) {
		got = recvmmsg(f->early, mm, n, MSG_DONTWAIT, NULL);
		if (got <= 0)
			early_close(f); /* there will be no more */
	}
	return got > 0 ? got : recvmmsg(f->fd, mm, n, MSG_DONTWAIT, NULL);
}

int
hostio_recv(void *arg, uint32_t id, struct net_dgram *d, int n)
{
	struct hostflow *f = flow_get(arg, id);
	struct mmsghdr mm[HOSTIO_MAXDGRAM];
	struct sockaddr_in from[HOSTIO_MAXDGRAM];
	bool named;
	int i, got;

	if (f == NULL)
		return -1;
	if (f->proto == NET_ICMP) {
		if ((got = recv_icmp(f, d)) == 1)
			show_moved(arg, id, 0, show_len(f->proto, d));
		return got;
	}
	named = f->proto == NET_UDP_BIND;
	if (n > HOSTIO_MAXDGRAM)
		n = HOSTIO_MAXDGRAM;
	for (i = 0; i < n; i++) {
		mm[i].msg_hdr = (struct msghdr){
			.msg_name = named ? &from[i] : NULL,
			.msg_namelen = named ? sizeof(from[i]) : 0,
			.msg_iov = d[i].iov,
			.msg_iovlen = (size_t)d[i].niov,
		};
	}
	got = recv_many(f, mm, (unsigned)n);
	for (i = 0; i < got; i++) {
		d[i].len = mm[i].msg_len;
		show_moved(arg, id, 0, show_len(f->proto, &d[i]));
		d[i].addr = named ? ntohl(from[i].sin_addr.s_addr) : 0;
		d[i].port = named ? ntohs(from[i].sin_port) : 0;
	}
	return got;
}

static size_t
dgram_len(const struct net_dgram *d)
{
	return iov_len(d->iov, d->niov);
}

static size_t
dgrams_len(const struct net_dgram *d, int n)
{
	size_t len = 0;
	int i;

	for (i = 0; i < n; i++)
		len += dgram_len(&d[i]);
	return len;
}

/* How many of n datagrams go in one write. */
static int
burst_len(const struct hostflow *f, const struct net_dgram *d, int n)
{
	size_t size = dgram_len(&d[0]), total = size, len;
	int i;

	if (size == 0 || size >= f->gso_bad)
		return 1;
	for (i = 1; i < n && i < GSO_MAXSEGS; i++) {
		len = dgram_len(&d[i]);
		/* An empty one would leave no trace in the stream. */
		if (len == 0 || len > size || total + len > GSO_MAXBYTES)
			break;
		total += len;
		if (len < size)
			return i + 1;
	}
	return i;
}

static int
gso_set(struct hostflow *f, size_t size)
{
	int v = (int)size;

	if (f->gso == size)
		return 0;
	if (setsockopt(f->fd, IPPROTO_UDP, UDP_SEGMENT, &v, sizeof(v)) == -1)
		return -1;
	f->gso = (uint16_t)size;
	return 0;
}

/* One write of n datagrams that burst_len() allows. */
static int
burst_write(struct hostflow *f, const struct net_dgram *d, int n)
{
	struct iovec iov[2 * GSO_MAXSEGS];
	size_t size = dgram_len(&d[0]);
	int i, k, niov = 0;

	for (i = 0; i < n; i++) {
		for (k = 0; k < d[i].niov; k++)
			iov[niov++] = d[i].iov[k];
	}
	/* A single one passes whole as long as it is not above the size. */
	if (n > 1 ? gso_set(f, size) == -1
		  : size > f->gso && gso_set(f, 0) == -1)
		return -1;
	/* Writing nothing is no call at all; an empty datagram is one. */
	if (size == 0)
		return send(f->fd, "", 0, MSG_NOSIGNAL) == -1 ? -1 : 0;
	return writev(f->fd, iov, niov) == -1 ? -1 : 0;
}

/*
 * The kernel does not cut for this path: no offload, or datagrams that it has
 * to fragment.  From this size on it is not asked again.
 */
static bool
gso_refused(struct hostflow *f, size_t size)
{
	if (f->gso == 0 && f->gso_bad <= size)
		return false;
	if (errno != EINVAL && errno != EIO && errno != EMSGSIZE &&
	    errno != ENOPROTOOPT)
		return false;
	f->gso_bad = (uint16_t)size;
	gso_set(f, 0);
	return true;
}

/* Each message to dnsd says how long it is, so many make one datagram. */
static int
dns_send(struct stackd *s, uint32_t id, const struct net_dgram *d, int n)
{
	struct hostflow *f = flow_get(s, id);
	struct iovec iov[2 * HOSTIO_MAXDGRAM];
	int i, k, niov = 0;

	if (n > HOSTIO_MAXDGRAM)
		n = HOSTIO_MAXDGRAM;
	for (i = 0; i < n; i++) {
		for (k = 0; k < d[i].niov; k++)
			iov[niov++] = d[i].iov[k];
	}
	if (writev(f->fd, iov, niov) == -1) {
		if (errno == EAGAIN)
			room_wait(s, f, id, true);
		return -1;
	}
	daemon_many(s->d, (size_t)n);
	show_moved(s, id, dgrams_len(d, n) - (size_t)n * SHOW_DNS_PREFIX, 0);
	return n;
}

/* How the next packets leave.  What the system refuses stays as it is. */
static void
leave_as(struct hostflow *f, const struct net_dgram *d)
{
	if (d->ttl == 0)
		return;
	if (d->ttl != f->ttl && plat_ttl(f->fd, d->ttl) == 0)
		f->ttl = d->ttl;
	if (d->tos != f->tos && plat_tos(f->fd, d->tos) == 0)
		f->tos = d->tos;
	if (d->df != f->df && plat_df(f->fd, d->df) == 0)
		f->df = d->df;
}

bool
hostio_error(void *arg, uint32_t id, struct net_hosterr *h)
{
	struct hostflow *f = flow_get(arg, id);
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
	struct hostflow *f = flow_get(arg, id);

	return f == NULL ? 0 : plat_path_mtu(f->fd);
}

int
hostio_send(void *arg, uint32_t id, const struct net_dgram *d, int n)
{
	struct hostflow *f = flow_get(arg, id);
	int i, k;

	if (f == NULL)
		return -1;
	if (f->proto == NET_DNS)
		return dns_send(arg, id, d, n);
	leave_as(f, &d[0]);
	for (i = 0; i < n; i += k) {
		k = burst_len(f, &d[i], n - i);
		if (burst_write(f, &d[i], k) == 0) {
			show_moved(arg, id, dgrams_len(&d[i], k), 0);
			continue;
		}
		if (!gso_refused(f, dgram_len(&d[i]))) {
			if (errno == EAGAIN)
				room_wait(arg, f, id, true);
			return i > 0 ? i : -1;
		}
		k = 0; /* the same ones again, singly */
	}
	return n;
}
