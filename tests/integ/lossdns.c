/*
 * lossdns ADDRESS PERCENT: a name server on port 53 that has the address
 * 198.51.100.7 for every name, and loses so many of the queries.
 */

#include <sys/socket.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <err.h>
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

int
main(int argc, char *argv[])
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_port = htons(53) },
			   from;
	uint8_t buf[1024];
	socklen_t len;
	ssize_t n;
	size_t end;
	int fd;

	if (argc != 3 || inet_pton(AF_INET, argv[1], &in.sin_addr) != 1)
		errx(2, "usage: lossdns address percent");
	if ((fd = socket(AF_INET, SOCK_DGRAM, 0)) == -1 ||
	    bind(fd, (struct sockaddr *)&in, sizeof(in)) == -1)
		err(1, "%s", argv[1]);
	puts("ready");
	fflush(stdout);
	for (;;) {
		len = sizeof(from);
		n = recvfrom(fd, buf, sizeof(buf) - sizeof(record), 0,
		    (struct sockaddr *)&from, &len);
		if (n < 12 || (end = question_end(buf, (size_t)n)) == 0 ||
		    arc4random_uniform(100) <
			(uint32_t)strtonum(argv[2], 0, 100, NULL))
			continue;
		buf[2] |= 0x80;
		buf[3] = 0x80;
		memset(buf + 6, 0, 6);
		buf[7] = 1;
		memcpy(buf + end, record, sizeof(record) - 1);
		(void)sendto(fd, buf, end + sizeof(record) - 1, 0,
		    (struct sockaddr *)&from, len);
	}
}
