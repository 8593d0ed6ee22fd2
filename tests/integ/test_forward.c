/*
 * A real portd, with this program as its supervisor, its front and a stack:
 * ports of the host, who is offered their clients, and that nothing stays.
 *
 * The first argument is the executable.
 */

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <dirent.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/daemon.h"
#include "common/plat/plat.h"
#include "tests/check_main.h"
#include "tests/integ/alone.h"

#define MAXSEEN	 512
#define FEW	 64 /* descriptors */
#define GUEST_IP "192.168.65.3"

struct seen {
	enum ipc_type type;
	uint32_t id;
	uint16_t port, fport;
	char text[64]; /* error, or from */
	char why[256];
	int fd[2]; /* owned until taken; -1 */
};

/* One link to portd; the test plays its other end. */
struct end {
	struct ipc *ipc; /* owned */
	bool gone;
	struct seen seen[MAXSEEN];
	size_t n, next; /* seen; of them looked at */
};

static struct {
	const char *exe;
	struct ev_loop *loop;
	pid_t pid;
	struct stats_file *stats;
	struct end sup, stack, front;
} t;

static void
text_of(const struct ipc_msg *m, const char *name, char *buf, size_t size)
{
	const char *s = ipc_str(m, name);

	if (s != NULL)
		snprintf(buf, size, "%s", s);
}

static void
on_msg(struct ipc *ipc, struct ipc_msg *m)
{
	struct end *e = ipc_data(ipc);
	struct seen *s = &e->seen[e->n++ % MAXSEEN];

	ck_assert_uint_le(e->n - e->next, MAXSEEN);
	memset(s, 0, sizeof(*s));
	s->type = m->type;
	s->id = (uint32_t)ipc_u64(m, "id");
	s->port = (uint16_t)ipc_u64(m, "port");
	s->fport = (uint16_t)ipc_u64(m, "fport");
	text_of(m, "error", s->text, sizeof(s->text));
	text_of(m, "from", s->text, sizeof(s->text));
	text_of(m, "why", s->why, sizeof(s->why));
	s->fd[0] = ipc_take_fd(m, 0);
	s->fd[1] = ipc_take_fd(m, 1);
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

/* The next message; the test fails when it is of another type. */
static struct seen *
wait_msg(struct end *e, enum ipc_type type)
{
	struct seen *s;

	while (e->next == e->n) {
		ck_assert(!e->gone);
		ev_run(t.loop, EVRUN_ONCE);
	}
	s = &e->seen[e->next++ % MAXSEEN];
	ck_assert_msg(s->type == type, "%s, not %s", ipc_desc[s->type].name,
	    ipc_desc[type].name);
	return s;
}

static void
conf_all(const char *bind, int max, int backlog)
{
	ck_assert_int_eq(
	    ipc_send(t.sup.ipc, IPC_CONF_PORT, NULL, 0,
		"{s:s,s:s,s:s,s:s,s:[],s:[],s:i,s:[s],s:i,s:b}", "gateway-ip",
		"192.168.65.1", "host-ip", "192.168.65.2", "lowest-ip",
		"192.168.65.3", "highest-ip", "192.168.65.254", "servers",
		"proxies", "max-connections", max, "allowed-bind", bind,
		"backlog", backlog, "preserve-source", 0),
	    0);
}

static void
conf(const char *bind)
{
	conf_all(bind, -1, 0);
}

static void
link_to(struct end *e, enum ipc_role role, uint32_t vm)
{
	e->gone = false;
	e->ipc = ipc_new(t.loop, alone_peer(t.sup.ipc, role, vm), role,
	    ROLE_PORT, vm, &events, e);
	ck_assert_ptr_nonnull(e->ipc);
}

static void
setup(void)
{
	char *argv[] = { (char *)(uintptr_t)t.exe, NULL };
	int bus;

	plat_nofile();
	t.loop = ev_default_loop(0);
	t.pid = alone_start(t.exe, argv, -1, &bus, &t.stats);
	t.sup.ipc =
	    ipc_new(t.loop, bus, ROLE_MAIN, ROLE_PORT, 0, &events, &t.sup);
	ck_assert_ptr_nonnull(t.sup.ipc);
	wait_msg(&t.sup, IPC_HELLO);
	wait_msg(&t.sup, IPC_READY);
	conf("0.0.0.0");
	ipc_send(t.sup.ipc, IPC_VM_IP, NULL, 0, "{s:i,s:s}", "vm", 1, "ip",
	    GUEST_IP);
	link_to(&t.stack, ROLE_STACK, 1);
	link_to(&t.front, ROLE_FRONT, 0);
}

/* With few descriptors. */
static void
setup_few(void)
{
	static const struct rlimit few = { FEW, FEW };

	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	setup();
}

static void
teardown(void)
{
	ipc_free(t.sup.ipc);
	alone_ended(t.pid);
	ipc_free(t.stack.ipc);
	ipc_free(t.front.ipc);
}

static uint64_t
counter(const char *name)
{
	return alone_counter(t.stats, name);
}

static void
add_to(struct end *e, uint32_t id, const char *proto, const char *addr,
    uint16_t port, const char *via)
{
	ck_assert_int_eq(
	    ipc_send(e->ipc, IPC_FORWARD_ADD, NULL, 0,
		"{s:I,s:s,s:s,s:i,s:s,s:i,s:s,s:s,s:b}", "id", (json_int_t)id,
		"proto", proto, "addr", addr, "port", (int)port, "dst",
		GUEST_IP, "dport", 80, "dpath", "", "via", via, "proxy", 0),
	    0);
}

/* The port it got. */
static uint16_t
add(uint32_t id, const char *proto, const char *addr)
{
	struct seen *s;

	add_to(&t.front, id, proto, addr, 0, "net");
	s = wait_msg(&t.front, IPC_FORWARD_ADDED);
	ck_assert_uint_eq(s->id, id);
	ck_assert_uint_ne(s->port, 0);
	return s->port;
}

static void
drop(uint32_t id)
{
	ipc_send(t.front.ipc, IPC_FORWARD_REMOVE, NULL, 0, "{s:I}", "id",
	    (json_int_t)id);
	ck_assert_uint_eq(wait_msg(&t.front, IPC_FORWARD_GONE)->id, id);
}

static void
refused(uint32_t id, const char *proto, const char *addr, uint16_t port,
    const char *error)
{
	struct seen *s;

	add_to(&t.front, id, proto, addr, port, "net");
	s = wait_msg(&t.front, IPC_FORWARD_FAILED);
	ck_assert_uint_eq(s->id, id);
	ck_assert_str_eq(s->text, error);
	ck_assert_str_ne(s->why, "");
}

static int
dial(int type, uint16_t port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, type, 0);

	ck_assert_int_ne(fd, -1);
	/* A reset may be there before the call has returned. */
	if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1)
		ck_assert_int_eq(errno, ECONNRESET);
	return fd;
}

static uint16_t
local_port(int fd)
{
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);

	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	return ntohs(sin.sin_port);
}

static void
is_reset(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char c;

	ck_assert_int_eq(poll(&p, 1, 120000), 1);
	ck_assert_int_eq(read(fd, &c, 1), -1);
	/* The other: connect() has said so already. */
	ck_assert(errno == ECONNRESET || errno == ENOTCONN);
	close(fd);
}

static int
fds(void)
{
	char path[64];
	const struct dirent *e;
	int n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)t.pid);
	ck_assert_ptr_nonnull(d = opendir(path));
	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

/* What a message of portd's says of all before it is done. */
static void
settle(void)
{
	drop(UINT32_MAX);
}

/* conf() is done when what is behind it on the same link is. */
static void
conf_settle(void)
{
	ipc_send(t.sup.ipc, IPC_FORWARD_REMOVE, NULL, 0, "{s:I}", "id",
	    (json_int_t)UINT32_MAX);
	wait_msg(&t.sup, IPC_FORWARD_GONE);
}

START_TEST(offered)
{
	uint16_t port = add(1, "tcp", "127.0.0.1");
	int fd = dial(SOCK_STREAM, port);
	struct seen *s = wait_msg(&t.stack, IPC_FLOW_OFFER);
	char c;

	ck_assert_str_eq(s->text, "127.0.0.1");
	ck_assert_int_ne(s->fd[0], -1);
	ck_assert_int_eq(s->fd[1], -1);
	/* It is the client's own: what we write comes out there. */
	ck_assert_int_eq(write(s->fd[0], "x", 1), 1);
	ck_assert_int_eq(read(fd, &c, 1), 1);
	ck_assert_uint_eq(counter("clients"), 1);
	close(s->fd[0]);
	close(fd);
	ipc_send(t.stack.ipc, IPC_OFFER_DONE, NULL, 0, "{s:I}", "id",
	    (json_int_t)s->id);
	/* Once more, and for another's number: both mean nothing. */
	ipc_send(t.stack.ipc, IPC_OFFER_DONE, NULL, 0, "{s:I}", "id",
	    (json_int_t)s->id);
	while (counter("clients") != 0)
		ev_run(t.loop, EVRUN_NOWAIT);
	fd = dial(SOCK_STREAM, port);
	s = wait_msg(&t.stack, IPC_FLOW_OFFER);
	ck_assert_uint_eq(counter("clients"), 1);
	close(s->fd[0]);
	close(fd);
}
END_TEST

START_TEST(udp)
{
	uint16_t port = add(1, "udp", "127.0.0.1");
	int a = dial(SOCK_DGRAM, port), b = dial(SOCK_DGRAM, port);
	struct pollfd p;
	struct seen *s;
	char buf[16];

	ck_assert_int_eq(write(a, "1", 1), 1);
	s = wait_msg(&t.stack, IPC_FLOW_OFFER);
	ck_assert_int_ne(s->fd[1], -1);
	/* What came before the socket is in the second. */
	ck_assert_int_eq(read(s->fd[1], buf, sizeof(buf)), 1);
	ck_assert_int_eq(read(s->fd[1], buf, sizeof(buf)), -1);
	ck_assert_int_eq(errno, EAGAIN);
	/* What comes later, and nobody else's, is in the first. */
	ck_assert_int_eq(write(b, "other", 5), 5);
	ck_assert_int_eq(write(a, "", 0), 0);
	p = (struct pollfd){ .fd = s->fd[0], .events = POLLIN };
	ck_assert_int_eq(poll(&p, 1, 120000), 1);
	ck_assert_int_eq(recv(s->fd[0], buf, sizeof(buf), 0), 0);
	ck_assert_int_eq(write(s->fd[0], "answer", 6), 6);
	ck_assert_int_eq(read(a, buf, sizeof(buf)), 6);
	wait_msg(&t.stack, IPC_FLOW_OFFER); /* of b */
	ck_assert_uint_eq(counter("clients"), 2);
	close(a);
	close(b);
}
END_TEST

/* Who speaks with its clients is nobody else, now and with clients there. */
START_TEST(udp_not_shared)
{
	static const char *const addrs[] = { "127.0.0.1", "0.0.0.0" };
	uint16_t port;
	uint32_t i;
	int fd;

	for (i = 0; i < 2; i++) {
		port = add(i, "udp", addrs[i]);
		alone_not_shared(port);
		fd = dial(SOCK_DGRAM, port);
		ck_assert_int_eq(write(fd, "1", 1), 1);
		wait_msg(&t.stack, IPC_FLOW_OFFER);
		alone_not_shared(port);
		close(fd);
	}
}
END_TEST

/* portd does nothing until it is continued. */
static void
stop(void)
{
	int status;

	kill(t.pid, SIGSTOP);
	ck_assert_int_eq(waitpid(t.pid, &status, WUNTRACED), t.pid);
	ck_assert(WIFSTOPPED(status));
}

#define CROWD 200

/* Many who come at a time: what each of them sends is in its own sockets. */
START_TEST(udp_crowd)
{
	uint16_t port = add(1, "udp", "127.0.0.1");
	int fd[CROWD], theirs[CROWD], i;
	uint16_t from[CROWD], got;
	const struct seen *s;

	stop();
	for (i = 0; i < CROWD; i++) {
		fd[i] = dial(SOCK_DGRAM, port);
		ck_assert_int_eq(write(fd[i], "", 0), 0);
	}
	kill(t.pid, SIGCONT);
	for (i = 0; i < CROWD; i++) {
		s = wait_msg(&t.stack, IPC_FLOW_OFFER);
		ck_assert_int_eq(recv(s->fd[1], &got, 2, MSG_DONTWAIT), 0);
		close(s->fd[1]);
		theirs[i] = s->fd[0];
		from[i] = s->fport;
	}
	for (i = 0; i < CROWD; i++) {
		got = local_port(fd[i]);
		ck_assert_int_eq(write(fd[i], &got, 2), 2);
	}
	for (i = 0; i < CROWD; i++) {
		ck_assert_int_eq(recv(theirs[i], &got, 2, MSG_DONTWAIT), 2);
		ck_assert_uint_eq(got, from[i]);
		ck_assert_int_eq(recv(theirs[i], &got, 2, MSG_DONTWAIT), -1);
		close(theirs[i]);
		close(fd[i]);
	}
	ck_assert_uint_eq(counter("clients"), CROWD);
}
END_TEST

/* Each letter is a datagram. */
static void
tell(int from, const char *addr, uint16_t port, const char *letters)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = inet_addr(addr) };

	for (; *letters != '\0'; letters++)
		ck_assert_int_eq(sendto(from, letters, 1, 0,
				     (struct sockaddr *)&sin, sizeof(sin)),
		    1);
}

static const char *
heard(int fd)
{
	static char buf[64];
	size_t n = 0;

	while (n < sizeof(buf) - 1 && recv(fd, &buf[n], 1, MSG_DONTWAIT) == 1)
		n++;
	buf[n] = '\0';
	return buf;
}

/* A client that may send to all, and to groups on the loopback. */
static int
caller(void)
{
	struct ip_mreq group = { .imr_multiaddr.s_addr = inet_addr("239.1.2.3"),
		.imr_interface.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0), on = 1;

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(
	    setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)), 0);
	ck_assert_int_eq(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF,
			     &group.imr_interface, sizeof(struct in_addr)),
	    0);
	ck_assert_int_eq(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group,
			     sizeof(group)),
	    0);
	return fd;
}

/*
 * Who sends to an address of many is one client there, whose datagrams come
 * once each, and is answered from an address of the host.
 */
START_TEST(udp_to_many)
{
	static const char *const addrs[] = { "127.255.255.255", "239.1.2.3" };
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);
	uint16_t port = add(1, "udp", "0.0.0.0");
	int fd = caller();
	uint32_t i;
	struct seen *s;
	char c;

	for (i = 0; i < 2; i++) {
		stop();
		tell(fd, addrs[i], port, "abc");
		kill(t.pid, SIGCONT);
		s = wait_msg(&t.stack, IPC_FLOW_OFFER);
		ck_assert_str_eq(s->text, "127.0.0.1");
		ck_assert_str_eq(heard(s->fd[1]), "abc");
		tell(fd, addrs[i], port, "defghijklm");
		/* Both, as the first may be what portd hears of before. */
		settle();
		settle();
		ck_assert_uint_eq(counter("clients"), i + 1);
		ck_assert_str_eq(heard(s->fd[0]), "defghijklm");
		ck_assert_int_eq(write(s->fd[0], "x", 1), 1);
		ck_assert_int_eq(
		    recvfrom(fd, &c, 1, 0, (struct sockaddr *)&sin, &len), 1);
		ck_assert_uint_eq(ntohl(sin.sin_addr.s_addr), INADDR_LOOPBACK);
		ck_assert_uint_eq(ntohs(sin.sin_port), port);
	}
	/* Once it is done with, the next one is a client again. */
	close(s->fd[0]);
	ipc_send(t.stack.ipc, IPC_OFFER_DONE, NULL, 0, "{s:I}", "id",
	    (json_int_t)s->id);
	while (counter("clients") != 1)
		ev_run(t.loop, EVRUN_NOWAIT);
	tell(fd, addrs[1], port, "n");
	s = wait_msg(&t.stack, IPC_FLOW_OFFER);
	ck_assert_str_eq(heard(s->fd[1]), "n");
	ck_assert_uint_eq(counter("clients-refused"), 0);
	close(fd);
}
END_TEST

/* A datagram from port 0, to which there is no answer. */
START_TEST(udp_from_nowhere)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct udphdr head = { .uh_dport = htons(add(1, "udp", "0.0.0.0")),
		.uh_ulen = htons(sizeof(head)) };
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_UDP);

	if (fd == -1) /* only root may */
		return;
	ck_assert_int_eq(sendto(fd, &head, sizeof(head), 0,
			     (struct sockaddr *)&sin, sizeof(sin)),
	    sizeof(head));
	settle();
	settle();
	ck_assert_uint_eq(counter("clients"), 0);
	ck_assert_uint_eq(counter("clients-refused"), 1);
	close(fd);
}
END_TEST

START_TEST(errors)
{
	uint16_t port = add(1, "tcp", "127.0.0.1");

	refused(2, "tcp", "127.0.0.1", port, "EADDRINUSE");
	refused(3, "tcp", "203.0.113.1", 0, "EADDRNOTAVAIL");
	refused(4, "udp", "203.0.113.1", 0, "EADDRNOTAVAIL");
	conf("127.0.0.1");
	/* Behind it on the same link, so that it is done. */
	add_to(&t.sup, 0, "tcp", "203.0.113.1", 0, "net");
	wait_msg(&t.sup, IPC_FORWARD_FAILED);
	refused(5, "tcp", "0.0.0.0", 0, "EPERM");
	refused(6, "udp", "::1", 0, "EPERM");
	add(7, "tcp", "127.0.0.1");
}
END_TEST

/* The addresses that may be bound are new: who is not among them ends. */
START_TEST(revoked)
{
	add(1, "tcp", "127.0.0.1");
	conf("203.0.113.1");
	ck_assert_uint_eq(wait_msg(&t.front, IPC_FORWARD_GONE)->id, 1);
	ck_assert_uint_eq(counter("forwards"), 0);
}
END_TEST

/* Paths are the supervisor's business. */
START_TEST(unix_socket)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct seen *s;
	int fd, c;

	snprintf(sun.sun_path, sizeof(sun.sun_path), "/tmp/vpnkit-fwd.%d",
	    (int)getpid());
	add_to(&t.front, 1, "unix", sun.sun_path, 0, "net");
	s = wait_msg(&t.sup, IPC_HOST_BIND);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	ipc_send(
	    t.sup.ipc, IPC_HOST_FD, &fd, 1, "{s:I}", "id", (json_int_t)s->id);
	wait_msg(&t.front, IPC_FORWARD_ADDED);
	c = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(connect(c, (struct sockaddr *)&sun, sizeof(sun)), 0);
	s = wait_msg(&t.stack, IPC_FLOW_OFFER);
	ck_assert_str_eq(s->text, "0.0.0.0");
	close(c);
	drop(1);
	wait_msg(&t.sup, IPC_HOST_RELEASE);
	unlink(sun.sun_path);
	/* One that is withdrawn before the answer, and one that fails. */
	add_to(&t.front, 2, "unix", "/x", 0, "net");
	s = wait_msg(&t.sup, IPC_HOST_BIND);
	drop(2);
	wait_msg(&t.sup, IPC_HOST_RELEASE);
	ipc_send(t.sup.ipc, IPC_HOST_FAILED, NULL, 0, "{s:I,s:s}", "id",
	    (json_int_t)s->id, "error", "EACCES");
	add_to(&t.front, 3, "unix", "/x", 0, "net");
	s = wait_msg(&t.sup, IPC_HOST_BIND);
	ipc_send(t.sup.ipc, IPC_HOST_FAILED, NULL, 0, "{s:I,s:s}", "id",
	    (json_int_t)s->id, "error", "EEXIST");
	ck_assert_str_eq(
	    wait_msg(&t.front, IPC_FORWARD_FAILED)->text, "EEXIST");
}
END_TEST

START_TEST(tunnel)
{
	struct seen *s;
	uint16_t port;
	int fd, sv[2];

	add_to(&t.front, 7, "tcp", "127.0.0.1", 0, "tunnel");
	port = wait_msg(&t.front, IPC_FORWARD_ADDED)->port;
	fd = dial(SOCK_STREAM, port);
	s = wait_msg(&t.front, IPC_TUNNEL_CONN);
	ck_assert_str_eq(s->text, "127.0.0.1");
	close(s->fd[0]);
	ipc_send(t.front.ipc, IPC_TUNNEL_CLOSE, NULL, 0, "{s:I}", "id",
	    (json_int_t)s->id);
	close(fd);
	ipc_send(t.front.ipc, IPC_TUNNEL_OPEN, NULL, 0, "{s:i}", "id", 3);
	s = wait_msg(&t.sup, IPC_HOST_CONNECT);
	ck_assert_int_eq(plat_socketpair(SOCK_STREAM, sv), 0);
	ipc_send(t.sup.ipc, IPC_HOST_FD, &sv[0], 1, "{s:I}", "id",
	    (json_int_t)s->id);
	ck_assert_uint_eq(wait_msg(&t.front, IPC_TUNNEL_FD)->id, 3);
	close(sv[1]);
	ipc_send(t.front.ipc, IPC_TUNNEL_OPEN, NULL, 0, "{s:i}", "id", 4);
	s = wait_msg(&t.sup, IPC_HOST_CONNECT);
	ipc_send(t.sup.ipc, IPC_HOST_FAILED, NULL, 0, "{s:I,s:s}", "id",
	    (json_int_t)s->id, "error", "ENOENT");
	ck_assert_str_eq(
	    wait_msg(&t.front, IPC_TUNNEL_REFUSED)->text, "ENOENT");
}
END_TEST

/* A guest's flow through a Unix socket: the supervisor, front, the stack. */
START_TEST(via)
{
	struct seen *s;
	int sv[2], i;

	ipc_send(t.sup.ipc, IPC_VIA_FORWARDS, NULL, 0, "{s:i}", "count", 1);
	ipc_send(t.sup.ipc, IPC_VIA_FORWARD, NULL, 0, "{s:s,s:i,s:s}", "prefix",
	    "10.0.0.0/8", "dport", 0, "path", "/run/x");
	add_to(&t.sup, 0, "tcp", "127.0.0.1", 0, "net");
	wait_msg(&t.sup, IPC_FORWARD_ADDED); /* then the table is there */
	for (i = 0; i < 2; i++) {
		ipc_send(t.stack.ipc, IPC_FLOW_OPEN, NULL, 0,
		    "{s:i,s:s,s:s,s:i,s:s,s:i}", "id", i, "proto", "tcp", "src",
		    GUEST_IP, "sport", 4000, "dst", "10.1.2.3", "dport", 80);
		s = wait_msg(&t.sup, IPC_HOST_CONNECT);
		ck_assert_int_eq(plat_socketpair(SOCK_STREAM, sv), 0);
		ipc_send(t.sup.ipc, IPC_HOST_FD, &sv[0], 1, "{s:I}", "id",
		    (json_int_t)s->id);
		s = wait_msg(&t.front, IPC_VIA_CONN);
		close(s->fd[0]);
		ipc_send(t.front.ipc, IPC_VIA_ANSWER, NULL, 0, "{s:I,s:b}",
		    "id", (json_int_t)s->id, "accepted", i == 0);
		close(sv[1]);
		if (i == 0)
			wait_msg(&t.stack, IPC_FLOW_FD);
		else
			ck_assert_str_eq(
			    wait_msg(&t.stack, IPC_FLOW_REFUSED)->text,
			    "ECONNREFUSED");
	}
}
END_TEST

/* The same for proxyd, which acts for guests. */
START_TEST(via_of_proxyd)
{
	static struct end proxy;
	struct seen *s;
	int sv[2], i, before;

	ipc_send(t.sup.ipc, IPC_VIA_FORWARDS, NULL, 0, "{s:i}", "count", 1);
	ipc_send(t.sup.ipc, IPC_VIA_FORWARD, NULL, 0, "{s:s,s:i,s:s}", "prefix",
	    "10.0.0.0/8", "dport", 80, "path", "/run/x");
	link_to(&proxy, ROLE_PROXY, 0);
	conf_settle();
	before = fds();
	for (i = 0; i < 3; i++) {
		ipc_send(proxy.ipc, IPC_FETCH_OPEN, NULL, 0,
		    "{s:i,s:b,s:s,s:i}", "id", 7, "via", 0, "addr", "10.1.2.3",
		    "port", 80);
		s = wait_msg(&t.sup, IPC_HOST_CONNECT);
		ck_assert_int_eq(plat_socketpair(SOCK_STREAM, sv), 0);
		ipc_send(t.sup.ipc, IPC_HOST_FD, &sv[0], 1, "{s:I}", "id",
		    (json_int_t)s->id);
		s = wait_msg(&t.front, IPC_VIA_CONN);
		close(s->fd[0]);
		ipc_send(t.front.ipc, IPC_VIA_ANSWER, NULL, 0, "{s:I,s:b}",
		    "id", (json_int_t)s->id, "accepted", i != 1);
		close(sv[1]);
		s = wait_msg(&proxy, i != 1 ? IPC_SOCK_FD : IPC_SOCK_REFUSED);
		ck_assert_uint_eq(s->id, 7);
		if (i != 1)
			close(s->fd[0]);
	}
	/* It is proxyd's alone now, and counts no more. */
	settle();
	ck_assert_int_eq(fds(), before);
	ck_assert_uint_eq(counter("flows"), 0);
	/* Another port of it is reached as ever: loopback is not. */
	ipc_send(proxy.ipc, IPC_FETCH_OPEN, NULL, 0, "{s:i,s:b,s:s,s:i}", "id",
	    8, "via", 0, "addr", "127.0.0.1", "port", 80);
	wait_msg(&proxy, IPC_SOCK_REFUSED);
	ipc_free(proxy.ipc);
}
END_TEST

/* Whoever asked for it is gone, and with it what it asked for. */
START_TEST(owner_gone)
{
	int before, i;

	settle();
	before = fds();
	for (i = 0; i < 50; i++)
		add((uint32_t)i, i % 2 ? "tcp" : "udp", "127.0.0.1");
	ck_assert_int_ge(fds(), before + 50);
	ipc_free(t.front.ipc);
	link_to(&t.front, ROLE_FRONT, 0);
	settle();
	ck_assert_uint_eq(counter("forwards"), 0);
	ck_assert_int_eq(fds(), before);
}
END_TEST

/* A hundred forwards made and removed, a hundred times. */
START_TEST(no_leak)
{
	int before, i, k;

	settle();
	before = fds();
	for (k = 0; k < 100; k++) {
		for (i = 0; i < 100; i++)
			add_to(&t.front, (uint32_t)i, i % 2 ? "tcp" : "udp",
			    "127.0.0.1", 0, "net");
		for (i = 0; i < 100; i++)
			wait_msg(&t.front, IPC_FORWARD_ADDED);
		for (i = 0; i < 100; i++)
			drop((uint32_t)i);
	}
	ck_assert_uint_eq(counter("forwards"), 0);
	ck_assert_uint_eq(counter("forwards-added"), 10000);
	ck_assert_int_eq(fds(), before);
}
END_TEST

/* Ten thousand clients that nobody can serve: each is reset, none stays. */
START_TEST(flood)
{
	uint16_t port = add(1, "tcp", "127.0.0.1");
	int before, fd[50], i, k;

	ipc_free(t.stack.ipc);
	t.stack.ipc = NULL;
	/* Until portd knows it: a client may still be offered to it. */
	do {
		fd[0] = dial(SOCK_STREAM, port);
		settle();
		close(fd[0]);
	} while (counter("clients-refused") == 0);
	before = fds();
	for (k = 0; k < 200; k++) {
		for (i = 0; i < 50; i++)
			fd[i] = dial(SOCK_STREAM, port);
		for (i = 0; i < 50; i++)
			is_reset(fd[i]);
	}
	settle();
	ck_assert_uint_ge(counter("clients-refused"), 10000);
	ck_assert_uint_eq(counter("clients"), 0);
	ck_assert_int_eq(fds(), before);
}
END_TEST

/*
 * The socket of a client of UDP holds the port still when the forward is made
 * again: its stack is told to let it go, and what comes is the new forward's.
 */
static void
udp_again(bool owner_dies)
{
	uint16_t port = add(1, "udp", "127.0.0.1");
	int a = dial(SOCK_DGRAM, port), b = dial(SOCK_DGRAM, port), taken;
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct seen *s;
	uint32_t id;
	int fd;

	ck_assert_int_eq(write(a, "1", 1), 1);
	s = wait_msg(&t.stack, IPC_FLOW_OFFER);
	id = s->id;
	fd = s->fd[0];
	if (owner_dies) {
		ipc_free(t.front.ipc);
		link_to(&t.front, ROLE_FRONT, 0);
	} else {
		drop(1);
	}
	ck_assert_uint_eq(wait_msg(&t.stack, IPC_OFFER_END)->id, id);
	add_to(&t.front, 2, "udp", "127.0.0.1", port, "net");
	ck_assert_uint_eq(wait_msg(&t.front, IPC_FORWARD_ADDED)->port, port);
	ck_assert_int_eq(write(b, "2", 1), 1);
	s = wait_msg(&t.stack, IPC_FLOW_OFFER);
	ck_assert_uint_ne(s->id, id);
	close(fd);
	ipc_send(t.stack.ipc, IPC_OFFER_DONE, NULL, 0, "{s:I}", "id",
	    (json_int_t)id);
	ck_assert_int_eq(write(a, "3", 1), 1);
	wait_msg(&t.stack, IPC_FLOW_OFFER);
	/* Another program's port is not shared, clients or not. */
	drop(2);
	wait_msg(&t.stack, IPC_OFFER_END);
	wait_msg(&t.stack, IPC_OFFER_END);
	taken = socket(AF_INET, SOCK_DGRAM, 0);
	sin.sin_port = 0;
	ck_assert_int_eq(bind(taken, (struct sockaddr *)&sin, sizeof(sin)), 0);
	getsockname(
	    taken, (struct sockaddr *)&sin, &(socklen_t){ sizeof(sin) });
	refused(3, "udp", "127.0.0.1", ntohs(sin.sin_port), "EADDRINUSE");
	close(taken);
	close(a);
	close(b);
}

START_TEST(udp_removed)
{
	udp_again(false);
}
END_TEST

START_TEST(udp_owner_gone)
{
	udp_again(true);
}
END_TEST

/* What a front that was taken over may ask for, and not get. */
START_TEST(hostile_front)
{
	static const char *const addrs[] = { "0.0.0.0", "::", "::1",
		"127.0.0.2", "::ffff:127.0.0.2", "::ffff:0.0.0.0",
		"203.0.113.1", "0:0:0:0:0:ffff:7f00:2" };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
		.sin6_addr = IN6ADDR_LOOPBACK_INIT };
	uint16_t port;
	uint32_t id = 1;
	size_t i;
	int fd;

	conf("127.0.0.1");
	conf_settle();
	for (i = 0; i < sizeof(addrs) / sizeof(addrs[0]); i++) {
		refused(id++, "tcp", addrs[i], 0, "EPERM");
		refused(id++, "udp", addrs[i], 0, "EPERM");
		refused(id++, "tcp", addrs[i], 80, "EPERM");
		add_to(&t.front, id, "udp", addrs[i], 0, "tunnel");
		ck_assert_str_eq(
		    wait_msg(&t.front, IPC_FORWARD_FAILED)->text, "EPERM");
		id++;
	}
	/* Nor does one at 127.0.0.1 bring [::1] along. */
	port = add(id++, "tcp", "127.0.0.1");
	in6.sin6_port = htons(port);
	fd = socket(AF_INET6, SOCK_STREAM, 0);
	if (fd != -1) {
		ck_assert_int_eq(
		    connect(fd, (struct sockaddr *)&in6, sizeof(in6)), -1);
		close(fd);
	}
	/* It may neither withdraw nor see what is not its own. */
	add_to(&t.sup, 7, "tcp", "127.0.0.1", 0, "net");
	wait_msg(&t.sup, IPC_FORWARD_ADDED);
	drop(7);
	ck_assert_uint_eq(counter("forwards"), 2);
	/* Nothing was asked of the supervisor, who has more rights. */
	ck_assert_uint_eq(t.sup.next, t.sup.n);
	/* What no row allows ends its link, and what it had. */
	add_to(&t.front, 1000, "sctp", "127.0.0.1", 0, "net");
	while (!t.front.gone && t.sup.next == t.sup.n)
		ev_run(t.loop, EVRUN_ONCE);
	wait_msg(&t.sup, IPC_BAD_PEER);
	while (counter("forwards") != 1)
		ev_run(t.loop, EVRUN_NOWAIT);
}
END_TEST

/* A connection to [::1]; -1: there is no IPv6 here, or nobody. */
static int
dial6(uint16_t port)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
		.sin6_port = htons(port),
		.sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET6, SOCK_STREAM, 0);

	if (fd != -1 && connect(fd, (struct sockaddr *)&in6, sizeof(in6)) == 0)
		return fd;
	if (fd != -1)
		close(fd);
	return -1;
}

/* The [::1] that comes beside 127.0.0.1 gives way to one that was asked for. */
START_TEST(localhost6)
{
	uint16_t port = add(1, "tcp", "127.0.0.1");
	int fd = dial6(port);

	if (fd == -1)
		return;
	ck_assert_str_eq(wait_msg(&t.stack, IPC_FLOW_OFFER)->text, "::1");
	close(fd);
	add_to(&t.front, 2, "tcp", "::", port, "tunnel");
	ck_assert_uint_eq(wait_msg(&t.front, IPC_FORWARD_ADDED)->port, port);
	ck_assert_int_ne(fd = dial6(port), -1);
	ck_assert_str_eq(wait_msg(&t.front, IPC_TUNNEL_CONN)->text, "::1");
	close(fd);
	add_to(&t.front, 3, "tcp", "::1", port, "net");
	ck_assert_str_eq(wait_msg(&t.front, IPC_FORWARD_FAILED)->why,
	    "another forward is there already");
	drop(2);
	ck_assert_int_ne(fd = dial6(port), -1);
	ck_assert_str_eq(wait_msg(&t.stack, IPC_FLOW_OFFER)->text, "::1");
	close(fd);
	drop(1);
	ck_assert_int_eq(dial6(port), -1);
}
END_TEST

/* A socket as the supervisor makes it, of [::1] or [::]; -1 with errno. */
static int
bound6(const struct in6_addr *a, uint16_t port)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
		.sin6_port = htons(port),
		.sin6_addr = *a };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;

	if (fd == -1)
		return -1;
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&in6, sizeof(in6)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Whether portd has to ask for this port, which must be free. */
static int
bound_low(uint16_t port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	FILE *f = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "re");
	int first = 0, fd;

	if (f == NULL || fscanf(f, "%d", &first) != 1 || first <= port)
		first = 0;
	if (f != NULL)
		fclose(f);
	if (first == 0)
		return -1;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0)
		return fd;
	close(fd);
	return -1;
}

static void
host_answer(uint32_t id, int fd)
{
	if (fd != -1)
		ipc_send(t.sup.ipc, IPC_HOST_FD, &fd, 1, "{s:I}", "id",
		    (json_int_t)id);
	else
		ipc_send(t.sup.ipc, IPC_HOST_FAILED, NULL, 0, "{s:I,s:s}", "id",
		    (json_int_t)id, "error", "EADDRINUSE");
}

#define LOW 1022 /* reserved, for experiments (RFC 4727) */

/*
 * The same where the supervisor binds: one that is asked for while the answer
 * of the other is under way has it in the end, and what is not to be had is not
 * missed.
 */
START_TEST(localhost6_low)
{
	int fd = bound_low(LOW), six = bound6(&in6addr_loopback, LOW);
	uint32_t beside, asked;

	if (fd == -1 || six == -1) /* only root may */
		return;
	add_to(&t.front, 1, "tcp", "127.0.0.1", LOW, "net");
	host_answer(wait_msg(&t.sup, IPC_HOST_BIND)->id, fd);
	wait_msg(&t.front, IPC_FORWARD_ADDED);
	beside = wait_msg(&t.sup, IPC_HOST_BIND)->id;
	add_to(&t.front, 2, "tcp", "::", LOW, "tunnel");
	asked = wait_msg(&t.sup, IPC_HOST_BIND)->id;
	host_answer(beside, six);
	host_answer(asked, -1);
	asked = wait_msg(&t.sup, IPC_HOST_BIND)->id;
	ck_assert_int_ne(six = bound6(&in6addr_any, LOW), -1);
	host_answer(asked, six);
	ck_assert_uint_eq(wait_msg(&t.front, IPC_FORWARD_ADDED)->id, 2);
	drop(2);
	host_answer(wait_msg(&t.sup, IPC_HOST_BIND)->id, -1);
	conf_settle();
	fd = dial(SOCK_STREAM, LOW);
	wait_msg(&t.stack, IPC_FLOW_OFFER);
	close(fd);
	ck_assert_int_eq(dial6(LOW), -1);
}
END_TEST

START_TEST(max_connections)
{
	uint16_t port;
	struct seen *s;
	int a, b;

	conf_all("0.0.0.0", 1, 0);
	conf_settle();
	port = add(1, "tcp", "127.0.0.1");
	a = dial(SOCK_STREAM, port);
	s = wait_msg(&t.stack, IPC_FLOW_OFFER);
	is_reset(dial(SOCK_STREAM, port));
	ck_assert_uint_eq(counter("refused-max-connections"), 1);
	close(s->fd[0]);
	ipc_send(t.stack.ipc, IPC_OFFER_DONE, NULL, 0, "{s:I}", "id",
	    (json_int_t)s->id);
	while (counter("clients") != 0)
		ev_run(t.loop, EVRUN_NOWAIT);
	b = dial(SOCK_STREAM, port);
	wait_msg(&t.stack, IPC_FLOW_OFFER);
	close(a);
	close(b);
}
END_TEST

#define MANY 20

/* Of so many who come while portd does not accept, those who are let in. */
static int
let_in(int backlog, int at_least)
{
	struct pollfd p[MANY];
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int i, n;

	conf_all("0.0.0.0", -1, backlog);
	conf_settle();
	sin.sin_port = htons(add((uint32_t)backlog + 1, "tcp", "127.0.0.1"));
	stop();
	for (i = 0; i < MANY; i++) {
		p[i].fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		p[i].events = POLLOUT;
		ck_assert(connect(p[i].fd, (struct sockaddr *)&sin,
			      sizeof(sin)) == 0 ||
			  errno == EINPROGRESS);
	}
	do {
		ck_assert_int_gt(poll(p, MANY, 120000), 0);
		for (n = i = 0; i < MANY; i++)
			n += (p[i].revents & POLLOUT) != 0;
	} while (n < at_least);
	for (i = 0; i < MANY; i++)
		close(p[i].fd);
	kill(t.pid, SIGCONT);
	return n;
}

/* --listen-backlog is what a port lets in that is not accepted. */
START_TEST(backlog)
{
	int few = let_in(2, 2);

	ck_assert_int_le(few, 4); /* Linux: one more than asked for */
	ck_assert_int_eq(let_in(100, MANY), MANY);
}
END_TEST

/* Microseconds portd has computed for. */
static long long
worked(void)
{
	char path[64];
	unsigned long long ns = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)t.pid);
	ck_assert_ptr_nonnull(f = fopen(path, "r"));
	ck_assert_int_eq(fscanf(f, "%llu", &ns), 1);
	fclose(f);
	return (long long)(ns / 1000);
}

/*
 * No descriptor for the next client: the listener rests and does not spin,
 * what needs none is served, and when there are some all who waited come in.
 */
START_TEST(no_descriptors)
{
	uint16_t port = add(1, "tcp", "127.0.0.1");
	uint16_t other = add(2, "tcp", "127.0.0.1");
	uint32_t id = 100;
	struct seen *s;
	long long before;
	uint64_t waited;
	int a, b;

	do {
		add_to(&t.front, ++id, "udp", "127.0.0.1", 0, "net");
		while (t.front.next == t.front.n)
			ev_run(t.loop, EVRUN_ONCE);
		s = &t.front.seen[t.front.next++ % MAXSEEN];
	} while (s->type == IPC_FORWARD_ADDED);
	ck_assert_str_eq(s->text, "EMFILE");
	a = dial(SOCK_STREAM, port);
	b = dial(SOCK_STREAM, other);
	while (counter("accept-waited") < 2)
		poll(NULL, 0, 1);
	waited = counter("accept-waited");
	before = worked();
	while (counter("accept-waited") < waited + 6)
		poll(NULL, 0, 1);
	/* Three rests of a tenth of a second, in which nothing was done. */
	ck_assert_int_lt(worked() - before, 100000);
	settle();
	ck_assert_uint_eq(t.stack.next, t.stack.n);
	drop(101);
	drop(102);
	wait_msg(&t.stack, IPC_FLOW_OFFER);
	wait_msg(&t.stack, IPC_FLOW_OFFER);
	close(a);
	close(b);
}
END_TEST

/* A stack that does not read does not make portd keep clients for it. */
START_TEST(deaf_stack)
{
	uint16_t port = add(1, "tcp", "127.0.0.1");
	int i, fd, few = fds() + 700;

	/* Nothing turns the loop for its link but wait_msg(). */
	for (i = 0; i < 3000; i++) {
		fd = dial(SOCK_STREAM, port);
		close(fd);
	}
	for (i = 0; counter("clients-stack-busy") == 0 && i < 3000; i++)
		poll(NULL, 0, 10);
	ck_assert_uint_gt(counter("clients-stack-busy"), 0);
	ck_assert_int_lt(fds(), few);
}
END_TEST

int
main(int argc, char *argv[])
{
	Suite *s = suite_create("forward");
	TCase *tc = tcase_create("forward");

	t.exe = argc > 1 ? argv[1] : "portd";
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, offered);
	tcase_add_test(tc, udp);
	tcase_add_test(tc, udp_not_shared);
	tcase_add_test(tc, udp_crowd);
	tcase_add_test(tc, udp_to_many);
	tcase_add_test(tc, udp_from_nowhere);
	tcase_add_test(tc, errors);
	tcase_add_test(tc, revoked);
	tcase_add_test(tc, unix_socket);
	tcase_add_test(tc, tunnel);
	tcase_add_test(tc, via);
	tcase_add_test(tc, via_of_proxyd);
	tcase_add_test(tc, owner_gone);
	tcase_add_test(tc, no_leak);
	tcase_add_test(tc, flood);
	tcase_add_test(tc, deaf_stack);
	tcase_add_test(tc, udp_removed);
	tcase_add_test(tc, udp_owner_gone);
	tcase_add_test(tc, hostile_front);
	tcase_add_test(tc, localhost6);
	tcase_add_test(tc, localhost6_low);
	tcase_add_test(tc, max_connections);
	tcase_add_test(tc, backlog);
	suite_add_tcase(s, tc);
	tc = tcase_create("descriptors");
	tcase_add_checked_fixture(tc, setup_few, teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, no_descriptors);
	suite_add_tcase(s, tc);
	return check_suite(s);
}
