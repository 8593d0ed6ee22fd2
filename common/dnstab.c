#include <string.h>

#include "common/dnstab.h"

#define TRIES 64 /* copies taken of an entry that keeps changing */

/*
 * Writing.  seq is odd meanwhile.
 */

static void
put(uint32_t *seq, uint32_t *used, void *to, const void *from, size_t len)
{
	__atomic_store_n(seq, *seq | 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	if (from != NULL)
		memcpy(to, from, len);
	*used = from != NULL;
	__atomic_store_n(seq, *seq + 1, __ATOMIC_RELEASE);
}

/* Up to the end of the name, which is the last field and ends with a zero. */
#define PUT_NAMED(e, from)                                                     \
	put(&(e)->seq, &(e)->used, &(e)->is, from,                             \
	    (size_t)((from)->name - (const char *)(from)) +                    \
		strnlen((from)->name, DNSTAB_TEXT - 1) + 1)

void
dnstab_begin(struct dnstab_file *f)
{
	uint32_t i;

	for (i = 0; i < DNSTAB_SERVERS; i++)
		dnstab_put_server(f, i, NULL);
	f->version = DNSTAB_VERSION;
	__atomic_store_n(&f->magic, DNSTAB_MAGIC, __ATOMIC_RELEASE);
}

void
dnstab_put_server(
    struct dnstab_file *f, uint32_t i, const struct dnstab_server *s)
{
	if (i < DNSTAB_SERVERS && (s != NULL || f->server[i].used != 0))
		put(&f->server[i].seq, &f->server[i].used, &f->server[i].is, s,
		    sizeof(*s));
}

void
dnstab_put_query(struct dnstab_file *f, const struct dnstab_query *q)
{
	PUT_NAMED(&f->query[f->nqueries % DNSTAB_QUERIES], q);
	__atomic_store_n(&f->nqueries, f->nqueries + 1, __ATOMIC_RELEASE);
}

static uint32_t
set_of(uint32_t vm, uint32_t ip)
{
	uint64_t h = ((uint64_t)vm << 32 | ip) * UINT64_C(0x9e3779b97f4a7c15);

	return (uint32_t)(h >> 32) % DNSTAB_SETS;
}

/* How many of a set a VM has. */
static unsigned
share(const struct dnstab_file *f, uint32_t set, uint32_t vm)
{
	unsigned i, n = 0;

	for (i = 0; i < DNSTAB_WAYS; i++)
		n += f->name[set][i].is.vm == vm;
	return n;
}

/* Where a name goes: its place, a free one, or that of one to forget. */
static uint32_t
way_for(const struct dnstab_file *f, uint32_t set, const struct dnstab_name *n)
{
	const struct dnstab_name *is, *old = NULL;
	unsigned most = 0, has;
	uint32_t i, way = 0;

	for (i = 0; i < DNSTAB_WAYS; i++) {
		is = &f->name[set][i].is;
		if (f->name[set][i].used && is->vm == n->vm && is->ip == n->ip)
			return i;
	}
	for (i = 0; i < DNSTAB_WAYS; i++) {
		if (!f->name[set][i].used)
			return i;
		is = &f->name[set][i].is;
		has = share(f, set, is->vm);
		if (has < most || (has == most && is->when >= old->when))
			continue;
		most = has;
		old = is;
		way = i;
	}
	return way;
}

void
dnstab_put_name(struct dnstab_file *f, const struct dnstab_name *n)
{
	uint32_t set = set_of(n->vm, n->ip);

	PUT_NAMED(&f->name[set][way_for(f, set, n)], n);
}

static bool
is_plain(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '*' ||
	       c == '/' || c == '+' || c == ':' || c == '=';
}

/* One byte of a label; 0: there is no room. */
static size_t
put_byte(char *to, size_t room, uint8_t c)
{
	if (is_plain(c)) {
		if (room < 1)
			return 0;
		to[0] = (char)c;
		return 1;
	}
	if (room < 4)
		return 0;
	to[0] = '\\';
	to[1] = (char)('0' + c / 100);
	to[2] = (char)('0' + c / 10 % 10);
	to[3] = (char)('0' + c % 10);
	return 4;
}

void
dnstab_text(const uint8_t *wire, size_t len, char text[DNSTAB_TEXT])
{
	size_t at = 0, n = 0, end, did;

	while (at < len && wire[at] != 0) {
		end = at + 1 + wire[at];
		if (end > len || n + 1 >= DNSTAB_TEXT)
			break;
		if (n > 0)
			text[n++] = '.';
		for (at++; at < end; at++, n += did) {
			did = put_byte(text + n, DNSTAB_TEXT - 1 - n, wire[at]);
			if (did == 0) {
				text[n] = '\0';
				return;
			}
		}
	}
	if (n == 0)
		text[n++] = '.';
	text[n] = '\0';
}

/*
 * Reading.
 */

static bool
get(const uint32_t *seq, const uint32_t *used, void *to, const void *from,
    size_t len)
{
	uint32_t was;
	int i;

	for (i = 0; i < TRIES; i++) {
		was = __atomic_load_n(seq, __ATOMIC_ACQUIRE);
		if (was & 1)
			continue;
		if (*used == 0)
			return false;
		memcpy(to, from, len);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (__atomic_load_n(seq, __ATOMIC_RELAXED) == was)
			return true;
	}
	return false;
}

#define GET(e, to)   get(&(e)->seq, &(e)->used, to, &(e)->is, sizeof((e)->is))
#define TERMINATE(s) ((s)[sizeof(s) - 1] = '\0')

int
dnstab_check(const void *p, size_t len)
{
	const struct dnstab_file *f = p;

	if (len < DNSTAB_BYTES ||
	    __atomic_load_n(&f->magic, __ATOMIC_ACQUIRE) != DNSTAB_MAGIC ||
	    f->version != DNSTAB_VERSION)
		return -1;
	return 0;
}

bool
dnstab_get_server(
    const struct dnstab_file *f, uint32_t i, struct dnstab_server *s)
{
	if (i >= DNSTAB_SERVERS || !GET(&f->server[i], s))
		return false;
	TERMINATE(s->addr);
	TERMINATE(s->zones);
	return true;
}

bool
dnstab_get_query(
    const struct dnstab_file *f, uint32_t back, struct dnstab_query *q)
{
	uint32_t n = __atomic_load_n(&f->nqueries, __ATOMIC_ACQUIRE);

	if (back >= DNSTAB_QUERIES ||
	    !GET(&f->query[(n - 1 - back) % DNSTAB_QUERIES], q))
		return false;
	TERMINATE(q->by);
	TERMINATE(q->name);
	return true;
}

bool
dnstab_find_name(const struct dnstab_file *f, uint32_t vm, uint32_t ip,
    struct dnstab_name *n)
{
	uint32_t i, set = set_of(vm, ip);

	for (i = 0; i < DNSTAB_WAYS; i++) {
		if (f->name[set][i].is.vm != vm ||
		    f->name[set][i].is.ip != ip || !GET(&f->name[set][i], n) ||
		    n->vm != vm || n->ip != ip)
			continue;
		TERMINATE(n->name);
		return true;
	}
	return false;
}
