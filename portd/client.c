/*
 * Clients of forwards: accepted, counted, offered; see forward.h.
 *
 * A client's socket goes to who speaks with the guest, and portd's own copy is
 * closed: what stays here is a struct client, for the limits.  A connection
 * that nobody can serve is reset at once, so that no client waits for nothing.
 */

#include <sys/socket.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/plat/plat.h"
#include "portd/forward.h"

#define ACCEPT_BATCH 64 /* per turn, so that others get one */

static const enum portd_stat limit_stat[] = {
	[LIMIT_ALL] = PORTS_LIMIT_ALL,
	[LIMIT_VM] = PORTS_LIMIT_VM,
	[LIMIT_DST] = PORTS_LIMIT_DST,
};

static struct client **
id_bucket(struct portd *p, uint32_t id)
{
	return &p->client[id % CLIENT_BUCKETS];
}

static struct client **
client_place(struct portd *p, uint32_t id)
{
	struct client **pp;

	for (pp = id_bucket(p, id); *pp != NULL; pp = &(*pp)->next) {
		if ((*pp)->id == id)
			break;
	}
	return pp;
}

static struct vm *
vm_at(struct portd *p, const struct ipaddr *ip)
{
	struct vm *vm;

	LIST_FOREACH (vm, &p->vms, entry) {
		if (vm->ip.family != 0 && ipaddr_cmp(&vm->ip, ip) == 0)
			return vm;
	}
	return NULL;
}

struct ipc *
client_peer(struct portd *p, const struct forward *f, struct limits_vm **used)
{
	struct vm *vm;

	if (f->tunnel) {
		*used = &p->front_used;
		return daemon_peer(p->d, ROLE_FRONT, 0);
	}
	if ((vm = vm_at(p, &f->dst)) == NULL)
		return NULL;
	*used = &vm->used;
	return vm->link;
}

struct client *
client_new(struct portd *p, struct ipc *link, struct limits_vm *used)
{
	struct client *c, **b;
	enum limit lim;

	if (ipc_queued(link) > CLIENT_MAXQUEUE) {
		stats_inc(&p->d->stats, PORTS_CLIENT_BUSY);
		return NULL;
	}
	lim = limits_take(&p->limits, used, CLIENT_KEY);
	if (lim != LIMIT_OK) {
		stats_inc(&p->d->stats, limit_stat[lim]);
		if (lim == LIMIT_ALL)
			opener_log_limit(p);
		return NULL;
	}
	if ((c = calloc(1, sizeof(*c))) == NULL) {
		limits_give(&p->limits, used, CLIENT_KEY);
		return NULL;
	}
	c->link = link;
	c->used = used;
	c->fd = c->early = c->theirs = -1;
	do {
		c->id = p->next_client++;
	} while (*client_place(p, c->id) != NULL);
	b = id_bucket(p, c->id);
	c->next = *b;
	*b = c;
	stats_add(&p->d->stats, PORTS_CLIENTS, 1);
	return c;
}

void
client_free(struct portd *p, struct client *c)
{
	struct client **pp = client_place(p, c->id);

	*pp = c->next;
	dgram_forget(p, c);
	limits_give(&p->limits, c->used, CLIENT_KEY);
	stats_add(&p->d->stats, PORTS_CLIENTS, (uint64_t)-1);
	free(c);
}

/* The peer, a stack or front, has gone with all that it was given. */
void
client_peer_gone(struct portd *p, const struct ipc *link)
{
	struct client *c, *next;
	size_t i;

	for (i = 0; i < CLIENT_BUCKETS; i++) {
		for (c = p->client[i]; c != NULL; c = next) {
			next = c->next;
			if (c->link == link)
				client_free(p, c);
		}
	}
}

void
client_offer(struct portd *p, const struct forward *f, const struct client *c,
    const int *fd, size_t nfd)
{
	char dst[IPADDR_STRLEN], from[IPADDR_STRLEN], to[IPADDR_STRLEN];

	stats_inc(&p->d->stats, PORTS_CLIENTS_OFFERED);
	ipaddr_str(&f->dst, dst);
	ipaddr_str(&c->from, from);
	ipaddr_str(&c->to, to);
	if (f->tunnel)
		ipc_send(c->link, IPC_TUNNEL_CONN, fd, nfd,
		    "{s:I,s:I,s:s,s:i,s:s,s:i}", "id", (json_int_t)c->id,
		    "forward", (json_int_t)f->id, "from", from, "fport",
		    (int)c->fport, "to", to, "tport", (int)c->tport);
	else
		ipc_send(c->link, IPC_FLOW_OFFER, fd, nfd,
		    "{s:I,s:s,s:s,s:i,s:s,s:i,s:s,s:i,s:b,s:b}", "id",
		    (json_int_t)c->id, "proto",
		    f->proto == FORWARD_UDP ? "udp" : "tcp", "dst", dst,
		    "dport", (int)f->dport, "from", from, "fport",
		    (int)c->fport, "to", to, "tport", (int)c->tport, "preserve",
		    (int)p->preserve, "proxy", (int)f->proxy);
}

/* Its client learns at once that there is nobody. */
static void
turn_away(struct portd *p, int fd)
{
	static const struct linger now = { .l_onoff = 1, .l_linger = 0 };

	stats_inc(&p->d->stats, PORTS_CLIENTS_REFUSED);
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

/* The ends of a connection; of a Unix socket's: none. */
static void
learn_ends(const struct forward *f, int fd, const struct sockaddr_storage *ss,
    struct client *c)
{
	struct sockaddr_storage mine;
	socklen_t len = sizeof(mine);

	c->from = c->to = ipaddr_from_u32(0);
	if (f->proto == FORWARD_UNIX)
		return;
	sock_name(ss, &c->from, &c->fport);
	if ((f->proxy || f->tunnel) &&
	    getsockname(fd, (struct sockaddr *)&mine, &len) == 0)
		sock_name(&mine, &c->to, &c->tport);
}

/*
 * On this machine, as far as can be told without asking for our own end, and
 * not by a port on the loopback, which has passed it on.
 */
static bool
client_is_here(const struct forward *f, const struct client *c)
{
	return f->proto == FORWARD_TCP && !ipaddr_is_loopback(&f->addr) &&
	       (ipaddr_is_loopback(&c->from) ||
		   ipaddr_cmp(&c->from, &f->addr) == 0);
}

static void
accepted(struct portd *p, const struct forward *f, int fd,
    const struct sockaddr_storage *ss)
{
	struct limits_vm *used;
	struct ipc *link = client_peer(p, f, &used);
	struct client *c = NULL;

	if (link != NULL)
		c = client_new(p, link, used);
	if (c == NULL) {
		turn_away(p, fd);
		return;
	}
	learn_ends(f, fd, ss, c);
	if (client_is_here(f, c))
		plat_tcp_here(fd);
	client_offer(p, f, c, &fd, 1);
}

void
client_accept_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct forward_sock *s = w->data;
	struct portd *p = ((struct daemon *)ev_userdata(loop))->data;
	struct sockaddr_storage ss;
	socklen_t len;
	int i, fd;

	for (i = 0; i < ACCEPT_BATCH; i++) {
		len = sizeof(ss);
		fd = accept4(w->fd, (struct sockaddr *)&ss, &len,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd != -1) {
			daemon_many(p->d, 1);
			accepted(p, s->f, fd, &ss);
			continue;
		}
		if (sock_no_room(errno) && ahead_drop(p))
			continue;
		/* Others are those of one connection, which is gone. */
		if (sock_no_room(errno))
			forward_pause(p, s->f);
		if (errno == EAGAIN || sock_no_room(errno))
			return;
	}
}

void
client_done(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct portd *p = d->data;
	struct client *c = *client_place(p, (uint32_t)ipc_u64(m, "id"));

	if (c != NULL && c->link == from)
		client_free(p, c);
}
