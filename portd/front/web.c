/*
 * What requests of the HTTP control do.  A port is exposed once however often
 * it is asked for, since clients that saw no answer ask again; but each that
 * leaves the choice of the host's port to us gets one of its own.
 */

#include <stdlib.h>
#include <string.h>

#include "portd/front/front.h"

#define JSON_TYPE "application/json"

/* A whole answer; text may be NULL.  To HEAD it is its head alone. */
static void
answer(struct client *c, int status, const char *type, const char *text,
    size_t len)
{
	const char *allow = status == 405 ? api_allow(c->req.path) : NULL;
	bool keep = c->req.keep, bare = c->req.method == HTTP_HEAD;
	char head[HTTP_REPLY_HEAD];
	size_t n;

	if (status != 200)
		front_count(c->f, FRONTS_HTTP_ERRORS);
	n = http_reply(head, sizeof(head), status, type, allow, len, keep);
	if (buf_put(&c->out, head, n) == -1 ||
	    buf_put(&c->out, text, bare ? 0 : len) == -1 || !keep)
		c->closing = true;
}

void
web_fail(struct client *c, int status, const char *text, bool bare)
{
	char *json = api_error(text, bare);

	answer(c, status, JSON_TYPE, json, json != NULL ? strlen(json) : 0);
	free(json);
}

void
web_bad(struct client *c, int status)
{
	c->req.keep = false;
	web_fail(c, status, "the request is not understood", false);
}

static void
list(struct client *c)
{
	json_t *all = json_array();
	struct fwd *w;
	char *text;

	TAILQ_FOREACH (w, &c->f->fwds, entries) {
		if (w->web && w->state == FWD_ACTIVE)
			json_array_append_new(
			    all, api_port_json(&w->want, w->port));
	}
	text = json_dumps(all, JSON_COMPACT);
	json_decref(all);
	if (text == NULL) {
		web_fail(c, 500, "out of memory", false);
		return;
	}
	answer(c, 200, JSON_TYPE, text, strlen(text));
	free(text);
}

static void
dump(struct client *c)
{
	size_t len;
	char *text = tunnel_dump(c->f, &len);

	if (text == NULL)
		web_fail(c, 500, "out of memory", false);
	else
		answer(c, 200, "text/plain; charset=utf-8", text, len);
	free(text);
}

static bool
same(const struct fwd *w, const struct api_port *p, bool real)
{
	struct fwd_spec s = w->want.spec;

	if (!w->web || w->state == FWD_LEAVING ||
	    strcmp(w->want.annotation, p->annotation) != 0)
		return false;
	if (real)
		s.out.port = w->port;
	return spec_cmp(&s, &p->spec) == 0;
}

/* The latest that was asked for like this, or that is listed like this. */
static struct fwd *
find(struct front *f, const struct api_port *p)
{
	struct fwd *w;
	int real;

	for (real = 0; real < 2; real++) {
		TAILQ_FOREACH_REVERSE(w, &f->fwds, fwd_tailq, entries)
		{
			if (same(w, p, real == 1))
				return w;
		}
	}
	return NULL;
}

static void
expose(struct client *c, const struct api_port *p)
{
	bool any = p->spec.proto != FWD_UNIX && p->spec.out.port == 0;
	char text[SPEC_ERRLEN];
	const char *error;
	struct fwd *w = any ? NULL : find(c->f, p);

	if (w != NULL && w->state == FWD_ACTIVE) {
		answer(c, 200, NULL, NULL, 0);
		return;
	}
	if (w == NULL && (error = fwd_add(c->f, p, NULL, &w)) != NULL) {
		spec_error_http(&p->spec, error, "", text);
		web_fail(c, 500, text, false);
		return;
	}
	c->waits = w;
}

static void
unexpose(struct client *c, const struct api_port *p)
{
	struct fwd *w = find(c->f, p);

	if (w == NULL || c->f->portd == NULL) {
		if (w != NULL)
			fwd_remove(w);
		answer(c, 200, NULL, NULL, 0);
		return;
	}
	fwd_remove(w);
	c->waits = w;
}

void
web_done(struct fwd *w, const char *error)
{
	struct client *c;

	TAILQ_FOREACH (c, &w->f->clients, entry) {
		if (c->waits != w)
			continue;
		c->waits = NULL;
		if (error == NULL)
			answer(c, 200, NULL, NULL, 0);
		else
			web_fail(c, 400, error, false);
		client_resume(c);
	}
}

void
web_request(struct client *c, const char *body)
{
	char err[SPEC_ERRLEN];
	struct api_port p;
	enum api_call call;
	bool pipe, bare;
	int status;

	front_count(c->f, FRONTS_HTTP);
	if ((status = api_route(&c->req, &call, &pipe)) != -1) {
		web_fail(c, status,
		    status == 404 ? "no such path" : "not with this method",
		    false);
		return;
	}
	if (call == API_LIST || call == API_DUMP) {
		(call == API_LIST ? list : dump)(c);
		return;
	}
	if (api_port_parse(body, c->req.body, pipe, &p, err, &bare) == -1) {
		web_fail(c, 400, err, bare);
		return;
	}
	(call == API_EXPOSE ? expose : unexpose)(c, &p);
}
