/*
 * What the clients in the wild say, and what each must be told: their options
 * as they send them, through a whole life of a lease.
 */

#include <stdio.h>

#include "netstackd/core/dhcp.h"
#include "tests/check_main.h"
#include "nettest.h"

#define MAC "\x02\x50\x00\x00\x00\x01"

static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

static struct nettest t;

static void
setup(void)
{
	nt_init(&t);
	(void)snprintf(t.net->conf.domain, 256, "lab.example");
	(void)snprintf(t.net->conf.search[0], 256, "lab.example");
	t.net->conf.nsearch = 1;
}

static void
teardown(void)
{
	nt_fini(&t);
}

struct bytes {
	const char *p;
	size_t len;
};
#define B(s) { s, sizeof(s) - 1 }

/*
 * A client: the flags it sets while it has no address, the options it sends
 * with every message beside the type, and the codes of the answer's options,
 * in order.
 */
/* clang-format off */
static const struct client {
	const char *what;
	uint16_t flags;
	struct bytes opt;
	struct bytes answer;
} clients[] = {
	{ "Windows 10 and 11", 0,
	    B("\x3d\x07\x01" MAC "\x0c\x04" "DESK"
	      "\x51\x07\0\0\0" "DESK" "\x3c\x08" "MSFT 5.0"
	      "\x37\x0e\x01\x03\x06\x0f\x1f\x21\x2b\x2c\x2e\x2f\x77\x79\xf9\xfc"),
	    B("\x35\x33\x3a\x3b\x36\x3c\x3d\x01\x03\x06\x0f\x77\x79\xf9") },
	{ "Windows XP", 0x8000,
	    B("\x74\x01\x01\x3d\x07\x01" MAC "\x0c\x02" "XP" "\x3c\x08" "MSFT 5.0"
	      "\x37\x0b\x01\x0f\x03\x06\x2c\x2e\x2f\x1f\x21\xf9\x2b"
	      "\x2b\x02\xdc\x00"),
	    B("\x35\x33\x3a\x3b\x36\x3c\x3d\x01\x03\x06\x0f\xf9") },
	{ "macOS", 0,
	    B("\x37\x0c\x01\x79\x03\x06\x0f\x6c\x72\x77\xfc\x5f\x2c\x2e"
	      "\x39\x02\x05\xdc\x3d\x07\x01" MAC "\x33\x04\x00\x76\xa7\x00"
	      "\x0c\x03" "mac"),
	    B("\x35\x33\x3a\x3b\x36\x3d\x01\x03\x06\x0f\x77\x79") },
	{ "systemd-networkd", 0,
	    B("\x3d\x13\xff\x12\x34\x56\x78\x00\x02\x00\x00\xab\x11"
	      "\1\2\3\4\5\6\7\10" "\x37\x0a\x01\x03\x06\x0c\x0f\x1a\x21\x2a\x77\x79"
	      "\x39\x02\x05\xc0\x0c\x02" "vm"),
	    B("\x35\x33\x3a\x3b\x36\x3d\x01\x03\x06\x0f\x1a\x2a\x77\x79") },
	{ "dhclient", 0,
	    B("\x0c\x02" "vm" "\x37\x0d\x01\x1c\x02\x03\x0f\x06\x77\x0c\x2c\x2f"
	      "\x1a\x79\x2a"),
	    B("\x35\x33\x3a\x3b\x36\x01\x03\x06\x0f\x1a\x1c\x2a\x77\x79") },
	{ "udhcpc", 0,
	    B("\x3d\x07\x01" MAC "\x39\x02\x02\x40"
	      "\x37\x07\x01\x03\x06\x0c\x0f\x1c\x2a\x3c\x0c" "udhcp 1.35.0"),
	    B("\x35\x33\x3a\x3b\x36\x3c\x3d\x01\x03\x06\x0f\x1c\x2a") },
	{ "dhcpcd", 0,
	    B("\x3d\x13\xff\x00\x00\x00\x01\x00\x01\x00\x01\x2a\x2a\x2a\x2a" MAC
	      "\x50\x00\x39\x02\x05\xc0\x3c\x0e" "dhcpcd-9.4.1:L"
	      "\x91\x01\x01\x37\x0f\x01\x79\x21\x03\x06\x0c\x0f\x1a\x1c"
	      "\x33\x36\x3a\x3b\x77\x2a"),
	    B("\x35\x33\x3a\x3b\x36\x3c\x3d\x01\x03\x06\x0f\x1a\x1c\x2a\x77\x79") },
	{ "Android", 0,
	    B("\x50\x00\x3d\x07\x01" MAC "\x39\x02\x05\xdc\x3c\x0f" "android-dhcp-13"
	      "\x37\x0c\x01\x03\x06\x0f\x1a\x1c\x33\x3a\x3b\x2b\x72\x6c"),
	    B("\x35\x33\x3a\x3b\x36\x3c\x3d\x01\x03\x06\x0f\x1a\x1c") },
	{ "NetworkManager", 0,
	    B("\x3d\x07\x01" MAC "\x37\x11\x01\x02\x06\x0c\x0f\x1a\x1c\x79"
	      "\x03\x21\x28\x29\x2a\x77\xf9\xfc\x11\x39\x02\x02\x40\x0c\x02" "vm"),
	    B("\x35\x33\x3a\x3b\x36\x3d\x01\x03\x06\x0f\x1a\x1c\x2a\x77\x79\xf9") },
	{ "iPXE", 0x8000,
	    B("\x39\x02\x05\xc0\x5d\x02\x00\x00\x5e\x03\x01\x02\x01"
	      "\x3c\x09" "PXEClient" "\x4d\x04" "iPXE"
	      "\x37\x08\x01\x03\x06\x07\x0c\x0f\x11\x2b"
	      "\x61\x11\x00\1\2\3\4\5\6\7\10\1\2\3\4\5\6\7\10"),
	    B("\x35\x33\x3a\x3b\x36\x3c\x01\x03\x06\x0f") },
	{ "one that asks for nothing", 0, B(""),
	    B("\x35\x33\x3a\x3b\x36") },
};
/* clang-format on */

/* One message; what it does not have is 0. */
struct say {
	enum dhcp_type type;
	uint32_t ciaddr, requested, server;
	bool unicast; /* from ciaddr to the gateway */
};

static size_t
opt_ip(uint8_t *p, uint8_t code, uint32_t ip)
{
	if (ip == 0)
		return 0;
	p[0] = code;
	p[1] = 4;
	put_u32(p + 2, ip);
	return 6;
}

static void
say(const struct client *c, const struct say *s)
{
	uint8_t f[2000], m[1500] = { 1, 1, 6, 0, 1, 2, 3, 4 };
	uint8_t *p = m + 240;
	size_t len;

	if (s->ciaddr == 0)
		put_u16(m + 10, c->flags);
	put_u32(m + 12, s->ciaddr);
	memcpy(m + 28, t.conf.guest_mac, 6);
	put_u32(m + 236, 0x63825363);
	*p++ = 53;
	*p++ = 1;
	*p++ = (uint8_t)s->type;
	memcpy(p, c->opt.p, c->opt.len);
	p += c->opt.len;
	p += opt_ip(p, 50, s->requested);
	p += opt_ip(p, 54, s->server);
	*p++ = 255;
	len = (size_t)(p - m) < 300 ? 300 : (size_t)(p - m);
	len = nt_build_udp(
	    &t, f, 68, s->unicast ? NT_GATEWAY : 0xffffffff, 67, m, len);
	if (!s->unicast)
		memcpy(f, all, 6);
	put_u32(f + 26, s->ciaddr);
	put_u16(f + 40, 0);
	nt_resum(f);
	nt_frame(&t, f, len);
}

/* The value of an option; it must be there. */
static struct rd
option(const struct nt_pkt *k, uint8_t want)
{
	struct rd r = rd_init(k->data + 240, k->datalen - 240), o = { 0 };
	uint8_t code, len;

	while (rd_u8(&r, &code) == 0 && code != 255) {
		ck_assert_int_eq(rd_u8(&r, &len), 0);
		ck_assert_int_eq(rd_sub(&r, len, &o), 0);
		if (code == want)
			return o;
	}
	ck_abort_msg("there is no option %u", want);
}

static void
is_ip(const struct nt_pkt *k, uint8_t code, uint32_t want)
{
	struct rd o = option(k, code);
	uint32_t got = 0;

	ck_assert_uint_eq(o.len, 4);
	(void)rd_u32(&o, &got);
	ck_assert_uint_eq(got, want);
}

/* The options of an answer: these codes, and right values for each. */
static void
answer(const struct client *c, enum dhcp_type type)
{
	static const uint8_t route[5] = { 0, 192, 168, 65, 1 };
	const struct bytes *want = &c->answer;
	uint8_t codes[64], code, len;
	size_t n = 0;
	struct nt_pkt k;
	struct rd r, o;

	nt_pkt(&t, &k);
	nt_none(&t);
	r = rd_init(k.data + 240, k.datalen - 240);
	while (rd_u8(&r, &code) == 0 && code != 255) {
		ck_assert_uint_lt(n, sizeof(codes));
		codes[n++] = code;
		ck_assert_int_eq(rd_u8(&r, &len), 0);
		ck_assert_int_eq(rd_skip(&r, len), 0);
	}
	ck_assert_msg(n == want->len && memcmp(codes, want->p, n) == 0,
	    "%s: other options", c->what);
	ck_assert_uint_eq(*option(&k, 53).p, type);
	is_ip(&k, 54, NT_GATEWAY);
	is_ip(&k, 51, 0x7fffffff);
	if (memchr(codes, 1, n) != NULL) {
		is_ip(&k, 1, 0xffffff00);
		is_ip(&k, 3, NT_GATEWAY);
		is_ip(&k, 6, NT_GATEWAY);
	}
	if (memchr(codes, 26, n) != NULL) {
		o = option(&k, 26);
		ck_assert_uint_eq(o.len, 2);
		ck_assert_uint_eq(o.p[0] << 8 | o.p[1], t.conf.mtu);
	}
	for (code = 121; code != 0; code = code == 121 ? 249 : 0) {
		if (memchr(codes, code, n) == NULL)
			continue;
		o = option(&k, code);
		ck_assert_uint_eq(o.len, sizeof(route));
		ck_assert_mem_eq(o.p, route, sizeof(route));
	}
}

/* RFC 2131 4.3 and 4.4, step by step. */
START_TEST(test_life)
{
	const struct client *c = &clients[_i];

	say(c, &(struct say){ .type = DHCP_DISCOVER });
	answer(c, DHCP_OFFER);
	/* SELECTING */
	say(c,
	    &(struct say){ .type = DHCP_REQUEST,
		.requested = NT_GUEST,
		.server = NT_GATEWAY });
	answer(c, DHCP_ACK);
	/* RENEWING */
	say(c,
	    &(struct say){
		.type = DHCP_REQUEST, .ciaddr = NT_GUEST, .unicast = true });
	answer(c, DHCP_ACK);
	/* REBINDING */
	say(c, &(struct say){ .type = DHCP_REQUEST, .ciaddr = NT_GUEST });
	answer(c, DHCP_ACK);
	/* INIT-REBOOT */
	say(c, &(struct say){ .type = DHCP_REQUEST, .requested = NT_GUEST });
	answer(c, DHCP_ACK);
	/* Its address is in use, it says: it starts anew and gets it. */
	say(c,
	    &(struct say){ .type = DHCP_DECLINE,
		.requested = NT_GUEST,
		.server = NT_GATEWAY });
	nt_none(&t);
	ck_assert_uint_eq(t.stat[NETS_DHCP_DECLINED], 1);
	say(c, &(struct say){ .type = DHCP_DISCOVER });
	answer(c, DHCP_OFFER);
	say(c,
	    &(struct say){ .type = DHCP_RELEASE,
		.ciaddr = NT_GUEST,
		.server = NT_GATEWAY,
		.unicast = true });
	nt_none(&t);
	say(c, &(struct say){ .type = DHCP_DISCOVER });
	answer(c, DHCP_OFFER);
	ck_assert_uint_eq(t.stat[NETS_DHCP_BAD], 0);
	ck_assert_uint_eq(t.stat[NETS_DHCP_NAK], 0);
}
END_TEST

/* One that comes from another network is told so, and asks again. */
START_TEST(test_moved)
{
	const struct client *c = &clients[_i];
	struct nt_pkt k;

	say(c, &(struct say){ .type = DHCP_REQUEST, .requested = 0x0a000205 });
	nt_pkt(&t, &k);
	ck_assert_uint_eq(*option(&k, 53).p, DHCP_NAK);
	ck_assert_uint_eq(k.dst, 0xffffffff);
	ck_assert_uint_eq(t.stat[NETS_DHCP_NAK], 1);
	say(c, &(struct say){ .type = DHCP_DISCOVER });
	answer(c, DHCP_OFFER);
	/* It took another server's offer: not our business. */
	say(c,
	    &(struct say){ .type = DHCP_REQUEST,
		.requested = 0x0a000205,
		.server = 0x0a000202 });
	nt_none(&t);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("dhcp-clients");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_life, 0, nitems(clients));
	tcase_add_loop_test(tc, test_moved, 0, nitems(clients));
	return check_case("dhcp-clients", tc);
}
