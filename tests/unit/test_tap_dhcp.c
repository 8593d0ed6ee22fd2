/*
 * The DHCP client of vpnkit-tap: what it says and which answers it takes.
 */

#include <string.h>

#include "tools/tap_dhcp.h"

#include "tests/check_main.h"
#include "tests/unit/guard.h"

#define OPT(s) s, sizeof(s) - 1
#define OFFER  "\x35\1\2"

static const struct dhcp_client client = {
	{ { 2, 0x50, 0, 0, 0, 1 } },
	0xdeadbeef,
};

/* A server's answer with these options. */
static size_t
answer(uint8_t *out, size_t cap, const char *opts, size_t optlen)
{
	struct wr w = wr_init(out, cap);
	size_t udplen = 8 + 240 + optlen;

	ck_assert_int_eq(wr_bytes(&w, client.mac.b, 6), 0);
	ck_assert_int_eq(wr_zero(&w, 6), 0);
	ck_assert_int_eq(wr_u16(&w, 0x0800), 0);
	ck_assert_int_eq(wr_u16(&w, 0x4500), 0);
	ck_assert_int_eq(wr_u16(&w, (uint16_t)(20 + udplen)), 0);
	ck_assert_int_eq(wr_u32(&w, 0), 0);
	ck_assert_int_eq(wr_u32(&w, 0x40110000), 0);
	ck_assert_int_eq(wr_zero(&w, 8), 0);
	ck_assert_int_eq(wr_u32(&w, 67 << 16 | 68), 0);
	ck_assert_int_eq(wr_u16(&w, (uint16_t)udplen), 0);
	ck_assert_int_eq(wr_u16(&w, 0), 0);
	ck_assert_int_eq(wr_u32(&w, 0x02010600), 0);
	ck_assert_int_eq(wr_u32(&w, client.xid), 0);
	ck_assert_int_eq(wr_zero(&w, 8), 0);
	ck_assert_int_eq(wr_u32(&w, 0xc0a84103), 0);
	ck_assert_int_eq(wr_zero(&w, 8), 0);
	ck_assert_int_eq(wr_bytes(&w, client.mac.b, 6), 0);
	ck_assert_int_eq(wr_zero(&w, 10 + 64 + 128), 0);
	ck_assert_int_eq(wr_u32(&w, 0x63825363), 0);
	ck_assert_int_eq(wr_bytes(&w, opts, optlen), 0);
	return w.len;
}

/* clang-format off */
static const struct {
	const char *what;
	const char *opts;
	size_t optlen;
	int ret;
	unsigned nsearch;
	const char *search[2];
	const char *domain;
} cases[] = {
	{ "offer",	OPT(OFFER "\xff"), 0, 0, { 0 }, "" },
	{ "domain",	OPT(OFFER "\x0f\5local\xff"), 0, 0, { 0 }, "local" },
	{ "domain that is two lines",
	    OPT(OFFER "\x0f\3a\nb\xff"), 0, 0, { 0 }, "" },
	{ "search",	OPT(OFFER "\x77\6\1a\2bc\0\xff"), 0, 1, { "a.bc" }, "" },
	{ "search, compressed",
	    OPT(OFFER "\x77\12\1a\2bc\0\1d\xc0\2\xff"), 0, 2,
	    { "a.bc", "d.bc" }, "" },
	{ "search in two pieces",
	    OPT(OFFER "\x77\3\1a\2\x77\3bc\0\xff"), 0, 1, { "a.bc" }, "" },
	{ "search pointing at itself",
	    OPT(OFFER "\x77\2\xc0\0\xff"), 0, 0, { 0 }, "" },
	{ "search pointing forward",
	    OPT(OFFER "\x77\4\xc0\2\1a\xff"), 0, 0, { 0 }, "" },
	{ "search, loop",
	    OPT(OFFER "\x77\4\1a\xc0\0\xff"), 0, 0, { 0 }, "" },
	{ "search without end", OPT(OFFER "\x77\2\1a\xff"), 0, 0, { 0 }, "" },
	{ "search with a blank",
	    OPT(OFFER "\x77\3\1 \0\xff"), 0, 0, { 0 }, "" },
	{ "padding",	OPT("\0\0" OFFER "\0\xff"), 0, 0, { 0 }, "" },
	{ "no type",	OPT("\x0f\5local\xff"), -1, 0, { 0 }, NULL },
	{ "a request",	OPT("\x35\1\3\xff"), -1, 0, { 0 }, NULL },
	{ "no end",	OPT(OFFER), -1, 0, { 0 }, NULL },
	{ "option past the end", OPT(OFFER "\x0f\5loca"), -1, 0, { 0 }, NULL },
};
/* clang-format on */

START_TEST(test_options)
{
	uint8_t buf[512];
	struct dhcp_lease l;
	enum dhcp_type type;
	unsigned i;
	size_t n;

	n = answer(buf, sizeof(buf), cases[_i].opts, cases[_i].optlen);
	ck_assert_msg(
	    dhcp_parse(rd_init(buf, n), &client, &type, &l) == cases[_i].ret,
	    "%s", cases[_i].what);
	if (cases[_i].ret == -1)
		return;
	ck_assert_uint_eq(type, DHCP_OFFER);
	ck_assert_uint_eq(l.ip, 0xc0a84103);
	ck_assert_str_eq(l.domain, cases[_i].domain);
	ck_assert_msg(l.nsearch == cases[_i].nsearch, "%s", cases[_i].what);
	for (i = 0; i < l.nsearch; i++)
		ck_assert_str_eq(l.search[i], cases[_i].search[i]);
}
END_TEST

START_TEST(test_prefixes)
{
	struct guard g = guard_new(512);
	struct dhcp_lease l;
	enum dhcp_type type;
	uint8_t buf[512];
	size_t n, i;

	n = answer(buf, sizeof(buf), cases[_i].opts, cases[_i].optlen);
	for (i = 0; i < n; i++)
		ck_assert_int_eq(dhcp_parse(rd_init(guard_put(&g, buf, i), i),
				     &client, &type, &l),
		    -1);
	(void)dhcp_parse(rd_init(guard_put(&g, buf, n), n), &client, &type, &l);
	guard_free(&g);
}
END_TEST

START_TEST(test_numbers)
{
	static const char opts[] = "\x35\1\5\1\4\xff\xff\xff\0"
				   "\3\4\xc0\xa8\x41\1\6\10\1\1\1\1\2\2\2\2"
				   "\x36\4\xc0\xa8\x41\1\xff";
	struct dhcp_lease l;
	enum dhcp_type type;
	uint8_t buf[512];
	size_t n;

	n = answer(buf, sizeof(buf), opts, sizeof(opts) - 1);
	ck_assert_int_eq(dhcp_parse(rd_init(buf, n), &client, &type, &l), 0);
	ck_assert_uint_eq(type, DHCP_ACK);
	ck_assert_uint_eq(l.mask, 0xffffff00);
	ck_assert_uint_eq(l.router, 0xc0a84101);
	ck_assert_uint_eq(l.server, 0xc0a84101);
	ck_assert_uint_eq(l.ndns, 2);
	ck_assert_uint_eq(l.dns[1], 0x02020202);
}
END_TEST

/* Answers to somebody else. */
START_TEST(test_others)
{
	struct dhcp_client other = client;
	struct dhcp_lease l;
	enum dhcp_type type;
	uint8_t buf[512];
	size_t n;

	n = answer(buf, sizeof(buf), OPT(OFFER "\xff"));
	other.xid++;
	ck_assert_int_eq(dhcp_parse(rd_init(buf, n), &other, &type, &l), -1);
	other = client;
	other.mac.b[5]++;
	ck_assert_int_eq(dhcp_parse(rd_init(buf, n), &other, &type, &l), -1);
}
END_TEST

START_TEST(test_build)
{
	static const char opts[] = "\x63\x82\x53\x63\x35\1\3\x37\5\1\3\6\x0f"
				   "\x77\x32\4\xc0\xa8\x41\3"
				   "\x36\4\xc0\xa8\x41\1\xff";
	struct dhcp_lease offer = { .ip = 0xc0a84103, .server = 0xc0a84101 };
	uint8_t buf[DHCP_FRAMELEN];
	struct wr w = wr_init(buf, sizeof(buf));
	uint32_t sum = 0;
	size_t i;

	ck_assert_int_eq(dhcp_build(&w, &client, &offer), 0);
	ck_assert_uint_eq(w.len, 42 + 236 + sizeof(opts) - 1);
	ck_assert_mem_eq(buf + 42 + 236, opts, sizeof(opts) - 1);
	ck_assert_mem_eq(buf, "\xff\xff\xff\xff\xff\xff\2\x50\0\0\0\1\x8", 13);
	for (i = 14; i < 34; i += 2)
		sum += (uint32_t)buf[i] << 8 | buf[i + 1];
	ck_assert_uint_eq((sum & 0xffff) + (sum >> 16), 0xffff);
	for (i = 0; i < w.len; i++) {
		struct wr small = wr_init(buf, i);

		ck_assert_int_eq(dhcp_build(&small, &client, &offer), -1);
	}
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("tap_dhcp");

	tcase_add_loop_test(tc, test_options, 0, (int)nitems(cases));
	tcase_add_loop_test(tc, test_prefixes, 0, (int)nitems(cases));
	tcase_add_test(tc, test_numbers);
	tcase_add_test(tc, test_others);
	tcase_add_test(tc, test_build);
	return check_case("tap_dhcp", tc);
}
