/*
 * Datagrams, of UDP, ICMP and DNS, between host sockets and the core.
 *
 * This process may not send to an address.  A burst of equal datagrams goes as
 * one write on a connected socket, which the kernel cuts (UDP_SEGMENT).
 */

#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <errno.h>
#include <stddef.h>
#include <unistd.h>

#include "common/plat/plat.h"
#include "netstackd/netstackd.h"

#define HOSTIO_MAXDGRAM 64
/* Limits of one write with UDP_SEGMENT. */
#define GSO_MAXSEGS  64
#define GSO_MAXBYTES 65507

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
			hostio_early_end(f); /* there will be no more */
	}
	return got > 0 ? got : recvmmsg(f->fd, mm, n, MSG_DONTWAIT, NULL);
}

int
hostio_recv(void *arg, uint32_t id, struct net_dgram *d, int n)
{
	struct hostflow *f = hostio_flow(arg, id);
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
	return hostio_len(d->iov, d->niov);
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
	struct hostflow *f = hostio_flow(s, id);
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
			hostio_full(s, id);
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

int
hostio_send(void *arg, uint32_t id, const struct net_dgram *d, int n)
{
	struct hostflow *f = hostio_flow(arg, id);
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
				hostio_full(arg, id);
			return i > 0 ? i : -1;
		}
		k = 0; /* the same ones again, singly */
	}
	return n;
}
