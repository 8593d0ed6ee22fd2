/*
 * What a daemon in other hands writes to its stderr: in no record of the log
 * is there a line or a control character of its making.
 */

#include <string.h>

#include "fuzz.h"
#include "vpnkit/logline.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct logfrom from = { "dnsd", "dnsd", 0, "", "", 1 };
	char text[LOGLINE_MAX], out[LOGLINE_RECORD];
	enum log_level level;
	size_t n, i, lines = 0;

	level = logline_parse((const char *)data, len, text);
	CHECK((unsigned)level < LOG_LVL__MAX);
	CHECK(memchr(text, '\0', sizeof(text)) != NULL);
	n = logline_journal(&from, level, text, out);
	for (i = 0; i < n; i++) {
		lines += out[i] == '\n';
		CHECK(out[i] == '\n' || (out[i] >= ' ' && out[i] <= '~'));
	}
	CHECK(lines == 7);
	n = logline_syslog(&from, level, "Jan  2 03:04:05", text, out);
	CHECK(memchr(out, '\n', n) == NULL);
	return 0;
}
