/*
 * Answers that are kept, with a clock of the test's own.
 */

#include <stdio.h>

#include "dnsd/cache.h"
#include "tests/check_main.h"

#define S USEC_SEC

/* A query for the A record of n<num>, and its length in *len. */
static const uint8_t *
query(unsigned num, uint16_t flags, size_t *len)
{
	static uint8_t m[64];
	int n;

	memset(m, 0, sizeof(m));
	m[2] = (uint8_t)(flags >> 8);
	m[3] = (uint8_t)flags;
	m[5] = 1;
	n = snprintf((char *)m + 13, 16, "n%u", num);
	m[12] = (uint8_t)n;
	m[13 + n + 2] = 1;
	m[13 + n + 4] = 1;
	*len = (size_t)(13 + n + 5);
	return m;
}

static struct query
parsed(unsigned num, uint16_t flags)
{
	struct query q;
	size_t len;
	const uint8_t *m = query(num, flags, &len);

	ck_assert_int_eq(query_parse(rd_init(m, len), &q), 0);
	return q;
}

static void
put_for(struct cache *c, usec_t now, unsigned num, uint32_t ttl, uint32_t owner)
{
	uint8_t msg[100] = { (uint8_t)num };
	struct query q = parsed(num, DNS_RD);

	ck_assert_int_eq(
	    cache_put(c, now, &q, msg, sizeof(msg), ttl, owner), 0);
}

static void
put(struct cache *c, usec_t now, unsigned num, uint32_t ttl)
{
	put_for(c, now, num, ttl, 1);
}

static bool
get(struct cache *c, usec_t now, unsigned num, struct cache_answer *a)
{
	struct query q = parsed(num, DNS_RD);

	if (!cache_get(c, now, &q, a))
		return false;
	ck_assert_uint_eq(a->len, 100);
	ck_assert_uint_eq(a->msg[0], (uint8_t)num);
	return true;
}

START_TEST(test_time)
{
	struct cache *c = cache_new(10, 10000, 1);
	struct cache_answer a;

	put(c, 5 * S, 1, 60);
	ck_assert(get(c, 5 * S, 1, &a));
	ck_assert(!a.stale && a.age == 0);
	ck_assert(get(c, 64 * S, 1, &a));
	ck_assert(!a.stale && a.age == 59);
	ck_assert(get(c, 65 * S, 1, &a));
	ck_assert(a.stale);
	ck_assert(get(c, 65 * S + CACHE_STALE - 1, 1, &a));
	ck_assert(!get(c, 65 * S + CACHE_STALE, 1, &a));
	ck_assert_uint_eq(cache_count(c), 0);
	cache_free(c);
}
END_TEST

/* What differs in anything an answer can depend on is another question. */
START_TEST(test_key)
{
	struct cache *c = cache_new(10, 10000, 1);
	struct cache_answer a;
	struct query q;

	put(c, 0, 1, 60);
	ck_assert(!get(c, 0, 2, &a));
	q = parsed(1, DNS_RD | DNS_CD);
	ck_assert(!cache_get(c, 0, &q, &a));
	q = parsed(1, 0);
	ck_assert(!cache_get(c, 0, &q, &a));
	q = parsed(1, DNS_RD | DNS_AD);
	ck_assert(!cache_get(c, 0, &q, &a));
	q = parsed(1, DNS_RD);
	q.head.type = DNS_TYPE_AAAA;
	ck_assert(!cache_get(c, 0, &q, &a));
	q.head.type = DNS_TYPE_A;
	q.head.name = (const uint8_t *)"\2N1";
	ck_assert(cache_get(c, 0, &q, &a));
	q.head.class = 3;
	ck_assert(!cache_get(c, 0, &q, &a));
	cache_forget(c, &q);
	ck_assert(get(c, 0, 1, &a));
	q.head.class = DNS_CLASS_IN;
	cache_forget(c, &q);
	ck_assert(!get(c, 0, 1, &a));
	ck_assert_uint_eq(cache_count(c), 0);
	put(c, 0, 1, 60);
	cache_flush(c);
	ck_assert(!get(c, 0, 1, &a));
	cache_free(c);
}
END_TEST

START_TEST(test_room)
{
	struct cache *c = cache_new(3, 100000, 1);
	struct cache_answer a;

	put(c, 0, 1, 60);
	put(c, 0, 2, 60);
	put(c, 0, 3, 60);
	ck_assert(get(c, 0, 1, &a));
	put(c, 0, 4, 60);
	ck_assert(get(c, 0, 1, &a) && !get(c, 0, 2, &a));
	put(c, 0, 1, 90); /* in the place of the old */
	ck_assert_uint_eq(cache_count(c), 3);
	ck_assert(get(c, 80 * S, 1, &a));
	ck_assert(!a.stale);
	cache_free(c);
}
END_TEST

/* A guest that asks for everything costs no more than this. */
START_TEST(test_bytes)
{
	struct cache *c = cache_new(100000, 20000, 1);
	struct cache_answer a;
	unsigned i;

	for (i = 0; i < 10000; i++)
		put(c, 0, i, 60);
	ck_assert_uint_gt(cache_count(c), 50);
	ck_assert_uint_le(cache_count(c), 200);
	ck_assert(get(c, 0, 9999, &a));
	ck_assert(!get(c, 0, 0, &a));
	cache_free(c);
}
END_TEST

/* What others have asked for outlives a guest that asks for everything. */
START_TEST(test_owners)
{
	struct cache *c =
	    _i == 0 ? cache_new(100, 1000000, 1) : cache_new(10000, 20000, 1);
	struct cache_answer a;
	struct query q;
	uint8_t big[5000] = { 0 };
	unsigned i;

	for (i = 0; i < 20; i++)
		put_for(c, 0, i, 60, i % 2 == 0 ? 7 : 252);
	for (i = 20; i < 5000; i++)
		put_for(c, 0, i, 60, 3);
	for (i = 0; i < 20; i++)
		ck_assert(get(c, 0, i, &a));
	ck_assert(get(c, 0, 4999, &a));
	/* Nor does what is large displace what is many and small. */
	for (i = 5000; i < 5010; i++) {
		q = parsed(i, DNS_RD);
		(void)cache_put(c, 0, &q, big, sizeof(big), 60, 4);
	}
	for (i = 0; i < 20; i++)
		ck_assert(get(c, 0, i, &a));
	/* Alone one may have all of it. */
	cache_flush(c);
	for (i = 0; i < 5000; i++)
		put_for(c, 0, i, 60, 252);
	ck_assert_uint_ge(cache_count(c), 80);
	cache_free(c);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("cache");

	tcase_add_test(tc, test_time);
	tcase_add_test(tc, test_key);
	tcase_add_test(tc, test_room);
	tcase_add_test(tc, test_bytes);
	tcase_add_loop_test(tc, test_owners, 0, 2);
	return check_case("cache", tc);
}
