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

enum log_level { LOG_LVL_ERROR, LOG_LVL_WARN, LOG_LVL_INFO, LOG_LVL_DEBUG,
	LOG_LVL__MAX };

/* name is borrowed for good: a string constant or argv[0]'s last component. */
void log_init(const char *name);
void log_set_level(enum log_level);
enum log_level log_get_level(void);

#define LOG_PRINTF(a, b) __attribute__((__format__(printf, a, b)))

void log_debug(const char *, ...) LOG_PRINTF(1, 2);
void log_info(const char *, ...) LOG_PRINTF(1, 2);
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
