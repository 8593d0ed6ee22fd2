/*
 * The address policy; see policy.h.
 */

#include <string.h>

#include "common/ipaddr.h"
#include "common/nitems.h"
#include "portd/policy.h"

/* clang-format off */
/* What no setting changes. */
static const struct policy_rule never[] = {
	/* RFC 1122 3.2.1.3: "this network"; Linux takes it for loopback. */
	{ 0x00000000, 0x00ffffff, POLICY_DENY },
	/* Loopback: host-ip is the only way there. */
	{ 0x7f000000, 0x7fffffff, POLICY_DENY },
	/* Multicast, RFC 5771; class E and limited broadcast, RFC 1112. */
	{ 0xe0000000, 0xffffffff, POLICY_DENY },
};
/* clang-format on */

/*
 * IPv6, which only proxyd's sockets have.  Where an address has an IPv4 address
 * inside, whoever translates it sends to that one: it is judged instead.
 */
struct rule6 {
	const char *what; /* for readers */
	uint8_t net[12];
	uint8_t bits;
	enum {
		V6_DENY,
		V6_INSIDE,  /* an IPv4 address at this place */
		V6_FLIPPED, /* the same with all its bits the other way */
	} how;
	uint8_t at;
};

/* clang-format off */
static const struct rule6 rules6[] = {
	{ "mapped, RFC 4291 2.5.5.2",
	    { [10] = 0xff, [11] = 0xff }, 96, V6_INSIDE, 12 },
	/* Also :: and ::1, which are in what IPv4 calls "this network". */
	{ "compatible, RFC 4291 2.5.5.1", { 0 }, 96, V6_INSIDE, 12 },
	{ "translated, RFC 2765 2.1",
	    { [8] = 0xff, [9] = 0xff }, 96, V6_INSIDE, 12 },
	{ "NAT64, RFC 6052 2.1",
	    { 0x00, 0x64, 0xff, 0x9b }, 96, V6_INSIDE, 12 },
	{ "local NAT64, RFC 8215",
	    { 0x00, 0x64, 0xff, 0x9b, 0x00, 0x01 }, 48, V6_INSIDE, 12 },
	{ "6to4, RFC 3056 2", { 0x20, 0x02 }, 16, V6_INSIDE, 2 },
	{ "Teredo's server, RFC 4380 4", { 0x20, 0x01 }, 32, V6_INSIDE, 4 },
	{ "Teredo's client", { 0x20, 0x01 }, 32, V6_FLIPPED, 12 },
	{ "link-local", { 0xfe, 0x80 }, 10, V6_DENY, 0 },
	{ "multicast", { 0xff }, 8, V6_DENY, 0 },
};
/* clang-format on */

static void
rule_add(struct policy *p, uint32_t lo, uint32_t hi, enum policy_verdict v)
{
	if (p->nrule < POLICY_MAXRULES)
		p->rule[p->nrule++] = (struct policy_rule){ lo, hi, v };
}

void
policy_set(struct policy *p, const struct policy_conf *c)
{
	size_t i;

	p->nrule = 0;
	p->gateway = c->gateway_ip;
	p->guest_lo = c->lowest_ip;
	p->guest_hi = c->highest_ip;
	for (i = 0; i < nitems(never); i++)
		rule_add(p, never[i].lo, never[i].hi, never[i].verdict);
	if (c->gateway_ip != 0)
		rule_add(p, c->gateway_ip, c->gateway_ip, POLICY_DENY);
	if (c->host_ip != 0)
		rule_add(p, c->host_ip, c->host_ip, POLICY_LOOPBACK);
	/* Other VMs are reached over the switch, not through the host. */
	if (c->lowest_ip != 0 && c->lowest_ip <= c->highest_ip)
		rule_add(p, c->lowest_ip, c->highest_ip, POLICY_DENY);
	rule_add(p, 0, UINT32_MAX, POLICY_ALLOW);
}

static enum policy_verdict
check4(const struct policy *p, uint32_t v)
{
	size_t i;

	for (i = 0; i < p->nrule; i++) {
		if (v >= p->rule[i].lo && v <= p->rule[i].hi)
			return p->rule[i].verdict;
	}
	return POLICY_DENY;
}

static bool
rule6_matches(const struct rule6 *r, const struct ipaddr *a)
{
	struct ipprefix net = { .addr.family = 6, .len = r->bits };

	memcpy(net.addr.b, r->net, sizeof(r->net));
	return ipprefix_match(&net, a);
}

static uint32_t
inside(const struct rule6 *r, const struct ipaddr *a)
{
	const uint8_t *b = a->b + r->at;
	uint32_t v = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 |
		     (uint32_t)b[2] << 8 | b[3];

	return r->how == V6_FLIPPED ? ~v : v;
}

/*
 * All that match have to agree.  host-ip is an address of IPv4: by the way of a
 * translator it would not lead to the host.
 */
static enum policy_verdict
check6(const struct policy *p, const struct ipaddr *a)
{
	const struct rule6 *r;

	if (p->nrule == 0)
		return POLICY_DENY;
	for (r = rules6; r < rules6 + nitems(rules6); r++) {
		if (rule6_matches(r, a) &&
		    (r->how == V6_DENY ||
			check4(p, inside(r, a)) != POLICY_ALLOW))
			return POLICY_DENY;
	}
	return POLICY_ALLOW;
}

enum policy_verdict
policy_check(const struct policy *p, const struct ipaddr *a)
{
	switch (a->family) {
	case 4:
		return check4(p, ipaddr_to_u32(a));
	case 6:
		return check6(p, a);
	default:
		return POLICY_DENY;
	}
}

/* A decimal port, 1..65535, and nothing behind it; 0 when it is not. */
static uint16_t
port_parse(const char *s)
{
	uint32_t v = 0;
	size_t i;

	for (i = 0; s[i] >= '0' && s[i] <= '9' && i < 5; i++)
		v = v * 10 + (uint32_t)(s[i] - '0');
	if (s[i] != '\0' || v > UINT16_MAX)
		return 0;
	return (uint16_t)v;
}

/* "address#port". */
static int
server_parse(const char *s, struct policy_server *srv)
{
	char text[IPADDR_STRLEN];
	const char *hash;

	hash = strchr(s, '#');
	if (hash == NULL || (size_t)(hash - s) >= sizeof(text))
		return -1;
	memcpy(text, s, (size_t)(hash - s));
	text[hash - s] = '\0';
	srv->port = port_parse(hash + 1);
	return srv->port == 0 ? -1 : ipaddr_parse(text, &srv->addr);
}

static bool
server_in(const struct policy_server *v, size_t n, const struct ipaddr *a,
    uint16_t port)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (v[i].port == port && ipaddr_cmp(&v[i].addr, a) == 0)
			return true;
	}
	return false;
}

int
policy_add_server(struct policy *p, const char *s)
{
	if (p->nserver == POLICY_MAXSERVERS ||
	    server_parse(s, &p->server[p->nserver]) == -1)
		return -1;
	p->nserver++;
	return 0;
}

void
policy_clear_servers(struct policy *p)
{
	p->nserver = 0;
}

bool
policy_is_server(const struct policy *p, const struct ipaddr *a, uint16_t port)
{
	return server_in(p->server, p->nserver, a, port);
}

int
policy_add_proxy(struct policy *p, const char *s)
{
	if (p->nproxy == POLICY_MAXPROXIES ||
	    server_parse(s, &p->proxy[p->nproxy]) == -1)
		return -1;
	p->nproxy++;
	return 0;
}

void
policy_clear_proxies(struct policy *p)
{
	p->nproxy = 0;
}

enum policy_verdict
policy_fetch(
    const struct policy *p, bool via, const struct ipaddr *a, uint16_t port)
{
	struct ipaddr loopback = ipaddr_from_u32(0x7f000001);
	enum policy_verdict v;

	if (via && server_in(p->proxy, p->nproxy, a, port))
		return POLICY_ALLOW;
	v = policy_check(p, a);
	if (policy_is_closed(p, v == POLICY_LOOPBACK ? &loopback : a, port))
		return POLICY_DENY;
	return v;
}

void
policy_clear_binds(struct policy *p)
{
	p->nbind = 0;
}

int
policy_add_bind(struct policy *p, const char *s)
{
	if (p->nbind == POLICY_MAXBINDS ||
	    ipaddr_parse(s, &p->bind[p->nbind]) == -1)
		return -1;
	p->nbind++;
	return 0;
}

bool
policy_may_bind(const struct policy *p, const struct ipaddr *a)
{
	size_t i;

	for (i = 0; i < p->nbind; i++) {
		if (ipaddr_cmp(&p->bind[i], a) == 0 ||
		    (p->bind[i].family == 4 && ipaddr_to_u32(&p->bind[i]) == 0))
			return true;
	}
	return false;
}

void
policy_clear_closed(struct policy *p)
{
	p->nclosed = 0;
}

int
policy_add_closed(struct policy *p, const char *s)
{
	if (p->nclosed == POLICY_MAXCLOSED ||
	    server_parse(s, &p->closed[p->nclosed]) == -1)
		return -1;
	p->nclosed++;
	return 0;
}

bool
policy_is_closed(const struct policy *p, const struct ipaddr *a, uint16_t port)
{
	const struct ipaddr all = ipaddr_from_u32(0), all6 = { .family = 6 };
	struct ipaddr to = ipaddr_unmap(a);

	/* A listener on all addresses is on each of the host's. */
	return server_in(p->closed, p->nclosed, &to, port) ||
	       server_in(p->closed, p->nclosed, &all, port) ||
	       server_in(p->closed, p->nclosed, &all6, port);
}

bool
policy_is_guest(const struct policy *p, const struct ipaddr *a)
{
	uint32_t v = ipaddr_to_u32(a);

	return a->family == 4 && v != 0 && v >= p->guest_lo && v <= p->guest_hi;
}
