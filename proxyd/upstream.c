/*
 * Connections to proxies and servers.
 *
 * The way to one: an idle connection to the same place, or else its addresses
 * from dnsd and a socket from portd, which connects it.  One question at a
 * time is asked for each connection of a guest, and its answer is known by the
 * connection's id.
 *
 * A name's IPv4 addresses are tried one after the other, and then, when there
 * are none or none of them can be connected to, those of IPv6.
 *
 * Idle connections are one VM's and one configuration's.  A request that may
 * not be sent twice (RFC 9110 9.2.2) gets an idle connection only if the same
 * guest's connection used it last: then a close that crosses it is the
 * guest's own risk, as it would be without us.
 */

#include <sys/socket.h>
#include <errno.h>
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

void
up_free(struct up *u)
{
	if (u == NULL)
		return;
	if (u->conn == NULL)
		idle_remove(u);
	else
		u->conn->up = NULL;
	sock_fini(&u->s);
	pconf_unref(u->conf);
	free(u);
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
	c->up = u;
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

	TAILQ_FOREACH_REVERSE(u, &p->idle, idlehead, entry)
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

static void
limit_idle(struct proxyd *p, struct vm *vm)
{
	struct up *u;

	if (p->nidle < p->maxidle && vm->nidle < PROXYD_VMIDLE)
		return;
	TAILQ_FOREACH (u, &p->idle, entry) {
		if (vm->nidle < PROXYD_VMIDLE || u->vm == vm)
			break;
	}
	stats_inc(&p->d->stats, PROXYS_LIMIT_IDLE);
	up_free(u);
}

void
up_release(struct conn *c)
{
	struct up *u = c->up;
	struct proxyd *p = c->p;

	if (u == NULL)
		return;
	if (u->s.eof || u->s.broken || sock_unread(&u->s) > 0 ||
	    u->s.out != NULL || u->conf != p->conf) {
		up_free(u);
		return;
	}
	limit_idle(p, u->vm);
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
	char text[IPADDR_STRLEN];

	conn_set(c, CONN_ASK);
	if (link != NULL)
		ipc_send(link, IPC_FETCH_OPEN, NULL, 0, "{s:I,s:b,s:s,s:i}",
		    "id", (json_int_t)c->id, "via", c->hop.via, "addr",
		    ipaddr_str(&c->addr[c->nextaddr], text), "port",
		    (int)c->hop.at.port);
}

static void
name_ask(struct conn *c)
{
	struct ipc *link = daemon_peer(c->p->d, ROLE_DNS, 0);

	if (link != NULL)
		ipc_send(link, IPC_RESOLVE, NULL, 0, "{s:I,s:s,s:b}", "id",
		    (json_int_t)c->id, "name", c->hop.at.host, "v6",
		    c->family == 6);
}

/* To dnsd all VMs are one guest: one of them leaves room for the others. */
static void
ask_dnsd(struct conn *c, int family)
{
	conn_set(c, CONN_RESOLVE);
	c->family = family;
	c->naddr = c->nextaddr = 0;
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

void
up_start(struct conn *c, bool fresh)
{
	if (!fresh && c->job == JOB_HTTP && pool_take(c) != NULL) {
		up_connected(c);
		return;
	}
	memset(&c->lost, 0, sizeof(c->lost));
	if (ipaddr_parse(c->hop.at.host, &c->addr[0]) == -1) {
		ask_dnsd(c, 4);
		return;
	}
	c->family = 0;
	c->naddr = 1;
	c->nextaddr = 0;
	ask_portd(c);
}

static void
unreachable(struct conn *c, const struct ipaddr *a, int error)
{
	char what[TARGET_HOSTMAX + 128], text[IPADDR_STRLEN];
	const char *open = a->family == 6 ? "[" : "";
	const char *close = a->family == 6 ? "]" : "";
	unsigned port = c->hop.at.port;

	ipaddr_str(a, text);
	stats_inc(&c->p->d->stats,
	    error == EACCES ? PROXYS_FORBIDDEN : PROXYS_CONNECT_FAILED);
	if (error == EACCES) {
		snprintf(what, sizeof(what),
		    "%s%s%s:%u cannot be reached from a virtual machine", open,
		    text, close, port);
		conn_failed(c, 403, what);
		return;
	}
	snprintf(what, sizeof(what),
	    c->hop.via ? "unable to connect to HTTP proxy %s%s%s:%u"
		       : "unable to connect to %s%s%s:%u. Do you need an HTTP "
			 "proxy?",
	    open, text, close, port);
	conn_failed(c, 503, what);
}

/* This address leads nowhere: the next one. */
static void
next_address(struct conn *c, int error)
{
	up_free(c->up);
	if (c->nextaddr + 1 < c->naddr) {
		c->nextaddr++;
		ask_portd(c);
		return;
	}
	if (c->family == 4) {
		c->lost = c->addr[c->nextaddr];
		c->lost_error = error;
		ask_dnsd(c, 6);
		return;
	}
	unreachable(c, &c->addr[c->nextaddr], error);
}

/* No addresses: the other family's, or the end. */
static void
not_resolved(struct conn *c, const char *why)
{
	char what[TARGET_HOSTMAX + 32];

	if (c->family == 4 && strcmp(why, "no address") == 0) {
		ask_dnsd(c, 6);
		return;
	}
	if (c->lost.family != 0) {
		unreachable(c, &c->lost, c->lost_error);
		return;
	}
	stats_inc(&c->p->d->stats, PROXYS_LOOKUP_FAILED);
	snprintf(
	    what, sizeof(what), "Failed to lookup host: %s", c->hop.at.host);
	conn_failed(c, 503, what);
}

void
up_resolved(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct conn *c = conn_find(d->data, (uint32_t)ipc_u64(m, "id"));
	struct ipaddr *a;
	size_t i, n = ipc_nstr(m, "addrs");

	if (c == NULL || c->name != NAME_ASKED)
		return;
	for (i = 0; i < n && c->naddr < PROXYD_MAXADDRS; i++) {
		a = &c->addr[c->naddr];
		if (ipaddr_parse(ipc_strat(m, "addrs", i), a) == 0 &&
		    a->family == c->family)
			c->naddr++;
	}
	if (c->naddr > 0)
		ask_portd(c);
	else
		not_resolved(c, ipc_str(m, "error"));
	conn_run(c);
}

void
up_sock_fd(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct conn *c = conn_find(d->data, (uint32_t)ipc_u64(m, "id"));

	if (c == NULL || c->state != CONN_ASK)
		return; /* the descriptor goes with the message */
	if (up_new(c, ipc_take_fd(m, 0)) == NULL) {
		conn_free(c);
		return;
	}
	conn_set(c, CONN_CONNECT);
	sock_want(&c->up->s, false, true);
}

void
up_sock_refused(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct conn *c = conn_find(d->data, (uint32_t)ipc_u64(m, "id"));

	if (c == NULL || c->state != CONN_ASK)
		return;
	next_address(
	    c, strcmp(ipc_str(m, "error"), "EACCES") == 0 ? EACCES : EIO);
	conn_run(c);
}

/* Its socket can be written to, or has failed. */
void
up_connected(struct conn *c)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if (!c->up->reused && (getsockopt(c->up->s.fd, SOL_SOCKET, SO_ERROR,
				   &error, &len) == -1 ||
				  error != 0)) {
		next_address(c, error);
		return;
	}
	stats_inc(&c->p->d->stats, c->hop.via ? PROXYS_VIA : PROXYS_DIRECT);
	sock_want(&c->up->s, true, false);
	if (c->job == JOB_HTTP)
		http_begin(c);
	else
		https_begin(c);
}
