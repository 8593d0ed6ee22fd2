/*
 * Clients that lie, stop in the middle and die: afterwards the suite has the
 * processes, descriptors and memory it had, and serves a good client.
 *
 *	test_badinput .../vpnkit
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/check_main.h"

#include "fakevm.h"
#include "suite.h"

#define TIMEOUT 120
/* A VM is kept for ten seconds after its last client. */
#define SETTLE_MS 120000
/* Whatever a process keeps of work it has done, but not of each client. */
#define SLACK_KB 16384

static const char *exe;
static struct suite suite;
static struct suite_usage before;

/* The good client of every test. */
static struct fakevm good;

/*
 * The suite, and a good client that stays.  It has been through everything
 * once before it is counted, so that what is made on first use is there.
 */
static void
start(void)
{
	struct suite_usage zero = { 0, 0, 0 };
	struct fakevm vm;

	ck_assert_int_eq(suite_start(&suite, exe, NULL), 0);
	ck_assert_int_eq(fv_open(&good, suite.sock, fv_uuid(1)), 0);
	ck_assert_int_eq(fv_dhcp(&good, FV_WAIT), 0);
	ck_assert_int_eq(fv_ping(&good, FV_GATEWAY, 1, FV_WAIT), 0);
	suite_usage_steady(&suite, &before);
	ck_assert_int_eq(fv_open(&vm, suite.sock, fv_uuid(2)), 0);
	ck_assert_int_eq(fv_dhcp(&vm, FV_WAIT), 0);
	fv_close(&vm);
	ck_assert_int_eq(suite_settle(&suite, &before, SETTLE_MS, &zero), 0);
	before = zero;
}

static void
stop(void)
{
	fv_close(&good);
	ck_assert_int_eq(suite_stop(&suite), 0);
}

/* The good client is served, and so is a new one. */
static void
still_good(void)
{
	struct fakevm vm;
	uint8_t mac[6];

	ck_assert_int_eq(fv_dhcp(&good, FV_WAIT), 0);
	ck_assert_int_eq(fv_whohas(&good, FV_GATEWAY, mac, FV_WAIT), 0);
	ck_assert_mem_eq(mac, fv_server, 6);
	ck_assert_int_eq(fv_ping(&good, FV_GATEWAY, 2, FV_WAIT), 0);
	ck_assert_int_eq(fv_open(&vm, suite.sock, fv_uuid(3)), 0);
	ck_assert_int_eq(fv_dhcp(&vm, FV_WAIT), 0);
	ck_assert_int_eq(fv_whohas(&vm, FV_GATEWAY, mac, FV_WAIT), 0);
	fv_close(&vm);
}

static uint32_t seed = 1;

/* The same bytes in every run. */
static uint8_t
junk(void)
{
	seed = seed * 1664525 + 1013904223;
	return (uint8_t)(seed >> 24);
}

static void
fill(uint8_t *p, size_t len)
{
	while (len-- > 0)
		*p++ = junk();
}

START_TEST(test_garbage)
{
	uint8_t buf[4096];
	struct fakevm vm;
	int i;

	for (i = 0; i < 50; i++) {
		ck_assert_int_eq(fv_connect(&vm, suite.sock, FV_VMNET), 0);
		fill(buf, sizeof(buf));
		/* It may be closed before all of it is sent. */
		(void)fv_send_all(&vm, buf, (size_t)(i + 1) * 80);
		fv_close(&vm);
	}
	still_good();
}
END_TEST

/* Every length of an unfinished handshake. */
START_TEST(test_half_handshakes)
{
	uint8_t out[FV_INIT + FV_CMD];
	struct fakevm vm[FV_INIT + FV_CMD];
	size_t i;

	fv_put_init(out, 22);
	fv_put_command(out + FV_INIT, 1, fv_uuid(4), 0);
	for (i = 0; i < sizeof(out); i++) {
		ck_assert_int_eq(fv_connect(&vm[i], suite.sock, FV_VMNET), 0);
		ck_assert_int_eq(fv_send_all(&vm[i], out, i), 0);
	}
	still_good();
	/* There are more than may be: the first ones were closed. */
	ck_assert_int_eq(fv_eof(&vm[0], FV_WAIT), 1);
	for (i = 0; i < sizeof(out); i++)
		fv_close(&vm[i]);
	still_good();
}
END_TEST

/* Lengths that are not those of the bytes that follow. */
START_TEST(test_lying_lengths)
{
	static uint8_t frame[FV_MAXFRAME];
	struct fakevm vm;
	unsigned i;

	for (i = 0; i < 64; i++) {
		ck_assert_int_eq(fv_open(&vm, suite.sock, fv_uuid(5)), 0);
		fill(frame, sizeof(frame));
		frame[0] = (uint8_t)(i * 4 + 3);
		frame[1] = (uint8_t)(i * 4);
		ck_assert_int_eq(fv_send_all(&vm, frame, i * 1000), 0);
		fv_close(&vm);
	}
	ck_assert_int_eq(fv_connect(&vm, suite.qemu, FV_QEMU), 0);
	ck_assert_int_eq(fv_send_all(&vm, "\377\377\377\377abcd", 8), 0);
	ck_assert_int_eq(fv_eof(&vm, FV_WAIT), 1);
	fv_close(&vm);
	still_good();
}
END_TEST

/* Empty, short and huge frames, to everybody, whole and in pieces. */
START_TEST(test_odd_frames)
{
	static const size_t lens[] = { 0, 1, 13, 14, 15, 33, 34, 59, 60, 1514,
		1515, 9000, 65534, 65535 };
	static uint8_t frame[FV_MAXFRAME];
	struct fakevm vm;
	size_t i, j;

	ck_assert_int_eq(fv_open(&vm, suite.sock, fv_uuid(6)), 0);
	for (i = 0; i < 20; i++)
		for (j = 0; j < sizeof(lens) / sizeof(lens[0]); j++) {
			fill(frame, lens[j]);
			if (i % 4 == 1)
				memcpy(frame, fv_server, 6);
			else if (i % 4 == 2)
				memcpy(frame, fv_bcast, 6);
			else if (i % 4 == 3)
				memcpy(frame, good.mac, 6);
			memcpy(frame + 12, i % 3 == 0 ? "\10\0" : "\10\6", 2);
			ck_assert_int_eq(fv_send(&vm, frame, lens[j]), 0);
		}
	ck_assert_int_eq(fv_sent(&vm), 0);
	ck_assert_int_eq(fv_dhcp(&vm, FV_WAIT), 0);
	ck_assert_int_eq(fv_ping(&vm, FV_GATEWAY, 1, FV_WAIT), 0);
	fv_close(&vm);
	still_good();
}
END_TEST

/* Good packets with one byte changed. */
START_TEST(test_bent_packets)
{
	uint8_t frame[256], bent[256];
	struct fakevm vm;
	struct fv_pkt p;
	size_t len, i;

	ck_assert_int_eq(fv_open(&vm, suite.sock, fv_uuid(7)), 0);
	ck_assert_int_eq(fv_dhcp(&vm, FV_WAIT), 0);
	p = fv_from(&vm, 6, FV_GATEWAY);
	p.sport = 1000;
	p.dport = 9;
	p.flags = FV_SYN;
	len = fv_tcp(frame, &p);
	for (i = 0; i < len * 8; i++) {
		memcpy(bent, frame, len);
		bent[i / 8] ^= (uint8_t)(1 << i % 8);
		ck_assert_int_eq(fv_send(&vm, bent, len), 0);
	}
	for (i = 0; i <= len; i++)
		ck_assert_int_eq(fv_send(&vm, frame, i), 0);
	ck_assert_int_eq(fv_sent(&vm), 0);
	ck_assert_int_eq(fv_ping(&vm, FV_GATEWAY, 1, FV_WAIT), 0);
	fv_close(&vm);
	still_good();
}
END_TEST

/* Clients killed in the middle of a frame, and with frames unread. */
START_TEST(test_killed)
{
	uint8_t out[1000] = { 0xff, 0xff };
	struct fakevm vm;
	struct fv_pkt p;
	unsigned i, j;

	for (i = 0; i < 20; i++) {
		ck_assert_int_eq(fv_open(&vm, suite.sock, fv_uuid(8)), 0);
		ck_assert_int_eq(fv_dhcp(&vm, FV_WAIT), 0);
		p = fv_from(&vm, 1, FV_GATEWAY);
		p.icmp_type = 8;
		p.data = out + 500;
		p.len = 400;
		for (j = 0; j < i * 20; j++) {
			uint8_t frame[600];

			ck_assert_int_eq(
			    fv_send(&vm, frame, fv_icmp(frame, &p)), 0);
		}
		ck_assert_int_eq(fv_send_all(&vm, out, i * 50), 0);
		fv_close(&vm);
	}
	still_good();
}
END_TEST

/* A twin that dies in the middle of a frame is not the other's concern. */
START_TEST(test_killed_twin)
{
	uint8_t out[1000] = { 0xff, 0xff };
	struct fakevm a, b;
	unsigned i;

	ck_assert_int_eq(fv_open(&a, suite.sock, fv_uuid(9)), 0);
	ck_assert_int_eq(fv_dhcp(&a, FV_WAIT), 0);
	for (i = 1; i < 20; i++) {
		ck_assert_int_eq(fv_open(&b, suite.sock, fv_uuid(9)), 0);
		ck_assert_int_eq(fv_send_all(&b, out, i * 50), 0);
		ck_assert_int_eq(fv_sent(&b), 0);
		/* Now both are in the middle of one. */
		ck_assert_int_eq(fv_send_all(&a, "\52", 1), 0);
		ck_assert_int_eq(fv_sent(&a), 0);
		fv_close(&b);
		memset(out + 500, 0, 43);
		ck_assert_int_eq(fv_send_all(&a, out + 500, 43), 0);
		ck_assert_int_eq(fv_ping(&a, FV_GATEWAY, 1, FV_WAIT), 0);
	}
	fv_close(&a);
	still_good();
}
END_TEST

/* Last: everything is given back. */
START_TEST(test_nothing_left)
{
	struct suite_usage after;

	still_good();
	if (suite_settle(&suite, &before, SETTLE_MS, &after) == -1)
		suite_show_log(&suite);
	ck_assert_int_eq(after.nproc, before.nproc);
	ck_assert_int_le(after.nfd, before.nfd);
	ck_assert_int_le(after.rss_kb, before.rss_kb + SLACK_KB);
	/* Nobody died of it, and the log was not flooded. */
	ck_assert_int_eq(suite_log_count(&suite, "killed by"), 0);
	ck_assert_int_eq(suite_log_count(&suite, "broke the protocol"), 0);
	ck_assert_int_eq(suite_log_count(&suite, "Sanitizer"), 0);
	ck_assert_int_eq(suite_log_count(&suite, "runtime error"), 0);
	ck_assert_int_eq(suite_log_count(&suite, "protocol version"), 1);
}
END_TEST

static Suite *
tests(void)
{
	Suite *s = suite_create("badinput");
	TCase *tc = tcase_create("badinput");

	tcase_add_unchecked_fixture(tc, start, stop);
	tcase_set_timeout(tc, TIMEOUT);
	tcase_add_test(tc, test_garbage);
	tcase_add_test(tc, test_half_handshakes);
	tcase_add_test(tc, test_lying_lengths);
	tcase_add_test(tc, test_odd_frames);
	tcase_add_test(tc, test_bent_packets);
	tcase_add_test(tc, test_killed);
	tcase_add_test(tc, test_killed_twin);
	tcase_add_test(tc, test_nothing_left);
	suite_add_tcase(s, tc);
	return s;
}

int
main(int argc, char *argv[])
{
	if (argc != 2) {
		fprintf(stderr, "usage: test_badinput VPNKIT\n");
		return EXIT_FAILURE;
	}
	exe = argv[1];
	return check_suite(tests());
}
