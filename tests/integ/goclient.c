/*
 * What rootlesskit's parent process does with the Go vmnet client, byte for
 * byte: connects with a UUID, sends a DHCP DISCOVER each second until it is
 * answered, prints the address, and then keeps the connection open without
 * ever reading it, until its standard input ends.
 *
 *	goclient SOCKET UUID
 */

#include <sys/socket.h>
#include <sys/un.h>
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INIT_LEN     49
#define COMMAND_LEN  41
#define RESPONSE_LEN 258
#define FRAME_LEN    286 /* of the DISCOVER */
#define BOOTP	     42	 /* offset of the DHCP message in a frame */

static void
read_all(int fd, void *buf, size_t len)
{
	size_t off;
	ssize_t n;

	for (off = 0; off < len; off += (size_t)n)
		if ((n = read(fd, (uint8_t *)buf + off, len - off)) <= 0)
			errx(1, "the connection ended in the handshake");
}

static void
write_all(int fd, const void *buf, size_t len)
{
	if (write(fd, buf, len) != (ssize_t)len)
		err(1, "write");
}

static int
dial(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int tries, fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (strlen(path) >= sizeof(sun.sun_path))
		errx(2, "%s: too long", path);
	strcpy(sun.sun_path, path);
	/* rootlesskit polls for the socket for ten seconds as well. */
	for (tries = 0; tries < 500; tries++) {
		if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
			return fd;
		poll(NULL, 0, 20);
	}
	err(1, "%s", path);
}

/* Returns with the MAC address of the reply in mac. */
static void
connect_vif(int fd, const char *uuid, uint8_t *mac)
{
	uint8_t init[INIT_LEN] = "VMN3T\26", command[COMMAND_LEN] = { 1 };
	uint8_t response[RESPONSE_LEN];

	memset(init + 9, 0, 40);
	write_all(fd, init, sizeof(init));
	read_all(fd, init, sizeof(init));
	if (memcmp(init, "VMN3T\26\0\0\0", 9) != 0)
		errx(1, "bad magic or version");
	memcpy(command + 1, uuid, 36);
	write_all(fd, command, sizeof(command));
	read_all(fd, response, sizeof(response));
	if (response[0] != 1)
		errx(1, "refused: %.*s", response[1], (char *)response + 2);
	memcpy(mac, response + 5, 6);
}

static void
discover(uint8_t *f, const uint8_t *mac)
{
	static const uint8_t ip[28] = { 0x45, 0, 0x01, 0x10, 0x7f, 0x61, 0, 0,
		64, 17, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0, 68, 0, 67,
		0, 252, 0, 0 };
	static const uint8_t tail[8] = { 99, 130, 83, 99, 53, 1, 1, 255 };

	memset(f, 0, FRAME_LEN);
	memset(f, 0xff, 6);
	memcpy(f + 6, mac, 6);
	f[12] = 8;
	memcpy(f + 14, ip, sizeof(ip)); /* both checksums are zero */
	memcpy(f + BOOTP, "\1\1\6\0\1\0\0\0\0\0\200\0", 12);
	memcpy(f + BOOTP + 28, mac, 6);
	memcpy(f + BOOTP + 236, tail, sizeof(tail));
}

/* One frame if there is one within a second. */
static int
read_frame(int fd, uint8_t *f, size_t *len)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint8_t prefix[2];

	if (poll(&p, 1, 1000) != 1)
		return -1;
	read_all(fd, prefix, sizeof(prefix));
	*len = (size_t)(prefix[0] | prefix[1] << 8);
	read_all(fd, f, *len);
	return 0;
}

int
main(int argc, char *argv[])
{
	static uint8_t in[65536];
	uint8_t out[2 + FRAME_LEN], mac[6];
	const uint8_t *y = in + BOOTP + 16;
	size_t len;
	int fd, tries;

	if (argc != 3 || strlen(argv[2]) != 36)
		errx(2, "usage: goclient SOCKET UUID");
	fd = dial(argv[1]);
	connect_vif(fd, argv[2], mac);
	out[0] = FRAME_LEN & 0xff;
	out[1] = FRAME_LEN >> 8;
	discover(out + 2, mac);
	for (tries = 0; tries < 10; tries++) {
		write_all(fd, out, sizeof(out));
		if (read_frame(fd, in, &len) == 0 && len >= BOOTP + 243 &&
		    in[23] == 17 && in[BOOTP] == 2 && in[BOOTP + 4] == 1 &&
		    in[BOOTP + 240] == 53 && in[BOOTP + 242] == 2)
			break;
	}
	if (tries == 10)
		errx(1, "no offer");
	printf("%u.%u.%u.%u\n", y[0], y[1], y[2], y[3]);
	fflush(stdout);
	while (read(STDIN_FILENO, in, sizeof(in)) > 0)
		continue;
	return 0;
}
