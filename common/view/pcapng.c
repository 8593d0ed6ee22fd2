#include <stdlib.h>
#include <string.h>

#include <bsd/stdlib.h>

#include "common/ipaddr.h"
#include "common/view/pcapng.h"

/* Block types and options of the pcapng specification. */
#define BLOCK_SECTION	0x0a0d0d0au
#define BLOCK_INTERFACE 1u
#define BLOCK_PACKET	6u
#define BYTE_ORDER_MARK 0x1a2b3c4du
#define LINK_ETHERNET	1u
#define OPT_COMMENT	1u
#define OPT_IF_NAME	2u
#define OPT_EPB_FLAGS	2u
#define OPT_USERAPPL	4u
#define DIR_INBOUND	1u
#define DIR_OUTBOUND	2u

/* A block is put together here: all of it or nothing is written. */
struct block {
	uint8_t b[66560];
	size_t n;
};

static void
put(struct block *k, const void *p, size_t n)
{
	if (n > sizeof(k->b) - k->n - 64)
		n = sizeof(k->b) - k->n - 64;
	memcpy(k->b + k->n, p, n);
	k->n += n;
}

static void
put32(struct block *k, uint32_t v)
{
	put(k, &v, sizeof(v));
}

static void
put16(struct block *k, uint16_t v)
{
	put(k, &v, sizeof(v));
}

static void
pad(struct block *k)
{
	while (k->n % 4 != 0)
		k->b[k->n++] = 0;
}

static void
option(struct block *k, uint16_t code, const void *p, size_t n)
{
	put16(k, code);
	put16(k, (uint16_t)n);
	put(k, p, n);
	pad(k);
}

static void
begin(struct block *k, uint32_t type)
{
	k->n = 0;
	put32(k, type);
	put32(k, 0); /* length, set by end() */
}

static int
end(FILE *out, struct block *k)
{
	uint32_t len = (uint32_t)k->n + 4;

	put32(k, len);
	memcpy(k->b + 4, &len, sizeof(len));
	return fwrite(k->b, 1, k->n, out) == k->n ? 0 : -1;
}

int
pcapng_head(FILE *out)
{
	static const char app[] = "vpnkit-status";
	static const uint8_t unknown[8] = { 255, 255, 255, 255, 255, 255, 255,
		255 };
	struct block k;

	begin(&k, BLOCK_SECTION);
	put32(&k, BYTE_ORDER_MARK);
	put16(&k, 1);
	put16(&k, 0);
	put(&k, unknown, sizeof(unknown)); /* length of the section */
	option(&k, OPT_USERAPPL, app, sizeof(app) - 1);
	put32(&k, 0);
	return end(out, &k);
}

int
pcapng_interface(FILE *out, const char *name, uint32_t snaplen)
{
	struct block k;

	begin(&k, BLOCK_INTERFACE);
	put16(&k, LINK_ETHERNET);
	put16(&k, 0);
	put32(&k, snaplen);
	option(&k, OPT_IF_NAME, name, strlen(name));
	put32(&k, 0);
	return end(out, &k);
}

int
pcapng_packet(FILE *out, uint32_t interface, const struct tape_pkt *p)
{
	/* As the guest's network card sees it. */
	uint32_t flags =
	    p->head.dir == TAPE_TO_GUEST ? DIR_INBOUND : DIR_OUTBOUND;
	uint64_t when = (uint64_t)p->head.when;
	char text[64];
	struct block k;

	begin(&k, BLOCK_PACKET);
	put32(&k, interface);
	put32(&k, (uint32_t)(when >> 32));
	put32(&k, (uint32_t)when);
	put32(&k, p->head.cap);
	put32(&k, p->head.len);
	put(&k, p->data, p->head.cap);
	pad(&k);
	option(&k, OPT_EPB_FLAGS, &flags, sizeof(flags));
	if (p->head.why[0] != '\0') {
		snprintf(text, sizeof(text), "dropped: %.*s", TAPE_WHYLEN - 1,
		    p->head.why);
		option(&k, OPT_COMMENT, text, strlen(text));
	}
	put32(&k, 0);
	return end(out, &k);
}

/*
 * The filter.
 */

static int
proto_word(struct filter *f, const char *v, const char **why)
{
	static const struct {
		const char *name;
		uint8_t proto;
	} known[] = { { "icmp", 1 }, { "tcp", 6 }, { "udp", 17 } };
	size_t i;

	f->arp = strcmp(v, "arp") == 0;
	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(known[i].name, v) == 0)
			f->proto = known[i].proto;
	}
	if (f->arp || f->proto != 0)
		return 0;
	*why = "a protocol is tcp, udp, icmp or arp";
	return -1;
}

int
filter_word(struct filter *f, const char *key, const char *v, const char **why)
{
	const char *bad;
	struct ipaddr a;

	if (strcmp(key, "proto") == 0)
		return proto_word(f, v, why);
	if (strcmp(key, "port") == 0) {
		f->port = (uint16_t)strtonum(v, 1, 65535, &bad);
		*why = "a port is a number from 1 to 65535";
		return bad == NULL ? 0 : -1;
	}
	*why = "not an IPv4 address";
	if (ipaddr_parse(v, &a) == -1 || a.family != 4)
		return -1;
	f->has_ip = true;
	f->ip = ipaddr_to_u32(&a);
	return 0;
}

static uint32_t
get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	       (uint32_t)p[2] << 8 | p[3];
}

static bool
port_match(uint16_t port, const uint8_t *f, size_t len)
{
	size_t at = 14 + (size_t)(f[14] & 15) * 4;

	if ((f[23] != 6 && f[23] != 17) || (f[20] & 0x1f) != 0 || f[21] != 0 ||
	    len < at + 4)
		return false;
	return (f[at] << 8 | f[at + 1]) == port ||
	       (f[at + 2] << 8 | f[at + 3]) == port;
}

/* RFC 826: sender and target; there are no ports. */
static bool
arp_match(const struct filter *f, const uint8_t *p, size_t len)
{
	if (len < 42 || p[12] != 8 || p[13] != 6 || f->port != 0 ||
	    f->proto != 0)
		return false;
	return !f->has_ip || get32(p + 28) == f->ip || get32(p + 38) == f->ip;
}

bool
filter_match(const struct filter *f, const uint8_t *p, size_t len)
{
	bool any = f->proto == 0 && !f->has_ip && f->port == 0;

	if (f->arp)
		return arp_match(f, p, len);
	if (any)
		return true;
	if (len < 34 || p[12] != 8 || p[13] != 0)
		return false;
	if (f->proto != 0 && p[23] != f->proto)
		return false;
	if (f->has_ip && get32(p + 26) != f->ip && get32(p + 30) != f->ip)
		return false;
	return f->port == 0 || port_match(f->port, p, len);
}
