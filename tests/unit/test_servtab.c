/*
 * The page that shows dnsd its servers.
 */

#include <arpa/inet.h>
#include <string.h>

#include "common/servtab.h"
#include "tests/check_main.h"

#define HALF ((SERVTAB_PLACES - 1) / 2)

static struct servtab t;

static struct sockaddr_storage
v4(uint32_t addr, uint16_t port)
{
	struct sockaddr_storage ss = { .ss_family = AF_INET };
	struct sockaddr_in *in = (struct sockaddr_in *)&ss;

	in->sin_addr.s_addr = htonl(addr);
	in->sin_port = htons(port);
	return ss;
}

static struct sockaddr_storage
v6(const char *addr)
{
	struct sockaddr_storage ss = { .ss_family = AF_INET6 };
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ss;

	ck_assert_int_eq(inet_pton(AF_INET6, addr, &in6->sin6_addr), 1);
	in6->sin6_port = htons(53);
	return ss;
}

/* These and no others, and the first place is nobody's. */
START_TEST(these)
{
	struct sockaddr_storage ss[3] = { v4(1, 53), v4(1, 54), v6("::1") };
	unsigned place[3];
	int i;

	servtab_put(&t, ss, 3);
	for (i = 0; i < 3; i++) {
		place[i] = servtab_find(&t, &ss[i]);
		ck_assert_uint_ne(place[i], 0);
		ck_assert(servtab_is(&t, place[i], &ss[i]));
		ck_assert_mem_eq(&t.place[place[i]].any, &ss[i], SERVTAB_LEN);
	}
	ck_assert_uint_ne(place[0], place[1]);
	servtab_put(&t, ss + 1, 1);
	ck_assert(!servtab_is(&t, place[0], &ss[0]));
	ck_assert(servtab_is(&t, place[1], &ss[1]));
	ck_assert(!servtab_is(&t, place[2], &ss[2]));
	ck_assert_uint_eq(servtab_find(&t, &ss[2]), 0);
	/* It comes back to where it was. */
	servtab_put(&t, ss, 3);
	for (i = 0; i < 3; i++)
		ck_assert_uint_eq(servtab_find(&t, &ss[i]), place[i]);
	servtab_put(&t, NULL, 0);
	for (i = 0; i < SERVTAB_PLACES; i++)
		ck_assert_int_eq(t.place[i].any.sa_family, AF_UNSPEC);
}
END_TEST

/* However often all of them change there is a place for each. */
START_TEST(others)
{
	struct sockaddr_storage ss[HALF];
	struct servtab before;
	uint32_t round, i;

	for (round = 0; round < 10; round++) {
		before = t;
		for (i = 0; i < HALF; i++)
			ss[i] = v4(round * HALF + i + 1, 53);
		servtab_put(&t, ss, HALF);
		for (i = 0; i < HALF; i++)
			ck_assert_uint_ne(servtab_find(&t, &ss[i]), 0);
		/* The first rounds overwrite nothing. */
		for (i = 1; round == 1 && i <= HALF; i++)
			ck_assert_mem_eq((uint8_t *)&t.place[i] + 2,
			    (uint8_t *)&before.place[i] + 2, SERVTAB_LEN - 2);
	}
}
END_TEST

static void
empty(void)
{
	memset(&t, 0, sizeof(t));
}

int
main(void)
{
	TCase *c = tcase_create("servtab");

	tcase_add_checked_fixture(c, empty, NULL);
	tcase_add_test(c, these);
	tcase_add_test(c, others);
	return check_case("servtab", c);
}
