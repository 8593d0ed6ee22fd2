/*
 * Round-trip time and the retransmission timeout: RFC 6298, with its clock
 * granularity of one millisecond and a lower bound of our own.
 */

#include "netstackd/core/tcp.h"

#define CLOCK_G 1000 /* usec */

static void
update(struct tcp *t, uint32_t r)
{
	uint32_t diff, var;

	if (t->srtt == 0) { /* 2.2 */
		t->srtt = r;
		t->rttvar = r / 2;
	} else { /* 2.3, alpha 1/8 and beta 1/4 */
		diff = r > t->srtt ? r - t->srtt : t->srtt - r;
		t->rttvar = t->rttvar - t->rttvar / 4 + diff / 4;
		t->srtt = t->srtt - t->srtt / 8 + r / 8;
		if (t->srtt == 0)
			t->srtt = 1;
	}
	var = 4 * t->rttvar;
	t->rto = t->srtt + (var > CLOCK_G ? var : CLOCK_G);
	if (t->rto < TCP_RTO_MIN)
		t->rto = TCP_RTO_MIN;
	if (t->rto > TCP_RTO_MAX)
		t->rto = TCP_RTO_MAX;
}

void
tcp_rtt_sample(struct tcp *t, usec_t rtt)
{
	if (rtt < 1)
		rtt = 1;
	if (rtt > TCP_RTO_MAX)
		rtt = TCP_RTO_MAX;
	if (rtt < t->min_rtt)
		t->min_rtt = (uint32_t)rtt;
	update(t, (uint32_t)rtt);
}

/* A tick of it may be nothing, which is nobody's least round trip. */
bool
tcp_rtt_echoed(
    const struct net *net, usec_t now, struct tcp *t, const struct tcp_seg *s)
{
	uint32_t ms;

	if (!t->ts_on || (s->opt.has & TCPO_TS) == 0 || s->opt.tsecr == 0)
		return false;
	ms = tcp_ts(net, now) - s->opt.tsecr;
	if (ms >= TCP_RTO_MAX / USEC_MS)
		return false;
	update(t, ms > 0 ? ms * (uint32_t)USEC_MS : 1);
	return true;
}

/* 5.5: doubled with every timeout in a row. */
usec_t
tcp_rto(const struct tcp *t)
{
	usec_t rto = t->rto;
	int i;

	for (i = 0; i < t->rexmits && rto < TCP_RTO_MAX; i++)
		rto *= 2;
	return rto < TCP_RTO_MAX ? rto : TCP_RTO_MAX;
}
