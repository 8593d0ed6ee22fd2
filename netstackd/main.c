/*
 * netstackd: one guest's network.  See netstackd.h.
 */

#include <bsd/stdlib.h>
#include <bsd/string.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/plat/plat.h"
#include "netstackd/netstackd.h"

static uint32_t
stackd_random(void *arg)
{
	return arc4random();
}

static void
stackd_close(void *arg, uint32_t id, bool reset)
{
	struct stackd *s = arg;

	hostio_close(s, id, reset);
	broker_close(s, id);
}

static const struct net_hooks hooks = {
	.space = link_space,
	.push = link_push,
	.push_vnet = link_push_vnet,
	.open = broker_open,
	.close = stackd_close,
	.peek = hostio_peek,
	.consume = hostio_consume,
	.hold = hostio_hold,
	.write = hostio_write,
	.shutdown = hostio_shutdown,
	.room = hostio_room,
	.recv = hostio_recv,
	.send = hostio_send,
	.error = hostio_error,
	.mtu = hostio_mtu,
	.random = stackd_random,
	.flow = show_flow,
};

static uint32_t
conf_ip(const struct ipc_msg *m, const char *field)
{
	struct ipaddr a = ipc_addr(m, field);

	return ipaddr_to_u32(&a);
}

static void
conf_mac(const struct ipc_msg *m, const char *field, uint8_t *mac)
{
	struct macaddr a = ipc_mac(m, field);

	memcpy(mac, a.b, sizeof(a.b));
}

static void
conf_parse(const struct ipc_msg *m, struct net_conf *c)
{
	size_t i, n = ipc_nstr(m, "search");

	memset(c, 0, sizeof(*c));
	conf_mac(m, "mac", c->guest_mac);
	conf_mac(m, "server-mac", c->server_mac);
	c->guest_ip = conf_ip(m, "ip");
	c->gateway_ip = conf_ip(m, "gateway-ip");
	c->host_ip = conf_ip(m, "host-ip");
	c->highest_ip = conf_ip(m, "highest-ip");
	c->mtu = (uint16_t)ipc_u64(m, "mtu");
	strlcpy(c->domain, ipc_str(m, "domain"), sizeof(c->domain));
	for (i = 0; i < n && i < nitems(c->search); i++)
		strlcpy(c->search[i], ipc_strat(m, "search", i),
		    sizeof(c->search[i]));
	c->nsearch = (unsigned)i;
}

/* Applied when the last one is there. */
static void
forwards_apply(struct stackd *s)
{
	if (s->nforward == 0 && s->net != NULL)
		net_set_forwards(s->net, &s->forward[0], &s->forward[1]);
}

static void
stackd_forwards(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct stackd *s = d->data;

	memset(s->forward, 0, sizeof(s->forward));
	s->nforward = (uint32_t)ipc_u64(m, "count");
	forwards_apply(s);
}

static void
stackd_forward(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct stackd *s = d->data;
	bool tcp = strcmp(ipc_str(m, "proto"), "tcp") == 0;
	uint16_t port = (uint16_t)ipc_u64(m, "port");

	if (s->nforward == 0)
		return;
	s->forward[!tcp].bit[port / 8] |= (uint8_t)(1u << port % 8);
	s->nforward--;
	forwards_apply(s);
}

/*
 * The first one makes the core.  A guest cannot be given another address or
 * MTU behind its back, so later ones change what DHCP says of names, no more.
 */
static void
stackd_conf(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct stackd *s = d->data;
	struct net_conf c;

	conf_parse(m, &c);
	if (s->net != NULL) {
		net_set_names(s->net, &c);
		return;
	}
	s->vm = (uint32_t)ipc_u64(m, "vm");
	snprintf(s->name, sizeof(s->name), "netstackd-%u", (unsigned)s->vm);
	log_init(s->name);
	c.max_flows = s->host.nflow;
	c.max_queue = STACKD_MAXQUEUE;
	c.ack_brief = STACKD_ACK_BRIEF;
	s->net = net_new(&c, &hooks, s, d->stats.file->value);
	if (s->net == NULL) {
		log_warn("VM %u", s->vm);
		return;
	}
	memcpy(s->server_mac, c.server_mac, sizeof(s->server_mac));
	forwards_apply(s);
	net_set_proxy(s->net, &s->proxy);
	broker_start(s);
	link_start(s);
}

/* Ports are decimal; what is none is the supervisor's mistake. */
static void
stackd_intercept(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct stackd *s = d->data;
	struct net_proxy *p = &s->proxy;
	size_t i, n = ipc_nstr(m, "ports");

	memset(p, 0, sizeof(*p));
	p->gateway = ipc_bool(m, "explicit");
	for (i = 0; i < n && i < nitems(p->port); i++)
		p->port[p->nport++] = (uint16_t)strtonum(
		    ipc_strat(m, "ports", i), 0, UINT16_MAX, NULL);
	if (s->net != NULL)
		net_set_proxy(s->net, p);
}

static void
stackd_chan(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	int fd = ipc_take_fd(m, 0), tx = ipc_take_fd(m, 1);
	int rx = ipc_take_fd(m, 2);

	link_attach(d->data, fd, tx, rx, m->nfd > 3 ? ipc_take_fd(m, 3) : -1,
	    ipc_bool(m, "vnet"));
}

static void
settle_cb(struct ev_loop *loop, struct ev_prepare *w, int revents)
{
	struct stackd *s = w->data;

	hostio_look(s);
	broker_settle(s);
	link_settle(s);
	show_settle(s);
	hostio_settle(s);
	clock_settle(s);
}

static void
stackd_stop(struct daemon *d)
{
	struct stackd *s = d->data;

	net_free(s->net);
	s->net = NULL;
	link_close(s);
	tap_attach(s, -1, false);
	clock_fini(s);
	hostio_fini(s);
	broker_fini(s);
	show_fini(s);
	ev_prepare_stop(d->loop, &s->settle);
	log_init(ipc_role_name[ROLE_STACK]); /* the name goes */
	free(s);
	d->data = NULL;
}

static int
stackd_start(struct daemon *d)
{
	struct stackd *s;
	int nofile = plat_nofile();
	uint32_t nflow;

	if ((s = calloc(1, sizeof(*s))) == NULL) {
		log_warn("start");
		return -1;
	}
	d->data = s;
	s->d = d;
	nflow = nofile > 2 * STACKD_FDRESERVE
		    ? (uint32_t)(nofile - STACKD_FDRESERVE)
		    : STACKD_FDRESERVE;
	if (nflow > NET_MAXFLOWS)
		nflow = NET_MAXFLOWS;
	link_init(s);
	clock_init(s);
	ev_prepare_init(&s->settle, settle_cb);
	s->settle.data = s;
	ev_prepare_start(d->loop, &s->settle);
	if (hostio_init(s, nflow) == -1 || broker_init(s, nflow) == -1 ||
	    show_init(s, nflow) == -1) {
		log_warn("start");
		stackd_stop(d);
		return -1;
	}
	return 0;
}

static const struct ipc_handler handlers[] = {
	{ IPC_CONF_STACK, stackd_conf },
	{ IPC_INTERCEPT, stackd_intercept },
	{ IPC_CHAN, stackd_chan },
	{ IPC_FLOW_FD, broker_flow_fd },
	{ IPC_FLOW_ICMP, broker_flow_icmp },
	{ IPC_FLOW_REFUSED, broker_flow_refused },
	{ IPC_FLOW_OFFER, offer_flow },
	{ IPC_OFFER_END, offer_end },
	{ IPC_GATEWAY_FORWARDS, stackd_forwards },
	{ IPC_GATEWAY_FORWARD, stackd_forward },
	{ IPC_RECORDS, show_records },
	{ IPC_CAPTURE, show_capture },
	{ IPC_CAPTURE_END, show_capture_end },
};

static const struct daemon_spec netstackd = {
	.role = ROLE_STACK,
	.sandbox = SANDBOX_STACK,
	.crowds = true,
	.spins = true,
	.handler = handlers,
	.nhandler = nitems(handlers),
	.stats_name = net_stat_name,
	.nstats = NETS__MAX,
	.start = stackd_start,
	.stop = stackd_stop,
	.peer = broker_peer,
	.peer_gone = broker_peer_gone,
};

int
main(int argc, char *argv[])
{
	return daemon_main(&netstackd, argc, argv);
}
