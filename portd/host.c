/*
 * What the supervisor is asked for, since portd has neither files nor
 * privileges: to bind a path or a low port, and to connect to a path of the
 * configuration.
 */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "portd/forward.h"

#define HOST_MAX 1024 /* that wait at a time */

enum host_kind {
	HOST_FORWARD,	 /* a forward's socket */
	HOST_LOCALHOST6, /* its second one */
	HOST_CLIENT,	 /* that of a client of a UDP forward */
	HOST_TUNNEL,	 /* front wants the tunnel */
	HOST_FLOW,	 /* a guest's flow through a path */
};

struct hostreq {
	uint32_t id;
	enum host_kind kind;
	void *who;	   /* borrowed: who waits; of a tunnel front's link */
	uint32_t front_id; /* of a tunnel */
	LIST_ENTRY(hostreq) entry;
};

static struct hostreq *
req_new(struct portd *p, enum host_kind kind, void *who)
{
	struct hostreq *r;

	if (p->nhostreq == HOST_MAX || (r = calloc(1, sizeof(*r))) == NULL)
		return NULL;
	if (++p->next_host == 0)
		p->next_host = 1;
	r->id = p->next_host;
	r->kind = kind;
	r->who = who;
	LIST_INSERT_HEAD(&p->hostreqs, r, entry);
	p->nhostreq++;
	return r;
}

static void
req_free(struct portd *p, struct hostreq *r)
{
	LIST_REMOVE(r, entry);
	p->nhostreq--;
	free(r);
}

static struct hostreq *
req_find(struct portd *p, uint32_t id)
{
	struct hostreq *r;

	LIST_FOREACH (r, &p->hostreqs, entry) {
		if (r->id == id)
			return r;
	}
	return NULL;
}

static uint32_t
ask_bind(struct portd *p, const struct hostreq *r, const char *proto,
    const char *addr, uint16_t port, uint32_t scope)
{
	if (r == NULL)
		return 0;
	ipc_send(p->d->sup, IPC_HOST_BIND, NULL, 0, "{s:I,s:s,s:s,s:i,s:I}",
	    "id", (json_int_t)r->id, "proto", proto, "addr", addr, "port",
	    (int)port, "scope", (json_int_t)scope);
	return r->id;
}

uint32_t
host_bind(struct portd *p, struct forward *f)
{
	static const char *const proto[] = {
		[FORWARD_TCP] = "tcp",
		[FORWARD_UDP] = "udp",
		[FORWARD_UNIX] = "unix",
	};
	bool share = f->proto == FORWARD_UDP && dgram_lingers(p, f->port);
	char text[IPADDR_STRLEN];

	return ask_bind(p, req_new(p, HOST_FORWARD, f),
	    share ? "udp+" : proto[f->proto],
	    f->proto == FORWARD_UNIX ? f->path : ipaddr_str(&f->addr, text),
	    f->port, 0);
}

uint32_t
host_bind_client(struct portd *p, struct client *c)
{
	char text[IPADDR_STRLEN];

	return ask_bind(p, req_new(p, HOST_CLIENT, c), "udp+",
	    ipaddr_str(&c->to, text), c->tport, c->scope);
}

uint32_t
host_bind_localhost6(struct portd *p, struct forward *f)
{
	return ask_bind(
	    p, req_new(p, HOST_LOCALHOST6, f), "tcp", "::1", f->port, 0);
}

static uint32_t
ask_connect(struct portd *p, const struct hostreq *r, const char *path)
{
	if (r == NULL)
		return 0;
	ipc_send(p->d->sup, IPC_HOST_CONNECT, NULL, 0, "{s:I,s:s}", "id",
	    (json_int_t)r->id, "path", path);
	return r->id;
}

uint32_t
host_connect_flow(struct portd *p, struct flow *f, const char *path)
{
	return ask_connect(p, req_new(p, HOST_FLOW, f), path);
}

static void
tunnel_refused(struct ipc *front, uint32_t id, const char *error)
{
	ipc_send(front, IPC_TUNNEL_REFUSED, NULL, 0, "{s:I,s:s}", "id",
	    (json_int_t)id, "error", error);
}

void
host_tunnel_open(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct portd *p = d->data;
	uint32_t id = (uint32_t)ipc_u64(m, "id");
	struct hostreq *r = req_new(p, HOST_TUNNEL, from);

	if (r == NULL) {
		tunnel_refused(from, id, "ENOBUFS");
		return;
	}
	r->front_id = id;
	ask_connect(p, r, "");
}

void
host_release(struct portd *p, uint32_t id)
{
	ipc_send(p->d->sup, IPC_HOST_RELEASE, NULL, 0, "{s:I}", "id",
	    (json_int_t)id);
}

void
host_forget(struct portd *p, const void *who)
{
	struct hostreq *r, *next;

	for (r = LIST_FIRST(&p->hostreqs); r != NULL; r = next) {
		next = LIST_NEXT(r, entry);
		if (r->who != who)
			continue;
		/* What it may still make is to go again. */
		if (r->kind == HOST_FORWARD)
			host_release(p, r->id);
		req_free(p, r);
	}
}

void
host_fini(struct portd *p)
{
	while (!LIST_EMPTY(&p->hostreqs))
		req_free(p, LIST_FIRST(&p->hostreqs));
}

/* fd becomes owned; -1: error says why. */
static void
answer(struct portd *p, uint32_t id, int fd, const char *error)
{
	struct hostreq *r = req_find(p, id), was;

	if (r == NULL) {
		if (fd != -1)
			close(fd);
		return;
	}
	was = *r;
	req_free(p, r);
	switch (was.kind) {
	case HOST_FORWARD:
		forward_answered(p, was.who, fd, error);
		break;
	case HOST_LOCALHOST6:
		forward_localhost6(p, was.who, fd);
		break;
	case HOST_CLIENT:
		dgram_bound(p, was.who, fd);
		break;
	case HOST_FLOW:
		opener_flow_connected(p, was.who, fd, error);
		break;
	case HOST_TUNNEL:
		if (fd == -1)
			tunnel_refused(was.who, was.front_id, error);
		else
			ipc_send(was.who, IPC_TUNNEL_FD, &fd, 1, "{s:I}", "id",
			    (json_int_t)was.front_id);
		break;
	}
}

void
host_fd(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	answer(d->data, (uint32_t)ipc_u64(m, "id"), ipc_take_fd(m, 0), NULL);
}

void
host_failed(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	answer(d->data, (uint32_t)ipc_u64(m, "id"), -1, ipc_str(m, "error"));
}
