/*
 * The core from outside: its life, Ethernet, and which part of it an event of
 * the shell goes to.
 */

#include <stdlib.h>
#include <string.h>

#include "netstackd/core/core.h"

#define ETHERTYPE_IP4 0x0800
#define ETHERTYPE_ARP 0x0806

/* clang-format off */
const char *const net_stat_name[NETS__MAX] = {
	[NETS_RX_FRAMES] = "rx-frames",
	[NETS_RX_BYTES] = "rx-bytes",
	[NETS_TX_FRAMES] = "tx-frames",
	[NETS_TX_BYTES] = "tx-bytes",
	[NETS_RX_SHORT] = "rx-short",
	[NETS_RX_ETHERTYPE] = "rx-ethertype",
	[NETS_RX_NOTFORUS] = "rx-not-for-us",
	[NETS_RX_BADSUM] = "rx-bad-checksum",
	[NETS_RX_BADSRC] = "rx-bad-source",
	[NETS_RX_BADDST] = "rx-bad-destination",
	[NETS_RX_TTL] = "rx-ttl",
	[NETS_RX_PROTO] = "rx-protocol",
	[NETS_TX_FULL] = "tx-full",
	[NETS_RX_VNET] = "rx-bad-vnet-header",
	[NETS_RX_LARGE] = "rx-large",
	[NETS_TX_LARGE] = "tx-large",
	[NETS_CUT] = "large-cut",
	[NETS_ARP_REPLIES] = "arp-replies",
	[NETS_ARP_FOREIGN] = "arp-foreign-sender",
	[NETS_ARP_CONFLICT] = "arp-conflict",
	[NETS_ARP_DEFENDED] = "arp-defended",
	[NETS_DHCP_RX] = "dhcp-rx",
	[NETS_DHCP_TX] = "dhcp-tx",
	[NETS_DHCP_BAD] = "dhcp-bad",
	[NETS_DHCP_NAK] = "dhcp-nak",
	[NETS_DHCP_DECLINED] = "dhcp-declined",
	[NETS_FRAG_RX] = "frag-rx",
	[NETS_FRAG_OK] = "frag-ok",
	[NETS_FRAG_TIMEOUT] = "frag-timeout",
	[NETS_FRAG_LIMIT] = "frag-limit",
	[NETS_FRAG_BAD] = "frag-bad",
	[NETS_ICMP_ECHO] = "icmp-echo",
	[NETS_ICMP_TX] = "icmp-tx",
	[NETS_ICMP_LIMIT] = "icmp-limit",
	[NETS_ICMP_IGNORED] = "icmp-ignored",
	[NETS_ICMP_OUT] = "icmp-echo-out",
	[NETS_ICMP_IN] = "icmp-echo-in",
	[NETS_ICMP_FLOWS] = "icmp-flows",
	[NETS_ICMP_EXPIRED] = "icmp-expired",
	[NETS_ICMP_EVICTED] = "icmp-evicted",
	[NETS_ICMP_DROPPED] = "icmp-dropped",
	[NETS_ICMP_FAILED] = "icmp-failed",
	[NETS_ICMP_BADREPLY] = "icmp-bad-reply",
	[NETS_ICMP_ERRORS] = "icmp-host-errors",
	[NETS_ICMP_BADERR] = "icmp-bad-errors",
	[NETS_PMTU_LEARNT] = "pmtu-learnt",
	[NETS_PMTU_TOOBIG] = "pmtu-too-big",
	[NETS_ICMP_NARROW] = "icmp-narrowed",
	[NETS_ICMP_UNWANTED] = "icmp-unwanted",
	[NETS_UDP_RX] = "udp-rx",
	[NETS_UDP_TX] = "udp-tx",
	[NETS_UDP_FLOWS] = "udp-flows",
	[NETS_UDP_EXPIRED] = "udp-expired",
	[NETS_UDP_QUEUE_FULL] = "udp-queue-full",
	[NETS_UDP_FAILED] = "udp-failed",
	[NETS_UDP_LIMIT] = "udp-limit",
	[NETS_UDP_BADPEER] = "udp-bad-peer",
	[NETS_TCP_FLOWS] = "tcp-flows",
	[NETS_TCP_OPENED] = "tcp-opened",
	[NETS_TCP_ESTABLISHED] = "tcp-established",
	[NETS_TCP_OFFERED] = "tcp-offered",
	[NETS_TCP_REFUSED] = "tcp-refused",
	[NETS_TCP_RST_RX] = "tcp-rst-rx",
	[NETS_TCP_RST_TX] = "tcp-rst-tx",
	[NETS_TCP_RETRANS] = "tcp-retrans",
	[NETS_TCP_RTO] = "tcp-rto",
	[NETS_TCP_FAST] = "tcp-fast-retrans",
	[NETS_TCP_DUPACK] = "tcp-dup-ack",
	[NETS_TCP_OOO] = "tcp-out-of-order",
	[NETS_TCP_OOO_FULL] = "tcp-out-of-order-full",
	[NETS_TCP_BADSEQ] = "tcp-bad-sequence",
	[NETS_TCP_PROBE] = "tcp-window-probe",
	[NETS_TCP_TAIL] = "tcp-tail-probe",
	[NETS_TCP_TIMEOUT] = "tcp-timeout",
	[NETS_TCP_PARTIAL] = "tcp-partial-write",
	[NETS_TCP_CHALLENGE] = "tcp-challenge-ack",
	[NETS_TCP_EVICTED] = "tcp-evicted",
	[NETS_TCP_TW_EARLY] = "tcp-time-wait-early",
	[NETS_TCP_CHALLENGE_LIMIT] = "tcp-challenge-limit",
	[NETS_FLOW_LIMIT] = "flow-limit",
	[NETS_OFFER_REFUSED] = "offer-refused",
};

static const struct flow_ops *const flow_ops[] = {
	[NET_TCP] = &tcp_ops,
	[NET_UDP_BIND] = &udp_bind_ops,
	[NET_UDP] = &udp_ops,
	[NET_DNS] = &dns_ops,
	[NET_ICMP] = &icmp_ops,
};
/* clang-format on */

/*
 * The longest prefix that holds the guest, the gateway, the address after the
 * higher of these two, and the highest address: what DHCP tells the guest.
 */
static uint32_t
netmask_of(const struct net_conf *c)
{
	uint32_t top =
	    c->gateway_ip > c->guest_ip ? c->gateway_ip : c->guest_ip;
	uint32_t mask = 0xfffffffe;

	while (((c->guest_ip ^ c->gateway_ip) & mask) != 0 ||
	       ((c->guest_ip ^ (top + 1)) & mask) != 0 ||
	       ((c->guest_ip ^ c->highest_ip) & mask) != 0)
		mask <<= 1;
	return mask;
}

struct net *
net_new(const struct net_conf *conf, const struct net_hooks *hook, void *arg,
    uint64_t *stats)
{
	struct net *net;

	if ((net = calloc(1, sizeof(*net))) == NULL)
		return NULL;
	net->conf = *conf;
	if (net->conf.max_flows > NET_MAXFLOWS)
		net->conf.max_flows = NET_MAXFLOWS;
	if (net->conf.max_flows == 0)
		net->conf.max_flows = 1;
	net->hook = hook;
	net->arg = arg;
	net->stat = stats;
	/* The values outlive the process; what is counted down starts anew. */
	stats[NETS_TCP_FLOWS] = stats[NETS_UDP_FLOWS] = stats[NETS_ICMP_FLOWS] =
	    0;
	memcpy(net->guest_eth, conf->guest_mac, sizeof(net->guest_eth));
	net->netmask = netmask_of(conf);
	net->ip_id = (uint16_t)hook->random(arg);
	net->icmp_tokens = ICMP_BURST;
	if (flow_table_new(net) == -1 || tcp_net_new(net) == -1 ||
	    udp_net_new(net) == -1 || frag_net_new(net) == -1 ||
	    icmp_net_new(net) == -1) {
		net_free(net);
		return NULL;
	}
	return net;
}

void
net_free(struct net *net)
{
	struct flow *f;
	uint32_t i;

	if (net == NULL)
		return;
	for (i = 0; net->by_id != NULL && i < net->conf.max_flows; i++) {
		if ((f = net->by_id[i]) != NULL)
			flow_ops[f->proto]->free(net, f);
	}
	tcp_net_free(net);
	udp_net_free(net);
	frag_net_free(net);
	icmp_net_free(net);
	flow_table_free(net);
	free(net->heap);
	free(net);
}

void
net_set_names(struct net *net, const struct net_conf *conf)
{
	memcpy(net->conf.domain, conf->domain, sizeof(conf->domain));
	memcpy(net->conf.search, conf->search, sizeof(conf->search));
	net->conf.nsearch = conf->nsearch;
}

void
net_set_forwards(
    struct net *net, const struct net_ports *tcp, const struct net_ports *udp)
{
	net->forward[0] = *tcp;
	net->forward[1] = *udp;
}

bool
net_gateway_forward(const struct net *net, enum net_proto proto, uint16_t port)
{
	const struct net_ports *p = &net->forward[proto != NET_TCP];

	return (p->bit[port / 8] >> port % 8 & 1) != 0;
}

void
net_set_proxy(struct net *net, const struct net_proxy *proxy)
{
	net->proxy = *proxy;
}

void
net_learn_eth(struct net *net)
{
	if ((net->rx_eth[0] & 1) == 0)
		memcpy(net->guest_eth, net->rx_eth, sizeof(net->guest_eth));
}

/* To us, or to everybody: broadcast and IPv4 multicast (RFC 1112 6.4). */
static bool
eth_for_us(const struct net *net, const uint8_t *dst)
{
	static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	static const uint8_t mcast[3] = { 0x01, 0x00, 0x5e };

	return memcmp(dst, net->conf.server_mac, 6) == 0 ||
	       memcmp(dst, all, 6) == 0 || memcmp(dst, mcast, 3) == 0;
}

void
net_input(struct net *net, usec_t now, const uint8_t *frame, size_t len)
{
	struct rd r = rd_init(frame, len);
	uint8_t dst[6];
	uint16_t type;

	net->drop = net->fail = NULL;
	stat_inc(net, NETS_RX_FRAMES);
	stat_add(net, NETS_RX_BYTES, len);
	if (rd_bytes(&r, dst, sizeof(dst)) == -1 ||
	    rd_bytes(&r, net->rx_eth, sizeof(net->rx_eth)) == -1 ||
	    rd_u16(&r, &type) == -1) {
		stat_inc(net, NETS_RX_SHORT);
		return;
	}
	if (type != ETHERTYPE_IP4 && type != ETHERTYPE_ARP)
		stat_inc(net, NETS_RX_ETHERTYPE);
	else if (!eth_for_us(net, dst))
		stat_inc(net, NETS_RX_NOTFORUS);
	else if (type == ETHERTYPE_ARP)
		arp_input(net, now, &r);
	else
		ip4_input(net, now, &r, (dst[0] & 1) != 0);
}

void
net_input_open(struct net *net, usec_t now, const uint8_t *frame, size_t len)
{
	net->rx_open = true;
	net_input(net, now, frame, len);
	net->rx_open = false;
}

void
net_set_vnet(struct net *net, bool vnet)
{
	net->vnet = net->uso = vnet;
}

void
net_no_uso(struct net *net)
{
	net->uso = false;
}

void
net_flush(struct net *net, usec_t now)
{
	net->drop = NULL;
	tcp_flush(net, now);
	udp_flush(net, now);
}

void
net_tx_ready(struct net *net, usec_t now)
{
	/* Whoever is first may take it all. */
	net->udp_first = !net->udp_first;
	if (net->udp_first)
		udp_tx_ready(net, now);
	tcp_tx_ready(net, now);
	if (!net->udp_first)
		udp_tx_ready(net, now);
	icmp_tx_ready(net, now);
}

/* The flow whose open() is answered; NULL when nobody waits for it. */
static struct flow *
flow_answered(struct net *net, uint32_t id)
{
	struct flow *f = flow_get(net, id);

	if (f == NULL || f->ask != FLOW_ASKED)
		return NULL;
	f->ask = FLOW_IDLE;
	return f;
}

void
net_opened(struct net *net, usec_t now, uint32_t id, bool connected)
{
	struct flow *f = flow_answered(net, id);

	net->drop = net->fail = NULL;
	if (f != NULL)
		flow_ops[f->proto]->opened(net, now, f, connected);
}

void
net_opened_icmp(
    struct net *net, usec_t now, uint32_t id, uint16_t echo_id, bool raw)
{
	struct flow *f = flow_get(net, id);

	if (f == NULL || f->proto != NET_ICMP)
		return;
	icmp_named(f, echo_id, raw);
	net_opened(net, now, id, true);
}

void
net_open_failed(struct net *net, usec_t now, uint32_t id, enum net_error e)
{
	struct flow *f = flow_answered(net, id);

	net->fail = info_error(e);
	if (f != NULL)
		flow_ops[f->proto]->open_failed(net, now, f, e);
}

int64_t
net_offer(struct net *net, usec_t now, const struct net_offer *o)
{
	struct flow want = { .proto = o->proto,
		.server = NET_PORTD,
		.guest_ip = net->conf.guest_ip,
		.guest_port = o->guest_port,
		.host_ip = o->from,
		.host_port = o->fport };
	int64_t id;

	net->drop = net->fail = NULL;
	/* Only somebody whom the guest would reach at that address. */
	if (o->fport == 0 || ip4_classify(net, o->from) != DST_REMOTE)
		want.host_ip = net->conf.gateway_ip;
	id = o->proto == NET_TCP ? tcp_offer(net, now, &want)
				 : udp_offer(net, now, &want);
	if (id == -1)
		stat_inc(net, NETS_OFFER_REFUSED);
	else
		flow_get(net, (uint32_t)id)->ask = FLOW_ASKED;
	return id;
}

void
net_readable(struct net *net, usec_t now, uint32_t id)
{
	struct flow *f = flow_get(net, id);

	net->drop = net->fail = NULL;
	if (f != NULL)
		flow_ops[f->proto]->readable(net, now, f);
}

void
net_writable(struct net *net, usec_t now, uint32_t id)
{
	struct flow *f = flow_get(net, id);

	net->drop = net->fail = NULL;
	if (f != NULL)
		flow_ops[f->proto]->writable(net, now, f);
}

void
net_failed(struct net *net, usec_t now, uint32_t id, enum net_error e)
{
	struct flow *f = flow_get(net, id);

	net->fail = info_error(e);
	if (f != NULL)
		flow_ops[f->proto]->failed(net, now, f, e);
}

void
net_offer_end(struct net *net, uint32_t id)
{
	struct flow *f = id < net->conf.max_flows ? net->by_id[id] : NULL;

	if (f != NULL && f->proto == NET_UDP)
		udp_offer_end(net, f);
}

void
net_server_gone(struct net *net, usec_t now, enum net_server server)
{
	struct flow *f;
	uint32_t i;

	net->server_up[server] = false;
	for (i = 0; i < net->conf.max_flows; i++) {
		f = net->by_id[i];
		if (f != NULL && f->server == server && f->ask == FLOW_ASKED)
			f->ask = FLOW_WAITING;
	}
	if (server == NET_PORTD)
		udp_offers_gone(net);
}

static void
reopen(struct net *net, enum net_server server, bool binds)
{
	struct flow *f;
	uint32_t i;

	for (i = 0; i < net->conf.max_flows; i++) {
		f = net->by_id[i];
		if (f != NULL && f->server == server &&
		    f->ask == FLOW_WAITING &&
		    (f->proto == NET_UDP_BIND) == binds)
			flow_open(net, f);
	}
}

void
net_server_ready(struct net *net, usec_t now, enum net_server server)
{
	struct flow *f;
	uint32_t i;

	net->server_up[server] = true;
	/* Binds first: what is connected on their ports comes after them. */
	reopen(net, server, true);
	reopen(net, server, false);
	for (i = 0; i < net->conf.max_flows; i++) {
		f = net->by_id[i];
		if (f != NULL && f->server == server)
			flow_ops[f->proto]->server_ready(net, now, f);
	}
}
