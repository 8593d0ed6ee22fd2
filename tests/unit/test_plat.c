/*
 * plat.h on the system at hand.  Sockets are real ones, TCP over loopback and
 * Unix; what must happen is waited for with poll(), never for a time.
 */

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "common/plat/plat.h"
#include "tests/check_main.h"

#define NITEMS(a)  (sizeof(a) / sizeof((a)[0]))
#define PATIENCE   10000 /* ms; only a failure waits so long */
#define RING	   65536u
#define NO_PEEKOFF (-2) /* *cur of a socket that has no peek offset */

static void
await(int fd, short events)
{
	struct pollfd pfd = { .fd = fd, .events = events };

	ck_assert_int_eq(poll(&pfd, 1, PATIENCE), 1);
}

/* A connected pair over loopback. */
static void
tcp_pair(int sv[2])
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	int one = 1, l;

	ck_assert_int_ne(l = socket(AF_INET, SOCK_STREAM, 0), -1);
	ck_assert_int_eq(bind(l, (void *)&sin, len), 0);
	ck_assert_int_eq(listen(l, 1), 0);
	ck_assert_int_eq(getsockname(l, (void *)&sin, &len), 0);
	ck_assert_int_ne(sv[0] = socket(AF_INET, SOCK_STREAM, 0), -1);
	ck_assert_int_eq(connect(sv[0], (void *)&sin, len), 0);
	ck_assert_int_ne(sv[1] = accept4(l, NULL, NULL, SOCK_NONBLOCK), -1);
	ck_assert_int_eq(fcntl(sv[0], F_SETFL, O_NONBLOCK), 0);
	setsockopt(sv[0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	close(l);
}

static void
unix_pair(int sv[2])
{
	ck_assert_int_eq(plat_socketpair(SOCK_STREAM, sv), 0);
}

/* Every kind of stream, with the kernel's peek offset and without. */
static const struct {
	const char *what;
	void (*pair)(int sv[2]);
	ssize_t cur;
} streams[] = {
	{ "tcp", tcp_pair, -1 },
	{ "tcp, no peek offset", tcp_pair, NO_PEEKOFF },
	{ "unix", unix_pair, -1 },
	{ "unix, no peek offset", unix_pair, NO_PEEKOFF },
};

static uint8_t
pattern(size_t i)
{
	return (uint8_t)(i * 2654435761u >> 11);
}

/* Writes bytes [from, to) of the pattern. */
static void
put(int fd, size_t from, size_t to)
{
	static uint8_t b[1 << 16];
	size_t i;

	ck_assert_uint_le(to - from, sizeof(b));
	for (i = from; i < to; i++)
		b[i - from] = pattern(i);
	ck_assert_int_eq(write(fd, b, to - from), to - from);
}

/*
 * Peeks len bytes at off into two places; base bytes of the pattern are gone
 * already.  A stream may come in pieces: asks until all are there.
 */
static void
peek(int fd, size_t off, size_t len, size_t base, ssize_t *cur)
{
	static uint8_t b[1 << 16];
	struct iovec iov[2] = { { b, len / 2 },
		{ b + len / 2, len - len / 2 } };
	ssize_t n;
	size_t i;

	while ((n = plat_peek(fd, off, cur, iov, 2)) != (ssize_t)len) {
		ck_assert(n > 0 || (n == -1 && errno == EAGAIN));
		await(fd, POLLIN);
	}
	for (i = 0; i < len; i++)
		if (b[i] != pattern(base + off + i))
			ck_abort_msg("byte %zu at %zu differs", i, off);
}

/* What one peek at off says when no bytes are there. */
static ssize_t
peek_none(int fd, size_t off, ssize_t *cur)
{
	uint8_t b[16];
	struct iovec iov = { b, sizeof(b) };

	errno = 0;
	return plat_peek(fd, off, cur, &iov, 1);
}

START_TEST(peek_is_repeated_and_consumed)
{
	ssize_t cur = streams[_i].cur;
	bool reads = false;
	int sv[2];

	streams[_i].pair(sv);
	ck_assert_int_eq(peek_none(sv[1], 0, &cur), -1);
	ck_assert_int_eq(errno, EAGAIN);

	put(sv[0], 0, 5000);
	peek(sv[1], 0, 1448, 0, &cur);
	peek(sv[1], 1448, 1448, 0, &cur); /* the next segment */
	peek(sv[1], 2896, 1448, 0, &cur);
	peek(sv[1], 0, 1448, 0, &cur); /* the first again */
	peek(sv[1], 4344, 656, 0, &cur);
	ck_assert_int_eq(peek_none(sv[1], 5000, &cur), -1);
	ck_assert_int_eq(errno, EAGAIN);

	/* The guest has acknowledged a part: offsets count from there. */
	ck_assert_int_eq(plat_discard(sv[1], 2000, &cur, &reads), 0);
	ck_assert_int_eq(peek_none(sv[1], 3000, &cur), -1);
	ck_assert_int_eq(errno, EAGAIN);
	put(sv[0], 5000, 9000);
	peek(sv[1], 3000, 1448, 2000, &cur);
	peek(sv[1], 0, 3000, 2000, &cur); /* a retransmission */
	peek(sv[1], 4448, 2552, 2000, &cur);

	ck_assert_int_eq(plat_discard(sv[1], 7000, &cur, &reads), 0);
	ck_assert_int_eq(peek_none(sv[1], 0, &cur), -1);
	ck_assert_int_eq(errno, EAGAIN);
	put(sv[0], 9000, 9001);
	peek(sv[1], 0, 1, 9000, &cur);
	ck_assert(streams[_i].cur != NO_PEEKOFF || cur == NO_PEEKOFF);
	close(sv[0]);
	close(sv[1]);
}
END_TEST

START_TEST(peek_sees_the_end)
{
	ssize_t cur = streams[_i].cur;
	bool reads = false;
	int sv[2];

	streams[_i].pair(sv);
	put(sv[0], 0, 3000);
	peek(sv[1], 0, 3000, 0, &cur);
	ck_assert_int_eq(peek_none(sv[1], 3000, &cur), -1);
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_eq(shutdown(sv[0], SHUT_WR), 0);
	await(sv[1], POLLRDHUP);
	ck_assert_int_eq(peek_none(sv[1], 3000, &cur), 0);
	ck_assert_int_eq(peek_none(sv[1], 3000, &cur), 0);
	peek(sv[1], 1000, 2000, 0, &cur); /* still there */
	ck_assert_int_eq(plat_discard(sv[1], 1000, &cur, &reads), 0);
	ck_assert_int_eq(peek_none(sv[1], 2000, &cur), 0);
	peek(sv[1], 500, 1500, 1000, &cur);
	ck_assert_int_eq(plat_discard(sv[1], 2000, &cur, &reads), 0);
	ck_assert_int_eq(peek_none(sv[1], 0, &cur), 0);
	/* More than there is cannot be dropped. */
	ck_assert_int_eq(plat_discard(sv[1], 1, &cur, &reads), -1);
	close(sv[0]);
	close(sv[1]);
}
END_TEST

/* Random steps; what is peeked must always be what was written. */
START_TEST(peek_any_order)
{
	size_t in = 0, out = 0, off, len, step;
	ssize_t cur = streams[_i].cur;
	uint32_t rnd = 12345;
	bool reads = false;
	int sv[2];

	streams[_i].pair(sv);
	for (step = 0; step < 3000; step++) {
		rnd = rnd * 1664525u + 1013904223u;
		len = (rnd >> 8) % 3000 + 1;
		if (in - out < 20000) {
			put(sv[0], in, in + len);
			in += len;
		}
		off = (rnd >> 4) % (in - out);
		if (len > in - out - off)
			len = in - out - off;
		peek(sv[1], off, len, out, &cur);
		len = rnd >> 28 == 0 ? in - out : (rnd >> 20) % (off + 1);
		ck_assert_int_eq(plat_discard(sv[1], len, &cur, &reads), 0);
		out += len;
		if (in == out) {
			put(sv[0], in, in + 1);
			in++;
		}
	}
	close(sv[0]);
	close(sv[1]);
}
END_TEST

/* A restarted process does not know what offset the socket has. */
START_TEST(peek_takes_over_a_socket)
{
	ssize_t cur = streams[_i].cur, fresh = streams[_i].cur;
	int sv[2];

	streams[_i].pair(sv);
	put(sv[0], 0, 100);
	peek(sv[1], 30, 70, 0, &cur);
	peek(sv[1], 0, 100, 0, &fresh);
	close(sv[0]);
	close(sv[1]);
}
END_TEST

START_TEST(peek_reports_a_reset)
{
	struct linger now = { 1, 0 };
	ssize_t cur = streams[_i].cur;
	int sv[2];

	tcp_pair(sv);
	setsockopt(sv[0], SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(sv[0]);
	await(sv[1], POLLRDHUP);
	ck_assert_int_eq(peek_none(sv[1], 0, &cur), -1);
	ck_assert_int_eq(errno, ECONNRESET);
	close(sv[1]);
}
END_TEST

/*
 * Room: what it says fits, and when there is little a write event comes for
 * more, without a write ever having failed.
 */
START_TEST(room_is_true_and_comes_back)
{
	static uint8_t b[1 << 16];
	struct plat_edge_event ev;
	size_t n, sent = 0, min = SIZE_MAX;
	int set, sv[2];
	ssize_t k;

	streams[_i].pair(sv);
	ck_assert_int_ne(set = plat_edge_new(), -1);
	ck_assert_int_eq(plat_edge_add(set, sv[0], 7, true), 0);
	ck_assert_int_eq(plat_edge_wait(set, &ev, 1), 1);
	ck_assert_uint_eq(ev.what, PLAT_EDGE_WRITE);
	ck_assert_uint_ge(plat_room(sv[0]), 1448);
	while ((n = plat_room(sv[0])) > 2048) {
		if (n > sizeof(b))
			n = sizeof(b);
		ck_assert_int_eq(write(sv[0], b, n), n);
		sent += n;
		min = n;
	}
	ck_assert_uint_lt(min, sizeof(b));
	while (plat_edge_wait(set, &ev, 1) > 0)
		continue;
	while (sent > 0) {
		if ((k = read(sv[1], b, sizeof(b))) > 0)
			sent -= (size_t)k;
		else
			await(sv[1], POLLIN);
	}
	await(set, POLLIN);
	ck_assert_int_eq(plat_edge_wait(set, &ev, 1), 1);
	ck_assert_uint_eq(ev.tag, 7);
	ck_assert_uint_eq(ev.what, PLAT_EDGE_WRITE);
	ck_assert_uint_gt(plat_room(sv[0]), 2048);
	close(sv[0]);
	close(sv[1]);
	close(set);
}
END_TEST

START_TEST(edge_tells_of_room_when_asked)
{
	struct plat_edge_event ev[4];
	int set, sv[2];

	streams[_i].pair(sv);
	ck_assert_int_ne(set = plat_edge_new(), -1);
	ck_assert_int_eq(plat_edge_add(set, sv[1], 7, false), 0);
	ck_assert_int_eq(plat_edge_wait(set, ev, 4), 0);
	ck_assert_int_eq(plat_edge_writes(set, sv[1], 8, true), 0);
	ck_assert_int_eq(plat_edge_wait(set, ev, 4), 1);
	ck_assert_uint_eq(ev[0].what, PLAT_EDGE_WRITE);
	ck_assert_uint_eq(ev[0].tag, 8);
	ck_assert_int_eq(plat_edge_writes(set, sv[1], 8, false), 0);
	put(sv[0], 0, 2);
	await(set, POLLIN);
	ck_assert_int_eq(plat_edge_wait(set, ev, 4), 1);
	ck_assert_uint_eq(ev[0].what, PLAT_EDGE_READ);
	close(sv[0]);
	close(sv[1]);
	close(set);
}
END_TEST

START_TEST(edge_tells_each_change_once)
{
	struct plat_edge_event ev[4];
	uint64_t tag = UINT64_C(0x123456789abcdef0);
	int set, sv[2];
	char c;

	streams[_i].pair(sv);
	ck_assert_int_ne(set = plat_edge_new(), -1);
	ck_assert_int_eq(plat_edge_add(set, sv[1], tag, true), 0);
	ck_assert_int_eq(plat_edge_wait(set, ev, 4), 1);
	ck_assert(ev[0].tag == tag);
	ck_assert_int_eq(plat_edge_wait(set, ev, 4), 0);
	put(sv[0], 0, 2);
	await(set, POLLIN);
	ck_assert_int_eq(plat_edge_wait(set, ev, 4), 1);
	ck_assert_uint_ne(ev[0].what & PLAT_EDGE_READ, 0);
	ck_assert_int_eq(plat_edge_wait(set, ev, 4), 0); /* it lasts */
	ck_assert_int_eq(read(sv[1], &c, 1), 1);
	ck_assert_int_eq(plat_edge_wait(set, ev, 4), 0);
	shutdown(sv[0], SHUT_WR);
	await(set, POLLIN);
	ck_assert_int_eq(plat_edge_wait(set, ev, 4), 1);
	ck_assert_uint_ne(ev[0].what & PLAT_EDGE_READ, 0);
	ck_assert_uint_eq(ev[0].what & PLAT_EDGE_HUP, 0);
	shutdown(sv[1], SHUT_WR);
	await(set, POLLIN);
	ck_assert_int_eq(plat_edge_wait(set, ev, 4), 1);
	ck_assert_uint_ne(ev[0].what & PLAT_EDGE_HUP, 0);
	plat_edge_del(set, sv[1]);
	ck_assert_int_eq(plat_edge_wait(set, ev, 4), 0);
	close(sv[0]);
	close(sv[1]);
	close(set);
}
END_TEST

/*
 * Shared memory.
 */

START_TEST(memfd_keeps_its_size)
{
	struct stat st;
	int fd;

	ck_assert_int_ne(fd = plat_memfd("test", RING), -1);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_size, RING);
	ck_assert_int_eq(ftruncate(fd, RING / 2), -1);
	ck_assert_int_eq(ftruncate(fd, RING * 2), -1);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
}
END_TEST

START_TEST(memfd_ro_is_read_only)
{
	int fd, ro;

	ck_assert_int_ne(fd = plat_memfd("test", RING), -1);
	ck_assert_int_ne(ro = plat_memfd_ro(fd), -1);
	ck_assert_ptr_eq(
	    mmap(NULL, RING, PROT_READ | PROT_WRITE, MAP_SHARED, ro, 0),
	    MAP_FAILED);
	ck_assert_ptr_null(plat_map_ring(ro, RING, true));
	ck_assert_int_eq(write(ro, "x", 1), -1);
	close(fd);
	close(ro);
}
END_TEST

START_TEST(ring_is_mapped_twice)
{
	const uint8_t *r;
	uint8_t *w;
	int fd, ro;

	ck_assert_int_ne(fd = plat_memfd("test", RING), -1);
	ck_assert_int_ne(ro = plat_memfd_ro(fd), -1);
	ck_assert_ptr_nonnull(w = plat_map_ring(fd, RING, true));
	ck_assert_ptr_nonnull(r = plat_map_ring(ro, RING, false));
	close(fd);
	close(ro);
	memcpy(w + RING - 3, "abcdef", 6);
	ck_assert_mem_eq(w, "def", 3);
	ck_assert_mem_eq(r + RING - 3, "abcdef", 6);
	ck_assert_mem_eq(r, "def", 3);
	plat_unmap_ring(w, RING);
	plat_unmap_ring((void *)(uintptr_t)r, RING);
	plat_unmap_ring(NULL, RING);
}
END_TEST

START_TEST(ring_wants_a_sealed_file)
{
	int fd;

	ck_assert_int_ne(fd = memfd_create("open", MFD_ALLOW_SEALING), -1);
	ck_assert_int_eq(ftruncate(fd, RING), 0);
	ck_assert_ptr_null(plat_map_ring(fd, RING, true));
	close(fd);
	ck_assert_int_ne(fd = plat_memfd("test", RING), -1);
	ck_assert_ptr_null(plat_map_ring(fd, 2 * RING, true));
	ck_assert_int_eq(errno, EINVAL);
	close(fd);
}
END_TEST

START_TEST(socketpair_flags)
{
	int i, sv[2];

	ck_assert_int_eq(plat_socketpair(_i, sv), 0);
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(fcntl(sv[i], F_GETFD), FD_CLOEXEC);
		ck_assert_int_ne(fcntl(sv[i], F_GETFL) & O_NONBLOCK, 0);
		close(sv[i]);
	}
}
END_TEST

START_TEST(end_is_seen_unread)
{
	int sv[2];

	ck_assert_int_eq(plat_socketpair(SOCK_STREAM, sv), 0);
	ck_assert(!plat_ended(sv[0]));
	ck_assert_int_eq(write(sv[1], "ab", 2), 2);
	ck_assert(!plat_ended(sv[0]));
	close(sv[1]);
	ck_assert(plat_ended(sv[0]));
	close(sv[0]);
}
END_TEST

START_TEST(clock_goes_forward)
{
	usec_t t = plat_now();

	ck_assert_int_gt(t, 0);
	while (plat_now() == t)
		continue;
	ck_assert_int_gt(plat_now(), t);
	ck_assert_int_ge(plat_nofile(), 256);
}
END_TEST

/*
 * Children: a shell says what it sees.
 */

/* Runs a script with the map plus stdout on the pipe; what it printed. */
static const char *
run_shell(const char *script, const int (*map)[2], size_t n, bool pidns)
{
	static char out[4096];
	char *const argv[] = { (char *)(uintptr_t) "sh",
		(char *)(uintptr_t) "-c", (char *)(uintptr_t)script, NULL };
	int all[8][2], p[2], status;
	struct plat_spawn sp = { "/bin/sh", argv, (const int(*)[2])all, n + 1,
		pidns };
	size_t len = 0;
	ssize_t k;
	pid_t pid;

	if (n > 0)
		memcpy(all, map, n * sizeof(all[0]));
	ck_assert_int_eq(pipe(p), 0);
	all[n][0] = p[1];
	all[n][1] = 1;
	ck_assert_int_ne(pid = plat_spawn(&sp), -1);
	close(p[1]);
	while ((k = read(p[0], out + len, sizeof(out) - 1 - len)) > 0)
		len += (size_t)k;
	out[len] = '\0';
	close(p[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	return out;
}

static int
file_saying(const char *text)
{
	int fd;

	ck_assert_int_ne(fd = memfd_create("text", 0), -1);
	ck_assert_int_eq(write(fd, text, strlen(text)), strlen(text));
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

START_TEST(spawn_maps_descriptors)
{
	int a = fcntl(file_saying("A"), F_DUPFD, 20);
	int b = fcntl(file_saying("B"), F_DUPFD, 21);
	int map[][2] = { { a, 3 }, { b, 4 }, { b, a }, { a, b }, { -1, 22 } };

	/*
	 * Two rows swap places, and one is left out; both files are read at
	 * their start.
	 */
	ck_assert_int_eq(a, 20);
	ck_assert_int_eq(b, 21);
	ck_assert_str_eq(run_shell("cd /proc/self/fd; cat 3 4 20 21; i=0; "
				   "while [ $i -lt 64 ]; do "
				   "[ ! -e $i ] || printf '%s ' $i; "
				   "i=$((i + 1)); done",
			     (const int(*)[2])map, 5, false),
	    "ABBA0 1 2 3 4 20 21 ");
}
END_TEST

START_TEST(spawn_stdio_is_null)
{
	ck_assert_str_eq(
	    run_shell("readlink /proc/$$/fd/0", NULL, 0, false), "/dev/null\n");
}
END_TEST

START_TEST(spawn_resets_signals)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	ck_assert_str_eq(run_shell("grep -E 'Sig(Blk|Ign)' /proc/self/status",
			     NULL, 0, false),
	    "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
	sigprocmask(SIG_SETMASK, NULL, &set);
	ck_assert_int_eq(sigismember(&set, SIGUSR1), 1); /* ours as before */
	ck_assert_int_eq(sigismember(&set, SIGUSR2), 0);
}
END_TEST

START_TEST(spawn_in_a_pid_namespace)
{
	/* "where possible": a machine that forbids it is no failure here. */
	ck_assert_int_gt(atoi(run_shell("echo $$", NULL, 0, true)), 0);
}
END_TEST

START_TEST(spawn_reports_exec_errors)
{
	char *const argv[] = { (char *)(uintptr_t) "none", NULL };
	struct plat_spawn sp = { "/nonexistent/none", argv, NULL, 0, _i };
	int bad[1][2] = { { 9999, 3 } };

	ck_assert_int_eq(plat_spawn(&sp), -1);
	ck_assert_int_eq(errno, ENOENT);
	sp.path = "/bin/sh";
	sp.fdmap = (const int(*)[2])bad;
	sp.nfdmap = 1;
	ck_assert_int_eq(plat_spawn(&sp), -1);
	ck_assert_int_eq(errno, EBADF);
	/* Nothing is left to wait for. */
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
}
END_TEST

/*
 * Watching.
 */

struct seen {
	char name[8][64];
	int watch[8];
	size_t n;
};

static void
on_change(void *arg, int watch, const char *name)
{
	struct seen *s = arg;
	size_t i;

	for (i = 0; i < s->n; i++)
		if (s->watch[i] == watch && strcmp(s->name[i], name) == 0)
			return;
	ck_assert_uint_lt(s->n, NITEMS(s->name));
	s->watch[s->n] = watch;
	snprintf(s->name[s->n++], sizeof(s->name[0]), "%s", name);
}

static bool
saw(struct seen *s, int set, int watch, const char *name)
{
	size_t i;

	s->n = 0;
	plat_watch_read(set, on_change, s);
	for (i = 0; i < s->n; i++)
		if (s->watch[i] == watch && strcmp(s->name[i], name) == 0)
			return true;
	return false;
}

START_TEST(watch_sees_every_change)
{
	char dir[64], a[80], b[80];
	struct seen s;
	int fd, set, w;

	snprintf(dir, sizeof(dir), "/tmp/test_plat.%d", getpid());
	ck_assert_int_eq(mkdir(dir, 0700), 0);
	snprintf(a, sizeof(a), "%s/a", dir);
	snprintf(b, sizeof(b), "%s/b", dir);
	ck_assert_int_ne(set = plat_watch_new(), -1);
	ck_assert_int_ne(w = plat_watch_dir(set, dir), -1);
	ck_assert_int_eq(plat_watch_dir(set, dir), w); /* shared */
	ck_assert(!saw(&s, set, w, "a"));
	ck_assert_int_ne(fd = open(a, O_WRONLY | O_CREAT, 0600), -1);
	ck_assert(saw(&s, set, w, "a"));
	ck_assert_int_eq(write(fd, "x", 1), 1);
	ck_assert(saw(&s, set, w, "a"));
	close(fd);
	ck_assert(saw(&s, set, w, "a"));
	ck_assert_int_eq(rename(a, b), 0);
	ck_assert(saw(&s, set, w, "b"));
	ck_assert_uint_eq(s.n, 2);
	ck_assert_int_eq(unlink(b), 0);
	ck_assert(saw(&s, set, w, "b"));
	plat_watch_drop(set, w);
	ck_assert_int_ne(fd = open(a, O_WRONLY | O_CREAT, 0600), -1);
	close(fd);
	ck_assert(!saw(&s, set, w, "a"));
	ck_assert_int_ne(w = plat_watch_dir(set, dir), -1);
	ck_assert_int_eq(unlink(a), 0);
	ck_assert(saw(&s, set, w, "a"));
	ck_assert_int_eq(rmdir(dir), 0);
	ck_assert(saw(&s, set, w, ""));
	plat_watch_drop(set, w);
	ck_assert_int_eq(plat_watch_dir(set, dir), -1);
	ck_assert_int_eq(errno, ENOENT);
	close(set);
}
END_TEST

static void
add_stream_tests(TCase *t)
{
	int n = (int)NITEMS(streams);

	tcase_add_loop_test(t, peek_is_repeated_and_consumed, 0, n);
	tcase_add_loop_test(t, peek_sees_the_end, 0, n);
	tcase_add_loop_test(t, peek_any_order, 0, n);
	tcase_add_loop_test(t, peek_takes_over_a_socket, 0, n);
	tcase_add_loop_test(t, peek_reports_a_reset, 0, 2);
	tcase_add_loop_test(t, room_is_true_and_comes_back, 0, n);
	tcase_add_loop_test(t, edge_tells_of_room_when_asked, 0, n);
	tcase_add_loop_test(t, edge_tells_each_change_once, 0, n);
}

static void
add_other_tests(TCase *t)
{
	tcase_add_test(t, memfd_keeps_its_size);
	tcase_add_test(t, memfd_ro_is_read_only);
	tcase_add_test(t, ring_is_mapped_twice);
	tcase_add_test(t, ring_wants_a_sealed_file);
	tcase_add_loop_test(t, socketpair_flags, SOCK_STREAM, SOCK_DGRAM + 1);
	tcase_add_test(t, end_is_seen_unread);
	tcase_add_test(t, clock_goes_forward);
	tcase_add_test(t, spawn_maps_descriptors);
	tcase_add_test(t, spawn_stdio_is_null);
	tcase_add_test(t, spawn_resets_signals);
	tcase_add_test(t, spawn_in_a_pid_namespace);
	tcase_add_loop_test(t, spawn_reports_exec_errors, 0, 2);
	tcase_add_test(t, watch_sees_every_change);
}

int
main(void)
{
	TCase *t = tcase_create("plat");

	tcase_set_timeout(t, 30);
	add_stream_tests(t);
	add_other_tests(t);
	return check_case("plat", t);
}
