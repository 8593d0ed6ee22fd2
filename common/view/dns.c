/*
 * What dnsd knows: servers and the last queries.
 */

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/view/view.h"

static const struct {
	uint16_t type;
	const char *name;
} types[] = {
	{ 1, "A" },
	{ 2, "NS" },
	{ 5, "CNAME" },
	{ 6, "SOA" },
	{ 12, "PTR" },
	{ 15, "MX" },
	{ 16, "TXT" },
	{ 28, "AAAA" },
	{ 33, "SRV" },
	{ 35, "NAPTR" },
	{ 43, "DS" },
	{ 46, "RRSIG" },
	{ 48, "DNSKEY" },
	{ 64, "SVCB" },
	{ 65, "HTTPS" },
	{ 255, "ANY" },
	{ 257, "CAA" },
};

static const char *const rcodes[] = { "NOERROR", "FORMERR", "SERVFAIL",
	"NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET",
	"NOTAUTH", "NOTZONE" };

static const char *
type_text(uint16_t type, char *buf)
{
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (types[i].type == type)
			return types[i].name;
	}
	snprintf(buf, PRINT_NUM, "TYPE%u", type);
	return buf;
}

static const char *
rcode_text(uint16_t rcode, char *buf)
{
	if (rcode < sizeof(rcodes) / sizeof(rcodes[0]))
		return rcodes[rcode];
	snprintf(buf, PRINT_NUM, "RCODE%u", rcode);
	return buf;
}

/* NULL: dnsd has left nothing. */
static const struct dnstab_file *
table_of(const struct snapshot *s)
{
	size_t i;

	for (i = 0; i < s->n; i++) {
		if (s->v[i].queries.p != NULL &&
		    dnstab_check(s->v[i].queries.p, s->v[i].queries.len) == 0)
			return s->v[i].queries.p;
	}
	return NULL;
}

static double
ago(usec_t now, usec_t then)
{
	return then > 0 && then < now ? (double)(now - then) / 1e6 : 0;
}

/* Letters of names are of no case. */
static bool
is_of(const struct dnstab_query *q, const char *name)
{
	return name == NULL || strcasecmp(q->name, name) == 0;
}

const char *
dns_name(
    const struct snapshot *s, const struct flow *v, struct dnstab_name *buf)
{
	const struct dnstab_file *f = table_of(s);

	if (f == NULL || v->f.host_ip == 0 ||
	    !dnstab_find_name(f, v->vm, v->f.host_ip, buf))
		return NULL;
	return buf->name;
}

/*
 * JSON.
 */

static json_t *
or_null(bool known, uint32_t us)
{
	return known ? json_real(us / 1e6) : json_null();
}

static json_t *
server_json(const struct dnstab_server *v, usec_t now)
{
	bool known = v->rtt != 0;

	return json_pack("{s:o, s:o, s:I, s:f, s:b, s:I, s:I, s:I, s:o, s:o, "
			 "s:o, s:o}",
	    "server", print_json(v->addr), "zones", print_words(v->zones),
	    "order", (json_int_t)v->order, "timeout", v->timeout_ms / 1e3,
	    "answers", v->offline == 0, "asked", (json_int_t)v->asked,
	    "answered", (json_int_t)v->answered, "unanswered",
	    (json_int_t)v->missed, "latency", or_null(known, v->rtt),
	    "latency-min", or_null(known, v->rtt_min), "latency-max",
	    or_null(known, v->rtt_max), "last-answer",
	    v->last_answer > 0 ? json_real(ago(now, v->last_answer))
			       : json_null());
}

static json_t *
query_json(const struct dnstab_query *q, usec_t now)
{
	char t[PRINT_NUM], r[PRINT_NUM];

	return json_pack("{s:f, s:I, s:o, s:s, s:s, s:o, s:f}", "ago",
	    ago(now, q->when), "vm", (json_int_t)q->vm, "name",
	    print_json(q->name), "type", type_text(q->type, t), "answer",
	    rcode_text(q->rcode, r), "by", print_json(q->by), "took",
	    q->took / 1e6);
}

json_t *
dns_queries_json(const struct snapshot *s, const char *name)
{
	const struct dnstab_file *f = table_of(s);
	json_t *a = json_array();
	struct dnstab_query q;
	uint32_t i;

	for (i = 0; f != NULL && i < DNSTAB_QUERIES; i++) {
		if (dnstab_get_query(f, i, &q) && is_of(&q, name))
			json_array_append_new(a, query_json(&q, s->now));
	}
	return a;
}

static void
dns_json(FILE *out, const struct snapshot *s, const struct dnstab_file *f)
{
	json_t *servers = json_array();
	struct dnstab_server v;
	uint32_t i;

	for (i = 0; f != NULL && i < DNSTAB_SERVERS; i++) {
		if (dnstab_get_server(f, i, &v))
			json_array_append_new(servers, server_json(&v, s->now));
	}
	print_json_dump(out, json_pack("{s:o, s:o}", "servers", servers,
				 "queries", dns_queries_json(s, NULL)));
}

/*
 * Tables.
 */

static void
latency_cell(struct table *t, bool known, uint32_t us)
{
	char buf[PRINT_NUM];

	table_cell(t, "%s", known ? print_ms(us, buf) : "-");
}

static void
servers_table(FILE *out, const struct snapshot *s, const struct dnstab_file *f,
    const struct style *st)
{
	static const char *const head[] = { "SERVER", ">ORDER", "ZONES",
		"STATE", ">ASKED", ">ANSWERED", ">UNANSWERED", ">LATENCY",
		">MIN", ">MAX", ">LAST ANSWER" };
	struct dnstab_server v;
	char b[PRINT_NUM];
	struct table t;
	uint32_t i;

	table_init(&t, head, 11);
	for (i = 0; i < DNSTAB_SERVERS; i++) {
		if (!dnstab_get_server(f, i, &v))
			continue;
		table_cell(&t, "%s", v.addr);
		table_cell(&t, "%u", v.order);
		table_cell(&t, "%s", v.zones[0] != '\0' ? v.zones : "-");
		table_cell(&t, "%s", v.offline ? "silent" : "ok");
		table_cell(&t, "%llu", (unsigned long long)v.asked);
		table_cell(&t, "%llu", (unsigned long long)v.answered);
		table_cell(&t, "%llu", (unsigned long long)v.missed);
		latency_cell(&t, v.rtt != 0, v.rtt);
		latency_cell(&t, v.rtt != 0, v.rtt_min);
		latency_cell(&t, v.rtt != 0, v.rtt_max);
		table_cell(&t, "%s",
		    v.last_answer > 0 ? print_time(s->now - v.last_answer, b)
				      : "never");
	}
	if (t.n == 0)
		fputs("No name server is configured.\n", out);
	else
		table_print(out, &t, st);
}

size_t
dns_queries(FILE *out, const char *lead, const struct snapshot *s,
    const char *name, const struct style *st)
{
	static const char *const head[] = { ">AGO", ">VM", "TYPE", "ANSWER",
		">TOOK", "BY", "NAME" };
	const struct dnstab_file *f = table_of(s);
	struct dnstab_query q;
	char b[PRINT_NUM];
	struct table t;
	uint32_t i;
	size_t n = 0;

	table_init(&t, head, 7);
	for (i = 0; f != NULL && i < DNSTAB_QUERIES && n < DNS_LASTQUERIES;
	     i++) {
		if (!dnstab_get_query(f, i, &q) || !is_of(&q, name))
			continue;
		n++;
		table_cell(&t, "%s", print_time(s->now - q.when, b));
		table_cell(&t, "%u", q.vm);
		table_cell(&t, "%s", type_text(q.type, b));
		table_cell(&t, "%s", rcode_text(q.rcode, b));
		table_cell(&t, "%s", print_ms(q.took, b));
		table_cell(&t, "%s", q.by);
		table_cell(&t, "%s", q.name);
	}
	if (n > 0) {
		fputs(lead, out);
		table_print(out, &t, st);
	}
	return n;
}

void
dns_print(FILE *out, const struct snapshot *s, const struct style *st)
{
	const struct dnstab_file *f = table_of(s);

	if (st->json) {
		dns_json(out, s, f);
		return;
	}
	if (f == NULL) {
		fputs("dnsd has not started yet.\n", out);
		return;
	}
	servers_table(out, s, f, st);
	if (dns_queries(out, "\n", s, NULL, st) == 0)
		fputs("\nNo name was asked for.\n", out);
}
