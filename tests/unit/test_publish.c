/*
 * The text forms of forwards: --publish, PORT:IP:PORT, and the two files.
 */

#include <string.h>

#include "tests/unit/guard.h"
#include "vpnkit/publish.h"
#include "tests/check_main.h"

#define L50 "12345678901234567890123456789012345678901234567890"

/* clang-format off */
static const struct {
	const char *what, *text;
	const char *host, *guest; /* NULL: refused */
	uint16_t host_port, guest_port, count;
	bool udp, proxy;
	const char *path;
} pubs[] = {
	{ "plain", "127.0.0.1:8000:192.168.65.3:80",
	  "127.0.0.1", "192.168.65.3", 8000, 80, 1, false, false },
	{ "tcp", "0.0.0.0:1:192.168.65.3:65535/tcp",
	  "0.0.0.0", "192.168.65.3", 1, 65535, 1, false, false },
	{ "udp", "0.0.0.0:53:192.168.65.3:53/udp",
	  "0.0.0.0", "192.168.65.3", 53, 53, 1, true, false },
	{ "proxy", "0.0.0.0:53:192.168.65.3:53/proxy",
	  "0.0.0.0", "192.168.65.3", 53, 53, 1, false, true },
	{ "tcp and proxy", "0.0.0.0:53:192.168.65.3:53/tcp/proxy",
	  "0.0.0.0", "192.168.65.3", 53, 53, 1, false, true },
	{ "IPv6", "[2001:db8::1]:8000:192.168.65.3:80",
	  "2001:db8::1", "192.168.65.3", 8000, 80, 1, false, false },
	{ "IPv4 as IPv6", "[::ffff:127.0.0.1]:8000:192.168.65.3:80",
	  "127.0.0.1", "192.168.65.3", 8000, 80, 1, false, false },
	{ "any port", "127.0.0.1:0:192.168.65.3:80",
	  "127.0.0.1", "192.168.65.3", 0, 80, 1, false, false },
	{ "range", "127.0.0.1:8000-8010:192.168.65.3:80-90/udp",
	  "127.0.0.1", "192.168.65.3", 8000, 80, 11, true, false },
	{ "range of one", "127.0.0.1:80-80:192.168.65.3:80",
	  "127.0.0.1", "192.168.65.3", 80, 80, 1, false, false },
	{ "all ports", "127.0.0.1:1-65535:192.168.65.3:1-65535",
	  "127.0.0.1", "192.168.65.3", 1, 1, 65535, false, false },
	{ "a path", "/run/web.sock:192.168.65.3:80",
	  "0.0.0.0", "192.168.65.3", 0, 80, 1, false, false, "/run/web.sock" },
	{ "a path, PROXY", "/x:192.168.65.3:80/tcp/proxy",
	  "0.0.0.0", "192.168.65.3", 0, 80, 1, false, true, "/x" },
	{ "a path and UDP", "/x:192.168.65.3:80/udp" },
	{ "a path and a range", "/x:192.168.65.3:80-81" },
	{ "a path alone", "/x" },
	{ "a path too long", "/" L50 L50 "1234567:192.168.65.3:80" },
	{ "the longest path", "/" L50 L50 "123456:192.168.65.3:80",
	  "0.0.0.0", "192.168.65.3", 0, 80, 1, false, false,
	  "/" L50 L50 "123456" },
	{ "empty", "" },
	{ "one field missing", "127.0.0.1:8000:192.168.65.3" },
	{ "one too many", "127.0.0.1:8000:192.168.65.3:80:80" },
	{ "bare IPv6", "::1:8000:192.168.65.3:80" },
	{ "open bracket", "[::1:8000:192.168.65.3:80" },
	{ "IPv6 guest", "127.0.0.1:8000:[::1]:80" },
	{ "no address", "localhost:8000:192.168.65.3:80" },
	{ "no guest port", "127.0.0.1:8000:192.168.65.3:0" },
	{ "large port", "127.0.0.1:65536:192.168.65.3:80" },
	{ "sign", "127.0.0.1:+80:192.168.65.3:80" },
	{ "blank", "127.0.0.1: 80:192.168.65.3:80" },
	{ "backwards", "127.0.0.1:90-80:192.168.65.3:80-90" },
	{ "from zero", "127.0.0.1:0-9:192.168.65.3:80-89" },
	{ "different lengths", "127.0.0.1:80-90:192.168.65.3:80" },
	{ "two dashes", "127.0.0.1:80-85-90:192.168.65.3:80-90" },
	{ "unknown word", "127.0.0.1:80:192.168.65.3:80/sctp" },
	{ "twice", "127.0.0.1:80:192.168.65.3:80/udp/udp" },
	{ "both", "127.0.0.1:80:192.168.65.3:80/tcp/udp" },
	{ "PROXY of UDP", "127.0.0.1:80:192.168.65.3:80/udp/proxy" },
	{ "empty word", "127.0.0.1:80:192.168.65.3:80/" },
};
/* clang-format on */

START_TEST(publish)
{
	struct publish p;
	struct ipaddr a;
	const char *why = NULL;
	int ret = publish_parse(pubs[_i].text, &p, &why);

	ck_assert_msg(ret == (pubs[_i].host != NULL ? 0 : -1), "%s: %s",
	    pubs[_i].what, why);
	ck_assert_ptr_nonnull(why);
	if (ret == -1)
		return;
	ipaddr_parse(pubs[_i].host, &a);
	ck_assert_int_eq(ipaddr_cmp(&a, &p.host), 0);
	ipaddr_parse(pubs[_i].guest, &a);
	ck_assert_int_eq(ipaddr_cmp(&a, &p.guest), 0);
	ck_assert_uint_eq(p.host_port, pubs[_i].host_port);
	ck_assert_uint_eq(p.guest_port, pubs[_i].guest_port);
	ck_assert_uint_eq(p.count, pubs[_i].count);
	ck_assert_int_eq(p.udp, pubs[_i].udp);
	ck_assert_int_eq(p.proxy, pubs[_i].proxy);
	ck_assert_str_eq(p.path, pubs[_i].path != NULL ? pubs[_i].path : "");
}
END_TEST

/* clang-format off */
static const struct {
	const char *text;
	int ret;
	uint16_t port, count;
	bool udp;
} ends[] = {
	{ "127.0.0.1:80", 0, 80, 1, false },
	{ "127.0.0.1:80/udp", 0, 80, 1, true },
	{ "[::1]:80-89/tcp", 0, 80, 10, false },
	{ "/run/web.sock", 0, 0, 1, false },
	{ "127.0.0.1:0", -1 },
	{ "127.0.0.1", -1 },
	{ "127.0.0.1:80/proxy", -1 },
	{ "127.0.0.1:80:192.168.65.3:80", -1 },
	{ "", -1 },
};
/* clang-format on */

START_TEST(publish_end)
{
	struct publish p;
	const char *why;

	ck_assert_int_eq(
	    publish_parse_end(ends[_i].text, &p, &why), ends[_i].ret);
	if (ends[_i].ret == -1)
		return;
	ck_assert_uint_eq(p.host_port, ends[_i].port);
	ck_assert_uint_eq(p.count, ends[_i].count);
	ck_assert_int_eq(p.udp, ends[_i].udp);
	ck_assert_int_eq(p.path[0] == '/', ends[_i].text[0] == '/');
}
END_TEST

/* Every prefix, at the end of readable memory: refused or parsed, no more. */
START_TEST(publish_prefixes)
{
	const char *text = pubs[_i].text, *why;
	struct publish p;
	struct guard g = guard_new(256);
	char buf[256];
	size_t n;

	for (n = 0; n <= strlen(text); n++) {
		memcpy(buf, text, n);
		buf[n] = '\0';
		(void)publish_parse(guard_put(&g, buf, n + 1), &p, &why);
		(void)publish_parse_end(guard_put(&g, buf, n + 1), &p, &why);
	}
	guard_free(&g);
}
END_TEST

START_TEST(publish_long)
{
	char text[4096];
	struct publish p;
	const char *why;

	memset(text, '1', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	ck_assert_int_eq(publish_parse(text, &p, &why), -1);
	memset(text, ':', sizeof(text) - 1);
	ck_assert_int_eq(publish_parse(text, &p, &why), -1);
	memset(text, '[', sizeof(text) - 1);
	ck_assert_int_eq(publish_parse(text, &p, &why), -1);
}
END_TEST

/* clang-format off */
static const struct {
	const char *text;
	int ret;
} gws[] = {
	{ "8888:127.0.0.1:80", 0 },
	{ "1:10.0.0.1:65535", 0 },
	{ "0:127.0.0.1:80", -1 },
	{ "8888:127.0.0.1:0", -1 },
	{ "8888:::1:80", -1 },
	{ "8888:[::1]:80", -1 },
	{ "8888:127.0.0.1", -1 },
	{ "8888:127.0.0.1:80:1", -1 },
	{ "", -1 },
};

static const struct {
	const char *what, *text;
	int gw, via; /* the number, or -1 */
} files[] = {
	{ "empty", "[]", 0, 0 },
	{ "as the Go program writes it",
	  "[{\"protocol\":\"tcp\",\"external_port\":53,"
	  "\"internal_ip\":\"127.0.0.1\",\"internal_port\":5353},"
	  "{\"protocol\":\"udp\",\"external_port\":53,"
	  "\"internal_ip\":\"127.0.0.1\",\"internal_port\":5353}]\n", 2, -1 },
	{ "a destination", "[{\"protocol\":\"tcp\",\"dst_prefix\":"
	  "\"10.0.0.0/8\",\"dst_port\":0,\"path\":\"/run/x.sock\"}]", -1, 1 },
	{ "without port", "[{\"protocol\":\"tcp\",\"dst_prefix\":"
	  "\"10.0.0.0/8\",\"path\":\"/run/x.sock\"}]", -1, 1 },
	{ "not TCP", "[{\"protocol\":\"udp\",\"dst_prefix\":"
	  "\"10.0.0.0/8\",\"dst_port\":0,\"path\":\"/run/x.sock\"}]", -1, -1 },
	{ "no prefix", "[{\"protocol\":\"tcp\",\"dst_prefix\":"
	  "\"10.0.0.0/33\",\"path\":\"/run/x.sock\"}]", -1, -1 },
	{ "no path", "[{\"protocol\":\"tcp\",\"dst_prefix\":"
	  "\"10.0.0.0/8\"}]", -1, -1 },
	{ "an object", "{}", -1, -1 },
	{ "of numbers", "[1, 2]", -1, -1 },
	{ "port of text", "[{\"protocol\":\"tcp\",\"external_port\":\"53\","
	  "\"internal_ip\":\"127.0.0.1\",\"internal_port\":5353}]", -1, -1 },
	{ "large port", "[{\"protocol\":\"tcp\",\"external_port\":65536,"
	  "\"internal_ip\":\"127.0.0.1\",\"internal_port\":5353}]", -1, -1 },
};
/* clang-format on */

START_TEST(gateway_item)
{
	struct gwforward g;

	ck_assert_int_eq(
	    gwforward_parse(gws[_i].text, true, &g), gws[_i].ret);
	if (gws[_i].ret == 0)
		ck_assert(g.udp);
}
END_TEST

START_TEST(file)
{
	json_t *root = json_loads(files[_i].text, 0, NULL);
	struct gwforward g[4];
	struct viaforward v[4];
	const char *why;

	ck_assert_ptr_nonnull(root);
	ck_assert_int_eq(gwforward_json(root, g, 4, &why), files[_i].gw);
	ck_assert_int_eq(viaforward_json(root, v, 4, &why), files[_i].via);
	if (files[_i].gw > 0) {
		ck_assert_uint_eq(g[0].port, 53);
		ck_assert_uint_eq(g[0].dport, 5353);
		/* One too many is refused whole. */
		ck_assert_int_eq(gwforward_json(root, g, 1, &why), -1);
	}
	if (files[_i].via > 0) {
		ck_assert_str_eq(v[0].path, "/run/x.sock");
		ck_assert_str_eq(v[0].prefix, "10.0.0.0/8");
	}
	json_decref(root);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("publish");

	tcase_add_loop_test(tc, publish, 0, nitems(pubs));
	tcase_add_loop_test(tc, publish_prefixes, 0, nitems(pubs));
	tcase_add_test(tc, publish_long);
	tcase_add_loop_test(tc, publish_end, 0, nitems(ends));
	tcase_add_loop_test(tc, gateway_item, 0, nitems(gws));
	tcase_add_loop_test(tc, file, 0, nitems(files));
	return check_case("publish", tc);
}
