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
#define TURNS	 10

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
	size_t nclient;
	char request[1024];
	size_t requests, bytes, bad;
	size_t waiting; /* requests without their answer */
	bool again;	/* ask again when answered */
	double secs;	/* of its turns so far */
	struct samples times;
};

static void
gone(struct crowd *w, struct client *c)
{
	w->bad++;
	w->waiting--;
	close(c->fd);
	c->fd = -1;
}

static void
ask(struct crowd *w, struct client *c)
{
	size_t len = strlen(w->request);

	if (c->fd == -1)
		return;
	c->have = 0;
	c->body = false;
	c->asked = load_now();
	w->waiting++;
	if (write(c->fd, w->request, len) != (ssize_t)len)
		gone(w, c);
}

static void
answered(struct crowd *w, struct client *c)
{
	samples_add(&w->times, load_now() - c->asked);
	w->requests++;
	w->waiting--;
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
run(struct crowd *w, double until)
{
	struct epoll_event ev[NEVENTS];
	int i, n;

	while (until > 0 ? load_now() < until : w->waiting > 0) {
		n = epoll_wait(w->ep, ev, NEVENTS, PATIENCE * 1000);
		if (n == 0)
			errx(1, "nothing comes any more");
		for (i = 0; i < n; i++)
			client_event(w, ev[i].data.ptr);
	}
}

/* Connections of one request each, which is not measured. */
static void
crowd_open(struct crowd *w, const char *host, int port, const char *target,
    size_t count)
{
	struct sockaddr_in sin = load_addr(host, port);
	size_t i;

	w->ep = epoll_create1(0);
	snprintf(w->request, sizeof(w->request),
	    "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: load\r\n\r\n", target,
	    host);
	w->nclient = count;
	w->client = calloc(count, sizeof(*w->client));
	samples_init(&w->times, 4000000);
	for (i = 0; i < count; i++) {
		struct epoll_event ev = { .events = EPOLLIN,
			.data.ptr = &w->client[i] };

		w->client[i].fd = connect_to(&sin);
		epoll_ctl(w->ep, EPOLL_CTL_ADD, w->client[i].fd, &ev);
		ask(w, &w->client[i]);
	}
	run(w, 0);
}

/* All ask, again and again for that long; it ends with the last answer. */
static void
crowd_turn(struct crowd *w, double secs)
{
	double begin = load_now();
	size_t i;

	w->again = true;
	for (i = 0; i < w->nclient; i++)
		ask(w, &w->client[i]);
	run(w, begin + secs);
	w->again = false;
	run(w, 0);
	w->secs += load_now() - begin;
}

static void
crowd_print(struct crowd *w, const char *way)
{
	samples_sort(&w->times);
	printf("%srate=%.1f %sgbps=%.3f %sp50=%.1f %sp99=%.1f %sbad=%zu\n", way,
	    (double)w->requests / w->secs, way,
	    (double)w->bytes * 8 / w->secs / 1e9, way, samples_at(&w->times, 50),
	    way, samples_at(&w->times, 99), way, w->bad);
}

/* COUNT connections of one request each, kept until input ends. */
void
http_hold(const char *host, int port, const char *target, size_t count)
{
	struct crowd w = { 0 };
	char byte;

	crowd_open(&w, host, port, target, count);
	printf("ok=%zu bad=%zu\n", w.requests, w.bad);
	fflush(stdout);
	if (read(0, &byte, 1) == -1)
		err(1, "read");
}

/*
 * COUNT connections each way, asking for that time altogether, in turns: what
 * the machine does otherwise meets both ways.
 */
void
http_load(const char *host, size_t count, double secs, int port,
    const char *target, int port2, const char *target2)
{
	struct crowd w[2] = { 0 };
	int i, nway = target2 != NULL ? 2 : 1;

	crowd_open(&w[0], host, port, target, count);
	if (nway == 2)
		crowd_open(&w[1], host, port2, target2, count);
	for (i = 0; i < nway; i++)
		w[i].requests = w[i].bytes = w[i].times.n = 0;
	while (w[nway - 1].secs < secs)
		for (i = 0; i < nway; i++)
			crowd_turn(&w[i], secs / TURNS);
	crowd_print(&w[0], "");
	if (nway == 2)
		crowd_print(&w[1], "second_");
}
