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
}

static void
message(uint8_t *m, uint8_t type, uint8_t code, size_t len)
{
	size_t i;

	for (i = 8; i < len; i++)
		m[i] = (uint8_t)(i * 11);
	m[0] = type;
	m[1] = code;
	put_u16(m + 2, 0);
	put_u16(m + 4, 0xbeef);
	put_u16(m + 6, 77);
	put_u16(m + 2, nt_cksum(m, len, 0));
}

static const struct {
	const char *what;
	uint32_t dst;
	uint8_t type, code;
	enum net_stat stat;
} cases[] = {
	{ "echo to the gateway", NT_GATEWAY, 8, 0, NETS_ICMP_ECHO },
	{ "echo to the host", NT_HOST, 8, 0, NETS_ICMP_ECHO },
	{ "echo to a remote", NT_REMOTE, 8, 0, NETS_ICMP_FLOWS },
	{ "echo to a remote with a code", NT_REMOTE, 8, 1, NETS_ICMP_IGNORED },
	{ "reply to a remote", NT_REMOTE, 0, 0, NETS_ICMP_IGNORED },
	{ "echo to itself", NT_GUEST, 8, 0, NETS_RX_BADDST },
	{ "echo to all", 0xffffffff, 8, 0, NETS_RX_BADDST },
	{ "echo with a code", NT_GATEWAY, 8, 1, NETS_ICMP_IGNORED },
	{ "reply", NT_GATEWAY, 0, 0, NETS_ICMP_IGNORED },
	{ "timestamp", NT_GATEWAY, 13, 0, NETS_ICMP_IGNORED },
	{ "redirect", NT_GATEWAY, 5, 1, NETS_ICMP_IGNORED },
	{ "unreachable", NT_REMOTE, 3, 3, NETS_ICMP_IGNORED },
};

START_TEST(test_messages)
{
	uint8_t m[64];

	message(m, cases[_i].type, cases[_i].code, sizeof(m));
	nt_ip(&t, cases[_i].dst, IPPROTO4_ICMP, m, sizeof(m));
	ck_assert_msg(t.stat[cases[_i].stat] == 1, "%s", cases[_i].what);
	if (cases[_i].stat != NETS_ICMP_ECHO)
		nt_none(&t);
}
END_TEST

/* Payload, id and sequence come back; what is large comes in fragments. */
START_TEST(test_echo)
{
	static const size_t lens[] = { 8, 9, 64, 1480, 1481, 5000, 65495 };
	static uint8_t m[65536], got[65536];
	size_t len = lens[_i], off = 0;
	struct nt_pkt k;

	message(m, 8, 0, len);
	nt_ip(&t, NT_HOST, IPPROTO4_ICMP, m, len);
	do {
		nt_pkt(&t, &k);
		ck_assert_uint_eq(k.src, NT_HOST);
		ck_assert_uint_eq(k.dst, NT_GUEST);
		ck_assert_uint_eq(off, (size_t)(k.frag & 0x1fff) * 8);
		memcpy(got + off, k.p, k.len);
		off += k.len;
	} while ((k.frag & IP4_MF) != 0);
	nt_none(&t);
	ck_assert_uint_eq(off, len);
	message(m, 0, 0, len);
	ck_assert_mem_eq(got, m, len);
}
END_TEST

START_TEST(test_echo_in_fragments)
{
	uint8_t m[2000], f[2100];
	struct nt_pkt k;
	size_t len;

	message(m, 8, 0, sizeof(m));
	len = nt_build(&t, f, NT_GUEST, NT_GATEWAY, IPPROTO4_ICMP, m + 1480,
	    sizeof(m) - 1480);
	put_u16(f + 20, 1480 / 8);
	nt_resum(f);
	nt_frame(&t, f, len);
	len = nt_build(&t, f, NT_GUEST, NT_GATEWAY, IPPROTO4_ICMP, m, 1480);
	put_u16(f + 20, IP4_MF);
	nt_resum(f);
	nt_frame(&t, f, len);
	ck_assert_uint_eq(t.stat[NETS_ICMP_ECHO], 1);
	nt_pkt(&t, &k);
	ck_assert_uint_eq(k.len, 1480);
	ck_assert_uint_eq(k.p[0], 0);
	nt_pkt(&t, &k);
	ck_assert_uint_eq(k.len, sizeof(m) - 1480);
	ck_assert_mem_eq(k.p, m + 1480, k.len);
}
END_TEST

START_TEST(test_broken)
{
	struct guard g = guard_new(200);
	uint8_t m[64], f[200];
	size_t len, n;

	message(m, 8, 0, sizeof(m));
	m[20] ^= 1;
	nt_ip(&t, NT_GATEWAY, IPPROTO4_ICMP, m, sizeof(m));
	ck_assert_uint_eq(t.stat[NETS_RX_BADSUM], 1);
	for (n = 0; n < 8; n++) {
		message(m, 8, 0, sizeof(m));
		len =
		    nt_build(&t, f, NT_GUEST, NT_GATEWAY, IPPROTO4_ICMP, m, n);
		net_input(t.net, t.now, guard_put(&g, f, len), len);
	}
	ck_assert_uint_eq(t.stat[NETS_RX_SHORT], 8);
	nt_none(&t);
	guard_free(&g);
}
END_TEST

static const struct {
	const char *what;
	enum net_error e;
	uint8_t code;
	uint32_t src;
} errors[] = {
	{ "refused", NET_EREFUSED, 3, NT_REMOTE },
	{ "reset", NET_ERESET, 3, NT_REMOTE },
	{ "timed out", NET_ETIMEDOUT, 1, NT_GATEWAY },
	{ "net unreachable", NET_ENETUNREACH, 0, NT_GATEWAY },
	{ "host unreachable", NET_EHOSTUNREACH, 1, NT_GATEWAY },
	{ "policy", NET_EADMIN, 13, NT_GATEWAY },
	{ "too big", NET_EMSGSIZE, 4, NT_GATEWAY },
	{ "limit", NET_ELIMIT, 1, NT_GATEWAY },
	{ "other", NET_EOTHER, 1, NT_GATEWAY },
};

static struct ip4_pkt
packet(uint8_t *f, uint32_t dst, uint8_t proto, const void *p, size_t len)
{
	(void)nt_build(&t, f, NT_GUEST, dst, proto, p, len);
	return (struct ip4_pkt){ .src = NT_GUEST,
		.dst = dst,
		.proto = proto,
		.hdr = f + 14,
		.hdrlen = 20,
		.payload = rd_init(f + 34, len) };
}

START_TEST(test_errors)
{
	static const size_t lens[] = { 0, 8, 500, 528, 529, 1480 };
	static const uint8_t data[1480] = { 1, 2, 3 };
	uint8_t f[1600];
	struct ip4_pkt pkt;
	struct nt_pkt k;
	size_t i, quote;

	for (i = 0; i < nitems(lens); i++) {
		pkt = packet(f, NT_REMOTE, 17, data, lens[i]);
		icmp_unreachable(t.net, t.now, &pkt, errors[_i].e, 1234);
		quote = 20 + (lens[i] < 528 ? lens[i] : 528);
		nt_pkt(&t, &k);
		ck_assert_msg(k.p[0] == 3 && k.p[1] == errors[_i].code, "%s",
		    errors[_i].what);
		ck_assert_msg(k.src == errors[_i].src, "%s", errors[_i].what);
		ck_assert_uint_eq(k.len, 8 + quote);
		ck_assert_mem_eq(k.p + 8, f + 14, quote);
		ck_assert_uint_eq(k.p[6] << 8 | k.p[7],
		    errors[_i].e == NET_EMSGSIZE ? 1234 : 0);
	}
	ck_assert_uint_eq(t.stat[NETS_ICMP_TX], nitems(lens));
}
END_TEST

static const struct {
	const char *what;
	uint32_t src, dst;
	uint8_t proto, first; /* first byte of the payload */
	bool answered;
} quiet[] = {
	{ "TCP", NT_GUEST, NT_REMOTE, 6, 0, true },
	{ "echo", NT_GUEST, NT_REMOTE, 1, 8, true },
	{ "echo reply", NT_GUEST, NT_REMOTE, 1, 0, false },
	{ "ICMP error", NT_GUEST, NT_REMOTE, 1, 3, false },
	{ "broadcast", NT_GUEST, 0xffffffff, 17, 0, false },
	{ "subnet broadcast", NT_GUEST, 0xc0a841ff, 17, 0, false },
	{ "multicast", NT_GUEST, 0xe0000001, 17, 0, false },
	{ "no source", 0, NT_REMOTE, 17, 0, false },
};

START_TEST(test_never_answered)
{
	uint8_t f[100], data[8] = { quiet[_i].first };
	struct ip4_pkt pkt;

	pkt = packet(f, quiet[_i].dst, quiet[_i].proto, data, sizeof(data));
	pkt.src = quiet[_i].src;
	icmp_unreachable(t.net, t.now, &pkt, NET_EADMIN, 0);
	ck_assert_msg(
	    (nt_next(&t) != NULL) == quiet[_i].answered, "%s", quiet[_i].what);
}
END_TEST

/* 64 at once, then one each 5 ms, and not more after a long silence. */
START_TEST(test_rate)
{
	uint8_t f[100];
	struct ip4_pkt pkt = packet(f, NT_REMOTE, 17, "12345678", 8);
	int i;

	for (i = 0; i < 100; i++)
		icmp_unreachable(t.net, t.now, &pkt, NET_EADMIN, 0);
	ck_assert_uint_eq(t.nframe, 64);
	ck_assert_uint_eq(t.stat[NETS_ICMP_LIMIT], 36);
	for (i = 0; i < 100; i++) {
		t.now += USEC_MS;
		icmp_unreachable(t.net, t.now, &pkt, NET_EADMIN, 0);
	}
	ck_assert_uint_eq(t.nframe, 64 + 20);
	t.now += 1000000 * USEC_SEC;
	for (i = 0; i < 100; i++)
		icmp_unreachable(t.net, t.now, &pkt, NET_EADMIN, 0);
	ck_assert_uint_eq(t.nframe, 64 + 20 + 64);
}
END_TEST

START_TEST(test_full)
{
	uint8_t m[64];

	message(m, 8, 0, sizeof(m));
	t.chan_stuck = true;
	t.chan_used = t.chan_cap - 50;
	nt_ip(&t, NT_GATEWAY, IPPROTO4_ICMP, m, sizeof(m));
	ck_assert_uint_eq(t.stat[NETS_TX_FULL], 1);
	ck_assert_uint_eq(t.stat[NETS_ICMP_ECHO], 0);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("icmp");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_messages, 0, nitems(cases));
	tcase_add_loop_test(tc, test_echo, 0, 7);
	tcase_add_test(tc, test_echo_in_fragments);
	tcase_add_test(tc, test_broken);
	tcase_add_loop_test(tc, test_errors, 0, nitems(errors));
	tcase_add_loop_test(tc, test_never_answered, 0, nitems(quiet));
	tcase_add_test(tc, test_rate);
	tcase_add_test(tc, test_full);
	return check_case("icmp", tc);
}
