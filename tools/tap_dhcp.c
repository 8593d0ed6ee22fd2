/*
 * DHCP as a client sees it.  The answer comes over a link that nobody but the
 * suite writes to, so its checksums are not verified; its lengths are.
 */

#include "tools/tap_dhcp.h"

#define ETH_IP	      0x0800
#define IP_UDP	      17
#define IP_HDRLEN     20
#define UDP_HDRLEN    8
#define BOOTP_LEN     236 /* RFC 2131 2: everything before the options */
#define BOOTP_REQUEST 1
#define BOOTP_REPLY   2
#define MAGIC	      0x63825363 /* RFC 2131 3 */
#define PORT_SERVER   67
#define PORT_CLIENT   68

/* RFC 2132 and RFC 3397. */
enum {
	OPT_PAD = 0,
	OPT_MASK = 1,
	OPT_ROUTER = 3,
	OPT_DNS = 6,
	OPT_DOMAIN = 15,
	OPT_REQUESTED = 50,
	OPT_TYPE = 53,
	OPT_SERVER = 54,
	OPT_WANTED = 55,
	OPT_SEARCH = 119,
	OPT_END = 255,
};

static uint16_t
sum16(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;
	size_t i;

	for (i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Ethernet, IPv4 and UDP headers, all to broadcast; paylen is DHCP's. */
static int
build_headers(struct wr *w, const struct dhcp_client *c, size_t paylen)
{
	size_t ip;
	uint16_t sum;

	if (wr_u32(w, 0xffffffff) == -1 || wr_u16(w, 0xffff) == -1 ||
	    wr_bytes(w, c->mac.b, 6) == -1 || wr_u16(w, ETH_IP) == -1)
		return -1;
	ip = w->len;
	if (wr_u16(w, 0x4500) == -1 ||
	    wr_u16(w, (uint16_t)(IP_HDRLEN + UDP_HDRLEN + paylen)) == -1 ||
	    wr_u32(w, 0) == -1 || wr_u8(w, 64) == -1 ||
	    wr_u8(w, IP_UDP) == -1 || wr_u16(w, 0) == -1 ||
	    wr_u32(w, 0) == -1 || wr_u32(w, 0xffffffff) == -1)
		return -1;
	sum = sum16(w->p + ip, IP_HDRLEN);
	w->p[ip + 10] = (uint8_t)(sum >> 8);
	w->p[ip + 11] = (uint8_t)sum;
	/* A UDP checksum of zero is "none": RFC 768. */
	if (wr_u16(w, PORT_CLIENT) == -1 || wr_u16(w, PORT_SERVER) == -1 ||
	    wr_u16(w, (uint16_t)(UDP_HDRLEN + paylen)) == -1 ||
	    wr_u16(w, 0) == -1)
		return -1;
	return 0;
}

static int
build_options(struct wr *w, const struct dhcp_lease *offer)
{
	static const uint8_t wanted[] = { OPT_WANTED, 5, OPT_MASK, OPT_ROUTER,
		OPT_DNS, OPT_DOMAIN, OPT_SEARCH };
	uint8_t type = offer == NULL ? DHCP_DISCOVER : DHCP_REQUEST;

	if (wr_u8(w, OPT_TYPE) == -1 || wr_u8(w, 1) == -1 ||
	    wr_u8(w, type) == -1 || wr_bytes(w, wanted, sizeof(wanted)) == -1)
		return -1;
	if (offer != NULL &&
	    (wr_u8(w, OPT_REQUESTED) == -1 || wr_u8(w, 4) == -1 ||
		wr_u32(w, offer->ip) == -1 || wr_u8(w, OPT_SERVER) == -1 ||
		wr_u8(w, 4) == -1 || wr_u32(w, offer->server) == -1))
		return -1;
	return wr_u8(w, OPT_END);
}

int
dhcp_build(
    struct wr *w, const struct dhcp_client *c, const struct dhcp_lease *offer)
{
	size_t optlen = 3 + 7 + (offer != NULL ? 12 : 0) + 1;

	if (build_headers(w, c, BOOTP_LEN + 4 + optlen) == -1)
		return -1;
	/* op, htype Ethernet, hlen, hops; xid; secs and flags; 4 addresses. */
	if (wr_u32(w, BOOTP_REQUEST << 24 | 1 << 16 | 6 << 8) == -1 ||
	    wr_u32(w, c->xid) == -1 || wr_zero(w, 4 + 16) == -1 ||
	    wr_bytes(w, c->mac.b, 6) == -1 || wr_zero(w, 10 + 64 + 128) == -1 ||
	    wr_u32(w, MAGIC) == -1)
		return -1;
	return build_options(w, offer);
}

/*
 * One name of option 119 in RFC 1035 form; a pointer may only go back, which
 * ends every chain.  all is the whole option, r where the name starts.
 */
static int
parse_name(struct rd all, struct rd *r, char *out, size_t outlen)
{
	struct rd cur = *r;
	struct wr w = wr_init(out, outlen - 1);
	bool jumped = false;
	uint8_t n, lo;

	for (;;) {
		size_t at = all.len - cur.len;

		if (rd_u8(&cur, &n) == -1)
			return -1;
		if (n >= 0xc0) {
			if (rd_u8(&cur, &lo) == -1)
				return -1;
			if (!jumped)
				*r = cur;
			jumped = true;
			cur = all;
			if ((size_t)((n & 0x3f) << 8 | lo) >= at ||
			    rd_skip(&cur, (size_t)((n & 0x3f) << 8 | lo)) == -1)
				return -1;
			continue;
		}
		if (n == 0)
			break;
		if (n > 63 || cur.len < n ||
		    (w.len > 0 && wr_u8(&w, '.') == -1) ||
		    wr_bytes(&w, cur.p, n) == -1 || rd_skip(&cur, n) == -1)
			return -1;
	}
	if (!jumped)
		*r = cur;
	out[w.len] = '\0';
	return w.len > 0 ? 0 : -1;
}

/* These names end in a file of lines and words. */
static bool
name_ok(const char *s)
{
	for (; *s != '\0'; s++)
		if (*s <= ' ' || *s > '~' || *s == '#' || *s == ';')
			return false;
	return true;
}

static void
parse_search(struct rd all, struct dhcp_lease *l)
{
	struct rd r = all;

	while (r.len > 0 && l->nsearch < DHCP_MAXSEARCH) {
		char *name = l->search[l->nsearch];

		if (parse_name(all, &r, name, DHCP_NAMELEN) == -1)
			return;
		if (name_ok(name))
			l->nsearch++;
	}
}

static void
parse_domain(struct rd o, struct dhcp_lease *l)
{
	size_t n = o.len;

	if (n >= sizeof(l->domain) || rd_bytes(&o, l->domain, n) == -1)
		n = 0;
	l->domain[n] = '\0';
	if (!name_ok(l->domain))
		l->domain[0] = '\0';
}

struct options {
	struct dhcp_lease *lease;
	uint8_t type;
	/* Option 119 may come in pieces: RFC 3396. */
	uint8_t search[512];
	struct wr wsearch;
};

static void
parse_option(struct options *op, uint8_t code, struct rd o)
{
	struct dhcp_lease *l = op->lease;

	switch (code) {
	case OPT_TYPE:
		(void)rd_u8(&o, &op->type);
		break;
	case OPT_MASK:
		(void)rd_u32(&o, &l->mask);
		break;
	case OPT_ROUTER:
		(void)rd_u32(&o, &l->router);
		break;
	case OPT_SERVER:
		(void)rd_u32(&o, &l->server);
		break;
	case OPT_DNS:
		while (
		    l->ndns < DHCP_MAXDNS && rd_u32(&o, &l->dns[l->ndns]) == 0)
			l->ndns++;
		break;
	case OPT_DOMAIN:
		parse_domain(o, l);
		break;
	case OPT_SEARCH:
		(void)wr_bytes(&op->wsearch, o.p, o.len);
		break;
	default:
		break;
	}
}

static int
parse_options(struct rd r, struct dhcp_lease *l, enum dhcp_type *type)
{
	struct options op = { .lease = l };
	uint8_t code, len;
	struct rd o;

	op.wsearch = wr_init(op.search, sizeof(op.search));
	for (;;) {
		if (rd_u8(&r, &code) == -1)
			return -1;
		if (code == OPT_END)
			break;
		if (code == OPT_PAD)
			continue;
		if (rd_u8(&r, &len) == -1 || rd_sub(&r, len, &o) == -1)
			return -1;
		parse_option(&op, code, o);
	}
	parse_search(rd_init(op.search, op.wsearch.len), l);
	*type = op.type;
	return 0;
}

/* Ethernet, IPv4 and UDP down to the DHCP message. */
static int
parse_headers(struct rd *r)
{
	uint16_t type, len, frag, sport, dport, udplen, sum;
	uint8_t vhl, proto;
	struct rd ip;

	if (rd_skip(r, 12) == -1 || rd_u16(r, &type) == -1 || type != ETH_IP)
		return -1;
	ip = *r;
	if (rd_u8(r, &vhl) == -1 || rd_skip(r, 1) == -1 ||
	    rd_u16(r, &len) == -1 || rd_skip(r, 2) == -1 ||
	    rd_u16(r, &frag) == -1 || rd_skip(r, 1) == -1 ||
	    rd_u8(r, &proto) == -1)
		return -1;
	if (vhl >> 4 != 4 || (vhl & 15) < 5 || proto != IP_UDP ||
	    (frag & 0x3fff) != 0 || len > ip.len)
		return -1;
	ip.len = len;
	if (rd_skip(&ip, (size_t)(vhl & 15) * 4) == -1 ||
	    rd_u16(&ip, &sport) == -1 || rd_u16(&ip, &dport) == -1 ||
	    rd_u16(&ip, &udplen) == -1 || rd_u16(&ip, &sum) == -1)
		return -1;
	if (sport != PORT_SERVER || dport != PORT_CLIENT || udplen < UDP_HDRLEN)
		return -1;
	return rd_sub(&ip, udplen - UDP_HDRLEN, r);
}

int
dhcp_parse(struct rd r, const struct dhcp_client *c, enum dhcp_type *type,
    struct dhcp_lease *l)
{
	uint8_t op, mac[6];
	uint32_t xid, magic;

	memset(l, 0, sizeof(*l));
	if (parse_headers(&r) == -1)
		return -1;
	if (rd_u8(&r, &op) == -1 || rd_skip(&r, 3) == -1 ||
	    rd_u32(&r, &xid) == -1 || rd_skip(&r, 8) == -1 ||
	    rd_u32(&r, &l->ip) == -1 || rd_skip(&r, 8) == -1 ||
	    rd_bytes(&r, mac, 6) == -1 || rd_skip(&r, 10 + 64 + 128) == -1 ||
	    rd_u32(&r, &magic) == -1)
		return -1;
	if (op != BOOTP_REPLY || xid != c->xid || magic != MAGIC ||
	    memcmp(mac, c->mac.b, 6) != 0)
		return -1;
	if (parse_options(r, l, type) == -1)
		return -1;
	if (*type == DHCP_NAK)
		return 0;
	if ((*type != DHCP_OFFER && *type != DHCP_ACK) || l->ip == 0)
		return -1;
	if (l->mask == 0)
		l->mask = 0xffffff00;
	return 0;
}
