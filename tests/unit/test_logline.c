/*
 * Lines of daemons on their way to journald and syslog, also those of one that
 * was taken over.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/guard.h"
#include "vpnkit/logline.h"
#include "tests/check_main.h"

#define HEAD "[2026-01-02T03:04:05.123456789Z][vpnkit]"

static char text[LOGLINE_MAX];

/* clang-format off */
static const struct {
	const char *what, *line;
	enum log_level level;
	const char *text;
} lines[] = {
	{ "an event", HEAD "[info] dnsd: 3 names", LOG_LVL_INFO, "3 names" },
	{ "error", HEAD "[error] dnsd: x", LOG_LVL_ERROR, "x" },
	{ "warning", HEAD "[warning] dnsd: x", LOG_LVL_WARN, "x" },
	{ "debug", HEAD "[debug] dnsd: x: y", LOG_LVL_DEBUG, "x: y" },
	{ "escaped already", HEAD "[info] d: \\x1b\\\\", LOG_LVL_INFO,
	    "\\x1b\\\\" },
	{ "of a library", "malloc(): corrupted", LOG_LVL_WARN,
	    "malloc(): corrupted" },
	{ "no such level", HEAD "[emerg] d: x", LOG_LVL_WARN,
	    HEAD "[emerg] d: x" },
	{ "no name", HEAD "[info] x", LOG_LVL_WARN, HEAD "[info] x" },
	{ "control characters", HEAD "[info] d: a\033[2J\nPRIORITY=0\r\x7f\xff",
	    LOG_LVL_INFO, "a\\x1b[2J\\x0aPRIORITY=0\\x0d\\x7f\\xff" },
	{ "nothing", "", LOG_LVL_WARN, "" },
	{ "brackets", "[[[", LOG_LVL_WARN, "[[[" },
};
/* clang-format on */

START_TEST(test_lines)
{
	struct guard g = guard_new(256);
	size_t len = strlen(lines[_i].line), n;

	ck_assert_int_eq(
	    logline_parse(guard_put(&g, lines[_i].line, len), len, text),
	    lines[_i].level);
	ck_assert_msg(
	    strcmp(text, lines[_i].text) == 0, "%s: %s", lines[_i].what, text);
	for (n = 0; n < len; n++)
		logline_parse(guard_put(&g, lines[_i].line, n), n, text);
	guard_free(&g);
}
END_TEST

START_TEST(test_long)
{
	static char line[2 * LOGLINE_MAX];

	memset(line, 1, sizeof(line));
	logline_parse(line, sizeof(line), text);
	ck_assert_uint_lt(strlen(text), sizeof(text));
	ck_assert_uint_gt(strlen(text), sizeof(text) - 8);
}
END_TEST

static const struct logfrom stack = { "netstackd-7", "netstackd", 7,
	"aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa", "192.168.65.9", 4242 };
static const struct logfrom dnsd = { "dnsd", "dnsd", 0, "", "", 43 };

START_TEST(test_records)
{
	char out[LOGLINE_RECORD];
	size_t n = logline_journal(&stack, LOG_LVL_WARN, "hello", out);

	ck_assert_uint_eq(n, strlen(out));
	ck_assert_str_eq(out,
	    "MESSAGE=netstackd-7: hello\nPRIORITY=4\nSYSLOG_FACILITY=3\n"
	    "SYSLOG_IDENTIFIER=vpnkit\nVPNKIT_DAEMON=netstackd-7\n"
	    "VPNKIT_ROLE=netstackd\nVPNKIT_PID=4242\nVPNKIT_VM=7\n"
	    "VPNKIT_VM_UUID=aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa\n"
	    "VPNKIT_VM_ADDRESS=192.168.65.9\n");
	logline_journal(&dnsd, LOG_LVL_DEBUG, "x", out);
	ck_assert_str_eq(out, "MESSAGE=dnsd: x\nPRIORITY=7\nSYSLOG_FACILITY=3\n"
			      "SYSLOG_IDENTIFIER=vpnkit\nVPNKIT_DAEMON=dnsd\n"
			      "VPNKIT_ROLE=dnsd\nVPNKIT_PID=43\n");
	n = logline_syslog(&dnsd, LOG_LVL_INFO, "Jan  2 03:04:05", "x", out);
	ck_assert_str_eq(out, "<30>Jan  2 03:04:05 vpnkit[43]: dnsd: x");
	ck_assert_uint_eq(n, strlen(out));
	/* The longest text with the longest of everything fits. */
	memset(text, '\1', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	n = logline_journal(&stack, LOG_LVL_WARN, text, out);
	ck_assert_str_eq(out + n - 13, "192.168.65.9\n");
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("logline");

	tcase_add_loop_test(
	    tc, test_lines, 0, sizeof(lines) / sizeof(lines[0]));
	tcase_add_test(tc, test_long);
	tcase_add_test(tc, test_records);
	return check_case("logline", tc);
}
