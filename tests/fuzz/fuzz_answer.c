/* An answer with addresses of a name, for either family. */

#include "dnsd/answer.h"

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct rd msg = rd_init(data, len);
	struct answer a;
	uint16_t id;
	int family;
	size_t i;

	for (family = 4; family <= 6; family += 2) {
		if (answer_parse(msg, family, &a) == -1)
			continue;
		CHECK(answer_id(msg, &id) == 0 && id == a.id);
		CHECK(a.nip <= ANSWER_MAXIPS);
		for (i = 0; i < a.nip; i++)
			CHECK(a.ip[i].family == family);
	}
	return 0;
}
