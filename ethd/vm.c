/*
 * A VM: its connections, its channel to netstackd, and the frames that come
 * from there.
 *
 * It begins with the first connection that is granted its lease and ends when
 * it has had none for ten seconds.  Its channel comes and goes with its
 * netstackd; without one nothing is read from the VM, and no connection is
 * closed for it.
 *
 * Frames are taken from the channel until VM_OUTQ of them wait for the VM.
 * That is more than the arena holds of full-size ones, so that the credit
 * behind them, which lets the guest go on sending, is nearly always seen even
 * when the guest does not read.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ethd.h"

static void
vm_say(const struct vm *vm, const char *what)
{
	struct ipaddr ip = ipaddr_from_u32(vm->lease->ip);
	char ipbuf[IPADDR_STRLEN], uuid[UUID_STRLEN];

	log_info("VM %u (%s, %s): %s", (unsigned)vm->lease->vm,
	    uuid_str(&vm->lease->uuid, uuid), ipaddr_str(&ip, ipbuf), what);
}

void
vm_dirty(struct vm *vm)
{
	if (vm->dirty)
		return;
	vm->dirty = true;
	TAILQ_INSERT_TAIL(&vm->eth->dirty_vms, vm, dirty_entry);
}

static void
watch(struct ev_loop *loop, struct ev_io *w, bool on)
{
	if (on)
		ev_io_start(loop, w);
	else
		ev_io_stop(loop, w);
}

void
vm_watch(struct vm *vm)
{
	struct ev_loop *loop = vm->eth->d->loop;
	bool input = vm->chan != NULL && !vm->in_blocked;
	struct conn *c;

	if (vm->chan != NULL) {
		watch(loop, &vm->chan_rd, vm->out_n + CHAN_BATCH <= VM_OUTQ);
		watch(loop, &vm->chan_wr, chan_blocked(vm->chan));
	}
	TAILQ_FOREACH (c, &vm->conns, entry)
		watch(loop, &c->rd, input && !c->early);
}

void
vm_flush(struct vm *vm)
{
	if (vm->chan != NULL && chan_flush(vm->chan) == -1)
		vm_lost(vm, errno);
	vm_watch(vm);
}

/*
 * From netstackd.
 */

/* Takes the frames the channel has read; there is room for them. */
static void
vm_take(struct vm *vm)
{
	struct chan_frame f;

	while (chan_next(vm->chan, &f)) {
		vm->out_end = f.end;
		if (f.len > vm->eth->mtu + ETH_OVERHEAD) {
			eth_bad(vm->eth, ETHS_TX_TOOBIG);
			continue;
		}
		vm->outq[(vm->out_first + vm->out_n++) % VM_OUTQ] = f;
	}
	/* Dropped frames behind the last one are not released with it. */
	if (vm->out_n == 0)
		chan_release(vm->chan, vm->out_end);
	else if (!TAILQ_EMPTY(&vm->conns))
		conn_dirty(TAILQ_FIRST(&vm->conns));
}

void
vm_out_next(struct vm *vm)
{
	const struct chan_frame *f = &vm->outq[vm->out_first];

	vm->out_off = 0;
	vm->out_first = (vm->out_first + 1) % VM_OUTQ;
	vm->out_n--;
	chan_release(vm->chan, vm->out_n > 0 ? f->end : vm->out_end);
	vm_dirty(vm);
}

size_t
vm_out_consume(struct vm *vm, size_t plen, size_t n)
{
	const struct chan_frame *f = &vm->outq[vm->out_first];
	size_t left = plen + f->len - vm->out_off;

	if (n < left) {
		vm->out_off += n;
		return 0;
	}
	eth_count(vm->eth, ETHS_TX_FRAMES, 1);
	eth_count(vm->eth, ETHS_TX_BYTES, f->len);
	vm_out_next(vm);
	return n - left;
}

/*
 * What the machine sends to others, by way of its stack.  The arena is memory
 * that the stack can change, and a header is looked at here: so a copy is.
 */
static void
vm_relay(struct vm *vm)
{
	uint8_t *frame = vm->eth->frame;
	struct chan_frame f;

	while (chan_next(vm->chan, &f)) {
		memcpy(frame, f.p, f.len);
		chan_release(vm->chan, f.end);
		input_others(vm, frame, f.len);
	}
}

static void
vm_chan_read_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct vm *vm = w->data;
	int r;

	if ((r = chan_read(vm->chan)) == -1) {
		vm_lost(vm, errno);
		return;
	}
	if (r == 0)
		return;
	if (vm->tap)
		vm_relay(vm);
	else
		vm_take(vm);
	input_resume(vm);
	vm_dirty(vm);
}

static void
vm_chan_write_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct vm *vm = w->data;

	if (chan_flush(vm->chan) == -1) {
		vm_lost(vm, errno);
		return;
	}
	input_resume(vm);
	vm_dirty(vm);
}

/*
 * A TAP that is handed over, or comes back, brings a new channel, and the stack
 * may have closed the old one before we hear of that: then nothing broke.
 */
void
vm_chan(struct vm *vm, struct chan *chan, bool tap)
{
	struct conn *c;

	if (vm->chan != NULL)
		vm_lost(vm, 0);
	else if (vm->lost && vm->tap == tap)
		eth_count(vm->eth, ETHS_CHAN_LOST, 1);
	vm->lost = false;
	vm->chan = chan;
	vm->tap = tap;
	vm->opened = true;
	vm->out_end = 0;
	ev_io_init(&vm->chan_rd, vm_chan_read_cb, chan->fd, EV_READ);
	ev_io_init(&vm->chan_wr, vm_chan_write_cb, chan->fd, EV_WRITE);
	vm->chan_rd.data = vm->chan_wr.data = vm;
	TAILQ_FOREACH (c, &vm->conns, entry)
		c->early = c->early && tap;
	vm_watch(vm);
}

static void
vm_accuse(struct vm *vm)
{
	ipc_send(vm->eth->d->sup, IPC_BAD_PEER, NULL, 0, "{s:s,s:I,s:s}",
	    "role", ipc_role_name[ROLE_STACK], "vm", (json_int_t)vm->lease->vm,
	    "why", "packet channel protocol");
}

void
vm_lost(struct vm *vm, int err)
{
	struct conn *c = TAILQ_FIRST(&vm->conns), *cut = NULL;

	if (err == EPROTO)
		vm_accuse(vm);
	vm->lost = err != 0;
	vm_say(vm, err == 0 ? "new channel" : "channel lost");
	if (c != NULL && vm->out_off > 0 && conn_unwritten(c) == -1)
		cut = c;
	vm->out_first = vm->out_n = vm->out_off = 0;
	input_leave(vm);
	ev_io_stop(vm->eth->d->loop, &vm->chan_rd);
	ev_io_stop(vm->eth->d->loop, &vm->chan_wr);
	chan_fini(vm->chan);
	free(vm->chan);
	vm->chan = NULL;
	vm_watch(vm);
	if (cut != NULL && cut == TAILQ_FIRST(&vm->conns))
		conn_close(cut);
}

/*
 * The VM and its connections.
 */

static void
vm_gone_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	vm_free(w->data);
}

struct vm *
vm_new(struct ethd *e, struct lease *lease)
{
	struct vm *vm;

	if ((vm = calloc(1, sizeof(*vm))) == NULL) {
		eth_bad(e, ETHS_NOMEM);
		return NULL;
	}
	vm->eth = e;
	vm->lease = lease;
	lease->used = true;
	TAILQ_INIT(&vm->conns);
	ev_timer_init(&vm->gone, vm_gone_cb, VM_GONE_SEC, 0.);
	ev_set_priority(&vm->gone, TIMER_LATE);
	vm->gone.data = vm;
	TAILQ_INSERT_TAIL(&e->vms, vm, entry);
	e->vm[lease->vm] = vm;
	switch_add(&e->sw, lease->vm);
	eth_count(e, ETHS_VMS, 1);
	return vm;
}

void
vm_free(struct vm *vm)
{
	struct ethd *e = vm->eth;
	uint32_t num = vm->lease->vm;

	while (!TAILQ_EMPTY(&vm->conns))
		conn_close(TAILQ_FIRST(&vm->conns));
	ev_timer_stop(e->d->loop, &vm->gone);
	vm_say(vm, "gone");
	if (vm->chan != NULL) {
		ev_io_stop(e->d->loop, &vm->chan_rd);
		ev_io_stop(e->d->loop, &vm->chan_wr);
		chan_fini(vm->chan);
		free(vm->chan);
	}
	if (vm->dirty)
		TAILQ_REMOVE(&e->dirty_vms, vm, dirty_entry);
	TAILQ_REMOVE(&e->vms, vm, entry);
	e->vm[num] = NULL;
	switch_del(&e->sw, num);
	vm->lease->used = false;
	eth_count(e, ETHS_VMS, (uint64_t)-1);
	ipc_send(
	    e->d->sup, IPC_VM_CLOSE, NULL, 0, "{s:I}", "vm", (json_int_t)num);
	free(vm);
}

static void
vm_open(struct vm *vm)
{
	struct ipaddr ip = ipaddr_from_u32(vm->lease->ip);
	char uuid[UUID_STRLEN], mac[MACADDR_STRLEN], ipbuf[IPADDR_STRLEN];

	vm->opened = true;
	ipc_send(vm->eth->d->sup, IPC_VM_OPEN, NULL, 0, "{s:I,s:s,s:s,s:s}",
	    "vm", (json_int_t)vm->lease->vm, "uuid",
	    uuid_str(&vm->lease->uuid, uuid), "mac",
	    macaddr_str(&vm->lease->mac, mac), "ip", ipaddr_str(&ip, ipbuf));
}

void
vm_attach(struct vm *vm, struct conn *c)
{
	struct ethd *e = vm->eth;

	TAILQ_REMOVE(&e->greetings, c, entry);
	e->ngreeting--;
	c->vm = vm;
	c->early = vm->tap;
	if (c->early)
		eth_bad(e, ETHS_TAP_IN_USE);
	TAILQ_INSERT_TAIL(&vm->conns, c, entry);
	vm->nconn++;
	vm_sender(vm, c);
	ev_timer_stop(e->d->loop, &vm->gone);
	if (vm->nconn == 1)
		vm_say(vm, "connected");
	if (!vm->opened)
		vm_open(vm);
	vm_watch(vm);
}

usec_t
vm_gone_at(const struct ethd *e)
{
	return usec_now(e->d->loop) + (usec_t)(VM_GONE_SEC * USEC_SEC);
}

void
vm_detach(struct conn *c)
{
	struct vm *vm = c->vm;

	if (vm->out_off > 0 && TAILQ_FIRST(&vm->conns) == c)
		vm_out_next(vm);
	if (vm->in_owner == c) {
		vm->in_owner = NULL;
		vm->in_have = 0;
		vm->in_blocked = false;
	}
	TAILQ_REMOVE(&vm->conns, c, entry);
	vm->nconn--;
	if (vm->nconn == 0) {
		vm->lease->spare_at = vm_gone_at(vm->eth);
		ev_timer_set(&vm->gone, VM_GONE_SEC, 0.);
		ev_timer_start(vm->eth->d->loop, &vm->gone);
	} else if (vm->out_n > 0) {
		conn_dirty(TAILQ_FIRST(&vm->conns));
	}
	vm_dirty(vm);
}

void
vm_sender(struct vm *vm, struct conn *c)
{
	struct conn *old = TAILQ_FIRST(&vm->conns);
	bool cut = false;

	if (old == c)
		return;
	if (vm->out_off > 0) {
		cut = conn_unwritten(old) == -1;
		vm_out_next(vm);
	}
	TAILQ_REMOVE(&vm->conns, c, entry);
	TAILQ_INSERT_HEAD(&vm->conns, c, entry);
	if (vm->out_n > 0)
		conn_dirty(c);
	if (cut)
		conn_close(old);
}
