/*
 * The rings of packets: what was written is read until it is overwritten; a
 * hostile writer cannot lead a reader out of the file.
 */

#include <stdlib.h>
#include <string.h>

#include "common/tape.h"
#include "tests/check_main.h"

#define SNAP 128

static uint8_t *file;
static size_t len;
static struct tape t;
static struct tape_pkt pkt;

static void
setup(void)
{
	len = tape_bytes(SNAP);
	file = calloc(1, len);
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(tape_begin(&t, file, len, SNAP), 0);
}

static void
teardown(void)
{
	free(file);
}

static void
put(enum tape_ring r, uint8_t fill, size_t n, const char *why)
{
	uint8_t frame[2000];

	memset(frame, fill, sizeof(frame));
	tape_put(&t, r, TAPE_FROM_GUEST, 1000 + fill, frame, n, why);
}

START_TEST(test_layout)
{
	uint64_t count;
	uint32_t i, nslot;
	char name[16];

	ck_assert_int_eq(tape_check(file, len), 0);
	ck_assert_uint_eq(tape_nring((void *)file), TAPE__MAX);
	for (i = 0; i < TAPE__MAX; i++) {
		ck_assert(tape_ring(file, len, i, name, &count, &nslot));
		ck_assert_str_eq(name, tape_ring_name[i]);
		ck_assert_uint_eq(count, 0);
		ck_assert_int_eq(tape_get(file, len, i, 1, &pkt), 0);
	}
	ck_assert_int_eq(tape_begin(&t, file, len - 1, SNAP), -1);
}
END_TEST

START_TEST(test_packets)
{
	put(TAPE_ALL, 1, 60, NULL);
	put(TAPE_ALL, 2, 1500, NULL);
	put(TAPE_BAD, 3, 1500, "rx-bad-checksum");
	ck_assert_int_eq(tape_get(file, len, TAPE_ALL, 1, &pkt), 1);
	ck_assert_uint_eq(pkt.head.cap, 60);
	ck_assert_uint_eq(pkt.head.len, 60);
	ck_assert_uint_eq(pkt.data[59], 1);
	ck_assert_str_eq(pkt.head.why, "");
	ck_assert_int_eq(tape_get(file, len, TAPE_ALL, 2, &pkt), 1);
	ck_assert_uint_eq(pkt.head.cap, SNAP);
	ck_assert_uint_eq(pkt.head.len, 1500);
	ck_assert_int_eq(pkt.head.when, 1002);
	ck_assert_int_eq(tape_get(file, len, TAPE_ALL, 3, &pkt), 0);
	ck_assert_int_eq(tape_get(file, len, TAPE_BAD, 1, &pkt), 1);
	ck_assert_uint_eq(pkt.head.cap, 1500);
	ck_assert_str_eq(pkt.head.why, "rx-bad-checksum");
	ck_assert_int_eq(tape_get(file, len, TAPE_ALL, 0, &pkt), -1);
}
END_TEST

START_TEST(test_overwritten)
{
	uint64_t count;
	uint32_t i, nslot;
	char name[16];

	ck_assert(tape_ring(file, len, TAPE_ALL, name, &count, &nslot));
	for (i = 0; i < nslot + 5; i++)
		put(TAPE_ALL, (uint8_t)i, 60, NULL);
	ck_assert_int_eq(tape_get(file, len, TAPE_ALL, 5, &pkt), -1);
	ck_assert_int_eq(tape_get(file, len, TAPE_ALL, 6, &pkt), 1);
	ck_assert_int_eq(tape_get(file, len, TAPE_ALL, nslot + 5, &pkt), 1);
	ck_assert_int_eq(tape_get(file, len, TAPE_ALL, nslot + 6, &pkt), 0);
}
END_TEST

/* A new process goes on where the old one ended. */
START_TEST(test_survives)
{
	put(TAPE_ALL, 1, 60, NULL);
	ck_assert_int_eq(tape_begin(&t, file, len, SNAP), 0);
	put(TAPE_ALL, 2, 60, NULL);
	ck_assert_int_eq(tape_get(file, len, TAPE_ALL, 1, &pkt), 1);
	ck_assert_uint_eq(pkt.data[0], 1);
	ck_assert_int_eq(tape_get(file, len, TAPE_ALL, 2, &pkt), 1);
	ck_assert_uint_eq(pkt.data[0], 2);
}
END_TEST

/* Every word of the head set to something bad, before a reader and a writer. */
START_TEST(test_hostile)
{
	static const uint32_t bad[] = { 0, 1, 7, 47, 48, 0x7fffffff,
		0xffffffff };
	uint32_t *word = (uint32_t *)(void *)file;
	size_t i, k, n = sizeof(struct tape_file) / 4;
	uint64_t count;
	uint32_t r, nslot;
	char name[16];

	put(TAPE_ALL, 1, 60, NULL);
	for (i = 0; i < n; i++) {
		for (k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
			uint32_t was = word[i];

			word[i] = bad[k];
			for (r = 0; r <= TAPE_RINGS; r++) {
				(void)tape_ring(
				    file, len, r, name, &count, &nslot);
				(void)tape_get(file, len, r, 1, &pkt);
				(void)tape_get(file, len, r, UINT64_MAX, &pkt);
			}
			ck_assert_uint_le(tape_nring((void *)file), TAPE_RINGS);
			ck_assert_int_eq(tape_begin(&t, file, len, SNAP), 0);
			put(TAPE_BAD, 1, 2000, NULL);
			word[i] = was;
		}
	}
}
END_TEST

/* What is put while a packet is handled comes behind it. */
START_TEST(test_open)
{
	uint8_t frame[60] = { 7 };

	tape_put_open(&t, TAPE_ALL, TAPE_FROM_GUEST, 1, frame, sizeof(frame));
	tape_put_open(&t, TAPE_ICMP, TAPE_FROM_GUEST, 1, frame, sizeof(frame));
	put(TAPE_ALL, 2, 60, NULL);
	ck_assert_int_eq(tape_get(file, len, TAPE_ALL, 1, &pkt), 1);
	ck_assert_uint_eq(pkt.data[0], 7);
	ck_assert(pkt.open);
	ck_assert_int_eq(tape_get(file, len, TAPE_ALL, 2, &pkt), 1);
	ck_assert(!pkt.open);
	tape_settle(&t, "rx-bad-checksum");
	put(TAPE_ALL, 3, 60, NULL);
	ck_assert_int_eq(tape_get(file, len, TAPE_ALL, 1, &pkt), 1);
	ck_assert(!pkt.open);
	ck_assert_str_eq(pkt.head.why, "rx-bad-checksum");
	ck_assert_int_eq(tape_get(file, len, TAPE_ICMP, 1, &pkt), 1);
	ck_assert_str_eq(pkt.head.why, "rx-bad-checksum");
	ck_assert_int_eq(tape_get(file, len, TAPE_ALL, 3, &pkt), 1);
	ck_assert_str_eq(pkt.head.why, "");
}
END_TEST

/* So many that its slot has another packet by then. */
START_TEST(test_open_overwritten)
{
	uint8_t frame[60] = { 7 };
	uint64_t count;
	uint32_t i, nslot;
	char name[16];

	ck_assert(tape_ring(file, len, TAPE_ALL, name, &count, &nslot));
	tape_put_open(&t, TAPE_ALL, TAPE_FROM_GUEST, 1, frame, sizeof(frame));
	for (i = 0; i < nslot; i++)
		put(TAPE_ALL, (uint8_t)i, 60, NULL);
	tape_settle(&t, "rx-bad-checksum");
	ck_assert_int_eq(tape_get(file, len, TAPE_ALL, nslot + 1, &pkt), 1);
	ck_assert(!pkt.open);
	ck_assert_str_eq(pkt.head.why, "");
}
END_TEST

/* The last packet of a process that died of it says so. */
START_TEST(test_ended)
{
	uint8_t frame[60] = { 7 };

	put(TAPE_ALL, 1, 60, NULL);
	tape_put_open(&t, TAPE_ALL, TAPE_FROM_GUEST, 1, frame, sizeof(frame));
	put(TAPE_ALL, 3, 60, NULL);
	ck_assert_int_eq(tape_begin(&t, file, len, SNAP), 0);
	ck_assert_int_eq(tape_get(file, len, TAPE_ALL, 1, &pkt), 1);
	ck_assert_str_eq(pkt.head.why, "");
	ck_assert_int_eq(tape_get(file, len, TAPE_ALL, 2, &pkt), 1);
	ck_assert_str_eq(pkt.head.why, TAPE_ENDED);
	ck_assert(!pkt.open);
	ck_assert_int_eq(tape_get(file, len, TAPE_ALL, 3, &pkt), 1);
	ck_assert_str_eq(pkt.head.why, "");
}
END_TEST

/* A slot whose lengths lie. */
START_TEST(test_hostile_slot)
{
	struct tape_slot *s = (void *)(file + sizeof(struct tape_file));

	put(TAPE_ALL, 1, 60, NULL);
	s->cap = UINT16_MAX;
	s->len = 1;
	memset(s->why, 'x', sizeof(s->why));
	ck_assert_int_eq(tape_get(file, len, TAPE_ALL, 1, &pkt), 1);
	ck_assert_uint_eq(pkt.head.cap, SNAP);
	ck_assert_uint_ge(pkt.head.len, pkt.head.cap);
	ck_assert_uint_eq(strlen(pkt.head.why), TAPE_WHYLEN - 1);
}
END_TEST

START_TEST(test_live)
{
	size_t n = tape_live_bytes(1600);
	uint8_t *live = calloc(1, n);
	struct tape l;
	uint8_t frame[60] = { 9 };

	ck_assert_int_eq(tape_get(live, n, 0, 1, &pkt), 0);
	ck_assert_int_eq(tape_begin_live(&l, live, n - 1, 1600), -1);
	ck_assert_int_eq(tape_begin_live(&l, live, n, 1600), 0);
	tape_put(&l, TAPE_ALL, TAPE_TO_GUEST, 1, frame, sizeof(frame), NULL);
	tape_put(&l, TAPE_BAD, TAPE_TO_GUEST, 1, frame, sizeof(frame), NULL);
	ck_assert_int_eq(tape_get(live, n, 0, 1, &pkt), 1);
	ck_assert_uint_eq(pkt.head.dir, TAPE_TO_GUEST);
	ck_assert_int_eq(tape_get(live, n, 0, 2, &pkt), 0);
	free(live);
}
END_TEST

static const struct {
	const char *what;
	uint8_t type, proto, ihl, frag;
	uint16_t sport, dport;
	enum tape_ring ring;
} kinds[] = {
	{ "DNS over UDP", 0, 17, 5, 0, 1000, 53, TAPE_DNS },
	{ "its answer", 0, 17, 5, 0, 53, 1000, TAPE_DNS },
	{ "DNS over TCP", 0, 6, 5, 0, 1000, 53, TAPE_DNS },
	{ "behind IP options", 0, 17, 6, 0, 1000, 53, TAPE_DNS },
	{ "NTP", 0, 17, 5, 0, 123, 123, TAPE_NTP },
	{ "NTP's port in TCP", 0, 6, 5, 0, 123, 123, TAPE__MAX },
	{ "a proxy", 0, 6, 5, 0, 1000, 3128, TAPE_HTTP },
	{ "the other proxy", 0, 6, 5, 0, 3129, 1000, TAPE_HTTP },
	{ "near a proxy", 0, 6, 5, 0, 3130, 3127, TAPE__MAX },
	{ "ICMP", 0, 1, 5, 0, 0, 0, TAPE_ICMP },
	{ "a later fragment", 0, 17, 5, 9, 1000, 53, TAPE__MAX },
	{ "ARP", 6, 17, 5, 0, 1000, 53, TAPE__MAX },
	{ "header beyond the frame", 0, 17, 15, 0, 1000, 53, TAPE__MAX },
};

START_TEST(test_classify)
{
	uint8_t f[14 + 24 + 8] = { 0 };
	size_t at = 14 + kinds[_i].ihl * 4u, n;

	f[12] = 8;
	f[13] = kinds[_i].type;
	f[14] = (uint8_t)(0x40 | kinds[_i].ihl);
	f[21] = kinds[_i].frag;
	f[23] = kinds[_i].proto;
	if (at + 4 <= sizeof(f)) {
		f[at] = (uint8_t)(kinds[_i].sport >> 8);
		f[at + 1] = (uint8_t)kinds[_i].sport;
		f[at + 2] = (uint8_t)(kinds[_i].dport >> 8);
		f[at + 3] = (uint8_t)kinds[_i].dport;
	}
	ck_assert_msg(tape_classify(f, sizeof(f)) == kinds[_i].ring, "%s",
	    kinds[_i].what);
	/* Every prefix, in memory of just that size. */
	for (n = 0; n < sizeof(f); n++) {
		uint8_t *p = malloc(n + 1);

		memcpy(p, f, n);
		p = realloc(p, n > 0 ? n : 1);
		(void)tape_classify(p, n);
		free(p);
	}
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("tape");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_layout);
	tcase_add_test(tc, test_packets);
	tcase_add_test(tc, test_overwritten);
	tcase_add_test(tc, test_survives);
	tcase_add_test(tc, test_open);
	tcase_add_test(tc, test_open_overwritten);
	tcase_add_test(tc, test_ended);
	tcase_add_test(tc, test_hostile);
	tcase_add_test(tc, test_hostile_slot);
	tcase_add_test(tc, test_live);
	tcase_add_loop_test(
	    tc, test_classify, 0, sizeof(kinds) / sizeof(kinds[0]));
	return check_case("tape", tc);
}
