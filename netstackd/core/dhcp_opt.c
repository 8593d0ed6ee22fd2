/*
 * DHCP options (RFC 2132), in and out.
 *
 * Out, the order is fixed: the message's type first, which some clients rely
 * on, then lease and timers, the server, an echo of what the client said of
 * itself, and what it asked for sorted by code.  Option overload is followed,
 * but not used.
 */

#include <string.h>
#include <strings.h>

#include "netstackd/core/dhcp.h"

/* clang-format off */
enum {
	OPT_PAD = 0, OPT_MASK = 1, OPT_ROUTER = 3, OPT_DNS = 6,
	OPT_DOMAIN = 15, OPT_MTU = 26, OPT_BROADCAST = 28, OPT_NTP = 42,
	OPT_REQUESTED = 50, OPT_LEASE = 51, OPT_OVERLOAD = 52, OPT_TYPE = 53,
	OPT_SERVER_ID = 54, OPT_ASKED = 55, OPT_MESSAGE = 56,
	OPT_MAX_SIZE = 57, OPT_T1 = 58, OPT_T2 = 59, OPT_CLASS_ID = 60,
	OPT_CLIENT_ID = 61, OPT_SEARCH = 119, OPT_ROUTES = 121,
	OPT_ROUTES_MS = 249, OPT_END = 255,
};
/* clang-format on */

/* The address is the guest's for good; T1 is 0.5 and T2 0.8 of the lease. */
#define LEASE	 0x7fffffffu
#define LEASE_T1 (LEASE / 2)
#define LEASE_T2 (LEASE / 5 * 4 + 1)

#define NAK_TEXT "Requested address is not in subnet range"

static int
opt_u32(struct rd o, uint32_t *v)
{
	return o.len == 4 ? rd_u32(&o, v) : -1;
}

static int
opt_take(uint8_t code, struct rd o, struct dhcp_msg *m)
{
	uint8_t c;

	switch (code) {
	case OPT_TYPE:
		return o.len == 1 ? rd_u8(&o, &m->type) : -1;
	case OPT_OVERLOAD:
		return o.len == 1 ? rd_u8(&o, &m->overload) : -1;
	case OPT_REQUESTED:
		return opt_u32(o, &m->requested);
	case OPT_SERVER_ID:
		return opt_u32(o, &m->server_id);
	case OPT_MAX_SIZE:
		return o.len == 2 ? rd_u16(&o, &m->max_size) : -1;
	case OPT_CLASS_ID:
		m->class_id = o;
		break;
	case OPT_CLIENT_ID:
		m->client_id = o;
		break;
	case OPT_ASKED:
		while (rd_u8(&o, &c) == 0)
			m->asked[c / 8] |= (uint8_t)(1 << c % 8);
		break;
	}
	return 0;
}

int
dhcp_opt_parse(struct rd r, struct dhcp_msg *m)
{
	struct rd o;
	uint8_t code, len;

	while (rd_u8(&r, &code) == 0 && code != OPT_END) {
		if (code == OPT_PAD)
			continue;
		if (rd_u8(&r, &len) == -1 || rd_sub(&r, len, &o) == -1 ||
		    opt_take(code, o, m) == -1)
			return -1;
	}
	return 0;
}

/* One whole option or nothing; one byte is kept for the end mark. */
static void
opt_put(struct wr *w, uint8_t code, const void *p, size_t len)
{
	if (len > 255 || len + 3 > w->cap - w->len)
		return;
	(void)wr_u8(w, code);
	(void)wr_u8(w, (uint8_t)len);
	(void)wr_bytes(w, p, len);
}

static void
opt_put_u32(struct wr *w, uint8_t code, uint32_t v)
{
	uint8_t b[4];

	put_u32(b, v);
	opt_put(w, code, b, sizeof(b));
}

/*
 * Names of a search list as written so far (RFC 3397), compressed as in DNS:
 * where the rest of a name has been written before, two bytes point at it.
 */
struct search {
	struct wr w;
	struct {
		const char *name;
		size_t off;
	} known[128];
	size_t nknown;
};

/* Where this name has been written, or -1.  Dots at the end do not count. */
static int
search_known(const struct search *s, const char *name)
{
	size_t i;

	for (i = 0; i < s->nknown; i++) {
		if (strcasecmp(s->known[i].name, name) == 0)
			return (int)s->known[i].off;
	}
	return -1;
}

static int
search_add(struct search *s, const char *name)
{
	size_t len;
	int off;

	if (strlen(name) > 253)
		return -1;
	for (; *name != '\0'; name += len + (name[len] == '.')) {
		if ((off = search_known(s, name)) != -1)
			return wr_u16(&s->w, (uint16_t)(0xc000 | off));
		len = strcspn(name, ".");
		if (len == 0 || len > 63)
			return -1;
		if (s->nknown < nitems(s->known)) {
			s->known[s->nknown].name = name;
			s->known[s->nknown++].off = s->w.len;
		}
		if (wr_u8(&s->w, (uint8_t)len) == -1 ||
		    wr_bytes(&s->w, name, len) == -1)
			return -1;
	}
	return wr_u8(&s->w, 0);
}

/*
 * The search list, in pieces of 255 bytes where it is longer (RFC 3396).
 * Names which cannot be written, or for which there is no room, are left out.
 */
static void
opt_put_search(const struct net *net, struct wr *w)
{
	uint8_t buf[1024];
	struct search s = { .w = wr_init(buf, sizeof(buf)) };
	size_t room = w->cap - w->len, len, known, off, n;
	unsigned i;

	for (i = 0; i < net->conf.nsearch; i++) {
		len = s.w.len;
		known = s.nknown;
		if (net->conf.search[i][0] == '\0' ||
		    search_add(&s, net->conf.search[i]) == -1 ||
		    s.w.len + 2 * (s.w.len / 255 + 1) + 1 > room) {
			s.w.len = len;
			s.nknown = known;
		}
	}
	for (off = 0; off < s.w.len; off += n) {
		n = s.w.len - off < 255 ? s.w.len - off : 255;
		opt_put(w, OPT_SEARCH, buf + off, n);
	}
}

static void
opt_put_domain(const struct net *net, struct wr *w)
{
	size_t len = strlen(net->conf.domain);

	if (len > 0)
		opt_put(w, OPT_DOMAIN, net->conf.domain, len);
}

static void
opt_put_mtu(const struct net *net, struct wr *w)
{
	uint8_t b[2];

	put_u16(b, net->conf.mtu);
	opt_put(w, OPT_MTU, b, sizeof(b));
}

/*
 * Classless routes (RFC 3442; Windows' own number has the same content): who
 * gets them ignores the router option, so they say the same, 0.0.0.0/0.
 */
static void
opt_put_routes(const struct net *net, uint8_t code, struct wr *w)
{
	uint8_t b[5] = { 0 };

	put_u32(b + 1, net->conf.gateway_ip);
	opt_put(w, code, b, sizeof(b));
}

/* What a client may ask for, sorted by code. */
static void
opt_put_asked(const struct net *net, const struct dhcp_msg *m, struct wr *w)
{
	static const uint8_t codes[] = { OPT_MASK, OPT_ROUTER, OPT_DNS,
		OPT_DOMAIN, OPT_MTU, OPT_BROADCAST, OPT_NTP, OPT_SEARCH,
		OPT_ROUTES, OPT_ROUTES_MS };
	uint8_t c;
	size_t i;

	for (i = 0; i < nitems(codes); i++) {
		c = codes[i];
		if ((m->asked[c / 8] & 1 << c % 8) == 0)
			continue;
		if (c == OPT_MASK)
			opt_put_u32(w, c, net->netmask);
		else if (c == OPT_BROADCAST)
			opt_put_u32(w, c, net->conf.guest_ip | ~net->netmask);
		else if (c == OPT_DOMAIN)
			opt_put_domain(net, w);
		else if (c == OPT_MTU)
			opt_put_mtu(net, w);
		else if (c == OPT_SEARCH)
			opt_put_search(net, w);
		else if (c == OPT_ROUTES || c == OPT_ROUTES_MS)
			opt_put_routes(net, c, w);
		else
			opt_put_u32(w, c, net->conf.gateway_ip);
	}
}

void
dhcp_opt_write(const struct net *net, const struct dhcp_msg *m,
    enum dhcp_type type, struct wr *w)
{
	uint8_t t = (uint8_t)type;

	opt_put(w, OPT_TYPE, &t, 1);
	if (type != DHCP_NAK && m->type != DHCP_INFORM) {
		opt_put_u32(w, OPT_LEASE, LEASE);
		opt_put_u32(w, OPT_T1, LEASE_T1);
		opt_put_u32(w, OPT_T2, LEASE_T2);
	}
	opt_put_u32(w, OPT_SERVER_ID, net->conf.gateway_ip);
	if (type == DHCP_NAK)
		opt_put(w, OPT_MESSAGE, NAK_TEXT, strlen(NAK_TEXT));
	if (m->class_id.len > 0)
		opt_put(w, OPT_CLASS_ID, m->class_id.p, m->class_id.len);
	/* RFC 6842: the client's identifier goes back to it. */
	if (m->client_id.len > 0)
		opt_put(w, OPT_CLIENT_ID, m->client_id.p, m->client_id.len);
	if (type != DHCP_NAK)
		opt_put_asked(net, m, w);
	(void)wr_u8(w, OPT_END);
}
