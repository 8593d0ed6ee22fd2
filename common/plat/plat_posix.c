/*
 * The part of plat.h that is the same on every POSIX system: clock, limits,
 * socketpairs and starting children.
 *
 * A child gets exactly the descriptors of its map, stderr, and /dev/null for
 * stdin and stdout.  A number of the map may be one that a later row still
 * wants to pass, so all of them are first duplicated to numbers above the
 * highest one wanted, and only then put in their places.  What fails in the
 * child before or at exec comes back through a pipe that exec closes.
 *
 * There is no "kill me with my parent": a child sees the end of its bus.
 */

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/plat/plat.h"
#include "common/plat/spawn.h"

#define SPAWN_MAXFDS 64

extern char **environ;

usec_t
plat_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (usec_t)ts.tv_sec * USEC_SEC + ts.tv_nsec / 1000;
}

int
plat_ncpu(void)
{
	return (int)sysconf(_SC_NPROCESSORS_ONLN);
}

int
plat_nofile(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == -1)
		return -1;
	if (rl.rlim_cur < rl.rlim_max) {
		rl.rlim_cur = rl.rlim_max;
		/* Some systems take less than they name. */
		if (setrlimit(RLIMIT_NOFILE, &rl) == -1 &&
		    getrlimit(RLIMIT_NOFILE, &rl) == -1)
			return -1;
	}
	return rl.rlim_cur > INT_MAX ? INT_MAX : (int)rl.rlim_cur;
}

static int
set_flags(int fd)
{
	int fl;

	if ((fl = fcntl(fd, F_GETFL)) == -1 ||
	    fcntl(fd, F_SETFL, fl | O_NONBLOCK) == -1)
		return -1;
	return fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/*
 * The protocol of systemd's sd_notify(3): a datagram of lines to the socket
 * that the environment names; '@' begins one without a path.
 */
void
plat_notify(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	size_t n = path != NULL ? strlen(path) : 0;
	int fd;

	if (n < 2 || n >= sizeof(sun.sun_path) ||
	    (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(sun.sun_path, path, n);
	if (path[0] == '@')
		sun.sun_path[0] = '\0';
	if ((fd = socket(AF_UNIX, SOCK_DGRAM, 0)) == -1)
		return;
	if (set_flags(fd) == 0)
		(void)sendto(fd, text, strlen(text), MSG_NOSIGNAL,
		    (struct sockaddr *)&sun,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
	close(fd);
}

usec_t
plat_watchdog(void)
{
	const char *usec = getenv("WATCHDOG_USEC"),
		   *pid = getenv("WATCHDOG_PID");
	char *end;
	long long n;

	if (usec == NULL || (pid != NULL && strtoll(pid, NULL, 10) != getpid()))
		return USEC_NEVER;
	n = strtoll(usec, &end, 10);
	return *end == '\0' && n > 0 ? n : USEC_NEVER;
}

int
plat_unix_connect(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	size_t n = strlen(path);
	int fd, saved;

	if (n >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(sun.sun_path, path, n);
	if ((fd = socket(AF_UNIX, SOCK_STREAM, 0)) == -1)
		return -1;
	if (set_flags(fd) == 0 &&
	    connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

int
plat_socketpair(int type, int sv[2])
{
	int saved;

	if (socketpair(AF_UNIX, type, 0, sv) == -1)
		return -1;
	if (set_flags(sv[0]) == 0 && set_flags(sv[1]) == 0)
		return 0;
	saved = errno;
	close(sv[0]);
	close(sv[1]);
	errno = saved;
	return -1;
}

/*
 * The child.  From here to exec nothing may be called that takes a lock or
 * allocates, and every failure ends in child_fail().
 */

/* What the child says of its end: where and why. */
struct spawn_error {
	bool in_ns; /* while making the namespace: worth another try */
	int err;
};

static _Noreturn void
child_fail(int pipefd, bool in_ns)
{
	struct spawn_error e = { in_ns, errno };
	ssize_t n;

	n = write(pipefd, &e, sizeof(e));
	_exit(n == sizeof(e) ? 127 : 126);
}

static void
child_signals(void)
{
	struct sigaction sa = { .sa_handler = SIG_DFL };
	sigset_t none;
	int i;

	/* Some numbers are not to be changed: that is no failure. */
	for (i = 1; i < NSIG; i++)
		(void)sigaction(i, &sa, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The number above all that the child will have. */
static int
child_above(const struct plat_spawn *sp)
{
	int above = STDERR_FILENO + 1;
	size_t i;

	for (i = 0; i < sp->nfdmap; i++)
		if (sp->fdmap[i][1] >= above)
			above = sp->fdmap[i][1] + 1;
	return above;
}

static int
child_devnull(void)
{
	int fd;

	if ((fd = open("/dev/null", O_RDWR)) == -1 ||
	    dup2(fd, STDIN_FILENO) == -1 || dup2(fd, STDOUT_FILENO) == -1)
		return -1;
	return 0;
}

/* Puts the descriptors in place and keeps no other over exec. */
static int
child_fds(const struct plat_spawn *sp, int above)
{
	int from[SPAWN_MAXFDS];
	size_t i;

	for (i = 0; i < sp->nfdmap; i++) {
		from[i] = fcntl(sp->fdmap[i][0], F_DUPFD_CLOEXEC, above);
		if (from[i] == -1 && sp->fdmap[i][0] != -1)
			return -1;
	}
	if (child_devnull() == -1)
		return -1;
	for (i = 0; i < sp->nfdmap; i++)
		if (from[i] != -1 && dup2(from[i], sp->fdmap[i][1]) == -1)
			return -1;
	if (spawn_cloexec_from(STDERR_FILENO + 1) == -1)
		return -1;
	for (i = 0; i < sp->nfdmap; i++)
		if (from[i] != -1 && fcntl(sp->fdmap[i][1], F_SETFD, 0) == -1)
			return -1;
	return 0;
}

static int
child_nofile(unsigned n)
{
	struct rlimit rl;

	if (n == 0 || getrlimit(RLIMIT_NOFILE, &rl) == -1 || n >= rl.rlim_max)
		return 0;
	rl.rlim_cur = rl.rlim_max = n;
	return setrlimit(RLIMIT_NOFILE, &rl);
}

static _Noreturn void
child_run(const struct plat_spawn *sp, enum spawn_ns ns, int pipefd, uid_t uid,
    gid_t gid)
{
	int above = child_above(sp);
	int up;

	child_signals();
	if ((up = fcntl(pipefd, F_DUPFD_CLOEXEC, above)) == -1)
		child_fail(pipefd, false);
	if (ns == SPAWN_USERNS && spawn_map_ids(uid, gid) == -1)
		child_fail(up, true);
	if (child_fds(sp, above) == 0 && child_nofile(sp->nofile) == 0)
		execve(sp->path, sp->argv, environ);
	child_fail(up, false);
}

/*
 * The parent.
 */

/* Waits for exec.  0, or -1 with the child's errno; then it is reaped. */
static int
await_exec(pid_t pid, int pipefd, bool *in_ns)
{
	struct spawn_error e;
	ssize_t n;

	while ((n = read(pipefd, &e, sizeof(e))) == -1 && errno == EINTR)
		continue;
	if (n == 0)
		return 0;
	while (waitpid(pid, NULL, 0) == -1 && errno == EINTR)
		continue;
	*in_ns = n == sizeof(e) && e.in_ns;
	errno = n == sizeof(e) ? e.err : EIO;
	return -1;
}

/* One try.  *again: only the namespace failed. */
static pid_t
spawn_try(const struct plat_spawn *sp, enum spawn_ns ns, bool *again)
{
	sigset_t all, old;
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int p[2], saved;
	pid_t pid;

	*again = false;
	if (pipe(p) == -1)
		return -1;
	fcntl(p[0], F_SETFD, FD_CLOEXEC);
	fcntl(p[1], F_SETFD, FD_CLOEXEC);
	/* No handler of ours may run in the child. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	if ((pid = spawn_fork(ns)) == 0)
		child_run(sp, ns, p[1], uid, gid);
	saved = errno;
	sigprocmask(SIG_SETMASK, &old, NULL);
	close(p[1]);
	if (pid == -1) {
		*again = ns != SPAWN_PLAIN;
		errno = saved;
	} else if (await_exec(pid, p[0], again) == -1) {
		pid = -1;
	}
	saved = errno;
	close(p[0]);
	errno = saved;
	return pid;
}

pid_t
plat_spawn(const struct plat_spawn *sp)
{
	static const enum spawn_ns order[] = { SPAWN_PIDNS, SPAWN_USERNS,
		SPAWN_PLAIN };
	size_t i = sp->pidns ? 0 : 2;
	bool again;
	pid_t pid;

	if (sp->nfdmap > SPAWN_MAXFDS) {
		errno = EINVAL;
		return -1;
	}
	do
		pid = spawn_try(sp, order[i++], &again);
	while (pid == -1 && again && i < sizeof(order) / sizeof(order[0]));
	return pid;
}
