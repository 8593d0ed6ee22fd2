/*
 * Requests for forwards: what is taken, what comes back, and the texts of
 * refusals that docker and Go programs look for.
 */

#include <string.h>

#include "portd/front/spec.h"

#include "tests/check_main.h"
#include "tests/unit/guard.h"

/* 107 and 108 bytes of path. */
#define B64_9	"Li4uLi4uLi4u"
#define B64_99	B64_9 B64_9 B64_9 B64_9 B64_9 B64_9 B64_9 B64_9 B64_9 B64_9 B64_9
#define B64_107 B64_99 "Li4uLi4uLi4="
#define B64_108 B64_99 B64_9

#define FORM "Failed to parse request ["
#define END  "port is not a proto:IP:port or unix:path: '"

/* clang-format off */
static const struct {
	const char *what, *in;
	const char *out; /* NULL: refused */
	const char *err; /* how the refusal begins */
} cases[] = {
	{ "tcp", "tcp:127.0.0.1:8080:tcp:192.168.65.3:80",
	    "tcp:127.0.0.1:8080:tcp:192.168.65.3:80", NULL },
	{ "udp", "udp:0.0.0.0:53:udp:172.17.0.2:53",
	    "udp:0.0.0.0:53:udp:172.17.0.2:53", NULL },
	{ "any port", "tcp:0.0.0.0:0:tcp:10.0.0.1:1",
	    "tcp:0.0.0.0:0:tcp:10.0.0.1:1", NULL },
	{ "words in any case", "TCP:0.0.0.0:1:Tcp:10.0.0.1:1",
	    "tcp:0.0.0.0:1:tcp:10.0.0.1:1", NULL },
	{ "newline behind", "tcp:0.0.0.0:1:tcp:10.0.0.1:1\r\n \t\n",
	    "tcp:0.0.0.0:1:tcp:10.0.0.1:1", NULL },
	{ "unix", "unix:L3RtcC9mb28=:unix:L3Zhci9ydW4veC5zb2Nr",
	    "unix:L3RtcC9mb28=:unix:L3Zhci9ydW4veC5zb2Nr", NULL },
	{ "unix of 107 bytes", "unix:" B64_107 ":unix:L2E=",
	    "unix:" B64_107 ":unix:L2E=", NULL },
	{ "unix of 108 bytes", "unix:" B64_108 ":unix:L2E=", NULL,
	    END "unix:" B64_108 "'" },
	{ "unix, no padding", "unix:L2E:unix:L2E=", NULL, END "unix:L2E'" },
	{ "unix, not base 64", "unix:/tmp:unix:/t*p", NULL,
	    END "unix:/t*p'" },
	{ "unix, a zero byte", "unix:L2E=:unix:LwA=", NULL,
	    END "unix:LwA='" },
	{ "unix, empty", "unix::unix:L2E=", NULL, END "unix:'" },
	{ "nothing", "", NULL, FORM "], expected\n" },
	{ "white space", "\n", NULL, FORM "], expected\n" },
	{ "one end", "tcp:0.0.0.0:1", NULL, FORM "tcp:0.0.0.0:1], " },
	{ "a part too many", "tcp:0.0.0.0:1:tcp:10.0.0.1:1:", NULL, FORM },
	{ "many parts", ":::::::::::::::", NULL, FORM ":::::::::::::::]" },
	{ "five parts", "tcp:1:tcp:10.0.0.1:1", NULL, FORM },
	{ "no protocol", "xdp:0.0.0.0:1:xdp:10.0.0.1:1", NULL,
	    END "xdp:0.0.0.0:1'" },
	{ "two protocols", "tcp:0.0.0.0:1:udp:10.0.0.1:1", NULL,
	    END "udp:10.0.0.1:1'" },
	{ "not an address", "tcp:localhost:1:tcp:10.0.0.1:1", NULL,
	    END "tcp:localhost:1'" },
	{ "port 65536", "tcp:0.0.0.0:65536:tcp:10.0.0.1:1", NULL,
	    END "tcp:0.0.0.0:65536'" },
	{ "port -1", "tcp:0.0.0.0:-1:tcp:10.0.0.1:1", NULL, END },
	{ "port of six digits", "tcp:0.0.0.0:000001:tcp:10.0.0.1:1", NULL,
	    END },
	{ "no port", "tcp:0.0.0.0::tcp:10.0.0.1:1", NULL, END },
	{ "guest's port 0", "tcp:0.0.0.0:1:tcp:10.0.0.1:0", NULL,
	    END "tcp:10.0.0.1:0'" },
	{ "six parts of unix", "unix:a:b:unix:c:d", NULL, END "unix:a:b'" },
	{ "four parts of tcp", "tcp:0.0.0.0:tcp:10.0.0.1", NULL,
	    END "tcp:0.0.0.0'" },
};

static const struct {
	const char *spec, *error, *why, *ninep, *http;
} errors[] = {
	{ "tcp:0.0.0.0:80:tcp:10.0.0.1:80", "EADDRINUSE", "",
	    "Bind for 0.0.0.0:80 failed: port is already allocated",
	    "listen tcp 0.0.0.0:80: bind: address already in use" },
	{ "udp:1.2.3.4:53:udp:10.0.0.1:80", "EADDRNOTAVAIL", "",
	    "listen udp 1.2.3.4:53: bind: cannot assign requested address",
	    "listen udp 1.2.3.4:53: bind: cannot assign requested address" },
	{ "tcp:1.2.3.4:8080:tcp:10.0.0.1:80", "EPERM", "not allowed",
	    "Bind for 1.2.3.4:8080 failed: permission denied",
	    "listen tcp 1.2.3.4:8080: bind: operation not permitted (not "
	    "allowed)" },
	{ "tcp:0.0.0.0:80:tcp:10.0.0.1:80", "EACCES", "",
	    "Bind for 0.0.0.0:80 failed: permission denied",
	    "listen tcp 0.0.0.0:80: bind: permission denied" },
	{ "tcp:0.0.0.0:8080:tcp:10.0.0.1:80", "EHOSTUNREACH", "no guest",
	    "Bind for 0.0.0.0:8080: unexpected error EHOSTUNREACH, no guest",
	    "listen tcp 0.0.0.0:8080: bind: no route to host (no guest)" },
	{ "tcp:0.0.0.0:8080:tcp:10.0.0.1:80", "ENOTSUP", "",
	    "Bind for 0.0.0.0:8080: unexpected error ENOTSUP",
	    "listen tcp 0.0.0.0:8080: bind: ENOTSUP" },
	{ "unix:L3RtcC9mb28=:unix:L2E=", "EADDRINUSE", "",
	    "Bind for /tmp/foo failed: port is already allocated",
	    "listen unix /tmp/foo: bind: address already in use" },
	{ "unix:L3RtcC9mb28=:unix:L2E=", "EADDRNOTAVAIL", "",
	    "listen /tmp/foo: bind: cannot assign requested address",
	    "listen unix /tmp/foo: bind: cannot assign requested address" },
	{ "unix:L3RtcC9mb28=:unix:L2E=", "EEXIST", "",
	    "refusing to remove path /tmp/foo",
	    "refusing to remove path /tmp/foo" },
};
/* clang-format on */

START_TEST(parse)
{
	char err[SPEC_ERRLEN], str[SPEC_STRLEN];
	const char *in = cases[_i].in, *want = cases[_i].out;
	struct fwd_spec s;
	int r;

	r = spec_parse(in, strlen(in), &s, err);
	ck_assert_msg(r == (want != NULL ? 0 : -1), "%s", cases[_i].what);
	if (want != NULL)
		ck_assert_str_eq(spec_str(&s, str), want);
	else
		ck_assert_msg(
		    strncmp(err, cases[_i].err, strlen(cases[_i].err)) == 0,
		    "%s: %s", cases[_i].what, err);
}
END_TEST

/* Ends where the page ends, cut anywhere. */
START_TEST(prefixes)
{
	char err[SPEC_ERRLEN];
	const char *in = cases[_i].in;
	struct guard g = guard_new(4096);
	struct fwd_spec s;
	size_t n;

	for (n = 0; n <= strlen(in); n++)
		spec_parse(guard_put(&g, in, n), n, &s, err);
	guard_free(&g);
}
END_TEST

START_TEST(too_long)
{
	static char text[SPEC_TEXTMAX + 64];
	char err[SPEC_ERRLEN];
	struct fwd_spec s;

	memset(text, '0', sizeof(text));
	memcpy(text, "tcp:0.0.0.0:1:tcp:10.0.0.1:", 27);
	ck_assert_int_eq(spec_parse(text, sizeof(text), &s, err), -1);
	ck_assert(strncmp(err, FORM, strlen(FORM)) == 0);
	ck_assert_ptr_nonnull(strstr(err, "], expected"));
}
END_TEST

START_TEST(error_texts)
{
	char err[SPEC_ERRLEN];
	struct fwd_spec s;

	ck_assert_int_eq(
	    spec_parse(errors[_i].spec, strlen(errors[_i].spec), &s, err), 0);
	ck_assert_str_eq(
	    spec_error_9p(&s, errors[_i].error, errors[_i].why, err),
	    errors[_i].ninep);
	ck_assert_str_eq(
	    spec_error_http(&s, errors[_i].error, errors[_i].why, err),
	    errors[_i].http);
}
END_TEST

START_TEST(compare)
{
	static const char *const all[] = { "tcp:0.0.0.0:1:tcp:10.0.0.1:1",
		"udp:0.0.0.0:1:udp:10.0.0.1:1", "tcp:0.0.0.0:2:tcp:10.0.0.1:1",
		"tcp:0.0.0.0:1:tcp:10.0.0.2:1", "tcp:0.0.0.0:1:tcp:10.0.0.1:2",
		"unix:L2E=:unix:L2E=", "unix:L2E=:unix:L2I=" };
	struct fwd_spec a, b;
	char err[SPEC_ERRLEN];
	size_t i, j;

	for (i = 0; i < nitems(all); i++) {
		for (j = 0; j < nitems(all); j++) {
			spec_parse(all[i], strlen(all[i]), &a, err);
			spec_parse(all[j], strlen(all[j]), &b, err);
			ck_assert_int_eq(spec_cmp(&a, &b) == 0, i == j);
		}
	}
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("spec");

	tcase_add_loop_test(tc, parse, 0, nitems(cases));
	tcase_add_loop_test(tc, prefixes, 0, nitems(cases));
	tcase_add_test(tc, too_long);
	tcase_add_loop_test(tc, error_texts, 0, nitems(errors));
	tcase_add_test(tc, compare);
	return check_case("spec", tc);
}
