#include <sys/socket.h>
#include <netinet/in.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/errqueue.h>

#include "common/plat/sockerr.h"
#include "tests/check_main.h"
#include "guard.h"

struct entry {
	int level, type;
	struct sock_extended_err ee;
	int family;
};

static const struct entry good = { IPPROTO_IP, IP_RECVERR,
	{ .ee_errno = EHOSTUNREACH,
	    .ee_origin = SO_EE_ORIGIN_ICMP,
	    .ee_type = 11,
	    .ee_code = 0,
	    .ee_info = 1300 },
	AF_INET };

/* One control message, with the sender's address behind it. */
static size_t
put(uint8_t *p, const struct entry *e)
{
	struct sockaddr_in in = { .sin_family = (sa_family_t)e->family,
		.sin_addr.s_addr = htonl(0x0a090909) };
	struct cmsghdr c = { .cmsg_len = CMSG_LEN(sizeof(e->ee) + sizeof(in)),
		.cmsg_level = e->level,
		.cmsg_type = e->type };

	memcpy(p, &c, sizeof(c));
	memcpy(p + CMSG_LEN(0), &e->ee, sizeof(e->ee));
	memcpy(p + CMSG_LEN(0) + sizeof(e->ee), &in, sizeof(in));
	return CMSG_SPACE(sizeof(e->ee) + sizeof(in));
}

static int
parse(void *p, size_t len, struct plat_sockerr *e)
{
	struct msghdr mh = { .msg_control = p, .msg_controllen = len };

	return sockerr_parse(&mh, e);
}

START_TEST(test_good)
{
	_Alignas(struct cmsghdr) uint8_t b[256] = { 0 };
	struct plat_sockerr e;
	struct entry other = good;
	size_t n;

	/* What else the kernel says comes before or behind. */
	other.type = IP_TTL;
	n = put(b, &other);
	n += put(b + n, &good);
	ck_assert_int_eq(parse(b, n, &e), 0);
	ck_assert_int_eq(e.error, EHOSTUNREACH);
	ck_assert_uint_eq(e.type, 11);
	ck_assert_uint_eq(e.code, 0);
	ck_assert_uint_eq(e.info, 1300);
	ck_assert_uint_eq(e.from, 0x0a090909);
}
END_TEST

static const struct {
	const char *what;
	int level, type, origin, family;
	int ret;
	uint32_t from;
} cases[] = {
	{ "no sender", IPPROTO_IP, IP_RECVERR, SO_EE_ORIGIN_ICMP, AF_UNSPEC, 0,
	    0 },
	{ "of the host itself", IPPROTO_IP, IP_RECVERR, SO_EE_ORIGIN_LOCAL,
	    AF_UNSPEC, -1, 0 },
	{ "of a timestamp", IPPROTO_IP, IP_RECVERR, SO_EE_ORIGIN_TIMESTAMPING,
	    AF_INET, -1, 0 },
	{ "of ICMPv6", IPPROTO_IP, IP_RECVERR, SO_EE_ORIGIN_ICMP6, AF_INET, -1,
	    0 },
	{ "another level", IPPROTO_IPV6, IP_RECVERR, SO_EE_ORIGIN_ICMP, AF_INET,
	    -1, 0 },
	{ "another type", IPPROTO_IP, IP_TTL, SO_EE_ORIGIN_ICMP, AF_INET, -1,
	    0 },
};

START_TEST(test_others)
{
	_Alignas(struct cmsghdr) uint8_t b[128] = { 0 };
	struct entry c = good;
	struct plat_sockerr e;
	size_t n;

	c.level = cases[_i].level;
	c.type = cases[_i].type;
	c.ee.ee_origin = (uint8_t)cases[_i].origin;
	c.family = cases[_i].family;
	n = put(b, &c);
	ck_assert_msg(parse(b, n, &e) == cases[_i].ret, "%s", cases[_i].what);
	if (cases[_i].ret == 0)
		ck_assert_uint_eq(e.from, cases[_i].from);
}
END_TEST

/* Every prefix, and every one whose end is the end of the world. */
START_TEST(test_prefixes)
{
	_Alignas(struct cmsghdr) uint8_t b[128] = { 0 };
	size_t n, len = put(b, &good);
	struct guard g = guard_new(sizeof(b));
	struct plat_sockerr e;
	void *p;

	for (n = 0; n < len; n++) {
		ck_assert_ptr_nonnull(p = malloc(n > 0 ? n : 1));
		memcpy(p, b, n);
		ck_assert_msg(parse(p, n, &e) == -1, "%zu bytes", n);
		free(p);
		if (n % sizeof(size_t) == 0)
			ck_assert_int_eq(parse(guard_put(&g, b, n), n, &e), -1);
	}
	ck_assert_int_eq(parse(guard_put(&g, b, len), len, &e), 0);
	guard_free(&g);
}
END_TEST

START_TEST(test_lying_length)
{
	static const size_t lens[] = { 0, 1, CMSG_LEN(0) - 1, CMSG_LEN(0),
		CMSG_LEN(sizeof(good.ee)) - 1, CMSG_LEN(128), SIZE_MAX };
	_Alignas(struct cmsghdr) uint8_t b[128] = { 0 };
	size_t i, n = put(b, &good);
	struct plat_sockerr e;

	for (i = 0; i < nitems(lens); i++) {
		memcpy(b, &lens[i], sizeof(lens[i]));
		ck_assert_msg(parse(b, n, &e) == -1, "%zu", lens[i]);
	}
	/* Without the address it is whole. */
	n = CMSG_LEN(sizeof(good.ee));
	memcpy(b, &n, sizeof(n));
	ck_assert_int_eq(parse(b, CMSG_SPACE(sizeof(good.ee)), &e), 0);
	ck_assert_uint_eq(e.from, 0);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("sockerr");

	tcase_add_test(tc, test_good);
	tcase_add_loop_test(tc, test_others, 0, (int)nitems(cases));
	tcase_add_test(tc, test_prefixes);
	tcase_add_test(tc, test_lying_length);
	return check_case("sockerr", tc);
}
