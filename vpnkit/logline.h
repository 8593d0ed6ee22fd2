#ifndef LOGLINE_H
#define LOGLINE_H

/*
 * Lines of the daemons' logs, taken apart again, and records for journald and
 * syslog put together.  Who wrote a line may be in an attacker's hands: what
 * is no line of a log is text, and all text is without control characters
 * here.  Pure.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/log.h"

#define LOGLINE_MAX    4096
#define LOGLINE_RECORD 8192 /* of a record of any kind */

/* Who says something: what the supervisor knows of it. */
struct logfrom {
	const char *daemon, *role;  /* "netstackd-1", "netstackd" */
	uint32_t vm;		    /* 0: it has none */
	const char *uuid, *address; /* of the VM; "" */
	int64_t pid;
};

/*
 * One line without its end: its level and, in text of LOGLINE_MAX bytes, what
 * it says.  A line without our head is a warning: it is of a library, or of a
 * program's last moment.
 */
enum log_level logline_parse(const char *line, size_t len, char *text);

/* Of systemd-journald's own protocol; the length. */
size_t logline_journal(const struct logfrom *, enum log_level, const char *text,
    char out[LOGLINE_RECORD]);
/* Of RFC 3164, as /dev/log takes it; when: "Jan  2 03:04:05". */
size_t logline_syslog(const struct logfrom *, enum log_level, const char *when,
    const char *text, char out[LOGLINE_RECORD]);

#endif
