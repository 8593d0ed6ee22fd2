/*
 * Frames of the real suite's clients: two clients with one UUID, clients that
 * do not read, frames in pieces, and frames from VM to VM.
 *
 *	test_frames .../vpnkit
 */

#include <sys/syscall.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/check_main.h"

#include "fakevm.h"
#include "suite.h"

#define TIMEOUT 120 /* seconds for one test, on a loaded machine */
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
 * Two clients with one UUID.
 */

/* Sends n frames with a number in each; never reads. */
static void
flood(struct fakevm *vm, const uint8_t dst[6], unsigned n)
{
	uint8_t frame[1514];
	unsigned i;

	for (i = 0; i < n; i++) {
		fv_raw(frame, dst, vm->mac, 0x88b5, (uint8_t)i, 1500);
		ck_assert_int_eq(fv_send(vm, frame, sizeof(frame)), 0);
	}
}

/* The newest client, to which frames go, does not read. */
START_TEST(test_idle_twin)
{
	struct fakevm busy, idle, other;

	open_vm(&busy, 20);
	open_vm(&idle, 20);
	open_vm(&other, 21);
	ck_assert_mem_eq(busy.mac, idle.mac, 6);
	flood(&other, idle.mac, 7000); /* 10 MiB */
	ck_assert_int_eq(fv_dhcp(&other, FV_WAIT), 0);
	ck_assert_int_eq(fv_ping(&other, FV_GATEWAY, 1, FV_WAIT), 0);
	ck_assert_int_eq(fv_dhcp(&busy, FV_WAIT), 0);
	ck_assert_int_eq(fv_ping(&busy, FV_GATEWAY, 2, FV_WAIT), 0);
	fv_close(&busy);
	fv_close(&idle);
	fv_close(&other);
}
END_TEST

/*
 * One twin asks for more than a megabyte and does not read them, so the
 * stack's output stops in the middle of a frame; then the other one sends. Both
 * streams must stay whole.  How many of the answers were on their way to the
 * first by then is the machine's affair, so it is tried until it is some of
 * them.
 */
START_TEST(test_twin_takes_over)
{
	struct fakevm busy, idle;
	uint16_t seq = 9000;
	int n, tries = 0;

	open_vm(&busy, 22);
	open_vm(&idle, 22);
	ck_assert_int_eq(fv_dhcp(&idle, FV_WAIT), 0);
	busy.ip = idle.ip;
	do {
		ck_assert_int_eq(fv_send_pings(&idle, PINGS), 0);
		/* Otherwise it would be the last one to send. */
		ck_assert_int_eq(fv_sent(&idle), 0);
		/* Its answer is behind all the others. */
		ck_assert_int_eq(fv_ping(&busy, FV_GATEWAY, seq++, FV_WAIT), 0);
		n = fv_drain(&idle, 1000);
		ck_assert_int_ge(n, 0);
		ck_assert_int_le(n, PINGS);
		ck_assert_int_eq(fv_ping(&idle, FV_GATEWAY, seq++, FV_WAIT), 0);
	} while ((n == 0 || n == PINGS) && ++tries < 20);
	ck_assert_int_lt(tries, 20);
	fv_close(&busy);
	/* It has it all to itself again. */
	ck_assert_int_eq(fv_ping(&idle, FV_GATEWAY, seq, FV_WAIT), 0);
	fv_close(&idle);
}
END_TEST

/* A client that does not read has its own frames taken all the same. */
START_TEST(test_slow_reader)
{
	struct fakevm slow, other;
	int n;

	open_vm(&slow, 23);
	open_vm(&other, 24);
	ck_assert_int_eq(fv_dhcp(&slow, FV_WAIT), 0);
	ck_assert_int_eq(fv_dhcp(&other, FV_WAIT), 0);
	ck_assert_int_eq(fv_send_pings(&slow, PINGS), 0);
	ck_assert_int_eq(fv_ping(&other, FV_GATEWAY, 1, FV_WAIT), 0);
	n = fv_drain(&slow, 1000);
	ck_assert_int_gt(n, 0);
	ck_assert_int_eq(fv_ping(&slow, FV_GATEWAY, 2, FV_WAIT), 0);
	fv_close(&slow);
	fv_close(&other);
}
END_TEST

/*
 * Frames.
 */

/* The next frame of our own Ethernet type. */
static int
recv_raw(struct fakevm *vm, uint8_t *frame, size_t cap)
{
	int n;

	do
		n = fv_recv(vm, frame, cap, FV_WAIT);
	while (n > 0 && (frame[12] != 0x88 || frame[13] != 0xb5));
	return n;
}

static void
send_raw(struct fakevm *vm, const uint8_t *dst, uint8_t fill, size_t len)
{
	static uint8_t frame[FV_MAXFRAME + 16];

	if (len < 14)
		memset(frame, fill, len);
	else
		fv_raw(frame, dst, vm->mac, 0x88b5, fill, len - 14);
	ck_assert_int_eq(fv_send(vm, frame, len), 0);
}

static void
expect_raw(struct fakevm *vm, uint8_t fill, size_t len)
{
	static uint8_t frame[FV_MAXFRAME];

	ck_assert_int_eq(recv_raw(vm, frame, sizeof(frame)), (int)len);
	ck_assert_uint_eq(frame[14], fill);
	ck_assert_uint_eq(frame[len - 1], fill);
}

START_TEST(test_between_vms)
{
	struct fakevm a, b, c;
	uint8_t mac[6];

	open_vm(&a, 30);
	open_vm(&b, 31);
	open_vm(&c, 32);
	send_raw(&a, b.mac, 1, 1514);
	expect_raw(&b, 1, 1514);
	send_raw(&a, b.mac, 2, 1515); /* too long for b */
	send_raw(&a, b.mac, 0, 0);
	send_raw(&a, b.mac, 0, 13);
	send_raw(&a, b.mac, 3, 65535);
	send_raw(&a, b.mac, 4, 60);
	expect_raw(&b, 4, 60);
	send_raw(&b, a.mac, 5, 15);
	expect_raw(&a, 5, 15);
	/* Broadcast and multicast go to all others, unicast to one. */
	send_raw(&b, fv_bcast, 6, 64);
	expect_raw(&a, 6, 64);
	expect_raw(&c, 6, 64);
	send_raw(&c, (const uint8_t *)"\1\0\136\0\0\373", 7, 64);
	expect_raw(&a, 7, 64);
	expect_raw(&b, 7, 64);
	ck_assert_int_eq(fv_dhcp(&a, FV_WAIT), 0);
	ck_assert_int_eq(fv_whohas(&a, FV_GATEWAY, mac, FV_WAIT), 0);
	ck_assert_mem_eq(mac, fv_server, 6);
	ck_assert_int_eq(fv_ping(&a, FV_GATEWAY, 1, FV_WAIT), 0);
	fv_close(&a);
	fv_close(&b);
	fv_close(&c);
}
END_TEST

static bool
is_arp_or_raw(const struct fv_pkt *p, void *arg)
{
	return p->type == 0x0806 || p->type == 0x88b5;
}

/* An ARP reply: "mac of from has this address". */
static void
say_arp(struct fakevm *from, const uint8_t *dst, uint32_t ip)
{
	struct fv_pkt p = { .type = 0x0806, .arp_op = 2, .ip_src = ip };
	uint8_t frame[64];

	memcpy(p.dst, dst, 6);
	memcpy(p.src, from->mac, 6);
	memcpy(p.arp_sha, from->mac, 6);
	ck_assert_int_eq(fv_send(from, frame, fv_arp(frame, &p)), 0);
}

/* Nobody hears a VM that says it is the gateway, the host or another one. */
START_TEST(test_forged)
{
	struct fakevm a, b, c;
	struct fv_pkt p;
	unsigned i;

	open_vm(&a, 36);
	open_vm(&b, 37);
	open_vm(&c, 38);
	ck_assert_int_eq(fv_dhcp(&a, FV_WAIT), 0);
	ck_assert_int_eq(fv_dhcp(&c, FV_WAIT), 0);
	for (i = 0; i < 2; i++) {
		say_arp(&a, i == 0 ? b.mac : fv_bcast, FV_GATEWAY);
		say_arp(&a, i == 0 ? b.mac : fv_bcast, FV_HOST);
		say_arp(&a, i == 0 ? b.mac : fv_bcast, c.ip);
	}
	send_raw(&a, b.mac, 1, 64);
	ck_assert_int_eq(fv_expect(&b, is_arp_or_raw, NULL, &p, FV_WAIT), 0);
	ck_assert_uint_eq(p.type, 0x88b5);
	/* Its own address it may tell. */
	say_arp(&a, b.mac, a.ip);
	ck_assert_int_eq(fv_expect(&b, is_arp_or_raw, NULL, &p, FV_WAIT), 0);
	ck_assert_uint_eq(p.type, 0x0806);
	ck_assert_uint_eq(p.ip_src, a.ip);
	ck_assert_int_eq(
	    suite_wait_log(&suite, "speaks as another one", 1, FV_WAIT), 0);
	fv_close(&a);
	fv_close(&b);
	fv_close(&c);
}
END_TEST

/* A client that sends its frames in pieces of any size. */
struct piecer {
	struct fakevm vm;
	uint8_t out[2 + FV_MAXFRAME]; /* the frame under way */
	size_t len, done;
	uint8_t next; /* fill of the next frame to the other VM */
};

static uint32_t seed = 1;

/* The same numbers in every run, below n. */
static size_t
draw(size_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

/* Sends a piece; every other frame is a big one for the stack. */
static unsigned
send_piece(struct piecer *p, const uint8_t dst[6])
{
	bool theirs = draw(2) == 0;
	unsigned begun = 0;
	size_t n;

	if (p->done == p->len) {
		n = theirs ? 15 + draw(1500) : 15 + draw(FV_MAXFRAME - 15);
		fv_raw(p->out + 2, theirs ? dst : fv_server, p->vm.mac, 0x88b5,
		    p->next, n - 14);
		p->out[0] = (uint8_t)n;
		p->out[1] = (uint8_t)(n >> 8);
		p->len = n + 2;
		p->done = 0;
		begun = theirs;
		p->next += (uint8_t)theirs;
	}
	n = 1 + draw(p->len - p->done);
	ck_assert_int_eq(fv_send_all(&p->vm, p->out + p->done, n), 0);
	p->done += n;
	return begun;
}

/* Counts the frames that come; each must be one fill from end to end. */
static unsigned
recv_filled(struct fakevm *vm, int timeout_ms)
{
	static uint8_t frame[FV_MAXFRAME];
	unsigned count = 0;
	int n, i;

	while ((n = fv_recv(vm, frame, sizeof(frame), timeout_ms)) > 0) {
		if (frame[12] != 0x88 || frame[13] != 0xb5)
			continue;
		for (i = 15; i < n; i++)
			ck_assert_uint_eq(frame[i], frame[14]);
		count++;
	}
	ck_assert_int_eq(n, 0);
	return count;
}

/*
 * Two twins send frames in pieces, by turns, so that both are always in the
 * middle of one; the ring goes around many times.
 */
START_TEST(test_pieces)
{
	static struct piecer twin[2];
	unsigned sent = 0, got = 0, i;
	struct fakevm other;

	open_vm(&twin[0].vm, 34);
	open_vm(&twin[1].vm, 34);
	open_vm(&other, 35);
	for (i = 0; i < 6000; i++) {
		sent += send_piece(&twin[draw(2)], other.mac);
		got += recv_filled(&other, 0);
	}
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(
		    fv_send_all(&twin[i].vm, twin[i].out + twin[i].done,
			twin[i].len - twin[i].done),
		    0);
	while (got < sent && (i = recv_filled(&other, 2000)) > 0)
		got += i;
	ck_assert_uint_eq(got, sent);
	ck_assert_int_eq(fv_dhcp(&twin[0].vm, FV_WAIT), 0);
	fv_close(&twin[0].vm);
	fv_close(&twin[1].vm);
	fv_close(&other);
}
END_TEST

/* A frame of its own to the stack, above the MTU: it is the guest's right. */
START_TEST(test_big_ping)
{
	static uint8_t frame[FV_MAXFRAME], data[60000];
	struct fakevm vm;
	struct fv_pkt p;

	open_vm(&vm, 33);
	ck_assert_int_eq(fv_dhcp(&vm, FV_WAIT), 0);
	p = fv_from(&vm, 17, FV_GATEWAY);
	p.sport = p.dport = 9; /* discarded, or refused: no matter */
	p.data = data;
	p.len = sizeof(data);
	ck_assert_int_eq(fv_send(&vm, frame, fv_udp(frame, &p)), 0);
	ck_assert_int_eq(fv_ping(&vm, FV_GATEWAY, 1, FV_WAIT), 0);
	fv_close(&vm);
}
END_TEST

START_TEST(test_mtu)
{
	static const char *const args[] = { "--mtu", "65521", NULL };
	struct fakevm a, b;

	ck_assert_int_eq(suite_start(&suite, exe, args), 0);
	open_vm(&a, 1);
	open_vm(&b, 2);
	ck_assert_uint_eq(a.mtu, 65521);
	ck_assert_uint_eq(a.maxlen, 65535);
	send_raw(&a, b.mac, 1, 65535);
	expect_raw(&b, 1, 65535);
	ck_assert_int_eq(fv_dhcp(&a, FV_WAIT), 0);
	ck_assert_int_eq(fv_ping(&a, FV_GATEWAY, 1, FV_WAIT), 0);
	fv_close(&a);
	fv_close(&b);
	ck_assert_int_eq(suite_stop(&suite), 0);
}
END_TEST

/* QEMU's stream: no handshake, a NIC with an address of its own. */
START_TEST(test_qemu)
{
	static const uint8_t nic[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };
	struct fakevm q, v;

	ck_assert_int_eq(fv_connect(&q, suite.qemu, FV_QEMU), 0);
	memcpy(q.mac, nic, 6);
	open_vm(&v, 40);
	ck_assert_int_eq(fv_dhcp(&q, FV_WAIT), 0);
	ck_assert_int_eq(fv_ping(&q, FV_GATEWAY, 1, FV_WAIT), 0);
	send_raw(&q, v.mac, 1, 1514);
	expect_raw(&v, 1, 1514);
	send_raw(&v, nic, 2, 100);
	expect_raw(&q, 2, 100);
	/* A length that cannot be ends the connection. */
	ck_assert_int_eq(fv_send_all(&q, "\0\1\0\0", 4), 0);
	while (fv_eof(&q, FV_WAIT) == 0)
		q.len = 0;
	ck_assert_int_eq(fv_eof(&q, 0), 1);
	fv_close(&q);
	ck_assert_int_eq(fv_dhcp(&v, FV_WAIT), 0);
	fv_close(&v);
}
END_TEST

static void
open_nic(struct fakevm *vm, uint8_t n)
{
	static const uint8_t nic[6] = { 0x52, 0x54, 0, 0x77, 0 };

	ck_assert_int_eq(fv_connect(vm, suite.qemu, FV_QEMU), 0);
	memcpy(vm->mac, nic, 6);
	vm->mac[5] = n;
}

static bool
asks_for(const struct fv_pkt *p, void *arg)
{
	return p->type == 0x0806 && p->arp_op == 1 &&
	       p->ip_dst == *(uint32_t *)arg;
}

/*
 * Machines without a name have their addresses again after a restart of ethd,
 * whoever comes first; one that is silent is asked who it is.  Two with one
 * address of their NIC are two machines all the same.
 */
START_TEST(test_qemu_restart)
{
	struct fakevm q[3];
	uint32_t ip[2];
	struct fv_pkt p;
	pid_t ethd;
	int i;

	for (i = 0; i < 2; i++) {
		open_nic(&q[i], (uint8_t)i);
		ck_assert_int_eq(fv_dhcp(&q[i], FV_WAIT), 0);
		ip[i] = q[i].ip;
	}
	open_nic(&q[2], 1);
	ck_assert_int_eq(fv_dhcp(&q[2], FV_WAIT), 0);
	ck_assert(q[2].ip != ip[0] && q[2].ip != ip[1]);
	fv_close(&q[2]);
	ethd = suite_find(&suite, "ethd", 0);
	ck_assert_int_gt(ethd, 0);
	ck_assert_int_eq(kill(ethd, SIGKILL), 0);
	for (i = 0; i < 2; i++) {
		while (fv_eof(&q[i], FV_WAIT) == 0)
			q[i].len = 0;
		ck_assert_int_eq(fv_eof(&q[i], 0), 1);
		fv_close(&q[i]);
	}
	/* The other way around; this one is silent until it is asked. */
	open_nic(&q[1], 1);
	ck_assert_int_eq(fv_expect(&q[1], asks_for, &ip[1], &p, FV_WAIT), 0);
	ck_assert_mem_eq(p.dst, q[1].mac, 6);
	q[1].ip = ip[1];
	say_arp(&q[1], p.src, ip[1]);
	ck_assert_int_eq(fv_ping(&q[1], FV_GATEWAY, 1, FV_WAIT), 0);
	open_nic(&q[0], 0);
	ck_assert_int_eq(fv_dhcp(&q[0], FV_WAIT), 0);
	ck_assert_uint_eq(q[0].ip, ip[0]);
	fv_close(&q[0]);
	fv_close(&q[1]);
}
END_TEST

/* It has ended, and so have its sockets. */
static void
kill_and_wait(pid_t pid)
{
	struct pollfd pfd = { .events = POLLIN };

	ck_assert_int_gt(pid, 0);
	pfd.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	ck_assert_int_ge(pfd.fd, 0);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(poll(&pfd, 1, FV_WAIT), 1);
	close(pfd.fd);
}

/* By the time this is answered ethd has seen what was there before it. */
static void
ask_ethd(void)
{
	uint8_t init[FV_INIT];
	struct fakevm vm;

	ck_assert_int_eq(fv_connect(&vm, suite.sock, FV_VMNET), 0);
	fv_put_init(init, 22);
	ck_assert_int_eq(fv_send_all(&vm, init, sizeof(init)), 0);
	ck_assert_int_eq(fv_recv_all(&vm, init, sizeof(init)), 0);
	fv_close(&vm);
}

/*
 * A machine that connects again while there is no stack, so that nobody has
 * seen it leave, is the one it was.  Nobody starts another stack while the
 * supervisor is stopped.
 */
START_TEST(test_qemu_without_stack)
{
	struct fakevm q;
	struct fv_pkt p;
	uint32_t ip;

	open_nic(&q, 5);
	ck_assert_int_eq(fv_dhcp(&q, FV_WAIT), 0);
	ip = q.ip;
	ck_assert_int_eq(kill(suite.pid, SIGSTOP), 0);
	kill_and_wait(suite_find(&suite, "netstackd", 0));
	ask_ethd();
	fv_close(&q);
	open_nic(&q, 5);
	/* It may be a silent one, so it is asked. */
	ck_assert_int_eq(fv_expect(&q, asks_for, &ip, &p, FV_WAIT), 0);
	send_raw(&q, fv_server, 1, 100);
	ask_ethd();
	ck_assert_int_eq(kill(suite.pid, SIGCONT), 0);
	ck_assert_int_eq(fv_dhcp(&q, FV_WAIT), 0);
	ck_assert_uint_eq(q.ip, ip);
	fv_close(&q);
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
	Suite *s = suite_create("frames");
	TCase *tc;

	tc = add_case(s, "frames", true);
	tcase_add_test(tc, test_idle_twin);
	tcase_add_test(tc, test_twin_takes_over);
	tcase_add_test(tc, test_slow_reader);
	tcase_add_test(tc, test_between_vms);
	tcase_add_test(tc, test_forged);
	tcase_add_test(tc, test_pieces);
	tcase_add_test(tc, test_big_ping);
	tcase_add_test(tc, test_qemu);
	tcase_add_test(tc, test_qemu_restart);
	tc = add_case(s, "down", true);
	tcase_add_test(tc, test_qemu_without_stack);
	tc = add_case(s, "mtu", false);
	tcase_add_test(tc, test_mtu);
	return s;
}

int
main(int argc, char *argv[])
{
	if (argc != 2) {
		fprintf(stderr, "usage: test_frames VPNKIT\n");
		return EXIT_FAILURE;
	}
	exe = argv[1];
	return check_suite(tests());
}
