/* Whatever 9P clients of --introspection send: messages by their lengths. */

#include <string.h>

#include "fuzz.h"
#include "diagd/tree.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct snapshot s = { .now = 1 };
	static uint8_t out[NP_MAXMSIZE];
	struct tree t;
	struct wr w;
	int n;

	tree_init(&t);
	while ((n = np_frame(data, len, tree_msize(&t))) > 0) {
		w = wr_init(out, sizeof(out));
		if (tree_input(&t, &s, data, (size_t)n, &w) == -1)
			break;
		/* One answer, of the length it says, that the client takes. */
		CHECK(np_frame(out, w.len, tree_msize(&t)) == (int)w.len);
		data += n;
		len -= (size_t)n;
	}
	tree_fini(&t);
	return 0;
}
