/*
 * The file of --dns, and hosts files.
 */

#include <stdio.h>
#include <string.h>

#include "vpnkit/dnsconf.h"
#include "vpnkit/hosts.h"
#include "tests/check_main.h"

#include "guard.h"

/* clang-format off */
/* want: servers as written by text_of(), or the error. */
static const struct {
	const char *what, *in, *want;
} confs[] = {
	{ "one", "nameserver 10.0.0.1\n", "10.0.0.1#53 0 5000;" },
	{ "a port", "nameserver 10.0.0.1#5353\n", "10.0.0.1#5353 0 5000;" },
	{ "IPv6", "nameserver fd00::1\nnameserver fd00::2#54",
	    "fd00::1#53 0 5000;fd00::2#54 0 5000;" },
	{ "all of it", "# servers\nnameserver 10.0.0.1\r\n  zone a.b c.d \n"
	    "\ttimeout 2000\norder 3\nzone e\nnameserver 10.0.0.2\n",
	    "10.0.0.1#53 3 2000 a.b c.d e;10.0.0.2#53 0 5000;" },
	{ "unknown lines", "options ndots:1\nnameserver 10.0.0.1\n#zone\n",
	    "10.0.0.1#53 0 5000;?1" },
	{ "the keyword needs a blank", "nameserver10.0.0.1\n", "?1" },
	{ "timeout 0", "nameserver 1.1.1.1\ntimeout 0\n", "1.1.1.1#53 0 0;" },
	{ "empty", "", "" },
	{ "no address", "\n\nnameserver\n", "3: no address" },
	{ "not an address", "nameserver example\n", "1: not an address" },
	{ "no port", "nameserver 10.0.0.1#\n", "1: not a port" },
	{ "port 0", "nameserver 10.0.0.1#0\n", "1: not a port" },
	{ "port too large", "nameserver 10.0.0.1#65536\n", "1: not a port" },
	{ "a comment behind", "nameserver 10.0.0.1 # x\n",
	    "1: more than an address" },
	{ "zone before", "zone a\nnameserver 10.0.0.1\n",
	    "1: before any nameserver" },
	{ "timeout before", "timeout 1\n", "1: before any nameserver" },
	{ "order before", "order 1\n", "1: before any nameserver" },
	{ "no number", "nameserver 1.1.1.1\ntimeout soon\n",
	    "2: not a number, or too large" },
	{ "two numbers", "nameserver 1.1.1.1\norder 1 2\n",
	    "2: not one number" },
	{ "no zone", "nameserver 1.1.1.1\nzone \n", "2: no name" },
	{ "not a zone", "nameserver 1.1.1.1\nzone a..b\n", "2: not a name" },
};

static const struct {
	const char *what, *in, *want;
	unsigned bad_line;
} hosts[] = {
	/* As Windows has it: comments. */
	{ "Windows", "# Copyright\r\n#\r\n102.54.94.97 rhino.acme.com # src\r\n"
	    "  38.25.63.10     x.acme.com # x client host\r\n",
	    "102.54.94.97 rhino.acme.com;38.25.63.10 x.acme.com;", 0 },
	/* As macOS has it: tabs, aliases, IPv6 with and without a zone. */
	{ "macOS", "##\n# Host Database\n##\n127.0.0.1\tlocalhost alias\n"
	    "255.255.255.255\tbroadcasthost\n::1             localhost\n"
	    "fe80::1%lo0\tlocalhost\n",
	    "127.0.0.1 localhost;127.0.0.1 alias;255.255.255.255 broadcasthost;"
	    "::1 localhost;", 7 },
	{ "a bad address", "1.2.3 a\n1.2.3.4 b", "1.2.3.4 b;", 1 },
	{ "an address alone", "1.2.3.4\n1.2.3.5 a\n", "1.2.3.5 a;", 0 },
	{ "a bad name", "1.2.3.4 a\"b c\\d e\n", "1.2.3.4 e;", 0 },
	{ "a comment in a name", "1.2.3.4 a#b\n", "1.2.3.4 a;", 0 },
	{ "empty lines", "\n\n1.2.3.4 a\n\n", "1.2.3.4 a;", 0 },
	{ "other blanks", "1.2.3.4\va\fb\n", "1.2.3.4 a;1.2.3.4 b;", 0 },
	{ "empty", "", "", 0 },
	{ "no end", "1.2.3.4 a", "1.2.3.4 a;", 0 },
};
/* clang-format on */

static struct dnsconf c;
static char text[4096];

static void
say(const char *a, const char *b)
{
	snprintf(
	    text + strlen(text), sizeof(text) - strlen(text), "%s%s", a, b);
}

static void
text_of(void)
{
	const struct dnsconf_server *s;
	char buf[64];
	size_t i;

	for (s = c.server; s < c.server + c.n; s++) {
		say("", ipaddr_str(&s->addr, buf));
		snprintf(buf, sizeof(buf), "#%u %u %u", s->port, s->order,
		    s->timeout_ms);
		say("", buf);
		for (i = 0; i < s->nzone; i++)
			say(" ", s->zone[i].text);
		say(";", "");
	}
	if (c.unknown != 0) {
		snprintf(buf, sizeof(buf), "?%u", c.unknown);
		say(buf, "");
	}
}

START_TEST(test_conf)
{
	char err[DNSCONF_ERRLEN];
	const char *in = confs[_i].in;

	*text = '\0';
	if (dnsconf_parse(in, strlen(in), &c, err) == -1)
		say(err, "");
	else
		text_of();
	dnsconf_clear(&c);
	ck_assert_msg(
	    strcmp(text, confs[_i].want) == 0, "%s: %s", confs[_i].what, text);
}
END_TEST

START_TEST(test_globals)
{
	static const char in[] = "search a b.c\nassume-offline-after 7\n"
				 "search d\n";
	char err[DNSCONF_ERRLEN];

	ck_assert_int_eq(dnsconf_parse(in, strlen(in), &c, err), 0);
	ck_assert_uint_eq(c.nsearch, 2);
	ck_assert_str_eq(c.search[0].text, "a");
	ck_assert_str_eq(c.search[1].text, "b.c");
	ck_assert_uint_eq(c.offline_after, 7);
	ck_assert_int_eq(dnsconf_parse("", 0, &c, err), 0);
	ck_assert_uint_eq(c.offline_after, DNSCONF_OFFLINE);
}
END_TEST

START_TEST(test_too_many)
{
	char big[16384] = "", err[DNSCONF_ERRLEN];
	int i;

	for (i = 0; i <= DNSCONF_SERVERS; i++)
		strcat(big, "nameserver 10.0.0.1\n");
	ck_assert_int_eq(dnsconf_parse(big, strlen(big), &c, err), -1);
	ck_assert_str_eq(err, "65: too many servers");
	strcpy(big, "nameserver 10.0.0.1\nzone");
	for (i = 0; i < 256; i++)
		strcat(big, i == 128 ? "\nzone a" : " a");
	ck_assert_int_eq(dnsconf_parse(big, strlen(big), &c, err), 0);
	ck_assert_uint_eq(c.server[0].nzone, 256);
	dnsconf_clear(&c);
	strcat(big, " a");
	ck_assert_int_eq(dnsconf_parse(big, strlen(big), &c, err), -1);
	ck_assert_str_eq(err, "3: more than 256 zones of one server");
	strcpy(big, "search");
	for (i = 0; i <= DNSCONF_SEARCH; i++)
		strcat(big, " a");
	ck_assert_int_eq(dnsconf_parse(big, strlen(big), &c, err), -1);
	ck_assert_str_eq(err, "1: more than 64 names to search");
}
END_TEST

START_TEST(test_hosts)
{
	struct hosts h = hosts_init(hosts[_i].in, strlen(hosts[_i].in));
	char name[HOSTS_NAMELEN], buf[IPADDR_STRLEN];
	struct ipaddr a;

	*text = '\0';
	while (hosts_next(&h, &a, name)) {
		say(ipaddr_str(&a, buf), " ");
		say(name, ";");
	}
	ck_assert_msg(
	    strcmp(text, hosts[_i].want) == 0, "%s: %s", hosts[_i].what, text);
	ck_assert_uint_eq(h.bad_line, hosts[_i].bad_line);
}
END_TEST

/* Every prefix, at the end of a page behind which there is none. */
START_TEST(test_prefixes)
{
	const char *in = _i < (int)nitems(confs) ? confs[_i].in
						 : hosts[_i - nitems(confs)].in;
	char err[DNSCONF_ERRLEN], name[HOSTS_NAMELEN];
	struct guard g = guard_new(4096);
	struct ipaddr a;
	struct hosts h;
	const char *p;
	size_t len;

	for (len = 0; len <= strlen(in); len++) {
		p = guard_put(&g, in, len);
		if (dnsconf_parse(p, len, &c, err) == 0)
			dnsconf_clear(&c);
		h = hosts_init(p, len);
		while (hosts_next(&h, &a, name))
			ck_assert_uint_gt(strlen(name), 0);
	}
	guard_free(&g);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("dnsconf");

	tcase_add_loop_test(tc, test_conf, 0, nitems(confs));
	tcase_add_test(tc, test_globals);
	tcase_add_test(tc, test_too_many);
	tcase_add_loop_test(tc, test_hosts, 0, nitems(hosts));
	tcase_add_loop_test(
	    tc, test_prefixes, 0, nitems(confs) + nitems(hosts));
	return check_case("dnsconf", tc);
}
