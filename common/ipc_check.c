/* A message against its row of the table, and its parts. */

#include <stdbool.h>
#include <string.h>

#include "common/ipaddr.h"
#include "common/ipc.h"

int
ipc_role_parse(const char *name)
{
	int i;

	for (i = 0; i < ROLE__MAX; i++)
		if (strcmp(ipc_role_name[i], name) == 0)
			return i;
	return -1;
}

size_t
ipc_nfields(const struct ipc_desc *d)
{
	size_t n = 0;

	while (n < IPC_MAXFIELDS && d->field[n].kind != F_END)
		n++;
	return n;
}

int
ipc_type_parse(const char *name, size_t len)
{
	int i;

	for (i = 0; i < IPC__MAX; i++)
		if (strlen(ipc_desc[i].name) == len &&
		    memcmp(ipc_desc[i].name, name, len) == 0)
			return i;
	return -1;
}

/*
 * The checkers of one value: NULL or what is wrong with it.  A string with a
 * zero byte inside would be another one to its reader.
 */
static const char *
check_len(const char *s, size_t len, int64_t min, int64_t max)
{
	if (len < (uint64_t)min || len > (uint64_t)max)
		return "string of wrong length";
	if (memchr(s, '\0', len) != NULL)
		return "zero byte in a string";
	return NULL;
}

static const char *
check_str(const struct ipc_val *v, int64_t min, int64_t max)
{
	if (v->kind != V_STR)
		return "not a string";
	return check_len(v->s, v->len, min, max);
}

static const char *
check_int(const struct ipc_val *v, int64_t min, int64_t max)
{
	if (v->kind != V_INT)
		return "not an integer";
	if (v->i < min || v->i > max)
		return "number out of range";
	return NULL;
}

static const char *
check_addr(const struct ipc_val *v)
{
	struct ipaddr a;
	const char *why = check_str(v, 1, IPADDR_STRLEN - 1);

	if (why == NULL && ipaddr_parse(v->s, &a) == -1)
		why = "not an address";
	return why;
}

static const char *
check_mac(const struct ipc_val *v)
{
	struct macaddr m;
	const char *why = check_str(v, 1, MACADDR_STRLEN - 1);

	if (why == NULL && macaddr_parse(v->s, &m) == -1)
		why = "not an Ethernet address";
	return why;
}

static const char *
check_strs(const struct ipc_val *v, int64_t max)
{
	const char *why = NULL;
	const json_t *s;
	size_t i, n;

	if (v->kind != V_JSON || !json_is_array(v->json))
		return "not an array";
	n = json_array_size(v->json);
	if (n > (uint64_t)max)
		return "array too long";
	for (i = 0; i < n && why == NULL; i++) {
		s = json_array_get(v->json, i);
		if (!json_is_string(s))
			return "not a string";
		why = check_len(json_string_value(s), json_string_length(s), 0,
		    IPC_STRSLEN);
	}
	return why;
}

static const char *
check_field(const struct ipc_field *f, const struct ipc_val *v)
{
	switch (f->kind) {
	case F_INT:
		return check_int(v, f->min, f->max);
	case F_STR:
		return check_str(v, f->min, f->max);
	case F_BOOL:
		return v->kind == V_BOOL ? NULL : "not a boolean";
	case F_ADDR:
		return check_addr(v);
	case F_MAC:
		return check_mac(v);
	case F_STRS:
		return check_strs(v, f->max);
	case F_END:
		break;
	}
	return "unknown kind of field";
}

static struct ipc_val
val_of(const json_t *v)
{
	struct ipc_val val = { .kind = V_JSON, .json = v };

	if (json_is_integer(v)) {
		val.kind = V_INT;
		val.i = json_integer_value(v);
	} else if (json_is_boolean(v)) {
		val.kind = V_BOOL;
		val.i = json_is_true(v);
	} else if (json_is_string(v)) {
		val.kind = V_STR;
		val.s = json_string_value(v);
		val.len = json_string_length(v);
	}
	return val;
}

/* Every field once and none beside them: then the numbers are equal, too. */
static const char *
check_fields(const struct ipc_desc *d, const json_t *body, struct ipc_val *val)
{
	const char *why;
	const json_t *v;
	size_t nfield = ipc_nfields(d), n;

	for (n = 0; n < nfield; n++) {
		if ((v = json_object_get(body, d->field[n].name)) == NULL)
			return "missing field";
		val[n] = val_of(v);
		if ((why = check_field(&d->field[n], &val[n])) != NULL)
			return why;
	}
	return json_object_size(body) == nfield + 1 ? NULL : "unknown field";
}

/* Everything of a row but its fields. */
static const char *
check_row(
    const struct ipc_desc *d, enum ipc_role from, enum ipc_role to, size_t nfd)
{
	if ((d->from & ROLE_BIT(from)) == 0)
		return "wrong sender";
	if ((d->to & ROLE_BIT(to)) == 0)
		return "wrong receiver";
	if (nfd < d->fdmin)
		return "too few descriptors";
	if (nfd > d->fdmax)
		return "too many descriptors";
	return NULL;
}

int
ipc_check(const json_t *body, enum ipc_role from, enum ipc_role to, size_t nfd,
    struct ipc_val *val, const char **why)
{
	const json_t *name = json_object_get(body, "msg");
	int type;

	*why = NULL;
	if (!json_is_object(body))
		*why = "not an object";
	else if (!json_is_string(name))
		*why = "no message name";
	else if ((type = ipc_type_parse(
		      json_string_value(name), json_string_length(name))) == -1)
		*why = "unknown message";
	else if ((*why = check_row(&ipc_desc[type], from, to, nfd)) == NULL &&
		 (*why = check_fields(&ipc_desc[type], body, val)) == NULL)
		return type;
	return -1;
}

const char *
ipc_check_vals(enum ipc_type type, enum ipc_role from, enum ipc_role to,
    size_t nfd, const struct ipc_val *val)
{
	const struct ipc_desc *d = &ipc_desc[type];
	const char *why = check_row(d, from, to, nfd);
	size_t nfield = ipc_nfields(d), n;

	for (n = 0; why == NULL && n < nfield; n++)
		why = check_field(&d->field[n], &val[n]);
	return why;
}

static const char *
compose_tree(enum ipc_type type, const char *fmt, va_list ap, json_t **body)
{
	const char *name = ipc_desc[type].name;

	*body = fmt != NULL ? json_vpack_ex(NULL, 0, fmt, ap) : json_object();
	return json_object_set_new_nocheck(
		   *body, "msg", json_string_nocheck(name)) == 0
		   ? NULL
		   : "cannot be packed";
}

const char *
ipc_compose(enum ipc_type type, enum ipc_role from, enum ipc_role to,
    size_t nfd, const char *fmt, va_list ap, struct ipc_val *val, json_t **body)
{
	const char *why;
	va_list again;

	*body = NULL;
	va_copy(again, ap);
	if (ipc_flat_pack(type, fmt, ap, val) == 0)
		why = ipc_check_vals(type, from, to, nfd, val);
	else if ((why = compose_tree(type, fmt, again, body)) == NULL)
		ipc_check(*body, from, to, nfd, val, &why);
	va_end(again);
	return why;
}

/*
 * A checked message's parts.
 */

static const struct ipc_val *
val_get(const struct ipc_msg *m, const char *field)
{
	static const struct ipc_val none;
	const struct ipc_field *f = ipc_desc[m->type].field;
	size_t n;

	for (n = 0; n < IPC_MAXFIELDS && f[n].kind != F_END; n++)
		if (strcmp(f[n].name, field) == 0)
			return &m->val[n];
	return &none;
}

uint64_t
ipc_u64(const struct ipc_msg *m, const char *field)
{
	return (uint64_t)val_get(m, field)->i;
}

bool
ipc_bool(const struct ipc_msg *m, const char *field)
{
	return val_get(m, field)->i == 1;
}

const char *
ipc_str(const struct ipc_msg *m, const char *field)
{
	return val_get(m, field)->s;
}

struct ipaddr
ipc_addr(const struct ipc_msg *m, const char *field)
{
	struct ipaddr a = { 0 };

	ipaddr_parse(ipc_str(m, field), &a);
	return a;
}

struct macaddr
ipc_mac(const struct ipc_msg *m, const char *field)
{
	struct macaddr mac = { { 0 } };

	macaddr_parse(ipc_str(m, field), &mac);
	return mac;
}

size_t
ipc_nstr(const struct ipc_msg *m, const char *field)
{
	return json_array_size(val_get(m, field)->json);
}

const char *
ipc_strat(const struct ipc_msg *m, const char *field, size_t i)
{
	return json_string_value(json_array_get(val_get(m, field)->json, i));
}

int
ipc_take_fd(struct ipc_msg *m, size_t i)
{
	int fd;

	if (i >= m->nfd)
		return -1;
	fd = m->fd[i];
	m->fd[i] = -1;
	return fd;
}
