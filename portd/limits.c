/*
 * Counting guests' sockets; see limits.h.
 */

#include <stdlib.h>
#include <string.h>

#include "portd/limits.h"

#define DSTBUCKET_BITS 10

_Static_assert(LIMITS_DSTBUCKET == 1 << DSTBUCKET_BITS, "bits of the hash");

void
limits_init(struct limits *l, int nofile, uint64_t random)
{
	memset(l, 0, sizeof(*l));
	l->key = random | 1;
	l->max_all = LIMITS_NONE;
	/* A hopelessly small limit still lets a guest look around. */
	l->max_vm = nofile > 2 * LIMITS_RESERVE
			? (uint32_t)nofile - LIMITS_RESERVE
			: LIMITS_RESERVE;
	l->max_dst = l->max_vm - l->max_vm / 4;
}

void
limits_set_max(struct limits *l, int64_t max)
{
	l->max_all = max < 0 || max > LIMITS_NONE ? LIMITS_NONE : (uint32_t)max;
}

/* Where the pointer to dst's count is, or would be. */
static struct limits_dst **
dst_find(const struct limits *l, struct limits_vm *vm, uint32_t dst)
{
	struct limits_dst **pp;

	pp = &vm->bucket[limits_hash(l->key, dst, DSTBUCKET_BITS)];
	while (*pp != NULL && (*pp)->addr != dst)
		pp = &(*pp)->next;
	return pp;
}

static enum limit
dst_take(struct limits *l, struct limits_vm *vm, uint32_t dst)
{
	struct limits_dst **pp = dst_find(l, vm, dst);

	if (*pp != NULL && (*pp)->n >= l->max_dst)
		return LIMIT_DST;
	if (*pp == NULL) {
		/* Out of memory is a limit like the others. */
		if ((*pp = calloc(1, sizeof(**pp))) == NULL)
			return LIMIT_VM;
		(*pp)->addr = dst;
	}
	(*pp)->n++;
	return LIMIT_OK;
}

static void
dst_give(struct limits *l, struct limits_vm *vm, uint32_t dst)
{
	struct limits_dst **pp = dst_find(l, vm, dst), *d = *pp;

	if (d == NULL || --d->n > 0)
		return;
	*pp = d->next;
	free(d);
}

enum limit
limits_take(struct limits *l, struct limits_vm *vm, uint32_t dst)
{
	enum limit r;

	if (l->all >= l->max_all)
		return LIMIT_ALL;
	if (vm->n >= l->max_vm)
		return LIMIT_VM;
	if (dst != 0 && (r = dst_take(l, vm, dst)) != LIMIT_OK)
		return r;
	l->all++;
	vm->n++;
	return LIMIT_OK;
}

void
limits_give(struct limits *l, struct limits_vm *vm, uint32_t dst)
{
	if (vm->n == 0)
		return;
	if (dst != 0)
		dst_give(l, vm, dst);
	l->all--;
	vm->n--;
}

void
limits_forget(struct limits *l, struct limits_vm *vm)
{
	struct limits_dst *d;
	size_t i;

	for (i = 0; i < LIMITS_DSTBUCKET; i++) {
		while ((d = vm->bucket[i]) != NULL) {
			vm->bucket[i] = d->next;
			free(d);
		}
	}
	l->all -= vm->n;
	vm->n = 0;
}
