#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bsd/string.h>

#include "common/plat/plat.h"

#include "listen.h"
#include "url.h"

#define BACKLOG	    128
#define DGRAM_BATCH 32 /* datagrams of nobody discarded at a time */

static int
fd_flags(int fd)
{
	int fl;

	if ((fl = fcntl(fd, F_GETFL)) == -1 ||
	    fcntl(fd, F_SETFL, fl | O_NONBLOCK) == -1)
		return -1;
	return fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/*
 * A socket left over by an earlier run is removed, as launchers expect.
 * Anything else at the path is somebody's, and stays.
 */
static int
remove_stale(const struct listeners *ls, const char *path)
{
	struct stat st;
	size_t i;

	if (lstat(path, &st) == -1)
		return errno == ENOENT ? 0 : -1;
	if (!S_ISSOCK(st.st_mode)) {
		errno = EEXIST;
		return -1;
	}
	for (i = 0; i < ls->n; i++) {
		if (ls->v[i].path[0] != '\0' && st.st_dev == ls->v[i].dev &&
		    st.st_ino == ls->v[i].ino) {
			errno = EADDRINUSE;
			return -1;
		}
	}
	return unlink(path);
}

/* A Unix socket at the path, with the permissions that the umask leaves. */
static int
open_path(struct listener *l, const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct stat st;

	strlcpy(sun.sun_path, path, sizeof(sun.sun_path));
	if (remove_stale(l->all, path) == -1)
		return -1;
	if ((l->fd = socket(AF_UNIX, l->type, 0)) == -1 ||
	    fd_flags(l->fd) == -1)
		return -1;
	if (bind(l->fd, (struct sockaddr *)&sun, sizeof(sun)) == -1)
		return -1;
	strlcpy(l->path, path, sizeof(l->path));
	if (lstat(path, &st) == -1)
		return -1;
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	/* Nobody can connect yet. */
	if (l->mode != 0 && chmod(path, l->mode) == -1)
		return -1;
	return l->type == SOCK_STREAM ? listen(l->fd, BACKLOG) : 0;
}

static int
sock_opt(int fd, int opt)
{
	socklen_t len = sizeof(int);
	int v;

	return getsockopt(fd, SOL_SOCKET, opt, &v, &len) == -1 ? -1 : v;
}

/* A listening socket from whoever started us; NULL or what is wrong. */
static const char *
open_inherited(struct listener *l, int fd)
{
	if (sock_opt(fd, SO_TYPE) == -1)
		return errno == EBADF ? "no such descriptor was inherited"
				      : "not a socket";
	if (sock_opt(fd, SO_TYPE) != SOCK_STREAM)
		return "not a stream socket";
	if (sock_opt(fd, SO_ACCEPTCONN) != 1)
		return "the socket does not listen";
	if (fd_flags(fd) == -1)
		return strerror(errno);
	l->fd = fd;
	return NULL;
}

static socklen_t
tcp_addr(struct sockaddr_storage *ss, const struct ipaddr *a, uint16_t port)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;
	struct sockaddr_in *in = (struct sockaddr_in *)ss;

	memset(ss, 0, sizeof(*ss));
	if (a->family == 4) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		in->sin_addr.s_addr = htonl(ipaddr_to_u32(a));
		return sizeof(*in);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	memcpy(&in6->sin6_addr, a->b, sizeof(in6->sin6_addr));
	return sizeof(*in6);
}

static const char *
open_tcp(struct listener *l, const struct ipaddr *a, uint16_t port)
{
	struct sockaddr_storage ss;
	socklen_t len = tcp_addr(&ss, a, port);
	int on = 1;

	l->fd = socket(ss.ss_family, SOCK_STREAM, 0);
	if (l->fd == -1 || fd_flags(l->fd) == -1 ||
	    setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ==
		-1 ||
	    bind(l->fd, (struct sockaddr *)&ss, len) == -1 ||
	    listen(l->fd, BACKLOG) == -1)
		return strerror(errno);
	return NULL;
}

/* What --metrics may be, and others may not: a port.  NULL or the error. */
static const char *
open_metrics(struct listener *l, const char *text, bool *done)
{
	struct ipaddr a;
	const char *why = NULL;
	uint16_t port;
	int r = url_tcp(text, &a, &port, &why);

	*done = r != 0;
	if (r == 1)
		why = open_tcp(l, &a, port);
	return r == 0 ? NULL : why;
}

/* NULL or what is wrong. */
static const char *
open_url(struct listener *l, const struct url *u)
{
	int fd;

	if (u->kind == URL_PATH)
		return open_path(l, u->path) == -1 ? strerror(errno) : NULL;
	if (u->kind == URL_LAUNCHD) {
		fd = plat_launchd_socket(u->path);
		return fd == -1 ? strerror(errno) : open_inherited(l, fd);
	}
	if (u->kind == URL_HYPERV)
		return "Hyper-V sockets do not exist on this system";
	if (l->type == SOCK_DGRAM)
		return "datagrams need a path";
	if (u->kind == URL_FD)
		return open_inherited(l, u->fd);
	l->fd = plat_vsock_listen(u->cid, u->port);
	return l->fd == -1 ? strerror(errno) : NULL;
}

/* A duplicate for the daemon that serves it, which is there. */
static void
send_one(const struct listener *l, struct ipc *to)
{
	int fd;

	if ((fd = fcntl(l->fd, F_DUPFD_CLOEXEC, 0)) == -1)
		log_warn("%s listener", l->kind);
	else if (l->type == SOCK_STREAM)
		ipc_send(to, IPC_LISTENER, &fd, 1, "{s:s}", "kind", l->kind);
	else
		ipc_send(to, IPC_DGRAM, &fd, 1, "{s:I}", "id",
		    (json_int_t)(l - l->all->v));
}

/*
 * Datagram sockets.
 */

/* An address for the log, of a length that is in range. */
static const char *
addr_text(const struct sockaddr_un *sun, socklen_t len, char *buf, size_t size)
{
	size_t off = offsetof(struct sockaddr_un, sun_path);
	const char *name = sun->sun_path;
	bool abstract = name[0] == '\0';

	snprintf(buf, size, "%s%.*s", abstract ? "@" : "",
	    (int)(len - off) - (abstract ? 1 : 0), name + (abstract ? 1 : 0));
	return buf;
}

/* What may be caused as often as somebody likes. */
static void
say(struct log_rate *rate, const char *text, const char *why)
{
	unsigned missed;

	if (!log_rate_ok(rate, plat_now(), &missed))
		return;
	if (missed > 0)
		log_info(
		    "dgram client %s: %s (and %u before)", text, why, missed);
	else
		log_info("dgram client %s: %s", text, why);
}

/* Connects the socket to a sender.  -1: it cannot be answered. */
static int
dgram_take(struct listener *l, struct sockaddr_un *sun, socklen_t len)
{
	struct listeners *ls = l->all;
	char text[sizeof(sun->sun_path) + 2];

	if (len <= offsetof(struct sockaddr_un, sun_path)) {
		say(&ls->unreachable, "without an address", "not served");
		return -1;
	}
	/* Linux has room for a zero behind the longest of names. */
	if (len > sizeof(*sun))
		len = sizeof(*sun);
	addr_text(sun, len, text, sizeof(text));
	if (connect(l->fd, (struct sockaddr *)sun, len) == -1) {
		say(&ls->unreachable, text, strerror(errno));
		return -1;
	}
	say(&ls->came, text, "connected");
	l->taken = true;
	ev_io_stop(ls->loop, &l->rd);
	if (ls->eth != NULL)
		send_one(l, ls->eth);
	return 0;
}

/*
 * Only the address of the first datagram is read.  The datagram itself stays,
 * for ethd; it is thrown away unseen when its sender cannot be answered.
 */
static void
dgram_read_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct listener *l = w->data;
	struct sockaddr_un sun;
	struct msghdr mh;
	int i;

	for (i = 0; i < DGRAM_BATCH && !l->taken; i++) {
		memset(&sun, 0, sizeof(sun));
		memset(&mh, 0, sizeof(mh));
		mh.msg_name = &sun;
		mh.msg_namelen = sizeof(sun);
		if (recvmsg(l->fd, &mh, MSG_PEEK | MSG_DONTWAIT) == -1)
			return;
		if (dgram_take(l, &sun, mh.msg_namelen) == -1)
			(void)recv(l->fd, NULL, 0, MSG_DONTWAIT);
	}
}

const char *
listen_dgram_gone(struct listeners *ls, uint64_t id)
{
	const struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	struct listener *l;

	if (id >= ls->n || ls->v[id].type != SOCK_DGRAM)
		return "spoke of a datagram socket that is none";
	l = &ls->v[id];
	if (!l->taken)
		return NULL;
	/* BSDs dissolve the association, and call the address wrong. */
	if (connect(l->fd, &nobody, sizeof(nobody)) == -1 &&
	    errno != EAFNOSUPPORT)
		log_warn("dgram socket %s", l->path);
	l->taken = false;
	ev_io_start(ls->loop, &l->rd);
	return NULL;
}

/*
 * All of them.
 */

/* clang-format off */
static const struct {
	const char *kind, *option;
	int type;
	enum ipc_role role;
	mode_t mode; /* of the path; 0: what the umask leaves */
} kinds[] = {
	{ "vmnet", "ethernet", SOCK_STREAM, ROLE_ETH, 0 },
	{ "qemu", "ethernet-qemu", SOCK_STREAM, ROLE_ETH, 0 },
	{ "dgram", "ethernet-dgram", SOCK_DGRAM, ROLE_ETH, 0 },
	{ "port", "port", SOCK_STREAM, ROLE_FRONT, 0 },
	{ "pcap", "pcap", SOCK_STREAM, ROLE_DIAG, 0 },
	{ "diag", "diagnostics", SOCK_STREAM, ROLE_DIAG, 0 },
	{ "metrics", "metrics", SOCK_STREAM, ROLE_DIAG, 0 },
	/* Settings have passwords in them. */
	{ "http-api", "http-api-path", SOCK_STREAM, ROLE_FRONT, 0600 },
	{ "tree", "introspection", SOCK_STREAM, ROLE_DIAG, 0 },
};
/* clang-format on */

/* -1: it could not be opened, logged. */
static int
open_one(struct listeners *ls, size_t kind, const char *text)
{
	struct listener *l = &ls->v[ls->n];
	const char *why = NULL;
	bool done = false;
	struct url u;

	if (text == NULL)
		return 0;
	l->all = ls;
	l->kind = kinds[kind].kind;
	l->type = kinds[kind].type;
	l->role = kinds[kind].role;
	l->mode = kinds[kind].mode;
	l->fd = -1;
	ev_io_init(&l->rd, dgram_read_cb, -1, EV_READ);
	if (strcmp(l->kind, "metrics") == 0)
		why = open_metrics(l, text, &done);
	if (!done && url_parse(text, &u, &why) == 0)
		why = open_url(l, &u);
	if (why != NULL)
		log_warnx("--%s %s: %s", kinds[kind].option, text, why);
	else
		log_info("%s clients: %s", l->kind, text);
	ls->n++;
	if (why != NULL)
		return -1;
	if (l->type == SOCK_DGRAM) {
		ev_io_set(&l->rd, l->fd, EV_READ);
		l->rd.data = l;
		ev_io_start(ls->loop, &l->rd);
	}
	return 0;
}

int
listen_open(
    struct listeners *ls, struct ev_loop *loop, const struct options *op)
{
	int r;
	size_t i;

	memset(ls, 0, sizeof(*ls));
	ls->loop = loop;
	r = open_one(ls, 0, op->ethernet);
	if (r == 0)
		r = open_one(ls, 1, op->ethernet_qemu);
	for (i = 0; i < op->ethernet_dgram.n && r == 0; i++)
		r = open_one(ls, 2, op->ethernet_dgram.v[i]);
	for (i = 0; i < op->port.n && r == 0; i++)
		r = open_one(ls, 3, op->port.v[i]);
	for (i = 0; i < op->pcap.n && r == 0; i++)
		r = open_one(ls, 4, op->pcap.v[i]);
	for (i = 0; i < op->diagnostics.n && r == 0; i++)
		r = open_one(ls, 5, op->diagnostics.v[i]);
	if (r == 0)
		r = open_one(ls, 6, op->metrics);
	if (r == 0)
		r = open_one(ls, 7, op->http_api_path);
	for (i = 0; i < op->introspection.n && r == 0; i++)
		r = open_one(ls, 8, op->introspection.v[i]);
	if (r == -1)
		listen_close(ls);
	return r;
}

void
listen_send(struct listeners *ls, struct ipc *to)
{
	const struct listener *l;

	if (ipc_peer(to) == ROLE_ETH)
		ls->eth = to;
	for (l = ls->v; l < ls->v + ls->n; l++) {
		if (l->role == ipc_peer(to) &&
		    (l->type == SOCK_STREAM || l->taken))
			send_one(l, to);
	}
}

/* "ADDRESS#PORT" of a TCP listener; NULL: it is none. */
static const char *
tcp_text(const struct listener *l, char *buf, size_t size)
{
	struct sockaddr_storage ss;
	const struct sockaddr_in *in = (const struct sockaddr_in *)&ss;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&ss;
	socklen_t len = sizeof(ss);
	char text[INET6_ADDRSTRLEN];
	struct in_addr v4;
	uint16_t port;

	if (l->fd == -1 || l->type != SOCK_STREAM ||
	    getsockname(l->fd, (struct sockaddr *)&ss, &len) == -1 ||
	    (ss.ss_family != AF_INET && ss.ss_family != AF_INET6))
		return NULL;
	port = ss.ss_family == AF_INET ? in->sin_port : in6->sin6_port;
	v4 = in->sin_addr;
	if (ss.ss_family == AF_INET6) {
		/* All of IPv6 is all of IPv4 as well. */
		memcpy(&v4, &in6->sin6_addr.s6_addr[12], sizeof(v4));
		if (!IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) &&
		    !IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr))
			return NULL; /* guests have IPv4 only */
	}
	if (inet_ntop(AF_INET, &v4, text, sizeof(text)) == NULL)
		return NULL;
	snprintf(buf, size, "%s#%u", text, (unsigned)ntohs(port));
	return buf;
}

void
listen_send_closed(const struct listeners *ls, struct ipc *portd)
{
	const struct listener *l;
	json_t *a = json_array();
	char buf[64];

	for (l = ls->v; l < ls->v + ls->n; l++) {
		if (tcp_text(l, buf, sizeof(buf)) != NULL)
			json_array_append_new(a, json_string(buf));
	}
	ipc_send(portd, IPC_CONF_CLOSED, NULL, 0, "{s:o}", "addresses", a);
}

void
listen_eth_gone(struct listeners *ls)
{
	ls->eth = NULL;
}

void
listen_close(struct listeners *ls)
{
	struct listener *l;
	struct stat st;

	while (ls->n > 0) {
		l = &ls->v[--ls->n];
		ev_io_stop(ls->loop, &l->rd);
		if (l->path[0] != '\0' && lstat(l->path, &st) == 0 &&
		    S_ISSOCK(st.st_mode) && st.st_dev == l->dev &&
		    st.st_ino == l->ino)
			unlink(l->path);
		if (l->fd != -1)
			close(l->fd);
	}
}
