/*
 * The pool of leases: a script of requests for each rule.
 */

#include <sys/mman.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ethd/lease.h"
#include "tests/check_main.h"

#define NET(n) (0xc0a84100u + (n))

static struct lease_pool pool;
static usec_t now;

static void
setup(void)
{
	now = 1000 * USEC_SEC;
	memset(&pool, 0, sizeof(pool));
	pool.conf = (struct lease_conf){ .lowest = NET(3),
		.highest = NET(254),
		.gateway = NET(1),
		.host = NET(2) };
}

static struct uuid
name(uint32_t n)
{
	struct uuid uuid = { { 0 } };

	memcpy(uuid.b, &n, sizeof(n));
	return uuid;
}

/* Requests in order; ip 0 is none preferred. */
/* clang-format off */
static const struct {
	const char *what;
	uint32_t uuid, ip;
	enum lease_result result;
	uint32_t got, vm;
} script[] = {
	{ "the lowest first", 1, 0, LEASE_OK, NET(3), 1 },
	{ "the next", 2, 0, LEASE_OK, NET(4), 2 },
	{ "known", 1, 0, LEASE_OK, NET(3), 1 },
	{ "preferred", 3, NET(250), LEASE_OK, NET(250), 248 },
	{ "known and the same", 3, NET(250), LEASE_OK, NET(250), 248 },
	{ "known without a wish", 3, 0, LEASE_OK, NET(250), 248 },
	{ "known and another", 3, NET(251), LEASE_OTHER_IP, 0, 0 },
	{ "known and out of range", 3, NET(1), LEASE_OTHER_IP, 0, 0 },
	{ "of somebody else", 4, NET(250), LEASE_TAKEN, 0, 0 },
	{ "the gateway", 4, NET(1), LEASE_RANGE, 0, 0 },
	{ "the host", 4, NET(2), LEASE_RANGE, 0, 0 },
	{ "above", 4, NET(255), LEASE_RANGE, 0, 0 },
	{ "another net", 4, 0x0a000001, LEASE_RANGE, 0, 0 },
	{ "a refusal takes no number", 5, NET(5), LEASE_OK, NET(5), 3 },
	{ "around a preferred one", 6, 0, LEASE_OK, NET(6), 4 },
	{ "the last", 7, NET(254), LEASE_OK, NET(254), 252 },
};
/* clang-format on */

START_TEST(test_script)
{
	struct macaddr mac;
	enum lease_result r;
	struct uuid uuid;
	struct lease *l;
	size_t i;

	for (i = 0; i < sizeof(script) / sizeof(script[0]); i++) {
		uuid = name(script[i].uuid);
		r = lease_get(&pool, &uuid,
		    script[i].ip == 0 ? NULL : &script[i].ip, now, &l);
		ck_assert_msg(
		    r == script[i].result, "%s: %d", script[i].what, r);
		if (r != LEASE_OK)
			continue;
		ck_assert_msg(
		    l->ip == script[i].got, "%s: %x", script[i].what, l->ip);
		ck_assert_msg(
		    l->vm == script[i].vm, "%s: VM %u", script[i].what, l->vm);
		mac = lease_mac(l->vm);
		ck_assert_mem_eq(&l->mac, &mac, sizeof(mac));
	}
}
END_TEST

/* 0.0.0.0 is a wish like any other, and never granted. */
START_TEST(test_wish_zero)
{
	struct uuid uuid = name(1);
	struct lease *l;
	uint32_t ip = 0;

	ck_assert_int_eq(lease_get(&pool, &uuid, &ip, now, &l), LEASE_RANGE);
}
END_TEST

START_TEST(test_exhaustion)
{
	struct lease *l;
	struct uuid uuid;
	uint32_t i;

	for (i = 1; i <= 252; i++) {
		uuid = name(i);
		ck_assert_int_eq(
		    lease_get(&pool, &uuid, NULL, now, &l), LEASE_OK);
		ck_assert_uint_eq(l->ip, NET(i + 2));
		l->used = true;
	}
	uuid = name(i);
	ck_assert_int_eq(lease_get(&pool, &uuid, NULL, now, &l), LEASE_NONE);
	uuid = name(77);
	ck_assert_int_eq(lease_get(&pool, &uuid, NULL, now, &l), LEASE_OK);
}
END_TEST

static struct uuid
drawn(uint32_t n)
{
	uint8_t random[16] = { 0 };

	memcpy(random + 8, &n, sizeof(n));
	return uuid_draw(random);
}

/* A drawn UUID's lease is given to the next one when nobody uses it. */
START_TEST(test_drawn)
{
	struct uuid one = drawn(1), two = drawn(2), three = drawn(3);
	struct uuid named = name(1);
	uint32_t ip = NET(3), other = NET(9);
	struct lease *l;

	ck_assert_int_eq(lease_get(&pool, &one, NULL, now, &l), LEASE_OK);
	ck_assert_uint_eq(l->vm, 1);
	l->used = true;
	ck_assert_int_eq(lease_get(&pool, &two, NULL, now, &l), LEASE_OK);
	ck_assert_uint_eq(l->vm, 2);
	l->used = true;
	pool.slot[1].used = false;
	/* Not to one with a name, and not when another is wished for. */
	ck_assert_int_eq(lease_get(&pool, &named, NULL, now, &l), LEASE_OK);
	ck_assert_uint_eq(l->vm, 3);
	ck_assert_int_eq(lease_get(&pool, &three, &other, now, &l), LEASE_OK);
	ck_assert_uint_eq(l->vm, 7);
	l->used = true;
	three = drawn(4);
	ck_assert_int_eq(lease_get(&pool, &three, &ip, now, &l), LEASE_OK);
	ck_assert_uint_eq(l->vm, 1);
	ck_assert_int_eq(memcmp(&l->uuid, &one, sizeof(one)), 0);
	l->used = true;
	ck_assert_int_eq(lease_get(&pool, &three, NULL, now, &l), LEASE_OK);
	ck_assert_uint_eq(l->vm, 4);
}
END_TEST

static struct uuid
nic(uint8_t n)
{
	struct macaddr mac = { { 0x52, 0x54, 0, 0, 0, n } };

	return uuid_mac(&mac);
}

/* A NIC has its own lease again and again. */
START_TEST(test_nic)
{
	struct uuid one = nic(1), two = nic(2), any = drawn(1);
	struct macaddr mac;
	struct lease *l;

	ck_assert(uuid_is_mac(&one, &mac));
	ck_assert_mem_eq(mac.b, "\x52\x54\0\0\0\1", 6);
	ck_assert(!uuid_is_mac(&any, &mac) && !uuid_drawn(&one));
	ck_assert_int_eq(lease_get(&pool, &one, NULL, now, &l), LEASE_OK);
	ck_assert_uint_eq(l->vm, 1);
	ck_assert_int_eq(lease_get(&pool, &two, NULL, now, &l), LEASE_OK);
	ck_assert_uint_eq(l->vm, 2);
	l->used = true;
	ck_assert_int_eq(lease_get(&pool, &any, NULL, now, &l), LEASE_OK);
	ck_assert_uint_eq(l->vm, 3);
	ck_assert_int_eq(lease_get(&pool, &one, NULL, now, &l), LEASE_OK);
	ck_assert_uint_eq(l->vm, 1);
}
END_TEST

/* Leases of NET(3) to NET(5), by number: when their VMs have gone. */
static const usec_t gone[] = { 0, 30 * USEC_SEC, 20 * USEC_SEC, 40 * USEC_SEC };

static void
three_gone(void)
{
	struct uuid uuid;
	struct lease *l;
	uint32_t i;

	pool.conf.highest = NET(5);
	for (i = 1; i <= 3; i++) {
		uuid = name(i);
		ck_assert_int_eq(
		    lease_get(&pool, &uuid, NULL, now, &l), LEASE_OK);
		ck_assert_uint_eq(l->vm, i);
		l->spare_at = gone[i];
	}
	now = 35 * USEC_SEC;
}

/* Who comes when none is left has the lease of who has been gone longest. */
START_TEST(test_spare)
{
	struct uuid new[] = { name(11), drawn(12), nic(13), name(14) };
	struct uuid old = name(2), first = name(1);
	struct lease *l;

	three_gone();
	/* It was there again meanwhile. */
	pool.slot[2].used = true;
	ck_assert_int_eq(lease_get(&pool, &new[0], NULL, now, &l), LEASE_OK);
	ck_assert_uint_eq(l->vm, 1);
	ck_assert_mem_eq(&l->uuid, &new[0], sizeof(new[0]));
	l->used = true;
	/* The third may still come back. */
	ck_assert_int_eq(lease_get(&pool, &new[1], NULL, now, &l), LEASE_NONE);
	ck_assert_int_eq(lease_get(&pool, &first, NULL, now, &l), LEASE_NONE);
	ck_assert_int_eq(lease_get(&pool, &old, NULL, now, &l), LEASE_OK);
	ck_assert_uint_eq(l->vm, 2);
	now = gone[3];
	ck_assert_int_eq(lease_get(&pool, &new[1], NULL, now, &l), LEASE_OK);
	ck_assert_uint_eq(l->vm, 3);
	ck_assert(uuid_drawn(&l->uuid));
	/* Of each kind, and to each. */
	ck_assert_int_eq(lease_get(&pool, &new[2], NULL, now, &l), LEASE_OK);
	ck_assert_uint_eq(l->vm, 3);
	ck_assert_int_eq(lease_get(&pool, &new[3], NULL, now, &l), LEASE_OK);
	ck_assert_uint_eq(l->vm, 3);
	l->used = true;
	ck_assert_int_eq(lease_get(&pool, &new[1], NULL, now, &l), LEASE_NONE);
}
END_TEST

/*
 * Who wishes for an address has none of others', gone or not.  Where only the
 * numbers are used up, a number goes with the address that is wished for.
 */
START_TEST(test_spare_wish)
{
	struct uuid new = name(11);
	uint32_t ip3 = NET(3), ip9 = NET(9);
	struct lease *l;
	size_t i;

	three_gone();
	ck_assert_int_eq(lease_get(&pool, &new, &ip3, now, &l), LEASE_TAKEN);
	pool.conf.highest = NET(9);
	for (i = 4; i <= LEASE_MAX; i++) {
		pool.slot[i].vm = (uint32_t)i;
		pool.slot[i].used = true;
	}
	ck_assert_int_eq(lease_get(&pool, &new, &ip9, now, &l), LEASE_OK);
	ck_assert_uint_eq(l->vm, 2);
	ck_assert_uint_eq(l->ip, ip9);
}
END_TEST

/* A large pool ends with the numbers, a range over the gateway skips it. */
START_TEST(test_numbers)
{
	struct uuid uuid;
	struct lease *l;
	uint32_t i;

	pool.conf = (struct lease_conf){ .lowest = 0xfffff000,
		.highest = 0xffffffff,
		.gateway = 0xfffff001 };
	for (i = 1; i <= LEASE_MAX; i++) {
		uuid = name(i);
		ck_assert_int_eq(
		    lease_get(&pool, &uuid, NULL, now, &l), LEASE_OK);
		ck_assert_uint_eq(l->ip, 0xfffff000 + i - (i == 1));
		l->used = true;
	}
	uuid = name(i);
	ck_assert_int_eq(lease_get(&pool, &uuid, NULL, now, &l), LEASE_NONE);
	memset(&pool.slot, 0, sizeof(pool.slot));
	pool.conf.lowest = 0xfffffffe;
	for (i = 1; i <= 2; i++) {
		uuid = name(i);
		ck_assert_int_eq(
		    lease_get(&pool, &uuid, NULL, now, &l), LEASE_OK);
		l->used = true;
	}
	uuid = name(i);
	ck_assert_int_eq(lease_get(&pool, &uuid, NULL, now, &l), LEASE_NONE);
}
END_TEST

/*
 * Who asks for the addresses they had, in whatever order, have the numbers they
 * had; one that is taken is no reason to refuse.
 */
START_TEST(test_rank)
{
	struct uuid one = name(1), two = name(2), three = name(3);
	uint32_t ip3 = NET(3), ip4 = NET(4), ip7 = NET(7);
	uint32_t last = 0xffffffff;
	struct macaddr mac5 = lease_mac(5);
	struct lease *l;

	ck_assert_int_eq(lease_get(&pool, &two, &ip4, now, &l), LEASE_OK);
	ck_assert_uint_eq(l->vm, 2);
	ck_assert_int_eq(lease_get(&pool, &one, &ip3, now, &l), LEASE_OK);
	ck_assert_uint_eq(l->vm, 1);
	memset(&pool.slot, 0, sizeof(pool.slot));
	ck_assert_ptr_nonnull(lease_restore(&pool, 5, &one, &mac5, ip3));
	ck_assert_int_eq(lease_get(&pool, &two, &ip7, now, &l), LEASE_OK);
	ck_assert_uint_eq(l->vm, 1);
	pool.conf = (struct lease_conf){ .lowest = 0, .highest = last };
	ck_assert_int_eq(lease_get(&pool, &three, &last, now, &l), LEASE_OK);
	ck_assert_uint_eq(l->vm, 2);
}
END_TEST

START_TEST(test_restore)
{
	struct uuid one = name(1), two = name(2), three = name(3);
	struct macaddr mac7 = lease_mac(7), mac8 = lease_mac(8);
	struct lease *l;

	l = lease_restore(&pool, 7, &one, &mac7, NET(9));
	ck_assert_ptr_nonnull(l);
	ck_assert_ptr_eq(lease_restore(&pool, 7, &one, &mac7, NET(9)), l);
	ck_assert_ptr_null(lease_restore(&pool, 8, &one, &mac8, NET(9)));
	ck_assert_ptr_null(lease_restore(&pool, 7, &one, &mac7, NET(10)));
	ck_assert_ptr_null(lease_restore(&pool, 8, &two, &mac7, NET(10)));
	ck_assert_ptr_null(lease_restore(&pool, 8, &two, &mac8, NET(9)));
	ck_assert_ptr_null(lease_restore(&pool, 7, &two, &mac7, NET(10)));
	ck_assert_ptr_null(lease_restore(&pool, 0, &two, &mac8, NET(10)));
	ck_assert_ptr_null(
	    lease_restore(&pool, LEASE_MAX + 1, &two, &mac8, NET(10)));
	ck_assert_ptr_nonnull(lease_restore(&pool, 8, &two, &mac8, NET(10)));
	/* Whoever asks again has what it had. */
	ck_assert_int_eq(lease_get(&pool, &one, NULL, now, &l), LEASE_OK);
	ck_assert_uint_eq(l->vm, 7);
	ck_assert_uint_eq(l->ip, NET(9));
	ck_assert_int_eq(lease_get(&pool, &three, NULL, now, &l), LEASE_OK);
	ck_assert_uint_eq(l->vm, 1);
}
END_TEST

START_TEST(test_texts)
{
	char buf[LEASE_TEXTLEN];

	ck_assert_str_eq(lease_text(LEASE_OTHER_IP, 0, buf),
	    "UUID already assigned to a different IP than the IP requested by "
	    "the client");
	ck_assert_str_eq(lease_text(LEASE_RANGE, NET(1), buf),
	    "Preferred IP address out of range.");
	ck_assert_str_eq(lease_text(LEASE_TAKEN, NET(250), buf),
	    "Preferred IP address 192.168.65.250 already used.");
	ck_assert_str_eq(
	    lease_text(LEASE_NONE, 0, buf), "No IP addresses available.");
}
END_TEST

/* clang-format off */
static const struct {
	const char *in;
	int ret;
} uuids[] = {
	{ "01234567-89ab-4cde-8f01-23456789abcd", 0 },
	{ "01234567-89AB-4CDE-8F01-23456789ABCD", 0 },
	{ "00000000-0000-0000-0000-000000000000", 0 },
	{ "0123456789ab4cde8f0123456789abcd0000", -1 },
	{ "01234567-89ab-4cde-8f01-23456789abc-", -1 },
	{ "01234567-89ab-4cde-8f01_23456789abcd", -1 },
	{ "0123456 -89ab-4cde-8f01-23456789abcd", -1 },
	{ "{1234567-89ab-4cde-8f01-23456789abcd", -1 },
};
/* clang-format on */

/* The text is not terminated: it ends at the end of memory. */
START_TEST(test_uuid)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char buf[UUID_STRLEN], *map, *p;
	struct uuid uuid;

	map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert(map != MAP_FAILED);
	ck_assert_int_eq(mprotect(map + page, page, PROT_NONE), 0);
	p = map + page - 36;
	memcpy(p, uuids[_i].in, 36);
	ck_assert_msg(
	    uuid_parse(p, &uuid) == uuids[_i].ret, "%s", uuids[_i].in);
	if (uuids[_i].ret == 0)
		ck_assert_int_eq(
		    strcasecmp(uuid_str(&uuid, buf), uuids[_i].in), 0);
	munmap(map, 2 * page);
}
END_TEST

START_TEST(test_draw)
{
	uint8_t random[16];
	struct uuid uuid;
	char buf[UUID_STRLEN];

	memset(random, 0xff, sizeof(random));
	uuid = uuid_draw(random);
	ck_assert(uuid_drawn(&uuid));
	ck_assert_str_eq(
	    uuid_str(&uuid, buf), "76706e6b-ffff-4fff-bfff-ffffffffffff");
	/* That of a datagram socket is none of them. */
	uuid = uuid_dgram(0x01020304);
	ck_assert(!uuid_drawn(&uuid));
	ck_assert_str_eq(
	    uuid_str(&uuid, buf), "64677261-6d00-8000-8000-000001020304");
}
END_TEST

START_TEST(test_mac)
{
	struct macaddr mac = lease_mac(0x01020304);

	ck_assert_mem_eq(mac.b, "\2\120\1\2\3\4", 6);
	ck_assert_uint_eq(lease_mac_vm(mac.b), 0);
	mac = lease_mac(LEASE_MAX);
	ck_assert_uint_eq(lease_mac_vm(mac.b), LEASE_MAX);
	mac = lease_mac(LEASE_MAX + 1);
	ck_assert_uint_eq(lease_mac_vm(mac.b), 0);
	ck_assert_uint_eq(lease_mac_vm((const uint8_t *)"\2\121\0\0\0\1"), 0);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("lease");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, test_script);
	tcase_add_test(tc, test_wish_zero);
	tcase_add_test(tc, test_exhaustion);
	tcase_add_test(tc, test_drawn);
	tcase_add_test(tc, test_nic);
	tcase_add_test(tc, test_spare);
	tcase_add_test(tc, test_spare_wish);
	tcase_add_test(tc, test_numbers);
	tcase_add_test(tc, test_rank);
	tcase_add_test(tc, test_restore);
	tcase_add_test(tc, test_texts);
	tcase_add_loop_test(
	    tc, test_uuid, 0, (int)(sizeof(uuids) / sizeof(uuids[0])));
	tcase_add_test(tc, test_draw);
	tcase_add_test(tc, test_mac);
	return check_case("lease", tc);
}
