/*
 * UDP sockets of dnsd's that get another port.
 *
 * Each of its questions leaves from a fresh port (RFC 5452 9.2).  What costs
 * in that is not the port, but the socket: to make it, to pass it, to watch
 * and to close it.  So portd keeps a descriptor of each of them as well, and
 * when dnsd has done with a port, the system is asked for another one.  To
 * where they are connected was checked when they were made, and is again.
 *
 * Our own address is the same each time, unless the way to the server has
 * changed: the system is not asked for it with each port, but a socket that is
 * there for that finds out, and with another address the set has done.
 */

#include <sys/socket.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/plat/plat.h"
#include "portd/portd.h"

/* The way to a server may begin at another address of ours from now on. */
#define LOOK_USEC 10000

struct again {
	struct ipc *owner; /* borrowed */
	uint32_t num;
	struct sockaddr_storage to, from; /* from: theirs, once it is known */
	unsigned tolen;
	int scout;	      /* owned; finds out what from would be */
	usec_t looked;	      /* when it last did */
	uint64_t bound;	      /* those that keep from */
	size_t n, left;	      /* sockets, and those still there */
	int fd[AGAIN_SETMAX]; /* owned; shared with dnsd; -1: gone */
	LIST_ENTRY(again) entry;
};

static void
again_close(struct portd *p, struct again *s, size_t i)
{
	if (s->fd[i] == -1)
		return;
	close(s->fd[i]);
	s->fd[i] = -1;
	s->left--;
	p->nagain--;
}

static void
again_free(struct portd *p, struct again *s)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		again_close(p, s, i);
	if (s->scout != -1)
		close(s->scout);
	LIST_REMOVE(s, entry);
	free(s);
}

void
again_forget(struct portd *p, const struct ipc *owner)
{
	struct again *s, *next;

	LIST_FOREACH_SAFE(s, &p->again, entry, next)
	{
		if (owner == NULL || s->owner == owner)
			again_free(p, s);
	}
}

/* Too many would be missed by guests' flows. */
static bool
again_room(const struct portd *p, size_t n)
{
	int nofile = plat_nofile();
	size_t max = nofile > 0 ? (size_t)nofile / 8 : 0;

	if (max > AGAIN_MAX)
		max = AGAIN_MAX;
	return n <= AGAIN_SETMAX && p->nagain + n <= max;
}

uint32_t
again_keep(struct portd *p, struct ipc *owner, const struct ipaddr *a,
    uint16_t port, const int *fd, size_t n)
{
	struct again *s;

	if (!again_room(p, n) || (s = calloc(1, sizeof(*s))) == NULL)
		return 0;
	s->owner = owner;
	s->tolen = sock_addr(&s->to, a, port);
	s->scout = sock_new(p, s->to.ss_family, SOCK_DGRAM);
	LIST_INSERT_HEAD(&p->again, s, entry);
	if (s->scout == -1) {
		again_free(p, s);
		return 0;
	}
	for (; s->n < n; s->n++) {
		s->fd[s->n] = fcntl(fd[s->n], F_DUPFD_CLOEXEC, 0);
		if (s->fd[s->n] == -1) {
			again_free(p, s);
			return 0;
		}
		s->left++;
		p->nagain++;
	}
	if (++p->next_again == 0)
		p->next_again = 1;
	return s->num = p->next_again;
}

/* Their address is still the one that a socket made now would have. */
static bool
again_same_way(const struct portd *p, struct again *s)
{
	usec_t now = usec_now(p->d->loop);
	struct sockaddr_storage from;

	if (s->bound != 0 && now - s->looked < LOOK_USEC)
		return true;
	if (plat_udp_source(s->scout, &s->to, &from, s->tolen) == -1)
		return false;
	if (s->bound == 0)
		s->from = from;
	s->looked = now;
	return memcmp(&s->from, &from, sizeof(from)) == 0;
}

static bool
again_one(struct portd *p, struct again *s, size_t i)
{
	bool bound = (s->bound >> i & 1) != 0;

	if (plat_udp_again(
		s->fd[i], &s->to, bound ? NULL : &s->from, s->tolen) == -1)
		return false;
	s->bound |= UINT64_C(1) << i;
	daemon_many(p->d, 1);
	return true;
}

/* Those that have a new port. */
static uint64_t
again_renew(struct portd *p, struct again *s, uint64_t mask)
{
	struct ipaddr addr;
	uint16_t port;
	uint64_t fresh = 0;
	size_t i;

	sock_name(&s->to, &addr, &port);
	if (mask == 0 || !policy_is_server(&p->policy, &addr, port) ||
	    !again_same_way(p, s))
		return 0;
	for (i = 0; i < s->n; i++) {
		if (s->fd[i] != -1 && (mask >> i & 1) != 0 &&
		    again_one(p, s, i))
			fresh |= UINT64_C(1) << i;
	}
	return fresh;
}

/* What is not fresh in the answer is of no more use to either of us. */
void
again_ask(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	uint64_t again = ipc_u64(m, "again"), done = ipc_u64(m, "done");
	uint32_t num = (uint32_t)ipc_u64(m, "set");
	struct portd *p = d->data;
	uint64_t fresh = 0;
	struct again *s;
	size_t i;

	LIST_FOREACH (s, &p->again, entry) {
		if (s->num == num && s->owner == from)
			break;
	}
	if (s != NULL) {
		fresh = again_renew(p, s, again & ~done);
		for (i = 0; i < s->n; i++)
			if (((done | (again & ~fresh)) >> i & 1) != 0)
				again_close(p, s, i);
		if (s->left == 0)
			again_free(p, s);
	}
	if (again != 0)
		ipc_send(from, IPC_SOCK_FRESH, NULL, 0, "{s:I,s:I}", "set",
		    (json_int_t)num, "fresh", (json_int_t)fresh);
}
