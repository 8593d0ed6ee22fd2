/*
 * capture: packets, live or the last ones, as pcapng.
 *
 * A live capture has a ring of its own in the stack, which never waits: we
 * look into it every few milliseconds, and what was overwritten meanwhile is
 * lost and counted.
 */

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bsd/stdlib.h>

#include "common/view/merge.h"
#include "common/view/pcapng.h"
#include "tools/status/status.h"

#define LOOK_NSEC  3000000
#define SLOW_LOOKS 300 /* a second, at least */
#define SNAPLEN	   65535
#define LIVE_LEN   1600 /* MTU 1500 and some; more on demand */
#define HEAD_LEN   128	/* Ethernet, IP and ports, which filters look at */
#define MAXSOURCES 64

struct source {
	struct file file; /* owned */
	uint32_t vm;
};

struct capture {
	struct filter filter;
	const char *path, *ring;
	uint32_t vm, snaplen;
	uint64_t count, written;
	bool last;
	bool told; /* that it has begun */
	unsigned looks;
	bool done; /* enough, or nobody reads, or */
	int error; /* ... this, 0 if none: it cannot be written */
	FILE *out;
	struct source v[MAXSOURCES];
	struct merge m[MAXSOURCES];
	size_t n;
};

static uint32_t
number(const char *s, const char *what, uint32_t max)
{
	const char *why;
	uint32_t n = (uint32_t)strtonum(s, 1, max, &why);

	if (why != NULL)
		errx(EX_USE, "%s: '%s' is %s", what, s, why);
	return n;
}

static const struct option options[] = {
	{ "vm", required_argument, NULL, 'v' },
	{ "proto", required_argument, NULL, 'P' },
	{ "host", required_argument, NULL, 'h' },
	{ "port", required_argument, NULL, 'p' },
	{ "count", required_argument, NULL, 'c' },
	{ "snaplen", required_argument, NULL, 's' },
	{ "write", required_argument, NULL, 'w' },
	{ "last", no_argument, NULL, 'l' },
	{ "ring", required_argument, NULL, 'r' },
	{ NULL, 0, NULL, 0 },
};

/* A word of the filter; false: it is none. */
static bool
take_filter(struct capture *c, int o)
{
	const char *why = NULL, *key = o == 'P'	  ? "proto"
				       : o == 'h' ? "host"
				       : o == 'p' ? "port"
						  : NULL;

	if (key == NULL)
		return false;
	if (filter_word(&c->filter, key, optarg, &why) == -1)
		errx(EX_USE, "%s: %s", optarg, why);
	return true;
}

static void
take(struct capture *c, int o)
{
	switch (o) {
	case 'v':
		c->vm = number(optarg, "--vm", UINT32_MAX);
		break;
	case 'c':
		c->count = number(optarg, "--count", UINT32_MAX);
		break;
	case 's':
		c->snaplen = number(optarg, "--snaplen", SNAPLEN);
		break;
	case 'w':
		c->path = optarg;
		break;
	case 'r':
		c->ring = optarg;
		c->last = true;
		break;
	case 'l':
		c->last = true;
		break;
	default:
		exit(EX_USE);
	}
}

static void
parse(struct capture *c, int argc, char **argv)
{
	int o;

	optind = 1;
	while ((o = getopt_long(argc, argv, "w:c:s:", options, NULL)) != -1) {
		if (!take_filter(c, o))
			take(c, o);
	}
	if (optind != argc)
		errx(EX_USE,
		    "'%s' is no filter: these are --vm, --proto, "
		    "--host and --port",
		    argv[optind]);
}

static void
open_out(struct capture *c)
{
	if (c->path != NULL && strcmp(c->path, "-") != 0) {
		if ((c->out = fopen(c->path, "we")) == NULL)
			err(EX_USE, "%s", c->path);
		return;
	}
	c->out = stdout;
}

/* The ring of that name; -1: the file has none. */
static int
find_ring(
    const struct file *f, const char *name, uint64_t *count, uint32_t *nslot)
{
	char is[16];
	uint32_t i;

	if (f->p == NULL || tape_check(f->p, f->len) == -1)
		return -1;
	for (i = 0; i < tape_nring(f->p); i++) {
		if (tape_ring(f->p, f->len, i, is, count, nslot) &&
		    strcmp(is, name) == 0)
			return (int)i;
	}
	return -1;
}

/* Who reads may go; anything else is an error. */
static void
write_failed(struct capture *c)
{
	if (!c->done && errno != EPIPE)
		c->error = errno;
	c->done = true;
}

/* The file becomes owned. */
static void
add_source(struct capture *c, struct file *f, uint32_t vm, uint32_t ring,
    uint64_t from)
{
	struct source *s = &c->v[c->n];
	char name[16];

	s->file = *f;
	s->vm = vm;
	c->m[c->n++] = (struct merge){ &s->file, ring, from, 0 };
	memset(f, 0, sizeof(*f));
	snprintf(name, sizeof(name), "vm%u", vm);
	if (pcapng_interface(c->out, name, SNAPLEN) == -1)
		write_failed(c);
}

static void
open_last(struct capture *c, struct process *p)
{
	uint64_t count;
	uint32_t nslot;
	int ring = find_ring(
	    &p->capture, c->ring != NULL ? c->ring : "all", &count, &nslot);

	if (ring == -1)
		errx(EX_REFUSED, "%s keeps no such packets", p->name);
	add_source(c, &p->capture, p->vm, (uint32_t)ring,
	    count > nslot ? count - nslot + 1 : 1);
}

static void
open_live(struct capture *c, struct conn *conn, const struct process *p)
{
	uint32_t snaplen = c->snaplen > HEAD_LEN ? c->snaplen : HEAD_LEN;
	int fd = conn_capture(conn, p->vm, snaplen);
	struct file f;

	if (fd != -1 && read_map(&f, fd) == 0)
		add_source(c, &f, p->vm, 0, 1);
}

static bool
is_wanted(const struct capture *c, const struct process *p)
{
	return p->vm != 0 && (c->vm == 0 || p->vm == c->vm);
}

/* The file is touched only when there is something to be written to it. */
static void
open_all(struct capture *c, struct conn *conn)
{
	struct snapshot s;
	size_t i;

	conn_snapshot(conn, &s);
	for (i = 0; i < s.n && !is_wanted(c, &s.v[i]);)
		i++;
	if (i == s.n)
		errx(EX_REFUSED,
		    c->vm != 0 ? "there is no such VM" : "there is no VM");
	open_out(c);
	if (pcapng_head(c->out) == -1)
		write_failed(c);
	for (; i < s.n && c->n < MAXSOURCES; i++) {
		if (!is_wanted(c, &s.v[i]))
			continue;
		if (c->last)
			open_last(c, &s.v[i]);
		else
			open_live(c, conn, &s.v[i]);
	}
	snapshot_fini(&s);
	if (c->n == 0)
		exit(EX_REFUSED);
}

static void
write_packet(struct capture *c, uint32_t i, struct tape_pkt *pkt)
{
	if (!filter_match(&c->filter, pkt->data, pkt->head.cap))
		return;
	if (pkt->head.cap > c->snaplen)
		pkt->head.cap = (uint16_t)c->snaplen;
	if (pcapng_packet(c->out, i, pkt) == -1)
		write_failed(c);
	else if (++c->written == c->count)
		c->done = true;
}

/*
 * At most so much at a time that a flood does not keep us from the end.  There
 * what the stack is still at counts as well.
 */
static void
drain(struct capture *c, struct tape_pkt *pkt, bool end)
{
	size_t i;
	int k;

	for (k = 0; k < 65536 && !c->done; k++) {
		if ((i = merge_oldest(c->m, c->n, end)) == c->n)
			return;
		if (merge_take(&c->m[i], pkt))
			write_packet(c, (uint32_t)i, pkt);
	}
}

/* The first source whose stack has not taken up the capture yet, or n. */
static uint32_t
not_begun(const struct capture *c)
{
	uint32_t i;

	for (i = 0; i < c->n; i++) {
		if (tape_check(c->v[i].file.p, c->v[i].file.len) == -1)
			break;
	}
	return i;
}

/*
 * Whoever started us may wait for this before he makes packets.  A stack that
 * is slow, or has too many captures already, keeps nobody from the others'.
 */
static void
tell_begun(struct capture *c)
{
	uint32_t i;

	if (c->told || c->last)
		return;
	if ((i = not_begun(c)) == c->n) {
		fprintf(stderr, "capturing; ^C ends it\n");
		c->told = true;
	} else if (++c->looks == SLOW_LOOKS)
		warnx("VM %u: its stack has not taken this up yet; "
		      "it may be busy, or have too many captures",
		    c->v[i].vm);
}

static void
run(struct capture *c, struct conn *conn)
{
	static const struct timespec pause = { 0, LOOK_NSEC };
	struct tape_pkt *pkt;
	bool alive, end;

	if ((pkt = malloc(sizeof(*pkt))) == NULL)
		err(EX_NOSUITE, NULL);
	do {
		/* What came before the signal is still written. */
		end = c->last || conn_stopped;
		alive = c->last || conn_alive(conn);
		tell_begun(c);
		drain(c, pkt, end);
		if (fflush(c->out) == EOF)
			write_failed(c);
		if (!end && !c->done)
			nanosleep(&pause, NULL);
	} while (!end && !c->done && alive);
	free(pkt);
	if (!alive)
		errx(EX_NOSUITE, "the suite has ended");
}

/* The end of what was kept is no loss. */
static uint64_t
lost(const struct capture *c)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < c->n && !c->last; i++)
		n += c->m[i].lost;
	return n;
}

static int
finish(struct capture *c)
{
	uint64_t n = lost(c);
	size_t i;

	if (fclose(c->out) == EOF)
		write_failed(c);
	fprintf(stderr, "%llu packets%s\n", (unsigned long long)c->written,
	    n > 0 ? ", and some were lost" : "");
	if (n > 0)
		fprintf(stderr, "%llu packets lost: too fast for us\n",
		    (unsigned long long)n);
	if (c->error != 0)
		warnx("not all of them are written: %s", strerror(c->error));
	for (i = 0; i < c->n; i++)
		read_unmap(&c->v[i].file);
	return c->error != 0 ? EX_USE : EX_FINE;
}

int
capture_main(struct conn *conn, const struct style *st, int argc, char **argv)
{
	struct capture *c = calloc(1, sizeof(*c));
	int r;

	if (c == NULL)
		err(EX_NOSUITE, NULL);
	c->snaplen = LIVE_LEN;
	parse(c, argc, argv);
	if (c->path == NULL && isatty(STDOUT_FILENO))
		errx(EX_USE, "packets are not for a terminal: use --write "
			     "FILE, or | tshark -r -");
	conn_catch(conn);
	open_all(c, conn);
	if (fflush(c->out) == EOF)
		write_failed(c);
	run(c, conn);
	r = finish(c);
	free(c);
	return r;
}
