/*
 * proxyd: HTTP for the guests.  Nothing is proxied yet: it is started, wired
 * and sandboxed like the others, and refuses every flow.
 */

#include "common/daemon.h"
#include "common/log.h"

enum proxyd_stat { PROXYS_REFUSED, PROXYS__MAX };

static const char *const stat_name[PROXYS__MAX] = {
	[PROXYS_REFUSED] = "flows-refused",
};

static void
proxyd_conf(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	log_debug("configured");
}

static void
proxyd_flow_open(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	stats_inc(&d->stats, PROXYS_REFUSED);
	ipc_send(from, IPC_FLOW_REFUSED, NULL, 0, "{s:I,s:s}", "id",
	    (json_int_t)ipc_u64(m, "id"), "error", "ECONNREFUSED");
}

/* Every flow was refused: there is nothing to close. */
static void
proxyd_flow_close(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
}

static int
proxyd_start(struct daemon *d)
{
	return 0;
}

static const struct ipc_handler handlers[] = {
	{ IPC_CONF_PROXY, proxyd_conf },
	{ IPC_FLOW_OPEN, proxyd_flow_open },
	{ IPC_FLOW_CLOSE, proxyd_flow_close },
};

static const struct daemon_spec proxyd = {
	.role = ROLE_PROXY,
	.sandbox = SANDBOX_READER,
	.handler = handlers,
	.nhandler = sizeof(handlers) / sizeof(handlers[0]),
	.stats_name = stat_name,
	.nstats = PROXYS__MAX,
	.start = proxyd_start,
};

int
main(int argc, char *argv[])
{
	return daemon_main(&proxyd, argc, argv);
}
