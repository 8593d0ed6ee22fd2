#ifndef VIEW_H
#define VIEW_H

/*
 * The suite as text: for people, as JSON, as OpenMetrics.
 *
 *	read.c	   the memory files of the daemons, which may lie
 *	print.c	   tables, JSON values, escaping
 *	show.c	   processes and counters
 *	flows.c	   flows, and why they ended
 *	dns.c	   name servers and queries
 *	meaning.c  what counters mean
 *	metrics.c  all of it as OpenMetrics
 *	snap.c	   a snapshot from messages of the bus
 *
 * All but snap.c and the mapping in read.c turn a struct snapshot into text,
 * so that a test can compare it.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/dnstab.h"
#include "common/flowtab.h"
#include "common/stats.h"
#include "common/tape.h"
#include "common/usec.h"

struct counter {
	char name[STATS_NAMELEN + 1];
	uint64_t value;
};

/* A memory file of a daemon, mapped; p NULL: there is none. */
struct file {
	const void *p;
	size_t len;
};

struct process {
	uint32_t serial, vm, restarts;
	int64_t pid, uptime_ms;
	uint64_t memory;
	int log_level;
	char name[32], role[17], state[17], why[256];
	char uuid[37], mac[18], ip[46];
	char sandbox[512]; /* names with blanks between */
	struct file counters, flows, capture, queries; /* owned mappings */
};

/* Ten thousand of these are read a second: what few lines need is not here. */
struct flow {
	uint32_t vm;
	uint32_t serial, slot; /* of the process, in its table */
	struct flowtab_flow f;
	double out_bps, in_bps; /* bits a second; < 0: not known */
};

struct snapshot {
	char version[256];
	struct process *v; /* owned */
	size_t n;
	usec_t now; /* monotonic, as in the flow tables */
};

/* Behind the last process, also when there is none. */
static inline struct process *
snapshot_end(const struct snapshot *s)
{
	return s->n > 0 ? s->v + s->n : s->v;
}

/* print.c */
struct style {
	bool color;
	bool json;
	int name; /* letters of a flow's name; 0: all */
};

/* Bytes that are not printable ASCII as \xNN, and \ as \\; returns buf. */
const char *print_safe(const char *, char *buf, size_t size);
/* "1.5 MB", "12 kbit/s", "3d 4h": returns buf of PRINT_NUM. */
#define PRINT_NUM 48
const char *print_bytes(double, char *buf);
const char *print_rate(double, char *buf);
const char *print_time(usec_t, char *buf);
/* "0.4ms" from microseconds: the same. */
const char *print_ms(uint32_t, char *buf);
/* "1.2.3.4:80" from host order; returns buf of PRINT_NUM. */
const char *print_addr(uint32_t ip, uint16_t port, char *buf);
/* A string for JSON: jansson refuses what is not UTF-8. */
json_t *print_json(const char *);
/* An array of the words of a text. */
json_t *print_words(const char *);
void print_json_dump(FILE *, json_t *); /* takes the reference */

#define TABLE_COLS 16
/*
 * A table: cells are added one by one, row by row; bytes that are not printable
 * are shown as \xNN.  Columns are as wide as they must be.  A head that begins
 * with '>' is aligned to the right.
 */
struct table {
	const char *const *head; /* borrowed */
	size_t ncol;
	char **cell; /* owned */
	size_t n, cap;
	bool failed;
};
void table_init(struct table *, const char *const *head, size_t ncol);
void table_cell(struct table *, const char *fmt, ...)
    __attribute__((__format__(printf, 2, 3)));
void table_print(FILE *, struct table *, const struct style *); /* and frees */

/* read.c */
size_t read_counters(const struct file *, struct counter *, size_t max);
uint64_t read_counter(const struct file *, const char *name);
/* All flows of all VMs, by serial and slot; the caller frees *v. */
size_t read_flows(const struct snapshot *, struct flow **v);
/* Those that have ended last, the last one first. */
size_t read_ends(const struct snapshot *, struct flow **v);
int read_map(struct file *, int fd); /* fd becomes owned */
void read_unmap(struct file *);

/* show.c */
void show_print(FILE *, const struct snapshot *, const struct style *);
void counters_print(FILE *, const struct snapshot *, const char *name, bool all,
    const struct style *);
bool show_healthy(const struct snapshot *);

/* flows.c.  vm 0: all. */
void flows_print(
    FILE *, const struct snapshot *, uint32_t vm, const struct style *);
enum flow_sort { SORT_RATE, SORT_BYTES, SORT_AGE, SORT_RTT };
void flows_sort(struct flow *, size_t n, enum flow_sort, usec_t now);
void flows_table(FILE *, const struct snapshot *, const struct flow *, size_t n,
    const struct style *);
/* Rates, from what was read dt ago; neither is sorted yet. */
void flows_rates(
    struct flow *, size_t n, const struct flow *old, size_t nold, usec_t dt);
/* explain: why did flows end, and packets not pass. */
int explain_print(
    FILE *, const struct snapshot *, const char *what, const struct style *);

/* dns.c */
#define DNS_LASTQUERIES 40 /* of a table; in JSON there are all */
void dns_print(FILE *, const struct snapshot *, const struct style *);
/*
 * The last queries for a name (NULL: any): how many, and a table of them, with
 * lead before it.
 */
size_t dns_queries(FILE *, const char *lead, const struct snapshot *,
    const char *name, const struct style *);
json_t *dns_queries_json(const struct snapshot *, const char *name);
/* The name its guest asked for; NULL: not known. */
const char *dns_name(
    const struct snapshot *, const struct flow *, struct dnstab_name *buf);

/* meaning.c.  NULL: nothing was lost. */
bool meaning_is_gauge(const char *role, const char *counter);
const char *meaning_of_loss(const char *role, const char *counter);

/* metrics.c */
void metrics_print(FILE *, const struct snapshot *);

/* snap.c */
struct ipc_msg;
/* One more process, from status-process; -1: out of memory. */
int snapshot_add(struct snapshot *, struct ipc_msg *);
void snapshot_fini(struct snapshot *);

#endif
