/*
 * The HTTP proxy's settings: where they come from and who is told what.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

#include "conf.h"

#define HEAD_MS	   (30 * 1000)
#define IDLE_MS	   (7500 * 1000) /* RFC 5382 5: no less than 2 h 4 min */
#define CONNECT_MS (60 * 1000)
#define HELLO_MS   (2 * 1000) /* what is no TLS may wait for its server */

static const char *
env(const char *lower, const char *upper)
{
	const char *v = getenv(lower);

	if (v == NULL || *v == '\0')
		v = getenv(upper);
	return v;
}

/* Takes the new settings; 1 if they differ. */
static int
changed(struct httpconf *old, struct httpconf *new)
{
	int r = old->enabled != new->enabled ||
		(old->enabled && !json_equal(old->json, new->json));

	httpconf_clear(old);
	*old = *new;
	return r;
}

static int
read_environment(struct conf *c)
{
	struct httpconf new = { .enabled = false };
	char err[HTTPCONF_ERRLEN] = "";

	if (c->op->http_from_environment &&
	    httpconf_environment(&new, env("http_proxy", "HTTP_PROXY"),
		env("https_proxy", "HTTPS_PROXY"), env("no_proxy", "NO_PROXY"),
		err) == -1) {
		log_warnx("proxy of the environment: %s", err);
		return -1;
	}
	if (*err != '\0')
		log_warnx("proxy of the environment: %s", err);
	return changed(&c->http, &new);
}

/* Without a file, or while it is away: the next one says something new. */
static int
without_file(struct conf *c)
{
	json_decref(c->http_file);
	c->http_file = NULL;
	return c->http_was_set ? 0 : read_environment(c);
}

/* What the file says now; what was set meanwhile stays when that is no news. */
static int
take_file(struct conf *c, struct httpconf *new)
{
	bool news = !json_equal(c->http_file, new->json);

	if (c->http_was_set && !news) {
		httpconf_clear(new);
		return 0;
	}
	json_decref(c->http_file);
	c->http_file = json_incref(new->json);
	c->http_was_set = false;
	return changed(&c->http, new);
}

int
conf_read_http(struct conf *c)
{
	const char *path = c->op->http;
	struct httpconf new = { .enabled = false };
	char err[HTTPCONF_ERRLEN], *text;
	size_t len;
	int r;

	if (path == NULL)
		return without_file(c);
	if ((text = conf_read_file(path, CONF_FILEMAX, &len)) == NULL) {
		log_warn("%s", path);
		return errno == ENOENT ? without_file(c) : -1;
	}
	r = httpconf_parse(&new, text, len, err);
	explicit_bzero(text, len);
	free(text);
	if (r == -1) {
		log_warnx("%s: %s; the settings stay as they are", path, err);
		return -1;
	}
	if (*err != '\0')
		log_warnx("%s: %s", path, err);
	return take_file(c, &new);
}

int
conf_set_http(struct conf *c, const char *text, char *err)
{
	struct httpconf new = { .enabled = false };

	if (httpconf_parse(&new, text, strlen(text), err) == -1)
		return -1;
	if (*err != '\0')
		log_warnx("settings of the HTTP proxy: %s", err);
	c->http_was_set = true;
	return changed(&c->http, &new);
}

static json_t *
strings(json_t *list)
{
	return list != NULL ? json_incref(list) : json_array();
}

void
conf_send_proxy(const struct conf *c, struct ipc *ipc)
{
	const struct httpconf *h = &c->http;
	const struct httpproxy *p = h->proxy;
	char gw[IPADDR_STRLEN];

	ipc_send(ipc, IPC_CONF_PROXY, NULL, 0,
	    "{s:b, s:s, s:s, s:i, s:s, s:s, s:i, s:s, s:o, s:o, s:o, s:b, "
	    "s:o, s:s, s:i, s:i, s:i, s:i}",
	    "enabled", h->enabled, "gateway-ip",
	    ipaddr_str(&c->op->gateway_ip, gw), "http-host", p[0].host,
	    "http-port", (int)p[0].port, "http-auth", p[0].auth, "https-host",
	    p[1].host, "https-port", (int)p[1].port, "https-auth", p[1].auth,
	    "http-ports", strings(h->ports[0]), "https-ports",
	    strings(h->ports[1]), "exclude", strings(h->exclude),
	    "allow-enabled", h->allow_enabled, "allow", strings(h->allow),
	    "allow-error", h->allow_error, "head-ms", HEAD_MS, "idle-ms",
	    IDLE_MS, "connect-ms", CONNECT_MS, "hello-ms", HELLO_MS);
}

void
conf_send_intercept(const struct conf *c, struct ipc *ipc)
{
	const struct httpconf *h = &c->http;
	json_t *ports = json_array();
	size_t i;

	for (i = 0; i < HTTPCONF__MAX; i++) {
		if (h->enabled && h->proxy[i].host[0] != '\0')
			json_array_extend(ports, h->ports[i]);
	}
	ipc_send(ipc, IPC_INTERCEPT, NULL, 0, "{s:o, s:b}", "ports", ports,
	    "explicit", h->enabled);
}

json_t *
conf_proxies(const struct conf *c)
{
	const struct httpproxy *p;
	json_t *a = json_array();
	char text[IPADDR_STRLEN + 8], addr[IPADDR_STRLEN];
	struct ipaddr ip;

	for (p = c->http.proxy; p < c->http.proxy + HTTPCONF__MAX; p++) {
		if (ipaddr_parse(p->host, &ip) == -1)
			continue;
		snprintf(text, sizeof(text), "%s#%u", ipaddr_str(&ip, addr),
		    (unsigned)p->port);
		json_array_append_new(a, json_string(text));
	}
	return a;
}
