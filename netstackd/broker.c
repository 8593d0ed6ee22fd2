/*
 * The core's requests for sockets, and who answers them.
 *
 * On the bus a request has the flow's id and a count of that id's uses, so
 * that an answer which comes after its flow has closed finds nobody, and not
 * the id's next owner.
 */

#include <stdlib.h>
#include <unistd.h>

#include "netstackd/netstackd.h"

#define ID_BITS 15

_Static_assert(NET_MAXFLOWS <= 1 << ID_BITS, "flow ids fit a bus id");

static const enum ipc_role server_role[STACKD_NSERVER] = {
	[NET_PORTD] = ROLE_PORT,
	[NET_DNSD] = ROLE_DNS,
	[NET_PROXYD] = ROLE_PROXY,
};

static const char *const proto_name[] = {
	[NET_TCP] = "tcp",
	[NET_UDP_BIND] = "udp-bind",
	[NET_UDP] = "udp",
	[NET_DNS] = "dns",
};

int
broker_init(struct stackd *s, uint32_t nslot)
{
	s->broker.slot = calloc(nslot, sizeof(*s->broker.slot));
	s->broker.nslot = nslot;
	return s->broker.slot == NULL ? -1 : 0;
}

void
broker_fini(struct stackd *s)
{
	free(s->broker.slot);
}

/* -1: none of the three. */
static int
server_of(const struct ipc *link)
{
	int i;

	for (i = 0; i < STACKD_NSERVER; i++) {
		if (server_role[i] == ipc_peer(link))
			return i;
	}
	return -1;
}

/* What cannot be sent now is asked for again when the server is back. */
void
broker_open(void *arg, const struct net_open *o)
{
	struct stackd *s = arg;
	struct broker_slot *b = &s->broker.slot[o->id];
	struct ipaddr src = ipaddr_from_u32(o->src);
	struct ipaddr dst = ipaddr_from_u32(o->dst);
	char from[IPADDR_STRLEN], to[IPADDR_STRLEN];

	b->bus_id = (b->bus_id + (1u << ID_BITS)) & ~((1u << ID_BITS) - 1);
	b->bus_id |= o->id;
	b->server = (uint8_t)o->server;
	b->ask = ASK_PENDING;
	b->proto = (uint8_t)o->proto;
	if (s->broker.link[o->server] == NULL)
		return;
	ipc_send(s->broker.link[o->server], IPC_FLOW_OPEN, NULL, 0,
	    "{s:I,s:s,s:s,s:i,s:s,s:i}", "id", (json_int_t)b->bus_id, "proto",
	    proto_name[o->proto], "src", ipaddr_str(&src, from), "sport",
	    (int)o->sport, "dst", ipaddr_str(&dst, to), "dport", (int)o->dport);
}

void
broker_close(struct stackd *s, uint32_t id)
{
	struct broker_slot *b = &s->broker.slot[id];
	struct ipc *link = s->broker.link[b->server];

	if (b->ask != ASK_NONE && link != NULL)
		ipc_send(link, IPC_FLOW_CLOSE, NULL, 0, "{s:I}", "id",
		    (json_int_t)b->bus_id);
	b->ask = ASK_NONE;
}

/* The request an answer is for; NULL when nobody waits for it any more. */
static struct broker_slot *
slot_answered(struct stackd *s, struct ipc *from, uint64_t bus_id)
{
	uint32_t id = (uint32_t)bus_id & ((1u << ID_BITS) - 1);
	struct broker_slot *b;

	if (s->net == NULL || id >= s->broker.nslot)
		return NULL;
	b = &s->broker.slot[id];
	if (b->ask != ASK_PENDING || b->bus_id != bus_id ||
	    s->broker.link[b->server] != from)
		return NULL;
	return b;
}

/* Only portd's connections may still be on their way. */
void
broker_flow_fd(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct stackd *s = d->data;
	struct broker_slot *b = slot_answered(s, from, ipc_u64(m, "id"));
	uint32_t id;
	bool connecting;

	if (b == NULL)
		return; /* the descriptor goes with the message */
	id = (uint32_t)(b - s->broker.slot);
	connecting = b->server == NET_PORTD && b->proto == NET_TCP;
	b->ask = ASK_OPEN;
	if (hostio_add(s, id, ipc_take_fd(m, 0), (enum net_proto)b->proto,
		connecting) == 0) {
		net_opened(s->net, stackd_now(s), id, !connecting);
		return;
	}
	broker_close(s, id);
	net_open_failed(s->net, stackd_now(s), id, NET_ELIMIT);
}

void
broker_flow_refused(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct stackd *s = d->data;
	struct broker_slot *b = slot_answered(s, from, ipc_u64(m, "id"));

	if (b == NULL)
		return;
	b->ask = ASK_NONE;
	net_open_failed(s->net, stackd_now(s), (uint32_t)(b - s->broker.slot),
	    neterr_from_name(ipc_str(m, "error")));
}

void
broker_start(struct stackd *s)
{
	int i;

	for (i = 0; i < STACKD_NSERVER; i++) {
		if (s->broker.link[i] != NULL)
			net_server_ready(
			    s->net, stackd_now(s), (enum net_server)i);
	}
}

/* Nothing that the old process had promised binds its successor. */
static void
server_gone(struct stackd *s, int server)
{
	uint32_t i;

	s->broker.link[server] = NULL;
	for (i = 0; i < s->broker.nslot; i++) {
		if (s->broker.slot[i].server == server)
			s->broker.slot[i].ask = ASK_NONE;
	}
	if (s->net != NULL)
		net_server_gone(s->net, stackd_now(s), (enum net_server)server);
}

void
broker_peer(struct daemon *d, struct ipc *link)
{
	struct stackd *s = d->data;
	int server = server_of(link);

	if (server == -1)
		return;
	if (s->broker.link[server] != NULL)
		server_gone(s, server);
	s->broker.link[server] = link;
	if (s->net != NULL)
		net_server_ready(
		    s->net, stackd_now(s), (enum net_server)server);
}

void
broker_peer_gone(struct daemon *d, struct ipc *link)
{
	struct stackd *s = d->data;
	int server = server_of(link);

	if (server != -1 && s->broker.link[server] == link)
		server_gone(s, server);
}
