/*
 * UDP flows: binds, destinations and the one to dnsd; how long they live, how
 * many there may be, and what they keep for a socket that is not there yet.
 *
 * When there are too many, the one unused for longest goes.  Those that were
 * never answered go first, so that a scan of the guest's does not cost it its
 * conversations, but a quarter of the table is left to them, or nothing new
 * could live long enough to be answered.
 */

#include <stdlib.h>
#include <string.h>

#include "netstackd/core/udp.h"

static struct udp_flow *
udp_of(struct flow *f)
{
	return (struct udp_flow *)f;
}

static void
udp_count(struct net *net)
{
	net->stat[NETS_UDP_FLOWS] =
	    net->udp->nlru[0] + net->udp->nlru[1] + (net->udp->dns != NULL);
}

/* The flow is in the list of its kind, but that to dnsd, which is in none. */
static void
lru_add(struct net *net, struct udp_flow *u)
{
	TAILQ_INSERT_HEAD(&net->udp->lru[u->answered], u, lru);
	net->udp->nlru[u->answered]++;
}

static void
lru_del(struct net *net, struct udp_flow *u)
{
	TAILQ_REMOVE(&net->udp->lru[u->answered], u, lru);
	net->udp->nlru[u->answered]--;
}

/* A bind is used by what is connected on its port, and after it: then the
 * oldest in the list is never a bind with something younger on it. */
void
udp_touch(struct net *net, usec_t now, struct udp_flow *u, bool inbound)
{
	flow_changed(net, &u->f);
	if (u->f.proto == NET_DNS)
		return;
	lru_del(net, u);
	u->used = now;
	if (inbound)
		u->answered = true;
	lru_add(net, u);
	if (u->bind != NULL)
		udp_touch(net, now, u->bind, inbound);
}

static usec_t
udp_idle_time(const struct udp_flow *u)
{
	bool names = u->f.proto == NET_UDP_BIND ? !u->lasting
						: u->f.host_port == DNS_PORT;

	return names ? UDP_IDLE_DNS : UDP_IDLE;
}

/* The timer is not moved with each datagram; it looks when it comes. */
static void
udp_idle(struct net *net, usec_t now, struct timer *t)
{
	struct udp_flow *u =
	    (struct udp_flow *)((char *)t - offsetof(struct udp_flow, idle));
	usec_t end = u->used + udp_idle_time(u);

	if (now < end) {
		timer_set(net, t, end);
		return;
	}
	stat_inc(net, NETS_UDP_EXPIRED);
	udp_del(net, u);
}

void
udp_dequeue(struct net *net, struct udp_flow *u)
{
	struct udp_pkt *p = u->q;

	u->q = p->next;
	if (u->q == NULL)
		u->qtail = &u->q;
	u->nq--;
	net->queued -= (uint32_t)(sizeof(*p) + p->len);
	free(p);
}

void
udp_enqueue(struct net *net, struct udp_flow *u, const struct net_dgram *d)
{
	const struct iovec *iov = d->iov;
	struct udp_pkt *p = NULL;
	size_t len = 0;
	unsigned most = u->f.proto == NET_DNS ? UDP_QUEUE_DNS : UDP_QUEUE;
	int i, n = d->niov;

	for (i = 0; i < n; i++)
		len += iov[i].iov_len;
	if (u->nq < most && net->queued <= net->conf.max_queue &&
	    sizeof(*p) + len <= net->conf.max_queue - net->queued)
		p = malloc(sizeof(*p) + len);
	if (p == NULL) {
		stat_inc(net, NETS_UDP_QUEUE_FULL);
		return;
	}
	p->next = NULL;
	p->how = *d;
	p->len = 0;
	for (i = 0; i < n; i++) {
		if (iov[i].iov_len > 0)
			memcpy(
			    p->data + p->len, iov[i].iov_base, iov[i].iov_len);
		p->len += iov[i].iov_len;
	}
	net->queued += (uint32_t)(sizeof(*p) + len);
	*u->qtail = p;
	u->qtail = &p->next;
	u->nq++;
}

void
udp_del(struct net *net, struct udp_flow *u)
{
	struct udp_net *un = net->udp;

	while (!TAILQ_EMPTY(&u->kids))
		udp_del(net, TAILQ_FIRST(&u->kids));
	if (un->batch.flow == u) {
		un->batch.flow = NULL;
		un->batch.n = 0;
	}
	while (u->nq > 0)
		udp_dequeue(net, u);
	if (u->blocked)
		TAILQ_REMOVE(&un->blocked, u, wait);
	if (u->bind != NULL)
		TAILQ_REMOVE(&u->bind->kids, u, kin);
	if (u->f.proto == NET_DNS)
		un->dns = NULL;
	else
		lru_del(net, u);
	timer_clear(net, &u->idle);
	net->hook->close(net->arg, u->f.id, false);
	flow_del(net, &u->f);
	udp_count(net);
	free(u);
}

/* Takes a flow away from whoever needs it least.  -1: nobody has one. */
static int
udp_evict(struct net *net, usec_t now)
{
	struct udp_net *un = net->udp;
	struct udp_flow *u;

	u = TAILQ_LAST(&un->lru[un->nlru[0] <= un->limit / 4], udp_list);
	if (u == NULL)
		u = TAILQ_LAST(&un->lru[0], udp_list);
	if (u == NULL)
		return -1;
	udp_batch_flush(net, now);
	stat_inc(net, NETS_UDP_LIMIT);
	udp_del(net, u);
	return 0;
}

/* Room for two more flows, here and in the table of all. */
static void
udp_make_room(struct net *net, usec_t now)
{
	struct udp_net *un = net->udp;

	while (un->nlru[0] + un->nlru[1] + 2 > un->limit || net->nfree < 2) {
		if (udp_evict(net, now) == -1)
			return;
	}
}

/* want has the addresses.  NULL: no memory, or the table is full. */
static struct udp_flow *
udp_new(struct net *net, usec_t now, const struct flow *want)
{
	struct udp_flow *u;

	if ((u = calloc(1, sizeof(*u))) == NULL) {
		stat_inc(net, NETS_FLOW_LIMIT);
		return NULL;
	}
	u->f = *want;
	if (flow_add(net, &u->f) == -1) {
		free(u);
		return NULL;
	}
	u->qtail = &u->q;
	TAILQ_INIT(&u->kids);
	u->used = now;
	if (want->proto == NET_DNS) {
		net->udp->dns = u;
	} else {
		lru_add(net, u);
		u->idle.fn = udp_idle;
		timer_set(net, &u->idle, now + UDP_IDLE_DNS);
	}
	udp_count(net);
	flow_open(net, &u->f);
	return u;
}

struct udp_flow *
udp_dns_flow(struct net *net, usec_t now)
{
	struct flow want = { .proto = NET_DNS,
		.server = NET_DNSD,
		.guest_ip = net->conf.guest_ip,
		.host_ip = net->conf.gateway_ip,
		.host_port = DNS_PORT };

	if (net->udp->dns != NULL)
		return net->udp->dns;
	if (net->nfree == 0)
		(void)udp_evict(net, now);
	return udp_new(net, now, &want);
}

static struct udp_flow *
udp_bind_for(struct net *net, usec_t now, uint32_t guest_ip, uint16_t port)
{
	struct flow want = { .proto = NET_UDP_BIND,
		.server = NET_PORTD,
		.guest_ip = guest_ip,
		.guest_port = port };
	struct flow *f;

	f = flow_find(net, NET_UDP_BIND, guest_ip, port, 0, 0);
	return f != NULL ? udp_of(f) : udp_new(net, now, &want);
}

struct udp_flow *
udp_flow_for(struct net *net, usec_t now, const struct ip4_pkt *pkt,
    uint16_t sport, uint16_t dport)
{
	struct flow want = { .proto = NET_UDP,
		.server = NET_PORTD,
		.guest_ip = pkt->src,
		.guest_port = sport,
		.host_ip = pkt->dst,
		.host_port = dport };
	struct udp_flow *u, *bind;
	struct flow *f;

	f = flow_find(net, NET_UDP, pkt->src, sport, pkt->dst, dport);
	if (f != NULL)
		return udp_of(f);
	/* First, so that the bind found next is not what has to go. */
	udp_make_room(net, now);
	if ((bind = udp_bind_for(net, now, pkt->src, sport)) == NULL ||
	    (u = udp_new(net, now, &want)) == NULL)
		return NULL;
	u->bind = bind;
	TAILQ_INSERT_HEAD(&bind->kids, u, kin);
	if (dport != DNS_PORT)
		bind->lasting = true;
	return u;
}

/* The socket is the client's own: no bind belongs to it. */
int64_t
udp_offer(struct net *net, usec_t now, struct flow *want)
{
	struct udp_flow *u;

	if (want->host_ip != net->conf.gateway_ip &&
	    flow_find(net, NET_UDP, want->guest_ip, want->guest_port,
		want->host_ip, want->host_port) != NULL)
		want->host_ip = net->conf.gateway_ip;
	if (want->host_ip == net->conf.gateway_ip)
		want->host_port = flow_gateway_port(net, want, &net->udp->port);
	if (want->host_port == 0)
		return -1;
	udp_make_room(net, now);
	want->ask = FLOW_ASKED; /* udp_new() shall not ask */
	return (u = udp_new(net, now, want)) != NULL ? (int64_t)u->f.id : -1;
}

void
udp_offers_gone(struct net *net)
{
	struct flow *f;
	uint32_t i;

	for (i = 0; i < net->conf.max_flows; i++) {
		f = net->by_id[i];
		if (f != NULL && f->proto == NET_UDP && udp_of(f)->bind == NULL)
			udp_del(net, udp_of(f));
	}
}

void
udp_offer_end(struct net *net, struct flow *f)
{
	if (udp_of(f)->bind == NULL)
		udp_del(net, udp_of(f));
}

int
udp_net_new(struct net *net)
{
	struct udp_net *un;
	size_t frag = (size_t)(net->conf.mtu - IP4_HDRLEN) & ~(size_t)7;

	if ((un = net->udp = calloc(1, sizeof(*un))) == NULL)
		return -1;
	TAILQ_INIT(&un->lru[0]);
	TAILQ_INIT(&un->lru[1]);
	TAILQ_INIT(&un->blocked);
	un->limit = net->conf.max_flows / 2;
	if (un->limit < UDP_LIMIT_MIN)
		un->limit = UDP_LIMIT_MIN;
	un->room_min =
	    UDP_HDRLEN + UDP_MAXLEN + (UDP_MAXLEN / frag + 2) * FRAME_HDRLEN;
	/* The system gives memory to this only where large datagrams land. */
	un->spill = malloc((size_t)UDP_BATCH * UDP_SPILL);
	return un->spill != NULL ? 0 : -1;
}

void
udp_net_free(struct net *net)
{
	if (net->udp == NULL)
		return;
	free(net->udp->spill);
	free(net->udp);
}

/* Events. */

static void
udp_opened(struct net *net, usec_t now, struct flow *f, bool connected)
{
	struct udp_flow *u = udp_of(f);

	u->up = true;
	udp_queue_flush(net, now, u);
}

/* That portd is too busy to answer is no word about the destination. */
static void
open_report(struct net *net, usec_t now, struct udp_flow *u, enum net_error e)
{
	if (e != NET_ETIMEDOUT)
		udp_report(net, now, u, e, u->nq > 0 ? u->q->len : 0);
}

/*
 * A bind that came from a portd which is gone means nothing to its successor:
 * the guest's port gets a new one with the next datagram.
 */
static void
udp_open_failed(struct net *net, usec_t now, struct flow *f, enum net_error e)
{
	struct udp_flow *u = udp_of(f);

	stat_inc(net, NETS_UDP_FAILED);
	if (u->bind != NULL && u->bind->stale) {
		udp_del(net, u->bind);
		return;
	}
	open_report(net, now, u, e);
	udp_del(net, u);
}

static void
udp_bind_open_failed(
    struct net *net, usec_t now, struct flow *f, enum net_error e)
{
	struct udp_flow *u = udp_of(f), *kid;

	stat_inc(net, NETS_UDP_FAILED);
	TAILQ_FOREACH (kid, &u->kids, kin)
		open_report(net, now, kid, e);
	udp_del(net, u);
}

static void
udp_readable(struct net *net, usec_t now, struct flow *f)
{
	struct udp_flow *u = udp_of(f);

	if (u->up && !u->blocked)
		udp_pull(net, now, u);
}

static void
udp_writable(struct net *net, usec_t now, struct flow *f)
{
	udp_queue_flush(net, now, udp_of(f));
}

/* The other side said no to one datagram; the next may do better. */
static void
udp_failed(struct net *net, usec_t now, struct flow *f, enum net_error e)
{
	if (udp_told_all(net, now, udp_of(f)) || e == NET_EQUEUED)
		return;
	stat_inc(net, NETS_UDP_FAILED);
	udp_report(
	    net, now, udp_of(f), e, e == NET_EMSGSIZE ? net->conf.mtu : 0);
}

static void
udp_bind_failed(struct net *net, usec_t now, struct flow *f, enum net_error e)
{
	if (e != NET_EQUEUED)
		stat_inc(net, NETS_UDP_FAILED);
}

static void
udp_server_ready(struct net *net, usec_t now, struct flow *f)
{
}

static void
udp_bind_server_ready(struct net *net, usec_t now, struct flow *f)
{
	struct udp_flow *u = udp_of(f);

	if (u->up)
		u->stale = true;
}

static void
udp_free(struct net *net, struct flow *f)
{
	udp_del(net, udp_of(f));
}

/* The queries that waited are lost; the guest asks again. */
static void
dns_failed(struct net *net, usec_t now, struct flow *f, enum net_error e)
{
	if (e == NET_EQUEUED)
		return;
	stat_inc(net, NETS_UDP_FAILED);
	udp_del(net, udp_of(f));
}

/* Its other end went with the dnsd that made it.  The next query opens one. */
static void
dns_server_ready(struct net *net, usec_t now, struct flow *f)
{
	struct udp_flow *u = udp_of(f);

	if (u->up)
		udp_del(net, u);
}

const struct flow_ops udp_ops = {
	.opened = udp_opened,
	.open_failed = udp_open_failed,
	.readable = udp_readable,
	.writable = udp_writable,
	.failed = udp_failed,
	.server_ready = udp_server_ready,
	.free = udp_free,
};

const struct flow_ops udp_bind_ops = {
	.opened = udp_opened,
	.open_failed = udp_bind_open_failed,
	.readable = udp_readable,
	.writable = udp_writable,
	.failed = udp_bind_failed,
	.server_ready = udp_bind_server_ready,
	.free = udp_free,
};

const struct flow_ops dns_ops = {
	.opened = udp_opened,
	.open_failed = dns_failed,
	.readable = udp_readable,
	.writable = udp_writable,
	.failed = dns_failed,
	.server_ready = dns_server_ready,
	.free = udp_free,
};
