/*
 * The vmnet handshake of the real suite, byte for byte; what a lease is worth;
 * two clients with one UUID; and which frames pass between VMs.
 *
 *	test_handshake .../vpnkit
 */

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fakevm.h"
#include "suite.h"

#define TIMEOUT 120 /* seconds for one test, on a loaded machine */

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

/* Every test has UUIDs of its own. */
static const char *
uuid(unsigned n)
{
	static char buf[8][37];
	char *p = buf[n % 8];

	snprintf(p, sizeof(buf[0]), "00000000-0000-4000-8000-%012x", n);
	return p;
}

static void
open_vm(struct fakevm *vm, unsigned n)
{
	ck_assert_int_eq(fv_open(vm, suite.sock, uuid(n)), 0);
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
	fv_put_command(cmd, 1, uuid(1), 0);
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
	fv_put_command(out + FV_INIT, 1, uuid(2), 0);
	out[FV_INIT + FV_CMD] = 42;
	out[FV_INIT + FV_CMD + 1] = 0;
	memcpy(p.dst, fv_bcast, 6);
	memcpy(p.src, "\2\0\0\0\0\11", 6);
	memcpy(p.arp_sha, p.src, 6);
	p.ip_src = FV_IP(192, 168, 65, 200);
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
	fv_put_command(cmd, 1, uuid(3), 0xffffffff);
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
		r = fv_greet(&vm, uuid(wishes[i].uuid), ip);
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
	struct fakevm vm;
	unsigned i;

	for (i = 1; i <= 252; i++) {
		open_vm(&vm, i);
		fv_close(&vm);
	}
	ck_assert_int_eq(fv_connect(&vm, suite.sock, FV_VMNET), 0);
	ck_assert_int_eq(fv_greet(&vm, uuid(253), 0), 2);
	ck_assert_str_eq(vm.text, "No IP addresses available.");
	ck_assert_int_eq(fv_eof(&vm, FV_WAIT), 1);
	fv_close(&vm);
	/* Who has one keeps it. */
	open_vm(&vm, 252);
	ck_assert_uint_eq(vm.mac[5], 252);
	ck_assert_int_eq(fv_dhcp(&vm, TIMEOUT * 1000), 0);
	ck_assert_uint_eq(vm.ip, FV_IP(192, 168, 65, 254));
	fv_close(&vm);
}
END_TEST

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

static void
send_pings(struct fakevm *vm, unsigned n)
{
	static uint8_t data[1400], frame[1514];
	struct fv_pkt p = fv_from(vm, 1, FV_GATEWAY);
	unsigned i;

	p.icmp_type = 8;
	p.data = data;
	p.len = sizeof(data);
	for (i = 0; i < n; i++) {
		p.icmp_seq = (uint16_t)i;
		ck_assert_int_eq(fv_send(vm, frame, fv_icmp(frame, &p)), 0);
	}
}

/* Reads until nothing comes for a while; every frame must be whole. */
static unsigned
drain(struct fakevm *vm, int timeout_ms)
{
	static uint8_t frame[FV_MAXFRAME];
	struct fv_pkt p;
	unsigned count = 0;
	int n;

	while ((n = fv_recv(vm, frame, sizeof(frame), timeout_ms)) > 0) {
		ck_assert_int_eq(fv_parse(frame, (size_t)n, &p), 0);
		count++;
	}
	ck_assert_int_eq(n, 0);
	return count;
}

/*
 * One twin asks for a megabyte and does not read it, so the stack's output
 * stops in the middle of a frame; then the other one sends.  Both streams must
 * stay whole, and what is left goes to the second.
 */
START_TEST(test_twin_takes_over)
{
	struct fakevm busy, idle;
	unsigned n;

	open_vm(&busy, 22);
	open_vm(&idle, 22);
	ck_assert_int_eq(fv_dhcp(&idle, FV_WAIT), 0);
	busy.ip = idle.ip;
	send_pings(&idle, 700);
	/* Otherwise it would be the last one to send. */
	ck_assert_int_eq(fv_sent(&idle), 0);
	/* The gateway's answer to the last of them is behind all others. */
	ck_assert_int_eq(fv_ping(&busy, FV_GATEWAY, 9999, FV_WAIT), 0);
	n = drain(&idle, 1000);
	ck_assert_uint_gt(n, 0);
	ck_assert_uint_lt(n, 700);
	ck_assert_int_eq(fv_ping(&idle, FV_GATEWAY, 9998, FV_WAIT), 0);
	fv_close(&busy);
	/* It has it all to itself again. */
	ck_assert_int_eq(fv_ping(&idle, FV_GATEWAY, 9997, FV_WAIT), 0);
	fv_close(&idle);
}
END_TEST

/* A client that does not read has its own frames taken all the same. */
START_TEST(test_slow_reader)
{
	struct fakevm slow, other;
	unsigned n;

	open_vm(&slow, 23);
	open_vm(&other, 24);
	ck_assert_int_eq(fv_dhcp(&slow, FV_WAIT), 0);
	ck_assert_int_eq(fv_dhcp(&other, FV_WAIT), 0);
	send_pings(&slow, 400);
	ck_assert_int_eq(fv_ping(&other, FV_GATEWAY, 1, FV_WAIT), 0);
	n = drain(&slow, 1000);
	ck_assert_uint_gt(n, 0);
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

/*
 * A netstackd dies while the guest does not read, so in the middle of a frame
 * both ways: the connection stays, the frame to the guest ends as it began,
 * and what the guest sends meanwhile waits for the next netstackd.
 */
START_TEST(test_stack_dies)
{
	uint8_t frame[102] = { 100 };
	struct fakevm vm;
	unsigned n;
	int i;

	open_vm(&vm, 1);
	ck_assert_int_eq(fv_dhcp(&vm, FV_WAIT), 0);
	for (i = 1; i <= 3; i++) {
		send_pings(&vm, 400);
		ck_assert_int_eq(fv_send_all(&vm, frame, 60), 0);
		ck_assert_int_eq(fv_sent(&vm), 0);
		kill(suite_find(&suite, "netstackd", 0), SIGKILL);
		ck_assert_int_eq(
		    suite_wait_log(&suite, "channel lost", i, FV_WAIT), 0);
		ck_assert_int_eq(fv_send_all(&vm, frame + 60, 42), 0);
		n = drain(&vm, 1000);
		ck_assert_uint_gt(n, 0);
		ck_assert_uint_lt(n, 400);
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

static SRunner *
runner(void)
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
	tcase_add_test(tc, test_wishes);
	tc = add_case(s, "frames", true);
	tcase_add_test(tc, test_idle_twin);
	tcase_add_test(tc, test_twin_takes_over);
	tcase_add_test(tc, test_slow_reader);
	tcase_add_test(tc, test_between_vms);
	tcase_add_test(tc, test_pieces);
	tcase_add_test(tc, test_big_ping);
	tcase_add_test(tc, test_qemu);
	tc = add_case(s, "mtu", false);
	tcase_add_test(tc, test_mtu);
	tc = add_case(s, "deaths", true);
	tcase_add_test(tc, test_stack_dies);
	tcase_add_test(tc, test_ethd_dies);
	tc = add_case(s, "exhaustion", true);
	tcase_add_test(tc, test_exhaustion);
	return srunner_create(s);
}

int
main(int argc, char *argv[])
{
	SRunner *sr;
	int failed;

	if (argc != 2) {
		fprintf(stderr, "usage: test_handshake VPNKIT\n");
		return EXIT_FAILURE;
	}
	exe = argv[1];
	sr = runner();
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
