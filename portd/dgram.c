/*
 * Clients of UDP forwards.
 *
 * Who speaks with the guest may not send to an address.  So each client gets a
 * socket that is connected to it, on the forward's own address and port, and
 * the kernel prefers that one from then on.  What came before, the first
 * datagram at least, is in the forward's own socket: it is handed on unread
 * through a socket pair that goes along.
 *
 * All that waits is read before the offers leave, so that whatever came before
 * the client's socket was there is in its pair.
 *
 * What is sent to a broadcast or multicast address is for every socket it fits,
 * so both that of such a client, which is bound to that address, and the
 * forward's have it.  Answers leave from an address of this host even so.
 */

#include <sys/socket.h>
#include <netinet/in.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/plat/plat.h"
#include "portd/forward.h"

#define DGRAM_BATCH 1024 /* a queue of the usual size holds fewer */

static struct client **
bucket(struct portd *p, const struct ipaddr *a, uint16_t port)
{
	uint32_t v = 0, w;
	size_t i;

	for (i = 0; i < sizeof(a->b); i += sizeof(w)) {
		memcpy(&w, &a->b[i], sizeof(w));
		v = v * 31 + w;
	}
	return &p->udp[limits_hash(
	    p->limits.key, v ^ port, DGRAM_BUCKETS_BITS)];
}

static struct client *
find(struct portd *p, const struct forward *f, const struct client *want)
{
	struct client *c = *bucket(p, &want->from, want->fport);

	for (; c != NULL; c = c->next_udp) {
		if (c->f == f && c->fport == want->fport &&
		    c->scope == want->scope &&
		    ipaddr_cmp(&c->from, &want->from) == 0 &&
		    ipaddr_cmp(&c->to, &want->to) == 0)
			return c;
	}
	return NULL;
}

static void
close_fds(struct client *c)
{
	if (c->fd != -1)
		close(c->fd);
	if (c->early != -1)
		close(c->early);
	if (c->theirs != -1)
		close(c->theirs);
	c->fd = c->early = c->theirs = -1;
}

void
dgram_forget(struct portd *p, struct client *c)
{
	struct client **pp;

	if (c->f == NULL)
		return;
	for (pp = bucket(p, &c->from, c->fport); *pp != c;)
		pp = &(*pp)->next_udp;
	*pp = c->next_udp;
	if (c->early != -1)
		TAILQ_REMOVE(&p->unsent, c, unsent);
	host_forget(p, c);
	close_fds(c);
	c->f = NULL;
}

static void
say_end(const struct client *c)
{
	ipc_send(c->link,
	    ipc_peer(c->link) == ROLE_FRONT ? IPC_TUNNEL_END : IPC_OFFER_END,
	    NULL, 0, "{s:I}", "id", (json_int_t)c->id);
}

bool
dgram_lingers(const struct portd *p, uint16_t port)
{
	const struct client *c;
	size_t i;

	for (i = 0; i < CLIENT_BUCKETS; i++) {
		for (c = p->client[i]; c != NULL; c = c->next) {
			if (c->udp && c->tport == port)
				return true;
		}
	}
	return false;
}

void
dgram_forward_gone(struct portd *p, const struct forward *f)
{
	struct client *c, *next;
	size_t i;

	if (f->proto != FORWARD_UDP)
		return;
	for (i = 0; i < CLIENT_BUCKETS; i++) {
		for (c = p->client[i]; c != NULL; c = next) {
			next = c->next;
			if (c->f != f)
				continue;
			if (c->early != -1) { /* never offered */
				client_free(p, c);
				continue;
			}
			if (c->link != f->owner) /* which may be gone */
				say_end(c);
			dgram_forget(p, c);
		}
	}
}

/* One of the client's ends: as sock_addr(), on its link. */
static socklen_t
end_addr(struct sockaddr_storage *ss, const struct client *c,
    const struct ipaddr *a, uint16_t port)
{
	socklen_t len = sock_addr(ss, a, port);

	if (a->family == 6)
		((struct sockaddr_in6 *)ss)->sin6_scope_id = c->scope;
	return len;
}

static int
connect_to(int fd, const struct client *c)
{
	struct sockaddr_storage ss;
	socklen_t len = end_addr(&ss, c, &c->from, c->fport);

	return connect(fd, (struct sockaddr *)&ss, len);
}

/*
 * What came for the forward while the socket was bound and not yet connected
 * may be anybody's, and would be taken for the client's: of sockets that share
 * a port by SO_REUSEPORT, all that are not connected get some.
 */
static int
connected(int fd, const struct client *c)
{
	if (connect_to(fd, c) == -1)
		return -1;
	return sock_drain(fd);
}

/* The client's own socket.  -1 with errno. */
static int
client_sock(struct portd *p, const struct client *c)
{
	int af = c->from.family == 6 ? AF_INET6 : AF_INET, on = 1, saved, fd;
	struct sockaddr_storage ss;
	socklen_t len = end_addr(&ss, c, &c->to, c->tport);

	fd = sock_new(p, af, SOCK_DGRAM);
	if (fd == -1)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0 &&
	    bind(fd, (struct sockaddr *)&ss, len) == 0 && connected(fd, c) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/*
 * 1: it has a socket; 0: the supervisor makes it, who made the forward's: only
 * sockets of one user share a port; -1: it will have none.
 */
static int
give_sock(struct portd *p, struct client *c)
{
	if (!c->f->from_host) {
		c->fd = client_sock(p, c);
		return c->fd != -1 ? 1 : -1;
	}
	c->waits = host_bind_client(p, c) != 0;
	return c->waits ? 0 : -1;
}

static struct client *
client_add(struct portd *p, struct forward *f, const struct client *want)
{
	struct limits_vm *used;
	struct ipc *link = client_peer(p, f, &used);
	struct client *c = NULL, **b;
	int sv[2];

	if (link != NULL)
		c = client_new(p, link, used);
	if (c == NULL)
		return NULL;
	c->from = want->from;
	c->fport = want->fport;
	c->to = want->to;
	c->tport = want->tport;
	c->to_many = want->to_many;
	c->scope = want->scope;
	if (plat_socketpair(SOCK_DGRAM, sv) == -1) {
		client_free(p, c);
		return NULL;
	}
	c->f = f;
	c->udp = true;
	b = bucket(p, &c->from, c->fport);
	c->next_udp = *b;
	*b = c;
	c->early = sv[0];
	c->theirs = sv[1];
	TAILQ_INSERT_TAIL(&p->unsent, c, unsent);
	if (give_sock(p, c) == -1) {
		client_free(p, c);
		return NULL;
	}
	return c;
}

/* Whether an address alone does not say on which link it is. */
static bool
needs_scope(const struct in6_addr *a)
{
	return IN6_IS_ADDR_LINKLOCAL(a) || IN6_IS_ADDR_MC_LINKLOCAL(a) ||
	       IN6_IS_ADDR_MC_NODELOCAL(a);
}

static void
dgram_ends6(
    const struct msghdr *mh, const struct in6_pktinfo *to, struct client *c)
{
	const struct sockaddr_in6 *from = mh->msg_name;

	memcpy(c->to.b, &to->ipi6_addr, sizeof(c->to.b));
	c->to_many = IN6_IS_ADDR_MULTICAST(&to->ipi6_addr);
	if (needs_scope(&from->sin6_addr) || needs_scope(&to->ipi6_addr))
		c->scope = to->ipi6_ifindex;
}

/* The ends of a datagram: the sender, and which of our addresses it was for. */
static void
dgram_ends(const struct forward *f, struct msghdr *mh, struct client *c)
{
	struct cmsghdr *cm;
	struct in_pktinfo v4;
	struct in6_pktinfo v6;

	memset(c, 0, sizeof(*c));
	sock_name(mh->msg_name, &c->from, &c->fport);
	c->to = f->addr;
	c->tport = f->port;
	for (cm = CMSG_FIRSTHDR(mh); cm != NULL; cm = CMSG_NXTHDR(mh, cm)) {
		if (cm->cmsg_level == IPPROTO_IP &&
		    cm->cmsg_type == IP_PKTINFO) {
			memcpy(&v4, CMSG_DATA(cm), sizeof(v4));
			c->to = ipaddr_from_u32(ntohl(v4.ipi_addr.s_addr));
			/* 0: it came before we asked. */
			c->to_many =
			    v4.ipi_spec_dst.s_addr != 0 &&
			    v4.ipi_spec_dst.s_addr != v4.ipi_addr.s_addr;
		} else if (cm->cmsg_level == IPPROTO_IPV6 &&
			   cm->cmsg_type == IPV6_PKTINFO) {
			memcpy(&v6, CMSG_DATA(cm), sizeof(v6));
			dgram_ends6(mh, &v6, c);
		}
	}
}

/*
 * To connect to no address means the loopback, which is not for the guest, and
 * to no port means any.
 */
static bool
can_answer(const struct client *c)
{
	static const uint8_t none[sizeof(c->from.b)];

	return memcmp(c->from.b, none, sizeof(none)) != 0 && c->fport != 0;
}

static void
dgram_in(struct portd *p, struct forward *f, struct msghdr *mh, size_t len)
{
	struct client want, *c;

	dgram_ends(f, mh, &want);
	c = find(p, f, &want);
	if (c != NULL && c->early == -1) {
		if (want.to_many) /* a copy */
			return;
		/* Its socket was closed, or this one was late. */
		dgram_forget(p, c);
		c = NULL;
	}
	if (c == NULL && can_answer(&want))
		c = client_add(p, f, &want);
	if (c == NULL)
		stats_inc(&p->d->stats, PORTS_CLIENTS_REFUSED);
	else if (send(c->early, mh->msg_iov->iov_base, len,
		     MSG_DONTWAIT | MSG_NOSIGNAL) == -1)
		stats_inc(&p->d->stats, PORTS_EARLY_LOST);
}

/* False: there is nothing more. */
static bool
dgram_read(struct portd *p, struct forward_sock *s)
{
	union {
		struct cmsghdr align;
		char b[CMSG_SPACE(sizeof(struct in6_pktinfo)) * 2];
	} ctl;
	struct sockaddr_storage ss;
	struct iovec iov = { p->dgram, DGRAM_MAX };
	struct msghdr mh = { .msg_name = &ss,
		.msg_namelen = sizeof(ss),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &ctl,
		.msg_controllen = sizeof(ctl) };
	ssize_t n = recvmsg(s->fd, &mh, MSG_DONTWAIT);

	if (n == -1)
		return errno != EAGAIN && !sock_no_room(errno);
	dgram_in(p, s->f, &mh, (size_t)n);
	return true;
}

static void
offer(struct portd *p, struct client *c)
{
	const int fd[2] = { c->fd, c->theirs };

	if (c->to_many) /* whose copies are in the pair */
		(void)sock_drain(c->fd);
	TAILQ_REMOVE(&p->unsent, c, unsent);
	close(c->early);
	c->fd = c->early = c->theirs = -1;
	client_offer(p, c->f, c, fd, 2);
}

void
dgram_read_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct forward_sock *s = w->data;
	struct portd *p = ((struct daemon *)ev_userdata(loop))->data;
	struct client *c, *next;
	int i;

	for (i = 0; i < DGRAM_BATCH && dgram_read(p, s); i++)
		continue;
	TAILQ_FOREACH_SAFE (c, &p->unsent, unsent, next) {
		if (!c->waits)
			offer(p, c);
	}
}

void
dgram_bound(struct portd *p, struct client *c, int fd)
{
	c->waits = false;
	c->fd = fd;
	if (fd == -1 || connected(fd, c) == -1)
		client_free(p, c);
	else
		offer(p, c);
}
