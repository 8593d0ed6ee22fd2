#ifndef FLOWTAB_H
#define FLOWTAB_H

/*
 * A netstackd's flows in shared memory: written as they change, read by who
 * wants to know, without a word between the two.  Pure.
 *
 * The file is a head, FLOWTAB_SLOTS entries, and the last FLOWTAB_ENDS flows
 * that have ended.  An entry's seq is odd while it is written; a reader takes
 * a copy and looks whether seq is still the same.  The writer may be in an
 * attacker's hands: the reader believes no length, ends every text itself, and
 * gives up on an entry that is never quiet.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/usec.h"

#define FLOWTAB_MAGIC	0x7466766bu
#define FLOWTAB_VERSION 2u
#define FLOWTAB_SLOTS	32768u
#define FLOWTAB_ENDS	256u

struct flowtab_flow {
	uint32_t guest_ip, host_ip; /* host order */
	uint16_t guest_port, host_port;
	uint32_t rtt_guest, rtt_host; /* usec; 0: not known */
	char proto[12];
	char state[16];
	char limit[24];		    /* what it waits for, or why it ended */
	uint64_t to_host, to_guest; /* bytes that have arrived there */
	usec_t opened, changed;	    /* monotonic clock */
};

struct flowtab_entry {
	uint32_t seq;
	uint32_t used;
	struct flowtab_flow flow;
};

struct flowtab_file {
	uint32_t magic, version;
	uint32_t top;	/* entries from here on were never used */
	uint32_t nends; /* modulo 2^32: flows that have ended */
	uint64_t pad[6];
	struct flowtab_entry entry[FLOWTAB_SLOTS];
	struct flowtab_entry end[FLOWTAB_ENDS];
};

#define FLOWTAB_BYTES sizeof(struct flowtab_file)

/* The writer.  flowtab_begin() empties a file, whatever is in it. */
void flowtab_begin(struct flowtab_file *);
void flowtab_put(
    struct flowtab_file *, uint32_t slot, const struct flowtab_flow *);
void flowtab_clear(struct flowtab_file *, uint32_t slot);
void flowtab_end(struct flowtab_file *, const struct flowtab_flow *);

/*
 * The reader, of len bytes mapped.  -1 when this is no table of ours.
 * flowtab_get() is false for an entry that is free or never quiet;
 * flowtab_get_end() counts back from the newest, 0.
 */
int flowtab_check(const void *, size_t len);
uint32_t flowtab_top(const struct flowtab_file *);
bool flowtab_get(
    const struct flowtab_file *, uint32_t slot, struct flowtab_flow *);
bool flowtab_get_end(
    const struct flowtab_file *, uint32_t back, struct flowtab_flow *);

#endif
