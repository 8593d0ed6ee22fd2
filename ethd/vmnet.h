#ifndef VMNET_H
#define VMNET_H

/*
 * The server's side of the vmnet handshake: a state machine that is fed bytes
 * in pieces of any size, and the three answers.  Pure.
 *
 *	client			server
 *	init, 49 bytes		init, 49 bytes; then closed unless version 22
 *	command, 41 bytes	vif, 258 bytes, then frames both ways;
 *				or disconnect, 258 bytes, then closed
 *
 * The machine never takes a byte that is not its own: what follows the command
 * is the first frame.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ipaddr.h"
#include "common/rd.h"

#include "lease.h"

#define VMNET_VERSION  22
#define VMNET_INITLEN  49
#define VMNET_CMDLEN   41
#define VMNET_REPLYLEN 258

enum vmnet_state {
	VMNETS_NONE,	/* no such edge */
	VMNETS_INIT,	/* the client's init is awaited */
	VMNETS_COMMAND, /* its command is */
	VMNETS_DECIDE,	/* our answer is */
	VMNETS_FRAMES,
	VMNETS_CLOSED,
	VMNETS__MAX
};

enum vmnet_event {
	VMNETE_MORE, /* bytes are missing; not an edge */
	VMNETE_INIT,
	VMNETE_BAD_VERSION, /* answer the init all the same, then close */
	VMNETE_COMMAND,
	VMNETE_BAD_COMMAND, /* close without an answer */
	VMNETE_BAD_UUID,    /* the same */
	VMNETE_GRANT,
	VMNETE_REFUSE,
	VMNETE__MAX
};

extern const char *const vmnet_state_name[VMNETS__MAX];

/* What the client asked for. */
struct vmnet_cmd {
	bool anonymous; /* no UUID: the server draws one */
	struct uuid uuid;
	bool has_ip;
	uint32_t ip; /* preferred, host order */
};

struct vmnet {
	enum vmnet_state state;
	uint8_t buf[VMNET_INITLEN]; /* of an unfinished message */
	size_t have;
	struct vmnet_cmd cmd; /* valid from VMNETE_COMMAND on */
};

void vmnet_init(struct vmnet *);
/* Bytes missing of the message that is awaited; 0 when none is. */
size_t vmnet_want(const struct vmnet *);
/* Takes what it needs, leaves the rest, and has taken the edge it returns. */
enum vmnet_event vmnet_input(struct vmnet *, struct rd *);
/* The server's decision: VMNETE_GRANT or VMNETE_REFUSE.  -1: not now. */
int vmnet_step(struct vmnet *, enum vmnet_event);

void vmnet_put_init(uint8_t out[VMNET_INITLEN]);
void vmnet_put_vif(
    uint8_t out[VMNET_REPLYLEN], uint16_t mtu, const struct macaddr *);
/* A longer text is cut at 255 bytes. */
void vmnet_put_disconnect(uint8_t out[VMNET_REPLYLEN], const char *text);

#endif
