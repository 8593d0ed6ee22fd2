#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "logline.h"

#define FACILITY_DAEMON 3
#define IDENT		"vpnkit"

/* Of syslog(3), which journald has as well. */
static const int priority[LOG_LVL__MAX] = {
	[LOG_LVL_ERROR] = 3,
	[LOG_LVL_WARN] = 4,
	[LOG_LVL_INFO] = 6,
	[LOG_LVL_DEBUG] = 7,
};

static const char *const level_name[LOG_LVL__MAX] = {
	[LOG_LVL_ERROR] = "error",
	[LOG_LVL_WARN] = "warning",
	[LOG_LVL_INFO] = "info",
	[LOG_LVL_DEBUG] = "debug",
};

/* The next "[...]" of the line; false: there is none. */
static bool
bracket(const char **p, const char *end, const char **word, size_t *len)
{
	const char *close;

	if (*p == end || **p != '[' ||
	    (close = memchr(*p, ']', (size_t)(end - *p))) == NULL)
		return false;
	*word = *p + 1;
	*len = (size_t)(close - *word);
	*p = close + 1;
	return true;
}

/* Behind "[time][vpnkit][level] name: "; false: that is not there. */
static bool
head(const char **p, const char *end, enum log_level *level)
{
	const char *word, *q = *p;
	size_t len, i;

	if (!bracket(&q, end, &word, &len) || !bracket(&q, end, &word, &len) ||
	    !bracket(&q, end, &word, &len))
		return false;
	for (i = 0; i < LOG_LVL__MAX; i++) {
		if (strlen(level_name[i]) == len &&
		    memcmp(level_name[i], word, len) == 0)
			break;
	}
	if (i == LOG_LVL__MAX || q == end || *q != ' ')
		return false;
	for (q++; end - q >= 2 && (q[0] != ':' || q[1] != ' '); q++)
		continue;
	if (end - q < 2)
		return false;
	*level = (enum log_level)i;
	*p = q + 2;
	return true;
}

/* An honest daemon has escaped it already: that is not done twice. */
static void
put_text(const char *p, const char *end, char *text)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = 0;
	unsigned char c;

	for (; p < end && n + 5 <= LOGLINE_MAX; p++) {
		c = (unsigned char)*p;
		if (c >= ' ' && c <= '~') {
			text[n++] = (char)c;
			continue;
		}
		text[n++] = '\\';
		text[n++] = 'x';
		text[n++] = hex[c >> 4];
		text[n++] = hex[c & 15];
	}
	text[n] = '\0';
}

enum log_level
logline_parse(const char *line, size_t len, char *text)
{
	const char *end = line + len;
	enum log_level level = LOG_LVL_WARN;

	head(&line, end, &level);
	put_text(line, end, text);
	return level;
}

static void add(char *out, size_t *n, const char *fmt, ...)
    __attribute__((__format__(printf, 3, 4)));

static void
add(char *out, size_t *n, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vsnprintf(out + *n, LOGLINE_RECORD - *n, fmt, ap);
	va_end(ap);
	if (r > 0)
		*n += (size_t)r < LOGLINE_RECORD - *n ? (size_t)r
						      : LOGLINE_RECORD - *n - 1;
}

size_t
logline_journal(const struct logfrom *from, enum log_level level,
    const char *text, char out[LOGLINE_RECORD])
{
	size_t n = 0;

	/* The daemon before the text, as in the log on stderr. */
	add(out, &n, "MESSAGE=%s: %s\n", from->daemon, text);
	add(out, &n, "PRIORITY=%d\nSYSLOG_FACILITY=%d\n", priority[level],
	    FACILITY_DAEMON);
	add(out, &n, "SYSLOG_IDENTIFIER=" IDENT "\n");
	add(out, &n, "VPNKIT_DAEMON=%s\nVPNKIT_ROLE=%s\n", from->daemon,
	    from->role);
	add(out, &n, "VPNKIT_PID=%lld\n", (long long)from->pid);
	if (from->vm != 0)
		add(out, &n, "VPNKIT_VM=%u\n", from->vm);
	if (from->uuid[0] != '\0')
		add(out, &n, "VPNKIT_VM_UUID=%s\n", from->uuid);
	if (from->address[0] != '\0')
		add(out, &n, "VPNKIT_VM_ADDRESS=%s\n", from->address);
	return n;
}

size_t
logline_syslog(const struct logfrom *from, enum log_level level,
    const char *when, const char *text, char out[LOGLINE_RECORD])
{
	size_t n = 0;

	add(out, &n, "<%d>%s " IDENT "[%lld]: %s: %s",
	    FACILITY_DAEMON << 3 | priority[level], when, (long long)from->pid,
	    from->daemon, text);
	return n;
}
