#ifndef LOG_H
#define LOG_H

/*
 * One line an event, to stderr:
 *   [2026-01-02T03:04:05.123456789Z][vpnkit][info] ethd: text
 * The x forms leave errno's text out.  Bytes that are not printable ASCII are
 * escaped, whoever they came from.  Never blocks the caller for long: what
 * stderr does not take at once is dropped and counted.
 */

#include <stdbool.h>

#include "common/usec.h"

enum log_level {
	LOG_LVL_ERROR,
	LOG_LVL_WARN,
	LOG_LVL_INFO,
	LOG_LVL_DEBUG,
	LOG_LVL__MAX
};

/* name is borrowed for good: a string constant or argv[0]'s last component. */
void log_init(const char *name);
void log_set_level(enum log_level);
enum log_level log_get_level(void);

/*
 * Of one kind, which is one place in the program, so many lines are written in
 * a period (logkind.h) and the others counted; debugging is not limited.  The
 * hook is called when there is a first one to be counted: log_flush() a period
 * later says how many.  It returns whether it shall be called again.
 */
void log_on_owing(void (*)(void *), void *);
bool log_flush(void);

/*
 * Where lines go instead of stderr: escaped texts, without the head.  -1: it
 * cannot take it now, so that stderr gets it.
 */
typedef int log_sink(void *arg, enum log_level, const char *text);
/* A line of somebody else's, escaped already, to our stderr. */
void log_as(const char *name, enum log_level, const char *text);
void log_set_sink(log_sink *, void *arg);

#define LOG_PRINTF(a, b) __attribute__((__format__(printf, a, b)))

void log_debug(const char *, ...) LOG_PRINTF(1, 2);
void log_info(const char *, ...) LOG_PRINTF(1, 2);
/* As info, and never left out: what was asked for. */
void log_report(const char *, ...) LOG_PRINTF(1, 2);
void log_warn(const char *, ...) LOG_PRINTF(1, 2);
void log_warnx(const char *, ...) LOG_PRINTF(1, 2);

/* Only before the loop starts, or when our own supervisor is gone. */
void fatal(const char *, ...) LOG_PRINTF(1, 2) __attribute__((__noreturn__));
void fatalx(const char *, ...) LOG_PRINTF(1, 2) __attribute__((__noreturn__));

/*
 * At most one line per period for one kind of event; what was left out in
 * between is counted and said with the next line.  One static struct at each
 * place that logs what an outsider can cause.
 */
struct log_rate {
	usec_t next;	 /* no line before this time */
	unsigned missed; /* lines left out since the last one */
};

#define LOG_RATE_PERIOD (30 * USEC_SEC)

/* Whether to log now; *missed gets the lines left out. */
bool log_rate_ok(struct log_rate *, usec_t now, unsigned *missed);

#endif
