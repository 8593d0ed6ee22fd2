/*
 * Clients of datagram sockets: connected as vfkit's, or only sending as
 * QEMU's; one after another, through a restart of ethd, and with bad input.
 *
 *	test_dgram .../vpnkit
 */

#include <sys/socket.h>
#include <sys/un.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/check_main.h"

#include "fakevm.h"
#include "inject.h"
#include "suite.h"

#define SKIP	   77
#define TIMEOUT	   120
#define PROBE_TYPE 0x88b5

static const char *exe;
static struct suite suite;

static void
start(void)
{
	ck_assert_int_eq(suite_start(&suite, exe, NULL), 0);
}

static void
stop(void)
{
	ck_assert_int_eq(suite_log_count(&suite, "killed by"), 0);
	ck_assert_int_eq(suite_log_count(&suite, "Sanitizer"), 0);
	ck_assert_int_eq(suite_stop(&suite), 0);
}

/* A path in the suite's folder. */
static const char *
own(const char *name)
{
	static char buf[4][108];
	static unsigned i;
	char *p = buf[i++ % 4];

	snprintf(p, sizeof(buf[0]), "%s/%s", suite.dir, name);
	return p;
}

static void
open_at(struct fakevm *vm, const char *path, int sock, bool connected)
{
	ck_assert_int_eq(fv_dgram(vm, path, suite.dgram[sock], connected), 0);
}

static void
served(struct fakevm *vm)
{
	ck_assert_int_eq(fv_dhcp(vm, FV_WAIT), 0);
	ck_assert_int_eq(fv_ping(vm, FV_GATEWAY, 1, FV_WAIT), 0);
}

/*
 * Good clients.
 */

static const struct {
	const char *what, *own;
	bool connected;
} kinds[] = {
	{ "connected, as vfkit", "a.sock", true },
	{ "only sending, as QEMU", "b.sock", false },
	{ "abstract, connected", "@vpnkit-test-a", true },
	{ "abstract, only sending", "@vpnkit-test-b", false },
};

START_TEST(test_kinds)
{
	char name[40];
	struct fakevm vm;

	/* Abstract names are the whole machine's. */
	snprintf(name, sizeof(name), "%s.%d", kinds[_i].own, (int)getpid());
	open_at(&vm, name[0] == '@' ? name : own(name), 0, kinds[_i].connected);
	ck_assert_int_eq(fv_send(&vm, (const uint8_t *)"VFKT", 4), 0);
	served(&vm);
	ck_assert_int_eq(suite_log_count(&suite, "whole header"), 0);
	fv_close(&vm);
}
END_TEST

/* A frame of 1514 bytes from one VM to another. */
static void
across(struct fakevm *from, struct fakevm *to)
{
	uint8_t frame[1514], got[FV_MAXFRAME];
	int n;

	fv_raw(frame, to->mac, from->mac, 0x88b6, 7, 1500);
	ck_assert_int_eq(fv_send(from, frame, sizeof(frame)), 0);
	/* Broadcasts of the others, and probes, may come first. */
	do
		n = fv_recv(to, got, sizeof(got), FV_WAIT);
	while (n > 0 && (got[12] != 0x88 || got[13] != 0xb6));
	ck_assert_int_eq(n, sizeof(frame));
	ck_assert_mem_eq(got, frame, sizeof(frame));
}

/* Two sockets are two VMs, and a third one is on the stream socket. */
START_TEST(test_two)
{
	struct fakevm a, b, v;

	open_at(&a, own("a"), 0, true);
	open_at(&b, own("b"), 1, false);
	b.mac[5]++;
	ck_assert_int_eq(fv_open(&v, suite.sock, fv_uuid(1)), 0);
	served(&a);
	served(&b);
	ck_assert_uint_ne(a.ip, b.ip);
	across(&a, &b);
	across(&b, &a);
	across(&a, &v);
	across(&v, &b);
	fv_close(&a);
	fv_close(&b);
	fv_close(&v);
}
END_TEST

/* More frames than fit the client's socket: they wait. */
START_TEST(test_slow_reader)
{
	struct fakevm vm;
	int i;

	for (i = 0; i < 2; i++) {
		open_at(&vm, own("slow"), i, i == 0);
		served(&vm);
		ck_assert_int_eq(fv_send_pings(&vm, 400), 0);
		ck_assert_int_gt(fv_drain(&vm, 1000), 50);
		ck_assert_int_eq(fv_ping(&vm, FV_GATEWAY, 999, FV_WAIT), 0);
		fv_close(&vm);
	}
}
END_TEST

/*
 * One that says nothing is looked after with a frame that is nobody's, and
 * stays; that its path is gone does not matter.
 */
START_TEST(test_silent)
{
	uint8_t frame[FV_MAXFRAME];
	struct fakevm vm;
	int i, n;

	open_at(&vm, own("silent"), 0, true);
	served(&vm);
	ck_assert_int_eq(unlink(own("silent")), 0);
	for (i = 0; i < 2; i++) {
		n = fv_recv(&vm, frame, sizeof(frame), FV_WAIT);
		ck_assert_int_eq(n, 60);
		ck_assert_uint_eq(frame[12] << 8 | frame[13], PROBE_TYPE);
	}
	ck_assert_int_eq(fv_ping(&vm, FV_GATEWAY, 1, FV_WAIT), 0);
	fv_close(&vm);
}
END_TEST

/*
 * Clients after one another.
 */

/* The next one waits until the end of the last is seen, and is the same VM. */
START_TEST(test_next)
{
	uint32_t ip = 0;
	struct fakevm vm;
	int i;

	for (i = 0; i < 4; i++) {
		open_at(&vm, own(i % 2 == 0 ? "x" : "y"), 0, i / 2 == 0);
		served(&vm);
		ck_assert(ip == 0 || vm.ip == ip);
		ip = vm.ip;
		fv_close(&vm);
	}
}
END_TEST

static bool
is_reply(const struct fv_pkt *p, void *arg)
{
	return p->proto == 1 && p->icmp_type == 0;
}

/* Who sends as soon as it may, before ethd has closed the last one's socket. */
START_TEST(test_quick)
{
	pid_t ethd = suite_find(&suite, "ethd", 0);
	struct fakevm vm;
	struct fv_pkt p;
	uint32_t ip;

	open_at(&vm, own("ends"), 0, true);
	served(&vm);
	ip = vm.ip;
	ck_assert_int_eq(inject_catch(ethd), 0);
	fv_close(&vm);
	inject_until(ethd, ECONNREFUSED);
	open_at(&vm, own("begins"), 0, true);
	vm.ip = ip;
	ck_assert_int_eq(fv_send_pings(&vm, 1), 0);
	inject_go(ethd);
	ck_assert_int_eq(fv_expect(&vm, is_reply, NULL, &p, FV_WAIT), 0);
	fv_close(&vm);
}
END_TEST

/* While one is there nobody else is heard. */
START_TEST(test_one_at_a_time)
{
	struct fakevm a, b;
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	open_at(&a, own("first"), 0, false);
	served(&a);
	open_at(&b, own("second"), 0, false);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", suite.dgram[0]);
	ck_assert_int_eq(
	    sendto(b.fd, "x", 1, 0, (struct sockaddr *)&sun, sizeof(sun)), -1);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_eq(fv_ping(&a, FV_GATEWAY, 2, FV_WAIT), 0);
	fv_close(&a);
	served(&b);
	fv_close(&b);
}
END_TEST

/* A client that goes elsewhere without closing is gone, too. */
START_TEST(test_leaves)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct fakevm a, b;

	open_at(&a, own("leaver"), 0, true);
	served(&a);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", suite.dgram[1]);
	ck_assert_int_eq(
	    connect(a.fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	open_at(&b, own("successor"), 0, true);
	served(&b);
	fv_close(&a);
	fv_close(&b);
}
END_TEST

static void
kill_ethd(void)
{
	pid_t pid = suite_find(&suite, "ethd", 0);
	int n = suite_log_count(&suite, "ethd is ready");

	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(
	    suite_wait_log(&suite, "ethd is ready", n + 1, FV_WAIT), 0);
}

/* The client does not notice, so it must find everything as it was. */
START_TEST(test_restart)
{
	struct fakevm vm;
	uint32_t ip;
	int i;

	ck_assert_int_eq(suite_start(&suite, exe, NULL), 0);
	open_at(&vm, own("stays"), 0, true);
	served(&vm);
	ip = vm.ip;
	for (i = 0; i < 2; i++) {
		kill_ethd();
		ck_assert_int_eq(fv_ping(&vm, FV_GATEWAY, 2, FV_WAIT), 0);
		ck_assert_int_eq(fv_dhcp(&vm, FV_WAIT), 0);
		ck_assert_uint_eq(vm.ip, ip);
	}
	/* It ends while nobody looks, and another one comes. */
	kill(suite_find(&suite, "ethd", 0), SIGKILL);
	fv_close(&vm);
	open_at(&vm, own("next"), 0, true);
	served(&vm);
	fv_close(&vm);
	ck_assert_int_eq(suite_stop(&suite), 0);
}
END_TEST

/*
 * Bad input.
 */

/* Said, but not each time: a line in half a minute at most. */
static void
logged(const char *text)
{
	int n = suite_log_count(&suite, text);

	ck_assert_int_ge(n, 1);
	ck_assert_int_le(n, 4);
}

START_TEST(test_odd_datagrams)
{
	static const size_t lens[] = { 0, 1, 13, 14, 15, 60, 1515, 65535, 65536,
		100000 };
	static uint8_t frame[100000];
	struct fakevm vm;
	size_t i, k;

	open_at(&vm, own("odd"), 0, true);
	for (k = 0; k < 20; k++)
		for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
			memset(frame, (int)(i * k), sizeof(frame));
			if (k % 2 == 0)
				memcpy(frame, fv_server, 6);
			ck_assert_int_eq(fv_send(&vm, frame, lens[i]), 0);
		}
	served(&vm);
	logged("datagram longer than a frame");
	logged("empty frame");
	ck_assert_int_eq(suite_log_count(&suite, "whole header"), 0);
	fv_close(&vm);
}
END_TEST

/* Senders without a name, or with one where nobody is any more. */
START_TEST(test_unreachable)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct fakevm vm;
	char name[16];
	int fd, i;

	ck_assert_int_eq(suite_start(&suite, exe, NULL), 0);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", suite.dgram[0]);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	/* Waits when the socket is full: so it is emptied. */
	for (i = 0; i < 100; i++)
		ck_assert_int_eq(sendto(fd, "abc", 3, 0,
				     (struct sockaddr *)&sun, sizeof(sun)),
		    3);
	close(fd);
	for (i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "dead%d", i);
		open_at(&vm, own(name), 0, false);
		ck_assert_int_eq(fv_send(&vm, (const uint8_t *)"abc", 3), 0);
		unlink(own(name));
		fv_close(&vm);
	}
	open_at(&vm, own("alive"), 0, true);
	served(&vm);
	fv_close(&vm);
	logged("dgram client without an address");
	ck_assert_int_eq(suite_stop(&suite), 0);
}
END_TEST

/* A case has a suite of its own, unless its tests start one each. */
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

/* The cases are rows of meson.build too: they wait beside one another. */
static Suite *
tests(void)
{
	Suite *s = suite_create("dgram");
	TCase *tc;

	tc = add_case(s, "kinds", true);
	tcase_add_loop_test(
	    tc, test_kinds, 0, sizeof(kinds) / sizeof(kinds[0]));
	tc = add_case(s, "traffic", true);
	tcase_add_test(tc, test_two);
	tcase_add_test(tc, test_slow_reader);
	tcase_add_test(tc, test_odd_datagrams);
	tc = add_case(s, "silent", true);
	tcase_add_test(tc, test_silent);
	tcase_add_test(tc, test_one_at_a_time);
	tc = add_case(s, "next", true);
	tcase_add_test(tc, test_next);
	tc = add_case(s, "quick", true);
	tcase_add_test(tc, test_quick);
	tc = add_case(s, "leaves", true);
	tcase_add_test(tc, test_leaves);
	tc = add_case(s, "alone", false);
	tcase_add_test(tc, test_restart);
	tcase_add_test(tc, test_unreachable);
	return s;
}

int
main(int argc, char *argv[])
{
	const char *name = getenv("CK_RUN_CASE");

	if (argc != 2) {
		fprintf(stderr, "usage: test_dgram VPNKIT\n");
		return EXIT_FAILURE;
	}
	if (name != NULL && strcmp(name, "quick") == 0 && geteuid() != 0) {
		printf("SKIP: needs root, to debug the daemons\n");
		return SKIP;
	}
	exe = argv[1];
	return check_suite(tests());
}
