/*
 * One query: the names of the suite, the hosts file, what was answered before,
 * and only then the servers.
 */

#include <stdlib.h>
#include <string.h>

#include "dnsd/dnsd.h"

#define UDP_MOST  65000 /* of an answer, whatever the guest says it takes */
#define STALE_TTL 30	/* RFC 8767 4 */

static void
answer_build(struct client *c, const uint8_t *origin, struct rd msg,
    const struct query *q, const struct query_reply *a, const struct lookup *l,
    const char *by)
{
	struct dnsd *d = c->d;
	struct msg_head h;
	size_t len;

	len = query_build(msg, q, a, d->out, sizeof(d->out));
	if (len == 0 || msg_head(rd_init(d->out, len), &h) == -1) {
		stats_inc(&d->d->stats, DNSS_MALFORMED);
		return;
	}
	if (!c->tcp)
		len = msg_cut(d->out, len, &h, q->udp_size);
	records_answer(c, l, by, d->out, len);
	client_answer(c, origin, d->out, len);
}

static void
answer_error(struct client *c, const uint8_t *origin, struct rd msg,
    const struct query *q, enum dns_rcode rcode, enum dns_ede ede,
    const char *text, const struct lookup *l)
{
	struct query_reply a = { .rcode = rcode, .ede = ede, .text = text };

	answer_build(c, origin, msg, q, &a, l, text != NULL ? text : "refused");
}

/*
 * False: not a name of ours, or of a type we know nothing of.  A name that has
 * addresses, but none of this family, exists all the same: NOERROR.
 */
static bool
answer_local(struct client *c, const uint8_t *origin, struct rd msg,
    const struct query *q)
{
	const struct msg_head *h = &q->head;
	uint8_t family = h->type == DNS_TYPE_A ? 4 : 6;
	struct query_reply a = { .ede = DNS_EDE_NONE };
	struct ipaddr ip[DNS_MAXIPS];
	struct dnsd *d = c->d;

	if (h->class != DNS_CLASS_IN ||
	    (h->type != DNS_TYPE_A && h->type != DNS_TYPE_AAAA))
		return false;
	/* Of a hosts file the first line with a name is the one that counts. */
	if (!names_find(d->names, h->name, h->namelen, family, ip, nitems(ip),
		&a.nip) &&
	    !names_find(d->hosts, h->name, h->namelen, family, ip, 1, &a.nip))
		return false;
	a.ip = ip;
	stats_inc(&d->d->stats, DNSS_LOCAL);
	answer_build(c, origin, msg, q, &a, NULL, "here");
	return true;
}

/* Gives an answer back its guest's id and letters, and fits it in. */
static void
answer_whole(struct client *c, const uint8_t *origin, const struct query *q,
    uint8_t *msg, size_t len, const struct lookup *l, const char *by)
{
	size_t max = q->udp_size < UDP_MOST ? q->udp_size : UDP_MOST;
	struct msg_head h;

	if (msg_head(rd_init(msg, len), &h) == -1)
		return;
	msg_put_id(msg, q->head.id);
	if (q->plain)
		msg_set_case(msg, len, &h, q->head.name, q->head.namelen);
	if (!c->tcp && len > max) {
		stats_inc(&c->d->d->stats, DNSS_TRUNCATED);
		len = msg_cut(msg, len, &h, max);
	}
	records_answer(c, l, by, msg, len);
	client_answer(c, origin, msg, len);
}

/* A copy of what is kept, as old as it is by now. */
static bool
answer_cached(struct client *c, const uint8_t *origin, const struct query *q,
    bool stale, const struct lookup *l)
{
	struct dnsd *d = c->d;
	struct cache_answer a;
	struct msg_head h;
	size_t len;

	if (!q->plain || !cache_get(d->cache, usec_now(d->d->loop), q, &a) ||
	    (a.stale && !stale))
		return false;
	len = a.len;
	memcpy(d->out, a.msg, len);
	if (msg_head(rd_init(d->out, len), &h) == -1)
		return false;
	msg_age(d->out, len, &h, a.age, a.stale ? STALE_TTL : 0);
	if (a.stale)
		len = msg_add_ede(d->out, len, sizeof(d->out), &h,
		    (h.flags & 15) == DNS_NXDOMAIN ? DNS_EDE_STALE_NXDOMAIN
						   : DNS_EDE_STALE,
		    "no server answered");
	stats_inc(&d->d->stats, a.stale ? DNSS_STALE : DNSS_HITS);
	answer_whole(
	    c, origin, q, d->out, len, l, a.stale ? "cache, stale" : "cache");
	return true;
}

/* Out of the hands of its guest. */
static void
lookup_unlink(struct lookup *l)
{
	LIST_REMOVE(l, entry);
	if (l->client != NULL)
		client_lookup_done(l->client);
	l->client = NULL;
}

void
lookup_free(struct lookup *l)
{
	struct dnsd *d = l->d;

	race_cancel(l);
	ev_timer_stop(d->d->loop, &l->timer);
	lookup_unlink(l);
	stats_set(&d->d->stats, DNSS_INFLIGHT, --d->nlookup);
	free(l);
}

static void
lookup_end(struct lookup *l)
{
	if (!race_linger(l)) {
		lookup_free(l);
		return;
	}
	lookup_unlink(l);
	LIST_INSERT_HEAD(&l->d->ghosts, l, entry);
}

static void
lookup_keep(struct lookup *l, const uint8_t *msg, size_t len)
{
	struct dnsd *d = l->d;
	struct msg_facts f;
	struct msg_head h;

	if (!l->q.plain || msg_head(rd_init(msg, len), &h) == -1 ||
	    msg_facts(rd_init(msg, len), &h, &f) == -1 || !f.cacheable)
		return;
	(void)cache_put(d->cache, usec_now(d->d->loop), &l->q, msg, len, f.ttl);
	stats_set(&d->d->stats, DNSS_CACHED, cache_count(d->cache));
}

void
lookup_finish(struct lookup *l, uint8_t *msg, size_t len)
{
	unsigned rcode = msg[3] & 15;

	if ((rcode == DNS_SERVFAIL || rcode == DNS_REFUSED) &&
	    answer_cached(l->client, l->origin, &l->q, true, l)) {
		lookup_end(l);
		return;
	}
	stats_inc(&l->d->d->stats, DNSS_RELAYED);
	lookup_keep(l, msg, len);
	answer_whole(l->client, l->origin, &l->q, msg, len, l, NULL);
	lookup_end(l);
}

void
lookup_fail(struct lookup *l)
{
	if (!answer_cached(l->client, l->origin, &l->q, true, l)) {
		stats_inc(&l->d->d->stats, DNSS_SERVFAIL);
		answer_error(l->client, l->origin, rd_init(l->msg, l->len),
		    &l->q, DNS_SERVFAIL,
		    l->failed ? DNS_EDE_NETWORK : DNS_EDE_NO_REACHABLE,
		    l->failed ? "no server can be reached"
			      : "no server answered",
		    l);
	}
	lookup_end(l);
}

/* So many a second, after a pause more. */
static bool
rate_allowed(struct guest *g, usec_t now)
{
	usec_t gained = (now - g->refilled) * DNSD_VMRATE / USEC_SEC;

	if (gained > 0) {
		g->tokens = gained < DNSD_VMBURST - g->tokens
				? g->tokens + gained
				: DNSD_VMBURST;
		g->refilled = now;
	}
	if (g->tokens == 0)
		return false;
	g->tokens--;
	return true;
}

/* Counts and logs what is over a limit. */
static bool
over_limit(struct client *c, enum dnsd_stat which)
{
	struct dnsd *d = c->d;
	unsigned missed;

	stats_inc(&d->d->stats, which);
	if (log_rate_ok(&d->limit_log, usec_now(d->d->loop), &missed))
		log_warnx("VM %u: too many queries (%u more times)",
		    ipc_vm(c->guest->link), missed);
	return true;
}

/*
 * Where descriptors are few, one guest may have as much as it leaves to the
 * others, and so on: there is always something left for the next one.
 */
static bool
over_share(const struct client *c)
{
	const struct dnsd *d = c->d;
	size_t n = c->guest->nlookup;

	return n >= DNSD_VMLOOKUPS ||
	       (d->nlookup < d->maxlookup && n >= d->maxlookup - d->nlookup);
}

static struct lookup *
lookup_new(struct client *c, const uint8_t *origin, struct rd msg)
{
	struct dnsd *d = c->d;
	struct lookup *l;
	size_t i;

	if ((l = malloc(sizeof(*l) + msg.len)) == NULL)
		return NULL;
	memset(l, 0, offsetof(struct lookup, attempt));
	for (i = 0; i < nitems(l->attempt); i++)
		l->attempt[i].server = NULL;
	l->rank = RANK_NONE;
	l->best = NULL;
	l->d = d;
	l->client = c;
	if (origin != NULL)
		memcpy(l->origin, origin, ORIGIN_LEN);
	l->len = msg.len;
	memcpy(l->msg, msg.p, msg.len);
	(void)query_parse(rd_init(l->msg, msg.len), &l->q);
	ev_init(&l->timer, race_timer);
	ev_set_priority(&l->timer, TIMER_LATE);
	l->timer.data = l;
	LIST_INSERT_HEAD(&c->lookups, l, entry);
	c->guest->nlookup++;
	if (c->tcp)
		c->nlookup++;
	stats_set(&d->d->stats, DNSS_INFLIGHT, ++d->nlookup);
	return l;
}

/* What we do not do, or cannot; true: it is answered. */
static bool
answer_refused(struct client *c, const uint8_t *origin, struct rd msg,
    const struct query *q)
{
	uint16_t type = q->head.type;

	if (q->opcode != DNS_OPCODE_QUERY)
		answer_error(
		    c, origin, msg, q, DNS_NOTIMP, DNS_EDE_NONE, NULL, NULL);
	else if (type == DNS_TYPE_AXFR || type == DNS_TYPE_IXFR)
		answer_error(c, origin, msg, q, DNS_NOTIMP,
		    DNS_EDE_NOT_SUPPORTED, "no transfers of zones", NULL);
	else
		return false;
	return true;
}

void
lookup_start(
    struct client *c, const uint8_t *origin, const uint8_t *p, size_t len)
{
	struct dnsd *d = c->d;
	struct rd msg = rd_init(p, len);
	struct lookup *l;
	struct query q;

	if (!rate_allowed(c->guest, usec_now(d->d->loop))) {
		over_limit(c, DNSS_LIMIT_RATE);
		return;
	}
	if (len > DNSD_MAXQUERY || query_parse(msg, &q) == -1) {
		stats_inc(&d->d->stats, DNSS_MALFORMED);
		return;
	}
	if (answer_refused(c, origin, msg, &q) ||
	    answer_local(c, origin, msg, &q) ||
	    answer_cached(c, origin, &q, d->route.n == 0, NULL))
		return;
	if (d->route.n == 0) {
		stats_inc(&d->d->stats, DNSS_NO_SERVER);
		answer_error(c, origin, msg, &q, DNS_SERVFAIL,
		    DNS_EDE_NOT_READY, "no server is configured", NULL);
		return;
	}
	if (over_share(c))
		over_limit(c, DNSS_LIMIT_VM);
	else if (d->nlookup >= d->maxlookup)
		over_limit(c, DNSS_LIMIT_ALL);
	else if ((l = lookup_new(c, origin, msg)) != NULL)
		race_start(l);
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

void
lookups_cancel(struct dnsd *d)
{
	while (!LIST_EMPTY(&d->ghosts))
		lookup_free(LIST_FIRST(&d->ghosts));
	lookups_each(d, race_cancel);
}

void
lookups_restart(struct dnsd *d)
{
	lookups_each(d, race_start);
}
