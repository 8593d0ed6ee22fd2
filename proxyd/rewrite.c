/*
 * Heads as they leave; see rewrite.h.
 */

#include <stdio.h>
#include <string.h>

#include "proxyd/rewrite.h"

static int
put(struct wr *w, const char *s)
{
	return wr_bytes(w, s, strlen(s));
}

static int
put_span(struct wr *w, struct span s)
{
	return wr_bytes(w, s.p, s.len);
}

static int
put_field(struct wr *w, const struct head_field *f)
{
	if (put_span(w, f->name) == -1 || put(w, ": ") == -1 ||
	    put_span(w, f->value) == -1)
		return -1;
	return put(w, "\r\n");
}

/* host or host:port; a default port of 0 always has the port said. */
static int
put_authority(struct wr *w, const struct authority *a, uint16_t dflt)
{
	uint16_t port = a->port != 0 ? a->port : 80;
	char text[8];

	if (put(w, a->v6 ? "[" : "") == -1 || put(w, a->host) == -1 ||
	    put(w, a->v6 ? "]" : "") == -1)
		return -1;
	if (port == dflt)
		return 0;
	snprintf(text, sizeof(text), ":%u", (unsigned)port);
	return put(w, text);
}

/* Of one connection only: RFC 9110 7.6.1. */
static bool
is_hop_by_hop(struct span name)
{
	static const char *const names[] = { "connection", "keep-alive",
		"proxy-connection", "te" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (span_is(name, names[i]))
			return true;
	}
	return false;
}

/* What no Connection field may take away from those behind us. */
static bool
is_vital(struct span name)
{
	static const char *const names[] = { "host", "content-length",
		"transfer-encoding", "upgrade", "authorization",
		"proxy-authorization", "trailer", "expect" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (span_is(name, names[i]))
			return true;
	}
	return false;
}

/* Whether a Connection field of the head names it. */
static bool
is_named(const struct head *h, struct span name)
{
	char text[64];
	size_t i;

	if (name.len >= sizeof(text) || is_vital(name))
		return false;
	memcpy(text, name.p, name.len);
	text[name.len] = '\0';
	for (i = 0; i < h->nfield; i++) {
		if (span_is(h->field[i].name, "connection") &&
		    span_has(h->field[i].value, text))
			return true;
	}
	return false;
}

static bool
is_dropped(const struct head *h, struct span name, bool upgrade)
{
	if (is_hop_by_hop(name))
		return true;
	if (span_is(name, "upgrade"))
		return !upgrade;
	return is_named(h, name);
}

/*
 * Requests.
 */

static int
put_target(struct wr *w, const struct rewrite *rw)
{
	const struct target *t = rw->target;

	if (t->form == TARGET_AUTHORITY)
		return put_authority(w, &t->authority, 0);
	if (rw->via && t->form == TARGET_ABSOLUTE)
		return put_span(w, rw->head->target);
	if (rw->via &&
	    (put(w, "http://") == -1 || put_authority(w, rw->host, 0) == -1))
		return -1;
	if (t->form == TARGET_ASTERISK)
		return rw->via ? 0 : put(w, "*");
	/* RFC 9112 3.2.1: a path is never empty. */
	if ((t->path.len == 0 || t->path.p[0] != '/') && put(w, "/") == -1)
		return -1;
	return put_span(w, t->path);
}

static int
put_host(struct wr *w, const struct rewrite *rw)
{
	/* CONNECT's has its port, RFC 9112 3.2.3. */
	uint16_t dflt = rw->target->form == TARGET_AUTHORITY ? 0 : 80;

	if (put(w, "Host: ") == -1 || put_authority(w, rw->host, dflt) == -1)
		return -1;
	return put(w, "\r\n");
}

static int
put_auth(struct wr *w, const char *auth)
{
	if (*auth == '\0')
		return 0;
	if (put(w, "Proxy-Authorization: Basic ") == -1 || put(w, auth) == -1)
		return -1;
	return put(w, "\r\n");
}

static bool
wants_trailers(const struct head *h)
{
	const struct head_field *te = head_find(h, "te");

	return te != NULL && span_has(te->value, "trailers");
}

/* What holds for the next connection, RFC 9110 7.6.1. */
static int
put_connection(struct wr *w, const struct rewrite *rw)
{
	bool te = wants_trailers(rw->head);

	if (te && put(w, "TE: trailers\r\n") == -1)
		return -1;
	if (rw->close)
		return put(w,
		    te ? "Connection: close, TE\r\n" : "Connection: close\r\n");
	if (rw->upgrade)
		return put(w, te ? "Connection: Upgrade, TE\r\n"
				 : "Connection: Upgrade\r\n");
	return te ? put(w, "Connection: TE\r\n") : 0;
}

int
rewrite_request(struct wr *w, const struct rewrite *rw)
{
	const struct head *h = rw->head;
	const struct head_field *f;

	if (put_span(w, h->method) == -1 || put(w, " ") == -1 ||
	    put_target(w, rw) == -1 ||
	    put(w, h->minor == 0 ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n") == -1)
		return -1;
	if (h->host == NULL && put_host(w, rw) == -1)
		return -1;
	for (f = h->field; f < h->field + h->nfield; f++) {
		if (f == h->host) {
			if (put_host(w, rw) == -1)
				return -1;
			continue;
		}
		if (is_dropped(h, f->name, rw->upgrade) ||
		    (span_is(f->name, "proxy-authorization") && !rw->keep_auth))
			continue;
		if (put_field(w, f) == -1)
			return -1;
	}
	if (put_connection(w, rw) == -1 ||
	    (rw->via && !rw->keep_auth && put_auth(w, rw->auth) == -1))
		return -1;
	return put(w, "\r\n");
}

int
rewrite_connect(struct wr *w, const struct authority *a, const char *auth)
{
	if (put(w, "CONNECT ") == -1 || put_authority(w, a, 0) == -1 ||
	    put(w, " HTTP/1.1\r\nHost: ") == -1 ||
	    put_authority(w, a, 0) == -1 || put(w, "\r\n") == -1 ||
	    put_auth(w, auth) == -1)
		return -1;
	return put(w, "\r\n");
}

/*
 * Responses.
 */

int
rewrite_response(
    struct wr *w, const struct head *h, bool close, bool keep_alive)
{
	const struct head_field *f;
	char line[32];

	snprintf(line, sizeof(line), "HTTP/1.1 %u ", h->status);
	if (put(w, line) == -1 || put_span(w, h->reason) == -1 ||
	    put(w, "\r\n") == -1)
		return -1;
	for (f = h->field; f < h->field + h->nfield; f++) {
		if (!is_dropped(h, f->name, h->upgrade) &&
		    put_field(w, f) == -1)
			return -1;
	}
	if (h->status == 101 && put(w, "Connection: Upgrade\r\n") == -1)
		return -1;
	if (close && put(w, "Connection: close\r\n") == -1)
		return -1;
	if (!close && keep_alive && put(w, "Connection: keep-alive\r\n") == -1)
		return -1;
	return put(w, "\r\n");
}

/* Text of a guest's or an administrator's in HTML. */
static int
put_html(struct wr *w, const char *s)
{
	int r = 0;

	for (; *s != '\0' && r == 0; s++) {
		switch (*s) {
		case '<':
			r = put(w, "&lt;");
			break;
		case '>':
			r = put(w, "&gt;");
			break;
		case '&':
			r = put(w, "&amp;");
			break;
		default:
			r = wr_u8(w, (uint8_t)*s);
			break;
		}
	}
	return r;
}

int
rewrite_error(struct wr *w, unsigned status, const char *what, bool head)
{
	char line[32];

	snprintf(line, sizeof(line), "HTTP/1.1 %u ", status);
	if (put(w, line) == -1 || put(w, what) == -1 ||
	    put(w, "\r\nContent-Type: text/html; charset=utf-8\r\n"
		   "Connection: close\r\n\r\n") == -1)
		return -1;
	if (head)
		return 0;
	if (put(w, "<!DOCTYPE html>\n<html><head><title>") == -1 ||
	    put_html(w, what) == -1 ||
	    put(w, "</title></head>\n<body><h1>") == -1 ||
	    put_html(w, what) == -1)
		return -1;
	return put(w,
	    "</h1>\n<p>This page is from vpnkit, the network of this virtual "
	    "machine.  Please check:</p>\n<ul>\n<li>the address that was "
	    "asked for, and that its server is running</li>\n<li>the HTTP "
	    "proxy settings of the host</li>\n</ul></body></html>\n");
}
