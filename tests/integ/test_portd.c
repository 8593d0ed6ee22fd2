/*
 * A real portd, with this program as its supervisor, its stacks and its dnsd:
 * what an owned stack may ask for, what it gets, and when it does not.
 *
 * The first argument is the executable.
 */

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <net/if.h>
#include <netinet/in.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/daemon.h"
#include "common/servtab.h"
#include "common/plat/plat.h"
#include "tests/check_main.h"
#include "tests/integ/alone.h"

#define MAXSEEN	 1024
#define HOST_IP	 "192.168.65.2"
#define GUEST_IP "192.168.65.3"

/* A message that came, as far as the tests look. */
struct seen {
	enum ipc_type type;
	uint32_t id;
	char text[64]; /* error, or why */
	int fd[5];     /* owned until taken; -1 */
	size_t nfd;
	uint16_t echo_id; /* of flow-icmp */
	bool raw;
};

/* One link to portd; the test plays its other end. */
struct end {
	struct ipc *ipc; /* owned */
	bool gone;
	struct seen seen[MAXSEEN];
	size_t nseen;
};

static struct {
	const char *exe;
	struct ev_loop *loop;
	pid_t pid;
	struct stats_file *stats;
	struct servtab *shown; /* to dnsd; owned mapping */
	struct end sup, stack[2], dns;
} t;

static void
on_msg(struct ipc *ipc, struct ipc_msg *m)
{
	struct end *e = ipc_data(ipc);
	struct seen *s = &e->seen[e->nseen];
	const char *text;
	size_t i;

	ck_assert_uint_lt(e->nseen, MAXSEEN);
	e->nseen++;
	s->type = m->type;
	s->id = (uint32_t)ipc_u64(m, "id");
	text = ipc_str(m, "error");
	if (text == NULL)
		text = ipc_str(m, "why");
	snprintf(s->text, sizeof(s->text), "%s", text == NULL ? "" : text);
	s->echo_id = (uint16_t)ipc_u64(m, "echo-id");
	s->raw = ipc_bool(m, "raw");
	s->nfd = m->nfd;
	for (i = 0; i < nitems(s->fd); i++)
		s->fd[i] = i < m->nfd ? ipc_take_fd(m, i) : -1;
}

static void
on_gone(struct ipc *ipc, const char *why)
{
	struct end *e = ipc_data(ipc);

	e->gone = true;
	ipc_free(ipc);
	e->ipc = NULL;
}

static const struct ipc_events events = { on_msg, on_gone };

/* Turns the loop until a message of this type is there. */
static struct seen *
wait_msg(struct end *e, enum ipc_type type)
{
	size_t i;

	for (i = 0;; ev_run(t.loop, EVRUN_ONCE)) {
		for (; i < e->nseen; i++) {
			if (e->seen[i].type == type)
				return &e->seen[i];
		}
		ck_assert(!e->gone);
	}
}

/* Turns the loop until the answer to request id is there. */
static struct seen *
wait_answer(struct end *e, uint32_t id)
{
	size_t i;

	for (i = 0;; ev_run(t.loop, EVRUN_ONCE)) {
		for (; i < e->nseen; i++) {
			if (e->seen[i].id == id)
				return &e->seen[i];
		}
		ck_assert(!e->gone);
	}
}

static void
conf_server(int max, const char *server)
{
	ck_assert_int_eq(
	    ipc_send(t.sup.ipc, IPC_CONF_PORT, NULL, 0,
		"{s:s,s:s,s:s,s:s,s:[s,s],s:[],s:i,s:[s],s:i,s:b}",
		"gateway-ip", "192.168.65.1", "host-ip", HOST_IP, "lowest-ip",
		"192.168.65.3", "highest-ip", "192.168.65.254", "servers",
		server, "::1#5353", "proxies", "max-connections", max,
		"allowed-bind", "0.0.0.0", "backlog", 0, "preserve-source", 0),
	    0);
}

static void
conf(int max)
{
	conf_server(max, "127.0.0.1#53");
}

static void
link_to(struct end *e, enum ipc_role role, uint32_t vm)
{
	e->ipc = ipc_new(t.loop, alone_peer(t.sup.ipc, role, vm), role,
	    ROLE_PORT, vm, &events, e);
	ck_assert_ptr_nonnull(e->ipc);
}

static void
start(const char *path, char *const *argv)
{
	int bus;

	alone_servers = plat_memfd("servers", sizeof(*t.shown));
	t.shown = mmap(
	    NULL, sizeof(*t.shown), PROT_READ, MAP_SHARED, alone_servers, 0);
	ck_assert(t.shown != MAP_FAILED);
	t.loop = ev_default_loop(0);
	t.pid = alone_start(path, argv, -1, &bus, &t.stats);
	t.sup.ipc =
	    ipc_new(t.loop, bus, ROLE_MAIN, ROLE_PORT, 0, &events, &t.sup);
	ck_assert_ptr_nonnull(t.sup.ipc);
	wait_msg(&t.sup, IPC_READY);
}

static void
setup(void)
{
	char *argv[] = { (char *)(uintptr_t)t.exe, NULL };

	start(t.exe, argv);
}

/* A portd that may have few descriptors. */
static void
setup_few(void)
{
	char sh[] = "sh", opt[] = "-c";
	char cmd[] = "ulimit -n 48 && exec \"$0\"";
	char *argv[] = { sh, opt, cmd, (char *)(uintptr_t)t.exe, NULL };

	start("/bin/sh", argv);
}

/*
 * Configures portd, then links it: what comes over a link is then surely
 * handled after the configuration.
 */
static void
begin(int max)
{
	conf(max);
	link_to(&t.stack[0], ROLE_STACK, 1);
	link_to(&t.stack[1], ROLE_STACK, 2);
	link_to(&t.dns, ROLE_DNS, 0);
}

/* Whatever happened to it, portd lives and goes when its supervisor does. */
static void
teardown(void)
{
	ck_assert(!t.sup.gone);
	ipc_free(t.sup.ipc);
	alone_ended(t.pid);
	ipc_free(t.stack[0].ipc);
	ipc_free(t.stack[1].ipc);
	ipc_free(t.dns.ipc);
}

static uint64_t
counter(const char *name)
{
	return alone_counter(t.stats, name);
}

static void
flow_open(struct end *e, uint32_t id, const char *proto, uint16_t sport,
    const char *dst, uint16_t dport)
{
	ck_assert_int_eq(ipc_send(e->ipc, IPC_FLOW_OPEN, NULL, 0,
			     "{s:I,s:s,s:s,s:i,s:s,s:i}", "id", (json_int_t)id,
			     "proto", proto, "src", GUEST_IP, "sport",
			     (int)sport, "dst", dst, "dport", (int)dport),
	    0);
}

static void
flow_close(struct end *e, uint32_t id)
{
	ck_assert_int_eq(ipc_send(e->ipc, IPC_FLOW_CLOSE, NULL, 0, "{s:I}",
			     "id", (json_int_t)id),
	    0);
}

/* The socket portd made for the flow. */
static int
flow_fd(struct end *e, uint32_t id)
{
	struct seen *s = wait_answer(e, id);

	ck_assert_msg(s->type == IPC_FLOW_FD, "refused: %s", s->text);
	ck_assert_uint_eq(s->nfd, 1);
	return s->fd[0];
}

static void
refused(struct end *e, uint32_t id, const char *error, const char *what)
{
	struct seen *s = wait_answer(e, id);

	ck_assert_msg(s->type == IPC_FLOW_REFUSED, "%s", what);
	ck_assert_msg(strcmp(s->text, error) == 0, "%s: %s", what, s->text);
}

static uint16_t
local_port(int fd)
{
	struct sockaddr_in in;
	socklen_t len = sizeof(in);

	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	return ntohs(in.sin_port);
}

/* A blocking socket bound to a free port of 127.0.0.1. */
static int
bound(int type, uint16_t *port)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	*port = local_port(fd);
	return fd;
}

static void
send_to(int fd, uint16_t port, const char *text)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_port = htons(port) };

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(sendto(fd, text, strlen(text), 0,
			     (struct sockaddr *)&in, sizeof(in)),
	    (int)strlen(text));
}

/* What this socket has received is just this text. */
static void
has(int fd, const char *text)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char buf[64];
	ssize_t n;

	ck_assert_int_eq(poll(&p, 1, 60000), 1);
	n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	ck_assert_int_eq(n, (ssize_t)strlen(text));
	ck_assert_int_eq(memcmp(buf, text, (size_t)n), 0);
}

static void
has_nothing(int fd)
{
	char c;

	ck_assert_int_eq(recv(fd, &c, 1, MSG_DONTWAIT), -1);
	ck_assert_int_eq(errno, EAGAIN);
}

/* clang-format off */
static const struct {
	const char *what;
	const char *proto, *dst;
} denied[] = {
	{ "this network",	"tcp", "0.0.0.0" },
	{ "loopback",		"tcp", "127.0.0.1" },
	{ "all of loopback",	"tcp", "127.255.0.1" },
	{ "gateway",		"tcp", "192.168.65.1" },
	{ "itself",		"tcp", "192.168.65.3" },
	{ "another VM",		"tcp", "192.168.65.4" },
	{ "multicast",		"udp", "224.0.0.251" },
	{ "class E",		"tcp", "250.0.0.1" },
	{ "broadcast",		"udp", "255.255.255.255" },
	{ "UDP to loopback",	"udp", "127.0.0.1" },
	{ "ping of loopback",	"icmp", "127.0.0.1" },
	{ "ping of the host",	"icmp", HOST_IP },
	{ "ping of the gateway", "icmp", "192.168.65.1" },
	{ "ping of all",	"icmp", "255.255.255.255" },
	{ "IPv6 loopback",	"tcp", "::1" },
	{ "mapped loopback",	"tcp", "::ffff:127.0.0.1" },
};
/* clang-format on */

START_TEST(addresses_never_reached)
{
	begin(-1);
	flow_open(&t.stack[0], 1, denied[_i].proto, 4000, denied[_i].dst, 80);
	refused(&t.stack[0], 1, "EACCES", denied[_i].what);
	ck_assert_uint_eq(counter("refused-policy"), 1);
	ck_assert_uint_eq(counter("flows"), 0);
}
END_TEST

START_TEST(tcp_to_host_ip)
{
	uint16_t port;
	int lfd = bound(SOCK_STREAM, &port), fd, peer, on = 0;
	socklen_t len = sizeof(on);

	begin(-1);
	ck_assert_int_eq(listen(lfd, 1), 0);
	flow_open(&t.stack[0], 7, "tcp", 4000, HOST_IP, port);
	fd = flow_fd(&t.stack[0], 7);
	/* Urgent data stays where it is in the stream. */
	getsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, &len);
	ck_assert_int_ne(on, 0);
	peer = accept(lfd, NULL, NULL);
	ck_assert_int_ne(peer, -1);
	ck_assert_int_eq(write(fd, "hello", 5), 5);
	has(peer, "hello");
	/* Nobody else holds the socket: its end is seen at once. */
	close(fd);
	has(peer, "");
	flow_close(&t.stack[0], 7);
	close(peer);
	close(lfd);
}
END_TEST

/* At once, or as the result of the connect: both are an answer. */
START_TEST(tcp_refused)
{
	struct pollfd p = { .events = POLLOUT };
	struct seen *s;
	socklen_t len = sizeof(int);
	uint16_t port;
	int fd = bound(SOCK_STREAM, &port), error;

	begin(-1);
	flow_open(&t.stack[0], 7, "tcp", 4000, HOST_IP, port);
	s = wait_answer(&t.stack[0], 7);
	if (s->type == IPC_FLOW_REFUSED) {
		ck_assert_str_eq(s->text, "ECONNREFUSED");
	} else {
		p.fd = s->fd[0];
		ck_assert_int_eq(poll(&p, 1, 10000), 1);
		getsockopt(p.fd, SOL_SOCKET, SO_ERROR, &error, &len);
		ck_assert_int_eq(error, ECONNREFUSED);
		close(p.fd);
	}
	close(fd);
}
END_TEST

/* The guest's own port where it is free, never one that is taken. */
START_TEST(udp_bind_keeps_the_port)
{
	uint16_t port;
	int a, b, c, lo, on = 1, taken = bound(SOCK_DGRAM, &port);
	FILE *range = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");

	ck_assert_ptr_nonnull(range);
	begin(-1);
	/* A program of the host that would share; it is not asked to. */
	setsockopt(taken, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	flow_open(&t.stack[0], 1, "udp-bind", port, "0.0.0.0", 0);
	a = flow_fd(&t.stack[0], 1);
	ck_assert_uint_ne(local_port(a), port);
	close(taken);
	flow_open(&t.stack[0], 2, "udp-bind", port, "0.0.0.0", 0);
	b = flow_fd(&t.stack[0], 2);
	ck_assert_uint_eq(local_port(b), port);
	flow_open(&t.stack[1], 1, "udp-bind", port, "0.0.0.0", 0);
	c = flow_fd(&t.stack[1], 1);
	ck_assert_uint_ne(local_port(c), port);
	flow_open(&t.stack[0], 3, "udp-bind", 53, "0.0.0.0", 0);
	ck_assert_uint_ge(local_port(flow_fd(&t.stack[0], 3)), 1024);
	ck_assert_uint_eq(counter("udp-port-changed"), 3);
	/* What a program of the host may be known by is not the guest's,
	 * though it is free now. */
	ck_assert_int_eq(fscanf(range, "%d", &lo), 1);
	fclose(range);
	if (lo > 1024) {
		flow_open(&t.stack[0], 4, "udp-bind", (uint16_t)(lo - 1),
		    "0.0.0.0", 0);
		on = flow_fd(&t.stack[0], 4);
		ck_assert_uint_ne(local_port(on), lo - 1);
		close(on);
	}
	close(a);
	close(b);
	close(c);
}
END_TEST

/*
 * Two servers see the guest's port as one and the same; each one's answers
 * come to its connected socket, a stranger's datagram to the bound one.
 */
START_TEST(udp_full_cone)
{
	uint16_t port[3], local;
	int srv[3], bind, conn[2], i;

	begin(-1);
	for (i = 0; i < 3; i++)
		srv[i] = bound(SOCK_DGRAM, &port[i]);
	flow_open(&t.stack[0], 1, "udp-bind", 53, "0.0.0.0", 0);
	bind = flow_fd(&t.stack[0], 1);
	local = local_port(bind);
	alone_not_shared(local);
	for (i = 0; i < 2; i++) {
		flow_open(
		    &t.stack[0], 2 + (uint32_t)i, "udp", 53, HOST_IP, port[i]);
		conn[i] = flow_fd(&t.stack[0], 2 + (uint32_t)i);
		ck_assert_uint_eq(local_port(conn[i]), local);
		ck_assert_int_eq(write(conn[i], "query", 5), 5);
		has(srv[i], "query");
	}
	alone_not_shared(local);
	send_to(srv[0], local, "from 0");
	send_to(srv[1], local, "from 1");
	send_to(srv[2], local, "from 2");
	has(conn[0], "from 0");
	has(conn[1], "from 1");
	has(bind, "from 2");
	has_nothing(conn[0]);
	has_nothing(conn[1]);
	has_nothing(bind);
	/* A flow that is over leaves its server to the bound socket. */
	close(conn[0]);
	flow_close(&t.stack[0], 2);
	send_to(srv[0], local, "late");
	has(bind, "late");
}
END_TEST

/* portd was restarted in between: the stack has to begin with a bind. */
START_TEST(udp_without_a_bind)
{
	begin(-1);
	flow_open(&t.stack[0], 1, "udp", 5000, HOST_IP, 9);
	refused(&t.stack[0], 1, "EADDRNOTAVAIL", "no bind");
	flow_open(&t.stack[0], 2, "udp-bind", 5000, "0.0.0.0", 0);
	close(flow_fd(&t.stack[0], 2));
	/* The same port of the other guest is another port. */
	flow_open(&t.stack[1], 1, "udp", 5000, HOST_IP, 9);
	refused(&t.stack[1], 1, "EADDRNOTAVAIL", "another guest's bind");
}
END_TEST

START_TEST(max_connections)
{
	begin(2);
	flow_open(&t.stack[0], 1, "udp-bind", 53, "0.0.0.0", 0);
	close(flow_fd(&t.stack[0], 1));
	flow_open(&t.stack[1], 2, "udp-bind", 53, "0.0.0.0", 0);
	close(flow_fd(&t.stack[1], 2));
	flow_open(&t.stack[0], 3, "tcp", 4000, HOST_IP, 1);
	refused(&t.stack[0], 3, "EMFILE", "one more than the limit");
	ck_assert_uint_eq(counter("refused-max-connections"), 1);
	flow_close(&t.stack[0], 1);
	flow_open(&t.stack[0], 4, "udp-bind", 53, "0.0.0.0", 0);
	close(flow_fd(&t.stack[0], 4));
}
END_TEST

/* The rest of the suite does not pay for a stack that is gone. */
START_TEST(a_lost_stack_gives_its_place_back)
{
	begin(1);
	flow_open(&t.stack[0], 1, "udp-bind", 53, "0.0.0.0", 0);
	close(flow_fd(&t.stack[0], 1));
	ipc_free(t.stack[0].ipc);
	t.stack[0].ipc = NULL;
	ipc_send(t.sup.ipc, IPC_PEER_GONE, NULL, 0, "{s:s,s:i}", "role",
	    ipc_role_name[ROLE_STACK], "vm", 1);
	link_to(&t.stack[0], ROLE_STACK, 1);
	flow_open(&t.stack[0], 1, "udp-bind", 53, "0.0.0.0", 0);
	t.stack[0].nseen = 0;
	close(flow_fd(&t.stack[0], 1));
	ck_assert_uint_eq(counter("flows"), 1);
}
END_TEST

/* clang-format off */
static const struct {
	const char *what;
	const char *proto;
	uint32_t id;
} violations[] = {
	{ "an id in use",	"tcp",	9 },
	{ "dnsd's flow",	"dns",	1 },
	{ "no such flow",	"sctp",	1 },
};
/* clang-format on */

/* The link is cut and the supervisor told; the other stack notices nothing. */
START_TEST(violations_cut_the_link)
{
	struct end *e = &t.stack[0];
	struct seen *s;

	begin(-1);
	flow_open(e, 9, "udp-bind", 53, "0.0.0.0", 0);
	close(flow_fd(e, 9));
	flow_open(e, violations[_i].id, violations[_i].proto, 4000, HOST_IP, 1);
	s = wait_msg(&t.sup, IPC_BAD_PEER);
	ck_assert_msg(s->text[0] != '\0', "%s", violations[_i].what);
	while (!e->gone)
		ev_run(t.loop, EVRUN_ONCE);
	flow_open(&t.stack[1], 9, "udp-bind", 53, "0.0.0.0", 0);
	close(flow_fd(&t.stack[1], 9));
	ck_assert_uint_eq(counter("flows"), 1);
}
END_TEST

START_TEST(close_of_an_unknown_flow)
{
	begin(-1);
	flow_close(&t.stack[0], 12345);
	flow_open(&t.stack[0], 1, "udp-bind", 53, "0.0.0.0", 0);
	close(flow_fd(&t.stack[0], 1));
}
END_TEST

/* clang-format off */
static const struct {
	const char *what;
	const char *proto, *addr;
	uint16_t port;
	int count;
	const char *error; /* NULL: sockets come */
} asked[] = {
	{ "a server",		"udp", "127.0.0.1", 53,	  4, NULL },
	{ "the server's TCP",	"tcp", "127.0.0.1", 5353, 1, "EACCES" },
	{ "another port",	"udp", "127.0.0.1", 54,	  1, "EACCES" },
	{ "another address",	"udp", "127.0.0.2", 53,	  1, "EACCES" },
	{ "somebody",		"tcp", "192.0.2.1", 80,	  1, "EACCES" },
};
/* clang-format on */

START_TEST(sockets_for_dnsd)
{
	struct seen *s;

	begin(-1);
	ck_assert_int_eq(
	    ipc_send(t.dns.ipc, IPC_SOCK_OPEN, NULL, 0, "{s:i,s:s,s:s,s:i,s:i}",
		"id", 5, "proto", asked[_i].proto, "addr", asked[_i].addr,
		"port", (int)asked[_i].port, "count", asked[_i].count),
	    0);
	s = wait_answer(&t.dns, 5);
	if (asked[_i].error != NULL) {
		ck_assert_msg(strcmp(s->text, asked[_i].error) == 0, "%s",
		    asked[_i].what);
		return;
	}
	ck_assert_msg(s->type == IPC_SOCK_SET, "%s", asked[_i].what);
	/* And one more, which only looks for the way. */
	ck_assert_uint_eq(s->nfd, (size_t)asked[_i].count + 1);
	ck_assert_uint_ne(local_port(s->fd[0]), local_port(s->fd[1]));
}
END_TEST

/* The sockets that dnsd has asked for; their number. */
static size_t
server_sockets(int port, int fd[4])
{
	struct seen s;

	t.dns.nseen = 0;
	ck_assert_int_eq(ipc_send(t.dns.ipc, IPC_SOCK_OPEN, NULL, 0,
			     "{s:i,s:s,s:s,s:i,s:i}", "id", 5, "proto", "udp",
			     "addr", "127.0.0.1", "port", port, "count", 3),
	    0);
	s = *wait_msg(&t.dns, IPC_SOCK_SET);
	memcpy(fd, s.fd, 4 * sizeof(*fd));
	return s.nfd;
}

static unsigned
shown(int fd)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);

	ck_assert_int_eq(getpeername(fd, (struct sockaddr *)&ss, &len), 0);
	return servtab_find(t.shown, &ss);
}

/*
 * What dnsd may connect to is shown to it, as long as it is a server: to have
 * other ports for the same sockets it needs no portd.
 */
START_TEST(ports_again)
{
	const struct sockaddr *none = &t.shown->place[0].any;
	struct sockaddr_storage at[2];
	uint16_t port;
	unsigned place;
	int fd[4], i, same = 0;

	begin(-1);
	ck_assert_uint_eq(server_sockets(53, fd), 4);
	place = shown(fd[1]);
	ck_assert_uint_ne(place, 0);
	for (i = 0; i < 4; i++) {
		port = local_port(fd[i]);
		ck_assert_int_eq(plat_udp_again(fd[i], none,
				     &t.shown->place[place].any, SERVTAB_LEN),
		    0);
		same += local_port(fd[i]) == port;
		ck_assert_int_eq(plat_udp_source(fd[i], &at[i != 0]), 0);
	}
	ck_assert_int_lt(same, 4);
	ck_assert_mem_eq(&at[0], &at[1], sizeof(at[0]));
	/* All but the first have their address, whether connected or not. */
	for (i = 0; i < 4; i++) {
		ck_assert_int_eq(connect(fd[i], none, SERVTAB_LEN), 0);
		ck_assert_int_eq(plat_udp_source(fd[i], &at[1]), 0);
		ck_assert_int_eq(
		    memcmp(&at[0], &at[1], sizeof(at[0])) == 0, i > 0);
	}
	/* The server is not one any more. */
	conf_server(-1, "127.0.0.1#54");
	while (t.shown->place[place].any.sa_family != AF_UNSPEC)
		ev_run(t.loop, EVRUN_NOWAIT);
	ck_assert_uint_eq(server_sockets(54, fd), 4);
	ck_assert_uint_ne(shown(fd[1]), 0);
	ck_assert_uint_ne(shown(fd[1]), place);
	/* And is one again, where it was. */
	conf(-1);
	while (t.shown->place[place].any.sa_family == AF_UNSPEC)
		ev_run(t.loop, EVRUN_NOWAIT);
	ck_assert_uint_eq(server_sockets(53, fd), 4);
	ck_assert_uint_eq(shown(fd[1]), place);
}
END_TEST

/* One end each for the stack of the VM that is named and for dnsd. */
START_TEST(pairs_for_dnsd)
{
	struct seen *s, *d;
	char c = 'x';

	begin(-1);
	ck_assert_int_eq(
	    ipc_send(t.dns.ipc, IPC_PAIR_OPEN, NULL, 0, "{s:i,s:i,s:s}", "id",
		9, "vm", 2, "proto", _i == 0 ? "tcp" : "dns"),
	    0);
	d = wait_msg(&t.dns, IPC_PAIR_FD);
	s = wait_msg(&t.stack[1], IPC_FLOW_FD);
	ck_assert_uint_eq(d->id, 9);
	ck_assert_uint_eq(s->id, 9);
	ck_assert_int_eq(write(s->fd[0], &c, 1), 1);
	ck_assert_int_eq(read(d->fd[0], &c, 1), 1);
	ck_assert_uint_eq(t.stack[0].nseen, 0);
	ck_assert_uint_eq(counter("flows"), 0);
}
END_TEST

static void
pair_open(uint32_t id, uint32_t vm)
{
	ck_assert_int_eq(
	    ipc_send(t.dns.ipc, IPC_PAIR_OPEN, NULL, 0, "{s:i,s:i,s:s}", "id",
		(int)id, "vm", (int)vm, "proto", "dns"),
	    0);
}

/*
 * dnsd may hear of a stack before portd does.  What it asks then waits for the
 * stack; of one that does not come, or whose dnsd has gone, nothing is left.
 */
START_TEST(pairs_before_the_stack)
{
	struct seen *s, *d;
	char c = 'x';

	conf(-1);
	link_to(&t.stack[0], ROLE_STACK, 1);
	link_to(&t.dns, ROLE_DNS, 0);
	pair_open(9, 2);
	pair_open(8, 3);
	pair_open(7, 1);
	ck_assert_uint_eq(wait_msg(&t.dns, IPC_PAIR_FD)->id, 7);
	t.dns.nseen = 0;
	if (_i == 1) { /* another dnsd */
		ipc_free(t.dns.ipc);
		link_to(&t.dns, ROLE_DNS, 0);
		pair_open(6, 2);
		pair_open(5, 3);
	}
	link_to(&t.stack[1], ROLE_STACK, 2);
	d = wait_msg(&t.dns, IPC_PAIR_FD);
	s = wait_msg(&t.stack[1], IPC_FLOW_FD);
	ck_assert_uint_eq(d->id, _i == 0 ? 9 : 6);
	ck_assert_uint_eq(s->id, _i == 0 ? 9 : 6);
	ck_assert_int_eq(write(s->fd[0], &c, 1), 1);
	ck_assert_int_eq(read(d->fd[0], &c, 1), 1);
	/* A VM without a stack. */
	d = wait_msg(&t.dns, IPC_PAIR_REFUSED);
	ck_assert_str_eq(d->text, "ECONNREFUSED");
	ck_assert_uint_eq(d->id, _i == 0 ? 8 : 5);
	ck_assert_uint_eq(t.dns.nseen, 2);
	ck_assert_uint_eq(t.stack[1].nseen, 1);
	ck_assert_uint_eq(counter("pairs-refused"), 1);
}
END_TEST

/*
 * More requests in one message batch than there are descriptors: those that
 * find none wait until the first sockets have left, and all are served.
 */
START_TEST(waits_for_descriptors)
{
	struct end *e = &t.stack[0];
	const uint32_t n = 60;
	uint32_t i;

	begin(-1);
	/* The links themselves are descriptors: dnsd's, the last, is there. */
	ck_assert_int_eq(ipc_send(t.dns.ipc, IPC_SOCK_OPEN, NULL, 0,
			     "{s:i,s:s,s:s,s:i,s:i}", "id", 5, "proto", "udp",
			     "addr", "127.0.0.1", "port", 53, "count", 1),
	    0);
	close(wait_answer(&t.dns, 5)->fd[0]);
	for (i = 1; i <= n; i++)
		flow_open(e, i, "udp-bind", 53, "0.0.0.0", 0);
	for (i = 1; i <= n; i++)
		close(flow_fd(e, i));
	ck_assert_uint_eq(counter("flows"), n);
	ck_assert_uint_gt(counter("waited-for-descriptor"), 0);
}
END_TEST

#define ECHO_IP "10.9.8.7"

static void
ping_range(const char *range)
{
	int fd = open("/proc/sys/net/ipv4/ping_group_range", O_WRONLY);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(
	    write(fd, range, strlen(range)), (ssize_t)strlen(range));
	close(fd);
}

/* A network of its own, with one address beside the loopback's. */
static void
setup_net(void)
{
	struct ifreq r = { .ifr_name = "lo:1" };
	struct sockaddr_in *in = (struct sockaddr_in *)&r.ifr_addr;
	int fd;

	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	in->sin_family = AF_INET;
	in->sin_addr.s_addr = htonl(0x0a090807);
	ck_assert_int_eq(ioctl(fd, SIOCSIFADDR, &r), 0);
	r.ifr_flags = IFF_UP | IFF_RUNNING;
	ck_assert_int_eq(ioctl(fd, SIOCSIFFLAGS, &r), 0);
	snprintf(r.ifr_name, sizeof(r.ifr_name), "lo");
	ck_assert_int_eq(ioctl(fd, SIOCSIFFLAGS, &r), 0);
	close(fd);
	setup();
}

static struct seen *
flow_icmp(struct end *e, uint32_t id, bool raw)
{
	struct seen *s = wait_answer(e, id);

	ck_assert_msg(s->type == IPC_FLOW_ICMP, "refused: %s", s->text);
	ck_assert_uint_eq(s->nfd, 1);
	ck_assert(s->raw == raw);
	return s;
}

/* Sends an echo request; whether a reply comes. */
static bool
echoes(int fd, uint16_t id, int patience_ms)
{
	uint8_t m[8] = { 8, 0, 0, 0, (uint8_t)(id >> 8), (uint8_t)id, 0, 1 };
	uint32_t sum = 0x0800 + id + 1u;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint8_t buf[128];

	sum = ~((sum & 0xffff) + (sum >> 16));
	m[2] = (uint8_t)(sum >> 8);
	m[3] = (uint8_t)sum;
	ck_assert_int_eq(send(fd, m, sizeof(m), 0), sizeof(m));
	if (poll(&p, 1, patience_ms) == 0)
		return false;
	ck_assert_int_gt(recv(fd, buf, sizeof(buf), 0), 0);
	/* And nothing else, such as the request itself. */
	has_nothing(fd);
	return true;
}

START_TEST(icmp_by_ping_sockets)
{
	struct seen *s;
	int type;
	socklen_t len = sizeof(type);

	ping_range("0 2147483647");
	begin(-1);
	flow_open(&t.stack[0], 1, "icmp", 77, ECHO_IP, 0);
	s = flow_icmp(&t.stack[0], 1, false);
	ck_assert_int_eq(
	    getsockopt(s->fd[0], SOL_SOCKET, SO_TYPE, &type, &len), 0);
	ck_assert_int_eq(type, SOCK_DGRAM);
	ck_assert_uint_eq(local_port(s->fd[0]), s->echo_id);
	ck_assert(echoes(s->fd[0], 0, 10000));
	flow_open(&t.stack[0], 2, "icmp", 77, "11.0.0.1", 0);
	refused(&t.stack[0], 2, "ENETUNREACH", "no route");
	ck_assert_uint_eq(counter("icmp-opened"), 1);
	ck_assert_uint_eq(counter("flows"), 1);
}
END_TEST

static unsigned
raw_asked(void)
{
	unsigned n = 0;
	size_t i;

	for (i = 0; i < t.sup.nseen; i++)
		n += t.sup.seen[i].type == IPC_RAW_OPEN;
	return n;
}

/* Answers the n-th question. */
static void
raw_answer(unsigned n, bool with)
{
	int fd = with ? plat_raw_icmp() : -1;

	while (raw_asked() < n)
		ev_run(t.loop, EVRUN_ONCE);
	ck_assert(!with || fd != -1);
	ck_assert_int_eq(ipc_send(t.sup.ipc, IPC_RAW_FD, &fd, with, "{}"), 0);
}

/* The filter is there, for good, and is what it should be. */
START_TEST(icmp_by_raw_sockets)
{
	struct seen *s;
	int fd;

	ping_range("1 0");
	begin(-1);
	flow_open(&t.stack[0], 1, "icmp", 77, ECHO_IP, 0);
	raw_answer(1, true);
	s = flow_icmp(&t.stack[0], 1, true);
	fd = s->fd[0];
	ck_assert(echoes(fd, s->echo_id, 10000));
	ck_assert(!echoes(fd, (uint16_t)(s->echo_id + 1), 200));
	ck_assert_int_eq(
	    setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &fd, sizeof(fd)), -1);
	ck_assert_int_eq(errno, EPERM);
	/* Closed while the supervisor was asked: nobody gets it. */
	flow_open(&t.stack[0], 2, "icmp", 78, ECHO_IP, 0);
	flow_close(&t.stack[0], 2);
	raw_answer(2, true);
	flow_open(&t.stack[0], 3, "icmp", 79, ECHO_IP, 0);
	raw_answer(3, true);
	s = flow_icmp(&t.stack[0], 3, true);
	ck_assert(echoes(s->fd[0], s->echo_id, 10000));
	has_nothing(fd);
	ck_assert_uint_eq(counter("icmp-raw-opened"), 2);
}
END_TEST

/* The supervisor is asked once, and whoever asks after that is refused. */
START_TEST(icmp_by_nothing)
{
	ping_range("1 0");
	begin(-1);
	flow_open(&t.stack[0], 1, "icmp", 77, ECHO_IP, 0);
	raw_answer(1, false);
	refused(&t.stack[0], 1, "EACCES", "neither");
	flow_open(&t.stack[1], 2, "icmp", 77, ECHO_IP, 0);
	refused(&t.stack[1], 2, "EACCES", "again");
	ck_assert_uint_eq(raw_asked(), 1);
	ck_assert_uint_eq(counter("refused-icmp"), 2);
	ck_assert_uint_eq(counter("flows"), 0);
}
END_TEST

int
main(int argc, char *argv[])
{
	Suite *s = suite_create("portd");
	TCase *tc = tcase_create("portd");

	if (argc != 2) {
		fprintf(stderr, "usage: test_portd executable\n");
		return EXIT_FAILURE;
	}
	t.exe = argv[1];
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, addresses_never_reached, 0, nitems(denied));
	tcase_add_test(tc, tcp_to_host_ip);
	tcase_add_test(tc, tcp_refused);
	tcase_add_test(tc, udp_bind_keeps_the_port);
	tcase_add_test(tc, udp_full_cone);
	tcase_add_test(tc, udp_without_a_bind);
	tcase_add_test(tc, max_connections);
	tcase_add_test(tc, a_lost_stack_gives_its_place_back);
	tcase_add_loop_test(tc, violations_cut_the_link, 0, nitems(violations));
	tcase_add_test(tc, close_of_an_unknown_flow);
	tcase_add_loop_test(tc, sockets_for_dnsd, 0, nitems(asked));
	tcase_add_test(tc, ports_again);
	suite_add_tcase(s, tc);
	tc = tcase_create("few descriptors");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup_few, teardown);
	tcase_add_loop_test(tc, pairs_for_dnsd, 0, 2);
	tcase_add_loop_test(tc, pairs_before_the_stack, 0, 2);
	tcase_add_test(tc, waits_for_descriptors);
	suite_add_tcase(s, tc);
	if (geteuid() == 0) {
		tc = tcase_create("icmp");
		tcase_set_timeout(tc, 60);
		tcase_add_checked_fixture(tc, setup_net, teardown);
		tcase_add_test(tc, icmp_by_ping_sockets);
		tcase_add_test(tc, icmp_by_raw_sockets);
		tcase_add_test(tc, icmp_by_nothing);
		suite_add_tcase(s, tc);
	} else {
		puts("SKIP icmp: needs root for a network namespace");
	}
	return check_suite(s);
}
