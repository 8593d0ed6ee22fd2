/*
 * dnsd: names for the guests.  See dnsd.h.
 */

#include <bsd/stdlib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/plat/plat.h"
#include "dnsd/dnsd.h"

static const char *const stat_name[DNSS__MAX] = {
	[DNSS_UDP] = "udp-queries",
	[DNSS_TCP] = "tcp-queries",
	[DNSS_LOCAL] = "answered-here",
	[DNSS_HITS] = "cache-hits",
	[DNSS_STALE] = "cache-stale",
	[DNSS_RELAYED] = "answers-relayed",
	[DNSS_MERGED] = "questions-merged",
	[DNSS_RETRIES] = "retries",
	[DNSS_CUT] = "asked-by-tcp",
	[DNSS_TRUNCATED] = "answers-cut",
	[DNSS_SERVFAIL] = "no-answer",
	[DNSS_NO_SERVER] = "no-server",
	[DNSS_OFFLINE] = "servers-offline",
	[DNSS_NO_CASE] = "servers-without-case",
	[DNSS_MALFORMED] = "dropped-malformed",
	[DNSS_LATE] = "dropped-wrong-answer",
	[DNSS_LIMIT_VM] = "dropped-vm-limit",
	[DNSS_LIMIT_RATE] = "dropped-vm-rate",
	[DNSS_LIMIT_ALL] = "dropped-limit",
	[DNSS_CLIENT_FULL] = "dropped-guest-full",
	[DNSS_CONN_LIMIT] = "refused-connections",
	[DNSS_INFLIGHT] = "in-flight",
	[DNSS_CACHED] = "cache-entries",
	[DNSS_POOL_EMPTY] = "waited-for-socket",
	[DNSS_SOCK_REFUSED] = "sockets-refused",
	[DNSS_BAD_CONF] = "bad-configuration",
};

/*
 * Half of the descriptors is for queries, with all their attempts.  A socket
 * that finds no room here would be lost on the bus, and portd blamed for it.
 */
#define NOFILE_UNKNOWN 1024

static void
conf_names(struct dnsd *d, const struct ipc_msg *m, const char *names,
    const char *address)
{
	struct ipaddr a = ipc_addr(m, address);
	size_t i;

	if (ipaddr_to_u32(&a) == 0) /* not enabled */
		return;
	for (i = 0; i < ipc_nstr(m, names); i++)
		if (names_add(d->names, ipc_strat(m, names, i), &a) == -1)
			stats_inc(&d->d->stats, DNSS_BAD_CONF);
}

/* A server of the configuration that is under way. */
static void
dnsd_server(struct daemon *dm, struct ipc *from, struct ipc_msg *m)
{
	struct dnsd *d = dm->data;
	struct route_server *s = &d->next_route.server[d->next_route.n];
	size_t i, n = ipc_nstr(m, "zones");

	if (d->next_route.n == ROUTE_MAXSERVERS) {
		stats_inc(&dm->stats, DNSS_BAD_CONF);
		return;
	}
	*s = (struct route_server){ .addr = ipc_addr(m, "addr"),
		.port = (uint16_t)ipc_u64(m, "port"),
		.order = (uint32_t)ipc_u64(m, "order"),
		.timeout_ms = (uint32_t)ipc_u64(m, "timeout-ms") };
	if (n > 0 && (s->zone = calloc(n, sizeof(*s->zone))) == NULL)
		return;
	for (i = 0; i < n; i++) {
		if (name_parse(ipc_strat(m, "zones", i), &s->zone[s->nzone]) ==
		    0)
			s->nzone++;
		else
			stats_inc(&dm->stats, DNSS_BAD_CONF);
	}
	d->next_route.n++;
}

/* "ADDRESS NAME" */
static int
add_host(struct names *ns, const char *text)
{
	const char *blank = strchr(text, ' ');
	char addr[IPADDR_STRLEN];
	struct ipaddr a;
	size_t len;

	if (blank == NULL || (len = (size_t)(blank - text)) >= sizeof(addr))
		return -1;
	memcpy(addr, text, len);
	addr[len] = '\0';
	if (ipaddr_parse(addr, &a) == -1)
		return -1;
	return names_add(ns, blank + 1, &a);
}

static void
dnsd_hosts(struct daemon *dm, struct ipc *from, struct ipc_msg *m)
{
	struct dnsd *d = dm->data;
	size_t i;

	if (d->next_hosts == NULL &&
	    (d->next_hosts = names_new(d->key)) == NULL)
		return;
	for (i = 0; i < ipc_nstr(m, "names"); i++)
		if (add_host(d->next_hosts, ipc_strat(m, "names", i)) == -1)
			stats_inc(&dm->stats, DNSS_BAD_CONF);
}

static void
servers_replace(struct dnsd *d, bool in_turn)
{
	upstream_fini(d);
	route_clear(&d->route);
	d->route = d->next_route;
	d->next_route.n = 0;
	d->in_turn = in_turn;
	if (upstream_set(d) == -1) {
		log_warn("configuration");
		route_clear(&d->route);
	}
}

/*
 * Other servers may know other things of every name, and so may the same ones
 * on another network: what they were asked before is asked anew, or an answer
 * from there would be kept here.
 */
static void
take_route(struct dnsd *d, bool in_turn, uint32_t network)
{
	bool same =
	    route_equal(&d->route, &d->next_route) && d->in_turn == in_turn;

	if (same && network == d->network) {
		route_clear(&d->next_route);
		return;
	}
	d->network = network;
	cache_flush(d->cache);
	stats_set(&d->d->stats, DNSS_CACHED, 0);
	lookups_cancel(d);
	if (same) {
		route_clear(&d->next_route);
		upstream_renew(d);
	} else
		servers_replace(d, in_turn);
	lookups_restart(d);
}

/* The last message of a configuration: everything is replaced at once. */
static void
dnsd_conf(struct daemon *dm, struct ipc *from, struct ipc_msg *m)
{
	struct dnsd *d = dm->data;
	struct names *names = names_new(d->key);

	if (names == NULL || (d->next_hosts == NULL &&
				 (d->next_hosts = names_new(d->key)) == NULL)) {
		log_warn("configuration");
		names_free(names);
		return;
	}
	names_free(d->names);
	names_free(d->hosts);
	d->names = names;
	d->hosts = d->next_hosts;
	d->next_hosts = NULL;
	conf_names(d, m, "gateway-names", "gateway-ip");
	conf_names(d, m, "host-names", "host-ip");
	conf_names(d, m, "vm-names", "lowest-ip");
	d->offline_after = (unsigned)ipc_u64(m, "offline-after");
	take_route(d, ipc_bool(m, "in-turn"), (uint32_t)ipc_u64(m, "network"));
	log_info("%zu names of our own, %zu of the hosts file, %zu servers",
	    names_count(d->names), names_count(d->hosts), d->route.n);
	if (d->route.n == 0)
		log_warnx("no name server: only these names are answered");
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

static void
dnsd_stop(struct daemon *dm)
{
	struct dnsd *d = dm->data;

	resolve_free(d->resolve);
	client_fini(d);
	lookups_cancel(d);
	lookups_fini(d);
	upstream_fini(d);
	route_clear(&d->route);
	route_clear(&d->next_route);
	names_free(d->names);
	names_free(d->hosts);
	names_free(d->next_hosts);
	cache_free(d->cache);
	records_fini(d);
	free(d);
	dm->data = NULL;
}

static void
limits_init(struct dnsd *d)
{
	int nofile = plat_nofile();

	if (nofile <= 0)
		nofile = NOFILE_UNKNOWN;
	d->maxsock = (size_t)nofile / 2;
	d->maxidle = (size_t)nofile / 4;
	d->maxlookup = d->maxsock / 4;
	if (d->maxlookup > DNSD_MAXLOOKUPS)
		d->maxlookup = DNSD_MAXLOOKUPS;
}

/*
 * With it comes the right to connect to what is in there.  That nothing is laid
 * over it is seen to by addresses that only 64 bits have.
 */
static void
take_servers(struct dnsd *d)
{
	if (sizeof(uintptr_t) < sizeof(uint64_t))
		return;
	d->servers =
	    plat_map_at(DAEMON_SERVERS_FD, sizeof(*d->servers), SERVTAB_AT);
	if (d->servers == NULL)
		return;
	close(DAEMON_SERVERS_FD);
	d->d->sandbox = SANDBOX_RESOLVER;
}

static int
dnsd_start(struct daemon *dm)
{
	struct dnsd *d;

	if ((d = calloc(1, sizeof(*d))) == NULL) {
		log_warn("start");
		return -1;
	}
	d->d = dm;
	dm->data = d;
	LIST_INIT(&d->guests);
	take_servers(d);
	lookups_init(d);
	limits_init(d);
	arc4random_buf(&d->key, sizeof(d->key));
	d->names = names_new(d->key);
	d->hosts = names_new(d->key);
	d->cache = cache_new(DNSD_CACHE_N, DNSD_CACHE_BYTES, d->key);
	d->resolve = resolve_new(d);
	client_init(d);
	if (d->names == NULL || d->hosts == NULL || d->cache == NULL ||
	    d->resolve == NULL) {
		log_warn("start");
		dnsd_stop(dm);
		return -1;
	}
	/* The file outlives the process; what is counted down starts anew. */
	stats_set(&dm->stats, DNSS_INFLIGHT, 0);
	stats_set(&dm->stats, DNSS_CACHED, 0);
	return 0;
}

static const struct ipc_handler handlers[] = {
	{ IPC_DNS_SERVER, dnsd_server },
	{ IPC_DNS_HOSTS, dnsd_hosts },
	{ IPC_CONF_DNS, dnsd_conf },
	{ IPC_FLOW_OPEN, client_flow_open },
	{ IPC_FLOW_CLOSE, client_flow_close },
	{ IPC_PAIR_FD, client_pair_fd },
	{ IPC_PAIR_REFUSED, client_pair_refused },
	{ IPC_SOCK_FD, upstream_sock_fd },
	{ IPC_SOCK_SET, upstream_sock_set },
	{ IPC_SOCK_REFUSED, upstream_sock_refused },
	{ IPC_RESOLVE, dnsd_resolve },
	{ IPC_RECORDS, records_take },
};

static const struct daemon_spec dnsd = {
	.role = ROLE_DNS,
	.sandbox = SANDBOX_STACK, /* or more: take_servers() */
	.crowds = true,
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
