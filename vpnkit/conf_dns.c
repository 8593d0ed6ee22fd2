/*
 * Name servers and names for dnsd.  A file that is wrong changes nothing; one
 * that is not there is no settings: then the servers are the host's.
 */

#include <bsd/stdlib.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

#include "conf.h"
#include "dnsconf.h"
#include "hosts.h"
#include "resolvconf.h"

#define NO_RESOLV      "nameserver 127.0.0.1\n"
#define HOSTS_FILE_MAX (4 << 20)
#define HOSTS_MAX      16384 /* names: what dnsd has room for */
#define HOSTS_CHUNK    64    /* of one message */

int
conf_init_dns(struct conf *c)
{
	c->resolv_servers = json_array();
	c->dns_search = json_array();
	c->hosts = json_array();
	c->offline_after = DNSCONF_OFFLINE;
	return c->resolv_servers == NULL || c->dns_search == NULL ||
		       c->hosts == NULL
		   ? -1
		   : 0;
}

void
conf_fini_dns(struct conf *c)
{
	json_decref(c->resolv_servers);
	json_decref(c->dns_servers);
	json_decref(c->dns_search);
	json_decref(c->hosts);
}

static const json_t *
servers_of(const struct conf *c)
{
	return c->dns_servers != NULL ? c->dns_servers : c->resolv_servers;
}

/* The fields of the message dns-server; zones becomes the list's. */
static void
add_server(json_t *list, const char *addr, int port, uint32_t order,
    uint32_t timeout_ms, json_t *zones)
{
	json_array_append_new(
	    list, json_pack("{s:s, s:i, s:I, s:I, s:o}", "addr", addr, "port",
		      port, "order", (json_int_t)order, "timeout-ms",
		      (json_int_t)timeout_ms, "zones", zones));
}

/* From "IP#PORT". */
static void
add_resolv(json_t *list, const char *text, uint32_t order)
{
	const char *hash = strchr(text, '#');
	char addr[IPADDR_STRLEN];

	if (hash == NULL || (size_t)(hash - text) >= sizeof(addr))
		return;
	memcpy(addr, text, (size_t)(hash - text));
	addr[hash - text] = '\0';
	add_server(list, addr, (int)strtonum(hash + 1, 1, 65535, NULL), order,
	    DNSCONF_TIMEOUT_MS, json_array());
}

int
conf_read_resolv(struct conf *c)
{
	struct resolvconf rc = { .n = 0 };
	json_t *servers;
	char *text;
	size_t len, i;

	text = conf_read_file(c->resolv_path, CONF_FILEMAX, &len);
	if (text != NULL) {
		resolvconf_parse(text, len, &rc);
		free(text);
	} else {
		log_warn("%s", c->resolv_path);
		if (json_array_size(c->resolv_servers) > 0)
			return -1;
	}
	/* Without any the C library, too, asks this host. */
	if (rc.n == 0)
		resolvconf_parse(NO_RESOLV, strlen(NO_RESOLV), &rc);
	servers = json_array();
	for (i = 0; i < rc.n; i++)
		add_resolv(servers, rc.server[i], (uint32_t)i);
	return conf_replace(&c->resolv_servers, servers) &&
	       c->dns_servers == NULL;
}

static json_t *
names_of(const struct dnsconf_name *name, size_t n)
{
	json_t *a = json_array();
	size_t i;

	for (i = 0; i < n; i++)
		json_array_append_new(a, json_string(name[i].text));
	return a;
}

/* What a parsed file says in place of what is there; true: it differs. */
static bool
take_dns(struct conf *c, const struct dnsconf *dc)
{
	const struct dnsconf_server *s;
	json_t *servers = json_array();
	char addr[IPADDR_STRLEN];
	bool differs = c->offline_after != dc->offline_after;

	for (s = dc->server; s < dc->server + dc->n; s++)
		add_server(servers, ipaddr_str(&s->addr, addr), s->port,
		    s->order, s->timeout_ms, names_of(s->zone, s->nzone));
	c->offline_after = dc->offline_after;
	c->search_changed =
	    conf_replace(&c->dns_search, names_of(dc->search, dc->nsearch));
	differs |= c->search_changed;
	differs |= conf_replace(&c->dns_servers, servers);
	return differs;
}

static bool
without_dns(struct conf *c)
{
	bool there = c->dns_servers != NULL;

	json_decref(c->dns_servers);
	c->dns_servers = NULL;
	c->offline_after = DNSCONF_OFFLINE;
	c->search_changed = conf_replace(&c->dns_search, json_array());
	return there;
}

/* Says what is wrong with the file of --dns, and what holds in its place. */
static void
dns_is_wrong(const struct conf *c, const char *sep, const char *why)
{
	log_warnx("%s:%s%s; the %s", c->op->dns, sep, why,
	    c->dns_servers != NULL ? "servers stay as they are"
				   : "host's servers are used");
}

/* What the text of the file says; 1, 0, -1 as conf_read_dns(). */
static int
parse_dns(struct conf *c, const char *text, size_t len)
{
	struct dnsconf *dc = malloc(sizeof(*dc));
	char err[DNSCONF_ERRLEN];
	int r = -1;

	if (dc == NULL)
		dns_is_wrong(c, " ", strerror(errno));
	else if (dnsconf_parse(text, len, dc, err) == -1)
		dns_is_wrong(c, "", err);
	else {
		r = take_dns(c, dc);
		dnsconf_clear(dc);
	}
	if (r != -1 && dc->unknown != 0)
		log_warnx(
		    "%s:%u: not understood, skipped", c->op->dns, dc->unknown);
	free(dc);
	return r;
}

int
conf_read_dns(struct conf *c)
{
	const char *path = c->op->dns;
	size_t len;
	char *text;
	int e, r;

	if (path == NULL || *path == '\0')
		return 0;
	if ((text = conf_read_file(path, CONF_FILEMAX, &len)) == NULL) {
		e = errno;
		r = e == ENOENT ? without_dns(c) : -1;
		dns_is_wrong(c, " ", strerror(e));
		return r;
	}
	r = parse_dns(c, text, len);
	free(text);
	return r;
}

/* The names of a text, as many as there is room for. */
static json_t *
hosts_list(const char *path, const char *text, size_t len)
{
	char addr[IPADDR_STRLEN], name[HOSTS_NAMELEN];
	struct hosts h = hosts_init(text, len);
	json_t *list = json_array();
	struct ipaddr a;

	while (json_array_size(list) < HOSTS_MAX && hosts_next(&h, &a, name))
		json_array_append_new(
		    list, json_sprintf("%s %s", ipaddr_str(&a, addr), name));
	if (json_array_size(list) == HOSTS_MAX)
		log_warnx(
		    "%s: no more than %d names are used", path, HOSTS_MAX);
	if (h.bad_line != 0)
		log_warnx("%s:%u: not an address, skipped", path, h.bad_line);
	return list;
}

int
conf_read_hosts(struct conf *c)
{
	const char *path = c->op->hosts;
	json_t *list;
	char *text;
	size_t len;

	if (path == NULL || *path == '\0')
		return 0;
	text = conf_read_file(path, HOSTS_FILE_MAX, &len);
	if (text == NULL && errno != ENOENT) {
		log_warn("%s", path);
		return -1;
	}
	list = text == NULL ? json_array() : hosts_list(path, text, len);
	free(text);
	return conf_replace(&c->hosts, list);
}

json_t *
conf_server_texts(const struct conf *c)
{
	json_t *a = json_array();
	const json_t *s;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)servers_of(c), i, s)
	{
		json_array_append_new(a,
		    json_sprintf("%s#%d",
			json_string_value(json_object_get(s, "addr")),
			(int)json_integer_value(json_object_get(s, "port"))));
	}
	return a;
}

static void
send_servers(const json_t *servers, struct ipc *ipc)
{
	const json_t *s;
	size_t i;

	json_array_foreach(servers, i, s)
	{
		ipc_send(ipc, IPC_DNS_SERVER, NULL, 0,
		    "{s:O, s:O, s:O, s:O, s:O}", "addr",
		    json_object_get(s, "addr"), "port",
		    json_object_get(s, "port"), "order",
		    json_object_get(s, "order"), "timeout-ms",
		    json_object_get(s, "timeout-ms"), "zones",
		    json_object_get(s, "zones"));
	}
}

static void
send_hosts(const json_t *hosts, struct ipc *ipc)
{
	size_t i, k, n = json_array_size(hosts);
	json_t *part;

	for (i = 0; i < n; i += k) {
		part = json_array();
		for (k = 0; k < HOSTS_CHUNK && i + k < n; k++)
			json_array_append(part, json_array_get(hosts, i + k));
		ipc_send(ipc, IPC_DNS_HOSTS, NULL, 0, "{s:o}", "names", part);
	}
}

/* The parts first: the last message puts them to use. */
void
conf_send_dns(const struct conf *c, struct ipc *ipc)
{
	const struct options *op = c->op;
	char gw[IPADDR_STRLEN], host[IPADDR_STRLEN], low[IPADDR_STRLEN];

	send_servers(servers_of(c), ipc);
	send_hosts(c->hosts, ipc);
	ipc_send(ipc, IPC_CONF_DNS, NULL, 0,
	    "{s:s, s:s, s:s, s:o, s:o, s:o, s:b, s:I, s:I}", "gateway-ip",
	    ipaddr_str(&op->gateway_ip, gw), "host-ip",
	    ipaddr_str(&op->host_ip, host), "lowest-ip",
	    ipaddr_str(&op->lowest_ip, low), "gateway-names",
	    conf_names(&op->gateway_names), "host-names",
	    conf_names(&op->host_names), "vm-names", conf_names(&op->vm_names),
	    "in-turn", c->dns_servers == NULL, "offline-after",
	    (json_int_t)c->offline_after, "network", (json_int_t)c->network);
}
