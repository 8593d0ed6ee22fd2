/*
 * Socketpairs between a stack and one of the readers.  They are made here so
 * that those need no call that passes descriptors: sendmsg(2) takes an address
 * as well, and who was taken over could send past the policy with it.
 *
 * Nothing is kept: the flow is the stack's and the reader's.
 *
 * A reader may ask before we have heard of the stack: the supervisor tells
 * both of us of it, and who of us reads first is the scheduler's choice.  A
 * refusal would cost the guest its first question, so the request waits.
 */

#include <sys/socket.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/plat/plat.h"
#include "portd/portd.h"

#define EARLY_MAX  1024 /* requests that wait for a stack */
#define EARLY_LOOK 2.	/* seconds; what is still there the next time is old */

struct pair_early {
	struct ipc *from; /* borrowed: who asked */
	uint32_t id, vm;
	int type;
	bool old; /* was there when the timer last looked */
	TAILQ_ENTRY(pair_early) entry;
};

/* 0 or an error: both ends are on their way, or nothing was sent. */
static int
pair_make(struct ipc *stack, struct ipc *from, uint32_t id, int type)
{
	int sv[2];

	if (plat_socketpair(type, sv) == -1)
		return errno;
	if (ipc_send(stack, IPC_FLOW_FD, &sv[0], 1, "{s:I}", "id",
		(json_int_t)id) == -1) {
		close(sv[1]);
		return ECONNREFUSED;
	}
	ipc_send(from, IPC_PAIR_FD, &sv[1], 1, "{s:I,s:I}", "id",
	    (json_int_t)id, "vm", (json_int_t)ipc_vm(stack));
	return 0;
}

static void
pair_refuse(
    struct portd *p, struct ipc *from, uint32_t id, uint32_t vm, int error)
{
	stats_inc(&p->d->stats, PORTS_PAIRS_REFUSED);
	ipc_send(from, IPC_PAIR_REFUSED, NULL, 0, "{s:I,s:I,s:s}", "id",
	    (json_int_t)id, "vm", (json_int_t)vm, "error",
	    sock_error_name(error));
}

static void
pair_give(
    struct portd *p, struct ipc *stack, struct ipc *from, uint32_t id, int type)
{
	int error = pair_make(stack, from, id, type);

	if (error == 0)
		stats_inc(&p->d->stats, PORTS_PAIRS);
	else
		pair_refuse(p, from, id, ipc_vm(stack), error);
}

static void
early_free(struct portd *p, struct pair_early *e)
{
	TAILQ_REMOVE(&p->early, e, entry);
	if (--p->nearly == 0)
		ev_timer_stop(p->d->loop, &p->early_look);
	free(e);
}

/* -1: no room. */
static int
early_add(struct portd *p, struct ipc *from, uint32_t id, uint32_t vm, int type)
{
	struct pair_early *e;

	if (p->nearly == EARLY_MAX || (e = calloc(1, sizeof(*e))) == NULL)
		return -1;
	e->from = from;
	e->id = id;
	e->vm = vm;
	e->type = type;
	TAILQ_INSERT_TAIL(&p->early, e, entry);
	if (p->nearly++ == 0)
		ev_timer_again(p->d->loop, &p->early_look);
	return 0;
}

/* The stack did not come: it was one that has just gone. */
static void
early_look(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct portd *p = w->data;
	struct pair_early *e, *next;

	TAILQ_FOREACH_SAFE (e, &p->early, entry, next) {
		if (e->old) {
			pair_refuse(p, e->from, e->id, e->vm, ECONNREFUSED);
			early_free(p, e);
		} else
			e->old = true;
	}
}

void
pairs_init(struct portd *p)
{
	TAILQ_INIT(&p->early);
	ev_timer_init(&p->early_look, early_look, 0., EARLY_LOOK);
	ev_set_priority(&p->early_look, TIMER_LATE);
	p->early_look.data = p;
}

void
pairs_open(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	const char *proto = ipc_str(m, "proto");
	uint32_t id = (uint32_t)ipc_u64(m, "id");
	uint32_t vm = (uint32_t)ipc_u64(m, "vm");
	struct ipc *stack = daemon_peer(d, ROLE_STACK, vm);
	struct portd *p = d->data;
	int type;

	if (strcmp(proto, "tcp") != 0 && strcmp(proto, "dns") != 0) {
		daemon_bad_peer(d, from, "pair-open of an unknown kind");
		return;
	}
	type = strcmp(proto, "tcp") == 0 ? SOCK_STREAM : SOCK_DGRAM;
	if (stack != NULL)
		pair_give(p, stack, from, id, type);
	else if (early_add(p, from, id, vm, type) == -1)
		pair_refuse(p, from, id, vm, ECONNREFUSED);
}

void
pairs_stack(struct portd *p, struct ipc *stack)
{
	struct pair_early *e, *next;

	TAILQ_FOREACH_SAFE (e, &p->early, entry, next) {
		if (e->vm != ipc_vm(stack))
			continue;
		pair_give(p, stack, e->from, e->id, e->type);
		early_free(p, e);
	}
}

void
pairs_forget(struct portd *p, const struct ipc *link)
{
	struct pair_early *e, *next;

	TAILQ_FOREACH_SAFE (e, &p->early, entry, next) {
		if (link == NULL || e->from == link)
			early_free(p, e);
	}
}
