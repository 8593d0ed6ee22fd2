/*
 * CUBIC, RFC 9438:
 *
 *	W_cubic(t) = C (t - K)^3 + W_max	C = 0.4 segments / s^3
 *	K = cbrt((W_max - cwnd) / C)		beta = 0.7
 *
 * and never less than Reno would have with this beta (4.3).
 */

#include "netstackd/core/tcp_cubic.h"

#define FAR_MS 30000 /* ms: beyond it the curve is far above any window */

uint32_t
tcp_cubic_root(uint64_t v)
{
	uint64_t x = 0, bit;

	for (bit = (uint64_t)1 << 21; bit > 0; bit >>= 1) {
		if ((x + bit) * (x + bit) * (x + bit) <= v)
			x += bit;
	}
	return (uint32_t)x;
}

uint32_t
tcp_cubic_reduce(struct tcp_cubic *c, uint32_t cwnd)
{
	c->since = 0;
	c->prior = cwnd;
	/* 4.7: who did not get back to the last one makes room for others. */
	c->w_max =
	    cwnd < c->w_max ? (uint32_t)((uint64_t)cwnd * 17 / 20) : cwnd;
	return (uint32_t)((uint64_t)cwnd * 7 / 10);
}

void
tcp_cubic_idle(struct tcp_cubic *c)
{
	c->since = 0;
}

static void
begin(struct tcp_cubic *c, usec_t now, uint32_t cwnd, uint32_t mss)
{
	c->since = now;
	c->w_est = cwnd;
	if (cwnd < c->w_max) {
		/* K^3 = gap / (mss * 0.4 / s^3), in ms^3. */
		c->k_ms = tcp_cubic_root(
		    (uint64_t)(c->w_max - cwnd) * 2500000000u / mss);
		c->origin = c->w_max;
	} else {
		c->k_ms = 0;
		c->origin = cwnd;
	}
}

/* W_cubic, not below 0 and not beyond 32 bits. */
static uint32_t
curve(const struct tcp_cubic *c, usec_t t, uint32_t mss)
{
	int64_t d = t / USEC_MS - c->k_ms, w;

	if (d > FAR_MS)
		d = FAR_MS;
	if (d < -FAR_MS)
		d = -FAR_MS;
	w = d * d * d * (int64_t)mss / 2500000000 + c->origin;
	return w < 0 ? 0 : w > UINT32_MAX ? UINT32_MAX : (uint32_t)w;
}

uint32_t
tcp_cubic_acked(struct tcp_cubic *c, usec_t now, usec_t rtt, uint32_t cwnd,
    uint32_t mss, uint32_t n)
{
	uint64_t target, step;

	if (c->since == 0)
		begin(c, now, cwnd, mss);
	/* 4.3: alpha is 9/17, and 1 once the old window is reached. */
	step = (uint64_t)mss * n / cwnd;
	c->w_est += (uint32_t)(c->w_est < c->prior ? step * 9 / 17 : step);
	if (curve(c, now - c->since, mss) < c->w_est)
		return cwnd > c->w_est ? cwnd : c->w_est;
	target = curve(c, now - c->since + rtt, mss);
	if (target < cwnd)
		return cwnd;
	if (target > cwnd + cwnd / 2)
		target = cwnd + cwnd / 2;
	return cwnd + (uint32_t)((target - cwnd) * n / cwnd);
}
