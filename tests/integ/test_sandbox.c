/*
 * What a sandboxed process can do, tried on it.
 *
 *	test_sandbox [path of a daemon ...]
 *
 * Every daemon, and for every role a minimal one that this program contains,
 * is started as the supervisor would.  When it says it is ready, we look at it
 * from outside (user, capabilities, namespaces, root directory) and then, as
 * its debugger, wait until it makes a system call and put another one in its
 * place.  One that is not its role's must kill it with SIGSYS; one that is
 * must work, and the daemon must still end in order afterwards.  Every try has
 * a process of its own.
 *
 * Then once more without root, under a supervisor that is sandboxed itself.
 *
 * Needs root for the debugging.  Does nothing in builds for sanitizers, whose
 * filters let more through.
 */

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>

#include <linux/sockios.h>

#include <bsd/string.h>
#include <ev.h>

#include "common/daemon.h"
#include "common/servtab.h"
#include "common/plat/plat.h"

#include "config.h"
#include "inject.h"

#define NITEMS(a)     (sizeof(a) / sizeof((a)[0]))
#define PATIENCE_SECS 20.
#define SKIP	      77
#define UDP_FD	      6 /* an unconnected UDP socket every child gets */
#define SINLEN	      sizeof(struct sockaddr_in)

/*
 * The minimal daemons: this program again, with "role" and a number.
 */

/* On SIGUSR1 a timer, and with that the end: the loop works in the sandbox. */
static struct ev_signal mini_signal;
static struct ev_timer mini_timer;

static void
mini_timer_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	ev_break(loop, EVBREAK_ALL);
}

static void
mini_signal_cb(struct ev_loop *loop, struct ev_signal *w, int revents)
{
	ev_timer_set(&mini_timer, 0.001, 0.);
	ev_timer_start(loop, &mini_timer);
}

static int
mini_start(struct daemon *d)
{
	ev_timer_init(&mini_timer, mini_timer_cb, 0., 0.);
	ev_signal_init(&mini_signal, mini_signal_cb, SIGUSR1);
	ev_signal_start(d->loop, &mini_signal);
	if (d->spec->sandbox == SANDBOX_RESOLVER &&
	    plat_map_at(
		DAEMON_SERVERS_FD, sizeof(struct servtab), SERVTAB_AT) == NULL)
		return -1;
	return 0;
}

static const struct daemon_spec mini[] = {
	[SANDBOX_READER] = { .role = ROLE_PROXY,
	    .sandbox = SANDBOX_READER,
	    .start = mini_start },
	[SANDBOX_STACK] = { .role = ROLE_STACK,
	    .sandbox = SANDBOX_STACK,
	    .start = mini_start },
	[SANDBOX_RESOLVER] = { .role = ROLE_DNS,
	    .sandbox = SANDBOX_RESOLVER,
	    .start = mini_start },
	[SANDBOX_SERVER] = { .role = ROLE_FRONT,
	    .sandbox = SANDBOX_SERVER,
	    .start = mini_start },
	[SANDBOX_OPENER] = { .role = ROLE_PORT,
	    .sandbox = SANDBOX_OPENER,
	    .start = mini_start },
	[SANDBOX_SUPERVISOR] = { .role = ROLE_ETH,
	    .sandbox = SANDBOX_SUPERVISOR,
	    .start = mini_start },
};

/*
 * The tries.
 */

#define RD  (1u << SANDBOX_READER)
#define ST  (1u << SANDBOX_STACK)
#define SV  (1u << SANDBOX_SERVER)
#define OP  (1u << SANDBOX_OPENER)
#define SUP (1u << SANDBOX_SUPERVISOR)
#define RE  (1u << SANDBOX_RESOLVER)
#define ALL (RD | ST | RE | SV | OP)

#define ANY   LONG_MIN /* result: whatever it is */
#define FD_OK LONG_MAX /* result: a descriptor or an address */

/* All that the arguments of a try point to, put on the child's stack. */
struct scratch {
	char path[16];
	struct sockaddr_in addr;
	struct mmsghdr msg;
	struct iovec iov;
	uint64_t argv[2];
	uint64_t value[2];
};

#define IN_SCRATCH(field) (IS_POINTER | offsetof(struct scratch, field))
#define IS_POINTER	  (UINT64_C(1) << 62)

#define PATH   IN_SCRATCH(path)
#define ADDR   IN_SCRATCH(addr)
#define MSG    IN_SCRATCH(msg)
#define ARGV   IN_SCRATCH(argv)
#define VALUE  IN_SCRATCH(value)
#define MINUS  (uint64_t) - 1
#define SERVER (SERVTAB_AT + sizeof(struct servtab_place))

/* clang-format off */
static const struct try {
	const char *what;
	unsigned dies, lives; /* bits of roles it kills, and can do it */
	long nr;
	uint64_t arg[INJECT_NARGS];
	long want; /* where it can: ANY, FD_OK, or the result */
} tries[] = {
	{ "getpid", 0, ALL | SUP, SYS_getpid, { 0 }, ANY },
	{ "openat", ALL, SUP, SYS_openat, { MINUS, PATH, O_RDONLY }, FD_OK },
	{ "execve", ALL, 0, SYS_execve, { PATH, ARGV, 0 }, ANY },
	{ "clone", ALL, 0, SYS_clone, { SIGCHLD }, ANY },
	{ "unshare", ALL, 0, SYS_unshare, { CLONE_NEWUSER }, ANY },
	{ "ptrace", ALL | SUP, 0, SYS_ptrace, { PTRACE_TRACEME }, ANY },
	{ "process_vm_readv", ALL | SUP, 0, SYS_process_vm_readv, { 1 }, ANY },
	{ "bpf", ALL | SUP, 0, SYS_bpf, { 0 }, ANY },
	{ "keyctl", ALL | SUP, 0, SYS_keyctl, { 0 }, ANY },
	{ "io_uring_setup", ALL | SUP, 0, SYS_io_uring_setup, { 1 }, ANY },
	{ "kill", ALL, 0, SYS_kill, { MINUS, 0 }, ANY },
	{ "memfd_create", ALL, SUP, SYS_memfd_create, { PATH, 0 }, FD_OK },
	{ "mmap", 0, ALL, SYS_mmap, { 0, 4096, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, MINUS, 0 }, FD_OK },
	{ "mmap PROT_EXEC", ALL, SUP, SYS_mmap, { 0, 4096,
	    PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, MINUS, 0 },
	    FD_OK },
	{ "mprotect PROT_EXEC", ALL, 0, SYS_mprotect,
	    { 0, 0, PROT_READ | PROT_EXEC }, ANY },
	{ "socket AF_INET", RD | ST | RE | SV, OP, SYS_socket,
	    { AF_INET, SOCK_STREAM, 0 }, FD_OK },
	{ "socket AF_INET6", RD | ST | RE | SV, OP, SYS_socket,
	    { AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, IPPROTO_UDP }, ANY },
	{ "socket AF_UNIX", RD | ST | RE | SV, OP, SYS_socket,
	    { AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0 }, FD_OK },
	{ "socket AF_NETLINK", ALL, 0, SYS_socket,
	    { AF_NETLINK, SOCK_DGRAM, 0 }, ANY },
	{ "socket AF_PACKET", ALL, 0, SYS_socket,
	    { AF_PACKET, SOCK_DGRAM, 0 }, ANY },
	{ "socket SOCK_RAW", ALL, 0, SYS_socket,
	    { AF_INET, SOCK_RAW, IPPROTO_ICMP }, ANY },
	{ "bind", RD | ST | RE | SV, OP, SYS_bind, { UDP_FD, ADDR, SINLEN }, 0 },
	{ "connect", RD | ST | RE | SV, OP, SYS_connect, { UDP_FD, ADDR, SINLEN }, 0 },
	{ "connect to a server", 0, RE, SYS_connect,
	    { UDP_FD, SERVER, SERVTAB_LEN }, 0 },
	{ "connect to none", 0, RE, SYS_connect,
	    { UDP_FD, SERVTAB_AT, SERVTAB_LEN }, 0 },
	{ "connect to a part of a server", RE, 0, SYS_connect,
	    { UDP_FD, SERVER + 2, SERVTAB_LEN }, ANY },
	{ "connect to less of a server", RE, 0, SYS_connect,
	    { UDP_FD, SERVER, SINLEN }, ANY },
	{ "connect behind the servers", RE, 0, SYS_connect,
	    { UDP_FD, SERVTAB_AT + sizeof(struct servtab), SERVTAB_LEN }, ANY },
	{ "connect far above the servers", RE, 0, SYS_connect,
	    { UDP_FD, SERVER | UINT64_C(1) << 32, SERVTAB_LEN }, ANY },
	{ "mmap over the servers", RE, 0, SYS_mmap, { SERVTAB_AT, 4096,
	    PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
	    MINUS, 0 }, ANY },
	{ "munmap the servers", RE, 0, SYS_munmap, { SERVTAB_AT, 4096 }, ANY },
	{ "munmap from below the servers", RE, 0, SYS_munmap,
	    { SERVTAB_AT - 4096, 8192 }, ANY },
	{ "munmap", 0, RE, SYS_munmap, { UINT64_C(1) << 32, 4096 }, 0 },
	{ "mremap the servers", RE, 0, SYS_mremap,
	    { SERVTAB_AT, 4096, 8192, MREMAP_MAYMOVE }, ANY },
	{ "mremap over the servers", RE, 0, SYS_mremap, { UINT64_C(1) << 32,
	    4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, SERVTAB_AT }, ANY },
	{ "mremap", 0, RE, SYS_mremap,
	    { UINT64_C(1) << 32, 4096, 8192, MREMAP_MAYMOVE }, -EFAULT },
	{ "mprotect the servers", 0, RE, SYS_mprotect,
	    { SERVTAB_AT, 4096, PROT_READ | PROT_WRITE }, -EACCES },
	{ "getrandom into the servers", 0, RE, SYS_getrandom,
	    { SERVTAB_AT, 16, 0 }, -EFAULT },
	{ "sendto with an address", ALL, 0, SYS_sendto,
	    { UDP_FD, PATH, 1, MSG_DONTWAIT, ADDR, SINLEN }, ANY },
	{ "sendto without an address", 0, ALL, SYS_sendto,
	    { UDP_FD, PATH, 1, MSG_DONTWAIT, 0, 0 }, -EDESTADDRREQ },
	{ "sendmsg", RD | ST | RE | SV, OP, SYS_sendmsg,
	    { UDP_FD, MSG, MSG_DONTWAIT }, ANY },
	{ "sendmmsg", RD | ST | RE | SV, OP, SYS_sendmmsg,
	    { UDP_FD, MSG, 1, MSG_DONTWAIT }, ANY },
	{ "socketpair", ST | RE | SV, RD | OP, SYS_socketpair,
	    { AF_UNIX, SOCK_STREAM, 0, VALUE }, 0 },
	{ "accept4", ST | RE, RD | SV | OP, SYS_accept4, { UDP_FD, 0, 0, 0 },
	    -EOPNOTSUPP },
	{ "setsockopt SO_SNDBUF", 0, ALL, SYS_setsockopt,
	    { UDP_FD, SOL_SOCKET, SO_SNDBUF, VALUE, 4 }, 0 },
	{ "setsockopt IP_OPTIONS", RD | ST | RE | SV, 0, SYS_setsockopt,
	    { UDP_FD, IPPROTO_IP, IP_OPTIONS, VALUE, 8 }, ANY },
	{ "setsockopt SO_BINDTODEVICE", RD | ST | RE | SV, 0, SYS_setsockopt,
	    { UDP_FD, SOL_SOCKET, SO_BINDTODEVICE, VALUE, 8 }, ANY },
	{ "ioctl SIOCGIFCONF", ALL, 0, SYS_ioctl,
	    { UDP_FD, SIOCGIFCONF, VALUE }, ANY },
	{ "setrlimit", ALL, 0, SYS_prlimit64,
	    { 0, RLIMIT_NOFILE, VALUE, 0 }, ANY },
	{ "sched_setscheduler SCHED_BATCH", SV, RD | ST | RE | OP,
	    SYS_sched_setscheduler, { 0, SCHED_BATCH, VALUE }, ANY },
	{ "sched_setscheduler SCHED_FIFO", ALL, 0, SYS_sched_setscheduler,
	    { 0, SCHED_FIFO, VALUE }, ANY },
	{ "sched_setscheduler of another", ALL, 0, SYS_sched_setscheduler,
	    { 1, SCHED_BATCH, VALUE }, ANY },
};
/* clang-format on */

_Static_assert(sizeof(struct scratch) <= INJECT_SCRATCH, "it fits");

/* As it is at the address `at` of the child. */
static struct scratch
make_scratch(uint64_t at)
{
	struct scratch s;

	memset(&s, 0, sizeof(s));
	strlcpy(s.path, "/etc/passwd", sizeof(s.path));
	s.addr.sin_family = AF_INET;
	s.addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s.addr.sin_port = 0;
	s.iov.iov_base = (void *)(uintptr_t)at;
	s.iov.iov_len = 1;
	s.msg.msg_hdr.msg_iov =
	    (void *)(uintptr_t)(at + offsetof(struct scratch, iov));
	s.msg.msg_hdr.msg_iovlen = 1;
	s.argv[0] = at;
	s.value[0] = 4096;
	return s;
}

/*
 * Children.
 */

struct target {
	const char *name;
	const char *path; /* NULL: the minimal one */
	enum ipc_role role;
	enum sandbox_role sandbox;
};

struct child {
	pid_t pid;
	struct ev_loop *loop;
	struct ipc *bus;
	bool ready, gone;
	char layer[SANDBOX_MAXLAYERS][32];
	size_t nlayer;
};

static void
on_msg(struct ipc *ipc, struct ipc_msg *m)
{
	struct child *c = ipc_data(ipc);
	size_t i;

	if (m->type != IPC_READY)
		return;
	c->ready = true;
	c->nlayer = ipc_nstr(m, "sandbox");
	if (c->nlayer > SANDBOX_MAXLAYERS)
		errx(1, "too many layers");
	for (i = 0; i < c->nlayer; i++)
		strlcpy(c->layer[i], ipc_strat(m, "sandbox", i),
		    sizeof(c->layer[i]));
}

static void
on_gone(struct ipc *ipc, const char *why)
{
	struct child *c = ipc_data(ipc);

	c->gone = true;
}

static const struct ipc_events events = { on_msg, on_gone };

static void
on_patience(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	errx(1, "not ready after %g s", PATIENCE_SECS);
}

static void
await_ready(struct child *c)
{
	struct ev_timer t;

	ev_timer_init(&t, on_patience, PATIENCE_SECS, 0.);
	ev_timer_start(c->loop, &t);
	while (!c->ready && !c->gone)
		ev_run(c->loop, EVRUN_ONCE);
	ev_timer_stop(c->loop, &t);
}

/* With one server, for who resolves; -1: it gets none. */
static int
servers_file(const struct target *t)
{
	struct sockaddr_storage ss = { 0 };
	struct sockaddr_in *sin = (struct sockaddr_in *)&ss;
	struct servtab *tab;
	int fd, ro;

	if (t->sandbox != SANDBOX_RESOLVER)
		return -1;
	if ((fd = plat_memfd("servers", sizeof(*tab))) == -1 ||
	    (ro = plat_memfd_ro(fd)) == -1 ||
	    (tab = mmap(NULL, sizeof(*tab), PROT_READ | PROT_WRITE, MAP_SHARED,
		 fd, 0)) == MAP_FAILED)
		err(1, "servers");
	sin->sin_family = AF_INET;
	sin->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sin->sin_port = htons(53);
	servtab_put(tab, &ss, 1);
	munmap(tab, sizeof(*tab));
	close(fd);
	return ro;
}

static void
child_spawn(struct child *c, const struct target *t)
{
	char num[8], self[] = "role", name[32], front[] = "front";
	char *role = t->role == ROLE_FRONT ? front : NULL;
	char *argv[] = { name, t->path == NULL ? self : role, num, NULL };
	int map[4][2] = { { -1, DAEMON_BUS_FD }, { -1, DAEMON_STATS_FD },
		{ -1, UDP_FD }, { servers_file(t), DAEMON_SERVERS_FD } };
	struct plat_spawn sp = { t->path, argv, (const int(*)[2])map, 4, true };
	int sv[2];

	memset(c, 0, sizeof(*c));
	if (t->path == NULL)
		sp.path = "/proc/self/exe";
	strlcpy(name, t->name, sizeof(name));
	snprintf(num, sizeof(num), "%d", (int)t->sandbox);
	if (plat_socketpair(SOCK_STREAM, sv) == -1 ||
	    (map[1][0] = plat_memfd("stats", STATS_BYTES)) == -1 ||
	    (map[2][0] = socket(AF_INET, SOCK_DGRAM, 0)) == -1)
		err(1, "descriptors");
	map[0][0] = sv[1];
	if ((c->pid = plat_spawn(&sp)) == -1)
		err(1, "%s", sp.path);
	close(sv[1]);
	close(map[1][0]);
	close(map[2][0]);
	if (map[3][0] != -1)
		close(map[3][0]);
	if ((c->loop = ev_loop_new(EVFLAG_AUTO)) == NULL ||
	    (c->bus = ipc_new(
		 c->loop, sv[0], ROLE_MAIN, t->role, 0, &events, c)) == NULL)
		errx(1, "bus");
	await_ready(c);
	if (!c->ready)
		errx(1, "%s: ended before it was ready", t->name);
}

/* Lets it end, unless it has.  Its wait status. */
static int
child_end(struct child *c, bool ended, int status)
{
	ipc_free(c->bus);
	ev_loop_destroy(c->loop);
	if (!ended && waitpid(c->pid, &status, 0) == -1)
		err(1, "waitpid");
	return status;
}

static const char *
status_text(int status)
{
	static char buf[64];

	if (WIFSIGNALED(status))
		snprintf(buf, sizeof(buf), "killed by SIG%s",
		    sigabbrev_np(WTERMSIG(status)));
	else
		snprintf(buf, sizeof(buf), "exit %d", WEXITSTATUS(status));
	return buf;
}

/*
 * One try.
 */

static bool
inject(pid_t pid, const struct try *t, long *res, int *status)
{
	uint64_t arg[INJECT_NARGS], at = inject_scratch(pid);
	struct scratch s = make_scratch(at);
	int i;

	inject_poke(pid, at, &s, sizeof(s));
	for (i = 0; i < INJECT_NARGS; i++) {
		arg[i] = t->arg[i];
		if (arg[i] != MINUS && (arg[i] & IS_POINTER) != 0)
			arg[i] = at + (arg[i] & ~IS_POINTER);
	}
	return inject_call(pid, t->nr, arg, res, status);
}

static bool
as_wanted(long res, long want)
{
	if (want == ANY)
		return true;
	return want == FD_OK ? res >= 0 : res == want;
}

/* Whether it went as it must. */
static bool
try_call(const struct target *t, const struct try *try)
{
	bool must_die = (try->dies & (1u << t->sandbox)) != 0, lived, ok;
	struct child c;
	long res = 0;
	int status;

	child_spawn(&c, t);
	if (inject_catch(c.pid) == -1) {
		printf("SKIP: ptrace is not permitted here\n");
		exit(SKIP);
	}
	lived = inject(c.pid, try, &res, &status);
	status = child_end(&c, !lived, status);
	if (must_die)
		ok =
		    !lived && WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
	else
		ok = lived && as_wanted(res, try->want) && status == 0;
	if (!lived)
		printf("%s: %s: %s", t->name, try->what, status_text(status));
	else
		printf("%s: %s: %ld, then %s", t->name, try->what, res,
		    status_text(status));
	printf("%s\n", ok ? "" : "   <-- WRONG");
	fflush(stdout);
	return ok;
}

/*
 * What is seen of it.
 */

static bool
has_layer(const struct child *c, const char *layer)
{
	size_t i;

	for (i = 0; i < c->nlayer; i++)
		if (strcmp(c->layer[i], layer) == 0)
			return true;
	return false;
}

static bool
reports(const struct target *t, const struct child *c)
{
	static const char *const all[] = { "no-new-privs", "undumpable",
		"rlimits", "seccomp" };
	static const char *const daemons[] = { "user-ns", "mount-ns", "pid-ns",
		"ipc-ns", "uts-ns", "cgroup-ns", "no-caps",
		"unprivileged-user" };
	bool ok = true;
	size_t i;

	for (i = 0; i < NITEMS(all); i++)
		ok = ok && has_layer(c, all[i]);
	if (t->sandbox != SANDBOX_SUPERVISOR)
		for (i = 0; i < NITEMS(daemons); i++)
			ok = ok && has_layer(c, daemons[i]);
	if (t->sandbox != SANDBOX_OPENER && t->sandbox != SANDBOX_SUPERVISOR)
		ok = ok && has_layer(c, "net-ns");
	printf("%s: reports", t->name);
	for (i = 0; i < c->nlayer; i++)
		printf(" %s", c->layer[i]);
	printf("%s\n", ok ? "" : "   <-- WRONG: not all");
	return ok;
}

/* One line of /proc/<pid>/status, as it must be. */
static bool
status_says(pid_t pid, const char *line)
{
	char path[32], buf[8192];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if ((f = fopen(path, "r")) == NULL)
		return false;
	n = fread(buf, 1, sizeof(buf) - 1, f);
	buf[n] = '\0';
	fclose(f);
	return strstr(buf, line) != NULL;
}

static bool
own_ns(pid_t pid, const char *ns)
{
	struct stat ours, its;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/ns/%s", ns);
	if (stat(path, &ours) == -1)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, ns);
	return stat(path, &its) == 0 && its.st_ino != ours.st_ino;
}

static bool
empty_root(pid_t pid)
{
	const struct dirent *e;
	bool empty = true;
	char path[32];
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/root", pid);
	if ((d = opendir(path)) == NULL)
		return false;
	while ((e = readdir(d)) != NULL)
		empty = empty && e->d_name[0] == '.';
	closedir(d);
	return empty;
}

static bool
said(const struct target *t, const char *what, bool ok)
{
	printf("%s: seen from outside: %s%s\n", t->name, what,
	    ok ? "" : "   <-- WRONG: not so");
	return ok;
}

/* Believes nothing of the report. */
static bool
looks(const struct target *t, pid_t pid)
{
	static const struct {
		const char *what, *line;
	} lines[] = {
		{ "a filter", "\nSeccomp:\t2\n" },
		{ "no new privileges", "\nNoNewPrivs:\t1\n" },
		{ "no capabilities", "\nCapPrm:\t0000000000000000\n" },
		{ "none in effect", "\nCapEff:\t0000000000000000\n" },
		{ "none in bounds", "\nCapBnd:\t0000000000000000\n" },
		{ "no groups", "\nGroups:\t \n" },
	};
	static const char *const ns[] = { "user", "mnt", "pid", "ipc", "uts",
		"cgroup" };
	bool ok = true;
	size_t i;

	if (t->sandbox == SANDBOX_SUPERVISOR)
		return said(t, "a filter", status_says(pid, lines[0].line));
	for (i = 0; i < NITEMS(lines); i++)
		ok &= said(t, lines[i].what, status_says(pid, lines[i].line));
	ok &= said(t, "not root", !status_says(pid, "\nUid:\t0\t"));
	for (i = 0; i < NITEMS(ns); i++)
		ok &= said(t, ns[i], own_ns(pid, ns[i]));
	if (t->sandbox != SANDBOX_OPENER)
		ok &= said(t, "net", own_ns(pid, "net"));
	else
		ok &= said(t, "the host's net", !own_ns(pid, "net"));
	return ok & said(t, "an empty root", empty_root(pid));
}

/* Only the minimal ones know the signal.  PID 1 ignores those it does not. */
static bool
try_loop(const struct target *t)
{
	struct child c;
	int status;

	child_spawn(&c, t);
	if (kill(c.pid, SIGUSR1) == -1 || waitpid(c.pid, &status, 0) == -1)
		err(1, "%s", t->name);
	child_end(&c, true, status);
	return said(t, "a signal and a timer", status == 0);
}

static bool
try_target(const struct target *t)
{
	struct child c;
	size_t i;
	bool ok;
	int status;

	child_spawn(&c, t);
	ok = reports(t, &c);
	ok &= looks(t, c.pid);
	status = child_end(&c, false, 0);
	ok &= said(t, status_text(status), status == 0);
	if (t->path == NULL)
		ok &= try_loop(t);
	for (i = 0; i < NITEMS(tries); i++)
		if (((tries[i].dies | tries[i].lives) & 1u << t->sandbox) != 0)
			ok &= try_call(t, &tries[i]);
	return ok;
}

/*
 * Without root: a supervisor in its own sandbox starts one that reads.
 */

static bool
userns_allowed(void)
{
	int status;
	pid_t pid;

	if ((pid = fork()) == 0)
		_exit(unshare(CLONE_NEWUSER) == -1);
	return pid != -1 && waitpid(pid, &status, 0) == pid && status == 0;
}

static _Noreturn void
without_root(uid_t uid)
{
	static const struct target t = {
		"a reader under a sandboxed supervisor", NULL, ROLE_DNS,
		SANDBOX_READER
	};
	struct sandbox_report rep;
	struct child c;
	bool ok;

	if (uid != 0 &&
	    (setgroups(0, NULL) == -1 || setresgid(uid, uid, uid) == -1 ||
		setresuid(uid, uid, uid) == -1))
		err(1, "uid %u", uid);
	if (uid != 0 && !userns_allowed()) {
		printf("not tried: no user namespaces for uid %u here\n", uid);
		exit(0);
	}
	if (sandbox_lock(SANDBOX_SUPERVISOR, &rep) == -1)
		errx(1, "supervisor's sandbox");
	child_spawn(&c, &t);
	printf("uid %u: ", uid);
	ok = reports(&t, &c);
	ok &= said(&t, "ends with the bus", child_end(&c, false, 0) == 0);
	fflush(stdout);
	exit(ok ? 0 : 1);
}

static bool
try_uid(uid_t uid)
{
	int status;
	pid_t pid;

	fflush(stdout);
	if ((pid = fork()) == 0)
		without_root(uid);
	return pid != -1 && waitpid(pid, &status, 0) == pid && status == 0;
}

/*
 * Which is which.
 */

static const struct target minimal[] = {
	{ "a reader", NULL, ROLE_PROXY, SANDBOX_READER },
	{ "a stack", NULL, ROLE_STACK, SANDBOX_STACK },
	{ "a resolver", NULL, ROLE_DNS, SANDBOX_RESOLVER },
	{ "a server", NULL, ROLE_FRONT, SANDBOX_SERVER },
	{ "an opener", NULL, ROLE_PORT, SANDBOX_OPENER },
	{ "a supervisor", NULL, ROLE_ETH, SANDBOX_SUPERVISOR },
};

static const struct target daemons[] = {
	{ "ethd", NULL, ROLE_ETH, SANDBOX_READER },
	{ "netstackd", NULL, ROLE_STACK, SANDBOX_STACK },
	{ "dnsd", NULL, ROLE_DNS, SANDBOX_RESOLVER },
	{ "proxyd", NULL, ROLE_PROXY, SANDBOX_STACK },
	{ "portd", NULL, ROLE_PORT, SANDBOX_OPENER },
	{ "portd", NULL, ROLE_FRONT, SANDBOX_SERVER },
	{ "diagd", NULL, ROLE_DIAG, SANDBOX_READER },
};

/* An executable, in each of its roles. */
static bool
try_daemon(const char *path)
{
	const char *name = strrchr(path, '/');
	struct target t;
	bool ok = true, known = false;
	size_t i;

	name = name != NULL ? name + 1 : path;
	for (i = 0; i < NITEMS(daemons); i++) {
		if (strcmp(daemons[i].name, name) != 0)
			continue;
		known = true;
		t = daemons[i];
		t.path = path;
		ok &= try_target(&t);
	}
	if (!known)
		errx(1, "what is %s?", path);
	return ok;
}

int
main(int argc, char *argv[])
{
	bool ok = true;
	size_t k;
	int i;

	if (argc == 3 && strcmp(argv[1], "role") == 0)
		return daemon_main(&mini[atoi(argv[2])], argc, argv);
	if (SANITIZER_CALLS) {
		printf("SKIP: a build for sanitizers has wider filters\n");
		return SKIP;
	}
	if (geteuid() != 0) {
		printf("SKIP: needs root, to debug the daemons\n");
		return SKIP;
	}
	signal(SIGPIPE, SIG_IGN);
	for (k = 0; k < NITEMS(minimal); k++)
		ok &= try_target(&minimal[k]);
	for (i = 1; i < argc; i++)
		ok &= try_daemon(argv[i]);
	ok &= try_uid(0);
	ok &= try_uid(65534);
	return ok ? 0 : 1;
}
