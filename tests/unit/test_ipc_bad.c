/* A bus link whose peer, or whose owner, does something wrong. */

#include "tests/check_main.h"

#include "guard.h"
#include "ipc_pair.h"

static const struct {
	const char *what, *text;
	unsigned head_nfd, nfd; /* as the header says, as really sent */
	const char *why;
} bad[] = {
	{ "garbage", "garbage", 0, 0, "not JSON" },
	{ "empty text", "", 0, 0, "not JSON" },
	{ "cut short", "{\"msg\":\"flow-fd\",\"id\":", 0, 0, "not JSON" },
	{ "junk behind", GOOD " x", 0, 0, "not JSON" },
	{ "two objects", GOOD GOOD, 0, 0, "not JSON" },
	{ "duplicate key", "{\"msg\":\"flow-fd\",\"id\":5,\"id\":5}", 1, 1,
	    "not JSON" },
	{ "duplicate name",
	    "{\"msg\":\"flow-fd\",\"msg\":\"flow-fd\",\"id\":5}", 1, 1,
	    "not JSON" },
	{ "zero byte", "{\"msg\":\"flow-fd\\u0000\",\"id\":5}", 1, 1,
	    "not JSON" },
	{ "bad utf-8", "{\"msg\":\"\xff\",\"id\":5}", 0, 0, "not JSON" },
	{ "huge number", "{\"msg\":\"flow-fd\",\"id\":99999999999999999999}", 1,
	    1, "not JSON" },
	{ "array", "[]", 0, 0, "not an object" },
	{ "no name", "{}", 0, 0, "no message name" },
	{ "unknown", "{\"msg\":\"x\"}", 0, 0, "unknown message" },
	{ "field missing", "{\"msg\":\"flow-fd\"}", 1, 1,
	    "flow-fd: missing field" },
	{ "field too many", "{\"msg\":\"flow-fd\",\"id\":5,\"x\":1}", 1, 1,
	    "flow-fd: unknown field" },
	{ "out of range", "{\"msg\":\"flow-fd\",\"id\":-1}", 1, 1,
	    "flow-fd: number out of range" },
	{ "not from portd", "{\"msg\":\"flow-close\",\"id\":5}", 0, 0,
	    "flow-close: wrong sender" },
	{ "not to the stack", "{\"msg\":\"sock-fd\",\"id\":5}", 1, 1,
	    "sock-fd: wrong receiver" },
	{ "no descriptor", GOOD_FD, 0, 0, "flow-fd: too few descriptors" },
	{ "two descriptors", GOOD_FD, 2, 2, "flow-fd: too many descriptors" },
	{ "one where none is", GOOD, 1, 1,
	    "flow-refused: too many descriptors" },
	{ "descriptor missing", GOOD_FD, 1, 0, "descriptors missing" },
	{ "one of two missing", GOOD_FD, 2, 1, "descriptors missing" },
	{ "too many for any", GOOD_FD, IPC_MAXFDS + 1, 1,
	    "too many descriptors" },
	{ "more than are read", GOOD_FD, 1, IPC_MAXFDS + 1,
	    "descriptors lost" },
};

/* The link is cut, once; what came behind the violation is not looked at. */
START_TEST(test_violation)
{
	link_stack();
	raw_frame(bad[_i].text, bad[_i].head_nfd, bad[_i].nfd);
	raw_frame(GOOD, 0, 0);
	turns(3);
	ck_assert_msg(
	    strcmp(a.why, bad[_i].why) == 0, "%s: %s", bad[_i].what, a.why);
	ck_assert_uint_eq(a.ngone, 1);
	ck_assert_uint_eq(a.nmsg, 0);
	ck_assert_int_eq(send_id(a.ipc, IPC_FLOW_CLOSE, 1), -1);
}
END_TEST

/* Descriptors that no frame asks for are noticed behind a good message. */
START_TEST(test_surplus)
{
	link_stack();
	raw_frame(GOOD_FD, 1, 2);
	turns(2);
	ck_assert_uint_eq(a.nmsg, 1);
	ck_assert_uint_eq(a.ngone, 1);
	ck_assert_str_eq(a.why, "descriptors of no message");
}
END_TEST

/* More of them than it announces, or fewer, for the frames that follow. */
START_TEST(test_announced)
{
	uint8_t buf[256];
	size_t n = frame_ahead(buf, sizeof(buf), GOOD_FD, 1, 2);
	unsigned came = (unsigned)_i + 2;

	link_stack();
	raw_send(buf, n, came);
	turns(2);
	ck_assert_uint_eq(a.nmsg, came >= 3);
	ck_assert_uint_eq(a.ngone, came != 3);
	ck_assert_str_eq(a.why, came == 2   ? "descriptors missing"
				: came == 4 ? "descriptors of no message"
					    : "");
	if (came != 3)
		return;
	/* The next frame has none left for later ones. */
	raw_frame(GOOD_FD, 1, 0);
	turns(2);
	ck_assert_uint_eq(a.nmsg, 2);
	ck_assert_str_eq(a.why, "descriptors of no message");
}
END_TEST

/* So are those that come drop by drop inside one frame. */
START_TEST(test_surplus_slowly)
{
	uint8_t buf[256];
	size_t i, n;

	link_stack();
	n = frame(buf, sizeof(buf), GOOD_FD, 1);
	for (i = 0; i < n && a.ngone == 0; i++) {
		raw_send(buf + i, 1, 60);
		turns(2);
	}
	ck_assert_uint_eq(i, 2);
	ck_assert_str_eq(a.why, "descriptors of no message");
	ck_assert_uint_eq(a.nmsg, 0);
}
END_TEST

START_TEST(test_out_of_descriptors)
{
	struct rlimit was, none;

	link_stack();
	raw_frame(GOOD_FD, 1, 1);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = was;
	none.rlim_cur = 0;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	turns(2);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &was), 0);
	ck_assert_uint_eq(a.nmsg, 0);
	/* Our fault, not the sender's. */
	ck_assert_str_eq(a.why, ipc_no_room);
}
END_TEST

static const struct {
	const char *what;
	uint8_t head[IPC_HDRLEN];
	int ret;
	const char *why;
} heads[] = {
	{ "empty", { 0 }, 0, NULL },
	{ "little-endian", { 1, 2 }, 0, NULL },
	{ "longest", { 0, 0, IPC_MAXLEN >> 16, 0, IPC_MAXFDS }, 0, NULL },
	{ "one more", { 1, 0, IPC_MAXLEN >> 16 }, -1, "message too long" },
	{ "huge", { 0xff, 0xff, 0xff, 0xff }, -1, "message too long" },
	{ "fds", { 0, 0, 0, 0, IPC_MAXFDS + 1 }, -1, "too many descriptors" },
	{ "ahead", { 2, 0, 0, 0, 1, IPC_MAXFDS - 1 }, 0, NULL },
	{ "one more ahead", { 2, 0, 0, 0, 1, IPC_MAXFDS }, -1,
	    "too many descriptors" },
	{ "first zero", { 2, 0, 0, 0, 0, 0, 1 }, -1, "bad header" },
	{ "last zero", { 2, 0, 0, 0, 0, 0, 0, 1 }, -1, "bad header" },
};

START_TEST(test_head)
{
	struct guard g = guard_new(IPC_HDRLEN);
	struct ipc_frame f;
	const char *why;
	size_t n;

	for (n = 0; n < IPC_HDRLEN; n++)
		ck_assert_int_eq(
		    ipc_frame_head(
			guard_put(&g, heads[_i].head, n), n, &f, &why),
		    -2);
	ck_assert_int_eq(
	    ipc_frame_head(guard_put(&g, heads[_i].head, n), n, &f, &why),
	    heads[_i].ret);
	if (heads[_i].why != NULL)
		ck_assert_str_eq(why, heads[_i].why);
	else
		ck_assert_uint_eq(f.len, heads[_i].head[0] +
					     heads[_i].head[1] * 256u +
					     heads[_i].head[2] * 65536u);
	guard_free(&g);
}
END_TEST

/* A bad header is refused before its message has come. */
START_TEST(test_bad_head)
{
	link_stack();
	raw_send(heads[_i].head, IPC_HDRLEN, heads[_i].head[4] != 0);
	turns(2);
	if (heads[_i].ret == -1)
		ck_assert_str_eq(a.why, heads[_i].why);
}
END_TEST

/* The peer dies: after every possible number of bytes of a message. */
START_TEST(test_eof)
{
	uint8_t buf[256];
	size_t n = frame(buf, sizeof(buf), GOOD_FD, 1);
	size_t i;

	for (i = 0; i <= n; i++) {
		link_stack();
		if (i > 0)
			raw_send(buf, i, 1);
		close(raw);
		raw = -1;
		turns(3);
		ck_assert_uint_eq(a.ngone, 1);
		ck_assert_str_eq(a.why, "-");
		ck_assert_uint_eq(a.nmsg, i == n);
		ck_assert_int_eq(send_id(a.ipc, IPC_FLOW_CLOSE, 1), -1);
		ipc_free(a.ipc);
		memset(&a, 0, sizeof(a));
	}
}
END_TEST

/* Descriptors that wait to be sent are closed when their link is cut. */
START_TEST(test_queued_fds_closed)
{
	ino_t ino;
	int fd, i;

	link_both();
	for (i = 0; i < 200; i++) {
		fd = new_file(&ino);
		ck_assert_int_eq(
		    ipc_send(b.ipc, IPC_FLOW_FD, &fd, 1, "{s:i}", "id", i), 0);
	}
	/* Cut by a violation before any of them was written. */
	ck_assert_int_eq(
	    write(ipc_fd(a.ipc), "\377\377\377\377\0\0\0\0", 8), 8);
	ipc_free(a.ipc);
	a.ipc = NULL;
	turns(3);
	ck_assert_str_eq(b.why, "message too long");
	ipc_free(b.ipc);
	b.ipc = NULL;
	ck_assert_int_eq(count_fds(), fds_before);
}
END_TEST

/* Our own mistakes are refused, cost the link nothing, and leak nothing. */
START_TEST(test_own_bugs)
{
	int fd[2], before;
	ino_t ino;

	link_both();
	before = count_fds();
	ck_assert_int_eq(send_id(a.ipc, IPC_FLOW_REFUSED, 1), -1);
	ck_assert_int_eq(send_id(a.ipc, IPC_READY, 1), -1);
	ck_assert_int_eq(ipc_send(a.ipc, IPC_FLOW_CLOSE, NULL, 0, NULL), -1);
	ck_assert_int_eq(
	    ipc_send(a.ipc, IPC_FLOW_CLOSE, NULL, 0, "{s:s}", "id", "1"), -1);
	ck_assert_int_eq(
	    ipc_send(a.ipc, IPC_FLOW_CLOSE, NULL, 0, "{s:i}", "id", -1), -1);
	ck_assert_int_eq(ipc_send(b.ipc, IPC_FLOW_REFUSED, NULL, 0, "{s:i s:s}",
			     "id", 1, "error", "\xff"),
	    -1);
	fd[0] = new_file(&ino);
	fd[1] = new_file(&ino);
	ck_assert_int_eq(
	    ipc_send(b.ipc, IPC_FLOW_FD, fd, 2, "{s:i}", "id", 1), -1);
	fd[0] = -1;
	ck_assert_int_eq(
	    ipc_send(b.ipc, IPC_FLOW_FD, fd, 1, "{s:i}", "id", 1), -1);
	ck_assert_int_eq(
	    ipc_send(b.ipc, IPC_FLOW_FD, NULL, 0, "{s:i}", "id", 1), -1);
	ck_assert_int_eq(count_fds(), before);
	ck_assert_int_eq(send_id(a.ipc, IPC_FLOW_CLOSE, 1), 0);
	turns(2);
	ck_assert_uint_eq(b.nmsg, 1);
	ck_assert_uint_eq(a.nmsg, 0);
	ck_assert_uint_eq(a.ngone + b.ngone, 0);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_loop_test(t, test_violation, 0, nitems(bad));
	tcase_add_test(t, test_surplus);
	tcase_add_loop_test(t, test_announced, 0, 3);
	tcase_add_test(t, test_surplus_slowly);
	tcase_add_test(t, test_out_of_descriptors);
	tcase_add_loop_test(t, test_head, 0, nitems(heads));
	tcase_add_loop_test(t, test_bad_head, 0, nitems(heads));
	tcase_add_test(t, test_eof);
	tcase_add_test(t, test_queued_fds_closed);
	tcase_add_test(t, test_own_bugs);
}

int
main(void)
{
	TCase *t = tcase_create("ipc_bad");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	add_tests(t);
	return check_case("ipc_bad", t);
}
