/*
 * One query.  The names of the suite are answered at once.  All others are
 * asked of the server that answered last; after a second, or at once when it
 * cannot be reached, of the next one, five times in all.  Every attempt stays
 * open until one of them is answered: a slow server is not a dead one.
 */

#include <stdlib.h>
#include <string.h>

#include "dnsd/dnsd.h"

#define LOCAL_MAXMSG 2048 /* 64 A records of 16 bytes and a question */

static void
answer_local(struct client *c, const uint8_t *origin, struct rd msg,
    const struct query *q, const struct query_reply *a)
{
	uint8_t out[LOCAL_MAXMSG];
	size_t len;

	len = query_build(msg, q, a, out, sizeof(out));
	if (len == 0) {
		stats_inc(&c->d->d->stats, DNSS_MALFORMED);
		return;
	}
	client_answer(c, origin, out, len);
}

static void
answer_error(struct client *c, const uint8_t *origin, struct rd msg,
    const struct query *q, enum dns_rcode rcode)
{
	struct query_reply a = { .rcode = rcode, .max = DNS_UDPMAX };

	answer_local(c, origin, msg, q, &a);
}

/* False: not a name of ours, or of a type we know nothing of. */
static bool
answer_builtin(struct client *c, const uint8_t *origin, struct rd msg,
    const struct query *q)
{
	uint32_t ip[DNS_MAXIPS];
	struct query_reply a = { .ip = ip,
		.max = c->tcp ? DNS_MAXMSG : DNS_UDPMAX };

	if (q->class != DNS_CLASS_IN ||
	    (q->type != DNS_TYPE_A && q->type != DNS_TYPE_AAAA))
		return false;
	a.nip = names_find(&c->d->names, q->name, q->namelen, ip, nitems(ip));
	if (a.nip == 0)
		return false;
	if (q->type == DNS_TYPE_AAAA) {
		a.nip = 0;
		a.rcode = DNS_NXDOMAIN;
	}
	stats_inc(&c->d->d->stats, DNSS_LOCAL);
	answer_local(c, origin, msg, q, &a);
	return true;
}

void
lookup_free(struct lookup *l)
{
	struct dnsd *d = l->d;
	unsigned i;

	for (i = 0; i < l->nattempt; i++)
		upstream_cancel(&l->attempt[i]);
	ev_timer_stop(d->d->loop, &l->timer);
	LIST_REMOVE(l, entry);
	stats_set(&d->d->stats, DNSS_INFLIGHT, --d->nlookup);
	client_lookup_done(l->client);
	free(l);
}

static void
put_id(uint8_t *msg, uint16_t id)
{
	msg[0] = (uint8_t)(id >> 8);
	msg[1] = (uint8_t)id;
}

static void
lookup_fail(struct lookup *l)
{
	/* The last attempt's is there. */
	put_id(l->msg + 2, l->q.id);
	stats_inc(&l->d->d->stats, DNSS_SERVFAIL);
	answer_error(l->client, l->origin, rd_init(l->msg + 2, l->len), &l->q,
	    DNS_SERVFAIL);
	lookup_free(l);
}

static bool
lookup_pending(const struct lookup *l)
{
	unsigned i;

	for (i = 0; i < l->nattempt; i++)
		if (l->attempt[i].server != NULL)
			return true;
	return false;
}

/* Later queries begin with another server. */
static void
server_failed(struct dnsd *d, struct server *s)
{
	if (s->num == d->current)
		d->current = (d->current + 1) % d->nserver;
	upstream_flush(s);
}

/* The next attempt.  The lookup is gone when there is nothing left to try. */
static void
lookup_next(struct lookup *l)
{
	struct dnsd *d = l->d;
	struct attempt *a;
	struct server *s;

	while (l->nattempt < DNSD_MAXATTEMPTS && d->nserver > 0) {
		if (l->nattempt > 0)
			stats_inc(&d->d->stats, DNSS_RETRIES);
		s = &d->server[l->next_server++ % d->nserver];
		a = &l->attempt[l->nattempt++];
		a->lookup = l;
		a->fd = -1;
		if (upstream_ask(s, a) == 0)
			return;
		server_failed(d, s);
	}
	if (!lookup_pending(l))
		lookup_fail(l);
}

static void
lookup_tick(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct lookup *l = w->data;
	unsigned i;

	if (++l->ticks >= DNSD_MAXATTEMPTS) {
		lookup_fail(l);
		return;
	}
	for (i = 0; i < l->nattempt; i++)
		if (l->attempt[i].server != NULL)
			server_failed(l->d, l->attempt[i].server);
	lookup_next(l);
}

void
lookup_attempt_failed(struct lookup *l, struct attempt *a)
{
	struct server *s = a->server;

	upstream_cancel(a);
	server_failed(l->d, s);
	if (!lookup_pending(l))
		lookup_next(l);
}

void
lookup_answer(struct lookup *l, struct attempt *a, uint8_t *msg, size_t len)
{
	put_id(msg, l->q.id);
	stats_inc(&l->d->d->stats, DNSS_RELAYED);
	client_answer(l->client, l->origin, msg, len);
	lookup_free(l);
}

/* Counts and logs what is over a limit. */
static bool
lookup_allowed(struct client *c)
{
	struct dnsd *d = c->d;
	unsigned missed;

	if (c->guest->nlookup < DNSD_VMLOOKUPS && d->nlookup < d->maxlookup)
		return true;
	if (c->guest->nlookup >= DNSD_VMLOOKUPS)
		stats_inc(&d->d->stats, DNSS_LIMIT_VM);
	else
		stats_inc(&d->d->stats, DNSS_LIMIT_ALL);
	if (log_rate_ok(&d->limit_log, usec_now(d->d->loop), &missed))
		log_warnx("VM %u: too many queries at once (%u more times)",
		    ipc_vm(c->guest->link), missed);
	return false;
}

static struct lookup *
lookup_new(struct client *c, const uint8_t *origin, struct rd msg)
{
	struct dnsd *d = c->d;
	struct lookup *l;

	if ((l = malloc(sizeof(*l) + 2 + msg.len)) == NULL)
		return NULL;
	memset(l, 0, sizeof(*l));
	l->d = d;
	l->client = c;
	if (origin != NULL)
		memcpy(l->origin, origin, ORIGIN_LEN);
	l->len = msg.len;
	l->msg[0] = (uint8_t)(msg.len >> 8);
	l->msg[1] = (uint8_t)msg.len;
	memcpy(l->msg + 2, msg.p, msg.len);
	(void)query_parse(rd_init(l->msg + 2, msg.len), &l->q);
	l->next_server = d->current;
	ev_timer_init(&l->timer, lookup_tick, DNSD_RETRY_SEC, DNSD_RETRY_SEC);
	l->timer.data = l;
	ev_timer_start(d->d->loop, &l->timer);
	LIST_INSERT_HEAD(&c->lookups, l, entry);
	c->guest->nlookup++;
	if (c->tcp)
		c->nlookup++;
	stats_set(&d->d->stats, DNSS_INFLIGHT, ++d->nlookup);
	return l;
}

void
lookup_start(
    struct client *c, const uint8_t *origin, const uint8_t *p, size_t len)
{
	struct dnsd *d = c->d;
	struct rd msg = rd_init(p, len);
	struct lookup *l;
	struct query q;

	if (len > DNSD_MAXQUERY || query_parse(msg, &q) == -1) {
		stats_inc(&d->d->stats, DNSS_MALFORMED);
		return;
	}
	if (q.opcode != DNS_OPCODE_QUERY) {
		answer_error(c, origin, msg, &q, DNS_NOTIMP);
		return;
	}
	if (answer_builtin(c, origin, msg, &q))
		return;
	if (d->nserver == 0) {
		stats_inc(&d->d->stats, DNSS_NO_SERVER);
		answer_error(c, origin, msg, &q, DNS_SERVFAIL);
		return;
	}
	if (!lookup_allowed(c) || (l = lookup_new(c, origin, msg)) == NULL)
		return;
	lookup_next(l);
}

static void
lookups_each(struct dnsd *d, void (*fn)(struct lookup *))
{
	struct lookup *l, *next;
	struct guest *g;
	struct client *c;

	LIST_FOREACH (g, &d->guests, entry) {
		LIST_FOREACH (c, &g->clients, entry) {
			LIST_FOREACH_SAFE(l, &c->lookups, entry, next)
			fn(l);
		}
	}
}

static void
lookup_cancel(struct lookup *l)
{
	unsigned i;

	for (i = 0; i < l->nattempt; i++)
		upstream_cancel(&l->attempt[i]);
	l->nattempt = 0;
}

static void
lookup_restart(struct lookup *l)
{
	l->next_server = l->d->current;
	l->ticks = 0;
	lookup_next(l);
}

void
lookups_cancel(struct dnsd *d)
{
	lookups_each(d, lookup_cancel);
}

void
lookups_restart(struct dnsd *d)
{
	lookups_each(d, lookup_restart);
}
