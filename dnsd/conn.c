/*
 * TCP to the servers, RFC 7766: queries go one behind the other over a
 * connection that is kept for a while, and answers come in any order.  A
 * server may close it at any time; what it has not answered then is asked
 * again over a new one.  Some answer one question for each: as long as every
 * connection brings an answer, that goes on.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dnsd/dnsd.h"

#define READS  4	   /* in a turn */
#define OUTMAX (256 << 10) /* bytes that wait for one connection */
#define SILENT 3 /* given up one after the other: another one is better */

struct conn {
	struct server *server; /* borrowed */
	int fd;		       /* owned; -1: portd was asked for it */
	bool used;	       /* a server has said something here */
	bool answered;	       /* ... to what was asked */
	bool old;	       /* perhaps of a network that is gone */
	unsigned silent;       /* given up since the last answer */
	struct attempts asked;
	size_t nasked;
	struct ev_io rd, wr;
	struct ev_timer idle;
	uint8_t *out; /* owned: not written yet */
	size_t outlen;
	size_t inlen;
	uint8_t in[2 + DNS_MAXMSG];
	TAILQ_ENTRY(conn) entry;
};

static struct ev_loop *
loop_of(const struct conn *c)
{
	return c->server->d->d->loop;
}

static void
conn_unlink(struct conn *c)
{
	TAILQ_REMOVE(&c->server->conns, c, entry);
	c->server->nconn--;
}

static void
conn_free(struct conn *c)
{
	ev_io_stop(loop_of(c), &c->rd);
	ev_io_stop(loop_of(c), &c->wr);
	ev_timer_stop(loop_of(c), &c->idle);
	if (c->fd != -1)
		close(c->fd);
	free(c->out);
	free(c);
}

/*
 * RFC 7766 6.2.4: not answered is not refused.  An answer is progress, and
 * there are no more of them than questions; other messages may come again and
 * again, and are good for once.
 */
static bool
may_ask_again(const struct conn *c, const struct attempt *a)
{
	return c->answered || (c->used && !a->again);
}

/* It is of no more use; what was asked over it is asked again, or fails. */
static void
conn_fail(struct conn *c)
{
	struct attempt *a;

	conn_unlink(c);
	while ((a = TAILQ_FIRST(&c->asked)) != NULL) {
		TAILQ_REMOVE(&c->asked, a, entry);
		a->conn = NULL;
		if (may_ask_again(c, a) && conn_ask(c->server, a) == 0)
			a->again |= !c->answered;
		else
			lookup_attempt_failed(a->lookup, a);
	}
	conn_free(c);
}

void
conn_cancel(struct attempt *a)
{
	TAILQ_REMOVE(&a->conn->asked, a, entry);
	a->conn->nasked--;
	a->conn->silent++;
	a->conn = NULL;
}

static struct attempt *
conn_find(const struct conn *c, uint16_t id)
{
	struct attempt *a;

	TAILQ_FOREACH (a, &c->asked, entry) {
		if (a->id == id)
			return a;
	}
	return NULL;
}

static void
conn_message(struct conn *c, uint8_t *p, size_t len)
{
	struct attempt *a = NULL;

	if (len >= DNS_HDRLEN)
		a = conn_find(c, (uint16_t)(p[0] << 8 | p[1]));
	c->used = true;
	/* Also when nobody waits for this any more, as others were quicker. */
	c->silent = 0;
	if (a == NULL)
		stats_inc(&c->server->d->d->stats, DNSS_LATE);
	else if (upstream_judge(a, p, len))
		c->answered = true;
	c->silent = 0; /* who has its answer has not given up */
}

static void
conn_parse(struct conn *c)
{
	size_t off = 0, len;

	while (c->inlen - off >= 2) {
		len = (size_t)c->in[off] << 8 | c->in[off + 1];
		if (c->inlen - off - 2 < len)
			break;
		conn_message(c, c->in + off + 2, len);
		off += 2 + len;
	}
	c->inlen -= off;
	memmove(c->in, c->in + off, c->inlen);
}

static void
conn_read(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct conn *c = w->data;
	ssize_t n;
	int i;

	for (i = 0; i < READS; i++) {
		n = read(c->fd, c->in + c->inlen, sizeof(c->in) - c->inlen);
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n <= 0) {
			conn_fail(c);
			return;
		}
		c->inlen += (size_t)n;
		conn_parse(c);
	}
	ev_timer_again(loop, &c->idle);
}

/* Also the first event of a connection: connected, or not. */
static void
conn_write(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct conn *c = w->data;
	ssize_t n;

	if (c->outlen > 0) {
		n = write(c->fd, c->out, c->outlen);
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n == -1) {
			conn_fail(c);
			return;
		}
		c->outlen -= (size_t)n;
		memmove(c->out, c->out + n, c->outlen);
	}
	if (c->outlen == 0)
		ev_io_stop(loop, w);
	ev_timer_again(loop, &c->idle);
}

static void
conn_idle(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct conn *c = w->data;

	if (c->nasked > 0)
		return; /* its lookup has a timer of its own */
	conn_unlink(c);
	conn_free(c);
}

static struct conn *
conn_new(struct server *s)
{
	struct conn *c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	c->server = s;
	c->fd = -1;
	TAILQ_INIT(&c->asked);
	ev_init(&c->rd, conn_read);
	ev_init(&c->wr, conn_write);
	ev_init(&c->idle, conn_idle);
	c->idle.repeat = DNSD_IDLE_SEC;
	c->rd.data = c->wr.data = c->idle.data = c;
	TAILQ_INSERT_TAIL(&s->conns, c, entry);
	s->nconn++;
	upstream_want(s, true, 1);
	return c;
}

/* It has kept silent too often, or is perhaps of a network that is gone. */
static bool
is_doubtful(const struct conn *c)
{
	return c->old || (c->fd != -1 && c->silent >= SILENT);
}

/*
 * A place for a connection.  A doubtful one keeps its own only while something
 * is asked over it, or an answer is being read: a guest could fill them all
 * with questions that nobody answers, and leave the others without TCP.
 */
static bool
conn_room(struct server *s)
{
	struct conn *c;

	if (s->nconn < DNSD_CONNS)
		return true;
	TAILQ_FOREACH (c, &s->conns, entry) {
		if (is_doubtful(c) && c->nasked == 0 && c->inlen == 0) {
			conn_unlink(c);
			conn_free(c);
			return true;
		}
	}
	return false;
}

/*
 * Whether a question is better asked over a than over b.  Of doubtful ones
 * one is asked for as long as it is the least silent, so that the others come
 * to their end.
 */
static bool
is_better(const struct conn *a, const struct conn *b)
{
	if (is_doubtful(a) != is_doubtful(b))
		return !is_doubtful(a);
	if (!is_doubtful(a))
		return a->nasked < b->nasked;
	return a->old != b->old ? !a->old : a->silent < b->silent;
}

/* The best there is, or another when that has enough. */
static struct conn *
conn_choose(struct server *s)
{
	struct conn *c, *best = NULL;

	TAILQ_FOREACH (c, &s->conns, entry) {
		if (best == NULL || is_better(c, best))
			best = c;
	}
	if (best != NULL && !is_doubtful(best) && best->nasked < DNSD_CONNASKED)
		return best;
	if (conn_room(s))
		return conn_new(s);
	return best != NULL && best->nasked < DNSD_CONNMAX ? best : NULL;
}

static int
conn_send(struct conn *c, const struct attempt *a)
{
	size_t cap = 2 + DNSD_MAXQUERY + DNS_OPTLEN, n;
	uint8_t *p;

	if (c->outlen > OUTMAX ||
	    (p = realloc(c->out, c->outlen + cap)) == NULL)
		return -1;
	c->out = p;
	p += c->outlen;
	n = upstream_form(a, p + 2, cap - 2);
	p[0] = (uint8_t)(n >> 8);
	p[1] = (uint8_t)n;
	c->outlen += 2 + n;
	if (c->fd != -1)
		ev_io_start(loop_of(c), &c->wr);
	return 0;
}

int
conn_ask(struct server *s, struct attempt *a)
{
	struct conn *c = conn_choose(s);

	if (c == NULL) {
		stats_inc(&s->d->d->stats, DNSS_SOCK_REFUSED);
		return -1;
	}
	while (conn_find(c, a->id) != NULL)
		a->id = upstream_random_id(s->d);
	if (conn_send(c, a) == -1)
		return -1;
	a->conn = c;
	TAILQ_INSERT_TAIL(&c->asked, a, entry);
	c->nasked++;
	return 0;
}

void
conn_take_fd(struct server *s, int fd)
{
	struct conn *c;

	TAILQ_FOREACH (c, &s->conns, entry) {
		if (c->fd == -1)
			break;
	}
	if (c == NULL) {
		close(fd);
		return;
	}
	c->fd = fd;
	ev_io_set(&c->rd, fd, EV_READ);
	ev_io_set(&c->wr, fd, EV_WRITE);
	ev_io_start(loop_of(c), &c->rd);
	ev_io_start(loop_of(c), &c->wr);
	ev_timer_again(loop_of(c), &c->idle);
}

void
conns_refused(struct server *s)
{
	struct conn *c;

	TAILQ_FOREACH (c, &s->conns, entry) {
		if (c->fd == -1) {
			conn_fail(c);
			return;
		}
	}
}

void
conns_again(struct server *s)
{
	struct conn *c;

	TAILQ_FOREACH (c, &s->conns, entry) {
		if (c->fd == -1)
			upstream_want(s, true, 1);
	}
}

void
conns_renew(struct server *s)
{
	struct conn *c, *next;

	TAILQ_FOREACH_SAFE (c, &s->conns, entry, next) {
		c->old = c->fd != -1;
		if (c->old && c->nasked == 0) {
			conn_unlink(c);
			conn_free(c);
		}
	}
}

void
conns_close(struct server *s)
{
	struct conn *c;

	while ((c = TAILQ_FIRST(&s->conns)) != NULL) {
		conn_unlink(c);
		conn_free(c);
	}
}
