/*
 * Starting, watching and ending the suite, see suite.h.
 */

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "suite.h"

#define START_MS 120000
#define STOP_MS	 60000
#define LOOK_MS	 10
#define STEADY	 25 /* looks in a row */
#define MAXPROCS 2048
/* portd, its front, proxyd, dnsd and ethd. */
#define NDAEMONS 5

static long
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Between two looks at something that has no event. */
static void
look_again(void)
{
	(void)poll(NULL, 0, LOOK_MS);
}

static void
run(const struct suite *s, const char *exe, const char *const args[])
{
	const char *argv[SUITE_MAXARGS + 12];
	size_t n = 0, i;
	int fd;

	argv[n++] = exe;
	argv[n++] = "--ethernet";
	argv[n++] = s->sock;
	argv[n++] = "--ethernet-qemu";
	argv[n++] = s->qemu;
	for (i = 0; i < 2; i++) {
		argv[n++] = "--ethernet-dgram";
		argv[n++] = s->dgram[i];
	}
	for (i = 0; args != NULL && args[i] != NULL && i < SUITE_MAXARGS; i++)
		argv[n++] = args[i];
	argv[n] = NULL;
	/* A test that dies must not leave it behind. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	fd = open(s->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (fd == -1 || dup2(fd, STDERR_FILENO) == -1 ||
	    dup2(fd, STDOUT_FILENO) == -1)
		_exit(126);
	close(fd);
	execv(exe, (char *const *)(uintptr_t)argv);
	_exit(127);
}

static int
try_connect(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd, rc;

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1)
		return -1;
	rc = connect(fd, (struct sockaddr *)&sun, sizeof(sun));
	close(fd);
	return rc;
}

int
suite_start(struct suite *s, const char *exe, const char *const args[])
{
	long end = now_ms() + START_MS;

	memset(s, 0, sizeof(*s));
	snprintf(s->dir, sizeof(s->dir), "/tmp/vpnkit-test.XXXXXX");
	if (mkdtemp(s->dir) == NULL)
		return -1;
	snprintf(s->sock, sizeof(s->sock), "%s/eth.sock", s->dir);
	snprintf(s->qemu, sizeof(s->qemu), "%s/qemu.sock", s->dir);
	snprintf(s->dgram[0], sizeof(s->dgram[0]), "%s/dgram0.sock", s->dir);
	snprintf(s->dgram[1], sizeof(s->dgram[1]), "%s/dgram1.sock", s->dir);
	snprintf(s->log, sizeof(s->log), "%s/log", s->dir);
	if ((s->pid = fork()) == 0)
		run(s, exe, args);
	while (s->pid != -1 && now_ms() < end) {
		/* A later one would be taken for something left behind. */
		if (try_connect(s->sock) == 0 &&
		    suite_log_count(s, " is ready, pid ") >= NDAEMONS)
			return 0;
		if (waitpid(s->pid, NULL, WNOHANG) != 0) {
			s->pid = -1;
			break;
		}
		look_again();
	}
	suite_show_log(s);
	suite_stop(s);
	return -1;
}

static void
remove_dir(const char *dir)
{
	const struct dirent *e;
	int fd;
	DIR *d;

	if ((d = opendir(dir)) == NULL)
		return;
	fd = dirfd(d);
	while ((e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			unlinkat(fd, e->d_name, 0);
	closedir(d);
	rmdir(dir);
}

int
suite_stop(struct suite *s)
{
	long end = now_ms() + STOP_MS;
	int status = -1;
	pid_t pid = 0;

	if (s->pid > 0) {
		kill(s->pid, SIGTERM);
		while ((pid = waitpid(s->pid, &status, WNOHANG)) == 0 &&
		       now_ms() < end)
			look_again();
		if (pid == 0) {
			kill(s->pid, SIGKILL);
			waitpid(s->pid, &status, 0);
			status = -1;
		}
	}
	s->pid = -1;
	remove_dir(s->dir);
	return status == 0 ? 0 : -1;
}

void
suite_show_log(const struct suite *s)
{
	char line[1024];
	FILE *f;

	if ((f = fopen(s->log, "r")) == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL)
		fputs(line, stderr);
	fclose(f);
}

int
suite_log_count(const struct suite *s, const char *text)
{
	char line[4096];
	int n = 0;
	FILE *f;

	if ((f = fopen(s->log, "r")) == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL)
		if (strstr(line, text) != NULL)
			n++;
	fclose(f);
	return n;
}

int
suite_wait_log(
    const struct suite *s, const char *text, int count, int timeout_ms)
{
	long end = now_ms() + timeout_ms;

	while (suite_log_count(s, text) < count) {
		if (now_ms() >= end)
			return -1;
		look_again();
	}
	return 0;
}

/*
 * /proc.
 */

struct proc {
	pid_t pid, ppid;
	char name[32];
	unsigned long long start; /* clock ticks since the machine's */
	long rss;		  /* pages */
	bool ours;
};

/* Fills p; -1 when the process is gone, or dead and not yet waited for. */
static int
proc_read(pid_t pid, struct proc *p)
{
	char path[64], buf[1024], *name, *end, state;
	size_t len;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if ((f = fopen(path, "r")) == NULL)
		return -1;
	len = fread(buf, 1, sizeof(buf) - 1, f);
	fclose(f);
	buf[len] = '\0';
	/* The name may hold anything, also a parenthesis. */
	if ((name = strchr(buf, '(')) == NULL ||
	    (end = strrchr(buf, ')')) == NULL)
		return -1;
	*end = '\0';
	memset(p, 0, sizeof(*p));
	p->pid = pid;
	snprintf(p->name, sizeof(p->name), "%.31s", name + 1);
	if (sscanf(end + 2,
		"%c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d "
		"%*d %*d %*d %*d %llu %*u %ld",
		&state, &p->ppid, &p->start, &p->rss) != 4)
		return -1;
	return state == 'Z' ? -1 : 0;
}

static size_t
proc_all(struct proc *v, size_t cap)
{
	const struct dirent *e;
	size_t n = 0;
	char *end;
	DIR *d;
	long pid;

	if ((d = opendir("/proc")) == NULL)
		return 0;
	while (n < cap && (e = readdir(d)) != NULL) {
		pid = strtol(e->d_name, &end, 10);
		if (pid > 0 && *end == '\0' &&
		    proc_read((pid_t)pid, &v[n]) == 0)
			n++;
	}
	closedir(d);
	return n;
}

/* Pids begin anew at some time, so they do not tell who is older. */
static int
by_age(const void *a, const void *b)
{
	const struct proc *p = a, *q = b;

	if (p->start != q->start)
		return p->start < q->start ? -1 : 1;
	return p->pid < q->pid ? -1 : p->pid > q->pid;
}

/* All processes, the oldest first, with those of the suite marked. */
static size_t
procs(const struct suite *s, struct proc *v)
{
	size_t n = proc_all(v, MAXPROCS), i, j;
	bool more = true;

	qsort(v, n, sizeof(*v), by_age);
	for (i = 0; i < n; i++)
		v[i].ours = v[i].pid == s->pid;
	while (more) {
		more = false;
		for (i = 0; i < n; i++)
			for (j = 0; j < n && !v[i].ours; j++)
				if (v[j].ours && v[j].pid == v[i].ppid)
					more = v[i].ours = true;
	}
	return n;
}

static int
count_fds(pid_t pid)
{
	const struct dirent *e;
	char path[64];
	int n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	if ((d = opendir(path)) == NULL)
		return errno == ENOENT ? 0 : -1;
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			n++;
	closedir(d);
	return n;
}

void
suite_usage(const struct suite *s, struct suite_usage *u)
{
	struct proc *v = calloc(MAXPROCS, sizeof(*v));
	long page_kb = sysconf(_SC_PAGESIZE) / 1024;
	size_t n, i;
	int nfd;

	memset(u, 0, sizeof(*u));
	n = v == NULL ? 0 : procs(s, v);
	for (i = 0; i < n; i++) {
		if (!v[i].ours)
			continue;
		u->nproc++;
		u->rss_kb += v[i].rss * page_kb;
		nfd = count_fds(v[i].pid);
		u->nfd = nfd == -1 || u->nfd == -1 ? -1 : u->nfd + nfd;
	}
	free(v);
}

void
suite_usage_steady(const struct suite *s, struct suite_usage *u)
{
	struct suite_usage last = { 0, 0, 0 };
	int same;

	for (same = 0; same < STEADY; last = *u) {
		look_again();
		suite_usage(s, u);
		same =
		    u->nproc == last.nproc && u->nfd == last.nfd ? same + 1 : 0;
	}
}

pid_t
suite_find(const struct suite *s, const char *name, int n)
{
	struct proc *v = calloc(MAXPROCS, sizeof(*v));
	pid_t pid = -1;
	size_t len, i;

	len = v == NULL ? 0 : procs(s, v);
	for (i = 0; i < len && pid == -1; i++)
		if (v[i].ours && strcmp(v[i].name, name) == 0 && n-- == 0)
			pid = v[i].pid;
	free(v);
	return pid;
}

int
suite_settle(const struct suite *s, const struct suite_usage *most,
    int timeout_ms, struct suite_usage *u)
{
	long end = now_ms() + timeout_ms;

	for (;;) {
		suite_usage(s, u);
		if (u->nproc <= most->nproc && u->nfd <= most->nfd)
			return 0;
		if (now_ms() >= end)
			return -1;
		look_again();
	}
}
