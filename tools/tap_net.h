#ifndef TAP_NET_H
#define TAP_NET_H

/*
 * The guest's side: namespaces, the TAP, its address, resolv.conf.  Runs in
 * the child that becomes the command, so whatever fails ends the process with
 * one line and TAP_EXIT.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/ipaddr.h"

#include "tools/tap_dhcp.h"

#define TAP_EXIT 125 /* our own failure, as env(1) and its like have it */

struct tap_conf {
	const char *netns; /* path or PID to join; NULL: a new one */
	struct macaddr mac;
	uint16_t mtu;
	bool vnet; /* frames have headers (common/vnet.h) */
	const struct dhcp_lease *lease; /* borrowed */
};

/* Enters the namespaces this process is to have. */
void tap_enter(const struct tap_conf *);
/* Makes the TAP and gives it its address; its non-blocking descriptor. */
int tap_open(const struct tap_conf *);
/* What the command sees of it: /sys and /etc/resolv.conf. */
void tap_mounts(const struct dhcp_lease *);

#endif
