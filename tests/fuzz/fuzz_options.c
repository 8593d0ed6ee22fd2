/* A command line, an argument a line; what starts with '@' is from a file. */

#include "vpnkit/options.h"

#include "fuzz.h"

#define MAXARG 16

static void
file_member(struct options *op, char *line, char *err)
{
	char *eq = strchr(line, '=');

	if (eq == NULL)
		return;
	*eq = '\0';
	options_file(op, line, eq + 1, err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct rd r = rd_init(data, len);
	char *arg[MAXARG + 1] = { strdup("vpnkit") };
	char err[OPTIONS_ERRLEN], note[OPTIONS_ERRLEN];
	struct options op;
	size_t row = 0;
	int i, n;

	for (n = 1; n < MAXARG && r.len > 0; n++)
		arg[n] = fuzz_line(&r);
	options_init(&op);
	if (options_parse(&op, n, arg, err) == 0) {
		for (i = 1; i < n; i++)
			if (*arg[i] == '@')
				file_member(&op, arg[i] + 1, err);
		if (options_finish(&op, err) == 0)
			while (options_note(&op, &row, note) != NULL)
				CHECK(memchr(note, 0, sizeof(note)) != NULL);
	}
	options_fini(&op);
	for (i = 0; i < n; i++)
		free(arg[i]);
	return 0;
}
