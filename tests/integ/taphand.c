/*
 * Hands a descriptor to the suite as the TAP of a VM and prints what it says
 * to that; then stays until the end of its input.
 *
 *	taphand SOCKET UUID null|pipe|tun|vnet12|vnet|tap|lies
 *
 * lies: a vnet TAP, where the machine then leaves open what nobody has asked it
 * to, sends what is no packet, and changes the length of the header.
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
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>

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

/* With a header of so many bytes. */
static int
vnet(int len)
{
	int fd = tun(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);

	if (ioctl(fd, TUNSETVNETHDRSZ, &len) == -1)
		err(1, "TUNSETVNETHDRSZ");
	return fd;
}

static int
descriptor(const char *kind)
{
	int sv[2];

	if (strcmp(kind, "tun") == 0)
		return tun(IFF_TUN | IFF_NO_PI);
	if (strcmp(kind, "vnet12") == 0)
		return vnet(12);
	if (strcmp(kind, "vnet") == 0 || strcmp(kind, "lies") == 0)
		return vnet(10);
	if (strcmp(kind, "tap") == 0)
		return tun(IFF_TAP | IFF_NO_PI);
	if (strcmp(kind, "pipe") == 0 && pipe(sv) == 0)
		return sv[0];
	return open("/dev/null", O_RDWR);
}

/* A socket that sends whatever it likes from the machine's side of the TAP. */
static int
machine(int tap)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET };
	struct ifreq ifr = { 0 };
	int s = socket(AF_PACKET, SOCK_RAW, 0), one = 1;

	if (s == -1 || ioctl(tap, TUNGETIFF, &ifr) == -1)
		err(1, "AF_PACKET");
	ifr.ifr_flags = IFF_UP;
	if (ioctl(s, SIOCSIFFLAGS, &ifr) == -1 ||
	    ioctl(s, SIOCGIFINDEX, &ifr) == -1)
		err(1, "%s", ifr.ifr_name);
	ll.sll_ifindex = ifr.ifr_ifindex;
	if (setsockopt(s, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) ==
		-1 ||
	    bind(s, (struct sockaddr *)&ll, sizeof(ll)) == -1)
		err(1, "%s", ifr.ifr_name);
	return s;
}

#define GSO_UDP_SEGMENTS 5 /* not in the headers of Debian 12 */

static const struct virtio_net_hdr lies[] = {
	{ 1, VIRTIO_NET_HDR_GSO_TCPV4, 54, 1000, 34, 16 }, /* a true one */
	{ 1, VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN, 54, 1000, 34,
	    16 },
	{ 1, GSO_UDP_SEGMENTS, 42, 1000, 34, 6 },
	{ 1, VIRTIO_NET_HDR_GSO_UDP, 42, 1000, 34, 6 },
	{ 1, VIRTIO_NET_HDR_GSO_TCPV4, 54, 0, 34, 16 },
	{ 1, VIRTIO_NET_HDR_GSO_TCPV4, 65535, 1, 34, 16 },
	{ 1, 0xff, 54, 1000, 34, 16 },
	{ 1, 0, 0, 0, 65535, 65535 },
	{ 1, 0, 0, 0, 2000, 6 },
	{ 1, 0, 0, 0, 33, 5 },
	{ 0, 0, 0, 0, 0, 0 },
};

/* TCP, or UDP where the header says so, to everybody. */
static void
lie(int s, const struct virtio_net_hdr *h)
{
	static const uint8_t ip[20] = { 0x45, 0, (3040 >> 8), (3040 & 255), 0,
		0, 0, 0, 64, 6, 0, 0, 192, 168, 65, 4, 192, 168, 65, 1 };
	uint8_t b[sizeof(*h) + 14 + 3040] = { 0 }, *p = b + sizeof(*h);

	memcpy(b, h, sizeof(*h));
	memset(p, 0xff, 6);
	p[6] = 2;
	p[12] = 8;
	memcpy(p + 14, ip, sizeof(ip));
	p[14 + 20 + 12] = 0x50;
	if (h->csum_offset == 6) {
		p[14 + 9] = 17;
		p[14 + 20 + 4] = 3020 >> 8;
		p[14 + 20 + 5] = 3020 & 255;
	}
	/* The kernel itself refuses some of them. */
	if (write(s, b, sizeof(b)) == -1)
		printf("not sent: %m\n");
}

static void
tell_lies(int tap)
{
	const unsigned long all = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 |
				  TUN_F_TSO_ECN | TUN_F_UFO | (3 << 5);
	const int len[] = { 10, 11, 64, 1000 };
	int s = machine(tap);
	size_t i, j;

	/* 3 << 5: UDP's segments, where the kernel knows them. */
	if (ioctl(tap, TUNSETOFFLOAD, all) == -1 &&
	    ioctl(tap, TUNSETOFFLOAD, all & 31) == -1)
		err(1, "TUNSETOFFLOAD");
	for (i = 0; i < sizeof(len) / sizeof(len[0]); i++) {
		if (ioctl(tap, TUNSETVNETHDRSZ, &len[i]) == -1)
			err(1, "TUNSETVNETHDRSZ");
		for (j = 0; j < sizeof(lies) / sizeof(lies[0]); j++)
			lie(s, &lies[j]);
	}
	close(s);
	puts("sent");
	fflush(stdout);
}

int
main(int argc, char *argv[])
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct ipc *ipc;
	char byte;
	int fd, tap = -1;

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
	if (strcmp(argv[3], "lies") == 0 && (tap = dup(fd)) == -1)
		err(1, "dup");
	ipc_send(ipc, IPC_ADMIN_TAP, &fd, 1, "{s:s}", "uuid", argv[2]);
	while (!t.answered)
		ev_run(t.loop, EVRUN_ONCE);
	fflush(stdout);
	if (tap != -1)
		tell_lies(tap);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		continue;
	ipc_free(ipc);
	ev_loop_destroy(t.loop);
	return 0;
}
