/*
 * The framings of byte streams, see framer.h.
 */

#include "common/rd.h"
#include "common/wr.h"

#include "framer.h"

size_t
framer_prefix(enum framing framing)
{
	static const size_t prefix[FRAMING__MAX] = {
		[FRAMING_LE16] = 2,
		[FRAMING_BE32] = 4,
		[FRAMING_NONE] = 0,
	};

	return prefix[framing];
}

int
framer_next(enum framing framing, const uint8_t *p, size_t len, size_t *flen)
{
	struct rd r = rd_init(p, len);
	uint32_t v32;
	uint16_t v16;

	switch (framing) {
	case FRAMING_LE16:
		if (rd_le16(&r, &v16) == -1)
			return -2;
		v32 = v16;
		break;
	case FRAMING_BE32:
		if (rd_u32(&r, &v32) == -1)
			return -2;
		break;
	default:
		return -1;
	}
	if (v32 > FRAMER_MAXFRAME)
		return -1;
	if (rd_skip(&r, v32) == -1)
		return -2;
	*flen = v32;
	return (int)(framer_prefix(framing) + v32);
}

void
framer_put(enum framing framing, uint8_t *p, size_t flen)
{
	struct wr w = wr_init(p, FRAMER_MAXPREFIX);

	if (framing == FRAMING_LE16)
		wr_le16(&w, (uint16_t)flen);
	else if (framing == FRAMING_BE32)
		wr_u32(&w, (uint32_t)flen);
}
