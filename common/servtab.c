#include "common/servtab.h"

#include <string.h>

_Static_assert(sizeof(struct servtab_place) == 32, "a power of two");
_Static_assert(sizeof(struct servtab) == 4096, "a page");

/* The port and the address; the family is 0 where it is not one any more. */
#define REST_AT	 sizeof(sa_family_t)
#define REST_LEN (SERVTAB_LEN - REST_AT)

static void
set_family(struct servtab_place *p, sa_family_t family)
{
	__atomic_store_n(&p->any.sa_family, family, __ATOMIC_RELEASE);
}

/* Be it one at present or not. */
static bool
has(const struct servtab_place *p, const struct sockaddr_storage *ss)
{
	return memcmp((const uint8_t *)p + REST_AT,
		   (const uint8_t *)ss + REST_AT, REST_LEN) == 0;
}

static bool
is_listed(
    const struct servtab_place *p, const struct sockaddr_storage *ss, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (p->any.sa_family == ss[i].ss_family && has(p, &ss[i]))
			return true;
	return false;
}

/* The one it has, or had; else one that never had any; else an empty one. */
static struct servtab_place *
place_for(struct servtab *t, const struct sockaddr_storage *ss)
{
	struct servtab_place *p, *fresh = NULL, *empty = NULL;

	for (p = t->place + 1; p < t->place + SERVTAB_PLACES; p++) {
		if (has(p, ss))
			return p;
		if (p->any.sa_family != AF_UNSPEC)
			continue;
		empty = p;
		if (fresh == NULL && p->in.sin_port == 0)
			fresh = p;
	}
	return fresh != NULL ? fresh : empty;
}

void
servtab_put(struct servtab *t, const struct sockaddr_storage *ss, size_t n)
{
	struct servtab_place *p;
	size_t i;

	for (p = t->place + 1; p < t->place + SERVTAB_PLACES; p++)
		if (p->any.sa_family != AF_UNSPEC && !is_listed(p, ss, n))
			set_family(p, AF_UNSPEC);
	for (i = 0; i < n && i < SERVTAB_PLACES / 2; i++) {
		if ((p = place_for(t, &ss[i])) == NULL)
			return;
		if (!has(p, &ss[i]))
			memcpy((uint8_t *)p + REST_AT,
			    (const uint8_t *)&ss[i] + REST_AT, REST_LEN);
		set_family(p, ss[i].ss_family);
	}
}

bool
servtab_is(
    const struct servtab *t, unsigned place, const struct sockaddr_storage *ss)
{
	const struct servtab_place *p = &t->place[place];

	return __atomic_load_n(&p->any.sa_family, __ATOMIC_ACQUIRE) ==
		   ss->ss_family &&
	       has(p, ss);
}

unsigned
servtab_find(const struct servtab *t, const struct sockaddr_storage *ss)
{
	unsigned i;

	for (i = 1; i < SERVTAB_PLACES; i++)
		if (servtab_is(t, i, ss))
			return i;
	return 0;
}
