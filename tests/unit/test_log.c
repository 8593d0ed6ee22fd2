#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/logkind.h"
#include "tests/check_main.h"

/* What the log says goes into this pipe; each test is a process of its own. */
static int out[2];
static char got[65536];

static void
setup(void)
{
	ck_assert_int_eq(pipe(out), 0);
	ck_assert_int_eq(fcntl(out[0], F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_eq(dup2(out[1], STDERR_FILENO), STDERR_FILENO);
	log_init("testd");
}

static const char *
said(void)
{
	ssize_t n = read(out[0], got, sizeof(got) - 1);

	got[n > 0 ? n : 0] = '\0';
	return got;
}

/* The line behind the time, which must look like one. */
static const char *
untimed(const char *line)
{
	static const char like[] = "[dddd-dd-ddTdd:dd:dd.dddddddddZ]";
	size_t i;

	for (i = 0; i < sizeof(like) - 1; i++) {
		if (like[i] == 'd')
			ck_assert_msg(
			    line[i] >= '0' && line[i] <= '9', "%s", line);
		else
			ck_assert_msg(line[i] == like[i], "%s", line);
	}
	return line + i;
}

START_TEST(test_levels)
{
	log_info("%d apples", 3);
	ck_assert_str_eq(untimed(said()), "[vpnkit][info] testd: 3 apples\n");
	log_warnx("rotten");
	ck_assert_str_eq(untimed(said()), "[vpnkit][warning] testd: rotten\n");
	errno = ENOENT;
	log_warn("no %s", "pears");
	ck_assert_str_eq(untimed(said()),
	    "[vpnkit][warning] testd: no pears: No such file or directory\n");
	log_debug("unseen");
	ck_assert_str_eq(said(), "");
	log_set_level(LOG_LVL_DEBUG);
	ck_assert_int_eq(log_get_level(), LOG_LVL_DEBUG);
	log_debug("seen");
	ck_assert_str_eq(untimed(said()), "[vpnkit][debug] testd: seen\n");
	log_set_level(LOG_LVL_ERROR);
	log_warnx("unseen");
	ck_assert_str_eq(said(), "");
}
END_TEST

START_TEST(test_errno_lives)
{
	errno = EXDEV;
	log_info("x");
	ck_assert_int_eq(errno, EXDEV);
}
END_TEST

static const struct {
	const char *what, *in, *out;
} escapes[] = {
	{ "plain", "a b~", "a b~" },
	{ "newline", "a\n[fake]", "a\\x0a[fake]" },
	{ "terminal", "\033[2J\r", "\\x1b[2J\\x0d" },
	{ "backslash", "a\\x0a", "a\\\\x0a" },
	{ "high", "\xff\x7f", "\\xff\\x7f" },
	{ "empty", "", "" },
};

START_TEST(test_escape)
{
	char want[128];

	log_info("%s", escapes[_i].in);
	snprintf(
	    want, sizeof(want), "[vpnkit][info] testd: %s\n", escapes[_i].out);
	ck_assert_msg(strcmp(untimed(said()), want) == 0, "%s: %s",
	    escapes[_i].what, got);
}
END_TEST

/* A line of any text is one line that a pipe takes whole. */
START_TEST(test_long)
{
	static char text[10000];
	const char *s;

	memset(text, _i == 0 ? 'x' : '\1', sizeof(text) - 1);
	log_info("%s", text);
	s = said();
	ck_assert_uint_le(strlen(s), 4096);
	ck_assert_uint_ge(strlen(s), 2000);
	ck_assert_ptr_eq(strchr(s, '\n'), s + strlen(s) - 1);
}
END_TEST

/*
 * A full pipe stops nobody: lines are dropped whole and counted, and the
 * number is said once before the next line that goes through.
 */
START_TEST(test_full)
{
	unsigned long long dropped = 0;
	size_t len, total;
	const char *s;
	int i;

	log_set_level(LOG_LVL_DEBUG); /* which is not limited */
	ck_assert_int_ge(fcntl(out[1], F_SETPIPE_SZ, 16384), 0);
	log_debug("line");
	len = strlen(said());
	for (i = 0; i < 1000; i++)
		log_debug("line");
	total = strlen(said());
	ck_assert_uint_gt(total, 0);
	ck_assert_uint_eq(total % len, 0);
	log_info("after");
	s = untimed(said());
	ck_assert_int_eq(sscanf(s,
			     "[vpnkit][warning] testd: %llu bytes of logs "
			     "dropped\n",
			     &dropped),
	    1);
	ck_assert_uint_eq(dropped, 1000 * len - total);
	s = untimed(strchr(s, '\n') + 1);
	ck_assert_str_eq(s, "[vpnkit][info] testd: after\n");
	log_info("quiet");
	ck_assert_str_eq(untimed(said()), "[vpnkit][info] testd: quiet\n");
}
END_TEST

static void
owing(void *arg)
{
	++*(int *)arg;
}

/* One line says what was left out of a flood; other lines go on. */
START_TEST(test_flood)
{
	int i, called = 0, n = 0;
	const char *s;

	log_on_owing(owing, &called);
	for (i = 0; i < 1000; i++)
		log_info("flood %d", i);
	for (s = said(); (s = strchr(s, '\n')) != NULL; s++)
		n++;
	ck_assert_int_eq(n, LOGKIND_BURST);
	ck_assert_int_eq(called, 1);
	log_info("another");
	ck_assert_str_eq(untimed(said()), "[vpnkit][info] testd: another\n");
	ck_assert(log_flush()); /* its period is not over */
	ck_assert_str_eq(said(), "");
	log_report("asked for");
	ck_assert_str_eq(untimed(said()), "[vpnkit][info] testd: asked for\n");
}
END_TEST

static int
sink(void *arg, enum log_level level, const char *text)
{
	snprintf(got, sizeof(got), "%d %s", (int)level, text);
	return *(int *)arg;
}

/* A sink gets the text alone; what it cannot take goes to stderr. */
START_TEST(test_sink)
{
	int ret = 0;

	log_set_sink(sink, &ret);
	log_warnx("odd \033 text");
	ck_assert_str_eq(got, "1 odd \\x1b text");
	ck_assert_str_eq(said(), "");
	ret = -1;
	log_info("back");
	ck_assert_str_eq(untimed(said()), "[vpnkit][info] testd: back\n");
}
END_TEST

START_TEST(test_fatal)
{
	/* Exits with 1, which is what this test is registered with. */
	fatalx("the end");
}
END_TEST

START_TEST(test_closed)
{
	close(STDERR_FILENO);
	log_info("into the void");
}
END_TEST

START_TEST(test_rate)
{
	struct log_rate r = { 0 };
	unsigned missed = 99;
	usec_t now = 5 * USEC_SEC;

	ck_assert(log_rate_ok(&r, now, &missed));
	ck_assert_uint_eq(missed, 0);
	ck_assert(!log_rate_ok(&r, now, &missed));
	ck_assert(!log_rate_ok(&r, now + LOG_RATE_PERIOD - 1, &missed));
	ck_assert(log_rate_ok(&r, now + LOG_RATE_PERIOD, &missed));
	ck_assert_uint_eq(missed, 2);
	ck_assert(log_rate_ok(&r, now + 2 * LOG_RATE_PERIOD, &missed));
	ck_assert_uint_eq(missed, 0);
}
END_TEST

int
main(void)
{
	TCase *t = tcase_create("log");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, test_levels);
	tcase_add_test(t, test_errno_lives);
	tcase_add_loop_test(t, test_escape, 0, nitems(escapes));
	tcase_add_loop_test(t, test_long, 0, 2);
	tcase_add_test(t, test_full);
	tcase_add_test(t, test_flood);
	tcase_add_test(t, test_sink);
	tcase_add_exit_test(t, test_fatal, 1);
	tcase_add_test(t, test_closed);
	tcase_add_test(t, test_rate);
	return check_case("log", t);
}
