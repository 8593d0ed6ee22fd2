/*
 * A stack that was taken over says what it likes to the supervisor and to its
 * peers, and breaks the protocol again and again.  The daemons that serve all
 * VMs go on, and other VMs do not notice.
 *
 *	test_accuse .../vpnkit
 *
 * The stack is made to do it as its debugger; that needs root.
 */

#include <sys/syscall.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/wr.h"

#include "tests/check_main.h"

#include "fakevm.h"
#include "inject.h"
#include "suite.h"

#define TIMEOUT 120 /* seconds for one test, on a loaded machine */
#define SKIP	77
#define BUS_FD	3
#define MAXFD	32
#define NLINKS	3 /* of a stack: portd, dnsd, ethd */

static const char *exe;
static struct suite suite;
static struct fakevm a, b;
static pid_t ethd, portd, dnsd;

static void
open_vm(struct fakevm *vm, unsigned n)
{
	ck_assert_int_eq(fv_open(vm, suite.sock, fv_uuid(n)), 0);
	ck_assert_int_eq(fv_dhcp(vm, FV_WAIT), 0);
	ck_assert_int_eq(fv_ping(vm, FV_GATEWAY, 1, FV_WAIT), 0);
}

static void
setup(void)
{
	ck_assert_int_eq(suite_start(&suite, exe, NULL), 0);
	open_vm(&a, 1);
	open_vm(&b, 2);
	ethd = suite_find(&suite, "ethd", 0);
	portd = suite_find(&suite, "portd", 0);
	dnsd = suite_find(&suite, "dnsd", 0);
}

static void
teardown(void)
{
	fv_close(&a);
	fv_close(&b);
	ck_assert_int_eq(suite_stop(&suite), 0);
}

/* Has the n-th stack write these bytes; false: it died of it. */
static bool
inject_write(int n, uint64_t fd, const void *p, size_t len)
{
	uint64_t arg[INJECT_NARGS] = { fd, 0, len };
	pid_t pid = suite_find(&suite, "netstackd", n);
	int status;
	long res;

	ck_assert_int_ne(pid, -1);
	ck_assert_int_eq(inject_catch(pid), 0);
	arg[1] = inject_scratch(pid);
	inject_poke(pid, arg[1], p, len);
	return inject_call(pid, SYS_write, arg, &res, &status);
}

static void
accuse(int n, const char *role, int count)
{
	char text[128], line[64];
	uint8_t frame[256];
	struct wr w = wr_init(frame, sizeof(frame));

	snprintf(text, sizeof(text),
	    "{\"msg\":\"bad-peer\",\"role\":\"%s\",\"vm\":0,\"why\":\"so\"}",
	    role);
	wr_le32(&w, (uint32_t)strlen(text));
	wr_le32(&w, 0);
	wr_bytes(&w, text, strlen(text));
	inject_write(n, BUS_FD, frame, w.len);
	snprintf(line, sizeof(line), "accuses %s", role);
	ck_assert_int_eq(suite_wait_log(&suite, line, count, FV_WAIT), 0);
}

/* A frame that is on its way while a link is replaced may be lost. */
static int
ping(struct fakevm *vm, uint16_t seq)
{
	int tries;

	for (tries = 0; tries < FV_WAIT / 1000; tries++) {
		if (fv_ping(vm, FV_GATEWAY, seq, 1000) == 0)
			return 0;
	}
	return -1;
}

/* The old processes serve both VMs over the old connections. */
static void
all_well(uint16_t seq)
{
	ck_assert_int_eq(ping(&a, seq), 0);
	ck_assert_int_eq(ping(&b, seq), 0);
	ck_assert_int_eq(suite_find(&suite, "ethd", 0), ethd);
	ck_assert_int_eq(suite_find(&suite, "portd", 0), portd);
	ck_assert_int_eq(suite_find(&suite, "dnsd", 0), dnsd);
}

/* What one stack says of the others' daemons costs them a new link. */
START_TEST(test_slander)
{
	static const char *const role[] = { "ethd", "portd", "dnsd" };
	int i;

	for (i = 0; i < 3; i++) {
		accuse(0, role[i], 1);
		all_well((uint16_t)(10 + i));
	}
	ck_assert_int_eq(suite_log_count(&suite, "killing it"), 0);
	inject_write(0, BUS_FD, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
	ck_assert_int_eq(suite_wait_log(&suite, "killing it", 1, FV_WAIT), 0);
	all_well(20);
}
END_TEST

/* What two say is believed. */
START_TEST(test_two_witnesses)
{
	accuse(0, "portd", 1);
	accuse(1, "portd", 2);
	ck_assert_int_eq(
	    suite_wait_log(&suite, "portd is ready", 2, FV_WAIT), 0);
	ck_assert_int_eq(ping(&a, 3), 0);
	ck_assert_int_eq(suite_find(&suite, "ethd", 0), ethd);
}
END_TEST

/* The k-th socket (from 0) of a process, behind its bus; -1: none yet. */
static int
socket_nth(pid_t pid, int k)
{
	char path[64], what[64];
	ssize_t len;
	int fd;

	for (fd = BUS_FD + 1; fd < MAXFD; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
		len = readlink(path, what, sizeof(what));
		if (len > 7 && memcmp(what, "socket:", 7) == 0 && k-- == 0)
			return fd;
	}
	return -1;
}

/* That of the n-th stack, when all its links have come. */
static uint64_t
socket_of(int n, int k)
{
	int tries;

	for (tries = 0; tries < FV_WAIT / 10; tries++) {
		if (socket_nth(
			suite_find(&suite, "netstackd", n), NLINKS - 1) != -1)
			return (uint64_t)socket_nth(
			    suite_find(&suite, "netstackd", n), k);
		(void)poll(NULL, 0, 10);
	}
	ck_abort_msg("not all links have come");
	return 0;
}

/* A stack that is owned again after each restart.  Whom it offends. */
static const struct {
	const char *accuser;
	int link;
} victims[] = { { "portd", 0 }, { "dnsd", 1 }, { "ethd", 2 } };

START_TEST(test_owned_again_and_again)
{
	char line[64];
	int i, n;

	snprintf(
	    line, sizeof(line), "%s accuses netstackd-1", victims[_i].accuser);
	for (i = 1; i <= 6; i++) {
		n = i > 1; /* once restarted it is the younger one */
		inject_write(n, socket_of(n, victims[_i].link),
		    "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
		ck_assert_int_eq(suite_wait_log(&suite, line, i, FV_WAIT), 0);
		ck_assert_int_eq(suite_wait_log(&suite, "netstackd-1 is ready",
				     1 + i, FV_WAIT),
		    0);
		ck_assert_int_eq(ping(&a, 1), 0);
		ck_assert_int_eq(ping(&b, 1), 0);
	}
	all_well(50);
}
END_TEST

int
main(int argc, char *argv[])
{
	TCase *tc = tcase_create("accuse");

	if (geteuid() != 0) {
		printf("SKIP: needs root, to debug the daemons\n");
		return SKIP;
	}
	exe = argv[argc - 1];
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, TIMEOUT);
	tcase_add_test(tc, test_slander);
	tcase_add_test(tc, test_two_witnesses);
	tcase_add_loop_test(tc, test_owned_again_and_again, 0, 3);
	return check_case("accuse", tc);
}
