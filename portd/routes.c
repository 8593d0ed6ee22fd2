/*
 * Tables of the configuration: ports of the gateway and destinations that lead
 * elsewhere, and the addresses of VMs.  A table is replaced whole, when all of
 * the new one is there.
 */

#include <stdlib.h>
#include <string.h>

#include <bsd/string.h>

#include "common/log.h"
#include "portd/portd.h"

static void
gateway_apply(struct routes *r)
{
	if (r->gw_got < r->gw_want)
		return;
	free(r->gw);
	r->gw = r->gw_next;
	r->ngw = r->gw_got;
	r->gw_next = NULL;
}

void
routes_gateway_begin(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct routes *r = &((struct portd *)d->data)->routes;

	free(r->gw_next);
	r->gw_got = 0;
	r->gw_want = (size_t)ipc_u64(m, "count");
	r->gw_next = calloc(r->gw_want + 1, sizeof(*r->gw_next));
	if (r->gw_next == NULL) {
		log_warn("gateway forwards");
		r->gw_want = 0;
		return;
	}
	gateway_apply(r);
}

void
routes_gateway(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct routes *r = &((struct portd *)d->data)->routes;
	struct ipaddr dst = ipc_addr(m, "dst");

	if (r->gw_got == r->gw_want)
		return;
	r->gw_next[r->gw_got++] = (struct gateway_forward){
		.tcp = strcmp(ipc_str(m, "proto"), "tcp") == 0,
		.port = (uint16_t)ipc_u64(m, "port"),
		.dport = (uint16_t)ipc_u64(m, "dport"),
		.dst = ipaddr_to_u32(&dst),
	};
	gateway_apply(r);
}

static void
via_apply(struct portd *p)
{
	struct routes *r = &p->routes;

	if (r->via_got < r->via_want)
		return;
	free(r->via);
	r->via = r->via_next;
	r->nvia = r->via_got;
	r->via_next = NULL;
}

void
routes_via_begin(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct portd *p = d->data;
	struct routes *r = &p->routes;

	free(r->via_next);
	r->via_got = 0;
	r->via_want = (size_t)ipc_u64(m, "count");
	r->via_next = calloc(r->via_want + 1, sizeof(*r->via_next));
	if (r->via_next == NULL) {
		log_warn("forwards");
		r->via_want = 0;
		return;
	}
	via_apply(p);
}

void
routes_via(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct portd *p = d->data;
	struct routes *r = &p->routes;
	struct via *v;

	if (r->via_got == r->via_want)
		return;
	v = &r->via_next[r->via_got++];
	v->dport = (uint16_t)ipc_u64(m, "dport");
	strlcpy(v->path, ipc_str(m, "path"), sizeof(v->path));
	if (ipprefix_parse(ipc_str(m, "prefix"), &v->prefix) == -1) {
		log_warnx("%s: not a prefix", ipc_str(m, "prefix"));
		r->via_got--;
		r->via_want--;
	}
	via_apply(p);
}

const struct gateway_forward *
routes_gateway_find(const struct portd *p, bool tcp, uint16_t port)
{
	const struct gateway_forward *g = p->routes.gw;
	size_t i;

	for (i = 0; i < p->routes.ngw; i++) {
		if (g[i].tcp == tcp && g[i].port == port)
			return &g[i];
	}
	return NULL;
}

const struct via *
routes_via_find(const struct portd *p, uint32_t dst, uint16_t port)
{
	const struct via *v = p->routes.via;
	struct ipaddr a = ipaddr_from_u32(dst);
	size_t i;

	for (i = 0; i < p->routes.nvia; i++) {
		if ((v[i].dport == 0 || v[i].dport == port) &&
		    ipprefix_match(&v[i].prefix, &a))
			return &v[i];
	}
	return NULL;
}

/*
 * VMs.
 */

static struct vm_ip *
vm_find_ip(const struct portd *p, uint32_t vm)
{
	struct vm_ip *v;

	LIST_FOREACH (v, &p->vm_ips, entry) {
		if (v->vm == vm)
			return v;
	}
	return NULL;
}

struct ipaddr
routes_vm(const struct portd *p, uint32_t vm)
{
	const struct vm_ip *v = vm_find_ip(p, vm);

	return v != NULL ? v->ip : (struct ipaddr){ 0 };
}

void
routes_vm_ip(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct portd *p = d->data;
	uint32_t num = (uint32_t)ipc_u64(m, "vm");
	struct vm_ip *v = vm_find_ip(p, num);
	struct vm *vm;

	if (v == NULL) {
		if ((v = calloc(1, sizeof(*v))) == NULL) {
			log_warn("VM %u", num);
			return;
		}
		v->vm = num;
		LIST_INSERT_HEAD(&p->vm_ips, v, entry);
	}
	v->ip = ipc_addr(m, "ip");
	LIST_FOREACH (vm, &p->vms, entry) {
		if (ipc_vm(vm->link) == num)
			vm->ip = v->ip;
	}
}

void
routes_fini(struct portd *p)
{
	struct vm_ip *v;

	free(p->routes.gw);
	free(p->routes.gw_next);
	free(p->routes.via);
	free(p->routes.via_next);
	while ((v = LIST_FIRST(&p->vm_ips)) != NULL) {
		LIST_REMOVE(v, entry);
		free(v);
	}
}
