/* The ClientHello of TLS: any prefix says "more" or the same. */

#include "proxyd/hello.h"

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char name[HELLO_NAMEMAX + 1], half[HELLO_NAMEMAX + 1];
	int r = hello_parse(data, len, name), h;

	CHECK(r == 1 || r == 0 || r == -1 || r == -2);
	if (r == 1)
		CHECK(strlen(name) > 0 && strpbrk(name, " \r\n:/") == NULL);
	h = hello_parse(data, len / 2, half);
	CHECK(h == -2 || h == r);
	return 0;
}
