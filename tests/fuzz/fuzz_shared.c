/*
 * What vpnkit-status reads of a daemon's memory: any bytes in the place of a
 * table of flows, of a tape, of counters.
 */

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "common/view/view.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct flowtab_file tab;
	static struct stats_file stats;
	static struct dnstab_file dns;
	static struct tape_pkt pkt;
	struct process p = { .vm = 1,
		.name = "netstackd-1",
		.role = "netstackd",
		.state = "up" };
	struct snapshot s = { .v = &p, .n = 1 };
	static const struct style st[2] = { { 0 }, { .json = true } };
	FILE *out = fopen("/dev/null", "w");
	uint8_t *tape = malloc(size + 1);
	uint32_t i;

	if (out == NULL || tape == NULL)
		abort();
	memcpy(tape, data, size);
	memcpy(&tab, data, size < sizeof(tab) ? size : sizeof(tab));
	memcpy(&stats, data, size < sizeof(stats) ? size : sizeof(stats));
	memcpy(&dns, data, size < sizeof(dns) ? size : sizeof(dns));
	dns.magic = DNSTAB_MAGIC;
	dns.version = DNSTAB_VERSION;
	tab.magic = FLOWTAB_MAGIC;
	tab.version = FLOWTAB_VERSION;
	/* More would only be slow. */
	if (tab.top > 64)
		tab.top = 64;
	p.counters = (struct file){ &stats, sizeof(stats) };
	p.flows = (struct file){ &tab, sizeof(tab) };
	p.queries = (struct file){ &dns, sizeof(dns) };
	for (i = 0; i < 2; i++) {
		dns_print(out, &s, &st[i]);
		show_print(out, &s, &st[i]);
		flows_print(out, &s, 0, &st[i]);
		explain_print(out, &s, "drops", &st[i]);
		counters_print(out, &s, NULL, true, &st[i]);
	}
	metrics_print(out, &s);
	for (i = 0; i <= TAPE_RINGS && tape_check(tape, size) == 0; i++) {
		(void)tape_get(tape, size, i, 1, &pkt);
		(void)tape_get(tape, size, i, size, &pkt);
	}
	fclose(out);
	free(tape);
	return 0;
}
