/*
 * The other end of the integration tests: small servers and clients whose
 * bytes are made from a seed, so that every byte can be compared at the far
 * end, and whose exit status says whether all was right.
 *
 *	peer serve ADDR PORT		TCP; one process per connection
 *	peer down ADDR PORT BYTES	fetch and compare BYTES
 *	peer up ADDR PORT BYTES		send BYTES; the server compares
 *	peer both ADDR PORT BYTES	the two at once on one connection
 *	peer half ADDR PORT BYTES	send, shut down, then fetch as much
 *	peer cut ADDR PORT BYTES	fetch them, then a reset and no end
 *	peer downfor ADDR PORT MS	fetch and compare for so long
 *	peer upfor ADDR PORT MS		send for so long; the server compares
 *	peer hold ADDR PORT FIFO	connect, echo; again when FIFO closes
 *	peer refused ADDR PORT		connect must fail with ECONNREFUSED
 *	peer reset ADDR PORT		connect, and be reset
 *	peer unreach ADDR PORT MS	connect must not succeed within MS
 *	peer udpserve ADDR PORT		echo datagrams
 *	peer udp ADDR PORT SIZE COUNT	COUNT echoes of SIZE bytes, compared
 *	peer udpcone ADDR PORT PORT2	an answer from a port never written to
 *	peer udphair ADDR PORT		from PORT, to another of its own by ADDR
 *	peer tcprr ADDR PORT COUNT	COUNT one-byte round trips
 *
 * A server prints "ready" once it listens, so that nobody has to wait by the
 * clock.  The request is one line, "down|up|both|half|cut|count|echo BYTES\n".
 * PEER_CC in the environment names the congestion control of TCP, PEER_WAIT how
 * many ms a datagram is waited for, where one may be lost.  Those that
 * go by time print the bytes a second, up to when all of them were there.
 */

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CHUNK  65536
#define WITHIN 120000 /* ms: what must come, on however busy a machine */

/* A position in the pseudo-random stream that both ends know. */
struct gen {
	uint64_t pos;
};

/* Eight bytes of the stream; no two of its words are alike. */
static uint64_t
gen_word(uint64_t i)
{
	uint64_t x = i * 0x9e3779b97f4a7c15u + 0x2545f4914f6cdd1du;

	x ^= x >> 29;
	x *= 0xbf58476d1ce4e5b9u;
	return x ^ x >> 32;
}

static void
gen_fill(struct gen *g, uint8_t *buf, size_t n)
{
	uint64_t w;
	size_t i = 0, skip, len;

	while (i < n) {
		w = gen_word(g->pos >> 3);
		skip = g->pos & 7;
		len = n - i < 8 - skip ? n - i : 8 - skip;
		memcpy(buf + i, (uint8_t *)&w + skip, len);
		i += len;
		g->pos += len;
	}
}

/* Compares every byte; says where the first difference is. */
static int
gen_check(struct gen *g, const uint8_t *buf, size_t n)
{
	uint64_t start = g->pos;
	uint8_t want[CHUNK];
	size_t i = 0;

	gen_fill(g, want, n);
	if (memcmp(buf, want, n) == 0)
		return 0;
	while (buf[i] == want[i])
		i++;
	warnx("byte %llu differs", (unsigned long long)(start + i));
	return -1;
}

static struct sockaddr_in
address(const char *addr, const char *port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };

	if (inet_pton(AF_INET, addr, &sin.sin_addr) != 1)
		errx(2, "not an address: %s", addr);
	sin.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
	return sin;
}

/* A connection that is accepted has its listener's. */
static void
set_congestion(int fd)
{
	const char *cc = getenv("PEER_CC");

	if (cc != NULL && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, cc,
			      (socklen_t)strlen(cc)) == -1)
		err(1, "PEER_CC=%s", cc);
}

/* A client's socket, to an address of either family or a path. */
static int
dial_as(const char *addr, const char *port, int type)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST,
		.ai_socktype = type };
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct addrinfo *ai;
	int fd;

	if (addr[0] == '/') {
		snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", addr);
		fd = socket(AF_UNIX, type, 0);
		if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1)
			err(1, "connect %s", addr);
		return fd;
	}
	if (getaddrinfo(addr, port, &hints, &ai) != 0)
		errx(2, "not an address: %s", addr);
	fd = socket(ai->ai_family, type, 0);
	if (type == SOCK_STREAM)
		set_congestion(fd);
	if (fd == -1 || connect(fd, ai->ai_addr, ai->ai_addrlen) == -1)
		err(1, "connect %s:%s", addr, port);
	freeaddrinfo(ai);
	return fd;
}

static int
dial(const char *addr, const char *port)
{
	return dial_as(addr, port, SOCK_STREAM);
}

static int
send_all(int fd, uint64_t total)
{
	struct gen g = { 0 };
	uint8_t buf[CHUNK];
	size_t n, off;
	ssize_t w;

	while (g.pos < total) {
		n = total - g.pos < CHUNK ? (size_t)(total - g.pos) : CHUNK;
		gen_fill(&g, buf, n);
		for (off = 0; off < n; off += (size_t)w)
			if ((w = write(fd, buf + off, n - off)) == -1) {
				warn("write at %llu",
				    (unsigned long long)(g.pos - n + off));
				return -1;
			}
	}
	return 0;
}

/* Reads total bytes, or to the end of the stream when eof, and compares. */
static int
recv_all(int fd, uint64_t total, bool eof)
{
	struct gen g = { 0 };
	uint8_t buf[CHUNK];
	size_t want;
	ssize_t n;

	while (eof || g.pos < total) {
		want = CHUNK;
		if (!eof && total - g.pos < want)
			want = (size_t)(total - g.pos);
		if ((n = read(fd, buf, want)) == -1) {
			warn("read at %llu", (unsigned long long)g.pos);
			return -1;
		}
		if (n == 0)
			break;
		if (gen_check(&g, buf, (size_t)n) == -1)
			return -1;
	}
	if (g.pos != total) {
		warnx("%llu bytes, not %llu", (unsigned long long)g.pos,
		    (unsigned long long)total);
		return -1;
	}
	printf("bytes %llu\n", (unsigned long long)g.pos);
	fflush(stdout);
	return 0;
}

/* Sends in a child while this process receives. */
static int
both_ways(int fd, uint64_t total)
{
	int status, ret;
	pid_t pid = fork();

	if (pid == -1)
		err(1, "fork");
	if (pid == 0)
		_exit(send_all(fd, total) == -1);
	ret = recv_all(fd, total, false);
	if (waitpid(pid, &status, 0) == -1 || status != 0)
		return -1;
	return ret;
}

static int
verdict(int fd, bool ok)
{
	return write(fd, ok ? "ok\n" : "no\n", 3) == 3 && ok ? 0 : -1;
}

static int
echo(int fd)
{
	uint8_t buf[CHUNK];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		if (write(fd, buf, (size_t)n) != n)
			return -1;
	return n == 0 ? 0 : -1;
}

static int
read_line(int fd, char *line, size_t size)
{
	size_t n = 0;

	while (n + 1 < size && read(fd, line + n, 1) == 1)
		if (line[n++] == '\n')
			break;
	line[n] = '\0';
	return n > 0 && line[n - 1] == '\n' ? 0 : -1;
}

/* Compares all that comes, and says how much it was. */
static int
count(int fd)
{
	struct gen g = { 0 };
	uint8_t buf[CHUNK];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		if (gen_check(&g, buf, (size_t)n) == -1)
			return -1;
	return n == 0 && dprintf(fd, "%llu\n", (unsigned long long)g.pos) > 0
		   ? 0
		   : -1;
}

/* Resets the connection when the other end's kernel has all of it. */
static int
cut(int fd, uint64_t n)
{
	static const struct linger now = { .l_onoff = 1, .l_linger = 0 };
	int left = 1;

	if (send_all(fd, n) == -1)
		return -1;
	while (ioctl(fd, SIOCOUTQ, &left) == 0 && left > 0)
		(void)poll(NULL, 0, 1);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	return close(fd);
}

/* What came before the reset is all there, and the reset is no end. */
static int
was_cut(int fd, uint64_t n)
{
	char c;

	if (recv_all(fd, n, false) == -1)
		return -1;
	if (read(fd, &c, 1) == -1 && errno == ECONNRESET)
		return 0;
	warnx("no reset behind them");
	return -1;
}

static int
serve_one(int fd)
{
	char line[64], verb[16];
	unsigned long long n;

	if (read_line(fd, line, sizeof(line)) == -1 ||
	    sscanf(line, "%15s %llu", verb, &n) != 2)
		return -1;
	if (strcmp(verb, "down") == 0)
		return send_all(fd, n);
	if (strcmp(verb, "up") == 0)
		return verdict(fd, recv_all(fd, n, false) == 0);
	if (strcmp(verb, "both") == 0)
		return both_ways(fd, n);
	if (strcmp(verb, "half") == 0)
		return recv_all(fd, n, true) == -1 ? -1 : send_all(fd, n);
	if (strcmp(verb, "cut") == 0)
		return cut(fd, n);
	if (strcmp(verb, "count") == 0)
		return count(fd);
	if (strcmp(verb, "echo") == 0)
		return echo(fd);
	return -1;
}

static int
bound(const char *addr, const char *port, int type)
{
	struct sockaddr_in sin = address(addr, port);
	int one = 1, fd = socket(AF_INET, type, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd == -1 || bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1)
		err(1, "bind %s:%s", addr, port);
	return fd;
}

_Noreturn static void
serve(const char *addr, const char *port)
{
	int c, fd = bound(addr, port, SOCK_STREAM);

	set_congestion(fd);
	if (listen(fd, 4096) == -1)
		err(1, "listen");
	signal(SIGCHLD, SIG_IGN);
	puts("ready");
	fflush(stdout);
	while ((c = accept(fd, NULL, NULL)) != -1) {
		if (fork() == 0) {
			close(fd);
			signal(SIGCHLD, SIG_DFL);
			_exit(serve_one(c) == -1);
		}
		close(c);
	}
	err(1, "accept");
}

static int
client(const char *verb, const char *addr, const char *port, const char *bytes)
{
	unsigned long long n = strtoull(bytes, NULL, 10);
	int ret, fd = dial(addr, port);
	char line[64];

	dprintf(fd, "%s %llu\n", verb, n);
	if (strcmp(verb, "down") == 0)
		return recv_all(fd, n, true);
	if (strcmp(verb, "both") == 0)
		return both_ways(fd, n);
	if (strcmp(verb, "cut") == 0)
		return was_cut(fd, n);
	if ((ret = send_all(fd, n)) == -1)
		return -1;
	if (strcmp(verb, "half") == 0) {
		shutdown(fd, SHUT_WR);
		return recv_all(fd, n, true);
	}
	if (read_line(fd, line, sizeof(line)) == -1 ||
	    strcmp(line, "ok\n") != 0)
		return -1;
	printf("bytes %llu ok\n", n);
	return 0;
}

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Until then: sets *done to the bytes that came; all are compared. */
static int
recv_until(int fd, int64_t until, uint64_t *done)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct gen g = { 0 };
	uint8_t buf[CHUNK];
	int64_t left;
	ssize_t n;

	while ((left = until - now_ms()) > 0) {
		if (poll(&p, 1, (int)left) == 0)
			break;
		if ((n = read(fd, buf, sizeof(buf))) <= 0 ||
		    gen_check(&g, buf, (size_t)n) == -1)
			return -1;
	}
	*done = g.pos;
	return 0;
}

/* The same the other way; then until the server has it all. */
static int
send_until(int fd, int64_t until, uint64_t *done)
{
	struct gen g = { 0 };
	uint8_t buf[CHUNK];
	ssize_t n, off;
	char line[64];

	while (now_ms() < until) {
		gen_fill(&g, buf, sizeof(buf));
		for (off = 0; off < CHUNK; off += n)
			if ((n = write(fd, buf + off, CHUNK - (size_t)off)) ==
			    -1)
				return -1;
	}
	*done = g.pos;
	shutdown(fd, SHUT_WR);
	return read_line(fd, line, sizeof(line)) == 0 &&
		       strtoull(line, NULL, 10) == g.pos
		   ? 0
		   : -1;
}

static int
timed(const char *verb, const char *addr, const char *port, int ms)
{
	bool down = strcmp(verb, "downfor") == 0;
	int fd = dial(addr, port);
	int64_t from = now_ms();
	uint64_t done;

	dprintf(fd, down ? "down %llu\n" : "count %llu\n", 1ULL << 60);
	if ((down ? recv_until : send_until)(fd, from + ms, &done) == -1 ||
	    done == 0)
		errx(1, "%s: broken, or not a byte in time", verb);
	printf("%llu\n",
	    (unsigned long long)(done * 1000 / (uint64_t)(now_ms() - from)));
	return 0;
}

static int
round_trip(int fd, uint8_t v)
{
	uint8_t got;

	if (write(fd, &v, 1) != 1 || read(fd, &got, 1) != 1 || got != v)
		return -1;
	return 0;
}

/* Says "up" after one round trip; one more when the fifo's writer closes. */
static int
hold(const char *addr, const char *port, const char *fifo)
{
	int f, fd = dial(addr, port);
	char c;

	dprintf(fd, "echo 0\n");
	if (round_trip(fd, 'a') == -1)
		return -1;
	puts("up");
	fflush(stdout);
	if ((f = open(fifo, O_RDONLY)) == -1)
		err(1, "%s", fifo);
	while (read(f, &c, 1) > 0)
		continue;
	if (round_trip(fd, 'b') == -1) {
		warn("the connection is dead");
		return -1;
	}
	puts("alive");
	return 0;
}

static int
tcprr(const char *addr, const char *port, int count)
{
	int i, fd = dial(addr, port);

	dprintf(fd, "echo 0\n");
	for (i = 0; i < count; i++)
		if (round_trip(fd, (uint8_t)i) == -1)
			return -1;
	return 0;
}

static int
refused(const char *addr, const char *port)
{
	struct sockaddr_in sin = address(addr, port);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0) {
		warnx("%s:%s accepted", addr, port);
		return -1;
	}
	printf("%s\n", strerror(errno));
	return errno == ECONNREFUSED ? 0 : -1;
}

/* The connection is made and then reset, which an honest port does at once. */
static int
reset(const char *addr, const char *port)
{
	int fd = dial(addr, port);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char c;

	if (poll(&p, 1, WITHIN) != 1)
		errx(1, "no reset");
	if (read(fd, &c, 1) != -1 || errno != ECONNRESET)
		errx(1, "no reset, but an end or data");
	return 0;
}

static int
unreach(const char *addr, const char *port, int ms)
{
	struct sockaddr_in sin = address(addr, port);
	int e = 0, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	socklen_t len = sizeof(e);
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0)
		return -1;
	if (errno != EINPROGRESS) {
		printf("%s\n", strerror(errno));
		return 0;
	}
	if (poll(&p, 1, ms) == 0) {
		puts("no answer");
		return 0;
	}
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len);
	printf("%s\n", strerror(e));
	return e == 0 ? -1 : 0;
}

_Noreturn static void
udpserve(const char *addr, const char *port)
{
	static uint8_t buf[65536];
	struct sockaddr_in from, other;
	socklen_t len;
	ssize_t n;
	int fd = bound(addr, port, SOCK_DGRAM), fd2;

	puts("ready");
	fflush(stdout);
	for (;;) {
		len = sizeof(from);
		n = recvfrom(
		    fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);
		if (n == -1)
			continue;
		/* "cone PORT": answer from another port of ours. */
		if (n > 5 && n < 32 && memcmp(buf, "cone ", 5) == 0) {
			buf[n] = '\0';
			other = address(addr, (char *)buf + 5);
			fd2 = socket(AF_INET, SOCK_DGRAM, 0);
			if (bind(fd2, (struct sockaddr *)&other,
				sizeof(other)) == 0)
				sendto(fd2, "hole", 4, 0,
				    (struct sockaddr *)&from, len);
			close(fd2);
			continue;
		}
		sendto(fd, buf, (size_t)n, 0, (struct sockaddr *)&from, len);
	}
}

static int
udp(const char *addr, const char *port, size_t size, int count)
{
	static uint8_t out[65536], in[65536];
	const char *within = getenv("PEER_WAIT");
	int ms = within != NULL ? atoi(within) : WITHIN;
	int i, fd = dial_as(addr, port, SOCK_DGRAM);
	struct gen g = { 0 };
	struct pollfd p = { .fd = fd, .events = POLLIN };

	for (i = 0; i < count; i++) {
		gen_fill(&g, out, size);
		if (send(fd, out, size, 0) != (ssize_t)size)
			err(1, "send");
		if (poll(&p, 1, ms) != 1)
			errx(1, "no answer to datagram %d", i);
		if (recv(fd, in, sizeof(in), 0) != (ssize_t)size ||
		    memcmp(in, out, size) != 0)
			errx(1, "datagram %d differs", i);
	}
	printf("echoes %d of %zu bytes\n", count, size);
	return 0;
}

static int
udpcone(const char *addr, const char *port, const char *port2)
{
	struct sockaddr_in sin = address(addr, port), from;
	socklen_t len = sizeof(from);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char buf[32];

	snprintf(buf, sizeof(buf), "cone %s", port2);
	if (sendto(fd, buf, strlen(buf), 0, (struct sockaddr *)&sin,
		sizeof(sin)) == -1)
		err(1, "sendto");
	if (poll(&p, 1, WITHIN) != 1)
		errx(1, "no answer from port %s", port2);
	if (recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len) !=
	    4)
		return -1;
	printf("from port %u\n", ntohs(from.sin_port));
	return ntohs(from.sin_port) == strtoul(port2, NULL, 10) ? 0 : -1;
}

/*
 * One program is known outside as ADDR:PORT, another of the same machine speaks
 * to it there, and is seen as ADDR as well: RFC 4787, REQ-9.
 */
static int
udphair(const char *addr, const char *port)
{
	struct sockaddr_in sin = address(addr, port), from;
	socklen_t len = sizeof(from);
	int i, a = bound("0.0.0.0", port, SOCK_DGRAM);
	int b = dial_as(addr, port, SOCK_DGRAM);
	struct pollfd p = { .fd = a, .events = POLLIN };
	char buf[32];

	sin.sin_port = htons(9);
	/* What makes the mapping may be on its way still. */
	for (i = 0; i < WITHIN / 250; i++) {
		if (sendto(a, "out", 3, 0, (struct sockaddr *)&sin,
			sizeof(sin)) == -1)
			err(1, "sendto");
		(void)send(b, "hair", 4, 0);
		if (poll(&p, 1, 250) == 1)
			break;
	}
	if (recvfrom(a, buf, sizeof(buf), MSG_DONTWAIT,
		(struct sockaddr *)&from, &len) != 4)
		errx(1, "nothing came back to port %s", port);
	if (from.sin_addr.s_addr != sin.sin_addr.s_addr)
		errx(1, "from another address");
	if (sendto(a, "back", 4, 0, (struct sockaddr *)&from, len) != 4)
		err(1, "sendto");
	p.fd = b;
	if (poll(&p, 1, WITHIN) != 1 || recv(b, buf, sizeof(buf), 0) != 4)
		errx(1, "no answer");
	printf("from port %u\n", ntohs(from.sin_port));
	return 0;
}

int
main(int argc, char *argv[])
{
	const char *v = argc > 1 ? argv[1] : "";
	int ret = -1;

	signal(SIGPIPE, SIG_IGN);
	if (argc == 4 && strcmp(v, "serve") == 0)
		serve(argv[2], argv[3]);
	else if (argc == 4 && strcmp(v, "udpserve") == 0)
		udpserve(argv[2], argv[3]);
	else if (argc == 4 && strcmp(v, "reset") == 0)
		ret = reset(argv[2], argv[3]);
	else if (argc == 4 && strcmp(v, "udphair") == 0)
		ret = udphair(argv[2], argv[3]);
	else if (argc == 4 && strcmp(v, "refused") == 0)
		ret = refused(argv[2], argv[3]);
	else if (argc == 5 &&
		 (strcmp(v, "downfor") == 0 || strcmp(v, "upfor") == 0))
		ret = timed(v, argv[2], argv[3], atoi(argv[4]));
	else if (argc == 5 && strcmp(v, "unreach") == 0)
		ret = unreach(argv[2], argv[3], atoi(argv[4]));
	else if (argc == 5 && strcmp(v, "hold") == 0)
		ret = hold(argv[2], argv[3], argv[4]);
	else if (argc == 5 && strcmp(v, "tcprr") == 0)
		ret = tcprr(argv[2], argv[3], atoi(argv[4]));
	else if (argc == 5 && strcmp(v, "udpcone") == 0)
		ret = udpcone(argv[2], argv[3], argv[4]);
	else if (argc == 6 && strcmp(v, "udp") == 0)
		ret = udp(argv[2], argv[3], strtoul(argv[4], NULL, 10),
		    atoi(argv[5]));
	else if (argc == 5)
		ret = client(v, argv[2], argv[3], argv[4]);
	else
		errx(2, "usage: see the head of peer.c");
	return ret == -1;
}
