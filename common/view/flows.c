#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <bsd/string.h>

#include "common/view/view.h"

/* Since a time that a daemon has told. */
static usec_t
since(usec_t now, usec_t then)
{
	return then > 0 && then < now ? now - then : 0;
}

/*
 * Order.
 */

static double
weight(const struct flow *f, enum flow_sort by, usec_t now)
{
	switch (by) {
	case SORT_RATE:
		if (f->out_bps >= 0 || f->in_bps >= 0)
			return f->out_bps + f->in_bps;
		break;
	case SORT_AGE:
		return (double)since(now, f->f.opened);
	case SORT_RTT:
		return (double)f->f.rtt_guest + (double)f->f.rtt_host;
	case SORT_BYTES:
		break;
	}
	return (double)f->f.to_host + (double)f->f.to_guest;
}

struct ranked {
	double weight;
	size_t i;
};

static int
by_weight(const void *pa, const void *pb)
{
	const struct ranked *a = pa, *b = pb;

	if (a->weight != b->weight)
		return a->weight < b->weight ? 1 : -1;
	return a->i < b->i ? -1 : a->i > b->i;
}

void
flows_sort(struct flow *v, size_t n, enum flow_sort by, usec_t now)
{
	struct ranked *r = calloc(n, sizeof(*r));
	struct flow *copy = calloc(n, sizeof(*copy));
	size_t i;

	for (i = 0; r != NULL && copy != NULL && i < n; i++) {
		r[i].weight = weight(&v[i], by, now);
		r[i].i = i;
		copy[i] = v[i];
	}
	if (i == n && n > 0) {
		qsort(r, n, sizeof(*r), by_weight);
		for (i = 0; i < n; i++)
			v[i] = copy[r[i].i];
	}
	free(r);
	free(copy);
}

/* In the order of reading. */
static bool
is_before(const struct flow *a, const struct flow *b)
{
	return a->serial != b->serial ? a->serial < b->serial
				      : a->slot < b->slot;
}

/* A place in the table may have another flow by now. */
static bool
is_same(const struct flow *a, const struct flow *b)
{
	return a->serial == b->serial && a->slot == b->slot &&
	       a->f.opened == b->f.opened &&
	       a->f.guest_port == b->f.guest_port &&
	       a->f.host_port == b->f.host_port && a->f.host_ip == b->f.host_ip;
}

static double
rate(uint64_t bytes, uint64_t before, double secs)
{
	return bytes >= before ? (double)(bytes - before) * 8 / secs : 0;
}

void
flows_rates(
    struct flow *v, size_t n, const struct flow *old, size_t nold, usec_t dt)
{
	static const struct flowtab_flow none;
	double secs = (double)dt / (double)USEC_SEC;
	const struct flowtab_flow *was;
	size_t i, k = 0;

	for (i = 0; i < n && dt > 0; i++) {
		while (k < nold && is_before(&old[k], &v[i]))
			k++;
		was = k < nold && is_same(&old[k], &v[i]) ? &old[k].f : &none;
		v[i].out_bps = rate(v[i].f.to_host, was->to_host, secs);
		v[i].in_bps = rate(v[i].f.to_guest, was->to_guest, secs);
	}
}

/* Without a second look: the mean over the flow's life, which lasts to then. */
static void
mean_rate(struct flow *f, usec_t until)
{
	double secs = (double)since(until, f->f.opened) / (double)USEC_SEC;

	if (f->out_bps >= 0 || secs <= 0)
		return;
	f->out_bps = (double)f->f.to_host * 8 / secs;
	f->in_bps = (double)f->f.to_guest * 8 / secs;
}

/*
 * Text and JSON.
 */

static const char *
rtt_text(uint32_t us, char *buf)
{
	return us != 0 ? print_ms(us, buf) : "-";
}

static void
remote_cells(struct table *t, const struct flow *f)
{
	char addr[PRINT_NUM];

	/* What listens to everybody has no other end. */
	if (f->f.host_ip == 0 && f->f.host_port == 0)
		table_cell(t, "*");
	else
		table_cell(
		    t, "%s", print_addr(f->f.host_ip, f->f.host_port, addr));
}

static void
name_cell(struct table *t, const char *name, const struct style *st)
{
	if (st->name == 0 || strlen(name) <= (size_t)st->name)
		table_cell(t, "%s", name);
	else
		table_cell(t, "%.*s...", st->name - 3, name);
}

void
flows_table(FILE *out, const struct snapshot *s, const struct flow *v, size_t n,
    const struct style *st)
{
	static const char *const head[] = { ">VM", "PROTO", "GUEST", "REMOTE",
		"NAME", "STATE", "LIMITED BY", ">SENT", ">RATE", ">RECEIVED",
		">RATE", ">RTT GUEST", ">RTT HOST", ">AGE" };
	struct dnstab_name buf;
	char b[PRINT_NUM];
	const char *name;
	struct table t;
	size_t i;

	table_init(&t, head, 14);
	for (i = 0; i < n; i++) {
		const struct flowtab_flow *f = &v[i].f;

		table_cell(&t, "%u", v[i].vm);
		table_cell(&t, "%s", f->proto);
		table_cell(&t, "%s", print_addr(f->guest_ip, f->guest_port, b));
		remote_cells(&t, &v[i]);
		name = dns_name(s, &v[i], &buf);
		name_cell(&t, name != NULL ? name : "-", st);
		table_cell(&t, "%s", f->state);
		table_cell(&t, "%s", f->limit[0] != '\0' ? f->limit : "-");
		table_cell(&t, "%s", print_bytes((double)f->to_host, b));
		table_cell(&t, "%s", print_rate(v[i].out_bps, b));
		table_cell(&t, "%s", print_bytes((double)f->to_guest, b));
		table_cell(&t, "%s", print_rate(v[i].in_bps, b));
		table_cell(&t, "%s", rtt_text(f->rtt_guest, b));
		table_cell(&t, "%s", rtt_text(f->rtt_host, b));
		table_cell(&t, "%s", print_time(since(s->now, f->opened), b));
	}
	table_print(out, &t, st);
}

static json_t *
or_null(bool known, double value)
{
	return known ? json_real(value) : json_null();
}

/* A flow that lasts to then. */
static json_t *
flow_json(const struct snapshot *s, const struct flow *v, usec_t until)
{
	const struct flowtab_flow *f = &v->f;
	char g[PRINT_NUM], h[PRINT_NUM];
	struct dnstab_name buf;
	const char *name = dns_name(s, v, &buf);

	return json_pack("{s:I, s:o, s:s, s:s, s:o, s:o, s:o, s:I, s:I, s:o, "
			 "s:o, s:o, s:o, s:f}",
	    "vm", (json_int_t)v->vm, "proto", print_json(f->proto), "guest",
	    print_addr(f->guest_ip, f->guest_port, g), "remote",
	    print_addr(f->host_ip, f->host_port, h), "name",
	    name != NULL ? print_json(name) : json_null(), "state",
	    print_json(f->state), "limited-by",
	    f->limit[0] != '\0' ? print_json(f->limit) : json_null(),
	    "bytes-sent", (json_int_t)f->to_host, "bytes-received",
	    (json_int_t)f->to_guest, "bits-per-second-sent",
	    or_null(v->out_bps >= 0, v->out_bps), "bits-per-second-received",
	    or_null(v->in_bps >= 0, v->in_bps), "rtt-guest",
	    or_null(f->rtt_guest != 0, f->rtt_guest / 1e6), "rtt-host",
	    or_null(f->rtt_host != 0, f->rtt_host / 1e6), "age",
	    (double)since(until, f->opened) / 1e6);
}

static size_t
only_vm(struct flow *v, size_t n, uint32_t vm)
{
	size_t i, k = 0;

	for (i = 0; i < n; i++) {
		if (vm == 0 || v[i].vm == vm)
			v[k++] = v[i];
	}
	return k;
}

void
flows_print(
    FILE *out, const struct snapshot *s, uint32_t vm, const struct style *st)
{
	struct flow *v;
	size_t i, n;
	json_t *a;

	n = read_flows(s, &v);
	n = only_vm(v, n, vm);
	for (i = 0; i < n; i++)
		mean_rate(&v[i], s->now);
	flows_sort(v, n, SORT_BYTES, s->now);
	if (st->json) {
		a = json_array();
		for (i = 0; i < n; i++)
			json_array_append_new(a, flow_json(s, &v[i], s->now));
		print_json_dump(out, json_pack("{s:o}", "flows", a));
	} else {
		flows_table(out, s, v, n, st);
	}
	free(v);
}

/*
 * Why.
 */

/* Calls fn for each counter of something lost that is not zero. */
static void
each_loss(const struct snapshot *s,
    void (*fn)(void *arg, const struct process *, const struct counter *,
	const char *text),
    void *arg)
{
	struct counter c[STATS_MAX];
	const struct process *p;
	const char *text;
	size_t i, n;

	for (p = s->v; p < snapshot_end(s); p++) {
		n = read_counters(&p->counters, c, STATS_MAX);
		for (i = 0; i < n; i++) {
			text = meaning_of_loss(p->role, c[i].name);
			if (c[i].value != 0 && text != NULL)
				fn(arg, p, &c[i], text);
		}
	}
}

static void
loss_cells(void *arg, const struct process *p, const struct counter *c,
    const char *text)
{
	struct table *t = arg;

	table_cell(t, "%s", p->name);
	table_cell(t, "%llu", (unsigned long long)c->value);
	table_cell(t, "%s", c->name);
	table_cell(t, "%s", text);
}

static void
loss_json(void *arg, const struct process *p, const struct counter *c,
    const char *text)
{
	json_array_append_new(
	    arg, json_pack("{s:o, s:s, s:I, s:s}", "process",
		     print_json(p->name), "counter", c->name, "count",
		     (json_int_t)c->value, "meaning", text));
}

/* Flows that came to an end for a reason, newest first. */
static size_t
with_reason(struct flow *v, size_t n)
{
	size_t i, k = 0;

	for (i = 0; i < n; i++) {
		if (v[i].f.limit[0] != '\0')
			v[k++] = v[i];
	}
	return k;
}

static void
ends_table(FILE *out, const struct flow *v, size_t n, usec_t now,
    const struct style *st)
{
	static const char *const head[] = { ">AGO", ">VM", "PROTO", "GUEST",
		"REMOTE", "STATE", "ENDED BY", ">SENT", ">RECEIVED" };
	char b[PRINT_NUM];
	struct table t;
	size_t i;

	table_init(&t, head, 9);
	for (i = 0; i < n; i++) {
		const struct flowtab_flow *f = &v[i].f;

		table_cell(&t, "%s", print_time(since(now, f->changed), b));
		table_cell(&t, "%u", v[i].vm);
		table_cell(&t, "%s", f->proto);
		table_cell(&t, "%s", print_addr(f->guest_ip, f->guest_port, b));
		remote_cells(&t, &v[i]);
		table_cell(&t, "%s", f->state);
		table_cell(&t, "%s", f->limit[0] != '\0' ? f->limit : "itself");
		table_cell(&t, "%s", print_bytes((double)f->to_host, b));
		table_cell(&t, "%s", print_bytes((double)f->to_guest, b));
	}
	table_print(out, &t, st);
}

static json_t *
ends_json(const struct snapshot *s, struct flow *v, size_t n)
{
	json_t *a = json_array(), *j;
	size_t i;

	for (i = 0; i < n; i++) {
		mean_rate(&v[i], v[i].f.changed);
		j = flow_json(s, &v[i], v[i].f.changed);
		json_object_del(j, "limited-by");
		json_object_set_new(j, "ended-by",
		    v[i].f.limit[0] != '\0' ? print_json(v[i].f.limit)
					    : json_null());
		json_object_set_new(j, "ago",
		    json_real((double)since(s->now, v[i].f.changed) / 1e6));
		json_array_append_new(a, j);
	}
	return a;
}

/* Of "address:port" the whole or only the address. */
static bool
is_end(const char *end, const char *what)
{
	size_t n = strlen(what);

	return strncmp(end, what, n) == 0 && (end[n] == '\0' || end[n] == ':');
}

/* The text of one of a flow's ends is what the user gave. */
static size_t
only_matching(
    const struct snapshot *s, struct flow *v, size_t n, const char *what)
{
	char g[PRINT_NUM], h[PRINT_NUM];
	struct dnstab_name buf;
	const char *name;
	size_t i, k = 0;

	for (i = 0; i < n; i++) {
		print_addr(v[i].f.guest_ip, v[i].f.guest_port, g);
		print_addr(v[i].f.host_ip, v[i].f.host_port, h);
		name = dns_name(s, &v[i], &buf);
		if (is_end(g, what) || is_end(h, what) ||
		    (name != NULL && strcasecmp(name, what) == 0))
			v[k++] = v[i];
	}
	return k;
}

static void
drops_print(FILE *out, const struct snapshot *s, const struct style *st)
{
	static const char *const head[] = { "PROCESS", ">COUNT", "COUNTER",
		"MEANING" };
	json_t *losses;
	struct flow *v;
	struct table t;
	size_t n;

	n = read_ends(s, &v);
	n = with_reason(v, n);
	if (st->json) {
		losses = json_array();
		each_loss(s, loss_json, losses);
		print_json_dump(out, json_pack("{s:o, s:o}", "counters", losses,
					 "ended", ends_json(s, v, n)));
	} else {
		table_init(&t, head, 4);
		each_loss(s, loss_cells, &t);
		if (t.n == 0)
			fputs("Nothing was dropped or refused.\n\n", out);
		else
			table_print(out, &t, st);
		fputs(t.n == 0 ? "" : "\n", out);
		ends_table(out, v, n < 20 ? n : 20, s->now, st);
	}
	free(v);
}

static size_t
explain_json(FILE *out, const struct snapshot *s, const char *what,
    const struct flow *v, size_t n, struct flow *e, size_t ne)
{
	json_t *a = json_array(), *queries = dns_queries_json(s, what);
	size_t i, nq = json_array_size(queries);

	for (i = 0; i < n; i++)
		json_array_append_new(a, flow_json(s, &v[i], s->now));
	print_json_dump(out, json_pack("{s:o, s:o, s:o}", "flows", a, "ended",
				 ends_json(s, e, ne), "queries", queries));
	return nq;
}

static size_t
explain_tables(FILE *out, const struct snapshot *s, const char *what,
    const struct flow *v, size_t n, const struct flow *e, size_t ne,
    const struct style *st)
{
	size_t nq;

	if (n > 0)
		flows_table(out, s, v, n, st);
	if (n > 0 && ne > 0)
		fputc('\n', out);
	if (ne > 0)
		ends_table(out, e, ne, s->now, st);
	nq = dns_queries(out, n + ne > 0 ? "\n" : "", s, what, st);
	if (n + ne + nq == 0)
		fputs("No such flow or query, and none of the last ones that "
		      "ended.\n",
		    out);
	return nq;
}

int
explain_print(FILE *out, const struct snapshot *s, const char *arg,
    const struct style *st)
{
	char what[DNSTAB_TEXT];
	struct flow *v, *e;
	size_t i, n, ne, nq;

	if (strcmp(arg, "drops") == 0) {
		drops_print(out, s, st);
		return 0;
	}
	/* The dot that ends a name of DNS is never written here. */
	n = strlcpy(what, arg, sizeof(what));
	if (n > 1 && n < sizeof(what) && what[n - 1] == '.')
		what[n - 1] = '\0';
	n = read_flows(s, &v);
	n = only_matching(s, v, n, what);
	ne = read_ends(s, &e);
	ne = only_matching(s, e, ne, what);
	for (i = 0; i < n; i++)
		mean_rate(&v[i], s->now);
	if (st->json)
		nq = explain_json(out, s, what, v, n, e, ne);
	else
		nq = explain_tables(out, s, what, v, n, e, ne, st);
	free(v);
	free(e);
	return n + ne + nq > 0 ? 0 : -1;
}
