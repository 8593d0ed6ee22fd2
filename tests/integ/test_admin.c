/*
 * Clients of the admin socket that lie, flood, never read or never end:
 * each costs at most its own connection and what one answer costs, and the
 * others are served meanwhile.
 *
 *	test_admin .../vpnkit
 */

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/check_main.h"

#include "common/ipc.h"
#include "suite.h"

#define TIMEOUT	   120
#define WAIT_MS	   120000
#define STUCK_MS   300 /* for so long nothing was taken: it will not be */
#define SETTLE_MS  120000
#define MAXCLIENTS 16 /* ADMIN_MAXCLIENTS of vpnkit/admin.h */
#define HEAD	   8

#ifdef __SANITIZE_ADDRESS__
#define SLACK_KB 131072 /* what was freed is kept for a while */
#else
#define SLACK_KB 8192
#endif

static const char *exe;
static struct suite suite;
static struct suite_usage before;

static int
dial(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s.admin", suite.sock);
	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return fd;
}

static size_t
frame(uint8_t *out, size_t claim, const char *text)
{
	size_t len = strlen(text);

	memset(out, 0, HEAD);
	out[0] = (uint8_t)claim;
	out[1] = (uint8_t)(claim >> 8);
	out[2] = (uint8_t)(claim >> 16);
	out[3] = (uint8_t)(claim >> 24);
	memcpy(out + HEAD, text, len);
	return HEAD + len;
}

/* All of it; false: the other end is closed. */
static bool
get_all(int fd, void *buf, size_t len)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint8_t *to = buf;
	ssize_t n;

	while (len > 0) {
		ck_assert_int_eq(poll(&p, 1, WAIT_MS), 1);
		n = read(fd, to, len);
		if (n <= 0)
			return false;
		to += n;
		len -= (size_t)n;
	}
	return true;
}

/* The next message's text; false: the other end is closed. */
static bool
get_text(int fd, char *text, size_t size)
{
	uint8_t head[HEAD];
	size_t len;

	if (!get_all(fd, head, sizeof(head)))
		return false;
	len = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16;
	ck_assert_uint_lt(len, size);
	text[len] = '\0';
	return get_all(fd, text, len);
}

/* Whatever comes before the end; it has to come. */
static void
expect_end(int fd)
{
	char text[4096];

	while (get_text(fd, text, sizeof(text)))
		continue;
	close(fd);
}

/* A client that knows how is answered. */
static void
served(void)
{
	char text[4096];
	uint8_t out[256];
	size_t len;
	int fd = dial();

	ck_assert(get_text(fd, text, sizeof(text)));
	ck_assert_ptr_nonnull(strstr(text, "\"admin-hello\""));
	len = frame(out, 31, "{\"msg\":\"status-next\",\"after\":0}");
	ck_assert_int_eq(write(fd, out, len), (ssize_t)len);
	ck_assert(get_text(fd, text, sizeof(text)));
	ck_assert_ptr_nonnull(strstr(text, "\"status-process\""));
	close(fd);
}

/* Nothing is left, nothing was restarted, and nothing grew. */
static void
nothing_left(void)
{
	struct suite_usage u;

	ck_assert_int_eq(suite_settle(&suite, &before, SETTLE_MS, &u), 0);
	ck_assert_int_lt(u.rss_kb, before.rss_kb + SLACK_KB);
	ck_assert_int_eq(suite_log_count(&suite, "again"), 0);
	served();
}

static void
start(void)
{
	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(suite_start(&suite, exe, NULL), 0);
	served();
	suite_usage_steady(&suite, &before);
}

static void
stop(void)
{
	ck_assert_int_eq(suite_stop(&suite), 0);
}

START_TEST(test_mode)
{
	struct stat st;
	char path[128];
	int status, fd;
	char c;
	pid_t pid;

	snprintf(path, sizeof(path), "%s.admin", suite.sock);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	if (geteuid() != 0)
		return; /* nobody else can be played */
	ck_assert_int_eq(chmod(suite.dir, 0711), 0);
	ck_assert_int_eq(chmod(path, 0666), 0);
	if ((pid = fork()) == 0) {
		if (setuid(65534) == -1)
			_exit(2);
		fd = dial();
		/* The end, and no hello before it. */
		_exit(read(fd, &c, 1) == 0 ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(chmod(path, 0600), 0);
	ck_assert_int_eq(
	    suite_log_count(&suite, "admin socket: user 65534 is refused"), 1);
	nothing_left();
}
END_TEST

START_TEST(test_garbage)
{
	uint8_t buf[4096];
	unsigned seed = 1;
	size_t i, k;
	int fd;

	for (i = 1; i <= 50; i++) {
		for (k = 0; k < sizeof(buf); k++) {
			seed = seed * 1664525 + 1013904223;
			buf[k] = (uint8_t)(seed >> 24);
		}
		buf[3] |= 1; /* a length that is never allowed */
		fd = dial();
		(void)send(fd, buf, i * 80, MSG_NOSIGNAL);
		expect_end(fd);
	}
	nothing_left();
}
END_TEST

static const struct {
	const char *what;
	size_t claim; /* 0: as long as it is */
	const char *text;
} lies[] = {
	{ "longer than any", IPC_MAXLEN + 1, "{" },
	{ "endless", 0xffffffff, "{" },
	{ "no JSON", 0, "status-next" },
	{ "no object", 0, "[\"status-next\"]" },
	{ "no name", 0, "{\"after\":0}" },
	{ "unknown", 0, "{\"msg\":\"frobnicate\"}" },
	{ "a field too few", 0, "{\"msg\":\"status-next\"}" },
	{ "a field too many", 0,
	    "{\"msg\":\"status-next\",\"after\":0,\"x\":1}" },
	{ "another type", 0, "{\"msg\":\"status-next\",\"after\":\"0\"}" },
	{ "below zero", 0, "{\"msg\":\"status-next\",\"after\":-1}" },
	{ "not for clients", 0, "{\"msg\":\"admin-hello\",\"version\":\"1\"}" },
	{ "only a daemon may", 0, "{\"msg\":\"ready\",\"sandbox\":[]}" },
};

START_TEST(test_lies)
{
	uint8_t out[256];
	size_t len, claim;
	int fd = dial();

	claim = lies[_i].claim;
	len = frame(
	    out, claim != 0 ? claim : strlen(lies[_i].text), lies[_i].text);
	ck_assert_int_eq(write(fd, out, len), (ssize_t)len);
	expect_end(fd);
	nothing_left();
}
END_TEST

/* As deep as a message is long, and descriptors where none belong. */
START_TEST(test_deep)
{
	static char text[IPC_MAXLEN + 1];
	static uint8_t out[HEAD + IPC_MAXLEN];
	int fd = dial();

	memset(text, '[', IPC_MAXLEN);
	frame(out, IPC_MAXLEN, text);
	(void)send(fd, out, sizeof(out), MSG_NOSIGNAL);
	expect_end(fd);
	nothing_left();
}
END_TEST

START_TEST(test_descriptors)
{
	static const char text[] = "{\"msg\":\"status-next\",\"after\":0}";
	uint8_t out[256];
	struct iovec iov = { out, frame(out, sizeof(text) - 1, text) };
	char ctl[CMSG_SPACE(sizeof(int))] = { 0 };
	struct msghdr mh = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = ctl,
		.msg_controllen = sizeof(ctl) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
	int i, fd;

	out[4] = 1;
	for (i = 0; i < 100; i++) {
		fd = dial();
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
		ck_assert_int_eq(
		    sendmsg(fd, &mh, MSG_NOSIGNAL), (ssize_t)iov.iov_len);
		expect_end(fd);
	}
	nothing_left();
}
END_TEST

/* Messages that are begun and never end hold nobody up. */
START_TEST(test_unfinished)
{
	static char text[IPC_MAXLEN];
	static uint8_t out[HEAD + IPC_MAXLEN];
	int fd[MAXCLIENTS - 1];
	size_t i, len;

	memset(text, ' ', sizeof(text) - 1);
	len = frame(out, IPC_MAXLEN, text);
	for (i = 0; i < nitems(fd); i++) {
		fd[i] = dial();
		ck_assert_int_eq(write(fd[i], out, len), (ssize_t)len);
	}
	served();
	for (i = 0; i < nitems(fd); i++)
		close(fd[i]);
	nothing_left();
}
END_TEST

/* More clients than there may be: the others wait for nothing. */
START_TEST(test_crowd)
{
	int fd[MAXCLIENTS], more;
	char text[4096];
	size_t i;

	for (i = 0; i < nitems(fd); i++) {
		fd[i] = dial();
		ck_assert(get_text(fd[i], text, sizeof(text)));
	}
	more = dial();
	ck_assert(!get_text(more, text, sizeof(text)));
	close(more);
	for (i = 0; i < nitems(fd); i++)
		close(fd[i]);
	nothing_left();
}
END_TEST

/* Writes requests until nothing more is taken; how many, and of the last one
 * how much. */
static size_t
flood(int fd, const uint8_t *req, size_t len, size_t *part)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	size_t done = 0;
	ssize_t n;

	while (poll(&p, 1, STUCK_MS) == 1) {
		n = send(fd, req + done % len, len - done % len,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			continue;
		ck_assert_int_gt(n, 0);
		done += (size_t)n;
		ck_assert_uint_lt(done, 64u << 20);
	}
	*part = done % len;
	return done / len;
}

/*
 * Who asks and asks and reads nothing is not read any more, so that what
 * waits for him is bounded; when he reads, he gets all of his answers.
 */
START_TEST(test_never_reads)
{
	struct suite_usage u;
	uint8_t req[256];
	char text[4096];
	size_t len, n, part, i;
	int fd = dial();

	len = frame(req, 31, "{\"msg\":\"status-next\",\"after\":1}");
	n = flood(fd, req, len, &part);
	ck_assert_uint_gt(n, 100);
	suite_usage(&suite, &u);
	ck_assert_int_lt(u.rss_kb, before.rss_kb + SLACK_KB);
	served();
	ck_assert(get_text(fd, text, sizeof(text)));
	ck_assert_ptr_nonnull(strstr(text, "\"admin-hello\""));
	for (i = 0; i < n; i++) {
		ck_assert(get_text(fd, text, sizeof(text)));
		ck_assert_ptr_nonnull(strstr(text, "\"status-process\""));
	}
	close(fd);
	nothing_left();
}
END_TEST

/* The same, and then he dies with all of it unread. */
START_TEST(test_dies)
{
	uint8_t req[256];
	size_t len, part;
	int i, fd;

	len = frame(req, 31, "{\"msg\":\"status-next\",\"after\":1}");
	for (i = 0; i < 5; i++) {
		fd = dial();
		flood(fd, req, len, &part);
		close(fd);
	}
	nothing_left();
}
END_TEST

static Suite *
admin_suite(void)
{
	Suite *s = suite_create("admin");
	TCase *tc = tcase_create("clients");

	tcase_add_unchecked_fixture(tc, start, stop);
	tcase_set_timeout(tc, TIMEOUT);
	tcase_add_test(tc, test_mode);
	tcase_add_test(tc, test_garbage);
	tcase_add_loop_test(tc, test_lies, 0, (int)nitems(lies));
	tcase_add_test(tc, test_deep);
	tcase_add_test(tc, test_descriptors);
	tcase_add_test(tc, test_unfinished);
	tcase_add_test(tc, test_crowd);
	tcase_add_test(tc, test_never_reads);
	tcase_add_test(tc, test_dies);
	suite_add_tcase(s, tc);
	return s;
}

int
main(int argc, char *argv[])
{
	if (argc != 2) {
		fprintf(stderr, "usage: test_admin VPNKIT\n");
		return EXIT_FAILURE;
	}
	exe = argv[1];
	return check_suite(admin_suite());
}
