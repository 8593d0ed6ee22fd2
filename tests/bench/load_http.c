/*
 * HTTP: many kept connections, each asking again as soon as it is answered.
 */

#include <sys/epoll.h>
#include <sys/socket.h>
#include <netinet/tcp.h>
#include <err.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "load.h"

#define NEVENTS	 256
#define HEADMAX	 4096
#define CHUNK	 (256 * 1024)
#define PATIENCE 20 /* seconds without any event */

struct client {
	int fd;
	char head[HEADMAX]; /* of the answer, as far as it has come */
	size_t have;
	size_t left; /* of its body */
	bool body;   /* its head is there */
	double asked;
};

struct crowd {
	int ep;
	struct client *client;
	const char *request;
	size_t requests, bytes, bad;
	bool again; /* ask again when answered */
	struct samples times;
};

static void
ask(struct crowd *w, struct client *c)
{
	size_t len = strlen(w->request);

	c->have = 0;
	c->body = false;
	c->asked = load_now();
	if (write(c->fd, w->request, len) != (ssize_t)len)
		w->bad++;
}

static void
answered(struct crowd *w, struct client *c)
{
	samples_add(&w->times, load_now() - c->asked);
	w->requests++;
	if (w->again)
		ask(w, c);
}

/* What came with the head counts for the body; false: no good answer. */
static bool
take_head(struct client *c)
{
	char *end, *length;

	c->head[c->have] = '\0';
	if ((end = strstr(c->head, "\r\n\r\n")) == NULL)
		return c->have < HEADMAX - 1;
	*end = '\0';
	length = strcasestr(c->head, "\r\ncontent-length:");
	if (strncmp(c->head, "HTTP/1.1 200", 12) != 0 || length == NULL)
		return false;
	c->left = strtoul(length + 17, NULL, 10);
	c->left -= c->have - (size_t)(end + 4 - c->head);
	c->body = true;
	return true;
}

static void
gone(struct crowd *w, struct client *c)
{
	w->bad++;
	close(c->fd);
	c->fd = -1;
}

static void
client_event(struct crowd *w, struct client *c)
{
	static char junk[CHUNK];
	char *to = c->body ? junk : c->head + c->have;
	size_t room = c->body ? sizeof(junk) : HEADMAX - 1 - c->have;
	ssize_t n = recv(c->fd, to, room, 0);

	if (n == -1 && errno == EAGAIN)
		return;
	if (n <= 0) {
		gone(w, c);
		return;
	}
	w->bytes += (size_t)n;
	if (c->body) {
		c->left -= (size_t)n;
	} else {
		c->have += (size_t)n;
		if (!take_head(c)) {
			gone(w, c);
			return;
		}
	}
	if (c->body && c->left == 0)
		answered(w, c);
}

static int
connect_to(const struct sockaddr_in *sin)
{
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd == -1 ||
	    connect(fd, (const struct sockaddr *)sin, sizeof(*sin)) == -1)
		err(1, "connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

/* Serves events until then, or, with 0, until all have been answered. */
static void
run(struct crowd *w, size_t count, double until)
{
	struct epoll_event ev[NEVENTS];
	int i, n;

	while (until > 0 ? load_now() < until : w->requests + w->bad < count) {
		n = epoll_wait(w->ep, ev, NEVENTS, PATIENCE * 1000);
		if (n == 0)
			errx(1, "nothing comes any more");
		for (i = 0; i < n; i++)
			client_event(w, ev[i].data.ptr);
	}
}

/*
 * COUNT connections with one request each, which is not measured, and then as
 * many as they get in that time.  0 seconds: they are kept until input ends.
 */
void
http_load(
    const char *host, int port, const char *target, size_t count, double secs)
{
	struct sockaddr_in sin = load_addr(host, port);
	struct crowd w = { .ep = epoll_create1(0) };
	char request[1024], byte;
	double begin;
	size_t i;

	snprintf(request, sizeof(request),
	    "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: load\r\n\r\n", target,
	    host);
	w.request = request;
	w.client = calloc(count, sizeof(*w.client));
	samples_init(&w.times, 4000000);
	for (i = 0; i < count; i++) {
		struct epoll_event ev = { .events = EPOLLIN,
			.data.ptr = &w.client[i] };

		w.client[i].fd = connect_to(&sin);
		epoll_ctl(w.ep, EPOLL_CTL_ADD, w.client[i].fd, &ev);
		ask(&w, &w.client[i]);
	}
	run(&w, count, 0);
	if (secs <= 0) {
		printf("ok=%zu bad=%zu\n", w.requests, w.bad);
		fflush(stdout);
		if (read(0, &byte, 1) == -1)
			err(1, "read");
		return;
	}
	w.again = true;
	w.requests = w.bytes = w.times.n = 0;
	begin = load_now();
	for (i = 0; i < count; i++)
		ask(&w, &w.client[i]);
	run(&w, count, begin + secs);
	secs = load_now() - begin;
	samples_sort(&w.times);
	printf("rate=%.1f gbps=%.3f p50=%.1f p99=%.1f bad=%zu\n",
	    (double)w.requests / secs, (double)w.bytes * 8 / secs / 1e9,
	    samples_at(&w.times, 50), samples_at(&w.times, 99), w.bad);
}
