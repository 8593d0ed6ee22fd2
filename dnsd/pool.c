/*
 * The UDP sockets of a server.  One is
 *
 *	idle	with a port that nobody has seen yet
 *	busy	an attempt waits for its answer
 *	used	its port has been seen: it will be connected again
 *
 * so that a question costs neither a socket nor a descriptor on its way nor
 * a place in the set of those we watch: what is used stays watched, and what
 * still comes to it is read and forgotten.  Where we may not connect, as when
 * the server's address is not shown to us, a socket is for one question.
 *
 * The sockets stay at one of our addresses, as long as the way to the server
 * begins there: one more, the scout, finds out.
 */

#include <sys/socket.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/plat/plat.h"
#include "dnsd/dnsd.h"

#define STRAY_BATCH 8 /* late answers read a turn */
/* Used ones that are connected again together, while the caches are warm. */
#define USED_MANY 24
/* The way to a server may begin at another address of ours from now on. */
#define LOOK_USEC 10000

static struct ipc *
portd_of(const struct server *s)
{
	return daemon_peer(s->d->d, ROLE_PORT, 0);
}

/* Ends whatever it was, but busy. */
static void
usock_out(struct usock *u)
{
	struct pool *p = &u->server->pool;

	if (u->state == USOCK_IDLE) {
		TAILQ_REMOVE(&p->idle, u, entry);
		p->nidle--;
	} else if (u->state == USOCK_USED) {
		TAILQ_REMOVE(&p->used, u, entry);
		p->nused--;
	}
	u->state = USOCK_BUSY;
}

static void
usock_close(struct usock *u)
{
	usock_out(u);
	ev_io_stop(u->server->d->d->loop, &u->io);
	close(u->fd);
	LIST_REMOVE(u, all);
	free(u);
}

/* It has a fresh port: for who waits, or for later. */
static void
usock_ready(struct usock *u)
{
	struct pool *p = &u->server->pool;

	if (upstream_waiter(u->server, u))
		return;
	if (p->nidle >= POOL_MAX) {
		usock_close(u);
		return;
	}
	u->state = USOCK_IDLE;
	TAILQ_INSERT_HEAD(&p->idle, u, entry);
	p->nidle++;
}

/* What comes to a socket that nobody waits at. */
static void
usock_stray(struct usock *u)
{
	struct dnsd *d = u->server->d;
	ssize_t n;
	int i;

	for (i = 0; i < STRAY_BATCH; i++) {
		n = read(u->fd, d->buf, sizeof(d->buf));
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n == -1) {
			usock_close(u);
			return;
		}
		health_datagram(u->server, d->buf, (size_t)n);
		stats_inc(&d->d->stats, DNSS_LATE);
	}
}

static void
usock_read(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct usock *u = w->data;

	if (u->attempt != NULL)
		upstream_readable(u->attempt);
	else
		usock_stray(u);
}

static void
usock_new(struct server *s, int fd)
{
	struct usock *u = calloc(1, sizeof(*u));

	if (u == NULL) {
		close(fd);
		return;
	}
	u->server = s;
	u->fd = fd;
	u->way = s->pool.way;
	u->state = USOCK_BUSY;
	LIST_INSERT_HEAD(&s->pool.all, u, all);
	ev_io_init(&u->io, usock_read, fd, EV_READ);
	u->io.data = u;
	ev_io_start(s->d->d->loop, &u->io);
	usock_ready(u);
}

void
pool_init(struct pool *p)
{
	LIST_INIT(&p->all);
	TAILQ_INIT(&p->idle);
	TAILQ_INIT(&p->used);
	p->target = POOL_START;
	p->scout = -1;
}

void
pool_fini(struct server *s)
{
	while (!LIST_EMPTY(&s->pool.all))
		usock_close(LIST_FIRST(&s->pool.all));
	if (s->pool.scout != -1)
		close(s->pool.scout);
	s->pool.scout = -1;
}

/*
 * Connecting again.
 */

static int
connect_again(const struct server *s, int fd)
{
	const struct servtab *t = s->d->servers;

	return plat_udp_again(
	    fd, &t->place[0].any, &t->place[s->pool.place].any, SERVTAB_LEN);
}

static void
close_idle(struct pool *p)
{
	while (!TAILQ_EMPTY(&p->idle))
		usock_close(TAILQ_FIRST(&p->idle));
}

/* Another way: those that are busy will not be used again either. */
static void
pool_lost(struct pool *p)
{
	p->way++;
	p->place = 0;
	close_idle(p);
	while (!TAILQ_EMPTY(&p->used))
		usock_close(TAILQ_FIRST(&p->used));
}

/* The way to the server still begins at the sockets' address. */
static bool
is_same_way(const struct server *s)
{
	struct sockaddr_storage from;

	return connect_again(s, s->pool.scout) == 0 &&
	       plat_udp_source(s->pool.scout, &from) == 0 &&
	       memcmp(&from, &s->pool.from, sizeof(from)) == 0;
}

/* Whether they may be connected again at all, now. */
static bool
may_connect(struct server *s)
{
	struct pool *p = &s->pool;
	usec_t now = usec_now(s->d->d->loop);

	if (p->place == 0)
		return false;
	if (!servtab_is(s->d->servers, p->place, &p->to) ||
	    (now - p->looked >= LOOK_USEC && !is_same_way(s))) {
		pool_lost(p);
		return false;
	}
	if (now - p->looked >= LOOK_USEC)
		p->looked = now;
	return true;
}

/* So many of the used ones get other ports. */
static void
pool_renew(struct server *s, size_t n)
{
	struct pool *p = &s->pool;
	struct usock *u;

	for (; n > 0 && may_connect(s); n--) {
		if ((u = TAILQ_FIRST(&p->used)) == NULL)
			return;
		usock_out(u);
		if (connect_again(s, u->fd) == 0)
			usock_ready(u);
		else
			usock_close(u);
	}
}

void
pool_turn(struct server *s)
{
	if (s->pool.nused >= USED_MANY || s->nwait > 0)
		pool_renew(s, s->pool.nused);
	if (s->nwait > 0)
		pool_fill(s); /* the way to it may have been lost */
}

struct usock *
pool_take(struct server *s)
{
	struct pool *p = &s->pool;
	struct usock *u;

	if (p->nidle == 0 && s->nwait == 0)
		pool_renew(s, 1);
	if ((u = TAILQ_FIRST(&p->idle)) != NULL)
		usock_out(u);
	return u;
}

/* After a rush there are more than the next one needs. */
static bool
pool_full(const struct pool *p)
{
	return p->nidle + p->nused + p->asked >= 2 * p->target;
}

void
pool_give(struct usock *u)
{
	struct pool *p = &u->server->pool;

	u->attempt = NULL;
	if (u->broken || p->place == 0 || u->way != p->way || pool_full(p)) {
		usock_close(u);
		return;
	}
	u->state = USOCK_USED;
	TAILQ_INSERT_TAIL(&p->used, u, entry);
	p->nused++;
	if (p->nused >= USED_MANY || u->server->nwait > 0)
		upstream_owes(u->server->d);
}

void
pool_drain(struct server *s)
{
	close_idle(&s->pool);
	s->pool.target = POOL_START;
}

void
pool_fill(struct server *s)
{
	struct pool *p = &s->pool;
	size_t want = p->target + s->nwait, n;
	size_t have = p->nidle + p->nused + p->asked;

	if ((s->nwait <= p->asked && have > p->target / 2) ||
	    portd_of(s) == NULL)
		return;
	for (; have < want; have += n) {
		n = want - have < POOL_CHUNK ? want - have : POOL_CHUNK;
		upstream_want(s, false, n);
	}
}

void
pool_grow(struct server *s)
{
	struct pool *p = &s->pool;

	if (p->target * 2 <= POOL_MAX &&
	    p->target * 2 <= s->d->maxidle / s->d->route.n)
		p->target *= 2;
}

/* Where the new ones are; those that are elsewhere have done. */
static void
pool_move(struct server *s, int scout)
{
	struct sockaddr_storage from;
	struct pool *p = &s->pool;
	socklen_t len = sizeof(p->to);

	if (p->scout != -1)
		close(p->scout);
	p->scout = scout;
	memset(&p->to, 0, sizeof(p->to));
	if (s->d->servers == NULL ||
	    getpeername(scout, (struct sockaddr *)&p->to, &len) == -1 ||
	    plat_udp_source(scout, &from) == -1)
		return;
	if (p->place != 0 && memcmp(&from, &p->from, sizeof(from)) != 0)
		pool_lost(p);
	p->from = from;
	p->looked = usec_now(s->d->d->loop);
	p->place = servtab_find(s->d->servers, &p->to);
}

void
pool_add(struct server *s, struct ipc_msg *m)
{
	size_t i;

	pool_move(s, ipc_take_fd(m, 0));
	for (i = 1; i < m->nfd; i++)
		usock_new(s, ipc_take_fd(m, i));
}
