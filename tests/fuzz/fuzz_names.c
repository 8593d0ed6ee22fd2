/* Names of a configuration, one a line, and a name to find. */

#include "dnsd/names.h"

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct names *names = names_new(len);
	struct rd r = rd_init(data, len);
	struct ipaddr ip[4], addr = ipaddr_from_u32(1);
	struct name n, zone = { .len = 0 };
	size_t found;
	char *s;

	CHECK(names != NULL);
	while (r.len > 0) {
		s = fuzz_line(&r);
		if (name_parse(s, &n) == 0) {
			CHECK(n.len > 0 && n.wire[n.len - 1] == 0);
			CHECK(name_in_zone(n.wire, n.len, &n));
			if (zone.len > 0)
				name_in_zone(n.wire, n.len, &zone);
			zone = n;
			CHECK(names_add(names, s, &addr) == 0);
			CHECK(
			    names_find(names, n.wire, n.len, 4, ip, 4, &found));
			CHECK(found > 0);
		} else {
			CHECK(names_add(names, s, &addr) == -1);
		}
		free(s);
	}
	names_find(names, data, len, 4, ip, 4, &found);
	names_free(names);
	return 0;
}
