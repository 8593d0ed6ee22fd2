/* Names and servers of a configuration, one a line, and a name to find. */

#include "dnsd/names.h"

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct names names;
	struct rd r = rd_init(data, len);
	const struct name *n;
	struct ipaddr addr;
	uint16_t port;
	uint32_t ip[4];
	size_t i;
	char *s;

	names.n = 0;
	while (r.len > 0) {
		s = fuzz_line(&r);
		names_add(&names, s, 1);
		server_parse(s, &addr, &port);
		free(s);
	}
	CHECK(names.n <= NAMES_MAX);
	for (i = 0; i < names.n; i++) {
		n = &names.name[i];
		CHECK(n->len > 0 && n->wire[n->len - 1] == 0);
		CHECK(names_find(&names, n->wire, n->len, ip, 4) > 0);
	}
	names_find(&names, data, len, ip, 4);
	return 0;
}
