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

/* The descriptor goes with the message. */
static void
proxyd_flow(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	stats_inc(&d->stats, PROXYS_REFUSED);
}

static int
proxyd_start(struct daemon *d)
{
	return 0;
}

static const struct ipc_handler handlers[] = {
	{ IPC_CONF_PROXY, proxyd_conf },
	{ IPC_PROXY_FLOW, proxyd_flow },
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
