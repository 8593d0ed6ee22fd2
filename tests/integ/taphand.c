/*
 * Hands a descriptor to the suite as the TAP of a VM and prints what it says
 * to that; then stays until the end of its input.
 *
 *	taphand SOCKET UUID null|pipe|tun|vnet|tap
 */

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <err.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <ev.h>
#include <linux/if_tun.h>

#include "common/ipc.h"

static struct {
	struct ev_loop *loop;
	bool greeted, answered;
} t;

static void
on_msg(struct ipc *ipc, struct ipc_msg *m)
{
	if (m->type == IPC_ADMIN_HELLO)
		t.greeted = true;
	if (m->type != IPC_ADMIN_DONE)
		return;
	puts(ipc_str(m, "error")[0] == '\0' ? "taken" : ipc_str(m, "error"));
	t.answered = true;
}

static void
on_end(struct ipc *ipc, const char *why)
{
	errx(1, "the suite has closed the connection: %s",
	    why != NULL ? why : "");
}

static const struct ipc_events events = { on_msg, on_end };

static int
tun(short flags)
{
	struct ifreq ifr = { .ifr_flags = flags };
	int fd = open("/dev/net/tun", O_RDWR);

	if (fd == -1 || ioctl(fd, TUNSETIFF, &ifr) == -1)
		err(1, "/dev/net/tun");
	return fd;
}

static int
descriptor(const char *kind)
{
	int sv[2];

	if (strcmp(kind, "tun") == 0)
		return tun(IFF_TUN | IFF_NO_PI);
	if (strcmp(kind, "vnet") == 0)
		return tun(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
	if (strcmp(kind, "tap") == 0)
		return tun(IFF_TAP | IFF_NO_PI);
	if (strcmp(kind, "pipe") == 0 && pipe(sv) == 0)
		return sv[0];
	return open("/dev/null", O_RDWR);
}

int
main(int argc, char *argv[])
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct ipc *ipc;
	char byte;
	int fd;

	if (argc != 4)
		errx(1, "usage: taphand SOCKET UUID KIND");
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", argv[1]);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd == -1 || connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1)
		err(1, "%s", argv[1]);
	if (fcntl(fd, F_SETFL, O_NONBLOCK) == -1)
		err(1, "fcntl");
	t.loop = ev_loop_new(EVFLAG_AUTO);
	ipc = ipc_new(t.loop, fd, ROLE_ADMIN, ROLE_MAIN, 0, &events, NULL);
	while (!t.greeted)
		ev_run(t.loop, EVRUN_ONCE);
	fd = descriptor(argv[3]);
	ipc_send(ipc, IPC_ADMIN_TAP, &fd, 1, "{s:s}", "uuid", argv[2]);
	while (!t.answered)
		ev_run(t.loop, EVRUN_ONCE);
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		continue;
	ipc_free(ipc);
	ev_loop_destroy(t.loop);
	return 0;
}
