/*
 * The daemons' memory files.  Whoever took over a daemon can write anything
 * into its own, at any time: every length is checked, every text is copied
 * and ended here, and printed through print_safe().
 */

#include <sys/mman.h>
#include <sys/stat.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/view/view.h"

int
read_map(struct file *f, int fd)
{
	struct stat st;
	void *p = MAP_FAILED;

	memset(f, 0, sizeof(*f));
	if (fstat(fd, &st) == 0 && st.st_size > 0)
		p = mmap(
		    NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return -1;
	f->p = p;
	f->len = (size_t)st.st_size;
	return 0;
}

void
read_unmap(struct file *f)
{
	if (f->p != NULL)
		munmap((void *)(uintptr_t)f->p, f->len);
	memset(f, 0, sizeof(*f));
}

size_t
read_counters(const struct file *file, struct counter *v, size_t max)
{
	const struct stats_file *f = file->p;
	uint32_t i, n;

	if (f == NULL || file->len < STATS_BYTES)
		return 0;
	n = __atomic_load_n(&f->n, __ATOMIC_ACQUIRE);
	for (i = 0; i < n && i < STATS_MAX && i < max; i++) {
		memcpy(v[i].name, f->name[i], STATS_NAMELEN);
		v[i].name[STATS_NAMELEN] = '\0';
		v[i].value = __atomic_load_n(&f->value[i], __ATOMIC_RELAXED);
	}
	return i;
}

uint64_t
read_counter(const struct file *file, const char *name)
{
	struct counter c[STATS_MAX];
	size_t i, n = read_counters(file, c, STATS_MAX);

	for (i = 0; i < n; i++) {
		if (strcmp(c[i].name, name) == 0)
			return c[i].value;
	}
	return 0;
}

static size_t
add(struct flow **v, size_t n, size_t *cap, const struct process *p,
    uint32_t slot, const struct flowtab_flow *f)
{
	struct flow *to = *v;

	if (n == *cap) {
		to = reallocarray(to, *cap > 0 ? *cap * 2 : 256, sizeof(*to));
		if (to == NULL)
			return n;
		*cap = *cap > 0 ? *cap * 2 : 256;
		*v = to;
	}
	to += n;
	to->vm = p->vm;
	to->serial = p->serial;
	to->slot = slot;
	to->f = *f;
	to->out_bps = to->in_bps = -1;
	return n + 1;
}

size_t
read_flows(const struct snapshot *s, struct flow **v)
{
	const struct flowtab_file *t;
	struct flowtab_flow f;
	size_t i, n = 0, cap = 0;
	uint32_t k, top;

	*v = NULL;
	for (i = 0; i < s->n; i++) {
		t = s->v[i].flows.p;
		if (t == NULL || flowtab_check(t, s->v[i].flows.len) == -1)
			continue;
		top = flowtab_top(t);
		for (k = 0; k < top; k++) {
			if (flowtab_get(t, k, &f))
				n = add(v, n, &cap, &s->v[i], k, &f);
		}
	}
	return n;
}

static int
by_end(const void *pa, const void *pb)
{
	const struct flow *a = pa, *b = pb;

	return a->f.changed > b->f.changed ? -1 : a->f.changed < b->f.changed;
}

size_t
read_ends(const struct snapshot *s, struct flow **v)
{
	const struct flowtab_file *t;
	struct flowtab_flow f;
	size_t i, n = 0, cap = 0;
	uint32_t k;

	*v = NULL;
	for (i = 0; i < s->n; i++) {
		t = s->v[i].flows.p;
		if (t == NULL || flowtab_check(t, s->v[i].flows.len) == -1)
			continue;
		for (k = 0; k < FLOWTAB_ENDS; k++) {
			if (flowtab_get_end(t, k, &f))
				n = add(v, n, &cap, &s->v[i], k, &f);
		}
	}
	if (n > 0)
		qsort(*v, n, sizeof(**v), by_end);
	return n;
}
