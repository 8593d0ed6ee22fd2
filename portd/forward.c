/*
 * Forwards as such: made, bound, ended; see forward.h.
 */

#include <sys/socket.h>
#include <netinet/in.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bsd/string.h>

#include "common/log.h"
#include "common/plat/plat.h"
#include "portd/forward.h"

#define PORT_PRIVILEGED 1024
#define RESUME_SEC	0.1
#define AGAIN_SEC	0.1
#define AGAIN_WITHIN	(10 * USEC_SEC)

static const char *const proto_name[] = {
	[FORWARD_TCP] = "tcp",
	[FORWARD_UDP] = "udp",
	[FORWARD_UNIX] = "unix",
};

static bool
is_any(const struct ipaddr *a)
{
	static const uint8_t zero[sizeof(a->b)];

	return memcmp(a->b, zero, a->family == 6 ? 16 : 4) == 0;
}

/* Whether another of ours is in the way. */
static bool
is_ours(const struct portd *p, const struct forward *f)
{
	const struct forward *g;

	TAILQ_FOREACH (g, &p->forwards, entry) {
		if (g == f || g->proto != f->proto)
			continue;
		if (f->proto == FORWARD_UNIX) {
			if (strcmp(g->path, f->path) == 0)
				return true;
		} else if (g->port == f->port &&
			   g->addr.family == f->addr.family &&
			   (ipaddr_cmp(&g->addr, &f->addr) == 0 ||
			       is_any(&g->addr) || is_any(&f->addr))) {
			return true;
		}
	}
	return false;
}

/* What an error means here, and what to do about it. */
static const char *
advice(const struct portd *p, const struct forward *f, int error)
{
	if (error == EACCES && f->proto != FORWARD_UNIX && f->port > 0 &&
	    f->port < PORT_PRIVILEGED)
		return "ports below 1024 need a privilege: give vpnkit "
		       "CAP_NET_BIND_SERVICE (setcap "
		       "cap_net_bind_service=ep, or AmbientCapabilities= of "
		       "its service), or lower "
		       "net.ipv4.ip_unprivileged_port_start";
	if (error == EADDRINUSE)
		return is_ours(p, f) ? "another forward is there already"
				     : "somebody else listens there";
	if (error == EADDRNOTAVAIL)
		return "this host does not have that address";
	return strerror(error);
}

static void
fail(struct ipc *owner, uint32_t id, const char *error, const char *why)
{
	ipc_send(owner, IPC_FORWARD_FAILED, NULL, 0, "{s:I,s:s,s:s}", "id",
	    (json_int_t)id, "error", error, "why", why);
}

static struct forward *
forward_find(struct portd *p, const struct ipc *owner, uint32_t id)
{
	struct forward *f;

	TAILQ_FOREACH (f, &p->forwards, entry) {
		if (f->owner == owner && f->id == id)
			return f;
	}
	return NULL;
}

/*
 * Sockets.
 */

static void
sock_close(struct portd *p, struct forward_sock *s)
{
	ev_io_stop(p->d->loop, &s->rd);
	if (s->fd != -1)
		close(s->fd);
	s->fd = -1;
}

static int
set_on(int fd, int level, int opt)
{
	int on = 1;

	return setsockopt(fd, level, opt, &on, sizeof(on));
}

/* An unconnected socket, bound there.  -1 with errno. */
static int
bind_new(struct portd *p, const struct forward *f, const struct ipaddr *a,
    uint16_t port, bool share)
{
	bool tcp = f->proto == FORWARD_TCP;
	int af = a->family == 6 ? AF_INET6 : AF_INET, fd, saved;
	int reuse = tcp ? SO_REUSEADDR : SO_REUSEPORT;
	struct sockaddr_storage ss;
	socklen_t len = sock_addr(&ss, a, port);

	fd = sock_new(p, af, tcp ? SOCK_STREAM : SOCK_DGRAM);
	if (fd == -1)
		return -1;
	if ((af != AF_INET6 || set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY) == 0) &&
	    (!(tcp || share) || set_on(fd, SOL_SOCKET, reuse) == 0) &&
	    bind(fd, (struct sockaddr *)&ss, len) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* What only a bound socket is told.  -1 with errno. */
static int
sock_ready(struct portd *p, const struct forward *f, int fd)
{
	int backlog = p->backlog > 0 ? p->backlog : SOMAXCONN;

	if (f->proto != FORWARD_UDP) {
		if (f->proto == FORWARD_TCP)
			sock_stream_options(fd);
		if (ipaddr_is_loopback(&f->addr))
			plat_tcp_here(fd); /* and so all its clients */
		return listen(fd, backlog);
	}
	/*
	 * Shared with the sockets of its clients, and with nobody before.  For
	 * SO_REUSEPORT the system asks for the same user; by SO_REUSEADDR any
	 * program of the host could have the port's new clients.
	 */
	if (set_on(fd, SOL_SOCKET, SO_REUSEPORT) == -1)
		return -1;
	return f->addr.family == 6 ? set_on(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO)
				   : set_on(fd, IPPROTO_IP, IP_PKTINFO);
}

static uint16_t
bound_port(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct ipaddr a;
	uint16_t port = 0;

	if (getsockname(fd, (struct sockaddr *)&ss, &len) == 0)
		sock_name(&ss, &a, &port);
	return port;
}

static void
sock_use(struct portd *p, struct forward *f, int i, int fd)
{
	struct forward_sock *s = &f->sock[i];

	s->fd = fd;
	ev_io_set(&s->rd, fd, EV_READ);
	ev_io_start(p->d->loop, &s->rd);
}

void
forward_localhost6(struct portd *p, struct forward *f, int fd)
{
	if (fd == -1)
		return;
	if (sock_ready(p, f, fd) == -1)
		close(fd);
	else
		sock_use(p, f, 1, fd);
}

/*
 * Clients that take localhost for [::1] first reach it too (as the original
 * has it).  Nobody misses it where that is not possible.
 */
static void
add_localhost6(struct portd *p, struct forward *f)
{
	static const struct ipaddr one = { .family = 6, .b = { [15] = 1 } };
	uint32_t v4 = ipaddr_to_u32(&f->addr);
	int fd;

	if (f->proto != FORWARD_TCP || f->addr.family != 4 ||
	    (v4 != INADDR_ANY && v4 != INADDR_LOOPBACK) ||
	    !policy_may_bind(&p->policy, &one))
		return;
	fd = bind_new(p, f, &one, f->port, false);
	if (fd == -1 && errno == EACCES && f->port < PORT_PRIVILEGED)
		(void)host_bind_localhost6(p, f);
	else
		forward_localhost6(p, f, fd);
}

static void
forward_bound(struct portd *p, struct forward *f, int fd, const char *error)
{
	if (error == NULL && sock_ready(p, f, fd) == -1) {
		error = sock_error_name(errno);
		close(fd);
	}
	if (error != NULL) {
		stats_inc(&p->d->stats, PORTS_FORWARD_FAILED);
		fail(f->owner, f->id, error,
		    advice(p, f, sock_error_number(error)));
		forward_free(p, f);
		return;
	}
	if (f->proto != FORWARD_UNIX)
		f->port = bound_port(fd);
	sock_use(p, f, 0, fd);
	add_localhost6(p, f);
	stats_inc(&p->d->stats, PORTS_FORWARD_ADDED);
	ipc_send(f->owner, IPC_FORWARD_ADDED, NULL, 0, "{s:I,s:i}", "id",
	    (json_int_t)f->id, "port", (int)f->port);
}

/*
 * The [::1] of another forward, which it returns, gives way to one that is
 * asked for.
 */
static struct forward *
give_way(struct portd *p, const struct forward *f)
{
	struct forward *g;

	if (f->proto != FORWARD_TCP || f->addr.family != 6)
		return NULL;
	TAILQ_FOREACH (g, &p->forwards, entry) {
		if (g->sock[1].fd == -1 || g->port != f->port)
			continue;
		sock_close(p, &g->sock[1]);
		return g;
	}
	return NULL;
}

static int
bind_over(struct portd *p, const struct forward *f)
{
	struct forward *g = give_way(p, f);
	int fd;

	if (g != NULL) {
		fd = bind_new(p, f, &f->addr, f->port, false);
		if (fd != -1)
			return fd;
		add_localhost6(p, g);
	}
	errno = EADDRINUSE;
	return -1;
}

/*
 * What is in the way may be ours.  Sockets of clients that were told to go may
 * be there for a moment still; they share the port with who shares it, too, and
 * other users' sockets do not.
 */
static int
bind_again(struct portd *p, const struct forward *f)
{
	if (errno != EADDRINUSE)
		return -1;
	if (f->proto == FORWARD_TCP)
		return bind_over(p, f);
	if (f->proto == FORWARD_UDP && dgram_lingers(p, f->port))
		return bind_new(p, f, &f->addr, f->port, true);
	errno = EADDRINUSE;
	return -1;
}

/*
 * Of a portd that has had a predecessor: a stack may still have the sockets of
 * UDP clients which that gave it, until it hears that it is gone.  True: the
 * port is tried again soon.
 */
static bool
try_again(struct portd *p, struct forward *f)
{
	if (f->proto != FORWARD_UDP || usec_now(p->d->loop) > p->again_until)
		return false;
	ev_timer_set(&f->again, AGAIN_SEC, 0.);
	ev_timer_start(p->d->loop, &f->again);
	return true;
}

static void
host_ask(struct portd *p, struct forward *f)
{
	f->host_id = host_bind(p, f);
	if (f->host_id == 0)
		forward_bound(p, f, -1, "ENOMEM");
}

/* An [::1] that was in the way is given back when f is freed. */
void
forward_answered(struct portd *p, struct forward *f, int fd, const char *error)
{
	f->from_host = fd != -1;
	if (fd == -1 && strcmp(error, "EADDRINUSE") == 0 &&
	    give_way(p, f) != NULL)
		host_ask(p, f);
	else if (fd != -1 || strcmp(error, "EADDRINUSE") != 0 ||
		 !try_again(p, f))
		forward_bound(p, f, fd, error);
}

/* Binds it, or asks the supervisor to. */
static void
forward_bind(struct portd *p, struct forward *f)
{
	int fd = -1;

	if (f->proto != FORWARD_UNIX) {
		fd = bind_new(p, f, &f->addr, f->port, false);
		if (fd == -1)
			fd = bind_again(p, f);
		if (fd != -1) {
			forward_bound(p, f, fd, NULL);
			return;
		}
		if (errno == EADDRINUSE && try_again(p, f))
			return;
		if (errno != EACCES || f->port >= PORT_PRIVILEGED) {
			forward_bound(p, f, -1, sock_error_name(errno));
			return;
		}
	}
	host_ask(p, f);
}

static void
again_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct portd *p = ((struct daemon *)ev_userdata(loop))->data;

	forward_bind(p, w->data);
}

/*
 * Requests.
 */

/* What the row does not say.  NULL, or what is wrong with it. */
static const char *
parse(const struct ipc_msg *m, struct forward *f)
{
	const char *proto = ipc_str(m, "proto"), *addr = ipc_str(m, "addr");
	const char *via = ipc_str(m, "via");
	size_t i;

	for (i = 0; i < sizeof(proto_name) / sizeof(proto_name[0]); i++) {
		if (strcmp(proto, proto_name[i]) == 0)
			break;
	}
	if (i == sizeof(proto_name) / sizeof(proto_name[0]))
		return "forward-add of an unknown protocol";
	f->proto = (enum forward_proto)i;
	f->tunnel = strcmp(via, "tunnel") == 0;
	if (!f->tunnel && strcmp(via, "net") != 0)
		return "forward-add by an unknown way";
	if (f->proto != FORWARD_UNIX && ipaddr_parse(addr, &f->addr) == -1)
		return "forward-add of an address that is none";
	f->port = (uint16_t)ipc_u64(m, "port");
	f->dst = ipc_addr(m, "dst");
	f->dport = (uint16_t)ipc_u64(m, "dport");
	f->proxy = ipc_bool(m, "proxy") && f->proto != FORWARD_UDP;
	return NULL;
}

/* What the administrator allows.  0, or an errno and why. */
static int
check(struct portd *p, const struct forward *f, const struct ipc_msg *m,
    const char **why)
{
	const char *path = ipc_str(m, "addr");

	if (f->proto == FORWARD_UNIX && strlen(path) >= sizeof(f->path)) {
		*why = "the path is longer than 107 bytes";
		return ENAMETOOLONG;
	}
	if (f->proto != FORWARD_UNIX &&
	    !policy_may_bind(&p->policy, &f->addr)) {
		*why = "not one of --allowed-bind-addresses";
		return EPERM;
	}
	if (f->proto == FORWARD_UNIX && path[0] != '/') {
		*why = "the path does not begin with a slash";
		return EINVAL;
	}
	if (!f->tunnel && *ipc_str(m, "dpath") != '\0') {
		*why = "a path of the guest is reached through the tunnel "
		       "only (--vsock-path)";
		return EHOSTUNREACH;
	}
	if (!f->tunnel && !policy_is_guest(&p->policy, &f->dst)) {
		*why = "the target is not the address of a guest";
		return EHOSTUNREACH;
	}
	if (!f->tunnel && f->dport == 0) {
		*why = "the target has no port";
		return EINVAL;
	}
	return 0;
}

static bool
too_many(struct portd *p, const struct ipc *owner)
{
	const struct forward *f;
	size_t n = 0;

	TAILQ_FOREACH (f, &p->forwards, entry)
		n += f->owner == owner;
	return n >= FORWARD_MAX;
}

static struct forward *
forward_new(struct portd *p, const struct forward *want)
{
	struct forward *f;
	int i;

	if ((f = malloc(sizeof(*f))) == NULL)
		return NULL;
	*f = *want;
	ev_init(&f->again, again_cb);
	f->again.data = f;
	for (i = 0; i < FORWARD_NFD; i++) {
		f->sock[i].fd = -1;
		f->sock[i].f = f;
		ev_init(&f->sock[i].rd,
		    f->proto == FORWARD_UDP ? dgram_read_cb : client_accept_cb);
		f->sock[i].rd.data = &f->sock[i];
	}
	TAILQ_INSERT_TAIL(&p->forwards, f, entry);
	stats_add(&p->d->stats, PORTS_FORWARDS, 1);
	return f;
}

void
forward_add(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct portd *p = d->data;
	struct forward want, *f = NULL;
	const char *why = NULL;
	int error;

	memset(&want, 0, sizeof(want));
	want.id = (uint32_t)ipc_u64(m, "id");
	want.owner = from;
	if ((why = parse(m, &want)) == NULL &&
	    forward_find(p, from, want.id) != NULL)
		why = "forward-add with an id in use";
	if (why != NULL) {
		if (from == d->sup)
			log_warnx("%s", why);
		else
			daemon_bad_peer(d, from, why);
		return;
	}
	error = check(p, &want, m, &why);
	if (error == 0 && too_many(p, from)) {
		error = ENOBUFS;
		why = "there are too many already";
	}
	if (error == 0 && (f = forward_new(p, &want)) == NULL) {
		error = ENOMEM;
		why = strerror(error);
	}
	if (error != 0) {
		stats_inc(&d->stats, PORTS_FORWARD_FAILED);
		fail(from, want.id, sock_error_name(error), why);
		return;
	}
	if (f->proto == FORWARD_UNIX)
		strlcpy(f->path, ipc_str(m, "addr"), sizeof(f->path));
	forward_bind(p, f);
}

static void
gone(struct ipc *owner, uint32_t id, const char *why)
{
	ipc_send(owner, IPC_FORWARD_GONE, NULL, 0, "{s:I,s:s}", "id",
	    (json_int_t)id, "why", why);
}

void
forward_remove(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct portd *p = d->data;
	uint32_t id = (uint32_t)ipc_u64(m, "id");

	forward_free(p, forward_find(p, from, id));
	gone(from, id, "");
}

void
forward_owner_gone(struct portd *p, const struct ipc *owner)
{
	struct forward *f, *next;

	TAILQ_FOREACH_SAFE (f, &p->forwards, entry, next) {
		if (f->owner == owner)
			forward_free(p, f);
	}
}

void
forward_recheck(struct portd *p)
{
	struct forward *f, *next;

	TAILQ_FOREACH_SAFE (f, &p->forwards, entry, next) {
		if (f->proto == FORWARD_UNIX ||
		    policy_may_bind(&p->policy, &f->addr))
			continue;
		gone(f->owner, f->id, "not one of --allowed-bind-addresses");
		forward_free(p, f);
	}
}

void
forward_free(struct portd *p, struct forward *f)
{
	struct forward *g;
	int i;

	if (f == NULL)
		return;
	ev_timer_stop(p->d->loop, &f->again);
	dgram_forward_gone(p, f);
	for (i = 0; i < FORWARD_NFD; i++)
		sock_close(p, &f->sock[i]);
	host_forget(p, f);
	if (f->from_host && f->proto == FORWARD_UNIX)
		host_release(p, f->host_id);
	TAILQ_REMOVE(&p->forwards, f, entry);
	stats_add(&p->d->stats, PORTS_FORWARDS, (uint64_t)-1);
	/* Whose [::1] had given way to this gets it back. */
	TAILQ_FOREACH (g, &p->forwards, entry) {
		if (f->addr.family == 6 && g->port == f->port &&
		    g->sock[0].fd != -1 && g->sock[1].fd == -1)
			add_localhost6(p, g);
	}
	free(f);
}

/*
 * Out of descriptors.
 */

static void
resume_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct portd *p = w->data;
	struct forward *f;
	int i;

	TAILQ_FOREACH (f, &p->forwards, entry) {
		for (i = 0; f->paused && i < FORWARD_NFD; i++) {
			if (f->sock[i].fd != -1)
				ev_io_start(loop, &f->sock[i].rd);
		}
		f->paused = false;
	}
}

void
forward_pause(struct portd *p, struct forward *f)
{
	int i;

	stats_inc(&p->d->stats, PORTS_ACCEPT_WAITED);
	f->paused = true;
	for (i = 0; i < FORWARD_NFD; i++)
		ev_io_stop(p->d->loop, &f->sock[i].rd);
	if (!ev_is_active(&p->resume)) {
		ev_timer_set(&p->resume, RESUME_SEC, 0.);
		ev_timer_start(p->d->loop, &p->resume);
	}
}

void
forward_init(struct portd *p)
{
	TAILQ_INIT(&p->forwards);
	TAILQ_INIT(&p->unsent);
	LIST_INIT(&p->hostreqs);
	ev_timer_init(&p->resume, resume_cb, 0., 0.);
	p->resume.data = p;
	/* The file outlives the process, and says that there was one before. */
	if (p->d->stats.file->value[PORTS_FORWARD_ADDED] > 0)
		p->again_until = usec_now(p->d->loop) + AGAIN_WITHIN;
	stats_set(&p->d->stats, PORTS_FORWARDS, 0);
	stats_set(&p->d->stats, PORTS_CLIENTS, 0);
}

void
forward_fini(struct portd *p)
{
	struct forward *f;
	size_t i;

	while ((f = TAILQ_FIRST(&p->forwards)) != NULL)
		forward_free(p, f);
	for (i = 0; i < CLIENT_BUCKETS; i++) {
		while (p->client[i] != NULL)
			client_free(p, p->client[i]);
	}
	limits_forget(&p->limits, &p->front_used);
	host_fini(p);
	ev_timer_stop(p->d->loop, &p->resume);
}
