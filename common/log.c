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
#include "common/logkind.h"
#include "common/plat/plat.h"
#include "common/wr.h"

#define LINE_BYTES 4096 /* PIPE_BUF of Linux */
#define TEXT_BYTES 2048 /* before escaping */

/* Logging is the one thing here with state of the process: see style. */
static struct {
	const char *name;
	enum log_level level;
	uint64_t dropped; /* bytes since the last line that went through */
	struct logkinds kinds;
	void (*owing)(void *); /* lines were left out: log_flush() is wanted */
	void *owing_arg;
	bool owes;
	log_sink *sink; /* NULL: stderr */
	void *sink_arg;
} logger = { "vpnkit", LOG_LVL_INFO, 0, { { { NULL, 0, 0, 0 } } }, NULL, NULL,
	false, NULL, NULL };

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
log_set_sink(log_sink *sink, void *arg)
{
	logger.sink = sink;
	logger.sink_arg = arg;
}

void
log_on_owing(void (*fn)(void *), void *arg)
{
	logger.owing = fn;
	logger.owing_arg = arg;
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

/* A whole line of escaped text, to where it goes. */
static void
put_line(enum log_level level, const uint8_t *text, size_t len)
{
	uint8_t line[LINE_BYTES];
	struct wr w = wr_init(line, sizeof(line));

	put_head(&w, level);
	if (len > w.cap - w.len - 1)
		len = w.cap - w.len - 1;
	wr_bytes(&w, text, len);
	wr_u8(&w, '\n');
	if (logger.dropped > 0)
		emit_dropped();
	if (logger.dropped > 0)
		logger.dropped += w.len;
	else
		emit(&w);
}

/* err 0: no errno text. */
static void
write_text(enum log_level level, int err, const char *raw)
{
	uint8_t text[LINE_BYTES];
	struct wr w = wr_init(text, sizeof(text));

	put_escaped(&w, raw);
	if (err != 0) {
		put_escaped(&w, ": ");
		put_escaped(&w, strerror(err));
	}
	/* put_escaped() leaves room for it. */
	wr_u8(&w, '\0');
	if (logger.sink == NULL ||
	    logger.sink(logger.sink_arg, level, (const char *)text) == -1)
		put_line(level, text, w.len - 1);
}

bool
log_flush(void)
{
	usec_t now = plat_now();
	const char *fmt;
	char text[512];
	unsigned n;

	while ((fmt = logkinds_over(&logger.kinds, now, &n)) != NULL) {
		snprintf(text, sizeof(text),
		    "suppressed %u lines like \"%.256s\"", n, fmt);
		write_text(LOG_LVL_WARN, 0, text);
	}
	logger.owes = logkinds_pending(&logger.kinds);
	return logger.owes;
}

/* Whether this line is written; if not, it will be counted. */
static bool
is_due(enum log_level level, const char *fmt)
{
	/* Who asks for debugging wants all of it. */
	if (level == LOG_LVL_DEBUG)
		return true;
	if (logger.owes)
		log_flush();
	if (logkinds_may(&logger.kinds, fmt, plat_now()))
		return true;
	if (!logger.owes && logger.owing != NULL)
		logger.owing(logger.owing_arg);
	logger.owes = true;
	return false;
}

static void
vlog(enum log_level level, int err, const char *fmt, va_list ap)
{
	char text[TEXT_BYTES];

	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		text[0] = '\0';
	write_text(level, err, text);
}

/* The same, where lines of a kind are counted. */
static void
vlog_kind(enum log_level level, int err, const char *fmt, va_list ap)
{
	int save = errno;

	if (level <= logger.level && is_due(level, fmt))
		vlog(level, err, fmt, ap);
	errno = save;
}

void
log_as(const char *name, enum log_level level, const char *text)
{
	const char *own = logger.name;

	logger.name = name;
	put_line(level, (const uint8_t *)text, strlen(text));
	logger.name = own;
}

void
log_report(const char *fmt, ...)
{
	int save = errno;
	va_list ap;

	va_start(ap, fmt);
	if (logger.level >= LOG_LVL_INFO)
		vlog(LOG_LVL_INFO, 0, fmt, ap);
	va_end(ap);
	errno = save;
}

void
log_debug(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vlog_kind(LOG_LVL_DEBUG, 0, fmt, ap);
	va_end(ap);
}

void
log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vlog_kind(LOG_LVL_INFO, 0, fmt, ap);
	va_end(ap);
}

void
log_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vlog_kind(LOG_LVL_WARN, errno, fmt, ap);
	va_end(ap);
}

void
log_warnx(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vlog_kind(LOG_LVL_WARN, 0, fmt, ap);
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
