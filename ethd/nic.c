/*
 * Clients without a handshake: QEMU's stream sockets.
 *
 * Such a client begins with a frame, and who it is, the sender's Ethernet
 * address says: so a machine keeps its lease when it connects again, also
 * after our own restart.  Two that have the same address at a time, as those
 * have whose user gave none, cannot be told apart: the second is nobody, and
 * gets a lease that is drawn.  Of a machine whose stack is down nothing is read
 * and no end is seen, so it is asked for before anybody counts as the second.
 *
 * A guest that is silent after it came back would not be reached.  Whoever
 * connects is therefore asked, by ARP, whether it is one of those who are
 * missing; only that one answers.
 */

#include <sys/socket.h>
#include <errno.h>
#include <stdlib.h>

#include "common/plat/plat.h"
#include "common/wr.h"

#include "ethd.h"

#define NIC_HEADLEN  (FRAMER_MAXPREFIX + SWITCH_HDRLEN)
#define ARP_FRAMELEN 60

static bool
is_there(const struct vm *vm)
{
	const struct conn *c;

	TAILQ_FOREACH (c, &vm->conns, entry) {
		if (!plat_ended(c->fd))
			return true;
	}
	return false;
}

static bool
is_missing(const struct ethd *e, const struct lease *l, struct macaddr *mac)
{
	return l->vm != 0 && uuid_is_mac(&l->uuid, mac) &&
	       (e->vm[l->vm] == NULL || !is_there(e->vm[l->vm]));
}

/* "Who has your address?", in the gateway's name, to one NIC alone. */
static void
nic_ask(struct conn *c, const struct lease *l, const struct macaddr *mac)
{
	const struct ethd *e = c->eth;
	uint8_t frame[ARP_FRAMELEN];
	struct wr wr = wr_init(frame, sizeof(frame));

	wr_bytes(&wr, mac->b, sizeof(mac->b));
	wr_bytes(&wr, e->sw.server.b, sizeof(e->sw.server.b));
	wr_u16(&wr, ETHERTYPE_ARP);
	wr_u16(&wr, 1); /* Ethernet */
	wr_u16(&wr, 0x0800);
	wr_u16(&wr, 6 << 8 | 4);
	wr_u16(&wr, 1); /* a request */
	wr_bytes(&wr, e->sw.server.b, sizeof(e->sw.server.b));
	wr_u32(&wr, e->pool.conf.gateway);
	wr_zero(&wr, sizeof(mac->b));
	wr_u32(&wr, l->ip);
	wr_zero(&wr, sizeof(frame) - wr.len);
	conn_copy(c, frame, sizeof(frame));
}

int
nic_new(struct conn *c)
{
	const struct lease_pool *pool = &c->eth->pool;
	struct macaddr mac;
	uint32_t i;

	if ((c->stash = malloc(FRAMER_MAXLEN)) == NULL) {
		eth_bad(c->eth, ETHS_NOMEM);
		return -1;
	}
	for (i = 1; i <= LEASE_MAX; i++)
		if (is_missing(c->eth, &pool->slot[i], &mac))
			nic_ask(c, &pool->slot[i], &mac);
	ev_io_start(c->eth->d->loop, &c->rd);
	return 0;
}

int
nic_draw(struct conn *c)
{
	const struct vmnet_cmd cmd = { .anonymous = true };
	enum lease_result result;

	return conn_lease(c, &cmd, &result);
}

static struct vm *
find_vm(const struct ethd *e, const struct uuid *uuid)
{
	struct vm *vm;

	TAILQ_FOREACH (vm, &e->vms, entry) {
		if (memcmp(&vm->lease->uuid, uuid, sizeof(*uuid)) == 0)
			return vm;
	}
	return NULL;
}

static int
nic_lease(struct conn *c, const struct macaddr *mac)
{
	const struct vmnet_cmd cmd = { .uuid = uuid_mac(mac) };
	struct vm *vm = find_vm(c->eth, &cmd.uuid);
	enum lease_result result;

	if ((mac->b[0] & 1) != 0 || (vm != NULL && is_there(vm)))
		return nic_draw(c);
	/* What the old ones have not been read of would make one of them the
	 * one that last sent. */
	while (vm != NULL && !TAILQ_EMPTY(&vm->conns))
		conn_close(TAILQ_FIRST(&vm->conns));
	return conn_lease(c, &cmd, &result);
}

void
nic_read(struct conn *c)
{
	size_t plen = framer_prefix(c->framing);
	struct macaddr src;
	struct rd r;
	ssize_t n;
	size_t flen;

	n = recv(c->fd, c->stash + c->stash_len,
	    plen + SWITCH_HDRLEN - c->stash_len, MSG_DONTWAIT);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		eth_count(c->eth, ETHS_GREETING_EOF, 1);
		conn_close(c);
		return;
	}
	c->stash_len += (size_t)n;
	if (framer_next(c->framing, c->stash, c->stash_len, &flen) == -1) {
		eth_bad(c->eth, ETHS_RX_LENGTH);
		conn_close(c);
		return;
	}
	r = rd_init(c->stash, c->stash_len);
	if (rd_skip(&r, plen + sizeof(src.b)) == 0 &&
	    rd_bytes(&r, src.b, sizeof(src.b)) == 0 && nic_lease(c, &src) == -1)
		conn_close(c);
}
