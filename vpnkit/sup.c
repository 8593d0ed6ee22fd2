/*
 * What happens when: a daemon starts, speaks, dies; a signal comes.  Everything
 * here is one step; the work is done by child.c, wire.c, vm.c and conf.c.
 */

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/string.h>

#include "common/log.h"
#include "common/logkind.h"
#include "common/plat/plat.h"
#include "config.h"

#include "sup.h"
#include "wire.h"

/* Daemons of which there is one, in the order in which they are started. */
static const enum ipc_role singles[] = {
	ROLE_PORT, ROLE_FRONT, ROLE_DNS, ROLE_PROXY, ROLE_DIAG,
	ROLE_ETH, /* the last: with it come the guests */
};

#define NSINGLES (sizeof(singles) / sizeof(singles[0]))

/*
 * A reader that was taken over could get its peers killed by accusing them
 * without end.  More than this in one period, and it is taken to lie.  But one
 * stack that breaks the protocol again and again, being owned again and again,
 * must not make liars of its honest peers.
 *
 * A stack is the process nearest to its guest, and what it says of a daemon
 * that serves all VMs is not enough to end that: both get a new link, and only
 * when the stack of another VM says the same is it believed.
 */
#define ACCUSE_MAX    3
#define ACCUSE_PERIOD (10 * USEC_SEC)

static struct sup *
sup_of(const struct child *c)
{
	return c->all->data;
}

static bool
is_wanted(const struct sup *s, enum ipc_role role)
{
	return role != ROLE_DIAG || options_want_diag(s->op);
}

/*
 * A daemon starts or is gone.
 */

static void
on_started(struct child *c)
{
	struct sup *s = sup_of(c);

	child_log_level(c, c->log_level);
	if (c->role == ROLE_STACK) {
		/* Before the frames: the guest may already be there. */
		ports_send_gateway(&s->ports, c->ipc);
		vm_stack_started(&s->vms, c, s->kid[ROLE_PORT]);
		admin_stack_started(&s->admin, c);
		return;
	}
	child_send_records(c);
	if (c->role == ROLE_PORT)
		listen_send_closed(&s->listen, c->ipc);
	conf_send(&s->conf, c->ipc);
	wire_connect(c);
	if (c->role == ROLE_PORT) {
		vm_portd_started(&s->vms, c);
		ports_portd_started(&s->ports, c->ipc);
	}
	if (c->role == ROLE_FRONT)
		portlist_front(&s->ports.list, c->ipc);
	if (c->role == ROLE_FRONT || c->role == ROLE_DIAG)
		listen_send(&s->listen, c->ipc);
	if (c->role == ROLE_ETH) {
		/* Leases first: with the listeners come the clients. */
		vm_eth_started(&s->vms);
		listen_send(&s->listen, c->ipc);
	}
}

static void
on_gone(struct child *c)
{
	struct sup *s = sup_of(c);

	if (s->stopping)
		return;
	wire_cut(c);
	if (c->role == ROLE_PORT)
		ports_portd_gone(&s->ports);
	if (c->role == ROLE_FRONT)
		portlist_front(&s->ports.list, NULL);
	if (c->role == ROLE_ETH) {
		listen_eth_gone(&s->listen);
		vm_eth_gone(&s->vms);
	}
}

static void
on_down(struct child *c)
{
	struct sup *s = sup_of(c);

	if (c->role == ROLE_STACK) {
		vm_stack_down(&s->vms, c);
	} else {
		s->kid[c->role] = NULL;
		child_free(c);
	}
	if (s->stopping && TAILQ_EMPTY(&s->kids.list))
		ev_break(s->loop, EVBREAK_ALL);
}

/*
 * A daemon says something.
 */

static void
on_hello(struct sup *s, struct child *c, struct ipc_msg *m)
{
	const char *version = ipc_str(m, "version");

	log_debug("%s: version %s", c->name, version);
	if (strcmp(version, VPNKIT_VERSION) != 0)
		log_warnx("%s is of version %s, not " VPNKIT_VERSION, c->name,
		    version);
}

/* All are ready for the first time: who waits for that may go on. */
static void
tell_ready(struct sup *s)
{
	size_t i;

	for (i = 0; i < NSINGLES; i++) {
		if (is_wanted(s, singles[i]) &&
		    (s->kid[singles[i]] == NULL ||
			s->kid[singles[i]]->state != CHILD_UP))
			return;
	}
	if (!s->served)
		plat_notify("READY=1\nSTATUS=Serving");
	s->served = true;
}

static void
on_ready(struct sup *s, struct child *c, struct ipc_msg *m)
{
	char layers[256] = "";
	size_t i;

	for (i = 0; i < ipc_nstr(m, "sandbox"); i++) {
		strlcat(layers, " ", sizeof(layers));
		strlcat(layers, ipc_strat(m, "sandbox", i), sizeof(layers));
	}
	log_info("%s is ready, pid %d, sandbox:%s", c->name, (int)c->pid,
	    layers[0] != '\0' ? layers : " none");
	child_ready(c, m);
	tell_ready(s);
}

/* Counts what c says of others; false: it has said too much. */
static bool
may_accuse(struct child *c, const struct child *accused, usec_t now)
{
	uint32_t vm = accused != NULL ? accused->vm : 0;
	bool again = vm != 0 && vm == c->accused_vm && accused->ipc != NULL &&
		     !accused->doomed;

	c->accused_vm = vm;
	if (c->accusations == 0 || now - c->accused_at > ACCUSE_PERIOD) {
		c->accused_at = now;
		c->accusations = 0;
	}
	return again || ++c->accusations <= ACCUSE_MAX;
}

/* Whether c is believed: unless it is a stack, or not the only one. */
static bool
is_believed(const struct child *c, struct child *accused, usec_t now)
{
	bool two = accused->suspect_vm != 0 && accused->suspect_vm != c->vm &&
		   now - accused->suspect_at <= ACCUSE_PERIOD;

	if (c->role != ROLE_STACK)
		return true;
	accused->suspect_vm = c->vm;
	accused->suspect_at = now;
	return two;
}

/*
 * The other end of the link that c speaks of, which may be NULL.  -1: it has
 * no such link, or has spoken too often, and is dead now.
 */
static int
other_end(struct sup *s, struct child *c, struct ipc_msg *m,
    struct child **other, usec_t now)
{
	int role = ipc_role_parse(ipc_str(m, "role"));

	if (role == -1 || !wire_talks(c->role, (enum ipc_role)role)) {
		child_kill(c, "accused a daemon it has no link to");
		return -1;
	}
	if (role == ROLE_STACK)
		*other = vm_stack(&s->vms, (uint32_t)ipc_u64(m, "vm"));
	else
		*other = s->kid[role];
	if (may_accuse(c, *other, now))
		return 0;
	child_kill(c, "accuses others without end");
	return -1;
}

/* A new link, or packet channel, in the place of the one they have. */
static void
link_again(struct sup *s, struct child *a, struct child *b)
{
	if (wire_exists(a->role, b->role))
		wire_again(a, b);
	else
		vm_channel_again(&s->vms, a->role == ROLE_STACK ? a : b);
}

/* It lost what came over the link for want of descriptors of its own. */
static void
on_link_lost(struct sup *s, struct child *c, struct ipc_msg *m)
{
	struct child *other;

	if (other_end(s, c, m, &other, plat_now()) == -1)
		return;
	log_warnx("%s has no descriptors left for %s: a new link", c->name,
	    other != NULL ? other->name : ipc_str(m, "role"));
	if (other != NULL && other->ipc != NULL)
		link_again(s, c, other);
}

static void
on_bad_peer(struct sup *s, struct child *c, struct ipc_msg *m)
{
	struct child *accused;
	usec_t now = plat_now();

	if (other_end(s, c, m, &accused, now) == -1)
		return;
	log_warnx("%s accuses %s: %s", c->name,
	    accused != NULL ? accused->name : ipc_str(m, "role"),
	    ipc_str(m, "why"));
	if (accused == NULL || accused->ipc == NULL)
		return;
	if (is_believed(c, accused, now))
		child_kill(accused, "broke the protocol");
	else
		link_again(s, c, accused);
}

static void
on_vm_open(struct sup *s, struct child *c, struct ipc_msg *m)
{
	struct lease l;
	const char *why;

	memset(&l, 0, sizeof(l));
	l.vm = (uint32_t)ipc_u64(m, "vm");
	l.mac = ipc_mac(m, "mac");
	l.ip = ipc_addr(m, "ip");
	strlcpy(l.uuid, ipc_str(m, "uuid"), sizeof(l.uuid));
	if ((why = vm_open(&s->vms, &l)) != NULL)
		child_kill(c, why);
}

static void
on_vm_close(struct sup *s, struct child *c, struct ipc_msg *m)
{
	const char *why;

	if ((why = vm_close(&s->vms, (uint32_t)ipc_u64(m, "vm"))) != NULL)
		child_kill(c, why);
}

static void
on_tap_lost(struct sup *s, struct child *c, struct ipc_msg *m)
{
	vm_tap_lost(&s->vms, c);
}

static void
on_dgram_gone(struct sup *s, struct child *c, struct ipc_msg *m)
{
	const char *why;

	if ((why = listen_dgram_gone(&s->listen, ipc_u64(m, "id"))) != NULL)
		child_kill(c, why);
}

/* No descriptor says that there is none, whatever the reason. */
static void
on_raw_open(struct sup *s, struct child *c, struct ipc_msg *m)
{
	int fd = plat_raw_icmp();

	ipc_send(c->ipc, IPC_RAW_FD, &fd, fd != -1, "{}");
}

static void
on_forward_added(struct sup *s, struct child *c, struct ipc_msg *m)
{
	portlist_added(&s->ports.list, m);
}

static void
on_forward_failed(struct sup *s, struct child *c, struct ipc_msg *m)
{
	portlist_failed(&s->ports.list, m);
}

static void
on_forward_gone(struct sup *s, struct child *c, struct ipc_msg *m)
{
	portlist_gone(&s->ports.list, m);
}

static void
on_port_held(struct sup *s, struct child *c, struct ipc_msg *m)
{
	const char *why;

	if ((why = portlist_held(&s->ports.list, m)) != NULL)
		child_kill(c, why);
}

static void
on_port_dropped(struct sup *s, struct child *c, struct ipc_msg *m)
{
	portlist_dropped(&s->ports.list, m);
}

static void
on_host_bind(struct sup *s, struct child *c, struct ipc_msg *m)
{
	ports_bind(&s->ports, c->ipc, m);
}

static void
on_host_connect(struct sup *s, struct child *c, struct ipc_msg *m)
{
	ports_connect(&s->ports, c->ipc, m);
}

static void
on_host_release(struct sup *s, struct child *c, struct ipc_msg *m)
{
	ports_release(&s->ports, m);
}

/* diagd sees what an administrator sees, and can do nothing about it. */
static void
on_status_next(struct sup *s, struct child *c, struct ipc_msg *m)
{
	admin_status_next(s, c->ipc, m);
}

void
sup_resend(struct sup *s, enum ipc_role role)
{
	const struct child *c = s->kid[role];

	if (c != NULL && c->ipc != NULL)
		conf_send(&s->conf, c->ipc);
}

static const struct {
	enum ipc_type type;
	void (*fn)(struct sup *, struct child *, struct ipc_msg *);
} handlers[] = {
	{ IPC_HELLO, on_hello },
	{ IPC_READY, on_ready },
	{ IPC_BAD_PEER, on_bad_peer },
	{ IPC_LINK_LOST, on_link_lost },
	{ IPC_VM_OPEN, on_vm_open },
	{ IPC_VM_CLOSE, on_vm_close },
	{ IPC_DGRAM_GONE, on_dgram_gone },
	{ IPC_TAP_LOST, on_tap_lost },
	{ IPC_STATUS_NEXT, on_status_next },
	{ IPC_RAW_OPEN, on_raw_open },
	{ IPC_FORWARD_ADDED, on_forward_added },
	{ IPC_FORWARD_FAILED, on_forward_failed },
	{ IPC_FORWARD_GONE, on_forward_gone },
	{ IPC_PORT_HELD, on_port_held },
	{ IPC_PORT_DROPPED, on_port_dropped },
	{ IPC_HOST_BIND, on_host_bind },
	{ IPC_HOST_CONNECT, on_host_connect },
	{ IPC_HOST_RELEASE, on_host_release },
	{ IPC_HTTP_SHOW, sup_http_show },
	{ IPC_HTTP_SET, sup_http_set },
};

static void
on_msg(struct child *c, struct ipc_msg *m)
{
	size_t i;

	for (i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
		if (handlers[i].type == m->type)
			handlers[i].fn(sup_of(c), c, m);
	}
}

static const struct child_events child_events = {
	.started = on_started,
	.gone = on_gone,
	.down = on_down,
	.msg = on_msg,
};

/*
 * Signals.
 */

static void
sup_stop(struct sup *s)
{
	struct child *c, *next;

	if (s->stopping)
		return;
	s->stopping = true;
	log_info("stopping");
	plat_notify("STOPPING=1");
	admin_close(&s->admin);
	listen_close(&s->listen);
	for (c = TAILQ_FIRST(&s->kids.list); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		child_stop(c);
	}
}

static void
signal_cb(struct ev_loop *loop, struct ev_signal *w, int revents)
{
	struct sup *s = w->data;

	switch (w->signum) {
	case SIGCHLD:
		children_reap(&s->kids);
		break;
	case SIGHUP:
		sup_reload(s);
		break;
	case SIGUSR1:
		children_log_counters(&s->kids);
		break;
	default:
		sup_stop(s);
		break;
	}
}

static void
signals_start(struct sup *s)
{
	static const int nums[SUP_NSIGNALS] = { SIGCHLD, SIGHUP, SIGUSR1,
		SIGINT, SIGTERM };
	size_t i;

	for (i = 0; i < SUP_NSIGNALS; i++) {
		ev_signal_init(&s->sig[i], signal_cb, nums[i]);
		s->sig[i].data = s;
		ev_signal_start(s->loop, &s->sig[i]);
	}
}

static void
owing_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	if (!log_flush())
		ev_timer_stop(loop, w);
}

static void
log_owes(void *arg)
{
	struct sup *s = arg;

	ev_timer_again(s->loop, &s->owing);
}

/* That this comes is all it says: the loop turns. */
static void
watchdog_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	plat_notify("WATCHDOG=1");
}

static void
watchdog_start(struct sup *s)
{
	usec_t every = plat_watchdog();
	double secs;

	if (every == USEC_NEVER)
		return;
	secs = (double)every / (double)USEC_SEC / 2;
	ev_timer_init(&s->watchdog, watchdog_cb, secs, secs);
	ev_timer_start(s->loop, &s->watchdog);
}

/*
 * Beginning and end.
 */

int
sup_init(struct sup *s, const struct options *op)
{
	memset(s, 0, sizeof(*s));
	s->op = op;
	s->watch.fd = s->admin.fd = -1;
	s->started = plat_now();
	/* Not the default loop, which would reap our children itself. */
	if ((s->loop = ev_loop_new(plat_ev_backend() | EVFLAG_NOENV)) == NULL ||
	    conf_init(&s->conf, op) == -1 || ports_init(&s->ports, op) == -1) {
		log_warnx("cannot make an event loop");
		return -1;
	}
	children_init(&s->kids, s->loop, &child_events, s);
	s->kids.last_serial = 1; /* the supervisor's own */
	s->kids.snaplen =
	    (uint32_t)(op->pcap_snaplen < UINT16_MAX ? op->pcap_snaplen
						     : UINT16_MAX);
	s->kids.libexec = getenv("VPNKIT_LIBEXECDIR");
	s->kids.stack_fds = vm_stack_fds(op->max_connections);
	sup_files_init(s);
	sup_net_init(s);
	if (listen_open(&s->listen, s->loop, op) == -1)
		return -1;
	return admin_open(&s->admin, s, op);
}

int
sup_run(struct sup *s)
{
	size_t i;

	signals_start(s);
	watchdog_start(s);
	ev_init(&s->owing, owing_cb);
	s->owing.repeat = (double)LOGKIND_PERIOD / USEC_SEC;
	log_on_owing(log_owes, s);
	for (i = 0; i < NSINGLES; i++) {
		if (!is_wanted(s, singles[i]))
			continue;
		s->kid[singles[i]] = child_new(&s->kids, singles[i], 0);
		if (s->kid[singles[i]] == NULL)
			return -1;
	}
	vms_init(&s->vms, &s->kids, &s->conf, s->kid[ROLE_ETH]);
	for (i = 0; i < NSINGLES; i++) {
		if (s->kid[singles[i]] != NULL)
			child_start(s->kid[singles[i]]);
	}
	ev_run(s->loop, 0);
	return 0;
}

void
sup_fini(struct sup *s)
{
	struct child *c;

	log_on_owing(NULL, NULL);
	admin_close(&s->admin);
	listen_close(&s->listen);
	watch_fini(&s->watch);
	sup_net_fini(s);
	vms_fini(&s->vms);
	while ((c = TAILQ_FIRST(&s->kids.list)) != NULL)
		child_free(c);
	ports_fini(&s->ports);
	conf_fini(&s->conf);
	if (s->loop != NULL)
		ev_loop_destroy(s->loop);
}
