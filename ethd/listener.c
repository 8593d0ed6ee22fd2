/*
 * Where connections begin: accepting, and the handshake of vmnet clients.
 *
 * A handshake has no time limit, because real clients may idle in it, but
 * only CONN_GREETINGS of them may be unfinished; one more ends the oldest.
 * Clients without a handshake are in nic.c.
 * Nothing is read beyond the handshake here: frames that follow it in the same
 * write are still in the socket when the channel is ready for them.
 */

#include <sys/socket.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ethd.h"

#define ACCEPT_BATCH 16
#define ACCEPT_PAUSE 0.1 /* seconds, when there are no descriptors */
/* Descriptors that clients must leave free: links and listeners, and what the
 * channel of each machine needs while it is being made. */
#define FD_RESERVE 32
#define FD_CHANNEL 4

/* Something is left to write first, in any case: conn_write() says -1 then. */
static void
conn_finish(struct conn *c)
{
	c->closing = true;
	ev_io_stop(c->eth->d->loop, &c->rd);
	conn_dirty(c);
}

static void
conn_cut(struct conn *c, enum eth_stat why)
{
	eth_bad(c->eth, why);
	conn_finish(c);
}

static enum lease_result
lease_ask(struct ethd *e, const struct vmnet_cmd *cmd, struct lease **lease)
{
	const uint32_t *ip = cmd->has_ip ? &cmd->ip : NULL;
	struct uuid uuid = cmd->uuid;
	uint8_t random[16];

	if (cmd->anonymous) {
		arc4random_buf(random, sizeof(random));
		uuid = uuid_draw(random);
	}
	return lease_get(&e->pool, &uuid, ip, usec_now(e->d->loop), lease);
}

int
conn_lease(
    struct conn *c, const struct vmnet_cmd *cmd, enum lease_result *result)
{
	struct ethd *e = c->eth;
	struct lease *lease;
	struct vm *vm;

	*result = lease_ask(e, cmd, &lease);
	if (*result != LEASE_OK) {
		eth_bad(e, ETHS_REFUSED);
		return -1;
	}
	vm = e->vm[lease->vm];
	if (vm == NULL && (vm = vm_new(e, lease)) == NULL)
		return -1;
	/* A client that comes back quickly is not to wait until it is seen
	 * that its old connections have ended. */
	if (vm->nconn >= VM_MAXCONNS) {
		eth_bad(e, ETHS_CONN_LIMIT);
		conn_close(TAILQ_LAST(&vm->conns, conn_list));
	}
	vm_attach(vm, c);
	return 0;
}

static void
greeting_decide(struct conn *c)
{
	const struct vmnet_cmd *cmd = &c->greeting.cmd;
	uint8_t reply[VMNET_REPLYLEN];
	char text[LEASE_TEXTLEN];
	enum lease_result result;

	if (conn_lease(c, cmd, &result) == 0) {
		vmnet_step(&c->greeting, VMNETE_GRANT);
		vmnet_put_vif(reply, (uint16_t)c->eth->mtu, &c->vm->lease->mac);
		conn_queue(c, reply, sizeof(reply));
		return;
	}
	vmnet_step(&c->greeting, VMNETE_REFUSE);
	if (result != LEASE_OK) {
		vmnet_put_disconnect(reply, lease_text(result, cmd->ip, text));
		conn_queue(c, reply, sizeof(reply));
	}
	conn_finish(c);
}

static void
greeting_event(struct conn *c, enum vmnet_event event)
{
	uint8_t init[VMNET_INITLEN];

	switch (event) {
	case VMNETE_INIT:
	case VMNETE_BAD_VERSION:
		vmnet_put_init(init);
		conn_queue(c, init, sizeof(init));
		if (event == VMNETE_BAD_VERSION)
			conn_cut(c, ETHS_BAD_VERSION);
		break;
	case VMNETE_COMMAND:
		greeting_decide(c);
		break;
	case VMNETE_BAD_COMMAND:
		conn_cut(c, ETHS_BAD_COMMAND);
		break;
	case VMNETE_BAD_UUID:
		conn_cut(c, ETHS_BAD_UUID);
		break;
	default:
		break;
	}
}

void
greeting_read(struct conn *c)
{
	uint8_t buf[VMNET_INITLEN];
	struct rd r;
	ssize_t n;

	n = recv(c->fd, buf, vmnet_want(&c->greeting), MSG_DONTWAIT);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		eth_count(c->eth, ETHS_GREETING_EOF, 1);
		conn_close(c);
		return;
	}
	r = rd_init(buf, (size_t)n);
	greeting_event(c, vmnet_input(&c->greeting, &r));
}

/* Who has waited longest ends; a machine that has not spoken yet is nobody. */
static void
greeting_evict(struct ethd *e)
{
	struct conn *c = TAILQ_FIRST(&e->greetings);

	if (c->framing == FRAMING_BE32 && nic_draw(c) == 0)
		return;
	eth_bad(e, ETHS_GREETING_EVICTED);
	conn_close(c);
}

/* Takes over a new connection. */
static void
greeting_new(struct listener *l, int fd)
{
	struct ethd *e = l->eth;
	struct conn *c;

	if ((c = conn_new(e, l->framing, fd)) == NULL)
		return;
	eth_count(e, ETHS_ACCEPTED, 1);
	if (l->framing == FRAMING_LE16) {
		ev_io_start(e->d->loop, &c->rd);
	} else if (nic_new(c) == -1) {
		conn_close(c);
		return;
	}
	if (e->ngreeting > CONN_GREETINGS)
		greeting_evict(e);
}

/*
 * Whether one more client leaves descriptors for the channels of all machines,
 * of those also that have not said yet whose they are.  A channel that cannot
 * be received ends the supervisor's link, and with it every connection.
 */
static bool
listener_has_room(const struct ethd *e)
{
	size_t used = FD_RESERVE + (1 + FD_CHANNEL) * (e->ngreeting + 1);
	const struct vm *vm;

	TAILQ_FOREACH (vm, &e->vms, entry) {
		used += vm->nconn + FD_CHANNEL;
	}
	return used <= e->nofile;
}

/* The client can wait. */
static void
listener_pause(struct listener *l)
{
	eth_bad(l->eth, ETHS_ACCEPT_LIMIT);
	ev_io_stop(l->eth->d->loop, &l->rd);
	ev_timer_set(&l->pause, ACCEPT_PAUSE, 0.);
	ev_timer_start(l->eth->d->loop, &l->pause);
}

static void
listener_pause_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct listener *l = w->data;

	ev_io_start(loop, &l->rd);
}

static void
listener_accept_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct listener *l = w->data;
	int i, fd;

	for (i = 0; i < ACCEPT_BATCH; i++) {
		if (!listener_has_room(l->eth)) {
			listener_pause(l);
			return;
		}
		fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd != -1) {
			greeting_new(l, fd);
			continue;
		}
		if (errno == EAGAIN)
			return;
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		/* The system has no descriptors, or no memory. */
		listener_pause(l);
		return;
	}
}

void
listener_start(struct listener *l)
{
	ev_io_start(l->eth->d->loop, &l->rd);
}

static int
listener_framing(const char *kind, enum framing *framing)
{
	static const char *const kinds[FRAMING__MAX] = {
		[FRAMING_LE16] = "vmnet",
		[FRAMING_BE32] = "qemu",
	};
	unsigned i;

	for (i = 0; i < FRAMING__MAX; i++) {
		if (kinds[i] != NULL && strcmp(kinds[i], kind) == 0) {
			*framing = (enum framing)i;
			return 0;
		}
	}
	return -1;
}

int
listener_new(struct ethd *e, int fd, const char *kind)
{
	struct listener *l;

	if ((l = calloc(1, sizeof(*l))) == NULL) {
		close(fd);
		return -1;
	}
	l->eth = e;
	l->fd = fd;
	TAILQ_INSERT_TAIL(&e->listeners, l, entry);
	ev_io_init(&l->rd, listener_accept_cb, fd, EV_READ);
	ev_timer_init(&l->pause, listener_pause_cb, ACCEPT_PAUSE, 0.);
	l->rd.data = l->pause.data = l;
	if (listener_framing(kind, &l->framing) == -1) {
		listener_free(l);
		return -1;
	}
	if (e->configured)
		listener_start(l);
	return 0;
}

void
listener_free(struct listener *l)
{
	ev_io_stop(l->eth->d->loop, &l->rd);
	ev_timer_stop(l->eth->d->loop, &l->pause);
	close(l->fd);
	TAILQ_REMOVE(&l->eth->listeners, l, entry);
	free(l);
}
