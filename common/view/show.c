#include <string.h>

#include "common/view/view.h"

static const char *const level_name[] = { "error", "warning", "info", "debug" };

static const char *
level_of(const struct process *p)
{
	return (unsigned)p->log_level < 4 ? level_name[p->log_level] : "?";
}

/* Bytes the guest has sent, and got. */
static uint64_t
traffic(const struct process *p, bool from_guest)
{
	return read_counter(&p->counters, from_guest ? "rx-bytes" : "tx-bytes");
}

static uint64_t
nflows(const struct process *p)
{
	return read_counter(&p->counters, "tcp-flows") +
	       read_counter(&p->counters, "udp-flows") +
	       read_counter(&p->counters, "icmp-flows");
}

bool
show_healthy(const struct snapshot *s)
{
	size_t i;

	for (i = 0; i < s->n; i++) {
		if (strcmp(s->v[i].state, "up") != 0)
			return false;
	}
	return s->n > 0;
}

static json_t *
process_json(const struct process *p)
{
	json_t *j = json_pack(
	    "{s:o, s:o, s:I, s:o, s:f, s:I, s:o, s:I, s:s, s:o}", "name",
	    print_json(p->name), "role", print_json(p->role), "pid",
	    (json_int_t)p->pid, "state", print_json(p->state), "uptime",
	    (double)p->uptime_ms / 1000, "restarts", (json_int_t)p->restarts,
	    "last-end", p->why[0] != '\0' ? print_json(p->why) : json_null(),
	    "memory", (json_int_t)p->memory, "log-level", level_of(p),
	    "sandbox", print_words(p->sandbox));

	if (p->vm != 0)
		json_object_set_new(j, "vm", json_integer(p->vm));
	return j;
}

static json_t *
vm_json(const struct process *p)
{
	return json_pack("{s:I, s:o, s:o, s:o, s:o, s:I, s:I, s:I}", "vm",
	    (json_int_t)p->vm, "process", print_json(p->name), "address",
	    print_json(p->ip), "mac", print_json(p->mac), "uuid",
	    print_json(p->uuid), "bytes-from-guest",
	    (json_int_t)traffic(p, true), "bytes-to-guest",
	    (json_int_t)traffic(p, false), "flows", (json_int_t)nflows(p));
}

static void
show_json(FILE *out, const struct snapshot *s)
{
	json_t *ps = json_array(), *vms = json_array();
	size_t i;

	for (i = 0; i < s->n; i++) {
		json_array_append_new(ps, process_json(&s->v[i]));
		if (s->v[i].vm != 0)
			json_array_append_new(vms, vm_json(&s->v[i]));
	}
	print_json_dump(out,
	    json_pack("{s:o, s:b, s:o, s:o}", "version", print_json(s->version),
		"healthy", show_healthy(s), "processes", ps, "vms", vms));
}

static void
show_processes(FILE *out, const struct snapshot *s, const struct style *st)
{
	static const char *const head[] = { "PROCESS", ">PID", "STATE",
		">UPTIME", ">RESTARTS", ">MEMORY", "LOG" };
	char a[PRINT_NUM], b[PRINT_NUM];
	const struct process *p;
	struct table t;

	table_init(&t, head, 7);
	for (p = s->v; p < snapshot_end(s); p++) {
		table_cell(&t, "%s", p->name);
		table_cell(&t, "%lld", (long long)p->pid);
		table_cell(&t, "%s", p->state);
		table_cell(&t, "%s", print_time(p->uptime_ms * USEC_MS, a));
		table_cell(&t, "%u", p->restarts);
		table_cell(&t, "%s",
		    p->memory > 0 ? print_bytes((double)p->memory, b) : "-");
		table_cell(&t, "%s", level_of(p));
	}
	table_print(out, &t, st);
}

static void
show_ends(FILE *out, const struct snapshot *s)
{
	const struct process *p;
	char why[1024];

	for (p = s->v; p < snapshot_end(s); p++) {
		if (p->why[0] != '\0')
			fprintf(out, "%s last %s\n", p->name,
			    print_safe(p->why, why, sizeof(why)));
	}
}

/* Whether no process before p has the same layers. */
static bool
is_first_with(const struct snapshot *s, const struct process *p)
{
	const struct process *q;

	for (q = s->v; q < p; q++) {
		if (strcmp(q->sandbox, p->sandbox) == 0)
			return false;
	}
	return true;
}

/* What the OS confirmed, once for all processes that have the same. */
static void
show_sandboxes(FILE *out, const struct snapshot *s)
{
	const struct process *p, *q;
	char text[1024];

	for (p = s->v; p < snapshot_end(s); p++) {
		if (!is_first_with(s, p))
			continue;
		fputs("Sandbox of", out);
		for (q = p; q < snapshot_end(s); q++) {
			if (strcmp(q->sandbox, p->sandbox) == 0)
				fprintf(out, " %s",
				    print_safe(q->name, text, sizeof(text)));
		}
		fprintf(out, ":\n    %s\n",
		    p->sandbox[0] != '\0'
			? print_safe(p->sandbox, text, sizeof(text))
			: "none");
	}
}

static void
show_vms(FILE *out, const struct snapshot *s, const struct style *st)
{
	static const char *const head[] = { ">VM", "ADDRESS", "MAC", "UUID",
		">FROM GUEST", ">TO GUEST", ">FLOWS" };
	char a[PRINT_NUM], b[PRINT_NUM];
	const struct process *p;
	struct table t;

	table_init(&t, head, 7);
	for (p = s->v; p < snapshot_end(s); p++) {
		if (p->vm == 0)
			continue;
		table_cell(&t, "%u", p->vm);
		table_cell(&t, "%s", p->ip);
		table_cell(&t, "%s", p->mac);
		table_cell(&t, "%s", p->uuid);
		table_cell(&t, "%s", print_bytes((double)traffic(p, true), a));
		table_cell(&t, "%s", print_bytes((double)traffic(p, false), b));
		table_cell(&t, "%llu", (unsigned long long)nflows(p));
	}
	if (t.n == 0)
		fputs("No virtual machine is connected.\n", out);
	else
		table_print(out, &t, st);
}

void
show_print(FILE *out, const struct snapshot *s, const struct style *st)
{
	char version[256];

	if (st->json) {
		show_json(out, s);
		return;
	}
	fprintf(out, "vpnkit %s%s\n\n",
	    print_safe(s->version, version, sizeof(version)),
	    show_healthy(s) ? "" : ": something does not run");
	show_processes(out, s, st);
	show_ends(out, s);
	fputc('\n', out);
	show_sandboxes(out, s);
	fputc('\n', out);
	show_vms(out, s, st);
}

/*
 * Counters.
 */

static json_t *
counters_json(const struct process *p, bool all)
{
	struct counter c[STATS_MAX];
	size_t i, n = read_counters(&p->counters, c, STATS_MAX);
	json_t *j = json_object();
	char name[4 * STATS_NAMELEN + 1];

	for (i = 0; i < n; i++) {
		if (all || c[i].value != 0)
			json_object_set_new(j,
			    print_safe(c[i].name, name, sizeof(name)),
			    json_integer((json_int_t)c[i].value));
	}
	return j;
}

static void
counters_of(struct table *t, const struct process *p, bool all)
{
	struct counter c[STATS_MAX];
	size_t i, n = read_counters(&p->counters, c, STATS_MAX);

	for (i = 0; i < n; i++) {
		if (!all && c[i].value == 0)
			continue;
		table_cell(t, "%s", p->name);
		table_cell(t, "%s", c[i].name);
		table_cell(t, "%llu", (unsigned long long)c[i].value);
	}
}

void
counters_print(FILE *out, const struct snapshot *s, const char *name, bool all,
    const struct style *st)
{
	static const char *const head[] = { "PROCESS", "COUNTER", ">VALUE" };
	json_t *j = json_object();
	struct table t;
	size_t i;

	table_init(&t, head, 3);
	for (i = 0; i < s->n; i++) {
		if (s->v[i].counters.p == NULL ||
		    (name != NULL && strcmp(s->v[i].name, name) != 0))
			continue;
		if (st->json)
			json_object_set_new(
			    j, s->v[i].name, counters_json(&s->v[i], all));
		else
			counters_of(&t, &s->v[i], all);
	}
	if (st->json)
		print_json_dump(out, json_incref(j));
	else
		table_print(out, &t, st);
	json_decref(j);
}
