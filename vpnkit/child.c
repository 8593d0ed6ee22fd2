/*
 * Starting, watching and ending daemons.  child_fsm.h has the states.
 *
 * A daemon has died when its process was reaped; that its link is gone is
 * often known a moment earlier, and then the others are told at once.
 */

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bsd/string.h>

#include "common/daemon.h"
#include "common/dnstab.h"
#include "common/flowtab.h"
#include "common/ipc_wire.h"
#include "common/log.h"
#include "common/nitems.h"
#include "common/plat/plat.h"
#include "common/servtab.h"
#include "common/tape.h"
#include "config.h"

#include "child.h"

#define START_SECS  10. /* to say ready: looked at so often, */
#define START_LOOKS 3	/* as what stopped it may have stopped us */
#define STOP_SECS   5.	/* to end by itself */
#define ASK_USEC                                                               \
	(USEC_SEC / 2)	   /* between two questions, however many ask us       \
			    */
#define HANG_USEC USEC_SEC /* without a look at the bus: it hangs */

static void child_link_msg(struct ipc *, struct ipc_msg *);
static void child_link_gone(struct ipc *, const char *);

static const struct ipc_events link_events = {
	.msg = child_link_msg,
	.gone = child_link_gone,
};

/* The only writer of a child's state.  -1: no such edge. */
static int
child_event(struct child *c, enum child_event e)
{
	enum child_state next = child_next(c->state, e);

	if (next == CHILD_NONE) {
		log_warnx("%s: %s while %s", c->name, child_event_name[e],
		    child_state_name[c->state]);
		return -1;
	}
	c->state = next;
	return 0;
}

static void
timer_set(struct child *c, double secs)
{
	ev_timer_stop(c->all->loop, &c->timer);
	ev_timer_set(&c->timer, secs, 0.);
	ev_timer_start(c->all->loop, &c->timer);
}

/* Whether there is a program of that name in dir; its path is in buf. */
static int
program_in(const char *dir, const char *name, char *buf, size_t len)
{
	size_t n;

	n = strlcpy(buf, dir, len);
	if (n < len)
		n = strlcat(buf, "/", len);
	if (n < len)
		n = strlcat(buf, name, len);
	if (n >= len) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return access(buf, X_OK);
}

/* The executable: front is a role of portd's. */
static const char *
program_name(enum ipc_role role)
{
	return ipc_role_name[role == ROLE_FRONT ? ROLE_PORT : role];
}

/*
 * In a build tree each daemon lies in a folder of its name beside ours.  Where
 * the link to our own executable does not exist, only installed ones count.
 */
int
child_path(
    const struct children *all, enum ipc_role role, char *buf, size_t len)
{
	const char *name = program_name(role);
	char dir[PATH_MAX], *slash;
	ssize_t n;

	if (all->libexec != NULL)
		return program_in(all->libexec, name, buf, len);
	n = readlink("/proc/self/exe", dir, sizeof(dir) - 1);
	dir[n > 0 ? n : 0] = '\0';
	if ((slash = strrchr(dir, '/')) != NULL) {
		*slash = '\0';
		if (strlcat(dir, "/../", sizeof(dir)) < sizeof(dir) &&
		    strlcat(dir, name, sizeof(dir)) < sizeof(dir) &&
		    program_in(dir, name, buf, len) == 0)
			return 0;
	}
	return program_in(VPNKIT_LIBEXECDIR, name, buf, len);
}

static void
close_file(int fd)
{
	if (fd != -1)
		close(fd);
}

/* Of the name servers' addresses: portd writes them.  -1: not for this one. */
static int
servers_file(const struct child *c)
{
	if (c->all->servers_fd == -1)
		return -1;
	if (c->role == ROLE_PORT)
		return fcntl(c->all->servers_fd, F_DUPFD_CLOEXEC, 0);
	return c->role == ROLE_DNS ? plat_memfd_ro(c->all->servers_fd) : -1;
}

/* Its descriptors are the bus, files, and our stderr unless log is one. */
static pid_t
launch(const struct child *c, const char *path, int bus, int log)
{
	int servers = servers_file(c);
	const int fdmap[][2] = { { bus, DAEMON_BUS_FD },
		{ c->stats_fd, DAEMON_STATS_FD },
		{ servers, DAEMON_SERVERS_FD }, { log, STDERR_FILENO } };
	char arg0[32], arg1[32];
	char *argv[] = { arg0, c->role == ROLE_FRONT ? arg1 : NULL, NULL };
	struct plat_spawn sp = { .path = path,
		.argv = argv,
		.fdmap = fdmap,
		.nfdmap = nitems(fdmap),
		.pidns = true,
		.nofile = c->role == ROLE_STACK ? c->all->stack_fds : 0 };
	pid_t pid;

	snprintf(arg0, sizeof(arg0), "%s", program_name(c->role));
	snprintf(arg1, sizeof(arg1), "%s", ipc_role_name[c->role]);
	pid = plat_spawn(&sp);
	close_file(servers);
	return pid;
}

/* Who it is, for a record of the log. */
static const struct logfrom *
log_from(void *arg)
{
	const struct child *c = arg;
	static struct logfrom from;

	from = (struct logfrom){ c->name, ipc_role_name[c->role], c->vm,
		c->uuid, c->address, c->pid };
	return &from;
}

/* The process and our end of its link.  -1: neither, logged. */
static int
child_spawn(struct child *c)
{
	char path[PATH_MAX];
	pid_t pid = -1;
	int sv[2], log;

	if (child_path(c->all, c->role, path, sizeof(path)) == -1 ||
	    plat_socketpair(SOCK_STREAM, sv) == -1) {
		log_warn("%s: cannot start %s", c->name, path);
		return -1;
	}
	log = logpipe_open(&c->log, c->all->log, c->all->loop, log_from, c);
	pid = launch(c, path, sv[1], log);
	close_file(log);
	close(sv[1]);
	if (pid == -1) {
		log_warn("%s: cannot start %s", c->name, path);
		logpipe_close(&c->log);
		close(sv[0]);
		return -1;
	}
	c->pid = pid;
	/* Should this fail, the daemon ends, and its death is seen. */
	c->ipc = ipc_new(
	    c->all->loop, sv[0], ROLE_MAIN, c->role, c->vm, &link_events, c);
	if (c->ipc != NULL)
		ipc_hold(c->ipc);
	return 0;
}

/* Waits for the next try, which follows an early death. */
static void
back_off(struct child *c)
{
	double secs = child_backoff_ms(c->early) / 1000.;

	if (secs > 0)
		log_warnx("%s: starting it again in %.1f s", c->name, secs);
	timer_set(c, secs);
}

static void
try_start(struct child *c)
{
	c->spawned = plat_now();
	c->doomed = false;
	if (child_spawn(c) == -1) {
		c->early++;
		if (child_event(c, CHILDE_FAILED) == 0)
			back_off(c);
		return;
	}
	child_event(c, CHILDE_SPAWNED);
	c->starts++;
	c->nsandbox = 0;
	c->looks = START_LOOKS;
	timer_set(c, START_SECS);
	log_debug("%s: started, pid %d", c->name, (int)c->pid);
	if (c->ipc != NULL)
		c->all->ev->started(c);
}

static void
timer_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct child *c = w->data;

	switch (c->state) {
	case CHILD_BACKOFF:
		try_start(c);
		break;
	case CHILD_STARTING:
		if (--c->looks > 0)
			timer_set(c, START_SECS);
		else
			child_kill(c, "hangs at start");
		break;
	case CHILD_STOPPING:
		child_kill(c, "does not stop");
		break;
	default:
		break;
	}
}

/* No link any more: the others are told. */
static void
child_cut(struct child *c)
{
	if (c->ipc == NULL)
		return;
	ipc_free(c->ipc);
	c->ipc = NULL;
	c->all->ev->gone(c);
}

static void
child_link_msg(struct ipc *ipc, struct ipc_msg *m)
{
	struct child *c = ipc_data(ipc);

	/* What it said before it was killed may still be coming in. */
	if (!c->doomed)
		c->all->ev->msg(c, m);
}

static void
child_link_gone(struct ipc *ipc, const char *why)
{
	struct child *c = ipc_data(ipc);

	child_cut(c);
	if (why != NULL) {
		child_kill(c, why);
		return;
	}
	/* It is dying already, or lives on without us, which must not be. */
	if (c->pid > 0)
		kill(c->pid, SIGKILL);
}

/* What it died of, for the log and for who asks later. */
static void
note_death(struct child *c, int status)
{
	char was[sizeof(c->why)];
	int sig;

	strlcpy(was, c->doomed ? c->why : "", sizeof(was));
	if (!WIFSIGNALED(status)) {
		snprintf(c->why, sizeof(c->why), "ended with status %d",
		    WEXITSTATUS(status));
		return;
	}
	sig = WTERMSIG(status);
	if (sig == SIGSYS)
		strlcpy(c->why,
		    "was killed by the sandbox: forbidden system call",
		    sizeof(c->why));
	else if (was[0] != '\0' && sig == SIGKILL)
		strlcpy(c->why, was, sizeof(c->why));
	else
		snprintf(c->why, sizeof(c->why), "was killed by signal %d, %s",
		    sig, strsignal(sig));
}

static void
log_death(const struct child *c, int pid, int status)
{
	int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	if (sig != 0 && sig != SIGSYS)
		log_warnx("%s (pid %d) was killed by signal %d, %s", c->name,
		    pid, sig, strsignal(sig));
	else
		log_warnx("%s (pid %d) %s", c->name, pid, c->why);
	if (c->tape_fd != -1)
		log_info("%s: its last packets are kept: vpnkit-status capture "
			 "--last --vm %u",
		    c->name, (unsigned)c->vm);
}

static void
child_died(struct child *c, int status)
{
	bool stopping = c->state == CHILD_STOPPING;
	usec_t lived = plat_now() - c->spawned;

	logpipe_close(
	    &c->log); /* what it said comes before what is said of it */
	if (!stopping || (status != 0 && WIFEXITED(status))) {
		note_death(c, status);
		log_death(c, (int)c->pid, status);
	}
	ev_timer_stop(c->all->loop, &c->timer);
	c->pid = 0;
	child_cut(c);
	if (child_event(c, CHILDE_DEATH) == -1)
		return;
	if (stopping) {
		c->early = 0;
		if (c->wanted)
			try_start(c);
		else
			c->all->ev->down(c);
		return;
	}
	c->early = lived < CHILD_QUIET_MS * USEC_MS ? c->early + 1 : 1;
	back_off(c);
}

void
children_reap(struct children *all)
{
	struct child *c;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		TAILQ_FOREACH (c, &all->list, entry) {
			if (c->pid == pid)
				break;
		}
		if (c != NULL)
			child_died(c, status);
	}
}

void
child_start(struct child *c)
{
	c->wanted = true;
	if (c->state == CHILD_DOWN)
		try_start(c);
}

void
child_stop(struct child *c)
{
	c->wanted = false;
	if (c->state == CHILD_DOWN) {
		c->all->ev->down(c);
		return;
	}
	if (c->state == CHILD_STOPPING || child_event(c, CHILDE_STOP) == -1)
		return;
	child_cut(c);
	ev_timer_stop(c->all->loop, &c->timer);
	if (c->state == CHILD_DOWN)
		c->all->ev->down(c);
	else
		timer_set(c, STOP_SECS);
}

void
child_kill(struct child *c, const char *why)
{
	if (c->pid <= 0 || c->doomed)
		return;
	c->doomed = true;
	strlcpy(c->why, why, sizeof(c->why));
	log_warnx("%s (pid %d) %s: killing it", c->name, (int)c->pid, why);
	kill(c->pid, SIGKILL);
}

void
child_ready(struct child *c, const struct ipc_msg *m)
{
	size_t i, n = ipc_nstr(m, "sandbox");

	if (child_event(c, CHILDE_READY) == -1) {
		child_kill(c, "said ready twice");
		return;
	}
	ev_timer_stop(c->all->loop, &c->timer);
	for (i = 0; i < n && i < SANDBOX_MAXLAYERS; i++)
		strlcpy(c->sandbox[i], ipc_strat(m, "sandbox", i),
		    sizeof(c->sandbox[i]));
	c->nsandbox = i;
}

int
child_level(const struct child *c)
{
	return c->log_level != -1 ? c->log_level : c->all->log_level;
}

void
child_log_level(struct child *c, int level)
{
	c->log_level = level;
	if (c->ipc == NULL)
		return;
	ipc_send(c->ipc, IPC_LOG_LEVEL, NULL, 0, "{s:I}", "level",
	    (json_int_t)child_level(c));
}

const char *
child_seems(struct child *c)
{
	usec_t now = plat_now();

	if (c->state != CHILD_UP || c->ipc == NULL)
		return child_state_name[c->state];
	if (plat_stopped(c->pid))
		return "stopped";
	if (plat_unread(ipc_fd(c->ipc)) != 0)
		return now - c->asked > HANG_USEC ? "hangs"
						  : child_state_name[c->state];
	if (now - c->asked >= ASK_USEC) {
		/* What it knows already; that it is read is what matters. */
		c->asked = now;
		child_log_level(c, c->log_level);
	}
	return child_state_name[c->state];
}

struct child *
child_named(const struct children *all, const char *name)
{
	struct child *c;

	TAILQ_FOREACH (c, &all->list, entry) {
		if (strcmp(c->name, name) == 0)
			return c;
	}
	return NULL;
}

/*
 * Counters.
 */

static int
stats_open(struct child *c)
{
	void *p;

	if ((c->stats_fd = plat_memfd(c->name, STATS_BYTES)) == -1)
		return -1;
	p = mmap(NULL, STATS_BYTES, PROT_READ, MAP_SHARED, c->stats_fd, 0);
	if (p == MAP_FAILED)
		return -1;
	c->stats = p;
	return 0;
}

/* What a stack lets others see; without it, it works all the same. */
static void
records_open(struct child *c)
{
	if (c->role == ROLE_DNS &&
	    (c->queries_fd = plat_memfd("queries", DNSTAB_BYTES)) == -1)
		log_warn("%s: queries cannot be shown", c->name);
	if (c->role != ROLE_STACK)
		return;
	c->flows_fd = plat_memfd("flows", FLOWTAB_BYTES);
	c->tape_fd = plat_memfd("tape", tape_bytes(c->all->snaplen));
	if (c->flows_fd == -1 || c->tape_fd == -1)
		log_warn("%s: flows and packets cannot be shown", c->name);
}

void
child_send_records(struct child *c)
{
	int fd[2];

	if (c->queries_fd != -1 &&
	    (fd[0] = fcntl(c->queries_fd, F_DUPFD_CLOEXEC, 0)) != -1)
		ipc_send(c->ipc, IPC_RECORDS, fd, 1, "{s:i}", "snaplen", 0);
	if (c->flows_fd == -1 || c->tape_fd == -1)
		return;
	fd[0] = fcntl(c->flows_fd, F_DUPFD_CLOEXEC, 0);
	fd[1] = fcntl(c->tape_fd, F_DUPFD_CLOEXEC, 0);
	if (fd[0] != -1 && fd[1] != -1)
		ipc_send(c->ipc, IPC_RECORDS, fd, 2, "{s:I}", "snaplen",
		    (json_int_t)c->all->snaplen);
	else
		ipc_close_fds(fd, 2);
}

#define COUNTER_LINE 1800 /* what a log line holds */

/* The daemon writes this file: nothing in it is taken at its word. */
static void
log_counters(const struct child *c)
{
	uint32_t i, n = __atomic_load_n(&c->stats->n, __ATOMIC_ACQUIRE);
	char line[COUNTER_LINE];
	size_t used = 0;
	uint64_t v;

	for (i = 0; i < n && i < STATS_MAX; i++) {
		v = __atomic_load_n(&c->stats->value[i], __ATOMIC_RELAXED);
		if (v == 0)
			continue;
		used += (size_t)snprintf(line + used, sizeof(line) - used,
		    " %.*s=%llu", STATS_NAMELEN, c->stats->name[i],
		    (unsigned long long)v);
		if (sizeof(line) - used > STATS_NAMELEN + 32)
			continue;
		log_report("counters %s:%s", c->name, line);
		used = 0;
	}
	if (used > 0)
		log_report("counters %s:%s", c->name, line);
}

void
children_log_counters(const struct children *all)
{
	const struct child *c;

	TAILQ_FOREACH (c, &all->list, entry) {
		log_counters(c);
	}
}

/*
 * The objects.
 */

void
children_init(struct children *all, struct ev_loop *loop,
    const struct child_events *ev, void *data)
{
	memset(all, 0, sizeof(*all));
	all->loop = loop;
	all->ev = ev;
	all->data = data;
	all->log_level = (int)log_get_level();
	all->servers_fd = plat_memfd("servers", sizeof(struct servtab));
	if (all->servers_fd == -1)
		log_warn("name servers are asked more slowly");
	TAILQ_INIT(&all->list);
}

struct child *
child_new(struct children *all, enum ipc_role role, uint32_t vm)
{
	struct child *c;

	if ((c = calloc(1, sizeof(*c))) == NULL) {
		log_warn("%s", ipc_role_name[role]);
		return NULL;
	}
	c->all = all;
	c->role = role;
	c->vm = vm;
	c->state = CHILD_DOWN;
	c->stats_fd = c->flows_fd = c->tape_fd = c->queries_fd = -1;
	c->log_level = -1;
	c->log.fd = -1;
	c->serial = ++all->last_serial;
	snprintf(c->name, sizeof(c->name), vm != 0 ? "%s-%u" : "%s",
	    ipc_role_name[role], (unsigned)vm);
	ev_timer_init(&c->timer, timer_cb, 0., 0.);
	ev_set_priority(&c->timer, TIMER_LATE);
	c->timer.data = c;
	TAILQ_INSERT_TAIL(&all->list, c, entry);
	if (stats_open(c) == -1) {
		log_warn("%s: counters", c->name);
		child_free(c);
		return NULL;
	}
	records_open(c);
	return c;
}

void
child_free(struct child *c)
{
	if (c == NULL)
		return;
	ev_timer_stop(c->all->loop, &c->timer);
	TAILQ_REMOVE(&c->all->list, c, entry);
	ipc_free(c->ipc);
	logpipe_close(&c->log);
	if (c->stats != NULL)
		munmap((void *)(uintptr_t)c->stats, STATS_BYTES);
	close_file(c->stats_fd);
	close_file(c->flows_fd);
	close_file(c->tape_fd);
	close_file(c->queries_fd);
	free(c);
}
