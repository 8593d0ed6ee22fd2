/*
 * Ports as JSON: what Go's client sends, there and back.
 */

#include <stdlib.h>
#include <string.h>

#include "portd/front/api.h"
#include "tests/check_main.h"

#define TCP "\"proto\":\"tcp\",\"out_ip\":\"127.0.0.1\",\"out_port\":8080,"

/* clang-format off */
static const struct {
	const char *what, *in;
	bool pipe;
	const char *out; /* NULL: refused */
	const char *err;
	bool bare;
} cases[] = {
	{ "tcp", "{" TCP "\"in_ip\":\"192.168.65.3\",\"in_port\":80}", false,
	    "{" TCP "\"in_ip\":\"192.168.65.3\",\"in_port\":80}", NULL, false },
	{ "udp with an annotation", "{\"proto\":\"udp\",\"out_ip\":\"::1\","
	    "\"out_port\":53,\"in_ip\":\"fd00::2\",\"in_port\":53,"
	    "\"annotation\":\"kube\"}", false,
	    "{\"proto\":\"udp\",\"out_ip\":\"::1\","
	    "\"out_port\":53,\"in_ip\":\"fd00::2\",\"in_port\":53,"
	    "\"annotation\":\"kube\"}", NULL, false },
	{ "any port, any address",
	    "{\"proto\":\"tcp\",\"in_ip\":\"10.0.0.1\",\"in_port\":1}", false,
	    "{\"proto\":\"tcp\",\"out_ip\":\"0.0.0.0\","
	    "\"in_ip\":\"10.0.0.1\",\"in_port\":1}", NULL, false },
	{ "null is absent", "{\"proto\":\"tcp\",\"out_ip\":null,\"out_port\":"
	    "null,\"in_ip\":\"10.0.0.1\",\"in_port\":1,\"annotation\":null}",
	    false, "{\"proto\":\"tcp\",\"out_ip\":\"0.0.0.0\","
	    "\"in_ip\":\"10.0.0.1\",\"in_port\":1}", NULL, false },
	{ "a mapped address", "{\"proto\":\"tcp\",\"out_ip\":"
	    "\"::ffff:1.2.3.4\",\"in_ip\":\"10.0.0.1\",\"in_port\":1}", false,
	    "{\"proto\":\"tcp\",\"out_ip\":\"1.2.3.4\","
	    "\"in_ip\":\"10.0.0.1\",\"in_port\":1}", NULL, false },
	{ "unknown members", "{" TCP "\"x\":[{}],\"in_ip\":\"10.0.0.1\","
	    "\"in_port\":80}", false, "{" TCP "\"in_ip\":\"10.0.0.1\","
	    "\"in_port\":80}", NULL, false },
	{ "unix", "{\"proto\":\"unix\",\"out_path\":\"/tmp/a\","
	    "\"in_path\":\"/run/b\"}", true,
	    "{\"proto\":\"unix\",\"out_path\":\"/tmp/a\","
	    "\"in_path\":\"/run/b\"}", NULL, false },

	{ "unix as a port", "{\"proto\":\"unix\",\"out_path\":\"/tmp/a\","
	    "\"in_path\":\"/run/b\"}", false, NULL, "proto: ", true },
	{ "tcp as a pipe", "{" TCP "\"in_ip\":\"10.0.0.1\",\"in_port\":80}",
	    true, NULL, "proto: ", true },
	{ "nothing", "", false, NULL, "not JSON: ", false },
	{ "cut", "{", false, NULL, "not JSON: ", false },
	{ "rest", "{} {}", false, NULL, "not JSON: ", false },
	{ "array", "[]", false, NULL, "port: not an object", false },
	{ "no protocol", "{}", false, NULL, "proto: not tcp", false },
	{ "another protocol", "{\"proto\":\"sctp\"}", false, NULL,
	    "proto: not tcp", false },
	{ "protocol as a number", "{\"proto\":1}", false, NULL,
	    "proto: not a string", false },
	{ "long protocol", "{\"proto\":\"tcptcptcp\"}", false, NULL,
	    "proto: too long", false },
	{ "port too large", "{\"proto\":\"tcp\",\"out_port\":65536}", false,
	    NULL, "out_port: not a port", false },
	{ "port of no number", "{\"proto\":\"tcp\",\"out_port\":\"80\"}",
	    false, NULL, "out_port: not a port", false },
	{ "negative port", "{" TCP "\"in_ip\":\"10.0.0.1\",\"in_port\":-1}",
	    false, NULL, "in_port: not a port", false },
	{ "no address", "{" TCP "\"in_port\":1}", false, NULL,
	    "in_ip: missing", false },
	{ "no port", "{" TCP "\"in_ip\":\"10.0.0.1\"}", false, NULL,
	    "in_port: missing", false },
	{ "a name", "{\"proto\":\"tcp\",\"out_ip\":\"localhost\"}", false,
	    NULL, "out_ip: not an address", false },
	{ "zero in a string", "{\"proto\":\"t\\u0000p\"}", false, NULL,
	    "not JSON: ", false },
	{ "no path", "{\"proto\":\"unix\",\"in_path\":\"/a\"}", true, NULL,
	    "out_path: missing", false },
	{ "no path inside", "{\"proto\":\"unix\",\"out_path\":\"/a\"}", true,
	    NULL, "in_path: missing", false },
	{ "path of 108 bytes", "{\"proto\":\"unix\",\"out_path\":\""
	    "/234567890123456789012345678901234567890123456789012345"
	    "/234567890123456789012345678901234567890123456789012345\"}",
	    true, NULL, "out_path: too long", false },
};

static const struct {
	enum http_method method;
	const char *path;
	int status; /* -1: there is such a call */
	enum api_call call;
	bool pipe;
} routes[] = {
	{ HTTP_GET, "/forwards/list", -1, API_LIST, false },
	{ HTTP_HEAD, "/forwards/list", -1, API_LIST, false },
	{ HTTP_HEAD, "/forwards/expose/port", 405, API_LIST, false },
	{ HTTP_GET, "/forwards/dump", -1, API_DUMP, false },
	{ HTTP_PUT, "/forwards/expose/port", -1, API_EXPOSE, false },
	{ HTTP_POST, "/forwards/expose/port", -1, API_EXPOSE, false },
	{ HTTP_PUT, "/forwards/expose/pipe", -1, API_EXPOSE, true },
	{ HTTP_DELETE, "/forwards/unexpose/port", -1, API_UNEXPOSE, false },
	{ HTTP_POST, "/forwards/unexpose/pipe", -1, API_UNEXPOSE, true },
	{ HTTP_GET, "/forwards/expose/port", 405, API_LIST, false },
	{ HTTP_PUT, "/forwards/unexpose/port", 405, API_LIST, false },
	{ HTTP_POST, "/forwards/list", 405, API_LIST, false },
	{ HTTP_OTHER, "/forwards/list", 405, API_LIST, false },
	{ HTTP_GET, "/forwards/list/", 404, API_LIST, false },
	{ HTTP_GET, "/", 404, API_LIST, false },
};
/* clang-format on */

START_TEST(ports)
{
	const char *in = cases[_i].in;
	char err[SPEC_ERRLEN], *text;
	struct api_port p;
	json_t *o;
	bool bare;
	int r;

	r = api_port_parse(in, strlen(in), cases[_i].pipe, &p, err, &bare);
	ck_assert_msg(
	    r == (cases[_i].out != NULL ? 0 : -1), "%s", cases[_i].what);
	ck_assert_int_eq(bare, cases[_i].bare);
	if (r == -1) {
		ck_assert_msg(
		    strncmp(err, cases[_i].err, strlen(cases[_i].err)) == 0,
		    "%s: %s", cases[_i].what, err);
		return;
	}
	o = api_port_json(&p, p.spec.out.port);
	text = json_dumps(o, JSON_COMPACT);
	ck_assert_str_eq(text, cases[_i].out);
	free(text);
	json_decref(o);
}
END_TEST

START_TEST(prefixes)
{
	const char *in = cases[_i].in;
	char err[SPEC_ERRLEN];
	struct api_port p;
	bool bare;
	size_t n;

	for (n = 0; n < strlen(in); n++)
		api_port_parse(in, n, cases[_i].pipe, &p, err, &bare);
}
END_TEST

START_TEST(route)
{
	struct http_req r = { .method = routes[_i].method };
	enum api_call call = API_LIST;
	bool pipe = false;

	memcpy(r.path, routes[_i].path, strlen(routes[_i].path));
	ck_assert_int_eq(api_route(&r, &call, &pipe), routes[_i].status);
	ck_assert_int_eq(call, routes[_i].call);
	ck_assert_int_eq(pipe, routes[_i].pipe);
	ck_assert_int_eq(
	    api_allow(routes[_i].path) == NULL, routes[_i].status == 404);
}
END_TEST

START_TEST(error)
{
	char *s = api_error("it's \"so\"", false);

	ck_assert_str_eq(s, "{\"message\":\"it's \\\"so\\\"\"}");
	free(s);
	s = api_error("so", true);
	ck_assert_str_eq(s, "\"so\"");
	free(s);
	s = api_error("\xff", false);
	ck_assert_str_eq(s, "{\"message\":\"error\"}");
	free(s);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("portapi");

	tcase_add_loop_test(tc, ports, 0, nitems(cases));
	tcase_add_loop_test(tc, prefixes, 0, nitems(cases));
	tcase_add_loop_test(tc, route, 0, nitems(routes));
	tcase_add_test(tc, error);
	return check_case("portapi", tc);
}
