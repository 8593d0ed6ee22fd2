#include <errno.h>
#include <stdlib.h>

#include "tests/check_main.h"

#include "guard.h"
#include "nettest.h"

static struct nettest t;

static void
setup(void)
{
	nt_init(&t);
}

static void
teardown(void)
{
	nt_fini(&t);
	ck_assert_uint_eq(t.nopen, t.nclose);
}

static void
fill(uint8_t *p, size_t len, uint32_t seed)
{
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = (uint8_t)(seed + i * 31 + (i >> 8));
}

/* A flow whose sockets are there; *bind too. */
static uint32_t
open_flow(uint16_t sport, uint32_t dst, uint16_t dport, uint32_t *bind)
{
	uint32_t id, b;

	nt_udp(&t, sport, dst, dport, "first", 5);
	nt_flush(&t);
	b = nt_id(&t, NET_UDP_BIND, sport, 0, 0);
	id = nt_id(&t, NET_UDP, sport, dst, dport);
	if (t.net->by_id[b]->ask == FLOW_ASKED)
		nt_opened(&t, b);
	nt_opened(&t, id);
	t.sent->first = t.sent->n;
	t.frame_first = t.nframe;
	if (bind != NULL)
		*bind = b;
	return id;
}

static void
expect_sent(uint32_t id, const void *p, size_t len)
{
	const struct nt_dgram *d = nt_sent(&t);

	ck_assert_ptr_nonnull(d);
	ck_assert_uint_eq(d->id, id);
	ck_assert_uint_eq(d->len, len);
	ck_assert_mem_eq(d->p, p, len);
}

static void
expect_udp(
    uint32_t src, uint16_t sport, uint16_t dport, const void *p, size_t len)
{
	struct nt_pkt k;

	nt_pkt(&t, &k);
	ck_assert_uint_eq(k.proto, IPPROTO4_UDP);
	ck_assert_uint_eq(k.src, src);
	ck_assert_uint_eq(k.dst, NT_GUEST);
	ck_assert_uint_eq(k.sport, sport);
	ck_assert_uint_eq(k.dport, dport);
	ck_assert_uint_eq(k.datalen, len);
	ck_assert_mem_eq(k.data, p, len);
}

/* Both sockets are asked for at once, the bind first; the datagram waits. */
START_TEST(test_first)
{
	uint32_t bind, id;

	nt_udp(&t, 1000, NT_REMOTE, 99, "hello", 5);
	nt_flush(&t);
	ck_assert_uint_eq(t.nopen, 2);
	ck_assert_int_eq(t.last_open.proto, NET_UDP);
	ck_assert_int_eq(t.last_open.server, NET_PORTD);
	ck_assert_uint_eq(t.last_open.src, NT_GUEST);
	bind = nt_id(&t, NET_UDP_BIND, 1000, 0, 0);
	id = nt_id(&t, NET_UDP, 1000, NT_REMOTE, 99);
	nt_opened(&t, bind);
	ck_assert_ptr_null(nt_sent(&t));
	nt_opened(&t, id);
	expect_sent(id, "hello", 5);
	ck_assert_uint_eq(t.net->queued, 0);
	/* The same port to somebody else: only one more. */
	nt_udp(&t, 1000, NT_HOST, 98, "", 0);
	nt_flush(&t);
	ck_assert_uint_eq(t.nopen, 3);
	id = nt_id(&t, NET_UDP, 1000, NT_HOST, 98);
	nt_opened(&t, id);
	expect_sent(id, "", 0);
	ck_assert_uint_eq(t.stat[NETS_UDP_FLOWS], 3);
}
END_TEST

START_TEST(test_queue_limit)
{
	uint8_t c;
	uint32_t id;

	for (c = 0; c < 20; c++)
		nt_udp(&t, 1000, NT_REMOTE, 99, &c, 1);
	nt_flush(&t);
	ck_assert_uint_eq(t.stat[NETS_UDP_QUEUE_FULL], 4);
	id = nt_id(&t, NET_UDP, 1000, NT_REMOTE, 99);
	nt_opened(&t, id);
	for (c = 0; c < 16; c++)
		expect_sent(id, &c, 1);
	ck_assert_ptr_null(nt_sent(&t));
}
END_TEST

START_TEST(test_queue_bytes)
{
	static uint8_t big[1400];
	unsigned i;

	t.net->conf.max_queue = 4000;
	for (i = 0; i < 10; i++) {
		nt_udp(
		    &t, (uint16_t)(1000 + i), NT_REMOTE, 99, big, sizeof(big));
		ck_assert_uint_le(t.net->queued, 4000);
	}
	nt_flush(&t);
	ck_assert_uint_eq(t.stat[NETS_UDP_QUEUE_FULL], 8);
}
END_TEST

/* One digit a call: which datagrams of which size share it. */
static const struct {
	const char *what;
	size_t len[8];
	unsigned n;
	const char *calls;
} batches[] = {
	{ "one size", { 100, 100, 100, 100 }, 4, "0000" },
	{ "shorter is last", { 100, 100, 50, 100 }, 4, "0001" },
	{ "longer is first", { 50, 100, 100 }, 3, "011" },
	{ "empty is alone", { 0, 0, 100 }, 3, "012" },
	{ "empty is last", { 100, 0, 100 }, 3, "001" },
	{ "64 KiB", { 30000, 30000, 30000, 30000 }, 4, "0011" },
	{ "exactly all", { 32753, 32753, 2 }, 3, "001" },
	{ "one more", { 32754, 32754, 2 }, 3, "011" },
};

START_TEST(test_batches)
{
	static uint8_t data[65507];
	uint32_t id = open_flow(1000, NT_REMOTE, 99, NULL);
	const struct nt_dgram *d;
	unsigned i, call0 = t.nsend;

	for (i = 0; i < batches[_i].n; i++) {
		fill(data, batches[_i].len[i], i);
		nt_udp(&t, 1000, NT_REMOTE, 99, data, batches[_i].len[i]);
	}
	nt_flush(&t);
	for (i = 0; i < batches[_i].n; i++) {
		fill(data, batches[_i].len[i], i);
		d = nt_sent(&t);
		ck_assert_ptr_nonnull(d);
		ck_assert_uint_eq(d->id, id);
		ck_assert_uint_eq(d->len, batches[_i].len[i]);
		ck_assert_mem_eq(d->p, data, d->len);
		ck_assert_msg(
		    d->call - call0 == (unsigned)(batches[_i].calls[i] - '0'),
		    "%s: %u", batches[_i].what, i);
	}
}
END_TEST

START_TEST(test_batch_limit)
{
	uint32_t id = open_flow(1000, NT_REMOTE, 99, NULL);
	unsigned i, before = t.nsend;
	uint8_t c;

	for (i = 0; i < 70; i++) {
		c = (uint8_t)i;
		nt_udp(&t, 1000, NT_REMOTE, 99, &c, 1);
	}
	ck_assert_uint_eq(t.nsend - before, 2);
	nt_flush(&t);
	ck_assert_uint_eq(t.nsend - before, 3);
	for (i = 0; i < 70; i++) {
		c = (uint8_t)i;
		expect_sent(id, &c, 1);
	}
}
END_TEST

START_TEST(test_two_flows)
{
	uint32_t a = open_flow(1000, NT_REMOTE, 99, NULL);
	uint32_t b = open_flow(1001, NT_REMOTE, 99, NULL);

	nt_udp(&t, 1000, NT_REMOTE, 99, "1", 1);
	nt_udp(&t, 1001, NT_REMOTE, 99, "2", 1);
	nt_udp(&t, 1000, NT_REMOTE, 99, "3", 1);
	nt_flush(&t);
	expect_sent(a, "1", 1);
	expect_sent(b, "2", 1);
	expect_sent(a, "3", 1);
}
END_TEST

/* A full socket: the rest waits, in order, behind what waits already. */
START_TEST(test_socket_full)
{
	uint32_t id = open_flow(1000, NT_REMOTE, 99, NULL);

	t.send_room = 1;
	nt_udp(&t, 1000, NT_REMOTE, 99, "1", 1);
	nt_udp(&t, 1000, NT_REMOTE, 99, "2", 1);
	nt_flush(&t);
	expect_sent(id, "1", 1);
	ck_assert_ptr_null(nt_sent(&t));
	t.send_room = -1;
	nt_udp(&t, 1000, NT_REMOTE, 99, "3", 1);
	nt_flush(&t);
	ck_assert_ptr_null(nt_sent(&t));
	net_writable(t.net, t.now, id);
	expect_sent(id, "2", 1);
	expect_sent(id, "3", 1);
	ck_assert_uint_eq(t.net->queued, 0);
}
END_TEST

static const struct {
	const char *what;
	int error;
	uint8_t code;
	uint32_t src;
	bool sent; /* all the same */
} errors[] = {
	{ "refused earlier", ECONNREFUSED, 3, NT_REMOTE, true },
	{ "no route", ENETUNREACH, 0, NT_GATEWAY, true },
	{ "no host", EHOSTUNREACH, 1, NT_GATEWAY, true },
	{ "firewall", EPERM, 13, NT_GATEWAY, true },
	{ "too big", EMSGSIZE, 4, NT_GATEWAY, false },
};

START_TEST(test_send_errors)
{
	static uint8_t data[1400];
	uint32_t id = open_flow(1000, NT_REMOTE, 99, NULL);
	struct nt_pkt k;

	t.sock[id].send_error = errors[_i].error;
	t.sock[id].mtu = 1300;
	nt_udp(&t, 1000, NT_REMOTE, 99, data, sizeof(data));
	nt_flush(&t);
	ck_assert_uint_eq(t.stat[NETS_UDP_FAILED], 1);
	ck_assert_msg(
	    (nt_sent(&t) != NULL) == errors[_i].sent, "%s", errors[_i].what);
	nt_pkt(&t, &k);
	ck_assert_msg(k.p[1] == errors[_i].code, "%s", errors[_i].what);
	ck_assert_uint_eq(k.src, errors[_i].src);
	/* The host's path. */
	ck_assert_uint_eq(
	    k.p[6] << 8 | k.p[7], errors[_i].error == EMSGSIZE ? 1300 : 0);
	ck_assert_uint_eq(k.p[8 + 20] << 8 | k.p[8 + 21], 1000);
	ck_assert_uint_eq(k.p[8 + 22] << 8 | k.p[8 + 23], 99);
	ck_assert_uint_eq(nt_cksum(k.p + 8, 20, 0), 0);
	nt_none(&t);
	/* The flow goes on. */
	nt_udp(&t, 1000, NT_REMOTE, 99, "x", 1);
	nt_flush(&t);
	ck_assert_ptr_nonnull(nt_sent(&t));
}
END_TEST

START_TEST(test_async_error)
{
	uint32_t bind, id = open_flow(1000, NT_REMOTE, 99, &bind);

	net_failed(t.net, t.now, id, NET_EREFUSED);
	nt_unreachable(&t, 3, NT_REMOTE);
	net_failed(t.net, t.now, bind, NET_EREFUSED);
	nt_none(&t);
	t.sock[id].recv_error = ECONNREFUSED;
	nt_arrive(&t, id, 0, 0, "late", 4);
	nt_readable(&t, id);
	nt_unreachable(&t, 3, NT_REMOTE);
	expect_udp(NT_REMOTE, 99, 1000, "late", 4);
}
END_TEST

/* Who sends to the bind, and who the guest sees. */
static const struct {
	const char *what;
	uint32_t from, seen; /* 0: dropped */
} peers[] = {
	{ "anybody", 0x01020304, 0x01020304 },
	{ "the host's loopback", 0x7f000001, NT_HOST },
	{ "another loopback", 0x7f000002, 0 },
	{ "in the gateway's name", NT_GATEWAY, 0 },
	{ "in the host's name", NT_HOST, 0 },
	{ "in the guest's name", NT_GUEST, 0 },
	{ "multicast", 0xe0000001, 0 },
	{ "zero", 0, 0 },
	{ "broadcast", 0xffffffff, 0 },
};

START_TEST(test_bind_peers)
{
	uint32_t bind;

	open_flow(1000, NT_REMOTE, 99, &bind);
	nt_arrive(&t, bind, peers[_i].from, 53, "hi", 2);
	nt_readable(&t, bind);
	if (peers[_i].seen != 0)
		expect_udp(peers[_i].seen, 53, 1000, "hi", 2);
	nt_none(&t);
	ck_assert_msg(t.stat[NETS_UDP_BADPEER] == (peers[_i].seen == 0), "%s",
	    peers[_i].what);
}
END_TEST

/* A flood of what the guest must not see ends this flow's turn. */
START_TEST(test_bad_peer_flood)
{
	uint32_t bind;
	int i;

	open_flow(1000, NT_REMOTE, 99, &bind);
	for (i = 0; i < 1000; i++)
		nt_arrive(&t, bind, NT_GATEWAY, 53, "hi", 2);
	nt_readable(&t, bind);
	nt_none(&t);
	ck_assert_uint_lt(t.stat[NETS_UDP_BADPEER], 500);
	for (i = 0; i < 5; i++)
		nt_readable(&t, bind);
	ck_assert_uint_eq(t.stat[NETS_UDP_BADPEER], 1000);
	nt_arrive(&t, bind, 0x01020304, 53, "hi", 2);
	nt_readable(&t, bind);
	expect_udp(0x01020304, 53, 1000, "hi", 2);
}
END_TEST

START_TEST(test_loopback_without_host_ip)
{
	uint32_t bind;

	t.net->conf.host_ip = 0;
	open_flow(1000, NT_REMOTE, 99, &bind);
	nt_arrive(&t, bind, 0x7f000001, 53, "hi", 2);
	nt_readable(&t, bind);
	nt_none(&t);
}
END_TEST

/* Takes one datagram, in fragments or not. */
static void
expect_big(const uint8_t *p, size_t len, uint16_t mtu)
{
	static uint8_t got[65536];
	struct nt_pkt k;
	size_t off = 0;
	bool more;

	if (t.frame_first == t.nframe) {
		/* The channel was full: it gets its space back. */
		nt_credit(&t);
		net_tx_ready(t.net, t.now);
	}
	do {
		nt_pkt(&t, &k);
		ck_assert_uint_le(k.len + 20, mtu);
		ck_assert_uint_eq((size_t)(k.frag & 0x1fff) * 8, off);
		ck_assert_uint_le(off + k.len, len + 8);
		memcpy(got + off, k.p, k.len);
		off += k.len;
		more = (k.frag & IP4_MF) != 0;
	} while (more);
	ck_assert_uint_eq(off, len + 8);
	ck_assert_mem_eq(got + 8, p, len);
	/* The sum, over the pseudo-header: 8.8.4.4, 192.168.65.3. */
	ck_assert_uint_eq(
	    nt_cksum(got, off,
		0x0808 + 0x0404 + 0xc0a8 + 0x4103 + 17 + (uint32_t)off),
	    0);
}

static const uint16_t mtus[] = { 576, 1500, 2034, 2035, 9000, 65521 };

/* Sizes around every border, in batches, come whole and in order. */
START_TEST(test_sizes)
{
	static const size_t lens[] = { 0, 1, 547, 548, 549, 1472, 1473, 2006,
		2007, 100, 8972, 8973, 65493, 65494, 65507, 1, 2, 3 };
	static uint8_t data[65507];
	uint32_t id;
	size_t i, round;

	nt_fini(&t);
	nt_conf(&t);
	t.conf.mtu = mtus[_i];
	nt_start(&t);
	id = open_flow(1000, NT_REMOTE, 99, NULL);
	for (round = 0; round < 2; round++) {
		for (i = 0; i < nitems(lens); i++) {
			fill(data, lens[i], (uint32_t)i);
			nt_arrive(&t, id, 0, 0, data, lens[i]);
		}
		nt_readable(&t, id);
		for (i = 0; i < nitems(lens); i++) {
			fill(data, lens[i], (uint32_t)i);
			expect_big(data, lens[i], mtus[_i]);
		}
		nt_none(&t);
	}
	ck_assert_uint_eq(t.stat[NETS_TX_FULL], 0);
	ck_assert_uint_eq(t.stat[NETS_UDP_TX], 2 * nitems(lens));
}
END_TEST

START_TEST(test_many)
{
	uint32_t id = open_flow(1000, NT_REMOTE, 99, NULL);
	uint8_t b[2];
	unsigned i;

	for (i = 0; i < 1000; i++) {
		put_u16(b, (uint16_t)i);
		nt_arrive(&t, id, 0, 0, b, 2);
	}
	nt_readable(&t, id);
	for (i = 0; i < 1000;) {
		if (t.frame_first == t.nframe) {
			/* The channel was full: it gets its space back. */
			nt_credit(&t);
			net_tx_ready(t.net, t.now);
			ck_assert_uint_ne(t.frame_first, t.nframe);
		}
		put_u16(b, (uint16_t)i++);
		expect_udp(NT_REMOTE, 99, 1000, b, 2);
	}
}
END_TEST

/* A full channel: nothing is taken from the sockets, and each gets its turn. */
START_TEST(test_blocked)
{
	uint32_t a = open_flow(1000, NT_REMOTE, 99, NULL);
	uint32_t b = open_flow(1001, NT_REMOTE, 99, NULL);
	static uint8_t data[1000];

	t.chan_stuck = true;
	t.chan_used = t.chan_cap;
	nt_arrive(&t, a, 0, 0, data, 100);
	nt_arrive(&t, b, 0, 0, data, 200);
	nt_readable(&t, a);
	nt_readable(&t, b);
	nt_readable(&t, a);
	nt_none(&t);
	ck_assert_uint_eq(t.sock[a].in.first, 0);
	net_tx_ready(t.net, t.now);
	nt_none(&t);
	/* Enough for one: that was the first in line. */
	t.chan_used = t.chan_cap - 67100;
	net_tx_ready(t.net, t.now);
	expect_udp(NT_REMOTE, 99, 1000, data, 100);
	nt_none(&t);
	t.chan_stuck = false;
	nt_credit(&t);
	net_tx_ready(t.net, t.now);
	expect_udp(NT_REMOTE, 99, 1001, data, 200);
	nt_none(&t);
	ck_assert_uint_eq(t.stat[NETS_TX_FULL], 0);
}
END_TEST

START_TEST(test_blocked_and_gone)
{
	uint32_t a = open_flow(1000, NT_REMOTE, 99, NULL);

	t.chan_stuck = true;
	t.chan_used = t.chan_cap;
	nt_arrive(&t, a, 0, 0, "x", 1);
	nt_readable(&t, a);
	nt_wait(&t, 400 * USEC_SEC);
	ck_assert_uint_eq(net_flows(t.net), 0);
	t.chan_stuck = false;
	nt_credit(&t);
	net_tx_ready(t.net, t.now);
	nt_none(&t);
}
END_TEST

/* How long a flow lives without traffic. */
static const struct {
	const char *what;
	uint16_t dport;
	usec_t idle;
} lives[] = {
	{ "any", 99, 300 * USEC_SEC },
	{ "names", 53, 30 * USEC_SEC },
};

START_TEST(test_idle)
{
	uint32_t bind, id;
	usec_t idle = lives[_i].idle;

	id = open_flow(1000, NT_REMOTE, lives[_i].dport, &bind);
	nt_wait(&t, idle - 1);
	ck_assert_uint_eq(t.nclose, 0);
	/* From the guest. */
	nt_udp(&t, 1000, NT_REMOTE, lives[_i].dport, "x", 1);
	nt_flush(&t);
	nt_wait(&t, idle - 1);
	ck_assert_uint_eq(t.nclose, 0);
	/* To the guest. */
	nt_arrive(&t, id, 0, 0, "x", 1);
	nt_readable(&t, id);
	nt_wait(&t, idle - 1);
	ck_assert_uint_eq(t.nclose, 0);
	nt_wait(&t, 1);
	ck_assert_msg(t.nclose == 2, "%s", lives[_i].what);
	ck_assert_uint_eq(net_flows(t.net), 0);
	ck_assert_int_eq(net_deadline(t.net), USEC_NEVER);
}
END_TEST

/* What comes to the bind keeps the port, not the destinations. */
START_TEST(test_idle_bind)
{
	uint32_t bind;

	open_flow(1000, NT_REMOTE, 99, &bind);
	nt_wait(&t, 200 * USEC_SEC);
	nt_arrive(&t, bind, 0x01020304, 5, "x", 1);
	nt_readable(&t, bind);
	nt_wait(&t, 101 * USEC_SEC);
	ck_assert_uint_eq(net_flows(t.net), 1);
	nt_wait(&t, 200 * USEC_SEC);
	ck_assert_uint_eq(net_flows(t.net), 0);
}
END_TEST

START_TEST(test_open_failed)
{
	uint32_t bind, id;

	nt_udp(&t, 1000, NT_REMOTE, 99, "x", 1);
	nt_flush(&t);
	bind = nt_id(&t, NET_UDP_BIND, 1000, 0, 0);
	id = nt_id(&t, NET_UDP, 1000, NT_REMOTE, 99);
	nt_opened(&t, bind);
	net_open_failed(t.net, t.now, id, NET_EADMIN);
	nt_unreachable(&t, 13, NT_GATEWAY);
	ck_assert_uint_eq(t.nclose, 1);
	ck_assert_uint_eq(t.net->queued, 0);
	/* The next one tries again. */
	nt_udp(&t, 1000, NT_REMOTE, 99, "x", 1);
	nt_flush(&t);
	ck_assert_uint_eq(t.nopen, 3);
}
END_TEST

START_TEST(test_bind_failed)
{
	nt_udp(&t, 1000, NT_REMOTE, 99, "x", 1);
	nt_udp(&t, 1000, NT_REMOTE, 98, "x", 1);
	nt_flush(&t);
	net_open_failed(
	    t.net, t.now, nt_id(&t, NET_UDP_BIND, 1000, 0, 0), NET_ELIMIT);
	nt_unreachable(&t, 1, NT_GATEWAY);
	nt_unreachable(&t, 1, NT_GATEWAY);
	nt_none(&t);
	ck_assert_uint_eq(t.nclose, 3);
	ck_assert_uint_eq(net_flows(t.net), 0);
}
END_TEST

/* A new portd does not know the old one's binds. */
START_TEST(test_portd_restart)
{
	uint32_t bind, id = open_flow(1000, NT_REMOTE, 99, &bind);

	net_server_gone(t.net, t.now, NET_PORTD);
	net_server_ready(t.net, t.now, NET_PORTD);
	/* What there was goes on. */
	nt_udp(&t, 1000, NT_REMOTE, 99, "x", 1);
	nt_flush(&t);
	expect_sent(id, "x", 1);
	nt_udp(&t, 1000, NT_REMOTE, 98, "x", 1);
	nt_flush(&t);
	net_open_failed(
	    t.net, t.now, nt_id(&t, NET_UDP, 1000, NT_REMOTE, 98), NET_EOTHER);
	nt_none(&t);
	ck_assert_uint_eq(net_flows(t.net), 0);
	open_flow(1000, NT_REMOTE, 98, &bind);
}
END_TEST

/* Limits of 8 flows: the oldest goes, the never answered first. */
START_TEST(test_limit)
{
	uint32_t keep, i;

	nt_fini(&t);
	nt_conf(&t);
	t.conf.max_flows = 16;
	nt_start(&t);
	keep = open_flow(1, NT_REMOTE, 99, NULL);
	nt_arrive(&t, keep, 0, 0, "x", 1);
	nt_readable(&t, keep);
	for (i = 2; i < 100; i++) {
		t.now++;
		open_flow((uint16_t)i, NT_REMOTE, 99, NULL);
		ck_assert_uint_le(net_flows(t.net), 8);
	}
	ck_assert_ptr_nonnull(
	    flow_find(t.net, NET_UDP, NT_GUEST, 1, NT_REMOTE, 99));
	ck_assert_ptr_nonnull(
	    flow_find(t.net, NET_UDP, NT_GUEST, 99, NT_REMOTE, 99));
	ck_assert_ptr_null(
	    flow_find(t.net, NET_UDP, NT_GUEST, 95, NT_REMOTE, 99));
	ck_assert_uint_ge(t.stat[NETS_UDP_LIMIT], 90);
	ck_assert_uint_eq(t.stat[NETS_FLOW_LIMIT], 0);
}
END_TEST

/* Answered flows go too, when new ones need a place to be answered in. */
START_TEST(test_limit_answered)
{
	uint32_t id, i;

	nt_fini(&t);
	nt_conf(&t);
	t.conf.max_flows = 16;
	nt_start(&t);
	for (i = 1; i < 50; i++) {
		t.now++;
		id = open_flow((uint16_t)i, NT_REMOTE, 99, NULL);
		nt_arrive(&t, id, 0, 0, "x", 1);
		nt_readable(&t, id);
		ck_assert_uint_le(net_flows(t.net), 8);
	}
	for (i = 46; i < 50; i++)
		ck_assert_ptr_nonnull(flow_find(
		    t.net, NET_UDP, NT_GUEST, (uint16_t)i, NT_REMOTE, 99));
}
END_TEST

/* One port, many destinations: the bind stays. */
START_TEST(test_limit_one_port)
{
	uint32_t i;

	nt_fini(&t);
	nt_conf(&t);
	t.conf.max_flows = 1;
	nt_start(&t);
	/* Not even one fits: said, and nothing kept. */
	nt_udp(&t, 1, NT_REMOTE, 99, "x", 1);
	nt_unreachable(&t, 1, NT_GATEWAY);
	ck_assert_uint_ge(t.stat[NETS_FLOW_LIMIT], 1);
	nt_fini(&t);
	nt_conf(&t);
	t.conf.max_flows = 8;
	nt_start(&t);
	for (i = 1; i < 50; i++) {
		open_flow(1000, NT_REMOTE, (uint16_t)i, NULL);
		ck_assert_uint_le(net_flows(t.net), 4);
	}
	/* Room for two is made each time. */
	ck_assert_uint_eq(t.stat[NETS_UDP_LIMIT], 47);
}
END_TEST

/* A batch that is not sent yet when its flow has to go is sent first. */
START_TEST(test_limit_and_batch)
{
	uint32_t id;

	nt_fini(&t);
	nt_conf(&t);
	t.conf.max_flows = 8;
	nt_start(&t);
	id = open_flow(1, NT_REMOTE, 99, NULL);
	nt_udp(&t, 1, NT_REMOTE, 99, "kept", 4);
	nt_udp(&t, 2, NT_REMOTE, 99, "x", 1);
	nt_udp(&t, 3, NT_REMOTE, 99, "x", 1);
	expect_sent(id, "kept", 4);
	nt_flush(&t);
}
END_TEST

/* Names. */

static const uint8_t query[] = { 0xc0, 0xa8, 65, 3, 0x03, 0xe8, 0, 1, 'q' };

static uint32_t
open_dns(void)
{
	uint32_t id;

	nt_udp(&t, 1000, NT_GATEWAY, 53, "q", 1);
	nt_flush(&t);
	id = nt_id(&t, NET_DNS, 0, NT_GATEWAY, 53);
	nt_opened(&t, id);
	expect_sent(id, query, sizeof(query));
	return id;
}

START_TEST(test_dns)
{
	uint32_t id = open_dns();
	uint8_t q2[9], many[26];

	ck_assert_int_eq(t.last_open.server, NET_DNSD);
	/* One flow for all ports. */
	memcpy(q2, query, sizeof(q2));
	put_u16(q2 + 4, 1001);
	nt_udp(&t, 1001, NT_GATEWAY, 53, "q", 1);
	nt_udp(&t, 1000, NT_GATEWAY, 53, "q", 1);
	nt_flush(&t);
	ck_assert_uint_eq(t.nopen, 1);
	expect_sent(id, q2, sizeof(q2));
	expect_sent(id, query, sizeof(query));
	nt_arrive(&t, id, 0, 0, q2, sizeof(q2));
	nt_arrive(&t, id, 0, 0, query, sizeof(query));
	memcpy(many, query, 9);
	memcpy(many + 9, query, 8);
	many[16] = 0;
	memcpy(many + 17, q2, 9);
	nt_arrive(&t, id, 0, 0, many, sizeof(many));
	nt_readable(&t, id);
	expect_udp(NT_GATEWAY, 53, 1001, "q", 1);
	expect_udp(NT_GATEWAY, 53, 1000, "q", 1);
	expect_udp(NT_GATEWAY, 53, 1000, "q", 1);
	expect_udp(NT_GATEWAY, 53, 1000, "", 0);
	expect_udp(NT_GATEWAY, 53, 1001, "q", 1);
	/* It never ends by itself. */
	nt_wait(&t, 100000 * USEC_SEC);
	ck_assert_uint_eq(net_flows(t.net), 1);
}
END_TEST

/* Answers as dnsd writes them, to a port, so long each. */
static const struct {
	const char *what;
	bool vnet, uso;
	struct {
		uint16_t port, len;
	} in[9], out[9];
	unsigned large;
} many_dns[] = {
	{ "a bare TAP, or ethd", false, false,
	    { { 7, 40 }, { 8, 40 }, { 7, 40 } },
	    { { 7, 40 }, { 8, 40 }, { 7, 40 } }, 0 },
	{ "a kernel that cuts none", true, false,
	    { { 7, 40 }, { 8, 40 }, { 7, 40 } },
	    { { 7, 40 }, { 8, 40 }, { 7, 40 } }, 0 },
	{ "a port's together", true, true,
	    { { 7, 40 }, { 8, 40 }, { 7, 40 }, { 8, 40 }, { 9, 40 } },
	    { { 7, 40 }, { 7, 40 }, { 8, 40 }, { 8, 40 }, { 9, 40 } }, 2 },
	{ "a shorter one is the last", true, true,
	    { { 7, 40 }, { 7, 39 }, { 7, 40 }, { 7, 40 } },
	    { { 7, 40 }, { 7, 39 }, { 7, 40 }, { 7, 40 } }, 2 },
	{ "a longer one waits for its turn", true, true,
	    { { 7, 40 }, { 7, 41 }, { 7, 40 }, { 8, 1 } },
	    { { 7, 40 }, { 7, 41 }, { 7, 40 }, { 8, 1 } }, 1 },
	{ "empty ones go singly", true, true,
	    { { 7, 0 }, { 7, 0 }, { 7, 1 }, { 7, 1 }, { 7, 0 } },
	    { { 7, 0 }, { 7, 0 }, { 7, 1 }, { 7, 1 }, { 7, 0 } }, 1 },
	{ "up to the MTU", true, true,
	    { { 7, 1472 }, { 7, 1472 }, { 7, 1471 } },
	    { { 7, 1472 }, { 7, 1472 }, { 7, 1471 } }, 1 },
};

START_TEST(test_dns_many)
{
	static uint8_t b[9 * (8 + 1472)];
	uint32_t id = open_dns();
	size_t n = 0, at[9];
	int i, k;

	net_set_vnet(t.net, many_dns[_i].vnet);
	if (!many_dns[_i].uso)
		net_no_uso(t.net);
	fill(b, sizeof(b), 1);
	for (i = 0; many_dns[_i].in[i].port != 0; i++) {
		memcpy(b + n, query, 4);
		put_u16(b + n + 4, many_dns[_i].in[i].port);
		put_u16(b + n + 6, many_dns[_i].in[i].len);
		at[i] = n + 8;
		n = at[i] + many_dns[_i].in[i].len;
	}
	nt_arrive(&t, id, 0, 0, b, n);
	nt_readable(&t, id);
	for (i = 0; many_dns[_i].out[i].port != 0; i++) {
		for (k = 0; at[k] == 0 || many_dns[_i].in[k].port !=
					      many_dns[_i].out[i].port;)
			k++; /* its port's next */
		expect_udp(NT_GATEWAY, 53, many_dns[_i].out[i].port, b + at[k],
		    many_dns[_i].out[i].len);
		at[k] = 0;
	}
	nt_none(&t);
	ck_assert_msg(
	    t.nlarge == many_dns[_i].large, "%s", many_dns[_i].what);
	ck_assert_uint_eq(t.stat[NETS_UDP_TX], i);
}
END_TEST

/* More than are looked at together, and then a broken one. */
START_TEST(test_dns_flood)
{
	static uint8_t b[100 * 9 + 1];
	uint32_t id = open_dns();
	int i;

	net_set_vnet(t.net, true);
	for (i = 0; i < 100; i++)
		memcpy(b + 9 * i, query, 9);
	nt_arrive(&t, id, 0, 0, b, sizeof(b));
	nt_readable(&t, id);
	for (i = 0; i < 100; i++)
		expect_udp(NT_GATEWAY, 53, 1000, "q", 1);
	nt_none(&t);
	ck_assert_uint_eq(t.nlarge, 4);
	ck_assert_uint_eq(t.stat[NETS_UDP_BADPEER], 1);
}
END_TEST

static const struct {
	const char *what;
	size_t at, len;
	uint8_t v;
} bad_dns[] = {
	{ "another VM", 3, 9, 4 },
	{ "longer than it is", 7, 9, 2 },
	{ "cut", 0, 7, 0xc0 },
	{ "nothing", 0, 0, 0xc0 },
};

START_TEST(test_dns_bad)
{
	uint32_t id = open_dns();
	uint8_t b[9];

	memcpy(b, query, sizeof(b));
	b[bad_dns[_i].at] = bad_dns[_i].v;
	nt_arrive(&t, id, 0, 0, b, bad_dns[_i].len);
	put_u16(b + 4, 0);
	nt_arrive(&t, id, 0, 0, b, sizeof(b));
	nt_readable(&t, id);
	nt_none(&t);
	ck_assert_msg(t.stat[NETS_UDP_BADPEER] == 2, "%s", bad_dns[_i].what);
}
END_TEST

START_TEST(test_dns_big_answer)
{
	static uint8_t b[8 + 4000];
	uint32_t id = open_dns();
	struct nt_pkt k;
	int i;

	fill(b, sizeof(b), 1);
	memcpy(b, query, 8);
	put_u16(b + 6, 4000);
	nt_arrive(&t, id, 0, 0, b, sizeof(b));
	nt_arrive(&t, id, 0, 0, query, sizeof(query));
	nt_readable(&t, id);
	for (i = 0; i < 3; i++) {
		nt_pkt(&t, &k);
		if (i == 0)
			ck_assert_mem_eq(k.p + 8, b + 8, 1472);
	}
	expect_udp(NT_GATEWAY, 53, 1000, "q", 1);
	nt_none(&t);
}
END_TEST

/* dnsd went: however we learn of it, the next query gets a new socket. */
START_TEST(test_dns_restart)
{
	uint32_t id = open_dns();

	switch (_i) {
	case 0:
		net_failed(t.net, t.now, id, NET_ERESET);
		break;
	case 1:
		net_server_gone(t.net, t.now, NET_DNSD);
		net_server_ready(t.net, t.now, NET_DNSD);
		break;
	case 2:
		t.sock[id].send_error = ECONNREFUSED;
		nt_udp(&t, 1000, NT_GATEWAY, 53, "q", 1);
		nt_flush(&t);
		t.sent->first = t.sent->n;
		break;
	}
	ck_assert_uint_eq(t.nclose, 1);
	open_dns();
	nt_none(&t);
}
END_TEST

/* Queries wait for dnsd to come. */
START_TEST(test_dns_away)
{
	uint32_t id;

	net_server_gone(t.net, t.now, NET_DNSD);
	nt_udp(&t, 1000, NT_GATEWAY, 53, "q", 1);
	nt_flush(&t);
	ck_assert_uint_eq(t.nopen, 0);
	net_server_ready(t.net, t.now, NET_DNSD);
	id = nt_id(&t, NET_DNS, 0, NT_GATEWAY, 53);
	nt_opened(&t, id);
	expect_sent(id, query, sizeof(query));
	/* No socket for it: the guest asks again. */
	net_failed(t.net, t.now, id, NET_ERESET);
	nt_udp(&t, 1000, NT_GATEWAY, 53, "q", 1);
	nt_flush(&t);
	net_open_failed(
	    t.net, t.now, nt_id(&t, NET_DNS, 0, NT_GATEWAY, 53), NET_EOTHER);
	ck_assert_uint_eq(net_flows(t.net), 0);
	ck_assert_uint_eq(t.net->queued, 0);
}
END_TEST

static const struct {
	const char *what;
	uint16_t sport, dport;
	uint32_t dst;
	int code; /* -1: silence */
} nowhere[] = {
	{ "gateway", 1000, 123, NT_GATEWAY, 3 },
	{ "DHCP client's port", 67, 68, NT_GATEWAY, 3 },
	{ "to port 0", 1000, 0, NT_REMOTE, -1 },
	{ "from port 0", 0, 99, NT_REMOTE, -1 },
	{ "from port 0 to dnsd", 0, 53, NT_GATEWAY, -1 },
	{ "broadcast", 137, 137, 0xc0a841ff, -1 },
	{ "multicast", 5353, 5353, 0xe00000fb, -1 },
};

START_TEST(test_nowhere)
{
	nt_udp(
	    &t, nowhere[_i].sport, nowhere[_i].dst, nowhere[_i].dport, "x", 1);
	nt_flush(&t);
	if (nowhere[_i].code != -1)
		nt_unreachable(&t, (uint8_t)nowhere[_i].code, nowhere[_i].dst);
	nt_none(&t);
	ck_assert_msg(t.nopen == 0, "%s", nowhere[_i].what);
}
END_TEST

/* A reassembled datagram is gone after its call: it was sent in it. */
START_TEST(test_fragments_out)
{
	static uint8_t data[3000];
	uint8_t f[3100], g[3100];
	uint32_t id = open_flow(1000, NT_REMOTE, 99, NULL);
	size_t len;

	fill(data, sizeof(data), 5);
	nt_udp(&t, 1000, NT_REMOTE, 99, data, sizeof(data));
	(void)nt_build_udp(&t, f, 1000, NT_REMOTE, 99, data, sizeof(data));
	len = nt_build(&t, g, NT_GUEST, NT_REMOTE, 17, f + 34, 1480);
	put_u16(g + 20, IP4_MF);
	nt_resum(g);
	nt_frame(&t, g, len);
	len = nt_build(&t, g, NT_GUEST, NT_REMOTE, 17, f + 34 + 1480, 1528);
	put_u16(g + 20, 1480 / 8);
	nt_resum(g);
	nt_frame(&t, g, len);
	ck_assert_uint_eq(t.sent->n - t.sent->first, 2);
	nt_flush(&t);
	expect_sent(id, data, sizeof(data));
	expect_sent(id, data, sizeof(data));
}
END_TEST

/* Random life with every event, checked for leaks and for order. */
START_TEST(test_random)
{
	uint32_t x = (uint32_t)_i + 1, id;
	uint8_t b[4] = { 0 };
	unsigned step;

	nt_fini(&t);
	nt_conf(&t);
	t.conf.max_flows = 24;
	t.conf.max_queue = 2000;
	nt_start(&t);
	for (step = 0; step < 4000; step++) {
		x = x * 1664525 + 1013904223;
		id = (x >> 8) % 24;
		t.sent->first = t.sent->n < NT_DGRAMS / 2 ? t.sent->n : 0;
		if (t.sent->n > NT_DGRAMS - 64 || t.nframe > NT_FRAMES - 100)
			break;
		switch ((x >> 16) % 12) {
		case 0:
			net_open_failed(t.net, t.now, id, NET_EOTHER);
			break;
		case 1:
			net_failed(t.net, t.now, id, NET_EREFUSED);
			break;
		case 2:
			net_server_gone(t.net, t.now, NET_PORTD);
			break;
		case 3:
			net_server_gone(t.net, t.now, NET_DNSD);
			break;
		case 4:
		case 5:
			/* Lost requests are asked for again. */
			for (id = 0; id < 24; id++)
				t.sock[id].asked =
				    flow_get(t.net, id) &&
				    flow_get(t.net, id)->ask == FLOW_IDLE;
			net_server_gone(t.net, t.now, NET_PORTD);
			net_server_gone(t.net, t.now, NET_DNSD);
			net_server_ready(t.net, t.now, NET_PORTD);
			net_server_ready(t.net, t.now, NET_DNSD);
			break;
		case 6:
			nt_opened(&t, id);
			break;
		case 7:
			if (flow_get(t.net, id) && t.sock[id].asked)
				nt_arrive(&t, id, x, 5, b, 4);
			nt_readable(&t, id);
			break;
		case 8:
			nt_wait(&t, (usec_t)(x % 20000000));
			break;
		case 9:
			if (t.sock[id].asked)
				t.sock[id].send_error = ECONNREFUSED;
			net_writable(t.net, t.now, id);
			break;
		case 10:
			nt_udp(&t, (uint16_t)(1 + x % 3), NT_GATEWAY, 53, b, 4);
			break;
		default:
			nt_udp(&t, (uint16_t)(1 + x % 6), NT_REMOTE,
			    (uint16_t)(50 + (x >> 24) % 6), b, x % 4);
		}
		if (x >> 28 == 0)
			nt_flush(&t);
		ck_assert_uint_le(t.net->queued, 2000);
		ck_assert_uint_le(net_flows(t.net), 13);
	}
	ck_assert_uint_gt(step, 500);
	nt_flush(&t);
	net_server_gone(t.net, t.now, NET_PORTD);
	net_server_gone(t.net, t.now, NET_DNSD);
	for (id = 0; id < 24; id++)
		t.sock[id].asked = false;
	/* The count of closes knows nothing of requests that were lost. */
	nt_fini(&t);
	nt_init(&t);
}
END_TEST

static TCase *
tcase(Suite *s, const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return tc;
}

static Suite *
udp_suite(void)
{
	Suite *s = suite_create("udp");
	TCase *tc = tcase(s, "out");

	tcase_add_test(tc, test_first);
	tcase_add_test(tc, test_queue_limit);
	tcase_add_test(tc, test_queue_bytes);
	tcase_add_loop_test(tc, test_batches, 0, nitems(batches));
	tcase_add_test(tc, test_batch_limit);
	tcase_add_test(tc, test_two_flows);
	tcase_add_test(tc, test_socket_full);
	tcase_add_loop_test(tc, test_send_errors, 0, nitems(errors));
	tcase_add_test(tc, test_async_error);
	tcase_add_loop_test(tc, test_nowhere, 0, nitems(nowhere));
	tcase_add_test(tc, test_fragments_out);
	tc = tcase(s, "in");
	tcase_add_loop_test(tc, test_bind_peers, 0, nitems(peers));
	tcase_add_test(tc, test_bad_peer_flood);
	tcase_add_test(tc, test_loopback_without_host_ip);
	tcase_add_loop_test(tc, test_sizes, 0, nitems(mtus));
	tcase_add_test(tc, test_many);
	tcase_add_test(tc, test_blocked);
	tcase_add_test(tc, test_blocked_and_gone);
	tc = tcase(s, "flows");
	tcase_add_loop_test(tc, test_idle, 0, nitems(lives));
	tcase_add_test(tc, test_idle_bind);
	tcase_add_test(tc, test_open_failed);
	tcase_add_test(tc, test_bind_failed);
	tcase_add_test(tc, test_portd_restart);
	tcase_add_test(tc, test_limit);
	tcase_add_test(tc, test_limit_answered);
	tcase_add_test(tc, test_limit_one_port);
	tcase_add_test(tc, test_limit_and_batch);
	tcase_add_loop_test(tc, test_random, 0, 10);
	tc = tcase(s, "dns");
	tcase_add_test(tc, test_dns);
	tcase_add_loop_test(tc, test_dns_many, 0, nitems(many_dns));
	tcase_add_test(tc, test_dns_flood);
	tcase_add_loop_test(tc, test_dns_bad, 0, nitems(bad_dns));
	tcase_add_test(tc, test_dns_big_answer);
	tcase_add_loop_test(tc, test_dns_restart, 0, 3);
	tcase_add_test(tc, test_dns_away);
	return s;
}

int
main(void)
{
	return check_suite(udp_suite());
}
