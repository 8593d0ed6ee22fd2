/*
 * daemon_main() as a daemon has it: in a child, with the bus on descriptor 3
 * and the counters on 4.  The test is the supervisor and, at the other end of
 * the links it hands out, portd.  What the daemon's own functions saw comes
 * back through its counters.
 */

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bsd/string.h>
#include <bsd/unistd.h>
#include <ev.h>

#include "common/daemon.h"
#include "common/log.h"
#include "common/plat/plat.h"
#include "tests/check_main.h"

/*
 * The daemon.
 */

enum { C_START, C_STOP, C_PEER, C_GONE, C_CONF, C_LEVEL, C_CLOCK, C__MAX };

static const char *const counter_name[C__MAX] = {
	[C_START] = "start",
	[C_STOP] = "stop",
	[C_PEER] = "peer",
	[C_GONE] = "gone",
	[C_CONF] = "conf",
	[C_LEVEL] = "level",
	[C_CLOCK] = "clock",
};

static int
d_start(struct daemon *d)
{
	stats_inc(&d->stats, C_START);
	return 0;
}

static int
d_start_fails(struct daemon *d)
{
	return -1;
}

/* It may have a few more descriptors, but no message's full number. */
static int
d_start_few(struct daemon *d)
{
	struct rlimit few;
	int fd = dup(STDERR_FILENO);

	stats_inc(&d->stats, C_START);
	few.rlim_cur = few.rlim_max = (rlim_t)fd + IPC_MAXFDS / 2;
	close(fd);
	return setrlimit(RLIMIT_NOFILE, &few);
}

static void
d_stop(struct daemon *d)
{
	stats_inc(&d->stats, C_STOP);
}

static void
d_peer(struct daemon *d, struct ipc *ipc)
{
	stats_inc(&d->stats, C_PEER);
	ipc_send(ipc, IPC_SOCK_OPEN, NULL, 0, "{s:I, s:s, s:s, s:i, s:i}", "id",
	    (json_int_t)ipc_vm(ipc), "proto", "udp", "addr", "192.0.2.1",
	    "port", 53, "count", 1);
}

static void
d_gone(struct daemon *d, struct ipc *ipc)
{
	stats_inc(&d->stats, C_GONE);
	/* It is no longer what daemon_peer() finds. */
	if (daemon_peer(d, ipc_peer(ipc), ipc_vm(ipc)) == ipc)
		stats_add(&d->stats, C_GONE, 1000);
}

/* Answers with bad-peer on the link of a peer, so that its end is seen. */
static void
d_conf(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	usec_t now = usec_now(d->loop), clock;

	stats_inc(&d->stats, C_CONF);
	stats_set(&d->stats, C_LEVEL, log_get_level());
	/* It stays the same while the clock goes on, and is never ahead. */
	do
		clock = plat_now();
	while (clock == now);
	stats_set(&d->stats, C_CLOCK, usec_now(d->loop) == now && now < clock);
	ipc_send(d->sup, IPC_BAD_PEER, NULL, 0, "{s:s, s:i, s:s}", "role",
	    "dnsd", "vm", 0, "why", "conf");
}

static void
d_refused(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	daemon_bad_peer(d, from, ipc_str(m, "error"));
}

static const struct ipc_handler handlers[] = {
	{ IPC_CONF_DNS, d_conf },
	{ IPC_SOCK_REFUSED, d_refused },
};

static const struct daemon_spec spec = {
	.role = ROLE_DNS,
	.sandbox = SANDBOX_READER,
	.handler = handlers,
	.nhandler = 2,
	.stats_name = counter_name,
	.nstats = C__MAX,
	.start = d_start,
	.stop = d_stop,
	.peer = d_peer,
	.peer_gone = d_gone,
};

static const struct daemon_spec spec_fails = {
	.role = ROLE_DNS,
	.sandbox = SANDBOX_READER,
	.stats_name = counter_name,
	.nstats = C__MAX,
	.start = d_start_fails,
};

static const struct daemon_spec spec_few = {
	.role = ROLE_DNS,
	.sandbox = SANDBOX_READER,
	.handler = handlers,
	.nhandler = 2,
	.stats_name = counter_name,
	.nstats = C__MAX,
	.start = d_start_few,
	.stop = d_stop,
	.peer = d_peer,
	.peer_gone = d_gone,
};

/*
 * The test's side.
 */

#define MAXMSGS 16

/* A message that came, and those of its fields that matter here. */
struct got {
	enum ipc_type type;
	uint64_t id;
	size_t nlayers;
	char role[32], why[300];
};

struct sup {
	struct ev_loop *loop;
	struct ipc *bus, *port; /* the daemon, and portd's end of its link */
	const struct stats_file *stats;
	pid_t pid;
	struct got got; /* the one expect() took last */
	struct got queue[MAXMSGS];
	size_t nqueue, ngone;
};

static void
on_msg(struct ipc *ipc, struct ipc_msg *m)
{
	struct sup *s = ipc_data(ipc);
	struct got *g = &s->queue[s->nqueue++];

	ck_assert_uint_le(s->nqueue, MAXMSGS);
	memset(g, 0, sizeof(*g));
	g->type = m->type;
	if (m->type == IPC_HELLO)
		g->id = ipc_u64(m, "pid");
	if (m->type == IPC_READY)
		g->nlayers = ipc_nstr(m, "sandbox");
	if (m->type == IPC_SOCK_OPEN)
		g->id = ipc_u64(m, "id");
	if (m->type == IPC_BAD_PEER || m->type == IPC_LINK_LOST) {
		g->id = ipc_u64(m, "vm");
		strlcpy(g->role, ipc_str(m, "role"), sizeof(g->role));
	}
	if (m->type == IPC_BAD_PEER) {
		strlcpy(g->why, ipc_str(m, "why"), sizeof(g->why));
	}
}

static void
on_gone(struct ipc *ipc, const char *why)
{
	struct sup *s = ipc_data(ipc);

	ck_assert_ptr_null(why);
	s->ngone++;
	if (ipc == s->port)
		s->port = NULL;
	if (ipc == s->bus)
		s->bus = NULL;
	ipc_free(ipc);
}

static const struct ipc_events events = { on_msg, on_gone };

/* The next message, which must be of this type, is in s->got. */
static void
expect(struct sup *s, enum ipc_type type)
{
	while (s->nqueue == 0) {
		ck_assert_msg(s->bus != NULL, "the daemon is gone");
		ev_run(s->loop, EVRUN_ONCE);
	}
	s->got = s->queue[0];
	memmove(s->queue, s->queue + 1, --s->nqueue * sizeof(s->queue[0]));
	ck_assert_str_eq(ipc_desc[s->got.type].name, ipc_desc[type].name);
}

/* One more link has ended since there were n. */
static void
expect_gone(struct sup *s, size_t n)
{
	while (s->ngone == n)
		ev_run(s->loop, EVRUN_ONCE);
}

static _Noreturn void
child(const struct daemon_spec *sp, int bus, int stats)
{
	char name[] = "test", *argv[] = { name, NULL };

	if (bus == -1)
		close(DAEMON_BUS_FD);
	else if (dup2(bus, 100) == -1 || dup2(stats, 101) == -1 ||
		 dup2(100, DAEMON_BUS_FD) == -1 ||
		 dup2(101, DAEMON_STATS_FD) == -1)
		_exit(99);
	/* The last reference to the supervisor's end must be its own. */
	closefrom(DAEMON_STATS_FD + 1);
	_exit(daemon_main(sp, 1, argv));
}

/* Our end of its bus; its own, and its counters, are for launch(). */
static struct sup *
new_sup(int *bus, int *stats)
{
	struct sup *s = calloc(1, sizeof(*s));
	int sv[2];

	ck_assert_ptr_nonnull(s);
	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(plat_socketpair(SOCK_STREAM, sv), 0);
	*bus = sv[1];
	ck_assert_int_ne(*stats = plat_memfd("stats", STATS_BYTES), -1);
	s->stats = mmap(NULL, STATS_BYTES, PROT_READ, MAP_SHARED, *stats, 0);
	ck_assert_ptr_ne(s->stats, MAP_FAILED);
	ck_assert_ptr_nonnull(s->loop = ev_loop_new(EVFLAG_AUTO));
	s->bus = ipc_new(s->loop, sv[0], ROLE_MAIN, ROLE_DNS, 0, &events, s);
	ck_assert_ptr_nonnull(s->bus);
	return s;
}

static void
launch(struct sup *s, const struct daemon_spec *sp, int bus, int stats)
{
	ck_assert_int_ne(s->pid = fork(), -1);
	if (s->pid == 0)
		child(sp, bus, stats);
	close(bus);
	close(stats);
}

/* Forks a daemon; the caller says what it waits for. */
static struct sup *
fork_daemon(const struct daemon_spec *sp)
{
	int bus, stats;
	struct sup *s = new_sup(&bus, &stats);

	launch(s, sp, bus, stats);
	return s;
}

static struct sup *
start_daemon_of(const struct daemon_spec *sp)
{
	struct sup *s = fork_daemon(sp);

	expect(s, IPC_HELLO);
	ck_assert_uint_eq(s->got.id, s->pid);
	expect(s, IPC_READY);
	ck_assert_uint_eq(s->stats->value[C_START], 1);
	return s;
}

static int
wait_exit(struct sup *s)
{
	int status;

	ck_assert_int_eq(waitpid(s->pid, &status, 0), s->pid);
	ck_assert_msg(WIFEXITED(status), "killed by %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

static void
end_daemon(struct sup *s, int status)
{
	ipc_free(s->bus);
	ck_assert_int_eq(wait_exit(s), status);
	ck_assert_uint_eq(s->stats->value[C_STOP], s->stats->value[C_START]);
	ck_assert_uint_eq(s->stats->value[C_GONE], s->stats->value[C_PEER]);
	ipc_free(s->port);
	ev_loop_destroy(s->loop);
	free(s);
}

/* The daemon's end of a link; this end stays in *end. */
static void
send_peer(struct sup *s, const char *role, int vm, int *end)
{
	int sv[2];

	ck_assert_int_eq(plat_socketpair(SOCK_STREAM, sv), 0);
	ck_assert_int_eq(ipc_send(s->bus, IPC_PEER, &sv[1], 1, "{s:s, s:i}",
			     "role", role, "vm", vm),
	    0);
	*end = sv[0];
}

static struct sup *
start_daemon(void)
{
	return start_daemon_of(&spec);
}

/* A link to portd, which has reached spec.peer. */
static void
give_portd(struct sup *s, int vm)
{
	int fd;

	send_peer(s, "portd", vm, &fd);
	s->port = ipc_new(s->loop, fd, ROLE_PORT, ROLE_DNS, 0, &events, s);
	ck_assert_ptr_nonnull(s->port);
	expect(s, IPC_SOCK_OPEN);
	ck_assert_uint_eq(s->got.id, vm);
}

static void
send_conf(struct sup *s)
{
	ck_assert_int_eq(
	    ipc_send(s->bus, IPC_CONF_DNS, NULL, 0,
		"{s:s, s:s, s:s, s:[], s:[], s:[], s:b, s:i, s:i}",
		"gateway-ip", "192.168.65.1", "host-ip", "192.168.65.2",
		"lowest-ip", "192.168.65.3", "gateway-names", "host-names",
		"vm-names", "in-turn", 1, "offline-after", 5, "network", 0),
	    0);
}

/* A message and its answer: the daemon has handled all that was before. */
static void
round_trip(struct sup *s)
{
	send_conf(s);
	expect(s, IPC_BAD_PEER);
	ck_assert_str_eq(s->got.why, "conf");
}

START_TEST(starts_and_ends_with_the_bus)
{
	struct sup *s = start_daemon();

	ck_assert_uint_gt(s->got.nlayers, 0);
	ck_assert_uint_eq(s->stats->n, C__MAX);
	ck_assert_str_eq(s->stats->name[C_STOP], "stop");
	end_daemon(s, 0);
}
END_TEST

START_TEST(ends_with_sigterm_only)
{
	struct sup *s = start_daemon();

	ck_assert_int_eq(kill(s->pid, SIGINT), 0);
	ck_assert_int_eq(kill(s->pid, SIGPIPE), 0);
	round_trip(s);
	ck_assert_int_eq(kill(s->pid, SIGTERM), 0);
	expect_gone(s, 0);
	end_daemon(s, 0);
}
END_TEST

START_TEST(own_messages_and_levels)
{
	struct sup *s = start_daemon();

	ck_assert_int_eq(ipc_send(s->bus, IPC_LOG_LEVEL, NULL, 0, "{s:i}",
			     "level", (int)LOG_LVL_WARN),
	    0);
	round_trip(s);
	ck_assert_uint_eq(s->stats->value[C_LEVEL], LOG_LVL_WARN);
	ck_assert_uint_eq(s->stats->value[C_CLOCK], 1);
	round_trip(s);
	ck_assert_uint_eq(s->stats->value[C_CONF], 2);
	end_daemon(s, 0);
}
END_TEST

START_TEST(peer_replaces_peer)
{
	struct sup *s = start_daemon();
	struct ipc *other;

	give_portd(s, 1);
	other = s->port; /* of another VM: stays */
	give_portd(s, 2);
	ck_assert_uint_eq(s->stats->value[C_GONE], 0);
	give_portd(s, 2);
	ck_assert_uint_eq(s->stats->value[C_GONE], 1);
	expect_gone(s, 0);
	ck_assert_uint_eq(s->stats->value[C_PEER], 3);
	round_trip(s);
	ck_assert_uint_eq(s->ngone, 1);
	ipc_free(other);
	end_daemon(s, 0);
}
END_TEST

START_TEST(peer_gone_by_order)
{
	struct sup *s = start_daemon();

	give_portd(s, 0);
	ck_assert_int_eq(ipc_send(s->bus, IPC_PEER_GONE, NULL, 0, "{s:s, s:i}",
			     "role", "portd", "vm", 9),
	    0);
	round_trip(s);
	ck_assert_uint_eq(s->stats->value[C_GONE], 0);
	ck_assert_int_eq(ipc_send(s->bus, IPC_PEER_GONE, NULL, 0, "{s:s, s:i}",
			     "role", "portd", "vm", 0),
	    0);
	expect_gone(s, 0);
	ck_assert_uint_eq(s->stats->value[C_GONE], 1);
	end_daemon(s, 0);
}
END_TEST

START_TEST(peer_gone_by_itself)
{
	struct sup *s = start_daemon();

	give_portd(s, 0);
	ipc_free(s->port);
	s->port = NULL;
	while (s->stats->value[C_GONE] == 0)
		round_trip(s);
	end_daemon(s, 0);
}
END_TEST

START_TEST(violation_of_the_table_is_told)
{
	struct sup *s = start_daemon();
	int fd;

	send_peer(s, "portd", 5, &fd);
	ck_assert_int_eq(write(fd, "\xff\xff\xff\xff\0\0\0\0", 8), 8);
	expect(s, IPC_BAD_PEER);
	ck_assert_str_eq(s->got.role, "portd");
	ck_assert_uint_eq(s->got.id, 5);
	ck_assert_uint_gt(strlen(s->got.why), 0);
	ck_assert_uint_eq(s->stats->value[C_GONE], 1);
	round_trip(s);
	close(fd);
	end_daemon(s, 0);
}
END_TEST

/* No descriptors left for those that come: the link ends, nobody is accused,
 * and a new link works. */
START_TEST(lack_of_descriptors_is_no_violation)
{
	struct sup *s = start_daemon_of(&spec_few);
	int fd[IPC_MAXFDS], i;

	give_portd(s, 3);
	for (i = 0; i < IPC_MAXFDS; i++)
		fd[i] = dup(STDERR_FILENO);
	ck_assert_int_eq(
	    ipc_send(s->port, IPC_SOCK_FD, fd, IPC_MAXFDS, "{s:i}", "id", 1),
	    0);
	expect(s, IPC_LINK_LOST);
	ck_assert_str_eq(s->got.role, "portd");
	ck_assert_uint_eq(s->got.id, 3);
	expect_gone(s, 0);
	give_portd(s, 3);
	round_trip(s);
	end_daemon(s, 0);
}
END_TEST

/* daemon_bad_peer() from a handler of that very link. */
START_TEST(violation_of_the_sense_is_told)
{
	struct sup *s = start_daemon();

	give_portd(s, 7);
	ck_assert_int_eq(ipc_send(s->port, IPC_SOCK_REFUSED, NULL, 0,
			     "{s:i, s:s}", "id", 1, "error", "EWHATEVER"),
	    0);
	expect(s, IPC_BAD_PEER);
	ck_assert_str_eq(s->got.role, "portd");
	ck_assert_str_eq(s->got.why, "EWHATEVER");
	ck_assert_uint_eq(s->got.id, 7);
	expect_gone(s, 0);
	round_trip(s);
	end_daemon(s, 0);
}
END_TEST

START_TEST(unknown_roles_are_refused)
{
	static const char *const role[] = { "vpnkit", "nobody", "x" };
	struct sup *s = start_daemon();
	size_t i;
	int fd;

	for (i = 0; i < sizeof(role) / sizeof(role[0]); i++) {
		send_peer(s, role[i], 0, &fd);
		round_trip(s);
		ck_assert_int_eq(read(fd, &(char){ 0 }, 1), 0);
		close(fd);
	}
	ck_assert_uint_eq(s->stats->value[C_PEER], 0);
	end_daemon(s, 0);
}
END_TEST

START_TEST(supervisor_violation_ends)
{
	struct sup *s = start_daemon();

	ck_assert_int_eq(
	    write(ipc_fd(s->bus), "\xff\xff\xff\xff\0\0\0\0", 8), 8);
	expect_gone(s, 0);
	end_daemon(s, 1);
}
END_TEST

START_TEST(failed_start_ends)
{
	struct sup *s = fork_daemon(&spec_fails);

	ck_assert_int_eq(wait_exit(s), 1);
	ipc_free(s->bus);
	ev_loop_destroy(s->loop);
	free(s);
}
END_TEST

/* What a supervisor said before it went is nothing to begin with. */
START_TEST(supervisor_gone_before_the_start)
{
	int bus, stats;
	struct sup *s = new_sup(&bus, &stats);

	send_conf(s);
	ev_run(s->loop, EVRUN_NOWAIT);
	ck_assert_int_eq(poll(&(struct pollfd){ bus, POLLIN, 0 }, 1, 0), 1);
	ipc_free(s->bus);
	s->bus = NULL;
	launch(s, &spec, bus, stats);
	ck_assert_int_eq(wait_exit(s), 0);
	ck_assert_uint_eq(s->stats->value[C_START], 0);
	ck_assert_uint_eq(s->stats->value[C_STOP], 0);
	ck_assert_uint_eq(s->stats->value[C_CONF], 0);
	ev_loop_destroy(s->loop);
	free(s);
}
END_TEST

START_TEST(by_hand_it_refuses)
{
	int status;
	pid_t pid;

	ck_assert_int_ne(pid = fork(), -1);
	if (pid == 0)
		child(&spec, -1, -1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 1 << 8);
}
END_TEST

START_TEST(clock_of_other_loops)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	usec_t before = plat_now();

	ck_assert_int_ge(usec_now(loop), before);
	ck_assert_int_le(usec_now(loop), plat_now());
	ev_loop_destroy(loop);
}
END_TEST

int
main(void)
{
	TCase *t = tcase_create("daemon");

	tcase_set_timeout(t, 30);
	tcase_add_test(t, starts_and_ends_with_the_bus);
	tcase_add_test(t, ends_with_sigterm_only);
	tcase_add_test(t, own_messages_and_levels);
	tcase_add_test(t, peer_replaces_peer);
	tcase_add_test(t, peer_gone_by_order);
	tcase_add_test(t, peer_gone_by_itself);
	tcase_add_test(t, violation_of_the_table_is_told);
	tcase_add_test(t, lack_of_descriptors_is_no_violation);
	tcase_add_test(t, violation_of_the_sense_is_told);
	tcase_add_test(t, unknown_roles_are_refused);
	tcase_add_test(t, supervisor_violation_ends);
	tcase_add_test(t, failed_start_ends);
	tcase_add_test(t, supervisor_gone_before_the_start);
	tcase_add_test(t, by_hand_it_refuses);
	tcase_add_test(t, clock_of_other_loops);
	return check_case("daemon", t);
}
