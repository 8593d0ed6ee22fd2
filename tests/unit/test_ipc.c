/* A bus link that works: order, descriptors, limits, its end. */

#include "tests/check_main.h"

#include "ipc_pair.h"

START_TEST(test_properties)
{
	int x;

	link_stack();
	ck_assert_int_eq(ipc_peer(a.ipc), ROLE_PORT);
	ck_assert_uint_eq(ipc_vm(a.ipc), 7);
	ck_assert_ptr_eq(ipc_data(a.ipc), &a);
	ipc_set_data(a.ipc, &x);
	ck_assert_ptr_eq(ipc_data(a.ipc), &x);
	ck_assert_int_ge(ipc_fd(a.ipc), 0);
	ck_assert_uint_eq(ipc_queued(a.ipc), 0);
	ipc_free(NULL);
}
END_TEST

/* Messages of one turn leave at its end, together, and arrive in order. */
START_TEST(test_in_order)
{
	unsigned i;

	link_both();
	for (i = 1; i <= 100; i++)
		ck_assert_int_eq(send_id(a.ipc, IPC_FLOW_CLOSE, i), 0);
	ck_assert_uint_gt(ipc_queued(a.ipc), 100 * IPC_HDRLEN);
	turns(2);
	ck_assert_uint_eq(ipc_queued(a.ipc), 0);
	ck_assert_uint_eq(b.nmsg, 100);
	ck_assert(b.in_order);
	ck_assert_uint_eq(a.ngone + b.ngone, 0);
}
END_TEST

/* What nobody waits for leaves with what somebody does, in order, or soon. */
START_TEST(test_lazy)
{
	link_both();
	ck_assert_int_eq(
	    ipc_send_lazy(a.ipc, IPC_FLOW_CLOSE, "{s:I}", "id", (json_int_t)1),
	    0);
	ck_assert_uint_eq(b.nmsg, 0);
	ck_assert_int_eq(send_id(a.ipc, IPC_FLOW_CLOSE, 2), 0);
	turns(2);
	ck_assert_uint_eq(b.nmsg, 2);
	ck_assert_int_eq(
	    ipc_send_lazy(a.ipc, IPC_FLOW_CLOSE, "{s:I}", "id", (json_int_t)3),
	    0);
	while (b.nmsg < 3)
		ev_run(loop, EVRUN_ONCE);
	ck_assert(b.in_order);
	ck_assert_uint_eq(ipc_queued(a.ipc), 0);
}
END_TEST

/* An answer from a handler goes out in the same turn. */
START_TEST(test_answer)
{
	static const char text[] = "{\"msg\":\"flow-close\",\"id\":5}";
	uint8_t buf[256];
	struct ipc_frame f;
	const char *why;
	ssize_t n;

	link_stack();
	a.answer = true;
	raw_frame(GOOD, 0, 0);
	turns(1);
	n = read(raw, buf, sizeof(buf));
	ck_assert_int_eq(n, IPC_HDRLEN + sizeof(text) - 1);
	ck_assert_int_eq(ipc_frame_head(buf, (size_t)n, &f, &why), 0);
	ck_assert_uint_eq(f.len, sizeof(text) - 1);
	ck_assert_uint_eq(f.nfd, 0);
	ck_assert_mem_eq(buf + IPC_HDRLEN, text, f.len);
}
END_TEST

static const struct {
	const char *what, *text;
} texts[] = {
	{ "plain", "ECONNREFUSED" },
	{ "quotes", "a\"b\\c/" },
	{ "control", "\001\n\t\x7f" },
	{ "utf-8", "gr\xc3\xbc\xc3\x9f" },
	{ "one byte", "x" },
};

/* Strings that need escapes arrive as they were. */
START_TEST(test_text)
{
	link_both();
	ck_assert_int_eq(ipc_send(b.ipc, IPC_FLOW_REFUSED, NULL, 0, "{s:i s:s}",
			     "id", 1, "error", texts[_i].text),
	    0);
	turns(2);
	ck_assert_msg(strcmp(a.text, texts[_i].text) == 0, "%s: %s",
	    texts[_i].what, a.text);
}
END_TEST

/* Many frames with and without descriptors: each gets its own, in order. */
START_TEST(test_fds_in_order)
{
	ino_t ino[300];
	unsigned i, id = 0;
	int fd;

	link_both();
	for (i = 0; i < 300; i++) {
		fd = new_file(&ino[i]);
		ck_assert_int_eq(
		    ipc_send(b.ipc, IPC_FLOW_FD, &fd, 1, "{s:i}", "id", ++id),
		    0);
		if (i % 3 == 0)
			ck_assert_int_eq(
			    ipc_send(b.ipc, IPC_FLOW_REFUSED, NULL, 0,
				"{s:i s:s}", "id", ++id, "error", "EPERM"),
			    0);
	}
	while (a.nmsg < id) {
		i = a.nmsg;
		turns(1);
		ck_assert(a.nmsg > i || ipc_queued(b.ipc) == 0);
		ck_assert_uint_eq(a.ngone + b.ngone, 0);
	}
	ck_assert(a.in_order);
	ck_assert_uint_eq(a.nino, 300);
	for (i = 0; i < 300; i++)
		ck_assert_uint_eq(a.ino[i], ino[i]);
}
END_TEST

/* Frames with several descriptors, the most that one can have among them. */
START_TEST(test_many_fds)
{
	ino_t ino[2 * IPC_MAXFDS];
	int fd[2 * IPC_MAXFDS];
	size_t i;

	link_a(ROLE_DNS, ROLE_PORT);
	link_b(ROLE_PORT, ROLE_DNS);
	for (i = 0; i < 2 * IPC_MAXFDS; i++)
		fd[i] = new_file(&ino[i]);
	ck_assert_int_eq(
	    ipc_send(b.ipc, IPC_SOCK_FD, fd, 3, "{s:i}", "id", 1), 0);
	ck_assert_int_eq(
	    ipc_send(b.ipc, IPC_SOCK_FD, fd + 3, IPC_MAXFDS, "{s:i}", "id", 2),
	    0);
	ck_assert_int_eq(ipc_send(b.ipc, IPC_SOCK_FD, fd + 3 + IPC_MAXFDS,
			     IPC_MAXFDS - 3, "{s:i}", "id", 3),
	    0);
	turns(4);
	ck_assert_uint_eq(a.nmsg, 3);
	ck_assert_uint_eq(a.nino, 2 * IPC_MAXFDS);
	for (i = 0; i < 2 * IPC_MAXFDS; i++)
		ck_assert_uint_eq(a.ino[i], ino[i]);
}
END_TEST

/* The same when every byte comes alone. */
START_TEST(test_byte_by_byte)
{
	uint8_t buf[1024];
	size_t i, n, first[3], len = 0;

	link_stack();
	for (i = 0; i < 3; i++) {
		first[i] = len;
		n = frame(buf + len, sizeof(buf) - len, i == 1 ? GOOD : GOOD_FD,
		    i == 1 ? 0 : 1);
		len += n;
	}
	for (i = 0; i < len; i++) {
		raw_send(buf + i, 1, i == first[0] || i == first[2]);
		turns(1);
		ck_assert_uint_eq(a.ngone, 0);
		ck_assert_uint_eq(a.nmsg,
		    i + 1 == len ? 3
				 : (i + 1 >= first[1]) + (i + 1 >= first[2]));
	}
	ck_assert_uint_eq(a.nino, 2);
}
END_TEST

/* What a turn has said is one write, with the descriptors of all its frames. */
START_TEST(test_fds_together)
{
	char ctl[CMSG_SPACE(IPC_MAXFDS * sizeof(int))];
	uint8_t buf[4096];
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr mh = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = ctl,
		.msg_controllen = sizeof(ctl) };
	struct ipc_frame f;
	const char *why;
	size_t at = 0;
	ssize_t n;
	int i;

	link_a(ROLE_PORT, ROLE_STACK);
	for (i = 0; i < 5; i++)
		answer_fd(a.ipc, 1);
	turns(2);
	ck_assert_int_gt(n = recvmsg(raw, &mh, 0), 0);
	ck_assert_uint_eq(
	    CMSG_FIRSTHDR(&mh)->cmsg_len, CMSG_LEN(5 * sizeof(int)));
	for (i = 0; i < 5; i++) {
		ck_assert_int_eq(
		    ipc_frame_head(buf + at, (size_t)n - at, &f, &why), 0);
		ck_assert_uint_eq(f.nfd, 1);
		ck_assert_uint_eq(f.ahead, 4 - i);
		at += IPC_HDRLEN + f.len;
		close(((int *)(void *)CMSG_DATA(CMSG_FIRSTHDR(&mh)))[i]);
	}
	ck_assert_int_eq(n, (ssize_t)at);
	ck_assert_int_eq(recv(raw, buf, sizeof(buf), 0), -1);
}
END_TEST

#define RUN_FRAMES 4

static void
queue_frames(struct ipc_queue *q)
{
	struct ipc_val val[IPC_MAXFIELDS] = { { .kind = V_INT, .i = 5 } };
	int i, fd;

	for (i = 0; i < RUN_FRAMES; i++) {
		ck_assert_int_ge(fd = dup(null_fd), 0);
		ck_assert_ptr_null(ipc_queue_push(q, IPC_FLOW_FD, val, &fd, 1));
	}
}

/* A write that takes a part, any part, has taken all the descriptors. */
START_TEST(test_run_in_part)
{
	uint8_t all[1024];
	struct ipc_queue q = { .buf = NULL };
	struct ipc_run run;
	size_t part, len;

	for (part = 1, len = 2; part < len; part++) {
		queue_frames(&q);
		run = ipc_queue_next(&q);
		ck_assert_uint_eq(run.nfd, RUN_FRAMES);
		len = run.len;
		ck_assert_uint_eq(ipc_queue_bytes(&q), len);
		memcpy(all, run.p, len);
		ipc_queue_wrote(&q, &run, part);
		ck_assert_uint_eq(ipc_queue_fds(&q), 0);
		/* What is said later has to wait for a write of its own. */
		queue_frames(&q);
		run = ipc_queue_next(&q);
		ck_assert_uint_eq(run.nfd, 0);
		ck_assert_uint_eq(run.len, len - part);
		ck_assert_mem_eq(run.p, all + part, run.len);
		ipc_queue_wrote(&q, &run, run.len);
		run = ipc_queue_next(&q);
		ck_assert_uint_eq(run.nfd, RUN_FRAMES);
		ck_assert_uint_eq(run.len, len);
		ck_assert_mem_eq(run.p, all, len);
		ipc_queue_wrote(&q, &run, run.len);
		ck_assert_uint_eq(ipc_queue_bytes(&q), 0);
	}
	ipc_queue_fini(&q);
}
END_TEST

/* Several frames whose descriptors have come with the first, byte by byte. */
START_TEST(test_ahead_byte_by_byte)
{
	uint8_t buf[1024];
	size_t i, len = 0;

	link_stack();
	len += frame_ahead(buf, sizeof(buf), GOOD_FD, 1, 1);
	len += frame_ahead(buf + len, sizeof(buf) - len, GOOD, 0, 1);
	len += frame_ahead(buf + len, sizeof(buf) - len, GOOD_FD, 1, 0);
	for (i = 0; i < len; i++) {
		raw_send(buf + i, 1, i == 0 ? 2 : 0);
		turns(1);
		ck_assert_uint_eq(a.ngone, 0);
	}
	ck_assert_uint_eq(a.nmsg, 3);
	ck_assert_uint_eq(a.nino, 2);
}
END_TEST

/* A whole burst in one read: plain frames before and behind one with fds. */
START_TEST(test_coalesced)
{
	uint8_t buf[4096];
	size_t i, len = 0;

	link_stack();
	for (i = 0; i < 5; i++)
		len += frame(buf + len, sizeof(buf) - len, GOOD, 0);
	raw_send(buf, len, 0);
	len = frame(buf, sizeof(buf), GOOD_FD, 1);
	for (i = 0; i < 5; i++)
		len += frame(buf + len, sizeof(buf) - len, GOOD, 0);
	raw_send(buf, len, 1);
	turns(2);
	ck_assert_uint_eq(a.nmsg, 11);
	ck_assert_uint_eq(a.nino, 1);
	ck_assert_uint_eq(a.ngone, 0);
}
END_TEST

/* What the peer said before it went is heard though writing fails first. */
START_TEST(test_last_words)
{
	link_stack();
	raw_frame(GOOD, 0, 0);
	close(raw);
	raw = -1;
	ck_assert_int_eq(send_id(a.ipc, IPC_FLOW_CLOSE, 1), 0);
	turns(3);
	ck_assert_uint_eq(a.nmsg, 1);
	ck_assert_uint_eq(a.ngone, 1);
	ck_assert_str_eq(a.why, "-");
}
END_TEST

/* What was queued when a link is freed is still written. */
START_TEST(test_own_last_words)
{
	link_both();
	ck_assert_int_eq(send_id(a.ipc, IPC_FLOW_CLOSE, 1), 0);
	ipc_free(a.ipc);
	a.ipc = NULL;
	turns(3);
	ck_assert_uint_eq(b.nmsg, 1);
	ck_assert_uint_eq(b.ngone, 1);
	ck_assert_str_eq(b.why, "-");
}
END_TEST

/* A handler frees its link with messages and descriptors still to come. */
START_TEST(test_free_in_handler)
{
	unsigned i;

	link_stack();
	a.free_at = 3;
	a.answer = true;
	for (i = 0; i < 3; i++) {
		raw_frame(GOOD, 0, 0);
		raw_frame(GOOD_FD, 1, 1);
	}
	turns(3);
	ck_assert_ptr_null(a.ipc);
	ck_assert_uint_eq(a.nmsg, 3);
	ck_assert_uint_eq(a.ngone, 0);
}
END_TEST

START_TEST(test_free_in_gone)
{
	link_stack();
	a.free_in_gone = true;
	raw_frame("garbage", 0, 0);
	turns(3);
	ck_assert_ptr_null(a.ipc);
	ck_assert_uint_eq(a.ngone, 1);
}
END_TEST

/* Nobody is told of a link that its owner has freed after it was cut. */
START_TEST(test_free_before_gone)
{
	link_stack();
	while (send_id(a.ipc, IPC_FLOW_CLOSE, 1) == 0)
		;
	ipc_free(a.ipc);
	a.ipc = NULL;
	turns(2);
	ck_assert_uint_eq(a.ngone, 0);
}
END_TEST

/* A peer that does not read is cut, and the owner told from the loop. */
START_TEST(test_queue_limit)
{
	unsigned i = 0;

	link_stack();
	while (send_id(a.ipc, IPC_FLOW_CLOSE, 1) == 0) {
		ck_assert_uint_le(ipc_queued(a.ipc), IPC_MAXQUEUE + 64);
		if (++i % 1000 == 0)
			turns(1);
	}
	ck_assert_uint_gt(i, IPC_MAXQUEUE / 64);
	ck_assert_uint_eq(a.ngone, 0);
	ck_assert_int_eq(send_id(a.ipc, IPC_FLOW_CLOSE, 1), -1);
	turns(2);
	ck_assert_uint_eq(a.ngone, 1);
	ck_assert_str_eq(a.why, "does not read its messages");
}
END_TEST

/* Far more than the socket holds arrives when the peer begins to read. */
START_TEST(test_blocked)
{
	unsigned i, before;

	link_stack();
	for (i = 1; i <= 20000; i++) {
		ck_assert_int_eq(send_id(a.ipc, IPC_FLOW_CLOSE, i), 0);
		if (i % 5000 == 0)
			turns(1);
	}
	ck_assert_uint_gt(ipc_queued(a.ipc), 200000);
	link_b(ROLE_PORT, ROLE_STACK);
	while (b.nmsg < 20000) {
		before = b.nmsg;
		turns(1);
		ck_assert_uint_gt(b.nmsg, before);
	}
	ck_assert(b.in_order);
	ck_assert_uint_eq(ipc_queued(a.ipc), 0);
	ck_assert_uint_eq(a.ngone + b.ngone, 0);
}
END_TEST

/*
 * A peer that asks and does not read its answers is not read either: it costs
 * few descriptors, and gets every answer when it begins to read.
 */
START_TEST(test_hold)
{
	uint8_t buf[256];
	char text[64];
	unsigned i = 0;
	size_t n;

	link_a(ROLE_PORT, ROLE_STACK);
	ipc_hold(a.ipc);
	a.answer_fd = true;
	for (;;) {
		snprintf(text, sizeof(text),
		    "{\"msg\":\"flow-close\",\"id\":%u}", i + 1);
		n = frame(buf, sizeof(buf), text, 0);
		if (send(raw, buf, n, 0) == -1)
			break;
		if (++i % 100 == 0)
			turns(2);
		ck_assert_uint_lt(i, 100000);
	}
	ck_assert_int_lt(count_fds() - fds_before, 600);
	ck_assert_uint_lt(a.nmsg, i);
	link_b(ROLE_STACK, ROLE_PORT);
	while (b.nmsg < i) {
		n = b.nmsg;
		turns(2);
		ck_assert_uint_gt(b.nmsg, n);
	}
	ck_assert(a.in_order && b.in_order);
	ck_assert_uint_eq(a.ngone + b.ngone, 0);
}
END_TEST

/* A busy peer has a bounded share of a turn. */
START_TEST(test_fair)
{
	unsigned i, first;

	link_both();
	for (i = 1; i <= 3000; i++)
		ck_assert_int_eq(send_id(a.ipc, IPC_FLOW_CLOSE, i), 0);
	turns(1);
	while (b.nmsg == 0)
		turns(1);
	first = b.nmsg;
	ck_assert_uint_lt(first, 1000);
	turns(20);
	ck_assert_uint_eq(b.nmsg, 3000);
	ck_assert(b.in_order);
}
END_TEST

/* The longest message of the table, from and to the supervisor's side. */
START_TEST(test_long)
{
	json_t *names = json_array();
	char name[256];
	int i;

	memset(name, 'n', 255);
	name[255] = '\0';
	for (i = 0; i < 64; i++)
		json_array_append_new(names, json_string(name));
	link_a(ROLE_DNS, ROLE_MAIN);
	link_b(ROLE_MAIN, ROLE_DNS);
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(
		    ipc_send(b.ipc, IPC_CONF_DNS, NULL, 0,
			"{s:s s:s s:s s:O s:O s:O s:b s:i s:i}", "gateway-ip",
			"10.0.0.1", "host-ip", "10.0.0.2", "lowest-ip",
			"10.0.0.3", "gateway-names", names, "host-names", names,
			"vm-names", names, "in-turn", 1, "offline-after", 5,
			"network", 0),
		    0);
	json_decref(names);
	turns(30);
	ck_assert_uint_eq(a.ngone, 0);
	ck_assert_uint_eq(a.nmsg, 3);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, test_properties);
	tcase_add_test(t, test_in_order);
	tcase_add_test(t, test_lazy);
	tcase_add_test(t, test_answer);
	tcase_add_loop_test(t, test_text, 0, nitems(texts));
	tcase_add_test(t, test_fds_in_order);
	tcase_add_test(t, test_many_fds);
	tcase_add_test(t, test_byte_by_byte);
	tcase_add_test(t, test_ahead_byte_by_byte);
	tcase_add_test(t, test_fds_together);
	tcase_add_test(t, test_run_in_part);
	tcase_add_test(t, test_coalesced);
	tcase_add_test(t, test_last_words);
	tcase_add_test(t, test_own_last_words);
	tcase_add_test(t, test_free_in_handler);
	tcase_add_test(t, test_free_in_gone);
	tcase_add_test(t, test_free_before_gone);
	tcase_add_test(t, test_queue_limit);
	tcase_add_test(t, test_blocked);
	tcase_add_test(t, test_hold);
	tcase_add_test(t, test_fair);
	tcase_add_test(t, test_long);
}

int
main(void)
{
	TCase *t = tcase_create("ipc");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	add_tests(t);
	return check_case("ipc", t);
}
