/*
 * The two ends of the shim: a TAP, and a socket of the peer under test.
 */

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <net/if.h>
#include <linux/if_tun.h>
#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tapshim.h"

#define CONNECT_TRIES	 200
#define CONNECT_EVERY_MS 50
#define SOCKBUF		 (1 << 20)
/* The vmnet handshake, version 22: both say that, we command, it answers. */
#define INIT_LEN    49
#define COMMAND_LEN 41
#define VIF_LEN	    258

void
shim_open_tap(struct shim *s, const char *ifname)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int unlimited = 0x7fffffff;

	if (s->offload)
		ifr.ifr_flags |= IFF_VNET_HDR;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	if ((s->tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK)) == -1 ||
	    ioctl(s->tap, TUNSETIFF, &ifr) == -1)
		err(1, "%s", ifname);
	if (s->offload && ioctl(s->tap, TUNSETOFFLOAD,
			      TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO_ECN) == -1)
		err(1, "offloads of %s", ifname);
	if (ioctl(s->tap, TUNSETSNDBUF, &unlimited) == -1)
		err(1, "buffer of %s", ifname);
}

/* The peer may just be starting. */
void
shim_connect(struct shim *s, const char *path)
{
	int type = s->framing == FRAMING_SEQ ? SOCK_SEQPACKET : SOCK_STREAM;
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int i, size = SOCKBUF;

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	if ((s->sock = socket(AF_UNIX, type, 0)) == -1)
		err(1, "socket");
	for (i = 0;
	     connect(s->sock, (struct sockaddr *)&sun, sizeof(sun)) == -1;
	     i++) {
		if (i == CONNECT_TRIES)
			err(1, "%s", path);
		poll(NULL, 0, CONNECT_EVERY_MS);
	}
	setsockopt(s->sock, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(s->sock, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

static void
exchange(struct shim *s, const uint8_t *ask, size_t asklen, uint8_t *answer,
    size_t len)
{
	size_t off;
	ssize_t n;

	if (write(s->sock, ask, asklen) != (ssize_t)asklen)
		err(1, "handshake");
	for (off = 0; off < len; off += (size_t)n) {
		if ((n = read(s->sock, answer + off, len - off)) <= 0)
			errx(1, "the handshake was cut short");
	}
}

static void
write_vif(const char *path, const uint8_t *vif)
{
	FILE *f = fopen(path, "w");

	if (f == NULL)
		err(1, "%s", path);
	fprintf(f, "%02x:%02x:%02x:%02x:%02x:%02x %u\n", vif[5], vif[6], vif[7],
	    vif[8], vif[9], vif[10], (unsigned)(vif[1] | vif[2] << 8));
	if (fclose(f) != 0)
		err(1, "%s", path);
}

void
shim_greet(struct shim *s, const char *vif_path)
{
	static const char uuid[] = "f47ac10b-58cc-4372-a567-0e02b2c3d479";
	uint8_t init[INIT_LEN] = { 'V', 'M', 'N', '3', 'T', 22 };
	uint8_t command[COMMAND_LEN] = { 1 }; /* Ethernet */
	uint8_t answer[VIF_LEN];

	exchange(s, init, sizeof(init), answer, INIT_LEN);
	if (memcmp(answer, init, 6) != 0)
		errx(1, "the peer speaks another protocol");
	memcpy(command + 1, uuid, sizeof(uuid) - 1);
	exchange(s, command, sizeof(command), answer, VIF_LEN);
	if (answer[0] != 1)
		errx(1, "the peer refuses");
	if (vif_path != NULL)
		write_vif(vif_path, answer);
}
