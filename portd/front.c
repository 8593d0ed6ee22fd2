/*
 * portd's front role: a process of its own that speaks with the clients of the
 * port control sockets and with the forwarder in the VM.  It opens nothing:
 * what it wants it asks of portd.
 */

#include "common/daemon.h"
#include "portd/portd.h"

static void
front_conf(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
}

static const struct ipc_handler handlers[] = {
	{ IPC_CONF_FRONT, front_conf },
};

static const struct daemon_spec front = {
	.role = ROLE_FRONT,
	.sandbox = SANDBOX_READER,
	.handler = handlers,
	.nhandler = sizeof(handlers) / sizeof(handlers[0]),
};

int
front_main(int argc, char *argv[])
{
	return daemon_main(&front, argc, argv);
}
