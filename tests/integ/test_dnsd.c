/*
 * A real dnsd, with this program as its supervisor, its stack, its portd and
 * every server it asks.  The sockets portd gives it are socketpairs whose
 * other ends are the servers', so nothing touches a network.
 *
 * The first argument is the executable; the second may be "long".
 */

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <errno.h>
#include <ev.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/daemon.h"
#include "common/dnstab.h"
#include "common/servtab.h"
#include "common/plat/plat.h"
#include "dnsd/client.h"
#include "tests/check_main.h"
#include "tests/integ/alone.h"

#define MAXSERVERS 16384
#define ORIGIN	   "\xc0\xa8\x41\x03\x30\x39"
#define PREFIX	   8 /* that and the length */
#define HDR	   "\x12\x34\1\0\0\1\0\0\0\0\0\0"
#define HDR_OPT	   "\x12\x34\1\0\0\1\0\0\0\0\0\1"
#define A_IN	   "\0\1\0\1"
#define OTHER	   "\3www\7example\0"

/* A server's end of one socket. */
struct server {
	char addr[IPADDR_STRLEN];
	int fd; /* owned */
	bool tcp;
};

static struct {
	const char *exe;
	struct ev_loop *loop;
	pid_t pid;
	struct stats_file *stats;
	struct ipc *sup, *stack, *port; /* owned */
	bool ready, stack_gone, no_pairs;
	struct servtab *shown; /* to dnsd; owned mapping */
	int udp; /* owned: a server of UDP that is one; -1: none */
	struct sockaddr_in from; /* who has asked it last */
	enum { GIVE, REFUSE, IGNORE } portd;
	uint32_t network;    /* dnsd was told of */
	const char *refusal; /* NULL: EMFILE */
	unsigned asked;	     /* sock-open messages */
	unsigned asked_tcp;
	struct ipc *proxy;  /* owned */
	uint32_t told;	    /* the last name that proxyd was told of */
	char told_addr[64]; /* its first address; "": none */
	char told_error[33];
	enum ipc_type flow_answer;
	int flow_fd; /* owned by the test that asked */
	struct server server[MAXSERVERS];
	size_t nserver;
	size_t given;  /* sockets to the real one */
	bool only_tcp; /* asked() looks for no others */
	bool spoiled;  /* sockets to it have failed before */
} t;

/* A server's address and its end, of which there is one only if it is real. */
static void
server_add(const struct ipaddr *a, bool tcp, int fd)
{
	struct server *s = &t.server[t.nserver];

	ck_assert_uint_lt(t.nserver, MAXSERVERS);
	ipaddr_str(a, s->addr);
	s->tcp = tcp;
	s->fd = fd;
	t.nserver++;
}

/* Leaves it with an error of what went before: nobody was there. */
static void
spoil(int fd)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct sockaddr *sa = (struct sockaddr *)&sin;
	struct pollfd pfd = { .fd = fd };
	socklen_t len = sizeof(sin);
	int nobody = socket(AF_INET, SOCK_DGRAM, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(nobody, sa, len), 0);
	ck_assert_int_eq(getsockname(nobody, sa, &len), 0);
	close(nobody);
	ck_assert_int_eq(connect(fd, sa, len), 0);
	ck_assert_int_eq(send(fd, "x", 1, 0), 1);
	ck_assert_int_eq(poll(&pfd, 1, -1), 1);
}

/* dnsd's end of one. */
static int
give_one(const struct ipaddr *a, bool tcp)
{
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);
	int sv[2];

	if (tcp || t.udp == -1) {
		ck_assert_int_eq(
		    plat_socketpair(tcp ? SOCK_STREAM : SOCK_DGRAM, sv), 0);
		server_add(a, tcp, sv[0]);
		return sv[1];
	}
	sv[1] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	if (t.spoiled)
		spoil(sv[1]);
	ck_assert_int_eq(getsockname(t.udp, (struct sockaddr *)&sin, &len), 0);
	ck_assert_int_eq(connect(sv[1], (struct sockaddr *)&sin, len), 0);
	t.given++;
	return sv[1];
}

/* Those of UDP behind one that only looks for the way. */
static void
give(const struct ipc_msg *m)
{
	bool tcp = strcmp(ipc_str(m, "proto"), "tcp") == 0;
	size_t i, n = (size_t)ipc_u64(m, "count");
	struct ipaddr a = ipc_addr(m, "addr");
	int fd[64];

	if (!tcp)
		n++;
	for (i = 0; i < n; i++)
		fd[i] = give_one(&a, tcp);
	if (!tcp && t.udp != -1)
		server_add(&a, false, dup(t.udp));
	ck_assert_int_eq(ipc_send(t.port, tcp ? IPC_SOCK_FD : IPC_SOCK_SET, fd,
			     n, "{s:I}", "id", (json_int_t)ipc_u64(m, "id")),
	    0);
}

/* From now on UDP leads to a socket of ours, which dnsd may connect to. */
static void
real_server(void)
{
	struct sockaddr_storage ss = { .ss_family = AF_INET };
	struct sockaddr_in *sin = (struct sockaddr_in *)&ss;
	socklen_t len = sizeof(*sin);

	sin->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	t.udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(bind(t.udp, (struct sockaddr *)sin, len), 0);
	ck_assert_int_eq(getsockname(t.udp, (struct sockaddr *)sin, &len), 0);
	servtab_put(t.shown, &ss, 1);
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
			"id", (json_int_t)ipc_u64(m, "id"), "error",
			t.refusal != NULL ? t.refusal : "EMFILE"),
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

static void
on_proxy(struct ipc *ipc, struct ipc_msg *m)
{
	ck_assert_int_eq(m->type, IPC_RESOLVED);
	t.told = (uint32_t)ipc_u64(m, "id");
	snprintf(t.told_addr, sizeof(t.told_addr), "%s",
	    ipc_nstr(m, "addrs") > 0 ? ipc_strat(m, "addrs", 0) : "");
	snprintf(t.told_error, sizeof(t.told_error), "%s", ipc_str(m, "error"));
}

static const struct ipc_events proxy_events = { on_proxy, on_gone };
static const struct ipc_events sup_events = { on_sup, on_gone };
static const struct ipc_events stack_events = { on_stack, on_gone };
static const struct ipc_events port_events = { on_port, on_gone };

static void
turn(void)
{
	ev_run(t.loop, EVRUN_ONCE);
}

/* A server of the next configuration; zone NULL: for all names. */
static void
conf_server(const char *addr, int order, int timeout_ms, const char *zone)
{
	json_t *zones = json_array();

	if (zone != NULL)
		json_array_append_new(zones, json_string(zone));
	ck_assert_int_eq(
	    ipc_send(t.sup, IPC_DNS_SERVER, NULL, 0, "{s:s,s:i,s:i,s:i,s:o}",
		"addr", addr, "port", 53, "order", order, "timeout-ms",
		timeout_ms, "zones", zones),
	    0);
}

/* The rest of it; on the network of before, or another one. */
static void
conf_end_network(bool in_turn, int offline_after, uint32_t network)
{
	t.network = network;
	ck_assert_int_eq(
	    ipc_send(t.sup, IPC_DNS_HOSTS, NULL, 0, "{s:[s,s,s,s]}", "names",
		"10.1.1.1 one.example", "fd00::1 six.example",
		"10.1.1.2 one.example", "10.9.9.9 host.internal"),
	    0);
	ck_assert_int_eq(
	    ipc_send(t.sup, IPC_CONF_DNS, NULL, 0,
		"{s:s,s:s,s:s,s:[s],s:[s,s],s:[s],s:b,s:i,s:I}", "gateway-ip",
		"192.168.65.1", "host-ip", "192.168.65.2", "lowest-ip",
		"192.168.65.3", "gateway-names", "gateway.internal",
		"host-names", "host.internal", "host.docker.internal",
		"vm-names", "vm.internal", "in-turn", in_turn, "offline-after",
		offline_after, "network", (json_int_t)network),
	    0);
}

static void
conf_end_after(bool in_turn, int offline_after)
{
	conf_end_network(in_turn, offline_after, t.network + 1);
}

static void
conf_end(bool in_turn)
{
	conf_end_after(in_turn, 5);
}

/* As from a resolv.conf. */
static void
conf(const char *server1, const char *server2)
{
	if (server1 != NULL)
		conf_server(server1, 0, 5000, NULL);
	if (server2 != NULL)
		conf_server(server2, 1, 5000, NULL);
	conf_end(true);
}

static struct ipc *
link_to(enum ipc_role role, uint32_t vm, const struct ipc_events *events)
{
	struct ipc *ipc = ipc_new(t.loop, alone_peer(t.sup, role, vm), role,
	    ROLE_DNS, vm, events, NULL);

	ck_assert_ptr_nonnull(ipc);
	return ipc;
}

static void
setup(void)
{
	char *argv[] = { (char *)(uintptr_t)t.exe, NULL };
	int bus;

	int fd = plat_memfd("servers", sizeof(*t.shown));

	plat_nofile();
	t.udp = -1;
	t.shown = mmap(
	    NULL, sizeof(*t.shown), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert(t.shown != MAP_FAILED);
	alone_servers = plat_memfd_ro(fd);
	t.loop = ev_default_loop(0);
	t.pid = alone_start(t.exe, argv, -1, &bus, &t.stats);
	t.sup = ipc_new(t.loop, bus, ROLE_MAIN, ROLE_DNS, 0, &sup_events, NULL);
	ck_assert_ptr_nonnull(t.sup);
	while (!t.ready)
		turn();
	conf("192.0.2.1", "2001:db8::1");
	t.stack = link_to(ROLE_STACK, 1, &stack_events);
	t.port = link_to(ROLE_PORT, 0, &port_events);
}

/* Whatever happened to it, dnsd lives and goes when its supervisor does. */
static void
teardown(void)
{
	ipc_free(t.sup);
	alone_ended(t.pid);
	ipc_free(t.stack);
	ipc_free(t.port);
	ipc_free(t.proxy);
}

static uint64_t
counter(const char *name)
{
	return alone_counter(t.stats, name);
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

	while (poll(&p, 1, 1) != 1)
		ev_run(t.loop, EVRUN_NOWAIT);
	n = read(fd, buf, cap);
	ck_assert_int_ge(n, 0);
	return (size_t)n;
}

static bool
is_real(int fd)
{
	size_t i;

	for (i = 0; t.udp != -1 && i < t.nserver; i++)
		if (t.server[i].fd == fd)
			return !t.server[i].tcp;
	return false;
}

/* A real server answers who has asked last. */
static void
put(int fd, const void *p, size_t len)
{
	const struct sockaddr *to =
	    is_real(fd) ? (struct sockaddr *)&t.from : NULL;

	ck_assert_int_eq(
	    sendto(fd, p, len, 0, to, to != NULL ? sizeof(t.from) : 0),
	    (ssize_t)len);
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
	socklen_t fromlen = sizeof(t.from);
	ssize_t n;
	size_t i;

	for (;; ev_run(t.loop, EVRUN_NOWAIT)) {
		for (i = 0; i < t.nserver; i++) {
			if (addr != NULL && strcmp(addr, t.server[i].addr) != 0)
				continue;
			/* Where we are late UDP is asked as well. */
			if (t.only_tcp && !t.server[i].tcp)
				continue;
			n = recvfrom(t.server[i].fd, buf, cap, 0,
			    (struct sockaddr *)&t.from, &fromlen);
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

/* A question like no other: equal ones under way are asked once. */
#define NUMBERED     "\7n000000\7example\0"
#define NUMBERED_LEN (sizeof(HDR NUMBERED A_IN) - 1)

static void
numbered(uint8_t *p, unsigned i)
{
	char name[8];

	snprintf(name, sizeof(name), "n%06u", i % 1000000);
	memcpy(p, HDR NUMBERED A_IN, NUMBERED_LEN);
	memcpy(p + 13, name, 7);
}

static void
ask_numbered(int fd, unsigned i)
{
	uint8_t q[NUMBERED_LEN];

	numbered(q, i);
	ask(fd, q, sizeof(q));
}

/* So many of them as netstackd sends them, behind ORIGIN; the length. */
static size_t
many_numbered(uint8_t *p, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++, p += PREFIX + NUMBERED_LEN) {
		memcpy(p, ORIGIN "\0", PREFIX - 1);
		p[PREFIX - 1] = NUMBERED_LEN;
		numbered(p + PREFIX, i);
	}
	return n * (PREFIX + NUMBERED_LEN);
}

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
	    DGRAM("\x12\x34\x81\x80\0\1\0\0\0\0\0\0" "\4host\10internal\0"
	    "\0\x1c\0\1") },
	{ "HTTPS",
	    DGRAM(HDR "\4host\10internal\0" "\0\x41\0\1"),
	    DGRAM("\x12\x34\x81\x80\0\1\0\0\0\0\0\0" "\4host\10internal\0"
	    "\0\x41\0\1") },
	{ "an unknown type",
	    DGRAM(HDR "\4host\10internal\0" "\xff\0\0\1"),
	    DGRAM("\x12\x34\x81\x80\0\1\0\0\0\0\0\0" "\4host\10internal\0"
	    "\xff\0\0\1") },
	{ "ANY",
	    DGRAM(HDR "\2vm\10internal\0" "\0\xff\0\1"),
	    DGRAM("\x12\x34\x81\x80\0\1\0\1\0\0\0\0" "\2vm\10internal\0"
	    "\0\xff\0\1" "\xc0\x0c" A_IN "\0\0\0\0\0\4\xc0\xa8\x41\3") },
	{ "hosts file, the first line",
	    DGRAM(HDR "\3One\7example\0" A_IN),
	    DGRAM("\x12\x34\x81\x80\0\1\0\1\0\0\0\0" "\3One\7example\0"
	    A_IN "\xc0\x0c" A_IN "\0\0\0\0\0\4\x0a\1\1\1") },
	{ "hosts file, the other family",
	    DGRAM(HDR "\3one\7example\0" "\0\x1c\0\1"),
	    DGRAM("\x12\x34\x81\x80\0\1\0\0\0\0\0\0" "\3one\7example\0"
	    "\0\x1c\0\1") },
	{ "hosts file, IPv6",
	    DGRAM(HDR "\3six\7example\0" "\0\x1c\0\1"),
	    DGRAM("\x12\x34\x81\x80\0\1\0\1\0\0\0\0" "\3six\7example\0"
	    "\0\x1c\0\1" "\xc0\x0c\0\x1c\0\1\0\0\0\0\0\x10"
	    "\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1") },
	{ "hosts file, ANY",
	    DGRAM(HDR "\3six\7example\0" "\0\xff\0\1"),
	    DGRAM("\x12\x34\x81\x80\0\1\0\1\0\0\0\0" "\3six\7example\0"
	    "\0\xff\0\1" "\xc0\x0c\0\x1c\0\1\0\0\0\0\0\x10"
	    "\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1") },
	{ "our names come before the hosts file",
	    DGRAM(HDR "\4host\10internal\0" A_IN),
	    DGRAM("\x12\x34\x81\x80\0\1\0\1\0\0\0\0" "\4host\10internal\0"
	    A_IN "\xc0\x0c" A_IN "\0\0\0\0\0\4\xc0\xa8\x41\2") },
	{ "a transfer",
	    DGRAM(HDR OTHER "\0\xfc\0\1"),
	    DGRAM("\x12\x34\x81\x84\0\1\0\0\0\0\0\0" OTHER "\0\xfc\0\1") },
	{ "another version of EDNS",
	    DGRAM(HDR_OPT "\7gateway\10internal\0" A_IN
	    "\0\0\x29\4\xd0\0\1\0\0\0\0"),
	    DGRAM("\x12\x34\x81\x80\0\1\0\0\0\0\0\1"
	    "\7gateway\10internal\0" A_IN "\0\0\x29\4\xd0\1\0\0\0\0\0") },
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

#define OPT(size) "\0\0\x29" size "\0\0\x80\0\0\0"
#define RR(ttl)                                                                \
	"\xc0\x0c" A_IN ttl "\0\4"                                             \
	"1234"

/* An answer to the query in buf, with more behind its question. */
static size_t
answer_to(uint8_t *buf, uint8_t rcode, uint8_t an, uint8_t ns, const void *rr,
    size_t rrlen)
{
	const size_t n = 12 + sizeof(OTHER A_IN) - 1;

	buf[2] |= 0x80;
	buf[3] = (uint8_t)(0x80 | rcode);
	buf[7] = an;
	buf[9] = ns;
	buf[11] = 0;
	memcpy(buf + n, rr, rrlen);
	return n + rrlen;
}

static bool
same_letters(const uint8_t *p, const char *name)
{
	return strncasecmp((const char *)p, name, strlen(name)) == 0;
}

/*
 * The server sees our UDP size, an id of ours and a name in our letters, the
 * guest gets everything as the server wrote it, in its own; only the right
 * answer counts.
 */
START_TEST(test_relay)
{
	uint8_t buf[65600], ans[1400];
	int fd = flow(1, "dns"), up;
	size_t n;

	ask(fd, DGRAM(HDR_OPT OTHER A_IN OPT("\x10\0")));
	up = asked("192.0.2.1", buf, sizeof(buf), &n);
	ck_assert_uint_eq(n, sizeof(HDR_OPT OTHER A_IN OPT("..")) - 1);
	ck_assert(same_letters(buf + 12, OTHER));
	ck_assert_mem_eq(buf + n - 11, OPT("\4\xd0"), 11);
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
	ck_assert_uint_eq(n, PREFIX + sizeof(ans));
	ck_assert_mem_eq(buf, ORIGIN, 6);
	ck_assert_mem_eq(buf + PREFIX, "\x12\x34", 2);
	ck_assert_mem_eq(buf + PREFIX + 12, OTHER, sizeof(OTHER));
	memcpy(ans + 12, OTHER, sizeof(OTHER));
	ck_assert_mem_eq(buf + PREFIX + 2, ans + 2, sizeof(ans) - 2);
	ck_assert_uint_eq(counter("dropped-wrong-answer"), 3);
	wait_counter("in-flight", 0);
	/* Nobody listens on that socket any more. */
	ck_assert_int_eq(write(up, ans, sizeof(ans)), -1);
}
END_TEST

/* The letters are drawn anew each time. */
START_TEST(test_case)
{
	uint8_t buf[600], first[600];
	int fd = flow(1, "dns"), up, i;
	bool differ = false;
	size_t n;

	for (i = 0; i < 20; i++) {
		ask(fd, DGRAM(HDR OTHER A_IN));
		up = asked("192.0.2.1", buf, sizeof(buf), &n);
		if (i == 0)
			memcpy(first, buf, n);
		differ |= memcmp(first + 12, buf + 12, 13) != 0;
		put(up, buf, answer_to(buf, 0, 0, 0, "", 0));
		(void)get(fd, buf, sizeof(buf));
	}
	ck_assert(differ);
	ck_assert_uint_eq(counter("servers-without-case"), 0);
}
END_TEST

/*
 * A server that answers all in small letters: how often it did so to other
 * ones until the guest had its answer.
 */
static unsigned
serve_small(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	unsigned other = 0;
	uint8_t buf[600];
	ssize_t n;
	size_t i;

	while (poll(&p, 1, 1) != 1) {
		ev_run(t.loop, EVRUN_NOWAIT);
		for (i = 0; i < t.nserver; i++) {
			if ((n = read(t.server[i].fd, buf, sizeof(buf))) <= 0)
				continue;
			other += memcmp(buf + 12, OTHER, 13) != 0;
			memcpy(buf + 12, OTHER, 13);
			n = (ssize_t)answer_to(buf, 0, 0, 0, "", 0);
			(void)!write(t.server[i].fd, buf, (size_t)n);
		}
	}
	return other;
}

/*
 * One answer in other letters may be a forger's luck: it is not believed, and
 * the letters stay mixed.  Who answers all so does not keep them; then the
 * guest has its answer, in its own letters, whatever those are.
 */
START_TEST(test_case_lost)
{
	static const char *const name[] = { "\3www\7example",
		"\3WWW\7eXample" };
	uint8_t buf[600], q[] = HDR OTHER A_IN;
	unsigned other = 0, i;
	int fd;

	conf("192.0.2.7", NULL);
	fd = flow(1, "dns");
	/* Ten letters may happen to be small ones. */
	while (counter("servers-without-case") == 0) {
		ask(fd, q, sizeof(q) - 1);
		other += serve_small(fd);
		(void)get(fd, buf, sizeof(buf));
		ck_assert_uint_eq(buf[PREFIX + 3] & 15, 0);
	}
	ck_assert_uint_ge(other, 3);
	for (i = 0; i < nitems(name); i++) {
		memcpy(q + 12, name[i], 13);
		ask(fd, q, sizeof(q) - 1);
		other = serve_small(fd);
		/* As the guest wrote it, and asked again only if late. */
		ck_assert_uint_le(other, i * 8);
		ck_assert_uint_eq(
		    get(fd, buf, sizeof(buf)), PREFIX + sizeof(q) - 1);
		ck_assert_uint_eq(buf[PREFIX + 3] & 15, 0);
		ck_assert_mem_eq(buf + PREFIX + 12, name[i], 13);
	}
	ck_assert_uint_eq(counter("servers-without-case"), 1);
}
END_TEST

/* What was answered once is not asked again. */
START_TEST(test_cache)
{
	static const char soa[] = "\0\0\6\0\1\0\0\1\0\0\x16\0\0"
				  "\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\x3c";
	uint8_t buf[600], ans[600];
	int fd = flow(1, "dns"), up;
	size_t n, m;

	ask(fd, DGRAM(HDR OTHER A_IN));
	up = asked("192.0.2.1", ans, sizeof(ans), &n);
	n = _i == 0 ? answer_to(ans, 0, 1, 0, RR("\0\0\1\0"), 16)
		    : answer_to(ans, 3, 0, 1, soa, sizeof(soa) - 1);
	ans[2] |= 4; /* AA: so said the server, but the cache is not it */
	put(up, ans, n);
	ck_assert_uint_eq(get(fd, buf, sizeof(buf)), PREFIX + n);
	ck_assert_uint_eq(buf[PREFIX + 2] & 4, 4);
	ask(fd, DGRAM("\x56\x78\1\0\0\1\0\0\0\0\0\0"
		      "\3wWw\7eXample\0" A_IN));
	m = get(fd, buf, sizeof(buf));
	ck_assert_uint_eq(m, PREFIX + n);
	ck_assert_mem_eq(buf + PREFIX, "\x56\x78", 2);
	ck_assert_uint_eq(buf[PREFIX + 2] & 4, 0);
	ck_assert_mem_eq(buf + PREFIX + 12, "\3wWw\7eXample", 13);
	ck_assert_uint_eq(buf[PREFIX + 3] & 15, _i == 0 ? 0 : 3);
	ck_assert_uint_eq(counter("cache-hits"), 1);
	ck_assert_uint_eq(counter("cache-entries"), 1);
	/* The same servers may say other things on another network. */
	conf("192.0.2.1", "2001:db8::1");
	wait_counter("cache-entries", 0);
	ask(fd, DGRAM(HDR OTHER A_IN));
	up = asked("192.0.2.1", buf, sizeof(buf), &m);
	memcpy(ans, buf, 2); /* the id, and the letters */
	memcpy(ans + 12, buf + 12, sizeof(OTHER) - 1);
	put(up, ans, n);
	ck_assert_uint_eq(get(fd, buf, sizeof(buf)), PREFIX + n);
	ck_assert_uint_eq(counter("cache-entries"), 1);
	/* Other servers may say other things. */
	conf("192.0.2.7", NULL);
	wait_counter("cache-entries", 0);
	ask(fd, DGRAM(HDR OTHER A_IN));
	(void)asked("192.0.2.7", buf, sizeof(buf), &n);
}
END_TEST

/*
 * What is kept is an answer to its question and to nothing else, whatever its
 * additional records say; and its time gets shorter.
 */
START_TEST(test_cache_whole)
{
	static const char rr[] =
	    RR("\0\0\0\x64") "\5other\xc0\x10" A_IN "\0\0\0\x64\0\4"
			     "6666";
	uint8_t buf[600];
	int fd = flow(1, "dns"), up;
	size_t n;

	ask(fd, DGRAM(HDR OTHER A_IN));
	up = asked(NULL, buf, sizeof(buf), &n);
	n = answer_to(buf, 0, 1, 0, DGRAM(rr));
	buf[11] = 1;
	put(up, buf, n);
	ck_assert_uint_eq(get(fd, buf, sizeof(buf)), PREFIX + n);
	ask(fd, DGRAM(HDR "\5other\7example\0" A_IN));
	do
		(void)asked(NULL, buf, sizeof(buf), &n);
	while (!same_letters(buf + 12, "\5other"));
	/* The TTL of the first record, which is behind the question. */
	do {
		(void)poll(NULL, 0, 10);
		ask(fd, DGRAM(HDR OTHER A_IN));
		do
			n = get(fd, buf, sizeof(buf));
		while (!same_letters(buf + PREFIX + 12, OTHER));
		ck_assert_uint_eq(n, PREFIX + 29 + sizeof(rr) - 1);
		ck_assert_mem_eq(buf + PREFIX + 29 + 6, "\0\0\0", 3);
		ck_assert_uint_le(buf[PREFIX + 29 + 9], 0x64);
	} while (buf[PREFIX + 29 + 9] == 0x64);
	/* The other record's with it. */
	ck_assert_uint_lt(buf[PREFIX + 29 + 16 + 15], 0x64);
}
END_TEST

#define L63                                                                    \
	"\x3f"                                                                 \
	"123456789012345678901234567890123456789012345678901234567890123"
#define L61                                                                    \
	"\x3d"                                                                 \
	"1234567890123456789012345678901234567890123456789012345678901"

/* clang-format off */
static const struct {
	const char *what, *q;
	size_t len;
} odd[] = {
	{ "the root", DGRAM(HDR "\0\0\2\0\1") },
	{ "255 bytes", DGRAM(HDR L63 L63 L63 L61 "\0" A_IN) },
	{ "a dot, a zero and others in labels", DGRAM(HDR "\3a.b\4\0\xff\x80" "C"
	    "\1\\\0" A_IN) },
	{ "class CH", DGRAM(HDR "\7version\4bind\0" "\0\x10\0\3") },
	{ "any class", DGRAM(HDR "\4host\10internal\0" "\0\1\0\xff") },
	{ "a name below one of ours",
	    DGRAM(HDR "\1a\4host\10internal\0" "\0\x10\0\1") },
	{ "an unknown type", DGRAM(HDR OTHER "\xff\0\0\1") },
};
/* clang-format on */

/* Whatever is asked comes to the server so, and its answer back, and is kept.
 */
START_TEST(test_odd)
{
	const char *q = odd[_i].q;
	size_t len = odd[_i].len, n;
	uint8_t buf[600], ans[600];
	int fd = flow(1, "dns"), up, i;

	ask(fd, q, len);
	up = asked("192.0.2.1", ans, sizeof(ans), &n);
	ck_assert_msg(n == len, "%s", odd[_i].what);
	for (i = 12; i < (int)len; i++)
		ck_assert(ans[i] == (uint8_t)q[i] ||
			  (ans[i] ^ (uint8_t)q[i]) == 0x20);
	ans[2] |= 0x80;
	ans[7] = 1;
	memcpy(ans + n, "\xc0\x0c", 2);
	memcpy(ans + n + 2, ans + n - 4, 4); /* type and class */
	memcpy(ans + n + 6,
	    "\0\0\1\0\0\1"
	    "x",
	    7);
	n += 13;
	put(up, ans, n);
	for (i = 0; i < 2; i++) {
		ck_assert_uint_eq(get(fd, buf, sizeof(buf)), PREFIX + n);
		ck_assert_mem_eq(buf + PREFIX + 12, q + 12, len - 12);
		if (i == 0)
			ask(fd, q, len);
	}
	ck_assert_uint_eq(counter("cache-hits"), 1);
	ck_assert_uint_eq(counter("answered-here"), 0);
}
END_TEST

/* Its time is over and nobody answers: better an old answer than none. */
START_TEST(test_stale)
{
	uint8_t buf[600], ans[600];
	int fd = flow(1, "dns"), up;
	size_t n;

	conf("192.0.2.7", NULL);
	ask(fd, DGRAM(HDR OTHER A_IN));
	up = asked("192.0.2.7", ans, sizeof(ans), &n);
	n = answer_to(ans, 0, 1, 0, RR("\0\0\0\1"), 16);
	put(up, ans, n);
	(void)get(fd, buf, sizeof(buf));
	t.portd = REFUSE;
	while (counter("cache-stale") == 0) {
		ask(fd, DGRAM(HDR OTHER A_IN));
		ck_assert_uint_eq(get(fd, buf, sizeof(buf)), PREFIX + n);
		/* Whatever is left in the pool does not answer either. */
		while (t.nserver > 0)
			close(t.server[--t.nserver].fd);
	}
	ck_assert_mem_eq(buf + PREFIX + n - 10, "\0\0\0\x1e", 4);
}
END_TEST

/* Another guest; the first one stays, and is the test's to end. */
static struct ipc *
other_guest(void)
{
	struct ipc *first = t.stack;

	t.stack = link_to(ROLE_STACK, 2, &stack_events);
	return first;
}

/* How many queries have come to servers by now, and are read with this. */
static unsigned
all_asked(uint8_t *buf, size_t cap, size_t *len, int *up)
{
	unsigned n = 0;
	ssize_t got;
	size_t i;

	for (i = 0; i < t.nserver; i++) {
		while ((got = read(t.server[i].fd, buf, cap)) > 0) {
			*len = (size_t)got;
			*up = t.server[i].fd;
			n++;
		}
	}
	return n;
}

/* What was said last counts, also when it may not be kept. */
START_TEST(test_stale_outdated)
{
	uint8_t buf[600], got[600];
	int fd, up = -1;
	unsigned asks;
	size_t n = 0;

	conf_server("192.0.2.7", 0, 60000, NULL);
	conf_end(false);
	fd = flow(1, "dns");
	ask(fd, DGRAM(HDR OTHER A_IN));
	up = asked("192.0.2.7", buf, sizeof(buf), &n);
	put(up, buf, answer_to(buf, 0, 1, 0, DGRAM(RR("\0\0\0\1"))));
	(void)get(fd, got, sizeof(got));
	ck_assert_uint_eq(counter("cache-entries"), 1);
	/* Until its time is over. */
	for (asks = 0; asks == 0;) {
		ask(fd, DGRAM(HDR OTHER A_IN));
		while (asks == 0 &&
		       recv(fd, got, sizeof(got), MSG_DONTWAIT) <= 0) {
			ev_run(t.loop, EVRUN_NOWAIT);
			(void)poll(NULL, 0, 1);
			asks = all_asked(buf, sizeof(buf), &n, &up);
		}
	}
	put(up, buf, answer_to(buf, 0, 1, 0, DGRAM(RR("\0\0\0\0"))));
	(void)get(fd, got, sizeof(got));
	ck_assert_uint_eq(counter("cache-entries"), 0);
}
END_TEST

/* The guest's UDP size is honoured; the whole is fetched by TCP, and kept. */
START_TEST(test_cut)
{
	static uint8_t big[2 + 2000], buf[65600];
	int fd = flow(1, "dns"), tcp, up;
	size_t n;

	ask(fd, DGRAM(HDR_OPT OTHER A_IN OPT("\4\xd0")));
	up = asked("192.0.2.1", buf, sizeof(buf), &n);
	buf[2] |= 0x82;
	put(up, buf, n);
	t.only_tcp = true;
	up = asked("192.0.2.1", buf, sizeof(buf), &n);
	ck_assert_uint_eq(n, 2 + sizeof(HDR_OPT OTHER A_IN OPT("..")) - 1);
	/* One record of unknown type with 1,900 bytes. */
	memcpy(big + 2, buf + 2, 29);
	big[4] |= 0x80;
	big[9] = 1;
	big[13] = 0;
	memcpy(big + 31, "\xc0\x0c\0\1\0\1\0\0\1\0\7\x6c", 12);
	n = 31 + 12 + 1900;
	big[0] = (uint8_t)((n - 2) >> 8);
	big[1] = (uint8_t)(n - 2);
	put(up, big, n);
	ck_assert_uint_eq(get(fd, buf, sizeof(buf)), PREFIX + 29);
	ck_assert_uint_eq(buf[PREFIX + 2] & 2, 2);
	ck_assert_uint_eq(counter("asked-by-tcp"), 1);
	/* Who takes more gets it, by UDP and by TCP. */
	ask(fd, DGRAM(HDR_OPT OTHER A_IN OPT("\x10\0")));
	ck_assert_uint_eq(get(fd, buf, sizeof(buf)), PREFIX + n - 2);
	tcp = flow(2, "tcp");
	put(tcp, "\0\x28" HDR_OPT OTHER A_IN OPT("\4\xd0"), 42);
	ck_assert_uint_eq(get(tcp, buf, sizeof(buf)), n);
	ck_assert_uint_eq(counter("cache-hits"), 2);
}
END_TEST

/*
 * Additional records may go without a word, but not those of a query that may
 * have been signed: the guest has to ask by TCP.
 */
START_TEST(test_cut_signed)
{
	static const char *const q[] = {
		HDR_OPT OTHER A_IN OPT("\2\0"),
		"\x12\x34\1\0\0\1\0\0\0\0\0\1" OTHER A_IN
		"\1k\0\0\xfa\0\xff\0\0\0\0\0\1x",
	};
	const size_t len[] = { 29 + 11, 29 + 14 };
	uint8_t buf[2000], ans[1000] = { 0 };
	int fd = flow(1, "dns"), up;
	size_t n;

	ask(fd, q[_i], len[_i]);
	up = asked(NULL, buf, sizeof(buf), &n);
	n = answer_to(buf, 0, 1, 0, DGRAM(RR("\0\0\0\0")));
	buf[11] = 1;
	memcpy(ans, buf, n);
	memcpy(ans + n, "\0\0\xfa\0\xff\0\0\0\0", 9);
	ans[n + 9] = (uint8_t)((sizeof(ans) - n - 11) >> 8);
	ans[n + 10] = (uint8_t)(sizeof(ans) - n - 11);
	put(up, ans, sizeof(ans));
	ck_assert_uint_eq(get(fd, buf, sizeof(buf)), PREFIX + n);
	ck_assert_uint_eq(buf[PREFIX + 2] & 2, _i == 0 ? 0 : 2);
}
END_TEST

/* The error has a reason, for who understands it (RFC 8914). */
START_TEST(test_extended_error)
{
	uint8_t buf[600];
	int fd;
	size_t n;

	conf(NULL, NULL);
	fd = flow(1, "dns");
	ask(fd, DGRAM(HDR_OPT OTHER A_IN OPT("\4\xd0")));
	n = get(fd, buf, sizeof(buf));
	ck_assert_uint_gt(n, PREFIX + 40 + 6);
	ck_assert_uint_eq(buf[PREFIX + 3] & 15, 2);
	ck_assert_mem_eq(buf + PREFIX + 40, "\0\x0f", 2);
	ck_assert_mem_eq(buf + PREFIX + 44, "\0\x0e", 2);
}
END_TEST

/* A name goes to the servers of its longest zone, and nowhere else. */
START_TEST(test_zones)
{
	uint8_t buf[600];
	int fd = flow(1, "dns");
	size_t n;

	conf_server("192.0.2.5", 0, 5000, NULL);
	conf_server("192.0.2.6", 0, 5000, "example");
	conf_server("192.0.2.7", 0, 5000, "www.example");
	conf_end(false);
	ask(fd, DGRAM(HDR OTHER A_IN));
	(void)asked("192.0.2.7", buf, sizeof(buf), &n);
	ask(fd, DGRAM(HDR "\3wwx\7EXAMPLE\0" A_IN));
	(void)asked("192.0.2.6", buf, sizeof(buf), &n);
	ck_assert(same_letters(buf + 12, "\3wwx"));
	ask(fd, DGRAM(HDR "\3www\7examplf\0" A_IN));
	(void)asked("192.0.2.5", buf, sizeof(buf), &n);
	ck_assert(same_letters(buf + 12, "\3www\7examplf"));
}
END_TEST

/* One group: both are asked at once, and the one with an answer wins. */
START_TEST(test_good_beside_bad)
{
	uint8_t buf[600], other[600];
	int fd = flow(1, "dns"), good, bad;
	size_t n, m;

	conf_server("192.0.2.5", 0, 5000, NULL);
	conf_server("192.0.2.6", 0, 5000, NULL);
	conf_end(false);
	ask(fd, DGRAM(HDR OTHER A_IN));
	bad = asked("192.0.2.5", buf, sizeof(buf), &n);
	good = asked("192.0.2.6", other, sizeof(other), &m);
	put(bad, buf, answer_to(buf, _i == 0 ? 2 : 3, 0, 0, "", 0));
	m = answer_to(other, 0, 1, 0, RR("\0\0\0\0"), 16);
	put(good, other, m);
	ck_assert_uint_eq(get(fd, buf, sizeof(buf)), PREFIX + m);
}
END_TEST

/* The lower order is heard first, whoever is quicker. */
START_TEST(test_order)
{
	uint8_t buf[600], other[600];
	int fd = flow(1, "dns"), low, high;
	size_t n, m;

	conf_server("192.0.2.5", 1, 5000, NULL);
	conf_server("192.0.2.6", 0, 5000, NULL);
	conf_end(false);
	ask(fd, DGRAM(HDR OTHER A_IN));
	low = asked("192.0.2.6", other, sizeof(other), &m);
	high = asked("192.0.2.5", buf, sizeof(buf), &n);
	n = answer_to(buf, 0, 2, 0, RR("\0\0\0\0") RR("\0\0\0\0"), 32);
	put(high, buf, n);
	if (_i == 0) {
		m = answer_to(other, 0, 1, 0, RR("\0\0\0\0"), 16);
		put(low, other, m);
		ck_assert_uint_eq(get(fd, buf, sizeof(buf)), PREFIX + m);
	} else {
		/* It has nothing to say. */
		put(low, other, answer_to(other, 3, 0, 0, "", 0));
		ck_assert_uint_eq(get(fd, other, sizeof(other)), PREFIX + n);
	}
}
END_TEST

/*
 * Answers whatever this server, or any (NULL), is asked until the guest has an
 * answer; true: the server `other' was asked, too.
 */
static bool
serve(const char *addr, int fd, const char *other)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	bool was = false;
	uint8_t buf[600];
	struct server *s;
	ssize_t n;

	while (poll(&p, 1, 1) != 1) {
		ev_run(t.loop, EVRUN_NOWAIT);
		for (s = t.server; s < t.server + t.nserver; s++) {
			if ((addr != NULL && strcmp(addr, s->addr) != 0) ||
			    (n = read(s->fd, buf, sizeof(buf))) <= 0)
				continue;
			was |= other != NULL && strcmp(other, s->addr) == 0;
			n = (ssize_t)answer_to(buf, 0, 0, 0, "", 0);
			/* It may be one that nobody waits for any more. */
			(void)!write(s->fd, buf, (size_t)n);
		}
	}
	ck_assert_int_gt(read(fd, buf, sizeof(buf)), PREFIX);
	ck_assert_uint_eq(buf[PREFIX + 3] & 15, 0);
	return was;
}

/*
 * A dead server is waited for in vain a few times; then the other one's answer
 * is enough, and when it answers again, being asked now and then, it is enough
 * again.  However late we are: then it takes one round more.
 */
START_TEST(test_offline)
{
	int fd = flow(1, "dns");

	conf_server("192.0.2.5", 0, 500, NULL);
	conf_server("192.0.2.6", 1, 60000, NULL);
	conf_end(false);
	while (counter("servers-offline") == 0) {
		ask(fd, DGRAM(HDR OTHER A_IN));
		serve("192.0.2.6", fd, NULL);
	}
	do {
		ask(fd, DGRAM(HDR OTHER A_IN));
	} while (serve(NULL, fd, "192.0.2.6"));
}
END_TEST

/*
 * How many are missed before a server is offline is in the file: none, or so
 * many that it never is.
 */
START_TEST(test_offline_after)
{
	int fd = flow(1, "dns"), i;

	conf_server("192.0.2.5", 0, 100, NULL);
	conf_server("192.0.2.6", 1, 60000, NULL);
	conf_end_after(false, _i == 0 ? 0 : 1000000);
	for (i = 0; i < 4; i++) {
		ask(fd, DGRAM(HDR OTHER A_IN));
		(void)serve("192.0.2.6", fd, NULL);
		ck_assert_uint_eq(counter("servers-offline"), _i == 0);
	}
}
END_TEST

/* Answers everything but what begins like this; how often that was asked. */
static unsigned
serve_others(const char *label)
{
	unsigned seen = 0;
	uint8_t buf[600];
	ssize_t n;
	size_t i;

	ev_run(t.loop, EVRUN_NOWAIT);
	for (i = 0; i < t.nserver; i++) {
		if ((n = read(t.server[i].fd, buf, sizeof(buf))) <= 0)
			continue;
		if (same_letters(buf + 12, label)) {
			seen++;
			continue;
		}
		n = (ssize_t)answer_to(buf, 0, 0, 0, "", 0);
		(void)!write(t.server[i].fd, buf, (size_t)n);
	}
	return seen;
}

/*
 * Who answers others is there; that what it does not hear was lost.  Where we
 * were late ourselves, so that its time was over, once more.
 */
START_TEST(test_lossy_server)
{
	const usec_t most = 3 * USEC_SEC;
	uint64_t offline, failed;
	unsigned lost;
	uint8_t buf[600];
	usec_t since;
	bool good;
	size_t len;
	int fd, up;

	conf("192.0.2.1", NULL);
	fd = flow(1, "dns");
	do {
		wait_counter("in-flight", 0);
		(void)all_asked(buf, sizeof(buf), &len, &up);
		while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
			continue;
		since = plat_now();
		offline = counter("servers-offline");
		failed = counter("no-answer");
		ask(fd, DGRAM(HDR "\4lost\7example\0" A_IN));
		for (lost = 0; lost < 4 && plat_now() - since < most;) {
			ask(fd, DGRAM(HDR OTHER A_IN));
			while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) <= 0)
				lost += serve_others("\4lost");
		}
		good = lost >= 4 && counter("servers-offline") == offline &&
		       counter("no-answer") == failed;
	} while (!good && plat_now() - since >= most);
	ck_assert(good);
}
END_TEST

/*
 * A name that nobody answers for is one question, however often it is asked:
 * whoever has one cannot take the server from the others.
 */
START_TEST(test_dead_name)
{
	int fd = flow(1, "dns");

	conf_server("192.0.2.5", 0, _i == 0 ? 5000 : 1000, NULL);
	conf_end_after(_i == 0, 1);
	ask(fd, DGRAM(HDR OTHER A_IN));
	expect_servfail(fd);
	ck_assert_uint_eq(counter("servers-offline"), 0);
}
END_TEST

/* How often this was asked since; nothing is answered. */
static unsigned
asked_for(const char *label)
{
	unsigned seen = 0;
	uint8_t buf[600];
	size_t i;

	ev_run(t.loop, EVRUN_NOWAIT);
	for (i = 0; i < t.nserver; i++)
		if (read(t.server[i].fd, buf, sizeof(buf)) > 0)
			seen += same_letters(buf + 12, label);
	return seen;
}

/*
 * Who has not answered for a moment, as the way to it is slow, is not yet dead:
 * what is asked now is waited for as long as ever.  Where we were late
 * ourselves, once more.
 */
START_TEST(test_slow_way)
{
	uint8_t buf[600];
	uint64_t offline;
	unsigned seen, i;
	usec_t since;
	size_t len;
	int fd, up;

	conf_server("192.0.2.7", 0, 60000, NULL);
	conf_end(true);
	fd = flow(1, "dns");
	do {
		wait_counter("in-flight", 0);
		(void)all_asked(buf, sizeof(buf), &len, &up);
		while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
			continue;
		ask(fd, DGRAM(HDR OTHER A_IN));
		(void)serve(NULL, fd, NULL);
		since = plat_now();
		offline = counter("servers-offline");
		for (i = 0; i < 3; i++)
			ask_numbered(fd, i);
		while (counter("servers-offline") == offline)
			(void)asked_for("\7n0");
		ask(fd, DGRAM(HDR "\4next\7example\0" A_IN));
		/* The fourth time is after more than a second. */
		for (seen = 0; seen < 4; seen += asked_for("\4next"))
			if (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
				break;
	} while (seen < 4 && plat_now() - since > 8 * USEC_SEC);
	ck_assert_uint_ge(seen, 4);
}
END_TEST

/* Who cannot read a query with EDNS says so without the question. */
START_TEST(test_bare_error)
{
	uint8_t buf[600];
	size_t n;
	int fd, up;

	conf("192.0.2.7", NULL);
	fd = flow(1, "dns");
	ask(fd, DGRAM(HDR_OPT OTHER A_IN OPT("\x10\0")));
	up = asked(NULL, buf, sizeof(buf), &n);
	buf[2] |= 0x80;
	memset(buf + 3, 0, 9);
	buf[0]++; /* another id */
	buf[3] = 0x81;
	put(up, buf, 12);
	buf[0]--;
	buf[3] = 0x80; /* no error */
	put(up, buf, 12);
	buf[3] = 0x81;
	put(up, buf, 12);
	ck_assert_uint_eq(
	    get(fd, buf, sizeof(buf)), PREFIX + sizeof(HDR OTHER A_IN) - 1);
	ck_assert_mem_eq(buf + PREFIX,
	    "\x12\x34\x81\x81\0\1\0\0\0\0\0\0" OTHER A_IN,
	    sizeof(HDR OTHER A_IN) - 1);
	ck_assert_uint_eq(counter("dropped-wrong-answer"), 2);
}
END_TEST

/* A time of zero is over at once. */
START_TEST(test_timeout_zero)
{
	int fd = flow(1, "dns");

	conf_server("192.0.2.5", 0, 0, NULL);
	conf_end(false);
	ask(fd, DGRAM(HDR OTHER A_IN));
	expect_servfail(fd);
}
END_TEST

START_TEST(test_socket_per_query)
{
	int fd, up[40], i, j;
	uint8_t buf[600];
	size_t n, left = nitems(up);

	/* One server, and as much time as there can be. */
	conf_server("192.0.2.7", 0, 60000, NULL);
	conf_end(false);
	fd = flow(1, "dns"); /* after that */
	for (i = 0; i < (int)nitems(up); i++) {
		ask_numbered(fd, (unsigned)i);
		up[i] = asked(NULL, buf, sizeof(buf), &n);
		for (j = 0; j < i; j++)
			ck_assert_int_ne(up[j], up[i]);
		if (i % 2 == 0)
			continue;
		buf[2] |= 0x80;
		/* It may be a question asked again that is over since. */
		if (write(up[i], buf, n) != (ssize_t)n)
			continue;
		(void)get(fd, buf, sizeof(buf));
		left--;
	}
	wait_counter("in-flight", left);
}
END_TEST

/*
 * One question under way, whoever has it: the server is asked once, and each
 * gets its own id and letters.
 */
START_TEST(test_merged)
{
	static const char *const name[] = { "\3www\7example", "\3WWW\7example",
		"\3wWw\7eXaMpLe", "\3www\7EXAMPLE" };
	int fd[4] = { flow(1, "dns"), flow(2, "dns"), flow(3, "tcp"), -1 };
	uint8_t buf[600], q[2 + 29] = "\0\x1d" HDR OTHER A_IN;
	struct ipc *first = other_guest();
	size_t n, off;
	int i, up;

	conf_server("192.0.2.7", 0, 60000, NULL);
	conf_end(false);
	fd[3] = flow(1, "dns");
	for (i = 0; i < 4; i++) {
		q[3] = (uint8_t)i;
		memcpy(q + 14, name[i], 13);
		if (i == 2)
			put(fd[i], q, sizeof(q));
		else
			ask(fd[i], q + 2, sizeof(q) - 2);
		wait_counter("in-flight", (uint64_t)i + 1);
	}
	ck_assert_uint_eq(counter("questions-merged"), 3);
	up = asked("192.0.2.7", buf, sizeof(buf), &n);
	n = answer_to(buf, 0, 1, 0, DGRAM(RR("\0\0\0\0")));
	put(up, buf, n);
	for (i = 0; i < 4; i++) {
		off = i == 2 ? 2 : PREFIX;
		ck_assert_uint_eq(get(fd[i], buf, sizeof(buf)), off + n);
		ck_assert_uint_eq(buf[off], 0x12);
		ck_assert_uint_eq(buf[off + 1], i);
		ck_assert_mem_eq(buf + off + 12, name[i], 13);
		ck_assert_mem_eq(buf + off + n - 4, "1234", 4);
	}
	wait_counter("in-flight", 0);
	ck_assert_uint_eq(counter("answers-relayed"), 4);
	ipc_free(first);
}
END_TEST

/* clang-format off */
static const struct {
	const char *what, *q;
	size_t len;
} apart[] = {
	{ "another type", DGRAM(HDR OTHER "\0\2\0\1") },
	{ "another class", DGRAM(HDR OTHER "\0\1\0\3") },
	{ "no recursion", DGRAM("\x12\x34\0\0\0\1\0\0\0\0\0\0" OTHER A_IN) },
	{ "AD", DGRAM("\x12\x34\1\x20\0\1\0\0\0\0\0\0" OTHER A_IN) },
	{ "CD", DGRAM("\x12\x34\1\x10\0\1\0\0\0\0\0\0" OTHER A_IN) },
	{ "EDNS", DGRAM(HDR_OPT OTHER A_IN "\0\0\x29\4\xd0\0\0\0\0\0\0") },
	{ "DO", DGRAM(HDR_OPT OTHER A_IN OPT("\4\xd0")) },
	{ "an option", DGRAM(HDR_OPT OTHER A_IN
	    "\0\0\x29\4\xd0\0\0\0\0\0\x0b" "\0\x8\0\7\0\1\x18\0\xc0\0\2") },
	{ "another name", DGRAM(HDR "\3wwx\7example\0" A_IN) },
	{ "a longer name", DGRAM(HDR "\1a" OTHER A_IN) },
	{ "TC", DGRAM("\x12\x34\3\0\0\1\0\0\0\0\0\0" OTHER A_IN) },
	{ "a code", DGRAM("\x12\x34\1\1\0\1\0\0\0\0\0\0" OTHER A_IN) },
};
/* clang-format on */

/* What may be answered otherwise is another question. */
START_TEST(test_apart)
{
	int fd = flow(1, "dns");
	uint8_t buf[600];
	size_t i, n;

	conf_server("192.0.2.7", 0, 60000, NULL);
	conf_end(false);
	ask(fd, DGRAM(HDR OTHER A_IN));
	(void)asked("192.0.2.7", buf, sizeof(buf), &n);
	for (i = 0; i < nitems(apart); i++) {
		ask(fd, apart[i].q, apart[i].len);
		wait_counter("udp-queries", i + 2);
		ck_assert_msg(
		    counter("questions-merged") == 0, "%s", apart[i].what);
	}
	/* With options it is never the same, as those are not looked at. */
	ask(fd, apart[7].q, apart[7].len);
	wait_counter("udp-queries", nitems(apart) + 2);
	ck_assert_uint_eq(counter("questions-merged"), 0);
}
END_TEST

/* Each has the size that it asked for. */
START_TEST(test_merged_sizes)
{
	int small = flow(1, "dns"), large = flow(2, "dns"), up;
	uint8_t buf[2000], ans[1000];
	size_t n;

	conf_server("192.0.2.7", 0, 60000, NULL);
	conf_end(false);
	ask(small, DGRAM(HDR_OPT OTHER A_IN OPT("\2\0")));
	wait_counter("udp-queries", 1);
	ask(large, DGRAM(HDR_OPT OTHER A_IN OPT("\4\xd0")));
	wait_counter("questions-merged", 1);
	up = asked("192.0.2.7", buf, sizeof(buf), &n);
	memset(ans, 0xaa, sizeof(ans));
	memcpy(ans, buf, 29);
	ans[2] |= 0x80;
	ans[7] = 1;
	ans[11] = 0;
	memcpy(ans + 29, "\xc0\x0c\0\1\0\1\0\0\1\0\3\xbf", 12);
	put(up, ans, sizeof(ans)); /* one record of 959 bytes */
	ck_assert_uint_eq(get(small, buf, sizeof(buf)), PREFIX + 29);
	ck_assert_uint_eq(buf[PREFIX + 2] & 2, 2);
	ck_assert_uint_eq(get(large, buf, sizeof(buf)), PREFIX + sizeof(ans));
	ck_assert_uint_eq(buf[PREFIX + 2] & 2, 0);
	ck_assert_uint_eq(counter("answers-cut"), 1);
}
END_TEST

/* Who asked first goes: the others need not wait for another answer. */
START_TEST(test_merged_gone)
{
	struct ipc *first;
	int fd, up;
	uint8_t buf[600];
	size_t n;

	conf_server("192.0.2.7", 0, 60000, NULL);
	conf_end(false);
	fd = flow(1, "dns");
	ask(fd, DGRAM(HDR OTHER A_IN));
	up = asked("192.0.2.7", buf, sizeof(buf), &n);
	first = other_guest();
	fd = flow(1, "dns");
	ask(fd, DGRAM(HDR OTHER A_IN));
	wait_counter("questions-merged", 1);
	ipc_free(first);
	wait_counter("in-flight", 1);
	n = answer_to(buf, 3, 0, 0, "", 0);
	put(up, buf, n);
	ck_assert_uint_eq(get(fd, buf, sizeof(buf)), PREFIX + n);
	ck_assert_uint_eq(buf[PREFIX + 3] & 15, 3);
	wait_counter("in-flight", 0);
	/* And when all of them go, so does the question. */
	ask(fd, DGRAM(HDR OTHER A_IN));
	ask(fd, DGRAM(HDR OTHER A_IN));
	wait_counter("questions-merged", 2);
	ipc_free(t.stack);
	t.stack = NULL;
	wait_counter("in-flight", 0);
}
END_TEST

/* There is no answer: each of them hears of it. */
START_TEST(test_merged_failed)
{
	int fd = flow(1, "dns"), tcp = flow(2, "tcp");
	uint8_t buf[600];

	conf_server("192.0.2.7", 0, 60000, NULL);
	conf_end(false);
	ask(fd, DGRAM(HDR OTHER A_IN));
	wait_counter("in-flight", 1);
	put(tcp, "\0\x1d" HDR OTHER A_IN, 31);
	wait_counter("questions-merged", 1);
	conf(NULL, NULL);
	expect_servfail(fd);
	ck_assert_uint_eq(get(tcp, buf, sizeof(buf)), 31);
	ck_assert_uint_eq(buf[5] & 15, 2);
	ck_assert_uint_eq(counter("no-answer"), 2);
}
END_TEST

/* So many share a question, and the next ones another. */
START_TEST(test_merged_limit)
{
	static const char one[] = ORIGIN "\0\x1d" HDR OTHER A_IN;
	static uint8_t many[(2 * 256 + 1) * (sizeof(one) - 1)], buf[65600];
	size_t i, n, len = 0;
	int fd, up = -1;

	conf_server("192.0.2.7", 0, 60000, NULL);
	conf_end(false);
	fd = flow(1, "dns");
	for (i = 0; i < sizeof(many); i += sizeof(one) - 1)
		memcpy(many + i, one, sizeof(one) - 1);
	put(fd, many, sizeof(many));
	wait_counter("questions-merged", 2 * 255);
	for (i = 0; i < 3; i++) {
		up = asked("192.0.2.7", buf, sizeof(buf), &n);
		buf[2] |= 0x80;
		put(up, buf, n);
	}
	while (len < sizeof(many))
		len += get(fd, buf, sizeof(buf));
	ck_assert_uint_eq(len, sizeof(many));
	wait_counter("in-flight", 0);
	ck_assert_uint_eq(counter("answers-relayed"), 2 * 256 + 1);
	/* Resent ones may be on their way; equal ones of another time not. */
	while (all_asked(buf, sizeof(buf), &n, &up) > 0)
		continue;
	ask(fd, DGRAM(HDR OTHER A_IN));
	(void)asked("192.0.2.7", buf, sizeof(buf), &n);
	ck_assert_uint_eq(counter("questions-merged"), 2 * 255);
}
END_TEST

/* Asks and is answered so often. */
static void
exchange(int fd, int n)
{
	uint8_t buf[600];
	size_t len;
	int up;

	for (; n > 0; n--) {
		ask(fd, DGRAM(HDR OTHER A_IN));
		up = asked("192.0.2.7", buf, sizeof(buf), &len);
		buf[2] |= 0x80;
		put(up, buf, len);
		(void)get(fd, buf, sizeof(buf));
	}
}

/* So many questions; from how many ports they came. */
static unsigned
exchange_ports(int fd, unsigned n)
{
	static bool seen[65536];
	unsigned ports = 0;

	memset(seen, 0, sizeof(seen));
	for (; n > 0; n--) {
		exchange(fd, 1);
		ports += !seen[ntohs(t.from.sin_port)];
		seen[ntohs(t.from.sin_port)] = true;
	}
	return ports;
}

/*
 * Some sockets, and each question from a port that the system has drawn for it;
 * what comes late is nobody's.
 */
START_TEST(test_ports_again)
{
	uint8_t buf[600];
	unsigned late;
	int fd, up;
	size_t n;

	real_server();
	conf("192.0.2.7", NULL);
	fd = flow(1, "dns");
	ck_assert_uint_ge(exchange_ports(fd, 200), 150);
	ck_assert_uint_lt(t.given, 100);
	ask(fd, DGRAM(HDR OTHER A_IN));
	up = asked("192.0.2.7", buf, sizeof(buf), &n);
	buf[2] |= 0x80;
	put(up, buf, n);
	(void)get(fd, buf + sizeof(buf) / 2, sizeof(buf) / 2);
	for (late = 0; late < 3; late++)
		put(up, buf, n);
	wait_counter("dropped-wrong-answer", late);
	/* It may not connect there any more: a socket for each question. */
	servtab_put(t.shown, NULL, 0);
	n = t.given;
	ck_assert_uint_ge(exchange_ports(fd, 200), 150);
	ck_assert_uint_ge(t.given, n + 100);
}
END_TEST

/* Nobody is asked for them, be there a portd or not. */
START_TEST(test_ports_portd)
{
	int fd;

	real_server();
	conf("192.0.2.7", NULL);
	fd = flow(1, "dns");
	exchange(fd, 10);
	ipc_free(t.port);
	t.port = NULL;
	ck_assert_uint_ge(exchange_ports(fd, 200), 150);
	t.port = link_to(ROLE_PORT, 0, &port_events);
	ck_assert_uint_ge(exchange_ports(fd, 200), 150);
}
END_TEST

/* What a socket has to say of before is no answer. */
START_TEST(test_spoiled)
{
	uint8_t buf[600];
	size_t n;
	int fd;

	real_server();
	t.spoiled = true;
	conf("192.0.2.7", NULL);
	fd = flow(1, "dns");
	ask(fd, DGRAM(HDR OTHER A_IN));
	(void)asked("192.0.2.7", buf, sizeof(buf), &n);
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
	n = answer_to(buf, 0, 1, 0, DGRAM(RR("\0\0\0\0")));
	put(up, buf, n);
	ck_assert_uint_eq(get(fd, buf, sizeof(buf)), PREFIX + n);
	/* The first one's answer is waited for, but by no guest. */
	wait_counter("in-flight", 0);
	ck_assert_int_eq(write(first, buf, n), -1);
	ask(fd, DGRAM(HDR OTHER A_IN));
	(void)asked("2001:db8::1", buf, sizeof(buf), &n);
}
END_TEST

static const char no_such_name[] = "\0\0\6\0\1\0\0\1\0\0\x16\0\0"
				   "\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\x3c";

/* The second one has said that there is none: the code the guest gets. */
static int
guest_after_no(int fd, const char *first, const char *second, usec_t *since)
{
	uint8_t buf[600], late[600];
	int up, later;
	size_t n, i;

	(void)all_asked(buf, sizeof(buf), &n, &up);
	while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		continue;
	*since = plat_now();
	ask(fd, DGRAM(HDR OTHER A_IN));
	later = asked(first, late, sizeof(late), &n);
	up = asked(second, buf, sizeof(buf), &n);
	put(up, buf, answer_to(buf, 3, 0, 1, DGRAM(no_such_name)));
	/* When these are answered that has been read. */
	for (i = 0; i < 2; i++) {
		ask(fd, builtin[0].in, builtin[0].inlen);
		n = get(fd, buf, sizeof(buf));
		if (n != PREFIX + builtin[0].outlen)
			return buf[PREFIX + 3] & 15;
	}
	n = answer_to(late, 0, 1, 0, DGRAM(RR("\0\0\1\0")));
	(void)!write(later, late, n);
	(void)get(fd, buf, sizeof(buf));
	return buf[PREFIX + 3] & 15;
}

/*
 * That there is no such name is believed of a later server only when those
 * before it had time to say otherwise, also when they were found offline.
 * Where we were late ourselves, once more.
 */
START_TEST(test_no_of_later)
{
	int fd = flow(1, "dns"), rcode;
	usec_t since;

	if (_i == 0) {
		conf("192.0.2.5", "192.0.2.6");
	} else {
		conf_server("192.0.2.5", 0, 1500, NULL);
		conf_server("192.0.2.6", 1, 60000, NULL);
		conf_end_after(false, 0);
	}
	do {
		while (_i == 1 && counter("servers-offline") == 0) {
			ask(fd, DGRAM(HDR OTHER A_IN));
			serve("192.0.2.6", fd, NULL);
		}
		rcode = guest_after_no(fd, "192.0.2.5", "192.0.2.6", &since);
	} while (rcode != 0 && plat_now() - since > USEC_SEC);
	ck_assert_int_eq(rcode, 0);
	ck_assert_uint_eq(counter("cache-entries"), 1);
}
END_TEST

/* What the first one has not confirmed is told and not kept. */
START_TEST(test_no_not_kept)
{
	int fd = flow(1, "dns"), up;
	uint8_t buf[600];
	size_t n;

	conf_server("192.0.2.5", 0, 100, NULL);
	conf_server("192.0.2.6", 1, 60000, NULL);
	conf_end(false);
	ask(fd, DGRAM(HDR OTHER A_IN));
	up = asked("192.0.2.6", buf, sizeof(buf), &n);
	n = answer_to(buf, 3, 0, 1, DGRAM(no_such_name));
	put(up, buf, n);
	ck_assert_uint_eq(get(fd, buf, sizeof(buf)), PREFIX + n);
	ck_assert_uint_eq(buf[PREFIX + 3] & 15, 3);
	ck_assert_uint_eq(counter("cache-entries"), 0);
}
END_TEST

/* What dnsd leaves in memory for others. */
static const struct dnstab_file *
records(void)
{
	int fd = plat_memfd("dnstab", DNSTAB_BYTES);
	void *p;

	ck_assert_int_ge(fd, 0);
	p = mmap(NULL, DNSTAB_BYTES, PROT_READ, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(p, MAP_FAILED);
	ck_assert_int_eq(
	    ipc_send(t.sup, IPC_RECORDS, &fd, 1, "{s:i}", "snaplen", 0), 0);
	return p;
}

/*
 * All servers are offline, and slow: the guest is not kept waiting, but the
 * answer is for the next who asks, and brings the server back.  One question
 * is one, in what is counted of it, too.
 */
START_TEST(test_late_answer)
{
	const struct dnstab_file *seen = records();
	struct dnstab_server s = { .offline = 0 };
	uint8_t buf[600], late[600];
	int fd, up, i;
	size_t n;

	conf("192.0.2.7", NULL);
	fd = flow(1, "dns");
	for (i = 0; i < 3; i++)
		ask_numbered(fd, (unsigned)i);
	wait_counter("no-answer", 3);
	wait_counter("in-flight", 0);
	while (!s.offline)
		ck_assert(dnstab_get_server(seen, 0, &s));
	ck_assert_uint_eq(s.missed, 3);
	ck_assert_uint_eq(s.answered, 0);
	ck_assert_uint_ge(s.asked, 3);
	while (counter("cache-entries") == 0) {
		(void)all_asked(buf, sizeof(buf), &n, &up);
		while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
			continue;
		ask(fd, DGRAM(HDR OTHER A_IN));
		up = asked(NULL, buf, sizeof(buf), &n);
		memcpy(late, buf, n);
		(void)get(fd, buf, sizeof(buf));
		ck_assert_uint_eq(buf[PREFIX + 3] & 15, 2);
		n = answer_to(late, 0, 1, 0, DGRAM(RR("\0\0\1\0")));
		if (write(up, late, n) == (ssize_t)n)
			wait_counter("cache-entries", 1);
	}
	wait_counter("in-flight", 0);
	do
		ck_assert(dnstab_get_server(seen, 0, &s));
	while (s.offline);
}
END_TEST

/*
 * An answer that nobody waits for any more still says that the server is there.
 */
START_TEST(test_stray_answer)
{
	const struct dnstab_file *seen = records();
	struct dnstab_server s;
	uint8_t buf[600], many[4 * (PREFIX + NUMBERED_LEN)];
	int fd, up;
	size_t n;

	real_server();
	conf_server("192.0.2.7", 0, 500, NULL);
	conf_end(true);
	fd = flow(1, "dns");
	put(fd, many, many_numbered(many, 4));
	up = asked("192.0.2.7", buf, sizeof(buf), &n);
	wait_counter("no-answer", 4);
	wait_counter("in-flight", 0);
	put(up, buf, n); /* a query, and no answer */
	wait_counter("dropped-wrong-answer", 1);
	/* While it is written it cannot be read. */
	while (!dnstab_get_server(seen, 0, &s) || !s.offline)
		continue;
	buf[2] |= 0x80;
	put(up, buf, n);
	while (!dnstab_get_server(seen, 0, &s) || s.offline)
		continue;
}
END_TEST

/* It was only slow; whichever of its tries it answers. */
START_TEST(test_slow_server)
{
	int fd = flow(1, "dns");
	uint8_t buf[600];
	size_t n;

	ask(fd, DGRAM(HDR OTHER A_IN));
	(void)asked("192.0.2.1", buf, sizeof(buf), &n);
	(void)asked("2001:db8::1", buf, sizeof(buf), &n);
	(void)serve("192.0.2.1", fd, NULL);
}
END_TEST

/*
 * dnsd was not run for longer than its server may take, and the answer came
 * meanwhile: it has come in time.  Where we were late ourselves, once more.
 */
START_TEST(test_answered_meanwhile)
{
	const usec_t most = 500 * USEC_MS;
	int fd = flow(1, "dns"), up, status;
	uint8_t buf[600];
	usec_t since;
	size_t n;
	bool late;

	conf_server("192.0.2.7", 0, 500, NULL);
	conf_end(false);
	do {
		since = plat_now();
		ask(fd, DGRAM(HDR OTHER A_IN));
		up = asked("192.0.2.7", buf, sizeof(buf), &n);
		kill(t.pid, SIGSTOP);
		ck_assert_int_eq(waitpid(t.pid, &status, WUNTRACED), t.pid);
		ck_assert(WIFSTOPPED(status));
		late = plat_now() - since >= most;
		n = answer_to(buf, 0, 0, 0, "", 0);
		(void)!write(up, buf, n);
		while (plat_now() - since < 2 * most)
			(void)poll(NULL, 0, 10);
		kill(t.pid, SIGCONT);
		n = get(fd, buf, sizeof(buf));
	} while (late);
	ck_assert_uint_gt(n, PREFIX);
	ck_assert_uint_eq(buf[PREFIX + 3] & 15, 0);
}
END_TEST

START_TEST(test_refused)
{
	int fd;

	t.portd = REFUSE;
	fd = flow(1, "dns");
	ask(fd, DGRAM(HDR OTHER A_IN));
	expect_servfail(fd);
}
END_TEST

/* portd has not heard of the server yet: nothing that was asked is lost. */
START_TEST(test_refused_early)
{
	uint8_t buf[600];
	unsigned before;
	size_t n;
	int fd, s;

	t.portd = REFUSE;
	t.refusal = "EACCES";
	fd = flow(1, "dns");
	before = t.asked;
	ask(fd, DGRAM(HDR OTHER A_IN));
	while (t.asked < before + 2)
		turn();
	t.portd = GIVE;
	s = asked("192.0.2.1", buf, sizeof(buf), &n);
	buf[2] |= 0x80;
	put(s, buf, n);
	ck_assert_uint_eq(get(fd, buf, sizeof(buf)), PREFIX + n);
	ck_assert_uint_eq(buf[PREFIX + 3] & 15, 0);
}
END_TEST

/* Nobody reads what is sent: every attempt fails at once. */
START_TEST(test_unreachable)
{
	uint8_t buf[600];
	int fd = flow(1, "dns");
	size_t n, i;
	int up;

	ask(fd, DGRAM(HDR OTHER A_IN));
	up = asked(NULL, buf, sizeof(buf), &n);
	buf[2] |= 0x80;
	put(up, buf, n);
	(void)get(fd, buf, sizeof(buf));
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
	conf("192.0.2.7", NULL);
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
	conf("192.0.2.7", NULL);
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
	const char *out; /* a header; NULL: nothing is answered */
} bad[] = {
	{ "nothing",	    "", 0, NULL },
	{ "an answer",	    DGRAM("\x12\x34\x81\0\0\1\0\0\0\0\0\0" OTHER A_IN),
	    NULL },
	{ "two questions",  DGRAM("\x12\x34\1\0\0\2\0\0\0\0\0\0" OTHER A_IN
	    OTHER A_IN), "\x12\x34\x81\x81\0\0\0\0\0\0\0\0" },
	{ "pointer",	    DGRAM(HDR "\xc0\x0c" A_IN),
	    "\x12\x34\x81\x81\0\0\0\0\0\0\0\0" },
	{ "cut",	    DGRAM(HDR OTHER "\0\1"),
	    "\x12\x34\x81\x81\0\0\0\0\0\0\0\0" },
	{ "DSO",	    DGRAM("\x12\x34\x30\0\0\0\0\0\0\0\0\0" "\0\1\0\0"),
	    "\x12\x34\xb0\x84\0\0\0\0\0\0\0\0" },
};
/* clang-format on */

/* What can be told is told; by TCP, too, and the next one is heard. */
START_TEST(test_malformed)
{
	int fd = flow(1, "dns"), tcp = flow(2, "tcp");
	uint8_t buf[600] = { 0 };
	size_t n;

	ask(fd, bad[_i].in, bad[_i].inlen);
	wait_counter("dropped-malformed", 1);
	ck_assert_uint_eq(counter("in-flight"), 0);
	if (bad[_i].out != NULL) {
		ck_assert_uint_eq(get(fd, buf, sizeof(buf)), PREFIX + 12);
		ck_assert_mem_eq(buf + PREFIX, bad[_i].out, 12);
	}
	if (bad[_i].inlen > 0) {
		buf[0] = 0;
		buf[1] = (uint8_t)bad[_i].inlen;
		memcpy(buf + 2, bad[_i].in, bad[_i].inlen);
		put(tcp, buf, 2 + bad[_i].inlen);
	}
	buf[1] = (uint8_t)builtin[0].inlen;
	memcpy(buf + 2, builtin[0].in, builtin[0].inlen);
	put(tcp, buf, 2 + builtin[0].inlen);
	ask(fd, builtin[0].in, builtin[0].inlen);
	ck_assert_uint_eq(
	    get(fd, buf, sizeof(buf)), PREFIX + builtin[0].outlen);
	n = get(tcp, buf, sizeof(buf));
	if (bad[_i].out != NULL) {
		ck_assert_mem_eq(buf, "\0\x0c", 2);
		ck_assert_mem_eq(buf + 2, bad[_i].out, 12);
		if (n == 14)
			(void)get(tcp, buf, sizeof(buf));
	} else {
		ck_assert_uint_eq(n, 2 + builtin[0].outlen);
	}
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
	/* Several answers may come in one datagram. */
	do
		ask(fd, builtin[0].in, builtin[0].inlen);
	while (get(fd, out, sizeof(out)) != PREFIX + builtin[0].outlen ||
	       memcmp(out + PREFIX, builtin[0].out, builtin[0].outlen) != 0);
}
END_TEST

/*
 * All in one datagram, which is one turn of dnsd's: none of them is over when
 * the last one comes, however slow everything is.
 */
START_TEST(test_limit)
{
	static uint8_t many[(1024 + 10) * (PREFIX + NUMBERED_LEN)];
	int fd;

	t.portd = IGNORE;
	fd = flow(1, "dns");
	put(fd, many, many_numbered(many, 1024 + 10));
	wait_counter("udp-queries", 1024 + 10);
	wait_counter("dropped-vm-limit", 10);
	/* The guest goes, and all it asked. */
	ipc_free(t.stack);
	t.stack = NULL;
	wait_counter("in-flight", 0);
	ck_assert_uint_eq(counter("dropped-vm-limit"), 10);
}
END_TEST

static void
resolve(uint32_t id, const char *name, bool v6)
{
	ck_assert_int_eq(
	    ipc_send(t.proxy, IPC_RESOLVE, NULL, 0, "{s:I,s:s,s:b}", "id",
		(json_int_t)id, "name", name, "v6", v6),
	    0);
}

/* Turns the bus until proxyd was told of that one, and this. */
static void
told(uint32_t id, const char *addr)
{
	while (t.told != id)
		turn();
	ck_assert_str_eq(t.told_addr, addr);
}

/* As asked(), that name, whichever of its tries it is. */
static int
asked_name(const char *label, uint8_t buf[600])
{
	size_t len;
	int fd;

	do {
		fd = asked(NULL, buf, 600, &len);
	} while (!same_letters(buf + 12, label));
	return fd;
}

/*
 * An answer that comes when its place was given to another name is none to
 * that: who has a slow server could answer for everybody.
 */
START_TEST(test_resolve_late)
{
	uint8_t late[600], buf[600];
	size_t latelen;
	int lately, fd;
	uint32_t i;

	t.proxy = link_to(ROLE_PROXY, 0, &proxy_events);
	resolve(1, "www.example", false);
	lately = asked(NULL, late, sizeof(late), &latelen);
	for (i = 2; i <= 1024; i++) {
		resolve(i, "one.example", false);
		told(i, "10.1.1.1");
	}
	resolve(2000, "two.example", false);
	told(1, ""); /* its place is needed */
	fd = asked_name("\3two", buf);
	put(lately, late, answer_to(late, 0, 1, 0, DGRAM(RR("\0\0\1\0"))));
	wait_counter("answers-relayed", 1);
	put(fd, buf,
	    answer_to(buf, 0, 1, 0,
		DGRAM("\xc0\x0c" A_IN "\0\0\1\0\0\4"
		      "\x0a\x09\x08\x07")));
	told(2000, "10.9.8.7");
}
END_TEST

/* Addresses of the family that was asked for, and why there are none. */
START_TEST(test_resolve_v6)
{
	uint8_t buf[600];
	int fd;

	t.proxy = link_to(ROLE_PROXY, 0, &proxy_events);
	resolve(1, "www.example", true);
	fd = asked_name("\3www", buf);
	ck_assert_mem_eq(buf + 25, "\0\x1c\0\1", 4); /* AAAA */
	put(fd, buf,
	    answer_to(buf, 0, 2, 0,
		DGRAM("\xc0\x0c" A_IN "\0\0\1\0\0\4\x0a\x09\x08\x07"
		      "\xc0\x0c\0\x1c\0\1\0\0\1\0\0\x10"
		      "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7")));
	told(1, "2001:db8::7");
	ck_assert_str_eq(t.told_error, "");
	/* It is there, but has none. */
	resolve(2, "two.example", true);
	fd = asked_name("\3two", buf);
	put(fd, buf, answer_to(buf, 0, 0, 0, DGRAM("")));
	told(2, "");
	ck_assert_str_eq(t.told_error, "no address");
	/* And this one is not there at all. */
	resolve(3, "ten.example", true);
	fd = asked_name("\3ten", buf);
	put(fd, buf, answer_to(buf, 3, 0, 0, DGRAM("")));
	told(3, "");
	ck_assert_str_eq(t.told_error, "not found");
	/* A name of ours, that has the other family only. */
	resolve(4, "gateway.internal", true);
	told(4, "");
	ck_assert_str_eq(t.told_error, "no address");
}
END_TEST

/* Answers what begins like this, whichever of its tries that is. */
static void
serve_only(const char *label)
{
	uint8_t buf[600];
	ssize_t n;
	size_t i;

	ev_run(t.loop, EVRUN_NOWAIT);
	for (i = 0; i < t.nserver; i++) {
		n = read(t.server[i].fd, buf, sizeof(buf));
		if (n <= 0 || !same_letters(buf + 12, label))
			continue;
		buf[2] |= 0x80;
		(void)!write(t.server[i].fd, buf, (size_t)n);
	}
}

/* One guest has all it may have under way; the other one is served. */
START_TEST(test_limit_fair)
{
	static uint8_t many[(1024 + 100) * (PREFIX + NUMBERED_LEN)];
	struct pollfd p = { .events = POLLIN };
	int flood = flow(1, "dns");
	struct ipc *first;
	uint8_t buf[600];

	conf("192.0.2.7", NULL);
	put(flood, many, many_numbered(many, 1024 + 100));
	wait_counter("dropped-vm-limit", 100);
	first = other_guest();
	p.fd = flow(1, "dns");
	ask(p.fd, DGRAM(HDR "\5other\7example\0" A_IN));
	while (poll(&p, 1, 1) != 1)
		serve_only("\5other");
	ck_assert_int_gt(read(p.fd, buf, sizeof(buf)), PREFIX);
	ck_assert_uint_eq(buf[PREFIX + 3] & 15, 0);
	ck_assert_uint_eq(counter("dropped-vm-limit"), 100);
	ipc_free(first);
}
END_TEST

/* One guest asks more than it may in a second; the other one is served. */
START_TEST(test_rate_fair)
{
	static uint8_t many[4000 * (PREFIX + 1)];
	int flood = flow(1, "dns"), fd;
	struct ipc *first;
	uint8_t buf[600];
	uint64_t over;
	size_t i;

	/* Nothing is cheaper to refuse than what is no message. */
	for (i = 0; i < sizeof(many); i += PREFIX + 1)
		memcpy(many + i, ORIGIN "\0\1x", PREFIX + 1);
	while (counter("dropped-vm-rate") == 0)
		(void)!send(flood, many, sizeof(many), MSG_DONTWAIT);
	first = other_guest();
	fd = flow(1, "dns");
	while (send(flood, many, sizeof(many), MSG_DONTWAIT) > 0)
		continue;
	over = counter("dropped-vm-rate");
	ask(fd, builtin[0].in, builtin[0].inlen);
	ck_assert_uint_eq(
	    get(fd, buf, sizeof(buf)), PREFIX + builtin[0].outlen);
	ck_assert_uint_ge(counter("dropped-vm-rate"), over);
	ipc_free(first);
}
END_TEST

/*
 * Long answers count as many: with fewer queries than it may make at once a
 * guest has had its share.  All in one turn of dnsd's.
 */
START_TEST(test_rate_long)
{
	static const char one[] =
	    ORIGIN "\0\x28" HDR_OPT OTHER A_IN OPT("\xff\xff");
	enum { LEN = sizeof(one) - 1, N = 65000 / LEN };
	static uint8_t many[N * LEN], ans[60000];
	int fd = flow(1, "dns"), up;
	size_t i, n;

	ask(fd, one + PREFIX, LEN - PREFIX);
	up = asked(NULL, many, sizeof(many), &n);
	memcpy(ans, many, 29);
	ans[2] |= 0x80;
	ans[7] = 1;
	ans[11] = 0;
	memcpy(ans + 29, "\xc0\x0c\0\1\0\1\0\0\1\0", 10);
	ans[39] = (sizeof(ans) - 41) >> 8;
	ans[40] = (sizeof(ans) - 41) & 0xff;
	put(up, ans, sizeof(ans));
	ck_assert_uint_eq(
	    get(fd, ans, sizeof(ans)), sizeof(ans)); /* and the prefix */
	for (i = 0; i < N; i++)
		memcpy(many + i * LEN, one, LEN);
	put(fd, many, sizeof(many));
	wait_counter("udp-queries", 1 + N);
	ck_assert_uint_gt(counter("cache-hits"), 25000 / 32);
	ck_assert_uint_gt(counter("dropped-vm-rate"), 0);
}
END_TEST

/* Nobody asks any more: the connection to the server is closed. */
START_TEST(test_tcp_idle)
{
	static const char q[] = "\0\x1d" HDR OTHER A_IN;
	uint8_t buf[600];
	int fd = flow(1, "tcp"), up;
	size_t n;

	t.only_tcp = true;
	put(fd, q, sizeof(q) - 1);
	up = asked(NULL, buf, sizeof(buf), &n);
	buf[4] |= 0x80;
	put(up, buf, n);
	ck_assert_uint_eq(get(fd, buf, sizeof(buf)), 31);
	ck_assert_uint_eq(get(up, buf, sizeof(buf)), 0);
}
END_TEST

/*
 * Two queries in one write go over one connection, and are answered in the
 * other order; one answer is big.
 */
START_TEST(test_tcp)
{
	static const char q[] =
	    "\0\x1d" HDR OTHER A_IN "\0\x1d\x56\x78\1\0\0\1\0\0\0\0\0\0" OTHER
	    "\0\2\0\1";
	static uint8_t ans[2 + 65535], got[2 + 65535], both[600];
	int fd = flow(1, "tcp"), up;
	size_t n, len;

	t.only_tcp = true;
	put(fd, q, sizeof(q) - 1);
	up = asked(NULL, both, sizeof(both), &n);
	while (n < 62)
		n += get(up, both + n, sizeof(both) - n);
	ck_assert_uint_eq(n, 62);
	ck_assert_mem_eq(both, "\0\x1d", 2);
	ck_assert_uint_eq(t.asked_tcp, 1);
	memcpy(ans, both + 31, 31);
	ans[0] = ans[1] = 0xff;
	ans[4] |= 0x80;
	put(up, ans, 1);
	put(up, ans + 1, sizeof(ans) - 1);
	for (len = 0; len < sizeof(got); len += n)
		n = get(fd, got + len, sizeof(got) - len);
	ck_assert_mem_eq(got, ans, 2);
	ck_assert_mem_eq(got + 2, "\x56\x78", 2);
	ck_assert_mem_eq(got + 4, ans + 4, sizeof(ans) - 4);
	both[4] |= 0x80;
	put(up, both, 31);
	ck_assert_uint_eq(get(fd, got, sizeof(got)), 31);
	ck_assert_mem_eq(got + 2, "\x12\x34", 2);
	/* After the guest's end of the stream comes ours. */
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	ck_assert_uint_eq(get(fd, got, sizeof(got)), 0);
}
END_TEST

/* As a server's end of a connection. */
static void
hang_up(int up)
{
	size_t i;

	for (i = 0; i < t.nserver; i++) {
		if (t.server[i].fd == up)
			t.server[i].fd = -1;
	}
	close(up);
}

/* The same servers, perhaps on another network; when dnsd knows of it. */
static void
other_network(int fd)
{
	bool only_tcp = t.only_tcp;
	uint8_t buf[600];
	size_t n;
	int up;

	t.only_tcp = false;
	ask(fd, DGRAM(HDR "\3xyz\7example\0" A_IN));
	do
		up = asked("192.0.2.7", buf, sizeof(buf), &n);
	while (!same_letters(buf + 12, "\3xyz"));
	put(up, buf, answer_to(buf, 0, 1, 0, DGRAM(RR("\0\0\1\0"))));
	wait_counter("cache-entries", 1);
	conf("192.0.2.7", NULL);
	wait_counter("cache-entries", 0);
	t.only_tcp = only_tcp;
}

/*
 * A connection of another network is not asked any more: what is under way over
 * it is asked anew over another one.
 */
START_TEST(test_tcp_network)
{
	static const char q[] = "\0\x1d" HDR OTHER A_IN;
	uint8_t buf[600];
	int fd, dgram, one, two;
	size_t n;

	conf("192.0.2.7", NULL);
	fd = flow(1, "tcp");
	dgram = flow(2, "dns");
	t.only_tcp = true;
	put(fd, q, sizeof(q) - 1);
	one = asked(NULL, buf, sizeof(buf), &n);
	buf[4] |= 0x80;
	put(one, buf, n);
	ck_assert_uint_eq(get(fd, buf, sizeof(buf)), n);
	other_network(dgram);
	ck_assert_uint_eq(get(one, buf, sizeof(buf)), 0);
	put(fd, q, sizeof(q) - 1);
	do
		two = asked(NULL, buf, sizeof(buf), &n);
	while (two == one);
	other_network(dgram);
	ck_assert_uint_eq(get(two, buf, sizeof(buf)), 0);
	hang_up(one);
	hang_up(two);
	two = asked(NULL, buf, sizeof(buf), &n);
	buf[4] |= 0x80;
	put(two, buf, n);
	ck_assert_uint_eq(get(fd, buf, sizeof(buf)), n);
}
END_TEST

/*
 * What was asked on another network is asked anew: an answer from there is
 * nobody's, and not kept for here.
 */
START_TEST(test_network_under_way)
{
	uint8_t buf[600];
	int fd, old, up;
	size_t n;

	conf("192.0.2.7", NULL);
	fd = flow(1, "dns");
	ask(fd, DGRAM(HDR OTHER A_IN));
	old = asked_name("\3www", buf);
	other_network(fd);
	n = answer_to(buf, 0, 1, 0, DGRAM(RR("\0\0\1\0")));
	ck_assert_int_eq(write(old, buf, n), -1);
	hang_up(old);
	do {
		up = asked_name("\3www", buf);
		n = answer_to(buf, 0, 1, 0, DGRAM(RR("\0\0\1\0")));
		/* It may be a try before that, which nobody waits for. */
	} while (write(up, buf, n) != (ssize_t)n);
	do
		n = get(fd, buf, sizeof(buf));
	while (!same_letters(buf + PREFIX + 12, OTHER));
	ck_assert_uint_eq(buf[PREFIX + 3] & 15, 0);
	wait_counter("cache-entries", 1);
}
END_TEST

/* Other names of our own are no reason to forget what servers have said. */
START_TEST(test_hosts_alone)
{
	static const char q[] = HDR "\3new\7example\0" A_IN;
	uint8_t buf[600], wait[600];
	size_t n, len;
	int fd, up, i;

	conf_server("192.0.2.7", 0, 60000, NULL);
	conf_end(true);
	fd = flow(1, "dns");
	ask(fd, DGRAM(HDR OTHER A_IN));
	up = asked_name("\3www", buf);
	put(up, buf, answer_to(buf, 0, 1, 0, DGRAM(RR("\0\0\1\0"))));
	(void)get(fd, buf, sizeof(buf));
	ask_numbered(fd, 1);
	up = asked(NULL, wait, sizeof(wait), &len);
	conf_server("192.0.2.7", 0, 60000, NULL);
	ck_assert_int_eq(ipc_send(t.sup, IPC_DNS_HOSTS, NULL, 0, "{s:[s]}",
			     "names", "10.1.1.9 new.example"),
	    0);
	conf_end_network(true, 5, t.network);
	/* Until that has come; what went to the server meanwhile is ours. */
	do {
		ask(fd, DGRAM(q));
		while ((i = (int)recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) <= 0)
			serve_only("\3new");
	} while (i != PREFIX + (int)sizeof(q) - 1 + 16);
	ck_assert_mem_eq(buf + i - 4, "\x0a\1\1\x09", 4);
	ck_assert_uint_eq(counter("cache-entries"), 1);
	ask(fd, DGRAM(HDR OTHER A_IN));
	n = get(fd, buf, sizeof(buf));
	ck_assert_uint_eq(n, PREFIX + 29 + 16);
	ck_assert_uint_eq(counter("cache-hits"), 1);
	wait[2] |= 0x80;
	put(up, wait, len);
	ck_assert_uint_eq(get(fd, buf, sizeof(buf)), PREFIX + len);
}
END_TEST

/*
 * TC counts wherever the answer was cut: the whole is fetched by TCP, and where
 * that cannot be had the guest gets the records before the one that was cut.
 */
START_TEST(test_cut_midway)
{
	static const char two[] = RR("\0\0\0\0") RR("\0\0\0\0");
	uint8_t buf[600] = { 0 };
	size_t n, rr = (sizeof(two) - 1) / 2;
	int fd, up;

	conf_server("192.0.2.7", 0, 60000, NULL);
	conf_end(false);
	fd = flow(1, "dns");
	ask(fd, DGRAM(HDR OTHER A_IN));
	up = asked(NULL, buf, sizeof(buf), &n);
	n = answer_to(buf, 0, 2, 0, DGRAM(two));
	buf[2] |= 2;
	put(up, buf, n - 5);
	t.only_tcp = true;
	up = asked(NULL, buf, sizeof(buf), &n);
	n = answer_to(buf + 2, 0, 2, 0, DGRAM(two));
	buf[1] = (uint8_t)n;
	if (_i == 0)
		put(up, buf, 2 + n);
	else
		hang_up(up);
	n -= _i == 0 ? 0 : rr;
	ck_assert_uint_eq(get(fd, buf, sizeof(buf)), PREFIX + n);
	ck_assert_uint_eq(buf[PREFIX + 2] & 2, _i == 0 ? 0 : 2);
	ck_assert_uint_eq(buf[PREFIX + 7], _i == 0 ? 2 : 1);
	ck_assert_mem_eq(buf + PREFIX + n - 4, "1234", 4);
	ck_assert_uint_eq(counter("asked-by-tcp"), 1);
}
END_TEST

/* The server closes a connection that had been of use: another one. */
START_TEST(test_tcp_closed)
{
	static const char q[] = "\0\x1d" HDR OTHER A_IN;
	uint8_t buf[600];
	int fd = flow(1, "tcp"), up;
	size_t n;

	t.only_tcp = true;
	put(fd, q, sizeof(q) - 1);
	up = asked(NULL, buf, sizeof(buf), &n);
	buf[4] |= 0x80;
	put(up, buf, n);
	ck_assert_uint_eq(get(fd, buf, sizeof(buf)), 31);
	put(fd, q, sizeof(q) - 1);
	ck_assert_int_eq(asked(NULL, buf, sizeof(buf), &n), up);
	hang_up(up);
	up = asked(NULL, buf, sizeof(buf), &n);
	ck_assert_uint_eq(t.asked_tcp, 2);
	buf[4] |= 0x80;
	put(up, buf, n);
	ck_assert_uint_eq(get(fd, buf, sizeof(buf)), 31);
}
END_TEST

/*
 * ... in the middle of an answer, with others under way: all that it did not
 * answer is asked over another one.
 */
START_TEST(test_tcp_midway)
{
	enum { LEN = 2 + NUMBERED_LEN, N = 5 };
	uint8_t buf[LEN * N] = { 0, NUMBERED_LEN };
	size_t n, i;
	int fd, up;

	t.only_tcp = true;
	conf_server("192.0.2.7", 0, 60000, NULL);
	conf_end(false);
	fd = flow(1, "tcp");
	for (i = 0; i < N; i++) {
		numbered(buf + 2, (unsigned)i);
		put(fd, buf, LEN);
	}
	up = asked(NULL, buf, sizeof(buf), &n);
	while (n < N * LEN)
		n += get(up, buf + n, sizeof(buf) - n);
	buf[4] |= 0x80;
	buf[4 + LEN] |= 0x80;
	put(up, buf, LEN + 10);
	ck_assert_uint_eq(get(fd, buf, sizeof(buf)), LEN);
	hang_up(up);
	up = asked(NULL, buf, sizeof(buf), &n);
	while (n < (N - 1) * LEN)
		n += get(up, buf + n, sizeof(buf) - n);
	ck_assert_uint_eq(t.asked_tcp, 2);
	for (i = 0; i < n; i += LEN)
		buf[i + 4] |= 0x80;
	put(up, buf, n);
	for (n = 0; n < (N - 1) * LEN;)
		n += get(fd, buf + n, sizeof(buf) - n);
	for (i = 0; i < n; i += LEN)
		ck_assert_uint_eq(buf[i + 5] & 15, 0);
	wait_counter("in-flight", 0);
}
END_TEST

/* A server that answers one question on each connection, and closes it. */
START_TEST(test_tcp_one_each)
{
	enum { LEN = 2 + NUMBERED_LEN, N = 6 };
	uint8_t buf[LEN * N] = { 0, NUMBERED_LEN };
	size_t n, left;
	int fd, up;

	t.only_tcp = true;
	conf_server("192.0.2.7", 0, 60000, NULL);
	conf_end(false);
	fd = flow(1, "tcp");
	for (left = 0; left < N; left++) {
		numbered(buf + 2, (unsigned)left);
		put(fd, buf, LEN);
	}
	for (; left > 0; left--) {
		up = asked(NULL, buf, sizeof(buf), &n);
		while (n < left * LEN)
			n += get(up, buf + n, sizeof(buf) - n);
		ck_assert_uint_eq(n, left * LEN);
		buf[4] |= 0x80;
		put(up, buf, LEN);
		hang_up(up);
		ck_assert_uint_eq(get(fd, buf, sizeof(buf)), LEN);
		ck_assert_uint_eq(buf[5] & 15, 0);
	}
	ck_assert_uint_eq(t.asked_tcp, N);
	wait_counter("in-flight", 0);
}
END_TEST

/*
 * One that says something else and closes: that is no progress.  After another
 * time it is asked by UDP.
 */
START_TEST(test_tcp_no_progress)
{
	struct pollfd p = { .events = POLLIN };
	uint8_t buf[600];
	struct server *s;
	ssize_t n;

	conf_server("192.0.2.7", 0, 60000, NULL);
	conf_end(false);
	p.fd = flow(1, "tcp");
	put(p.fd, "\0\x1d" HDR OTHER A_IN, 31);
	while (poll(&p, 1, 1) != 1) {
		ev_run(t.loop, EVRUN_NOWAIT);
		for (s = t.server; s < t.server + t.nserver; s++) {
			if ((n = read(s->fd, buf, sizeof(buf))) <= 0)
				continue;
			buf[s->tcp ? 4 : 2] |= 0x80;
			if (s->tcp)
				buf[3]++; /* another id */
			(void)!write(s->fd, buf, (size_t)n);
			if (s->tcp)
				hang_up(s->fd);
		}
	}
	ck_assert_uint_eq(get(p.fd, buf, sizeof(buf)), 31);
	ck_assert_uint_eq(buf[5] & 15, 0);
	ck_assert_uint_le(t.asked_tcp, 2);
}
END_TEST

/* A guest that sends byte by byte, says that this was all, and then waits. */
START_TEST(test_tcp_bytes)
{
	static const char q[] = "\0\x1d" HDR OTHER A_IN;
	uint8_t buf[600];
	int fd = flow(1, "tcp"), up;
	size_t i, n;

	t.only_tcp = true;
	for (i = 0; i < sizeof(q) - 1; i++) {
		ck_assert_uint_eq(counter("tcp-queries"), 0);
		put(fd, q + i, 1);
		ev_run(t.loop, EVRUN_NOWAIT);
	}
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	up = asked(NULL, buf, sizeof(buf), &n);
	buf[4] |= 0x80;
	put(up, buf, n);
	ck_assert_uint_eq(get(fd, buf, sizeof(buf)), n);
	ck_assert_uint_eq(get(fd, buf, sizeof(buf)), 0);
}
END_TEST

/* No more than some are taken at a time; all are answered in the end. */
START_TEST(test_tcp_many)
{
	enum { LEN = 2 + NUMBERED_LEN };
	uint8_t buf[LEN * 256] = { 0, NUMBERED_LEN };
	int fd = flow(1, "tcp"), up;
	size_t n, k, done = 0, len = 0;
	unsigned i;

	t.only_tcp = true;
	for (i = 0; i < 200; i++) {
		numbered(buf + 2, i);
		put(fd, buf, LEN);
	}
	while (done < 200) {
		up = asked(NULL, buf, sizeof(buf), &n);
		while (n % LEN != 0)
			n += get(up, buf + n, sizeof(buf) - n);
		ck_assert_uint_le(counter("in-flight"), 64);
		for (k = 0; k < n; k += LEN, done++)
			buf[k + 4] |= 0x80;
		put(up, buf, n);
	}
	while (len < 200 * LEN)
		len += get(fd, buf, sizeof(buf));
	ck_assert_uint_eq(len, 200 * LEN);
}
END_TEST

/*
 * Of two servers one is always quicker: the other one's connection is as good
 * as any, though nobody waits for what comes over it.
 */
START_TEST(test_tcp_slower)
{
	static const char q[] = "\0\x1d" HDR OTHER A_IN;
	uint8_t buf[600], other[600];
	int fd, quick, slow;
	unsigned i;
	size_t n;

	t.only_tcp = true;
	conf_server("192.0.2.5", 0, 60000, NULL);
	conf_server("192.0.2.6", 0, 60000, NULL);
	conf_end(false);
	fd = flow(1, "tcp");
	for (i = 1; i <= 10; i++) {
		put(fd, q, sizeof(q) - 1);
		quick = asked("192.0.2.5", buf, sizeof(buf), &n);
		slow = asked("192.0.2.6", other, sizeof(other), &n);
		buf[4] |= 0x80;
		other[4] |= 0x80;
		put(quick, buf, n);
		ck_assert_uint_eq(get(fd, buf, sizeof(buf)), n);
		put(slow, other, n);
		wait_counter("dropped-wrong-answer", i);
	}
	ck_assert_uint_eq(t.asked_tcp, 2);
}
END_TEST

/* All that has come by UDP has a cut answer, and nothing comes by TCP. */
static void
serve_cut(void)
{
	struct server *s;
	uint8_t buf[600];
	ssize_t n;

	ev_run(t.loop, EVRUN_NOWAIT);
	for (s = t.server; s < t.server + t.nserver; s++) {
		if ((n = read(s->fd, buf, sizeof(buf))) <= 0)
			continue;
		if (s->tcp) {
			hang_up(s->fd);
			continue;
		}
		n = (ssize_t)answer_to(buf, 0, 1, 0, DGRAM(RR("\0\0\0\0")));
		buf[2] |= 2;
		(void)!write(s->fd, buf, (size_t)n);
	}
}

/*
 * A cut answer that came by UDP is none for who asks by TCP, also where one
 * who asks by UDP shares the question: an error, with its reason.
 */
START_TEST(test_cut_for_tcp)
{
	static const char q[] = "\0\x28" HDR_OPT OTHER A_IN OPT("\4\xd0");
	struct pollfd p = { .events = POLLIN };
	uint8_t buf[600];
	int dgram;

	conf_server("192.0.2.7", 0, 60000, NULL);
	conf_end(false);
	dgram = flow(1, "dns");
	p.fd = flow(2, "tcp");
	if (_i == 1) {
		ask(dgram, q + 2, sizeof(q) - 3);
		wait_counter("in-flight", 1);
	}
	put(p.fd, q, sizeof(q) - 1);
	wait_counter("questions-merged", (uint64_t)_i);
	while (poll(&p, 1, 1) != 1)
		serve_cut();
	ck_assert_uint_gt(get(p.fd, buf, sizeof(buf)), sizeof(q) + 6);
	ck_assert_uint_eq(buf[4] & 2, 0);
	ck_assert_uint_eq(buf[5] & 15, 2);
	ck_assert_mem_eq(buf + sizeof(q) - 1, "\0\x0f", 2);
	ck_assert_mem_eq(buf + sizeof(q) + 3, "\0\x17", 2);
	if (_i == 1) {
		(void)get(dgram, buf, sizeof(buf));
		ck_assert_uint_eq(buf[PREFIX + 2] & 2, 2);
		ck_assert_uint_eq(buf[PREFIX + 3] & 15, 0);
		ck_assert_uint_eq(buf[PREFIX + 7], 1);
	}
}
END_TEST

/* ... but proxyd takes the addresses there are. */
START_TEST(test_cut_for_proxy)
{
	conf_server("192.0.2.7", 0, 60000, NULL);
	conf_end(false);
	t.proxy = link_to(ROLE_PROXY, 0, &proxy_events);
	resolve(1, "www.example", false);
	while (t.told != 1)
		serve_cut();
	ck_assert_str_eq(t.told_addr, "49.50.51.52");
}
END_TEST

/* So many more of them on each stream, and dnsd has read them. */
static void
put_numbered(const int *fd, int nfd, unsigned each)
{
	uint8_t q[2 + NUMBERED_LEN] = { 0, NUMBERED_LEN };
	unsigned i, n = (unsigned)counter("tcp-queries");
	int k;

	for (k = 0; k < nfd; k++) {
		for (i = 0; i < each; i++) {
			numbered(q + 2, n++);
			put(fd[k], q, sizeof(q));
		}
	}
	wait_counter("tcp-queries", n);
}

/*
 * A guest asks so much that is not answered that every connection there may be
 * was silent too often: others are asked over TCP all the same.  One that
 * nothing is asked over gives its place to a new one; when there is none, the
 * question goes over one of them, and an answer is all that it lacked.
 */
START_TEST(test_tcp_spoiled)
{
	enum { STREAMS = 4, CONNS = 4, EACH = 64 };
	static uint8_t buf[65536];
	const uint32_t left = _i == 0 ? 0 : STREAMS - 1;
	int fd[STREAMS], other, up;
	size_t n, got;
	uint32_t i;

	t.only_tcp = true;
	conf_server("192.0.2.7", 0, 60000, NULL);
	conf_end(false);
	for (i = 0; i < STREAMS; i++)
		fd[i] = flow(i, "tcp");
	/* Each connection has some of every stream. */
	for (i = 0; i < EACH; i += 16)
		put_numbered(fd, STREAMS, 16);
	other = flow(STREAMS, "tcp");
	for (got = 0; got < STREAMS * EACH * (2 + NUMBERED_LEN); got += n)
		(void)asked(NULL, buf, sizeof(buf), &n);
	ck_assert_uint_eq(t.asked_tcp, CONNS);
	for (i = left; i < STREAMS; i++)
		ck_assert_int_eq(ipc_send(t.stack, IPC_FLOW_CLOSE, NULL, 0,
				     "{s:I}", "id", (json_int_t)i),
		    0);
	wait_counter("in-flight", left * EACH);
	put(other, "\0\x1d" HDR OTHER A_IN, 31);
	up = asked(NULL, buf, sizeof(buf), &n);
	ck_assert_uint_eq(n, 31);
	ck_assert_uint_eq(t.asked_tcp, CONNS + (_i == 0));
	buf[4] |= 0x80;
	put(up, buf, n);
	ck_assert_uint_eq(get(other, buf, sizeof(buf)), n);
	ck_assert_uint_eq(buf[5] & 15, 0);
}
END_TEST

/* Most of the time a question has: who needed longer was late, not dnsd. */
#define TOO_LATE (7 * USEC_SEC)

/*
 * Somebody on the way swallows TCP, but not UDP.  Where we were late ourselves,
 * once more.
 */
START_TEST(test_tcp_swallowed)
{
	static const char q[] = "\0\x1d" HDR OTHER A_IN;
	uint8_t buf[600];
	uint32_t id = 0;
	int fd, up;
	size_t n;
	usec_t since;

	conf_server("192.0.2.7", 0, 60000, NULL);
	conf_end(false);
	do {
		wait_counter("in-flight", 0);
		(void)all_asked(buf, sizeof(buf), &n, &up);
		fd = flow(++id, "tcp");
		since = plat_now();
		put(fd, q, sizeof(q) - 1);
		t.only_tcp = true;
		(void)asked(NULL, buf, sizeof(buf), &n);
		t.only_tcp = false;
		do
			up = asked(NULL, buf, sizeof(buf), &n);
		while (n != sizeof(q) - 1 - 2);
		n = answer_to(buf, 0, 1, 0, DGRAM(RR("\0\0\0\0")));
		(void)!write(up, buf, n);
		(void)get(fd, buf, sizeof(buf));
	} while ((buf[5] & 15) != 0 && plat_now() - since > TOO_LATE);
	ck_assert_uint_eq(buf[5] & 15, 0);
	ck_assert_uint_eq(buf[1], n);
}
END_TEST

/*
 * The whole of a cut answer cannot be had: the guest gets what there is, long
 * before its time is over, which is that of the one asked before.
 */
START_TEST(test_cut_swallowed)
{
	uint8_t buf[600];
	usec_t since;
	bool first;
	int fd, up;
	size_t n;

	conf_server("192.0.2.7", 0, 60000, NULL);
	conf_end(false);
	fd = flow(1, "dns");
	do {
		wait_counter("in-flight", 0);
		(void)all_asked(buf, sizeof(buf), &n, &up);
		while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
			continue;
		since = plat_now();
		ask(fd, DGRAM(HDR "\5first\7example\0" A_IN));
		ask(fd, DGRAM(HDR OTHER A_IN));
		do
			up = asked(NULL, buf, sizeof(buf), &n);
		while (!same_letters(buf + 12, OTHER));
		n = answer_to(buf, 0, 1, 0, DGRAM(RR("\0\0\0\0")));
		buf[2] |= 2;
		(void)!write(up, buf, n);
		(void)get(fd, buf, sizeof(buf));
		first = same_letters(buf + PREFIX + 12, "\5first");
	} while (first && plat_now() - since > TOO_LATE);
	ck_assert(!first);
	ck_assert_uint_eq(buf[PREFIX + 3] & 15, 0);
	ck_assert_uint_eq(buf[PREFIX + 2] & 2, 2);
	ck_assert_mem_eq(buf + PREFIX + n - 4, "1234", 4);
}
END_TEST

/* Writes all of it, while the other end takes it. */
static void
put_all(int fd, const uint8_t *p, size_t len)
{
	struct pollfd out = { .fd = fd, .events = POLLOUT };
	ssize_t n;

	while (len > 0) {
		(void)poll(&out, 1, -1);
		n = write(fd, p, len);
		ck_assert(n >= 0 || errno == EAGAIN);
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
}

/*
 * A guest that asks for much over several streams, and reads none of them: no
 * more than so much is kept for it, and what it asks elsewhere is answered.
 */
START_TEST(test_tcp_unread)
{
	enum { LEN = 2 + NUMBERED_LEN };
	static uint8_t ans[2 + 65000], buf[64 * LEN];
	uint8_t q[2 + 64] = { 0, NUMBERED_LEN };
	int fd[3], up, i;
	ssize_t got;
	size_t n, k;

	t.only_tcp = true;
	conf_server("192.0.2.7", 0, 60000, NULL);
	conf_end(false);
	for (i = 0; i < 3 * 64; i++) {
		if (i % 64 == 0)
			fd[i / 64] = flow((uint32_t)i, "tcp");
		numbered(q + 2, (unsigned)i);
		put(fd[i / 64], q, LEN);
	}
	while (counter("dropped-guest-full") == 0) {
		up = asked(NULL, buf, sizeof(buf), &n);
		while (n % LEN != 0)
			n += get(up, buf + n, sizeof(buf) - n);
		for (k = 0; k < n; k += LEN) {
			memcpy(ans, buf + k, LEN);
			ans[0] = (sizeof(ans) - 2) >> 8;
			ans[1] = (sizeof(ans) - 2) & 0xff;
			ans[4] |= 0x80;
			put_all(up, ans, sizeof(ans));
		}
	}
	i = flow(1000, "tcp");
	q[1] = (uint8_t)builtin[0].inlen;
	memcpy(q + 2, builtin[0].in, builtin[0].inlen);
	put(i, q, 2 + builtin[0].inlen);
	ck_assert_uint_eq(get(i, buf, sizeof(buf)), 2 + builtin[0].outlen);
	/* One was cut off. */
	for (i = 0;; i = (i + 1) % 3) {
		while ((got = read(fd[i], ans, sizeof(ans))) > 0)
			continue;
		if (got == 0)
			break;
		(void)poll(NULL, 0, 1);
	}
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
 * A guest that connects, asks and goes faster than portd opens sockets: what it
 * leaves behind has an end, and others are told that there is no answer.
 */
START_TEST(test_tcp_hit_and_run)
{
	uint8_t buf[600], q[2 + NUMBERED_LEN] = { 0, NUMBERED_LEN };
	uint64_t asks = 0;
	uint32_t id, i;
	int fd;

	conf("192.0.2.7", NULL);
	t.portd = IGNORE;
	for (id = 0; id < 512; id++) {
		fd = flow(id, "tcp");
		for (i = 0; i < 60; i++) {
			numbered(q + 2, id * 60 + i);
			put(fd, q, sizeof(q));
		}
		asks += 60;
		wait_counter("tcp-queries", asks);
		ck_assert_int_eq(ipc_send(t.stack, IPC_FLOW_CLOSE, NULL, 0,
				     "{s:I}", "id", (json_int_t)id),
		    0);
		close(fd);
	}
	ck_assert_uint_le(t.asked_tcp, 4);
	wait_counter("in-flight", 0);
	fd = flow(id, "tcp");
	put(fd, q, sizeof(q));
	ck_assert_uint_ge(get(fd, buf, sizeof(buf)), sizeof(q));
	ck_assert_uint_eq(buf[5] & 15, 2);
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

/* A guest's connection that says nothing ends; one that asks stays. */
START_TEST(test_guest_idle)
{
	static const char q[] = "\0\x22" HDR "\7gateway\10internal\0" A_IN;
	struct pollfd quiet = { .fd = flow(1, "tcp"), .events = POLLIN };
	int asks = flow(2, "tcp");
	uint8_t buf[600];

	do {
		put(asks, q, sizeof(q) - 1);
		ck_assert_uint_gt(get(asks, buf, sizeof(buf)), sizeof(q));
	} while (poll(&quiet, 1, DNSD_CONNIDLE_SEC * 1000 / 4) == 0);
	ck_assert_uint_eq(get(quiet.fd, buf, sizeof(buf)), 0);
	put(asks, q, sizeof(q) - 1);
	ck_assert_uint_gt(get(asks, buf, sizeof(buf)), sizeof(q));
}
END_TEST

/* What takes a minute, of which nearly all is waiting. */
static TCase *
long_case(void)
{
	TCase *tc = tcase_create("dnsd-long");

	tcase_set_timeout(tc, 4 * DNSD_CONNIDLE_SEC);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_guest_idle);
	return tc;
}

int
main(int argc, char *argv[])
{
	TCase *tc;

	if (argc < 2)
		return 2;
	t.exe = argv[1];
	if (argc == 3 && strcmp(argv[2], "long") == 0)
		return check_case("dnsd-long", long_case());
	tc = tcase_create("dnsd");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, test_builtin, 0, (int)nitems(builtin));
	tcase_add_test(tc, test_relay);
	tcase_add_test(tc, test_case);
	tcase_add_test(tc, test_case_lost);
	tcase_add_loop_test(tc, test_cache, 0, 2);
	tcase_add_test(tc, test_cache_whole);
	tcase_add_test(tc, test_stale);
	tcase_add_test(tc, test_stale_outdated);
	tcase_add_test(tc, test_cut);
	tcase_add_loop_test(tc, test_cut_midway, 0, 2);
	tcase_add_loop_test(tc, test_cut_signed, 0, 2);
	tcase_add_test(tc, test_extended_error);
	tcase_add_test(tc, test_zones);
	tcase_add_loop_test(tc, test_good_beside_bad, 0, 2);
	tcase_add_loop_test(tc, test_order, 0, 2);
	tcase_add_test(tc, test_offline);
	tcase_add_loop_test(tc, test_offline_after, 0, 2);
	tcase_add_test(tc, test_lossy_server);
	tcase_add_test(tc, test_timeout_zero);
	tcase_add_test(tc, test_slow_way);
	tcase_add_test(tc, test_bare_error);
	tcase_add_test(tc, test_tcp_closed);
	tcase_add_test(tc, test_tcp_network);
	tcase_add_test(tc, test_network_under_way);
	tcase_add_test(tc, test_hosts_alone);
	tcase_add_test(tc, test_tcp_midway);
	tcase_add_test(tc, test_tcp_one_each);
	tcase_add_test(tc, test_tcp_no_progress);
	tcase_add_test(tc, test_tcp_bytes);
	tcase_add_loop_test(tc, test_odd, 0, (int)nitems(odd));
	tcase_add_test(tc, test_socket_per_query);
	tcase_add_test(tc, test_merged);
	tcase_add_test(tc, test_apart);
	tcase_add_test(tc, test_merged_sizes);
	tcase_add_test(tc, test_merged_gone);
	tcase_add_test(tc, test_merged_failed);
	tcase_add_test(tc, test_merged_limit);
	tcase_add_test(tc, test_ports_again);
	tcase_add_test(tc, test_ports_portd);
	tcase_add_test(tc, test_spoiled);
	tcase_add_loop_test(tc, test_dead_name, 0, 2);
	tcase_add_loop_test(tc, test_no_of_later, 0, 2);
	tcase_add_test(tc, test_no_not_kept);
	tcase_add_test(tc, test_late_answer);
	tcase_add_test(tc, test_stray_answer);
	tcase_add_test(tc, test_next_server);
	tcase_add_test(tc, test_slow_server);
	tcase_add_test(tc, test_answered_meanwhile);
	tcase_add_test(tc, test_refused);
	tcase_add_test(tc, test_refused_early);
	tcase_add_test(tc, test_unreachable);
	tcase_add_test(tc, test_no_server);
	tcase_add_test(tc, test_reconfigured);
	tcase_add_test(tc, test_portd_restarted);
	tcase_add_loop_test(tc, test_malformed, 0, (int)nitems(bad));
	tcase_add_loop_test(tc, test_unframed, 0, (int)nitems(unframed));
	tcase_add_test(tc, test_mutations);
	tcase_add_test(tc, test_limit);
	tcase_add_test(tc, test_resolve_late);
	tcase_add_test(tc, test_resolve_v6);
	tcase_add_test(tc, test_limit_fair);
	tcase_add_test(tc, test_rate_fair);
	tcase_add_test(tc, test_rate_long);
	tcase_add_test(tc, test_tcp_idle);
	tcase_add_test(tc, test_tcp);
	tcase_add_test(tc, test_tcp_many);
	tcase_add_test(tc, test_tcp_slower);
	tcase_add_loop_test(tc, test_tcp_spoiled, 0, 2);
	tcase_add_test(tc, test_tcp_swallowed);
	tcase_add_test(tc, test_cut_swallowed);
	tcase_add_loop_test(tc, test_cut_for_tcp, 0, 2);
	tcase_add_test(tc, test_cut_for_proxy);
	tcase_add_test(tc, test_tcp_unread);
	tcase_add_test(tc, test_tcp_bad);
	tcase_add_test(tc, test_tcp_limit);
	tcase_add_test(tc, test_dgram_limit);
	tcase_add_test(tc, test_tcp_hit_and_run);
	tcase_add_test(tc, test_no_pair);
	tcase_add_test(tc, test_bad_stack);
	return check_case("dnsd", tc);
}
