#ifndef USEC_H
#define USEC_H

/*
 * Time below the shells: microseconds of the monotonic clock, always a
 * parameter, never read where it is used.  USEC_NEVER is later than any time.
 */

#include <stdint.h>

typedef int64_t usec_t;

#define USEC_NEVER INT64_MAX
#define USEC_MS	   ((usec_t)1000)
#define USEC_SEC   ((usec_t)1000000)

#endif
