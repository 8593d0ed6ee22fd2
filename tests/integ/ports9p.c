/*
 * A client of the 9P control of ports, for the scripts.
 *
 *	ports9p hold SOCKET SPEC...	asks for each, prints what came of it,
 *					and lets go of them when its input ends
 *	ports9p cycle SOCKET N TIMES	N forwards of any port made and removed,
 *					so many times
 *	ports9p remove SOCKET SPEC	one made, and removed by its file
 */

#include <sys/socket.h>
#include <err.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/integ/ninep_client.h"

#define RESULT_MAX 2048

static struct npc client;

static void
read_all(int fd, uint8_t *p, size_t n)
{
	ssize_t r;

	for (; n > 0; p += r, n -= (size_t)r)
		if ((r = read(fd, p, n)) <= 0)
			errx(1, "the server has ended");
}

static size_t
xfer(void *arg, const void *out, size_t n, void *in, size_t max)
{
	int fd = *(int *)arg;
	uint8_t *p = in;
	size_t size;

	if (write(fd, out, n) != (ssize_t)n)
		err(1, "write");
	read_all(fd, p, 4);
	size = p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16;
	if (size < NP_HDRLEN || size > max)
		errx(1, "an answer of %zu bytes", size);
	read_all(fd, p + 4, size - 4);
	return size;
}

static void
dial(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	static int fd;

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1)
		err(1, "%s", path);
	client.xfer = xfer;
	client.arg = &fd;
	if (npc_attach(&client) == -1)
		errx(1, "attach: %s", client.error);
}

/* As fid i; names of two clients do not meet. */
static const char *
forward(uint32_t i, const char *spec)
{
	static char result[RESULT_MAX];
	char name[64];

	snprintf(name, sizeof(name), "p%d-%u", (int)getpid(), i);
	if (npc_forward(&client, name, i, spec, result, sizeof(result)) == -1)
		errx(1, "%s: %s", spec, client.error);
	return result;
}

static int
hold(int n, char *specs[])
{
	char c;
	int i;

	for (i = 0; i < n; i++)
		printf("%s", forward((uint32_t)i + 1, specs[i]));
	fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		continue;
	return 0;
}

static int
cycle(uint32_t n, int times)
{
	uint32_t i;

	for (; times > 0; times--) {
		for (i = 1; i <= n; i++) {
			if (strncmp(forward(i, "tcp:127.0.0.1:0:"
					       "tcp:192.168.65.3:7000"),
				"OK tcp:127.0.0.1:", 17) != 0)
				errx(1, "refused");
		}
		for (i = 1; i <= n; i++) {
			if (npc_clunk(&client, i) == -1)
				errx(1, "clunk: %s", client.error);
		}
	}
	return 0;
}

static int
removed(const char *spec)
{
	char name[64];

	printf("%s", forward(1, spec));
	snprintf(name, sizeof(name), "p%d-1", (int)getpid());
	if (npc_walk(&client, 2, name, NULL) == -1 ||
	    npc_remove(&client, 2) == -1)
		errx(1, "remove: %s", client.error);
	return 0;
}

/* A file, or a directory's bytes, to stdout. */
static int
cat(char *path)
{
	char *slash = strchr(path, '/');
	uint64_t at = 0;
	uint32_t n;
	struct wr w;
	struct rd r;

	if (slash != NULL)
		*slash++ = '\0';
	if (npc_walk(&client, 1, *path != '\0' ? path : NULL, slash) == -1 ||
	    npc_open(&client, 1, NP_OREAD) == -1)
		errx(1, "%s: %s", path, client.error);
	do {
		w = npc_begin(&client, NP_TREAD);
		wr_le32(&w, 1);
		wr_le32(&w, (uint32_t)at);
		wr_le32(&w, (uint32_t)(at >> 32));
		wr_le32(&w, NPC_MSIZE - NP_IOHDR);
		if (npc_call(&client, &w, NP_TREAD) == -1)
			errx(1, "read: %s", client.error);
		r = rd_init(client.in + 7, client.len - 7);
		if (rd_le32(&r, &n) == -1 || n != r.len)
			errx(1, "read: of another length");
		fwrite(r.p, 1, r.len, stdout);
		at += n;
	} while (n > 0);
	return fflush(stdout) == EOF;
}

int
main(int argc, char *argv[])
{
	if (argc < 4)
		errx(2, "hold|cycle|remove SOCKET ...");
	dial(argv[2]);
	if (strcmp(argv[1], "hold") == 0)
		return hold(argc - 3, argv + 3);
	if (strcmp(argv[1], "cycle") == 0 && argc == 5)
		return cycle((uint32_t)atoi(argv[3]), atoi(argv[4]));
	if (strcmp(argv[1], "cat") == 0)
		return cat(argv[3]);
	if (strcmp(argv[1], "remove") == 0)
		return removed(argv[3]);
	errx(2, "what?");
}
