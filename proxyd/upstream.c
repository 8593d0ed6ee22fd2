/*
 * Connections to proxies and servers.
 *
 * The way to one: an idle connection to the same place, or else its addresses
 * from dnsd and a socket from portd, which connects it.  One question at a
 * time is asked for each connection of a guest, and its answer is known by the
 * question's number.
 *
 * A name's IPv4 addresses are tried one after the other, and then, when there
 * are none or none of them answers, those of IPv6.  An attempt that fails is
 * followed by the next at once, one that is silent for PROXYD_ATTEMPTMS as
 * well; but it goes on, and the first that gets through is the connection
 * (RFC 8305 5): who is slow is not given up for who is no better.  Only if
 * sockets are short the oldest attempt makes room.  All of it, names and
 * sockets included, has connect_ms.
 *
 * Idle connections are one VM's and one configuration's.  A request that may
 * not be sent twice (RFC 9110 9.2.2) gets an idle connection only if the same
 * guest's connection used it last: then a close that crosses it is the
 * guest's own risk, as it would be without us.
 */

#include <sys/socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <bsd/string.h>

#include "proxyd/proxyd.h"

#define SWEEP_SECS 5.

static void
idle_remove(struct up *u)
{
	TAILQ_REMOVE(&u->p->idle, u, entry);
	u->p->nidle--;
	u->vm->nidle--;
}

/* Those beside the first are sockets that others may lack, as idle ones are. */
static void
attempt_add(struct conn *c, struct up *u)
{
	if (!TAILQ_EMPTY(&c->attempts)) {
		u->p->nidle++;
		u->vm->nidle++;
	}
	TAILQ_INSERT_TAIL(&c->attempts, u, entry);
}

static void
attempt_remove(struct up *u)
{
	struct uphead *attempts = &u->conn->attempts;

	TAILQ_REMOVE(attempts, u, entry);
	if (!TAILQ_EMPTY(attempts)) {
		u->p->nidle--;
		u->vm->nidle--;
	}
}

void
up_free(struct up *u)
{
	if (u == NULL)
		return;
	if (u->conn == NULL)
		idle_remove(u);
	else if (u->conn->up == u)
		u->conn->up = NULL;
	else
		attempt_remove(u);
	sock_fini(&u->s);
	pconf_unref(u->conf);
	free(u);
}

static void
attempts_free(struct conn *c)
{
	while (!TAILQ_EMPTY(&c->attempts))
		up_free(TAILQ_FIRST(&c->attempts));
}

void
up_end(struct conn *c)
{
	up_free(c->up);
	attempts_free(c);
}

/* An idle one has nothing to say but goodbye. */
static void
up_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct up *u = w->data;

	if (u->conn == NULL)
		up_free(u);
	else
		conn_up_cb(loop, w, revents);
}

/* A new attempt. */
static struct up *
up_new(struct conn *c, int fd)
{
	struct up *u;

	if ((u = calloc(1, sizeof(*u))) == NULL) {
		close(fd);
		return NULL;
	}
	sock_init(&u->s, c->p, fd, up_cb, u);
	u->p = c->p;
	u->conn = c;
	u->conf = pconf_ref(c->conf);
	u->vm = c->vm;
	u->hop = c->hop;
	attempt_add(c, u);
	stats_inc(&c->p->d->stats, PROXYS_UPSTREAMS);
	return u;
}

static bool
same_hop(const struct hop *a, const struct hop *b)
{
	return a->via == b->via && (!a->via || a->which == b->which) &&
	       a->at.port == b->at.port &&
	       strcasecmp(a->at.host, b->at.host) == 0;
}

/* The one used most recently; NULL: none fits. */
static struct up *
pool_take(struct conn *c)
{
	struct proxyd *p = c->p;
	struct up *u;

	TAILQ_FOREACH_REVERSE(u, &p->idle, uphead, entry)
	{
		if (u->vm == c->vm && u->conf == c->conf &&
		    (u->last == c->id || (c->retriable && !u->pinned)) &&
		    same_hop(&u->hop, &c->hop))
			break;
	}
	if (u == NULL)
		return NULL;
	idle_remove(u);
	u->conn = c;
	u->reused = true;
	c->up = u;
	stats_inc(&p->d->stats, PROXYS_REUSED);
	return u;
}

static bool
has_room(const struct proxyd *p, const struct vm *vm)
{
	return p->nidle < p->maxidle && vm->nidle < PROXYD_VMIDLE;
}

/* False: there is none to close. */
static bool
limit_idle(struct proxyd *p, struct vm *vm)
{
	struct up *u;

	if (has_room(p, vm))
		return true;
	TAILQ_FOREACH (u, &p->idle, entry) {
		if (vm->nidle < PROXYD_VMIDLE || u->vm == vm)
			break;
	}
	if (u == NULL)
		return false;
	stats_inc(&p->d->stats, PROXYS_LIMIT_IDLE);
	up_free(u);
	return true;
}

void
up_release(struct conn *c)
{
	struct up *u = c->up;
	struct proxyd *p = c->p;

	if (u == NULL)
		return;
	if (u->s.eof || u->s.broken || sock_unread(&u->s) > 0 ||
	    u->s.out != NULL || u->conf != p->conf || !limit_idle(p, u->vm)) {
		up_free(u);
		return;
	}
	c->up = NULL;
	u->conn = NULL;
	u->last = c->id;
	u->since = usec_now(p->d->loop);
	TAILQ_INSERT_TAIL(&p->idle, u, entry);
	p->nidle++;
	u->vm->nidle++;
	sock_want(&u->s, true, false);
	if (!ev_is_active(&p->sweep))
		ev_timer_again(p->d->loop, &p->sweep);
}

static void
sweep_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct proxyd *p = w->data;
	usec_t now = usec_now(loop);
	struct up *u;

	while ((u = TAILQ_FIRST(&p->idle)) != NULL &&
	       now - u->since > (usec_t)(PROXYD_IDLESECS * USEC_SEC))
		up_free(u);
	if (u == NULL)
		ev_timer_stop(loop, w);
}

void
up_init(struct proxyd *p)
{
	TAILQ_INIT(&p->idle);
	ev_init(&p->sweep, sweep_cb);
	p->sweep.repeat = SWEEP_SECS;
	p->sweep.data = p;
}

void
up_flush(struct proxyd *p)
{
	while (!TAILQ_EMPTY(&p->idle))
		up_free(TAILQ_FIRST(&p->idle));
	ev_timer_stop(p->d->loop, &p->sweep);
}

/*
 * Names and sockets.
 */

static void
ask_portd(struct conn *c)
{
	struct ipc *link = daemon_peer(c->p->d, ROLE_PORT, 0);
	json_int_t id = (json_int_t)conn_question(c);
	char text[IPADDR_STRLEN];

	conn_set(c, CONN_ASK);
	if (link != NULL)
		ipc_send(link, IPC_FETCH_OPEN, NULL, 0, "{s:I,s:b,s:s,s:i}",
		    "id", id, "via", c->hop.via, "addr",
		    ipaddr_str(&c->addr[c->ntried - 1], text), "port",
		    (int)c->hop.at.port);
}

static void
name_ask(struct conn *c)
{
	struct ipc *link = daemon_peer(c->p->d, ROLE_DNS, 0);
	json_int_t id = (json_int_t)conn_question(c);

	if (link != NULL)
		ipc_send(link, IPC_RESOLVE, NULL, 0, "{s:I,s:s,s:b}", "id", id,
		    "name", c->hop.at.host, "v6", c->family == 6);
}

/* To dnsd all VMs are one guest: one of them leaves room for the others. */
static void
ask_dnsd(struct conn *c, int family)
{
	conn_set(c, CONN_RESOLVE);
	c->family = family;
	if (c->vm->nname >= PROXYD_VMNAMES) {
		c->name = NAME_WAITS;
		TAILQ_INSERT_TAIL(&c->vm->names, c, entry);
		return;
	}
	c->name = NAME_ASKED;
	c->vm->nname++;
	name_ask(c);
}

void
up_name_done(struct conn *c)
{
	struct vm *vm = c->vm;
	struct conn *next = TAILQ_FIRST(&vm->names);

	if (c->name == NAME_WAITS)
		TAILQ_REMOVE(&vm->names, c, entry);
	if (c->name != NAME_ASKED || next == NULL) {
		vm->nname -= c->name == NAME_ASKED;
		c->name = NAME_NONE;
		return;
	}
	c->name = NAME_NONE;
	TAILQ_REMOVE(&vm->names, next, entry);
	next->name = NAME_ASKED;
	name_ask(next);
}

/* Who was not there when it was asked is asked again. */
void
up_peer(struct proxyd *p, enum ipc_role role)
{
	struct conn *c;
	size_t i;

	for (i = 0; i < nitems(p->conn); i++) {
		c = p->conn[i];
		if (c != NULL && role == ROLE_PORT && c->state == CONN_ASK)
			ask_portd(c);
		if (c != NULL && role == ROLE_DNS && c->name == NAME_ASKED)
			name_ask(c);
	}
}

/*
 * Attempts.
 */

static void
up_connected(struct conn *c)
{
	stats_inc(&c->p->d->stats, c->hop.via ? PROXYS_VIA : PROXYS_DIRECT);
	sock_want(&c->up->s, true, false);
	if (c->job == JOB_HTTP)
		http_begin(c);
	else
		https_begin(c);
}

/* "192.0.2.1:80, [2001:db8::1]:80". */
static void
tried_str(const struct conn *c, char *buf, size_t size)
{
	char text[IPADDR_STRLEN];
	size_t i, n = 0;
	bool v6;

	*buf = '\0';
	for (i = 0; i < c->ntried && n < size; i++) {
		v6 = c->addr[i].family == 6;
		n += (size_t)snprintf(buf + n, size - n, "%s%s%s%s:%u",
		    i > 0 ? ", " : "", v6 ? "[" : "",
		    ipaddr_str(&c->addr[i], text), v6 ? "]" : "",
		    (unsigned)c->hop.at.port);
	}
}

static void
unreachable(struct conn *c, const char *why)
{
	char tried[1024], what[1200];

	tried_str(c, tried, sizeof(tried));
	snprintf(what, sizeof(what),
	    c->hop.via ? "%s HTTP proxy %s"
		       : "%s %s. Do you need an HTTP proxy?",
	    why, tried);
	conn_failed(c, 503, what);
}

static void
forbidden(struct conn *c)
{
	char tried[1024], what[1200];

	tried_str(c, tried, sizeof(tried));
	snprintf(what, sizeof(what),
	    "%s cannot be reached from a virtual machine", tried);
	conn_failed(c, 403, what);
}

static void
no_address(struct conn *c, const char *why)
{
	char what[TARGET_HOSTMAX + 64];

	snprintf(what, sizeof(what), "%s: %s", why, c->hop.at.host);
	conn_failed(c, 503, what);
}

/* No address is left that could be tried. */
static void
attempts_over(struct conn *c)
{
	struct stats *stats = &c->p->d->stats;

	if (!TAILQ_EMPTY(&c->attempts)) {
		conn_set(c, CONN_CONNECT); /* they are only slow */
	} else if (c->ntried == 0) {
		stats_inc(stats, PROXYS_LOOKUP_FAILED);
		no_address(c, "Failed to lookup host");
	} else if (c->forbidden) {
		stats_inc(stats, PROXYS_FORBIDDEN);
		forbidden(c);
	} else {
		stats_inc(stats, PROXYS_CONNECT_FAILED);
		unreachable(c, "unable to connect to");
	}
}

static bool
attempts_left(const struct conn *c)
{
	return c->ntried < c->naddr || c->family == 4;
}

static void
attempt_next(struct conn *c)
{
	if (c->ntried < c->naddr) {
		c->ntried++;
		ask_portd(c);
	} else if (c->family == 4) {
		ask_dnsd(c, 6);
	} else {
		attempts_over(c);
	}
}

/* While others are asked for, they see to what comes next. */
static void
attempt_failed(struct up *u)
{
	struct conn *c = u->conn;
	bool newest = TAILQ_NEXT(u, entry) == NULL;

	up_free(u);
	if (newest && c->state == CONN_CONNECT)
		attempt_next(c);
}

/* Its socket can be written to, or has failed. */
void
up_attempted(struct up *u)
{
	struct conn *c = u->conn;
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(u->s.fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1 ||
	    error != 0) {
		attempt_failed(u);
		return;
	}
	attempt_remove(u);
	c->up = u;
	attempts_free(c);
	up_connected(c);
}

usec_t
up_due(const struct conn *c)
{
	usec_t end = c->out + (usec_t)c->conf->connect_ms * USEC_MS;
	usec_t next = c->since + PROXYD_ATTEMPTMS * USEC_MS;

	if (c->state == CONN_CONNECT && attempts_left(c) && next < end)
		return next;
	return end;
}

/* The newest attempt has had its time, or all of them. */
void
up_late(struct conn *c)
{
	usec_t passed = usec_now(c->p->d->loop) - c->out;

	if (passed < (usec_t)c->conf->connect_ms * USEC_MS) {
		attempt_next(c);
		return;
	}
	stats_inc(&c->p->d->stats, PROXYS_TIMEOUT_CONNECT);
	if (c->ntried == 0)
		no_address(c, "no address in time");
	else
		unreachable(c, "no answer in time from");
}

void
up_start(struct conn *c, bool fresh)
{
	if (!fresh && c->job == JOB_HTTP && pool_take(c) != NULL) {
		up_connected(c);
		return;
	}
	c->out = usec_now(c->p->d->loop);
	c->naddr = c->ntried = 0;
	c->family = 0;
	c->forbidden = true;
	if (ipaddr_parse(c->hop.at.host, &c->addr[0]) == -1) {
		ask_dnsd(c, 4);
		return;
	}
	c->naddr = 1;
	attempt_next(c);
}

void
up_resolved(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct conn *c = conn_asked(d->data, (uint32_t)ipc_u64(m, "id"));
	struct ipaddr *a;
	size_t i, max, n = ipc_nstr(m, "addrs");

	if (c == NULL || c->name != NAME_ASKED)
		return;
	max = c->naddr + PROXYD_MAXADDRS;
	for (i = 0; i < n && c->naddr < max; i++) {
		a = &c->addr[c->naddr];
		if (ipaddr_parse(ipc_strat(m, "addrs", i), a) == 0 &&
		    a->family == c->family)
			c->naddr++;
	}
	if (c->naddr == 0 && strcmp(ipc_str(m, "error"), "no address") != 0)
		attempts_over(c); /* who has none at all has none of IPv6 */
	else
		attempt_next(c);
	conn_run(c);
}

void
up_sock_fd(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct conn *c = conn_asked(d->data, (uint32_t)ipc_u64(m, "id"));
	struct up *u;

	if (c == NULL || c->state != CONN_ASK)
		return; /* the descriptor goes with the message */
	c->forbidden = false;
	if (!TAILQ_EMPTY(&c->attempts) && !has_room(c->p, c->vm))
		up_free(TAILQ_FIRST(&c->attempts));
	if ((u = up_new(c, ipc_take_fd(m, 0))) == NULL) {
		conn_free(c);
		return;
	}
	conn_set(c, CONN_CONNECT);
	sock_want(&u->s, false, true);
}

void
up_sock_refused(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct conn *c = conn_asked(d->data, (uint32_t)ipc_u64(m, "id"));

	if (c == NULL || c->state != CONN_ASK)
		return;
	c->forbidden &= strcmp(ipc_str(m, "error"), "EACCES") == 0;
	attempt_next(c);
	conn_run(c);
}
