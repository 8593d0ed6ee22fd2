/*
 * Messages of the bus without a tree.  A guest's connection is three of them,
 * and building, hashing and freeing objects would be the most of what they
 * cost.
 */

#include <string.h>

#include "common/ipc.h"
#include "common/rd.h"

#define DIGITS_MAX 18 /* of them, every number fits */

bool
ipc_flat_plain(const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (s[i] < ' ' || s[i] > '~' || s[i] == '"' || s[i] == '\\')
			return false;
	return true;
}

/*
 * The field of that name; -1: none.  Senders that take them from the table
 * have them in its order, so the next one is looked at first.
 */
static int
field_find(const struct ipc_desc *d, size_t nfield, size_t next,
    const char *name, size_t len)
{
	size_t i, n;

	for (i = 0; i < nfield; i++) {
		n = (next + i) % nfield;
		if (strlen(d->field[n].name) == len &&
		    memcmp(d->field[n].name, name, len) == 0)
			return (int)n;
	}
	return -1;
}

/*
 * Reading.  As with rd.h: 0, or -1 for everything that is not flat.
 */

static int
skip(struct rd *r, const char *text)
{
	size_t len = strlen(text);

	if (r->len < len || memcmp(r->p, text, len) != 0)
		return -1;
	return rd_skip(r, len);
}

/* A plain string up to its closing quote, which is taken, too. */
static int
read_text(struct rd *r, const char **s, size_t *len)
{
	const uint8_t *end = memchr(r->p, '"', r->len);

	if (end == NULL)
		return -1;
	*s = (const char *)r->p;
	*len = (size_t)(end - r->p);
	return ipc_flat_plain(*s, *len) ? rd_skip(r, *len + 1) : -1;
}

static int
read_int(struct rd *r, int64_t *v)
{
	bool minus = skip(r, "-") == 0;
	size_t n = 0;

	*v = 0;
	while (n < r->len && n < DIGITS_MAX && r->p[n] >= '0' && r->p[n] <= '9')
		*v = *v * 10 + (r->p[n++] - '0');
	/* Zero has one digit and no sign, and no other begins with it. */
	if (n == 0 || (r->p[0] == '0' && (n > 1 || minus)))
		return -1;
	if (minus)
		*v = -*v;
	return rd_skip(r, n);
}

static int
read_val(struct rd *r, struct ipc_val *v)
{
	memset(v, 0, sizeof(*v));
	if (skip(r, "\"") == 0) {
		v->kind = V_STR;
		return read_text(r, &v->s, &v->len);
	}
	v->kind = V_BOOL;
	if (skip(r, "false") == 0)
		return 0;
	v->i = 1;
	if (skip(r, "true") == 0)
		return 0;
	v->kind = V_INT;
	return read_int(r, &v->i);
}

/* Every field once: each is a new one, and there are as many. */
static int
read_fields(struct rd *r, const struct ipc_desc *d, struct ipc_val *val)
{
	size_t nfield = ipc_nfields(d), i, len;
	const char *name;
	int n = -1;

	for (i = 0; i < nfield; i++)
		val[i].kind = V_NONE;
	for (i = 0; i < nfield; i++) {
		if (skip(r, ",\"") == -1 || read_text(r, &name, &len) == -1 ||
		    skip(r, ":") == -1)
			return -1;
		n = field_find(d, nfield, (size_t)(n + 1), name, len);
		if (n == -1 || val[n].kind != V_NONE ||
		    read_val(r, &val[n]) == -1)
			return -1;
	}
	return skip(r, "}") == 0 && r->len == 0 ? 0 : -1;
}

int
ipc_flat_read(char *text, size_t len, struct ipc_val *val)
{
	struct rd r = rd_init(text, len);
	const char *name;
	size_t i, namelen;
	int type;

	if (skip(&r, "{\"msg\":\"") == -1 ||
	    read_text(&r, &name, &namelen) == -1 ||
	    (type = ipc_type_parse(name, namelen)) == -1 ||
	    read_fields(&r, &ipc_desc[type], val) == -1)
		return -1;
	/* Only now: who looks at it next must find it as it was. */
	for (i = 0; i < ipc_nfields(&ipc_desc[type]); i++)
		if (val[i].kind == V_STR)
			text[val[i].s + val[i].len - text] = '\0';
	return type;
}

/*
 * Packing.
 */

/* The format's next letter behind "s:"; 0: it is at its end, -1: not flat. */
static int
next_letter(const char **fmt)
{
	int c;

	*fmt += strspn(*fmt, "{, ");
	if (**fmt == '}')
		return (*fmt)[1] == '\0' ? 0 : -1;
	if (strncmp(*fmt, "s:", 2) != 0 || (c = (*fmt)[2]) == '\0' ||
	    strchr("iIbs", c) == NULL)
		return -1;
	*fmt += 3;
	return c;
}

int
ipc_flat_pack(
    enum ipc_type type, const char *fmt, va_list ap, struct ipc_val *val)
{
	const struct ipc_desc *d = &ipc_desc[type];
	size_t nfield = ipc_nfields(d), i;
	const char *name;
	int c, n = -1;

	memset(val, 0, nfield * sizeof(*val));
	for (i = 0; fmt != NULL && (c = next_letter(&fmt)) > 0; i++) {
		name = va_arg(ap, const char *);
		n = field_find(d, nfield, (size_t)(n + 1), name, strlen(name));
		if (n == -1 || val[n].kind != V_NONE)
			return -1;
		val[n].kind = c == 's' ? V_STR : c == 'b' ? V_BOOL : V_INT;
		if (c == 'I')
			val[n].i = va_arg(ap, json_int_t);
		else if (c != 's')
			val[n].i = va_arg(ap, int);
		else if ((val[n].s = va_arg(ap, const char *)) == NULL)
			return -1;
		else
			val[n].len = strlen(val[n].s);
		if (c == 's' && !ipc_flat_plain(val[n].s, val[n].len))
			return -1;
		if (c == 'b')
			val[n].i = val[n].i != 0;
	}
	return (fmt == NULL || c == 0) && i == nfield ? 0 : -1;
}
