/*
 * Many connections of one process.
 *
 *	crowd serve PORT ADDR...	 echo on each address; says "ready"
 *	crowd hold PORT COUNT ADDR...	 opens COUNT connections, to the
 *					 addresses in turn
 *	crowd pending PORT COUNT ADDR N	 begins COUNT connects to N addresses
 *					 from ADDR on, where nobody answers
 *	crowd clients PATH COUNT	 COUNT clients of the suite itself
 *
 * A connection counts as open when a byte has come back over it.  hold says
 * "up OPEN REFUSED FAILED" and then does what its standard input says, a line
 * at a time:
 *
 *	open N		opens N more, says "up ..." of them
 *	check		a byte over each that is open, says "alive N"
 *	close N		closes the N oldest, says "closed N"
 *
 * pending says "pending N", clients says "clients N" once they have asked to
 * be let in, and "answered N" to the line "answered"; it also knows "close N".
 * At the end of their input all three close everything and say "gone".
 */

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WINDOW	 128   /* connections that are being opened or checked */
#define PATIENCE 20000 /* ms without any event: the rest has failed */
#define NEVENTS	 64
/* The vmnet handshake: ours and theirs, then our command and its answer. */
#define INIT_LEN    49
#define COMMAND_LEN 41
#define REPLY_LEN   258

enum conn_state { CONN_NONE, CONN_BEGUN, CONN_ASKED, CONN_OPEN };

struct conn {
	int fd; /* owned, but in CONN_NONE */
	enum conn_state state;
};

struct crowd {
	struct conn *conn; /* owned: every connection ever begun, in order */
	size_t n, cap;
	size_t oldest;		  /* all before it are closed */
	struct sockaddr_in *addr; /* owned */
	size_t naddr;
	int ep; /* owned: those that are being opened */
	size_t busy;
	size_t opened, refused, failed; /* of the last order */
};

static struct sockaddr_in
address(const char *addr, const char *port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };

	if (inet_pton(AF_INET, addr, &sin.sin_addr) != 1)
		errx(2, "not an address: %s", addr);
	sin.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
	return sin;
}

static void
say(const char *what, size_t n)
{
	printf("%s %zu\n", what, n);
	fflush(stdout);
}

/*
 * The server.
 */

static int
listen_on(const char *addr, const char *port)
{
	struct sockaddr_in sin = address(addr, port);
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd == -1 || bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    listen(fd, 4096) == -1)
		err(1, "listen on %s:%s", addr, port);
	return fd;
}

static void
watch(int ep, int fd, uint32_t events, uint64_t tag)
{
	struct epoll_event ev = { .events = events, .data.u64 = tag };

	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == -1)
		err(1, "epoll");
}

static void
accept_all(int ep, int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) != -1)
		watch(ep, fd, EPOLLIN, (uint64_t)fd);
	if (errno != EAGAIN && errno != ECONNABORTED)
		err(1, "accept");
}

static void
echo(int fd)
{
	char buf[512];
	ssize_t n = read(fd, buf, sizeof(buf));

	if (n == -1 && errno == EAGAIN)
		return;
	if (n <= 0 || write(fd, buf, (size_t)n) != n)
		close(fd);
}

/* Listeners are the lowest descriptors, so one comparison tells them apart. */
_Noreturn static void
serve(const char *port, char *const addr[], int naddr)
{
	struct epoll_event ev[NEVENTS];
	int i, n, fd = -1, ep = epoll_create1(0);

	for (i = 0; i < naddr; i++) {
		fd = listen_on(addr[i], port);
		watch(ep, fd, EPOLLIN, (uint64_t)fd);
	}
	puts("ready");
	fflush(stdout);
	while ((n = epoll_wait(ep, ev, NEVENTS, -1)) != -1 || errno == EINTR) {
		for (i = 0; i < n; i++) {
			if ((int)ev[i].data.u64 <= fd)
				accept_all(ep, (int)ev[i].data.u64);
			else
				echo((int)ev[i].data.u64);
		}
	}
	err(1, "epoll");
}

/*
 * The clients.
 */

static void
crowd_init(struct crowd *c, const char *port, char *const addr[], int naddr)
{
	int i;

	memset(c, 0, sizeof(*c));
	c->addr = calloc((size_t)naddr, sizeof(*c->addr));
	c->ep = epoll_create1(0);
	if (c->addr == NULL || c->ep == -1)
		err(1, "start");
	for (i = 0; i < naddr; i++)
		c->addr[i] = address(addr[i], port);
	c->naddr = (size_t)naddr;
}

static void
crowd_reserve(struct crowd *c, size_t more)
{
	if (c->n + more <= c->cap)
		return;
	c->cap = c->n + more;
	c->conn = reallocarray(c->conn, c->cap, sizeof(*c->conn));
	if (c->conn == NULL)
		err(1, "memory");
}

/* Begins a connection that was reserved; -1 when there can be none. */
static int
conn_begin(struct crowd *c)
{
	const struct sockaddr_in *sin = &c->addr[c->n % c->naddr];
	struct conn *k = &c->conn[c->n++];

	k->state = CONN_NONE;
	k->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (k->fd == -1)
		return -1;
	if (connect(k->fd, (const struct sockaddr *)sin, sizeof(*sin)) == -1 &&
	    errno != EINPROGRESS) {
		close(k->fd);
		return -1;
	}
	k->state = CONN_BEGUN;
	return 0;
}

/* One that was being opened is so no longer; error says why it failed. */
static void
conn_end(struct crowd *c, struct conn *k, int error)
{
	c->busy--;
	if (error == 0) {
		k->state = CONN_OPEN;
		c->opened++;
		epoll_ctl(c->ep, EPOLL_CTL_DEL, k->fd, NULL);
		return;
	}
	if (error == ECONNREFUSED)
		c->refused++;
	else
		c->failed++;
	close(k->fd);
	k->state = CONN_NONE;
}

static void
conn_ask(struct crowd *c, struct conn *k)
{
	struct epoll_event ev = { .events = EPOLLIN,
		.data.u64 = (uint64_t)(k - c->conn) };
	socklen_t len = sizeof(int);
	int error = 0;

	getsockopt(k->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error == 0 && write(k->fd, "a", 1) != 1)
		error = errno;
	if (error != 0) {
		conn_end(c, k, error);
		return;
	}
	k->state = CONN_ASKED;
	epoll_ctl(c->ep, EPOLL_CTL_MOD, k->fd, &ev);
}

static void
conn_event(struct crowd *c, struct conn *k)
{
	char byte;

	if (k->state == CONN_BEGUN)
		conn_ask(c, k);
	else
		conn_end(c, k, read(k->fd, &byte, 1) == 1 ? 0 : EIO);
}

/* Whatever is still being opened will not be. */
static void
crowd_give_up(struct crowd *c)
{
	size_t i;

	for (i = c->oldest; i < c->n; i++) {
		if (c->conn[i].state == CONN_BEGUN ||
		    c->conn[i].state == CONN_ASKED)
			conn_end(c, &c->conn[i], ETIMEDOUT);
	}
}

static void
crowd_wait(struct crowd *c)
{
	struct epoll_event ev[NEVENTS];
	int i, n = epoll_wait(c->ep, ev, NEVENTS, PATIENCE);

	if (n == 0)
		crowd_give_up(c);
	for (i = 0; i < n; i++)
		conn_event(c, &c->conn[ev[i].data.u64]);
}

static void
crowd_open(struct crowd *c, size_t count)
{
	size_t begun = 0;

	c->opened = c->refused = c->failed = 0;
	crowd_reserve(c, count);
	while (begun < count || c->busy > 0) {
		for (; begun < count && c->busy < WINDOW; begun++) {
			if (conn_begin(c) == -1) {
				c->failed++;
				continue;
			}
			c->busy++;
			watch(c->ep, c->conn[c->n - 1].fd, EPOLLOUT, c->n - 1);
		}
		if (c->busy > 0)
			crowd_wait(c);
	}
	printf("up %zu %zu %zu\n", c->opened, c->refused, c->failed);
	fflush(stdout);
}

/* The next open connection from i on; c->n: there is none. */
static size_t
next_open(const struct crowd *c, size_t i)
{
	while (i < c->n && c->conn[i].state != CONN_OPEN)
		i++;
	return i;
}

static bool
conn_answers(struct conn *k)
{
	struct pollfd p = { .fd = k->fd, .events = POLLIN };
	char byte;

	return poll(&p, 1, PATIENCE) == 1 && read(k->fd, &byte, 1) == 1;
}

/* Asks WINDOW of them before it waits for the first. */
static size_t
crowd_check(struct crowd *c)
{
	size_t asked = c->oldest, i = next_open(c, c->oldest), ahead = 0;
	size_t alive = 0;

	for (; i < c->n; i = next_open(c, i + 1)) {
		for (asked = next_open(c, asked);
		     asked < c->n && ahead < WINDOW;
		     asked = next_open(c, asked + 1), ahead++)
			(void)!write(c->conn[asked].fd, "b", 1);
		alive += conn_answers(&c->conn[i]);
		ahead--;
	}
	return alive;
}

static size_t
crowd_close(struct crowd *c, size_t count)
{
	size_t closed = 0;

	for (; c->oldest < c->n && closed < count; c->oldest++) {
		if (c->conn[c->oldest].state == CONN_NONE)
			continue;
		close(c->conn[c->oldest].fd);
		c->conn[c->oldest].state = CONN_NONE;
		closed++;
	}
	return closed;
}

static void
crowd_free(struct crowd *c)
{
	crowd_close(c, SIZE_MAX);
	close(c->ep);
	free(c->conn);
	free(c->addr);
	puts("gone");
}

static void
hold(struct crowd *c, size_t count)
{
	char line[64];

	crowd_open(c, count);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		if (sscanf(line, "open %zu", &count) == 1)
			crowd_open(c, count);
		else if (sscanf(line, "close %zu", &count) == 1)
			say("closed", crowd_close(c, count));
		else if (strcmp(line, "check\n") == 0)
			say("alive", crowd_check(c));
		else
			errx(2, "not understood: %s", line);
	}
	crowd_free(c);
}

/* Nobody will answer, so nothing is waited for but the end of the input. */
static void
pending(struct crowd *c, size_t count, size_t spread)
{
	uint32_t base = ntohl(c->addr[0].sin_addr.s_addr);
	size_t i, begun = 0;

	crowd_reserve(c, count);
	for (i = 0; i < count; i++) {
		c->addr[0].sin_addr.s_addr =
		    htonl(base + (uint32_t)(i % spread));
		begun += conn_begin(c) == 0;
	}
	say("pending", begun);
	while (getchar() != EOF)
		continue;
	crowd_free(c);
}

/*
 * Clients of the suite.
 */

/* Both messages of the handshake at once; 32 clients have one name. */
static int
client_begin(struct conn *k, size_t i, const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	char hello[INIT_LEN + COMMAND_LEN] = "VMN3T\026";

	k->state = CONN_NONE;
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	hello[INIT_LEN] = 1; /* Ethernet */
	snprintf(hello + INIT_LEN + 1, COMMAND_LEN - 1,
	    "cccccccc-cccc-4ccc-8ccc-cccccccccc%02x", (unsigned)(i / 32));
	/* Waits while the queue of those that knock is full. */
	k->fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (k->fd == -1)
		return -1;
	if (connect(k->fd, (struct sockaddr *)&sun, sizeof(sun)) == -1 ||
	    write(k->fd, hello, sizeof(hello)) != sizeof(hello)) {
		close(k->fd);
		return -1;
	}
	k->state = CONN_ASKED;
	return 0;
}

/* How many clients that are there have their whole answer. */
static size_t
clients_answered(const struct crowd *c)
{
	char buf[INIT_LEN + REPLY_LEN];
	size_t i, n = 0;

	for (i = c->oldest; i < c->n; i++) {
		if (c->conn[i].state == CONN_ASKED)
			n += recv(c->conn[i].fd, buf, sizeof(buf),
				 MSG_PEEK | MSG_DONTWAIT) == sizeof(buf);
	}
	return n;
}

static void
clients(const char *path, size_t count)
{
	struct crowd c = { .ep = -1 };
	size_t begun = 0;
	char line[64];

	crowd_reserve(&c, count);
	for (; c.n < count; c.n++)
		begun += client_begin(&c.conn[c.n], c.n, path) == 0;
	say("clients", begun);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		if (sscanf(line, "close %zu", &count) == 1)
			say("closed", crowd_close(&c, count));
		else
			say("answered", clients_answered(&c));
	}
	crowd_free(&c);
}

/* As many descriptors as this machine lets a process have. */
static void
raise_nofile(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == -1)
		err(1, "getrlimit");
	rl.rlim_cur = rl.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &rl) == -1)
		err(1, "setrlimit");
}

int
main(int argc, char *argv[])
{
	const char *verb = argc > 1 ? argv[1] : "";
	struct crowd c;

	signal(SIGPIPE, SIG_IGN);
	raise_nofile();
	if (argc > 3 && strcmp(verb, "serve") == 0)
		serve(argv[2], argv + 3, argc - 3);
	if (argc == 4 && strcmp(verb, "clients") == 0) {
		clients(argv[2], strtoul(argv[3], NULL, 10));
	} else if (argc > 4 && strcmp(verb, "hold") == 0) {
		crowd_init(&c, argv[2], argv + 4, argc - 4);
		hold(&c, strtoul(argv[3], NULL, 10));
	} else if (argc == 6 && strcmp(verb, "pending") == 0) {
		crowd_init(&c, argv[2], argv + 4, 1);
		pending(
		    &c, strtoul(argv[3], NULL, 10), strtoul(argv[5], NULL, 10));
	} else {
		errx(2, "usage: see the head of crowd.c");
	}
	return 0;
}
