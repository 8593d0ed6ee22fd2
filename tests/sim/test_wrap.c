/*
 * Sequence numbers wrap, and those that a flow remembers must not fall half of
 * their space behind: after gigabytes without a loss the next one is noticed by
 * duplicate ACKs, and answered with a smaller window, as the first was.
 */

#include <stdlib.h>
#include <string.h>

#include "netstackd/core/seq.h"
#include "netstackd/core/tcp.h"
#include "tests/check_main.h"
#include "tests/pkt/world.h"

#define DST	  0x0a010203u
#define GUEST_ISS 1000u
#define MSS	  1460u
#define STEP	  (1u << 20)
#define RTT	  (200 * USEC_MS / 1000)

static struct world w;
static uint32_t iss, got; /* ours; what the guest has next */
static bool sack;

static void
guest_sends(uint8_t flags, struct tcp_seg *s)
{
	s->sport = 40000;
	s->dport = 80;
	s->seq = GUEST_ISS + (flags != TCP_SYN);
	s->flags = flags;
	s->ack = flags & TCP_ACK ? got : 0;
	s->wnd = UINT16_MAX;
	world_input(&w, DST, s, 0, 0, false);
	world_flush(&w);
}

static void
guest_acks(void)
{
	struct tcp_seg s = { 0 };

	guest_sends(TCP_ACK, &s);
}

/* Our next segment; false: none now. */
static bool
next(struct tcp_seg *s)
{
	static uint8_t frame[NET_MAXFRAME];
	struct frame *f = world_take(&w);

	if (f == NULL)
		return false;
	memcpy(frame, f->data, f->len);
	ck_assert_int_eq(
	    tcp_parse(rd_init(frame + FRAME_HDRLEN, f->len - FRAME_HDRLEN), s),
	    0);
	free(f);
	return true;
}

static void
connect_guest(void)
{
	struct tcp_seg s = { 0 };

	s.opt.has = TCPO_MSS | TCPO_WSCALE | (sack ? TCPO_SACKOK : 0);
	s.opt.mss = MSS;
	s.opt.wscale = 7;
	guest_sends(TCP_SYN, &s);
	w.host[0].open = true;
	net_opened(w.net, w.now, 0, true);
	ck_assert(next(&s));
	iss = s.seq;
	got = iss + 1;
	guest_acks();
}

/* So many bytes of the host, all acknowledged in whole round trips. */
static void
move(uint64_t n)
{
	struct tcp_seg s;
	bool any;

	for (; n > 0; n -= STEP) {
		w.host[0].sent += STEP;
		net_readable(w.net, w.now, 0);
		do {
			for (any = false; next(&s); any = true)
				got = s.seq + (uint32_t)s.data.len;
			world_advance(&w, w.now + RTT);
			if (any)
				guest_acks();
		} while (any);
	}
}

/* Of twenty segments the first is lost; the others say so. */
static void
lose(void)
{
	const struct tcp *t = (const struct tcp *)flow_get(w.net, 0);
	uint64_t fast = w.stat[NETS_TCP_FAST];
	uint32_t cwnd = t->cwnd, i;
	struct tcp_seg s = { 0 };

	w.host[0].sent += 20 * MSS;
	net_readable(w.net, w.now, 0);
	while (next(&s))
		;
	world_advance(&w, w.now + RTT);
	for (i = 1; i < 20; i++) {
		memset(&s, 0, sizeof(s));
		if (sack) {
			s.opt.nsack = 1;
			s.opt.sack[0].start = got + MSS;
			s.opt.sack[0].end = got + MSS * (i + 1);
		}
		guest_sends(TCP_ACK, &s);
	}
	ck_assert(next(&s));
	ck_assert_uint_eq(s.seq, got);
	ck_assert_uint_eq(w.stat[NETS_TCP_FAST], fast + 1);
	ck_assert_uint_lt(t->cwnd, cwnd);
	while (next(&s))
		;
	got += 20 * MSS;
	guest_acks();
	ck_assert_uint_eq(t->snd_una, t->snd_max);
}

START_TEST(test_gigabytes)
{
	sack = _i == 1;
	world_init(&w);
	w.vnet = true;
	ck_assert_int_eq(world_start(&w), 0);
	net_set_vnet(w.net, true);
	connect_guest();
	move(64 * STEP);
	lose();
	move(UINT64_C(2560) * STEP);
	lose();
	ck_assert_str_eq(w.error, "");
	world_fini(&w);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("wrap");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, test_gigabytes, 0, 2);
	return check_case("wrap", tc);
}
