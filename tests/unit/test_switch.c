/*
 * Where frames go, by their Ethernet addresses.  VMs 1, 2 and 3 are there;
 * 3 has a NIC with an address of its own.
 */

#include <sys/mman.h>
#include <string.h>
#include <unistd.h>

#include "ethd/switch.h"
#include "tests/check_main.h"

#define SERVER "\366\26\66\274\371\306"
#define VM(n)  "\2\120\0\0\0" n
#define QEMU   "\122\124\0\22\64\126"
#define STRAY  "\122\124\0\22\64\127"
#define BCAST  "\377\377\377\377\377\377"
#define MCAST  "\1\0\136\0\0\373"
#define IP4    "\10\0"

static struct switch_table table;

static void
setup(void)
{
	uint32_t to;

	memset(&table, 0, sizeof(table));
	memcpy(table.server.b, SERVER, 6);
	switch_add(&table, 1);
	switch_add(&table, 2);
	switch_add(&table, 3);
	switch_input(
	    &table, 3, (const uint8_t *)BCAST QEMU IP4, SWITCH_HDRLEN, &to);
}

/* clang-format off */
static const struct {
	const char *what;
	uint32_t from;
	const char *frame;
	enum switch_verdict verdict;
	uint32_t to;
} cases[] = {
	{ "the server", 1, SERVER VM("\1") IP4, SWITCH_STACK, 0 },
	{ "itself", 1, VM("\1") VM("\1") IP4, SWITCH_STACK, 0 },
	{ "another", 1, VM("\2") VM("\1") IP4, SWITCH_VM, 2 },
	{ "one that is not there", 1, VM("\4") VM("\1") IP4, SWITCH_STACK,
	    0 },
	{ "VM 0", 1, VM("\0") VM("\1") IP4, SWITCH_STACK, 0 },
	{ "VM 65537", 1, "\2\120\0\1\0\1" VM("\1") IP4, SWITCH_STACK, 0 },
	{ "broadcast", 1, BCAST VM("\1") IP4, SWITCH_ALL, 0 },
	{ "multicast", 2, MCAST VM("\2") IP4, SWITCH_ALL, 0 },
	{ "a learned one", 1, QEMU VM("\1") IP4, SWITCH_VM, 3 },
	{ "its own learned one", 3, QEMU QEMU IP4, SWITCH_STACK, 0 },
	{ "unknown", 1, STRAY VM("\1") IP4, SWITCH_STACK, 0 },
	{ "nobody", 1, "\0\0\0\0\0\0" VM("\1") IP4, SWITCH_STACK, 0 },
};
/* clang-format on */

#define NCASES (sizeof(cases) / sizeof(cases[0]))

START_TEST(test_verdict)
{
	enum switch_verdict v;
	uint32_t to = 0;

	v = switch_input(&table, cases[_i].from,
	    (const uint8_t *)cases[_i].frame, SWITCH_HDRLEN, &to);
	ck_assert_msg(v == cases[_i].verdict, "%s: %d", cases[_i].what, v);
	if (v == SWITCH_VM)
		ck_assert_msg(
		    to == cases[_i].to, "%s: VM %u", cases[_i].what, to);
}
END_TEST

/* Every prefix of a header, at the end of memory, is short. */
START_TEST(test_short)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), len;
	uint8_t *map;
	uint32_t to;

	map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert(map != MAP_FAILED);
	ck_assert_int_eq(mprotect(map + page, page, PROT_NONE), 0);
	for (len = 0; len <= SWITCH_HDRLEN; len++) {
		memcpy(map + page - len, SERVER VM("\1") IP4, len);
		ck_assert_int_eq(
		    switch_input(&table, 1, map + page - len, len, &to),
		    len < SWITCH_HDRLEN ? SWITCH_SHORT : SWITCH_STACK);
	}
	munmap(map, 2 * page);
}
END_TEST

static enum switch_verdict
send_to(uint32_t from, const char *frame, uint32_t *to)
{
	*to = 0;
	return switch_input(
	    &table, from, (const uint8_t *)frame, SWITCH_HDRLEN, to);
}

/* Addresses that are another's, the server's or a group's are not learned. */
START_TEST(test_spoofing)
{
	uint32_t to;

	send_to(1, SERVER QEMU IP4, &to);
	ck_assert_int_eq(send_to(2, QEMU VM("\2") IP4, &to), SWITCH_VM);
	ck_assert_uint_eq(to, 3);
	send_to(1, SERVER VM("\2") IP4, &to);
	ck_assert_int_eq(send_to(3, VM("\2") QEMU IP4, &to), SWITCH_VM);
	ck_assert_uint_eq(to, 2);
	send_to(1, BCAST SERVER IP4, &to);
	ck_assert_int_eq(send_to(2, SERVER VM("\2") IP4, &to), SWITCH_STACK);
	send_to(1, BCAST MCAST IP4, &to);
	ck_assert_uint_eq(table.nlearned, 1);
}
END_TEST

/* A VM has one learned address, and takes it along when it goes. */
START_TEST(test_moving)
{
	uint32_t to;

	send_to(3, SERVER STRAY IP4, &to);
	ck_assert_uint_eq(table.nlearned, 1);
	ck_assert_int_eq(send_to(1, STRAY VM("\1") IP4, &to), SWITCH_VM);
	ck_assert_int_eq(send_to(1, QEMU VM("\1") IP4, &to), SWITCH_STACK);
	switch_del(&table, 3);
	switch_del(&table, 2);
	ck_assert_uint_eq(table.nlearned, 0);
	ck_assert_int_eq(send_to(1, STRAY VM("\1") IP4, &to), SWITCH_STACK);
	ck_assert_int_eq(send_to(1, VM("\2") VM("\1") IP4, &to), SWITCH_STACK);
}
END_TEST

/* clang-format off */
#define ARP	  "\10\6\0\1\10\0\6\4\0\2" VM("\1")
#define NET(n)	  "\300\250\101" n
#define UDP(ihl, sport) IP4 ihl "\0\0\40\0\0\0\0\100\21\0\0" NET("\3") \
	NET("\4") sport

/* Of VM 1, which has .3; VM 2 has .4. */
static const struct {
	const char *what;
	const char *rest; /* behind the addresses */
	size_t len;
	bool forged;
} lies[] = {
#define CASE(what, rest, forged) { what, rest, sizeof(rest) - 1, forged }
	CASE("its own address", ARP NET("\3"), false),
	CASE("none, as of a probe", ARP "\0\0\0\0", false),
	CASE("nobody's", ARP NET("\5"), false),
	CASE("another VM's", ARP NET("\4"), true),
	CASE("the gateway's", ARP NET("\1"), true),
	CASE("the host's", ARP NET("\2"), true),
	CASE("cut short", ARP "\300\250\101", false),
	CASE("a DHCP server", UDP("\105", "\0\103"), true),
	CASE("a DHCP client", UDP("\105", "\0\104"), false),
	CASE("behind an option", UDP("\106", "\1\1\1\1\0\103"), true),
	CASE("an option that looks like it", UDP("\106", "\0\103\1\1\0\104"),
	    false),
	CASE("an impossible header", UDP("\100", "\0\103"), false),
	CASE("another protocol", "\206\335\105", false),
	CASE("no header at all", "\10", false),
};
/* clang-format on */

/* What no other VM may see; each prefix at the end of memory. */
START_TEST(test_forged)
{
	static struct lease_pool pool = { .conf = { .gateway = 0xc0a84101,
					      .host = 0xc0a84102 } };
	size_t page = (size_t)sysconf(_SC_PAGESIZE), len, i;
	uint8_t *map, *p;

	pool.slot[1] = (struct lease){ .vm = 1, .ip = 0xc0a84103 };
	pool.slot[2] = (struct lease){ .vm = 2, .ip = 0xc0a84104 };
	map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert(map != MAP_FAILED);
	ck_assert_int_eq(mprotect(map + page, page, PROT_NONE), 0);
	for (i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		for (len = 0; len <= 12 + lies[i].len; len++) {
			p = map + page - len;
			memset(p, 0, len < 12 ? len : 12);
			if (len > 12)
				memcpy(p + 12, lies[i].rest, len - 12);
			ck_assert_msg(
			    switch_forged(&pool, 1, p, len) ==
				(lies[i].forged && len == 12 + lies[i].len),
			    "%s: %zu bytes", lies[i].what, len);
		}
	}
	munmap(map, 2 * page);
}
END_TEST

/* How many of n frames may go to all. */
static unsigned
flood(uint32_t vm, unsigned n, usec_t now)
{
	unsigned passed = 0;

	while (n-- > 0)
		passed += switch_flood(&table, vm, now);
	return passed;
}

/* A burst, then so many each second; each VM has its own. */
START_TEST(test_flood)
{
	usec_t now = 1000 * USEC_SEC;
	unsigned i, n = 0;

	ck_assert_uint_eq(flood(1, 10000, now), SWITCH_FLOOD_BURST);
	ck_assert_uint_eq(flood(2, 10, now), 10);
	/* Time that is less than one frame's adds up. */
	for (i = 0; i < 1000; i++)
		n += flood(1, 100, now += 100);
	ck_assert_uint_eq(n, SWITCH_FLOOD_RATE / 10);
	now += 3600 * USEC_SEC;
	ck_assert_uint_eq(flood(1, 10000, now), SWITCH_FLOOD_BURST);
	now += USEC_SEC / 10;
	ck_assert_uint_eq(flood(1, 10000, now), SWITCH_FLOOD_RATE / 10);
	/* Who takes its number starts anew. */
	switch_del(&table, 1);
	switch_add(&table, 1);
	ck_assert_uint_eq(flood(1, 10000, now), SWITCH_FLOOD_BURST);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("switch");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, test_verdict, 0, (int)NCASES);
	tcase_add_test(tc, test_short);
	tcase_add_test(tc, test_spoofing);
	tcase_add_test(tc, test_moving);
	tcase_add_test(tc, test_forged);
	tcase_add_test(tc, test_flood);
	return check_case("switch", tc);
}
