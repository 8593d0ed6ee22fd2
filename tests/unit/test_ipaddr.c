#include "common/ipaddr.h"
#include "tests/check_main.h"
#include "guard.h"

/* out: the text it is written as, NULL when it is not an address. */
static const struct {
	const char *what, *in, *out;
} addrs[] = {
	{ "plain", "192.168.65.1", "192.168.65.1" },
	{ "zero", "0.0.0.0", "0.0.0.0" },
	{ "ones", "255.255.255.255", "255.255.255.255" },
	{ "256", "1.2.3.256", NULL },
	{ "four digits", "1.2.3.0004", NULL },
	{ "leading zero", "1.2.3.04", NULL },
	{ "double zero", "1.2.3.00", NULL },
	{ "three parts", "1.2.3", NULL },
	{ "five parts", "1.2.3.4.5", NULL },
	{ "final dot", "1.2.3.4.", NULL },
	{ "empty part", "1..3.4", NULL },
	{ "hexadecimal", "0x1.2.3.4", NULL },
	{ "one number", "16909060", NULL },
	{ "sign", "1.2.3.-4", NULL },
	{ "space before", " 1.2.3.4", NULL },
	{ "space behind", "1.2.3.4 ", NULL },
	{ "newline", "1.2.3.4\n", NULL },
	{ "empty", "", NULL },
	{ "a name", "localhost", NULL },

	{ "any", "::", "::" },
	{ "loopback", "::1", "::1" },
	{ "full", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8" },
	{ "leading zeros go", "2001:0db8::0001", "2001:db8::1" },
	{ "upper case", "2001:DB8::ABCD", "2001:db8::abcd" },
	{ "gap at the end", "fe80::", "fe80::" },
	{ "gap of one", "1:2:3::5:6:7:8", "1:2:3:0:5:6:7:8" },
	{ "gap of one at the end", "1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0" },
	{ "gap of one in front", "::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8" },
	{ "longest run", "1:0:0:2:0:0:0:3", "1:0:0:2::3" },
	{ "first of equal runs", "1:0:0:2:0:0:3:4", "1::2:0:0:3:4" },
	{ "one zero stays", "1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7" },
	{ "mapped", "::ffff:10.0.0.1", "::ffff:10.0.0.1" },
	{ "mapped in hex", "::FFFF:a00:1", "::ffff:10.0.0.1" },
	{ "quad elsewhere", "64:ff9b::1.2.3.4", "64:ff9b::102:304" },
	{ "quad behind six", "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304" },
	{ "compatible", "::1.2.3.4", "::102:304" },
	{ "seven groups", "1:2:3:4:5:6:7", NULL },
	{ "nine groups", "1:2:3:4:5:6:7:8:9", NULL },
	{ "eight and a gap", "1:2:3:4::5:6:7:8", NULL },
	{ "eight and a gap behind", "1:2:3:4:5:6:7:8::", NULL },
	{ "two gaps", "1::2::3", NULL },
	{ "three colons", "1:::2", NULL },
	{ "only three colons", ":::", NULL },
	{ "colon", ":", NULL },
	{ "colon in front", ":1:2:3:4:5:6:7", NULL },
	{ "colon behind", "1:2:3:4:5:6:7:", NULL },
	{ "colon behind gap", "1::2:", NULL },
	{ "five digits", "12345::", NULL },
	{ "no hex digit", "g::", NULL },
	{ "zone", "fe80::1%eth0", NULL },
	{ "brackets", "[::1]", NULL },
	{ "quad too late", "1:2:3:4:5:6:7:1.2.3.4", NULL },
	{ "quad in front", "1.2.3.4::", NULL },
	{ "bad quad", "::1.2.3", NULL },
	{ "quad with leading zero", "::1.2.3.04", NULL },
	{ "prefix", "1.2.3.4/8", NULL },
};

START_TEST(test_addr)
{
	char buf[IPADDR_STRLEN];
	struct ipaddr a = { .family = 99 };
	int ret = ipaddr_parse(addrs[_i].in, &a);

	if (addrs[_i].out == NULL) {
		ck_assert_msg(ret == -1, "%s", addrs[_i].what);
		ck_assert_msg(a.family == 99, "%s: touched", addrs[_i].what);
		return;
	}
	ck_assert_msg(ret == 0, "%s", addrs[_i].what);
	ck_assert_int_eq(a.family, strchr(addrs[_i].in, ':') ? 6 : 4);
	ck_assert_ptr_eq(ipaddr_str(&a, buf), buf);
	ck_assert_msg(
	    strcmp(buf, addrs[_i].out) == 0, "%s: %s", addrs[_i].what, buf);
}
END_TEST

/* What is written is read back as the same, and nothing looks past the end. */
START_TEST(test_addr_again)
{
	struct guard g = guard_new(64);
	size_t len = strlen(addrs[_i].in), n;
	struct ipaddr a, b;
	char buf[IPADDR_STRLEN], *p;

	for (n = 0; n <= len; n++) {
		p = guard_put(&g, addrs[_i].in, n + 1);
		memmove(p, addrs[_i].in, n);
		p[n] = '\0';
		if (ipaddr_parse(p, &a) == -1)
			continue;
		ck_assert_int_eq(ipaddr_parse(ipaddr_str(&a, buf), &b), 0);
		ck_assert_int_eq(ipaddr_cmp(&a, &b), 0);
	}
	guard_free(&g);
}
END_TEST

START_TEST(test_u32)
{
	struct ipaddr a = ipaddr_from_u32(0xc0a84101), six;
	char buf[IPADDR_STRLEN];

	ck_assert_str_eq(ipaddr_str(&a, buf), "192.168.65.1");
	ck_assert_uint_eq(ipaddr_to_u32(&a), 0xc0a84101);
	ck_assert_int_eq(ipaddr_parse("::1", &six), 0);
	ck_assert_uint_eq(ipaddr_to_u32(&six), 0);
	a = (struct ipaddr){ 0 };
	ck_assert_uint_eq(ipaddr_to_u32(&a), 0);
	ck_assert_str_eq(ipaddr_str(&a, buf), "-");
}
END_TEST

START_TEST(test_longest)
{
	struct ipaddr a = { .family = 6 };
	char buf[IPADDR_STRLEN];

	memset(a.b, 0xff, sizeof(a.b));
	ck_assert_str_eq(
	    ipaddr_str(&a, buf), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
}
END_TEST

START_TEST(test_cmp)
{
	static const char *const rising[] = { "0.0.0.0", "10.0.0.1", "10.0.0.2",
		"192.168.0.0", "::", "::1", "::ffff:1.2.3.4", "fe80::" };
	struct ipaddr a, b;
	int i, j, c;

	for (i = 0; i < (int)nitems(rising); i++) {
		for (j = 0; j < (int)nitems(rising); j++) {
			ck_assert_int_eq(ipaddr_parse(rising[i], &a), 0);
			ck_assert_int_eq(ipaddr_parse(rising[j], &b), 0);
			c = ipaddr_cmp(&a, &b);
			ck_assert_int_eq((c > 0) - (c < 0), (i > j) - (i < j));
		}
	}
	/* The bytes behind an IPv4 address do not count. */
	a = b = ipaddr_from_u32(1);
	b.b[15] = 1;
	ck_assert_int_eq(ipaddr_cmp(&a, &b), 0);
}
END_TEST

static const struct {
	const char *what, *in, *out;
} unmaps[] = {
	{ "mapped", "::ffff:10.0.0.1", "10.0.0.1" },
	{ "plain", "10.0.0.1", "10.0.0.1" },
	{ "compatible stays", "::10.0.0.1", "::a00:1" },
	{ "other stays", "::fffe:a00:1", "::fffe:a00:1" },
};

START_TEST(test_loopback)
{
	static const char *const here[] = { "127.0.0.1", "127.255.255.255",
		"::1" };
	static const char *const elsewhere[] = { "126.255.255.255", "128.0.0.1",
		"0.0.0.0", "::", "::2", "1::1", "7f00::1" };
	struct ipaddr a = { 0 };
	size_t i;

	ck_assert(!ipaddr_is_loopback(&a));
	for (i = 0; i < nitems(here); i++) {
		ck_assert_int_eq(ipaddr_parse(here[i], &a), 0);
		ck_assert_msg(ipaddr_is_loopback(&a), "%s", here[i]);
	}
	for (i = 0; i < nitems(elsewhere); i++) {
		ck_assert_int_eq(ipaddr_parse(elsewhere[i], &a), 0);
		ck_assert_msg(!ipaddr_is_loopback(&a), "%s", elsewhere[i]);
	}
}
END_TEST

START_TEST(test_unmap)
{
	struct ipaddr a;
	char buf[IPADDR_STRLEN];

	ck_assert_int_eq(ipaddr_parse(unmaps[_i].in, &a), 0);
	a = ipaddr_unmap(&a);
	ck_assert_msg(strcmp(ipaddr_str(&a, buf), unmaps[_i].out) == 0,
	    "%s: %s", unmaps[_i].what, buf);
}
END_TEST

static const struct {
	const char *what, *in, *addr; /* addr NULL: not a prefix */
	int len;
} prefixes[] = {
	{ "class A", "10.0.0.0/8", "10.0.0.0", 8 },
	{ "host bits go", "10.1.2.3/8", "10.0.0.0", 8 },
	{ "odd length", "192.168.65.255/25", "192.168.65.128", 25 },
	{ "everything", "1.2.3.4/0", "0.0.0.0", 0 },
	{ "one address", "1.2.3.4/32", "1.2.3.4", 32 },
	{ "no length", "1.2.3.4", "1.2.3.4", 32 },
	{ "v6", "fe80::1/10", "fe80::", 10 },
	{ "v6 one address", "::1/128", "::1", 128 },
	{ "v6 no length", "::1", "::1", 128 },
	{ "too long", "1.2.3.4/33", NULL, 0 },
	{ "v6 too long", "::/129", NULL, 0 },
	{ "empty length", "1.2.3.4/", NULL, 0 },
	{ "leading zero", "1.2.3.4/08", NULL, 0 },
	{ "sign", "1.2.3.4/+8", NULL, 0 },
	{ "two slashes", "1.2.3.4/8/8", NULL, 0 },
	{ "mask", "1.2.3.4/255.0.0.0", NULL, 0 },
	{ "no address", "/8", NULL, 0 },
	{ "empty", "", NULL, 0 },
	{ "endless", "1111111111111111111111111111111111111111111111111111/8",
	    NULL, 0 },
};

START_TEST(test_prefix)
{
	struct ipprefix p;
	char buf[IPADDR_STRLEN];
	int ret = ipprefix_parse(prefixes[_i].in, &p);

	ck_assert_msg(
	    ret == (prefixes[_i].addr ? 0 : -1), "%s", prefixes[_i].what);
	if (ret == -1)
		return;
	ck_assert_str_eq(ipaddr_str(&p.addr, buf), prefixes[_i].addr);
	ck_assert_int_eq(p.len, prefixes[_i].len);
}
END_TEST

static const struct {
	const char *prefix, *addr;
	bool match;
} matches[] = {
	{ "10.0.0.0/8", "10.255.255.255", true },
	{ "10.0.0.0/8", "11.0.0.0", false },
	{ "192.168.65.0/25", "192.168.65.127", true },
	{ "192.168.65.0/25", "192.168.65.128", false },
	{ "0.0.0.0/0", "8.8.8.8", true },
	{ "0.0.0.0/0", "::", false },
	{ "1.2.3.4", "1.2.3.4", true },
	{ "1.2.3.4", "1.2.3.5", false },
	{ "fe80::/10", "febf::1", true },
	{ "fe80::/10", "fec0::1", false },
	{ "::/0", "1.2.3.4", false },
	{ "::/0", "2001:db8::1", true },
	{ "::1/128", "::1", true },
	{ "::1/128", "::", false },
};

START_TEST(test_match)
{
	struct ipprefix p;
	struct ipaddr a;

	ck_assert_int_eq(ipprefix_parse(matches[_i].prefix, &p), 0);
	ck_assert_int_eq(ipaddr_parse(matches[_i].addr, &a), 0);
	ck_assert_msg(ipprefix_match(&p, &a) == matches[_i].match, "%s %s",
	    matches[_i].prefix, matches[_i].addr);
}
END_TEST

static const struct {
	const char *what, *in, *out;
} macs[] = {
	{ "colons", "f6:16:36:bc:f9:c6", "f6:16:36:bc:f9:c6" },
	{ "upper case", "F6:16:36:BC:F9:C6", "f6:16:36:bc:f9:c6" },
	{ "dashes", "f6-16-36-bc-f9-c6", "f6:16:36:bc:f9:c6" },
	{ "both", "f6:16:36-bc:f9:c6", NULL },
	{ "one digit", "f6:16:36:bc:f9:6", NULL },
	{ "three digits", "f6:16:36:bc:f9:c6a", NULL },
	{ "five pairs", "f6:16:36:bc:f9", NULL },
	{ "seven pairs", "f6:16:36:bc:f9:c6:01", NULL },
	{ "no separators", "f61636bcf9c6", NULL },
	{ "final colon", "f6:16:36:bc:f9:c6:", NULL },
	{ "other separator", "f6.16.36.bc.f9.c6", NULL },
	{ "no digit", "g6:16:36:bc:f9:c6", NULL },
	{ "empty", "", NULL },
};

START_TEST(test_mac)
{
	struct guard g = guard_new(64);
	size_t len = strlen(macs[_i].in), n;
	struct macaddr m;
	char buf[MACADDR_STRLEN], *p;
	int ret;

	for (n = 0; n < len; n++) {
		p = guard_put(&g, macs[_i].in, n + 1);
		p[n] = '\0';
		ret = macaddr_parse(p, &m);
		ck_assert_msg(ret == -1 || n == 17, "%s", p);
	}
	p = guard_put(&g, macs[_i].in, len + 1);
	ret = macaddr_parse(p, &m);
	ck_assert_msg(ret == (macs[_i].out ? 0 : -1), "%s", macs[_i].what);
	if (ret == 0)
		ck_assert_str_eq(macaddr_str(&m, buf), macs[_i].out);
	guard_free(&g);
}
END_TEST

int
main(void)
{
	TCase *t = tcase_create("ipaddr");

	tcase_add_loop_test(t, test_addr, 0, nitems(addrs));
	tcase_add_loop_test(t, test_addr_again, 0, nitems(addrs));
	tcase_add_test(t, test_u32);
	tcase_add_test(t, test_longest);
	tcase_add_test(t, test_cmp);
	tcase_add_test(t, test_loopback);
	tcase_add_loop_test(t, test_unmap, 0, nitems(unmaps));
	tcase_add_loop_test(t, test_prefix, 0, nitems(prefixes));
	tcase_add_loop_test(t, test_match, 0, nitems(matches));
	tcase_add_loop_test(t, test_mac, 0, nitems(macs));
	return check_case("ipaddr", t);
}
