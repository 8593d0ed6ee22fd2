/*
 * vpnkit-tap: runs a command in a network namespace whose only way out is a
 * TAP device connected to vpnkit.
 *
 * Two processes.  This one keeps the host's network, the connection to the
 * suite and the descriptor of the TAP, and moves frames.  Its child enters the
 * namespaces, makes the TAP, hands its descriptor over a socketpair, waits for
 * the word to go, and becomes the command.  It stays in our process group, so
 * the terminal and job control are the command's as if we were not there.
 */

#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <bsd/stdlib.h>
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/plat/plat.h"
#include "config.h"

#include "tools/tap_conn.h"
#include "tools/tap_net.h"
#include "tools/tap_pump.h"

#define EXIT_NOEXEC    126
#define EXIT_NOTFOUND  127
#define CONNECT_WITHIN (30 * USEC_SEC)
#define CONNECT_EVERY  100  /* ms */
#define HANGUP_WITHIN  5000 /* ms for the command to end on SIGHUP */

struct options {
	const char *socket;
	const char *uuid;
	const char *netns;
	uint16_t mtu; /* 0: what the suite says */
	bool relay;
	char **command;
};

static const char usage[] =
    "usage: vpnkit-tap --socket PATH [--uuid UUID] [--mtu N]\n"
    "                  [--netns PATH|PID] [--relay] [--] [COMMAND "
    "[ARGUMENTS]]\n";

static void
usage_error(void)
{
	fputs(usage, stderr);
	exit(TAP_EXIT);
}

static uint16_t
mtu_option(const char *arg)
{
	const char *why;
	long long n;

	n = strtonum(arg, 576, 65521, &why);
	if (why != NULL)
		errx(TAP_EXIT, "--mtu %s: %s", arg, why);
	return (uint16_t)n;
}

static void
one_option(struct options *o, int c)
{
	switch (c) {
	case 's':
		o->socket = optarg;
		break;
	case 'u':
		if (!conn_uuid_ok(optarg))
			errx(TAP_EXIT, "--uuid %s: not a UUID", optarg);
		o->uuid = optarg;
		break;
	case 'm':
		o->mtu = mtu_option(optarg);
		break;
	case 'n':
		o->netns = optarg;
		break;
	case 'r':
		o->relay = true;
		break;
	case 'h':
		fputs(usage, stdout);
		exit(0);
	case 'v':
		puts("vpnkit-tap " VPNKIT_VERSION);
		exit(0);
	default:
		usage_error();
	}
}

static void
parse_options(struct options *o, int argc, char *argv[])
{
	static const struct option longopts[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "uuid", required_argument, NULL, 'u' },
		{ "mtu", required_argument, NULL, 'm' },
		{ "netns", required_argument, NULL, 'n' },
		{ "relay", no_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "+h", longopts, NULL)) != -1)
		one_option(o, c);
	o->command = argv + optind;
	if (o->socket == NULL) {
		warnx("--socket is required");
		usage_error();
	}
}

/* One byte and the descriptor. */
static int
send_fd(int sock, int fd)
{
	union {
		struct cmsghdr h;
		char b[CMSG_SPACE(sizeof(int))];
	} u = { .b = { 0 } };
	struct iovec iov = { "", 1 };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = u.b,
		.msg_controllen = sizeof(u.b) };
	struct cmsghdr *cm = CMSG_FIRSTHDR(&m);

	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(cm), &fd, sizeof(fd));
	return sendmsg(sock, &m, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

/* -1: the other side is gone. */
static int
recv_fd(int sock)
{
	union {
		struct cmsghdr h;
		char b[CMSG_SPACE(sizeof(int))];
	} u;
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = u.b,
		.msg_controllen = sizeof(u.b) };
	struct cmsghdr *cm;
	int fd;

	if (recvmsg(sock, &m, MSG_CMSG_CLOEXEC) != 1 ||
	    (cm = CMSG_FIRSTHDR(&m)) == NULL ||
	    cm->cmsg_len != CMSG_LEN(sizeof(fd)))
		return -1;
	memcpy(&fd, CMSG_DATA(cm), sizeof(fd));
	return fd;
}

static void __attribute__((__noreturn__)) run_command(char **command)
{
	static char fallback[] = "/bin/sh";
	char *shell[2] = { getenv("SHELL"), NULL };

	if (command[0] == NULL) {
		if (shell[0] == NULL || shell[0][0] == '\0')
			shell[0] = fallback;
		command = shell;
	}
	execvp(command[0], command);
	warn("%s", command[0]);
	_exit(errno == ENOENT ? EXIT_NOTFOUND : EXIT_NOEXEC);
}

/* sock is blocking and closes on exec. */
static void __attribute__((__noreturn__)) child(const struct tap_conf *tc,
    int sock, pid_t parent, char **command, const sigset_t *mask)
{
	char go;
	int tap;

	tap_enter(tc);
	tap = tap_open(tc);
	tap_mounts(tc->lease);
	/* After the last change of rights, which forgets it. */
	if (prctl(PR_SET_PDEATHSIG, SIGHUP) == -1)
		err(TAP_EXIT, "prctl");
	if (getppid() != parent || send_fd(sock, tap) == -1 ||
	    read(sock, &go, 1) != 1)
		_exit(TAP_EXIT);
	if (sigprocmask(SIG_SETMASK, mask, NULL) == -1)
		err(TAP_EXIT, "sigprocmask");
	run_command(command);
}

static int
exit_status(int status)
{
	if (WIFSIGNALED(status))
		return 128 + WTERMSIG(status);
	return WEXITSTATUS(status);
}

/*
 * There is no network any more: the command hears of it as of a terminal that
 * went away, and is killed when it does not end on that.
 */
static void
hang_up(pid_t pid, int sigfd)
{
	struct pollfd pfd = { .fd = sigfd, .events = POLLIN };
	struct signalfd_siginfo si;
	usec_t until = plat_now() + HANGUP_WITHIN * USEC_MS;

	(void)kill(pid, SIGHUP);
	(void)kill(pid, SIGCONT);
	while (waitpid(pid, NULL, WNOHANG) == 0) {
		if (plat_now() >= until) {
			(void)kill(pid, SIGKILL);
			(void)waitpid(pid, NULL, 0);
			return;
		}
		if (poll(&pfd, 1, HANGUP_WITHIN) == 1 &&
		    read(sigfd, &si, sizeof(si)) == -1)
			continue; /* The deadline decides. */
	}
}

static int
parent(struct conn *c, bool relay, int sock, pid_t pid, const sigset_t *set)
{
	struct pump *p;
	int tap, sigfd, status;

	if ((tap = recv_fd(sock)) == -1) {
		/* It has said why. */
		if (waitpid(pid, &status, 0) == -1)
			err(TAP_EXIT, "waitpid");
		return exit_status(status);
	}
	sigfd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (sigfd == -1)
		err(TAP_EXIT, "signalfd");
	if ((p = pump_new(c, tap, relay, sigfd, pid)) == NULL)
		err(TAP_EXIT, NULL);
	if (send(sock, "", 1, MSG_NOSIGNAL) != 1)
		err(TAP_EXIT, "cannot start the command");
	close(sock);
	if (pump_run(p, &status) == -1) {
		hang_up(pid, sigfd);
		status = W_EXITCODE(TAP_EXIT, 0);
	}
	pump_free(p);
	close(sigfd);
	return exit_status(status);
}

static int
run(struct conn *c, const struct tap_conf *tc, const struct options *o)
{
	sigset_t set, old;
	pid_t pid, self = getpid();
	int sv[2];

	pump_signals(&set);
	if (sigprocmask(SIG_BLOCK, &set, &old) == -1)
		err(TAP_EXIT, "sigprocmask");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1)
		err(TAP_EXIT, "socketpair");
	if ((pid = fork()) == -1)
		err(TAP_EXIT, "fork");
	if (pid == 0) {
		close(sv[0]);
		child(tc, sv[1], self, o->command, &old);
	}
	close(sv[1]);
	return parent(c, o->relay, sv[0], pid, &set);
}

/* The suite may just be starting. */
static int
connect_first(struct conn *c)
{
	usec_t until = plat_now() + CONNECT_WITHIN;

	while (conn_open(c, CONNECT_WITHIN) == -1) {
		if (!c->absent || plat_now() >= until)
			return -1;
		(void)poll(NULL, 0, CONNECT_EVERY);
	}
	return 0;
}

int
main(int argc, char *argv[])
{
	struct options o = { 0 };
	struct tap_conf tc = { 0 };
	struct dhcp_lease lease;
	struct conn *c;
	int status;

	parse_options(&o, argc, argv);
	if ((c = conn_new(o.socket, o.uuid)) == NULL)
		err(TAP_EXIT, NULL);
	if (connect_first(c) == -1 || conn_lease(c, &lease) == -1)
		errx(TAP_EXIT, "%s", c->err);
	tc.netns = o.netns;
	tc.mac = c->mac;
	tc.mtu = o.mtu != 0 && o.mtu < c->mtu ? o.mtu : c->mtu;
	tc.lease = &lease;
	/* Of use to the suite only; we can do without. */
	tc.vnet = !o.relay;
	status = run(c, &tc, &o);
	conn_free(c);
	return status;
}
