/*
 * Ports as JSON; see api.h.
 */

#include <stdio.h>
#include <string.h>

#include <bsd/string.h>

#include "common/nitems.h"

#include "portd/front/api.h"

#define M(m) (1u << (m))

/* clang-format off */
static const struct {
	const char *path;
	enum api_call call;
	bool pipe;
	unsigned methods; /* bits of enum http_method */
	const char *allow; /* the same as text */
} routes[] = {
	{ "/forwards/list", API_LIST, false,
	    M(HTTP_GET) | M(HTTP_HEAD), "GET, HEAD" },
	{ "/forwards/dump", API_DUMP, false,
	    M(HTTP_GET) | M(HTTP_HEAD), "GET, HEAD" },
	{ "/forwards/expose/port", API_EXPOSE, false,
	    M(HTTP_PUT) | M(HTTP_POST), "PUT, POST" },
	{ "/forwards/expose/pipe", API_EXPOSE, true,
	    M(HTTP_PUT) | M(HTTP_POST), "PUT, POST" },
	{ "/forwards/unexpose/port", API_UNEXPOSE, false,
	    M(HTTP_DELETE) | M(HTTP_POST), "DELETE, POST" },
	{ "/forwards/unexpose/pipe", API_UNEXPOSE, true,
	    M(HTTP_DELETE) | M(HTTP_POST), "DELETE, POST" },
};
/* clang-format on */

int
api_route(const struct http_req *r, enum api_call *call, bool *pipe)
{
	size_t i;

	for (i = 0; i < nitems(routes); i++) {
		if (strcmp(routes[i].path, r->path) != 0)
			continue;
		if ((routes[i].methods & M(r->method)) == 0)
			return 405;
		*call = routes[i].call;
		*pipe = routes[i].pipe;
		return -1;
	}
	return 404;
}

const char *
api_allow(const char *path)
{
	size_t i;

	for (i = 0; i < nitems(routes); i++) {
		if (strcmp(routes[i].path, path) == 0)
			return routes[i].allow;
	}
	return NULL;
}

static int
fail(char *err, const char *name, const char *what)
{
	snprintf(err, SPEC_ERRLEN, "%s: %s", name, what);
	return -1;
}

/* A string of at most max bytes; absent and null are "". */
static int
get_str(const json_t *o, const char *name, char *out, size_t max, char *err)
{
	const json_t *v = json_object_get(o, name);

	out[0] = '\0';
	if (v == NULL || json_is_null(v))
		return 0;
	if (!json_is_string(v) ||
	    strlen(json_string_value(v)) != json_string_length(v))
		return fail(err, name, "not a string");
	if (json_string_length(v) > max)
		return fail(err, name, "too long");
	strlcpy(out, json_string_value(v), max + 1);
	return 0;
}

static int
get_port(const json_t *o, const char *name, uint16_t *port, char *err)
{
	const json_t *v = json_object_get(o, name);

	*port = 0;
	if (v == NULL || json_is_null(v))
		return 0;
	if (!json_is_integer(v) || json_integer_value(v) < 0 ||
	    json_integer_value(v) > UINT16_MAX)
		return fail(err, name, "not a port");
	*port = (uint16_t)json_integer_value(v);
	return 0;
}

/* Where there is none: all addresses. */
static int
get_ip(const json_t *o, const char *name, struct ipaddr *a, char *err)
{
	char text[IPADDR_STRLEN];

	*a = ipaddr_from_u32(0);
	if (get_str(o, name, text, sizeof(text) - 1, err) == -1)
		return -1;
	if (text[0] != '\0' && ipaddr_parse(text, a) == -1)
		return fail(err, name, "not an address");
	*a = ipaddr_unmap(a);
	return 0;
}

static int
get_ends(const json_t *o, struct fwd_spec *s, char *err)
{
	if (s->proto == FWD_UNIX) {
		if (get_str(o, "out_path", s->out.path, SPEC_PATHMAX, err) ==
			-1 ||
		    get_str(o, "in_path", s->in.path, SPEC_PATHMAX, err) == -1)
			return -1;
		if (s->out.path[0] == '\0')
			return fail(err, "out_path", "missing");
		if (s->in.path[0] == '\0')
			return fail(err, "in_path", "missing");
		return 0;
	}
	if (get_ip(o, "out_ip", &s->out.ip, err) == -1 ||
	    get_port(o, "out_port", &s->out.port, err) == -1 ||
	    get_ip(o, "in_ip", &s->in.ip, err) == -1 ||
	    get_port(o, "in_port", &s->in.port, err) == -1)
		return -1;
	if (ipaddr_to_u32(&s->in.ip) == 0 && s->in.ip.family == 4)
		return fail(err, "in_ip", "missing");
	if (s->in.port == 0)
		return fail(err, "in_port", "missing");
	return 0;
}

static int
get_proto(const json_t *o, bool pipe, struct fwd_spec *s, char *err, bool *bare)
{
	char text[8];
	int proto;

	if (get_str(o, "proto", text, sizeof(text) - 1, err) == -1)
		return -1;
	if ((proto = spec_proto(text, strlen(text))) == -1)
		return fail(err, "proto", "not tcp, udp or unix");
	s->proto = (enum fwd_proto)proto;
	if ((s->proto == FWD_UNIX) == pipe)
		return 0;
	*bare = true;
	return fail(err, "proto",
	    pipe ? "a port's is asked for at /forwards/expose/port"
		 : "a path's is asked for at /forwards/expose/pipe");
}

int
api_port_parse(const char *body, size_t len, bool pipe, struct api_port *p,
    char *err, bool *bare)
{
	json_error_t je;
	json_t *o;
	int r = -1;

	memset(p, 0, sizeof(*p));
	*bare = false;
	if ((o = json_loadb(body, len, 0, &je)) == NULL) {
		snprintf(err, SPEC_ERRLEN, "not JSON: %s", je.text);
		return -1;
	}
	if (!json_is_object(o))
		fail(err, "port", "not an object");
	else if (get_proto(o, pipe, &p->spec, err, bare) == 0 &&
		 get_ends(o, &p->spec, err) == 0)
		r = get_str(
		    o, "annotation", p->annotation, API_ANNOTATION, err);
	json_decref(o);
	return r;
}

static void
set_str(json_t *o, const char *name, const char *value)
{
	if (value[0] != '\0')
		json_object_set_new(o, name, json_string(value));
}

static void
set_end(json_t *o, const struct fwd_end *e, uint16_t port, const char *ip,
    const char *port_name, const char *path)
{
	char text[IPADDR_STRLEN];

	if (e->path[0] != '\0') {
		set_str(o, path, e->path);
		return;
	}
	set_str(o, ip, ipaddr_str(&e->ip, text));
	if (port != 0)
		json_object_set_new(o, port_name, json_integer(port));
}

json_t *
api_port_json(const struct api_port *p, uint16_t port)
{
	json_t *o = json_object();

	set_str(o, "proto", fwd_proto_name[p->spec.proto]);
	set_end(o, &p->spec.out, port, "out_ip", "out_port", "out_path");
	set_end(o, &p->spec.in, p->spec.in.port, "in_ip", "in_port", "in_path");
	set_str(o, "annotation", p->annotation);
	return o;
}

char *
api_error(const char *text, bool bare)
{
	json_t *o = json_string(text);
	char *s;

	/* A path may be any bytes. */
	if (o == NULL)
		o = json_string("error");
	if (!bare)
		o = json_pack("{s:o}", "message", o);
	s = json_dumps(o, JSON_COMPACT | JSON_ENCODE_ANY);
	json_decref(o);
	return s;
}
