/*
 * vpnkit-status's texts: a fixed suite as tables, JSON and OpenMetrics, and
 * what becomes of hostile bytes in it.
 */

#include <stdlib.h>
#include <string.h>

#include "common/view/merge.h"
#include "common/view/pcapng.h"
#include "common/view/view.h"
#include "tests/check_main.h"

static const struct style plain;
static struct stats_file stats;
static struct flowtab_file *tab;
static struct dnstab_file *dns;
static struct process procs[3];
static struct snapshot snap;

static void
dns_setup(void)
{
	struct dnstab_server s = { .addr = "192.0.2.53#53",
		.zones = "corp.example 2.0.192.in-addr.arpa",
		.asked = 10,
		.answered = 9,
		.missed = 1,
		.rtt = 1500,
		.rtt_min = 900,
		.rtt_max = 20400,
		.last_answer = 18 * USEC_SEC };
	struct dnstab_query q = { .vm = 1,
		.type = 1,
		.rcode = 3,
		.took = 1200,
		.by = "192.0.2.53#53",
		.name = "no.example",
		.when = 19 * USEC_SEC };
	struct dnstab_name n = { .vm = 1,
		.ip = 0xc0000201,
		.name = "www.example",
		.when = 9 * USEC_SEC };

	dns = calloc(1, sizeof(*dns));
	dnstab_begin(dns);
	dnstab_put_server(dns, 0, &s);
	memset(&s, 0, sizeof(s));
	strcpy(s.addr, "192.0.2.54#5353");
	s.order = 1;
	s.offline = 1;
	s.missed = 3;
	dnstab_put_server(dns, 1, &s);
	dnstab_put_query(dns, &q);
	q.type = 65280;
	q.rcode = 2;
	q.took = 5000000;
	strcpy(q.by, "no server answered");
	dnstab_put_query(dns, &q);
	dnstab_put_name(dns, &n);
}

static void
setup(void)
{
	struct flowtab_flow f;

	memset(&stats, 0, sizeof(stats));
	stats.n = 3;
	strcpy(stats.name[0], "rx-bytes");
	strcpy(stats.name[1], "tcp-flows");
	strcpy(stats.name[2], "rx-bad-checksum");
	stats.value[0] = 1234567;
	stats.value[1] = 2;
	stats.value[2] = 5;
	tab = calloc(1, sizeof(*tab));
	flowtab_begin(tab);
	memset(&f, 0, sizeof(f));
	strcpy(f.proto, "tcp");
	strcpy(f.state, "ESTABLISHED");
	strcpy(f.limit, "guest-window");
	f.guest_ip = 0xc0a84103;
	f.guest_port = 40000;
	f.host_ip = 0xc0000201;
	f.host_port = 443;
	f.to_host = 2500;
	f.to_guest = 50000000;
	f.opened = 10 * USEC_SEC;
	f.rtt_guest = 700;
	f.rtt_host = 23400;
	flowtab_put(tab, 0, &f);
	strcpy(f.state, "PENDING");
	strcpy(f.limit, "refused");
	f.changed = 19 * USEC_SEC;
	flowtab_end(tab, &f);
	dns_setup();
	memset(procs, 0, sizeof(procs));
	strcpy(procs[0].name, "vpnkit");
	strcpy(procs[0].role, "vpnkit");
	strcpy(procs[0].state, "up");
	procs[0].pid = 4242;
	procs[0].uptime_ms = 93784000;
	procs[0].memory = 1500000;
	procs[0].log_level = 2;
	strcpy(procs[0].sandbox, "seccomp");
	procs[1] = procs[0];
	strcpy(procs[1].name, "netstackd-1");
	strcpy(procs[1].role, "netstackd");
	strcpy(procs[1].why, "was killed by signal 9, Killed");
	strcpy(procs[1].uuid, "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa");
	strcpy(procs[1].mac, "02:50:00:00:00:01");
	strcpy(procs[1].ip, "192.168.65.3");
	procs[1].vm = 1;
	procs[1].pid = 4243;
	procs[1].restarts = 1;
	procs[1].uptime_ms = 61000;
	procs[1].counters = (struct file){ &stats, sizeof(stats) };
	procs[1].flows = (struct file){ tab, sizeof(*tab) };
	procs[2].queries = (struct file){ dns, sizeof(*dns) };
	strcpy(procs[2].name, "dnsd");
	strcpy(procs[2].role, "dnsd");
	strcpy(procs[2].state, "up");
	memset(&snap, 0, sizeof(snap));
	strcpy(snap.version, "0.1.0");
	snap.v = procs;
	snap.n = 2;
	snap.now = 20 * USEC_SEC;
}

static void
teardown(void)
{
	free(tab);
	free(dns);
}

static char *text;
static size_t text_len;

static FILE *
begin(void)
{
	return open_memstream(&text, &text_len);
}

static void
is(FILE *f, const char *want)
{
	fclose(f);
	ck_assert_str_eq(text, want);
	free(text);
}

START_TEST(test_show)
{
	FILE *f = begin();

	show_print(f, &snap, &plain);
	is(f, "vpnkit 0.1.0\n\n"
	      "PROCESS       PID  STATE  UPTIME  RESTARTS  MEMORY  LOG\n"
	      "vpnkit       4242  up      1d02h         0  1.5 MB  info\n"
	      "netstackd-1  4243  up      1m01s         1  1.5 MB  info\n"
	      "netstackd-1 last was killed by signal 9, Killed\n\n"
	      "Sandbox of vpnkit netstackd-1:\n    seccomp\n\n"
	      "VM  ADDRESS       MAC                "
	      "UUID                                  "
	      "FROM GUEST  TO GUEST  FLOWS\n"
	      " 1  192.168.65.3  02:50:00:00:00:01  "
	      "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa  "
	      "    1.2 MB       0 B      2\n");
}
END_TEST

START_TEST(test_flows)
{
	FILE *f = begin();

	flows_print(f, &snap, 0, &plain);
	is(f, "VM  PROTO  GUEST               REMOTE         NAME  "
	      "STATE        LIMITED BY      SENT        RATE  RECEIVED       "
	      "RATE  RTT GUEST  RTT HOST  AGE\n"
	      " 1  tcp    192.168.65.3:40000  192.0.2.1:443  -     "
	      "ESTABLISHED  guest-window  2.5 kB  2.0 kbit/s     50 MB  "
	      "40 Mbit/s      0.7ms      23ms  10s\n");
}
END_TEST

/* A name that a guest chose does not push the rest out of a window. */
START_TEST(test_narrow)
{
	static const struct style narrow = { .name = 8 };
	FILE *f = begin();

	snap.n = 3;
	flows_print(f, &snap, 0, &narrow);
	fclose(f);
	ck_assert_ptr_nonnull(strstr(text, "192.0.2.1:443  www.e...  EST"));
	free(text);
}
END_TEST

static char *
explained(const char *what, const struct style *st, int ret)
{
	FILE *f = begin();

	ck_assert_int_eq(explain_print(f, &snap, what, st), ret);
	fclose(f);
	return text;
}

/* Those of all VMs, the last one first; and of an address, not of its prefix.
 */
START_TEST(test_explain_ends)
{
	static const struct style json = { .json = true };
	struct flowtab_file *other = calloc(1, sizeof(*other));
	struct flowtab_flow e = { .proto = "udp",
		.state = "PENDING",
		.limit = "refused",
		.host_ip = 0xc000020a,
		.host_port = 99,
		.opened = 18 * USEC_SEC,
		.changed = 19 * USEC_SEC + 500000 };
	char *s;

	flowtab_begin(other);
	flowtab_end(other, &e);
	procs[2].flows = (struct file){ other, sizeof(*other) };
	procs[2].vm = 2;
	snap.n = 3;
	s = explained("drops", &plain, 0);
	ck_assert_ptr_nonnull(strstr(s, "500ms   2  udp"));
	ck_assert(strstr(s, "500ms   2  udp") < strstr(s, "1s   1  tcp"));
	free(s);
	free(explained("192.0.2.1", &plain, 0));
	s = explained("192.0.2.10", &plain, 0);
	ck_assert_ptr_null(strstr(s, "192.0.2.1:443"));
	free(s);
	free(explained("192.0.2.10:9", &plain, -1));
	free(explained("www.example.", &plain, 0));
	/* It lived a second and a half, and had no round trip. */
	s = explained("192.0.2.10:99", &json, 0);
	ck_assert_ptr_nonnull(strstr(s, "\"age\": 1.5"));
	ck_assert_ptr_nonnull(strstr(s, "\"rtt-host\": null"));
	ck_assert_ptr_nonnull(strstr(s, "\"bits-per-second-sent\": 0.0"));
	free(s);
	free(other);
}
END_TEST

/* Two stacks' packets in the order of their times; a lying one ends, too. */
START_TEST(test_merge)
{
	size_t i, len = tape_live_bytes(100);
	struct tape_file *p[2] = { calloc(1, len), calloc(1, len) };
	struct file f[2] = { { p[0], len }, { p[1], len } };
	struct merge m[2] = { { &f[0], 0, 1, 0 }, { &f[1], 0, 1, 0 } };
	static struct tape_pkt pkt;
	struct tape t[2];
	uint8_t b[60];

	for (i = 0; i < 2; i++)
		ck_assert_int_eq(tape_begin_live(&t[i], p[i], len, 100), 0);
	for (i = 0; i < 6; i++) {
		b[0] = (uint8_t)i;
		tape_put(&t[i % 3 == 0], TAPE_ALL, TAPE_TO_GUEST,
		    (usec_t)(1000 + i), b, sizeof(b), NULL);
	}
	tape_put_open(&t[0], TAPE_ALL, TAPE_TO_GUEST, 1006, b, sizeof(b));
	for (i = 0; i < 6; i++) {
		ck_assert_uint_eq(merge_oldest(m, 2, false), i % 3 == 0);
		ck_assert(merge_take(&m[i % 3 == 0], &pkt));
		ck_assert_uint_eq(pkt.data[0], i);
	}
	ck_assert_uint_eq(merge_oldest(m, 2, false), 2);
	ck_assert_uint_eq(merge_oldest(m, 2, true), 0);
	/* All slots say that theirs were overwritten. */
	m[1].next = 1;
	for (i = 0; i < p[1]->ring[0].nslot; i++)
		((struct tape_slot *)(void *)((uint8_t *)p[1] +
					      p[1]->ring[0].off +
					      i * p[1]->ring[0].stride))
		    ->seq = UINT64_MAX;
	p[1]->ring[0].count = 0;
	ck_assert_uint_eq(merge_oldest(&m[1], 1, true), 1);
	free(p[0]);
	free(p[1]);
}
END_TEST

/* With dnsd: the name the guest asked for is known. */
START_TEST(test_flow_names)
{
	static const struct style json = { .json = true };
	FILE *f = begin();

	snap.n = 3;
	flows_print(f, &snap, 0, &plain);
	fclose(f);
	ck_assert_ptr_nonnull(strstr(text, "192.0.2.1:443  www.example  EST"));
	free(text);
	f = begin();
	flows_print(f, &snap, 0, &json);
	fclose(f);
	ck_assert_ptr_nonnull(strstr(text, "\"name\": \"www.example\""));
	free(text);
	f = begin();
	ck_assert_int_eq(explain_print(f, &snap, "www.example", &plain), 0);
	fclose(f);
	free(text);
}
END_TEST

START_TEST(test_dns)
{
	static const struct style json = { .json = true };
	FILE *f = begin();

	dns_print(f, &snap, &plain);
	is(f, "dnsd has not started yet.\n");
	snap.n = 3;
	f = begin();
	dns_print(f, &snap, &plain);
	is(f, "SERVER           ORDER  ZONES                              "
	      "STATE   ASKED  ANSWERED  UNANSWERED  LATENCY    MIN   MAX  "
	      "LAST ANSWER\n"
	      "192.0.2.53#53        0  corp.example 2.0.192.in-addr.arpa  "
	      "ok         10         9           1    1.5ms  0.9ms  20ms  "
	      "         2s\n"
	      "192.0.2.54#5353      1  -                                  "
	      "silent      0         0           3        -      -     -  "
	      "      never\n\n"
	      "AGO  VM  TYPE       ANSWER      TOOK  BY                  "
	      "NAME\n"
	      " 1s   1  TYPE65280  SERVFAIL  5000ms  no server answered  "
	      "no.example\n"
	      " 1s   1  A          NXDOMAIN   1.2ms  192.0.2.53#53       "
	      "no.example\n");
	f = begin();
	dns_print(f, &snap, &json);
	fclose(f);
	ck_assert_ptr_nonnull(strstr(text, "\"latency\": 0.0015"));
	ck_assert_ptr_nonnull(strstr(text, "\"answer\": \"NXDOMAIN\""));
	free(text);
}
END_TEST

START_TEST(test_counters)
{
	FILE *f = begin();

	counters_print(f, &snap, NULL, false, &plain);
	is(f, "PROCESS      COUNTER            VALUE\n"
	      "netstackd-1  rx-bytes         1234567\n"
	      "netstackd-1  tcp-flows              2\n"
	      "netstackd-1  rx-bad-checksum        5\n");
}
END_TEST

START_TEST(test_explain)
{
	FILE *f = begin();

	explain_print(f, &snap, "drops", &plain);
	is(f, "PROCESS      COUNT  COUNTER          MEANING\n"
	      "netstackd-1      5  rx-bad-checksum  a wrong checksum: often "
	      "offload in the guest\n\n"
	      "AGO  VM  PROTO  GUEST               REMOTE         STATE    "
	      "ENDED BY    SENT  RECEIVED\n"
	      " 1s   1  tcp    192.168.65.3:40000  192.0.2.1:443  PENDING  "
	      "refused   2.5 kB     50 MB\n");
	f = begin();
	ck_assert_int_eq(explain_print(f, &snap, "192.0.2.1:443", &plain), 0);
	ck_assert_int_eq(explain_print(f, &snap, "192.0.2.9", &plain), -1);
	fclose(f);
	free(text);
}
END_TEST

START_TEST(test_metrics)
{
	FILE *f = begin();

	metrics_print(f, &snap);
	fclose(f);
	ck_assert_ptr_nonnull(strstr(text,
	    "# TYPE vpnkit_netstackd_rx_bytes counter\n"
	    "vpnkit_netstackd_rx_bytes_total{process=\"netstackd-1\"} "
	    "1234567\n"
	    "# TYPE vpnkit_netstackd_tcp_flows gauge\n"
	    "vpnkit_netstackd_tcp_flows{process=\"netstackd-1\"} 2\n"));
	ck_assert_ptr_nonnull(strstr(text,
	    "vpnkit_process_restarts_total{process=\"netstackd-1\"} 1\n"));
	ck_assert_str_eq(text + text_len - 6, "# EOF\n");
	free(text);
}
END_TEST

/* What a daemon in other hands writes reaches no terminal. */
START_TEST(test_hostile)
{
	static const struct style json = { .json = true };
	struct flowtab_flow f;
	size_t i;
	FILE *out;

	stats.n = UINT32_MAX;
	memset(stats.name, 0x1b, sizeof(stats.name));
	memset(&f, 0xff, sizeof(f));
	f.opened = INT64_MIN;
	flowtab_put(tab, 1, &f);
	memcpy(f.state, "\033]0;x\007\"\n\\", 10);
	flowtab_put(tab, 2, &f);
	snap.n = 3;
	memset(dns->server, 0x9b, sizeof(dns->server));
	memset(dns->query, 0x1b, sizeof(dns->query));
	memset(dns->name, 0x1b, sizeof(dns->name));
	dns->server[0].seq = dns->query[0].seq = 0;
	dns->query[1].seq = 0;
	for (i = 0; i < 2; i++) {
		const struct style *st = i == 0 ? &plain : &json;

		out = begin();
		show_print(out, &snap, st);
		flows_print(out, &snap, 0, st);
		counters_print(out, &snap, NULL, true, st);
		explain_print(out, &snap, "drops", st);
		dns_print(out, &snap, st);
		explain_print(out, &snap, "192", st);
		metrics_print(out, &snap);
		fclose(out);
		ck_assert_ptr_null(strchr(text, '\033'));
		ck_assert_ptr_null(strchr(text, '\007'));
		ck_assert_ptr_null(strchr(text, (char)0xff));
		free(text);
	}
}
END_TEST

static struct flow
flow_at(uint32_t serial, uint32_t slot, usec_t opened, uint64_t sent)
{
	return (struct flow){ .serial = serial,
		.slot = slot,
		.f = { .opened = opened, .to_host = sent },
		.out_bps = -1,
		.in_bps = -1 };
}

START_TEST(test_rates)
{
	struct flow old[] = { flow_at(2, 0, 1, 1000), flow_at(2, 3, 1, 1000),
		flow_at(2, 4, 1, 1000), flow_at(3, 0, 1, 1000) };
	struct flow now[] = { flow_at(2, 0, 1, 3000), flow_at(2, 2, 5, 500),
		flow_at(2, 4, 6, 700), flow_at(3, 0, 1, 1000),
		flow_at(3, 1, 7, 100), flow_at(4, 0, 7, 0) };
	static const double want[] = { 8000, 2000, 2800, 0, 400, 0 };
	size_t i;

	old[3].f.to_guest = 77; /* it shrinks: a lie */
	flows_rates(now, nitems(now), old, nitems(old), 2 * USEC_SEC);
	for (i = 0; i < nitems(now); i++) {
		ck_assert(now[i].out_bps == want[i]);
		ck_assert(now[i].in_bps == 0);
	}
	flows_rates(now, 1, NULL, 0, USEC_SEC);
	ck_assert(now[0].out_bps == 24000);
	flows_rates(now, 1, NULL, 0, 0); /* no time has passed */
	ck_assert(now[0].out_bps == 24000);
}
END_TEST

static const struct {
	double v;
	const char *bytes;
} sizes[] = {
	{ 0, "0 B" },
	{ 999, "999 B" },
	{ 1000, "1.0 kB" },
	{ 9949, "9.9 kB" },
	{ 10000, "10 kB" },
	{ 999999, "1.0 MB" },
	{ 1.8e19, "18 EB" },
};

START_TEST(test_sizes)
{
	char b[PRINT_NUM];

	ck_assert_str_eq(print_bytes(sizes[_i].v, b), sizes[_i].bytes);
}
END_TEST

static const struct {
	usec_t t;
	const char *text;
} times[] = {
	{ -5, "0ms" },
	{ 1500, "1ms" },
	{ 999999, "999ms" },
	{ USEC_SEC, "1s" },
	{ 59 * USEC_SEC, "59s" },
	{ 60 * USEC_SEC, "1m00s" },
	{ 3599 * USEC_SEC, "59m59s" },
	{ 86399 * USEC_SEC, "23h59m" },
	{ 90000 * USEC_SEC, "1d01h" },
};

START_TEST(test_times)
{
	char b[PRINT_NUM];

	ck_assert_str_eq(print_time(times[_i].t, b), times[_i].text);
}
END_TEST

/* The backslashes of a name are its own. */
START_TEST(test_table_cells)
{
	static const char *const head[] = { "A" };
	FILE *f = begin();
	struct table t;

	table_init(&t, head, 1);
	table_cell(&t, "%s", "a\\032b.example");
	table_cell(&t, "%s", "\033[2J");
	table_print(f, &t, &plain);
	is(f, "A\na\\032b.example\n\\x1b[2J\n");
}
END_TEST

START_TEST(test_words)
{
	char label[64], name[4 * 64];
	json_t *j;

	memset(label, 'a', 63);
	label[63] = '\0';
	snprintf(name, sizeof(name), "%s.%s.%s b.example", label, label, label);
	j = print_words(name);
	ck_assert_uint_eq(json_array_size(j), 2);
	ck_assert_str_eq(json_string_value(json_array_get(j, 1)), "b.example");
	json_decref(j);
}
END_TEST

START_TEST(test_safe)
{
	char b[12];

	ck_assert_str_eq(print_safe("a\nb", b, sizeof(b)), "a\\x0ab");
	ck_assert_str_eq(print_safe("\\", b, sizeof(b)), "\\\\");
	/* Cut before what does not fit whole. */
	ck_assert_str_eq(print_safe("\1\1\1\1\1", b, sizeof(b)), "\\x01\\x01");
}
END_TEST

static const struct {
	const char *what, *key, *value;
	int ret;
	bool match;
} filters[] = {
	{ "its protocol", "proto", "tcp", 0, true },
	{ "another", "proto", "udp", 0, false },
	{ "arp", "proto", "arp", 0, false },
	{ "none", "proto", "sctp", -1, false },
	{ "source port", "port", "40000", 0, true },
	{ "destination port", "port", "443", 0, true },
	{ "another port", "port", "80", 0, false },
	{ "no port", "port", "0", -1, false },
	{ "source", "host", "192.168.65.3", 0, true },
	{ "destination", "host", "192.0.2.1", 0, true },
	{ "another host", "host", "192.0.2.2", 0, false },
	{ "no host", "host", "::1", -1, false },
};

/* ARP, which has addresses and no ports. */
START_TEST(test_filter_arp)
{
	static const uint8_t frame[42] = { [12] = 8,
		6,
		0,
		1,
		8,
		0,
		6,
		4,
		0,
		1,
		[28] = 192,
		168,
		65,
		3,
		[38] = 192,
		168,
		65,
		1 };
	struct filter f = { 0 };
	const char *why;

	ck_assert_int_eq(filter_word(&f, "proto", "arp", &why), 0);
	ck_assert(filter_match(&f, frame, sizeof(frame)));
	ck_assert(!filter_match(&f, frame, sizeof(frame) - 1));
	ck_assert_int_eq(filter_word(&f, "host", "192.168.65.1", &why), 0);
	ck_assert(filter_match(&f, frame, sizeof(frame)));
	ck_assert_int_eq(filter_word(&f, "host", "192.168.65.2", &why), 0);
	ck_assert(!filter_match(&f, frame, sizeof(frame)));
	ck_assert_int_eq(filter_word(&f, "host", "192.168.65.3", &why), 0);
	ck_assert_int_eq(filter_word(&f, "port", "53", &why), 0);
	ck_assert(!filter_match(&f, frame, sizeof(frame)));
}
END_TEST

START_TEST(test_filter)
{
	static const uint8_t frame[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8,
		0, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 192, 168, 65, 3,
		192, 0, 2, 1, 0x9c, 0x40, 1, 0xbb };
	struct filter f = { 0 };
	const char *why = NULL;
	uint8_t *p;
	size_t n;

	ck_assert(filter_match(&f, frame, sizeof(frame)));
	ck_assert_int_eq(
	    filter_word(&f, filters[_i].key, filters[_i].value, &why),
	    filters[_i].ret);
	if (filters[_i].ret == -1) {
		ck_assert_ptr_nonnull(why);
		return;
	}
	ck_assert_msg(
	    filter_match(&f, frame, sizeof(frame)) == filters[_i].match, "%s",
	    filters[_i].what);
	for (n = 0; n < sizeof(frame); n++) {
		p = malloc(n + 1);
		memcpy(p, frame, n);
		p = realloc(p, n > 0 ? n : 1);
		(void)filter_match(&f, p, n);
		free(p);
	}
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("status");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_show);
	tcase_add_test(tc, test_flows);
	tcase_add_test(tc, test_flow_names);
	tcase_add_test(tc, test_dns);
	tcase_add_test(tc, test_counters);
	tcase_add_test(tc, test_explain);
	tcase_add_test(tc, test_metrics);
	tcase_add_test(tc, test_hostile);
	tcase_add_test(tc, test_rates);
	tcase_add_loop_test(
	    tc, test_sizes, 0, sizeof(sizes) / sizeof(sizes[0]));
	tcase_add_loop_test(
	    tc, test_times, 0, sizeof(times) / sizeof(times[0]));
	tcase_add_test(tc, test_safe);
	tcase_add_test(tc, test_table_cells);
	tcase_add_test(tc, test_words);
	tcase_add_test(tc, test_filter_arp);
	tcase_add_test(tc, test_explain_ends);
	tcase_add_test(tc, test_narrow);
	tcase_add_test(tc, test_merge);
	tcase_add_loop_test(
	    tc, test_filter, 0, sizeof(filters) / sizeof(filters[0]));
	return check_case("status", tc);
}
