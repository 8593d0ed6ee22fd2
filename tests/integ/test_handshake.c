/*
 * The vmnet handshake of the real suite, byte for byte; what a lease is worth,
 * and what is left of it when a daemon dies.
 *
 *	test_handshake .../vpnkit
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/check_main.h"

#include "fakevm.h"
#include "suite.h"

#define TIMEOUT 280 /* seconds for one test, on a loaded machine */
/*
 * Their answers are more than a socket holds for who does not read, less than
 * it and the ring do.
 */
#define PINGS 850

static const char *exe;
static struct suite suite; /* of all tests in one case */

static void
start(void)
{
	ck_assert_int_eq(suite_start(&suite, exe, NULL), 0);
}

static void
start_few(void)
{
	static const char *const args[] = { "--highest-ip", "192.168.65.5",
		NULL };

	ck_assert_int_eq(suite_start(&suite, exe, args), 0);
}

static void
stop(void)
{
	ck_assert_int_eq(suite_stop(&suite), 0);
}

static void
open_vm(struct fakevm *vm, unsigned n)
{
	ck_assert_int_eq(fv_open(vm, suite.sock, fv_uuid(n)), 0);
}

/*
 * The messages.
 */

static void
expect_init(struct fakevm *vm)
{
	uint8_t init[FV_INIT];

	ck_assert_int_eq(fv_recv_all(vm, init, sizeof(init)), 0);
	ck_assert_mem_eq(init,
	    "VMN3T\26\0\0\0"
	    "0123456789012345678901234567890123456789",
	    FV_INIT);
}

static void
expect_vif(struct fakevm *vm)
{
	static const uint8_t zero[FV_REPLY];
	uint8_t vif[FV_REPLY];

	ck_assert_int_eq(fv_recv_all(vm, vif, sizeof(vif)), 0);
	/* MTU 1500, largest packet 1550. */
	ck_assert_mem_eq(vif, "\1\334\5\16\6\2\120\0\0\0", 10);
	ck_assert_uint_ne(vif[10], 0);
	ck_assert_mem_eq(vif + 11, zero, FV_REPLY - 11);
	memcpy(vm->mac, vif + 5, 6);
}

START_TEST(test_split)
{
	uint8_t init[FV_INIT], cmd[FV_CMD];
	struct fakevm vm;
	size_t i;

	ck_assert_int_eq(fv_connect(&vm, suite.sock, FV_VMNET), 0);
	fv_put_init(init, 22);
	fv_put_command(cmd, 1, fv_uuid(1), 0);
	for (i = 0; i < sizeof(init); i++)
		ck_assert_int_eq(fv_send_all(&vm, &init[i], 1), 0);
	expect_init(&vm);
	for (i = 0; i < sizeof(cmd); i++)
		ck_assert_int_eq(fv_send_all(&vm, &cmd[i], 1), 0);
	expect_vif(&vm);
	ck_assert_int_eq(fv_dhcp(&vm, FV_WAIT), 0);
	fv_close(&vm);
}
END_TEST

/* Handshake and first frame in one write: no byte is lost. */
START_TEST(test_joined)
{
	uint8_t out[FV_INIT + FV_CMD + 64];
	struct fv_pkt p = { .type = 0x0806, .arp_op = 1, .ip_dst = FV_GATEWAY };
	struct fakevm vm;
	int n;

	ck_assert_int_eq(fv_connect(&vm, suite.sock, FV_VMNET), 0);
	fv_put_init(out, 22);
	fv_put_command(out + FV_INIT, 1, fv_uuid(2), 0);
	out[FV_INIT + FV_CMD] = 42;
	out[FV_INIT + FV_CMD + 1] = 0;
	memcpy(p.dst, fv_bcast, 6);
	memcpy(p.src, "\2\0\0\0\0\11", 6);
	memcpy(p.arp_sha, p.src, 6);
	p.ip_src = 0; /* it does not know its own yet */
	ck_assert_uint_eq(fv_arp(out + FV_INIT + FV_CMD + 2, &p), 42);
	ck_assert_int_eq(fv_send_all(&vm, out, FV_INIT + FV_CMD + 2 + 42), 0);
	expect_init(&vm);
	expect_vif(&vm);
	n = fv_recv(&vm, out, sizeof(out), FV_WAIT);
	ck_assert_int_ge(n, 42);
	ck_assert_int_eq(fv_parse(out, (size_t)n, &p), 0);
	ck_assert_uint_eq(p.arp_op, 2);
	ck_assert_uint_eq(p.ip_src, FV_GATEWAY);
	ck_assert_mem_eq(p.arp_sha, fv_server, 6);
	fv_close(&vm);
}
END_TEST

/* clang-format off */
static const struct {
	const char *what;
	uint32_t version;
	uint8_t command; /* 0: none is sent */
	const char *uuid;
} closes[] = {
	{ "version 1", 1, 0, NULL },
	{ "version 23, and a command at once", 23, 1, NULL },
	{ "command 6", 22, 6, NULL },
	{ "command 99", 22, 99, NULL },
	{ "command 0", 22, 0, NULL },
	{ "a UUID that is none", 22, 1,
	    "not-a-uuid-not-a-uuid-not-a-uuid-not" },
};
/* clang-format on */

/* The server answers the init, nothing else, and closes. */
START_TEST(test_closes)
{
	uint8_t init[FV_INIT], cmd[FV_CMD];
	struct fakevm vm;

	ck_assert_int_eq(fv_connect(&vm, suite.sock, FV_VMNET), 0);
	fv_put_init(init, closes[_i].version);
	fv_put_command(cmd, closes[_i].command, closes[_i].uuid, 0);
	ck_assert_int_eq(fv_send_all(&vm, init, sizeof(init)), 0);
	if (closes[_i].version == 22 || closes[_i].command != 0)
		(void)fv_send_all(&vm, cmd, sizeof(cmd));
	expect_init(&vm);
	ck_assert_msg(fv_eof(&vm, FV_WAIT) == 1, "%s", closes[_i].what);
	fv_close(&vm);
}
END_TEST

/* The magic is not looked at. */
START_TEST(test_magic)
{
	uint8_t init[FV_INIT], cmd[FV_CMD];
	struct fakevm vm;

	ck_assert_int_eq(fv_connect(&vm, suite.sock, FV_VMNET), 0);
	fv_put_init(init, 22);
	memset(init, 'Z', 5);
	fv_put_command(cmd, 1, fv_uuid(3), 0xffffffff);
	ck_assert_int_eq(fv_send_all(&vm, init, sizeof(init)), 0);
	ck_assert_int_eq(fv_send_all(&vm, cmd, sizeof(cmd)), 0);
	expect_init(&vm);
	expect_vif(&vm);
	fv_close(&vm);
}
END_TEST

/*
 * Leases.
 */

START_TEST(test_no_uuid)
{
	struct fakevm a, b;

	ck_assert_int_eq(fv_open(&a, suite.sock, NULL), 0);
	ck_assert_int_eq(fv_open(&b, suite.sock, NULL), 0);
	ck_assert_mem_ne(a.mac, b.mac, 6);
	ck_assert_int_eq(fv_dhcp(&a, FV_WAIT), 0);
	ck_assert_int_eq(fv_dhcp(&b, FV_WAIT), 0);
	ck_assert_uint_ne(a.ip, b.ip);
	fv_close(&a);
	fv_close(&b);
}
END_TEST

/* A UUID keeps what it had, in whatever case it is written. */
START_TEST(test_same_uuid)
{
	static const char *const text[] = {
		"abcdefab-cdef-4abc-8def-abcdefabcdef",
		"ABCDEFAB-CDEF-4ABC-8DEF-ABCDEFABCDEF",
	};
	struct fakevm a, b;

	ck_assert_int_eq(fv_open(&a, suite.sock, text[0]), 0);
	ck_assert_int_eq(fv_dhcp(&a, FV_WAIT), 0);
	ck_assert_int_eq(fv_open(&b, suite.sock, text[1]), 0);
	ck_assert_int_eq(fv_dhcp(&b, FV_WAIT), 0);
	ck_assert_mem_eq(a.mac, b.mac, 6);
	ck_assert_uint_eq(a.ip, b.ip);
	fv_close(&b);
	/* The link goes on for the one that is left. */
	ck_assert_int_eq(fv_ping(&a, FV_GATEWAY, 1, FV_WAIT), 0);
	fv_close(&a);
}
END_TEST

/* One more than may have a UUID: the one that is silent longest makes room. */
START_TEST(test_crowd)
{
	struct fakevm vm[33];
	size_t i;

	for (i = 0; i < 33; i++)
		ck_assert_int_eq(fv_open(&vm[i], suite.sock, fv_uuid(40)), 0);
	ck_assert_int_eq(fv_eof(&vm[0], FV_WAIT), 1);
	ck_assert_int_eq(fv_dhcp(&vm[1], FV_WAIT), 0);
	ck_assert_int_eq(fv_dhcp(&vm[32], FV_WAIT), 0);
	for (i = 0; i < 33; i++)
		fv_close(&vm[i]);
}
END_TEST

/* clang-format off */
static const struct {
	const char *what;
	unsigned uuid, ip; /* the last byte */
	const char *text;  /* NULL: granted */
} wishes[] = {
	{ "free", 10, 250, NULL },
	{ "the same again", 10, 250, NULL },
	{ "another now", 10, 251,
	    "UUID already assigned to a different IP than the IP requested by "
	    "the client" },
	{ "somebody's", 11, 250,
	    "Preferred IP address 192.168.65.250 already used." },
	{ "the gateway", 12, 1, "Preferred IP address out of range." },
	{ "the host", 12, 2, "Preferred IP address out of range." },
	{ "the broadcast address", 12, 255,
	    "Preferred IP address out of range." },
};
/* clang-format on */

/* In this order: later rows need the earlier ones. */
START_TEST(test_wishes)
{
	uint32_t ip;
	struct fakevm vm;
	size_t i;
	int r;

	for (i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
		ip = FV_IP(192, 168, 65, wishes[i].ip);
		ck_assert_int_eq(fv_connect(&vm, suite.sock, FV_VMNET), 0);
		r = fv_greet(&vm, fv_uuid(wishes[i].uuid), ip);
		if (wishes[i].text != NULL) {
			ck_assert_msg(r == 2, "%s: %d", wishes[i].what, r);
			ck_assert_str_eq(vm.text, wishes[i].text);
			ck_assert_int_eq(fv_eof(&vm, FV_WAIT), 1);
		} else {
			ck_assert_msg(r == 1, "%s: %d", wishes[i].what, r);
			ck_assert_int_eq(fv_dhcp(&vm, FV_WAIT), 0);
			ck_assert_uint_eq(vm.ip, ip);
		}
		fv_close(&vm);
	}
}
END_TEST

START_TEST(test_exhaustion)
{
	struct fakevm vm, all[252];
	unsigned i;

	for (i = 1; i <= 252; i++)
		open_vm(&all[i - 1], i);
	ck_assert_int_eq(fv_connect(&vm, suite.sock, FV_VMNET), 0);
	ck_assert_int_eq(fv_greet(&vm, fv_uuid(253), 0), 2);
	ck_assert_str_eq(vm.text, "No IP addresses available.");
	ck_assert_int_eq(fv_eof(&vm, FV_WAIT), 1);
	fv_close(&vm);
	/* Who has one keeps it. */
	open_vm(&vm, 252);
	ck_assert_uint_eq(vm.mac[5], 252);
	ck_assert_int_eq(fv_dhcp(&vm, TIMEOUT * 1000), 0);
	ck_assert_uint_eq(vm.ip, FV_IP(192, 168, 65, 254));
	fv_close(&vm);
	for (i = 0; i < 252; i++)
		fv_close(&all[i]);
}
END_TEST

static void
expect_none(unsigned uuid)
{
	struct fakevm vm;

	ck_assert_int_eq(fv_connect(&vm, suite.sock, FV_VMNET), 0);
	ck_assert_int_eq(fv_greet(&vm, fv_uuid(uuid), 0), 2);
	ck_assert_str_eq(vm.text, "No IP addresses available.");
	fv_close(&vm);
}

static void
expect_vm(struct fakevm *vm, unsigned uuid, uint8_t num)
{
	open_vm(vm, uuid);
	ck_assert_uint_eq(vm->mac[5], num);
	ck_assert_int_eq(fv_dhcp(vm, FV_WAIT), 0);
	ck_assert_uint_eq(vm->ip, FV_IP(192, 168, 65, 2 + num));
	ck_assert_int_eq(fv_ping(vm, FV_GATEWAY, 1, FV_WAIT), 0);
}

/*
 * There are three addresses, and clients that are somebody else each time.
 * Each gets that of who has been gone longest, not of who is there, and keeps
 * it when ethd dies.
 */
START_TEST(test_spare)
{
	struct fakevm vm[3];
	unsigned i;

	for (i = 0; i < 3; i++)
		expect_vm(&vm[i], i + 1, (uint8_t)(i + 1));
	expect_none(4);
	fv_close(&vm[1]);
	/* That is noticed before there is an answer to this. */
	ck_assert_int_eq(fv_ping(&vm[0], FV_GATEWAY, 2, FV_WAIT), 0);
	fv_close(&vm[0]);
	ck_assert_int_eq(
	    suite_wait_log(&suite, "192.168.65.3): gone", 1, FV_WAIT), 0);
	expect_vm(&vm[1], 4, 2);
	expect_vm(&vm[0], 5, 1);
	expect_none(2);
	kill(suite_find(&suite, "ethd", 0), SIGKILL);
	for (i = 0; i < 3; i++) {
		while (fv_eof(&vm[i], FV_WAIT) == 0)
			vm[i].len = 0;
		fv_close(&vm[i]);
	}
	expect_vm(&vm[0], 5, 1);
	expect_vm(&vm[1], 4, 2);
	expect_vm(&vm[2], 3, 3);
	expect_none(2);
	for (i = 0; i < 3; i++)
		fv_close(&vm[i]);
	ck_assert_int_eq(suite_log_count(&suite, "killing it"), 0);
}
END_TEST

/*
 * A netstackd dies while the guest does not read, so in the middle of a frame
 * both ways: the connection stays, the frame to the guest ends as it began,
 * and what the guest sends meanwhile waits for the next netstackd.
 */
START_TEST(test_stack_dies)
{
	uint8_t frame[102] = { 100 };
	struct fakevm vm;
	int n;
	int i;

	open_vm(&vm, 1);
	ck_assert_int_eq(fv_dhcp(&vm, FV_WAIT), 0);
	for (i = 1; i <= 3; i++) {
		ck_assert_int_eq(fv_send_pings(&vm, PINGS), 0);
		ck_assert_int_eq(fv_send_all(&vm, frame, 60), 0);
		ck_assert_int_eq(fv_sent(&vm), 0);
		kill(suite_find(&suite, "netstackd", 0), SIGKILL);
		ck_assert_int_eq(suite_wait_log(&suite, "netstackd-1 is ready",
				     i + 1, FV_WAIT),
		    0);
		ck_assert_int_eq(fv_send_all(&vm, frame + 60, 42), 0);
		n = fv_drain(&vm, 1000);
		ck_assert_int_gt(n, 0);
		ck_assert_int_lt(n, PINGS);
		ck_assert_int_eq(fv_ping(&vm, FV_GATEWAY, 9000, FV_WAIT), 0);
	}
	fv_close(&vm);
}
END_TEST

/* ethd dies: the connection ends, the addresses stay. */
START_TEST(test_ethd_dies)
{
	struct fakevm vm, other;
	uint8_t mac[6];
	uint32_t ip;

	open_vm(&vm, 2);
	open_vm(&other, 3);
	ck_assert_int_eq(fv_dhcp(&vm, FV_WAIT), 0);
	ip = vm.ip;
	memcpy(mac, vm.mac, 6);
	kill(suite_find(&suite, "ethd", 0), SIGKILL);
	while (fv_eof(&vm, FV_WAIT) == 0)
		vm.len = 0;
	fv_close(&vm);
	fv_close(&other);
	open_vm(&other, 4);
	open_vm(&vm, 2);
	ck_assert_mem_eq(vm.mac, mac, 6);
	ck_assert_int_eq(fv_dhcp(&vm, FV_WAIT), 0);
	ck_assert_uint_eq(vm.ip, ip);
	ck_assert_int_eq(fv_ping(&vm, FV_GATEWAY, 1, FV_WAIT), 0);
	fv_close(&vm);
	fv_close(&other);
}
END_TEST

static TCase *
add_case(Suite *s, const char *name, bool shared)
{
	TCase *tc = tcase_create(name);

	if (shared)
		tcase_add_unchecked_fixture(tc, start, stop);
	tcase_set_timeout(tc, TIMEOUT);
	suite_add_tcase(s, tc);
	return tc;
}

static Suite *
tests(void)
{
	Suite *s = suite_create("handshake");
	TCase *tc;

	tc = add_case(s, "messages", true);
	tcase_add_test(tc, test_split);
	tcase_add_test(tc, test_joined);
	tcase_add_loop_test(
	    tc, test_closes, 0, (int)(sizeof(closes) / sizeof(closes[0])));
	tcase_add_test(tc, test_magic);
	tcase_add_test(tc, test_no_uuid);
	tcase_add_test(tc, test_same_uuid);
	tcase_add_test(tc, test_crowd);
	tcase_add_test(tc, test_wishes);
	tc = add_case(s, "deaths", true);
	tcase_add_test(tc, test_stack_dies);
	tcase_add_test(tc, test_ethd_dies);
	tc = add_case(s, "exhaustion", true);
	tcase_add_test(tc, test_exhaustion);
	tc = add_case(s, "spare", false);
	tcase_add_unchecked_fixture(tc, start_few, stop);
	tcase_add_test(tc, test_spare);
	return s;
}

int
main(int argc, char *argv[])
{
	if (argc != 2) {
		fprintf(stderr, "usage: test_handshake VPNKIT\n");
		return EXIT_FAILURE;
	}
	exe = argv[1];
	return check_suite(tests());
}
