#include <sys/socket.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/chan.h"
#include "common/log.h"
#include "common/plat/plat.h"

#include "wire.h"

/* clang-format off */
static const struct {
	enum ipc_role a, b;
} wires[] = {
	{ ROLE_STACK,	ROLE_PORT },	/* sockets for flows */
	{ ROLE_STACK,	ROLE_DNS },	/* the guest's questions */
	{ ROLE_DNS,	ROLE_PORT },	/* sockets to name servers */
	{ ROLE_PROXY,	ROLE_PORT },	/* HTTP, and sockets for it */
	{ ROLE_PROXY,	ROLE_DNS },	/* names of web servers */
	{ ROLE_FRONT,	ROLE_PORT },	/* ports, the tunnel */
};
/* clang-format on */

#define NWIRES (sizeof(wires) / sizeof(wires[0]))

bool
wire_exists(enum ipc_role a, enum ipc_role b)
{
	size_t i;

	for (i = 0; i < NWIRES; i++) {
		if ((wires[i].a == a && wires[i].b == b) ||
		    (wires[i].a == b && wires[i].b == a))
			return true;
	}
	return false;
}

bool
wire_talks(enum ipc_role a, enum ipc_role b)
{
	return wire_exists(a, b) || (a == ROLE_ETH && b == ROLE_STACK) ||
	       (a == ROLE_STACK && b == ROLE_ETH);
}

/* Gives c one end of a link and says whose the other is. */
static void
send_peer(struct child *c, const struct child *peer, int fd)
{
	ipc_send(c->ipc, IPC_PEER, &fd, 1, "{s:s, s:I}", "role",
	    ipc_role_name[peer->role], "vm", (json_int_t)peer->vm);
}

static void
connect_pair(struct child *a, struct child *b)
{
	int sv[2];

	if (plat_socketpair(SOCK_STREAM, sv) == -1) {
		log_warn("link of %s and %s", a->name, b->name);
		/* A daemon without all its links is of no use to anybody. */
		child_kill(a, "has no link to a peer");
		return;
	}
	send_peer(a, b, sv[0]);
	send_peer(b, a, sv[1]);
}

void
wire_connect(struct child *c)
{
	struct child *p;

	TAILQ_FOREACH (p, &c->all->list, entry) {
		if (p != c && p->ipc != NULL && wire_exists(c->role, p->role))
			connect_pair(c, p);
	}
}

void
wire_cut(struct child *c)
{
	struct child *p;

	TAILQ_FOREACH (p, &c->all->list, entry) {
		if (p == c || p->ipc == NULL || !wire_exists(c->role, p->role))
			continue;
		ipc_send(p->ipc, IPC_PEER_GONE, NULL, 0, "{s:s, s:I}", "role",
		    ipc_role_name[c->role], "vm", (json_int_t)c->vm);
	}
}

/* One arena: *rw for its writer, *ro for its reader. */
static int
arena(int *rw, int *ro)
{
	if ((*rw = plat_memfd("arena", CHAN_ARENA)) == -1)
		return -1;
	return (*ro = plat_memfd_ro(*rw)) == -1 ? -1 : 0;
}

static void
send_channel(struct child *c, uint32_t vm, const int *fd, size_t nfd, bool tap,
    bool vnet)
{
	ipc_send(c->ipc, IPC_CHAN, fd, nfd, "{s:I, s:b, s:b}", "vm",
	    (json_int_t)vm, "tap", tap, "vnet", vnet);
}

int
wire_channel(struct child *eth, struct child *stack, int tap, bool vnet)
{
	/* Of each side: socket, arena to write, arena to read; the TAP. */
	int e[3] = { -1, -1, -1 }, s[4] = { -1, -1, -1, -1 }, sv[2];
	size_t i;

	if (tap != -1 && (s[3] = fcntl(tap, F_DUPFD_CLOEXEC, 0)) == -1)
		goto err;
	if (arena(&e[1], &s[2]) == -1 || arena(&s[1], &e[2]) == -1 ||
	    plat_socketpair(SOCK_STREAM, sv) == -1)
		goto err;
	e[0] = sv[0];
	s[0] = sv[1];
	send_channel(eth, stack->vm, e, 3, tap != -1, vnet);
	send_channel(stack, stack->vm, s, tap != -1 ? 4 : 3, tap != -1, vnet);
	return 0;
err:
	log_warn("%s: packet channel", stack->name);
	for (i = 1; i < 3; i++) {
		if (e[i] != -1)
			close(e[i]);
		if (s[i] != -1)
			close(s[i]);
	}
	if (s[3] != -1)
		close(s[3]);
	return -1;
}

void
wire_again(struct child *a, struct child *b)
{
	connect_pair(a, b);
}
