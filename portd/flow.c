/*
 * Guests and their flows, as tables.  No decisions here.
 */

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "portd/forward.h"

struct vm *
vm_new(struct portd *p, struct ipc *link)
{
	struct vm *vm;

	if ((vm = calloc(1, sizeof(*vm))) == NULL)
		return NULL;
	vm->link = link;
	vm->ip = routes_vm(p, ipc_vm(link));
	LIST_INSERT_HEAD(&p->vms, vm, entry);
	return vm;
}

struct vm *
vm_find(struct portd *p, const struct ipc *link)
{
	struct vm *vm;

	LIST_FOREACH (vm, &p->vms, entry) {
		if (vm->link == link)
			return vm;
	}
	return NULL;
}

void
vm_free(struct portd *p, struct vm *vm)
{
	size_t i;

	if (vm == NULL)
		return;
	for (i = 0; i < FLOW_BUCKETS; i++) {
		while (vm->by_id[i] != NULL)
			flow_free(p, vm->by_id[i]);
	}
	limits_forget(&p->limits, &vm->used);
	LIST_REMOVE(vm, entry);
	free(vm);
}

static struct flow **
id_bucket(struct portd *p, struct vm *vm, uint32_t id)
{
	return &vm->by_id[limits_hash(p->limits.key, id, FLOW_BUCKETS_BITS)];
}

static struct flow **
bind_bucket(struct portd *p, struct vm *vm, uint16_t port)
{
	return &vm->by_bind[limits_hash(
	    p->limits.key, port, FLOW_BUCKETS_BITS)];
}

struct flow *
flow_find(struct portd *p, struct vm *vm, uint32_t id)
{
	struct flow *f;

	for (f = *id_bucket(p, vm, id); f != NULL; f = f->next) {
		if (f->id == id)
			return f;
	}
	return NULL;
}

struct flow *
flow_find_bind(struct portd *p, struct vm *vm, uint32_t ip, uint16_t port)
{
	struct flow *f;

	for (f = *bind_bucket(p, vm, port); f != NULL; f = f->next_bind) {
		if (f->guest_port == port && f->guest_ip == ip)
			return f;
	}
	return NULL;
}

struct flow *
flow_new(struct portd *p, struct vm *vm, const struct flow *want)
{
	struct flow *f, **b;

	if ((f = malloc(sizeof(*f))) == NULL)
		return NULL;
	*f = *want;
	f->vm = vm;
	b = id_bucket(p, vm, f->id);
	f->next = *b;
	*b = f;
	if (f->kind == FLOW_UDP_BIND) {
		b = bind_bucket(p, vm, f->guest_port);
		f->next_bind = *b;
		*b = f;
	}
	stats_add(&p->d->stats, PORTS_FLOWS, 1);
	return f;
}

void
flow_free(struct portd *p, struct flow *f)
{
	struct flow **pp;

	if (f == NULL)
		return;
	pp = id_bucket(p, f->vm, f->id);
	while (*pp != f)
		pp = &(*pp)->next;
	*pp = f->next;
	if (f->kind == FLOW_UDP_BIND) {
		pp = bind_bucket(p, f->vm, f->guest_port);
		while (*pp != f)
			pp = &(*pp)->next_bind;
		*pp = f->next_bind;
	}
	icmp_forget(p, f);
	if (f->waiting) {
		TAILQ_REMOVE(f->raw_asked ? &p->raw_wait : &p->wait, f, wait);
		f->vm->nwait--;
	}
	if (f->via_fd != -1)
		close(f->via_fd);
	if (f->via)
		host_forget(p, f);
	limits_give(&p->limits, &f->vm->used, f->dst);
	if (f->kind == FLOW_UDP_BIND)
		ports_give(&p->ports, &f->vm->nport);
	stats_add(&p->d->stats, PORTS_FLOWS, (uint64_t)-1);
	free(f);
}
