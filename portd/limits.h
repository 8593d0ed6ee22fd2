#ifndef LIMITS_H
#define LIMITS_H

/*
 * How many sockets guests may have: in all (--max-connections), for one VM,
 * and for one VM to one destination.  The last two follow the limit on
 * descriptors, which every stack has too: one destination cannot use up what
 * the VM may have, one VM cannot use up what the others may have.  Pure.
 */

#include <stddef.h>
#include <stdint.h>

#define LIMITS_NONE	 UINT32_MAX
#define LIMITS_RESERVE	 64 /* descriptors of a stack that are not flows */
#define LIMITS_DSTBUCKET 1024

enum limit {
	LIMIT_OK = 0,
	LIMIT_ALL, /* --max-connections */
	LIMIT_VM,
	LIMIT_DST,
};

struct limits {
	uint32_t max_all, max_vm, max_dst;
	uint32_t all; /* in use */
	uint64_t key; /* of the hash; odd */
};

struct limits_dst {
	uint32_t addr, n;
	struct limits_dst *next;
};

struct limits_vm {
	uint32_t n;				     /* in use */
	struct limits_dst *bucket[LIMITS_DSTBUCKET]; /* owned */
};

/* nofile: descriptors a process may have; random: a secret of this run. */
void limits_init(struct limits *, int nofile, uint64_t random);
/* --max-connections; negative: none. */
void limits_set_max(struct limits *, int64_t max);

/*
 * Counts one more socket, to dst or to nobody in particular (0), or says
 * which limit is in the way; nothing is counted then.
 */
enum limit limits_take(struct limits *, struct limits_vm *, uint32_t dst);
void limits_give(struct limits *, struct limits_vm *, uint32_t dst);
/* The VM is gone: gives back all it has, leaves it zeroed. */
void limits_forget(struct limits *, struct limits_vm *);

/*
 * Multiply-shift hash to 2^bits values.  Guests choose what goes in, so the
 * odd key is a secret.
 */
static inline size_t
limits_hash(uint64_t key, uint32_t v, unsigned bits)
{
	return (size_t)((key * ((uint64_t)v + 1)) >> (64 - bits));
}

#endif
