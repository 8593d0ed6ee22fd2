/*
 * Heads as they leave; see rewrite.h.
 */

#include <stdio.h>
#include <string.h>

#include "proxyd/rewrite.h"

static inline int
put(struct wr *w, const char *s)
{
	return wr_bytes(w, s, strlen(s));
}

static int
put_span(struct wr *w, struct span s)
{
	return wr_bytes(w, s.p, s.len);
}

/* As it came, where it came as it should leave. */
static int
put_field(struct wr *w, const struct head_field *f)
{
	const char *v = f->name.p + f->name.len + 2;

	if (v == f->value.p && v[-1] == ' ' && v[f->value.len] == '\r')
		return wr_bytes(w, f->name.p, f->name.len + f->value.len + 4);
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
static const bool hop_by_hop[NAME__MAX] = {
	[NAME_CONNECTION] = true,
	[NAME_KEEP_ALIVE] = true,
	[NAME_PROXY_CONNECTION] = true,
	[NAME_TE] = true,
};

/* What no Connection field may take away from those behind us. */
static const bool vital[NAME__MAX] = {
	[NAME_AUTHORIZATION] = true,
	[NAME_CONTENT_LENGTH] = true,
	[NAME_EXPECT] = true,
	[NAME_HOST] = true,
	[NAME_PROXY_AUTHORIZATION] = true,
	[NAME_TRAILER] = true,
	[NAME_TRANSFER_ENCODING] = true,
	[NAME_UPGRADE] = true,
};

/* Whether a Connection field of the head names it. */
static bool
is_named(const struct head *h, const struct head_field *f)
{
	char text[64];
	size_t i;

	if (!h->has[NAME_CONNECTION] || vital[f->id] ||
	    f->name.len >= sizeof(text))
		return false;
	memcpy(text, f->name.p, f->name.len);
	text[f->name.len] = '\0';
	for (i = 0; i < h->nfield; i++) {
		if (h->field[i].id == NAME_CONNECTION &&
		    span_has(h->field[i].value, text))
			return true;
	}
	return false;
}

static bool
is_dropped(const struct head *h, const struct head_field *f, bool upgrade)
{
	if (hop_by_hop[f->id])
		return true;
	if (f->id == NAME_UPGRADE)
		return !upgrade;
	return is_named(h, f);
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
	const struct head_field *te = head_find(h, NAME_TE);

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
		if (is_dropped(h, f, rw->upgrade) ||
		    (f->id == NAME_PROXY_AUTHORIZATION && !rw->keep_auth))
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

/* Of three digits. */
static int
put_status(struct wr *w, unsigned status)
{
	char line[] = "HTTP/1.1 000 ";

	line[9] = (char)('0' + status / 100 % 10);
	line[10] = (char)('0' + status / 10 % 10);
	line[11] = (char)('0' + status % 10);
	return put(w, line);
}

int
rewrite_response(
    struct wr *w, const struct head *h, bool close, bool keep_alive)
{
	const struct head_field *f;

	if (put_status(w, h->status) == -1 || put_span(w, h->reason) == -1 ||
	    put(w, "\r\n") == -1)
		return -1;
	for (f = h->field; f < h->field + h->nfield; f++) {
		if (!is_dropped(h, f, h->upgrade) && put_field(w, f) == -1)
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
	if (put_status(w, status) == -1 || put(w, what) == -1 ||
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
