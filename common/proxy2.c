#include <string.h>

#include "common/proxy2.h"
#include "common/wr.h"

#define V2_LOCAL 0x20
#define V2_PROXY 0x21
#define UNSPEC	 0x00
#define TCP4	 0x11
#define TCP6	 0x21

static const uint8_t signature[12] = { 0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a,
	0x51, 0x55, 0x49, 0x54, 0x0a };

static bool
has_address(const struct ipaddr *a)
{
	return a->family == 6 || ipaddr_to_u32(a) != 0;
}

static void
write_v6(struct wr *w, const struct ipaddr *a)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (a->family == 6) {
		wr_bytes(w, a->b, 16);
		return;
	}
	wr_bytes(w, mapped, sizeof(mapped));
	wr_bytes(w, a->b, 4);
}

size_t
proxy2_header(uint8_t buf[PROXY2_MAX], const struct ipaddr *from,
    uint16_t fport, const struct ipaddr *to, uint16_t tport)
{
	struct wr w = wr_init(buf, PROXY2_MAX);

	wr_bytes(&w, signature, sizeof(signature));
	if (!has_address(from) || !has_address(to)) {
		wr_u8(&w, V2_LOCAL);
		wr_u8(&w, UNSPEC);
		wr_u16(&w, 0);
		return w.len;
	}
	wr_u8(&w, V2_PROXY);
	if (from->family == 4 && to->family == 4) {
		wr_u8(&w, TCP4);
		wr_u16(&w, 12);
		wr_bytes(&w, from->b, 4);
		wr_bytes(&w, to->b, 4);
	} else {
		wr_u8(&w, TCP6);
		wr_u16(&w, 36);
		write_v6(&w, from);
		write_v6(&w, to);
	}
	wr_u16(&w, fport);
	wr_u16(&w, tport);
	return w.len;
}
