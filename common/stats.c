/*
 * The counters' file: stats.h has its layout.  The supervisor made it and gave
 * it its size; a restarted daemon goes on with the values it finds.
 */

#include <sys/mman.h>
#include <sys/stat.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <bsd/string.h>

#include "common/stats.h"

/* NULL when the descriptor is not a file of our size, with errno. */
static struct stats_file *
map_file(int fd)
{
	struct stat st;
	void *p;

	if (fstat(fd, &st) == -1)
		return NULL;
	/* A shorter file would be a SIGBUS at the first count. */
	if (st.st_size < (off_t)STATS_BYTES) {
		errno = EINVAL;
		return NULL;
	}
	p = mmap(NULL, STATS_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return p == MAP_FAILED ? NULL : p;
}

int
stats_init(struct stats *s, int fd, const char *const *names, size_t n)
{
	int save;
	size_t i;

	s->file = NULL;
	if (n > STATS_MAX)
		errno = EINVAL;
	else if (fd == -1)
		s->file = calloc(1, STATS_BYTES);
	else
		s->file = map_file(fd);
	if (fd != -1) {
		save = errno;
		close(fd);
		errno = save;
	}
	if (s->file == NULL)
		return -1;
	for (i = 0; i < n; i++)
		strlcpy(s->file->name[i], names[i], STATS_NAMELEN);
	/* A reader that sees n sees the names, too. */
	__atomic_store_n(&s->file->n, (uint32_t)n, __ATOMIC_RELEASE);
	return 0;
}
