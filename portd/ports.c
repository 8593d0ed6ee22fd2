/*
 * UDP ports of the host for guests; see ports.h.
 */

#include <string.h>

#include "portd/ports.h"

/* RFC 6335 6: dynamic ports. */
#define DYNAMIC_LO 49152
#define DYNAMIC_HI 65535

/* A decimal number at *s, which moves behind it; -1: none, or no port. */
static int
number(const char **s)
{
	int v = 0;

	if (**s < '0' || **s > '9')
		return -1;
	for (; **s >= '0' && **s <= '9'; (*s)++) {
		v = v * 10 + (**s - '0');
		if (v > UINT16_MAX)
			return -1;
	}
	return v;
}

static const char *
blanks(const char *s)
{
	return s + strspn(s, " \t\n");
}

static int
range_parse(struct ports *p, const char *s)
{
	int lo, hi;

	s = blanks(s);
	if ((lo = number(&s)) == -1)
		return -1;
	s = blanks(s);
	if ((hi = number(&s)) == -1 || *blanks(s) != '\0' || lo == 0 || hi < lo)
		return -1;
	p->lo = (uint16_t)lo;
	p->hi = (uint16_t)hi;
	return 0;
}

static int
reserved_parse(struct ports *p, const char *s)
{
	int lo, hi;

	for (s = blanks(s); *s != '\0'; s = blanks(s)) {
		if ((lo = hi = number(&s)) == -1)
			return -1;
		if (*s == '-') {
			s++;
			if ((hi = number(&s)) == -1)
				return -1;
		}
		for (; lo <= hi; lo++)
			p->reserved[lo / 8] |= (uint8_t)(1 << lo % 8);
		if (*s == ',')
			s++;
		else if (*blanks(s) != '\0')
			return -1;
	}
	return 0;
}

int
ports_init(struct ports *p, const char *range, const char *reserved)
{
	uint32_t n;
	int r = 0;

	memset(p, 0, sizeof(*p));
	if (range_parse(p, range) == -1 || reserved_parse(p, reserved) == -1) {
		p->lo = DYNAMIC_LO;
		p->hi = DYNAMIC_HI;
		r = -1;
	}
	n = (uint32_t)p->hi - p->lo + 1;
	p->max_all = n - n / 4;
	p->max_vm = n / 4 > 0 ? n / 4 : 1;
	return r;
}

bool
ports_keep(const struct ports *p, uint16_t port)
{
	return port >= p->lo && port <= p->hi &&
	       (p->reserved[port / 8] & 1 << port % 8) == 0;
}

bool
ports_take(struct ports *p, uint32_t *vm)
{
	if (p->used >= p->max_all || *vm >= p->max_vm)
		return false;
	p->used++;
	(*vm)++;
	return true;
}

void
ports_give(struct ports *p, uint32_t *vm)
{
	p->used--;
	(*vm)--;
}
