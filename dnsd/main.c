/*
 * dnsd: names for the guests.  See dnsd.h.
 */

#include <stdlib.h>
#include <string.h>

#include "common/plat/plat.h"
#include "dnsd/dnsd.h"

static const char *const stat_name[DNSS__MAX] = {
	[DNSS_UDP] = "udp-queries",
	[DNSS_TCP] = "tcp-queries",
	[DNSS_LOCAL] = "answered-here",
	[DNSS_RELAYED] = "answers-relayed",
	[DNSS_RETRIES] = "retries",
	[DNSS_SERVFAIL] = "no-answer",
	[DNSS_NO_SERVER] = "no-server",
	[DNSS_MALFORMED] = "dropped-malformed",
	[DNSS_LATE] = "dropped-wrong-answer",
	[DNSS_LIMIT_VM] = "dropped-vm-limit",
	[DNSS_LIMIT_ALL] = "dropped-limit",
	[DNSS_CLIENT_FULL] = "dropped-guest-full",
	[DNSS_CONN_LIMIT] = "refused-connections",
	[DNSS_INFLIGHT] = "in-flight",
	[DNSS_POOL_EMPTY] = "waited-for-socket",
	[DNSS_SOCK_REFUSED] = "sockets-refused",
	[DNSS_BAD_CONF] = "bad-configuration",
};

/*
 * Half of the descriptors is for queries, with all their attempts.  A socket
 * that finds no room here would be lost on the bus, and portd blamed for it.
 */
#define FDS_PER_LOOKUP (2 * (DNSD_MAXATTEMPTS + 1))
#define NOFILE_UNKNOWN 1024

static void
conf_names(struct dnsd *d, const struct ipc_msg *m, const char *names,
    const char *address)
{
	struct ipaddr a = ipc_addr(m, address);
	uint32_t ip = ipaddr_to_u32(&a);
	size_t i;

	if (ip == 0) /* not enabled */
		return;
	for (i = 0; i < ipc_nstr(m, names); i++)
		if (names_add(&d->names, ipc_strat(m, names, i), ip) == -1)
			stats_inc(&d->d->stats, DNSS_BAD_CONF);
}

static void
dnsd_conf(struct daemon *dm, struct ipc *from, struct ipc_msg *m)
{
	struct dnsd *d = dm->data;
	struct server_addr sa[DNSD_MAXSERVERS];
	size_t i, n = 0;

	d->names.n = 0;
	conf_names(d, m, "gateway-names", "gateway-ip");
	conf_names(d, m, "host-names", "host-ip");
	conf_names(d, m, "vm-names", "lowest-ip");
	for (i = 0; i < ipc_nstr(m, "servers") && n < nitems(sa); i++) {
		if (server_parse(ipc_strat(m, "servers", i), &sa[n].addr,
			&sa[n].port) == 0)
			n++;
		else
			stats_inc(&dm->stats, DNSS_BAD_CONF);
	}
	if (upstream_same(d, sa, n))
		return;
	lookups_cancel(d);
	if (upstream_set(d, sa, n) == -1)
		log_warn("configuration");
	lookups_restart(d);
	log_info("%zu names of our own, %zu servers", d->names.n, d->nserver);
}

static void
dnsd_resolve(struct daemon *dm, struct ipc *from, struct ipc_msg *m)
{
	struct dnsd *d = dm->data;

	resolve_ask(d->resolve, from, m);
}

static void
dnsd_peer(struct daemon *dm, struct ipc *link)
{
	if (ipc_peer(link) == ROLE_PORT) {
		upstream_portd(dm->data);
		client_portd(dm->data);
	} else
		ipc_hold(link); /* a stack, which only asks */
}

static void
dnsd_peer_gone(struct daemon *dm, struct ipc *link)
{
	struct dnsd *d = dm->data;

	if (ipc_peer(link) == ROLE_STACK)
		client_peer_gone(d, link);
	else if (ipc_peer(link) == ROLE_PROXY)
		resolve_peer_gone(d->resolve, link);
}

static int
dnsd_start(struct daemon *dm)
{
	struct dnsd *d;
	int nofile;

	if ((d = calloc(1, sizeof(*d))) == NULL) {
		log_warn("start");
		return -1;
	}
	d->d = dm;
	stats_set(&dm->stats, DNSS_INFLIGHT, 0); /* an earlier process's */
	if ((nofile = plat_nofile()) <= 0)
		nofile = NOFILE_UNKNOWN;
	d->maxlookup = (size_t)nofile / FDS_PER_LOOKUP;
	if (d->maxlookup > DNSD_MAXLOOKUPS)
		d->maxlookup = DNSD_MAXLOOKUPS;
	d->maxidle = (size_t)nofile / 4;
	LIST_INIT(&d->guests);
	if ((d->resolve = resolve_new(d)) == NULL) {
		free(d);
		return -1;
	}
	client_init(d);
	dm->data = d;
	return 0;
}

static void
dnsd_stop(struct daemon *dm)
{
	struct dnsd *d = dm->data;

	resolve_free(d->resolve);
	client_fini(d);
	upstream_fini(d);
	free(d);
	dm->data = NULL;
}

static const struct ipc_handler handlers[] = {
	{ IPC_CONF_DNS, dnsd_conf },
	{ IPC_FLOW_OPEN, client_flow_open },
	{ IPC_FLOW_CLOSE, client_flow_close },
	{ IPC_PAIR_FD, client_pair_fd },
	{ IPC_PAIR_REFUSED, client_pair_refused },
	{ IPC_SOCK_FD, upstream_sock_fd },
	{ IPC_SOCK_REFUSED, upstream_sock_refused },
	{ IPC_RESOLVE, dnsd_resolve },
};

static const struct daemon_spec dnsd = {
	.role = ROLE_DNS,
	.sandbox = SANDBOX_STACK, /* sockets come from portd */
	.spins = true,
	.handler = handlers,
	.nhandler = nitems(handlers),
	.stats_name = stat_name,
	.nstats = DNSS__MAX,
	.start = dnsd_start,
	.stop = dnsd_stop,
	.peer = dnsd_peer,
	.peer_gone = dnsd_peer_gone,
};

int
main(int argc, char *argv[])
{
	return daemon_main(&dnsd, argc, argv);
}
