/*
 * The tree of --introspection: what is there is found, listed and read; what
 * writes is refused; nothing has more than its share.
 */

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "diagd/tree.h"
#include "tests/integ/ninep_client.h"
#include "tests/unit/guard.h"

static struct tree tree;
static struct snapshot snap = { .version = "0.1.0", .now = 1 };
static struct npc client;
static bool ended;

/* Each message ends at a page that cannot be touched. */
static size_t
xfer(void *arg, const void *p, size_t len, void *in, size_t size)
{
	struct guard g = guard_new(NP_MAXMSIZE);
	static uint8_t out[NP_MAXMSIZE];
	struct wr w = wr_init(out, sizeof(out));

	ended = tree_input(&tree, &snap, guard_put(&g, p, len), len, &w) == -1;
	ck_assert_uint_le(w.len, size);
	memcpy(in, out, w.len);
	guard_free(&g);
	return w.len;
}

static void
setup(void)
{
	tree_init(&tree);
	client.xfer = xfer;
	ck_assert_int_eq(npc_attach(&client), 0);
}

static void
teardown(void)
{
	tree_fini(&tree);
}

/* The bytes of a fid from an offset. */
static uint32_t
read_at(uint32_t fid, uint32_t at, uint32_t max)
{
	struct wr w = npc_begin(&client, NP_TREAD);
	struct rd r;
	uint32_t n;

	wr_le32(&w, fid);
	wr_le32(&w, at);
	wr_le32(&w, 0);
	wr_le32(&w, max);
	ck_assert_int_eq(npc_call(&client, &w, NP_TREAD), 0);
	r = rd_init(client.in + 7, client.len - 7);
	ck_assert_int_eq(rd_le32(&r, &n), 0);
	ck_assert_uint_eq(n, r.len);
	return n;
}

static const struct {
	const char *dir, *name;
	const char *begins;
} files[] = {
	{ "connections", NULL, "vpnkit 0.1.0" },
	{ "flows", NULL, "" },
	{ "endpoints", NULL, "" },
	{ "ports", NULL, "" },
	{ "capture", "all.pcap", "\xd4\xc3\xb2\xa1" },
	{ "capture", "bad.pcap", "\xd4\xc3\xb2\xa1" },
	{ "capture", "dns.pcap", "\xd4\xc3\xb2\xa1" },
};

START_TEST(test_files)
{
	uint32_t n;

	ck_assert_int_eq(
	    npc_walk(&client, 1, files[_i].dir, files[_i].name), 0);
	ck_assert_int_eq(npc_open(&client, 1, NP_OREAD), 0);
	n = read_at(1, 0, 4000);
	ck_assert_uint_ge(n, strlen(files[_i].begins));
	ck_assert_mem_eq(
	    client.in + 11, files[_i].begins, strlen(files[_i].begins));
	ck_assert_uint_eq(read_at(1, n, 4000), 0);
	ck_assert_int_eq(npc_clunk(&client, 1), 0);
	ck_assert_int_eq(npc_clunk(&client, 1), -1);
}
END_TEST

/* A listing in pieces has whole entries, and all of them. */
START_TEST(test_list)
{
	uint32_t at = 0, n, size;
	unsigned count = 0;
	struct rd r, one;
	uint16_t len;

	ck_assert_int_eq(npc_walk(&client, 1, NULL, NULL), 0);
	ck_assert_int_eq(npc_open(&client, 1, NP_OREAD), 0);
	for (size = 100; (n = read_at(1, at, size)) > 0; at += n) {
		r = rd_init(client.in + 11, n);
		while (r.len > 0) {
			ck_assert_int_eq(rd_le16(&r, &len), 0);
			ck_assert_int_eq(rd_sub(&r, len, &one), 0);
			count++;
		}
	}
	ck_assert_uint_eq(count, 5); /* capture, and four lists */
}
END_TEST

START_TEST(test_refused)
{
	ck_assert_int_eq(npc_walk(&client, 1, "etc", NULL), -1);
	ck_assert_int_eq(npc_walk(&client, 1, "capture", "..x"), -1);
	ck_assert_int_eq(npc_walk(&client, 1, "flows", NULL), 0);
	ck_assert_int_eq(npc_open(&client, 1, NP_OWRITE), -1);
	ck_assert_int_eq(npc_open(&client, 1, NP_ORDWR), -1);
	ck_assert_int_eq(npc_open(&client, 1, 0x10), -1); /* OTRUNC */
	ck_assert_int_eq(npc_remove(&client, 1), -1);
	ck_assert_int_eq(npc_ctl(&client, "new", 2), -1);
	ck_assert_str_eq(client.error, "permission denied");
}
END_TEST

START_TEST(test_limits)
{
	uint32_t fid;

	for (fid = 1; fid <= TREE_MAXOPEN; fid++) {
		ck_assert_int_eq(npc_walk(&client, fid, "flows", NULL), 0);
		ck_assert_int_eq(npc_open(&client, fid, NP_OREAD), 0);
	}
	ck_assert_int_eq(npc_walk(&client, fid, "flows", NULL), 0);
	ck_assert_int_eq(npc_open(&client, fid, NP_OREAD), -1);
	ck_assert_int_eq(npc_clunk(&client, 1), 0);
	ck_assert_int_eq(npc_open(&client, fid, NP_OREAD), 0);
	for (fid++; fid <= TREE_MAXFIDS; fid++)
		ck_assert_int_eq(npc_walk(&client, fid, NULL, NULL), 0);
	ck_assert_int_eq(npc_walk(&client, fid, NULL, NULL), -1);
	ck_assert_str_eq(client.error, "too many fids");
	ck_assert_int_eq(npc_attach(&client), 0); /* all begins anew */
	ck_assert_int_eq(npc_walk(&client, fid, NULL, NULL), 0);
}
END_TEST

START_TEST(test_no_version)
{
	tree_fini(&tree);
	ck_assert_int_eq(npc_walk(&client, 1, NULL, NULL), -1);
	ck_assert(ended);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("tree");
	TCase *tc = tcase_create("tree");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(
	    tc, test_files, 0, sizeof(files) / sizeof(files[0]));
	tcase_add_test(tc, test_list);
	tcase_add_test(tc, test_refused);
	tcase_add_test(tc, test_limits);
	tcase_add_test(tc, test_no_version);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
