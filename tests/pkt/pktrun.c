/*
 * Runs packet scripts against the core, each in a world of its own.
 *
 * Host side (!):	opened, connected, usable, fail NAME, data N, eof,
 *			room N, room any, writable, write-error,
 *			portd-gone, portd-ready, tx-full, tx-ready,
 *			hold (batch what the guest sends), flush,
 *			vnet N (a TAP with vnet headers comes, or goes with 0),
 *			offer (a client, as dst, wants to speak with the guest),
 *			narrow MTU SEQ (the guest says "fragmentation needed"
 *			about our segment of that number), unwanted CODE SEQ
 *			("unreachable" with that code)
 * What is so (?):	open portd, opens N, no-open, written N, consumed N,
 *			hold N, shutdown, not-shutdown, closed, reset,
 *			not-closed, flows N, stat NAME N,
 *			seg N (the last frame expected is to be cut by that),
 *			iss-differs N (from flow N's),
 *			iss-beyond N (by N or more, this flow's from its last)
 * set:			mtu N, max-flows N, max-queue N, ack-brief MS,
 *			vnet 1 (a TAP with vnet headers), dst A.B.C.D:P
 */

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netstackd/core/seq.h"
#include "tests/pkt/craft.h"
#include "tests/pkt/pkt.h"
#include "tests/pkt/world.h"

#define GUEST_PORT 40000
#define GUEST_ISS  4294960000u /* wraps soon */
#define TOLERANCE  (10 * USEC_MS)
#define PATIENCE   (10000 * USEC_SEC)

/* One flow of the script. */
struct peer {
	uint32_t iss;	  /* ours, from the last SYN-ACK */
	uint32_t iss_was; /* the one before */
};

struct run {
	struct world w;
	const char *name;
	const struct pkt_step *step;
	struct peer peer[PKT_NFLOW];
	uint32_t dst;
	uint16_t dport;
	bool hold;
	uint16_t seg; /* of the last frame expected */
	usec_t start;
	uint32_t ts_base; /* our timestamp then */
};

__attribute__((format(printf, 2, 3))) static int
fail(const struct run *r, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s:%d: ", r->name, r->step->line);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	return -1;
}

/* The newest socket the core has asked for on this flow; NULL: none. */
static struct host *
host_find(struct run *r)
{
	struct host *h, *best = NULL;
	uint32_t i;

	for (i = 0; i < WORLD_NSOCK; i++) {
		h = &r->w.host[i];
		if (!h->asked || h->ask.sport != GUEST_PORT + r->step->flow)
			continue;
		if (best == NULL || best->closed)
			best = h;
	}
	return best;
}

/* Our sequence numbers, absolute to relative and back, are peer->iss apart. */
static void
seg_of_frame(const struct run *r, const struct tcp_seg *s, struct pkt_seg *out)
{
	const struct peer *p = &r->peer[s->dport - GUEST_PORT];
	int i;

	memset(out, 0, sizeof(*out));
	out->flags = s->flags;
	out->seq = s->seq - p->iss;
	out->ack = s->flags & TCP_ACK ? s->ack - GUEST_ISS : 0;
	out->len = (uint32_t)s->data.len;
	out->win = s->wnd;
	out->opt = s->opt;
	out->has_win = out->has_opt = true;
	for (i = 0; i < out->opt.nsack; i++) {
		out->opt.sack[i].start -= GUEST_ISS;
		out->opt.sack[i].end -= GUEST_ISS;
	}
	if (out->opt.has & TCPO_TS)
		out->opt.tsval -= r->ts_base;
}

/* The ICMP error must quote the SYN. */
static int
icmp_of_frame(struct run *r, const uint8_t *p, size_t len, struct pkt_seg *out)
{
	memset(out, 0, sizeof(*out));
	if (len < 8 + IP4_HDRLEN + 8)
		return fail(r, "a short ICMP message");
	out->icmp = true;
	out->icmp_type = p[0];
	out->icmp_code = p[1];
	p += 8 + IP4_HDRLEN;
	if ((p[0] << 8 | p[1]) != GUEST_PORT + r->step->flow ||
	    (p[2] << 8 | p[3]) != r->dport ||
	    ((uint32_t)p[4] << 24 | p[5] << 16 | p[6] << 8 | p[7]) != GUEST_ISS)
		return fail(r, "the ICMP message does not quote the SYN");
	return 0;
}

/* Takes a frame apart and checks all that does not depend on the script. */
static int
read_frame(struct run *r, const struct frame *f, struct pkt_seg *out, int *flow)
{
	const uint8_t *ip = f->data + ETH_HDRLEN, *p = f->data + FRAME_HDRLEN;
	struct tcp_seg s;
	size_t len, i;
	uint32_t src, sum, first;

	*flow = r->step->flow;
	if (f->len < FRAME_HDRLEN)
		return fail(r, "a frame cut short");
	len = (size_t)(ip[2] << 8 | ip[3]) - IP4_HDRLEN;
	if (len != f->len - FRAME_HDRLEN)
		return fail(r, "the IP length is wrong");
	if (ip[9] == IPPROTO4_ICMP)
		return icmp_of_frame(r, p, len, out);
	src = (uint32_t)ip[12] << 24 | ip[13] << 16 | ip[14] << 8 | ip[15];
	sum = cksum_pseudo(src, r->w.conf.guest_ip, IPPROTO4_TCP, len);
	if (cksum_finish(cksum_add(sum, p, len)) != 0)
		return fail(r, "the TCP checksum is wrong");
	if (src != r->dst || tcp_parse(rd_init(p, len), &s) == -1 ||
	    s.sport != r->dport || s.dport < GUEST_PORT ||
	    s.dport >= GUEST_PORT + PKT_NFLOW)
		return fail(r, "a segment of no flow");
	*flow = s.dport - GUEST_PORT;
	if ((s.flags & TCP_SYN) != 0) {
		if (r->peer[*flow].iss != s.seq)
			r->peer[*flow].iss_was = r->peer[*flow].iss;
		r->peer[*flow].iss = s.seq;
		r->ts_base =
		    s.opt.tsval - (uint32_t)((f->at - r->start) / USEC_MS);
	}
	seg_of_frame(r, &s, out);
	first = out->seq - 1;
	for (i = 0; i < s.data.len; i++) {
		if (s.data.p[i] != world_host_byte(first + i))
			return fail(r, "byte %zu of the payload is wrong", i);
	}
	return 0;
}

static bool
opts_equal(const struct tcp_opts *a, const struct tcp_opts *b)
{
	return a->has == b->has && a->nsack == b->nsack && a->mss == b->mss &&
	       a->wscale == b->wscale && a->tsval == b->tsval &&
	       a->tsecr == b->tsecr &&
	       memcmp(a->sack, b->sack, a->nsack * sizeof(a->sack[0])) == 0;
}

static bool
seg_matches(const struct pkt_seg *want, const struct pkt_seg *got)
{
	uint8_t flags = got->flags;

	if (want->icmp || got->icmp)
		return want->icmp == got->icmp &&
		       want->icmp_type == got->icmp_type &&
		       want->icmp_code == got->icmp_code;
	if ((want->flags & TCP_PSH) == 0)
		flags &= (uint8_t)~TCP_PSH;
	return want->flags == flags && want->seq == got->seq &&
	       want->len == got->len && want->ack == got->ack &&
	       (!want->has_win || want->win == got->win) &&
	       (!want->has_opt || opts_equal(&want->opt, &got->opt));
}

/* Nothing that the script does not know of may have been sent. */
static int
check_quiet(struct run *r)
{
	struct frame *f = world_take(&r->w);
	struct pkt_seg got;
	char text[256];
	int flow, ret;

	if (f == NULL)
		return 0;
	ret = read_frame(r, f, &got, &flow);
	if (ret == 0) {
		pkt_print(text, sizeof(text), &got);
		ret = fail(r, "before this, %.6f s ago: @%d %s",
		    (double)(r->w.now - f->at) / 1e6, flow, text);
	}
	free(f);
	return -1;
}

static int
do_expect(struct run *r)
{
	const struct pkt_step *st = r->step;
	usec_t want_at = r->w.now, give_up = r->w.now + PATIENCE;
	struct pkt_seg got;
	struct frame *f;
	char text[256], want[256];
	int flow, ret;

	while (st->any_time && TAILQ_EMPTY(&r->w.out) &&
	       net_deadline(r->w.net) < give_up)
		world_advance(&r->w, net_deadline(r->w.net));
	pkt_print(want, sizeof(want), &st->seg);
	if ((f = world_take(&r->w)) == NULL)
		return fail(r, "expected\n\t%s\ngot nothing", want);
	r->seg = f->seg;
	ret = read_frame(r, f, &got, &flow);
	if (ret == -1)
		goto out;
	pkt_print(text, sizeof(text), &got);
	if (flow != st->flow || !seg_matches(&st->seg, &got))
		ret = fail(r, "expected\n\t@%d %s\ngot\n\t@%d %s", st->flow,
		    want, flow, text);
	else if (!st->any_time && want_at - f->at > TOLERANCE)
		ret = fail(r, "%.6f s too early: %s",
		    (double)(want_at - f->at) / 1e6, text);
out:
	free(f);
	return ret;
}

static int
do_input(struct run *r)
{
	const struct pkt_seg *g = &r->step->seg;
	const struct peer *p = &r->peer[r->step->flow];
	struct tcp_seg s = { .sport = (uint16_t)(GUEST_PORT + r->step->flow),
		.dport = r->dport,
		.seq = GUEST_ISS + g->seq,
		.ack = g->flags & TCP_ACK ? p->iss + g->ack : 0,
		.flags = g->flags,
		.wnd = g->win,
		.opt = g->opt };
	int i;

	for (i = 0; i < s.opt.nsack; i++) {
		s.opt.sack[i].start += p->iss;
		s.opt.sack[i].end += p->iss;
	}
	if ((s.opt.has & TCPO_TS) && s.opt.tsecr != 0)
		s.opt.tsecr += r->ts_base;
	if (g->nraw > 0 || g->off > 0 || g->urg > 0)
		craft_input(&r->w, r->dst, &s, g);
	else
		world_input(&r->w, r->dst, &s, g->len, g->seq - 1, g->badsum);
	if (!r->hold)
		world_flush(&r->w);
	return 0;
}

static const struct {
	const char *name;
	enum net_error e;
} errors[] = {
	{ "ECONNREFUSED", NET_EREFUSED },
	{ "ECONNRESET", NET_ERESET },
	{ "EPIPE", NET_EPIPE },
	{ "ETIMEDOUT", NET_ETIMEDOUT },
	{ "ENETUNREACH", NET_ENETUNREACH },
	{ "EHOSTUNREACH", NET_EHOSTUNREACH },
	{ "EACCES", NET_EADMIN },
	{ "EMFILE", NET_ELIMIT },
	{ "EIO", NET_EOTHER },
};

static void
host_fail(struct run *r, struct host *h, enum net_error e)
{
	if (h->open)
		net_failed(r->w.net, r->w.now, h->ask.id, e);
	else
		net_open_failed(r->w.net, r->w.now, h->ask.id, e);
}

/* Events of one socket. */
static int
do_host(struct run *r, struct host *h, const char *what, const char *arg)
{
	struct net *net = r->w.net;
	usec_t now = r->w.now;
	bool was_open = h->open;
	size_t i;

	if (strcmp(what, "opened") == 0 || strcmp(what, "usable") == 0 ||
	    (strcmp(what, "connected") == 0 && !was_open)) {
		h->open = true;
		net_opened(net, now, h->ask.id, *what == 'u');
		if (*what == 'c')
			net_writable(net, now, h->ask.id);
	} else if (strcmp(what, "connected") == 0 ||
		   strcmp(what, "writable") == 0) {
		net_writable(net, now, h->ask.id);
	} else if (strcmp(what, "data") == 0 && arg != NULL) {
		h->sent += strtoull(arg, NULL, 10);
		net_readable(net, now, h->ask.id);
	} else if (strcmp(what, "eof") == 0) {
		h->eof = true;
		net_readable(net, now, h->ask.id);
	} else if (strcmp(what, "room") == 0 && arg != NULL) {
		h->bounded = strcmp(arg, "any") != 0;
		h->room = strtoull(arg, NULL, 10);
	} else if (strcmp(what, "write-error") == 0) {
		h->write_error = ECONNRESET;
	} else if (strcmp(what, "fail") == 0 && arg != NULL) {
		for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
			if (strcmp(errors[i].name, arg) == 0) {
				host_fail(r, h, errors[i].e);
				return 0;
			}
		}
		return fail(r, "no error is called %s", arg);
	} else {
		return fail(r, "the host cannot \"%s\"", what);
	}
	return 0;
}

/* The core opens a flow to the guest; its socket is there. */
static int
do_offer(struct run *r)
{
	struct net_offer o = { .proto = NET_TCP,
		.guest_port = (uint16_t)(GUEST_PORT + r->step->flow),
		.from = r->dst,
		.fport = r->dport };
	int64_t id = net_offer(r->w.net, r->w.now, &o);
	struct host *h;

	if (id == -1)
		return 0; /* what the script finds in the counter */
	h = &r->w.host[id % WORLD_NSOCK];
	memset(h, 0, sizeof(*h));
	h->asked = h->open = true;
	h->ask.id = (uint32_t)id;
	h->ask.sport = o.guest_port;
	net_opened(r->w.net, r->w.now, h->ask.id, true);
	return 0;
}

/* "Unreachable" of the guest, quoting eight bytes of the segment. */
static void
guest_error(struct run *r, uint8_t code, uint16_t mtu, uint32_t seq)
{
	uint8_t f[FRAME_HDRLEN + 8 + IP4_HDRLEN + 8] = { 0 };
	uint8_t *icmp = f + FRAME_HDRLEN, *ip = icmp + 8, *tcp = ip + 20;
	struct ip4_out o = { .eth_dst = r->w.conf.server_mac,
		.src = r->w.conf.guest_ip,
		.dst = r->dst,
		.proto = IPPROTO4_ICMP };
	uint16_t sum;

	ip4_put(r->w.net, f, &o, sizeof(f) - FRAME_HDRLEN);
	memcpy(f + 6, r->w.conf.guest_mac, 6);
	icmp[0] = 3;
	icmp[1] = code;
	put_u16(icmp + 6, mtu);
	ip[0] = 0x45;
	ip[9] = IPPROTO4_TCP;
	put_u32(ip + 12, r->dst);
	put_u32(ip + 16, r->w.conf.guest_ip);
	put_u16(tcp, r->dport);
	put_u16(tcp + 2, (uint16_t)(GUEST_PORT + r->step->flow));
	put_u32(tcp + 4, r->peer[r->step->flow].iss + seq);
	sum = cksum_finish(cksum_add(0, icmp, sizeof(f) - FRAME_HDRLEN));
	memcpy(icmp + 2, &sum, sizeof(sum));
	world_frame(&r->w, f, sizeof(f));
	world_flush(&r->w);
}

static int
do_event(struct run *r)
{
	const char *what = r->step->word[0];
	const char *arg = r->step->nword > 1 ? r->step->word[1] : NULL;
	struct net *net = r->w.net;
	usec_t now = r->w.now;
	struct host *h;

	if (strcmp(what, "portd-gone") == 0) {
		net_server_gone(net, now, NET_PORTD);
	} else if (strcmp(what, "portd-ready") == 0) {
		net_server_ready(net, now, NET_PORTD);
	} else if (strcmp(what, "tx-full") == 0) {
		r->w.full = true;
	} else if (strcmp(what, "tx-ready") == 0) {
		r->w.full = false;
		net_tx_ready(net, now);
	} else if (strcmp(what, "vnet") == 0 && arg != NULL) {
		r->w.vnet = atoi(arg) != 0;
		net_set_vnet(net, r->w.vnet);
	} else if (strcmp(what, "hold") == 0) {
		r->hold = true;
	} else if (strcmp(what, "offer") == 0) {
		return do_offer(r);
	} else if (strcmp(what, "narrow") == 0 && r->step->nword == 3) {
		guest_error(r, UNREACH_FRAG, (uint16_t)atoi(arg),
		    (uint32_t)strtoul(r->step->word[2], NULL, 10));
	} else if (strcmp(what, "unwanted") == 0 && r->step->nword == 3) {
		guest_error(r, (uint8_t)atoi(arg), 0,
		    (uint32_t)strtoul(r->step->word[2], NULL, 10));
	} else if (strcmp(what, "flush") == 0) {
		r->hold = false;
		world_flush(&r->w);
	} else if ((h = host_find(r)) == NULL) {
		return fail(r, "the flow has no host side yet");
	} else {
		return do_host(r, h, what, arg);
	}
	return 0;
}

static int
check_number(struct run *r, const char *what, uint64_t got, int word)
{
	uint64_t want;

	if (r->step->nword != word + 1)
		return fail(r, "%s of what?", what);
	want = strtoull(r->step->word[word], NULL, 10);
	if (want != got)
		return fail(r, "%s is %llu", what, (unsigned long long)got);
	return 0;
}

static int
check_true(struct run *r, bool is)
{
	return is ? 0 : fail(r, "not so: %s", r->step->word[0]);
}

static int
check_stat(struct run *r)
{
	int i;

	for (i = 0; i < NETS__MAX && r->step->nword == 3; i++) {
		if (strcmp(net_stat_name[i], r->step->word[1]) == 0)
			return check_number(
			    r, net_stat_name[i], r->w.stat[i], 2);
	}
	return fail(r, "no such counter");
}

/* RFC 6528 3: of another flow, or of this one's earlier connection. */
static int
check_iss(struct run *r, const char *what)
{
	const struct peer *p = &r->peer[r->step->flow];
	uint32_t n;

	if (r->step->nword != 2)
		return fail(r, "%s of what?", what);
	n = (uint32_t)strtoul(r->step->word[1], NULL, 10);
	if (strcmp(what, "iss-beyond") == 0)
		return check_true(r, seq_geq(p->iss, p->iss_was + n));
	return check_true(r, n < PKT_NFLOW && p->iss != r->peer[n].iss);
}

static int
do_check(struct run *r)
{
	static struct host none;
	const char *what = r->step->word[0];
	struct host *h = host_find(r);

	if (strcmp(what, "flows") == 0)
		return check_number(r, what, net_flows(r->w.net), 1);
	if (strcmp(what, "stat") == 0)
		return check_stat(r);
	if (strcmp(what, "seg") == 0)
		return check_number(r, what, r->seg, 1);
	if (strncmp(what, "iss-", 4) == 0)
		return check_iss(r, what);
	if (strcmp(what, "no-open") == 0)
		return check_true(r, h == NULL);
	if (h == NULL)
		h = &none;
	if (strcmp(what, "open") == 0 && r->step->nword == 2)
		return check_true(r,
		    h->asked &&
			h->ask.server == (strcmp(r->step->word[1], "dnsd") == 0
						 ? NET_DNSD
						 : NET_PORTD));
	if (strcmp(what, "opens") == 0)
		return check_number(r, what, h->asks, 1);
	if (strcmp(what, "written") == 0)
		return check_number(r, what, h->written, 1);
	if (strcmp(what, "consumed") == 0)
		return check_number(r, what, h->consumed, 1);
	if (strcmp(what, "hold") == 0)
		return check_number(r, what, h->hold, 1);
	if (strcmp(what, "shutdown") == 0)
		return check_true(r, h->shut);
	if (strcmp(what, "not-shutdown") == 0)
		return check_true(r, !h->shut);
	if (strcmp(what, "closed") == 0)
		return check_true(r, h->closed && !h->reset);
	if (strcmp(what, "reset") == 0)
		return check_true(r, h->closed && h->reset);
	if (strcmp(what, "not-closed") == 0)
		return check_true(r, !h->closed);
	return fail(r, "what is \"%s\"?", what);
}

static int
do_set(struct run *r)
{
	const char *what = r->step->word[0];
	char *value = r->step->word[1], *port;
	struct in_addr a;

	if (strcmp(what, "mtu") == 0) {
		r->w.conf.mtu = (uint16_t)atol(value);
	} else if (strcmp(what, "max-flows") == 0) {
		r->w.conf.max_flows = (uint32_t)atol(value);
	} else if (strcmp(what, "max-queue") == 0) {
		r->w.conf.max_queue = (uint32_t)atol(value);
	} else if (strcmp(what, "ack-brief") == 0) {
		r->w.conf.ack_brief = (usec_t)atol(value) * USEC_MS;
	} else if (strcmp(what, "vnet") == 0) {
		r->w.vnet = atol(value) != 0;
	} else if (strcmp(what, "dst") == 0 &&
		   (port = strchr(value, ':')) != NULL) {
		*port++ = '\0';
		if (inet_pton(AF_INET, value, &a) != 1)
			return fail(r, "%s is no address", value);
		r->dst = ntohl(a.s_addr);
		r->dport = (uint16_t)atol(port);
	} else {
		return fail(r, "cannot set %s", what);
	}
	return 0;
}

static int
do_step(struct run *r)
{
	uint32_t i;
	int ret = 0;

	if (r->step->what == 's')
		return r->w.net == NULL ? do_set(r)
					: fail(r, "set comes first");
	if (r->w.net == NULL && world_start(&r->w) == -1)
		return fail(r, "no memory");
	if (!r->step->any_time) {
		if (r->step->after > 0 && check_quiet(r) == -1)
			return -1;
		world_advance(&r->w, r->w.now + r->step->after);
	}
	if ((r->step->what == '<' || r->step->what == '!') &&
	    check_quiet(r) == -1)
		return -1;
	switch (r->step->what) {
	case '<':
		for (i = 0; i < r->step->times && ret == 0; i++)
			ret = do_input(r);
		break;
	case '>':
		for (i = 0; i < r->step->times && ret == 0; i++)
			ret = do_expect(r);
		break;
	case '!':
		ret = do_event(r);
		break;
	default:
		ret = do_check(r);
		break;
	}
	if (ret == 0 && *r->w.error != '\0')
		ret = fail(r, "%s", r->w.error);
	return ret;
}

static int
run_script(const char *name, const struct pkt_script *ps)
{
	struct run *r = calloc(1, sizeof(*r));
	int i, ret = 0;

	if (r == NULL)
		return -1;
	world_init(&r->w);
	r->name = name;
	r->start = r->w.now;
	r->dst = 0x0a010203; /* 10.1.2.3:80 */
	r->dport = 80;
	for (i = 0; i < ps->nstep && ret == 0; i++) {
		r->step = &ps->step[i];
		ret = do_step(r);
	}
	if (ret == 0)
		ret = check_quiet(r);
	world_fini(&r->w);
	if (ret == 0 && *r->w.error != '\0')
		ret = fail(r, "at the end: %s", r->w.error);
	free(r);
	return ret;
}

int
main(int argc, char *argv[])
{
	static struct pkt_script ps;
	static char text[1 << 16];
	const char *name;
	FILE *f;
	size_t n;
	int i, ret = 0;

	for (i = 1; i < argc; i++) {
		name = argv[i];
		if ((f = fopen(name, "r")) == NULL) {
			perror(name);
			return 1;
		}
		n = fread(text, 1, sizeof(text), f);
		fclose(f);
		if (pkt_read(&ps, text, n) == -1) {
			fprintf(stderr, "%s: %s\n", name, ps.error);
			ret = 1;
		} else if (run_script(name, &ps) == -1) {
			ret = 1;
		}
	}
	return argc > 1 ? ret : 1;
}
