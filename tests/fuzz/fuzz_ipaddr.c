/* Texts of addresses, one a line; what is understood means the same again. */

#include "common/ipaddr.h"

#include "fuzz.h"

static void
check_text(const char *s)
{
	char buf[IPADDR_STRLEN];
	struct ipprefix prefix;
	struct macaddr mac, mac2;
	struct ipaddr a, b;

	if (ipaddr_parse(s, &a) == 0) {
		CHECK(ipaddr_parse(ipaddr_str(&a, buf), &b) == 0);
		CHECK(ipaddr_cmp(&a, &b) == 0);
		ipaddr_unmap(&a);
	}
	if (ipprefix_parse(s, &prefix) == 0)
		CHECK(ipprefix_match(&prefix, &prefix.addr));
	if (macaddr_parse(s, &mac) == 0) {
		CHECK(macaddr_parse(macaddr_str(&mac, buf), &mac2) == 0);
		CHECK(memcmp(&mac, &mac2, sizeof(mac)) == 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct rd r = rd_init(data, len);
	char *s;

	while (r.len > 0) {
		s = fuzz_line(&r);
		check_text(s);
		free(s);
	}
	return 0;
}
