#ifndef HOSTSOCK_H
#define HOSTSOCK_H

/*
 * Sockets that portd has no right to make: at a path, on a low port, to a path
 * or a hypervisor's address.  Descriptors, or -1 with errno.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/ipaddr.h"

/*
 * A stream socket bound at the path, whose folders are made where they are
 * missing.  A socket that nobody serves is replaced, anything else stays.
 */
int hostsock_path(const char *path, dev_t *dev, ino_t *ino);
/*
 * share: beside others of the same port, which this made and portd has.  scope:
 * the link of a link-local address.
 */
int hostsock_bind(
    bool tcp, bool share, const struct ipaddr *, uint16_t port, uint32_t scope);
int hostsock_connect(const char *path);

#endif
