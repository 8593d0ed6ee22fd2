/*
 * portd's address policy: each kind of address and its verdict, with and
 * without host-ip, and the list of servers dnsd may ask.
 */

#include <string.h>

#include "portd/policy.h"
#include "tests/check_main.h"

static const struct policy_conf conf = {
	.gateway_ip = 0xc0a84101,
	.host_ip = 0xc0a84102,
	.lowest_ip = 0xc0a84103,
	.highest_ip = 0xc0a841fe,
};

/* clang-format off */
static const struct {
	const char *what;
	const char *addr;
	enum policy_verdict on, off; /* with host-ip, and with it disabled */
} cases[] = {
	{ "this network",	"0.0.0.0",	POLICY_DENY, POLICY_DENY },
	{ "end of 0/8",		"0.255.255.255", POLICY_DENY, POLICY_DENY },
	{ "first address",	"1.0.0.0",	POLICY_ALLOW, POLICY_ALLOW },
	{ "below loopback",	"126.255.255.255", POLICY_ALLOW, POLICY_ALLOW },
	{ "loopback",		"127.0.0.1",	POLICY_DENY, POLICY_DENY },
	{ "end of loopback",	"127.255.255.255", POLICY_DENY, POLICY_DENY },
	{ "above loopback",	"128.0.0.0",	POLICY_ALLOW, POLICY_ALLOW },
	{ "a LAN",		"10.1.2.3",	POLICY_ALLOW, POLICY_ALLOW },
	{ "link-local",		"169.254.169.254", POLICY_ALLOW, POLICY_ALLOW },
	{ "gateway-ip",		"192.168.65.1",	POLICY_DENY, POLICY_DENY },
	{ "host-ip",		"192.168.65.2",	POLICY_LOOPBACK, POLICY_ALLOW },
	{ "lowest VM",		"192.168.65.3",	POLICY_DENY, POLICY_DENY },
	{ "highest VM",		"192.168.65.254", POLICY_DENY, POLICY_DENY },
	{ "behind the pool",	"192.168.66.0",	POLICY_ALLOW, POLICY_ALLOW },
	{ "last unicast",	"223.255.255.255", POLICY_ALLOW, POLICY_ALLOW },
	{ "multicast",		"224.0.0.1",	POLICY_DENY, POLICY_DENY },
	{ "end of multicast",	"239.255.255.255", POLICY_DENY, POLICY_DENY },
	{ "class E",		"240.0.0.1",	POLICY_DENY, POLICY_DENY },
	{ "broadcast",		"255.255.255.255", POLICY_DENY, POLICY_DENY },
	{ "IPv6",		"2001:db8::1",	POLICY_ALLOW, POLICY_ALLOW },
	{ "first above ::/96",	"::1:0:0",	POLICY_ALLOW, POLICY_ALLOW },
	{ "ULA, as a LAN",	"fd00::1",	POLICY_ALLOW, POLICY_ALLOW },
	{ "site-local",		"fec0::1",	POLICY_ALLOW, POLICY_ALLOW },
	{ "unspecified",	"::",		POLICY_DENY, POLICY_DENY },
	{ "IPv6 loopback",	"::1",		POLICY_DENY, POLICY_DENY },
	{ "link-local",		"fe80::1",	POLICY_DENY, POLICY_DENY },
	{ "end of link-local",	"febf:ffff::1",	POLICY_DENY, POLICY_DENY },
	{ "below link-local",	"fe7f::1",	POLICY_ALLOW, POLICY_ALLOW },
	{ "IPv6 multicast",	"ff02::1",	POLICY_DENY, POLICY_DENY },
	{ "end of multicast",	"ffff::1",	POLICY_DENY, POLICY_DENY },
	{ "mapped",		"::ffff:8.8.8.8", POLICY_ALLOW, POLICY_ALLOW },
	{ "mapped loopback",	"::ffff:127.0.0.1", POLICY_DENY, POLICY_DENY },
	{ "mapped gateway-ip",	"::ffff:192.168.65.1",
	    POLICY_DENY, POLICY_DENY },
	{ "mapped host-ip",	"::ffff:192.168.65.2",
	    POLICY_DENY, POLICY_ALLOW },
	{ "mapped VM",		"::ffff:192.168.65.3",
	    POLICY_DENY, POLICY_DENY },
	{ "mapped multicast",	"::ffff:224.0.0.1", POLICY_DENY, POLICY_DENY },
	{ "compatible",		"::8.8.8.8",	POLICY_ALLOW, POLICY_ALLOW },
	{ "compatible loopback", "::127.0.0.1",	POLICY_DENY, POLICY_DENY },
	{ "translated",		"::ffff:0:8.8.8.8",
	    POLICY_ALLOW, POLICY_ALLOW },
	{ "translated loopback", "::ffff:0:127.0.0.1",
	    POLICY_DENY, POLICY_DENY },
	{ "NAT64",		"64:ff9b::8.8.8.8", POLICY_ALLOW, POLICY_ALLOW },
	{ "NAT64 of loopback",	"64:ff9b::127.0.0.1",
	    POLICY_DENY, POLICY_DENY },
	{ "NAT64 of host-ip",	"64:ff9b::192.168.65.2",
	    POLICY_DENY, POLICY_ALLOW },
	{ "local NAT64",	"64:ff9b:1::8.8.8.8",
	    POLICY_ALLOW, POLICY_ALLOW },
	{ "local NAT64 of a VM", "64:ff9b:1:fff::192.168.65.3",
	    POLICY_DENY, POLICY_DENY },
	{ "6to4",		"2002:808:808::1", POLICY_ALLOW, POLICY_ALLOW },
	{ "6to4 of loopback",	"2002:7f00:1::1", POLICY_DENY, POLICY_DENY },
	{ "6to4 of a VM",	"2002:c0a8:4103::1", POLICY_DENY, POLICY_DENY },
	/* The client's address has all its bits the other way. */
	{ "Teredo",		"2001:0:808:808:0:fff:f7f7:f7f7",
	    POLICY_ALLOW, POLICY_ALLOW },
	{ "Teredo by loopback",	"2001:0:7f00:1:0:fff:f7f7:f7f7",
	    POLICY_DENY, POLICY_DENY },
	{ "Teredo to loopback",	"2001:0:808:808:0:fff:80ff:fffe",
	    POLICY_DENY, POLICY_DENY },
	{ "beside Teredo",	"2001:1:7f00:1::1", POLICY_ALLOW, POLICY_ALLOW },
};

static const struct {
	const char *what;
	const char *text;
	int ret;
} servers[] = {
	{ "IPv4",		"10.0.0.1#53",		0 },
	{ "IPv6",		"fd00::1#5353",		0 },
	{ "highest port",	"10.0.0.1#65535",	0 },
	{ "no port",		"10.0.0.1",		-1 },
	{ "empty port",		"10.0.0.1#",		-1 },
	{ "port 0",		"10.0.0.1#0",		-1 },
	{ "port too big",	"10.0.0.1#65536",	-1 },
	{ "port far too big",	"10.0.0.1#99999999999",	-1 },
	{ "port with a sign",	"10.0.0.1#+53",		-1 },
	{ "junk behind",	"10.0.0.1#53x",		-1 },
	{ "two ports",		"10.0.0.1#53#53",	-1 },
	{ "no address",		"#53",			-1 },
	{ "a name",		"dns.example#53",	-1 },
	{ "too long",
	    "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000#53", -1 },
	{ "empty",		"",			-1 },
};
/* clang-format on */

static struct ipaddr
addr(const char *s)
{
	struct ipaddr a;

	ck_assert_int_eq(ipaddr_parse(s, &a), 0);
	return a;
}

START_TEST(verdicts)
{
	struct policy_conf c = conf;
	struct policy p = { 0 };
	struct ipaddr a = addr(cases[_i].addr);

	policy_set(&p, &c);
	ck_assert_msg(
	    policy_check(&p, &a) == cases[_i].on, "%s", cases[_i].what);
	c.host_ip = 0;
	policy_set(&p, &c);
	ck_assert_msg(policy_check(&p, &a) == cases[_i].off, "%s, no host-ip",
	    cases[_i].what);
}
END_TEST

START_TEST(nothing_without_configuration)
{
	struct policy p = { 0 };
	struct ipaddr a = addr(cases[_i].addr);

	ck_assert_int_eq(policy_check(&p, &a), POLICY_DENY);
}
END_TEST

START_TEST(server_text)
{
	struct policy p = { 0 };

	ck_assert_msg(
	    policy_add_server(&p, servers[_i].text) == servers[_i].ret, "%s",
	    servers[_i].what);
	ck_assert_uint_eq(p.nserver, servers[_i].ret == 0 ? 1 : 0);
}
END_TEST

START_TEST(server_list)
{
	struct policy p = { 0 };
	struct ipaddr a = addr("10.0.0.1"), b = addr("10.0.0.2");
	int i;

	ck_assert(!policy_is_server(&p, &a, 53));
	ck_assert_int_eq(policy_add_server(&p, "10.0.0.1#53"), 0);
	ck_assert(policy_is_server(&p, &a, 53));
	ck_assert(!policy_is_server(&p, &a, 54));
	ck_assert(!policy_is_server(&p, &b, 53));
	policy_clear_servers(&p);
	ck_assert(!policy_is_server(&p, &a, 53));
	for (i = 0; i < POLICY_MAXSERVERS; i++)
		ck_assert_int_eq(policy_add_server(&p, "10.0.0.1#53"), 0);
	ck_assert_int_eq(policy_add_server(&p, "10.0.0.1#53"), -1);
}
END_TEST

/* Through host-ip, through a proxy's hands, by name: all end there. */
START_TEST(closed_ports)
{
	struct policy_conf c = conf;
	struct policy p = { 0 };
	struct ipaddr lo = addr("127.0.0.1"), host = addr("192.168.65.2");
	struct ipaddr own = addr("192.0.2.7"), own6 = addr("2001:db8::7");
	struct ipaddr mapped = addr("::ffff:192.0.2.7");
	int i;

	policy_set(&p, &c);
	ck_assert_int_eq(policy_fetch(&p, false, &host, 9100), POLICY_LOOPBACK);
	ck_assert_int_eq(policy_add_closed(&p, "127.0.0.1#9100"), 0);
	ck_assert_int_eq(policy_add_closed(&p, "192.0.2.7#9101"), 0);
	ck_assert_int_eq(policy_add_closed(&p, "9101"), -1);
	ck_assert(policy_is_closed(&p, &lo, 9100));
	ck_assert(!policy_is_closed(&p, &lo, 9101));
	ck_assert_int_eq(policy_fetch(&p, false, &host, 9100), POLICY_DENY);
	ck_assert_int_eq(policy_fetch(&p, false, &host, 9101), POLICY_LOOPBACK);
	ck_assert_int_eq(policy_fetch(&p, false, &own, 9101), POLICY_DENY);
	ck_assert_int_eq(policy_fetch(&p, false, &own, 9100), POLICY_ALLOW);
	ck_assert_int_eq(policy_add_closed(&p, "0.0.0.0#9102"), 0);
	ck_assert(policy_is_closed(&p, &own, 9102));
	ck_assert_int_eq(policy_add_closed(&p, "2001:db8::7#9103"), 0);
	ck_assert_int_eq(policy_fetch(&p, false, &own6, 9103), POLICY_DENY);
	ck_assert_int_eq(policy_fetch(&p, false, &own6, 9102), POLICY_DENY);
	ck_assert_int_eq(policy_fetch(&p, false, &own6, 9104), POLICY_ALLOW);
	ck_assert_int_eq(policy_add_closed(&p, "::#9104"), 0);
	ck_assert_int_eq(policy_fetch(&p, false, &own6, 9104), POLICY_DENY);
	ck_assert(policy_is_closed(&p, &own, 9104));
	ck_assert(policy_is_closed(&p, &mapped, 9101));
	policy_clear_closed(&p);
	ck_assert(!policy_is_closed(&p, &lo, 9100));
	for (i = 0; i < POLICY_MAXCLOSED; i++)
		ck_assert_int_eq(policy_add_closed(&p, "10.0.0.1#1"), 0);
	ck_assert_int_eq(policy_add_closed(&p, "10.0.0.1#1"), -1);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("policy");

	tcase_add_loop_test(tc, verdicts, 0, nitems(cases));
	tcase_add_loop_test(
	    tc, nothing_without_configuration, 0, nitems(cases));
	tcase_add_loop_test(tc, server_text, 0, nitems(servers));
	tcase_add_test(tc, server_list);
	tcase_add_test(tc, closed_ports);
	return check_case("policy", tc);
}
