/*
 * Flows of guests: check, limit, open, send the socket away.
 *
 * When the process or the system is out of descriptors, requests wait, oldest
 * first, and are tried again when a flow closes and every 100 ms.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "portd/forward.h"

static const char *const kind_name[] = {
	[FLOW_TCP] = "tcp",
	[FLOW_UDP_BIND] = "udp-bind",
	[FLOW_UDP] = "udp",
	[FLOW_HTTP] = "http",
	[FLOW_ICMP] = "icmp",
};

static const enum portd_stat kind_stat[] = {
	[FLOW_TCP] = PORTS_TCP,
	[FLOW_UDP_BIND] = PORTS_UDP_BIND,
	[FLOW_UDP] = PORTS_UDP,
	[FLOW_HTTP] = PORTS_HTTP,
	[FLOW_ICMP] = PORTS_ICMP,
};

static const enum portd_stat limit_stat[] = {
	[LIMIT_ALL] = PORTS_LIMIT_ALL,
	[LIMIT_VM] = PORTS_LIMIT_VM,
	[LIMIT_DST] = PORTS_LIMIT_DST,
};

static bool
is_proxy(const struct ipc *link)
{
	return ipc_peer(link) == ROLE_PROXY;
}

static void
refuse(struct portd *p, struct ipc *link, uint32_t id, enum portd_stat why,
    int error)
{
	stats_inc(&p->d->stats, why);
	ipc_send(link, is_proxy(link) ? IPC_SOCK_REFUSED : IPC_FLOW_REFUSED,
	    NULL, 0, "{s:I,s:s}", "id", (json_int_t)id, "error",
	    sock_error_name(error));
}

void
opener_refuse(struct portd *p, struct flow *f, enum portd_stat why, int error)
{
	refuse(p, f->vm->link, f->id, why, error);
	flow_free(p, f);
}

static void
count_opened(struct portd *p, const struct flow *f)
{
	stats_inc(&p->d->stats, kind_stat[f->kind]);
	if (f->kind == FLOW_UDP_BIND && f->local_port != f->guest_port)
		stats_inc(&p->d->stats, PORTS_PORT_BUSY);
}

/*
 * A flow through a Unix socket: the supervisor connects, front asks there
 * whether it may pass, and only then the stack, or proxyd, gets it.
 */

static bool
via_try(struct portd *p, struct flow *f)
{
	const struct via *v = routes_via_find(p, f->dst, f->dst_port);

	/* It may have waited while the table was replaced. */
	if (v == NULL || host_connect_flow(p, f, v->path) == 0)
		opener_refuse(p, f, PORTS_VIA_REFUSED, ENOBUFS);
	return true;
}

void
opener_flow_connected(
    struct portd *p, struct flow *f, int fd, const char *error)
{
	struct ipc *front = daemon_peer(p->d, ROLE_FRONT, 0);
	struct ipaddr dst = ipaddr_from_u32(f->dst);
	char text[IPADDR_STRLEN];
	int theirs;

	if (fd == -1 || front == NULL) {
		if (fd != -1)
			close(fd);
		opener_refuse(p, f, PORTS_VIA_REFUSED, ECONNREFUSED);
		return;
	}
	f->via_fd = fd;
	if ((theirs = fcntl(fd, F_DUPFD_CLOEXEC, 0)) == -1) {
		opener_refuse(p, f, PORTS_VIA_REFUSED, errno);
		return;
	}
	f->via_id = ++p->next_via;
	ipc_send(front, IPC_VIA_CONN, &theirs, 1, "{s:I,s:s,s:i}", "id",
	    (json_int_t)f->via_id, "dst", ipaddr_str(&dst, text), "dport",
	    (int)f->dst_port);
}

/* The next flow that is with front and passes; NULL: none. */
static struct flow *
via_flow(struct portd *p, const uint32_t *id)
{
	struct vm *vm;
	struct flow *f;
	size_t i;

	LIST_FOREACH (vm, &p->vms, entry) {
		for (i = 0; i < FLOW_BUCKETS; i++) {
			for (f = vm->by_id[i]; f != NULL; f = f->next) {
				if (f->via_fd != -1 &&
				    (id == NULL || f->via_id == *id))
					return f;
			}
		}
	}
	return NULL;
}

void
opener_via_answer(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct portd *p = d->data;
	uint32_t id = (uint32_t)ipc_u64(m, "id");
	struct flow *f = via_flow(p, &id);
	int fd;

	if (f == NULL)
		return;
	if (!ipc_bool(m, "accepted")) {
		opener_refuse(p, f, PORTS_VIA_REFUSED, ECONNREFUSED);
		return;
	}
	fd = f->via_fd;
	f->via_fd = -1;
	stats_inc(&d->stats, PORTS_VIA);
	ipc_send(f->vm->link, is_proxy(f->vm->link) ? IPC_SOCK_FD : IPC_FLOW_FD,
	    &fd, 1, "{s:I}", "id", (json_int_t)f->id);
	/* Which does not say when it is done with one. */
	if (is_proxy(f->vm->link))
		flow_free(p, f);
}

void
opener_front_gone(struct portd *p)
{
	struct flow *f;

	while ((f = via_flow(p, NULL)) != NULL)
		opener_refuse(p, f, PORTS_VIA_REFUSED, ECONNREFUSED);
}

/*
 * Opens the flow's socket and answers; f may be gone then.  False: there was
 * no descriptor, and nothing was done.
 */
static bool
flow_try(struct portd *p, struct flow *f)
{
	struct flow *bind;
	int fd;

	if (f->kind == FLOW_ICMP)
		return icmp_try(p, f);
	bind = f->kind == FLOW_TCP
		   ? NULL
		   : flow_find_bind(p, f->vm, f->guest_ip, f->guest_port);
	if (f->via)
		return via_try(p, f);
	fd = f->kind == FLOW_HTTP
		 ? http_flow(p, f)
		 : sock_flow(p, f, f->kind == FLOW_UDP_BIND ? f : bind);
	if (fd == -1 && sock_no_room(errno))
		return false;
	if (fd == -1) {
		opener_refuse(p, f, PORTS_FAILED, errno);
		return true;
	}
	count_opened(p, f);
	ipc_send(
	    f->vm->link, IPC_FLOW_FD, &fd, 1, "{s:I}", "id", (json_int_t)f->id);
	return true;
}

/* The same, but for what lay there for others. */
static bool
flow_try_hard(struct portd *p, struct flow *f)
{
	return flow_try(p, f) || (ahead_drop(p) && flow_try(p, f));
}

static void
flow_wait(struct portd *p, struct flow *f)
{
	if (f->vm->nwait == WAIT_MAX) {
		opener_refuse(p, f, PORTS_WAIT_FULL, EMFILE);
		return;
	}
	stats_inc(&p->d->stats, PORTS_WAITED);
	f->waiting = true;
	f->vm->nwait++;
	TAILQ_INSERT_TAIL(&p->wait, f, wait);
	/* Who comes later must not put it off. */
	if (!ev_is_active(&p->retry))
		ev_timer_again(p->d->loop, &p->retry);
}

/* Serves those who wait, until there is no descriptor again. */
static void
wait_serve(struct portd *p)
{
	struct flow *f;

	while ((f = TAILQ_FIRST(&p->wait)) != NULL) {
		TAILQ_REMOVE(&p->wait, f, wait);
		f->vm->nwait--;
		f->waiting = false;
		if (flow_try_hard(p, f))
			continue;
		TAILQ_INSERT_HEAD(&p->wait, f, wait);
		f->vm->nwait++;
		f->waiting = true;
		return;
	}
	ev_timer_stop(p->d->loop, &p->retry);
}

static void
retry_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	wait_serve(w->data);
}

void
opener_init(struct portd *p)
{
	TAILQ_INIT(&p->wait);
	TAILQ_INIT(&p->raw_wait);
	ev_timer_init(&p->retry, retry_cb, 0., WAIT_RETRY_SEC);
	p->retry.data = p;
}

void
opener_fini(struct portd *p)
{
	ev_timer_stop(p->d->loop, &p->retry);
}

/* -1: a kind of flow that portd does not serve. */
static int
flow_parse(const struct ipc_msg *m, struct flow *f)
{
	struct ipaddr src = ipc_addr(m, "src"), dst = ipc_addr(m, "dst");
	const char *proto = ipc_str(m, "proto");
	size_t i;

	for (i = 0; i < sizeof(kind_name) / sizeof(kind_name[0]); i++) {
		if (strcmp(proto, kind_name[i]) == 0)
			break;
	}
	if (i == sizeof(kind_name) / sizeof(kind_name[0]))
		return -1;
	*f = (struct flow){
		.id = (uint32_t)ipc_u64(m, "id"),
		.kind = (enum flow_kind)i,
		.via_fd = -1,
		.guest_ip = ipaddr_to_u32(&src),
		.guest_port = (uint16_t)ipc_u64(m, "sport"),
	};
	if (f->kind != FLOW_UDP_BIND) {
		f->dst = ipaddr_to_u32(&dst);
		f->dst_port = (uint16_t)ipc_u64(m, "dport");
	}
	return 0;
}

/* A port of the gateway, as the configuration has it: no policy but its own. */
static bool
flow_redirected(struct portd *p, struct flow *f)
{
	const struct gateway_forward *g;

	if (f->dst != p->policy.gateway ||
	    (f->kind != FLOW_TCP && f->kind != FLOW_UDP))
		return false;
	g = routes_gateway_find(p, f->kind == FLOW_TCP, f->dst_port);
	if (g == NULL)
		return false;
	f->to = g->dst;
	f->to_port = g->dport;
	return true;
}

static bool
flow_routed(struct portd *p, struct flow *f)
{
	struct ipaddr dst = ipaddr_from_u32(f->dst);
	enum policy_verdict v;

	if (f->kind == FLOW_HTTP)
		return http_allowed(p, f);
	if (f->kind == FLOW_UDP_BIND || flow_redirected(p, f))
		return true;
	if (f->kind == FLOW_TCP)
		f->via = routes_via_find(p, f->dst, f->dst_port) != NULL;
	v = policy_check(&p->policy, &dst);
	/* The stack answers in the host's name itself. */
	if (f->kind == FLOW_ICMP)
		return v == POLICY_ALLOW;
	f->loopback = v == POLICY_LOOPBACK;
	return v != POLICY_DENY || f->via;
}

/* Wherever it leads in the end, it is not one of the suite's own ports. */
static bool
flow_allowed(struct portd *p, struct flow *f)
{
	struct ipaddr to;

	if (!flow_routed(p, f))
		return false;
	to = sock_flow_addr(f);
	return f->kind != FLOW_TCP || f->via ||
	       !policy_is_closed(&p->policy, &to, sock_flow_port(f));
}

void
opener_log_limit(struct portd *p)
{
	unsigned missed;

	if (log_rate_ok(&p->limit_log, usec_now(p->d->loop), &missed))
		log_warnx("Exceeded maximum number of forwarded connections "
			  "(%u)",
		    p->limits.max_all);
}

/* The same limits, whoever waits. */
static struct flow *
flow_admit(struct portd *p, struct vm *vm, const struct flow *want)
{
	enum limit lim;
	struct flow *f;

	lim = limits_take(&p->limits, &vm->used, want->dst);
	if (lim != LIMIT_OK) {
		refuse(p, vm->link, want->id, limit_stat[lim], EMFILE);
		if (lim == LIMIT_ALL)
			opener_log_limit(p);
		return NULL;
	}
	if (want->kind == FLOW_UDP_BIND && !ports_take(&p->ports, &vm->nport)) {
		limits_give(&p->limits, &vm->used, want->dst);
		refuse(p, vm->link, want->id, PORTS_LIMIT_PORTS, EMFILE);
		return NULL;
	}
	f = flow_new(p, vm, want);
	if (f == NULL) {
		limits_give(&p->limits, &vm->used, want->dst);
		if (want->kind == FLOW_UDP_BIND)
			ports_give(&p->ports, &vm->nport);
		refuse(p, vm->link, want->id, PORTS_FAILED, ENOMEM);
	}
	return f;
}

void
opener_flow_open(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct portd *p = d->data;
	struct vm *vm = vm_find(p, from);
	struct flow want, *f;

	if (vm == NULL)
		return; /* no memory for it when its link came */
	if (flow_parse(m, &want) == -1) {
		daemon_bad_peer(d, from, "flow-open of an unknown kind");
		return;
	}
	if (flow_find(p, vm, want.id) != NULL) {
		daemon_bad_peer(d, from, "flow-open with an id in use");
		return;
	}
	if (!flow_allowed(p, &want)) {
		refuse(p, from, want.id, PORTS_POLICY, EACCES);
		return;
	}
	if ((f = flow_admit(p, vm, &want)) == NULL)
		return;
	if (!TAILQ_EMPTY(&p->wait) || !flow_try_hard(p, f))
		flow_wait(p, f);
}

bool
opener_fetch(struct portd *p, struct ipc *from, uint32_t id,
    const struct ipaddr *a, uint16_t port)
{
	struct flow want = { .id = id,
		.kind = FLOW_TCP,
		.via = true,
		.via_fd = -1,
		.dst = ipaddr_to_u32(a),
		.dst_port = port };
	struct vm *vm = vm_find(p, from);
	struct flow *f;

	if (a->family != 4 || routes_via_find(p, want.dst, port) == NULL)
		return false;
	if (vm == NULL)
		vm = vm_new(p, from);
	if (vm == NULL || flow_find(p, vm, id) != NULL)
		refuse(p, from, id, PORTS_VIA_REFUSED, ENOMEM);
	else if ((f = flow_admit(p, vm, &want)) != NULL)
		via_try(p, f);
	return true;
}

/* An id that is not there was refused while this was on its way. */
void
opener_flow_close(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct portd *p = d->data;
	struct vm *vm = vm_find(p, from);

	if (vm == NULL)
		return;
	flow_free(p, flow_find(p, vm, (uint32_t)ipc_u64(m, "id")));
	if (!TAILQ_EMPTY(&p->wait))
		wait_serve(p);
}
