/*
 * The servers.  A UDP query takes an idle socket out of its server's pool and
 * gives it back afterwards; there is none that waits for more than one answer.
 * A pool that runs empty is made larger.
 *
 * Against forged answers (RFC 5452) a query leaves from a port of its own that
 * the kernel drew, with a random id and, where the server gives them back, its
 * letters in random case.
 */

#include <sys/socket.h>

#include <bsd/stdlib.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dnsd/dnsd.h"

#define READ_BATCH 8 /* wrong answers read a turn */
#define CASE_LOST  3 /* answers in other letters, one after the other */

/* What a request is for, in the number portd gives back with its answer. */
#define REQ_GEN(id)    ((id) >> 16)
#define REQ_SERVER(id) ((id) >> 8 & 0xff)
#define REQ_TCP	       0x80u
#define REQ_COUNT      0x7fu

static void
random_bytes(struct dnsd *d, uint8_t *p, size_t n)
{
	if (d->nrandom < n) {
		arc4random_buf(d->random, sizeof(d->random));
		d->nrandom = sizeof(d->random);
	}
	d->nrandom -= n;
	memcpy(p, d->random + d->nrandom, n);
}

uint16_t
upstream_random_id(struct dnsd *d)
{
	uint8_t b[2];

	random_bytes(d, b, sizeof(b));
	return (uint16_t)(b[0] << 8 | b[1]);
}

void
upstream_want(struct server *s, bool tcp, size_t count)
{
	struct dnsd *d = s->d;
	struct ipc *portd = daemon_peer(d->d, ROLE_PORT, 0);
	char addr[IPADDR_STRLEN];
	uint32_t id = (uint32_t)d->generation << 16 | (uint32_t)s->num << 8 |
		      (tcp ? REQ_TCP : 0) | (uint32_t)count;

	if (portd == NULL ||
	    ipc_send(portd, IPC_SOCK_OPEN, NULL, 0, "{s:I,s:s,s:s,s:i,s:i}",
		"id", (json_int_t)id, "proto", tcp ? "tcp" : "udp", "addr",
		ipaddr_str(&s->conf->addr, addr), "port", s->conf->port,
		"count", (int)count) == -1)
		return;
	if (!tcp)
		s->pool.asked += count;
}

void
upstream_flush(struct server *s)
{
	pool_drain(s);
}

static void
attempt_wait(struct attempt *a)
{
	a->waiting = true;
	TAILQ_INSERT_TAIL(&a->server->wait, a, entry);
	a->server->nwait++;
}

static void
attempt_unwait(struct attempt *a)
{
	a->waiting = false;
	TAILQ_REMOVE(&a->server->wait, a, entry);
	a->server->nwait--;
}

void
upstream_cancel(struct attempt *a)
{
	struct dnsd *d;

	if (a->server == NULL)
		return;
	d = a->server->d;
	if (a->waiting)
		attempt_unwait(a);
	if (a->conn != NULL)
		conn_cancel(a);
	if (a->sock != NULL)
		pool_give(a->sock);
	if (!a->tcp)
		d->nsock--;
	a->sock = NULL;
	a->server = NULL;
}

size_t
upstream_form(const struct attempt *a, uint8_t *out, size_t cap)
{
	const struct lookup *l = a->lookup;

	return query_forward(rd_init(l->msg, l->len), &l->q, a->id,
	    a->mixed ? a->random : NULL, out, cap);
}

/*
 * An answer with all but the letters right is a server that does not keep them,
 * or a forger's luck.  Luck like that comes once and not again and again, so it
 * takes several, and none in the right letters between them, until that server
 * is asked without.
 */
static void
case_lost(struct server *s)
{
	stats_inc(&s->d->d->stats, DNSS_LATE);
	if (s->no_case || ++s->case_lost < CASE_LOST)
		return;
	s->no_case = true;
	stats_inc(&s->d->d->stats, DNSS_NO_CASE);
}

/* Servers that know no EDNS are like that; better than silence it is. */
static bool
judge_bare(struct attempt *a, const uint8_t *msg, size_t len)
{
	uint8_t out[DNS_BAREMAX];
	struct msg_head h;

	len = query_bare_error(
	    &a->lookup->q, a->id, rd_init(msg, len), out, sizeof(out));
	if (len == 0 || msg_head(rd_init(out, len), &h) == -1)
		return false;
	lookup_answer(a->lookup, a, out, len, &h);
	return true;
}

/*
 * RFC 2181 9: what has TC is asked again by TCP, wherever it was cut, be it in
 * a record.  Those before that are for when TCP brings nothing.  The length;
 * 0: the message is broken.
 */
static size_t
judge_whole(
    const struct attempt *a, uint8_t *msg, size_t len, const struct msg_head *h)
{
	struct msg_facts f;

	if (msg_facts(rd_init(msg, len), h, &f) == 0)
		return len;
	if (a->tcp || (h->flags & DNS_TC) == 0)
		return 0;
	return msg_cut(msg, len, h, len);
}

bool
upstream_judge(struct attempt *a, uint8_t *msg, size_t len)
{
	struct lookup *l = a->lookup;
	enum query_match match;
	struct msg_head h;

	match = query_match(
	    &l->q, a->id, a->mixed ? a->random : NULL, rd_init(msg, len), &h);
	/* Where we did not mix them the letters say nothing, RFC 4343 3. */
	if (match == MATCH_CASE && !a->mixed)
		match = MATCH_YES;
	switch (match) {
	case MATCH_YES:
		if ((len = judge_whole(a, msg, len, &h)) == 0)
			break;
		if (a->mixed)
			a->server->case_lost = 0;
		lookup_answer(l, a, msg, len, &h);
		return true;
	case MATCH_CASE:
		case_lost(a->server);
		lookup_ask_again(l, a);
		return true;
	case MATCH_NOT:
		if (judge_bare(a, msg, len))
			return true;
		break;
	}
	stats_inc(&l->d->d->stats, DNSS_LATE);
	return false;
}

static void
udp_failed(struct attempt *a)
{
	a->sock->broken = true;
	lookup_attempt_failed(a->lookup, a);
}

void
upstream_readable(struct attempt *a)
{
	struct dnsd *d = a->server->d;
	ssize_t n;
	int i;

	for (i = 0; i < READ_BATCH; i++) {
		n = recv(a->sock->fd, d->buf, sizeof(d->buf), 0);
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n == -1) {
			udp_failed(a);
			return;
		}
		daemon_many(d->d, 1);
		health_datagram(a->server, d->buf, (size_t)n);
		if (upstream_judge(a, d->buf, (size_t)n))
			return;
	}
}

/* What a socket says of the question before this one it says once. */
static bool
is_sent(int fd, const uint8_t *p, size_t n)
{
	int i;

	for (i = 0; i < 2; i++)
		/* A full socket has lost the datagram, as any router may. */
		if (send(fd, p, n, 0) != -1 || errno == EAGAIN ||
		    errno == EINTR)
			return true;
	return false;
}

/* -1: this server cannot be reached. */
static int
udp_send(struct attempt *a, struct usock *u)
{
	uint8_t out[DNSD_MAXQUERY + DNS_OPTLEN];
	size_t n = upstream_form(a, out, sizeof(out));

	a->sock = u;
	u->attempt = a;
	if (is_sent(u->fd, out, n))
		return 0;
	u->broken = true;
	return -1;
}

bool
upstream_waiter(struct server *s, struct usock *u)
{
	struct attempt *a = TAILQ_FIRST(&s->wait);

	if (a == NULL)
		return false;
	attempt_unwait(a);
	if (udp_send(a, u) == -1)
		udp_failed(a);
	return true;
}

static void
attempt_init(struct server *s, struct attempt *a, bool tcp)
{
	const struct query *q = &a->lookup->q;

	a->server = s;
	a->tcp = tcp;
	a->waiting = a->again = false;
	a->conn = NULL;
	a->sock = NULL;
	a->id = upstream_random_id(s->d);
	a->mixed = q->plain && !s->no_case && !tcp;
	if (a->mixed)
		random_bytes(s->d, a->random, (q->head.namelen + 7) / 8);
}

static int
udp_ask(struct server *s, struct attempt *a)
{
	struct usock *u = pool_take(s);
	int ret = 0;

	s->d->nsock++;
	if (u == NULL) {
		stats_inc(&s->d->d->stats, DNSS_POOL_EMPTY);
		pool_grow(s);
		attempt_wait(a);
	} else if ((ret = udp_send(a, u)) == -1)
		upstream_cancel(a);
	pool_fill(s);
	return ret;
}

int
upstream_ask(struct server *s, struct attempt *a, bool tcp)
{
	if (!tcp && s->d->nsock >= s->d->maxsock) {
		stats_inc(&s->d->d->stats, DNSS_SOCK_REFUSED);
		return -1;
	}
	attempt_init(s, a, tcp);
	if (!tcp)
		return udp_ask(s, a);
	if (conn_ask(s, a) == 0)
		return 0;
	a->server = NULL;
	return -1;
}

/* The server a number of a request belongs to; NULL: not any more. */
static struct server *
request_server(struct dnsd *d, uint32_t id)
{
	struct server *s;
	size_t n = id & REQ_COUNT;

	if (REQ_GEN(id) != d->generation || REQ_SERVER(id) >= d->route.n)
		return NULL;
	s = &d->server[REQ_SERVER(id)];
	if ((id & REQ_TCP) == 0)
		s->pool.asked -= n < s->pool.asked ? n : s->pool.asked;
	return s;
}

void
upstream_sock_fd(struct daemon *dm, struct ipc *from, struct ipc_msg *m)
{
	uint32_t id = (uint32_t)ipc_u64(m, "id");
	struct server *s = request_server(dm->data, id);
	size_t i;

	if (s == NULL || (id & REQ_TCP) == 0)
		return;
	for (i = 0; i < m->nfd; i++)
		conn_take_fd(s, ipc_take_fd(m, i));
}

void
upstream_sock_set(struct daemon *dm, struct ipc *from, struct ipc_msg *m)
{
	uint32_t id = (uint32_t)ipc_u64(m, "id");
	struct server *s = request_server(dm->data, id);

	if (s != NULL && (id & REQ_TCP) == 0)
		pool_add(s, m);
}

void
upstream_owes(struct dnsd *d)
{
	d->socks_owe = true;
}

void
upstream_turn(struct dnsd *d)
{
	size_t i;

	if (!d->socks_owe)
		return;
	d->socks_owe = false;
	for (i = 0; d->server != NULL && i < d->route.n; i++)
		pool_turn(&d->server[i]);
}

/*
 * Who waits now has failed; who waits again after that has not.  That a server
 * is none (EACCES) only says that portd has the next configuration already, or
 * not yet this one: who waits then asks once more with its next try.
 */
void
upstream_sock_refused(struct daemon *dm, struct ipc *from, struct ipc_msg *m)
{
	uint32_t id = (uint32_t)ipc_u64(m, "id");
	struct dnsd *d = dm->data;
	struct server *s = request_server(d, id);
	struct attempt *a;
	unsigned missed;
	const char *error = ipc_str(m, "error");
	size_t n;

	stats_inc(&dm->stats, DNSS_SOCK_REFUSED);
	if (log_rate_ok(&d->refused_log, usec_now(dm->loop), &missed))
		log_warnx("no socket for a server: %s (%u more times)", error,
		    missed);
	if (s == NULL)
		return;
	if (id & REQ_TCP) {
		conns_refused(s);
		return;
	}
	if (strcmp(error, "EACCES") == 0)
		return;
	for (n = s->nwait; n > 0 && (a = TAILQ_FIRST(&s->wait)) != NULL; n--)
		lookup_attempt_failed(a->lookup, a);
}

void
upstream_portd(struct dnsd *d)
{
	struct server *s;

	d->generation++;
	for (s = d->server; s < d->server + d->route.n; s++) {
		s->pool.asked = 0;
		if (s->nwait > 0 || s->num == 0)
			pool_fill(s);
		conns_again(s);
	}
}

int
upstream_set(struct dnsd *d)
{
	struct server *s;
	size_t i;

	if (d->route.n == 0) {
		records_servers(d);
		return 0;
	}
	if ((d->server = calloc(d->route.n, sizeof(*s))) == NULL)
		return -1;
	for (i = 0; i < d->route.n; i++) {
		s = &d->server[i];
		s->d = d;
		s->num = (uint8_t)i;
		s->conf = &d->route.server[i];
		pool_init(&s->pool);
		TAILQ_INIT(&s->wait);
		TAILQ_INIT(&s->conns);
	}
	records_servers(d);
	pool_fill(&d->server[0]);
	return 0;
}

void
upstream_renew(struct dnsd *d)
{
	struct server *s;

	for (s = d->server; s < d->server + d->route.n; s++) {
		upstream_flush(s);
		conns_renew(s);
		s->missed = 0;
		s->offline = false;
		s->no_case = false;
		s->case_lost = 0;
	}
}

void
upstream_fini(struct dnsd *d)
{
	size_t i;

	for (i = 0; d->server != NULL && i < d->route.n; i++) {
		pool_fini(&d->server[i]);
		conns_close(&d->server[i]);
	}
	free(d->server);
	d->server = NULL;
	d->generation++;
}
