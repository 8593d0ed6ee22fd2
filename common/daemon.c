/*
 * daemon_main(): the order in which every daemon starts, and what all of them
 * do with the bus.
 *
 *	log, signals, limits -> bus and loop -> hello -> counters ->
 *	the daemon's own start -> sandbox -> ready -> loop -> stop
 *
 * A daemon ends when the supervisor's link ends, which is how it is told to,
 * or with SIGTERM.  Links to other daemons come and go: they are made by the
 * supervisor and end with either side.  When one of them breaks the protocol
 * only that link is cut; what to do about its other end is the supervisor's
 * business.
 */

#include <sys/socket.h>
#include <sys/stat.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ev.h>
#include <jansson.h>

#include "common/daemon.h"
#include "common/log.h"
#include "common/logkind.h"
#include "common/plat/plat.h"

#include "config.h"

#define WHY_MAX 255 /* bytes of text in a bad-peer */

/*
 * Time.
 */

static void
turn_cb(struct ev_loop *loop, struct ev_check *w, int revents)
{
	struct daemon *d = w->data;

	d->now = plat_now();
}

usec_t
usec_now(struct ev_loop *loop)
{
	const struct daemon *d = ev_userdata(loop);

	return d != NULL ? d->now : plat_now();
}

/*
 * Spinning.
 */

/* Nothing was ready in this turn. */
static void
idle_cb(struct ev_loop *loop, struct ev_idle *w, int revents)
{
	struct daemon *d = w->data;

	d->idled = true;
	if (spin_rest(&d->spin, d->now) || d->stays)
		sched_yield();
}

/* While there are many to serve, nobody is stopped to wake us for one more. */
static void
spin_policy(struct daemon *d)
{
	bool batch = spin_crowd(&d->spin);

	if (batch == d->batch || !d->normal)
		return;
	d->batch = batch;
	plat_sched_batch(batch);
}

/* A turn ends: an idle watcher keeps the next one from sleeping. */
static void
rest_cb(struct ev_loop *loop, struct ev_prepare *w, int revents)
{
	struct daemon *d = w->data;

	if (!d->idled)
		spin_event(&d->spin, d->now, d->moved, d->many);
	spin_policy(d);
	d->idled = false;
	d->moved = 0;
	d->many = 0;
	if (!(d->spec->spins && d->spin.spinning) && !d->stays)
		ev_idle_stop(loop, &d->idle);
	else if (!ev_is_active(&d->idle))
		ev_idle_start(loop, &d->idle);
}

bool
daemon_stay(struct daemon *d, bool on)
{
	d->stays = on && d->spec->spins && ev_is_active(&d->rest);
	return d->stays == on;
}

static void
spin_start(struct daemon *d)
{
	ev_idle_init(&d->idle, idle_cb);
	ev_set_priority(&d->idle, EV_MINPRI);
	ev_prepare_init(&d->rest, rest_cb);
	/* Behind whatever else is done there, which may ask us to stay. */
	ev_set_priority(&d->rest, EV_MINPRI);
	d->idle.data = d->rest.data = d;
	d->normal = plat_sched_normal();
	if (d->spec->crowds && plat_ncpu() > 1)
		ev_prepare_start(d->loop, &d->rest);
}

/* Before all other callbacks of a turn. */
static void
clock_start(struct daemon *d)
{
	d->now = plat_now();
	ev_check_init(&d->turn, turn_cb);
	ev_set_priority(&d->turn, EV_MAXPRI);
	d->turn.data = d;
	ev_check_start(d->loop, &d->turn);
	ev_set_userdata(d->loop, d);
}

/*
 * The log.
 */

static void
owing_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	if (!log_flush())
		ev_timer_stop(loop, w);
}

static void
log_owes(void *arg)
{
	struct daemon *d = arg;

	ev_timer_again(d->loop, &d->owing);
}

static void
log_start(struct daemon *d)
{
	ev_init(&d->owing, owing_cb);
	d->owing.repeat = (double)LOGKIND_PERIOD / USEC_SEC;
	log_on_owing(log_owes, d);
}

/*
 * Peers.
 */

struct ipc *
daemon_peer(struct daemon *d, enum ipc_role role, uint32_t vm)
{
	size_t i;

	for (i = 0; i < d->npeer; i++)
		if (ipc_peer(d->peer[i]) == role && ipc_vm(d->peer[i]) == vm)
			return d->peer[i];
	return NULL;
}

static void
peer_drop(struct daemon *d, struct ipc *ipc)
{
	size_t i;

	for (i = 0; i < d->npeer && d->peer[i] != ipc; i++)
		continue;
	if (i == d->npeer)
		return; /* its owner is dropping it already */
	d->peer[i] = d->peer[--d->npeer];
	if (d->spec->peer_gone != NULL)
		d->spec->peer_gone(d, ipc);
	ipc_free(ipc);
}

void
daemon_bad_peer(struct daemon *d, struct ipc *ipc, const char *why)
{
	enum ipc_role role = ipc_peer(ipc);
	json_int_t vm = ipc_vm(ipc);

	log_warnx("%s %u broke the protocol: %s", ipc_role_name[role],
	    (unsigned)vm, why);
	/* s%: the length the table allows. */
	ipc_send(d->sup, IPC_BAD_PEER, NULL, 0, "{s:s, s:I, s:s%}", "role",
	    ipc_role_name[role], "vm", vm, "why", why, strnlen(why, WHY_MAX));
	peer_drop(d, ipc);
}

/*
 * Messages.
 */

static void
dispatch(struct daemon *d, const struct ipc_handler *h, size_t n,
    struct ipc *from, struct ipc_msg *m)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (h[i].type != m->type)
			continue;
		h[i].fn(d, from, m);
		return;
	}
	log_debug("%s ignored", ipc_desc[m->type].name);
}

static void
peer_msg(struct ipc *ipc, struct ipc_msg *m)
{
	struct daemon *d = ipc_data(ipc);

	daemon_many(d, 1);
	dispatch(d, d->spec->handler, d->spec->nhandler, ipc, m);
}

/* Our own fault: the link is of no use any more, but nobody is to blame. */
static void
link_lost(struct daemon *d, struct ipc *ipc)
{
	enum ipc_role role = ipc_peer(ipc);
	json_int_t vm = ipc_vm(ipc);

	log_warnx("link to %s %u: %s", ipc_role_name[role], (unsigned)vm,
	    ipc_no_room);
	ipc_send(d->sup, IPC_LINK_LOST, NULL, 0, "{s:s, s:I}", "role",
	    ipc_role_name[role], "vm", vm);
	peer_drop(d, ipc);
}

static void
peer_ended(struct ipc *ipc, const char *why)
{
	struct daemon *d = ipc_data(ipc);

	if (why == ipc_no_room)
		link_lost(d, ipc);
	else if (why != NULL)
		daemon_bad_peer(d, ipc, why);
	else
		peer_drop(d, ipc);
}

static const struct ipc_events peer_events = { peer_msg, peer_ended };

static void
on_peer(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	int role = ipc_role_parse(ipc_str(m, "role"));
	uint32_t vm = (uint32_t)ipc_u64(m, "vm");
	struct ipc *ipc;

	if (role == -1 || role == ROLE_MAIN) {
		log_warnx("no such peer: %s", ipc_str(m, "role"));
		return;
	}
	if ((ipc = daemon_peer(d, (enum ipc_role)role, vm)) != NULL)
		peer_drop(d, ipc);
	if (d->npeer == DAEMON_MAXPEERS) {
		log_warnx("too many peers: no link to %s %u",
		    ipc_role_name[role], vm);
		return;
	}
	ipc = ipc_new(d->loop, ipc_take_fd(m, 0), d->spec->role,
	    (enum ipc_role)role, vm, &peer_events, d);
	if (ipc == NULL)
		return;
	d->peer[d->npeer++] = ipc;
	if (d->spec->peer != NULL)
		d->spec->peer(d, ipc);
}

static void
on_peer_gone(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	int role = ipc_role_parse(ipc_str(m, "role"));
	struct ipc *ipc = NULL;

	if (role != -1)
		ipc = daemon_peer(
		    d, (enum ipc_role)role, (uint32_t)ipc_u64(m, "vm"));
	if (ipc != NULL)
		peer_drop(d, ipc);
}

static void
on_log_level(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	enum log_level was = log_get_level();

	log_set_level((enum log_level)ipc_u64(m, "level"));
	if (log_get_level() != was)
		log_debug("log level %d", (int)log_get_level());
}

/* What every daemon does itself; the rest is in its own table. */
static const struct ipc_handler common_handlers[] = {
	{ IPC_PEER, on_peer },
	{ IPC_PEER_GONE, on_peer_gone },
	{ IPC_LOG_LEVEL, on_log_level },
};

#define NCOMMON (sizeof(common_handlers) / sizeof(common_handlers[0]))

static void
sup_msg(struct ipc *ipc, struct ipc_msg *m)
{
	struct daemon *d = ipc_data(ipc);
	size_t i;

	/* Its last words to one that had not begun to listen. */
	if (!d->started)
		return;
	for (i = 0; i < NCOMMON; i++)
		if (common_handlers[i].type == m->type) {
			common_handlers[i].fn(d, ipc, m);
			return;
		}
	dispatch(d, d->spec->handler, d->spec->nhandler, ipc, m);
}

static void
sup_ended(struct ipc *ipc, const char *why)
{
	struct daemon *d = ipc_data(ipc);

	if (why == ipc_no_room) {
		log_warnx("link to the supervisor: %s", why);
		d->status = 1;
	} else if (why != NULL) {
		log_warnx("the supervisor broke the protocol: %s", why);
		d->status = 1;
	}
	d->over = true;
	ev_break(d->loop, EVBREAK_ALL);
}

static const struct ipc_events sup_events = { sup_msg, sup_ended };

/*
 * Start and end.
 */

static void
term_cb(struct ev_loop *loop, struct ev_signal *w, int revents)
{
	ev_break(loop, EVBREAK_ALL);
}

static bool
is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* Everything up to the daemon's own start; what fails here is fatal. */
static void
daemon_init(struct daemon *d)
{
	/* ^C goes to all of the terminal's processes; vpnkit ends us. */
	signal(SIGINT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	if (!is_socket(DAEMON_BUS_FD))
		fatalx("this program is started by vpnkit");
	if (plat_nofile() == -1)
		log_warn("limit of descriptors");
	d->loop = ev_loop_new(plat_ev_backend() | EVFLAG_NOENV);
	if (d->loop == NULL)
		fatalx("no event loop");
	clock_start(d);
	log_start(d);
	d->sup = ipc_new(d->loop, DAEMON_BUS_FD, d->spec->role, ROLE_MAIN, 0,
	    &sup_events, d);
	if (d->sup == NULL)
		fatalx("no bus");
	if (ipc_send(d->sup, IPC_HELLO, NULL, 0, "{s:s, s:I}", "version",
		VPNKIT_VERSION, "pid", (json_int_t)getpid()) == -1)
		fatalx("no hello");
	/*
	 * Now, and not with the loop's first turn: the start may take long.
	 * A supervisor that has gone meanwhile is noticed here.
	 */
	ev_invoke_pending(d->loop);
	if (stats_init(&d->stats, DAEMON_STATS_FD, d->spec->stats_name,
		d->spec->nstats) == -1)
		fatal("counters");
}

static void
daemon_lock(struct daemon *d)
{
	struct sandbox_report rep;
	json_t *layers = json_array();
	size_t i;

	if (sandbox_lock(d->sandbox, &rep) == -1)
		fatalx("no sandbox");
	for (i = 0; i < rep.n; i++)
		json_array_append_new(layers, json_string(rep.layer[i]));
	if (ipc_send(d->sup, IPC_READY, NULL, 0, "{s:o}", "sandbox", layers) ==
	    -1)
		fatalx("not ready");
}

static void
daemon_fini(struct daemon *d)
{
	while (d->npeer > 0)
		peer_drop(d, d->peer[d->npeer - 1]);
	if (d->started && d->spec->stop != NULL)
		d->spec->stop(d);
	ipc_free(d->sup);
	ev_check_stop(d->loop, &d->turn);
	ev_prepare_stop(d->loop, &d->rest);
	ev_idle_stop(d->loop, &d->idle);
	log_on_owing(NULL, NULL);
	ev_timer_stop(d->loop, &d->owing);
	ev_loop_destroy(d->loop);
}

/* The daemon's life, once there is a supervisor to tell it what to do. */
static void
daemon_live(struct daemon *d)
{
	struct ev_signal term;

	ev_signal_init(&term, term_cb, SIGTERM);
	ev_signal_start(d->loop, &term);
	if (d->spec->start != NULL && d->spec->start(d) == -1)
		fatalx("cannot start");
	d->started = true;
	spin_start(d);
	daemon_lock(d);
	ev_run(d->loop, 0);
	ev_signal_stop(d->loop, &term);
}

int
daemon_main(const struct daemon_spec *spec, int argc, char *argv[])
{
	struct daemon *d;
	int status;

	log_init(ipc_role_name[spec->role]);
	plat_name(ipc_role_name[spec->role]);
	if ((d = calloc(1, sizeof(*d))) == NULL)
		fatal("memory");
	d->spec = spec;
	d->sandbox = spec->sandbox;
	daemon_init(d);
	if (!d->over)
		daemon_live(d);
	daemon_fini(d);
	status = d->status;
	free(d);
	return status;
}
