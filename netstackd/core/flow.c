/*
 * The flow table: every flow by its id, which is its name toward the shell,
 * and by its addresses.
 *
 * Ids are given out in the order they came back, so that one is reused as
 * late as possible: an answer to a question about a flow that is gone then
 * meets nobody, and not a stranger.
 */

#include <stdlib.h>

#include "netstackd/core/core.h"

/*
 * The addresses are the guest's choice, so the key is drawn at random.  A
 * guest that finds long chains all the same slows down only itself.
 */
static uint32_t
flow_hash(const struct net *net, enum net_proto proto, uint32_t guest_ip,
    uint16_t guest_port, uint32_t host_ip, uint16_t host_port)
{
	uint64_t h = (uint64_t)net->hash_key << 8 | (uint64_t)proto;

	h = (h ^ ((uint64_t)guest_ip << 32 | host_ip)) * 0x9e3779b97f4a7c15;
	h ^= h >> 29;
	h = (h ^ ((uint64_t)guest_port << 16 | host_port)) * 0xbf58476d1ce4e5b9;
	h ^= h >> 32;
	return (uint32_t)h & (net->nbucket - 1);
}

static struct flow **
flow_bucket(struct net *net, const struct flow *f)
{
	return &net->bucket[flow_hash(net, f->proto, f->guest_ip, f->guest_port,
	    f->host_ip, f->host_port)];
}

int
flow_table_new(struct net *net)
{
	uint32_t i, n = net->conf.max_flows;

	for (net->nbucket = 16; net->nbucket < n; net->nbucket *= 2)
		;
	net->by_id = calloc(n, sizeof(struct flow *));
	net->bucket = calloc(net->nbucket, sizeof(struct flow *));
	net->freeid = calloc(n, sizeof(*net->freeid));
	if (net->by_id == NULL || net->bucket == NULL || net->freeid == NULL)
		return -1;
	for (i = 0; i < n; i++)
		net->freeid[i] = i;
	net->nfree = n;
	net->hash_key = net->hook->random(net->arg);
	return 0;
}

void
flow_table_free(struct net *net)
{
	free(net->by_id);
	free(net->bucket);
	free(net->freeid);
}

int
flow_add(struct net *net, struct flow *f)
{
	struct flow **b;

	if (net->nfree == 0) {
		stat_inc(net, NETS_FLOW_LIMIT);
		return -1;
	}
	f->id = net->freeid[net->free_head];
	net->free_head = (net->free_head + 1) % net->conf.max_flows;
	net->nfree--;
	net->by_id[f->id] = f;
	b = flow_bucket(net, f);
	f->next = *b;
	*b = f;
	if (net->hook->flow != NULL)
		net->hook->flow(net->arg, f->id, NET_FLOW_NEW);
	return 0;
}

void
flow_del(struct net *net, struct flow *f)
{
	struct flow **b;

	if (net->hook->flow != NULL)
		net->hook->flow(net->arg, f->id, NET_FLOW_GONE);
	/* The next one that ends in this turn has a reason of its own. */
	net->drop = net->fail = NULL;
	for (b = flow_bucket(net, f); *b != NULL; b = &(*b)->next) {
		if (*b == f) {
			*b = f->next;
			break;
		}
	}
	net->by_id[f->id] = NULL;
	net->freeid[(net->free_head + net->nfree) % net->conf.max_flows] =
	    f->id;
	net->nfree++;
}

struct flow *
flow_get(struct net *net, uint32_t id)
{
	return id < net->conf.max_flows ? net->by_id[id] : NULL;
}

struct flow *
flow_find(struct net *net, enum net_proto proto, uint32_t guest_ip,
    uint16_t guest_port, uint32_t host_ip, uint16_t host_port)
{
	struct flow *f;

	f = net->bucket[flow_hash(
	    net, proto, guest_ip, guest_port, host_ip, host_port)];
	for (; f != NULL; f = f->next) {
		if (f->proto == proto && f->guest_ip == guest_ip &&
		    f->guest_port == guest_port && f->host_ip == host_ip &&
		    f->host_port == host_port)
			return f;
	}
	return NULL;
}

/* As high as hosts' own ephemeral ports, which no server uses. */
#define PORT_LOW 32768

uint16_t
flow_gateway_port(struct net *net, const struct flow *f, uint16_t *last)
{
	uint32_t i, port;

	for (i = 0; i <= UINT16_MAX - PORT_LOW; i++) {
		port = PORT_LOW + ((uint32_t)*last + 1) % PORT_LOW;
		*last = (uint16_t)port;
		if (flow_find(net, f->proto, f->guest_ip, f->guest_port,
			net->conf.gateway_ip, (uint16_t)port) == NULL)
			return (uint16_t)port;
	}
	return 0;
}

void
flow_open(struct net *net, struct flow *f)
{
	struct net_open o = { .id = f->id,
		.proto = f->proto,
		.server = f->server,
		.src = f->guest_ip,
		.dst = f->host_ip,
		.sport = f->guest_port,
		.dport = f->host_port };

	if (f->ask == FLOW_ASKED)
		return;
	if (!net->server_up[f->server]) {
		f->ask = FLOW_WAITING;
		return;
	}
	f->ask = FLOW_ASKED;
	net->hook->open(net->arg, &o);
}

size_t
net_flows(const struct net *net)
{
	return net->conf.max_flows - net->nfree;
}
