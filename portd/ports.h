#ifndef PORTS_H
#define PORTS_H

/*
 * Which UDP ports of the host guests may have.  A guest's own port number is
 * kept (RFC 4787 REQ-3) only where the system would give that port to anybody:
 * in its range for ports that nobody asked for by number, less what its
 * administrator has reserved.  Any other one a program of the host may want
 * later, or be known by, and what comes to it is none of the guest's business.
 * How many they may have is limited, too, or the host's own programs would
 * find none left.  Pure.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ports {
	uint16_t lo, hi;		/* the range, both included */
	uint8_t reserved[65536 / 8];	/* a bit for each port */
	uint32_t max_all, max_vm, used; /* ports of guests */
};

/*
 * As Linux writes them: "32768\t60999" and "8080,9148-9200"; the second may be
 * empty.  What cannot be understood gives the range of RFC 6335, and -1.
 */
int ports_init(struct ports *, const char *range, const char *reserved);
bool ports_keep(const struct ports *, uint16_t port);

/* One more port for a VM that has *vm; false: that is too many. */
bool ports_take(struct ports *, uint32_t *vm);
void ports_give(struct ports *, uint32_t *vm);

#endif
