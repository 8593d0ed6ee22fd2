/*
 * Leases and stacks.  What ethd says is checked again here: it is the process
 * nearest to the guests, and what it can ask for is a process per VM.
 *
 * A VM's netstackd lives longer than the ethd that asked for it.  When ethd
 * dies the client reconnects, ethd opens the VM again, and the same netstackd
 * goes on with a new channel; only a VM that does not come back loses it.
 *
 * A client of the admin socket may hand over the TAP of its VM.  The stack then
 * has no frames to fetch from ethd but those of other VMs, and loses none when
 * ethd dies.  We keep a descriptor for the stack that comes after this one.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bsd/string.h>

#include "common/log.h"
#include "common/plat/plat.h"

#include "vm.h"
#include "wire.h"

/* A stack that loses one after the other shall not keep us busy with it. */
#define TAP_PAUSE (1 * USEC_SEC)
#define AWAY_SECS 10. /* as long as ethd itself keeps a VM without client */

/* The client goes too, unless it is gone already. */
static void
drop_tap(struct vm *vm)
{
	if (vm->tap != -1)
		close(vm->tap);
	vm->tap = -1;
	vm->tap_vnet = false;
	ipc_free(vm->tap_client);
	vm->tap_client = NULL;
}

static void
close_stack(struct vm *vm)
{
	vm->open = false;
	vm->gone = plat_now();
	drop_tap(vm);
	ev_timer_stop(vm->all->kids->loop, &vm->away);
	ev_timer_stop(vm->all->kids->loop, &vm->again);
	if (vm->stack != NULL)
		child_stop(vm->stack);
}

static void
away_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct vm *vm = w->data;

	log_info("VM %u did not come back", (unsigned)vm->lease.vm);
	close_stack(vm);
}

/*
 * There were no descriptors or no memory for a stack or its channel.  What
 * there is already stays, and the rest is tried again, with a restart's pauses.
 */
static void
try_later(struct vm *vm)
{
	double secs = child_backoff_ms(++vm->failed + 1) / 1000.;

	log_warnx(
	    "VM %u: trying again in %.1f s", (unsigned)vm->lease.vm, secs);
	ev_timer_stop(vm->all->kids->loop, &vm->again);
	ev_timer_set(&vm->again, secs, 0.);
	ev_timer_start(vm->all->kids->loop, &vm->again);
}

/* The packet channel, when both ends are there. */
static void
connect_stack(struct vm *vm)
{
	struct child *eth = vm->all->eth;

	if (!vm->open || eth->ipc == NULL || vm->stack == NULL ||
	    vm->stack->ipc == NULL)
		return;
	if (wire_channel(eth, vm->stack, vm->tap, vm->tap_vnet) == -1)
		try_later(vm);
	else
		vm->failed = 0;
}

static bool
same_lease(const struct lease *a, const struct lease *b)
{
	return a->vm == b->vm && strcmp(a->uuid, b->uuid) == 0 &&
	       memcmp(&a->mac, &b->mac, sizeof(a->mac)) == 0 &&
	       ipaddr_cmp(&a->ip, &b->ip) == 0;
}

/* NULL, or why nobody could have this lease. */
static const char *
check_lease(const struct vms *vms, const struct lease *l)
{
	const struct options *op = vms->conf->op;
	const struct lease *o;
	size_t i;

	if (l->vm == 0 || l->vm > VM_MAX)
		return "opened a VM with a number out of range";
	if (l->ip.family != 4 || ipaddr_cmp(&l->ip, &op->lowest_ip) < 0 ||
	    ipaddr_cmp(&l->ip, &op->highest_ip) > 0)
		return "gave an address that is not in the range";
	for (i = 1; i <= VM_MAX; i++) {
		if (vms->v[i] == NULL || i == l->vm)
			continue;
		o = &vms->v[i]->lease;
		if (strcmp(o->uuid, l->uuid) == 0 ||
		    ipaddr_cmp(&o->ip, &l->ip) == 0 ||
		    memcmp(&o->mac, &l->mac, sizeof(l->mac)) == 0)
			return "gave two VMs the same identity";
	}
	return NULL;
}

/* Whose stack it is, for the log. */
static void
stack_name(struct child *c, const struct lease *l)
{
	strlcpy(c->uuid, l->uuid, sizeof(c->uuid));
	ipaddr_str(&l->ip, c->address);
}

static struct child *
stack_new(const struct vm *vm)
{
	struct child *c = child_new(vm->all->kids, ROLE_STACK, vm->lease.vm);

	if (c != NULL)
		stack_name(c, &vm->lease);
	return c;
}

/* Starts the stack, or gives the one that runs a new channel. */
static void
open_stack(struct vm *vm)
{
	ev_timer_stop(vm->all->kids->loop, &vm->away);
	ev_timer_stop(vm->all->kids->loop, &vm->again);
	vm->open = true;
	vm->gone = 0;
	if (vm->stack == NULL)
		vm->stack = stack_new(vm);
	if (vm->stack == NULL)
		try_later(vm);
	else if (vm->stack->ipc != NULL)
		connect_stack(vm);
	else
		child_start(vm->stack);
}

static void
again_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct vm *vm = w->data;

	if (vm->open)
		open_stack(vm);
}

static struct vm *
vm_new(struct vms *vms, const struct lease *l)
{
	struct vm *vm;

	if ((vm = calloc(1, sizeof(*vm))) == NULL) {
		log_warn("VM %u", (unsigned)l->vm);
		return NULL;
	}
	vm->all = vms;
	vm->lease = *l;
	vm->tap = -1;
	ev_timer_init(&vm->away, away_cb, AWAY_SECS, 0.);
	ev_set_priority(&vm->away, TIMER_LATE);
	ev_timer_init(&vm->again, again_cb, 0., 0.);
	vm->away.data = vm->again.data = vm;
	vms->v[l->vm] = vm;
	return vm;
}

/*
 * The number goes to another UUID.  Nothing of the old one's is left to it: its
 * stack ends, if it has not yet, before the new one's is started.
 */
static void
change_lease(struct vm *vm, const struct lease *l)
{
	close_stack(vm);
	vm->lease = *l;
	vm->tap_not_before = 0;
	if (vm->stack != NULL)
		stack_name(vm->stack, l);
}

const char *
vm_open(struct vms *vms, const struct lease *l)
{
	char ip[IPADDR_STRLEN];
	struct vm *vm;
	const char *why;

	if ((why = check_lease(vms, l)) != NULL)
		return why;
	if ((vm = vms->v[l->vm]) == NULL && (vm = vm_new(vms, l)) == NULL)
		return NULL;
	if (!same_lease(&vm->lease, l)) {
		if (vm->open)
			return "changed a VM's lease";
		change_lease(vm, l);
	}
	log_info(
	    "VM %u, %s: %s", (unsigned)l->vm, l->uuid, ipaddr_str(&l->ip, ip));
	open_stack(vm);
	return NULL;
}

const char *
vm_close(struct vms *vms, uint32_t num)
{
	struct vm *vm;

	if (num > VM_MAX || (vm = vms->v[num]) == NULL)
		return "closed a VM that never was";
	if (vm->stack != NULL && vm->stack->wanted)
		log_info("VM %u is gone", (unsigned)num);
	close_stack(vm);
	return NULL;
}

/*
 * TAPs.
 */

static struct vm *
vm_of_uuid(const struct vms *vms, const char *uuid)
{
	size_t i;

	for (i = 1; i <= VM_MAX; i++) {
		if (vms->v[i] != NULL && vms->v[i]->open &&
		    strcasecmp(vms->v[i]->lease.uuid, uuid) == 0)
			return vms->v[i];
	}
	return NULL;
}

static struct vm *
vm_of_client(const struct vms *vms, const struct ipc *client)
{
	size_t i;

	for (i = 1; i <= VM_MAX; i++) {
		if (vms->v[i] != NULL && vms->v[i]->tap_client == client)
			return vms->v[i];
	}
	return NULL;
}

const char *
vm_tap(struct vms *vms, const char *uuid, int fd, struct ipc *client)
{
	struct vm *vm = vm_of_uuid(vms, uuid);
	enum plat_tap kind = plat_tap(fd);
	const char *why = NULL;

	if (vm == NULL)
		why = "no VM with this UUID is connected";
	else if (vm->tap != -1)
		why = "this VM has handed over a TAP already";
	else if (plat_now() < vm->tap_not_before)
		why = "this VM has just lost its TAP";
	else if (vm_of_client(vms, client) != NULL)
		why = "this client has handed over a TAP already";
	else if (kind == PLAT_TAP_NOT)
		why = "this is no TAP whose frames a stack can read";
	else if (fcntl(fd, F_SETFL, O_NONBLOCK) == -1 ||
		 (kind == PLAT_TAP_VNET && plat_tap_offload(fd, true) == -1))
		why = strerror(errno);
	if (why != NULL) {
		close(fd);
		return why;
	}
	vm->tap = fd;
	vm->tap_vnet = kind == PLAT_TAP_VNET;
	vm->tap_client = client;
	log_info("VM %u: has handed over its TAP", (unsigned)vm->lease.vm);
	connect_stack(vm);
	return NULL;
}

/* From now on its frames come by ethd. */
static void
end_tap(struct vm *vm)
{
	drop_tap(vm);
	connect_stack(vm);
}

void
vm_tap_client_gone(struct vms *vms, const struct ipc *client)
{
	struct vm *vm = vm_of_client(vms, client);

	if (vm == NULL)
		return;
	vm->tap_client = NULL;
	end_tap(vm);
}

void
vm_tap_lost(struct vms *vms, const struct child *stack)
{
	struct vm *vm = vms->v[stack->vm];

	if (vm->tap == -1)
		return;
	vm->tap_not_before = plat_now() + TAP_PAUSE;
	end_tap(vm);
}

void
vm_channel_again(struct vms *vms, const struct child *stack)
{
	connect_stack(vms->v[stack->vm]);
}

/*
 * Restarts.
 */

static void
send_lease(struct ipc *ipc, const struct vm *vm)
{
	usec_t gone_ms =
	    vm->gone == 0 ? 0 : (plat_now() - vm->gone) / USEC_MS + 1;
	char mac[MACADDR_STRLEN], ip[IPADDR_STRLEN];
	const struct lease *l = &vm->lease;

	ipc_send(ipc, IPC_LEASE, NULL, 0, "{s:I, s:s, s:s, s:s, s:I}", "vm",
	    (json_int_t)l->vm, "uuid", l->uuid, "mac",
	    macaddr_str(&l->mac, mac), "ip", ipaddr_str(&l->ip, ip), "gone-ms",
	    (json_int_t)gone_ms);
}

void
vm_eth_started(struct vms *vms)
{
	struct vm *vm;
	size_t i;

	for (i = 1; i <= VM_MAX; i++) {
		if ((vm = vms->v[i]) == NULL)
			continue;
		send_lease(vms->eth->ipc, vm);
		if (vm->stack == NULL || !vm->stack->wanted)
			continue;
		ev_timer_stop(vms->kids->loop, &vm->away);
		ev_timer_set(&vm->away, AWAY_SECS, 0.);
		ev_timer_start(vms->kids->loop, &vm->away);
	}
}

void
vm_eth_gone(struct vms *vms)
{
	size_t i;

	for (i = 1; i <= VM_MAX; i++) {
		if (vms->v[i] != NULL)
			vms->v[i]->open = false;
	}
}

static void
send_vm_ip(struct child *portd, const struct lease *l)
{
	char ip[IPADDR_STRLEN];

	if (portd != NULL && portd->ipc != NULL)
		ipc_send(portd->ipc, IPC_VM_IP, NULL, 0, "{s:I, s:s}", "vm",
		    (json_int_t)l->vm, "ip", ipaddr_str(&l->ip, ip));
}

void
vm_portd_started(struct vms *vms, struct child *portd)
{
	size_t i;

	for (i = 1; i <= VM_MAX; i++) {
		if (vms->v[i] != NULL && vms->v[i]->stack != NULL)
			send_vm_ip(portd, &vms->v[i]->lease);
	}
}

void
vm_stack_started(struct vms *vms, struct child *c, struct child *portd)
{
	struct vm *vm = vms->v[c->vm];

	/* Before the core is made, which tells of its flows from the start. */
	child_send_records(c);
	conf_send_stack(vms->conf, c->ipc, &vm->lease);
	send_vm_ip(portd, &vm->lease);
	wire_connect(c);
	connect_stack(vm);
}

void
vm_stack_down(struct vms *vms, struct child *c)
{
	vms->v[c->vm]->stack = NULL;
	child_free(c);
}

unsigned
vm_stack_fds(int64_t max_connections)
{
	if (max_connections < 0 ||
	    max_connections > STACK_FDS_MAX - STACK_FDS_MORE)
		return STACK_FDS_MAX;
	return (unsigned)max_connections + STACK_FDS_MORE;
}

struct child *
vm_stack(const struct vms *vms, uint32_t num)
{
	if (num > VM_MAX || vms->v[num] == NULL)
		return NULL;
	return vms->v[num]->stack;
}

void
vm_conf_changed(struct vms *vms)
{
	const struct vm *vm;
	size_t i;

	for (i = 1; i <= VM_MAX; i++) {
		vm = vms->v[i];
		if (vm != NULL && vm->stack != NULL && vm->stack->ipc != NULL)
			conf_send_stack(vms->conf, vm->stack->ipc, &vm->lease);
	}
}

void
vms_init(struct vms *vms, struct children *kids, const struct conf *conf,
    struct child *eth)
{
	memset(vms, 0, sizeof(*vms));
	vms->kids = kids;
	vms->conf = conf;
	vms->eth = eth;
}

void
vms_fini(struct vms *vms)
{
	size_t i;

	for (i = 1; i <= VM_MAX; i++) {
		if (vms->v[i] == NULL)
			continue;
		ev_timer_stop(vms->kids->loop, &vms->v[i]->away);
		ev_timer_stop(vms->kids->loop, &vms->v[i]->again);
		drop_tap(vms->v[i]);
		child_free(vms->v[i]->stack);
		free(vms->v[i]);
		vms->v[i] = NULL;
	}
}
