/* The control messages that come with an entry of an error queue. */

#include "common/plat/sockerr.h"

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct plat_sockerr e;
	struct msghdr mh = { 0 };
	void *control;

	/* Aligned, and at its exact size. */
	if ((control = malloc(len > 0 ? len : 1)) == NULL)
		abort();
	if (len > 0)
		memcpy(control, data, len);
	mh.msg_control = control;
	mh.msg_controllen = len;
	(void)sockerr_parse(&mh, &e);
	free(control);
	return 0;
}
