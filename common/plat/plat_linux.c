/*
 * The part of plat.h that is Linux's own way: memory files, namespaces of
 * children, epoll, inotify, vsock.
 */

#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <linux/close_range.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <linux/vm_sockets.h>

#include <ev.h>

#include "common/plat/plat.h"
#include "common/plat/spawn.h"
#include "common/vnet.h"

/* Newer than the headers of Debian 12 or of glibc 2.36. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

unsigned
plat_ev_backend(void)
{
	return EVBACKEND_EPOLL;
}

void
plat_sched_batch(bool on)
{
	static const struct sched_param none;

	(void)sched_setscheduler(0, on ? SCHED_BATCH : SCHED_OTHER, &none);
}

bool
plat_sched_normal(void)
{
	return sched_getscheduler(0) == SCHED_OTHER;
}

void
plat_name(const char *name)
{
	(void)prctl(PR_SET_NAME, name, 0, 0, 0);
}

/*
 * Shared memory.
 */

int
plat_memfd(const char *name, size_t size)
{
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd, saved;

	/* Linux before 6.3 does not know the last flag. */
	fd = memfd_create(name, flags | MFD_NOEXEC_SEAL);
	if (fd == -1 && errno == EINVAL)
		fd = memfd_create(name, flags);
	if (fd == -1)
		return -1;
	if (ftruncate(fd, (off_t)size) == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) ==
		0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* A duplicate could still be written to: only a new open takes that away. */
int
plat_memfd_ro(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDONLY | O_CLOEXEC);
}

int
plat_peer_uid(int fd, uid_t *uid)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == -1)
		return -1;
	*uid = cred.uid;
	return 0;
}

enum plat_tap
plat_tap(int fd)
{
	struct ifreq ifr = { 0 };
	int len = 0;

	if (ioctl(fd, TUNGETIFF, &ifr) == -1 ||
	    (ifr.ifr_flags & IFF_TAP) == 0 || (ifr.ifr_flags & IFF_NO_PI) == 0)
		return PLAT_TAP_NOT;
	if ((ifr.ifr_flags & IFF_VNET_HDR) == 0)
		return PLAT_TAP_BARE;
	if (ioctl(fd, TUNGETVNETHDRSZ, &len) == -1 || len != VNET_HDRLEN)
		return PLAT_TAP_NOT;
	return PLAT_TAP_VNET;
}

int
plat_tap_offload(int fd, bool on)
{
	return ioctl(fd, TUNSETOFFLOAD, on ? TUN_F_CSUM | TUN_F_TSO4 : 0);
}

uint64_t
plat_memory(pid_t pid)
{
	unsigned long long size, resident, shared;
	char path[32], buf[128];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return 0;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	buf[n > 0 ? n : 0] = '\0';
	if (sscanf(buf, "%llu %llu %llu", &size, &resident, &shared) != 3 ||
	    resident < shared)
		return 0;
	return (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}

bool
plat_stopped(pid_t pid)
{
	char path[32], buf[512], *p;
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return false;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	buf[n > 0 ? n : 0] = '\0';
	/* Its name may hold anything, so it is what is behind the last ')'. */
	p = strrchr(buf, ')');
	return p != NULL && p[1] == ' ' && (p[2] == 'T' || p[2] == 't');
}

bool
plat_ended(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLRDHUP };

	return poll(&pfd, 1, 0) == 1;
}

size_t
plat_unread(int fd)
{
	int n = 0;

	return ioctl(fd, SIOCOUTQ, &n) == 0 && n > 0 ? (size_t)n : 0;
}

size_t
plat_unsent(int fd)
{
	int n = 0;

	return ioctl(fd, SIOCOUTQNSD, &n) == 0 && n > 0 ? (size_t)n : 0;
}

/* Whether the file is there for good: else a touch could be a SIGBUS. */
static bool
is_sealed(int fd, size_t size)
{
	struct stat st;
	int seals;

	if (fstat(fd, &st) == -1 || (seals = fcntl(fd, F_GET_SEALS)) == -1)
		return false;
	if ((seals & F_SEAL_SHRINK) && st.st_size == (off_t)size)
		return true;
	errno = EINVAL;
	return false;
}

/* Linux before 4.17 takes the address for a wish. */
const void *
plat_map_at(int fd, size_t size, uintptr_t at)
{
	void *want = (void *)at, *p;

	if (!is_sealed(fd, size))
		return NULL;
	p = mmap(
	    want, size, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
	if (p == want)
		return p;
	if (p != MAP_FAILED)
		munmap(p, size);
	return NULL;
}

void *
plat_map_ring(int fd, size_t size, bool writable)
{
	int prot = writable ? PROT_READ | PROT_WRITE : PROT_READ;
	int saved, i;
	uint8_t *p;

	if (!is_sealed(fd, size))
		return NULL;
	/* Keeps the place, so that both halves are neighbours. */
	p = mmap(NULL, 2 * size, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	for (i = 0; i < 2; i++) {
		if (mmap(p + (size_t)i * size, size, prot,
			MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED)
			continue;
		saved = errno;
		munmap(p, 2 * size);
		errno = saved;
		return NULL;
	}
	return p;
}

void
plat_unmap_ring(void *p, size_t size)
{
	if (p != NULL)
		munmap(p, 2 * size);
}

/*
 * Children; see spawn.h.
 */

/*
 * glibc's fork() takes no flags, so this is the bare system call.  That is
 * safe here: the supervisor has one thread, and the child runs nothing
 * between this and exec that a fork handler would have had to repair.
 */
pid_t
spawn_fork(enum spawn_ns ns)
{
	static const unsigned long flags[SPAWN__MAX] = {
		[SPAWN_PLAIN] = 0,
		[SPAWN_PIDNS] = CLONE_NEWPID,
		[SPAWN_USERNS] = CLONE_NEWUSER | CLONE_NEWPID,
	};

	if (ns == SPAWN_PLAIN)
		return fork();
	return (pid_t)syscall(
	    SYS_clone, flags[ns] | SIGCHLD, 0UL, NULL, NULL, 0UL);
}

static int
write_file(const char *path, const char *text)
{
	ssize_t n;
	int fd, saved;

	if ((fd = open(path, O_WRONLY | O_CLOEXEC)) == -1)
		return -1;
	n = write(fd, text, strlen(text));
	saved = errno;
	close(fd);
	errno = saved;
	return n == -1 ? -1 : 0;
}

/*
 * Inside the new namespace we are root, and only we are there: so the rights
 * in it survive exec, and the sandbox can use them up.
 */
int
spawn_map_ids(uid_t uid, gid_t gid)
{
	char u[32], g[32];

	/* The files belong to root while the supervisor is undumpable. */
	if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == -1)
		return -1;
	snprintf(u, sizeof(u), "0 %u 1\n", uid);
	snprintf(g, sizeof(g), "0 %u 1\n", gid);
	/* A kernel without the first file does not ask for it. */
	if (write_file("/proc/self/setgroups", "deny") == -1 && errno != ENOENT)
		return -1;
	if (write_file("/proc/self/uid_map", u) == -1)
		return -1;
	return write_file("/proc/self/gid_map", g);
}

int
spawn_cloexec_from(int lowest)
{
	long fd, max;

	if (syscall(SYS_close_range, (unsigned)lowest, ~0U,
		CLOSE_RANGE_CLOEXEC) == 0)
		return 0;
	/* Linux before 5.11. */
	if ((max = sysconf(_SC_OPEN_MAX)) == -1)
		return -1;
	for (fd = lowest; fd < max; fd++)
		fcntl((int)fd, F_SETFD, FD_CLOEXEC);
	return 0;
}

/*
 * Edge-triggered events.
 */

#define EDGE_BATCH 64

int
plat_edge_new(void)
{
	return epoll_create1(EPOLL_CLOEXEC);
}

static int
edge_ctl(int set, int op, int fd, uint64_t tag, bool writes)
{
	struct epoll_event ev = {
		.events = EPOLLET | EPOLLIN | EPOLLPRI | EPOLLRDHUP |
			  (writes ? EPOLLOUT : 0),
		.data.u64 = tag,
	};

	return epoll_ctl(set, op, fd, &ev);
}

int
plat_edge_add(int set, int fd, uint64_t tag, bool writes)
{
	return edge_ctl(set, EPOLL_CTL_ADD, fd, tag, writes);
}

int
plat_edge_writes(int set, int fd, uint64_t tag, bool writes)
{
	return edge_ctl(set, EPOLL_CTL_MOD, fd, tag, writes);
}

void
plat_edge_del(int set, int fd)
{
	struct epoll_event ev = { 0 };

	epoll_ctl(set, EPOLL_CTL_DEL, fd, &ev);
}

static unsigned
edge_what(uint32_t events)
{
	unsigned what = 0;

	/* The end of the stream is something to read. */
	if (events & EPOLLRDHUP)
		what |= PLAT_EDGE_EOF;
	if (events & EPOLLPRI)
		what |= PLAT_EDGE_URG;
	if (events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP))
		what |= PLAT_EDGE_READ;
	if (events & EPOLLOUT)
		what |= PLAT_EDGE_WRITE;
	if (events & (EPOLLHUP | EPOLLERR))
		what |= PLAT_EDGE_HUP;
	return what;
}

int
plat_edge_wait(int set, struct plat_edge_event *ev, int max)
{
	struct epoll_event e[EDGE_BATCH];
	int i, n;

	n = epoll_wait(set, e, max < EDGE_BATCH ? max : EDGE_BATCH, 0);
	for (i = 0; i < n; i++) {
		ev[i].tag = e[i].data.u64;
		ev[i].what = edge_what(e[i].events);
	}
	return n == -1 && errno == EINTR ? 0 : n;
}

/*
 * Watching directories.
 */

int
plat_watch_new(void)
{
	return inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
}

int
plat_watch_dir(int set, const char *dir)
{
	return inotify_add_watch(set, dir,
	    IN_ONLYDIR | IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB |
		IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF |
		IN_MOVE_SELF);
}

void
plat_watch_drop(int set, int watch)
{
	(void)inotify_rm_watch(set, watch);
}

void
plat_watch_read(
    int set, void (*cb)(void *arg, int watch, const char *name), void *arg)
{
	_Alignas(struct inotify_event) char buf[4096];
	const struct inotify_event *e;
	const char *p;
	ssize_t n;

	while ((n = read(set, buf, sizeof(buf))) > 0) {
		for (p = buf; p < buf + n; p += sizeof(*e) + e->len) {
			e = (const void *)p;
			if (e->mask & IN_IGNORED)
				continue; /* IN_DELETE_SELF came before */
			cb(arg, e->wd, e->len > 0 ? e->name : "");
		}
	}
}

/*
 * Ports.
 */

static void
file_text(const char *path, char *buf, size_t len)
{
	ssize_t n = 0;
	int fd;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) != -1) {
		n = read(fd, buf, len - 1);
		close(fd);
	}
	buf[n > 0 ? n : 0] = '\0';
}

void
plat_udp_ports(char range[PLAT_PORTSLEN], char reserved[PLAT_PORTSLEN])
{
	file_text(
	    "/proc/sys/net/ipv4/ip_local_port_range", range, PLAT_PORTSLEN);
	file_text("/proc/sys/net/ipv4/ip_local_reserved_ports", reserved,
	    PLAT_PORTSLEN);
}

/*
 * Of those that everybody may choose the only one that is always there, and it
 * does not pace: without a loss there is no other difference between them.
 */
void
plat_tcp_here(int fd)
{
	static const char reno[] = "reno";

	(void)setsockopt(
	    fd, IPPROTO_TCP, TCP_CONGESTION, reno, sizeof(reno) - 1);
}

/*
 * Hypervisor sockets.
 */

int
plat_vsock_connect(uint32_t cid, uint32_t port)
{
	struct sockaddr_vm sa = {
		.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port
	};
	int fd, saved;

	fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	if (connect(fd, (const void *)&sa, sizeof(sa)) == 0 ||
	    errno == EINPROGRESS)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

int
plat_vsock_listen(uint32_t cid, uint32_t port)
{
	struct sockaddr_vm sa = {
		.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port
	};
	int fd, saved;

	fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	if (bind(fd, (const void *)&sa, sizeof(sa)) == 0 &&
	    listen(fd, SOMAXCONN) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

int
plat_launchd_socket(const char *name)
{
	errno = EAFNOSUPPORT;
	return -1;
}
