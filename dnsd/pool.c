/*
 * The UDP sockets of a server, in the sets they came in.  One is
 *
 *	idle	with a port that nobody has seen yet
 *	busy	an attempt waits for its answer
 *	spent	its port was used; portd will be asked for another one
 *	asked	portd was asked
 *
 * so that a question costs neither a socket nor a descriptor on its way nor
 * a place in the set of those we watch: what is spent stays watched, and what
 * still comes to it is read and forgotten.  Without a number a set's sockets
 * are closed after the first use.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dnsd/dnsd.h"

#define STRAY_BATCH 8 /* late answers read a turn */
#define DONE_MANY   8 /* that portd keeps for nothing, before it is told */
/*
 * Spent ones of a set that are worth a message.  Many more would keep portd
 * busy for so long that everybody else on the way runs dry, and would have
 * left the processors' caches by then.
 */
#define AGAIN_MANY 20

struct sockset {
	struct server *server;	     /* borrowed */
	uint32_t num;		     /* portd's; 0: used once */
	uint64_t spent, asked, done; /* by place; done: portd not told yet */
	size_t n, left;
	LIST_ENTRY(sockset) entry;
	struct usock sock[];
};

static struct ipc *
portd_of(const struct server *s)
{
	return daemon_peer(s->d->d, ROLE_PORT, 0);
}

static uint64_t
bit_of(const struct usock *u)
{
	return UINT64_C(1) << (u - u->set->sock);
}

static size_t
count_of(uint64_t bits)
{
	return (size_t)__builtin_popcountll(bits);
}

static void
set_tell(struct sockset *set, uint64_t again)
{
	struct ipc *portd = portd_of(set->server);

	if (portd != NULL && set->num != 0)
		ipc_send(portd, IPC_SOCK_AGAIN, NULL, 0, "{s:I,s:I,s:I}", "set",
		    (json_int_t)set->num, "again", (json_int_t)again, "done",
		    (json_int_t)set->done);
	set->done = 0;
}

/* The last one takes its set along. */
static void
usock_close(struct usock *u)
{
	struct sockset *set = u->set;
	struct server *s = set->server;

	if (u->idle) {
		TAILQ_REMOVE(&s->pool.idle, u, entry);
		s->pool.nidle--;
	}
	ev_io_stop(s->d->d->loop, &u->io);
	close(u->fd);
	u->fd = -1;
	u->idle = false;
	if ((set->spent & bit_of(u)) != 0)
		s->pool.nspent--;
	set->spent &= ~bit_of(u);
	set->done |= bit_of(u);
	set->left--;
	if (set->left == 0 || count_of(set->done) >= DONE_MANY)
		set_tell(set, 0);
	if (set->left > 0)
		return;
	LIST_REMOVE(set, entry);
	free(set);
}

static void
usock_idle(struct usock *u)
{
	struct pool *p = &u->set->server->pool;

	u->idle = true;
	TAILQ_INSERT_HEAD(&p->idle, u, entry);
	p->nidle++;
}

/* It has a fresh port: for who waits, or for later. */
static void
usock_ready(struct usock *u)
{
	struct server *s = u->set->server;

	if (upstream_waiter(s, u))
		return;
	if (s->pool.nidle < POOL_MAX)
		usock_idle(u);
	else
		usock_close(u);
}

/* What comes to a socket that nobody waits at. */
static void
usock_stray(struct usock *u)
{
	struct dnsd *d = u->set->server->d;
	ssize_t n;
	int i;

	for (i = 0; i < STRAY_BATCH; i++) {
		n = read(u->fd, d->buf, sizeof(d->buf));
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n == -1) {
			/* Of the asked ones portd's answer is waited for. */
			u->broken = true;
			if ((u->set->asked & bit_of(u)) == 0)
				usock_close(u);
			return;
		}
		health_datagram(u->set->server, d->buf, (size_t)n);
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

void
pool_init(struct pool *p)
{
	LIST_INIT(&p->sets);
	TAILQ_INIT(&p->idle);
	p->target = POOL_START;
}

void
pool_fini(struct server *s)
{
	struct sockset *set;
	size_t i, left;

	while ((set = LIST_FIRST(&s->pool.sets)) != NULL) {
		left = set->left;
		for (i = 0; left > 0; i++) {
			if (set->sock[i].fd == -1)
				continue;
			usock_close(&set->sock[i]);
			left--; /* the last one frees the set */
		}
	}
}

struct usock *
pool_take(struct server *s)
{
	struct usock *u = TAILQ_FIRST(&s->pool.idle);

	if (u == NULL)
		return NULL;
	TAILQ_REMOVE(&s->pool.idle, u, entry);
	s->pool.nidle--;
	u->idle = false;
	return u;
}

/* Asks for other ports for all of a set that need one. */
static void
set_again(struct sockset *set)
{
	struct pool *p = &set->server->pool;
	size_t n = count_of(set->spent);

	set_tell(set, set->spent);
	set->asked = set->spent;
	set->spent = 0;
	p->nspent -= n;
	p->asked += n;
}

/* After a rush there are more than the next one needs. */
static bool
pool_full(const struct pool *p)
{
	return p->nidle + p->nspent + p->asked >= 2 * p->target;
}

void
pool_give(struct usock *u)
{
	struct sockset *set = u->set;
	struct pool *p = &set->server->pool;

	u->attempt = NULL;
	if (u->broken || set->num == 0 || pool_full(p)) {
		usock_close(u);
		return;
	}
	set->spent |= bit_of(u);
	p->nspent++;
	if (set->asked == 0 && count_of(set->spent) >= AGAIN_MANY &&
	    portd_of(set->server) != NULL)
		set_again(set);
}

void
pool_drain(struct server *s)
{
	struct usock *u;

	while ((u = TAILQ_FIRST(&s->pool.idle)) != NULL)
		usock_close(u);
	s->pool.target = POOL_START;
}

static void
pool_again(struct server *s)
{
	struct sockset *set;

	LIST_FOREACH (set, &s->pool.sets, entry) {
		if (set->spent != 0 && set->asked == 0)
			set_again(set);
	}
}

void
pool_fill(struct server *s)
{
	struct pool *p = &s->pool;
	size_t want = p->target + s->nwait, have = p->nidle + p->asked, n;

	if ((s->nwait <= p->asked && have > p->target / 2) ||
	    portd_of(s) == NULL)
		return;
	pool_again(s);
	for (have = p->nidle + p->asked; have < want; have += n) {
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

bool
pool_add(struct server *s, uint32_t num, struct ipc_msg *m)
{
	size_t i, n = m->nfd;
	struct sockset *set =
	    calloc(1, sizeof(*set) + n * sizeof(set->sock[0]));
	struct usock *u;

	if (set == NULL)
		return false; /* the message closes them */
	set->server = s;
	set->num = num;
	set->n = set->left = n;
	LIST_INSERT_HEAD(&s->pool.sets, set, entry);
	for (i = 0; i < n; i++) {
		u = &set->sock[i];
		u->set = set;
		u->fd = ipc_take_fd(m, i);
		ev_io_init(&u->io, usock_read, u->fd, EV_READ);
		u->io.data = u;
		ev_io_start(s->d->d->loop, &u->io);
	}
	/* Each of them may end the set that is left without it. */
	for (i = 0; i < n; i++)
		usock_ready(&set->sock[i]);
	return true;
}

bool
pool_fresh(struct server *s, uint32_t num, uint64_t fresh)
{
	struct sockset *set;
	struct usock *u;
	uint64_t asked;
	size_t i, n;

	LIST_FOREACH (set, &s->pool.sets, entry) {
		if (set->num == num)
			break;
	}
	if (set == NULL)
		return false;
	asked = set->asked;
	set->asked = 0;
	s->pool.asked -= count_of(asked);
	for (i = 0, n = set->n; i < n && asked >> i != 0; i++) {
		if ((asked >> i & 1) == 0)
			continue;
		u = &set->sock[i];
		if ((fresh >> i & 1) != 0 && !u->broken)
			usock_ready(u);
		else
			usock_close(u);
	}
	return true;
}

void
pool_portd(struct server *s)
{
	struct sockset *set, *next;
	uint64_t old;
	size_t i, n;

	s->pool.asked = 0;
	LIST_FOREACH_SAFE(set, &s->pool.sets, entry, next)
	{
		old = set->spent | set->asked;
		set->num = 0;
		set->asked = 0;
		for (i = 0, n = set->n; i < n && old >> i != 0; i++)
			if ((old >> i & 1) != 0)
				usock_close(&set->sock[i]);
	}
}
