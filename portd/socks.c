/*
 * Sockets as such: one for a guest's flow, some for dnsd.
 *
 * UDP.  What a guest's port may receive from anybody comes to one socket bound
 * to 0.0.0.0, on the guest's own port number where ports.h allows it and that
 * is free; what the
 * guest sends to one destination leaves by a socket connected to it, on the
 * same local port.  The kernel gives a datagram to the connected socket when
 * one fits, else to the bound one.
 *
 * The first socket is bound without SO_REUSEPORT, so that it never shares a
 * port with a program of the host or with another guest; only then is sharing
 * allowed, for our connected sockets.  SO_REUSEADDR would let any program of
 * the host bind the port as well, and take what strangers send to the guest.
 */

#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/nitems.h"
#include "common/plat/plat.h"
#include "portd/portd.h"

#define DRAIN_MAX     1024
#define SOCK_MAXCOUNT 64

/* clang-format off */
static const struct {
	int error;
	const char *name;
} errors[] = {
	{ EACCES, "EACCES" }, { EPERM, "EPERM" },
	{ ECONNREFUSED, "ECONNREFUSED" }, { ECONNRESET, "ECONNRESET" },
	{ ECONNABORTED, "ECONNABORTED" }, { ETIMEDOUT, "ETIMEDOUT" },
	{ ENETUNREACH, "ENETUNREACH" }, { ENETDOWN, "ENETDOWN" },
	{ EHOSTUNREACH, "EHOSTUNREACH" }, { EHOSTDOWN, "EHOSTDOWN" },
	{ EADDRINUSE, "EADDRINUSE" }, { EADDRNOTAVAIL, "EADDRNOTAVAIL" },
	{ EMFILE, "EMFILE" }, { ENFILE, "ENFILE" },
	{ ENOBUFS, "ENOBUFS" }, { ENOMEM, "ENOMEM" },
	{ EAGAIN, "EAGAIN" }, { EINVAL, "EINVAL" },
	{ EAFNOSUPPORT, "EAFNOSUPPORT" }, { EMSGSIZE, "EMSGSIZE" },
	{ EEXIST, "EEXIST" }, { ENOENT, "ENOENT" },
	{ ENOTDIR, "ENOTDIR" }, { EROFS, "EROFS" },
	{ ENAMETOOLONG, "ENAMETOOLONG" },
};
/* clang-format on */

const char *
sock_error_name(int error)
{
	size_t i;

	for (i = 0; i < nitems(errors); i++) {
		if (errors[i].error == error)
			return errors[i].name;
	}
	return "EIO";
}

int
sock_error_number(const char *name)
{
	size_t i;

	for (i = 0; i < nitems(errors); i++) {
		if (strcmp(errors[i].name, name) == 0)
			return errors[i].error;
	}
	return EIO;
}

bool
sock_no_room(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS ||
	       error == ENOMEM;
}

/* Closes fd and keeps errno. */
int
sock_fail(int fd)
{
	int saved = errno;

	close(fd);
	errno = saved;
	return -1;
}

static int
sock_open(int family, int type)
{
	return socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

int
sock_new(struct portd *p, int family, int type)
{
	int fd = sock_open(family, type);

	if (fd == -1 && sock_no_room(errno) && ahead_drop(p))
		fd = sock_open(family, type);
	return fd;
}

static int
sock_opt(int fd, int level, int opt)
{
	int on = 1;

	return setsockopt(fd, level, opt, &on, sizeof(on));
}

unsigned
sock_addr(struct sockaddr_storage *ss, const struct ipaddr *a, uint16_t port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
	if (a->family == 6) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		memcpy(&in6->sin6_addr, a->b, 16);
		return sizeof(*in6);
	}
	in->sin_family = AF_INET;
	in->sin_port = htons(port);
	memcpy(&in->sin_addr, a->b, 4);
	return sizeof(*in);
}

void
sock_name(const struct sockaddr_storage *ss, struct ipaddr *a, uint16_t *port)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)ss;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ss;

	memset(a, 0, sizeof(*a));
	if (ss->ss_family == AF_INET6) {
		a->family = 6;
		memcpy(a->b, &in6->sin6_addr, 16);
		*port = ntohs(in6->sin6_port);
		return;
	}
	*a = ipaddr_from_u32(ntohl(in->sin_addr.s_addr));
	*port = ntohs(in->sin_port);
}

static int
sock_bind(int fd, uint16_t port)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
	};

	return bind(fd, (struct sockaddr *)&in, sizeof(in));
}

/* A TCP connect that has only begun is a success. */
static int
sock_connect(int fd, const struct ipaddr *a, uint16_t port)
{
	struct sockaddr_storage ss;
	socklen_t len = sock_addr(&ss, a, port);

	if (connect(fd, (struct sockaddr *)&ss, len) == -1 &&
	    errno != EINPROGRESS)
		return -1;
	return 0;
}

struct ipaddr
sock_flow_addr(const struct flow *f)
{
	if (f->to != 0)
		return ipaddr_from_u32(f->to);
	return ipaddr_from_u32(f->loopback ? INADDR_LOOPBACK : f->dst);
}

uint16_t
sock_flow_port(const struct flow *f)
{
	return f->to != 0 ? f->to_port : f->dst_port;
}

/*
 * The stack peeks at offsets; a byte that Linux takes out of the stream for
 * being urgent would shift them (RFC 6093: nobody should).
 */
int
sock_stream_options(int fd)
{
	return sock_opt(fd, IPPROTO_TCP, TCP_NODELAY) == -1 ||
		       sock_opt(fd, SOL_SOCKET, SO_OOBINLINE) == -1
		   ? -1
		   : 0;
}

/*
 * What is connected to an address of this host.  A connect to a port where
 * nobody listens succeeds when the system has chosen just that port for our own
 * end (RFC 9293 3.5: both open at once).  Who scans would find a server there
 * that echoes.
 */
static int
sock_here(int fd, uint16_t own, uint16_t port)
{
	if (own == port) {
		errno = ECONNREFUSED;
		return -1;
	}
	plat_tcp_here(fd);
	return 0;
}

/* A stream about to be connected to a.  fd may be -1; errors close it. */
static int
sock_tcp(int fd, const struct ipaddr *a, uint16_t port)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct ipaddr own;
	uint16_t own_port;

	if (fd == -1)
		return -1;
	if (ipaddr_is_loopback(a))
		plat_tcp_here(fd); /* before it paces */
	if (sock_connect(fd, a, port) == -1)
		return sock_fail(fd);
	if (getsockname(fd, (struct sockaddr *)&ss, &len) == -1)
		return fd;
	sock_name(&ss, &own, &own_port);
	if (ipaddr_cmp(&own, a) == 0 && sock_here(fd, own_port, port) == -1)
		return sock_fail(fd);
	return fd;
}

int
sock_flow_tcp(void)
{
	int fd = sock_open(AF_INET, SOCK_STREAM);

	if (fd != -1 && (sock_stream_options(fd) == -1 ||
			    plat_sockerr_keep(fd, true) == -1))
		return sock_fail(fd);
	return fd;
}

static int
sock_udp_bind(struct portd *p, struct flow *f)
{
	struct sockaddr_in in;
	socklen_t len = sizeof(in);
	int fd;

	if ((fd = sock_new(p, AF_INET, SOCK_DGRAM)) == -1)
		return -1;
	if ((!ports_keep(&p->ports, f->guest_port) ||
		sock_bind(fd, f->guest_port) == -1) &&
	    sock_bind(fd, 0) == -1)
		return sock_fail(fd);
	if (sock_opt(fd, SOL_SOCKET, SO_REUSEPORT) == -1 ||
	    getsockname(fd, (struct sockaddr *)&in, &len) == -1)
		return sock_fail(fd);
	f->local_port = ntohs(in.sin_port);
	return fd;
}

/*
 * Drops what came between bind() and connect(): it may be from anybody, and
 * would be taken for the destination's.
 */
int
sock_drain(int fd)
{
	char c;
	int i;

	for (i = 0; i < DRAIN_MAX; i++) {
		if (read(fd, &c, 1) == -1)
			return errno == EAGAIN ? 0 : -1;
	}
	errno = EAGAIN; /* no lack of room, which all others would wait for */
	return -1;
}

/*
 * Without its bind, which a portd before this one made or which was refused,
 * nobody knows the local port: the stack has to begin again.
 */
static int
sock_udp(struct portd *p, const struct flow *f, const struct flow *bind)
{
	struct ipaddr a = sock_flow_addr(f);
	int fd;

	if (bind == NULL || sock_flow_port(f) == 0) {
		errno = bind == NULL ? EADDRNOTAVAIL : ECONNREFUSED;
		return -1;
	}
	if ((fd = sock_new(p, AF_INET, SOCK_DGRAM)) == -1)
		return -1;
	if (sock_opt(fd, SOL_SOCKET, SO_REUSEPORT) == -1 ||
	    sock_bind(fd, bind->local_port) == -1 ||
	    plat_sockerr_keep(fd, true) == -1 ||
	    sock_connect(fd, &a, sock_flow_port(f)) == -1 ||
	    sock_drain(fd) == -1)
		return sock_fail(fd);
	return fd;
}

int
sock_connect_flow(int fd, const struct flow *f)
{
	struct ipaddr a = sock_flow_addr(f);

	return sock_connect(fd, &a, 0) == -1 ? -1 : sock_drain(fd);
}

int
sock_flow(struct portd *p, const struct flow *f, struct flow *bind)
{
	struct ipaddr a = sock_flow_addr(f);

	switch (f->kind) {
	case FLOW_TCP:
		return sock_tcp(ahead_take(p), &a, sock_flow_port(f));
	case FLOW_UDP_BIND:
		return sock_udp_bind(p, bind);
	case FLOW_UDP:
		return sock_udp(p, f, bind);
	case FLOW_HTTP:
		break; /* http.c's */
	case FLOW_ICMP:
		break; /* icmp.c */
	}
	errno = EINVAL;
	return -1;
}

int
sock_any(struct portd *p, bool tcp, const struct ipaddr *a, uint16_t port)
{
	int family = a->family == 6 ? AF_INET6 : AF_INET;
	int fd = sock_new(p, family, tcp ? SOCK_STREAM : SOCK_DGRAM);

	if (fd == -1)
		return -1;
	if (tcp)
		return sock_stream_options(fd) == 0 ? sock_tcp(fd, a, port)
						    : sock_fail(fd);
	return sock_connect(fd, a, port) == 0 ? fd : sock_fail(fd);
}

/*
 * A UDP socket that stays at our address that the way to a begins at, so that
 * the system does not look for it each time it is connected anew.
 */
static int
sock_udp_from(struct portd *p, const struct sockaddr_storage *from,
    const struct ipaddr *a, uint16_t port)
{
	unsigned len = from->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
						   : sizeof(struct sockaddr_in);
	int fd = sock_new(p, from->ss_family, SOCK_DGRAM);

	if (fd == -1)
		return -1;
	if (plat_udp_from(fd, from, len) == -1 ||
	    sock_connect(fd, a, port) == -1)
		return sock_fail(fd);
	return fd;
}

/*
 * All of them or none; 0 or the error.  The first of UDP is at no address by
 * itself: it finds the one that the others are at.
 */
static int
socks_make(struct portd *p, const struct ipc_msg *m, int *fd, size_t n)
{
	struct ipaddr a = ipc_addr(m, "addr");
	uint16_t port = (uint16_t)ipc_u64(m, "port");
	bool tcp = strcmp(ipc_str(m, "proto"), "tcp") == 0;
	struct sockaddr_storage from = { 0 };
	size_t i;
	int error;

	for (i = 0; i < n; i++) {
		if (tcp || i == 0)
			fd[i] = sock_any(p, tcp, &a, port);
		else
			fd[i] = sock_udp_from(p, &from, &a, port);
		if (fd[i] == -1)
			break;
		if (!tcp && i == 0 && plat_udp_source(fd[i], &from) == -1) {
			sock_fail(fd[i]);
			break;
		}
	}
	if (i == n)
		return 0;
	error = errno;
	while (i > 0)
		close(fd[--i]);
	return error;
}

/* dnsd reaches its configured servers; proxyd nobody, for now. */
static bool
socks_allowed(struct portd *p, struct ipc *from, const struct ipc_msg *m)
{
	struct ipaddr a = ipc_addr(m, "addr");

	return ipc_peer(from) == ROLE_DNS &&
	       policy_is_server(&p->policy, &a, (uint16_t)ipc_u64(m, "port"));
}

void
socks_open(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct portd *p = d->data;
	const char *proto = ipc_str(m, "proto");
	bool udp = strcmp(proto, "udp") == 0;
	json_int_t id = (json_int_t)ipc_u64(m, "id");
	size_t n = (size_t)ipc_u64(m, "count") + udp;
	int fd[SOCK_MAXCOUNT], error;

	if ((!udp && strcmp(proto, "tcp") != 0) || n > nitems(fd)) {
		daemon_bad_peer(d, from, "sock-open of an unknown kind");
		return;
	}
	error = socks_allowed(p, from, m) ? socks_make(p, m, fd, n) : EACCES;
	if (error != 0) {
		stats_inc(&d->stats, PORTS_SOCKS_REFUSED);
		ipc_send(from, IPC_SOCK_REFUSED, NULL, 0, "{s:I,s:s}", "id", id,
		    "error", sock_error_name(error));
		return;
	}
	stats_add(&d->stats, PORTS_SOCKS, n);
	ipc_send(
	    from, udp ? IPC_SOCK_SET : IPC_SOCK_FD, fd, n, "{s:I}", "id", id);
}
