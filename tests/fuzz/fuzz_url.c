/* Names of sockets, one a line. */

#include "vpnkit/url.h"

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct rd r = rd_init(data, len);
	const char *why;
	struct url u;
	struct ipaddr a;
	uint16_t port;
	char *s;

	while (r.len > 0) {
		s = fuzz_line(&r);
		why = NULL;
		if (url_parse(s, &u, &why) == -1)
			CHECK(why != NULL);
		else if (u.kind == URL_PATH)
			CHECK(strlen(u.path) <= URL_PATHMAX);
		else if (u.kind == URL_FD)
			CHECK(u.fd >= 0);
		why = NULL;
		CHECK(url_tcp(s, &a, &port, &why) != -1 || why != NULL);
		free(s);
	}
	return 0;
}
