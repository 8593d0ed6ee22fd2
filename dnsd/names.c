#include "dnsd/names.h"

#include <bsd/stdlib.h>
#include <string.h>

#include "common/wr.h"

static uint8_t
lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

bool
name_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (a[i] != b[i] && lower(a[i]) != lower(b[i]))
			return false;
	return true;
}

static int
write_label(struct wr *w, const char *s, size_t len)
{
	size_t i;

	if (len == 0 || len > NAME_LABEL || wr_u8(w, (uint8_t)len) == -1)
		return -1;
	for (i = 0; i < len; i++)
		if (wr_u8(w, lower((uint8_t)s[i])) == -1)
			return -1;
	return 0;
}

/* A dot at the end is allowed, the root alone is not. */
static int
name_parse(const char *s, struct name *n)
{
	struct wr w = wr_init(n->wire, sizeof(n->wire));
	size_t len;

	do {
		len = strcspn(s, ".");
		if (write_label(&w, s, len) == -1)
			return -1;
		s += len;
		if (*s == '.')
			s++;
	} while (*s != '\0');
	if (wr_u8(&w, 0) == -1)
		return -1;
	n->len = (uint8_t)w.len;
	return 0;
}

int
names_add(struct names *ns, const char *text, uint32_t ip)
{
	struct name *n = &ns->name[ns->n];

	if (ns->n == NAMES_MAX || name_parse(text, n) == -1)
		return -1;
	n->ip = ip;
	ns->n++;
	return 0;
}

size_t
names_find(const struct names *ns, const uint8_t *wire, size_t len,
    uint32_t *ip, size_t max)
{
	const struct name *n;
	size_t found = 0;

	for (n = ns->name; n < ns->name + ns->n && found < max; n++)
		if (n->len == len && name_equal(n->wire, wire, len))
			ip[found++] = n->ip;
	return found;
}

int
server_parse(const char *s, struct ipaddr *a, uint16_t *port)
{
	char addr[IPADDR_STRLEN];
	const char *hash = strchr(s, '#'), *why;
	size_t len;

	if (hash == NULL || (len = (size_t)(hash - s)) >= sizeof(addr))
		return -1;
	memcpy(addr, s, len);
	addr[len] = '\0';
	if (ipaddr_parse(addr, a) == -1 ||
	    hash[1 + strspn(hash + 1, "0123456789")] != '\0')
		return -1;
	*port = (uint16_t)strtonum(hash + 1, 1, 65535, &why);
	return why == NULL ? 0 : -1;
}
