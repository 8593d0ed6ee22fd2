/*
 * A bad link for tests: passes Ethernet frames between two ends and on the
 * way loses, delays, jitters, reorders and doubles them.
 *
 *	losslink [OPTIONS] LISTEN CONNECT
 *	    between a vmnet client, which connects to LISTEN, and the suite's
 *	    socket CONNECT; a process for each client
 *	losslink [OPTIONS] --qemu LISTEN CONNECT
 *	    the same for a client with QEMU's stream framing
 *	losslink [OPTIONS] --tap NETNS NETNS
 *	    between two kernels: makes a TAP "loss0" in each namespace.  What
 *	    those reach over this link is what the suite is held against.
 *
 *	--loss P	of 100 frames, P are lost
 *	--dup P		... come twice
 *	--reorder P	... are held back up to a millisecond more
 *	--delay USEC	each frame takes so long
 *	--jitter USEC	and up to so much more, in order
 *	--rate BITS	a second; 0: no limit
 *	--queue N	frames on their way, the rest is lost; 0: no limit
 *	--seed S	another course of the same dice
 *
 * A value "A,B" is A for frames from the first end and B for those from the
 * second.  Each direction has dice of its own, so what happens to its n-th
 * frame depends on the seed alone.  Says "ready" once it can be used, and on
 * stderr at the end what became of the frames.
 *
 * A frame that was read waits in a heap, ordered by when it is due.  Whoever
 * does not read its end is never overrun: what is due for it waits, and with
 * too much waiting the other end is not read.
 */

#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <net/if.h>

#include <linux/if_tun.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAXFRAME 65535
#define BUFLEN	 (512 * 1024)
#define HELD_MAX (64u << 20) /* bytes of frames on their way */
#define BATCH	 64	     /* frames of a TAP a turn */
#define HOLDBACK 1000	     /* usec, of a reordered frame */

/* What each side says before frames follow: docs/ethd.8. */
#define HELLO_CLIENT (49 + 41)
#define HELLO_SUITE  (49 + 258)

/* What a direction does; the options. */
struct conf {
	double loss, dup, reorder; /* of 100 */
	double delay, jitter;	   /* usec */
	double rate;		   /* bits a second */
	double queue;		   /* frames */
	double seed;
};

struct frame {
	int64_t due; /* usec */
	uint64_t nr; /* of equals, the first read is the first out */
	size_t len;
	uint8_t data[];
};

/* One end of the link: a stream of frames, or a TAP. */
struct end {
	int fd; /* owned */
	bool tap;
	bool qemu;    /* lengths of 32 bits, big-endian; else 16, little */
	size_t hello; /* bytes to come that are not frames yet */
	size_t inlen; /* of a stream: read, not taken apart yet */
	size_t outoff, outlen;
	uint8_t in[BUFLEN], out[BUFLEN];
};

/* One direction. */
struct way {
	const struct conf *conf;
	struct end *from, *to; /* borrowed */
	struct frame **heap;   /* owned, as are the frames */
	size_t n, cap, held;
	uint64_t nr, dice;
	int64_t last;  /* when the latest frame in order is due */
	int64_t clear; /* when the last bit of it has left */
	uint64_t passed, lost, dropped, doubled, reordered;
};

static int64_t
now_usec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* A number in [0, 1). */
static double
roll(struct way *w)
{
	uint64_t x = w->dice += 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return (double)((x ^ x >> 31) >> 11) / 9007199254740992.0;
}

static bool
chance(struct way *w, double of100)
{
	return roll(w) * 100 < of100;
}

static bool
sooner(const struct frame *a, const struct frame *b)
{
	return a->due != b->due ? a->due < b->due : a->nr < b->nr;
}

static void
heap_push(struct way *w, struct frame *f)
{
	size_t i, up;

	if (w->n == w->cap) {
		w->cap = w->cap > 0 ? 2 * w->cap : 256;
		w->heap = realloc(w->heap, w->cap * sizeof(f));
		if (w->heap == NULL)
			err(1, NULL);
	}
	for (i = w->n++; i > 0; i = up) {
		up = (i - 1) / 2;
		if (!sooner(f, w->heap[up]))
			break;
		w->heap[i] = w->heap[up];
	}
	w->heap[i] = f;
	w->held += f->len;
}

/* Frees the first. */
static void
heap_pop(struct way *w)
{
	struct frame *f = w->heap[--w->n];
	size_t i, down;

	w->held -= w->heap[0]->len;
	free(w->heap[0]);
	for (i = 0; (down = 2 * i + 1) < w->n; i = down) {
		if (down + 1 < w->n && sooner(w->heap[down + 1], w->heap[down]))
			down++;
		if (!sooner(w->heap[down], f))
			break;
		w->heap[i] = w->heap[down];
	}
	w->heap[i] = f;
}

static void
way_add(struct way *w, int64_t due, const uint8_t *p, size_t len)
{
	struct frame *f = malloc(sizeof(*f) + len);

	if (f == NULL)
		err(1, NULL);
	f->due = due;
	f->nr = w->nr++;
	f->len = len;
	memcpy(f->data, p, len);
	heap_push(w, f);
}

/* A frame enters the link. */
static void
way_input(struct way *w, int64_t now, const uint8_t *p, size_t len)
{
	const struct conf *c = w->conf;
	bool lost = chance(w, c->loss), twice = chance(w, c->dup);
	bool late = chance(w, c->reorder);
	double jitter = roll(w) * c->jitter, more = roll(w) * HOLDBACK;
	int64_t due;

	if (c->queue > 0 && (double)w->n >= c->queue) {
		w->dropped++;
		return;
	}
	if (lost) {
		w->lost++;
		return;
	}
	if (w->clear < now)
		w->clear = now;
	if (c->rate > 0)
		w->clear += (int64_t)((double)len * 8e6 / c->rate);
	due = w->clear + (int64_t)(c->delay + jitter);
	if (late)
		due += 1 + (int64_t)more;
	else if (due < w->last)
		due = w->last;
	else
		w->last = due;
	way_add(w, due, p, len);
	if (twice)
		way_add(w, due, p, len);
	w->doubled += twice;
	w->reordered += late;
}

/* -1: the end is gone.  Writes what of the stream is waiting. */
static int
end_flush(struct end *e)
{
	ssize_t n;

	while (e->outoff < e->outlen) {
		n = send(e->fd, e->out + e->outoff, e->outlen - e->outoff,
		    MSG_NOSIGNAL);
		if (n == -1)
			return errno == EAGAIN || errno == EINTR ? 0 : -1;
		e->outoff += (size_t)n;
	}
	e->outoff = e->outlen = 0;
	return 0;
}

static size_t
get_len(const struct end *e, const uint8_t *p)
{
	return e->qemu ? (size_t)p[2] << 8 | p[3] : p[0] | (size_t)p[1] << 8;
}

static size_t
put_len(const struct end *e, uint8_t *p, size_t len)
{
	if (!e->qemu) {
		p[0] = (uint8_t)len;
		p[1] = (uint8_t)(len >> 8);
		return 2;
	}
	p[0] = p[1] = 0;
	p[2] = (uint8_t)(len >> 8);
	p[3] = (uint8_t)len;
	return 4;
}

/* Whether it is taken or will never be. */
static bool
end_put(struct end *e, const uint8_t *p, size_t len)
{
	if (e->tap)
		return write(e->fd, p, len) != -1 || errno != EAGAIN;
	if (e->outoff > 0 || BUFLEN - e->outlen < len + 4)
		return false;
	e->outlen += put_len(e, e->out + e->outlen, len);
	memcpy(e->out + e->outlen, p, len);
	e->outlen += len;
	return true;
}

/* Hands over what is due.  -1: the end is gone. */
static int
way_output(struct way *w, int64_t now)
{
	bool room = true;

	while (room) {
		while (w->n > 0 && w->heap[0]->due <= now) {
			room =
			    end_put(w->to, w->heap[0]->data, w->heap[0]->len);
			if (!room)
				break;
			w->passed++;
			heap_pop(w);
		}
		if (end_flush(w->to) == -1)
			return -1;
		room = !room && !w->to->tap && w->to->outlen == 0;
	}
	return 0;
}

/* What is not a frame yet goes through as it is; how much of it. */
static size_t
pass_hello(struct way *w)
{
	struct end *e = w->from;
	size_t n = e->hello < e->inlen ? e->hello : e->inlen;

	if (n > BUFLEN - w->to->outlen)
		n = 0; /* cannot be: the greetings are short */
	memcpy(w->to->out + w->to->outlen, e->in, n);
	w->to->outlen += n;
	e->hello -= n;
	return n;
}

/* -1: the end is gone. */
static int
stream_read(struct way *w, int64_t now)
{
	struct end *e = w->from;
	size_t off, len, plen = e->qemu ? 4 : 2;
	ssize_t n;

	n = read(e->fd, e->in + e->inlen, BUFLEN - e->inlen);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return -1;
	e->inlen += (size_t)n;
	off = pass_hello(w);
	for (; e->hello == 0 && e->inlen - off >= plen; off += plen + len) {
		len = get_len(e, e->in + off);
		if (e->inlen - off < plen + len)
			break;
		way_input(w, now, e->in + off + plen, len);
	}
	memmove(e->in, e->in + off, e->inlen - off);
	e->inlen -= off;
	return 0;
}

static int
tap_read(struct way *w, int64_t now)
{
	ssize_t n;
	int i;

	for (i = 0; i < BATCH; i++) {
		n = read(w->from->fd, w->from->in, MAXFRAME);
		if (n == -1)
			return errno == EAGAIN || errno == EINTR ? 0 : -1;
		way_input(w, now, w->from->in, (size_t)n);
	}
	return 0;
}

/* How long until something happens by itself. */
static int64_t
next_due(const struct way way[2])
{
	int64_t at = INT64_MAX;
	int i;

	for (i = 0; i < 2; i++) {
		if (way[i].n > 0 && way[i].heap[0]->due < at)
			at = way[i].heap[0]->due;
	}
	return at;
}

/* One turn.  -1: an end is gone. */
static int
turn(struct way way[2])
{
	struct pollfd pfd[2];
	struct timespec ts = { 0 };
	int64_t now = now_usec(), at = next_due(way);
	bool due;
	int i;

	for (i = 0; i < 2; i++) {
		/* What is due and still here was not taken. */
		due = way[1 - i].n > 0 && way[1 - i].heap[0]->due <= now;
		pfd[i].fd = way[i].from->fd;
		pfd[i].events = way[i].held < HELD_MAX ? POLLIN : 0;
		if (way[i].from->outlen > 0 || due)
			pfd[i].events |= POLLOUT;
	}
	if (at <= now) { /* only POLLOUT helps; see to the other soon */
		ts.tv_nsec = 1000000;
	} else if (at != INT64_MAX) {
		ts.tv_sec = (at - now) / 1000000;
		ts.tv_nsec = (at - now) % 1000000 * 1000;
	}
	if (ppoll(pfd, 2, at == INT64_MAX ? NULL : &ts, NULL) == -1)
		return errno == EINTR ? 0 : -1;
	now = now_usec();
	for (i = 0; i < 2; i++) {
		if ((pfd[i].revents & ~POLLOUT) != 0 &&
		    (way[i].from->tap ? tap_read : stream_read)(&way[i], now) ==
			-1)
			return -1;
	}
	return way_output(&way[0], now) == -1 ? -1 : way_output(&way[1], now);
}

static void
report(const struct way *w, const char *name)
{
	fprintf(stderr,
	    "losslink: %s: %llu passed, %llu lost, %llu dropped, "
	    "%llu doubled, %llu reordered\n",
	    name, (unsigned long long)w->passed, (unsigned long long)w->lost,
	    (unsigned long long)w->dropped, (unsigned long long)w->doubled,
	    (unsigned long long)w->reordered);
}

static struct end *
end_new(int fd, bool tap, size_t hello)
{
	struct end *e = calloc(1, sizeof(*e));

	if (e == NULL || fcntl(fd, F_SETFL, O_NONBLOCK) == -1)
		err(1, "end");
	e->fd = fd;
	e->tap = tap;
	e->hello = hello;
	return e;
}

/* Ends with the process. */
_Noreturn static void
link_run(const struct conf conf[2], struct end *a, struct end *b)
{
	struct way way[2] = {
		{ .conf = &conf[0], .from = a, .to = b },
		{ .conf = &conf[1], .from = b, .to = a },
	};
	int i;

	prctl(PR_SET_TIMERSLACK, 1);
	for (i = 0; i < 2; i++)
		way[i].dice = (uint64_t)conf[i].seed * 2 + (uint64_t)i;
	while (turn(way) == 0)
		continue;
	report(&way[0], "from the first");
	report(&way[1], "from the second");
	exit(0);
}

static void
ready(void)
{
	puts("ready");
	fflush(stdout);
}

static struct sockaddr_un
unix_address(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(sun.sun_path))
		errx(2, "%s: too long", path);
	memcpy(sun.sun_path, path, strlen(path));
	return sun;
}

static int
unix_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), size = 1 << 20;

	if (fd == -1)
		err(1, "socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	return fd;
}

_Noreturn static void
one_client(const struct conf conf[2], int client, const char *path, bool qemu)
{
	struct end *a, *b;
	struct sockaddr_un sun = unix_address(path);
	int size = 1 << 20, fd = unix_socket();

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	(void)setsockopt(
	    client, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1)
		err(1, "%s", path);
	a = end_new(client, false, qemu ? 0 : HELLO_CLIENT);
	b = end_new(fd, false, qemu ? 0 : HELLO_SUITE);
	a->qemu = b->qemu = qemu;
	link_run(conf, a, b);
}

_Noreturn static void
serve(const struct conf conf[2], const char *path, const char *suite, bool qemu)
{
	struct sockaddr_un sun = unix_address(path);
	int c, fd = unix_socket();

	(void)unlink(path);
	if (bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1 ||
	    listen(fd, 16) == -1)
		err(1, "%s", path);
	signal(SIGCHLD, SIG_IGN);
	ready();
	while ((c = accept(fd, NULL, NULL)) != -1) {
		if (fork() == 0)
			one_client(conf, c, suite, qemu);
		close(c);
	}
	err(1, "accept");
}

/* A TAP in that namespace, where this process is from then on. */
static int
tap_open(const char *netns)
{
	struct ifreq ifr = { .ifr_name = "loss0",
		.ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd, ns = open(netns, O_RDONLY);

	if (ns == -1 || setns(ns, CLONE_NEWNET) == -1)
		err(1, "%s", netns);
	/* A TAP belongs to the namespace its descriptor was opened in. */
	if ((fd = open("/dev/net/tun", O_RDWR)) == -1 ||
	    ioctl(fd, TUNSETIFF, &ifr) == -1)
		err(1, "TAP in %s", netns);
	close(ns);
	return fd;
}

/* "A" or "A,B". */
static void
both_ways(const char *arg, double *a, double *b)
{
	char *end;

	*a = *b = strtod(arg, &end);
	if (*end == ',')
		*b = strtod(end + 1, &end);
	if (end == arg || *end != '\0')
		errx(2, "not a value: %s", arg);
}

int
main(int argc, char *argv[])
{
	static const struct option longopts[] = {
		{ "loss", required_argument, NULL, 'l' },
		{ "dup", required_argument, NULL, 'd' },
		{ "reorder", required_argument, NULL, 'r' },
		{ "delay", required_argument, NULL, 'D' },
		{ "jitter", required_argument, NULL, 'j' },
		{ "rate", required_argument, NULL, 'R' },
		{ "queue", required_argument, NULL, 'q' },
		{ "seed", required_argument, NULL, 's' },
		{ "tap", no_argument, NULL, 't' },
		{ "qemu", no_argument, NULL, 'Q' },
		{ 0 },
	};
	struct conf conf[2] = { { .seed = 1 }, { .seed = 1 } };
	bool tap = false, qemu = false;
	double *v[][2] = {
#define V(c, name) [c] = { &conf[0].name, &conf[1].name }
		V('l', loss), V('d', dup), V('r', reorder), V('D', delay),
		V('j', jitter), V('R', rate), V('q', queue), V('s', seed)
#undef V
	};
	struct end *a, *b;
	int c;

	while ((c = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		if (c == '?')
			return 2;
		if (c == 't')
			tap = true;
		else if (c == 'Q')
			qemu = true;
		else
			both_ways(optarg, v[c][0], v[c][1]);
	}
	if (argc - optind != 2)
		errx(2, "two ends are needed");
	if (!tap)
		serve(conf, argv[optind], argv[optind + 1], qemu);
	a = end_new(tap_open(argv[optind]), true, 0);
	b = end_new(tap_open(argv[optind + 1]), true, 0);
	ready();
	link_run(conf, a, b);
}
