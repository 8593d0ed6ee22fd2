#ifndef DNSTAB_H
#define DNSTAB_H

/*
 * What dnsd knows, in shared memory: its servers, the last queries, and which
 * names the guests' addresses came from.  Written as flowtab.h's tables are,
 * and read with the same distrust.  Pure.
 *
 * Names are kept in sets of DNSTAB_WAYS.  A full set gives up the oldest name
 * of the VM that has most of it, so that a guest that asks for everything
 * forgets its own names and not its neighbours'.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/usec.h"

#define DNSTAB_MAGIC   0x74736e64u
#define DNSTAB_VERSION 2u
#define DNSTAB_SERVERS 64u
#define DNSTAB_QUERIES 256u
#define DNSTAB_SETS    1024u
#define DNSTAB_WAYS    8u
#define DNSTAB_TEXT    256

struct dnstab_server {
	char addr[56]; /* with the port */
	char zones[DNSTAB_TEXT];
	uint32_t order, timeout_ms, offline;
	uint32_t rtt, rtt_min, rtt_max; /* usec; rtt is smoothed; 0: none */
	uint64_t asked, answered, missed;
	usec_t last_answer; /* monotonic clock; 0: never */
};

/* Of these two only what the name takes of its room is written. */
struct dnstab_query {
	usec_t when;
	uint32_t vm;
	uint16_t type, rcode;
	uint32_t took; /* usec */
	char by[56];   /* who answered: a server, or a word */
	char name[DNSTAB_TEXT];
};

struct dnstab_name {
	usec_t when;
	uint32_t vm, ip; /* host order */
	char name[DNSTAB_TEXT];
};

#define DNSTAB_ENTRY(type)                                                     \
	struct {                                                               \
		uint32_t seq, used;                                            \
		struct type is;                                                \
	}

struct dnstab_file {
	uint32_t magic, version;
	uint32_t nqueries; /* modulo 2^32 */
	uint32_t pad;
	DNSTAB_ENTRY(dnstab_server) server[DNSTAB_SERVERS];
	DNSTAB_ENTRY(dnstab_query) query[DNSTAB_QUERIES];
	DNSTAB_ENTRY(dnstab_name) name[DNSTAB_SETS][DNSTAB_WAYS];
};

#define DNSTAB_BYTES sizeof(struct dnstab_file)

/* The writer.  dnstab_begin() forgets the servers, and keeps the rest. */
void dnstab_begin(struct dnstab_file *);
void dnstab_put_server(
    struct dnstab_file *, uint32_t i, const struct dnstab_server *);
void dnstab_put_query(struct dnstab_file *, const struct dnstab_query *);
void dnstab_put_name(struct dnstab_file *, const struct dnstab_name *);
/*
 * The text of a name in wire form: what is not a plain letter of a name as
 * \DDD, RFC 1035 5.1; cut where the text is full.
 */
void dnstab_text(const uint8_t *wire, size_t len, char text[DNSTAB_TEXT]);

/* The reader; as in flowtab.h.  Queries count back from the newest, 0. */
int dnstab_check(const void *, size_t len);
bool dnstab_get_server(
    const struct dnstab_file *, uint32_t i, struct dnstab_server *);
bool dnstab_get_query(
    const struct dnstab_file *, uint32_t back, struct dnstab_query *);
/* What that VM asked for when it was told this address. */
bool dnstab_find_name(
    const struct dnstab_file *, uint32_t vm, uint32_t ip, struct dnstab_name *);

#endif
