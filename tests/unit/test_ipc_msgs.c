/*
 * The table tests itself: the smallest and the largest valid message of each
 * row is built from it for everyone who may send it, and then each thing that
 * can be wrong with it is made wrong once.
 */

#include <string.h>

#include "common/ipc.h"
#include "tests/check_main.h"

static const char *why;
static struct ipc_val val[IPC_MAXFIELDS];

static json_t *
text_of(size_t len)
{
	static char buf[IPC_MAXLEN];

	memset(buf, 'x', len);
	return json_stringn(buf, len);
}

static json_t *
names_of(size_t n, size_t len)
{
	json_t *a = json_array();

	while (n-- > 0)
		json_array_append_new(a, text_of(len));
	return a;
}

static json_t *
value_of(const struct ipc_field *f, bool largest)
{
	switch (f->kind) {
	case F_INT:
		return json_integer(largest ? f->max : f->min);
	case F_STR:
		return text_of((size_t)(largest ? f->max : f->min));
	case F_BOOL:
		return json_boolean(largest);
	case F_ADDR:
		return json_string(largest ? "ffff::192.168.65.200" : "::");
	case F_MAC:
		return json_string("f6:16:36:bc:f9:c6");
	case F_STRS:
		return largest ? names_of((size_t)f->max, IPC_STRSLEN)
			       : json_array();
	case F_END:
		break;
	}
	ck_abort_msg("a kind without a value");
	return NULL;
}

static json_t *
message(const struct ipc_desc *d, bool largest)
{
	json_t *body = json_pack("{s:s}", "msg", d->name);
	size_t i;

	for (i = 0; i < ipc_nfields(d); i++)
		json_object_set_new(
		    body, d->field[i].name, value_of(&d->field[i], largest));
	return body;
}

/* Some role of a mask. */
static enum ipc_role
role_in(unsigned mask)
{
	int r;

	for (r = 0; r < ROLE__MAX; r++)
		if (mask & ROLE_BIT(r))
			return (enum ipc_role)r;
	ck_abort_msg("nobody");
	return ROLE_MAIN;
}

static int
check_as(const struct ipc_desc *d, const json_t *body)
{
	return ipc_check(
	    body, role_in(d->from), role_in(d->to), d->fdmin, val, &why);
}

/* Puts v (owned) in the place of a field of the smallest message. */
static void
refused_with(
    const struct ipc_desc *d, const char *field, json_t *v, const char *reason)
{
	json_t *body = message(d, false);

	json_object_set_new(body, field, v);
	ck_assert_msg(check_as(d, body) == -1, "%s.%s", d->name, field);
	ck_assert_msg(
	    strcmp(why, reason) == 0, "%s.%s: %s", d->name, field, why);
	json_decref(body);
}

START_TEST(test_row_is_sound)
{
	const struct ipc_desc *d = &ipc_desc[_i];
	size_t i, j;

	ck_assert_ptr_nonnull(d->name);
	ck_assert_uint_ne(d->from, 0);
	ck_assert_uint_ne(d->to, 0);
	ck_assert_uint_eq((d->from | d->to) >> ROLE__MAX, 0);
	ck_assert_uint_le(d->fdmin, d->fdmax);
	ck_assert_uint_le(d->fdmax, IPC_MAXFDS);
	for (i = 0; i < (size_t)_i; i++)
		ck_assert_str_ne(ipc_desc[i].name, d->name);
	for (i = 0; i < ipc_nfields(d); i++) {
		ck_assert_int_le(d->field[i].min, d->field[i].max);
		ck_assert_str_ne(d->field[i].name, "msg");
		for (j = 0; j < i; j++)
			ck_assert_str_ne(d->field[i].name, d->field[j].name);
	}
}
END_TEST

/* Everybody to everybody: only who is in the row may, and with its fds. */
START_TEST(test_who)
{
	const struct ipc_desc *d = &ipc_desc[_i];
	json_t *small = message(d, false), *large = message(d, true);
	unsigned from, to;
	int want;

	for (from = 0; from < ROLE__MAX; from++) {
		for (to = 0; to < ROLE__MAX; to++) {
			want =
			    (d->from & ROLE_BIT(from)) && (d->to & ROLE_BIT(to))
				? _i
				: -1;
			ck_assert_msg(ipc_check(small, from, to, d->fdmin, val,
					  &why) == want,
			    "%s from %s to %s: %s", d->name,
			    ipc_role_name[from], ipc_role_name[to], why);
			ck_assert_msg(ipc_check(large, from, to, d->fdmax, val,
					  &why) == want,
			    "%s: %s", d->name, why);
		}
	}
	json_decref(small);
	json_decref(large);
}
END_TEST

/* The largest message fits into a frame. */
START_TEST(test_size)
{
	json_t *large = message(&ipc_desc[_i], true);

	ck_assert_uint_le(json_dumpb(large, NULL, 0, JSON_COMPACT), IPC_MAXLEN);
	json_decref(large);
}
END_TEST

START_TEST(test_fds)
{
	const struct ipc_desc *d = &ipc_desc[_i];
	enum ipc_role from = role_in(d->from), to = role_in(d->to);
	json_t *body = message(d, false);

	if (d->fdmin > 0) {
		ck_assert_int_eq(
		    ipc_check(body, from, to, d->fdmin - 1u, val, &why), -1);
		ck_assert_str_eq(why, "too few descriptors");
	}
	ck_assert_int_eq(
	    ipc_check(body, from, to, d->fdmax + 1u, val, &why), -1);
	ck_assert_str_eq(why, "too many descriptors");
	json_decref(body);
}
END_TEST

START_TEST(test_missing_and_unknown)
{
	const struct ipc_desc *d = &ipc_desc[_i];
	json_t *body;
	size_t i;

	for (i = 0; i < ipc_nfields(d); i++) {
		body = message(d, false);
		json_object_del(body, d->field[i].name);
		ck_assert_msg(check_as(d, body) == -1, "%s without %s", d->name,
		    d->field[i].name);
		ck_assert_str_eq(why, "missing field");
		/* Nor does another in its place help. */
		json_object_set_new(body, "other", json_true());
		ck_assert_int_eq(check_as(d, body), -1);
		ck_assert_str_eq(why, "missing field");
		json_decref(body);
	}
	refused_with(d, "other", json_true(), "unknown field");
	refused_with(d, "", json_null(), "unknown field");
}
END_TEST

/* A value of every type of JSON but the right one. */
START_TEST(test_wrong_type)
{
	static const struct {
		const char *json;
		unsigned fits; /* kinds */
	} values[] = {
		{ "null", 0 },
		{ "true", 1u << F_BOOL },
		{ "1.5", 0 },
		{ "1.0", 0 },
		{ "600", 1u << F_INT },
		{ "{}", 0 },
		{ "[]", 1u << F_STRS },
		{ "\"x\"", 1u << F_STR | 1u << F_ADDR | 1u << F_MAC },
	};
	const struct ipc_desc *d = &ipc_desc[_i];
	json_t *body;
	size_t i;
	int j;

	for (i = 0; i < ipc_nfields(d); i++) {
		for (j = 0; j < (int)nitems(values); j++) {
			if (values[j].fits & 1u << d->field[i].kind)
				continue;
			body = message(d, false);
			json_object_set_new(body, d->field[i].name,
			    json_loads(values[j].json, JSON_DECODE_ANY, NULL));
			ck_assert_msg(check_as(d, body) == -1, "%s.%s = %s",
			    d->name, d->field[i].name, values[j].json);
			ck_assert_msg(strncmp(why, "not a", 5) == 0, "%s", why);
			json_decref(body);
		}
	}
}
END_TEST

static void
break_field(const struct ipc_desc *d, const struct ipc_field *f)
{
	static const char zeros[IPC_STRSLEN];
	const char *n = f->name;

	switch (f->kind) {
	case F_INT:
		refused_with(
		    d, n, json_integer(f->min - 1), "number out of range");
		refused_with(
		    d, n, json_integer(f->max + 1), "number out of range");
		refused_with(
		    d, n, json_integer(INT64_MAX), "number out of range");
		refused_with(
		    d, n, json_integer(INT64_MIN), "number out of range");
		break;
	case F_STR:
		if (f->min > 0)
			refused_with(d, n, text_of((size_t)f->min - 1),
			    "string of wrong length");
		refused_with(d, n, text_of((size_t)f->max + 1),
		    "string of wrong length");
		refused_with(d, n,
		    json_stringn_nocheck(
			zeros, f->min > 1 ? (size_t)f->min : 1),
		    "zero byte in a string");
		break;
	case F_ADDR:
		refused_with(d, n, json_string(""), "string of wrong length");
		refused_with(
		    d, n, text_of(IPADDR_STRLEN), "string of wrong length");
		refused_with(d, n, json_string("1.2.3"), "not an address");
		refused_with(d, n, json_string("1.2.3.4/8"), "not an address");
		refused_with(d, n, json_stringn_nocheck("1.2.3.4\0", 8),
		    "zero byte in a string");
		break;
	case F_MAC:
		refused_with(d, n, json_string(""), "string of wrong length");
		refused_with(d, n, json_string("f6:16:36:bc:f9"),
		    "not an Ethernet address");
		refused_with(d, n, text_of(18), "string of wrong length");
		break;
	case F_STRS:
		refused_with(
		    d, n, names_of((size_t)f->max + 1, 1), "array too long");
		refused_with(d, n, names_of(1, IPC_STRSLEN + 1),
		    "string of wrong length");
		refused_with(d, n, json_pack("[s,i]", "x", 1), "not a string");
		refused_with(d, n, json_pack("[n]"), "not a string");
		break;
	case F_BOOL:
	case F_END:
		break;
	}
}

START_TEST(test_out_of_range)
{
	const struct ipc_desc *d = &ipc_desc[_i];
	size_t i;

	for (i = 0; i < ipc_nfields(d); i++)
		break_field(d, &d->field[i]);
}
END_TEST

static const struct {
	const char *what, *json, *why;
} bodies[] = {
	{ "array", "[]", "not an object" },
	{ "string", "\"ready\"", "not an object" },
	{ "null", "null", "not an object" },
	{ "empty", "{}", "no message name" },
	{ "number as name", "{\"msg\":1}", "no message name" },
	{ "null as name", "{\"msg\":null}", "no message name" },
	{ "empty name", "{\"msg\":\"\"}", "unknown message" },
	{ "unknown name", "{\"msg\":\"reboot\"}", "unknown message" },
	{ "other case", "{\"msg\":\"Ready\"}", "unknown message" },
	{ "longer name", "{\"msg\":\"readyy\"}", "unknown message" },
	{ "prefix of a name", "{\"msg\":\"read\"}", "unknown message" },
};

START_TEST(test_body)
{
	json_t *body = json_loads(bodies[_i].json, JSON_DECODE_ANY, NULL);

	ck_assert_ptr_nonnull(body);
	ck_assert_msg(ipc_check(body, ROLE_ETH, ROLE_MAIN, 0, val, &why) == -1,
	    "%s", bodies[_i].what);
	ck_assert_str_eq(why, bodies[_i].why);
	json_decref(body);
}
END_TEST

START_TEST(test_no_body)
{
	ck_assert_int_eq(
	    ipc_check(NULL, ROLE_ETH, ROLE_MAIN, 0, val, &why), -1);
	ck_assert_str_eq(why, "not an object");
}
END_TEST

START_TEST(test_roles)
{
	int i;

	for (i = 0; i < ROLE__MAX; i++)
		ck_assert_int_eq(ipc_role_parse(ipc_role_name[i]), i);
	ck_assert_int_eq(ipc_role_parse(""), -1);
	ck_assert_int_eq(ipc_role_parse("ethd "), -1);
	ck_assert_int_eq(ipc_role_parse("eth"), -1);
}
END_TEST

/* A checked message of that row; it must live as long as its body. */
static struct ipc_msg
checked(enum ipc_type type, const json_t *body)
{
	struct ipc_msg m = { .type = type };
	const struct ipc_desc *d = &ipc_desc[type];

	ck_assert_int_eq(ipc_check(body, role_in(d->from), role_in(d->to),
			     d->fdmin, m.val, &why),
	    (int)type);
	return m;
}

START_TEST(test_getters)
{
	json_t *eth = json_pack("{s:s s:i s:s s:s s:s s:s s:s}", "msg",
	    "conf-eth", "mtu", 9000, "gateway-ip", "10.0.0.1", "host-ip", "::1",
	    "lowest-ip", "10.0.0.2", "highest-ip", "10.0.0.9", "server-mac",
	    "02:50:00:00:00:01");
	json_t *icmp = json_pack("{s:s s:I s:i s:b}", "msg", "flow-icmp", "id",
	    (json_int_t)UINT32_MAX, "echo-id", 7, "raw", 1);
	json_t *ready =
	    json_pack("{s:s s:[s,s]}", "msg", "ready", "sandbox", "a", "b");
	struct ipc_msg m = checked(IPC_CONF_ETH, eth);
	struct ipaddr a = ipc_addr(&m, "gateway-ip");
	struct macaddr mac = ipc_mac(&m, "server-mac");
	char buf[IPADDR_STRLEN];

	ck_assert_str_eq(ipaddr_str(&a, buf), "10.0.0.1");
	ck_assert_str_eq(macaddr_str(&mac, buf), "02:50:00:00:00:01");
	ck_assert_str_eq(ipc_str(&m, "host-ip"), "::1");
	ck_assert_uint_eq(ipc_u64(&m, "mtu"), 9000);
	ck_assert_ptr_null(ipc_str(&m, "other"));
	m = checked(IPC_FLOW_ICMP, icmp);
	ck_assert(ipc_bool(&m, "raw"));
	ck_assert_uint_eq(ipc_u64(&m, "id"), UINT32_MAX);
	m = checked(IPC_READY, ready);
	ck_assert_uint_eq(ipc_nstr(&m, "sandbox"), 2);
	ck_assert_str_eq(ipc_strat(&m, "sandbox", 1), "b");
	ck_assert_ptr_null(ipc_strat(&m, "sandbox", 2));
	m.fd[0] = 7;
	m.nfd = 1;
	ck_assert_int_eq(ipc_take_fd(&m, 0), 7);
	ck_assert_int_eq(ipc_take_fd(&m, 0), -1);
	ck_assert_int_eq(ipc_take_fd(&m, 1), -1);
	json_decref(eth);
	json_decref(icmp);
	json_decref(ready);
}
END_TEST

/*
 * Without a tree.  What is read so is what the library reads, and is judged
 * the same.
 */

static void
same_values(
    const struct ipc_desc *d, const struct ipc_val *a, const struct ipc_val *b)
{
	size_t i;

	for (i = 0; i < ipc_nfields(d); i++) {
		ck_assert_int_eq(a[i].kind, b[i].kind);
		ck_assert_int_eq(a[i].i, b[i].i);
		if (a[i].kind != V_STR)
			continue;
		ck_assert_uint_eq(a[i].len, b[i].len);
		ck_assert_str_eq(a[i].s, b[i].s);
	}
}

static bool
has_array(const struct ipc_desc *d)
{
	size_t i;

	for (i = 0; i < ipc_nfields(d); i++)
		if (d->field[i].kind == F_STRS)
			return true;
	return false;
}

/* Any row without arrays, and no part of it; of long ones, the longest. */
START_TEST(test_flat)
{
	const struct ipc_desc *d = &ipc_desc[_i];
	struct ipc_val flat[IPC_MAXFIELDS];
	bool largest;
	size_t len, n;
	json_t *body;
	char *text, *copy;

	for (largest = false;; largest = true) {
		body = message(d, largest);
		text = json_dumps(body, JSON_COMPACT);
		len = strlen(text);
		ck_assert_ptr_nonnull(copy = malloc(len));
		for (n = len > 2000 ? len - 8 : 0; n <= len; n++) {
			memcpy(copy, text, n);
			ck_assert_int_eq(ipc_flat_read(copy, n, flat),
			    n == len && !has_array(d) ? _i : -1);
			if (n < len)
				ck_assert_mem_eq(copy, text, n);
		}
		ck_assert_int_eq(check_as(d, body), _i);
		if (!has_array(d)) {
			same_values(d, flat, val);
			ck_assert_ptr_null(ipc_check_vals((enum ipc_type)_i,
			    role_in(d->from), role_in(d->to), d->fdmin, flat));
		}
		free(copy);
		free(text);
		json_decref(body);
		if (largest)
			break;
	}
}
END_TEST

#define ICMP "{\"msg\":\"flow-icmp\","

static const struct {
	const char *what, *text;
	bool flat;
} flats[] = {
	{ "in order", ICMP "\"id\":7,\"echo-id\":1,\"raw\":true}", true },
	{ "another order", ICMP "\"raw\":false,\"id\":0,\"echo-id\":1}", true },
	{ "out of range", ICMP "\"id\":-7,\"echo-id\":1,\"raw\":true}", true },
	{ "of another type", ICMP "\"id\":\"\",\"echo-id\":1,\"raw\":2}",
	    true },
	{ "18 digits",
	    ICMP "\"id\":123456789012345678,\"echo-id\":1,\"raw\":true}",
	    true },
	{ "19 digits",
	    ICMP "\"id\":1234567890123456789,\"echo-id\":1,\"raw\":true}",
	    false },
	{ "leading zero", ICMP "\"id\":07,\"echo-id\":1,\"raw\":true}", false },
	{ "minus zero", ICMP "\"id\":-0,\"echo-id\":1,\"raw\":true}", false },
	{ "minus", ICMP "\"id\":-,\"echo-id\":1,\"raw\":true}", false },
	{ "real", ICMP "\"id\":1.0,\"echo-id\":1,\"raw\":true}", false },
	{ "exponent", ICMP "\"id\":1e2,\"echo-id\":1,\"raw\":true}", false },
	{ "null", ICMP "\"id\":null,\"echo-id\":1,\"raw\":true}", false },
	{ "blank", ICMP "\"id\": 7,\"echo-id\":1,\"raw\":true}", false },
	{ "blank at the end", ICMP "\"id\":7,\"echo-id\":1,\"raw\":true} ",
	    false },
	{ "more behind", ICMP "\"id\":7,\"echo-id\":1,\"raw\":true}}", false },
	{ "escape", ICMP "\"id\":\"\\n\",\"echo-id\":1,\"raw\":true}", false },
	{ "not ASCII", ICMP "\"id\":\"\xc3\xa9\",\"echo-id\":1,\"raw\":true}",
	    false },
	{ "twice", ICMP "\"id\":7,\"id\":7,\"raw\":true}", false },
	{ "one too many", ICMP "\"id\":7,\"echo-id\":1,\"raw\":true,\"id\":7}",
	    false },
	{ "missing", ICMP "\"id\":7,\"echo-id\":1}", false },
	{ "unknown", ICMP "\"id\":7,\"echo-id\":1,\"ra\":true}", false },
	{ "name not first", "{\"id\":7,\"msg\":\"flow-close\"}", false },
	{ "unknown name", "{\"msg\":\"flow-clos\",\"id\":7}", false },
	{ "no fields", "{\"msg\":\"hello\"}", false },
	{ "nothing", "", false },
};

/* What is flat is what the library reads; what is not stays as it was. */
START_TEST(test_flat_shape)
{
	size_t len = strlen(flats[_i].text);
	struct ipc_val flat[IPC_MAXFIELDS];
	char text[128];
	const char *w;
	json_t *body;
	int type;

	memcpy(text, flats[_i].text, len);
	type = ipc_flat_read(text, len, flat);
	ck_assert_msg((type != -1) == flats[_i].flat, "%s", flats[_i].what);
	if (type == -1) {
		ck_assert_mem_eq(text, flats[_i].text, len);
		return;
	}
	body = json_loadb(flats[_i].text, len, JSON_REJECT_DUPLICATES, NULL);
	ck_assert_ptr_nonnull(body);
	w = ipc_check_vals((enum ipc_type)type, ROLE_PORT, ROLE_STACK, 1, flat);
	if (ipc_check(body, ROLE_PORT, ROLE_STACK, 1, val, &why) == -1)
		ck_assert_str_eq(w, why);
	else
		same_values(&ipc_desc[type], flat, val);
	json_decref(body);
}
END_TEST

static int
pack(struct ipc_val *v, enum ipc_type type, const char *fmt, ...)
{
	va_list ap;
	int ret;

	va_start(ap, fmt);
	ret = ipc_flat_pack(type, fmt, ap, v);
	va_end(ap);
	return ret;
}

START_TEST(test_flat_pack)
{
	struct ipc_val v[IPC_MAXFIELDS];

	ck_assert_int_eq(pack(v, IPC_FLOW_ICMP, "{s:b, s:I,s:i}", "raw", 2,
			     "id", (json_int_t)1 << 40, "echo-id", -1),
	    0);
	ck_assert_int_eq(v[0].i, (int64_t)1 << 40);
	ck_assert_int_eq(v[1].i, -1);
	ck_assert(v[2].kind == V_BOOL && v[2].i == 1);
	ck_assert_int_eq(
	    pack(v, IPC_HELLO, "{s:s,s:i}", "version", "1.2 \"", "pid", 3), -1);
	ck_assert_int_eq(
	    pack(v, IPC_HELLO, "{s:s,s:i}", "version", NULL, "pid", 3), -1);
	ck_assert_int_eq(
	    pack(v, IPC_HELLO, "{s:s,s:i}", "version", "", "pid", 3), 0);
	ck_assert(v[0].kind == V_STR && v[0].len == 0);
	/* Not of the row, missing, twice, or of a kind that is not flat. */
	ck_assert_int_eq(pack(v, IPC_FLOW_CLOSE, "{s:i}", "ID", 1), -1);
	ck_assert_int_eq(pack(v, IPC_FLOW_CLOSE, "{}"), -1);
	ck_assert_int_eq(pack(v, IPC_FLOW_CLOSE, NULL), -1);
	ck_assert_int_eq(
	    pack(v, IPC_FLOW_CLOSE, "{s:i,s:i}", "id", 1, "id", 1), -1);
	ck_assert_int_eq(pack(v, IPC_FLOW_CLOSE, "{s:f}", "id", 1.0), -1);
	ck_assert_int_eq(pack(v, IPC_READY, "{s:[s]}", "sandbox", "a"), -1);
}
END_TEST

int
main(void)
{
	TCase *t = tcase_create("ipc_msgs");

	tcase_add_loop_test(t, test_row_is_sound, 0, IPC__MAX);
	tcase_add_loop_test(t, test_who, 0, IPC__MAX);
	tcase_add_loop_test(t, test_size, 0, IPC__MAX);
	tcase_add_loop_test(t, test_fds, 0, IPC__MAX);
	tcase_add_loop_test(t, test_missing_and_unknown, 0, IPC__MAX);
	tcase_add_loop_test(t, test_wrong_type, 0, IPC__MAX);
	tcase_add_loop_test(t, test_out_of_range, 0, IPC__MAX);
	tcase_add_loop_test(t, test_body, 0, nitems(bodies));
	tcase_add_test(t, test_no_body);
	tcase_add_test(t, test_roles);
	tcase_add_test(t, test_getters);
	tcase_add_loop_test(t, test_flat, 0, IPC__MAX);
	tcase_add_loop_test(t, test_flat_shape, 0, nitems(flats));
	tcase_add_test(t, test_flat_pack);
	return check_case("ipc_msgs", t);
}
