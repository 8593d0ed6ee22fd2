/* A byte stream of frames, in each framing. */

#include "ethd/framer.h"

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct rd r = rd_init(data, len);
	enum framing f = fuzz_u8(&r) % FRAMING__MAX;
	uint8_t head[FRAMER_MAXPREFIX];
	size_t prefix = framer_prefix(f), flen;
	int n;

	CHECK(prefix <= FRAMER_MAXPREFIX);
	while (r.len > 0 && (n = framer_next(f, r.p, r.len, &flen)) > 0) {
		CHECK((size_t)n <= r.len && (size_t)n == prefix + flen);
		CHECK(flen <= FRAMER_MAXFRAME || f == FRAMING_NONE);
		framer_put(f, head, flen);
		CHECK(memcmp(head, r.p, prefix) == 0);
		rd_skip(&r, (size_t)n);
	}
	return 0;
}
