/*
 * proxyd: HTTP for the guests.  See proxyd.h.
 */

#include <bsd/stdlib.h>
#include <bsd/string.h>
#include <stdlib.h>
#include <string.h>

#include "common/plat/plat.h"
#include "proxyd/proxyd.h"

#define NOFILE_UNKNOWN 1024
#define FDRESERVE      64

const char *const proxyd_stat_name[PROXYS__MAX] = {
	[PROXYS_CONNS] = "connections",
	[PROXYS_CONNS_ALL] = "connections-accepted",
	[PROXYS_REQUESTS] = "requests",
	[PROXYS_VIA] = "through-proxy",
	[PROXYS_DIRECT] = "direct",
	[PROXYS_TUNNELS] = "tunnels",
	[PROXYS_UPSTREAMS] = "upstream-connections",
	[PROXYS_REUSED] = "upstream-reused",
	[PROXYS_RETRIED] = "upstream-retried",
	[PROXYS_BAD_REQUEST] = "refused-request",
	[PROXYS_BAD_BODY] = "refused-body",
	[PROXYS_BAD_RESPONSE] = "refused-response",
	[PROXYS_BAD_HELLO] = "refused-hello",
	[PROXYS_FORBIDDEN] = "refused-policy",
	[PROXYS_LOOKUP_FAILED] = "lookup-failed",
	[PROXYS_CONNECT_FAILED] = "connect-failed",
	[PROXYS_CONNECT_REFUSED] = "proxy-refused-connect",
	[PROXYS_LIMIT_VM] = "refused-vm-limit",
	[PROXYS_LIMIT_ALL] = "refused-limit",
	[PROXYS_LIMIT_HEAD] = "refused-head-too-long",
	[PROXYS_LIMIT_FIELDS] = "refused-too-many-fields",
	[PROXYS_LIMIT_IDLE] = "idle-upstream-limit",
	[PROXYS_TIMEOUT_HEAD] = "timeout-head",
	[PROXYS_TIMEOUT_IDLE] = "timeout-idle",
	[PROXYS_TIMEOUT_CONNECT] = "timeout-connect",
};

/*
 * Configuration.
 */

struct pconf *
pconf_ref(struct pconf *c)
{
	c->refs++;
	return c;
}

void
pconf_unref(struct pconf *c)
{
	if (c == NULL || --c->refs > 0)
		return;
	match_clear(&c->exclude);
	match_clear(&c->allow);
	explicit_bzero(c, sizeof(*c));
	free(c);
}

static void
conf_proxy(struct pconf *c, int which, const char *host, uint64_t port,
    const char *auth)
{
	struct authority *a = &c->proxy[which].at;

	if (*host == '\0' || port == 0)
		return;
	strlcpy(a->host, host, sizeof(a->host));
	a->v6 = strchr(host, ':') != NULL;
	a->port = (uint16_t)port;
	strlcpy(c->proxy[which].auth, auth, sizeof(c->proxy[which].auth));
}

static void
conf_ports(
    struct pconf *c, int which, const struct ipc_msg *m, const char *field)
{
	size_t i, n = ipc_nstr(m, field);

	for (i = 0; i < n && i < PROXYD_MAXPORTS; i++)
		c->port[which][c->nport[which]++] = (uint16_t)strtonum(
		    ipc_strat(m, field, i), 0, UINT16_MAX, NULL);
}

static void
conf_rules(struct match *rules, const struct ipc_msg *m, const char *field)
{
	size_t i;

	for (i = 0; i < ipc_nstr(m, field); i++) {
		if (match_add(rules, ipc_strat(m, field, i)) == -1)
			log_warnx("%s: a rule that cannot be used", field);
	}
}

static struct pconf *
conf_new(const struct ipc_msg *m)
{
	struct ipaddr gateway = ipc_addr(m, "gateway-ip");
	struct pconf *c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	c->refs = 1;
	c->enabled = ipc_bool(m, "enabled");
	c->gateway_ip = ipaddr_to_u32(&gateway);
	conf_proxy(c, WHICH_HTTP, ipc_str(m, "http-host"),
	    ipc_u64(m, "http-port"), ipc_str(m, "http-auth"));
	conf_proxy(c, WHICH_HTTPS, ipc_str(m, "https-host"),
	    ipc_u64(m, "https-port"), ipc_str(m, "https-auth"));
	conf_ports(c, WHICH_HTTP, m, "http-ports");
	conf_ports(c, WHICH_HTTPS, m, "https-ports");
	conf_rules(&c->exclude, m, "exclude");
	conf_rules(&c->allow, m, "allow");
	c->allow_enabled = ipc_bool(m, "allow-enabled");
	strlcpy(
	    c->allow_error, ipc_str(m, "allow-error"), sizeof(c->allow_error));
	c->head_ms = (uint32_t)ipc_u64(m, "head-ms");
	c->idle_ms = (uint32_t)ipc_u64(m, "idle-ms");
	c->connect_ms = (uint32_t)ipc_u64(m, "connect-ms");
	c->hello_ms = (uint32_t)ipc_u64(m, "hello-ms");
	return c;
}

/* For connections to come; the others keep what they have. */
static void
proxyd_conf(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct proxyd *p = d->data;
	struct pconf *c;

	if ((c = conf_new(m)) == NULL) {
		log_warn("configuration");
		return;
	}
	up_flush(p);
	pconf_unref(p->conf);
	p->conf = c;
	log_debug("configured, %zu rules", c->exclude.n + c->allow.n);
}

/*
 * The rest of a daemon.
 */

static void
proxyd_flow(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct proxyd *p = d->data;

	if (p->conf != NULL)
		conn_new(p, m);
}

static void
proxyd_peer(struct daemon *d, struct ipc *link)
{
	up_peer(d->data, ipc_peer(link));
}

static int
proxyd_start(struct daemon *d)
{
	struct proxyd *p;
	int nofile = plat_nofile();
	uint32_t i;

	if ((p = calloc(1, sizeof(*p))) == NULL) {
		log_warn("start");
		return -1;
	}
	p->d = d;
	stats_set(&d->stats, PROXYS_CONNS, 0); /* an earlier process's */
	LIST_INIT(&p->vms);
	up_init(p);
	hold_init(p);
	for (i = 0; i < PROXYD_MAXCONNS; i++)
		p->free_slot[p->nfree++] = PROXYD_MAXCONNS - 1 - i;
	if (nofile < 2 * FDRESERVE)
		nofile = NOFILE_UNKNOWN;
	/* A guest's end and an upstream; one VM leaves something to others. */
	p->maxconn = (size_t)(nofile - FDRESERVE) * 2 / 5;
	if (p->maxconn > PROXYD_MAXCONNS)
		p->maxconn = PROXYD_MAXCONNS;
	p->maxvm = p->maxconn - p->maxconn / 4;
	p->maxidle = (size_t)(nofile - FDRESERVE) / 5;
	if (p->maxidle > PROXYD_MAXIDLE)
		p->maxidle = PROXYD_MAXIDLE;
	d->data = p;
	return 0;
}

static void
proxyd_stop(struct daemon *d)
{
	struct proxyd *p = d->data;
	struct vm *vm;
	size_t i;

	for (i = 0; i < nitems(p->conn); i++) {
		if (p->conn[i] != NULL)
			conn_free(p->conn[i]);
	}
	up_flush(p);
	while ((vm = LIST_FIRST(&p->vms)) != NULL) {
		LIST_REMOVE(vm, entry);
		free(vm);
	}
	blocks_free(p);
	pconf_unref(p->conf);
	free(p);
	d->data = NULL;
}

static const struct ipc_handler handlers[] = {
	{ IPC_CONF_PROXY, proxyd_conf },
	{ IPC_PROXY_FLOW, proxyd_flow },
	{ IPC_RESOLVED, up_resolved },
	{ IPC_SOCK_FD, up_sock_fd },
	{ IPC_SOCK_REFUSED, up_sock_refused },
};

static const struct daemon_spec proxyd = {
	.role = ROLE_PROXY,
	.sandbox = SANDBOX_STACK, /* sockets come from portd */
	.crowds = true,
	.spins = true,
	.handler = handlers,
	.nhandler = nitems(handlers),
	.stats_name = proxyd_stat_name,
	.nstats = PROXYS__MAX,
	.start = proxyd_start,
	.stop = proxyd_stop,
	.peer = proxyd_peer,
};

int
main(int argc, char *argv[])
{
	return daemon_main(&proxyd, argc, argv);
}
