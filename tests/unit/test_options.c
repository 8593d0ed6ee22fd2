/*
 * The command line: forms, prefixes, every bad value, defaults, the same
 * names from a file, and socket names.
 */

#include <stdlib.h>
#include <string.h>

#include "vpnkit/options.h"
#include "vpnkit/url.h"
#include "tests/check_main.h"

#include "guard.h"

#define MAXARGS	  8
#define E	  "--ethernet=/tmp/e"

static char err[OPTIONS_ERRLEN];

static int
parse(struct options *op, const char *const *args)
{
	char *argv[MAXARGS + 2] = { (char *)(uintptr_t) "vpnkit" };
	int argc = 1;

	options_init(op);
	err[0] = '\0';
	while (args[argc - 1] != NULL) {
		argv[argc] = (char *)(uintptr_t)args[argc - 1];
		argc++;
	}
	if (options_parse(op, argc, argv, err) == -1)
		return -1;
	return op->help || op->version ? 0 : options_finish(op, err);
}

/* clang-format off */
static const struct {
	const char *what;
	const char *args[MAXARGS];
	const char *err; /* NULL: good; else a part of the message */
} cases[] = {
	{ "the least", { E }, NULL },
	{ "value in the next argument", { "--ethernet", "/tmp/e" }, NULL },
	{ "fd:N", { "--ethernet", "fd:3", "--port", "fd:4" }, NULL },
	{ "only qemu", { "--ethernet-qemu", "/q" }, NULL },
	{ "only dgram", { "--ethernet-dgram=/d" }, NULL },
	{ "two dgram", { "--ethernet-dgram=/d", "--ethernet-dgram=/e" },
	    NULL },
	{ "rootlesskit", { E, "--mtu", "65520", "--host-ip", "0.0.0.0" },
	    NULL },
	{ "linuxkit", { "--ethernet", "fd:3", "--vsock-path", "/s/connect",
	    "--port", "fd:4" }, NULL },
	{ "wsl", { E, "--gateway-ip", "10.0.0.1", "--host-ip=10.0.0.2",
	    "--lowest-ip=10.0.0.3", "--highest-ip=10.0.0.3",
	    "--port-max-idle-time", "-1" }, NULL },
	{ "repeatable twice", { E, "--port=/a", "--port=/b" }, NULL },
	{ "old flags", { E, "--db", "/db", "--branch=x",
	    "--log-destination=asl", "--gc-compact-interval", "5" }, NULL },
	{ "prefix --dhcp", { E, "--dhcp", "/f" }, NULL },
	{ "prefix --eth is the original's", { "--eth", "/e" }, NULL },
	{ "prefix of a new name", { "--ethernet-q", "/e" }, NULL },
	{ "prefix --lo is the original's", { E, "--lo=192.168.65.9" }, NULL },
	{ "exact --http among longer", { E, "--http=/f" }, NULL },
	{ "exact --hosts among longer", { E, "--hosts=" }, NULL },
	{ "static forwards", { E, "--tcpv4-forwards",
	    "8888:127.0.0.1:8888,9:10.0.0.1:99", "--udpv4-forwards=" }, NULL },
	{ "lists with blanks", { E, "--host-names", " a, b ,,c",
	    "--allowed-bind-addresses= 1.2.3.4 ,0.0.0.0" }, NULL },
	{ "help and rubbish", { "-h", "--rubbish" }, NULL },
	{ "help=plain", { "--help=plain" }, NULL },
	{ "version", { "--version" }, NULL },

	{ "nothing", { NULL }, "Please provide an --ethernet argument" },
	{ "unknown", { E, "--rubbish" }, "unknown option '--rubbish'" },
	{ "unknown with value", { E, "--x=1" }, "unknown option '--x'" },
	{ "no name", { E, "--=1" }, "unknown option '--'" },
	{ "only dashes", { E, "--" }, "unexpected argument '--'" },
	{ "short", { E, "-v" }, "unknown option '-v'" },
	{ "only one dash", { E, "-" }, "unexpected argument '-'" },
	{ "positional", { E, "foo" }, "unexpected argument 'foo'" },
	{ "ambiguous", { E, "--host=1" }, "ambiguous: --host-ip --host-names "
	    "--hosts" },
	{ "ambiguous in new names", { E, "--c" }, "ambiguous" },
	{ "twice", { E, E }, "--ethernet is given twice" },
	{ "twice by prefix", { E, "--mtu=1500", "--mt=1500" },
	    "--mtu is given twice" },
	{ "flag twice", { E, "--debug", "--debug" },
	    "--debug is given twice" },
	{ "flag with value", { E, "--debug=1" }, "--debug takes no value" },
	{ "no value at the end", { "--ethernet" }, "--ethernet needs" },
	{ "no value before a flag", { E, "--mtu", "--debug" },
	    "--mtu needs a value" },
	{ "mtu too small", { E, "--mtu=575" }, "--mtu" },
	{ "mtu too large", { E, "--mtu=65522" }, "--mtu" },
	{ "mtu not a number", { E, "--mtu=1k" }, "--mtu" },
	{ "mtu empty", { E, "--mtu=" }, "--mtu" },
	{ "bad gateway", { E, "--gateway-ip=1.2.3" }, "--gateway-ip" },
	{ "IPv6 gateway", { E, "--gateway-ip=::1" }, "--gateway-ip" },
	{ "gateway 0.0.0.0", { E, "--gateway-ip=0.0.0.0" }, "--gateway-ip" },
	{ "loopback lowest", { E, "--lowest-ip=127.0.0.1" }, "--lowest-ip" },
	{ "multicast highest", { E, "--highest-ip=224.0.0.1" },
	    "--highest-ip" },
	{ "bad host", { E, "--host-ip=x" }, "--host-ip" },
	{ "host is gateway", { E, "--host-ip=192.168.65.1" }, "--host-ip" },
	{ "range upside down", { E, "--lowest-ip=192.168.65.9",
	    "--highest-ip=192.168.65.8" }, "--lowest-ip" },
	{ "bad MAC", { E, "--server-macaddr=1:2" }, "--server-macaddr" },
	{ "multicast MAC", { E, "--server-macaddr=01:00:5e:00:00:01" },
	    "--server-macaddr" },
	{ "zero MAC", { E, "--server-macaddr=00:00:00:00:00:00" },
	    "--server-macaddr" },
	{ "empty ethernet", { "--ethernet=" }, "--ethernet" },
	{ "empty dhcp-path", { E, "--dhcp-path=" }, "--dhcp-path" },
	{ "unknown scheme", { "--ethernet=tcp://x" }, "unknown scheme" },
	{ "bad vsock", { "--ethernet=vsock://x:1" }, "vsock" },
	{ "bad tunnel protocol", { E, "--tunnel-protocol=http" },
	    "--tunnel-protocol" },
	{ "tunnel protocol", { E, "--tunnel-protocol", "2017" }, NULL },
	{ "bad port URL", { E, "--port=fd:x" }, "--port" },
	{ "forward without port", { E, "--tcpv4-forwards=1:1.2.3.4" },
	    "--tcpv4-forwards" },
	{ "forward of port 0", { E, "--udpv4-forwards=0:1.2.3.4:5" },
	    "--udpv4-forwards" },
	{ "forward to a name", { E, "--udpv4-forwards=1:host:5" },
	    "--udpv4-forwards" },
	{ "bad bind address", { E, "--allowed-bind-addresses=0.0.0.0,x" },
	    "--allowed-bind-addresses" },
	{ "negative limit", { E, "--max-connections=-1" },
	    "--max-connections" },
};
/* clang-format on */

START_TEST(line)
{
	struct options op;
	int r;

	r = parse(&op, cases[_i].args);
	ck_assert_msg((r == -1) == (cases[_i].err != NULL), "%s: %d %s",
	    cases[_i].what, r, err);
	if (r == -1) {
		ck_assert_msg(strstr(err, cases[_i].err) != NULL, "%s: %s",
		    cases[_i].what, err);
		ck_assert_ptr_null(strchr(err, '\n'));
	}
	options_fini(&op);
}
END_TEST

/* Cutting a good line short anywhere must not crash, whatever it says. */
START_TEST(prefixes)
{
	struct guard g = guard_new(256);
	const char *arg = cases[_i].args[0];
	const char *args[2] = { NULL, NULL };
	char buf[256];
	struct options op;
	size_t n;

	for (n = 0; arg != NULL && n < strlen(arg); n++) {
		memcpy(buf, arg, n);
		buf[n] = '\0';
		args[0] = guard_put(&g, buf, n + 1);
		parse(&op, args);
		options_fini(&op);
	}
	guard_free(&g);
}
END_TEST

START_TEST(defaults)
{
	const char *const args[] = { E, NULL };
	char buf[IPADDR_STRLEN], mac[MACADDR_STRLEN];
	struct options op;
	size_t row = 0;

	ck_assert_int_eq(parse(&op, args), 0);
	ck_assert_str_eq(op.ethernet, "/tmp/e");
	ck_assert_int_eq(op.mtu, 1500);
	ck_assert_str_eq(ipaddr_str(&op.gateway_ip, buf), "192.168.65.1");
	ck_assert_str_eq(ipaddr_str(&op.host_ip, buf), "192.168.65.2");
	ck_assert_str_eq(ipaddr_str(&op.lowest_ip, buf), "192.168.65.3");
	ck_assert_str_eq(ipaddr_str(&op.highest_ip, buf), "192.168.65.254");
	ck_assert_str_eq(macaddr_str(&op.server_mac, mac), "f6:16:36:bc:f9:c6");
	ck_assert_uint_eq(op.host_names.n, 1);
	ck_assert_str_eq(op.host_names.v[0], "host.internal");
	ck_assert_str_eq(op.gateway_names.v[0], "gateway.internal");
	ck_assert_str_eq(op.vm_names.v[0], "vm.internal");
	ck_assert_int_eq(op.max_connections, -1);
	ck_assert_ptr_null(op.dhcp_path);
	ck_assert_ptr_null(op.domain);
	ck_assert(!op.debug && !op.check);
	/* A default is nothing to warn of. */
	ck_assert_ptr_null(options_note(&op, &row, err));
	options_fini(&op);
}
END_TEST

START_TEST(lists)
{
	const char *const args[] = { E, "--host-names", " a, b ,,c,",
		"--vm-names=", NULL };
	struct options op;

	ck_assert_int_eq(parse(&op, args), 0);
	ck_assert_uint_eq(op.host_names.n, 3);
	ck_assert_str_eq(op.host_names.v[0], "a");
	ck_assert_str_eq(op.host_names.v[1], "b");
	ck_assert_str_eq(op.host_names.v[2], "c");
	ck_assert_uint_eq(op.vm_names.n, 0);
	options_fini(&op);
}
END_TEST

START_TEST(too_many_names)
{
	const char *args[] = { E, "--host-names", NULL, NULL };
	char list[2 * OPTIONS_NAMES + 2];
	struct options op;
	size_t i;

	for (i = 0; i <= OPTIONS_NAMES; i++)
		memcpy(list + 2 * i, "a,", 2);
	list[2 * OPTIONS_NAMES + 1] = '\0';
	args[2] = list;
	ck_assert_int_eq(parse(&op, args), -1);
	options_fini(&op);
	list[2 * OPTIONS_NAMES - 1] = '\0';
	ck_assert_int_eq(parse(&op, args), 0);
	ck_assert_uint_eq(op.host_names.n, OPTIONS_NAMES);
	options_fini(&op);
}
END_TEST

START_TEST(notes)
{
	const char *const args[] = { E, "--db=x", "--port-max-idle-time=7",
		"--hosts=/etc/hosts", "--mtu=1400", NULL };
	struct options op;
	size_t row = 0;

	ck_assert_int_eq(parse(&op, args), 0);
	ck_assert_str_eq(options_note(&op, &row, err),
	    "--db: has no meaning any more, ignored");
	ck_assert_str_eq(options_note(&op, &row, err),
	    "--port-max-idle-time: has no meaning any more, ignored");
	ck_assert_ptr_null(options_note(&op, &row, err));
	options_fini(&op);
}
END_TEST

/* clang-format off */
static const struct {
	const char *what;
	const char *name, *value;
	int ret;
} files[] = {
	{ "number",		"mtu",		"1400",	0 },
	{ "loses to the line",	"domain",	"file",	0 },
	{ "flag",		"debug",	"true",	0 },
	{ "flag off",		"check",	"false", 0 },
	{ "first of a list",	"host-names",	"a",	0 },
	{ "second of a list",	"host-names",	"b,c",	0 },
	{ "number again",	"mtu",		"1400",	-1 },
	{ "bad number",		"pcap-snaplen",	"x",	-1 },
	{ "bad flag",		"check",	"1",	-1 },
	{ "unknown",		"rubbish",	"1",	-1 },
	{ "no prefixes here",	"gateway-i",	"1.2.3.4", -1 },
	{ "config in config",	"config",	"/x",	-1 },
	{ "help in config",	"help",		"true",	-1 },
};
/* clang-format on */

START_TEST(file)
{
	char *argv[] = { err, (char *)(uintptr_t)E,
		(char *)(uintptr_t) "--domain=line" };
	struct options op;
	size_t i;

	options_init(&op);
	ck_assert_int_eq(options_parse(&op, 3, argv, err), 0);
	for (i = 0; i < nitems(files); i++)
		ck_assert_msg(options_file(&op, files[i].name, files[i].value,
				  err) == files[i].ret,
		    "%s: %s", files[i].what, err);
	ck_assert_int_eq(options_finish(&op, err), 0);
	ck_assert_int_eq(op.mtu, 1400);
	ck_assert_str_eq(op.domain, "line");
	ck_assert(op.debug && !op.check);
	ck_assert_uint_eq(op.host_names.n, 3);
	options_fini(&op);
}
END_TEST

/* Every flag is in the help, in lines of at most 80 columns. */
START_TEST(help)
{
	char *text = NULL, *p, *nl;
	size_t len;
	FILE *f;

	ck_assert_ptr_nonnull(f = open_memstream(&text, &len));
	options_help(f);
	fclose(f);
	for (p = text; (nl = strchr(p, '\n')) != NULL; p = nl + 1)
		ck_assert_int_le((int)(nl - p), 80);
	ck_assert_str_eq(p, "");
	ck_assert_ptr_nonnull(strstr(text, "--ethernet URL"));
	ck_assert_ptr_nonnull(strstr(text, "--port-max-idle-time SECONDS"));
	ck_assert_ptr_nonnull(strstr(text, "(default 192.168.65.1)"));
	free(text);
}
END_TEST

#define LONG107                                                                \
	"/2345678901234567890123456789012345678901234567890"                   \
	"12345678901234567890123456789012345678901234567890"                   \
	"1234567"

/* clang-format off */
static const struct {
	const char *what;
	const char *text;
	int ret;
	enum url_kind kind;
	int fd;
	uint32_t cid, port;
} urls[] = {
	{ "path",		"/a/b",		0, URL_PATH, -1, 0, 0 },
	{ "relative path",	"sock",		0, URL_PATH, -1, 0, 0 },
	{ "longest path",	LONG107,	0, URL_PATH, -1, 0, 0 },
	{ "fd",			"fd:3",		0, URL_FD, 3, 0, 0 },
	{ "any CID",		"vsock://:12",	0, URL_VSOCK, -1,
	    URL_CID_ANY, 12 },
	{ "a CID",		"vsock://3:12",	0, URL_VSOCK, -1, 3, 12 },
	{ "listen",		"hyperv-listen://vm/svc", 0, URL_HYPERV, -1,
	    0, 0 },
	{ "launchd",		"launchd:ethernet", 0, URL_LAUNCHD, -1, 0, 0 },
	{ "launchd's nothing",	"launchd:", -1, 0, 0, 0, 0 },
	{ "connect",		"hyperv-connect://vm", 0, URL_HYPERV, -1, 0,
	    0 },
	{ "hvsock",		"hvsock://vm/svc", 0, URL_HYPERV, -1, 0, 0 },

	{ "empty",		"",		-1, 0, 0, 0, 0 },
	{ "path too long",	LONG107 "8",	-1, 0, 0, 0, 0 },
	{ "no fd",		"fd:",		-1, 0, 0, 0, 0 },
	{ "negative fd",	"fd:-1",	-1, 0, 0, 0, 0 },
	{ "blank fd",		"fd: 3",	-1, 0, 0, 0, 0 },
	{ "huge fd",		"fd:4294967296", -1, 0, 0, 0, 0 },
	{ "no port",		"vsock://3:",	-1, 0, 0, 0, 0 },
	{ "no colon",		"vsock://3",	-1, 0, 0, 0, 0 },
	{ "huge port",		"vsock://:4294967296", -1, 0, 0, 0, 0 },
	{ "long CID",		"vsock://11111111111111111:1", -1, 0, 0, 0,
	    0 },
	{ "no VM",		"hyperv-listen:///svc", -1, 0, 0, 0, 0 },
	{ "unknown scheme",	"http://x",	-1, 0, 0, 0, 0 },
};
/* clang-format on */

START_TEST(url)
{
	const char *why = NULL;
	struct url u;

	ck_assert_msg(url_parse(urls[_i].text, &u, &why) == urls[_i].ret,
	    "%s: %s", urls[_i].what, why);
	if (urls[_i].ret == -1) {
		ck_assert_ptr_nonnull(why);
		return;
	}
	ck_assert_int_eq(u.kind, urls[_i].kind);
	ck_assert_int_eq(u.fd, urls[_i].fd);
	ck_assert_uint_eq(u.cid, urls[_i].cid);
	ck_assert_uint_eq(u.port, urls[_i].port);
	if (u.kind == URL_PATH)
		ck_assert_str_eq(u.path, urls[_i].text);
}
END_TEST

/* Every beginning of every text, ending at a page that cannot be read. */
START_TEST(url_prefixes)
{
	struct guard g = guard_new(256);
	char buf[256];
	const char *why;
	struct url u;
	size_t n;

	for (n = 0; n <= strlen(urls[_i].text); n++) {
		memcpy(buf, urls[_i].text, n);
		buf[n] = '\0';
		url_parse(guard_put(&g, buf, n + 1), &u, &why);
	}
	guard_free(&g);
}
END_TEST

/* clang-format off */
static const struct {
	const char *text;
	int ret;
	uint16_t port;
} tcps[] = {
	{ "127.0.0.1:9100", 1, 9100 },
	{ "[::1]:9100", 1, 9100 },
	{ "/run/metrics", 0, 0 },
	{ "metrics.sock", 0, 0 },
	{ "./a:9100", 0, 0 },
	{ "fd:3", 0, 0 },
	{ "0.0.0.0:9100", -1, 0 },
	{ "[::]:9100", -1, 0 },
	{ "::1:9100", -1, 0 },
	{ "localhost:9100", -1, 0 },
	{ ":9100", -1, 0 },
	{ "127.0.0.1:", -1, 0 },
	{ "127.0.0.1:0", -1, 0 },
	{ "127.0.0.1:65536", -1, 0 },
	{ "127.0.0.1:+1", -1, 0 },
	{ "[127.0.0.1:9100", -1, 0 },
};
/* clang-format on */

START_TEST(test_tcp)
{
	const char *why = NULL;
	uint16_t port = 0;
	struct ipaddr a;

	ck_assert_msg(
	    url_tcp(tcps[_i].text, &a, &port, &why) == tcps[_i].ret, "%s",
	    tcps[_i].text);
	if (tcps[_i].ret == 1)
		ck_assert_uint_eq(port, tcps[_i].port);
	if (tcps[_i].ret == -1)
		ck_assert_ptr_nonnull(why);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("options");

	tcase_add_loop_test(tc, line, 0, nitems(cases));
	tcase_add_loop_test(tc, prefixes, 0, nitems(cases));
	tcase_add_test(tc, defaults);
	tcase_add_test(tc, lists);
	tcase_add_test(tc, too_many_names);
	tcase_add_test(tc, notes);
	tcase_add_test(tc, file);
	tcase_add_test(tc, help);
	tcase_add_loop_test(tc, url, 0, nitems(urls));
	tcase_add_loop_test(tc, url_prefixes, 0, nitems(urls));
	tcase_add_loop_test(tc, test_tcp, 0, nitems(tcps));
	return check_case("options", tc);
}
