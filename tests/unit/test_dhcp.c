#include <stdio.h>

#include "guard.h"
#include "netstackd/core/dhcp.h"
#include "tests/check_main.h"
#include "nettest.h"

static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

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

/* What a client says; addresses of 0 are not sent. */
struct say {
	uint8_t type; /* 0: no such option */
	uint16_t flags;
	uint32_t ciaddr, giaddr, requested, server;
	const char *asked; /* codes, up to the 0 */
	const char *more;  /* options as they are */
	size_t morelen;
};

/* Writes the message without its end mark; returns its length. */
static size_t
write_msg(uint8_t *m, const struct say *c)
{
	uint8_t *p = m + 240;

	memset(m, 0, 240);
	m[0] = m[1] = 1;
	m[2] = 6;
	put_u32(m + 4, 0x12345678);
	put_u16(m + 10, c->flags);
	put_u32(m + 12, c->ciaddr);
	put_u32(m + 24, c->giaddr);
	memcpy(m + 28, t.conf.guest_mac, 6);
	put_u32(m + 236, 0x63825363);
	if (c->type != 0) {
		*p++ = 53;
		*p++ = 1;
		*p++ = c->type;
	}
	if (c->requested != 0) {
		*p++ = 50;
		*p++ = 4;
		put_u32(p, c->requested);
		p += 4;
	}
	if (c->server != 0) {
		*p++ = 54;
		*p++ = 4;
		put_u32(p, c->server);
		p += 4;
	}
	if (c->asked != NULL) {
		*p++ = 55;
		*p++ = (uint8_t)strlen(c->asked);
		memcpy(p, c->asked, strlen(c->asked));
		p += strlen(c->asked);
	}
	if (c->morelen > 0)
		memcpy(p, c->more, c->morelen);
	return (size_t)(p - m) + c->morelen;
}

/* As clients do before they have an address. */
static void
say(const struct say *c)
{
	uint8_t f[2000], m[1500];
	size_t len = write_msg(m, c);

	m[len++] = 255;
	len = nt_build_udp(&t, f, 68, 0xffffffff, 67, m, len);
	memcpy(f, all, 6);
	put_u32(f + 26, c->ciaddr);
	put_u16(f + 40, 0);
	nt_resum(f);
	nt_frame(&t, f, len);
}

static uint32_t
u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	       (uint32_t)p[2] << 8 | p[3];
}

/* The options of an answer as "code:hex ...", to compare with. */
static const char *
options(const struct nt_pkt *k)
{
	static char buf[4096];
	struct rd r = rd_init(k->data + 240, k->datalen - 240), o;
	uint8_t code, len;
	size_t n = 0;

	buf[0] = '\0';
	while (rd_u8(&r, &code) == 0 && code != 255) {
		ck_assert_int_eq(rd_u8(&r, &len), 0);
		ck_assert_int_eq(rd_sub(&r, len, &o), 0);
		n += (size_t)snprintf(
		    buf + n, sizeof(buf) - n, "%s%u:", n > 0 ? " " : "", code);
		for (; o.len > 0; (void)rd_skip(&o, 1))
			n += (size_t)snprintf(
			    buf + n, sizeof(buf) - n, "%02x", *o.p);
	}
	ck_assert_uint_eq(code, 255);
	return buf;
}

#define LEASE "51:7fffffff 58:3fffffff 59:66666665 54:c0a84101"

static const struct {
	const char *what;
	struct say say;
	uint8_t type; /* of the answer; 0: none */
	uint32_t dst, yiaddr;
	const char *options; /* after the type */
} cases[] = {
	{ "discover", { .type = 1 }, 2, NT_GUEST, NT_GUEST, LEASE },
	{ "discover, broadcast", { .type = 1, .flags = 0x8000 }, 2, 0xffffffff,
	    NT_GUEST, LEASE },
	{ "selecting",
	    { .type = 3, .requested = NT_GUEST, .server = NT_GATEWAY }, 5,
	    NT_GUEST, NT_GUEST, LEASE },
	{ "selecting another server",
	    { .type = 3, .requested = NT_GUEST, .server = NT_HOST }, 0, 0, 0,
	    NULL },
	{ "selecting another address",
	    { .type = 3, .requested = NT_HOST, .server = NT_GATEWAY }, 6,
	    0xffffffff, 0,
	    "54:c0a84101 56:"
	    "5265717565737465642061646472657373206973206e6f7420696e2073"
	    "75626e65742072616e6765" },
	{ "init-reboot", { .type = 3, .requested = NT_GUEST }, 5, NT_GUEST,
	    NT_GUEST, LEASE },
	{ "init-reboot elsewhere", { .type = 3, .requested = 0x0a000001 }, 6,
	    0xffffffff, 0, NULL },
	{ "renewing", { .type = 3, .ciaddr = NT_GUEST }, 5, NT_GUEST, NT_GUEST,
	    LEASE },
	{ "renewing elsewhere", { .type = 3, .ciaddr = 0x0a000001 }, 6,
	    0xffffffff, 0, NULL },
	{ "request for nothing", { .type = 3 }, 6, 0xffffffff, 0, NULL },
	{ "inform", { .type = 8, .ciaddr = NT_GUEST }, 5, NT_GUEST, 0,
	    "54:c0a84101" },
	{ "release", { .type = 7, .ciaddr = NT_GUEST }, 0, 0, 0, NULL },
	{ "decline", { .type = 4, .requested = NT_GUEST }, 0, 0, 0, NULL },
	{ "offer", { .type = 2 }, 0, 0, 0, NULL },
	{ "unknown type", { .type = 99 }, 0, 0, 0, NULL },
	{ "BOOTP", { .type = 0 }, 0, 0, 0, NULL },
	{ "class id", { .type = 1, .more = "\74\3abc", .morelen = 5 }, 2,
	    NT_GUEST, NT_GUEST, LEASE " 60:616263" },
	{ "client id", { .type = 1, .more = "\75\2\1\2", .morelen = 4 }, 2,
	    NT_GUEST, NT_GUEST, LEASE " 61:0102" },
	{ "pads", { .type = 1, .more = "\0\0\0\75\1\1", .morelen = 6 }, 2,
	    NT_GUEST, NT_GUEST, LEASE " 61:01" },
	{ "sorted by code", { .type = 1, .asked = "\167\62\34\17\6\3\1\52\32" },
	    2, NT_GUEST, NT_GUEST,
	    LEASE " 1:ffffff00 3:c0a84101 6:c0a84101 26:05dc 28:c0a841ff "
		  "42:c0a84101" },
	{ "what there is not", { .type = 1, .asked = "\14\17\41\374" }, 2,
	    NT_GUEST, NT_GUEST, LEASE },
	{ "classless routes", { .type = 1, .asked = "\371\171\3" }, 2, NT_GUEST,
	    NT_GUEST, LEASE " 3:c0a84101 121:00c0a84101 249:00c0a84101" },
	{ "relay", { .type = 1, .giaddr = 0x0a000009 }, 2, 0x0a000009, NT_GUEST,
	    LEASE },
	{ "relayed NAK",
	    { .type = 3, .giaddr = 0x0a000009, .requested = NT_HOST }, 6,
	    0x0a000009, 0, NULL },
};

START_TEST(test_messages)
{
	const struct say *c = &cases[_i].say;
	const char *o;
	struct nt_pkt k;
	char type[16];

	say(c);
	ck_assert_uint_eq(t.stat[NETS_DHCP_RX], 1);
	ck_assert_uint_eq(t.stat[NETS_DHCP_BAD], 0);
	if (cases[_i].type == 0) {
		nt_none(&t);
		return;
	}
	nt_pkt(&t, &k);
	nt_none(&t);
	ck_assert_uint_eq(k.src, NT_GATEWAY);
	ck_assert_msg(k.dst == cases[_i].dst, "%s", cases[_i].what);
	ck_assert_mem_eq(
	    k.eth_dst, k.dst == 0xffffffff ? all : t.conf.guest_mac, 6);
	ck_assert_uint_eq(k.sport, 67);
	ck_assert_uint_eq(k.dport, c->giaddr != 0 ? 67 : 68);
	ck_assert_uint_ge(k.datalen, 300);
	ck_assert_mem_eq(k.data, "\2\1\6\0\x12\x34\x56\x78\0\0", 10);
	ck_assert_msg(
	    u32(k.data + 16) == cases[_i].yiaddr, "%s", cases[_i].what);
	ck_assert_uint_eq(
	    u32(k.data + 20), cases[_i].type == DHCP_NAK ? 0 : NT_GATEWAY);
	ck_assert_uint_eq(u32(k.data + 24), c->giaddr);
	ck_assert_mem_eq(k.data + 28, t.conf.guest_mac, 6);
	ck_assert_str_eq((const char *)k.data + 44, "vpnkit");
	o = options(&k);
	(void)snprintf(type, sizeof(type), "53:%02x ", cases[_i].type);
	ck_assert_msg(strncmp(o, type, 6) == 0, "%s: %s", cases[_i].what, o);
	if (cases[_i].options != NULL)
		ck_assert_msg(strcmp(o + 6, cases[_i].options) == 0, "%s: %s",
		    cases[_i].what, o);
}
END_TEST

/* The 286 bytes some clients send: no checksums, nothing asked for. */
START_TEST(test_bare_discover)
{
	uint8_t f[400], m[300];
	struct say c = { .type = 1, .flags = 0x8000 };
	struct nt_pkt k;
	size_t len = write_msg(m, &c);

	m[len++] = 255;
	len = nt_build_udp(&t, f, 68, 0xffffffff, 67, m, len);
	ck_assert_uint_eq(len, 286);
	memcpy(f, all, 6);
	put_u32(f + 26, 0);
	put_u16(f + 24, 0);
	put_u16(f + 40, 0);
	nt_frame(&t, f, len);
	nt_pkt(&t, &k);
	ck_assert_uint_eq(k.dst, 0xffffffff);
	ck_assert_uint_eq(k.data[240], 53);
	ck_assert_uint_eq(k.data[242], 2);
}
END_TEST

static const struct {
	const char *what;
	uint8_t overload, type;
} overloads[] = { { "none", 0, 2 }, { "file", 1, 5 }, { "sname", 2, 6 },
	{ "both, the second counts", 3, 6 } };

/* Where the option says so, the fields of names have options (RFC 2131 4.1);
 * where it does not, they are names. */
START_TEST(test_overload)
{
	static const uint8_t file[] = { 53, 1, 3, 50, 4, 192, 168, 65, 3, 255 };
	static const uint8_t sname[] = { 53, 1, 3, 50, 4, 10, 0, 0, 1, 255 };
	char more[3] = { 52, 1, (char)overloads[_i].overload };
	struct say c = { .type = 1, .more = more, .morelen = 3 };
	uint8_t m[300];
	struct nt_pkt k;
	size_t len = write_msg(m, &c);

	m[len++] = 255;
	memcpy(m + 44, sname, sizeof(sname));
	memcpy(m + 108, file, sizeof(file));
	put_u32(m + 108 + 5, NT_GUEST);
	nt_udp(&t, 68, NT_GATEWAY, 67, m, len);
	nt_pkt(&t, &k);
	ck_assert_msg(
	    k.data[242] == overloads[_i].type, "%s", overloads[_i].what);
}
END_TEST

/* Renewals go to the gateway itself, with good checksums. */
START_TEST(test_unicast_renewal)
{
	uint8_t m[300];
	struct say c = { .type = 3, .ciaddr = NT_GUEST };
	struct nt_pkt k;
	size_t len = write_msg(m, &c);

	m[len++] = 255;
	nt_udp(&t, 68, NT_GATEWAY, 67, m, len);
	nt_pkt(&t, &k);
	ck_assert_uint_eq(k.dst, NT_GUEST);
	ck_assert_uint_eq(u32(k.data + 12), NT_GUEST);
	ck_assert_uint_eq(k.data[242], 5);
	/* The host has no server. */
	nt_udp(&t, 68, NT_HOST, 67, m, len);
	ck_assert_uint_eq(t.stat[NETS_DHCP_RX], 1);
}
END_TEST

static const struct {
	const char *what;
	const char *domain, *search[4];
	const char *options;
} names[] = {
	{ "domain", "local", { NULL }, "15:6c6f63616c" },
	{ "search", "", { "a.bc" },
	    "119:0161026263"
	    "00" },
	{ "dot at the end", "", { "a.bc." },
	    "119:0161026263"
	    "00" },
	{ "compressed", "", { "a.bc", "d.bc", "bc", "a.bc" },
	    "119:0161026263"
	    "00"
	    "0164c002"
	    "c002"
	    "c000" },
	{ "case does not count", "", { "a.bc", "D.BC" },
	    "119:0161026263"
	    "00"
	    "0144c002" },
	{ "bad names are left out", "", { "a..b", ".a", "b" },
	    "119:0162"
	    "00" },
	{ "both", "x", { "y" }, "15:78 119:017900" },
};

START_TEST(test_names)
{
	struct say c = { .type = 1, .asked = "\17\167" };
	const char *o;
	struct nt_pkt k;
	int i;

	(void)snprintf(t.net->conf.domain, 256, "%s", names[_i].domain);
	for (i = 0; i < 4 && names[_i].search[i] != NULL; i++)
		(void)snprintf(
		    t.net->conf.search[i], 256, "%s", names[_i].search[i]);
	t.net->conf.nsearch = (unsigned)i;
	say(&c);
	nt_pkt(&t, &k);
	o = options(&k);
	o += strlen("53:02 " LEASE " ");
	ck_assert_msg(
	    strcmp(o, names[_i].options) == 0, "%s: %s", names[_i].what, o);
}
END_TEST

/* A label of n letters and a name of n labels of 31. */
static void
long_name(char *out, size_t labels, char c)
{
	size_t i;

	out[0] = '\0';
	for (i = 0; i < labels; i++) {
		memset(out, c, 31);
		out[0] = (char)('a' + i);
		out[31] = i + 1 < labels ? '.' : '\0';
		out += 32;
	}
}

/* What is too long for the message is left out, whole names at a time; what a
 * client says it takes is used, in options of 255 bytes. */
START_TEST(test_long_search)
{
	static const struct {
		const char *more;
		size_t most; /* bytes of the packet */
		unsigned min119;
	} sizes[] = { { NULL, 576, 1 }, { "\71\2\5\334", 1500, 3 },
		{ "\71\2\0\1", 576, 1 }, { "\71\2\377\377", 1500, 3 } };
	struct say c = { .type = 1,
		.asked = "\17\167",
		.more = sizes[_i].more,
		.morelen = sizes[_i].more ? 4 : 0 };
	unsigned i, n = 0;
	struct nt_pkt k;
	struct rd r, o;
	uint8_t code, len;

	for (i = 0; i < 8; i++)
		long_name(t.net->conf.search[i], 7, (char)('k' + i));
	t.net->conf.nsearch = 8;
	say(&c);
	nt_pkt(&t, &k);
	ck_assert_uint_le(k.len + 20, sizes[_i].most);
	r = rd_init(k.data + 240, k.datalen - 240);
	while (rd_u8(&r, &code) == 0 && code != 255) {
		ck_assert_int_eq(rd_u8(&r, &len), 0);
		ck_assert_int_eq(rd_sub(&r, len, &o), 0);
		n += code == 119;
	}
	ck_assert_uint_eq(code, 255);
	ck_assert_uint_ge(n, sizes[_i].min119);
}
END_TEST

static const struct {
	const char *what;
	size_t at;
	uint8_t v;
} broken[] = {
	{ "a reply", 0, 2 },
	{ "token ring", 1, 6 },
	{ "long hardware address", 2, 16 },
	{ "group hardware address", 28, 0x01 },
	{ "magic", 236, 0 },
	{ "type of two bytes", 241, 2 },
	{ "option past the end", 241, 200 },
};

START_TEST(test_broken)
{
	uint8_t m[300];
	struct say c = { .type = 1, .requested = NT_GUEST };
	size_t len = write_msg(m, &c);

	m[len++] = 255;
	m[broken[_i].at] = broken[_i].v;
	nt_udp(&t, 68, NT_GATEWAY, 67, m, len);
	ck_assert_msg(t.stat[NETS_DHCP_BAD] == 1, "%s", broken[_i].what);
	nt_none(&t);
}
END_TEST

START_TEST(test_short_options)
{
	static const char *const bad[] = { "\62\3\1\1\1", "\66\5\1\1\1\1\1",
		"\71\1\1", "\62", "\62\4\1" };
	static const size_t len[] = { 5, 7, 3, 1, 3 };
	struct dhcp_msg m = { 0 };

	ck_assert_int_eq(dhcp_opt_parse(rd_init(bad[_i], len[_i]), &m), -1);
}
END_TEST

/* Every prefix, at a page that cannot be read. */
START_TEST(test_prefixes)
{
	struct guard g = guard_new(600);
	struct say c = { .type = 1,
		.requested = NT_GUEST,
		.asked = "\1\3\6",
		.more = "\74\3abc",
		.morelen = 5 };
	uint8_t f[600], m[500];
	size_t all_len = write_msg(m, &c), n, len;

	m[all_len++] = 255;
	for (n = 0; n <= all_len; n++) {
		len = nt_build_udp(&t, f, 68, NT_GATEWAY, 67, m, n);
		net_input(t.net, t.now, guard_put(&g, f, len), len);
	}
	ck_assert_uint_eq(t.stat[NETS_DHCP_RX], all_len + 1);
	ck_assert_uint_ge(t.stat[NETS_DHCP_BAD], 240);
	guard_free(&g);
}
END_TEST

START_TEST(test_full)
{
	struct say c = { .type = 1 };

	t.chan_stuck = true;
	t.chan_used = t.chan_cap - 500;
	say(&c);
	nt_none(&t);
	ck_assert_uint_eq(t.stat[NETS_TX_FULL], 1);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("dhcp");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_messages, 0, nitems(cases));
	tcase_add_test(tc, test_bare_discover);
	tcase_add_loop_test(tc, test_overload, 0, nitems(overloads));
	tcase_add_test(tc, test_unicast_renewal);
	tcase_add_loop_test(tc, test_names, 0, nitems(names));
	tcase_add_loop_test(tc, test_long_search, 0, 4);
	tcase_add_loop_test(tc, test_broken, 0, nitems(broken));
	tcase_add_loop_test(tc, test_short_options, 0, 5);
	tcase_add_test(tc, test_prefixes);
	tcase_add_test(tc, test_full);
	return check_case("dhcp", tc);
}
