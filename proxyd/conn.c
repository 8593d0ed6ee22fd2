/*
 * A guest's connection: its life, its timer, and what is the same for all
 * kinds of traffic.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxyd/proxyd.h"

#define SLOT_MASK ((1u << PROXYD_SLOTBITS) - 1)

uint32_t
conn_question(struct conn *c)
{
	c->question =
	    ++c->p->questions << PROXYD_SLOTBITS | (c->id & SLOT_MASK);
	return c->question;
}

struct conn *
conn_asked(struct proxyd *p, uint32_t question)
{
	struct conn *c = p->conn[question & SLOT_MASK];

	return c != NULL && c->question == question ? c : NULL;
}

static struct vm *
vm_get(struct proxyd *p, uint32_t num)
{
	struct vm *vm;

	LIST_FOREACH (vm, &p->vms, entry) {
		if (vm->num == num)
			return vm;
	}
	if ((vm = calloc(1, sizeof(*vm))) == NULL)
		return NULL;
	vm->num = num;
	TAILQ_INIT(&vm->names);
	LIST_INSERT_HEAD(&p->vms, vm, entry);
	return vm;
}

/*
 * The timer.
 */

/* When this state has lasted long enough. */
static usec_t
due(const struct conn *c)
{
	const struct pconf *conf = c->conf;
	uint32_t ms = 1;

	switch (c->state) {
	case CONN_HEAD:
		ms = sock_unread(&c->guest) > 0 ? conf->head_ms : conf->idle_ms;
		break;
	case CONN_HELLO:
		ms = conf->hello_ms;
		break;
	case CONN_RESOLVE:
	case CONN_ASK:
	case CONN_CONNECT:
		return up_due(c);
	case CONN_VIA:
		ms = conf->connect_ms;
		break;
	case CONN_EXCHANGE:
	case CONN_TUNNEL:
		ms = conf->idle_ms;
		break;
	case CONN_DRAIN:
		ms = PROXYD_DRAINMS;
		break;
	case CONN_DEAD:
		break;
	}
	return c->since + ms * USEC_MS;
}

static void
timer_start(struct conn *c, usec_t at)
{
	struct ev_loop *loop = c->p->d->loop;
	usec_t left = at - usec_now(loop);

	c->alarm = at;
	ev_timer_stop(loop, &c->timer);
	ev_timer_set(&c->timer, left > 0 ? (double)left / USEC_SEC : 0., 0.);
	ev_timer_start(loop, &c->timer);
}

/* From now on the time of this state runs. */
static void
timer_restart(struct conn *c)
{
	c->since = usec_now(c->p->d->loop);
	/* What comes too early sets itself again: nothing for most requests. */
	if (!ev_is_active(&c->timer) || c->alarm > due(c))
		timer_start(c, due(c));
}

static void
timed_out(struct conn *c)
{
	struct stats *stats = &c->p->d->stats;

	switch (c->state) {
	case CONN_HELLO:
		https_hello(c, true);
		break;
	case CONN_HEAD:
		if (sock_unread(&c->guest) == 0) {
			stats_inc(stats, PROXYS_TIMEOUT_IDLE);
			conn_drain(c);
			break;
		}
		stats_inc(stats, PROXYS_TIMEOUT_HEAD);
		conn_error(c, 408, "the request took too long");
		break;
	case CONN_RESOLVE:
	case CONN_ASK:
	case CONN_CONNECT:
		up_late(c);
		break;
	case CONN_VIA:
		stats_inc(stats, PROXYS_TIMEOUT_CONNECT);
		https_late(c);
		break;
	case CONN_EXCHANGE:
	case CONN_TUNNEL:
		stats_inc(stats, PROXYS_TIMEOUT_IDLE);
		conn_set(c, CONN_DEAD);
		break;
	case CONN_DRAIN:
	case CONN_DEAD:
		conn_set(c, CONN_DEAD);
		break;
	}
}

/* Activity only moves `since': the timer is set again when it fires. */
static void
timer_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct conn *c = w->data;

	if (usec_now(loop) < due(c)) {
		timer_start(c, due(c));
		return;
	}
	timed_out(c);
	conn_run(c);
}

/* The only writer of a connection's state. */
void
conn_set(struct conn *c, enum conn_state state)
{
	if (c->state == CONN_DEAD)
		return;
	if (c->state == CONN_RESOLVE)
		up_name_done(c);
	if (c->state == CONN_EXCHANGE)
		hold_end(c);
	c->state = state;
	timer_restart(c);
}

/*
 * Beginning and end.
 */

static bool
has_port(const struct pconf *conf, int which, uint16_t port)
{
	size_t i;

	for (i = 0; i < conf->nport[which]; i++) {
		if (conf->port[which][i] == port)
			return true;
	}
	return false;
}

/* What is spoken there; settings may have changed since it was asked for. */
static void
classify(struct conn *c)
{
	const struct pconf *conf = c->conf;
	struct ipaddr dst = ipaddr_from_u32(c->dst);
	bool out = match_addr(&conf->exclude, &dst) && !conf->allow_enabled;

	c->which = WHICH_HTTP;
	c->job = JOB_HTTP;
	c->state = CONN_HEAD;
	if (c->dst == conf->gateway_ip && conf->enabled) {
		if (c->dport == PROXYD_PORTHTTPS)
			c->which = WHICH_HTTPS;
		return;
	}
	c->transparent = true;
	if (!out && conf->proxy[WHICH_HTTP].at.host[0] != '\0' &&
	    has_port(conf, WHICH_HTTP, c->dport))
		return;
	c->which = WHICH_HTTPS;
	c->job = JOB_VIA;
	c->state = CONN_HELLO;
	if (!out && conf->proxy[WHICH_HTTPS].at.host[0] != '\0' &&
	    has_port(conf, WHICH_HTTPS, c->dport))
		return;
	https_direct(c);
}

static bool
has_room(struct proxyd *p, struct vm *vm)
{
	bool all = p->nconn >= p->maxconn || p->nfree == 0;
	unsigned missed;

	if (!all && vm->nconn < p->maxvm)
		return true;
	stats_inc(&p->d->stats, all ? PROXYS_LIMIT_ALL : PROXYS_LIMIT_VM);
	if (log_rate_ok(&p->limit_log, usec_now(p->d->loop), &missed))
		log_warnx("VM %u: too many HTTP connections (%zu)",
		    (unsigned)vm->num, vm->nconn);
	return false;
}

static struct conn *
conn_alloc(struct proxyd *p, struct vm *vm, struct ipc_msg *m)
{
	struct conn *c;
	uint32_t slot;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	slot = p->free_slot[--p->nfree];
	c->id = ++p->gen << PROXYD_SLOTBITS | slot;
	p->conn[slot] = c;
	p->nconn++;
	vm->nconn++;
	c->p = p;
	c->vm = vm;
	c->conf = pconf_ref(p->conf);
	TAILQ_INIT(&c->attempts);
	sock_init(&c->guest, p, ipc_take_fd(m, 0), conn_cb, c);
	ev_init(&c->timer, timer_cb);
	ev_set_priority(&c->timer, TIMER_LATE);
	c->timer.data = c;
	stats_add(&p->d->stats, PROXYS_CONNS, 1);
	stats_inc(&p->d->stats, PROXYS_CONNS_ALL);
	return c;
}

void
conn_new(struct proxyd *p, struct ipc_msg *m)
{
	struct vm *vm = vm_get(p, (uint32_t)ipc_u64(m, "vm"));
	struct ipaddr dst = ipc_addr(m, "dst");
	struct conn *c;

	if (vm == NULL || !has_room(p, vm))
		return; /* the descriptor goes with the message */
	if ((c = conn_alloc(p, vm, m)) == NULL)
		return;
	c->dst = ipaddr_to_u32(&dst);
	c->dport = (uint16_t)ipc_u64(m, "dport");
	c->state = CONN_HEAD;
	sock_want(&c->guest, true, false);
	classify(c);
	timer_restart(c);
	conn_run(c);
}

void
conn_free(struct conn *c)
{
	struct proxyd *p = c->p;
	uint32_t slot = c->id & SLOT_MASK;

	ev_timer_stop(p->d->loop, &c->timer);
	hold_end(c);
	up_name_done(c);
	up_end(c);
	sock_fini(&c->guest);
	free(c->head);
	pconf_unref(c->conf);
	c->vm->nconn--;
	p->nconn--;
	p->conn[slot] = NULL;
	p->free_slot[p->nfree++] = slot;
	stats_add(&p->d->stats, PROXYS_CONNS, (uint64_t)-1);
	free(c);
}

/*
 * Steps.
 */

void
conn_wait(struct conn *c)
{
	if (sock_unread(&c->guest) == 0)
		sock_fill(&c->guest);
	if (c->guest.broken || (c->guest.eof && sock_hungup(&c->guest))) {
		conn_set(c, CONN_DEAD);
		return;
	}
	sock_want(
	    &c->guest, sock_unread(&c->guest) == 0 && !c->guest.eof, false);
}

void
conn_tunnel(struct conn *c)
{
	stats_inc(&c->p->d->stats, PROXYS_TUNNELS);
	dir_init(&c->req, &c->guest, &c->up->s, FRAMING_EOF, 0);
	dir_init(&c->res, &c->up->s, &c->guest, FRAMING_EOF, 0);
	conn_set(c, CONN_TUNNEL);
}

/* One direction; an end is handed on as an end. */
static void
tunnel_dir(struct conn *c, struct dir *d)
{
	bool was = d->to->shut;

	switch (dir_pump(d)) {
	case PUMP_WAIT:
		dir_watch(d);
		break;
	case PUMP_DONE:
		dir_watch(d);
		if (!was)
			sock_shutdown(d->to);
		break;
	case PUMP_CUT:
	case PUMP_BAD:
	case PUMP_BROKEN:
		conn_set(c, CONN_DEAD);
		break;
	}
}

static void
step_tunnel(struct conn *c)
{
	tunnel_dir(c, &c->req);
	if (c->state == CONN_TUNNEL)
		tunnel_dir(c, &c->res);
	if (c->state != CONN_TUNNEL)
		return;
	if (c->guest.eof && !c->guest_gone && c->req.to->shut)
		c->guest_gone = sock_hungup(&c->guest);
	if ((c->guest.shut && c->up->s.shut) || c->guest_gone)
		conn_set(c, CONN_DEAD);
}

/*
 * A socket that is closed with something unread in it resets the other end,
 * which then may lose what was sent before.
 */
void
conn_drain(struct conn *c)
{
	up_end(c);
	free(c->head);
	c->head = NULL;
	c->drained = 0;
	conn_set(c, CONN_DRAIN);
}

static void
step_drain(struct conn *c)
{
	struct sock *g = &c->guest;
	size_t sent;
	int r;

	r = sock_send(g, NULL, 0, &sent);
	if (r == 1)
		sock_shutdown(g);
	while (sock_fill(g) || sock_unread(g) > 0) {
		c->drained += sock_unread(g);
		sock_consume(g, sock_unread(g));
		if (g->eof || g->broken || c->drained > PROXYD_DRAINBYTES)
			break;
	}
	if (r == -1 || g->broken || c->drained > PROXYD_DRAINBYTES ||
	    (g->eof && r == 1)) {
		conn_set(c, CONN_DEAD);
		return;
	}
	sock_want(g, !g->eof, r == 0);
}

void
conn_error(struct conn *c, unsigned status, const char *fmt, ...)
{
	struct wr w = wr_init(c->p->scratch, sizeof(c->p->scratch));
	char what[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (c->responding) {
		/* Half a response: its end must not look like one. */
		conn_set(c, CONN_DEAD);
		return;
	}
	conn_drain(c);
	if (rewrite_error(&w, status, what, strcmp(c->method, "HEAD") == 0) ==
		-1 ||
	    sock_put(&c->guest, w.p, w.len) == -1)
		conn_set(c, CONN_DEAD);
}

/* TLS has no place for a page. */
void
conn_failed(struct conn *c, unsigned status, const char *what)
{
	unsigned missed;

	if (log_rate_ok(&c->p->refused_log, usec_now(c->p->d->loop), &missed))
		log_info("VM %u: %s", (unsigned)c->vm->num, what);
	if (c->job == JOB_HTTP)
		conn_error(c, status, "%s", what);
	else
		conn_set(c, CONN_DEAD);
}

static void
step(struct conn *c)
{
	switch (c->state) {
	case CONN_HEAD:
		http_head(c);
		break;
	case CONN_HELLO:
		https_hello(c, false);
		break;
	case CONN_CONNECT:
	case CONN_RESOLVE:
	case CONN_ASK:
		conn_wait(c);
		break;
	case CONN_VIA:
		https_via(c);
		break;
	case CONN_EXCHANGE:
		http_exchange(c);
		break;
	case CONN_TUNNEL:
		step_tunnel(c);
		break;
	case CONN_DRAIN:
		step_drain(c);
		break;
	case CONN_DEAD:
		break;
	}
}

/* As long as one state leads to the next; c may be gone afterwards. */
void
conn_run(struct conn *c)
{
	enum conn_state before;

	do {
		before = c->state;
		step(c);
	} while (c->state != before && c->state != CONN_DEAD);
	if (c->state == CONN_DEAD)
		conn_free(c);
}

void
conn_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct conn *c = w->data;

	daemon_many(c->p->d, 1);
	if (revents & EV_READ)
		c->guest.readable = true;
	if (c->state == CONN_EXCHANGE || c->state == CONN_TUNNEL)
		c->since = usec_now(loop);
	conn_run(c);
}

void
conn_up_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct up *u = w->data;
	struct conn *c = u->conn;

	daemon_many(c->p->d, 1);
	if (revents & EV_READ)
		u->s.readable = true;
	if (c->state == CONN_EXCHANGE || c->state == CONN_TUNNEL)
		c->since = usec_now(loop);
	if (c->up != u)
		up_attempted(u);
	conn_run(c);
}
