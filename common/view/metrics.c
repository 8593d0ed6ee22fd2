/*
 * OpenMetrics text: families by name, each with its type, their samples
 * together, "# EOF" at the end.
 */

#include <ctype.h>
#include <string.h>

#include "common/view/view.h"

/* Letters, digits and underlines; the daemons' names may hold anything. */
static const char *
metric_name(const char *s, char *buf, size_t size)
{
	size_t i;

	for (i = 0; s[i] != '\0' && i + 1 < size; i++)
		buf[i] = isalnum((unsigned char)s[i]) && (s[i] & 0x80) == 0
			     ? (char)tolower((unsigned char)s[i])
			     : '_';
	buf[i] = '\0';
	return buf;
}

/* Of a label's value: backslash, quote and line break are escaped. */
static const char *
label(const char *s, char *buf, size_t size)
{
	char safe[512];
	const char *p = print_safe(s, safe, sizeof(safe));
	size_t n = 0;

	for (; *p != '\0' && n + 3 < size; p++) {
		if (*p == '"' || *p == '\\')
			buf[n++] = '\\';
		buf[n++] = *p;
	}
	buf[n] = '\0';
	return buf;
}

static void
family(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# TYPE vpnkit_%s %s\n", name, type);
	if (strstr(name, "_bytes") != NULL)
		fprintf(out, "# UNIT vpnkit_%s bytes\n", name);
	if (strstr(name, "_seconds") != NULL)
		fprintf(out, "# UNIT vpnkit_%s seconds\n", name);
	fprintf(out, "# HELP vpnkit_%s %s\n", name, help);
}

static void
process_samples(FILE *out, const struct snapshot *s)
{
	const struct process *p, *end = snapshot_end(s);
	char l[512];

	family(out, "process_up", "gauge", "Whether the process runs.");
	for (p = s->v; p < end; p++)
		fprintf(out, "vpnkit_process_up{process=\"%s\"} %d\n",
		    label(p->name, l, sizeof(l)), strcmp(p->state, "up") == 0);
	family(out, "process_restarts", "counter",
	    "How often it was started again.");
	for (p = s->v; p < end; p++)
		fprintf(out,
		    "vpnkit_process_restarts_total{process=\"%s\"} %u\n",
		    label(p->name, l, sizeof(l)), p->restarts);
	family(out, "process_uptime_seconds", "gauge",
	    "Time since its last start.");
	for (p = s->v; p < end; p++)
		fprintf(out,
		    "vpnkit_process_uptime_seconds{process=\"%s\"} %.3f\n",
		    label(p->name, l, sizeof(l)), (double)p->uptime_ms / 1000);
	family(out, "process_memory_bytes", "gauge",
	    "Memory it shares with nobody.");
	for (p = s->v; p < end; p++)
		fprintf(out,
		    "vpnkit_process_memory_bytes{process=\"%s\"} %llu\n",
		    label(p->name, l, sizeof(l)),
		    (unsigned long long)p->memory);
}

/* A first process of its role: it names the families of all of them. */
static bool
is_first(const struct snapshot *s, const struct process *p)
{
	const struct process *q;

	for (q = s->v; q < p; q++) {
		if (strcmp(q->role, p->role) == 0 && q->counters.p != NULL)
			return false;
	}
	return p->counters.p != NULL;
}

static void
counter_samples(FILE *out, const struct snapshot *s,
    const struct process *first, const struct counter *c)
{
	char role[32], name[64], full[128], l[512];
	const struct process *p;
	bool gauge = meaning_is_gauge(first->role, c->name);
	const char *text = meaning_of_loss(first->role, c->name);

	metric_name(first->role, role, sizeof(role));
	metric_name(c->name, name, sizeof(name));
	if (name[0] == '\0')
		return;
	snprintf(full, sizeof(full), "%s_%s", role, name);
	fprintf(
	    out, "# TYPE vpnkit_%s %s\n", full, gauge ? "gauge" : "counter");
	if (text != NULL)
		fprintf(out, "# HELP vpnkit_%s %s\n", full, text);
	for (p = first; p < snapshot_end(s); p++) {
		if (strcmp(p->role, first->role) != 0 || p->counters.p == NULL)
			continue;
		fprintf(out, "vpnkit_%s%s{process=\"%s\"} %llu\n", full,
		    gauge ? "" : "_total", label(p->name, l, sizeof(l)),
		    (unsigned long long)read_counter(&p->counters, c->name));
	}
}

/* A name that came before would make the text invalid. */
static bool
is_repeated(const struct counter *c, size_t i)
{
	char a[64], b[64];
	size_t k;

	metric_name(c[i].name, a, sizeof(a));
	for (k = 0; k < i; k++) {
		if (strcmp(a, metric_name(c[k].name, b, sizeof(b))) == 0)
			return true;
	}
	return false;
}

void
metrics_print(FILE *out, const struct snapshot *s)
{
	struct counter c[STATS_MAX];
	const struct process *p;
	char l[512];
	size_t i, n;

	family(out, "build", "info", "The version that runs.");
	fprintf(out, "vpnkit_build_info{version=\"%s\"} 1\n",
	    label(s->version, l, sizeof(l)));
	process_samples(out, s);
	for (p = s->v; p < snapshot_end(s); p++) {
		if (!is_first(s, p))
			continue;
		n = read_counters(&p->counters, c, STATS_MAX);
		for (i = 0; i < n; i++) {
			if (!is_repeated(c, i))
				counter_samples(out, s, p, &c[i]);
		}
	}
	fputs("# EOF\n", out);
}
