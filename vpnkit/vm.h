#ifndef VM_H
#define VM_H

/*
 * Virtual machines as the supervisor sees them: a lease that ethd gave, and
 * the netstackd that serves it while the VM is there.
 */

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/daemon.h"
#include "common/ipaddr.h"

#include "child.h"
#include "conf.h"

/* Links a daemon may have, less the daemons there is one of. */
#define VM_MAX (DAEMON_MAXPEERS - 8)

#define UUID_STRLEN 37

/*
 * Descriptors of a stack.  It is portd that counts its sockets, but by what the
 * stack says: one that was taken over says that it has closed what it keeps.
 * So the kernel counts, too: --max-connections (negative: none) and so many
 * more, for its files, for DNS by TCP, and for what is ending.
 */
#define STACK_FDS_MORE 1024
#define STACK_FDS_MAX  (32768 + STACK_FDS_MORE)
unsigned vm_stack_fds(int64_t max_connections);

/* What ethd said about a VM, and is told again after its own restart. */
struct lease {
	uint32_t vm; /* from 1; the counter in the MAC address */
	char uuid[UUID_STRLEN];
	struct macaddr mac;
	struct ipaddr ip;
};

struct vms;

struct vm {
	struct vms *all; /* borrowed */
	struct lease lease;
	bool open;		/* ethd has it now */
	usec_t gone;		/* since when it counts as gone; 0: not yet */
	struct child *stack;	/* owned; NULL: none runs */
	struct ev_timer away;	/* until it counts as gone, ethd being new */
	struct ev_timer again;	/* until its stack or channel is tried again */
	unsigned failed;	/* tries in a row */
	int tap;		/* owned; -1: its frames come by ethd */
	bool tap_vnet;		/* each of them is behind a vnet header */
	usec_t tap_not_before;	/* when it may hand over another one */
	struct ipc *tap_client; /* owned; who handed it over; or NULL */
};

struct vms {
	struct children *kids;	  /* borrowed */
	const struct conf *conf;  /* borrowed */
	struct child *eth;	  /* borrowed */
	struct vm *v[VM_MAX + 1]; /* owned; by number; NULL: never seen */
};

void vms_init(
    struct vms *, struct children *, const struct conf *, struct child *eth);
void vms_fini(struct vms *);

/* Messages of ethd.  NULL, or what is wrong with it: ethd is to blame. */
const char *vm_open(struct vms *, const struct lease *);
const char *vm_close(struct vms *, uint32_t vm);

/*
 * That client has the TAP device of this VM.  NULL: both are owned from now
 * on, the client as long as it is not gone; or what is wrong, and only fd is.
 */
const char *vm_tap(struct vms *, const char *uuid, int fd, struct ipc *client);
void vm_tap_client_gone(struct vms *, const struct ipc *);
/* The stack cannot use it any more. */
void vm_tap_lost(struct vms *, const struct child *stack);
/* The stack, or ethd, needs a new packet channel. */
void vm_channel_again(struct vms *, const struct child *stack);

/* ethd was started again: its leases, and time for the VMs to come back. */
void vm_eth_started(struct vms *);
void vm_eth_gone(struct vms *);

/* A netstackd was started: what it must know. */
void vm_stack_started(struct vms *, struct child *, struct child *portd);
/* portd was: the addresses of all VMs with a stack. */
void vm_portd_started(struct vms *, struct child *portd);
/* It has ended for good. */
void vm_stack_down(struct vms *, struct child *);
struct child *vm_stack(const struct vms *, uint32_t vm);

/* The DHCP settings are new. */
void vm_conf_changed(struct vms *);

#endif
