/*
 * One line an event, one write a line.  A line is at most LINE_BYTES long, so
 * that a pipe takes it whole or not at all; the end of a longer text is cut.
 *
 * stderr may be shared with whoever started the suite, so it is not switched
 * to non-blocking here: poll() asks first whether it takes a line now.
 *
 * The date is computed here: gmtime_r() may read time zone files, which a
 * sandboxed process cannot open.
 */

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/wr.h"

#define LINE_BYTES 4096 /* PIPE_BUF of Linux */
#define TEXT_BYTES 2048 /* before escaping */

/* Logging is the one thing here with state of the process: see style. */
static struct {
	const char *name;
	enum log_level level;
	uint64_t dropped; /* bytes since the last line that went through */
} logger = { "vpnkit", LOG_LVL_INFO, 0 };

static const char *const level_name[LOG_LVL__MAX] = {
	[LOG_LVL_ERROR] = "error",
	[LOG_LVL_WARN] = "warning",
	[LOG_LVL_INFO] = "info",
	[LOG_LVL_DEBUG] = "debug",
};

void
log_init(const char *name)
{
	logger.name = name;
}

void
log_set_level(enum log_level level)
{
	if ((unsigned)level < LOG_LVL__MAX)
		logger.level = level;
}

enum log_level
log_get_level(void)
{
	return logger.level;
}

struct date {
	int64_t year;
	unsigned month, day;
};

/*
 * The date, days after 1970-01-01.  Years are counted from March, so that the
 * leap day is the last of its year, in eras of 400 years of 146,097 days.
 */
static struct date
date_of_days(int64_t days)
{
	int64_t era, z = days + 719468; /* since 0000-03-01 */
	unsigned doe, doy, month, yoe;
	struct date d;

	era = (z >= 0 ? z : z - 146096) / 146097;
	doe = (unsigned)(z - era * 146097);
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	month = (5 * doy + 2) / 153;
	d.day = doy - (153 * month + 2) / 5 + 1;
	d.month = month < 10 ? month + 3 : month - 9;
	d.year = era * 400 + yoe + (d.month <= 2);
	return d;
}

/* "[time][vpnkit][level] name: ". */
static void
put_head(struct wr *w, enum log_level level)
{
	struct timespec ts;
	struct date d;
	char buf[192];
	unsigned sec;
	int n;

	clock_gettime(CLOCK_REALTIME, &ts);
	d = date_of_days(ts.tv_sec / 86400);
	sec = (unsigned)(ts.tv_sec % 86400);
	n = snprintf(buf, sizeof(buf),
	    "[%04lld-%02u-%02uT%02u:%02u:%02u.%09ldZ][vpnkit][%s] %.64s: ",
	    (long long)d.year, d.month, d.day, sec / 3600, sec / 60 % 60,
	    sec % 60, ts.tv_nsec, level_name[level], logger.name);
	if (n > 0)
		wr_bytes(w, buf, strlen(buf));
}

/* Bytes from outside must not end the line or move the cursor. */
static void
put_escaped(struct wr *w, const char *s)
{
	static const char hex[] = "0123456789abcdef";
	char buf[4] = { '\\', 'x' };
	unsigned char c;

	for (; (c = (unsigned char)*s) != '\0'; s++) {
		/* Four bytes and the newline must fit whatever comes next. */
		if (w->cap - w->len < 5)
			return;
		if (c == '\\') {
			wr_bytes(w, "\\\\", 2);
		} else if (c >= ' ' && c <= '~') {
			wr_u8(w, c);
		} else {
			buf[2] = hex[c >> 4];
			buf[3] = hex[c & 15];
			wr_bytes(w, buf, sizeof(buf));
		}
	}
}

/* Writes a line or counts its bytes as dropped; -1: dropped. */
static int
emit(const struct wr *w)
{
	struct pollfd pfd = { .fd = STDERR_FILENO, .events = POLLOUT };
	ssize_t n = -1;

	if (poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLOUT))
		n = write(STDERR_FILENO, w->p, w->len);
	if (n == (ssize_t)w->len)
		return 0;
	logger.dropped += w->len - (n > 0 ? (size_t)n : 0);
	return -1;
}

static void
emit_dropped(void)
{
	uint8_t line[256];
	struct wr w = wr_init(line, sizeof(line));
	uint64_t dropped = logger.dropped;
	char text[64];

	snprintf(text, sizeof(text), "%llu bytes of logs dropped",
	    (unsigned long long)dropped);
	put_head(&w, LOG_LVL_WARN);
	put_escaped(&w, text);
	wr_u8(&w, '\n');
	/* This line does not count when it is dropped itself. */
	logger.dropped = emit(&w) == 0 ? 0 : dropped;
}

/* err 0: no errno text. */
static void
vlog(enum log_level level, int err, const char *fmt, va_list ap)
{
	uint8_t line[LINE_BYTES];
	struct wr w = wr_init(line, sizeof(line));
	char text[TEXT_BYTES];
	int save = errno;

	if (level > logger.level)
		return;
	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		text[0] = '\0';
	put_head(&w, level);
	put_escaped(&w, text);
	if (err != 0) {
		put_escaped(&w, ": ");
		put_escaped(&w, strerror(err));
	}
	wr_u8(&w, '\n');
	if (logger.dropped > 0)
		emit_dropped();
	if (logger.dropped > 0)
		logger.dropped += w.len;
	else
		emit(&w);
	errno = save;
}

void
log_debug(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vlog(LOG_LVL_DEBUG, 0, fmt, ap);
	va_end(ap);
}

void
log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vlog(LOG_LVL_INFO, 0, fmt, ap);
	va_end(ap);
}

void
log_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vlog(LOG_LVL_WARN, errno, fmt, ap);
	va_end(ap);
}

void
log_warnx(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vlog(LOG_LVL_WARN, 0, fmt, ap);
	va_end(ap);
}

void
fatal(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vlog(LOG_LVL_ERROR, errno, fmt, ap);
	va_end(ap);
	exit(1);
}

void
fatalx(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vlog(LOG_LVL_ERROR, 0, fmt, ap);
	va_end(ap);
	exit(1);
}

bool
log_rate_ok(struct log_rate *r, usec_t now, unsigned *missed)
{
	if (now < r->next) {
		r->missed++;
		return false;
	}
	*missed = r->missed;
	r->missed = 0;
	r->next = now + LOG_RATE_PERIOD;
	return true;
}
