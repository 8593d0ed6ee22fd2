/*
 * Socketpairs between a stack and one of the readers.  They are made here so
 * that those need no call that passes descriptors: sendmsg(2) takes an address
 * as well, and who was taken over could send past the policy with it.
 *
 * Nothing is kept: the flow is the stack's and the reader's.
 */

#include <sys/socket.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/plat/plat.h"
#include "portd/portd.h"

/* 0 or an error: both ends are on their way, or nothing was sent. */
static int
pair_give(struct daemon *d, struct ipc *from, const struct ipc_msg *m, int type)
{
	json_int_t id = (json_int_t)ipc_u64(m, "id");
	uint32_t vm = (uint32_t)ipc_u64(m, "vm");
	struct ipc *stack = daemon_peer(d, ROLE_STACK, vm);
	int sv[2];

	if (stack == NULL)
		return ECONNREFUSED;
	if (plat_socketpair(type, sv) == -1)
		return errno;
	if (ipc_send(stack, IPC_FLOW_FD, &sv[0], 1, "{s:I}", "id", id) == -1) {
		close(sv[1]);
		return ECONNREFUSED;
	}
	ipc_send(from, IPC_PAIR_FD, &sv[1], 1, "{s:I,s:I}", "id", id, "vm",
	    (json_int_t)vm);
	return 0;
}

void
pairs_open(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	const char *proto = ipc_str(m, "proto");
	int error;

	if (strcmp(proto, "tcp") != 0 && strcmp(proto, "dns") != 0) {
		daemon_bad_peer(d, from, "pair-open of an unknown kind");
		return;
	}
	error = pair_give(
	    d, from, m, strcmp(proto, "tcp") == 0 ? SOCK_STREAM : SOCK_DGRAM);
	if (error == 0) {
		stats_inc(&d->stats, PORTS_PAIRS);
		return;
	}
	stats_inc(&d->stats, PORTS_PAIRS_REFUSED);
	ipc_send(from, IPC_PAIR_REFUSED, NULL, 0, "{s:I,s:I,s:s}", "id",
	    (json_int_t)ipc_u64(m, "id"), "vm", (json_int_t)ipc_u64(m, "vm"),
	    "error", sock_error_name(error));
}
