/*
 * Files into messages.  The files are the administrator's, so a mistake in
 * them is told and not obeyed; but it never stops what already runs.
 */

#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

#include "conf.h"
#include "vm.h"

#define RESOLV	   "/etc/resolv.conf"
#define MAXSEARCH  64
#define DOMAIN_LEN 255

char *
conf_read_file(const char *path, size_t max, size_t *len)
{
	char *buf = NULL;
	struct stat st;
	ssize_t n;
	int fd, save;

	/* Without O_NONBLOCK a FIFO in the place of the file would hold us. */
	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) == -1)
		return NULL;
	if (fstat(fd, &st) == -1)
		goto err;
	errno = S_ISDIR(st.st_mode) ? EISDIR : EFBIG;
	if (S_ISDIR(st.st_mode) || st.st_size > (off_t)max)
		goto err;
	if ((buf = malloc(max)) == NULL)
		goto err;
	for (*len = 0; *len < max; *len += (size_t)n) {
		if ((n = read(fd, buf + *len, max - *len)) == -1)
			goto err;
		if (n == 0)
			break;
	}
	close(fd);
	return buf;
err:
	save = errno;
	free(buf);
	close(fd);
	errno = save;
	return NULL;
}

/* The JSON in a file.  NULL: the text in err says why, and errno. */
json_t *
conf_read_json(const char *path, char *err)
{
	json_error_t je;
	json_t *root;
	char *text;
	size_t len;

	if ((text = conf_read_file(path, CONF_FILEMAX, &len)) == NULL) {
		snprintf(
		    err, OPTIONS_ERRLEN, "%.256s: %s", path, strerror(errno));
		return NULL;
	}
	root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &je);
	free(text);
	if (root == NULL) {
		snprintf(err, OPTIONS_ERRLEN, "%.256s: line %d: %s", path,
		    je.line, je.text);
		errno = EINVAL;
	}
	return root;
}

/* The JSON object in a file.  NULL: the text in err says why. */
static json_t *
read_object(const char *path, char *err)
{
	json_t *root = conf_read_json(path, err);

	if (root == NULL)
		return NULL;
	if (!json_is_object(root)) {
		snprintf(
		    err, OPTIONS_ERRLEN, "%.256s: not a JSON object", path);
		json_decref(root);
		return NULL;
	}
	return root;
}

/*
 * Options from a file.
 */

static int
option_value(struct options *op, const char *name, const json_t *v, char *err)
{
	char num[24];

	switch (json_typeof(v)) {
	case JSON_STRING:
		return options_file(op, name, json_string_value(v), err);
	case JSON_INTEGER:
		snprintf(
		    num, sizeof(num), "%lld", (long long)json_integer_value(v));
		return options_file(op, name, num, err);
	case JSON_TRUE:
		return options_file(op, name, "true", err);
	case JSON_FALSE:
		return options_file(op, name, "false", err);
	default:
		snprintf(err, OPTIONS_ERRLEN,
		    "%.64s: not a string, an "
		    "integer, true or false",
		    name);
		return -1;
	}
}

static int
option_member(struct options *op, const char *name, const json_t *v, char *err)
{
	size_t i;

	if (!json_is_array(v))
		return option_value(op, name, v, err);
	for (i = 0; i < json_array_size(v); i++) {
		if (option_value(op, name, json_array_get(v, i), err) == -1)
			return -1;
	}
	return 0;
}

int
conf_options_file(struct options *op, const char *path, char *err)
{
	char why[OPTIONS_ERRLEN];
	const char *name;
	json_t *root, *v;
	int r = 0;

	if ((root = read_object(path, why)) == NULL) {
		snprintf(err, OPTIONS_ERRLEN, "--config: %.480s", why);
		return -1;
	}
	json_object_foreach(root, name, v)
	{
		if ((r = option_member(op, name, v, why)) == -1)
			break;
	}
	if (r == -1)
		snprintf(err, OPTIONS_ERRLEN, "%.200s: %.300s", path, why);
	json_decref(root);
	return r;
}

/*
 * DHCP settings.
 */

bool
conf_replace(json_t **old, json_t *new)
{
	bool differs = new != NULL && !json_equal(*old, new);

	if (new == NULL)
		return false;
	json_decref(*old);
	*old = new;
	return differs;
}

static bool
good_name(const json_t *v)
{
	return json_is_string(v) && json_string_length(v) <= DOMAIN_LEN;
}

/* Null is as good as absent, as for the original. */
static bool
good_domain(const json_t *v)
{
	return v == NULL || json_is_null(v) || good_name(v);
}

static bool
good_search(const json_t *v)
{
	size_t i;

	if (v == NULL || json_is_null(v))
		return true;
	if (!json_is_array(v) || json_array_size(v) > MAXSEARCH)
		return false;
	for (i = 0; i < json_array_size(v); i++) {
		if (!good_name(json_array_get(v, i)))
			return false;
	}
	return true;
}

int
conf_read_dhcp(struct conf *c)
{
	const char *path = c->op->dhcp_path;
	json_t *root, *domain, *search;
	char err[OPTIONS_ERRLEN];
	bool changed = false;

	if (path == NULL)
		return 0;
	if ((root = read_object(path, err)) == NULL) {
		log_warnx("%s; the settings stay as they are", err);
		return -1;
	}
	domain = json_object_get(root, "domainName");
	search = json_object_get(root, "searchDomains");
	if (!good_domain(domain) || !good_search(search)) {
		log_warnx("%s: domainName must be a name and searchDomains an "
			  "array of names; the settings stay as they are",
		    path);
		json_decref(root);
		return -1;
	}
	if (c->op->domain == NULL)
		changed = conf_replace(&c->domain,
		    json_is_string(domain) ? json_incref(domain)
					   : json_string("localdomain"));
	changed |= conf_replace(&c->search,
	    json_is_array(search) ? json_incref(search) : json_array());
	json_decref(root);
	return changed ? 1 : 0;
}

int
conf_init(struct conf *c, const struct options *op)
{
	const char *path = getenv("VPNKIT_RESOLV_CONF");

	memset(c, 0, sizeof(*c));
	c->op = op;
	c->resolv_path = path != NULL && *path != '\0' ? path : RESOLV;
	c->domain =
	    json_string(op->domain != NULL ? op->domain : "localdomain");
	c->search = json_array();
	return c->domain == NULL || c->search == NULL || conf_init_dns(c) == -1
		   ? -1
		   : 0;
}

void
conf_fini(struct conf *c)
{
	json_decref(c->domain);
	json_decref(c->search);
	conf_fini_dns(c);
	json_decref(c->http_file);
	httpconf_clear(&c->http);
}

/*
 * Messages.
 */

json_t *
conf_names(const struct strlist *l)
{
	json_t *a = json_array();
	size_t i;

	for (i = 0; i < l->n; i++)
		json_array_append_new(a, json_string(l->v[i]));
	return a;
}

static void
send_eth(const struct conf *c, struct ipc *ipc)
{
	const struct options *op = c->op;
	char gw[IPADDR_STRLEN], host[IPADDR_STRLEN], low[IPADDR_STRLEN],
	    high[IPADDR_STRLEN], mac[MACADDR_STRLEN];

	ipc_send(ipc, IPC_CONF_ETH, NULL, 0, "{s:I, s:s, s:s, s:s, s:s, s:s}",
	    "mtu", (json_int_t)op->mtu, "gateway-ip",
	    ipaddr_str(&op->gateway_ip, gw), "host-ip",
	    ipaddr_str(&op->host_ip, host), "lowest-ip",
	    ipaddr_str(&op->lowest_ip, low), "highest-ip",
	    ipaddr_str(&op->highest_ip, high), "server-mac",
	    macaddr_str(&op->server_mac, mac));
}

static void
send_port(const struct conf *c, struct ipc *ipc)
{
	const struct options *op = c->op;
	char gw[IPADDR_STRLEN], host[IPADDR_STRLEN], low[IPADDR_STRLEN],
	    high[IPADDR_STRLEN];
	json_t *bind = conf_names(&op->allowed_bind);

	ipc_send(ipc, IPC_CONF_PORT, NULL, 0,
	    "{s:s, s:s, s:s, s:s, s:o, s:o, s:I, s:O, s:I, s:b}", "gateway-ip",
	    ipaddr_str(&op->gateway_ip, gw), "host-ip",
	    ipaddr_str(&op->host_ip, host), "lowest-ip",
	    ipaddr_str(&op->lowest_ip, low), "highest-ip",
	    ipaddr_str(&op->highest_ip, high), "servers", conf_server_texts(c),
	    "proxies", conf_proxies(c), "max-connections",
	    (json_int_t)op->max_connections, "allowed-bind", bind, "backlog",
	    (json_int_t)op->listen_backlog, "preserve-source",
	    op->preserve_source);
	json_decref(bind);
}

/* How the tunnel begins, by the form of its URL. */
static const char *
tunnel_kind(const struct options *op)
{
	const char *url = options_tunnel(op);

	if (url == NULL)
		return "";
	return strncmp(url, "vsock://", 8) == 0 ? "plain" : "hyperkit";
}

static void
send_front(const struct conf *c, struct ipc *ipc)
{
	ipc_send(ipc, IPC_CONF_FRONT, NULL, 0, "{s:s, s:s}", "tunnel",
	    tunnel_kind(c->op), "protocol", c->op->tunnel_protocol);
}

void
conf_send(const struct conf *c, struct ipc *ipc)
{
	static void (*const send[ROLE__MAX])(
	    const struct conf *, struct ipc *) = {
		[ROLE_ETH] = send_eth,
		[ROLE_DNS] = conf_send_dns,
		[ROLE_PROXY] = conf_send_proxy,
		[ROLE_PORT] = send_port,
		[ROLE_FRONT] = send_front,
	};

	if (send[ipc_peer(ipc)] != NULL)
		send[ipc_peer(ipc)](c, ipc);
}

void
conf_send_stack(const struct conf *c, struct ipc *ipc, const struct lease *l)
{
	const struct options *op = c->op;
	char mac[MACADDR_STRLEN], ip[IPADDR_STRLEN], gw[IPADDR_STRLEN],
	    host[IPADDR_STRLEN], high[IPADDR_STRLEN], smac[MACADDR_STRLEN];

	ipc_send(ipc, IPC_CONF_STACK, NULL, 0,
	    "{s:I, s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:O, s:O}", "vm",
	    (json_int_t)l->vm, "mac", macaddr_str(&l->mac, mac), "ip",
	    ipaddr_str(&l->ip, ip), "mtu", (json_int_t)op->mtu, "gateway-ip",
	    ipaddr_str(&op->gateway_ip, gw), "host-ip",
	    ipaddr_str(&op->host_ip, host), "highest-ip",
	    ipaddr_str(&op->highest_ip, high), "server-mac",
	    macaddr_str(&op->server_mac, smac), "domain", c->domain, "search",
	    json_array_size(c->search) > 0 ? c->search : c->dns_search);
	conf_send_intercept(c, ipc);
}
