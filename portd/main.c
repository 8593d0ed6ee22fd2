/*
 * portd: opens sockets for the others.  See portd.h.
 */

#include <sys/mman.h>
#include <bsd/stdlib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/plat/plat.h"
#include "common/servtab.h"
#include "portd/forward.h"

const char *const portd_stat_name[PORTS__MAX] = {
	[PORTS_TCP] = "tcp-opened",
	[PORTS_UDP_BIND] = "udp-bind-opened",
	[PORTS_UDP] = "udp-opened",
	[PORTS_FLOWS] = "flows",
	[PORTS_POLICY] = "refused-policy",
	[PORTS_LIMIT_ALL] = "refused-max-connections",
	[PORTS_LIMIT_VM] = "refused-vm-limit",
	[PORTS_LIMIT_DST] = "refused-destination-limit",
	[PORTS_LIMIT_PORTS] = "refused-udp-ports",
	[PORTS_FAILED] = "refused-system",
	[PORTS_PORT_BUSY] = "udp-port-changed",
	[PORTS_WAITED] = "waited-for-descriptor",
	[PORTS_WAIT_FULL] = "refused-wait-full",
	[PORTS_SOCKS] = "sockets-given",
	[PORTS_SOCKS_REFUSED] = "sockets-refused",
	[PORTS_PAIRS] = "pairs-given",
	[PORTS_PAIRS_REFUSED] = "pairs-refused",
	[PORTS_HTTP] = "http-opened",
	[PORTS_HTTP_NONE] = "refused-no-proxyd",
	[PORTS_FETCH] = "http-sockets-given",
	[PORTS_FETCH_REFUSED] = "http-sockets-refused",
	[PORTS_ICMP] = "icmp-opened",
	[PORTS_ICMP_RAW] = "icmp-raw-opened",
	[PORTS_ICMP_REFUSED] = "refused-icmp",
	[PORTS_BAD_SERVER] = "bad-servers",
	[PORTS_FORWARDS] = "forwards",
	[PORTS_FORWARD_ADDED] = "forwards-added",
	[PORTS_FORWARD_FAILED] = "forwards-failed",
	[PORTS_CLIENTS] = "clients",
	[PORTS_CLIENTS_OFFERED] = "clients-offered",
	[PORTS_CLIENTS_REFUSED] = "clients-refused",
	[PORTS_CLIENT_BUSY] = "clients-stack-busy",
	[PORTS_ACCEPT_WAITED] = "accept-waited",
	[PORTS_EARLY_LOST] = "early-datagrams-lost",
	[PORTS_VIA] = "flows-via-socket",
	[PORTS_VIA_REFUSED] = "flows-via-socket-refused",
};

/* dnsd may connect to these, and to no other any more. */
static void
show_servers(const struct portd *p)
{
	struct sockaddr_storage ss[POLICY_MAXSERVERS];
	const struct policy_server *s;
	size_t i;

	for (i = 0; i < p->policy.nserver; i++) {
		s = &p->policy.server[i];
		sock_addr(&ss[i], &s->addr, s->port);
	}
	if (p->servers != NULL)
		servtab_put(p->servers, ss, i);
}

static void
portd_conf(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct portd *p = d->data;
	struct ipaddr gateway = ipc_addr(m, "gateway-ip");
	struct ipaddr host = ipc_addr(m, "host-ip");
	struct ipaddr lowest = ipc_addr(m, "lowest-ip");
	struct ipaddr highest = ipc_addr(m, "highest-ip");
	struct policy_conf c = {
		.gateway_ip = ipaddr_to_u32(&gateway),
		.host_ip = ipaddr_to_u32(&host),
		.lowest_ip = ipaddr_to_u32(&lowest),
		.highest_ip = ipaddr_to_u32(&highest),
	};
	size_t i;

	p->gateway_ip = c.gateway_ip;
	policy_set(&p->policy, &c);
	policy_clear_proxies(&p->policy);
	for (i = 0; i < ipc_nstr(m, "proxies"); i++) {
		if (policy_add_proxy(&p->policy, ipc_strat(m, "proxies", i)) ==
		    -1)
			stats_inc(&d->stats, PORTS_BAD_SERVER);
	}
	policy_clear_servers(&p->policy);
	for (i = 0; i < ipc_nstr(m, "servers"); i++) {
		if (policy_add_server(&p->policy, ipc_strat(m, "servers", i)) ==
		    -1)
			stats_inc(&d->stats, PORTS_BAD_SERVER);
	}
	show_servers(p);
	limits_set_max(&p->limits, (int64_t)ipc_u64(m, "max-connections"));
	policy_clear_binds(&p->policy);
	for (i = 0; i < ipc_nstr(m, "allowed-bind"); i++)
		(void)policy_add_bind(
		    &p->policy, ipc_strat(m, "allowed-bind", i));
	p->backlog = (int)ipc_u64(m, "backlog");
	p->preserve = ipc_bool(m, "preserve-source");
	forward_recheck(p);
}

/* Before the conf-port that it belongs to. */
static void
portd_closed(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct portd *p = d->data;
	size_t i;

	policy_clear_closed(&p->policy);
	for (i = 0; i < ipc_nstr(m, "addresses"); i++) {
		if (policy_add_closed(
			&p->policy, ipc_strat(m, "addresses", i)) == -1)
			stats_inc(&d->stats, PORTS_BAD_SERVER);
	}
}

static void
portd_peer_gone(struct daemon *d, struct ipc *link)
{
	struct portd *p = d->data;

	forward_owner_gone(p, link);
	client_peer_gone(p, link);
	host_forget(p, link);
	pairs_forget(p, link);
	if (ipc_peer(link) == ROLE_FRONT)
		opener_front_gone(p);
	vm_free(p, vm_find(p, link));
}

static void
portd_peer(struct daemon *d, struct ipc *link)
{
	struct portd *p = d->data;

	/* We only answer: unread answers are descriptors of ours. */
	ipc_hold(link);
	if (ipc_peer(link) != ROLE_STACK)
		return;
	if (vm_new(p, link) == NULL)
		log_warn("stack of VM %u", ipc_vm(link));
	pairs_stack(p, link);
}

/* Without it dnsd asks for sockets each time. */
static void
take_servers(struct portd *p)
{
	void *at = mmap(NULL, sizeof(*p->servers), PROT_READ | PROT_WRITE,
	    MAP_SHARED, DAEMON_SERVERS_FD, 0);

	if (at == MAP_FAILED)
		return;
	p->servers = at;
	close(DAEMON_SERVERS_FD);
}

static int
portd_start(struct daemon *d)
{
	char range[PLAT_PORTSLEN], reserved[PLAT_PORTSLEN];
	struct portd *p;
	uint64_t random;

	if ((p = calloc(1, sizeof(*p))) == NULL) {
		log_warn("start");
		return -1;
	}
	p->d = d;
	arc4random_buf(&random, sizeof(random));
	limits_init(&p->limits, plat_nofile(), random);
	plat_udp_ports(range, reserved);
	if (ports_init(&p->ports, range, reserved) == -1)
		log_debug("the system's range of ports: \"%s\"", range);
	/* The file outlives the process; what is counted down starts anew. */
	stats_set(&d->stats, PORTS_FLOWS, 0);
	LIST_INIT(&p->vms);
	take_servers(p);
	opener_init(p);
	ahead_init(p);
	pairs_init(p);
	forward_init(p);
	d->data = p;
	return 0;
}

static void
portd_stop(struct daemon *d)
{
	struct portd *p = d->data;

	while (!LIST_EMPTY(&p->vms))
		vm_free(p, LIST_FIRST(&p->vms));
	forward_fini(p);
	pairs_forget(p, NULL);
	opener_fini(p);
	ahead_fini(p);
	routes_fini(p);
	if (p->servers != NULL)
		munmap(p->servers, sizeof(*p->servers));
	free(p);
	d->data = NULL;
}

static const struct ipc_handler handlers[] = {
	{ IPC_CONF_CLOSED, portd_closed },
	{ IPC_CONF_PORT, portd_conf },
	{ IPC_FLOW_OPEN, opener_flow_open },
	{ IPC_FLOW_CLOSE, opener_flow_close },
	{ IPC_SOCK_OPEN, socks_open },
	{ IPC_PAIR_OPEN, pairs_open },
	{ IPC_FETCH_OPEN, http_fetch },
	{ IPC_RAW_FD, icmp_raw_fd },
	{ IPC_FORWARD_ADD, forward_add },
	{ IPC_FORWARD_REMOVE, forward_remove },
	{ IPC_OFFER_DONE, client_done },
	{ IPC_TUNNEL_CLOSE, client_done },
	{ IPC_TUNNEL_OPEN, host_tunnel_open },
	{ IPC_VIA_ANSWER, opener_via_answer },
	{ IPC_HOST_FD, host_fd },
	{ IPC_HOST_FAILED, host_failed },
	{ IPC_GATEWAY_FORWARDS, routes_gateway_begin },
	{ IPC_GATEWAY_FORWARD, routes_gateway },
	{ IPC_VIA_FORWARDS, routes_via_begin },
	{ IPC_VIA_FORWARD, routes_via },
	{ IPC_VM_IP, routes_vm_ip },
};

static const struct daemon_spec portd = {
	.role = ROLE_PORT,
	.sandbox = SANDBOX_OPENER,
	.crowds = true,
	.handler = handlers,
	.nhandler = sizeof(handlers) / sizeof(handlers[0]),
	.stats_name = portd_stat_name,
	.nstats = PORTS__MAX,
	.start = portd_start,
	.stop = portd_stop,
	.peer = portd_peer,
	.peer_gone = portd_peer_gone,
};

int
main(int argc, char *argv[])
{
	if (argc > 1 && strcmp(argv[1], "front") == 0)
		return front_main(argc, argv);
	return daemon_main(&portd, argc, argv);
}
