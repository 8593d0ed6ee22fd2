#ifndef TAPE_H
#define TAPE_H

/*
 * The last packets of a netstackd in shared memory, and why some of them were
 * dropped.  The supervisor keeps the file, so it survives the process that
 * wrote it.  Pure.
 *
 * The file is a head that describes up to TAPE_RINGS rings, and their slots.
 * A ring is slots of one size used in turn; each begins with the number of its
 * packet, counted from 1, or 0 while it is written.  So a reader that knows
 * the number of the last packet it saw finds the next one, or that it was
 * overwritten.  As with flowtab.h the writer may be hostile, and so may be the
 * one before it whose file a new writer gets: a writer computes the layout by
 * itself, and a reader checks it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/usec.h"

#define TAPE_MAGIC   0x7470766bu
#define TAPE_VERSION 2u
#define TAPE_RINGS   8u
#define TAPE_WHYLEN  24
#define TAPE_ENDED   "its stack ended" /* while at this packet */
#define TAPE_SNAPLEN 128u /* of the ring of all packets, unless configured */

/* What is kept, as separate rings, so that a flood of one kind leaves others.
 */
enum tape_ring {
	TAPE_ALL,
	TAPE_DNS,
	TAPE_NTP,
	TAPE_ICMP,
	TAPE_HTTP, /* of an explicit proxy */
	TAPE_BAD,  /* dropped, with the reason */
	TAPE__MAX
};

extern const char *const tape_ring_name[TAPE__MAX];

enum tape_dir {
	TAPE_FROM_GUEST = 1,
	TAPE_TO_GUEST = 2,
};

/* The bytes follow. */
struct tape_slot {
	uint64_t seq;
	int64_t when; /* usec since 1970 */
	uint32_t len; /* of the frame */
	uint16_t cap; /* bytes of it that follow */
	uint8_t dir;
	uint8_t pad;
	char why[TAPE_WHYLEN]; /* a counter's name, or TAPE_ENDED; "" unless
				* dropped */
};

struct tape_desc {
	char name[16];
	uint64_t off; /* of the first slot */
	uint32_t stride, nslot;
	uint64_t count; /* packets written so far */
	uint64_t open;	/* the packet whose fate is not known yet; 0: none */
};

struct tape_file {
	uint32_t magic, version, nring, pad;
	struct tape_desc ring[TAPE_RINGS];
};

/* What a writer needs, in memory of its own. */
struct tape {
	struct tape_file *file; /* borrowed; NULL: none, nothing is written */
	struct {
		uint8_t *slot; /* borrowed */
		uint32_t stride, nslot, snaplen, next;
		uint64_t count;
		struct tape_slot *open; /* of tape_put_open(), or NULL */
	} ring[TAPE__MAX];
};

/* Bytes of the file for this length of packets. */
size_t tape_bytes(uint32_t snaplen);
/*
 * A file of one ring of about this many bytes, for a live capture.
 */
size_t tape_live_bytes(uint32_t snaplen);

/* len bytes are mapped.  -1: too small for this snaplen. */
int tape_begin(struct tape *, void *file, size_t len, uint32_t snaplen);
/* The same for tape_live_bytes(): only TAPE_ALL is there. */
int tape_begin_live(struct tape *, void *file, size_t len, uint32_t snaplen);
void tape_put(struct tape *, enum tape_ring, enum tape_dir, usec_t when,
    const uint8_t *frame, size_t len, const char *why);
/*
 * The same for a packet that is about to be handled: what is put meanwhile
 * comes behind it.  tape_settle() says what became of it, in all rings; when
 * the process ends before, the next one's tape_begin() notes TAPE_ENDED.
 */
void tape_put_open(struct tape *, enum tape_ring, enum tape_dir, usec_t when,
    const uint8_t *frame, size_t len);
void tape_settle(struct tape *, const char *why);
/* Which ring a frame goes to beside TAPE_ALL; TAPE__MAX: none. */
enum tape_ring tape_classify(const uint8_t *frame, size_t len);

/* Reading. */
struct tape_pkt {
	bool open; /* why may still come, most likely at once */
	struct tape_slot head;
	uint8_t data[65536];
};

/* -1: no tape of ours. */
int tape_check(const void *, size_t len);
uint32_t tape_nring(const struct tape_file *);
/* The name is in buf of 16 bytes; false when the ring is not sound. */
bool tape_ring(const void *, size_t len, uint32_t ring, char *name,
    uint64_t *count, uint32_t *nslot);
/*
 * Packet number seq, from 1: 1 with *pkt filled; 0: not yet written, or just
 * now being written, or the ring is not sound; -1: overwritten, or never there.
 */
int tape_get(const void *, size_t len, uint32_t ring, uint64_t seq,
    struct tape_pkt *pkt);
/* The same of its head only. */
int tape_peek(const void *, size_t len, uint32_t ring, uint64_t seq,
    struct tape_slot *head, bool *open);

#endif
