/*
 * Plays files to a target, where there is no libFuzzer: those given, and those
 * in folders given, in the order of their names.  What starts with a dash is
 * an option of libFuzzer's and skipped.
 */

#include <sys/stat.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"

static unsigned played;

static int
play_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *buf = NULL;
	struct stat st;
	size_t len;
	int ret = -1;

	if (f == NULL || fstat(fileno(f), &st) == -1)
		goto out;
	/* Exactly as large, so that reading past its end is seen. */
	len = (size_t)st.st_size;
	if ((buf = malloc(len > 0 ? len : 1)) == NULL ||
	    fread(buf, 1, len, f) != len)
		goto out;
	LLVMFuzzerTestOneInput(buf, len);
	played++;
	ret = 0;
out:
	if (ret == -1)
		perror(path);
	if (f != NULL)
		fclose(f);
	free(buf);
	return ret;
}

static int
play_dir(const char *path)
{
	struct dirent **list;
	char name[4096];
	int i, n, ret = 0;

	if ((n = scandir(path, &list, NULL, alphasort)) == -1) {
		perror(path);
		return -1;
	}
	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%s/%s", path, list[i]->d_name);
		if (list[i]->d_name[0] != '.' && play_file(name) == -1)
			ret = -1;
		free(list[i]);
	}
	free(list);
	return ret;
}

int
main(int argc, char *argv[])
{
	struct stat st;
	int i, bad = 0;

	for (i = 1; i < argc; i++) {
		if (*argv[i] == '-')
			continue;
		if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode))
			bad |= play_dir(argv[i]);
		else
			bad |= play_file(argv[i]);
	}
	printf("%u files played\n", played);
	return bad == 0 && played > 0 ? 0 : 1;
}
