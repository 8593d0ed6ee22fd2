/*
 * resolv.conf: which lines name a server.
 */

#include <stdio.h>
#include <string.h>

#include "vpnkit/resolvconf.h"
#include "tests/check_main.h"

#include "guard.h"

/* clang-format off */
static const struct {
	const char *what;
	const char *text;
	const char *servers; /* separated by blanks */
} cases[] = {
	{ "empty file",		"",				"" },
	{ "only a newline",	"\n",				"" },
	{ "one",		"nameserver 10.0.0.1\n",	"10.0.0.1#53" },
	{ "no newline",		"nameserver 10.0.0.1",		"10.0.0.1#53" },
	{ "DOS newline",	"nameserver 10.0.0.1\r\n",	"10.0.0.1#53" },
	{ "tabs",		"nameserver\t10.0.0.1\t\n",	"10.0.0.1#53" },
	{ "in order",		"nameserver 2.2.2.2\nnameserver 1.1.1.1\n",
	    "2.2.2.2#53 1.1.1.1#53" },
	{ "each once",		"nameserver 1.1.1.1\nnameserver 1.1.1.1\n",
	    "1.1.1.1#53" },
	{ "IPv6",		"nameserver 2001:DB8:0::1\n",
	    "2001:db8::1#53" },
	{ "other lines",	"# nameserver 9.9.9.9\n;x\nsearch a b\n"
	    "options ndots:2\n\n nameserver 10.0.0.1\n", "10.0.0.1#53" },
	{ "a word after it",	"nameserver 10.0.0.1 # mine\n",	"10.0.0.1#53" },
	{ "a port",		"nameserver 127.0.0.1#5353\n",
	    "127.0.0.1#5353" },
	{ "two servers in a line", "nameserver 1.1.1.1 2.2.2.2\n",
	    "1.1.1.1#53" },
	{ "bad lines are skipped", "nameserver\nnameserver \nnameserver x\n"
	    "nameserver 1.2.3\nnameserver fe80::1%eth0\n"
	    "nameserver 1.1.1.1#0\nnameserver 1.1.1.1#65536\n"
	    "nameserver 1.1.1.1#\nnameservers 1.1.1.1\n"
	    "NAMESERVER 1.1.1.1\nnameserver 8.8.8.8\n", "8.8.8.8#53" },
	{ "a long word",	"nameserver 1111111111111111111111111111111111"
	    "1111111111111111111111111111111111111111111111\n", "" },
	{ "more than are kept",	"nameserver 1.0.0.1\nnameserver 1.0.0.2\n"
	    "nameserver 1.0.0.3\nnameserver 1.0.0.4\nnameserver 1.0.0.5\n"
	    "nameserver 1.0.0.6\nnameserver 1.0.0.7\nnameserver 1.0.0.8\n"
	    "nameserver 1.0.0.9\nnameserver 1.0.1.0\nnameserver 1.0.1.1\n"
	    "nameserver 1.0.1.2\nnameserver 1.0.1.3\nnameserver 1.0.1.4\n"
	    "nameserver 1.0.1.5\nnameserver 1.0.1.6\nnameserver 1.0.1.7\n",
	    "1.0.0.1#53 1.0.0.2#53 1.0.0.3#53 1.0.0.4#53 1.0.0.5#53 "
	    "1.0.0.6#53 1.0.0.7#53 1.0.0.8#53 1.0.0.9#53 1.0.1.0#53 "
	    "1.0.1.1#53 1.0.1.2#53 1.0.1.3#53 1.0.1.4#53 1.0.1.5#53 "
	    "1.0.1.6#53" },
};
/* clang-format on */

static void
join(const struct resolvconf *rc, char *buf, size_t size)
{
	size_t i, n = 0;

	buf[0] = '\0';
	for (i = 0; i < rc->n; i++)
		n += (size_t)snprintf(
		    buf + n, size - n, "%s%s", i > 0 ? " " : "", rc->server[i]);
}

START_TEST(text)
{
	struct guard g = guard_new(2048);
	size_t len = strlen(cases[_i].text);
	struct resolvconf rc;
	char buf[1024];

	resolvconf_parse(guard_put(&g, cases[_i].text, len), len, &rc);
	join(&rc, buf, sizeof(buf));
	ck_assert_msg(
	    strcmp(buf, cases[_i].servers) == 0, "%s: %s", cases[_i].what, buf);
	guard_free(&g);
}
END_TEST

/* What is cut off never adds a server beyond those of the whole text. */
START_TEST(prefixes)
{
	struct guard g = guard_new(2048);
	size_t n, len = strlen(cases[_i].text);
	struct resolvconf rc;

	for (n = 0; n < len; n++) {
		resolvconf_parse(guard_put(&g, cases[_i].text, n), n, &rc);
		ck_assert_uint_le(rc.n, RESOLVCONF_MAX);
	}
	guard_free(&g);
}
END_TEST

START_TEST(zero_bytes)
{
	static const char in[] = "nameserver 1.1.1.1\0\nnameserver\0 2.2.2.2\n"
				 "\0nameserver 3.3.3.3\nnameserver 4.4.4.4";
	struct resolvconf rc;

	resolvconf_parse(in, sizeof(in), &rc);
	ck_assert_uint_eq(rc.n, 0);
	resolvconf_parse(in, sizeof(in) - 1, &rc);
	ck_assert_uint_eq(rc.n, 1);
	ck_assert_str_eq(rc.server[0], "4.4.4.4#53");
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("resolvconf");

	tcase_add_loop_test(tc, text, 0, nitems(cases));
	tcase_add_loop_test(tc, prefixes, 0, nitems(cases));
	tcase_add_test(tc, zero_bytes);
	return check_case("resolvconf", tc);
}
