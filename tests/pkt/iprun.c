/*
 * Runs packet scripts of datagrams: UDP, ICMP, and what IPv4 does with them.
 * Times, flows ("@1"), "!" and "?" are as in pkt.h.
 *
 * The guest (<):	udp LEN, echo LEN, syn; behind it: ttl N, tos N, df,
 *			id N, seq N (echo)
 * To the guest (>):	udp LEN, reply LEN seq N, icmp TYPE CODE; behind it:
 *			from A.B.C.D, ttl N, tos N (icmp), mtu N.  An ICMP
 *			error must quote the guest's last packet of the flow,
 *			to the byte but for TTL and header checksum.
 * Host side (!):	opened, raw, connecting, fail NAME, send-error NAME,
 *			room N, mtu N, dgram LEN,
 *			reply LEN seq N ttl N from A.B.C.D many N,
 *			error TYPE CODE from A.B.C.D mtu N cut N (quoting what
 *			was sent last, the first N bytes), told (the event of
 *			it), portd-gone, portd-ready
 * What is so (?):	nothing, no-open, opens N, closed, not-closed, flows N,
 *			stat NAME N, sent N (datagrams), len N, ttl N, tos N,
 *			df N (of the last)
 * set:			mtu N, max-flows N, dst A.B.C.D:P
 *
 * "x N" behind anything: N times.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/pkt/pkt.h"
#include "tests/pkt/world.h"

#define GUEST_PORT 40000 /* and identifier */
#define ECHO_ID	   0x1234
#define MAXFRAME   65536

struct run {
	struct world w;
	const char *name;
	const struct pkt_step *step;
	uint32_t dst;
	uint16_t dport;
	uint8_t last[PKT_NFLOW][FRAME_HDRLEN + 8]; /* packets of the guest */
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

/* The word behind this one; NULL when that is not there. */
static const char *
option(const struct run *r, const char *name)
{
	int i;

	for (i = 1; i < r->step->nword; i++) {
		if (strcmp(r->step->word[i], name) == 0)
			return i + 1 < r->step->nword ? r->step->word[i + 1]
						      : "";
	}
	return NULL;
}

static uint32_t
number(const struct run *r, const char *name, uint32_t otherwise)
{
	const char *v = option(r, name);

	return v == NULL ? otherwise : (uint32_t)strtoul(v, NULL, 10);
}

static uint32_t
argument(const struct run *r, int i)
{
	return i < r->step->nword
		   ? (uint32_t)strtoul(r->step->word[i], NULL, 10)
		   : 0;
}

static uint32_t
address(const struct run *r, uint32_t otherwise)
{
	const char *v = option(r, "from");
	struct in_addr a;

	return v != NULL && inet_pton(AF_INET, v, &a) == 1 ? ntohl(a.s_addr)
							   : otherwise;
}

static bool
is(const struct run *r, const char *word)
{
	return strcmp(r->step->word[0], word) == 0;
}

static uint32_t
get_u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

static struct host *
host_find(struct run *r)
{
	struct host *h, *best = NULL;
	uint32_t i;

	for (i = 0; i < WORLD_NSOCK; i++) {
		h = &r->w.host[i];
		if (!h->asked || h->ask.sport != GUEST_PORT + r->step->flow ||
		    h->ask.proto == NET_UDP_BIND)
			continue;
		if (best == NULL || best->closed)
			best = h;
	}
	return best;
}

static void
put_ip(struct run *r, uint8_t *f, uint8_t proto, size_t len)
{
	uint8_t *p = f + ETH_HDRLEN;
	uint16_t sum;

	memcpy(f, r->w.conf.server_mac, 6);
	memcpy(f + 6, r->w.conf.guest_mac, 6);
	put_u16(f + 12, 0x0800);
	memset(p, 0, IP4_HDRLEN);
	p[0] = 0x45;
	p[1] = (uint8_t)number(r, "tos", 0);
	put_u16(p + 2, (uint16_t)(IP4_HDRLEN + len));
	put_u16(p + 4, (uint16_t)number(r, "id", 0));
	put_u16(p + 6, option(r, "df") != NULL ? IP4_DF : 0);
	p[8] = (uint8_t)number(r, "ttl", 64);
	p[9] = proto;
	put_u32(p + 12, r->w.conf.guest_ip);
	put_u32(p + 16, r->dst);
	sum = cksum_finish(cksum_add(0, p, IP4_HDRLEN));
	memcpy(p + 10, &sum, sizeof(sum));
}

/* The transport header; returns its length, and where its sum stands. */
static size_t
put_head(const struct run *r, uint8_t *p, size_t len, size_t *sum)
{
	uint16_t port = (uint16_t)(GUEST_PORT + r->step->flow);

	if (is(r, "echo")) {
		p[0] = ICMP_ECHO_REQUEST;
		put_u16(p + 4, port);
		put_u16(p + 6, (uint16_t)number(r, "seq", 0));
		*sum = 2;
		return 8;
	}
	put_u16(p, port);
	put_u16(p + 2, r->dport);
	if (is(r, "udp")) {
		put_u16(p + 4, (uint16_t)(8 + len));
		*sum = 6;
		return 8;
	}
	p[12] = 5 << 4;
	p[13] = TCP_SYN;
	*sum = 16;
	return TCP_HDRLEN;
}

static int
do_input(struct run *r)
{
	static uint8_t f[MAXFRAME];
	size_t len = argument(r, 1), head, at;
	uint8_t proto = is(r, "udp")	? IPPROTO4_UDP
			: is(r, "echo") ? IPPROTO4_ICMP
					: IPPROTO4_TCP;
	uint8_t *p = f + FRAME_HDRLEN;
	uint32_t sum = 0;
	uint16_t v;

	if (proto == IPPROTO4_TCP && !is(r, "syn"))
		return fail(r, "the guest cannot send that");
	memset(f, 0, sizeof(f));
	head = put_head(r, p, len, &at);
	world_dgram_fill(p + head, len, 0);
	put_ip(r, f, proto, head + len);
	if (proto != IPPROTO4_ICMP)
		sum =
		    cksum_pseudo(r->w.conf.guest_ip, r->dst, proto, head + len);
	v = cksum_finish(cksum_add(sum, p, head + len));
	memcpy(p + at, &v, sizeof(v));
	memcpy(r->last[r->step->flow], f, sizeof(r->last[0]));
	world_frame(&r->w, f, FRAME_HDRLEN + head + len);
	world_flush(&r->w);
	return 0;
}

/* The guest's own packet, as far as nobody on the way may have changed it. */
static int
check_quote(const struct run *r, const uint8_t *q, size_t len)
{
	const uint8_t *ip = r->last[r->step->flow] + ETH_HDRLEN;

	if (len < IP4_HDRLEN + 8)
		return fail(r, "the quote is short");
	if (cksum_finish(cksum_add(0, q, IP4_HDRLEN)) != 0)
		return fail(r, "the quoted header's checksum is wrong");
	if (memcmp(q, ip, 8) != 0 || q[9] != ip[9] ||
	    memcmp(q + 12, ip + 12, 8) != 0)
		return fail(r, "the quoted header is not the guest's");
	if (memcmp(q + IP4_HDRLEN, ip + IP4_HDRLEN, 8) != 0)
		return fail(r, "what is quoted is not the guest's");
	return 0;
}

static int
check_icmp(const struct run *r, const uint8_t *ip, size_t len)
{
	const uint8_t *p = ip + IP4_HDRLEN, tos = ip[1];

	if (len < 8 || cksum_finish(cksum_add(0, p, len)) != 0)
		return fail(r, "the ICMP checksum is wrong");
	if (is(r, "reply")) {
		if (p[0] != 0 || p[1] != 0 ||
		    (p[4] << 8 | p[5]) != GUEST_PORT + r->step->flow)
			return fail(r, "icmp %u %u of identifier %u", p[0],
			    p[1], p[4] << 8 | p[5]);
		if ((uint32_t)(p[6] << 8 | p[7]) != number(r, "seq", 0) ||
		    len != 8 + argument(r, 1))
			return fail(r, "a reply of %zu bytes, seq %u", len - 8,
			    p[6] << 8 | p[7]);
		return 0;
	}
	if (!is(r, "icmp") || p[0] != argument(r, 1) || p[1] != argument(r, 2))
		return fail(r, "got icmp %u %u", p[0], p[1]);
	if (option(r, "tos") != NULL && tos != number(r, "tos", 0))
		return fail(r, "the TOS is %u", tos);
	if ((uint32_t)(p[6] << 8 | p[7]) != number(r, "mtu", 0))
		return fail(r, "the MTU is %u", p[6] << 8 | p[7]);
	return check_quote(r, p + 8, len - 8);
}

static int
check_frame(const struct run *r, const uint8_t *f, size_t flen)
{
	const uint8_t *ip = f + ETH_HDRLEN;
	size_t len = flen - FRAME_HDRLEN;
	uint32_t src = get_u32(ip + 12);

	if (flen < FRAME_HDRLEN || (size_t)(ip[2] << 8 | ip[3]) != len + 20 ||
	    cksum_finish(cksum_add(0, ip, IP4_HDRLEN)) != 0 ||
	    get_u32(ip + 16) != r->w.conf.guest_ip)
		return fail(r, "a broken packet");
	if (src != address(r, is(r, "icmp") ? r->w.conf.gateway_ip : r->dst))
		return fail(
		    r, "from %u.%u.%u.%u", ip[12], ip[13], ip[14], ip[15]);
	if (ip[8] != number(r, "ttl", IP4_TTL))
		return fail(r, "the TTL is %u", ip[8]);
	if (ip[9] == IPPROTO4_ICMP)
		return check_icmp(r, ip, len);
	if (ip[9] != IPPROTO4_UDP || !is(r, "udp") || len != 8 + argument(r, 1))
		return fail(r, "protocol %u, %zu bytes", ip[9], len);
	return 0;
}

static int
do_expect(struct run *r)
{
	struct frame *f = world_take(&r->w);
	int ret;

	if (f == NULL)
		return fail(r, "got nothing");
	ret = check_frame(r, f->data, f->len);
	free(f);
	return ret;
}

static const struct {
	const char *name;
	enum net_error e;
	int error;
} errors[] = {
	{ "ECONNREFUSED", NET_EREFUSED, ECONNREFUSED },
	{ "ETIMEDOUT", NET_ETIMEDOUT, ETIMEDOUT },
	{ "ENETUNREACH", NET_ENETUNREACH, ENETUNREACH },
	{ "EHOSTUNREACH", NET_EHOSTUNREACH, EHOSTUNREACH },
	{ "EACCES", NET_EADMIN, EACCES },
	{ "EMFILE", NET_ELIMIT, EMFILE },
	{ "ENOBUFS", NET_EOTHER, ENOBUFS },
	{ "none", NET_EOTHER, 0 },
};

static int
do_error(struct run *r, struct host *h, bool send)
{
	size_t i;

	for (i = 0; i < nitems(errors) && r->step->nword == 2; i++) {
		if (strcmp(errors[i].name, r->step->word[1]) != 0)
			continue;
		if (send)
			h->write_error = errors[i].error;
		else if (h->open)
			net_failed(r->w.net, r->w.now, h->ask.id, errors[i].e);
		else
			net_open_failed(
			    r->w.net, r->w.now, h->ask.id, errors[i].e);
		return 0;
	}
	return fail(r, "no such error");
}

/* A router has sent an error about the last datagram. */
static int
do_hosterr(struct run *r, struct host *h)
{
	struct net_hosterr *e = &h->err[h->nerr];
	size_t len = h->sent_len < WORLD_SENT ? h->sent_len : WORLD_SENT;

	if (h->nerr == WORLD_NERR)
		return fail(r, "too many errors");
	h->nerr++;
	memset(e, 0, sizeof(*e));
	e->type = (uint8_t)argument(r, 1);
	e->code = (uint8_t)argument(r, 2);
	e->from = address(r, 0);
	e->mtu = (uint16_t)number(r, "mtu", 0);
	e->len = number(r, "cut", (uint32_t)len);
	if (e->len > len)
		e->len = len;
	memcpy(e->data, h->sent_data, e->len);
	if (option(r, "id") != NULL)
		put_u16(&e->data[4], (uint16_t)number(r, "id", 0));
	return 0;
}

static void
do_opened(struct run *r, struct host *h)
{
	struct net *net = r->w.net;
	const struct net_open *o;
	uint32_t i;

	for (i = 0; i < WORLD_NSOCK; i++) {
		o = &r->w.host[i].ask;
		if (r->w.host[i].asked && !r->w.host[i].open &&
		    !r->w.host[i].closed && o->proto == NET_UDP_BIND &&
		    o->sport == h->ask.sport) {
			r->w.host[i].open = true;
			net_opened(net, r->w.now, i, true);
		}
	}
	h->open = true;
	if (h->ask.proto != NET_ICMP) {
		net_opened(net, r->w.now, h->ask.id, true);
		return;
	}
	h->echo_id = ECHO_ID;
	h->raw = is(r, "raw");
	net_opened_icmp(net, r->w.now, h->ask.id, ECHO_ID, h->raw);
}

static int
do_host(struct run *r, struct host *h)
{
	struct net *net = r->w.net;

	if (is(r, "opened") || is(r, "raw")) {
		do_opened(r, h);
	} else if (is(r, "connecting")) {
		h->open = true;
		net_opened(net, r->w.now, h->ask.id, false);
	} else if (is(r, "fail") || is(r, "send-error")) {
		return do_error(r, h, is(r, "send-error"));
	} else if (is(r, "error")) {
		return do_hosterr(r, h);
	} else if (is(r, "told")) {
		net_failed(net, r->w.now, h->ask.id, NET_EQUEUED);
	} else if (is(r, "mtu")) {
		h->mtu = argument(r, 1);
	} else if (is(r, "room")) {
		h->bounded = true;
		h->room = argument(r, 1);
	} else if (is(r, "dgram") || is(r, "reply")) {
		h->dgrams = (unsigned)number(r, "many", 1);
		h->dgram_len = argument(r, 1);
		h->dgram_src = address(r, h->ask.dst);
		h->dgram_port =
		    (uint16_t)(is(r, "reply") ? number(r, "seq", 0) : r->dport);
		h->dgram_ttl = (uint8_t)number(r, "ttl", 0);
		net_readable(net, r->w.now, h->ask.id);
	} else {
		return fail(r, "the host cannot \"%s\"", r->step->word[0]);
	}
	return 0;
}

static int
do_event(struct run *r)
{
	struct host *h;

	if (is(r, "portd-gone"))
		net_server_gone(r->w.net, r->w.now, NET_PORTD);
	else if (is(r, "portd-ready"))
		net_server_ready(r->w.net, r->w.now, NET_PORTD);
	else if ((h = host_find(r)) == NULL)
		return fail(r, "the flow has no host side yet");
	else
		return do_host(r, h);
	return 0;
}

static int
equals(const struct run *r, uint64_t got, int word)
{
	if (got == argument(r, word))
		return 0;
	return fail(
	    r, "%s is %llu", r->step->word[word - 1], (unsigned long long)got);
}

static int
holds(const struct run *r, bool so)
{
	return so ? 0 : fail(r, "not so: %s", r->step->word[0]);
}

static int
check_stat(const struct run *r)
{
	int i;

	for (i = 0; i < NETS__MAX && r->step->nword == 3; i++) {
		if (strcmp(net_stat_name[i], r->step->word[1]) == 0)
			return equals(r, r->w.stat[i], 2);
	}
	return fail(r, "no such counter");
}

static int
do_check(struct run *r)
{
	static struct host none;
	struct host *h = host_find(r);

	if (is(r, "nothing"))
		return holds(r, TAILQ_EMPTY(&r->w.out));
	if (is(r, "no-open"))
		return holds(r, h == NULL);
	if (is(r, "flows"))
		return equals(r, net_flows(r->w.net), 1);
	if (is(r, "stat"))
		return check_stat(r);
	if (h == NULL)
		h = &none;
	if (is(r, "opens"))
		return equals(r, h->asks, 1);
	if (is(r, "closed"))
		return holds(r, h->closed);
	if (is(r, "not-closed"))
		return holds(r, !h->closed);
	if (is(r, "sent"))
		return equals(r, h->sent_dgrams, 1);
	if (is(r, "len"))
		return equals(r, h->sent_len, 1);
	if (is(r, "ttl"))
		return equals(r, h->sent_ttl, 1);
	if (is(r, "tos"))
		return equals(r, h->sent_tos, 1);
	if (is(r, "df"))
		return equals(r, h->sent_df, 1);
	return fail(r, "what is \"%s\"?", r->step->word[0]);
}

static int
do_set(struct run *r)
{
	char *port = strchr(r->step->word[1], ':');
	struct in_addr a;

	if (is(r, "mtu")) {
		r->w.conf.mtu = (uint16_t)argument(r, 1);
	} else if (is(r, "max-flows")) {
		r->w.conf.max_flows = argument(r, 1);
	} else if (is(r, "dst") && port != NULL) {
		*port++ = '\0';
		if (inet_pton(AF_INET, r->step->word[1], &a) != 1)
			return fail(r, "no address");
		r->dst = ntohl(a.s_addr);
		r->dport = (uint16_t)atol(port);
	} else {
		return fail(r, "cannot set that");
	}
	return 0;
}

static int
do_step(struct run *r)
{
	static int (*const doers[128])(struct run *) = {
		['<'] = do_input,
		['>'] = do_expect,
		['!'] = do_event,
		['?'] = do_check,
	};
	bool expects = r->step->what == '>';
	uint32_t i;
	int ret = 0;

	/* What comes later changes where packets go, so sets may be anywhere.
	 */
	if (r->step->what == 's')
		return do_set(r);
	if (r->w.net == NULL && world_start(&r->w) == -1)
		return fail(r, "no memory");
	if (!expects && !TAILQ_EMPTY(&r->w.out) && !is(r, "nothing") &&
	    r->step->what != '?')
		return fail(r, "a packet before this that nobody expects");
	world_advance(&r->w, r->w.now + r->step->after);
	for (i = 0; i < number(r, "x", 1) && ret == 0; i++)
		ret = doers[(int)r->step->what](r);
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
	r->dst = 0x0a010203; /* 10.1.2.3:80 */
	r->dport = 80;
	for (i = 0; i < ps->nstep && ret == 0; i++) {
		r->step = &ps->step[i];
		ret = do_step(r);
	}
	if (ret == 0 && !TAILQ_EMPTY(&r->w.out))
		ret = fail(r, "a packet at the end that nobody expects");
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
	FILE *f;
	size_t n;
	int i, ret = 0;

	for (i = 1; i < argc; i++) {
		if ((f = fopen(argv[i], "r")) == NULL) {
			perror(argv[i]);
			return 1;
		}
		n = fread(text, 1, sizeof(text), f);
		fclose(f);
		if (pkt_read_words(&ps, text, n) == -1) {
			fprintf(stderr, "%s: %s\n", argv[i], ps.error);
			ret = 1;
		} else if (run_script(argv[i], &ps) == -1) {
			ret = 1;
		}
	}
	return argc > 1 ? ret : 1;
}
