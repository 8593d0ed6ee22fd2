/*
 * From a connection to the channel.
 *
 * The stream is read straight into the free space of the arena, as much as is
 * there.  The frames in it are published where they lie; the start of an
 * unfinished one stays, and the next read goes behind it.  Only when another
 * connection of the VM is read in between, or the channel is lost, are these
 * bytes saved in the connection's stash.
 *
 * When the channel takes no more, nothing is read from any connection of the
 * VM until it does: that is the back-pressure.
 */

#include <sys/socket.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ethd.h"

#define READ_MAX (256 * 1024)
/* Reading less than this at a time is not worth a system call. */
#define READ_MIN 2048

static void
input_push(struct vm *vm, const uint8_t *frame, size_t len)
{
	uint8_t *p;
	size_t space;

	p = chan_space(vm->chan, &space);
	/* Modulo the ring: the head may have wrapped since the read. */
	chan_push(vm->chan, (size_t)(frame - p) & (CHAN_ARENA - 1), len);
	eth_count(vm->eth, ETHS_RX_FRAMES, 1);
	eth_count(vm->eth, ETHS_RX_BYTES, len);
}

/* To another VM, by the channel of its stack, which has the TAP. */
static void
input_hand(struct vm *to, const uint8_t *frame, size_t len)
{
	size_t space = 0;
	uint8_t *p = NULL;

	if (to->chan != NULL)
		p = chan_space(to->chan, &space);
	if (space < len) {
		eth_count(to->eth, ETHS_SW_FULL, 1);
		return;
	}
	memcpy(p, frame, len);
	chan_push(to->chan, 0, len);
	vm_dirty(to);
}

/* To another VM. */
static void
input_copy(struct vm *to, const uint8_t *frame, size_t len, enum eth_stat s)
{
	struct ethd *e = to->eth;
	struct conn *c = TAILQ_FIRST(&to->conns);

	if (len > e->mtu + ETH_OVERHEAD) {
		eth_count(e, ETHS_SW_TOOBIG, 1);
	} else if (to->tap) {
		eth_count(e, s, 1);
		input_hand(to, frame, len);
	} else if (c == NULL) {
		eth_count(e, ETHS_SW_GONE, 1);
	} else {
		eth_count(e, s, 1);
		conn_copy(c, frame, len);
	}
}

/* To every other VM. */
static void
input_flood(struct vm *vm, const uint8_t *frame, size_t len)
{
	struct ethd *e = vm->eth;
	struct vm *other;

	if (!switch_flood(&e->sw, vm->lease->vm, usec_now(e->d->loop))) {
		eth_count(e, ETHS_SW_FLOOD_LIMIT, 1);
		return;
	}
	TAILQ_FOREACH (other, &e->vms, entry)
		if (other != vm)
			input_copy(other, frame, len, ETHS_SW_FLOOD);
}

/* A lie that other VMs would believe; its own stack will not. */
static bool
input_forged(struct vm *vm, const uint8_t *frame, size_t len)
{
	struct ethd *e = vm->eth;

	if (!switch_forged(&e->pool, vm->lease->vm, frame, len))
		return false;
	eth_bad(e, ETHS_SW_FORGED);
	return true;
}

/* Copies a frame to the VMs it is for. */
static enum switch_verdict
input_switch(struct vm *vm, const uint8_t *frame, size_t len)
{
	struct ethd *e = vm->eth;
	enum switch_verdict v;
	uint32_t to;

	v = switch_input(&e->sw, vm->lease->vm, frame, len, &to);
	if (v == SWITCH_SHORT)
		eth_bad(e, ETHS_RX_SHORT);
	else if (v == SWITCH_VM && !input_forged(vm, frame, len))
		input_copy(e->vm[to], frame, len, ETHS_SW_UNICAST);
	else if (v == SWITCH_ALL && !input_forged(vm, frame, len))
		input_flood(vm, frame, len);
	return v;
}

/* One frame, which lies in the free space of the arena. */
static void
input_frame(struct vm *vm, const uint8_t *frame, size_t len)
{
	struct ethd *e = vm->eth;

	if (len == 0) {
		eth_bad(e, ETHS_RX_ZERO);
		return;
	}
	switch (input_switch(vm, frame, len)) {
	case SWITCH_STACK:
	case SWITCH_ALL:
		input_push(vm, frame, len);
		break;
	default:
		break;
	}
}

void
input_others(struct vm *vm, const uint8_t *frame, size_t len)
{
	if (input_switch(vm, frame, len) == SWITCH_STACK)
		eth_count(vm->eth, ETHS_SW_GONE, 1);
}

/* Room for one more record, if need be by sending those that wait. */
static bool
input_slot(struct vm *vm)
{
	if (chan_slots(vm->chan) > 0)
		return true;
	/* A dead peer is noticed by the flush that ends this turn. */
	return chan_flush(vm->chan) == 0 && chan_slots(vm->chan) > 0;
}

/* Hands out the whole frames at in_at.  -1: the stream is beyond repair. */
static int
input_parse(struct vm *vm)
{
	struct conn *c = vm->in_owner;
	size_t flen;
	int n;

	for (;;) {
		n = framer_next(c->framing, vm->in_at, vm->in_have, &flen);
		if (n < 0)
			break;
		if (!input_slot(vm)) {
			vm->in_blocked = true;
			return 0;
		}
		input_frame(vm, vm->in_at + (size_t)n - flen, flen);
		if (flen > 0)
			vm_sender(vm, c);
		vm->in_at += n;
		vm->in_have -= (size_t)n;
	}
	if (n == -1) {
		eth_bad(vm->eth, ETHS_RX_LENGTH);
		return -1;
	}
	return 0;
}

/*
 * Moves what the owner has to p, the head of the free space.  The ring is
 * mapped twice, so two ranges that look apart may be the same memory: seen
 * from p, everything that does not reach around the ring is plain memory, and
 * the rest goes by way of the heap.
 */
static int
input_move(struct vm *vm, uint8_t *p)
{
	size_t off = (size_t)(vm->in_at - p) & (CHAN_ARENA - 1);
	uint8_t *tmp;

	if (off + vm->in_have <= CHAN_ARENA) {
		if (off > 0)
			memmove(p, p + off, vm->in_have);
		return 0;
	}
	if ((tmp = malloc(vm->in_have)) == NULL) {
		eth_bad(vm->eth, ETHS_NOMEM);
		return -1;
	}
	memcpy(tmp, vm->in_at, vm->in_have);
	memcpy(p, tmp, vm->in_have);
	free(tmp);
	return 0;
}

/* Saves the owner's unfinished frame; there are no whole ones. */
static int
input_stash(struct vm *vm)
{
	struct conn *c = vm->in_owner;

	if (c->stash == NULL && (c->stash = malloc(FRAMER_MAXLEN)) == NULL) {
		eth_bad(vm->eth, ETHS_NOMEM);
		return -1;
	}
	memcpy(c->stash, vm->in_at, vm->in_have);
	c->stash_len = vm->in_have;
	vm->in_owner = NULL;
	vm->in_have = 0;
	return 0;
}

/*
 * Makes c the owner, with what it has already at the head of the free space,
 * which may have moved.  0: the channel is full.
 */
static size_t
input_begin(struct vm *vm, struct conn *c)
{
	struct conn *old = vm->in_owner;
	uint8_t *p;
	size_t space;

	/* Blocked for want of a slot means that an event will say so. */
	if (!input_slot(vm))
		return 0;
	p = chan_space(vm->chan, &space);
	if (old != NULL && old != c && input_stash(vm) == -1)
		conn_close(old);
	if (vm->in_owner == NULL) {
		if (space < c->stash_len)
			return 0;
		if (c->stash_len > 0)
			memcpy(p, c->stash, c->stash_len);
		vm->in_owner = c;
		vm->in_have = c->stash_len;
		c->stash_len = 0;
	} else if (space < vm->in_have || input_move(vm, p) == -1) {
		return 0;
	}
	vm->in_at = p;
	return space;
}

/* Reads once.  -1: the connection is to be closed. */
static int
input_recv(struct vm *vm, struct conn *c, size_t space)
{
	ssize_t n;

	n = recv(c->fd, vm->in_at + vm->in_have,
	    space < READ_MAX ? space : READ_MAX, MSG_DONTWAIT);
	if (n == -1)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (n == 0)
		return -1;
	vm->in_have += (size_t)n;
	daemon_moved(c->eth->d, (size_t)n);
	return input_parse(vm);
}

void
input_idle(struct conn *c)
{
	uint8_t byte;
	ssize_t n;

	n = recv(c->fd, &byte, 1, MSG_DONTWAIT);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		eth_bad(c->eth, ETHS_RX_TAP);
	conn_close(c);
}

void
input_read(struct conn *c)
{
	struct vm *vm = c->vm;
	size_t space;

	/* An event that was already on its way when reading was stopped. */
	if (vm->chan == NULL || vm->in_blocked)
		return;
	space = input_begin(vm, c);
	if (space < vm->in_have + READ_MIN)
		vm->in_blocked = true;
	else if (input_recv(vm, c, space - vm->in_have) == -1)
		conn_close(c);
	if (vm->in_have == 0)
		vm->in_owner = NULL;
	vm_dirty(vm);
}

size_t
input_room(struct conn *c)
{
	struct vm *vm = c->vm;
	size_t space, n, slots;

	if (vm->chan == NULL || vm->in_blocked)
		return 0;
	space = input_begin(vm, c);
	/* Datagrams are whole, so nobody ever owns what a read left over. */
	vm->in_owner = NULL;
	n = space / FRAMER_MAXFRAME;
	slots = chan_slots(vm->chan);
	if (n > slots)
		n = slots;
	if (n == 0) {
		vm->in_blocked = true;
		vm_dirty(vm);
	}
	return n;
}

void
input_dgram(struct conn *c, const uint8_t *frame, size_t len)
{
	struct vm *vm = c->vm;
	uint8_t *p;
	size_t space;

	p = chan_space(vm->chan, &space);
	if (space < len)
		return; /* not when input_room() was asked */
	memcpy(p, frame, len);
	input_frame(vm, p, len);
	vm_sender(vm, c);
	vm_dirty(vm);
}

void
input_resume(struct vm *vm)
{
	struct conn *c = vm->in_owner;

	if (!vm->in_blocked)
		return;
	vm->in_blocked = false;
	if (c != NULL && input_begin(vm, c) == 0)
		vm->in_blocked = true;
	else if (c != NULL && input_parse(vm) == -1)
		conn_close(c);
	if (vm->in_have == 0)
		vm->in_owner = NULL;
	vm_dirty(vm);
}

void
input_leave(struct vm *vm)
{
	struct conn *c = vm->in_owner;
	size_t flen;
	int n;

	vm->in_blocked = false;
	if (c == NULL)
		return;
	while (
	    (n = framer_next(c->framing, vm->in_at, vm->in_have, &flen)) > 0) {
		eth_count(vm->eth, ETHS_RX_NOCHAN, 1);
		vm->in_at += n;
		vm->in_have -= (size_t)n;
	}
	if (n == -1 || input_stash(vm) == -1)
		conn_close(c);
}
