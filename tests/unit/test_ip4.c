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

/* A UDP datagram to a remote port is what gets through: it asks for sockets. */
static size_t
good(uint8_t *f)
{
	return nt_build_udp(&t, f, 1000, NT_REMOTE, 99, "hello", 5);
}

enum change { BYTE, BYTE_RESUM };

static const struct {
	const char *what;
	enum change change;
	size_t at; /* from the start of the frame */
	uint8_t v;
	enum net_stat stat; /* NETS__MAX: passes */
} cases[] = {
	{ "unchanged", BYTE, 0, 0xf6, NETS__MAX },
	{ "for another station", BYTE, 1, 0, NETS_RX_NOTFORUS },
	{ "IPv6", BYTE, 12, 0x86, NETS_RX_ETHERTYPE },
	{ "version 6", BYTE_RESUM, 14, 0x65, NETS_RX_SHORT },
	{ "header of 16 bytes", BYTE_RESUM, 14, 0x44, NETS_RX_SHORT },
	{ "header of 60 bytes", BYTE, 14, 0x4f, NETS_RX_SHORT },
	{ "TOS", BYTE_RESUM, 15, 0xb8, NETS__MAX },
	{ "longer than the frame", BYTE_RESUM, 17, 34, NETS_RX_SHORT },
	{ "shorter than the header", BYTE_RESUM, 17, 19, NETS_RX_SHORT },
	{ "shorter than the datagram", BYTE_RESUM, 17, 32, NETS_RX_SHORT },
	{ "reserved flag", BYTE_RESUM, 20, 0x80, NETS__MAX },
	{ "don't fragment", BYTE_RESUM, 20, 0x40, NETS__MAX },
	{ "TTL 0", BYTE_RESUM, 22, 0, NETS_RX_TTL },
	{ "TTL 1", BYTE_RESUM, 22, 1, NETS_RX_TTL },
	{ "TTL 2", BYTE_RESUM, 22, 2, NETS__MAX },
	{ "IGMP", BYTE_RESUM, 23, 2, NETS_RX_PROTO },
	{ "header checksum", BYTE, 24, 0x99, NETS_RX_BADSUM },
	{ "somebody else's source", BYTE_RESUM, 29, 4, NETS_RX_BADSRC },
	{ "datagram checksum", BYTE, 40, 0x99, NETS_RX_BADSUM },
	{ "payload", BYTE, 42, 'H', NETS_RX_BADSUM },
};

START_TEST(test_checks)
{
	uint8_t f[100];
	size_t len = good(f);
	struct nt_pkt k;

	f[cases[_i].at] = cases[_i].v;
	if (cases[_i].change == BYTE_RESUM)
		nt_resum(f);
	nt_frame(&t, f, len);
	nt_flush(&t);
	ck_assert_msg((t.nopen > 0) == (cases[_i].stat == NETS__MAX), "%s",
	    cases[_i].what);
	if (cases[_i].stat != NETS__MAX)
		ck_assert_msg(
		    t.stat[cases[_i].stat] == 1, "%s", cases[_i].what);
	if (cases[_i].stat == NETS_RX_TTL) {
		nt_pkt(&t, &k);
		ck_assert_uint_eq(k.src, NT_GATEWAY);
		ck_assert_uint_eq(k.p[0], 11);
		ck_assert_uint_eq(k.p[1], 0);
		ck_assert_mem_eq(k.p + 8, f + 14, len - 14);
	}
	nt_none(&t);
}
END_TEST

START_TEST(test_zero_checksums)
{
	uint8_t f[100];
	size_t len = good(f);

	/* None over UDP is allowed. */
	put_u16(f + 40, 0);
	nt_frame(&t, f, len);
	ck_assert_uint_eq(t.nopen, 2);
	/* None over the header is not, but for DHCP. */
	put_u16(f + 24, 0);
	nt_frame(&t, f, len);
	ck_assert_uint_eq(t.stat[NETS_RX_BADSUM], 1);
	(void)nt_build_udp(&t, f, 68, NT_GATEWAY, 67, "hello", 5);
	put_u16(f + 24, 0);
	put_u16(f + 40, 0);
	nt_frame(&t, f, len);
	ck_assert_uint_eq(t.stat[NETS_DHCP_RX], 1);
	/* Wrong is wrong. */
	put_u16(f + 24, 1);
	nt_frame(&t, f, len);
	ck_assert_uint_eq(t.stat[NETS_RX_BADSUM], 2);
}
END_TEST

START_TEST(test_options)
{
	uint8_t f[100];
	size_t len = good(f), n;
	const struct nt_dgram *d;

	for (n = 4; n <= 40; n += 4) {
		len = good(f);
		memmove(
		    f + FRAME_HDRLEN + n, f + FRAME_HDRLEN, len - FRAME_HDRLEN);
		memset(f + FRAME_HDRLEN, 1, n);
		f[14] = (uint8_t)(0x45 + n / 4);
		put_u16(f + 16, (uint16_t)(len + n - ETH_HDRLEN));
		nt_resum(f);
		nt_frame(&t, f, len + n);
		nt_flush(&t);
	}
	nt_opened(&t, nt_id(&t, NET_UDP, 1000, NT_REMOTE, 99));
	for (n = 4; n <= 40; n += 4) {
		d = nt_sent(&t);
		ck_assert_ptr_nonnull(d);
		ck_assert_uint_eq(d->len, 5);
	}
}
END_TEST

START_TEST(test_padding)
{
	uint8_t f[100] = { 0 };
	size_t len = good(f);
	const struct nt_dgram *d;

	nt_frame(&t, f, len + 13);
	nt_flush(&t);
	nt_opened(&t, nt_id(&t, NET_UDP, 1000, NT_REMOTE, 99));
	d = nt_sent(&t);
	ck_assert_uint_eq(d->len, 5);
	ck_assert_mem_eq(d->p, "hello", 5);
}
END_TEST

START_TEST(test_prefixes)
{
	struct guard g = guard_new(100);
	uint8_t f[100];
	size_t len = good(f), n;

	for (n = 0; n < len; n++)
		net_input(t.net, t.now, guard_put(&g, f, n), n);
	ck_assert_uint_eq(t.nopen, 0);
	ck_assert_uint_eq(t.stat[NETS_RX_SHORT], len);
	net_input(t.net, t.now, guard_put(&g, f, n), n);
	ck_assert_uint_eq(t.nopen, 2);
	net_flush(t.net, t.now);
	guard_free(&g);
}
END_TEST

static const struct {
	const char *what;
	uint32_t dst;
	enum ip4_dst class;
	bool passes, error;
} dsts[] = {
	{ "gateway", NT_GATEWAY, DST_GATEWAY, false, true },
	{ "host", NT_HOST, DST_HOST, true, false },
	{ "itself", NT_GUEST, DST_GUEST, false, false },
	{ "remote", NT_REMOTE, DST_REMOTE, true, false },
	{ "another VM's number", 0xc0a84104, DST_REMOTE, true, false },
	{ "all", 0xffffffff, DST_BROADCAST, false, false },
	{ "all of the subnet", 0xc0a841ff, DST_BROADCAST, false, false },
	{ "zero", 0, DST_NEVER, false, true },
	{ "0/8", 0x00ffffff, DST_NEVER, false, true },
	{ "1/8", 0x01000000, DST_REMOTE, true, false },
	{ "loopback", 0x7f000001, DST_NEVER, false, true },
	{ "end of loopback", 0x7fffffff, DST_NEVER, false, true },
	{ "128/8", 0x80000000, DST_REMOTE, true, false },
	{ "before multicast", 0xdfffffff, DST_REMOTE, true, false },
	{ "multicast", 0xe00000fb, DST_NEVER, false, false },
	{ "end of multicast", 0xefffffff, DST_NEVER, false, false },
	{ "240/4", 0xf0000000, DST_NEVER, false, true },
	{ "end of 240/4", 0xfffffffe, DST_NEVER, false, true },
};

START_TEST(test_destinations)
{
	ck_assert_msg(ip4_classify(t.net, dsts[_i].dst) == dsts[_i].class, "%s",
	    dsts[_i].what);
	nt_udp(&t, 1000, dsts[_i].dst, 99, "x", 1);
	nt_flush(&t);
	ck_assert_msg((t.nopen > 0) == dsts[_i].passes, "%s", dsts[_i].what);
	if (dsts[_i].class == DST_GATEWAY)
		nt_unreachable(&t, 3, NT_GATEWAY);
	else if (dsts[_i].error)
		nt_unreachable(&t, 13, NT_GATEWAY);
	nt_none(&t);
}
END_TEST

/* RFC 1122 3.3.6: unicast in a broadcast frame is dropped without a word. */
START_TEST(test_group_frames)
{
	uint8_t f[100];
	size_t len = good(f);

	memset(f, 0xff, 6);
	nt_frame(&t, f, len);
	ck_assert_uint_eq(t.stat[NETS_RX_BADDST], 1);
	len = nt_build_udp(&t, f, 5353, 0xe00000fb, 5353, "x", 1);
	memcpy(f, "\1\0\x5e\0\0\xfb", 6);
	nt_frame(&t, f, len);
	ck_assert_uint_eq(t.stat[NETS_RX_BADDST], 2);
	/* Somebody else's group. */
	memcpy(f, "\x33\x33\0\0\0\1", 6);
	nt_frame(&t, f, len);
	ck_assert_uint_eq(t.stat[NETS_RX_NOTFORUS], 1);
	ck_assert_uint_eq(t.nopen, 0);
	nt_none(&t);
}
END_TEST

START_TEST(test_no_host_ip)
{
	t.net->conf.host_ip = 0;
	ck_assert_int_eq(ip4_classify(t.net, 0), DST_NEVER);
	ck_assert_int_eq(ip4_classify(t.net, NT_HOST), DST_REMOTE);
}
END_TEST

/* A datagram in pieces comes out whole, or in fragments that make it up. */
START_TEST(test_send)
{
	static const size_t lens[] = { 0, 1, 1480, 1481, 1488, 2960, 2961,
		65515 };
	static uint8_t data[65516], got[65516];
	size_t len = lens[_i], off = 0, i;
	struct iovec iov[3] = { { data, len / 3 }, { data, 0 },
		{ data + len / 3, len - len / 3 } };
	struct nt_pkt k;
	uint16_t id = 0;
	bool more;

	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 >> 3);
	ck_assert_int_eq(
	    ip4_sendv(t.net, NT_REMOTE, 253, iov, 3, 0x10, false), 0);
	do {
		nt_pkt(&t, &k);
		ck_assert_uint_eq((size_t)(k.frag & 0x1fff) * 8, off);
		ck_assert(off == 0 || k.id == id);
		ck_assert_uint_eq(k.tos, 0x10);
		ck_assert_uint_eq(k.ttl, 64);
		ck_assert_uint_eq(k.src, NT_REMOTE);
		id = k.id;
		more = (k.frag & IP4_MF) != 0;
		ck_assert(!more || k.len % 8 == 0);
		ck_assert_uint_le(off + k.len, len);
		memcpy(got + off, k.p, k.len);
		off += k.len;
	} while (more);
	nt_none(&t);
	ck_assert_uint_eq(off, len);
	ck_assert_mem_eq(got, data, len);
}
END_TEST

START_TEST(test_send_limits)
{
	static uint8_t data[65516];

	/* Above what a packet can be; not to be fragmented. */
	ck_assert_int_eq(
	    ip4_send(t.net, NT_REMOTE, 253, data, 65516, 0, false), -1);
	ck_assert_int_eq(
	    ip4_send(t.net, NT_REMOTE, 253, data, 1481, 0, true), -1);
	ck_assert_uint_eq(t.stat[NETS_TX_FULL], 0);
	ck_assert_int_eq(
	    ip4_send(t.net, NT_REMOTE, 253, data, 1480, 0, true), 0);
	/* Fragments go all, or none. */
	t.frame_first = t.nframe;
	t.chan_used = t.chan_cap - 1600;
	ck_assert_int_eq(
	    ip4_send(t.net, NT_REMOTE, 253, data, 3000, 0, false), -1);
	ck_assert_int_eq(
	    ip4_send(t.net, NT_REMOTE, 253, data, 1480, 0, false), 0);
	ck_assert_int_eq(
	    ip4_send(t.net, NT_REMOTE, 253, data, 1480, 0, false), -1);
	ck_assert_uint_eq(t.stat[NETS_TX_FULL], 2);
	ck_assert_uint_eq(t.nframe - t.frame_first, 1);
}
END_TEST

START_TEST(test_counters)
{
	uint8_t f[100];
	size_t len = good(f);

	nt_frame(&t, f, len);
	ck_assert_uint_eq(t.stat[NETS_RX_FRAMES], 1);
	ck_assert_uint_eq(t.stat[NETS_RX_BYTES], len);
	ck_assert_int_eq(ip4_send(t.net, NT_REMOTE, 253, f, 10, 0, false), 0);
	ck_assert_uint_eq(t.stat[NETS_TX_FRAMES], 1);
	ck_assert_uint_eq(t.stat[NETS_TX_BYTES], FRAME_HDRLEN + 10);
}
END_TEST

/* Nothing a guest can send makes the core do anything but count. */
START_TEST(test_noise)
{
	static const uint8_t data[100];
	uint8_t f[200];
	uint32_t x = (uint32_t)_i + 1;
	size_t len, i, n;
	int k;

	for (k = 0; k < 3000; k++) {
		len = nt_build_udp(&t, f, (uint16_t)(x % 5), NT_REMOTE,
		    (uint16_t)(x % 7), data, x % 100);
		for (n = x % 4; n > 0; n--) {
			x = x * 1664525 + 1013904223;
			i = (x >> 8) % len;
			f[i] = (uint8_t)(x >> 24);
		}
		if (x % 3 == 0)
			nt_resum(f);
		x = x * 1664525 + 1013904223;
		nt_frame(&t, f, x % 11 == 0 ? len / 2 : len);
		if (k % 10 == 0)
			nt_flush(&t);
		nt_wait(&t, (usec_t)(x % 1000000));
		t.frame_first = t.nframe < NT_FRAMES / 2 ? t.nframe : 0;
	}
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("ip4");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_checks, 0, nitems(cases));
	tcase_add_test(tc, test_zero_checksums);
	tcase_add_test(tc, test_options);
	tcase_add_test(tc, test_padding);
	tcase_add_test(tc, test_prefixes);
	tcase_add_loop_test(tc, test_destinations, 0, nitems(dsts));
	tcase_add_test(tc, test_group_frames);
	tcase_add_test(tc, test_no_host_ip);
	tcase_add_loop_test(tc, test_send, 0, 8);
	tcase_add_test(tc, test_send_limits);
	tcase_add_test(tc, test_counters);
	tcase_add_loop_test(tc, test_noise, 0, 4);
	return check_case("ip4", tc);
}
