#include "tests/check_main.h"

#include "guard.h"
#include "nettest.h"

#define ARP_FRAME 42

static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
static const uint8_t other[6] = { 2, 9, 9, 9, 9, 9 };

static struct nettest t;

static void
setup(void)
{
	nt_init(&t);
}

static void
teardown(void)
{
	nt_fini(&t);
}

static void
request(uint8_t *f, const uint8_t *dst, uint32_t sender, uint32_t target)
{
	memset(f, 0, ARP_FRAME);
	memcpy(f, dst, 6);
	memcpy(f + 6, t.conf.guest_mac, 6);
	put_u16(f + 12, 0x0806);
	put_u16(f + 14, 1);
	put_u16(f + 16, 0x0800);
	f[18] = 6;
	f[19] = 4;
	put_u16(f + 20, 1);
	memcpy(f + 22, t.conf.guest_mac, 6);
	put_u32(f + 28, sender);
	put_u32(f + 38, target);
}

static const struct {
	const char *what;
	uint32_t sender, target;
	bool answered;
} cases[] = {
	{ "gateway", NT_GUEST, NT_GATEWAY, true },
	{ "host", NT_GUEST, NT_HOST, true },
	{ "gateway, before there is an address", 0, NT_GATEWAY, true },
	{ "probe of its own address", 0, NT_GUEST, false },
	{ "announcement", NT_GUEST, NT_GUEST, false },
	{ "another VM", NT_GUEST, 0xc0a84104, false },
	{ "remote", NT_GUEST, NT_REMOTE, false },
	{ "broadcast", NT_GUEST, 0xffffffff, false },
	{ "nobody", NT_GUEST, 0, false },
};

START_TEST(test_who_has)
{
	uint8_t f[ARP_FRAME], want[ARP_FRAME];
	const struct nt_dgram *r;

	request(f, all, cases[_i].sender, cases[_i].target);
	nt_frame(&t, f, sizeof(f));
	r = nt_next(&t);
	ck_assert_msg((r != NULL) == cases[_i].answered, "%s", cases[_i].what);
	if (r == NULL)
		return;
	memcpy(want, t.conf.guest_mac, 6);
	memcpy(want + 6, t.conf.server_mac, 6);
	memcpy(want + 12, f + 12, 8);
	put_u16(want + 20, 2);
	memcpy(want + 22, t.conf.server_mac, 6);
	put_u32(want + 28, cases[_i].target);
	memcpy(want + 32, t.conf.guest_mac, 6);
	put_u32(want + 38, cases[_i].sender);
	ck_assert_uint_eq(r->len, ARP_FRAME);
	ck_assert_mem_eq(r->p, want, ARP_FRAME);
	ck_assert_uint_eq(t.stat[NETS_ARP_REPLIES], 1);
}
END_TEST

/* Who speaks as another is not answered, whatever it asks or says. */
static const struct {
	const char *what;
	uint32_t sender, target;
	uint16_t op;
	enum net_stat stat;
} thief[] = {
	{ "another VM's address", 0xc0a84104, NT_GATEWAY, 1, NETS_ARP_FOREIGN },
	{ "announces it", 0xc0a84104, 0xc0a84104, 1, NETS_ARP_FOREIGN },
	{ "of another network", 0x0a000205, NT_GATEWAY, 1, NETS_ARP_FOREIGN },
	{ "answers with it", 0xc0a84104, NT_GUEST, 2, NETS_ARP_FOREIGN },
	{ "the gateway's", NT_GATEWAY, NT_GATEWAY, 1, NETS_ARP_CONFLICT },
	{ "asks as the gateway", NT_GATEWAY, NT_HOST, 1, NETS_ARP_CONFLICT },
	{ "answers as the gateway", NT_GATEWAY, NT_GUEST, 2,
	    NETS_ARP_CONFLICT },
	{ "the host's", NT_HOST, NT_HOST, 1, NETS_ARP_CONFLICT },
};

START_TEST(test_thief)
{
	uint8_t f[ARP_FRAME];

	request(f, all, thief[_i].sender, thief[_i].target);
	put_u16(f + 20, thief[_i].op);
	nt_frame(&t, f, sizeof(f));
	ck_assert_msg(t.stat[thief[_i].stat] == 1, "%s", thief[_i].what);
	ck_assert_uint_eq(t.stat[NETS_ARP_REPLIES], 0);
	if (thief[_i].stat == NETS_ARP_FOREIGN)
		nt_none(&t);
}
END_TEST

/* RFC 5227 2.4 c: an address of ours is defended, once in ten seconds. */
START_TEST(test_defend)
{
	uint8_t f[ARP_FRAME], want[ARP_FRAME] = { 0 };
	const struct nt_dgram *r;
	int i;

	request(want, all, NT_GATEWAY, NT_GATEWAY);
	memcpy(want + 6, t.conf.server_mac, 6);
	memcpy(want + 22, t.conf.server_mac, 6);
	for (i = 0; i < 3; i++) {
		request(f, all, NT_GATEWAY, NT_GATEWAY);
		nt_frame(&t, f, sizeof(f));
		r = nt_next(&t);
		ck_assert_ptr_nonnull(r);
		ck_assert_uint_eq(r->len, ARP_FRAME);
		ck_assert_mem_eq(r->p, want, ARP_FRAME);
		nt_wait(&t, 9999999);
		nt_frame(&t, f, sizeof(f));
		nt_none(&t);
		/* The host is another address. */
		request(f, all, NT_HOST, NT_HOST);
		nt_frame(&t, f, sizeof(f));
		ck_assert_ptr_nonnull(nt_next(&t));
		nt_wait(&t, 1);
	}
	ck_assert_uint_eq(t.stat[NETS_ARP_CONFLICT], 9);
	ck_assert_uint_eq(t.stat[NETS_ARP_DEFENDED], 6);
}
END_TEST

/* RFC 5227 2.1.1: a probe for an address of ours finds it taken, and is no
 * claim to it. */
START_TEST(test_probe)
{
	uint8_t f[ARP_FRAME];

	request(f, all, 0, NT_GATEWAY);
	nt_frame(&t, f, sizeof(f));
	ck_assert_ptr_nonnull(nt_next(&t));
	nt_none(&t);
	ck_assert_uint_eq(t.stat[NETS_ARP_CONFLICT], 0);
}
END_TEST

/* One byte changed makes it none of our business. */
static const struct {
	const char *what;
	size_t at;
	uint8_t v;
	enum net_stat stat;
} broken[] = {
	{ "hardware type", 15, 6, NETS_RX_SHORT },
	{ "protocol type", 16, 0x86, NETS_RX_SHORT },
	{ "hardware length", 18, 8, NETS_RX_SHORT },
	{ "protocol length", 19, 16, NETS_RX_SHORT },
	{ "reply", 21, 2, NETS_RX_FRAMES },
	{ "RARP", 21, 3, NETS_RX_FRAMES },
	{ "sent by a group", 22, 1, NETS_RX_FRAMES },
	{ "for another station", 0, 0xfc, NETS_RX_NOTFORUS },
};

START_TEST(test_broken)
{
	uint8_t f[ARP_FRAME];

	request(f, all, NT_GUEST, NT_GATEWAY);
	f[broken[_i].at] = broken[_i].v;
	nt_frame(&t, f, sizeof(f));
	nt_none(&t);
	ck_assert_msg(t.stat[broken[_i].stat] == 1, "%s", broken[_i].what);
}
END_TEST

START_TEST(test_unicast_and_padding)
{
	uint8_t f[60] = { 0 };

	request(f, t.conf.server_mac, NT_GUEST, NT_GATEWAY);
	nt_frame(&t, f, sizeof(f));
	ck_assert_ptr_nonnull(nt_next(&t));
	/* A guest that has taken another address of Ethernet is told there. */
	request(f, all, NT_GUEST, NT_GATEWAY);
	memcpy(f + 22, other, 6);
	nt_frame(&t, f, sizeof(f));
	ck_assert_mem_eq(nt_next(&t)->p, other, 6);
}
END_TEST

START_TEST(test_no_host_ip)
{
	uint8_t f[ARP_FRAME];

	t.net->conf.host_ip = 0;
	request(f, all, NT_GUEST, NT_HOST);
	nt_frame(&t, f, sizeof(f));
	request(f, all, NT_GUEST, 0);
	nt_frame(&t, f, sizeof(f));
	nt_none(&t);
}
END_TEST

START_TEST(test_prefixes)
{
	struct guard g = guard_new(ARP_FRAME);
	uint8_t f[ARP_FRAME];
	size_t len;

	request(f, all, NT_GUEST, NT_GATEWAY);
	for (len = 0; len < ARP_FRAME; len++)
		net_input(t.net, t.now, guard_put(&g, f, len), len);
	nt_none(&t);
	ck_assert_uint_eq(t.stat[NETS_RX_SHORT], ARP_FRAME);
	net_input(t.net, t.now, guard_put(&g, f, len), len);
	ck_assert_ptr_nonnull(nt_next(&t));
	guard_free(&g);
}
END_TEST

START_TEST(test_full)
{
	uint8_t f[ARP_FRAME];

	request(f, all, NT_GUEST, NT_GATEWAY);
	t.chan_stuck = true;
	t.chan_used = t.chan_cap - ARP_FRAME + 1;
	nt_frame(&t, f, sizeof(f));
	nt_none(&t);
	ck_assert_uint_eq(t.stat[NETS_TX_FULL], 1);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("arp");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_who_has, 0, nitems(cases));
	tcase_add_loop_test(tc, test_thief, 0, nitems(thief));
	tcase_add_test(tc, test_defend);
	tcase_add_test(tc, test_probe);
	tcase_add_loop_test(tc, test_broken, 0, nitems(broken));
	tcase_add_test(tc, test_unicast_and_padding);
	tcase_add_test(tc, test_no_host_ip);
	tcase_add_test(tc, test_prefixes);
	tcase_add_test(tc, test_full);
	return check_case("arp", tc);
}
