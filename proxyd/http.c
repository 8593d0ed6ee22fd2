/*
 * Requests of a guest and their responses, one after another: the next request
 * of a pipeline waits until the response before it has left.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/string.h>

#include "proxyd/proxyd.h"

/*
 * The request.
 */

static void
refuse_head(struct conn *c, const char *why)
{
	bool large = c->scan.off >= HEAD_MAX, many = why == head_too_many;
	unsigned missed;

	stats_inc(&c->p->d->stats, large  ? PROXYS_LIMIT_HEAD
				   : many ? PROXYS_LIMIT_FIELDS
					  : PROXYS_BAD_REQUEST);
	if (log_rate_ok(&c->p->refused_log, usec_now(c->p->d->loop), &missed))
		log_info(
		    "VM %u: refused a request: %s", (unsigned)c->vm->num, why);
	conn_error(c, large || many ? 431 : 400, "the request has %s", why);
}

/*
 * RFC 9112 2.2: an empty line before a request is no error.  False: what is
 * there may be half of one.
 */
static bool
skip_empty(struct conn *c)
{
	struct sock *g = &c->guest;

	if (c->scan.off > 0 || sock_unread(g) == 0 || *sock_bytes(g) != '\r')
		return true;
	if (sock_unread(g) == 1)
		return false;
	if (memcmp(sock_bytes(g), "\r\n", 2) == 0)
		sock_consume(g, 2);
	return true;
}

static void
note_method(struct conn *c, const struct head *h)
{
	static const char *const safe[] = { "GET", "HEAD", "OPTIONS", "TRACE" };
	size_t i, n = h->method.len;

	n = n < sizeof(c->method) - 1 ? n : sizeof(c->method) - 1;
	memcpy(c->method, h->method.p, n);
	c->method[n] = '\0';
	c->retriable = false;
	for (i = 0; i < nitems(safe); i++) {
		if (strcmp(c->method, safe[i]) == 0)
			c->retriable = h->framing == FRAMING_NONE;
	}
	c->connect = span_is(h->method, "connect");
	c->old = h->minor == 0;
	c->keep_guest = c->old ? h->keep_alive && !h->close : !h->close;
}

/* Whom the request is for.  False: it was refused. */
static bool
find_host(struct conn *c, const struct head *h, const struct target *t)
{
	struct ipaddr dst = ipaddr_from_u32(c->dst);
	char text[IPADDR_STRLEN];

	memset(&c->host, 0, sizeof(c->host));
	if (t->authority.host[0] != '\0') {
		c->host = t->authority;
	} else if (h->host != NULL && h->host->value.len > 0) {
		if (authority_parse(h->host->value, &c->host) == -1) {
			refuse_head(c, "a Host that is none");
			return false;
		}
	} else if (c->transparent) {
		strlcpy(
		    c->host.host, ipaddr_str(&dst, text), sizeof(c->host.host));
	} else {
		stats_inc(&c->p->d->stats, PROXYS_BAD_REQUEST);
		conn_error(c, 400, "request must contain an absolute URI");
		return false;
	}
	if (c->host.port == 0)
		c->host.port = c->transparent ? c->dport : 80;
	return true;
}

/* The administrator's text, with the host in the place of its first %s. */
static void
forbid(struct conn *c)
{
	const char *text = c->conf->allow_error, *at = strstr(text, "%s");

	stats_inc(&c->p->d->stats, PROXYS_FORBIDDEN);
	if (at == NULL)
		conn_error(c, 403, "%s", text);
	else
		conn_error(c, 403, "%.*s%s%s", (int)(at - text), text,
		    c->host.host, at + 2);
}

/* False: policy says no. */
static bool
find_hop(struct conn *c)
{
	const struct pconf *conf = c->conf;
	struct ipaddr dst = ipaddr_from_u32(c->dst);
	bool direct;
	char text[IPADDR_STRLEN];

	if (conf->allow_enabled && !match_host(&conf->allow, c->host.host)) {
		forbid(c);
		return false;
	}
	direct = conf->proxy[c->which].at.host[0] == '\0' ||
		 match_host(&conf->exclude, c->host.host) ||
		 (c->transparent && match_addr(&conf->exclude, &dst));
	memset(&c->hop, 0, sizeof(c->hop));
	c->hop.which = c->which;
	c->hop.via = !direct;
	c->hop.at = direct ? c->host : conf->proxy[c->which].at;
	/*
	 * Direct is where the guest itself would have gone, whatever its Host
	 * says; but not where only certain names are allowed.
	 */
	if (direct && c->transparent && !c->connect && !conf->allow_enabled) {
		strlcpy(c->hop.at.host, ipaddr_str(&dst, text),
		    sizeof(c->hop.at.host));
		c->hop.at.v6 = false;
		c->hop.at.port = c->dport;
	}
	return true;
}

/*
 * An upgrade is between two neighbours (RFC 9110 7.8).  A proxy would be asked
 * itself, and could then be asked for anything, past our rules: it gets only
 * the one that proxies pass on.
 */
static bool
may_upgrade(const struct conn *c, const struct head *h)
{
	const struct head_field *f;
	bool asked = false;

	if (!h->has[NAME_UPGRADE])
		return false;
	for (f = h->field; f < h->field + h->nfield; f++) {
		if (f->id != NAME_UPGRADE)
			continue;
		asked = true;
		if (c->hop.via && !span_is(f->value, "websocket"))
			return false;
	}
	return asked && h->upgrade;
}

/* TRACE is answered with what was asked: it has nothing to hide. */
static const char *
proxy_auth(const struct conn *c)
{
	if (strcmp(c->method, "TRACE") == 0)
		return "";
	return c->conf->proxy[c->which].auth;
}

/* Builds what leaves; -1: refused. */
static int
build_request(struct conn *c, const struct head *h, const struct target *t)
{
	struct wr w = wr_init(c->p->scratch, sizeof(c->p->scratch));
	const char *auth = c->conf->proxy[c->which].auth;
	const struct rewrite rw = {
		.head = h,
		.target = t,
		.host = &c->host,
		.via = c->hop.via,
		.auth = proxy_auth(c),
		.keep_auth = c->hop.via && !c->transparent && *auth == '\0',
		.upgrade = c->upgrade,
		.close = c->old,
	};

	free(c->head);
	c->head = NULL;
	if (rewrite_request(&w, &rw) == -1 ||
	    (c->head = malloc(w.len)) == NULL) {
		conn_error(c, 431, "the request is too long");
		return -1;
	}
	memcpy(c->head, w.p, w.len);
	c->headlen = w.len;
	return 0;
}

static void
take_head(struct conn *c, size_t len)
{
	struct proxyd *p = c->p;
	struct head *h = &p->request;
	struct target *t = &p->target;
	const char *why;

	if (head_parse(sock_bytes(&c->guest), len, HEAD_REQUEST, h, &why) ==
		-1 ||
	    target_parse(h, t, &why) == -1) {
		refuse_head(c, why);
		return;
	}
	stats_inc(&p->d->stats, PROXYS_REQUESTS);
	note_method(c, h);
	c->answered = c->responding = false;
	c->interims = 0;
	if (!find_host(c, h, t) || !find_hop(c))
		return;
	c->upgrade = may_upgrade(c, h);
	if (build_request(c, h, t) == -1)
		return;
	body_init(&c->req.body, h->framing, h->length);
	sock_consume(&c->guest, len);
	memset(&c->scan, 0, sizeof(c->scan));
	up_start(c, false);
}

void
http_head(struct conn *c)
{
	struct sock *g = &c->guest;
	bool had = sock_unread(g) > 0;
	const char *why;
	ssize_t n;

	c->method[0] = '\0';
	for (;;) {
		n = -2;
		if (skip_empty(c) && sock_unread(g) > 0)
			n = head_scan(
			    &c->scan, sock_bytes(g), sock_unread(g), &why);
		if (n > 0) {
			take_head(c, (size_t)n);
			return;
		}
		c->responding = false;
		if (n == -1) {
			refuse_head(c, why);
			return;
		}
		/* Its end may have been seen during the request before. */
		if (!sock_fill(g) && !g->broken && !g->eof)
			break;
		if (g->broken || g->eof) {
			conn_drain(c);
			return;
		}
	}
	sock_want(g, true, false);
	/* From its first byte on, a head has less time. */
	if (!had && sock_unread(g) > 0)
		conn_set(c, CONN_HEAD);
}

/*
 * The response.
 */

void
http_begin(struct conn *c)
{
	struct up *u = c->up;
	struct body body = c->req.body;

	if (c->connect && !c->hop.via) {
		static const char ok[] = "HTTP/1.1 200 OK\r\n\r\n";

		sock_put(&c->guest, ok, sizeof(ok) - 1);
		conn_tunnel(c);
		return;
	}
	if (sock_put(&u->s, c->head, c->headlen) == -1) {
		conn_set(c, CONN_DEAD);
		return;
	}
	if (!u->reused) {
		free(c->head);
		c->head = NULL;
	}
	dir_init(&c->req, &c->guest, &u->s, FRAMING_NONE, 0);
	c->req.body = body;
	memset(&c->upscan, 0, sizeof(c->upscan));
	conn_set(c, CONN_EXCHANGE);
}

/* It ended before it answered. */
void
http_up_failed(struct conn *c)
{
	bool again = c->up->reused && !c->answered;
	char host[TARGET_HOSTMAX + 1];

	strlcpy(host, c->hop.at.host, sizeof(host));
	if (again && c->retriable && c->head != NULL) {
		stats_inc(&c->p->d->stats, PROXYS_RETRIED);
		up_free(c->up);
		up_start(c, true);
		return;
	}
	if (again) {
		/* The guest chose to send this on a connection that is old. */
		conn_drain(c);
		return;
	}
	stats_inc(&c->p->d->stats, PROXYS_BAD_RESPONSE);
	conn_error(c, 502, "%s closed the connection without an answer", host);
}

static void
bad_response(struct conn *c, const char *why)
{
	unsigned missed;

	stats_inc(&c->p->d->stats, PROXYS_BAD_RESPONSE);
	if (log_rate_ok(&c->p->refused_log, usec_now(c->p->d->loop), &missed))
		log_info("VM %u: a response of %s has %s", (unsigned)c->vm->num,
		    c->hop.at.host, why);
	conn_error(c, 502, "the response has %s", why);
}

/* Whether a list of challenges has one whose scheme begins like this. */
static bool
challenges(struct span list, const char *with)
{
	size_t i, n = strlen(with);
	bool first = true; /* of an item, but for blanks */

	for (i = 0; i + n <= list.len; i++) {
		if (first && strncasecmp(list.p + i, with, n) == 0)
			return true;
		first = list.p[i] == ',' ||
			(first && (list.p[i] == ' ' || list.p[i] == '\t'));
	}
	return false;
}

/* NTLM and the like authenticate a connection and not a request. */
static bool
pins(const struct head *h)
{
	const struct head_field *f;

	if (!h->has[NAME_WWW_AUTHENTICATE] && !h->has[NAME_PROXY_AUTHENTICATE])
		return false;
	for (f = h->field; f < h->field + h->nfield; f++) {
		if ((f->id == NAME_WWW_AUTHENTICATE ||
			f->id == NAME_PROXY_AUTHENTICATE) &&
		    (challenges(f->value, "nego") ||
			challenges(f->value, "ntlm")))
			return true;
	}
	return false;
}

static void
note_response(struct conn *c, const struct head *h, enum framing framing)
{
	bool stays = h->minor == 0 ? h->keep_alive : !h->close;
	unsigned missed;

	c->keep_up = stays && framing != FRAMING_EOF && !c->old;
	if (framing == FRAMING_EOF || !c->req.body.done || c->guest.eof)
		c->keep_guest = false;
	c->up->pinned |= pins(h);
	if (h->status == 407 && c->hop.via && *proxy_auth(c) != '\0' &&
	    log_rate_ok(&c->p->auth_log, usec_now(c->p->d->loop), &missed))
		log_warnx("the proxy %s does not accept our credentials",
		    c->hop.at.host);
}

/* 0: the head has left for the guest; -1: it was no good. */
static int
send_head(struct conn *c, const struct head *h, bool close)
{
	struct wr w = wr_init(c->p->scratch, sizeof(c->p->scratch));

	if (rewrite_response(&w, h, close, c->old && !close) == -1 ||
	    sock_put(&c->guest, w.p, w.len) == -1) {
		bad_response(c, "a head that is too long");
		return -1;
	}
	return 0;
}

/* An interim response, RFC 9110 15.2; 101 ends HTTP here. */
static void
interim(struct conn *c, const struct head *h)
{
	if (h->status == 101 && !c->upgrade) {
		bad_response(c, "an upgrade that nobody asked for");
		return;
	}
	if (++c->interims > PROXYD_INTERIMS) {
		bad_response(c, "too many interim responses before it");
		return;
	}
	/* HTTP/1.0 knows of none. */
	if (c->old || send_head(c, h, false) == -1 || h->status != 101)
		return;
	conn_tunnel(c);
}

static void
final(struct conn *c, const struct head *h)
{
	struct span method = { c->method, strlen(c->method) };
	enum framing framing = head_response_framing(h, method);

	if (c->connect && h->status >= 200 && h->status < 300) {
		if (send_head(c, h, false) == 0)
			conn_tunnel(c);
		return;
	}
	if (c->old && framing == FRAMING_CHUNKED) {
		bad_response(c, "chunks, which HTTP/1.0 does not know");
		return;
	}
	note_response(c, h, framing);
	if (send_head(c, h, !c->keep_guest) == -1)
		return;
	c->responding = true;
	c->hold = HOLD_NONE;
	dir_init(&c->res, &c->up->s, &c->guest, framing, h->length);
}

/* Heads of the response as they come.  True: the state may have changed. */
static bool
response_head(struct conn *c)
{
	struct sock *s = &c->up->s;
	struct head *h = &c->p->response;
	const char *why;
	ssize_t n = -2;

	if (sock_unread(s) > 0)
		n = head_scan(&c->upscan, sock_bytes(s), sock_unread(s), &why);
	if (n == -2) {
		if (!sock_fill(s))
			return false;
		if (sock_unread(s) == 0 || s->eof || s->broken)
			http_up_failed(c);
		return true;
	}
	c->answered = true;
	free(c->head);
	c->head = NULL;
	if (n == -1 || head_parse(sock_bytes(s), (size_t)n, HEAD_RESPONSE, h,
			   &why) == -1) {
		bad_response(c, why);
		return true;
	}
	memset(&c->upscan, 0, sizeof(c->upscan));
	if (h->status < 200)
		interim(c, h);
	else
		final(c, h);
	/* What the head points to is in the block. */
	if (c->up != NULL)
		sock_consume(s, (size_t)n);
	return true;
}

/* The request is answered: the next one, or the end. */
static void
finished(struct conn *c)
{
	if (!c->req.body.done || c->req.ready > 0)
		c->keep_guest = c->keep_up = false;
	if (c->keep_up)
		up_release(c);
	else
		up_free(c->up);
	if (!c->keep_guest) {
		conn_drain(c);
		return;
	}
	c->responding = false;
	conn_set(c, CONN_HEAD);
	sock_want(&c->guest, true, false);
}

static void
response_body(struct conn *c)
{
	if (hold_head(c)) {
		ev_io_start(c->p->d->loop, &c->up->s.rd);
		return;
	}
	switch (dir_pump(&c->res)) {
	case PUMP_WAIT:
		dir_watch(&c->res);
		break;
	case PUMP_DONE:
		finished(c);
		break;
	case PUMP_BAD:
		stats_inc(&c->p->d->stats, PROXYS_BAD_RESPONSE);
		conn_set(c, CONN_DEAD);
		break;
	case PUMP_CUT:
	case PUMP_BROKEN:
		conn_set(c, CONN_DEAD);
		break;
	}
}

/* A body of the guest's that is malformed or cut is nobody's request. */
static void
request_bad(struct conn *c, enum pump why)
{
	if (why == PUMP_BAD) {
		stats_inc(&c->p->d->stats, PROXYS_BAD_BODY);
		conn_error(c, 400, "the request has a malformed body");
		return;
	}
	conn_set(c, CONN_DEAD);
}

/* Whether the guest is still there; more of a pipeline may come. */
static void
watch_guest(struct conn *c)
{
	struct sock *g = &c->guest;

	if (sock_unread(g) == 0)
		sock_fill(g);
	if (g->broken || (g->eof && sock_hungup(g))) {
		conn_set(c, CONN_DEAD);
		return;
	}
	if (sock_unread(g) == 0 && !g->eof)
		ev_io_start(c->p->d->loop, &g->rd);
	else
		ev_io_stop(c->p->d->loop, &g->rd);
}

static void
request_body(struct conn *c)
{
	enum pump r = dir_pump(&c->req);

	switch (r) {
	case PUMP_WAIT:
		dir_watch(&c->req);
		break;
	case PUMP_DONE:
		ev_io_stop(c->p->d->loop, &c->up->s.wr);
		watch_guest(c);
		break;
	case PUMP_BAD:
	case PUMP_CUT:
		request_bad(c, r);
		break;
	case PUMP_BROKEN:
		/* It may have answered before it stopped listening. */
		ev_io_stop(c->p->d->loop, &c->guest.rd);
		ev_io_stop(c->p->d->loop, &c->up->s.wr);
		c->up->s.readable = true;
		c->up->s.broken = false;
		c->up->s.shut = true;
		break;
	}
}

/* True when all interim responses have left; until then no more are read. */
static bool
flush_guest(struct conn *c)
{
	size_t sent;
	int r = sock_send(&c->guest, NULL, 0, &sent);

	if (r == -1)
		conn_set(c, CONN_DEAD);
	else if (r == 0)
		ev_io_start(c->p->d->loop, &c->guest.wr);
	else
		ev_io_stop(c->p->d->loop, &c->guest.wr);
	return r == 1;
}

void
http_exchange(struct conn *c)
{
	if (!c->up->s.shut || !c->req.body.done)
		request_body(c);
	while (c->state == CONN_EXCHANGE && !c->responding && flush_guest(c) &&
	       response_head(c))
		continue;
	if (c->state != CONN_EXCHANGE)
		return;
	if (c->responding)
		response_body(c);
	else if (c->guest.out == NULL)
		ev_io_start(c->p->d->loop, &c->up->s.rd);
	else
		ev_io_stop(c->p->d->loop, &c->up->s.rd);
}
