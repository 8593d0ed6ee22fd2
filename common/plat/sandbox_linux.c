/*
 * The sandbox, layer by layer.
 *
 * Who has the rights for it (root, or root of the user namespace that
 * plat_spawn() made) uses them to get namespaces of its own and an empty root
 * directory, and only then gives them up.  Who has none makes a user
 * namespace with only its own id first and has them there.  So:
 *
 *	without CAP_SYS_ADMIN: another user, if root; a user namespace
 *	net, mount, ipc, uts and cgroup namespaces; an empty root
 *	another user, if root; a user namespace in which nobody is mapped
 *	no capabilities, no new privileges, not dumpable, limits
 *	Landlock: no files, no TCP
 *	seccomp: seccomp_linux.c
 *
 * Every layer is reported by looking at what the kernel says afterwards, not
 * by the success of a call.  Namespaces are compared by their inode numbers,
 * through a descriptor of /proc/self that was opened while there was one.
 *
 * portd keeps the network namespace of the host: its sockets are the host's.
 * The supervisor stays where it is, since it starts the others and opens what
 * the administrator names; it gets the layers that do not hinder that.
 *
 * The user is "vpnkit" if the system has one, else "nobody".
 */

#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>

#include "common/log.h"
#include "common/plat/sandbox.h"
#include "common/plat/seccomp_linux.h"

enum layer {
	L_USER_NS,
	L_NET_NS,
	L_MOUNT_NS,
	L_PID_NS,
	L_IPC_NS,
	L_UTS_NS,
	L_CGROUP_NS,
	L_NO_CAPS,
	L_NO_NEW_PRIVS,
	L_UNDUMPABLE,
	L_RLIMITS,
	L_LANDLOCK,
	L_SECCOMP,
	L_UNPRIVILEGED_USER,
	L__MAX
};

_Static_assert((int)L__MAX <= SANDBOX_MAXLAYERS, "a report holds all layers");

#define BIT(layer) (1u << (layer))

/* What every process gets, what the daemons get, what depends on the role. */
#define LAYERS_ALL                                                             \
	(BIT(L_NO_NEW_PRIVS) | BIT(L_UNDUMPABLE) | BIT(L_RLIMITS) |            \
	    BIT(L_SECCOMP))
#define LAYERS_DAEMON                                                          \
	(LAYERS_ALL | BIT(L_USER_NS) | BIT(L_MOUNT_NS) | BIT(L_PID_NS) |       \
	    BIT(L_IPC_NS) | BIT(L_UTS_NS) | BIT(L_CGROUP_NS) |                 \
	    BIT(L_NO_CAPS) | BIT(L_LANDLOCK) | BIT(L_UNPRIVILEGED_USER))

static const unsigned wanted[] = {
	[SANDBOX_READER] = LAYERS_DAEMON | BIT(L_NET_NS),
	[SANDBOX_STACK] = LAYERS_DAEMON | BIT(L_NET_NS),
	[SANDBOX_RESOLVER] = LAYERS_DAEMON | BIT(L_NET_NS),
	[SANDBOX_SERVER] = LAYERS_DAEMON | BIT(L_NET_NS),
	[SANDBOX_OPENER] = LAYERS_DAEMON,
	[SANDBOX_SUPERVISOR] = LAYERS_ALL,
};

/* ns: the file of /proc/self/ns, where the layer is one. */
static const struct {
	const char *name, *ns;
	int flag;
} layers[L__MAX] = {
	[L_USER_NS] = { "user-ns", "ns/user", 0 },
	[L_NET_NS] = { "net-ns", "ns/net", CLONE_NEWNET },
	[L_MOUNT_NS] = { "mount-ns", "ns/mnt", CLONE_NEWNS },
	[L_PID_NS] = { "pid-ns", NULL, 0 },
	[L_IPC_NS] = { "ipc-ns", "ns/ipc", CLONE_NEWIPC },
	[L_UTS_NS] = { "uts-ns", "ns/uts", CLONE_NEWUTS },
	[L_CGROUP_NS] = { "cgroup-ns", "ns/cgroup", CLONE_NEWCGROUP },
	[L_NO_CAPS] = { "no-caps", NULL, 0 },
	[L_NO_NEW_PRIVS] = { "no-new-privs", NULL, 0 },
	[L_UNDUMPABLE] = { "undumpable", NULL, 0 },
	[L_RLIMITS] = { "rlimits", NULL, 0 },
	[L_LANDLOCK] = { "landlock", NULL, 0 },
	[L_SECCOMP] = { "seccomp", NULL, 0 },
	[L_UNPRIVILEGED_USER] = { "unprivileged-user", NULL, 0 },
};

struct lock {
	enum sandbox_role role;
	unsigned have;	  /* bits of the layers seen to be there */
	int proc;	  /* owned: /proc/self, -1 when there is none */
	ino_t ns[L__MAX]; /* inode numbers before; 0 is unknown */
	uid_t uid;	  /* in effect, as outside the user namespace */
	uid_t to_uid;	  /* of the unprivileged user; 0 when there is none */
	gid_t to_gid;
};

static void
confirm(struct lock *l, enum layer layer, bool there)
{
	if (there)
		l->have |= BIT(layer);
}

/*
 * Namespaces.
 */

static ino_t
ns_ino(const struct lock *l, enum layer layer)
{
	struct stat st;

	if (l->proc == -1 || layers[layer].ns == NULL ||
	    fstatat(l->proc, layers[layer].ns, &st, 0) == -1)
		return 0;
	return st.st_ino;
}

static void
ns_confirm(struct lock *l)
{
	int i;

	for (i = 0; i < L__MAX; i++)
		if (l->ns[i] != 0 && ns_ino(l, i) != 0)
			confirm(l, i, ns_ino(l, i) != l->ns[i]);
}

/* Reads a small file of /proc/self; "" when it cannot. */
static void
proc_read(const struct lock *l, const char *name, char *buf, size_t size)
{
	ssize_t n = -1;
	int fd;

	if ((fd = openat(l->proc, name, O_RDONLY | O_CLOEXEC)) != -1) {
		n = read(fd, buf, size - 1);
		close(fd);
	}
	buf[n > 0 ? n : 0] = '\0';
}

static int
proc_write(const struct lock *l, const char *name, const char *text)
{
	ssize_t n;
	int fd, saved;

	if ((fd = openat(l->proc, name, O_WRONLY | O_CLOEXEC)) == -1)
		return -1;
	n = write(fd, text, strlen(text));
	saved = errno;
	close(fd);
	errno = saved;
	return n == -1 ? -1 : 0;
}

/* A user namespace in which we are root and nobody else is. */
static int
enter_own_user_ns(struct lock *l)
{
	char u[32], g[32];

	snprintf(u, sizeof(u), "0 %u 1\n", geteuid());
	snprintf(g, sizeof(g), "0 %u 1\n", getegid());
	/* While undumpable, as after a change of user, root owns the files. */
	if (unshare(CLONE_NEWUSER) == -1 ||
	    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == -1)
		return -1;
	/* A kernel without the first file does not ask for it. */
	if (proc_write(l, "setgroups", "deny") == -1 && errno != ENOENT)
		return -1;
	if (proc_write(l, "uid_map", u) == -1)
		return -1;
	return proc_write(l, "gid_map", g);
}

static bool
have_cap(unsigned cap)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2] = { { 0 } };

	if (syscall(SYS_capget, &h, d) == -1)
		return false;
	return (d[cap / 32].effective & (1u << cap % 32)) != 0;
}

/* One at a time: one that the kernel lacks must not cost the others. */
static void
enter_namespaces(struct lock *l)
{
	int i;

	for (i = 0; i < L__MAX; i++)
		if ((wanted[l->role] & BIT(i)) != 0 && layers[i].flag != 0)
			(void)unshare(layers[i].flag);
}

/* Whether the process sees nothing but an empty directory. */
static bool
root_is_empty(void)
{
	const struct dirent *e;
	bool empty = true;
	DIR *d;

	if ((d = opendir("/")) == NULL)
		return false;
	while ((e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			empty = false;
	closedir(d);
	return empty;
}

/*
 * The new root is mounted over a directory every system has, put in the place
 * of the old one, and the old one, which then lies on top of it, goes.
 */
static int
empty_root(void)
{
	unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY;

	/* What is done here must not be seen outside. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1 ||
	    mount("none", "/proc", "tmpfs", flags, "size=4k,nr_inodes=2") ==
		-1 ||
	    chdir("/proc") == -1 || syscall(SYS_pivot_root, ".", ".") == -1 ||
	    umount2(".", MNT_DETACH) == -1 || chdir("/") == -1)
		return -1;
	return 0;
}

/* Only after the mount namespace is seen to be ours. */
static void
lock_mounts(struct lock *l)
{
	ino_t before = l->ns[L_MOUNT_NS];

	if ((wanted[l->role] & BIT(L_MOUNT_NS)) == 0 || before == 0 ||
	    ns_ino(l, L_MOUNT_NS) == before)
		return;
	if (empty_root() == -1)
		log_warn("sandbox: root directory");
	if (!root_is_empty())
		l->ns[L_MOUNT_NS] = 0; /* then it is not worth its name */
}

/*
 * User and capabilities.
 */

static void
find_user(struct lock *l)
{
	static const char *const names[] = { "vpnkit", "nobody" };
	const struct passwd *pw = NULL;
	size_t i;

	for (i = 0; pw == NULL && i < sizeof(names) / sizeof(names[0]); i++)
		pw = getpwnam(names[i]);
	if (pw != NULL) {
		l->to_uid = pw->pw_uid;
		l->to_gid = pw->pw_gid;
	}
}

/* Of the user namespace we are in; one that is entered has a full set. */
static void
drop_bounding(void)
{
	int cap;

	for (cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) != -1; cap++)
		(void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
}

/*
 * From root to somebody who may do nothing.  Where that user does not exist,
 * as in a user namespace with one id, or where root may not become another,
 * nothing changes and the layer is missing.
 */
static int
lock_user(struct lock *l)
{
	uid_t r, e, s;

	if (geteuid() != 0 || l->to_uid == 0 || !have_cap(CAP_SETUID) ||
	    !have_cap(CAP_SETGID))
		return 0;
	if (setresgid(l->to_gid, l->to_gid, l->to_gid) == -1 && errno == EINVAL)
		return 0; /* not mapped in this namespace */
	if (setgroups(0, NULL) == -1 ||
	    setresuid(l->to_uid, l->to_uid, l->to_uid) == -1) {
		log_warn("sandbox: user %u", l->to_uid);
		return -1;
	}
	if (getresuid(&r, &e, &s) == 0 && r == e && e == s)
		l->uid = r;
	return 0;
}

/*
 * The bounding set too, where that is allowed; where it is not we had no
 * capability, and with no_new_privs the set has nobody to bound.
 */
static int
lock_caps(struct lock *l)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2] = { { 0 } };
	bool none = true;
	int i;

	if (l->role == SANDBOX_SUPERVISOR)
		return 0;
	drop_bounding();
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capset, &h, d) == -1) {
		log_warn("sandbox: capabilities");
		return -1;
	}
	memset(d, 0xff, sizeof(d));
	if (syscall(SYS_capget, &h, d) == -1)
		return -1;
	for (i = 0; i < 2; i++)
		none = none && d[i].effective == 0 && d[i].permitted == 0 &&
		       d[i].inheritable == 0;
	confirm(l, L_NO_CAPS, none);
	return 0;
}

/*
 * The process's own attributes.
 */

static int
lock_process(struct lock *l)
{
	static const struct {
		int what;
		bool daemons; /* only them */
	} limit[] = {
		{ RLIMIT_CORE, false },
		{ RLIMIT_NPROC, true }, /* forks nothing */
		{ RLIMIT_MSGQUEUE, true },
	};
	const struct rlimit zero = { 0, 0 };
	struct rlimit rl;
	bool all = true;
	size_t i;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1) {
		log_warn("sandbox: process attributes");
		return -1;
	}
	confirm(l, L_NO_NEW_PRIVS, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	confirm(l, L_UNDUMPABLE, prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
	for (i = 0; i < sizeof(limit) / sizeof(limit[0]); i++) {
		if (limit[i].daemons && l->role == SANDBOX_SUPERVISOR)
			continue;
		if (setrlimit(limit[i].what, &zero) == -1 ||
		    getrlimit(limit[i].what, &rl) == -1 || rl.rlim_max != 0)
			all = false;
	}
	confirm(l, L_RLIMITS, all);
	return 0;
}

/*
 * Landlock.  The kernel's own numbers where the headers of Debian 12 have no
 * names yet: the structure grew, and its size says which one it is.
 */

struct landlock_attr {
	uint64_t fs;	 /* LANDLOCK_ACCESS_FS_* */
	uint64_t net;	 /* from version 4: 1 bind, 2 connect of TCP */
	uint64_t scoped; /* from version 6: 1 abstract sockets, 2 signals */
};

/* The rights over files each version knows, all of which are refused. */
static uint64_t
landlock_fs(long version)
{
	static const unsigned bits[] = { 0, 13, 14, 15, 15, 16 };
	long last = (long)(sizeof(bits) / sizeof(bits[0])) - 1;

	return (UINT64_C(1) << bits[version < last ? version : last]) - 1;
}

static bool
root_readable(void)
{
	int fd;

	if ((fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		return false;
	close(fd);
	return true;
}

static int
lock_landlock(struct lock *l)
{
	struct landlock_attr a = { 0, 0, 0 };
	size_t size = sizeof(a.fs);
	bool sockets = l->role != SANDBOX_OPENER;
	bool could_read = root_readable();
	long version;
	int fd, rc;

	if ((wanted[l->role] & BIT(L_LANDLOCK)) == 0)
		return 0;
	version = syscall(SYS_landlock_create_ruleset, NULL, 0,
	    LANDLOCK_CREATE_RULESET_VERSION);
	if (version < 1)
		return 0;
	a.fs = landlock_fs(version);
	if (version >= 4) {
		a.net = sockets ? 3 : 0;
		size = 2 * sizeof(uint64_t);
	}
	if (version >= 6) {
		a.scoped = sockets ? 3 : 2;
		size = sizeof(a);
	}
	fd = (int)syscall(SYS_landlock_create_ruleset, &a, size, 0);
	if (fd == -1) {
		log_warn("sandbox: landlock");
		return -1;
	}
	if ((rc = (int)syscall(SYS_landlock_restrict_self, fd, 0)) == -1)
		log_warn("sandbox: landlock");
	close(fd);
	confirm(l, L_LANDLOCK, could_read && !root_readable());
	return rc;
}

static int
lock_seccomp(struct lock *l)
{
	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == -1)
		return 0; /* built without */
	if (sandbox_filter(l->role) == -1) {
		log_warn("sandbox: seccomp");
		return -1;
	}
	confirm(l, L_SECCOMP,
	    prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == SECCOMP_MODE_FILTER);
	return 0;
}

/*
 * All of it.
 */

/* What has to be known before the first change. */
static void
look_around(struct lock *l, enum sandbox_role role)
{
	char map[128];
	unsigned in, out, n;
	int i;

	memset(l, 0, sizeof(*l));
	l->role = role;
	l->proc = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	l->uid = geteuid();
	find_user(l);
	for (i = 0; i < L__MAX; i++)
		l->ns[i] = ns_ino(l, i);
	/* Root of a user namespace may be anybody outside. */
	proc_read(l, "uid_map", map, sizeof(map));
	if (sscanf(map, "%u %u %u", &in, &out, &n) == 3 && l->uid - in < n)
		l->uid = out + (l->uid - in);
}

/* The namespaces, and the user nobody misses. */
static int
lock_place(struct lock *l)
{
	if (!have_cap(CAP_SYS_ADMIN)) {
		if (lock_user(l) == -1)
			return -1;
		if (enter_own_user_ns(l) == -1)
			log_warn("sandbox: user namespace");
	}
	enter_namespaces(l);
	lock_mounts(l);
	drop_bounding();
	if (lock_user(l) == -1)
		return -1;
	/* Nobody is mapped in it: there is no root to become. */
	(void)unshare(CLONE_NEWUSER);
	ns_confirm(l);
	confirm(l, L_PID_NS, getpid() == 1);
	return 0;
}

static int
lock_all(struct lock *l)
{
	if (l->role != SANDBOX_SUPERVISOR && lock_place(l) == -1)
		return -1;
	confirm(l, L_UNPRIVILEGED_USER, l->uid != 0);
	if (l->proc != -1)
		close(l->proc);
	if (lock_caps(l) == -1 || lock_process(l) == -1 ||
	    lock_landlock(l) == -1)
		return -1;
	return lock_seccomp(l);
}

int
sandbox_lock(enum sandbox_role role, struct sandbox_report *rep)
{
	struct lock l;
	int i;

	rep->n = 0;
	look_around(&l, role);
	if (lock_all(&l) == -1)
		return -1;
	for (i = 0; i < L__MAX; i++) {
		if ((l.have & BIT(i)) != 0)
			rep->layer[rep->n++] = layers[i].name;
		else if ((wanted[role] & BIT(i)) != 0)
			log_warnx("sandbox: no %s here", layers[i].name);
	}
	return 0;
}
