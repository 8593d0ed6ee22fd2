/*
 * netstackd's end of the packet channel, with an ethd that reads when it is
 * told to.  The core is played by this file.
 */

#include <sys/socket.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ev.h>

#include "common/plat/plat.h"
#include "common/wr.h"
#include "netstackd/netstackd.h"
#include "tests/check_main.h"

#define FRAME 60

static struct {
	struct stackd s; /* first: hooks get this address */
	struct daemon d;
	struct daemon_spec spec;
	struct chan eth; /* ethd's end */
	unsigned nready, ninput, nopen, nflush;
	bool vnet; /* as the core was told */
	unsigned no_uso;
} fx;

void
net_input(struct net *net, usec_t now, const uint8_t *frame, size_t len)
{
	fx.ninput++;
}

void
net_input_open(struct net *net, usec_t now, const uint8_t *frame, size_t len)
{
	fx.ninput++;
	fx.nopen++;
}

void
net_set_vnet(struct net *net, bool vnet)
{
	fx.vnet = vnet;
}

void
net_no_uso(struct net *net)
{
	fx.no_uso++;
}

const char *const net_stat_name[NETS__MAX] = { [NETS_RX_VNET] =
						   "rx-bad-vnet-header" };

const char *
net_dropped(const struct net *net)
{
	return NULL;
}

void
net_flush(struct net *net, usec_t now)
{
	fx.nflush++;
	errno = EPIPE; /* as after a write to a host that has gone */
}

void
net_tx_ready(struct net *net, usec_t now)
{
	fx.nready++;
}

/* A memory file, and the same to be read only. */
static void
arena(int *rw, int *ro)
{
	*rw = plat_memfd("test", CHAN_ARENA);
	ck_assert_int_ne(*rw, -1);
	*ro = plat_memfd_ro(*rw);
	ck_assert_int_ne(*ro, -1);
}

static void
setup(void)
{
	int sv[2], tx[2], rx[2];

	memset(&fx, 0, sizeof(fx));
	fx.d.spec = &fx.spec;
	ck_assert_int_eq(stats_init(&fx.d.stats, -1, NULL, 0), 0);
	fx.d.loop = ev_loop_new(EVFLAG_AUTO);
	fx.s.d = &fx.d;
	fx.s.net = (struct net *)&fx; /* never looked into */
	ck_assert_int_eq(plat_socketpair(SOCK_STREAM, sv), 0);
	arena(&tx[0], &tx[1]);
	arena(&rx[0], &rx[1]);
	ck_assert_int_eq(chan_init(&fx.eth, sv[1], rx[0], tx[1]), 0);
	link_init(&fx.s);
	link_attach(&fx.s, sv[0], tx[0], rx[1], -1, false);
	ck_assert(fx.s.link.open);
}

static void
teardown(void)
{
	link_close(&fx.s);
	chan_fini(&fx.eth);
	tap_attach(&fx.s, -1, false);
	free(fx.d.stats.file);
	ev_loop_destroy(fx.d.loop);
}

/* Frames the core can push in one turn before it has to wait. */
static unsigned
push(unsigned max)
{
	size_t len;
	unsigned n;

	for (n = 0; n < max; n++) {
		link_space(&fx.s, &len);
		if (len < NET_MAXFRAME)
			break;
		link_push(&fx.s, 0, FRAME);
	}
	return n;
}

/* Until the socket takes no more; the arena has space left. */
static void
fill_socket(void)
{
	int one = 1;

	ck_assert_int_eq(setsockopt(fx.s.link.chan.fd, SOL_SOCKET, SO_SNDBUF,
			     &one, sizeof(one)),
	    0);
	ck_assert_uint_lt(push(10000), 10000);
	link_settle(&fx.s);
	ck_assert(chan_blocked(&fx.s.link.chan));
	ck_assert_uint_eq(fx.nready, 0);
}

/* ethd takes everything there is and gives it back. */
static unsigned
drain(void)
{
	struct chan_frame f;
	unsigned n = 0;

	while (chan_read(&fx.eth) == 1) {
		while (chan_next(&fx.eth, &f)) {
			chan_release(&fx.eth, f.end);
			n++;
		}
		ck_assert_int_eq(chan_flush(&fx.eth), 0);
	}
	return n;
}

/*
 * Many small frames in one turn, to a guest that says nothing: their credit
 * is too little to come by itself, so nobody may be left waiting for it.
 */
START_TEST(test_small_frames)
{
	ck_assert_uint_eq(push(1500), 1500);
	link_settle(&fx.s);
	ck_assert_uint_eq(drain(), 1500);
}
END_TEST

/* The core waits for the socket, and is told. */
START_TEST(test_socket_full)
{
	unsigned got = 0;

	fill_socket();
	while (fx.nready == 0) {
		got += drain();
		ev_run(fx.d.loop, EVRUN_NOWAIT);
	}
	ck_assert_uint_gt(push(100), 0);
	ck_assert_uint_gt(got, 0);
}
END_TEST

/* It is found to be free again by another way than the event. */
START_TEST(test_socket_free_again)
{
	fill_socket();
	drain();
	link_settle(&fx.s);
	ck_assert_uint_eq(fx.nready, 1);
	ck_assert_uint_gt(push(100), 0);
}
END_TEST

/*
 * A TAP, played by a socketpair that keeps messages apart.
 */

static const uint8_t server[6] = { 2, 0, 0, 0, 0, 1 };

/* The machine's end; the channel is a new one. */
static int
attach_tap(bool vnet)
{
	int sv[2], tap[2], tx[2], rx[2];

	ck_assert_int_eq(plat_socketpair(SOCK_STREAM, sv), 0);
	ck_assert_int_eq(plat_socketpair(SOCK_SEQPACKET, tap), 0);
	arena(&tx[0], &tx[1]);
	arena(&rx[0], &rx[1]);
	chan_fini(&fx.eth);
	ck_assert_int_eq(chan_init(&fx.eth, sv[1], rx[0], tx[1]), 0);
	memcpy(fx.s.server_mac, server, sizeof(server));
	link_attach(&fx.s, sv[0], tx[0], rx[1], tap[0], vnet);
	return tap[1];
}

/* Every turn ends with what the loop's own end of a turn does. */
static void
turn(void)
{
	ev_run(fx.d.loop, EVRUN_NOWAIT);
	link_settle(&fx.s);
}

static const struct {
	const char *what;
	uint8_t dst[6];
	size_t len;
	unsigned ours, others;
} tap_row[] = {
	{ "ours", { 2, 0, 0, 0, 0, 1 }, FRAME, 1, 0 },
	{ "another machine's", { 2, 0, 0, 0, 0, 9 }, FRAME, 0, 1 },
	{ "everybody's", { 255, 255, 255, 255, 255, 255 }, FRAME, 1, 1 },
	{ "the longest", { 2, 0, 0, 0, 0, 1 }, NET_MAXFRAME, 1, 0 },
	{ "no whole address", { 2, 0, 0, 0, 0 }, 5, 1, 0 },
};

START_TEST(test_tap_read)
{
	static uint8_t frame[NET_MAXFRAME];
	int tap = attach_tap(false);

	memcpy(frame, tap_row[_i].dst, 6);
	ck_assert_int_eq(
	    write(tap, frame, tap_row[_i].len), (ssize_t)tap_row[_i].len);
	turn();
	ck_assert_uint_eq(fx.ninput, tap_row[_i].ours);
	ck_assert_uint_eq(fx.nflush, 1);
	ck_assert_uint_eq(drain(), tap_row[_i].others);
	ck_assert_int_ne(fx.s.link.tap, -1);
	close(tap);
}
END_TEST

/* From the core, and from other machines. */
START_TEST(test_tap_write)
{
	static uint8_t got[NET_MAXFRAME];
	int tap = attach_tap(false);
	size_t len;
	uint8_t *p;

	p = link_space(&fx.s, &len);
	ck_assert_uint_ge(len, NET_MAXFRAME);
	memset(p, 7, FRAME);
	link_push(&fx.s, 0, FRAME);
	ck_assert_int_eq(read(tap, got, sizeof(got)), FRAME);
	ck_assert_uint_eq(got[FRAME - 1], 7);

	p = chan_space(&fx.eth, &len);
	memset(p, 8, FRAME + 1);
	chan_push(&fx.eth, 0, FRAME + 1);
	ck_assert_int_eq(chan_flush(&fx.eth), 0);
	turn();
	ck_assert_int_eq(read(tap, got, sizeof(got)), FRAME + 1);
	ck_assert_uint_eq(got[FRAME], 8);
	ck_assert_uint_eq(fx.ninput, 0);
	close(tap);
}
END_TEST

/* Nobody takes what is for others: it is lost, and nothing waits for it. */
START_TEST(test_tap_others_full)
{
	uint8_t frame[FRAME] = { 2, 9 };
	int tap = attach_tap(false), i;

	for (i = 0; i < 30000; i++) {
		ck_assert_int_eq(write(tap, frame, sizeof(frame)), FRAME);
		turn();
	}
	memcpy(frame, server, sizeof(server));
	ck_assert_int_eq(write(tap, frame, sizeof(frame)), FRAME);
	turn();
	ck_assert_uint_eq(fx.ninput, 1);
	ck_assert_uint_lt(drain(), 30000);
	close(tap);
}
END_TEST

/*
 * The same with a header before each frame.
 */

#define PAYLOAD 3000
#define TCPLEN	(14 + 20 + 20 + PAYLOAD)

static uint64_t
counted(enum net_stat stat)
{
	return fx.d.stats.file->value[stat];
}

/* A TCP packet, as much of it as our side looks at. */
static void
tcp_frame(uint8_t *p, const uint8_t dst[6])
{
	struct wr w = wr_init(p, TCPLEN);

	wr_bytes(&w, dst, 6);
	wr_zero(&w, 6);
	wr_u16(&w, 0x0800);
	wr_u16(&w, 0x4500);
	wr_u16(&w, TCPLEN - 14);
	wr_u32(&w, 0);
	wr_u16(&w, 64 << 8 | 6);
	wr_zero(&w, 10 + 12);
	wr_u16(&w, 5 << 12 | 0x10);
	wr_zero(&w, w.cap - w.len);
}

#define LE(v) (uint8_t)(v), (uint8_t)((v) >> 8)
#define HDR(flags, gso, hint, seg, start, off)                                 \
	{                                                                      \
		flags, gso, LE(hint), LE(seg), LE(start), LE(off)              \
	}
#define OURS                                                                   \
	{                                                                      \
		2, 0, 0, 0, 0, 1                                               \
	}
#define OTHER                                                                  \
	{                                                                      \
		2, 0, 0, 0, 0, 9                                               \
	}
#define EVERY                                                                  \
	{                                                                      \
		255, 255, 255, 255, 255, 255                                   \
	}

/* clang-format off */
static const struct {
	const char *what;
	uint8_t hdr[VNET_HDRLEN], dst[6];
	unsigned ours, open, others, bad, large, cut;
} vnet_row[] = {
	{ "whole, ours", HDR(0, 0, 0, 0, 0, 0), OURS, 1, 0, 0, 0, 0, 0 },
	{ "whole, another's", HDR(0, 0, 0, 0, 0, 0), OTHER, 0, 0, 1, 0, 0, 0 },
	{ "open, ours", HDR(1, 0, 0, 0, 34, 16), OURS, 1, 1, 0, 0, 0, 0 },
	{ "open elsewhere, ours", HDR(1, 0, 0, 0, 99, 16), OURS, 1, 0, 0, 0, 0,
	    0 },
	{ "open, another's", HDR(1, 0, 0, 0, 34, 16), OTHER, 0, 0, 1, 0, 0, 0 },
	{ "open, everybody's", HDR(1, 0, 0, 0, 34, 16), EVERY, 1, 0, 1, 0, 0,
	    0 },
	{ "large, ours", HDR(1, 1, 54, 1000, 34, 16), OURS, 1, 1, 0, 0, 1, 0 },
	{ "large, another's", HDR(1, 1, 54, 999, 34, 16), OTHER, 0, 0, 4, 0, 0,
	    1 },
	{ "large, everybody's", HDR(1, 1, 54, 1000, 34, 16), EVERY, 1, 1, 3, 0,
	    1, 1 },
	{ "segments of nothing", HDR(1, 1, 54, 0, 34, 16), OURS, 0, 0, 0, 1, 0,
	    0 },
	{ "the same, another's", HDR(1, 1, 54, 0, 34, 16), OTHER, 0, 0, 0, 1,
	    0, 0 },
	{ "a sum beyond the end", HDR(1, 0, 0, 0, 65535, 16), OURS, 0, 0, 0, 1,
	    0, 0 },
	{ "headers beyond the end", HDR(1, 1, 65535, 1000, 34, 16), OURS, 0, 0,
	    0, 1, 0, 0 },
	{ "UDP's segments", HDR(1, 5, 42, 1000, 34, 6), OURS, 0, 0, 0, 1, 0,
	    0 },
	{ "no kind of segments", HDR(1, 255, 42, 1000, 34, 6), OTHER, 0, 0, 0,
	    1, 0, 0 },
};
/* clang-format on */

START_TEST(test_vnet_read)
{
	static uint8_t b[VNET_HDRLEN + TCPLEN];
	int tap = attach_tap(true);

	ck_assert(fx.vnet);
	memcpy(b, vnet_row[_i].hdr, VNET_HDRLEN);
	tcp_frame(b + VNET_HDRLEN, vnet_row[_i].dst);
	ck_assert_int_eq(write(tap, b, sizeof(b)), (ssize_t)sizeof(b));
	turn();
	ck_assert_uint_eq(fx.ninput, vnet_row[_i].ours);
	ck_assert_uint_eq(fx.nopen, vnet_row[_i].open);
	ck_assert_uint_eq(drain(), vnet_row[_i].others);
	ck_assert_uint_eq(counted(NETS_RX_VNET), vnet_row[_i].bad);
	ck_assert_uint_eq(counted(NETS_RX_LARGE), vnet_row[_i].large);
	ck_assert_uint_eq(counted(NETS_CUT), vnet_row[_i].cut);
	ck_assert_int_ne(fx.s.link.tap, -1);
	close(tap);
}
END_TEST

/* Of a header, and of a frame behind it, only parts. */
START_TEST(test_vnet_short)
{
	static uint8_t b[VNET_HDRLEN + TCPLEN] = { 1, 1, 54, 0, LE(1000), 34, 0,
		16, 0 };
	int tap = attach_tap(true);
	size_t n;

	tcp_frame(b + VNET_HDRLEN, server);
	for (n = 1; n < 100; n++) {
		ck_assert_int_eq(write(tap, b, n), (ssize_t)n);
		turn();
	}
	ck_assert_uint_eq(counted(NETS_RX_VNET) + fx.ninput, 99);
	ck_assert_uint_eq(fx.nopen, 0);
	b[0] = b[1] = b[2] = b[4] = b[5] = b[6] = b[8] = 0;
	fx.ninput = 0;
	for (n = VNET_HDRLEN; n < 100; n++) {
		ck_assert_int_eq(write(tap, b, n), (ssize_t)n);
		turn();
	}
	ck_assert_uint_eq(fx.ninput, 100 - VNET_HDRLEN);
	close(tap);
}
END_TEST

/* From the core, plain and large, and from other machines. */
START_TEST(test_vnet_write)
{
	const struct vnet large = {
		.sum = true, .start = 34, .off = 16, .seg = 1000, .hdrlen = 54
	};
	static const uint8_t zero[VNET_HDRLEN];
	static uint8_t got[VNET_HDRLEN + NET_MAXFRAME];
	int tap = attach_tap(true);
	struct vnet v;
	struct rd r;
	size_t len;
	uint8_t *p;

	p = link_space(&fx.s, &len);
	memset(p, 7, FRAME);
	link_push(&fx.s, 0, FRAME);
	ck_assert_int_eq(read(tap, got, sizeof(got)), VNET_HDRLEN + FRAME);
	ck_assert_mem_eq(got, zero, VNET_HDRLEN);
	ck_assert_uint_eq(got[VNET_HDRLEN + FRAME - 1], 7);

	p = link_space(&fx.s, &len);
	tcp_frame(p, server);
	link_push_vnet(&fx.s, 0, TCPLEN, &large);
	ck_assert_int_eq(read(tap, got, sizeof(got)), VNET_HDRLEN + TCPLEN);
	r = rd_init(got, VNET_HDRLEN + TCPLEN);
	ck_assert_int_eq(vnet_read(&r, &v), 0);
	ck_assert_uint_eq(v.seg, 1000);
	ck_assert_mem_eq(got + VNET_HDRLEN, p, TCPLEN);

	p = chan_space(&fx.eth, &len);
	memset(p, 8, FRAME + 1);
	chan_push(&fx.eth, 0, FRAME + 1);
	ck_assert_int_eq(chan_flush(&fx.eth), 0);
	turn();
	ck_assert_int_eq(read(tap, got, sizeof(got)), VNET_HDRLEN + FRAME + 1);
	ck_assert_mem_eq(got, zero, VNET_HDRLEN);
	ck_assert_uint_eq(got[VNET_HDRLEN + FRAME], 8);
	close(tap);
}
END_TEST

/* Answers in one frame; a kernel that does not know what that is. */
START_TEST(test_vnet_datagrams)
{
	const struct vnet many = { .sum = true, .start = 34, .off = 6,
		.seg = 100, .udp = true, .hdrlen = 42, .plain = true, .ip = 14,
		.plen = 250 };
	static uint8_t got[VNET_HDRLEN + NET_MAXFRAME];
	int tap = attach_tap(true);
	size_t len;
	uint8_t *p;

	p = link_space(&fx.s, &len);
	memset(p, 7, 292);
	link_push_vnet(&fx.s, 0, 292, &many);
	ck_assert_int_eq(read(tap, got, sizeof(got)), VNET_HDRLEN + 292);
	ck_assert_uint_eq(got[1], 5);
	ck_assert_mem_eq(got + VNET_HDRLEN, p, 292);
	ck_assert_uint_eq(fx.no_uso, 0);

	/* Nothing can be written to a set of descriptors: EINVAL, each time. */
	tap_attach(&fx.s, plat_edge_new(), true);
	p = link_space(&fx.s, &len);
	memset(p, 7, 292);
	link_push_vnet(&fx.s, 0, 292, &many);
	ck_assert_uint_eq(fx.no_uso, 1);
	ck_assert_uint_eq(counted(NETS_TX_FULL), 3);
	close(tap);
}
END_TEST

/* Cut to single bytes: more than there is room for, and nobody waits. */
START_TEST(test_vnet_others_full)
{
	static const uint8_t other[6] = OTHER;
	static uint8_t b[VNET_HDRLEN + TCPLEN] = { 1, 1, 54, 0, 1, 0, 34, 0, 16,
		0 };
	int tap = attach_tap(true);
	unsigned n;

	tcp_frame(b + VNET_HDRLEN, other);
	ck_assert_int_eq(write(tap, b, sizeof(b)), (ssize_t)sizeof(b));
	turn();
	n = drain();
	ck_assert_uint_gt(n, 100);
	ck_assert_uint_lt(n, PAYLOAD);
	ck_assert_uint_eq(counted(NETS_TX_FULL), 1);
	memcpy(b + VNET_HDRLEN, server, sizeof(server));
	ck_assert_int_eq(write(tap, b, sizeof(b)), (ssize_t)sizeof(b));
	turn();
	ck_assert_uint_eq(fx.ninput, 1);
	close(tap);
}
END_TEST

/* Its machine has gone, or taken it back: what is left is the channel. */
START_TEST(test_vnet_goes)
{
	int tap = attach_tap(true);

	tap_attach(&fx.s, -1, false);
	ck_assert(!fx.vnet);
	ck_assert_uint_eq(push(1), 1);
	link_settle(&fx.s);
	ck_assert_uint_eq(drain(), 1);
	close(tap);
}
END_TEST

int
main(void)
{
	TCase *t = tcase_create("link");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_small_frames);
	tcase_add_test(t, test_socket_full);
	tcase_add_test(t, test_socket_free_again);
	tcase_add_loop_test(
	    t, test_tap_read, 0, sizeof(tap_row) / sizeof(tap_row[0]));
	tcase_add_test(t, test_tap_write);
	tcase_add_test(t, test_tap_others_full);
	tcase_add_loop_test(
	    t, test_vnet_read, 0, sizeof(vnet_row) / sizeof(vnet_row[0]));
	tcase_add_test(t, test_vnet_short);
	tcase_add_test(t, test_vnet_write);
	tcase_add_test(t, test_vnet_datagrams);
	tcase_add_test(t, test_vnet_others_full);
	tcase_add_test(t, test_vnet_goes);
	return check_case("link", t);
}
