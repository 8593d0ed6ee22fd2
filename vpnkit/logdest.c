#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bsd/string.h>

#include "common/log.h"
#include "common/plat/plat.h"

#include "logdest.h"

/* What systemd says stderr is, "DEVICE:INODE", and it still is. */
static bool
stderr_is_journal(void)
{
	const char *text = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return text != NULL && sscanf(text, "%llu:%llu", &dev, &ino) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev &&
	       st.st_ino == ino;
}

static const struct {
	const char *word, *path;
	enum logdest_kind kind;
} kinds[] = {
	{ "stderr", "", LOGDEST_STDERR },
	{ "journal", "/run/systemd/journal/socket", LOGDEST_JOURNAL },
	{ "syslog", "/dev/log", LOGDEST_SYSLOG },
};

int
logdest_parse(struct logdest *d, const char *where)
{
	size_t i, n = strcspn(where, ":");
	const char *path = where[n] == ':' ? where + n + 1 : NULL;

	if (strcmp(where, "auto") == 0)
		return logdest_parse(
		    d, stderr_is_journal() ? "journal" : "stderr");
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strlen(kinds[i].word) != n ||
		    memcmp(kinds[i].word, where, n) != 0)
			continue;
		d->kind = kinds[i].kind;
		if (path != NULL && (*path == '\0' || *kinds[i].path == '\0'))
			return -1;
		return strlcpy(d->path, path != NULL ? path : kinds[i].path,
			   sizeof(d->path)) < sizeof(d->path)
			   ? 0
			   : -1;
	}
	return -1;
}

static const struct logfrom *
self(void)
{
	static struct logfrom from = { "vpnkit", "vpnkit", 0, "", "", 0 };

	from.pid = getpid();
	return &from;
}

/* The socket is not connected: who listens there may be started again. */
static int
send_record(struct logdest *d, const char *record, size_t len)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	strlcpy(sun.sun_path, d->path, sizeof(sun.sun_path));
	if (sendto(d->fd, record, len, MSG_NOSIGNAL, (struct sockaddr *)&sun,
		sizeof(sun)) != -1)
		return 0;
	/* Full: then stderr would only be the next to wait for. */
	if (errno != EAGAIN && errno != ENOBUFS)
		return -1;
	d->dropped += len;
	return 0;
}

static int
put(struct logdest *d, const struct logfrom *from, enum log_level level,
    const char *text)
{
	char record[LOGLINE_RECORD], when[32];
	time_t now = time(NULL);
	struct tm tm;
	size_t n;

	if (d->kind == LOGDEST_JOURNAL) {
		n = logline_journal(from, level, text, record);
	} else {
		localtime_r(&now, &tm);
		strftime(when, sizeof(when), "%b %e %H:%M:%S", &tm);
		n = logline_syslog(from, level, when, text, record);
	}
	return send_record(d, record, n);
}

int
logdest_put(struct logdest *d, const struct logfrom *from, enum log_level level,
    const char *text)
{
	uint64_t dropped = d->dropped;
	char said[64];

	if (d->fd == -1)
		return -1;
	if (dropped > 0) {
		d->dropped = 0;
		snprintf(said, sizeof(said), "%llu bytes of logs dropped",
		    (unsigned long long)dropped);
		put(d, self(), LOG_LVL_WARN, said);
		if (d->dropped > 0) /* not yet */
			d->dropped = dropped;
	}
	return put(d, from, level, text);
}

static int
own_line(void *arg, enum log_level level, const char *text)
{
	return logdest_put(arg, self(), level, text);
}

int
logdest_open(struct logdest *d, const char *where)
{
	memset(d, 0, sizeof(*d));
	d->fd = -1;
	if (logdest_parse(d, where) == -1) {
		errno = EINVAL;
		return -1;
	}
	if (d->kind == LOGDEST_STDERR)
		return 0;
	d->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (d->fd == -1)
		return -1;
	tzset(); /* reads files, now */
	log_set_sink(own_line, d);
	return 0;
}

void
logdest_close(struct logdest *d)
{
	log_set_sink(NULL, NULL);
	if (d->fd != -1)
		close(d->fd);
	d->fd = -1;
}

/*
 * A daemon's stderr.
 */

static void
pass_on(struct logpipe *p, enum log_level level, const char *text)
{
	const struct logfrom *from = p->from(p->arg);

	if (logdest_put(p->dest, from, level, text) == -1)
		log_as(from->daemon, level, text);
}

/* Whatever it has become, it does not fill the administrator's disk. */
static bool
is_allowed(struct logpipe *p)
{
	usec_t now = plat_now();
	char text[64];

	if (now - p->since >= LOGPIPE_PERIOD) {
		if (p->left_out > 0) {
			snprintf(text, sizeof(text), "suppressed %u lines",
			    p->left_out);
			pass_on(p, LOG_LVL_WARN, text);
		}
		p->since = now;
		p->n = p->left_out = 0;
	}
	if (p->n < LOGPIPE_BURST) {
		p->n++;
		return true;
	}
	p->left_out++;
	return false;
}

static void
one_line(struct logpipe *p, const char *line, size_t len)
{
	char text[LOGLINE_MAX];
	enum log_level level;

	if (len == 0 || !is_allowed(p))
		return;
	level = logline_parse(line, len, text);
	pass_on(p, level, text);
}

/* The whole lines of the buffer; all of it when it is full of none. */
static void
lines(struct logpipe *p, bool end)
{
	const char *nl, *q = p->buf;
	size_t left = p->len;

	while ((nl = memchr(q, '\n', left)) != NULL) {
		one_line(p, q, (size_t)(nl - q));
		left -= (size_t)(nl + 1 - q);
		q = nl + 1;
	}
	if (end || left == sizeof(p->buf)) {
		one_line(p, q, left);
		left = 0;
	}
	memmove(p->buf, q, left);
	p->len = left;
}

/* False: there is nothing more, now or at all. */
static bool
read_some(struct logpipe *p, bool *end)
{
	ssize_t n;

	n = read(p->fd, p->buf + p->len, sizeof(p->buf) - p->len);
	*end = n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR);
	if (n <= 0)
		return false;
	p->len += (size_t)n;
	lines(p, false);
	return true;
}

static void
read_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct logpipe *p = w->data;
	bool end = false;

	/* One read a turn: a flood is not to keep us from the rest. */
	if (!read_some(p, &end) && end)
		ev_io_stop(loop, w);
}

int
logpipe_open(struct logpipe *p, struct logdest *dest, struct ev_loop *loop,
    const struct logfrom *(*from)(void *), void *arg)
{
	int fd[2];

	p->fd = -1;
	if (dest == NULL || dest->fd == -1 ||
	    pipe2(fd, O_CLOEXEC | O_NONBLOCK) == -1)
		return -1;
	p->dest = dest;
	p->loop = loop;
	p->from = from;
	p->arg = arg;
	p->fd = fd[0];
	p->len = 0;
	ev_io_init(&p->rd, read_cb, p->fd, EV_READ);
	p->rd.data = p;
	ev_io_start(loop, &p->rd);
	return fd[1];
}

void
logpipe_close(struct logpipe *p)
{
	bool end;
	int i;

	if (p->fd == -1)
		return;
	/* Its last words; a pipe holds no more than this. */
	for (i = 0; i < 64 && read_some(p, &end); i++)
		continue;
	lines(p, true);
	ev_io_stop(p->loop, &p->rd);
	close(p->fd);
	p->fd = -1;
}
