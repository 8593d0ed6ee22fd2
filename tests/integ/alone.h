#ifndef ALONE_H
#define ALONE_H

/*
 * A daemon by itself, with the test in the place of its supervisor and of all
 * its peers.
 */

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <netinet/in.h>
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "common/daemon.h"
#include "common/plat/plat.h"

#define ALONE_STRANGER 12345 /* a user who owns nothing */

/* The file of the name servers' addresses, for those that get it; -1: none. */
static int alone_servers = -1;

/* Starts it; bus is our end of its link.  log: its stderr, or -1 for ours. */
static inline pid_t
alone_start(const char *path, char *const *argv, int log, int *bus,
    struct stats_file **stats)
{
	int sv[2], mem = plat_memfd("stats", STATS_BYTES);
	int map[4][2] = { { -1, DAEMON_BUS_FD }, { mem, DAEMON_STATS_FD },
		{ log, STDERR_FILENO }, { alone_servers, DAEMON_SERVERS_FD } };
	struct plat_spawn spawn = {
		.path = path, .argv = argv, .fdmap = map, .nfdmap = 4
	};
	pid_t pid;

	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_ne(mem, -1);
	*stats = mmap(NULL, STATS_BYTES, PROT_READ, MAP_SHARED, mem, 0);
	ck_assert(*stats != MAP_FAILED);
	ck_assert_int_eq(plat_socketpair(SOCK_STREAM, sv), 0);
	map[0][0] = sv[1];
	*bus = sv[0];
	pid = plat_spawn(&spawn);
	ck_assert_int_ne(pid, -1);
	close(sv[1]);
	close(mem);
	return pid;
}

/* Gives it a link to a new peer; the answer is the peer's end. */
static inline int
alone_peer(struct ipc *sup, enum ipc_role role, uint32_t vm)
{
	int sv[2];

	ck_assert_int_eq(plat_socketpair(SOCK_STREAM, sv), 0);
	ck_assert_int_eq(ipc_send(sup, IPC_PEER, &sv[1], 1, "{s:s,s:i}", "role",
			     ipc_role_name[role], "vm", (int)vm),
	    0);
	return sv[0];
}

/* Whatever happened to it, it lives and goes when its supervisor does. */
static inline void
alone_ended(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status), "killed by %d", WTERMSIG(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
}

static inline void
alone_not_bound(in_addr_t addr, uint16_t port, int opt)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(addr) };
	int on = 1, fd = socket(AF_INET, SOCK_DGRAM, 0);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, opt, &on, sizeof(on)), 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), -1);
	ck_assert_int_eq(errno, EADDRINUSE);
	close(fd);
}

/*
 * A UDP port that the daemon's sockets share among themselves nobody else may
 * bind.  Only root can be another user.
 */
static inline void
alone_not_shared(uint16_t port)
{
	alone_not_bound(INADDR_ANY, port, SO_REUSEADDR);
	alone_not_bound(INADDR_LOOPBACK, port, SO_REUSEADDR);
	if (seteuid(ALONE_STRANGER) == -1)
		return;
	alone_not_bound(INADDR_ANY, port, SO_REUSEPORT);
	alone_not_bound(INADDR_LOOPBACK, port, SO_REUSEPORT);
	ck_assert_int_eq(seteuid(0), 0);
}

static inline uint64_t
alone_counter(const struct stats_file *stats, const char *name)
{
	size_t i;

	for (i = 0; i < stats->n; i++) {
		if (strcmp(stats->name[i], name) == 0)
			return __atomic_load_n(
			    &stats->value[i], __ATOMIC_RELAXED);
	}
	ck_abort_msg("no counter %s", name);
	return 0;
}

#endif
