/* A frame to vpnkit-tap, which waits for an answer to its DHCP request. */

#include "tools/tap_dhcp.h"

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct dhcp_client client = {
		.mac = { { 2, 0x50, 0, 0, 0, 1 } }, .xid = 0x12345678
	};
	uint8_t out[DHCP_FRAMELEN];
	struct wr w = wr_init(out, sizeof(out));
	struct dhcp_lease lease;
	enum dhcp_type type;
	unsigned i;

	if (dhcp_parse(rd_init(data, len), &client, &type, &lease) == -1)
		return 0;
	CHECK(type == DHCP_OFFER || type == DHCP_ACK || type == DHCP_NAK);
	if (type == DHCP_NAK)
		return 0;
	CHECK(lease.ndns <= DHCP_MAXDNS && lease.nsearch <= DHCP_MAXSEARCH);
	CHECK(memchr(lease.domain, 0, sizeof(lease.domain)) != NULL);
	for (i = 0; i < lease.nsearch; i++)
		CHECK(memchr(lease.search[i], 0, DHCP_NAMELEN) != NULL);
	CHECK(dhcp_build(&w, &client, &lease) == 0);
	return 0;
}
