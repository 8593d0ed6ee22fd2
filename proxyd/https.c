/*
 * Intercepted TLS: the name the client asks for decides where it goes.  The
 * bytes themselves go through untouched.
 */

#include <stdio.h>
#include <string.h>

#include <bsd/string.h>

#include "proxyd/proxyd.h"

/* To where the guest wanted to go. */
void
https_direct(struct conn *c)
{
	struct ipaddr dst = ipaddr_from_u32(c->dst);
	char text[IPADDR_STRLEN];

	c->job = JOB_DIRECT;
	memset(&c->hop, 0, sizeof(c->hop));
	strlcpy(c->hop.at.host, ipaddr_str(&dst, text), sizeof(c->hop.at.host));
	c->hop.at.port = c->dport;
	up_start(c, true);
}

/* name is "" where the client gave none. */
static void
route(struct conn *c, const char *name)
{
	const struct pconf *conf = c->conf;
	struct ipaddr dst = ipaddr_from_u32(c->dst);
	char text[IPADDR_STRLEN];

	memset(&c->host, 0, sizeof(c->host));
	strlcpy(c->host.host, *name != '\0' ? name : ipaddr_str(&dst, text),
	    sizeof(c->host.host));
	c->host.port = c->dport;
	if (conf->allow_enabled && !match_host(&conf->allow, c->host.host)) {
		stats_inc(&c->p->d->stats, PROXYS_FORBIDDEN);
		conn_set(c, CONN_DEAD);
		return;
	}
	memset(&c->hop, 0, sizeof(c->hop));
	if (match_host(&conf->exclude, c->host.host) ||
	    match_addr(&conf->exclude, &dst)) {
		if (!conf->allow_enabled) {
			https_direct(c);
			return;
		}
		/* What is allowed is the name, not any address. */
		c->job = JOB_DIRECT;
		c->hop.at = c->host;
		up_start(c, true);
		return;
	}
	c->job = JOB_VIA;
	c->hop.via = true;
	c->hop.which = WHICH_HTTPS;
	c->hop.at = conf->proxy[WHICH_HTTPS].at;
	up_start(c, true);
}

void
https_hello(struct conn *c, bool timeout)
{
	struct sock *g = &c->guest;
	char name[HELLO_NAMEMAX + 1] = "";
	int r = -2;

	while (r == -2) {
		if (sock_unread(g) > 0)
			r = hello_parse(sock_bytes(g), sock_unread(g), name);
		if (r != -2 || !sock_fill(g))
			break;
		if (g->broken || (g->eof && sock_unread(g) == 0)) {
			conn_set(c, CONN_DEAD);
			return;
		}
	}
	if (r == -2 && !timeout && !g->eof && sock_unread(g) < HELLO_MAX)
		return;
	if (r == -1) {
		stats_inc(&c->p->d->stats, PROXYS_BAD_HELLO);
		conn_set(c, CONN_DEAD);
		return;
	}
	route(c, r == 1 ? name : "");
}

/* The upstream is there. */
void
https_begin(struct conn *c)
{
	struct wr w = wr_init(c->p->scratch, sizeof(c->p->scratch));
	size_t sent;

	if (c->job == JOB_DIRECT) {
		conn_tunnel(c);
		return;
	}
	if (rewrite_connect(&w, &c->host, c->conf->proxy[WHICH_HTTPS].auth) ==
		-1 ||
	    sock_put(&c->up->s, w.p, w.len) == -1 ||
	    sock_send(&c->up->s, NULL, 0, &sent) == -1) {
		conn_set(c, CONN_DEAD);
		return;
	}
	memset(&c->upscan, 0, sizeof(c->upscan));
	conn_set(c, CONN_VIA);
}

static void
answered(struct conn *c, size_t len)
{
	struct sock *s = &c->up->s;
	struct head *h = &c->p->response;
	const char *why;
	unsigned missed;

	if (head_parse(sock_bytes(s), len, HEAD_RESPONSE, h, &why) == -1) {
		stats_inc(&c->p->d->stats, PROXYS_BAD_RESPONSE);
		conn_set(c, CONN_DEAD);
		return;
	}
	sock_consume(s, len);
	memset(&c->upscan, 0, sizeof(c->upscan));
	if (h->status < 200 && ++c->interims <= PROXYD_INTERIMS)
		return;
	if (h->status >= 200 && h->status < 300) {
		conn_tunnel(c);
		return;
	}
	stats_inc(&c->p->d->stats, PROXYS_CONNECT_REFUSED);
	if (log_rate_ok(&c->p->refused_log, usec_now(c->p->d->loop), &missed))
		log_info("VM %u: the proxy %s answered CONNECT %s:%u with %u",
		    (unsigned)c->vm->num, c->hop.at.host, c->host.host,
		    (unsigned)c->host.port, h->status);
	conn_set(c, CONN_DEAD);
}

/* The proxy's answer to our CONNECT. */
void
https_via(struct conn *c)
{
	struct sock *s = &c->up->s;
	const char *why;
	size_t sent;
	ssize_t n;
	int r = sock_send(s, NULL, 0, &sent);

	while (c->state == CONN_VIA) {
		n = -2;
		if (sock_unread(s) > 0)
			n = head_scan(
			    &c->upscan, sock_bytes(s), sock_unread(s), &why);
		if (n > 0) {
			answered(c, (size_t)n);
			continue;
		}
		if (n == -2 && !sock_fill(s))
			break;
		if (n == -1 || s->broken || s->eof) {
			stats_inc(&c->p->d->stats, PROXYS_BAD_RESPONSE);
			conn_set(c, CONN_DEAD);
		}
	}
	if (c->state != CONN_VIA)
		return;
	sock_want(s, true, r == 0);
	conn_wait(c);
}

/* There is none. */
void
https_late(struct conn *c)
{
	char what[2 * TARGET_HOSTMAX + 64];

	snprintf(what, sizeof(what),
	    "the proxy %s did not answer CONNECT %s:%u in time", c->hop.at.host,
	    c->host.host, (unsigned)c->host.port);
	conn_failed(c, 503, what);
}
