/*
 * The servers.  A UDP query takes an idle socket out of its server's pool and
 * closes it afterwards; the pool is filled again from portd while it is in
 * use.  A pool that runs empty is made larger.  A TCP query has portd open a
 * connection, sends one message and reads one.
 */

#include <bsd/stdlib.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dnsd/dnsd.h"

#define POOL_START 8
#define POOL_CHUNK 32 /* sockets asked for at a time */
#define READ_BATCH 8  /* wrong answers read a turn */

/* What a request is for, in the number portd gives back with its answer. */
#define REQ_GEN(id)    ((id) >> 16)
#define REQ_SERVER(id) ((id) >> 8 & 0xff)
#define REQ_TCP	       0x80u
#define REQ_COUNT      0x7fu

static uint16_t
random_id(struct dnsd *d)
{
	if (d->nrandom == 0) {
		arc4random_buf(d->random, sizeof(d->random));
		d->nrandom = nitems(d->random);
	}
	return d->random[--d->nrandom];
}

static void
ask_portd(struct server *s, bool tcp, size_t count)
{
	struct dnsd *d = s->d;
	struct ipc *portd = daemon_peer(d->d, ROLE_PORT, 0);
	char addr[IPADDR_STRLEN];
	uint32_t id = (uint32_t)d->generation << 16 | (uint32_t)s->num << 8 |
		      (tcp ? REQ_TCP : 0) | (uint32_t)count;

	if (portd == NULL ||
	    ipc_send(portd, IPC_SOCK_OPEN, NULL, 0, "{s:I,s:s,s:s,s:i,s:i}",
		"id", (json_int_t)id, "proto", tcp ? "tcp" : "udp", "addr",
		ipaddr_str(&s->addr.addr, addr), "port", s->addr.port, "count",
		(int)count) == -1)
		return;
	if (tcp)
		s->asked_tcp += count;
	else
		s->asked += count;
}

/*
 * Asks for what the pool lacks.  Not for each socket: in pieces, unless
 * somebody waits.
 */
static void
pool_fill(struct server *s)
{
	size_t want = s->target + s->nwait, have = s->nfd + s->asked, n;

	if (s->nwait <= s->asked && have > s->target / 2)
		return;
	for (; have < want; have += n) {
		n = want - have < POOL_CHUNK ? want - have : POOL_CHUNK;
		ask_portd(s, false, n);
	}
}

static void
pool_drain(struct server *s)
{
	while (s->nfd > 0)
		close(s->fd[--s->nfd]);
}

void
upstream_flush(struct server *s)
{
	pool_drain(s);
	s->target = POOL_START;
}

static void
attempt_wait(struct attempt *a, bool tcp)
{
	a->waiting = true;
	if (tcp) {
		TAILQ_INSERT_TAIL(&a->server->wait_tcp, a, entry);
		return;
	}
	TAILQ_INSERT_TAIL(&a->server->wait, a, entry);
	a->server->nwait++;
}

static void
attempt_unwait(struct attempt *a)
{
	a->waiting = false;
	if (a->lookup->client->tcp) {
		TAILQ_REMOVE(&a->server->wait_tcp, a, entry);
		return;
	}
	TAILQ_REMOVE(&a->server->wait, a, entry);
	a->server->nwait--;
}

void
upstream_cancel(struct attempt *a)
{
	if (a->server == NULL)
		return;
	if (a->waiting)
		attempt_unwait(a);
	if (a->fd != -1) {
		ev_io_stop(a->server->d->d->loop, &a->io);
		close(a->fd);
	}
	free(a->buf);
	a->buf = NULL;
	a->fd = -1;
	a->server = NULL;
}

static void
attempt_watch(struct attempt *a,
    void (*cb)(struct ev_loop *, struct ev_io *, int), int events)
{
	struct ev_loop *loop = a->server->d->d->loop;

	ev_io_stop(loop, &a->io);
	ev_io_init(&a->io, cb, a->fd, events);
	a->io.data = a;
	ev_io_start(loop, &a->io);
}

static void
attempt_set_id(struct attempt *a)
{
	a->lookup->msg[2] = (uint8_t)(a->id >> 8);
	a->lookup->msg[3] = (uint8_t)a->id;
}

/* Hands a message on; false when it answers something else. */
static bool
attempt_judge(struct attempt *a, uint8_t *msg, size_t len)
{
	struct lookup *l = a->lookup;

	if (!query_answered_by(&l->q, a->id, rd_init(msg, len))) {
		stats_inc(&l->d->d->stats, DNSS_LATE);
		return false;
	}
	lookup_answer(l, a, msg, len);
	return true;
}

static void
udp_read(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct attempt *a = w->data;
	struct dnsd *d = a->server->d;
	ssize_t n;
	int i;

	for (i = 0; i < READ_BATCH; i++) {
		n = read(a->fd, d->buf, sizeof(d->buf));
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n == -1) {
			lookup_attempt_failed(a->lookup, a);
			return;
		}
		if (attempt_judge(a, d->buf, (size_t)n))
			return;
	}
}

/* -1: this server cannot be reached. */
static int
udp_send(struct attempt *a, int fd)
{
	struct lookup *l = a->lookup;

	a->fd = fd;
	attempt_set_id(a);
	/* A full socket has lost the datagram, as any router may. */
	if (write(fd, l->msg + 2, l->len) == -1 && errno != EAGAIN &&
	    errno != EINTR)
		return -1;
	attempt_watch(a, udp_read, EV_READ);
	return 0;
}

/* Reads up to have bytes of the answer in all; 1 when they are there. */
static int
tcp_fill(struct attempt *a, size_t have)
{
	ssize_t n;

	if (a->len >= have)
		return 1;
	n = read(a->fd, a->buf + a->len, have - a->len);
	if (n == -1)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (n == 0)
		return -1;
	a->len += (size_t)n;
	return a->len == have;
}

static void
tcp_read(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct attempt *a = w->data;
	size_t len = 0;
	uint8_t *p;
	int got;

	got = tcp_fill(a, 2);
	if (got == 1) {
		len = (size_t)a->buf[0] << 8 | a->buf[1];
		if (a->len == 2 && (p = realloc(a->buf, 2 + len)) != NULL)
			a->buf = p;
		else if (a->len == 2)
			got = -1;
	}
	if (got == 1)
		got = tcp_fill(a, 2 + len);
	if (got == 1 && attempt_judge(a, a->buf + 2, len))
		return;
	if (got != 0)
		lookup_attempt_failed(a->lookup, a);
}

/* Connected, or not. */
static void
tcp_write(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct attempt *a = w->data;
	struct lookup *l = a->lookup;
	size_t len = 2 + l->len;
	ssize_t n;

	attempt_set_id(a);
	n = write(a->fd, l->msg, len);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	/* A new connection takes a query whole. */
	if (n != (ssize_t)len || (a->buf = malloc(2)) == NULL) {
		lookup_attempt_failed(l, a);
		return;
	}
	a->len = 0;
	attempt_watch(a, tcp_read, EV_READ);
}

int
upstream_ask(struct server *s, struct attempt *a)
{
	int ret = 0;

	/* A guest that asks and goes again does not take its request along. */
	if (a->lookup->client->tcp && s->asked_tcp >= DNSD_TCPASKED) {
		stats_inc(&s->d->d->stats, DNSS_SOCK_REFUSED);
		return -1;
	}
	a->server = s;
	a->id = random_id(s->d);
	if (a->lookup->client->tcp) {
		attempt_wait(a, true);
		ask_portd(s, true, 1);
		return 0;
	}
	if (s->nfd > 0) {
		ret = udp_send(a, s->fd[--s->nfd]);
		if (ret == -1)
			upstream_cancel(a);
	} else {
		stats_inc(&s->d->d->stats, DNSS_POOL_EMPTY);
		if (s->target * 2 <= DNSD_POOLMAX &&
		    s->target * 2 <= s->d->maxidle / s->d->nserver)
			s->target *= 2;
		attempt_wait(a, false);
	}
	pool_fill(s);
	return ret;
}

/* The server a number of a request belongs to; NULL: not any more. */
static struct server *
request_server(struct dnsd *d, uint32_t id)
{
	struct server *s;
	size_t *asked, n = id & REQ_COUNT;

	if (REQ_GEN(id) != d->generation || REQ_SERVER(id) >= d->nserver)
		return NULL;
	s = &d->server[REQ_SERVER(id)];
	asked = (id & REQ_TCP) ? &s->asked_tcp : &s->asked;
	*asked -= n < *asked ? n : *asked;
	return s;
}

static void
take_tcp(struct server *s, int fd)
{
	struct attempt *a = TAILQ_FIRST(&s->wait_tcp);

	if (a == NULL) {
		close(fd);
		return;
	}
	attempt_unwait(a);
	a->fd = fd;
	attempt_watch(a, tcp_write, EV_WRITE);
}

static void
take_udp(struct server *s, int fd)
{
	struct attempt *a = TAILQ_FIRST(&s->wait);

	if (a != NULL) {
		attempt_unwait(a);
		if (udp_send(a, fd) == -1)
			lookup_attempt_failed(a->lookup, a);
	} else if (s->nfd < DNSD_POOLMAX)
		s->fd[s->nfd++] = fd;
	else
		close(fd);
}

void
upstream_sock_fd(struct daemon *dm, struct ipc *from, struct ipc_msg *m)
{
	uint32_t id = (uint32_t)ipc_u64(m, "id");
	struct server *s = request_server(dm->data, id);
	size_t i;

	if (s == NULL)
		return;
	for (i = 0; i < m->nfd; i++) {
		if (id & REQ_TCP)
			take_tcp(s, ipc_take_fd(m, i));
		else
			take_udp(s, ipc_take_fd(m, i));
	}
}

/* Who waits now has failed; who waits again after that has not. */
void
upstream_sock_refused(struct daemon *dm, struct ipc *from, struct ipc_msg *m)
{
	uint32_t id = (uint32_t)ipc_u64(m, "id");
	struct dnsd *d = dm->data;
	struct server *s = request_server(d, id);
	struct attempts *q;
	struct attempt *a;
	size_t n = 0;
	unsigned missed;

	stats_inc(&dm->stats, DNSS_SOCK_REFUSED);
	if (log_rate_ok(&d->refused_log, usec_now(dm->loop), &missed))
		log_warnx("no socket for a server: %s (%u more times)",
		    ipc_str(m, "error"), missed);
	if (s == NULL)
		return;
	q = (id & REQ_TCP) ? &s->wait_tcp : &s->wait;
	TAILQ_FOREACH (a, q, entry)
		n++;
	while (n-- > 0 && (a = TAILQ_FIRST(q)) != NULL)
		lookup_attempt_failed(a->lookup, a);
}

void
upstream_portd(struct dnsd *d)
{
	struct attempt *a;
	struct server *s;

	d->generation++;
	for (s = d->server; s < d->server + d->nserver; s++) {
		s->asked = s->asked_tcp = 0;
		if (s->nwait > 0 || s->num == d->current)
			pool_fill(s);
		TAILQ_FOREACH (a, &s->wait_tcp, entry)
			ask_portd(s, true, 1);
	}
}

bool
upstream_same(const struct dnsd *d, const struct server_addr *sa, size_t n)
{
	size_t i;

	if (n != d->nserver)
		return false;
	for (i = 0; i < n; i++)
		if (ipaddr_cmp(&sa[i].addr, &d->server[i].addr.addr) != 0 ||
		    sa[i].port != d->server[i].addr.port)
			return false;
	return true;
}

int
upstream_set(struct dnsd *d, const struct server_addr *sa, size_t n)
{
	struct server *s;
	size_t i;

	upstream_fini(d);
	if (n == 0)
		return 0;
	if ((s = calloc(n, sizeof(*s))) == NULL)
		return -1;
	for (i = 0; i < n; i++) {
		s[i].d = d;
		s[i].num = (uint8_t)i;
		s[i].addr = sa[i];
		s[i].target = POOL_START;
		TAILQ_INIT(&s[i].wait);
		TAILQ_INIT(&s[i].wait_tcp);
	}
	d->server = s;
	d->nserver = n;
	pool_fill(&s[0]);
	return 0;
}

void
upstream_fini(struct dnsd *d)
{
	size_t i;

	for (i = 0; i < d->nserver; i++)
		pool_drain(&d->server[i]);
	free(d->server);
	d->server = NULL;
	d->nserver = 0;
	d->current = 0;
	d->generation++;
}
