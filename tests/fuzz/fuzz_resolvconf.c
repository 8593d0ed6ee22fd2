/* A resolv.conf; what is taken of it is what dnsd and portd can read. */

#include "dnsd/names.h"
#include "vpnkit/resolvconf.h"

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct resolvconf rc = { .n = 0 };
	struct ipaddr a;
	uint16_t port;
	size_t i;

	resolvconf_parse((const char *)data, len, &rc);
	CHECK(rc.n <= RESOLVCONF_MAX);
	for (i = 0; i < rc.n; i++)
		CHECK(server_parse(rc.server[i], &a, &port) == 0);
	return 0;
}
