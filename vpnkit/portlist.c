/*
 * The list of ports, and what is said about them; see portlist.h.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/string.h>

#include "common/log.h"

#include "portlist.h"

static const char *const by_name[PORT_BY__MAX] = {
	[PORT_PUBLISH] = "publish",
	[PORT_ADMIN] = "admin",
	[PORT_HTTP] = "http",
	[PORT_9P] = "9p",
};

static const char *const state_name[PORT_STATE__MAX] = {
	[PORT_ASKED] = "asked",
	[PORT_LISTENING] = "listening",
	[PORT_FAILED] = "failed",
	[PORT_LEAVING] = "leaving",
};

static bool
is_ours(const struct port *p)
{
	return p->by == PORT_PUBLISH || p->by == PORT_ADMIN;
}

static void
done(struct ipc *to, const char *error)
{
	ipc_send(to, IPC_ADMIN_DONE, NULL, 0, "{s:s%}", "error", error,
	    strnlen(error, 255));
}

static struct port *
port_new(struct portlist *l, enum port_by by)
{
	struct port *p;

	if ((p = calloc(1, sizeof(*p))) == NULL)
		return NULL;
	p->by = by;
	if (l->n[is_ours(p)] == PORTLIST_MAX) {
		free(p);
		return NULL;
	}
	p->serial = ++l->last;
	TAILQ_INSERT_TAIL(&l->list, p, entry);
	l->n[is_ours(p)]++;
	return p;
}

/* Whoever waits for the end of several is told of the last one's. */
static void
port_free(struct portlist *l, struct port *p)
{
	struct ipc *waiter = p->state == PORT_LEAVING ? p->waiter : NULL;
	const struct port *q;

	TAILQ_REMOVE(&l->list, p, entry);
	l->n[is_ours(p)]--;
	free(p);
	if (waiter == NULL)
		return;
	TAILQ_FOREACH (q, &l->list, entry) {
		if (q->waiter == waiter && q->state == PORT_LEAVING)
			return;
	}
	done(waiter, "");
}

void
portlist_init(struct portlist *l)
{
	memset(l, 0, sizeof(*l));
	TAILQ_INIT(&l->list);
}

void
portlist_fini(struct portlist *l)
{
	struct port *p;

	while ((p = TAILQ_FIRST(&l->list)) != NULL) {
		TAILQ_REMOVE(&l->list, p, entry);
		free(p);
	}
}

/*
 * Ours, and portd.
 */

static struct port *
port_ours(struct portlist *l, const struct ipc_msg *m)
{
	uint32_t id = (uint32_t)ipc_u64(m, "id");
	struct port *p;

	TAILQ_FOREACH (p, &l->list, entry) {
		if (p->serial == id && is_ours(p))
			return p;
	}
	return NULL;
}

/* One that had a port asks for that very port. */
static void
port_ask(struct portlist *l, struct port *p)
{
	char dst[IPADDR_STRLEN];

	p->state = PORT_ASKED;
	if (l->portd != NULL &&
	    ipc_send(l->portd, IPC_FORWARD_ADD, NULL, 0,
		"{s:I, s:s, s:s, s:i, s:s, s:i, s:s, s:s, s:b}", "id",
		(json_int_t)p->serial, "proto", p->proto, "addr", p->addr,
		"port", (int)(p->real != 0 ? p->real : p->want), "dst",
		ipaddr_str(&p->dst, dst), "dport", (int)p->dport, "dpath", "",
		"via", "net", "proxy", (int)p->proxy) == -1)
		p->state = PORT_FAILED;
}

static struct port *
port_publish(
    struct portlist *l, enum port_by by, const struct publish *u, uint16_t off)
{
	bool path = u->path[0] != '\0';
	struct port *p;

	if ((p = port_new(l, by)) == NULL)
		return NULL;
	strlcpy(p->proto,
	    path     ? "unix"
	    : u->udp ? "udp"
		     : "tcp",
	    sizeof(p->proto));
	if (path)
		strlcpy(p->addr, u->path, sizeof(p->addr));
	else
		ipaddr_str(&u->host, p->addr);
	p->want = u->host_port == 0 ? 0 : (uint16_t)(u->host_port + off);
	p->dst = u->guest;
	p->dport = (uint16_t)(u->guest_port + off);
	p->proxy = u->proxy;
	return p;
}

int
portlist_publish(struct portlist *l, const struct publish *u, const char *text)
{
	struct port *p;
	uint16_t i;

	for (i = 0; i < u->count; i++) {
		if ((p = port_publish(l, PORT_PUBLISH, u, i)) == NULL) {
			log_warnx("--publish %s: there are more than %d ports",
			    text, PORTLIST_MAX);
			return -1;
		}
		strlcpy(p->note, text, sizeof(p->note));
	}
	return 0;
}

void
portlist_portd(struct portlist *l, struct ipc *portd)
{
	struct port *p, *next;

	l->portd = portd;
	TAILQ_FOREACH_SAFE (p, &l->list, entry, next) {
		if (!is_ours(p))
			continue;
		if (p->state == PORT_LEAVING)
			port_free(l, p);
		else if (portd != NULL)
			port_ask(l, p);
		else
			p->state = PORT_ASKED;
	}
}

void
portlist_retry(struct portlist *l)
{
	struct port *p;

	TAILQ_FOREACH (p, &l->list, entry) {
		if (is_ours(p) && p->state == PORT_FAILED)
			port_ask(l, p);
	}
}

static void
send_entry(struct ipc *to, const struct port *p)
{
	char dst[IPADDR_STRLEN];

	if (ipc_send(to, IPC_PORTS_ENTRY, NULL, 0,
		"{s:I, s:s, s:s, s:s, s:s, s:i, s:i, s:s, s:i, s:s, s:b, s:s}",
		"serial", (json_int_t)p->serial, "by", by_name[p->by], "state",
		state_name[p->state], "proto", p->proto, "addr", p->addr,
		"want", (int)p->want, "port", (int)p->real, "dst",
		ipaddr_str(&p->dst, dst), "dport", (int)p->dport, "dpath",
		p->dpath, "proxy", (int)p->proxy, "note",
		p->state == PORT_FAILED ? p->why : p->note) == -1)
		done(to, "a port cannot be described");
}

void
portlist_added(struct portlist *l, const struct ipc_msg *m)
{
	struct port *p = port_ours(l, m);
	struct ipc *waiter;

	if (p == NULL || p->state == PORT_LEAVING)
		return;
	p->real = (uint16_t)ipc_u64(m, "port");
	p->state = PORT_LISTENING;
	if (p->by == PORT_ADMIN) {
		log_info("administrator: %s port %u of %s leads to a guest",
		    p->proto, (unsigned)p->real, p->addr);
	} else {
		log_info("--publish %s: port %u", p->note, (unsigned)p->real);
	}
	if ((waiter = p->waiter) == NULL)
		return;
	p->waiter = NULL;
	send_entry(waiter, p);
}

/* One that never was there and whose maker is told so is forgotten. */
static void
port_failed(
    struct portlist *l, struct port *p, const char *error, const char *why)
{
	char text[sizeof(p->why)];

	p->state = PORT_FAILED;
	snprintf(text, sizeof(text), "%s (%s)", why, error);
	strlcpy(p->why, text, sizeof(p->why));
	if (p->by == PORT_PUBLISH) {
		log_warnx("--publish %s: port %u: %s (%s)", p->note,
		    (unsigned)p->want, why, error);
		return;
	}
	if (p->waiter != NULL) {
		done(p->waiter, text);
		port_free(l, p);
		return;
	}
	log_warnx("administrator: %s port %u of %s: %s", p->proto,
	    (unsigned)(p->real != 0 ? p->real : p->want), p->addr, text);
}

void
portlist_failed(struct portlist *l, const struct ipc_msg *m)
{
	struct port *p = port_ours(l, m);

	if (p != NULL && p->state != PORT_LEAVING)
		port_failed(l, p, ipc_str(m, "error"), ipc_str(m, "why"));
}

void
portlist_gone(struct portlist *l, const struct ipc_msg *m)
{
	struct port *p = port_ours(l, m);

	if (p == NULL)
		return;
	if (p->state == PORT_LEAVING)
		port_free(l, p);
	else
		port_failed(l, p, "gone", ipc_str(m, "why"));
}

/*
 * front's.
 */

static struct port *
port_fronts(struct portlist *l, uint32_t id)
{
	struct port *p;

	TAILQ_FOREACH (p, &l->list, entry) {
		if (!is_ours(p) && p->front_id == id)
			return p;
	}
	return NULL;
}

const char *
portlist_held(struct portlist *l, const struct ipc_msg *m)
{
	bool http = strcmp(ipc_str(m, "by"), "http") == 0;
	uint32_t id = (uint32_t)ipc_u64(m, "id");
	struct port *p = port_fronts(l, id);

	if (!http && strcmp(ipc_str(m, "by"), "9p") != 0)
		return "has a port of nobody's";
	if (p == NULL && (p = port_new(l, PORT_9P)) == NULL)
		return "has too many ports";
	p->by = http ? PORT_HTTP : PORT_9P;
	p->front_id = id;
	if (p->state != PORT_LEAVING)
		p->state = PORT_LISTENING;
	strlcpy(p->proto, ipc_str(m, "proto"), sizeof(p->proto));
	strlcpy(p->addr, ipc_str(m, "addr"), sizeof(p->addr));
	p->want = (uint16_t)ipc_u64(m, "want");
	p->real = (uint16_t)ipc_u64(m, "port");
	p->dst = ipc_addr(m, "dst");
	p->dport = (uint16_t)ipc_u64(m, "dport");
	strlcpy(p->dpath, ipc_str(m, "dpath"), sizeof(p->dpath));
	strlcpy(p->note, ipc_str(m, "note"), sizeof(p->note));
	return NULL;
}

void
portlist_dropped(struct portlist *l, const struct ipc_msg *m)
{
	struct port *p = port_fronts(l, (uint32_t)ipc_u64(m, "id"));

	if (p != NULL)
		port_free(l, p);
}

static void
tell_front(struct portlist *l, struct port *p)
{
	char dst[IPADDR_STRLEN];

	ipc_send(l->front, IPC_PORT_HELD, NULL, 0,
	    "{s:I, s:s, s:s, s:s, s:i, s:i, s:s, s:i, s:s, s:s}", "id",
	    (json_int_t)p->front_id, "by", by_name[p->by], "proto", p->proto,
	    "addr", p->addr, "want", (int)p->want, "port", (int)p->real, "dst",
	    ipaddr_str(&p->dst, dst), "dport", (int)p->dport, "dpath", p->dpath,
	    "note", p->note);
}

/* A 9P port goes with its client, which was front's. */
void
portlist_front(struct portlist *l, struct ipc *front)
{
	struct port *p, *next;

	l->front = front;
	TAILQ_FOREACH_SAFE (p, &l->list, entry, next) {
		if (is_ours(p))
			continue;
		if (p->by == PORT_9P || p->state == PORT_LEAVING)
			port_free(l, p);
		else if (front != NULL)
			tell_front(l, p);
		else
			p->state = PORT_ASKED;
	}
}

/*
 * Administrators.
 */

void
portlist_next(struct portlist *l, struct ipc *from, const struct ipc_msg *m)
{
	uint64_t after = ipc_u64(m, "after");
	const struct port *p;

	TAILQ_FOREACH (p, &l->list, entry) {
		if (p->serial > after) {
			send_entry(from, p);
			return;
		}
	}
	ipc_send(from, IPC_STATUS_END, NULL, 0, "{}");
}

void
portlist_add(struct portlist *l, struct ipc *from, const struct ipc_msg *m)
{
	struct publish u;
	const char *why;
	struct port *p;
	char text[256];

	if (publish_parse(ipc_str(m, "spec"), &u, &why) == -1) {
		snprintf(text, sizeof(text), "this %s", why);
		done(from, text);
		return;
	}
	if (u.count != 1) {
		done(from, "one port at a time, please");
		return;
	}
	if ((p = port_publish(l, PORT_ADMIN, &u, 0)) == NULL) {
		done(from, "there are too many ports");
		return;
	}
	p->waiter = from;
	port_ask(l, p);
	if (p->state == PORT_FAILED)
		port_failed(l, p, "EINVAL", "it cannot be asked for");
}

static bool
is_meant(const struct port *p, const struct publish *u, const char *host)
{
	uint16_t port = p->real != 0 ? p->real : p->want;

	if (p->state == PORT_LEAVING)
		return false;
	if (u->path[0] != '\0')
		return strcmp(p->proto, "unix") == 0 &&
		       strcmp(p->addr, u->path) == 0;
	return strcmp(p->proto, u->udp ? "udp" : "tcp") == 0 &&
	       strcmp(p->addr, host) == 0 && port >= u->host_port &&
	       port - u->host_port < u->count;
}

/* Who waited for it to come waits no more. */
static void
port_end(struct portlist *l, struct port *p, struct ipc *waiter)
{
	struct ipc *to = is_ours(p) ? l->portd : l->front;

	if (p->waiter != NULL && p->waiter != waiter)
		done(p->waiter, "it was removed");
	log_info("administrator: %s port %u of %s ends", p->proto,
	    (unsigned)p->real, p->addr);
	p->state = PORT_LEAVING;
	p->waiter = waiter;
	if (to != NULL)
		ipc_send(to, is_ours(p) ? IPC_FORWARD_REMOVE : IPC_PORT_END,
		    NULL, 0, "{s:I}", "id",
		    (json_int_t)(is_ours(p) ? p->serial : p->front_id));
}

void
portlist_remove(struct portlist *l, struct ipc *from, const struct ipc_msg *m)
{
	const char *spec = ipc_str(m, "spec"), *why;
	char host[IPADDR_STRLEN], text[256];
	struct port *p, *next;
	struct publish u;
	size_t n = 0;

	if (publish_parse_end(spec, &u, &why) == -1 &&
	    publish_parse(spec, &u, &why) == -1) {
		snprintf(text, sizeof(text),
		    "this is not HOSTIP:PORT[/udp], nor a path");
		done(from, text);
		return;
	}
	ipaddr_str(&u.host, host);
	TAILQ_FOREACH (p, &l->list, entry) {
		if (!is_meant(p, &u, host))
			continue;
		port_end(l, p, from);
		n++;
	}
	if (n == 0)
		done(from, "there is no such port");
	/* Those that nobody is there for. */
	TAILQ_FOREACH_SAFE (p, &l->list, entry, next) {
		if (p->state == PORT_LEAVING &&
		    (is_ours(p) ? l->portd : l->front) == NULL)
			port_free(l, p);
	}
}

void
portlist_forget(struct portlist *l, const struct ipc *who)
{
	struct port *p;

	TAILQ_FOREACH (p, &l->list, entry) {
		if (p->waiter == who)
			p->waiter = NULL;
	}
}
