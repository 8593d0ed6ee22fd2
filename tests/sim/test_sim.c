/*
 * One TCP flow over a link that drops, doubles and reorders, with a host that
 * takes and gives as it likes, a guest that stops reading, and a channel that
 * fills.  Whatever happens: each byte arrives once and in order, both sides
 * come to an end, nothing is left, and it does not take forever.
 *
 *	test_sim [-s SEED | -n SEEDS] [-v]
 *	test_sim -g FILE	is the grid of speeds still the one there?
 *	test_sim -w FILE	writes it
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/pkt/world.h"
#include "tests/sim/guest.h"

#define GUEST_PORT 40000
#define HOST_IP	   0x0a010203
#define HOST_PORT  80
#define SEEDS	   8

/* A frame on its way. */
struct flying {
	TAILQ_ENTRY(flying) link;
	usec_t at;
	bool to_guest;
	struct frame *frame; /* owned; to the guest */
	struct tcp_seg seg;  /* of the guest */
	uint32_t off, len;
	bool corrupt;
};
TAILQ_HEAD(flying_list, flying);

struct kind {
	const char *what;
	unsigned drop, dup; /* percent */
	usec_t delay, jitter;
	uint16_t mtu;
	bool sack, ts;
	uint8_t wscale;
	uint32_t buf;
	uint32_t up, down; /* bytes */
	bool slow_host, slow_guest, full_channel;
	usec_t limit;	   /* virtual time it may take */
	unsigned permille; /* of frames dropped, beside drop */
	unsigned corrupt;  /* percent, of a byte */
	bool at_once;	   /* the host gives all it has as it connects */
	bool vnet;	   /* large frames, cut on the way */
};

/* clang-format off */
static const struct kind kinds[] = {
	{ "clean", 0, 0, 50, 0, 1500, true, true, 7, 1 << 20,
	    900000, 900000, false, false, false, 30 * USEC_SEC },
	{ "clean, no options", 0, 0, 50, 0, 1500, false, false, 0, 65535,
	    900000, 900000, false, false, false, 30 * USEC_SEC },
	{ "reordering", 0, 0, 50, 2000, 1500, true, false, 7, 1 << 20,
	    500000, 500000, false, false, false, 100 * USEC_SEC },
	{ "doubling", 0, 20, 50, 500, 1500, true, true, 7, 1 << 20,
	    500000, 500000, false, false, false, 100 * USEC_SEC },
	{ "1 % loss", 1, 0, 500, 100, 1500, true, true, 7, 1 << 20,
	    500000, 500000, false, false, false, 300 * USEC_SEC },
	{ "1 % loss, no SACK", 1, 0, 500, 100, 1500, false, false, 7, 1 << 20,
	    500000, 500000, false, false, false, 300 * USEC_SEC },
	{ "5 % loss", 5, 1, 500, 2000, 1500, true, false, 7, 1 << 18,
	    300000, 300000, false, false, false, 600 * USEC_SEC },
	{ "15 % loss", 15, 5, 500, 2000, 1500, true, true, 7, 1 << 18,
	    100000, 100000, false, false, false, 1500 * USEC_SEC },
	{ "30 % loss", 30, 5, 500, 2000, 1500, true, true, 7, 1 << 18,
	    50000, 50000, false, false, false, 3000 * USEC_SEC },
	{ "30 % loss, no SACK", 30, 5, 500, 2000, 1500, false, false, 0, 65535,
	    50000, 50000, false, false, false, 3000 * USEC_SEC },
	{ "slow host", 0, 0, 50, 0, 1500, true, true, 7, 1 << 20,
	    500000, 500000, true, false, false, 300 * USEC_SEC },
	{ "slow host, loss", 3, 1, 50, 500, 1500, true, true, 7, 1 << 20,
	    300000, 300000, true, false, false, 900 * USEC_SEC },
	{ "slow guest", 0, 0, 50, 0, 1500, true, true, 0, 20000,
	    300000, 300000, false, true, false, 300 * USEC_SEC },
	{ "slow guest, loss", 5, 1, 50, 500, 1500, true, false, 0, 20000,
	    100000, 100000, false, true, false, 3000 * USEC_SEC },
	{ "full channel", 0, 0, 50, 0, 1500, true, true, 7, 1 << 20,
	    500000, 500000, false, false, true, 300 * USEC_SEC },
	{ "big frames", 1, 0, 50, 500, 65521, true, true, 7, 1 << 20,
	    1000000, 1000000, false, false, false, 300 * USEC_SEC },
	{ "all of it", 5, 2, 50, 2000, 1500, true, true, 3, 60000,
	    200000, 200000, true, true, true, 3000 * USEC_SEC },
	{ "corruption", 2, 1, 50, 500, 1500, true, true, 7, 1 << 18,
	    200000, 200000, false, false, false, 900 * USEC_SEC,
	    .corrupt = 3 },
	{ "large frames", 0, 0, 50, 0, 1500, true, true, 7, 1 << 20,
	    900000, 900000, false, false, false, 30 * USEC_SEC,
	    .vnet = true },
	{ "large frames, loss", 3, 2, 50, 2000, 1500, true, true, 7, 1 << 18,
	    300000, 300000, true, false, true, 900 * USEC_SEC,
	    .vnet = true },
	{ "large frames, no options", 5, 0, 500, 100, 1500, false, false, 0,
	    65535, 100000, 100000, false, true, false, 3000 * USEC_SEC,
	    .vnet = true },
	{ "large frames, long way", 1, 0, 10000, 1000, 1500, true, true, 7,
	    1 << 20, 900000, 0, false, false, false, 900 * USEC_SEC,
	    .vnet = true },
	{ "nothing to say", 10, 2, 50, 2000, 1500, true, true, 3, 60000,
	    0, 0, false, false, false, 300 * USEC_SEC },
};
/* clang-format on */
#define NKIND (int)(sizeof(kinds) / sizeof(kinds[0]))

struct sim {
	const struct kind *k;
	struct world w;
	struct guest g;
	struct flying_list air; /* owned, by time */
	uint32_t seed;
	usec_t start, done; /* the guest has all, and was heard */
	usec_t host_at;	    /* when the host's program next does something */
};

static uint32_t
sim_random(struct sim *s, uint32_t below)
{
	s->seed = s->seed * 1664525 + 1013904223;
	return below == 0 ? 0 : (uint32_t)((uint64_t)s->seed * below >> 32);
}

static void
fly_one(struct sim *s, const struct flying *proto)
{
	struct flying *f = malloc(sizeof(*f)), *x;

	if (f == NULL)
		abort();
	*f = *proto;
	f->corrupt = sim_random(s, 100) < s->k->corrupt;
	f->at =
	    s->w.now + s->k->delay + sim_random(s, (uint32_t)s->k->jitter + 1);
	if (proto->frame != NULL) {
		f->frame = malloc(sizeof(*f->frame) + proto->frame->len);
		if (f->frame == NULL)
			abort();
		memcpy(f->frame, proto->frame,
		    sizeof(*f->frame) + proto->frame->len);
	}
	TAILQ_FOREACH_REVERSE(x, &s->air, flying_list, link)
	{
		if (x->at <= f->at)
			break;
	}
	if (x != NULL)
		TAILQ_INSERT_AFTER(&s->air, x, f, link);
	else
		TAILQ_INSERT_HEAD(&s->air, f, link);
}

static void
fly(struct sim *s, const struct flying *proto)
{
	if (sim_random(s, 1000) < 10 * s->k->drop + s->k->permille)
		return;
	fly_one(s, proto);
	if (sim_random(s, 100) < s->k->dup)
		fly_one(s, proto);
}

/* Everything both sides have to say now goes on its way. */
static void
collect(struct sim *s)
{
	struct flying f = { .to_guest = true };

	while ((f.frame = world_take(&s->w)) != NULL) {
		fly(s, &f);
		free(f.frame);
	}
	f.to_guest = false;
	while (guest_output(&s->g, s->w.now, &f.seg, &f.off, &f.len))
		fly(s, &f);
}

static bool
sum_good(struct sim *s, const struct frame *f)
{
	size_t len = f->len - FRAME_HDRLEN;
	uint32_t sum =
	    cksum_pseudo(HOST_IP, s->w.conf.guest_ip, IPPROTO4_TCP, len);

	return cksum_finish(cksum_add(sum, f->data + FRAME_HDRLEN, len)) == 0;
}

static void
to_guest(struct sim *s, struct frame *f, bool corrupt)
{
	struct tcp_seg seg;
	size_t at;

	if (corrupt) {
		at = FRAME_HDRLEN +
		     sim_random(s, (uint32_t)(f->len - FRAME_HDRLEN));
		f->data[at] ^= (uint8_t)(1 + sim_random(s, 255));
	}
	if (!sum_good(s, f)) {
		if (!corrupt)
			world_error(&s->w, "a wrong checksum");
		return;
	}
	if (tcp_parse(rd_init(f->data + FRAME_HDRLEN, f->len - FRAME_HDRLEN),
		&seg) == -1)
		world_error(&s->w, "a bad segment");
	else
		guest_input(&s->g, s->w.now, &seg);
}

static void
deliver(struct sim *s)
{
	struct flying *f;

	while ((f = TAILQ_FIRST(&s->air)) != NULL && f->at <= s->w.now) {
		TAILQ_REMOVE(&s->air, f, link);
		if (f->to_guest) {
			to_guest(s, f->frame, f->corrupt);
		} else {
			f->seg.sport = GUEST_PORT;
			f->seg.dport = HOST_PORT;
			world_input(&s->w, HOST_IP, &f->seg, f->len, f->off,
			    f->corrupt);
			if (sim_random(s, 4) == 0)
				world_flush(&s->w);
		}
		free(f->frame);
		free(f);
	}
	world_flush(&s->w);
	if (!s->g.stalled)
		guest_read(&s->g, false);
}

/* The host's program: gives a little, takes a little. */
static void
host_turn(struct sim *s)
{
	struct host *h = &s->w.host[0];
	uint64_t left = s->k->down - h->sent, n;

	s->host_at =
	    s->w.now + (s->k->at_once ? 100 : 1000 + sim_random(s, 20000));
	if (s->k->slow_guest)
		guest_read(&s->g, sim_random(s, 3) != 0);
	if (s->k->full_channel) {
		s->w.full = sim_random(s, 3) == 0;
		if (!s->w.full)
			net_tx_ready(s->w.net, s->w.now);
	}
	if (!h->asked || h->closed)
		return;
	if (!h->open) {
		h->open = true;
		h->bounded = s->k->slow_host;
		net_opened(s->w.net, s->w.now, h->ask.id, false);
		net_writable(s->w.net, s->w.now, h->ask.id);
		if (!s->k->at_once)
			return;
	}
	n = s->k->slow_host ? sim_random(s, 30000) : left;
	if (!h->eof) {
		h->sent += n < left ? n : left;
		h->eof = h->sent == s->k->down;
		net_readable(s->w.net, s->w.now, h->ask.id);
	}
	if (h->bounded && !h->closed) {
		h->room = sim_random(s, 30000);
		net_writable(s->w.net, s->w.now, h->ask.id);
	}
}

static usec_t
earliest(struct sim *s)
{
	const struct flying *f = TAILQ_FIRST(&s->air);
	usec_t at = net_deadline(s->w.net);

	if (f != NULL && f->at < at)
		at = f->at;
	if (guest_deadline(&s->g) < at)
		at = guest_deadline(&s->g);
	return s->host_at < at ? s->host_at : at;
}

/*
 * Only the ACK of the guest's FIN is missing, and TIME-WAIT is over: that is
 * 10 s long, and a guest that lost the ACK again and again asks too late.
 */
static bool
over(const struct sim *s)
{
	return s->k->at_once && s->g.una == s->g.to_send &&
	       s->g.got == s->g.to_get + 1 && net_flows(s->w.net) == 0;
}

static const char *
verdict(struct sim *s)
{
	const struct host *h = &s->w.host[0];

	if (*s->w.error != '\0')
		return s->w.error;
	if (s->g.wrong != NULL)
		return s->g.wrong;
	if (s->g.reset && !over(s))
		return "the guest was reset";
	if (s->w.now - s->start > s->k->limit)
		return "it takes too long";
	if (h->asked && h->consumed > s->g.got)
		return "consumed what the guest does not have";
	if (s->g.una > h->written + 1)
		return "acknowledged what the host does not have";
	return NULL;
}

static const char *
sim_loop(struct sim *s)
{
	const char *bad;
	usec_t at;

	/* Until both are done and the guest is not answering any more. */
	while (!(guest_done(&s->g) || (s->g.reset && over(s))) ||
	       net_flows(s->w.net) > 0) {
		collect(s);
		at = earliest(s);
		if (at > s->w.now)
			world_advance(&s->w, at);
		else
			net_tick(s->w.net, s->w.now);
		deliver(s);
		if (s->w.now >= s->host_at)
			host_turn(s);
		if ((bad = verdict(s)) != NULL)
			return bad;
		if (s->done == 0 && s->g.got == s->g.to_get + 1 &&
		    s->g.una >= s->g.to_send)
			s->done = s->w.now;
	}
	if (s->w.host[0].written != s->k->up)
		return "the host has not got it all";
	if (!s->w.host[0].shut || !s->w.host[0].closed || s->w.host[0].reset)
		return "the host side was not closed in order";
	return s->w.net->queued != 0 ? "something is left in a queue" : NULL;
}

/* *took: virtual time until all had arrived; NULL: nobody asks. */
static int
sim_run(const struct kind *k, uint32_t seed, bool verbose, usec_t *took)
{
	struct sim *s = calloc(1, sizeof(*s));
	struct flying *f;
	const char *bad = "no memory";

	if (s == NULL)
		return -1;
	s->k = k;
	s->seed = seed;
	TAILQ_INIT(&s->air);
	world_init(&s->w);
	s->w.conf.mtu = k->mtu;
	s->w.vnet = s->w.cut = k->vnet;
	s->start = s->host_at = s->w.now;
	s->g = (struct guest){ .mss = (uint16_t)(k->mtu - 40),
		.sack = k->sack,
		.ts = k->ts,
		.wscale = k->wscale,
		.buf = k->buf,
		.flight = k->at_once ? k->buf : 64u * 1460,
		.to_send = k->up,
		.to_get = k->down };
	guest_init(&s->g);
	if (world_start(&s->w) == 0)
		bad = sim_loop(s);
	if (bad != NULL || verbose)
		printf("%-20s -s %-3u %8.3f s  retrans %4llu rto %3llu "
		       "fast %3llu partial %3llu  %s\n",
		    k->what, seed, (double)(s->w.now - s->start) / 1e6,
		    (unsigned long long)s->w.stat[NETS_TCP_RETRANS],
		    (unsigned long long)s->w.stat[NETS_TCP_RTO],
		    (unsigned long long)s->w.stat[NETS_TCP_FAST],
		    (unsigned long long)s->w.stat[NETS_TCP_PARTIAL],
		    bad != NULL ? bad : "");
	if (took != NULL)
		*took = s->done - s->start;
	while ((f = TAILQ_FIRST(&s->air)) != NULL) {
		TAILQ_REMOVE(&s->air, f, link);
		free(f->frame);
		free(f);
	}
	world_fini(&s->w);
	free(s);
	return bad == NULL ? 0 : -1;
}

/*
 * The grid: how fast one stream is, by MTU, delay each way and loss, in kB/s
 * of virtual time; the mean of a few seeds.  It is the same on every machine,
 * so whatever changes it shows as a difference to the file in the tree.
 */
#define GRID_SEEDS 4
#define GRID_BYTES 1000000

static unsigned
grid_speed(struct kind *k, uint32_t bytes, bool up, int *bad)
{
	usec_t took = 0, sum = 0;
	uint32_t seed;

	k->up = up ? bytes : 0;
	k->down = up ? 0 : bytes;
	for (seed = 1; seed <= GRID_SEEDS; seed++) {
		if (sim_run(k, seed, false, &took) == -1)
			++*bad;
		sum += took;
	}
	return (unsigned)((uint64_t)bytes * GRID_SEEDS * 1000 / (uint64_t)sum);
}

static void
grid_row(FILE *f, uint16_t mtu, usec_t delay, int *bad)
{
	/* Of a thousand frames; and the bytes that show it. */
	static const struct {
		unsigned loss;
		uint32_t bytes;
	} t[] = { { 0, GRID_BYTES }, { 1, GRID_BYTES }, { 10, GRID_BYTES },
		{ 50, GRID_BYTES / 4 }, { 100, GRID_BYTES / 10 },
		{ 300, GRID_BYTES / 40 } };
	struct kind k = { .what = "grid",
		.mtu = mtu,
		.delay = delay,
		.jitter = delay / 20,
		.sack = true,
		.ts = true,
		.wscale = 7,
		.buf = GRID_BYTES,
		.limit = 3000 * USEC_SEC,
		.at_once = true };
	size_t i;
	int up;

	for (up = 0; up < 2; up++) {
		fprintf(f, "%6u %6u  %-4s", mtu, (unsigned)delay,
		    up ? "up" : "down");
		for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
			k.permille = t[i].loss;
			fprintf(f, " %7u",
			    grid_speed(&k, t[i].bytes, up == 1, bad));
		}
		fputc('\n', f);
	}
}

static int
grid(FILE *f)
{
	static const uint16_t mtu[] = { 576, 1500, 9000, 65521 };
	static const usec_t delay[] = { 100, 1000, 10000 };
	size_t i, j;
	int bad = 0;

	fputs("# kB/s of one stream, to the guest (down) and from it (up),\n"
	      "# by MTU, delay each way in usec, and loss in percent.\n"
	      "# Made by: ninja sim-grid-update\n"
	      "#  mtu  delay             0     0.1       1       5"
	      "      10      30\n",
	    f);
	for (i = 0; i < sizeof(mtu) / sizeof(mtu[0]); i++)
		for (j = 0; j < sizeof(delay) / sizeof(delay[0]); j++)
			grid_row(f, mtu[i], delay[j], &bad);
	return bad == 0 ? 0 : -1;
}

/* Prints what is in the one and not in the other. */
static int
differences(FILE *is, FILE *was)
{
	char a[200], b[200];
	int n = 0;

	for (;;) {
		if (fgets(a, sizeof(a), is) == NULL)
			*a = '\0';
		if (fgets(b, sizeof(b), was) == NULL)
			*b = '\0';
		if (*a == '\0' && *b == '\0')
			return n;
		if (strcmp(a, b) != 0) {
			printf("was %sis  %s", b, a);
			n++;
		}
	}
}

static int
grid_file(const char *path, bool renew)
{
	FILE *is, *was;
	int n;

	if (renew) {
		if ((is = fopen(path, "w")) == NULL || grid(is) == -1 ||
		    fclose(is) != 0)
			return 1;
		return 0;
	}
	if ((was = fopen(path, "r")) == NULL || (is = tmpfile()) == NULL ||
	    grid(is) == -1)
		return 1;
	rewind(is);
	n = differences(is, was);
	if (n > 0)
		printf("%d lines differ: if that is meant, "
		       "ninja sim-grid-update\n",
		    n);
	fclose(is);
	fclose(was);
	return n > 0;
}

int
main(int argc, char *argv[])
{
	uint32_t seed, from = 1, to = SEEDS;
	bool verbose = false;
	int i, bad = 0;

	for (i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-v") == 0)
			verbose = true;
		else if (strcmp(argv[i], "-s") == 0 && i + 1 < argc)
			from = to = (uint32_t)strtoul(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "-n") == 0 && i + 1 < argc)
			to = (uint32_t)strtoul(argv[++i], NULL, 10);
		else if (argc == 3 && (strcmp(argv[i], "-g") == 0 ||
					  strcmp(argv[i], "-w") == 0))
			return grid_file(argv[2], argv[i][1] == 'w');
		else
			return 2;
	}
	for (i = 0; i < NKIND; i++) {
		for (seed = from; seed <= to; seed++)
			bad += sim_run(&kinds[i], seed, verbose, NULL) == -1;
	}
	printf(
	    "%d of %u runs failed\n", bad, (unsigned)NKIND * (to - from + 1));
	return bad == 0 ? 0 : 1;
}
