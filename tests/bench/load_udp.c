/*
 * UDP: echoes with a window, and floods in either direction.  Datagrams are
 * sent and received in batches, so that it is not the load that is measured.
 */

#include <sys/socket.h>
#include <err.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "load.h"

#define BATCH	    64
#define MAXDGRAM    2048
#define SOCKBUF	    (2 << 20)
#define ECHO_MS	    20 /* without any echo: what is on its way is lost */
#define ASK_MS	    200
#define ASK_TRIES   50
#define SETTLE_MS   100	 /* late answers, late datagrams */
#define PULL_MS	    2000 /* without any datagram: it is over */
#define END_MARK    0xfeedfeedfeedfeedu
#define END_REPEATS 20 /* 10 ms apart: one of them will arrive */

/* Shared by the threads of the servers. */
struct servers {
	const char *addr;
	atomic_uint_fast64_t pkts, bytes; /* in the sink */
};

/* Numbers of one machine: no byte order. */
struct count {
	uint64_t pkts, bytes;
};

struct pull {
	uint32_t size, ms;
};

struct end {
	uint64_t mark, sent;
};

/* Buffers and headers of one batch. */
struct batch {
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH];
	struct sockaddr_in from[BATCH];
	char buf[BATCH][MAXDGRAM];
};

static struct batch *
batch_new(void)
{
	struct batch *b = calloc(1, sizeof(*b));

	if (b == NULL)
		err(1, "memory");
	return b;
}

/* All datagrams alike; to nobody when the socket is connected. */
static void
batch_fill(struct batch *b, size_t size, struct sockaddr_in *to)
{
	size_t i;

	for (i = 0; i < BATCH; i++) {
		b->iov[i] = (struct iovec){ b->buf[0], size };
		b->msg[i].msg_hdr = (struct msghdr){ .msg_iov = &b->iov[i],
			.msg_iovlen = 1,
			.msg_name = to,
			.msg_namelen = to != NULL ? sizeof(*to) : 0 };
	}
}

static int
batch_recv(struct batch *b, int fd)
{
	size_t i;

	for (i = 0; i < BATCH; i++) {
		b->iov[i] = (struct iovec){ b->buf[i], MAXDGRAM };
		b->msg[i].msg_hdr = (struct msghdr){ .msg_iov = &b->iov[i],
			.msg_iovlen = 1,
			.msg_name = &b->from[i],
			.msg_namelen = sizeof(b->from[i]) };
	}
	return recvmmsg(fd, b->msg, BATCH, MSG_WAITFORONE, NULL);
}

static void
big_buffers(int fd)
{
	int size = SOCKBUF;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

static void
recv_timeout(int fd, int ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
}

/*
 * The servers, a thread each.
 */

static int
udp_bound(const char *addr, int port)
{
	struct sockaddr_in sin = load_addr(addr, port);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd == -1 || bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1)
		err(1, "bind %s:%d", addr, port);
	big_buffers(fd);
	return fd;
}

static void *
echo_thread(void *arg)
{
	struct servers *s = arg;
	int i, n, sent, fd = udp_bound(s->addr, LOAD_UDP_ECHO);
	struct batch *b = batch_new();

	for (;;) {
		n = batch_recv(b, fd);
		for (i = 0; i < n; i++)
			b->iov[i].iov_len = b->msg[i].msg_len;
		for (i = 0; i<n; i += sent> 0 ? sent : 1)
			sent = sendmmsg(fd, b->msg + i, (unsigned)(n - i), 0);
	}
	return NULL;
}

static void *
sink_thread(void *arg)
{
	struct servers *s = arg;
	int i, n, fd = udp_bound(s->addr, LOAD_UDP_SINK);
	struct batch *b = batch_new();
	uint64_t bytes;

	for (;;) {
		n = batch_recv(b, fd);
		for (bytes = 0, i = 0; i < n; i++)
			bytes += b->msg[i].msg_len;
		if (n > 0)
			atomic_fetch_add(&s->pkts, (uint64_t)n);
		atomic_fetch_add(&s->bytes, bytes);
	}
	return NULL;
}

static void *
query_thread(void *arg)
{
	struct servers *s = arg;
	int fd = udp_bound(s->addr, LOAD_UDP_QUERY);
	struct sockaddr_in from;
	struct count c;
	socklen_t len;
	char buf[64];

	for (;;) {
		len = sizeof(from);
		if (recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from,
			&len) == -1)
			continue;
		c.pkts = atomic_load(&s->pkts);
		c.bytes = atomic_load(&s->bytes);
		sendto(fd, &c, sizeof(c), 0, (struct sockaddr *)&from, len);
	}
	return NULL;
}

static void
pull_serve(
    int fd, struct batch *b, const struct pull *p, struct sockaddr_in *to)
{
	double end = load_now() + p->ms / 1e3;
	struct end e = { .mark = END_MARK };
	int i, n;

	batch_fill(b, p->size < MAXDGRAM ? p->size : MAXDGRAM, to);
	while (load_now() < end) {
		if ((n = sendmmsg(fd, b->msg, BATCH, 0)) > 0)
			e.sent += (uint64_t)n;
	}
	for (i = 0; i < END_REPEATS; i++) {
		poll(NULL, 0, 10);
		sendto(
		    fd, &e, sizeof(e), 0, (struct sockaddr *)to, sizeof(*to));
	}
}

static void *
pull_thread(void *arg)
{
	struct servers *s = arg;
	int fd = udp_bound(s->addr, LOAD_UDP_PULL);
	struct batch *b = batch_new();
	struct sockaddr_in from;
	struct pull p;
	socklen_t len;

	for (;;) {
		len = sizeof(from);
		if (recvfrom(fd, &p, sizeof(p), 0, (struct sockaddr *)&from,
			&len) == sizeof(p))
			pull_serve(fd, b, &p, &from);
	}
	return NULL;
}

void
udp_serve(const char *addr)
{
	static void *(*const run[])(
	    void *) = { echo_thread, sink_thread, query_thread, pull_thread };
	struct servers *s = calloc(1, sizeof(*s)); /* for as long as we run */
	pthread_t thread;
	size_t i;

	if (s == NULL)
		err(1, "memory");
	s->addr = addr;
	for (i = 0; i < nitems(run); i++) {
		if (pthread_create(&thread, NULL, run[i], s) != 0)
			errx(1, "thread");
	}
}

/*
 * The clients.
 */

static int
udp_connected(const char *host, int port)
{
	struct sockaddr_in sin = load_addr(host, port);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd == -1 || connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1)
		err(1, "UDP to %s:%d", host, port);
	return fd;
}

void
udp_echo(const char *host, size_t size, int window, double secs)
{
	int n, out = 0, fd = udp_connected(host, LOAD_UDP_ECHO);
	struct batch *tx = batch_new(), *rx = batch_new();
	uint64_t sent = 0, echoed = 0, lost = 0;
	double begin = load_now(), took;

	big_buffers(fd);
	recv_timeout(fd, ECHO_MS);
	batch_fill(tx, size, NULL);
	while ((took = load_now() - begin) < secs) {
		for (; out < window; out += n, sent += (uint64_t)n) {
			n = window - out < BATCH ? window - out : BATCH;
			n = sendmmsg(fd, tx->msg, (unsigned)n, 0);
			if (n <= 0)
				break;
		}
		if ((n = batch_recv(rx, fd)) > 0) {
			echoed += (uint64_t)n;
			out = out > n ? out - n : 0;
		} else {
			lost += (uint64_t)out;
			out = 0;
		}
	}
	printf("udpecho size=%zu win=%d echo_pps=%.0f Mbit/s=%.1f lost=%llu "
	       "of %llu\n",
	    size, window, (double)echoed / took,
	    (double)(echoed * size * 8) / took / 1e6, (unsigned long long)lost,
	    (unsigned long long)sent);
	free(tx);
	free(rx);
	close(fd);
}

/* What the sink has counted so far. */
static struct count
sink_count(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct count c, later;
	int i;

	for (i = 0; i < ASK_TRIES; i++) {
		if (send(fd, "q", 1, 0) == -1 || poll(&p, 1, ASK_MS) != 1 ||
		    recv(fd, &c, sizeof(c), 0) != sizeof(c))
			continue;
		/* Answers to earlier questions may still come. */
		while (poll(&p, 1, SETTLE_MS) == 1)
			if (recv(fd, &later, sizeof(later), MSG_DONTWAIT) ==
			    sizeof(later))
				c = later;
		return c;
	}
	errx(1, "the sink does not answer");
}

/* The same when nothing is on its way any more. */
static struct count
sink_settled(int fd)
{
	struct count before, c = sink_count(fd);

	do {
		before = c;
		c = sink_count(fd);
	} while (c.pkts != before.pkts);
	return c;
}

void
udp_flood(const char *host, size_t size, double secs)
{
	int n, fd = udp_connected(host, LOAD_UDP_SINK);
	int query = udp_connected(host, LOAD_UDP_QUERY);
	struct batch *b = batch_new();
	struct count before = sink_count(query), after;
	uint64_t sent = 0, got;
	double begin, took;

	batch_fill(b, size, NULL);
	begin = load_now();
	while ((took = load_now() - begin) < secs) {
		if ((n = sendmmsg(fd, b->msg, BATCH, 0)) > 0)
			sent += (uint64_t)n;
	}
	after = sink_settled(query);
	got = after.pkts - before.pkts;
	printf("udpflood size=%zu sent_pps=%.0f recv_pps=%.0f "
	       "recv_Mbit/s=%.1f loss=%.1f%%\n",
	    size, (double)sent / took, (double)got / took,
	    (double)((after.bytes - before.bytes) * 8) / took / 1e6,
	    sent > 0 ? 100 * (1 - (double)got / (double)sent) : 0);
	free(b);
	close(fd);
	close(query);
}

/* Counts a batch; 1 when the end was in it, with *sent from there. */
static int
pull_count(const struct batch *b, int n, struct count *c, uint64_t *sent)
{
	struct end e;
	int i;

	for (i = 0; i < n; i++) {
		memcpy(&e, b->buf[i], sizeof(e));
		if (b->msg[i].msg_len == sizeof(e) && e.mark == END_MARK) {
			*sent = e.sent;
			return 1;
		}
		c->pkts++;
		c->bytes += b->msg[i].msg_len;
	}
	return 0;
}

void
udp_pull(const char *host, size_t size, double secs)
{
	struct pull p = { (uint32_t)size, (uint32_t)(secs * 1000) };
	int n, fd = udp_connected(host, LOAD_UDP_PULL);
	struct batch *b = batch_new();
	struct count c = { 0, 0 };
	uint64_t sent = 0;

	big_buffers(fd);
	recv_timeout(fd, PULL_MS);
	if (send(fd, &p, sizeof(p), 0) == -1)
		err(1, "send");
	while ((n = batch_recv(b, fd)) > 0) {
		if (pull_count(b, n, &c, &sent) == 1)
			break;
	}
	printf("udppull size=%zu sent=%llu recv=%llu recv_pps=%.0f "
	       "recv_Mbit/s=%.1f loss=%.1f%%\n",
	    size, (unsigned long long)sent, (unsigned long long)c.pkts,
	    (double)c.pkts / secs, (double)(c.bytes * 8) / secs / 1e6,
	    sent > 0 ? 100 * (1 - (double)c.pkts / (double)sent) : 0);
	free(b);
	close(fd);
}
