/*
 * One link over a real socketpair and a real loop.  The other end is a link,
 * too, or a bare socket where bytes must be wrong on purpose.  No test waits
 * for time: each turn of the loop is run without blocking.
 */

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ev.h>

#include "common/ipc.h"
#include "common/ipc_wire.h"
#include "common/log.h"
#include "common/wr.h"
#include "guard.h"

#define nitems(a) (int)(sizeof(a) / sizeof(*(a)))

#define GOOD	"{\"msg\":\"flow-refused\",\"id\":5,\"error\":\"EPERM\"}"
#define GOOD_FD "{\"msg\":\"flow-fd\",\"id\":5}"

/* What one end has heard. */
struct end {
	struct ipc *ipc; /* owned */
	unsigned nmsg, ngone;
	uint64_t last;	 /* id of the last message */
	bool in_order;	 /* the ids were 1, 2, 3, ... */
	char text[64];	 /* of the last flow-refused */
	char why[128];	 /* of the end; "-" for none */
	ino_t ino[1024]; /* of the descriptors, in order */
	size_t nino;
	unsigned free_at; /* free the link in this message's handler */
	bool free_in_gone;
	bool answer; /* with a flow-close of the same id */
};

static struct ev_loop *loop;
static struct end a, b; /* a is the stack, b portd */
static int raw;		/* b's socket where b is not a link */
static int null_fd;	/* a descriptor to send */
static int fds_before;

static int
count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	ck_assert_ptr_nonnull(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static void
note_fd(struct end *e, int fd)
{
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert_uint_lt(e->nino, nitems(e->ino));
	e->ino[e->nino++] = st.st_ino;
}

static int
send_id(struct ipc *ipc, enum ipc_type type, unsigned id)
{
	return ipc_send(ipc, type, NULL, 0, "{s:I}", "id", (json_int_t)id);
}

static void
on_msg(struct ipc *ipc, struct ipc_msg *m)
{
	struct end *e = ipc_data(ipc);
	size_t i;

	ck_assert_ptr_eq(e->ipc, ipc);
	e->nmsg++;
	e->last = ipc_u64(m, "id");
	e->in_order = e->last == e->nmsg && (e->nmsg == 1 || e->in_order);
	if (m->type == IPC_FLOW_REFUSED)
		snprintf(e->text, sizeof(e->text), "%s", ipc_str(m, "error"));
	for (i = 0; i < m->nfd; i++)
		note_fd(e, m->fd[i]);
	/* Some descriptors are taken, the others left behind. */
	if (m->nfd > 0 && e->nmsg % 2 == 0)
		ck_assert_int_eq(close(ipc_take_fd(m, 0)), 0);
	if (e->answer)
		ck_assert_int_eq(
		    send_id(ipc, IPC_FLOW_CLOSE, (unsigned)e->last), 0);
	if (e->nmsg == e->free_at) {
		ipc_free(ipc);
		e->ipc = NULL;
	}
}

static void
on_gone(struct ipc *ipc, const char *why)
{
	struct end *e = ipc_data(ipc);

	e->ngone++;
	snprintf(e->why, sizeof(e->why), "%s", why != NULL ? why : "-");
	if (e->free_in_gone) {
		ipc_free(ipc);
		e->ipc = NULL;
	}
}

static const struct ipc_events events = { on_msg, on_gone };

/* Links a to a socket that is left in raw. */
static void
link_a(enum ipc_role self, enum ipc_role peer)
{
	int sv[2];

	ck_assert_int_eq(socketpair(AF_UNIX,
			     SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv),
	    0);
	a.ipc = ipc_new(loop, sv[0], self, peer, 7, &events, &a);
	ck_assert_ptr_nonnull(a.ipc);
	raw = sv[1];
}

static void
link_b(enum ipc_role self, enum ipc_role peer)
{
	b.ipc = ipc_new(loop, raw, self, peer, 7, &events, &b);
	ck_assert_ptr_nonnull(b.ipc);
	raw = -1;
}

static void
link_stack(void)
{
	link_a(ROLE_STACK, ROLE_PORT);
}

static void
link_both(void)
{
	link_stack();
	link_b(ROLE_PORT, ROLE_STACK);
}

static void
turns(int n)
{
	while (n-- > 0)
		ev_run(loop, EVRUN_NOWAIT);
}

static void
setup(void)
{
	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_LVL_ERROR);
	loop = ev_loop_new(EVFLAG_AUTO);
	null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(null_fd, 0);
	/* The loop opens its own descriptors when it first runs. */
	turns(1);
	fds_before = count_fds();
	raw = -1;
}

static void
teardown(void)
{
	ipc_free(a.ipc);
	ipc_free(b.ipc);
	if (raw != -1)
		close(raw);
	turns(1);
	ck_assert_int_eq(count_fds(), fds_before);
	ev_loop_destroy(loop);
	close(null_fd);
}

/* A frame with any text and any number of descriptors in its header. */
static size_t
frame(uint8_t *buf, size_t cap, const char *text, size_t len, unsigned nfd)
{
	struct wr w = wr_init(buf, cap);

	ck_assert_int_eq(wr_le32(&w, (uint32_t)len), 0);
	ck_assert_int_eq(wr_u8(&w, (uint8_t)nfd), 0);
	ck_assert_int_eq(wr_zero(&w, 3), 0);
	ck_assert_int_eq(wr_bytes(&w, text, strlen(text)), 0);
	return w.len;
}

/* Bytes, with n descriptors of the null device. */
static void
raw_send(const void *p, size_t len, unsigned n)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(128 * sizeof(int))];
	} ctl = { .buf = { 0 } };
	struct iovec iov = { (void *)(uintptr_t)p, len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;
	int fd[128];
	unsigned i;

	if (n > 0) {
		mh.msg_control = ctl.buf;
		mh.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		for (i = 0; i < n; i++)
			fd[i] = null_fd;
		memcpy(CMSG_DATA(c), fd, n * sizeof(int));
	}
	ck_assert_int_eq(sendmsg(raw, &mh, 0), (ssize_t)len);
}

static void
raw_frame(const char *text, unsigned head_nfd, unsigned nfd)
{
	uint8_t buf[1024];
	size_t n = frame(buf, sizeof(buf), text, strlen(text), head_nfd);

	raw_send(buf, n, nfd);
}

static int
new_file(ino_t *ino)
{
	FILE *f = tmpfile();
	struct stat st;
	int fd;

	ck_assert_ptr_nonnull(f);
	fd = dup(fileno(f));
	fclose(f);
	ck_assert_int_eq(fstat(fd, &st), 0);
	*ino = st.st_ino;
	return fd;
}

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
		    strlen(i == 1 ? GOOD : GOOD_FD), i == 1 ? 0 : 1);
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

/* A whole burst in one read: plain frames before and behind one with fds. */
START_TEST(test_coalesced)
{
	uint8_t buf[4096];
	size_t i, len = 0;

	link_stack();
	for (i = 0; i < 5; i++)
		len +=
		    frame(buf + len, sizeof(buf) - len, GOOD, strlen(GOOD), 0);
	raw_send(buf, len, 0);
	len = frame(buf, sizeof(buf), GOOD_FD, strlen(GOOD_FD), 1);
	for (i = 0; i < 5; i++)
		len +=
		    frame(buf + len, sizeof(buf) - len, GOOD, strlen(GOOD), 0);
	raw_send(buf, len, 1);
	turns(2);
	ck_assert_uint_eq(a.nmsg, 11);
	ck_assert_uint_eq(a.nino, 1);
	ck_assert_uint_eq(a.ngone, 0);
}
END_TEST

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

/* So are those that come drop by drop inside one frame. */
START_TEST(test_surplus_slowly)
{
	uint8_t buf[256];
	size_t i, n;

	link_stack();
	n = frame(buf, sizeof(buf), GOOD_FD, strlen(GOOD_FD), 1);
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
	ck_assert_str_eq(a.why, "descriptors lost");
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
	{ "first zero", { 2, 0, 0, 0, 0, 1 }, -1, "bad header" },
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
	size_t n = frame(buf, sizeof(buf), GOOD_FD, strlen(GOOD_FD), 1);
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

/* The same with descriptors waiting, which must not be lost or kept. */
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

/* Far more than the socket holds arrives when the peer begins to read. */
START_TEST(test_blocked)
{
	unsigned i, before;

	link_stack();
	for (i = 1; i <= 60000; i++) {
		ck_assert_int_eq(send_id(a.ipc, IPC_FLOW_CLOSE, i), 0);
		if (i % 10000 == 0)
			turns(1);
	}
	ck_assert_uint_gt(ipc_queued(a.ipc), 1000000);
	link_b(ROLE_PORT, ROLE_STACK);
	while (b.nmsg < 60000) {
		before = b.nmsg;
		turns(1);
		ck_assert_uint_gt(b.nmsg, before);
	}
	ck_assert(b.in_order);
	ck_assert_uint_eq(ipc_queued(a.ipc), 0);
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
			"{s:s s:s s:s s:O s:O s:O s:O}", "gateway-ip",
			"10.0.0.1", "host-ip", "10.0.0.2", "lowest-ip",
			"10.0.0.3", "gateway-names", names, "host-names", names,
			"vm-names", names, "servers", names),
		    0);
	json_decref(names);
	turns(30);
	ck_assert_uint_eq(a.ngone, 0);
	ck_assert_uint_eq(a.nmsg, 3);
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
	tcase_add_test(t, test_properties);
	tcase_add_test(t, test_in_order);
	tcase_add_test(t, test_answer);
	tcase_add_loop_test(t, test_text, 0, nitems(texts));
	tcase_add_test(t, test_fds_in_order);
	tcase_add_test(t, test_many_fds);
	tcase_add_test(t, test_byte_by_byte);
	tcase_add_test(t, test_coalesced);
	tcase_add_loop_test(t, test_violation, 0, nitems(bad));
	tcase_add_test(t, test_surplus);
	tcase_add_test(t, test_surplus_slowly);
	tcase_add_test(t, test_out_of_descriptors);
	tcase_add_loop_test(t, test_head, 0, nitems(heads));
	tcase_add_loop_test(t, test_bad_head, 0, nitems(heads));
	tcase_add_test(t, test_eof);
	tcase_add_test(t, test_last_words);
	tcase_add_test(t, test_own_last_words);
	tcase_add_test(t, test_free_in_handler);
	tcase_add_test(t, test_free_in_gone);
	tcase_add_test(t, test_free_before_gone);
	tcase_add_test(t, test_queue_limit);
	tcase_add_test(t, test_queued_fds_closed);
	tcase_add_test(t, test_blocked);
	tcase_add_test(t, test_fair);
	tcase_add_test(t, test_long);
	tcase_add_test(t, test_own_bugs);
}

int
main(void)
{
	Suite *s = suite_create("ipc");
	TCase *t = tcase_create("ipc");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	add_tests(t);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
