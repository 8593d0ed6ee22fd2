/*
 * Flows that we open, because a client of the host wants to speak with the
 * guest: RFC 9293 3.10.1 (active OPEN) and 3.10.7.3 (SYN-SENT).
 *
 * The client's socket is there from the beginning.  What the client has sent
 * waits in it until the guest has answered; if the guest refuses, or says
 * nothing for so long, the client is reset.
 *
 * What a SYN-ACK carries besides is not taken, so the guest sends it again:
 * nobody sends any (RFC 7413 is not offered).
 */

#include "netstackd/core/tcp.h"

int64_t
tcp_offer(struct net *net, usec_t now, struct flow *want)
{
	struct flow *f = NULL;
	struct tcp *t;

	if (want->host_ip != net->conf.gateway_ip)
		f = flow_find(net, NET_TCP, want->guest_ip, want->guest_port,
		    want->host_ip, want->host_port);
	if (f != NULL || want->host_ip == net->conf.gateway_ip) {
		want->host_ip = net->conf.gateway_ip;
		want->host_port = flow_gateway_port(net, want, &net->tcp->port);
	}
	if (want->host_port == 0 || (t = tcp_new(net, now, want)) == NULL)
		return -1;
	t->active = true;
	t->iss = tcp_initial_seq(net, now, &t->f);
	tcp_event(t, TCPE_OPEN);
	return t->f.id;
}

void
tcp_open(struct net *net, usec_t now, struct tcp *t)
{
	stat_inc(net, NETS_TCP_OFFERED);
	t->snd_una = t->snd_max = t->iss;
	t->snd_nxt = t->iss + 1;
	t->ack_due = true;
	tcp_output(net, now, t);
}

/*
 * The guest has our SYN and this is its own; or it has not, and opens the same
 * flow at the same time (RFC 9293 3.5, figure 8).
 */
static void
in_syn(struct net *net, usec_t now, struct tcp *t, struct tcp_seg *s)
{
	tcp_syn(net, t, s);
	tcp_begin(net, t);
	if ((s->flags & TCP_ACK) == 0) {
		tcp_event(t, TCPE_SYN);
	} else {
		tcp_ack_of_syn(net, now, t, s);
		t->snd_wl1 = s->seq;
		t->snd_wl2 = s->ack;
	}
	t->last_rx = now;
	t->ack_due = t->ack_now = true;
	tcp_enlist(net, t, TCPL_DIRTY);
}

void
tcp_in_syn_sent(struct net *net, usec_t now, struct tcp *t,
    const struct ip4_pkt *pkt, struct tcp_seg *s)
{
	/* First step.  No data went with the SYN. */
	if ((s->flags & TCP_ACK) != 0 && s->ack != t->iss + 1) {
		tcp_reset_reply(net, pkt, s);
		return;
	}
	if ((s->flags & TCP_RST) == 0) {
		if (s->flags & TCP_SYN)
			in_syn(net, now, t, s);
		return;
	}
	/* Second: without the ACK it may be anybody's. */
	if ((s->flags & TCP_ACK) == 0) {
		stat_inc(net, NETS_TCP_BADSEQ);
		return;
	}
	stat_inc(net, NETS_TCP_RST_RX);
	tcp_event(t, TCPE_RESET);
	tcp_free(net, t, true);
}
