/*
 * The core's requests for sockets, and who answers them.
 *
 * On the bus a request has the flow's id and a count of that id's uses, so
 * that an answer which comes after its flow has closed finds nobody, and not
 * the id's next owner.
 *
 * A guest can ask faster than sockets are made.  When more requests wait than
 * a server works off in a moment, new ones are as if nobody had answered:
 * whatever a guest does, its stack never leaves so much unsent that the link
 * is cut.
 */

#include <stdlib.h>

#include "netstackd/netstackd.h"

#define ID_BITS 15
/* With the close of every flow there may be, this stays below the bus's own
 * limit. */
#define BROKER_MAXQUEUE (2u << 20)
#define CLOSE_BYTES	64 /* more than a flow-close takes */

_Static_assert(NET_MAXFLOWS <= 1 << ID_BITS, "flow ids fit a bus id");
_Static_assert(BROKER_MAXQUEUE + NET_MAXFLOWS * CLOSE_BYTES <= IPC_MAXQUEUE,
    "the link takes what is not refused");

static const enum ipc_role server_role[STACKD_NSERVER] = {
	[NET_PORTD] = ROLE_PORT,
	[NET_DNSD] = ROLE_DNS,
	[NET_PROXYD] = ROLE_PORT, /* which gives proxyd the other end */
};

static const char *const proto_name[] = {
	[NET_TCP] = "tcp",
	[NET_UDP_BIND] = "udp-bind",
	[NET_UDP] = "udp",
	[NET_DNS] = "dns",
	[NET_ICMP] = "icmp",
};

int
broker_init(struct stackd *s, uint32_t nslot)
{
	struct broker *b = &s->broker;

	b->slot = calloc(nslot, sizeof(*b->slot));
	b->refused = calloc(nslot, sizeof(*b->refused));
	b->nslot = nslot;
	return b->slot == NULL || b->refused == NULL ? -1 : 0;
}

void
broker_fini(struct stackd *s)
{
	free(s->broker.slot);
	free(s->broker.refused);
}

static const char *
open_name(const struct net_open *o)
{
	return o->server == NET_PROXYD ? "http" : proto_name[o->proto];
}

/* The core may not be told from inside its own call. */
static void
refuse_later(struct stackd *s, uint32_t id)
{
	struct broker_slot *b = &s->broker.slot[id];

	stats_inc(&s->d->stats, NETS_FLOW_LIMIT);
	b->ask = ASK_REFUSED;
	if (b->listed)
		return;
	b->listed = true;
	s->broker.refused[s->broker.nrefused++] = id;
}

/* The end of a turn. */
void
broker_settle(struct stackd *s)
{
	struct broker *br = &s->broker;
	struct broker_slot *b;
	uint32_t id;

	while (br->nrefused > 0) {
		id = br->refused[--br->nrefused];
		b = &br->slot[id];
		b->listed = false;
		if (b->ask != ASK_REFUSED)
			continue;
		b->ask = ASK_NONE;
		/* Too busy is not a no: a guest that asks again is served. */
		net_open_failed(s->net, stackd_now(s), id, NET_ETIMEDOUT);
	}
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
	if (ipc_queued(s->broker.link[o->server]) > BROKER_MAXQUEUE) {
		refuse_later(s, o->id);
		return;
	}
	ipc_send(s->broker.link[o->server], IPC_FLOW_OPEN, NULL, 0,
	    "{s:I,s:s,s:s,s:i,s:s,s:i}", "id", (json_int_t)b->bus_id, "proto",
	    open_name(o), "src", ipaddr_str(&src, from), "sport",
	    (int)o->sport, "dst", ipaddr_str(&dst, to), "dport", (int)o->dport);
}

void
broker_close(struct stackd *s, uint32_t id)
{
	struct broker_slot *b = &s->broker.slot[id];
	struct ipc *link = s->broker.link[b->server];

	if ((b->ask == ASK_PENDING || b->ask == ASK_OPEN) && link != NULL)
		ipc_send_lazy(
		    link, IPC_FLOW_CLOSE, "{s:I}", "id", (json_int_t)b->bus_id);
	if (b->ask == ASK_OFFERED && link != NULL)
		ipc_send_lazy(
		    link, IPC_OFFER_DONE, "{s:I}", "id", (json_int_t)b->bus_id);
	b->ask = ASK_NONE;
}

void
broker_offered(
    struct stackd *s, uint32_t id, enum net_proto proto, uint32_t offer)
{
	struct broker_slot *b = &s->broker.slot[id];

	b->bus_id = offer;
	b->server = NET_PORTD;
	b->ask = ASK_OFFERED;
	b->proto = (uint8_t)proto;
}

int64_t
broker_find_offer(const struct stackd *s, uint32_t offer)
{
	const struct broker *b = &s->broker;
	uint32_t i;

	for (i = 0; i < b->nslot; i++) {
		if (b->slot[i].ask == ASK_OFFERED && b->slot[i].bus_id == offer)
			return i;
	}
	return -1;
}

/*
 * The request an answer is for; NULL when nobody waits for it any more.  Only
 * portd makes sockets, also those that dnsd has the other end of.
 */
static struct broker_slot *
slot_answered(struct stackd *s, struct ipc *from, uint64_t bus_id)
{
	uint32_t id = (uint32_t)bus_id & ((1u << ID_BITS) - 1);
	struct broker_slot *b;

	if (s->net == NULL || id >= s->broker.nslot)
		return NULL;
	b = &s->broker.slot[id];
	if (b->ask != ASK_PENDING || b->bus_id != bus_id ||
	    (s->broker.link[b->server] != from && ipc_peer(from) != ROLE_PORT))
		return NULL;
	return b;
}

/* -1: no room for the descriptor; the core has been told. */
static int
slot_open(
    struct stackd *s, struct broker_slot *b, struct ipc_msg *m, bool connecting)
{
	uint32_t id = (uint32_t)(b - s->broker.slot);

	b->ask = ASK_OPEN;
	if (hostio_add(s, id, ipc_take_fd(m, 0), (enum net_proto)b->proto,
		connecting) == 0)
		return 0;
	broker_close(s, id);
	net_open_failed(s->net, stackd_now(s), id, NET_ELIMIT);
	return -1;
}

/* Only portd's connections may still be on their way. */
void
broker_flow_fd(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct stackd *s = d->data;
	struct broker_slot *b = slot_answered(s, from, ipc_u64(m, "id"));
	bool connecting;

	if (b == NULL)
		return; /* the descriptor goes with the message */
	if (b->proto == NET_ICMP) {
		daemon_bad_peer(d, from, "flow-fd for ICMP");
		return;
	}
	connecting = b->server == NET_PORTD && b->proto == NET_TCP;
	if (slot_open(s, b, m, connecting) == 0)
		net_opened(s->net, stackd_now(s),
		    (uint32_t)(b - s->broker.slot), !connecting);
}

void
broker_flow_icmp(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct stackd *s = d->data;
	struct broker_slot *b = slot_answered(s, from, ipc_u64(m, "id"));

	if (b == NULL)
		return;
	if (b->proto != NET_ICMP) {
		daemon_bad_peer(d, from, "flow-icmp for another protocol");
		return;
	}
	if (slot_open(s, b, m, false) == 0)
		net_opened_icmp(s->net, stackd_now(s),
		    (uint32_t)(b - s->broker.slot),
		    (uint16_t)ipc_u64(m, "echo-id"), ipc_bool(m, "raw"));
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
	int i;

	for (i = 0; i < STACKD_NSERVER; i++) {
		if (server_role[i] != ipc_peer(link))
			continue;
		if (s->broker.link[i] != NULL)
			server_gone(s, i);
		s->broker.link[i] = link;
		if (s->net != NULL)
			net_server_ready(
			    s->net, stackd_now(s), (enum net_server)i);
	}
}

void
broker_peer_gone(struct daemon *d, struct ipc *link)
{
	struct stackd *s = d->data;
	int i;

	for (i = 0; i < STACKD_NSERVER; i++) {
		if (s->broker.link[i] == link)
			server_gone(s, i);
	}
}
