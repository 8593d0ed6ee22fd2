/*
 * A real dnsd, with this program as its supervisor, its stack, its portd and
 * every server it asks.  The sockets portd gives it are socketpairs whose
 * other ends are the servers', so nothing touches a network.
 *
 * The first argument is the executable.
 */

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <check.h>
#include <errno.h>
#include <ev.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/daemon.h"
#include "common/plat/plat.h"

#define nitems(a)  (sizeof(a) / sizeof((a)[0]))
#define MAXSERVERS 4096
#define ORIGIN	   "\xc0\xa8\x41\x03\x30\x39"
#define PREFIX	   8 /* that and the length */
#define HDR	   "\x12\x34\1\0\0\1\0\0\0\0\0\0"
#define A_IN	   "\0\1\0\1"
#define OTHER	   "\3www\7example\0"

/* A server's end of one socket. */
struct server {
	char addr[IPADDR_STRLEN];
	int fd; /* owned */
};

static struct {
	const char *exe;
	struct ev_loop *loop;
	pid_t pid;
	struct stats_file *stats;
	struct ipc *sup, *stack, *port; /* owned */
	bool ready, stack_gone, no_pairs;
	enum { GIVE, REFUSE, IGNORE } portd;
	unsigned asked; /* sock-open messages */
	unsigned asked_tcp;
	enum ipc_type flow_answer;
	int flow_fd; /* owned by the test that asked */
	struct server server[MAXSERVERS];
	size_t nserver;
} t;

static void
give(const struct ipc_msg *m)
{
	bool tcp = strcmp(ipc_str(m, "proto"), "tcp") == 0;
	size_t i, n = (size_t)ipc_u64(m, "count");
	struct ipaddr a = ipc_addr(m, "addr");
	int sv[2], fd[64];

	for (i = 0; i < n; i++) {
		ck_assert_uint_lt(t.nserver, MAXSERVERS);
		ck_assert_int_eq(
		    plat_socketpair(tcp ? SOCK_STREAM : SOCK_DGRAM, sv), 0);
		ipaddr_str(&a, t.server[t.nserver].addr);
		t.server[t.nserver++].fd = sv[0];
		fd[i] = sv[1];
	}
	ck_assert_int_eq(ipc_send(t.port, IPC_SOCK_FD, fd, n, "{s:I}", "id",
			     (json_int_t)ipc_u64(m, "id")),
	    0);
}

/* As portd would, but that our stack gets its end directly. */
static void
give_pair(const struct ipc_msg *m)
{
	bool tcp = strcmp(ipc_str(m, "proto"), "tcp") == 0;
	int sv[2];

	if (t.no_pairs) {
		ck_assert_int_eq(
		    ipc_send(t.port, IPC_PAIR_REFUSED, NULL, 0, "{s:I,s:I,s:s}",
			"id", (json_int_t)ipc_u64(m, "id"), "vm",
			(json_int_t)ipc_u64(m, "vm"), "error", "ENFILE"),
		    0);
		return;
	}
	ck_assert_int_eq(
	    plat_socketpair(tcp ? SOCK_STREAM : SOCK_DGRAM, sv), 0);
	ck_assert_int_eq(ipc_send(t.port, IPC_PAIR_FD, &sv[1], 1, "{s:I,s:I}",
			     "id", (json_int_t)ipc_u64(m, "id"), "vm",
			     (json_int_t)ipc_u64(m, "vm")),
	    0);
	t.flow_answer = IPC_FLOW_FD;
	t.flow_fd = sv[0];
}

static void
on_port(struct ipc *ipc, struct ipc_msg *m)
{
	if (m->type == IPC_PAIR_OPEN) {
		give_pair(m);
		return;
	}
	ck_assert_int_eq(m->type, IPC_SOCK_OPEN);
	t.asked++;
	if (strcmp(ipc_str(m, "proto"), "tcp") == 0)
		t.asked_tcp++;
	if (t.portd == GIVE)
		give(m);
	else if (t.portd == REFUSE)
		ck_assert_int_eq(
		    ipc_send(t.port, IPC_SOCK_REFUSED, NULL, 0, "{s:I,s:s}",
			"id", (json_int_t)ipc_u64(m, "id"), "error", "EMFILE"),
		    0);
}

static void
on_stack(struct ipc *ipc, struct ipc_msg *m)
{
	ck_assert_int_eq(m->type, IPC_FLOW_REFUSED); /* has no descriptor */
	t.flow_answer = m->type;
	t.flow_fd = -1;
}

static void
on_sup(struct ipc *ipc, struct ipc_msg *m)
{
	if (m->type == IPC_READY)
		t.ready = true;
}

static void
on_gone(struct ipc *ipc, const char *why)
{
	ck_assert(ipc == t.stack);
	t.stack_gone = true;
	ipc_free(ipc);
	t.stack = NULL;
}

static const struct ipc_events sup_events = { on_sup, on_gone };
static const struct ipc_events stack_events = { on_stack, on_gone };
static const struct ipc_events port_events = { on_port, on_gone };

static void
turn(void)
{
	ev_run(t.loop, EVRUN_ONCE);
}

static void
conf(const char *server1, const char *server2)
{
	json_t *servers = json_array();

	if (server1 != NULL)
		json_array_append_new(servers, json_string(server1));
	if (server2 != NULL)
		json_array_append_new(servers, json_string(server2));
	ck_assert_int_eq(
	    ipc_send(t.sup, IPC_CONF_DNS, NULL, 0,
		"{s:s,s:s,s:s,s:[s],s:[s,s],s:[s],s:o}", "gateway-ip",
		"192.168.65.1", "host-ip", "192.168.65.2", "lowest-ip",
		"192.168.65.3", "gateway-names", "gateway.internal",
		"host-names", "host.internal", "host.docker.internal",
		"vm-names", "vm.internal", "servers", servers),
	    0);
}

static struct ipc *
link_to(enum ipc_role role, uint32_t vm, const struct ipc_events *events)
{
	struct ipc *ipc;
	int sv[2];

	ck_assert_int_eq(plat_socketpair(SOCK_STREAM, sv), 0);
	ipc = ipc_new(t.loop, sv[0], role, ROLE_DNS, vm, events, NULL);
	ck_assert_ptr_nonnull(ipc);
	ck_assert_int_eq(ipc_send(t.sup, IPC_PEER, &sv[1], 1, "{s:s,s:i}",
			     "role", ipc_role_name[role], "vm", (int)vm),
	    0);
	return ipc;
}

static void
setup(void)
{
	char *argv[] = { (char *)(uintptr_t)t.exe, NULL };
	int sv[2], mem, map[2][2];
	struct plat_spawn spawn = {
		.path = t.exe, .argv = argv, .fdmap = map, .nfdmap = 2
	};

	signal(SIGPIPE, SIG_IGN);
	plat_nofile();
	t.loop = ev_default_loop(0);
	mem = plat_memfd("stats", STATS_BYTES);
	ck_assert_int_ne(mem, -1);
	t.stats = mmap(NULL, STATS_BYTES, PROT_READ, MAP_SHARED, mem, 0);
	ck_assert(t.stats != MAP_FAILED);
	ck_assert_int_eq(plat_socketpair(SOCK_STREAM, sv), 0);
	map[0][0] = sv[1];
	map[0][1] = DAEMON_BUS_FD;
	map[1][0] = mem;
	map[1][1] = DAEMON_STATS_FD;
	t.pid = plat_spawn(&spawn);
	ck_assert_int_ne(t.pid, -1);
	close(sv[1]);
	close(mem);
	t.sup =
	    ipc_new(t.loop, sv[0], ROLE_MAIN, ROLE_DNS, 0, &sup_events, NULL);
	ck_assert_ptr_nonnull(t.sup);
	while (!t.ready)
		turn();
	conf("192.0.2.1#53", "2001:db8::1#53");
	t.stack = link_to(ROLE_STACK, 1, &stack_events);
	t.port = link_to(ROLE_PORT, 0, &port_events);
}

/* Whatever happened to it, dnsd lives and goes when its supervisor does. */
static void
teardown(void)
{
	int status;

	ipc_free(t.sup);
	ck_assert_int_eq(waitpid(t.pid, &status, 0), t.pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	ipc_free(t.stack);
	ipc_free(t.port);
}

static uint64_t
counter(const char *name)
{
	size_t i;

	for (i = 0; i < t.stats->n; i++) {
		if (strcmp(t.stats->name[i], name) == 0)
			return __atomic_load_n(
			    &t.stats->value[i], __ATOMIC_RELAXED);
	}
	ck_abort_msg("no counter %s", name);
	return 0;
}

static void
flow_open(uint32_t id, const char *proto)
{
	t.flow_answer = IPC__MAX;
	ck_assert_int_eq(ipc_send(t.stack, IPC_FLOW_OPEN, NULL, 0,
			     "{s:I,s:s,s:s,s:i,s:s,s:i}", "id", (json_int_t)id,
			     "proto", proto, "src", "192.168.65.3", "sport",
			     12345, "dst", "192.168.65.1", "dport", 53),
	    0);
	while (t.flow_answer == IPC__MAX && !t.stack_gone)
		turn();
}

/* The flow's descriptor. */
static int
flow(uint32_t id, const char *proto)
{
	flow_open(id, proto);
	ck_assert_int_eq(t.flow_answer, IPC_FLOW_FD);
	return t.flow_fd;
}

/* Turns the bus until the descriptor is readable; reads once. */
static size_t
get(int fd, void *buf, size_t cap)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	while (poll(&p, 1, 1) == 0)
		ev_run(t.loop, EVRUN_NOWAIT);
	n = read(fd, buf, cap);
	ck_assert_int_ge(n, 0);
	return (size_t)n;
}

static void
put(int fd, const void *p, size_t len)
{
	ck_assert_int_eq(write(fd, p, len), (ssize_t)len);
}

/* A query as netstackd sends it. */
static void
ask(int fd, const void *p, size_t len)
{
	uint8_t buf[4200] = ORIGIN;

	buf[6] = (uint8_t)(len >> 8);
	buf[7] = (uint8_t)len;
	memcpy(buf + PREFIX, p, len);
	put(fd, buf, PREFIX + len);
}

/* Turns the bus until a server got a query; addr NULL: any. */
static int
asked(const char *addr, uint8_t *buf, size_t cap, size_t *len)
{
	ssize_t n;
	size_t i;

	for (;; ev_run(t.loop, EVRUN_NOWAIT)) {
		for (i = 0; i < t.nserver; i++) {
			if (addr != NULL && strcmp(addr, t.server[i].addr) != 0)
				continue;
			n = read(t.server[i].fd, buf, cap);
			if (n <= 0)
				continue;
			*len = (size_t)n;
			return t.server[i].fd;
		}
		(void)poll(NULL, 0, 1);
	}
}

static void
wait_counter(const char *name, uint64_t v)
{
	while (counter(name) != v) {
		ev_run(t.loop, EVRUN_NOWAIT);
		(void)poll(NULL, 0, 1);
	}
}

#define DGRAM(s) s, sizeof(s) - 1

/* clang-format off */
static const struct {
	const char *what;
	const char *in;
	size_t inlen;
	const char *out;
	size_t outlen;
} builtin[] = {
	{ "gateway",
	    DGRAM(HDR "\7gateway\10internal\0" A_IN),
	    DGRAM("\x12\x34\x81\x80\0\1\0\1\0\0\0\0" "\7gateway\10internal\0"
	    A_IN "\xc0\x0c" A_IN "\0\0\0\0\0\4\xc0\xa8\x41\1") },
	{ "host in capitals",
	    DGRAM(HDR "\4HOST\6docker\10INTERNAL\0" A_IN),
	    DGRAM("\x12\x34\x81\x80\0\1\0\1\0\0\0\0"
	    "\4HOST\6docker\10INTERNAL\0"
	    A_IN "\xc0\x0c" A_IN "\0\0\0\0\0\4\xc0\xa8\x41\2") },
	{ "vm",
	    DGRAM(HDR "\2vm\10internal\0" A_IN),
	    DGRAM("\x12\x34\x81\x80\0\1\0\1\0\0\0\0" "\2vm\10internal\0"
	    A_IN "\xc0\x0c" A_IN "\0\0\0\0\0\4\xc0\xa8\x41\3") },
	{ "AAAA",
	    DGRAM(HDR "\4host\10internal\0" "\0\x1c\0\1"),
	    DGRAM("\x12\x34\x81\x83\0\1\0\0\0\0\0\0" "\4host\10internal\0"
	    "\0\x1c\0\1") },
	{ "NOTIFY",
	    DGRAM("\x12\x34\x20\0\0\1\0\0\0\0\0\0" OTHER A_IN),
	    DGRAM("\x12\x34\xa0\x84\0\1\0\0\0\0\0\0" OTHER A_IN) },
};
/* clang-format on */

START_TEST(test_builtin)
{
	uint8_t buf[600];
	int fd = flow(1, "dns");

	ask(fd, builtin[_i].in, builtin[_i].inlen);
	ck_assert_msg(get(fd, buf, sizeof(buf)) == PREFIX + builtin[_i].outlen,
	    "%s", builtin[_i].what);
	ck_assert_msg(
	    memcmp(buf + PREFIX, builtin[_i].out, builtin[_i].outlen) == 0,
	    "%s", builtin[_i].what);
}
END_TEST

/* The message is untouched but for the id; only the right answer counts. */
START_TEST(test_relay)
{
	static const char q[] = HDR OTHER A_IN "\0\0\x29\x10\0\0\0\0\0\0\0";
	uint8_t buf[65600], ans[1400];
	int fd = flow(1, "dns"), up;
	size_t n;

	ask(fd, DGRAM(HDR OTHER A_IN "\0\0\x29\x10\0\0\0\0\0\0\0"));
	up = asked("192.0.2.1", buf, sizeof(buf), &n);
	ck_assert_uint_eq(n, sizeof(q) - 1);
	ck_assert_mem_eq(buf + 2, q + 2, n - 2);
	memset(ans, 0xaa, sizeof(ans));
	memcpy(ans, buf, n);
	ans[2] |= 0x80;
	ans[0]++; /* another id */
	put(up, ans, sizeof(ans));
	ans[0]--;
	ans[13] ^= 1; /* another name */
	put(up, ans, sizeof(ans));
	ans[13] ^= 1;
	put(up, ans, 11);
	put(up, ans, sizeof(ans));
	n = get(fd, buf, sizeof(buf));
	ck_assert_uint_eq(n, 8 + sizeof(ans));
	ck_assert_mem_eq(buf, ORIGIN, 6);
	ck_assert_mem_eq(buf + PREFIX, "\x12\x34", 2);
	ck_assert_mem_eq(buf + 10, ans + 2, sizeof(ans) - 2);
	ck_assert_uint_eq(counter("dropped-wrong-answer"), 3);
	wait_counter("in-flight", 0);
	/* Nobody listens on that socket any more. */
	ck_assert_int_eq(write(up, ans, sizeof(ans)), -1);
}
END_TEST

/* A name of ours, but a type we know nothing of. */
START_TEST(test_relay_other_type)
{
	uint8_t buf[600];
	size_t n;

	ask(flow(1, "dns"), DGRAM(HDR "\4host\10internal\0\0\x10\0\1"));
	(void)asked("192.0.2.1", buf, sizeof(buf), &n);
	ck_assert_uint_eq(counter("answered-here"), 0);
}
END_TEST

START_TEST(test_socket_per_query)
{
	int fd = flow(1, "dns"), up[100], i, j;
	uint8_t buf[600];
	size_t n;

	for (i = 0; i < (int)nitems(up); i++) {
		ask(fd, DGRAM(HDR OTHER A_IN));
		up[i] = asked(NULL, buf, sizeof(buf), &n);
		for (j = 0; j < i; j++)
			ck_assert_int_ne(up[j], up[i]);
		if (i % 2 == 0)
			continue;
		buf[2] |= 0x80;
		put(up[i], buf, n);
		(void)get(fd, buf, sizeof(buf));
	}
	wait_counter("in-flight", nitems(up) / 2);
}
END_TEST

/* The first server is silent: the second is asked, and then asked first. */
START_TEST(test_next_server)
{
	int fd = flow(1, "dns"), up, first;
	uint8_t buf[600];
	size_t n;

	ask(fd, DGRAM(HDR OTHER A_IN));
	first = asked("192.0.2.1", buf, sizeof(buf), &n);
	up = asked("2001:db8::1", buf, sizeof(buf), &n);
	buf[2] |= 0x80;
	put(up, buf, n);
	ck_assert_uint_eq(get(fd, buf, sizeof(buf)), 8 + n);
	wait_counter("in-flight", 0);
	ck_assert_int_eq(write(first, buf, n), -1);
	ask(fd, DGRAM(HDR OTHER A_IN));
	(void)asked("2001:db8::1", buf, sizeof(buf), &n);
}
END_TEST

/* It was only slow. */
START_TEST(test_slow_server)
{
	uint8_t buf[600], other[600];
	int fd = flow(1, "dns"), first;
	size_t n, m;

	ask(fd, DGRAM(HDR OTHER A_IN));
	first = asked("192.0.2.1", buf, sizeof(buf), &n);
	(void)asked("2001:db8::1", other, sizeof(other), &m);
	buf[2] |= 0x80;
	put(first, buf, n);
	ck_assert_uint_eq(get(fd, buf, sizeof(buf)), 8 + n);
}
END_TEST

static void
expect_servfail(int fd)
{
	uint8_t buf[600];

	ck_assert_uint_eq(
	    get(fd, buf, sizeof(buf)), PREFIX + sizeof(HDR OTHER A_IN) - 1);
	ck_assert_mem_eq(buf + PREFIX,
	    "\x12\x34\x81\x82\0\1\0\0\0\0\0\0" OTHER A_IN,
	    sizeof(HDR OTHER A_IN) - 1);
	wait_counter("in-flight", 0);
}

START_TEST(test_refused)
{
	int fd;

	t.portd = REFUSE;
	fd = flow(1, "dns");
	ask(fd, DGRAM(HDR OTHER A_IN));
	expect_servfail(fd);
}
END_TEST

/* Nobody reads what is sent: every attempt fails at once. */
START_TEST(test_unreachable)
{
	uint8_t buf[600];
	int fd = flow(1, "dns");
	size_t n, i;

	ask(fd, DGRAM(HDR OTHER A_IN));
	(void)asked(NULL, buf, sizeof(buf), &n);
	for (i = 0; i < t.nserver; i++)
		close(t.server[i].fd);
	t.nserver = 0;
	t.portd = REFUSE;
	ask(fd, DGRAM(HDR OTHER A_IN));
	expect_servfail(fd);
}
END_TEST

START_TEST(test_no_server)
{
	int fd;

	conf(NULL, NULL);
	fd = flow(1, "dns");
	ask(fd, DGRAM(HDR OTHER A_IN));
	expect_servfail(fd);
	ck_assert_uint_eq(counter("no-server"), 1);
}
END_TEST

/* A query under way is asked of the new servers. */
START_TEST(test_reconfigured)
{
	int fd = flow(1, "dns"), up;
	uint8_t buf[600];
	size_t n;

	ask(fd, DGRAM(HDR OTHER A_IN));
	up = asked("192.0.2.1", buf, sizeof(buf), &n);
	conf("192.0.2.7#53", NULL);
	ck_assert_int_ne(asked("192.0.2.7", buf, sizeof(buf), &n), up);
	conf(NULL, NULL);
	expect_servfail(fd);
}
END_TEST

/* What the old portd was asked for is asked of the new one. */
START_TEST(test_portd_restarted)
{
	int fd = flow(1, "dns");
	uint8_t buf[600];
	size_t n;

	t.portd = IGNORE;
	conf("192.0.2.7#53", NULL);
	ask(fd, DGRAM(HDR OTHER A_IN));
	wait_counter("in-flight", 1);
	ipc_free(t.port);
	t.portd = GIVE;
	t.port = link_to(ROLE_PORT, 0, &port_events);
	(void)asked("192.0.2.7", buf, sizeof(buf), &n);
}
END_TEST

/* clang-format off */
static const struct {
	const char *what;
	const char *in;
	size_t inlen;
} bad[] = {
	{ "nothing",	    "", 0 },
	{ "an answer",	    DGRAM("\x12\x34\x81\0\0\1\0\0\0\0\0\0" OTHER A_IN) },
	{ "two questions",  DGRAM("\x12\x34\1\0\0\2\0\0\0\0\0\0" OTHER A_IN
	    OTHER A_IN) },
	{ "pointer",	    DGRAM(HDR "\xc0\x0c" A_IN) },
	{ "cut",	    DGRAM(HDR OTHER "\0\1") },
};
/* clang-format on */

START_TEST(test_malformed)
{
	ask(flow(1, "dns"), bad[_i].in, bad[_i].inlen);
	wait_counter("dropped-malformed", 1);
	ck_assert_uint_eq(counter("in-flight"), 0);
}
END_TEST

/* What is no message with its length before it. */
static const struct {
	const char *in;
	size_t inlen;
} unframed[] = {
	{ "abc", 3 },
	{ ORIGIN "\0", 7 },
	{ ORIGIN "\0\5"
		 "abcd",
	    12 },
	{ "", 0 },
};

START_TEST(test_unframed)
{
	int fd = flow(1, "dns");

	ck_assert_int_eq(send(fd, unframed[_i].in, unframed[_i].inlen, 0),
	    (ssize_t)unframed[_i].inlen);
	wait_counter("dropped-malformed", 1);
}
END_TEST

/* A good query with every byte changed in turn; then it still serves. */
START_TEST(test_mutations)
{
	static const char q[] = HDR OTHER A_IN;
	uint8_t buf[sizeof(q)], out[600];
	int fd = flow(1, "dns"), bit;
	size_t i;

	for (i = 0; i < sizeof(q) - 1; i++)
		for (bit = 0; bit < 8; bit++) {
			memcpy(buf, q, sizeof(q));
			buf[i] ^= (uint8_t)(1 << bit);
			ask(fd, buf, sizeof(q) - 1);
			ev_run(t.loop, EVRUN_NOWAIT);
		}
	conf(NULL, NULL);
	ask(fd, builtin[0].in, builtin[0].inlen);
	while (get(fd, out, sizeof(out)) != PREFIX + builtin[0].outlen ||
	       memcmp(out + PREFIX, builtin[0].out, builtin[0].outlen) != 0)
		continue;
}
END_TEST

START_TEST(test_limit)
{
	int fd, i;

	t.portd = IGNORE;
	fd = flow(1, "dns");
	for (i = 0; i < 1024 + 10; i++) {
		ask(fd, DGRAM(HDR OTHER A_IN));
		wait_counter("udp-queries", (uint64_t)i + 1);
	}
	wait_counter("dropped-vm-limit", 10);
	ck_assert_uint_eq(counter("in-flight"), 1024);
	/* The guest goes, and all it asked. */
	ipc_free(t.stack);
	t.stack = NULL;
	wait_counter("in-flight", 0);
}
END_TEST

/* Two queries in one write, answered in the other order; one answer is big. */
START_TEST(test_tcp)
{
	static const char q[] = "\0\x1d" HDR OTHER A_IN
				"\0\x1d\x56\x78\1\0\0\1\0\0\0\0\0\0" OTHER A_IN;
	static uint8_t ans[2 + 65535], got[2 + 65535], first[600];
	int fd = flow(1, "tcp"), up[2];
	size_t n, len;

	put(fd, q, sizeof(q) - 1);
	up[0] = asked(NULL, first, sizeof(first), &n);
	ck_assert_uint_eq(n, 31);
	ck_assert_mem_eq(first, "\0\x1d", 2);
	up[1] = asked(NULL, ans, sizeof(ans), &n);
	ck_assert_uint_eq(n, 31);
	ans[0] = ans[1] = 0xff;
	ans[4] |= 0x80;
	put(up[1], ans, 1);
	put(up[1], ans + 1, sizeof(ans) - 1);
	for (len = 0; len < sizeof(got); len += n)
		n = get(fd, got + len, sizeof(got) - len);
	ck_assert_mem_eq(got, ans, 2);
	ck_assert(memcmp(got + 2, "\x12\x34", 2) == 0 ||
		  memcmp(got + 2, "\x56\x78", 2) == 0);
	ck_assert_mem_eq(got + 4, ans + 4, sizeof(ans) - 4);
	first[4] |= 0x80;
	put(up[0], first, 31);
	ck_assert_uint_eq(get(fd, got, sizeof(got)), 31);
	/* After the guest's end of the stream comes ours. */
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	ck_assert_uint_eq(get(fd, got, sizeof(got)), 0);
}
END_TEST

/* No more than a few are taken at a time; all are answered in the end. */
START_TEST(test_tcp_many)
{
	static const char q[] = "\0\x1d" HDR OTHER A_IN;
	uint8_t buf[600];
	int fd = flow(1, "tcp"), i, up;
	size_t n, len = 0;

	for (i = 0; i < 100; i++)
		put(fd, q, sizeof(q) - 1);
	for (i = 0; i < 100; i++) {
		up = asked(NULL, buf, sizeof(buf), &n);
		ck_assert_uint_le(counter("in-flight"), 8);
		buf[4] |= 0x80;
		put(up, buf, n);
	}
	while (len < 100 * 31)
		len += get(fd, buf, sizeof(buf));
	ck_assert_uint_eq(len, 100 * 31);
}
END_TEST

START_TEST(test_tcp_bad)
{
	uint8_t buf[8];
	int fd = flow(1, "tcp");

	put(fd, "\xff\xff", 2);
	ck_assert_uint_eq(get(fd, buf, sizeof(buf)), 0);
	fd = flow(2, "tcp");
	put(fd, "\0\0", 2);
	ck_assert_uint_eq(get(fd, buf, sizeof(buf)), 0);
}
END_TEST

START_TEST(test_tcp_limit)
{
	uint32_t id;

	for (id = 0; id < 64; id++)
		(void)flow(id, "tcp");
	flow_open(64, "tcp");
	ck_assert_int_eq(t.flow_answer, IPC_FLOW_REFUSED);
	ck_assert_int_eq(
	    ipc_send(t.stack, IPC_FLOW_CLOSE, NULL, 0, "{s:i}", "id", 7), 0);
	(void)flow(7, "tcp");
}
END_TEST

/* An owned stack cannot take all of dnsd's descriptors. */
START_TEST(test_dgram_limit)
{
	uint32_t id;

	for (id = 0; id < 4; id++)
		(void)flow(id, "dns");
	flow_open(4, "dns");
	ck_assert_int_eq(t.flow_answer, IPC_FLOW_REFUSED);
	ck_assert_int_eq(
	    ipc_send(t.stack, IPC_FLOW_CLOSE, NULL, 0, "{s:i}", "id", 3), 0);
	(void)flow(3, "dns");
}
END_TEST

/*
 * A guest that connects, asks and goes faster than portd opens sockets is told
 * that there is no answer; requests to portd do not pile up.
 */
START_TEST(test_tcp_hit_and_run)
{
	static const char q[] = "\0\x1d" HDR OTHER A_IN;
	uint8_t buf[600];
	uint32_t id;
	int fd, i;

	conf("192.0.2.7#53", NULL);
	t.portd = IGNORE;
	for (id = 0; id < 1024 / 8; id++) {
		fd = flow(id, "tcp");
		for (i = 0; i < 8; i++)
			put(fd, q, sizeof(q) - 1);
		while (t.asked_tcp < 8 * (id + 1))
			turn();
		ck_assert_int_eq(ipc_send(t.stack, IPC_FLOW_CLOSE, NULL, 0,
				     "{s:I}", "id", (json_int_t)id),
		    0);
		close(fd);
	}
	fd = flow(id, "tcp");
	put(fd, q, sizeof(q) - 1);
	ck_assert_uint_ge(get(fd, buf, sizeof(buf)), 31);
	ck_assert_uint_eq(buf[5] & 15, 2);
	ck_assert_uint_eq(t.asked_tcp, 1024);
}
END_TEST

/* Without a pair there is no flow, and the stack hears of it. */
START_TEST(test_no_pair)
{
	t.no_pairs = true;
	flow_open(1, "dns");
	ck_assert_int_eq(t.flow_answer, IPC_FLOW_REFUSED);
	t.no_pairs = false;
	(void)flow(1, "dns");
}
END_TEST

START_TEST(test_bad_stack)
{
	flow_open(1, "udp");
	ck_assert(t.stack_gone);
}
END_TEST

int
main(int argc, char *argv[])
{
	Suite *s = suite_create("dnsd");
	TCase *tc = tcase_create("dnsd");
	SRunner *sr;
	int failed;

	if (argc != 2)
		return 2;
	t.exe = argv[1];
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 30);
	tcase_add_loop_test(tc, test_builtin, 0, (int)nitems(builtin));
	tcase_add_test(tc, test_relay);
	tcase_add_test(tc, test_relay_other_type);
	tcase_add_test(tc, test_socket_per_query);
	tcase_add_test(tc, test_next_server);
	tcase_add_test(tc, test_slow_server);
	tcase_add_test(tc, test_refused);
	tcase_add_test(tc, test_unreachable);
	tcase_add_test(tc, test_no_server);
	tcase_add_test(tc, test_reconfigured);
	tcase_add_test(tc, test_portd_restarted);
	tcase_add_loop_test(tc, test_malformed, 0, (int)nitems(bad));
	tcase_add_loop_test(tc, test_unframed, 0, (int)nitems(unframed));
	tcase_add_test(tc, test_mutations);
	tcase_add_test(tc, test_limit);
	tcase_add_test(tc, test_tcp);
	tcase_add_test(tc, test_tcp_many);
	tcase_add_test(tc, test_tcp_bad);
	tcase_add_test(tc, test_tcp_limit);
	tcase_add_test(tc, test_dgram_limit);
	tcase_add_test(tc, test_tcp_hit_and_run);
	tcase_add_test(tc, test_no_pair);
	tcase_add_test(tc, test_bad_stack);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
