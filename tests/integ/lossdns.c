/*
 * lossdns ADDRESS PERCENT [PERCENT]: a name server on port 53 that has the
 * address 198.51.100.7 for every name, and loses so many of the queries, and
 * of its answers.
 *
 * lossdns ADDRESS lies OTHER: one that loses nothing, but before each answer
 * come others, with another address in them: from another port, from the
 * address OTHER, with another id, and to another question.
 */

#include <sys/socket.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <err.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/stdlib.h>

static const char record[] = "\xc0\x0c\0\1\0\1\0\0\0\0\0\4\xc6\x33\x64\7";

/* Where the question ends; 0: there is none. */
static size_t
question_end(const uint8_t *p, size_t n)
{
	size_t i = 12;

	while (i < n && p[i] != 0)
		i += 1 + (size_t)p[i];
	return i + 5 <= n ? i + 5 : 0;
}

static bool
lost(const char *percent)
{
	return arc4random_uniform(100) <
	       (uint32_t)strtonum(percent, 0, 100, NULL);
}

static struct sockaddr_in
at(const char *addr, uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_port = htons(port) };

	if (inet_pton(AF_INET, addr, &in.sin_addr) != 1)
		errx(2, "not an address: %s", addr);
	return in;
}

static int
bound(const char *addr, uint16_t port)
{
	struct sockaddr_in in = at(addr, port);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd == -1 || bind(fd, (struct sockaddr *)&in, sizeof(in)) == -1)
		err(1, "%s", addr);
	return fd;
}

static void
reply(int fd, const uint8_t *p, size_t n, const struct sockaddr_in *to)
{
	(void)sendto(fd, p, n, 0, (const struct sockaddr *)to, sizeof(*to));
}

/* The last byte of an answer is the address's, the 13th a letter. */
static void
lie(const int fd[3], uint8_t *p, size_t n, const struct sockaddr_in *to)
{
	p[n - 1] ^= 0xff;
	reply(fd[1], p, n, to);
	reply(fd[2], p, n, to);
	p[1] ^= 1;
	reply(fd[0], p, n, to);
	p[1] ^= 1;
	p[13] ^= 1;
	reply(fd[0], p, n, to);
	p[13] ^= 1;
	p[n - 1] ^= 0xff;
}

/* The answer in the query's place; its length, 0: there is none. */
static size_t
answer(uint8_t *p, size_t n)
{
	size_t end = n < 12 ? 0 : question_end(p, n);

	if (end == 0)
		return 0;
	p[2] |= 0x80;
	p[3] = 0x80;
	memset(p + 6, 0, 6);
	p[7] = 1;
	memcpy(p + end, record, sizeof(record) - 1);
	return end + sizeof(record) - 1;
}

int
main(int argc, char *argv[])
{
	bool lies = argc == 4 && strcmp(argv[2], "lies") == 0;
	struct sockaddr_in from;
	uint8_t buf[1024];
	socklen_t len;
	ssize_t got;
	size_t n;
	int fd[3];

	if (argc < 3 || argc > 4)
		errx(2, "usage: lossdns address percent|lies [percent|other]");
	fd[0] = bound(argv[1], 53);
	fd[1] = bound(argv[1], 5300);
	fd[2] = lies ? bound(argv[3], 53) : -1;
	puts("ready");
	fflush(stdout);
	for (;;) {
		len = sizeof(from);
		got = recvfrom(fd[0], buf, sizeof(buf) - sizeof(record), 0,
		    (struct sockaddr *)&from, &len);
		if (got <= 0 || (!lies && lost(argv[2])) ||
		    (n = answer(buf, (size_t)got)) == 0)
			continue;
		if (lies)
			lie(fd, buf, n, &from);
		if (lies || argc == 3 || !lost(argv[3]))
			reply(fd[0], buf, n, &from);
	}
}
