/*
 * TCP: an echo server, round trips, and connections by the thousand.
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
#include <unistd.h>

#include "load.h"

#define BACKLOG	      4096
#define NEVENTS	      256
#define ACCEPT_BATCH  64
#define CHUNK	      65536
#define WARM_UP	      100     /* round trips that are not measured */
#define ROUND_TRIPS   4000000 /* that are, at most */
#define CONNECTIONS   2000000 /* whose times are kept */
#define ANSWER_SECS   3
#define IDLE_PATIENCE 15 /* seconds without any event */

static void
no_delay(int fd)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static void
watch(int ep, int op, int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.fd = fd };

	if (epoll_ctl(ep, op, fd, &ev) == -1)
		err(1, "epoll");
}

/*
 * The server.
 */

static int
listen_on(const char *addr, int port)
{
	struct sockaddr_in sin = load_addr(addr, port);
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd == -1 || bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    listen(fd, BACKLOG) == -1)
		err(1, "listen on %s:%d", addr, port);
	return fd;
}

static void
accept_some(int ep, int listener)
{
	int i, fd;

	for (i = 0; i < ACCEPT_BATCH; i++) {
		if ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) == -1)
			return;
		no_delay(fd);
		watch(ep, EPOLL_CTL_ADD, fd, EPOLLIN);
	}
}

static void
echo(int fd)
{
	static char buf[CHUNK];
	ssize_t n = recv(fd, buf, sizeof(buf), 0);

	if (n == -1 && errno == EAGAIN)
		return;
	if (n <= 0 || send(fd, buf, (size_t)n, 0) == -1)
		close(fd);
}

/* Listeners are the lowest descriptors, so one comparison tells them apart. */
void
tcp_serve(const char *addr)
{
	struct epoll_event ev[NEVENTS];
	int i, n, last = -1, ep = epoll_create1(0);

	for (i = 0; i < LOAD_TCP_PORTS; i++) {
		last = listen_on(addr, LOAD_TCP_PORT + i);
		watch(ep, EPOLL_CTL_ADD, last, EPOLLIN);
	}
	while ((n = epoll_wait(ep, ev, NEVENTS, -1)) != -1 || errno == EINTR) {
		for (i = 0; i < n; i++) {
			if (ev[i].data.fd <= last)
				accept_some(ep, ev[i].data.fd);
			else
				echo(ev[i].data.fd);
		}
	}
	err(1, "epoll");
}

/*
 * Round trips.
 */

static void
round_trip(int fd)
{
	char byte = 'x';

	if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
		err(1, "round trip");
}

void
tcp_pingpong(const char *host, double secs)
{
	struct sockaddr_in sin = load_addr(host, LOAD_TCP_PORT);
	struct timeval answer = { .tv_sec = ANSWER_SECS };
	int i, fd = socket(AF_INET, SOCK_STREAM, 0);
	double begin, before, t;
	struct samples s;

	if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1)
		err(1, "connect");
	no_delay(fd);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &answer, sizeof(answer));
	samples_init(&s, ROUND_TRIPS);
	for (i = 0; i < WARM_UP; i++)
		round_trip(fd);
	begin = t = load_now();
	while (t - begin < secs && s.n < s.cap) {
		before = t;
		round_trip(fd);
		t = load_now();
		samples_add(&s, t - before);
	}
	samples_sort(&s);
	printf("pingpong n=%zu p50=%.1f p90=%.1f p99=%.1f max=%.1f us "
	       "rate=%.0f\n",
	    s.n, samples_at(&s, 50), samples_at(&s, 90), samples_at(&s, 99),
	    samples_at(&s, 100), (double)s.n / (t - begin));
	free(s.usec);
	close(fd);
}

/*
 * Many connections, some of them in the making: connect, a byte there, a byte
 * back.  Then it is done, and kept or closed.
 */

struct attempt {
	double began;
	bool asked; /* the byte is sent */
};

struct dialer {
	const char *host;
	unsigned next_port;
	int ep;		       /* owned */
	struct attempt *by_fd; /* owned */
	size_t nfd;	       /* its length */
	bool keep;	       /* those that are done stay open */
	int live;	       /* in the making */
	long done, failed;
	double last; /* when anything happened */
	struct samples times;
};

static void
dialer_init(struct dialer *d, const char *host, bool keep)
{
	memset(d, 0, sizeof(*d));
	d->host = host;
	d->keep = keep;
	d->ep = epoll_create1(0);
	d->nfd = (size_t)sysconf(_SC_OPEN_MAX);
	d->by_fd = calloc(d->nfd, sizeof(*d->by_fd));
	if (d->ep == -1 || d->by_fd == NULL)
		err(1, "start");
	d->last = load_now();
	samples_init(&d->times, CONNECTIONS);
}

static void
dialer_free(struct dialer *d)
{
	close(d->ep);
	free(d->by_fd);
	free(d->times.usec);
}

/* -1: not even begun. */
static int
dialer_start(struct dialer *d)
{
	unsigned port = LOAD_TCP_PORT + d->next_port++ % LOAD_TCP_PORTS;
	struct sockaddr_in sin = load_addr(d->host, (int)port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd == -1)
		err(1, "socket");
	no_delay(fd);
	if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1 &&
	    errno != EINPROGRESS) {
		close(fd);
		d->failed++;
		return -1;
	}
	d->by_fd[fd] = (struct attempt){ .began = load_now() };
	watch(d->ep, EPOLL_CTL_ADD, fd, EPOLLOUT);
	d->live++;
	return 0;
}

static void
dialer_end(struct dialer *d, int fd, bool good)
{
	d->live--;
	if (good)
		d->done++;
	else
		d->failed++;
	if (good && d->keep)
		watch(d->ep, EPOLL_CTL_DEL, fd, 0);
	else
		close(fd);
}

static void
dialer_ask(struct dialer *d, int fd)
{
	socklen_t len = sizeof(int);
	int error = 0;

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error != 0 || send(fd, "x", 1, MSG_NOSIGNAL) != 1) {
		dialer_end(d, fd, false);
		return;
	}
	d->by_fd[fd].asked = true;
	watch(d->ep, EPOLL_CTL_MOD, fd, EPOLLIN);
}

static void
dialer_event(struct dialer *d, int fd)
{
	struct attempt *a = &d->by_fd[fd];
	char byte;
	bool good;

	if (!a->asked) {
		dialer_ask(d, fd);
		return;
	}
	good = recv(fd, &byte, 1, 0) == 1;
	if (good && !d->keep)
		samples_add(&d->times, load_now() - a->began);
	dialer_end(d, fd, good);
}

static void
dialer_wait(struct dialer *d, int ms)
{
	struct epoll_event ev[NEVENTS];
	int i, n = epoll_wait(d->ep, ev, NEVENTS, ms);

	for (i = 0; i < n; i++)
		dialer_event(d, ev[i].data.fd);
	if (n > 0)
		d->last = load_now();
}

void
tcp_connrate(const char *host, double secs, int parallel)
{
	struct dialer d;
	double begin, took;

	dialer_init(&d, host, false);
	begin = load_now();
	while ((took = load_now() - begin) < secs) {
		while (d.live < parallel && dialer_start(&d) == 0)
			continue;
		dialer_wait(&d, 100);
	}
	samples_sort(&d.times);
	printf("connrate par=%d done=%ld fail=%ld rate=%.0f /s p50=%.0f "
	       "p99=%.0f us\n",
	    parallel, d.done, d.failed, (double)d.done / took,
	    samples_at(&d.times, 50), samples_at(&d.times, 99));
	dialer_free(&d);
}

void
tcp_idle(const char *host, long want, int parallel)
{
	struct dialer d;
	double begin = load_now(), took;
	char buf[16];

	dialer_init(&d, host, true);
	while (
	    d.done + d.failed < want && load_now() - d.last < IDLE_PATIENCE) {
		while (d.live < parallel && d.done + d.failed + d.live < want)
			dialer_start(&d);
		dialer_wait(&d, 500);
	}
	took = d.last - begin;
	printf("idle want=%ld ok=%ld fail=%ld stuck=%d time=%.3f s "
	       "rate=%.0f /s\n",
	    want, d.done, d.failed, d.live, took, (double)d.done / took);
	fflush(stdout);
	while (read(STDIN_FILENO, buf, sizeof(buf)) > 0)
		continue;
	dialer_free(&d);
}
