/*
 * Addresses as values.  The text forms are read and written here and not by
 * inet_pton(): the systems differ in what they accept, and this file is pure.
 *
 * Accepted: dotted quads of four decimal numbers without leading zeros; the
 * forms of RFC 4291 2.2, without a zone.  Written: RFC 5952, with the dotted
 * tail only for addresses inside ::ffff:0:0/96.
 */

#include <string.h>

#include "common/ipaddr.h"

static const char hexdigit[] = "0123456789abcdef";

struct ipaddr
ipaddr_from_u32(uint32_t v)
{
	struct ipaddr a = { .family = 4 };

	a.b[0] = (uint8_t)(v >> 24);
	a.b[1] = (uint8_t)(v >> 16);
	a.b[2] = (uint8_t)(v >> 8);
	a.b[3] = (uint8_t)v;
	return a;
}

uint32_t
ipaddr_to_u32(const struct ipaddr *a)
{
	if (a->family != 4)
		return 0;
	return (uint32_t)a->b[0] << 24 | (uint32_t)a->b[1] << 16 |
	       (uint32_t)a->b[2] << 8 | a->b[3];
}

/*
 * Reads a decimal number of at most three digits, without leading zeros and
 * not above max, and moves *s behind it.
 */
static int
get_decimal(const char **s, unsigned max, uint8_t *v)
{
	const char *p = *s;
	unsigned n = 0;

	while (*p >= '0' && *p <= '9' && p - *s < 3)
		n = n * 10 + (unsigned)(*p++ - '0');
	if (p == *s || n > max || (**s == '0' && p - *s > 1))
		return -1;
	*v = (uint8_t)n;
	*s = p;
	return 0;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Reads one to maxdigits hexadecimal digits and moves *s behind them. */
static int
get_hex(const char **s, int maxdigits, unsigned *v)
{
	int d, i;

	*v = 0;
	for (i = 0; i < maxdigits && (d = hex_value(**s)) != -1; i++, (*s)++)
		*v = *v << 4 | (unsigned)d;
	return i > 0 ? 0 : -1;
}

/* A dotted quad up to the end of the string. */
static int
parse_quad(const char *s, uint8_t *b)
{
	int i;

	for (i = 0; i < 4; i++) {
		if (i > 0 && *s++ != '.')
			return -1;
		if (get_decimal(&s, 255, &b[i]) == -1)
			return -1;
	}
	return *s == '\0' ? 0 : -1;
}

/* Puts zeros where "::" stood, between the first gap and the last bytes. */
static int
fill_gap(uint8_t *b, int n, int gap)
{
	if (gap == -1)
		return n == 16 ? 0 : -1;
	if (n == 16)
		return -1;
	memmove(b + 16 - (n - gap), b + gap, (size_t)(n - gap));
	memset(b + gap, 0, (size_t)(16 - n));
	return 0;
}

/*
 * Steps over the separator behind a group; "::" is noted in *gap as the
 * number of bytes before it.
 */
static int
skip_colons(const char **s, int n, int *gap)
{
	if (**s == '\0')
		return 0;
	if (*(*s)++ != ':' || **s == '\0')
		return -1;
	if (**s != ':')
		return 0;
	if (*gap != -1)
		return -1;
	*gap = n;
	(*s)++;
	return 0;
}

static int
parse_v6(const char *s, uint8_t b[16])
{
	unsigned group;
	int gap = -1, n = 0;

	if (s[0] == ':') {
		if (s[1] != ':')
			return -1;
		gap = 0;
		s += 2;
	}
	while (*s != '\0') {
		if (n <= 12 && strchr(s, ':') == NULL &&
		    strchr(s, '.') != NULL) {
			if (parse_quad(s, b + n) == -1)
				return -1;
			n += 4;
			break;
		}
		if (n == 16 || get_hex(&s, 4, &group) == -1)
			return -1;
		b[n++] = (uint8_t)(group >> 8);
		b[n++] = (uint8_t)group;
		if (skip_colons(&s, n, &gap) == -1)
			return -1;
	}
	return fill_gap(b, n, gap);
}

int
ipaddr_parse(const char *s, struct ipaddr *out)
{
	struct ipaddr a = { 0 };

	if (strchr(s, ':') != NULL) {
		a.family = 6;
		if (parse_v6(s, a.b) == -1)
			return -1;
	} else {
		a.family = 4;
		if (parse_quad(s, a.b) == -1)
			return -1;
	}
	*out = a;
	return 0;
}

static char *
put_decimal(char *p, unsigned v)
{
	if (v >= 100)
		*p++ = (char)('0' + v / 100);
	if (v >= 10)
		*p++ = (char)('0' + v / 10 % 10);
	*p++ = (char)('0' + v % 10);
	return p;
}

static char *
put_quad(char *p, const uint8_t *b)
{
	int i;

	for (i = 0; i < 4; i++) {
		if (i > 0)
			*p++ = '.';
		p = put_decimal(p, b[i]);
	}
	return p;
}

/* One group, without leading zeros. */
static char *
put_group(char *p, const uint8_t *b)
{
	unsigned v = (unsigned)b[0] << 8 | b[1];
	int shift;

	for (shift = 12; shift > 0 && v >> shift == 0; shift -= 4)
		;
	for (; shift >= 0; shift -= 4)
		*p++ = hexdigit[v >> shift & 15];
	return p;
}

/*
 * RFC 5952 4.2: the longest run of zero groups, the first of equals; one
 * group alone is not a run.  Returns its length and sets *start.
 */
static int
zero_run(const uint8_t b[16], int *start)
{
	int best = 1, i, n = 0;

	for (i = 0; i < 8; i++) {
		n = b[2 * i] == 0 && b[2 * i + 1] == 0 ? n + 1 : 0;
		if (n > best) {
			best = n;
			*start = i + 1 - n;
		}
	}
	return best > 1 ? best : 0;
}

static bool
is_mapped(const uint8_t b[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	return memcmp(b, mapped, sizeof(mapped)) == 0;
}

static char *
put_v6(char *p, const uint8_t b[16])
{
	int i, run, start = -1;

	if (is_mapped(b)) {
		memcpy(p, "::ffff:", 7);
		return put_quad(p + 7, b + 12);
	}
	run = zero_run(b, &start);
	for (i = 0; i < 8; i++) {
		if (run > 0 && i == start) {
			*p++ = ':';
			i += run - 1;
			if (i == 7)
				*p++ = ':';
			continue;
		}
		if (i > 0)
			*p++ = ':';
		p = put_group(p, b + 2 * i);
	}
	return p;
}

const char *
ipaddr_str(const struct ipaddr *a, char *buf)
{
	char *p = buf;

	switch (a->family) {
	case 4:
		p = put_quad(p, a->b);
		break;
	case 6:
		p = put_v6(p, a->b);
		break;
	default:
		*p++ = '-';
		break;
	}
	*p = '\0';
	return buf;
}

static size_t
addr_bytes(const struct ipaddr *a)
{
	return a->family == 6 ? 16 : a->family == 4 ? 4 : 0;
}

int
ipaddr_cmp(const struct ipaddr *a, const struct ipaddr *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->b, b->b, addr_bytes(a));
}

bool
ipaddr_is_loopback(const struct ipaddr *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	return a->family == 6 ? memcmp(a->b, one, 16) == 0
			      : a->family == 4 && a->b[0] == 127;
}

struct ipaddr
ipaddr_unmap(const struct ipaddr *a)
{
	struct ipaddr v4 = { .family = 4 };

	if (a->family != 6 || !is_mapped(a->b))
		return *a;
	memcpy(v4.b, a->b + 12, 4);
	return v4;
}

/* Clears the bits behind the prefix, so that equal prefixes are equal. */
static void
clear_host_bits(struct ipprefix *p)
{
	size_t full = p->len / 8, n = addr_bytes(&p->addr);

	if (full >= n)
		return;
	p->addr.b[full] &= (uint8_t)(0xff00 >> p->len % 8);
	memset(p->addr.b + full + 1, 0, n - full - 1);
}

/* "address/bits", or an address alone for all of its bits. */
int
ipprefix_parse(const char *s, struct ipprefix *out)
{
	struct ipprefix p;
	char text[IPADDR_STRLEN];
	const char *slash = strchr(s, '/');
	size_t len = slash != NULL ? (size_t)(slash - s) : strlen(s);

	if (len >= sizeof(text))
		return -1;
	memcpy(text, s, len);
	text[len] = '\0';
	if (ipaddr_parse(text, &p.addr) == -1)
		return -1;
	p.len = (uint8_t)(8 * addr_bytes(&p.addr));
	if (slash != NULL) {
		slash++;
		if (get_decimal(&slash, p.len, &p.len) == -1 || *slash != '\0')
			return -1;
	}
	clear_host_bits(&p);
	*out = p;
	return 0;
}

bool
ipprefix_match(const struct ipprefix *p, const struct ipaddr *a)
{
	struct ipprefix q = { *a, p->len };

	if (p->addr.family != a->family)
		return false;
	clear_host_bits(&q);
	return ipaddr_cmp(&p->addr, &q.addr) == 0;
}

/* Six pairs of hexadecimal digits with ':' (or all with '-') between them. */
int
macaddr_parse(const char *s, struct macaddr *out)
{
	struct macaddr m;
	const char *start;
	char sep = 0;
	unsigned v;
	int i;

	for (i = 0; i < 6; i++) {
		if (i == 1 && (*s == ':' || *s == '-'))
			sep = *s;
		if (i > 0 && (*s == '\0' || *s++ != sep))
			return -1;
		start = s;
		if (get_hex(&s, 2, &v) == -1 || s - start != 2)
			return -1;
		m.b[i] = (uint8_t)v;
	}
	if (*s != '\0')
		return -1;
	*out = m;
	return 0;
}

const char *
macaddr_str(const struct macaddr *m, char *buf)
{
	char *p = buf;
	int i;

	for (i = 0; i < 6; i++) {
		if (i > 0)
			*p++ = ':';
		*p++ = hexdigit[m->b[i] >> 4];
		*p++ = hexdigit[m->b[i] & 15];
	}
	*p = '\0';
	return buf;
}
