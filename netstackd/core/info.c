/*
 * What a flow looks like to people: its state, what holds it up, why it ends.
 */

#include "netstackd/core/icmp.h"
#include "netstackd/core/tcp.h"
#include "netstackd/core/udp.h"

const char *
info_error(enum net_error e)
{
	switch (e) {
	case NET_EREFUSED:
		return "refused";
	case NET_ERESET:
	case NET_EPIPE:
		return "reset-by-host";
	case NET_ETIMEDOUT:
		return "timed-out";
	case NET_ENETUNREACH:
		return "no-network";
	case NET_EHOSTUNREACH:
		return "no-route";
	case NET_EADMIN:
		return "policy";
	case NET_EMSGSIZE:
		return "too-big";
	case NET_ELIMIT:
		return "limit";
	case NET_EOTHER:
	case NET_EQUEUED:
		break;
	}
	return "failed";
}

const char *
net_dropped(const struct net *net)
{
	return net->drop;
}

/* Why there is no socket yet; "" when there is one. */
static const char *
dial(const struct flow *f, bool up)
{
	if (f->ask == FLOW_WAITING)
		return "server";
	return up ? "" : "dial";
}

static const char *
tcp_limit(const struct tcp *t)
{
	uint32_t out = t->snd_nxt - t->snd_una;

	if (t->state == TCPS_PENDING)
		return dial(&t->f, false);
	if (t->state == TCPS_SYN_RCVD || t->state == TCPS_SYN_SENT)
		return "guest";
	if (t->list == TCPL_BLOCKED)
		return "channel";
	if (t->host_full)
		return "host";
	if (t->persist)
		return "guest-window";
	if (!t->host_readable || out == 0)
		return "";
	if (out + t->mss > t->snd_wnd)
		return "guest-window";
	return out + t->mss > t->cwnd ? "congestion" : "";
}

static void
tcp_info(const struct tcp *t, struct net_flow_info *i)
{
	i->state = tcp_state_name[t->state];
	i->limit = tcp_limit(t);
	i->rtt = t->srtt;
}

static void
udp_info(const struct udp_flow *u, struct net_flow_info *i)
{
	i->state = u->answered ? "answered" : "open";
	i->limit = u->blocked ? "channel" : dial(&u->f, u->up);
}

static void
icmp_info(const struct icmp_flow *c, struct net_flow_info *i)
{
	i->limit = c->blocked ? "channel" : dial(&c->f, c->up);
}

int
net_flow_info(const struct net *net, uint32_t id, struct net_flow_info *i)
{
	const struct flow *f = NULL;

	if (id < net->conf.max_flows)
		f = net->by_id[id];
	if (f == NULL)
		return -1;
	*i = (struct net_flow_info){ .proto = f->proto,
		.guest_ip = f->guest_ip,
		.host_ip = f->host_ip,
		.guest_port = f->guest_port,
		.host_port = f->host_port,
		.state = "open",
		.limit = "",
		.why = net->fail != NULL   ? net->fail
		       : net->drop != NULL ? net->drop
					   : "" };
	if (f->proto == NET_TCP)
		tcp_info((const struct tcp *)f, i);
	else if (f->proto == NET_UDP || f->proto == NET_UDP_BIND)
		udp_info((const struct udp_flow *)f, i);
	else if (f->proto == NET_ICMP)
		icmp_info((const struct icmp_flow *)f, i);
	return 0;
}
