/*
 * netstackd's host side with real sockets on loopback.  The core is played by
 * this file: it records what it is told, and may act on it at once.
 */

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ev.h>

#include "common/plat/plat.h"
#include "netstackd/netstackd.h"
#include "tests/check_main.h"

#define NFLOW  16
#define MAXLOG 32

struct seen {
	char what; /* r, w or f */
	uint32_t id;
	enum net_error error;
};

/* What the hooks' arg leads to: hostio's struct, and what was recorded. */
struct fixture {
	struct stackd s; /* first: hooks and callbacks get this address */
	struct daemon d;
	struct seen log[MAXLOG];
	unsigned nlog;
	/* On the first event of any flow: close this one, or NFLOW. */
	uint32_t close_id;
	int reuse_fd; /* and put this in its place, or -1 */
};

static struct fixture fx;

static void
record(char what, uint32_t id, enum net_error error)
{
	ck_assert_uint_lt(fx.nlog, MAXLOG);
	fx.log[fx.nlog++] = (struct seen){ what, id, error };
	if (fx.close_id == NFLOW)
		return;
	hostio_close(&fx.s, fx.close_id, false);
	if (fx.reuse_fd != -1)
		ck_assert_int_eq(
		    hostio_add(&fx.s, fx.close_id, fx.reuse_fd, NET_DNS, false),
		    0);
	fx.close_id = NFLOW;
}

void
net_readable(struct net *net, usec_t now, uint32_t id)
{
	record('r', id, 0);
}

void
net_writable(struct net *net, usec_t now, uint32_t id)
{
	record('w', id, 0);
}

void
net_failed(struct net *net, usec_t now, uint32_t id, enum net_error e)
{
	record('f', id, e);
}

static void
setup(void)
{
	memset(&fx, 0, sizeof(fx));
	fx.d.loop = ev_loop_new(EVFLAG_AUTO);
	fx.s.d = &fx.d;
	fx.close_id = NFLOW;
	fx.reuse_fd = -1;
	ck_assert_int_eq(hostio_init(&fx.s, NFLOW), 0);
}

static void
teardown(void)
{
	hostio_fini(&fx.s);
	ev_loop_destroy(fx.d.loop);
}

/* Turns the loop until this was told of the flow; returns its error. */
static enum net_error
wait_for(char what, uint32_t id)
{
	unsigned i = 0;

	for (;;) {
		for (; i < fx.nlog; i++) {
			if (fx.log[i].what == what && fx.log[i].id == id)
				return fx.log[i].error;
		}
		ev_run(fx.d.loop, EVRUN_ONCE);
	}
}

static bool
told(char what, uint32_t id)
{
	unsigned i;

	for (i = 0; i < fx.nlog; i++) {
		if (fx.log[i].what == what && fx.log[i].id == id)
			return true;
	}
	return false;
}

/* A socket bound to a free port of 127.0.0.1. */
static int
bound(int type, struct sockaddr_in *in)
{
	socklen_t len = sizeof(*in);
	int fd;

	fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_ne(fd, -1);
	*in = (struct sockaddr_in){ .sin_family = AF_INET };
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)in, len), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)in, &len), 0);
	return fd;
}

static int
connected(int type, const struct sockaddr_in *in)
{
	int fd;

	fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_ne(fd, -1);
	if (connect(fd, (const struct sockaddr *)in, sizeof(*in)) == -1)
		ck_assert_int_eq(errno, EINPROGRESS);
	return fd;
}

/* Flow id is a connected TCP socket; returns the other end, blocking. */
static int
tcp_flow(uint32_t id)
{
	struct sockaddr_in in;
	int fd, lfd = bound(SOCK_STREAM, &in);

	ck_assert_int_eq(listen(lfd, 1), 0);
	ck_assert_int_eq(
	    hostio_add(&fx.s, id, connected(SOCK_STREAM, &in), NET_TCP, true),
	    0);
	wait_for('w', id);
	fd = accept(lfd, NULL, NULL);
	ck_assert_int_ne(fd, -1);
	close(lfd);
	fx.nlog = 0;
	return fd;
}

/* Bytes in the socket's receive queue. */
static int
read_waits(int fd)
{
	int n;

	ck_assert_int_eq(ioctl(fd, FIONREAD, &n), 0);
	return n;
}

static struct iovec
iov_of(const void *p, size_t len)
{
	return (struct iovec){ (void *)(uintptr_t)p, len };
}

START_TEST(connect_succeeds)
{
	int fd = tcp_flow(3);

	ck_assert(!told('f', 3));
	close(fd);
}
END_TEST

START_TEST(connect_refused)
{
	struct sockaddr_in in;
	int fd = bound(SOCK_STREAM, &in);

	ck_assert_int_eq(
	    hostio_add(&fx.s, 3, connected(SOCK_STREAM, &in), NET_TCP, true),
	    0);
	ck_assert_int_eq(wait_for('f', 3), NET_EREFUSED);
	ck_assert(!told('w', 3));
	close(fd);
}
END_TEST

START_TEST(stream_is_peeked_and_consumed)
{
	char buf[16] = { 0 };
	struct iovec iov = iov_of(buf, sizeof(buf));
	int fd = tcp_flow(0);

	ck_assert_int_eq(write(fd, "hello", 5), 5);
	wait_for('r', 0);
	ck_assert_int_eq(hostio_peek(&fx.s, 0, 0, &iov, 1), 5);
	ck_assert_int_eq(memcmp(buf, "hello", 5), 0);
	ck_assert_int_eq(hostio_peek(&fx.s, 0, 2, &iov, 1), 3);
	ck_assert_int_eq(memcmp(buf, "llo", 3), 0);
	hostio_consume(&fx.s, 0, 4);
	ck_assert_int_eq(hostio_peek(&fx.s, 0, 0, &iov, 1), 1);
	ck_assert_int_eq(buf[0], 'o');
	ck_assert_int_eq(hostio_peek(&fx.s, 0, 1, &iov, 1), -1);
	ck_assert_int_eq(errno, EAGAIN);
	fx.nlog = 0;
	close(fd);
	wait_for('r', 0);
	ck_assert_int_eq(hostio_peek(&fx.s, 0, 1, &iov, 1), 0);
}
END_TEST

/* Peeks stop at urgent data; what lies behind it comes all the same. */
START_TEST(stream_with_urgent_data)
{
	char buf[16] = { 0 };
	struct iovec iov;
	ssize_t n, off = 0;
	int on = 1, fd = tcp_flow(0);

	ck_assert_int_eq(setsockopt(fx.s.host.flow[0].fd, SOL_SOCKET,
			     SO_OOBINLINE, &on, sizeof(on)),
	    0);
	ck_assert_int_eq(write(fd, "abc", 3), 3);
	ck_assert_int_eq(send(fd, "d", 1, MSG_OOB), 1);
	ck_assert_int_eq(write(fd, "efg", 3), 3);
	/* After the last edge there is, all of it can be had. */
	while (read_waits(fx.s.host.flow[0].fd) < 7)
		continue;
	wait_for('r', 0);
	ev_run(fx.d.loop, EVRUN_NOWAIT);
	do {
		iov = iov_of(buf + off, sizeof(buf) - (size_t)off);
		n = hostio_peek(&fx.s, 0, (size_t)off, &iov, 1);
		off += n > 0 ? n : 0;
	} while (n > 0);
	ck_assert_int_eq(off, 7);
	ck_assert_int_eq(memcmp(buf, "abcdefg", 7), 0);
	hostio_consume(&fx.s, 0, 5);
	iov = iov_of(buf, sizeof(buf));
	ck_assert_int_eq(hostio_peek(&fx.s, 0, 0, &iov, 1), 2);
	ck_assert_int_eq(memcmp(buf, "fg", 2), 0);
	close(fd);
}
END_TEST

START_TEST(stream_is_written_and_shut)
{
	struct iovec iov[2] = { iov_of("ab", 2), iov_of("cd", 2) };
	char buf[16];
	int fd = tcp_flow(0);

	ck_assert_uint_gt(hostio_room(&fx.s, 0), 4);
	ck_assert_int_eq(hostio_write(&fx.s, 0, iov, 2), 4);
	hostio_shutdown(&fx.s, 0);
	ck_assert_int_eq(recv(fd, buf, 4, MSG_WAITALL), 4);
	ck_assert_int_eq(memcmp(buf, "abcd", 4), 0);
	ck_assert_int_eq(recv(fd, buf, 1, MSG_DONTWAIT), -1);
	hostio_settle(&fx.s);
	ck_assert_int_eq(read(fd, buf, sizeof(buf)), 0);
	close(fd);
}
END_TEST

/* The guest gets what came before the reset, and then the reset. */
START_TEST(data_then_reset)
{
	static const struct linger now = { 1, 0 };
	char c = 0;
	struct iovec iov = iov_of(&c, 1);
	int fd = tcp_flow(0);

	ck_assert_int_eq(write(fd, "x", 1), 1);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
	ck_assert_int_eq(wait_for('f', 0), NET_ERESET);
	/* The core was not told of an end that it might ask for before. */
	ck_assert_int_eq(fx.log[0].what, 'f');
	ck_assert_int_eq(hostio_peek(&fx.s, 0, 0, &iov, 1), 1);
	ck_assert_int_le(hostio_peek(&fx.s, 0, 1, &iov, 1), 0);
}
END_TEST

/* A call of ours took the error before its event came. */
START_TEST(reset_seen_by_a_call)
{
	static const struct linger now = { 1, 0 };
	char c = 0;
	struct iovec iov = iov_of(&c, 1);
	int fd = tcp_flow(0);

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
	if (_i == 0)
		ck_assert_int_eq(hostio_peek(&fx.s, 0, 0, &iov, 1), -1);
	else
		ck_assert_int_eq(hostio_write(&fx.s, 0, &iov, 1), -1);
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_eq(wait_for('f', 0), NET_ERESET);
}
END_TEST

/* The stream has ended before the reset: that end is one. */
START_TEST(reset_behind_the_end)
{
	char c = 0;
	struct iovec iov = iov_of(&c, 1);
	int fd = tcp_flow(0);

	ck_assert_int_eq(write(fd, "x", 1), 1);
	close(fd);
	ck_assert_int_eq(hostio_write(&fx.s, 0, &iov, 1), 1);
	ck_assert_int_eq(wait_for('f', 0), NET_EPIPE);
	ck_assert_int_eq(hostio_peek(&fx.s, 0, 0, &iov, 1), 1);
	ck_assert_int_eq(hostio_peek(&fx.s, 0, 1, &iov, 1), 0);
}
END_TEST

START_TEST(close_with_and_without_reset)
{
	char c;
	int fd = tcp_flow(0);

	hostio_close(&fx.s, 0, _i == 1);
	hostio_settle(&fx.s);
	if (_i == 1) {
		ck_assert_int_eq(read(fd, &c, 1), -1);
		ck_assert_int_eq(errno, ECONNRESET);
	} else {
		ck_assert_int_eq(read(fd, &c, 1), 0);
	}
	close(fd);
}
END_TEST

/*
 * Both flows have an event in the same batch, and the first one told closes
 * the other: that hears nothing more.
 */
START_TEST(event_of_a_closed_flow)
{
	int sv[2][2], i;

	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(plat_socketpair(SOCK_DGRAM, sv[i]), 0);
		ck_assert_int_eq(
		    hostio_add(&fx.s, (uint32_t)i, sv[i][0], NET_DNS, false),
		    0);
	}
	ck_assert_int_eq(write(sv[0][1], "a", 1), 1);
	ck_assert_int_eq(write(sv[1][1], "b", 1), 1);
	fx.close_id = 1;
	wait_for('r', 0);
	ck_assert(!told('r', 1));
	close(sv[0][1]);
	close(sv[1][1]);
}
END_TEST

/* The same, with the id in use again at once: the event is not the new one's.
 */
START_TEST(event_of_a_reused_id)
{
	int sv[3][2], i;

	for (i = 0; i < 3; i++)
		ck_assert_int_eq(plat_socketpair(SOCK_DGRAM, sv[i]), 0);
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(
		    hostio_add(&fx.s, (uint32_t)i, sv[i][0], NET_DNS, false),
		    0);
	ck_assert_int_eq(write(sv[0][1], "a", 1), 1);
	ck_assert_int_eq(write(sv[1][1], "b", 1), 1);
	fx.close_id = 1;
	fx.reuse_fd = sv[2][0];
	wait_for('r', 0);
	ck_assert(!told('r', 1));
	ck_assert_int_eq(write(sv[2][1], "c", 1), 1);
	wait_for('r', 1);
	for (i = 0; i < 3; i++)
		close(sv[i][1]);
}
END_TEST

static const struct {
	const char *what;
	int type;
	enum net_proto proto;
} pairs[] = {
	{ "stream", SOCK_STREAM, NET_TCP },
	{ "datagrams", SOCK_DGRAM, NET_DNS },
};

/* One byte for flow 0's other end; whether it was taken. */
static bool
pair_put(enum net_proto proto)
{
	struct iovec iov = iov_of("x", 1);
	struct net_dgram d = { .iov = { iov }, .niov = 1 };
	ssize_t n;

	n = proto == NET_TCP ? hostio_write(&fx.s, 0, &iov, 1)
			     : hostio_send(&fx.s, 0, &d, 1);
	ck_assert(n == 1 || (n == -1 && errno == EAGAIN));
	return n == 1;
}

/* What the other end reads is no news, but for who has met a full socket. */
START_TEST(room_is_told_to_who_waits)
{
	enum net_proto proto = pairs[_i].proto;
	char buf[4096];
	int sv[2], round;

	ck_assert_int_eq(plat_socketpair(pairs[_i].type, sv), 0);
	ck_assert_int_eq(hostio_add(&fx.s, 0, sv[0], proto, false), 0);
	for (round = 0; round < 2; round++) {
		ck_assert(pair_put(proto));
		ck_assert_int_eq(read(sv[1], buf, sizeof(buf)), 1);
		ev_run(fx.d.loop, EVRUN_NOWAIT);
		ck_assert_msg(fx.nlog == 0, "%s", pairs[_i].what);
		while (pair_put(proto))
			continue;
		ck_assert(!pair_put(proto));
		ev_run(fx.d.loop, EVRUN_NOWAIT);
		ck_assert_msg(fx.nlog == 0, "%s", pairs[_i].what);
		while (read(sv[1], buf, sizeof(buf)) > 0)
			continue;
		wait_for('w', 0);
		fx.nlog = 0;
	}
	close(sv[1]);
}
END_TEST

START_TEST(closed_flows_answer_nothing)
{
	struct iovec iov = iov_of("x", 1);
	struct net_dgram d = { .iov = { iov }, .niov = 1 };

	ck_assert_int_eq(hostio_write(&fx.s, 1, &iov, 1), -1);
	ck_assert_int_eq(hostio_send(&fx.s, 1, &d, 1), -1);
	ck_assert_int_eq(hostio_recv(&fx.s, NFLOW, &d, 1), -1);
	ck_assert_uint_eq(hostio_room(&fx.s, UINT32_MAX), 0);
	hostio_close(&fx.s, 1, true);
	hostio_consume(&fx.s, 1, 1);
	hostio_shutdown(&fx.s, 1);
}
END_TEST

/* clang-format off */
static const struct {
	const char *what;
	int n;
	size_t len[8];
	bool no_gso; /* the kernel refuses to cut on this socket */
} bursts[] = {
	{ "one",		  1, { 100 }, false },
	{ "equal",		  3, { 100, 100, 100 }, false },
	{ "last shorter",	  3, { 100, 100, 7 }, false },
	{ "last empty",		  3, { 100, 100, 0 }, false },
	{ "empty ones",		  2, { 0, 0 }, false },
	{ "a longer one behind",  5, { 100, 100, 200, 200, 50 }, false },
	{ "a shorter one within", 4, { 100, 50, 100, 100 }, false },
	{ "whole above a size",	  3, { 10, 10, 1000 }, false },
	{ "whole below a size",	  3, { 1000, 1000, 10 }, false },
	{ "more than one write",  5, { 20000, 20000, 20000, 20000, 20000 }, false },
	{ "the largest",	  1, { 65507 }, false },
	{ "no offload",		  4, { 100, 100, 100, 7 }, true },
	{ "no offload, mixed",	  5, { 100, 100, 200, 200, 50 }, true },
};
/* clang-format on */

START_TEST(bursts_arrive_as_they_were)
{
	static uint8_t out[65536], in[65536];
	struct net_dgram d[8] = { 0 };
	struct sockaddr_in to;
	int fd = bound(SOCK_DGRAM, &to), n, i, on = 1, big = 1 << 20;
	int sock = connected(SOCK_DGRAM, &to);

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &big, sizeof(big));
	if (bursts[_i].no_gso)
		setsockopt(sock, SOL_SOCKET, SO_NO_CHECK, &on, sizeof(on));
	ck_assert_int_eq(hostio_add(&fx.s, 2, sock, NET_UDP, false), 0);
	for (n = 0; n < bursts[_i].n; n++) {
		/* Two pieces, as a header and what follows. */
		d[n].iov[0] = iov_of(out, bursts[_i].len[n] / 2);
		d[n].iov[1] = iov_of(out + bursts[_i].len[n] / 2,
		    bursts[_i].len[n] - bursts[_i].len[n] / 2);
		d[n].niov = 2;
	}
	ck_assert_msg(hostio_send(&fx.s, 2, d, n) == n, "%s", bursts[_i].what);
	for (i = 0; i < n; i++)
		ck_assert_msg(recv(fd, in, sizeof(in), MSG_DONTWAIT) ==
				  (ssize_t)bursts[_i].len[i],
		    "%s: datagram %d", bursts[_i].what, i);
	ck_assert_int_eq(recv(fd, in, sizeof(in), MSG_DONTWAIT), -1);
	close(fd);
}
END_TEST

START_TEST(bind_says_who_sent)
{
	struct net_dgram d[4] = { 0 };
	struct sockaddr_in to, from;
	char buf[4][8];
	int fd = bound(SOCK_DGRAM, &from), sock = bound(SOCK_DGRAM, &to), i;

	ck_assert_int_eq(hostio_add(&fx.s, 2, sock, NET_UDP_BIND, false), 0);
	for (i = 0; i < 4; i++) {
		d[i].iov[0] = iov_of(buf[i], sizeof(buf[i]));
		d[i].niov = 1;
	}
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(sendto(fd, "abc", (size_t)i + 1, 0,
				     (struct sockaddr *)&to, sizeof(to)),
		    i + 1);
	wait_for('r', 2);
	ck_assert_int_eq(hostio_recv(&fx.s, 2, d, 4), 2);
	for (i = 0; i < 2; i++) {
		ck_assert_uint_eq(d[i].len, (size_t)i + 1);
		ck_assert_uint_eq(d[i].addr, INADDR_LOOPBACK);
		ck_assert_uint_eq(d[i].port, ntohs(from.sin_port));
	}
	ck_assert_int_eq(hostio_recv(&fx.s, 2, d, 4), -1);
	ck_assert_int_eq(errno, EAGAIN);
	close(fd);
}
END_TEST

/* Nobody listens there: the answer to what was sent is an error. */
START_TEST(datagram_refused)
{
	struct net_dgram d = { .iov = { iov_of("x", 1) }, .niov = 1 };
	struct sockaddr_in to;

	close(bound(SOCK_DGRAM, &to));
	ck_assert_int_eq(
	    hostio_add(&fx.s, 2, connected(SOCK_DGRAM, &to), NET_UDP, false),
	    0);
	ck_assert_int_eq(hostio_send(&fx.s, 2, &d, 1), 1);
	ck_assert_int_eq(wait_for('f', 2), NET_EREFUSED);
}
END_TEST

START_TEST(error_names)
{
	ck_assert_int_eq(neterr_from_name("ECONNREFUSED"), NET_EREFUSED);
	ck_assert_int_eq(neterr_from_name("EMFILE"), NET_ELIMIT);
	ck_assert_int_eq(neterr_from_name("EACCES"), NET_EADMIN);
	ck_assert_int_eq(neterr_from_name("nonsense"), NET_EOTHER);
	ck_assert_int_eq(neterr_from_errno(EHOSTUNREACH), NET_EHOSTUNREACH);
	ck_assert_int_eq(neterr_from_errno(EIO), NET_EOTHER);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("hostio");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, connect_succeeds);
	tcase_add_test(tc, connect_refused);
	tcase_add_test(tc, stream_is_peeked_and_consumed);
	tcase_add_test(tc, stream_with_urgent_data);
	tcase_add_test(tc, stream_is_written_and_shut);
	tcase_add_test(tc, data_then_reset);
	tcase_add_loop_test(tc, reset_seen_by_a_call, 0, 2);
	tcase_add_test(tc, reset_behind_the_end);
	tcase_add_loop_test(tc, close_with_and_without_reset, 0, 2);
	tcase_add_test(tc, event_of_a_closed_flow);
	tcase_add_test(tc, event_of_a_reused_id);
	tcase_add_loop_test(tc, room_is_told_to_who_waits, 0, nitems(pairs));
	tcase_add_test(tc, closed_flows_answer_nothing);
	tcase_add_loop_test(tc, bursts_arrive_as_they_were, 0, nitems(bursts));
	tcase_add_test(tc, bind_says_who_sent);
	tcase_add_test(tc, datagram_refused);
	tcase_add_test(tc, error_names);
	return check_case("hostio", tc);
}
