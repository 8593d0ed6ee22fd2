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
    const struct query *q, const struct query_reply *a, const struct asker *w,
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
	records_answer(c, w, by, d->out, len);
	client_answer(c, origin, d->out, len);
}

static void
answer_error(struct client *c, const uint8_t *origin, struct rd msg,
    const struct query *q, enum dns_rcode rcode, enum dns_ede ede,
    const char *text, const struct asker *w)
{
	struct query_reply a = { .rcode = rcode, .ede = ede, .text = text };

	answer_build(c, origin, msg, q, &a, w, text != NULL ? text : "refused");
}

/* Of the addresses that answer this type, if any do; 0: of both. */
static uint8_t
family_of(uint16_t type)
{
	switch (type) {
	case DNS_TYPE_A:
		return 4;
	case DNS_TYPE_AAAA:
		return 6;
	default:
		return 0;
	}
}

/*
 * False: not a name of ours.  One that has addresses, but none of this family,
 * exists all the same: NOERROR.  So does a built-in one that is asked for
 * anything else; a server knows nothing of it.  But a name of the hosts file
 * may be one that others have as well, with an MX for example: see
 * answer_whole().
 */
static bool
answer_local(struct client *c, const uint8_t *origin, struct rd msg,
    const struct query *q)
{
	const struct msg_head *h = &q->head;
	uint8_t family = family_of(h->type);
	size_t max = family != 0 || h->type == DNS_TYPE_ANY ? DNS_MAXIPS : 0;
	struct query_reply a = { .ede = DNS_EDE_NONE };
	struct ipaddr ip[DNS_MAXIPS];
	struct dnsd *d = c->d;

	if (h->class != DNS_CLASS_IN)
		return false;
	/* Of a hosts file the first line with a name is the one that counts. */
	if (!names_find(
		d->names, h->name, h->namelen, family, ip, max, &a.nip) &&
	    (max == 0 || !names_find(d->hosts, h->name, h->namelen, family, ip,
			     1, &a.nip)))
		return false;
	a.ip = ip;
	stats_inc(&d->d->stats, DNSS_LOCAL);
	answer_build(c, origin, msg, q, &a, NULL, "here");
	return true;
}

/*
 * What is long is looked through and copied for as long: it counts as many
 * queries, or one guest could keep the others waiting with few of them.
 */
static void
charge(struct guest *g, size_t len)
{
	usec_t n = len / DNSD_PIECE;

	g->tokens -= n < g->tokens ? n : g->tokens;
}

/* A name that has an address here exists, whatever a server says (RFC 8020). */
static bool
is_no_name(
    const struct dnsd *d, const struct query *q, const struct msg_head *h)
{
	size_t n;

	return (h->flags & 15) == DNS_NXDOMAIN &&
	       names_find(
		   d->hosts, q->head.name, q->head.namelen, 0, NULL, 0, &n);
}

/* Gives an answer back its guest's id and letters, and fits it in. */
static void
answer_whole(struct client *c, const uint8_t *origin, const struct query *q,
    uint8_t *msg, size_t len, const struct asker *w, const char *by)
{
	size_t max = q->udp_size < UDP_MOST ? q->udp_size : UDP_MOST;
	struct msg_head h;

	if (msg_head(rd_init(msg, len), &h) == -1)
		return;
	charge(c->guest, len);
	msg_put_id(msg, q->head.id);
	if (is_no_name(c->d, q, &h))
		msg[3] &= 0xf0;
	if (q->plain)
		msg_set_case(msg, len, &h, q->head.name, q->head.namelen);
	if (!c->tcp && len > max) {
		stats_inc(&c->d->d->stats, DNSS_TRUNCATED);
		len = msg_cut(msg, len, &h, max);
		/* With the additional records a signature went, too. */
		if (!q->plain)
			msg[2] |= DNS_TC >> 8;
	}
	records_answer(c, w, by, msg, len);
	client_answer(c, origin, msg, len);
}

/* A copy of what is kept, as old as it is by now. */
static bool
answer_cached(struct client *c, const uint8_t *origin, const struct query *q,
    bool stale, const struct asker *w)
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
	d->out[2] &= (uint8_t) ~(DNS_AA >> 8); /* RFC 1035 4.1.1 */
	msg_age(d->out, len, &h, a.age, a.stale ? STALE_TTL : 0);
	if (a.stale)
		len = msg_add_ede(d->out, len, sizeof(d->out), &h,
		    (h.flags & 15) == DNS_NXDOMAIN ? DNS_EDE_STALE_NXDOMAIN
						   : DNS_EDE_STALE,
		    "no server answered");
	stats_inc(&d->d->stats, a.stale ? DNSS_STALE : DNSS_HITS);
	answer_whole(
	    c, origin, q, d->out, len, w, a.stale ? "cache, stale" : "cache");
	return true;
}

static void
count_lookups(struct dnsd *d, int n)
{
	d->nlookup = (size_t)((ssize_t)d->nlookup + n);
	stats_set(&d->d->stats, DNSS_INFLIGHT, d->nlookup);
}

static void
asker_free(struct asker *w)
{
	struct lookup *l = w->lookup;

	LIST_REMOVE(w, entry);
	TAILQ_REMOVE(&l->askers, w, next);
	l->nasker--;
	client_lookup_done(w->client);
	count_lookups(l->d, -1);
	if (w != &l->first)
		free(w);
}

/* Nobody can join it any more. */
static void
lookup_close(struct lookup *l)
{
	if (l->open)
		LIST_REMOVE(l, same);
	l->open = false;
}

static void
askers_free(struct lookup *l)
{
	while (!TAILQ_EMPTY(&l->askers))
		asker_free(TAILQ_FIRST(&l->askers));
}

void
lookup_free(struct lookup *l)
{
	struct dnsd *d = l->d;

	race_cancel(l);
	ev_timer_stop(d->d->loop, &l->timer);
	lookup_close(l);
	askers_free(l);
	LIST_REMOVE(l, entry);
	if (l->ghost)
		count_lookups(d, -1);
	if (l->room > DNSD_SPARE_ROOM || d->nspare + 1 > DNSD_SPARE) {
		free(l);
		return;
	}
	LIST_INSERT_HEAD(&d->spare, l, entry);
	d->nspare++;
}

void
asker_gone(struct asker *w)
{
	struct lookup *l = w->lookup;

	asker_free(w);
	if (TAILQ_EMPTY(&l->askers))
		lookup_free(l);
}

static void
lookup_end(struct lookup *l)
{
	askers_free(l);
	if (!race_linger(l)) {
		lookup_free(l);
		return;
	}
	l->ghost = true;
	count_lookups(l->d, 1);
}

/*
 * What was kept before is wrong now, also when this may not be kept.  But that
 * there is no such name is for the server to say that comes first.
 */
static void
lookup_keep(struct lookup *l, const uint8_t *msg, size_t len)
{
	unsigned rcode = msg[3] & 15;
	struct dnsd *d = l->d;
	struct msg_facts f;
	struct msg_head h;

	if (!l->q.plain || l->unsure ||
	    (rcode != DNS_NOERROR && rcode != DNS_NXDOMAIN) ||
	    msg_head(rd_init(msg, len), &h) == -1 ||
	    msg_facts(rd_init(msg, len), &h, &f) == -1)
		return;
	if (f.cacheable)
		(void)cache_put(d->cache, usec_now(d->d->loop), &l->q, msg, len,
		    f.ttl, l->vm);
	else
		cache_forget(d->cache, &l->q);
	l->kept = true;
	stats_set(&d->d->stats, DNSS_CACHED, cache_count(d->cache));
}

void
lookup_late(struct lookup *l, const uint8_t *msg, size_t len)
{
	if (!l->kept)
		lookup_keep(l, msg, len);
}

static bool
asker_stale(const struct asker *w)
{
	return answer_cached(w->client, w->origin, w->q, true, w);
}

static void
asker_fail(const struct asker *w, enum dns_ede ede, const char *text)
{
	stats_inc(&w->client->d->d->stats, DNSS_SERVFAIL);
	answer_error(w->client, w->origin, rd_init(w->msg, w->q->head.end),
	    w->q, DNS_SERVFAIL, ede, text, w);
}

/*
 * No connection has brought the whole of a cut answer.  By UDP that says to
 * come by TCP, but who has done so would take it for the whole.  proxyd is
 * well served with the addresses there are.
 */
static bool
is_no_use(const struct lookup *l, const struct asker *w, const uint8_t *msg)
{
	return l->rank == RANK_CUT && (msg[2] & DNS_TC >> 8) != 0 &&
	       w->client->tcp && w->client->answer == NULL;
}

/* Each gets a copy of its own, which is then made to fit it. */
void
lookup_finish(struct lookup *l, uint8_t *msg, size_t len)
{
	unsigned rcode = msg[3] & 15;
	bool failed = rcode == DNS_SERVFAIL || rcode == DNS_REFUSED;
	const char *by = l->by != NULL ? l->by->seen.addr : NULL;
	struct dnsd *d = l->d;
	struct asker *w;

	lookup_close(l);
	if (!failed)
		lookup_keep(l, msg, len);
	TAILQ_FOREACH (w, &l->askers, next) {
		if (failed && asker_stale(w))
			continue;
		if (is_no_use(l, w, msg)) {
			asker_fail(w, DNS_EDE_NETWORK,
			    "the answer was cut, and TCP brought none");
			continue;
		}
		stats_inc(&d->d->stats, DNSS_RELAYED);
		memcpy(d->out, msg, len);
		answer_whole(w->client, w->origin, w->q, d->out, len, w, by);
	}
	lookup_end(l);
}

void
lookup_fail(struct lookup *l)
{
	struct asker *w;

	lookup_close(l);
	TAILQ_FOREACH (w, &l->askers, next) {
		if (asker_stale(w))
			continue;
		if (l->failed)
			asker_fail(
			    w, DNS_EDE_NETWORK, "no server can be reached");
		else
			asker_fail(
			    w, DNS_EDE_NO_REACHABLE, "no server answered");
	}
	lookup_end(l);
}

/* So many a second, after a pause more. */
static bool
rate_allowed(struct guest *g, usec_t now)
{
	usec_t gained = (now - g->refilled) * DNSD_VMRATE / USEC_SEC;

	if (gained < DNSD_VMBURST - g->tokens) {
		g->tokens += gained;
		g->refilled += gained * USEC_SEC / DNSD_VMRATE;
	} else {
		g->tokens = DNSD_VMBURST;
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
	const char *what = which == DNSS_LIMIT_RATE ? "a second"
			   : which == DNSS_LIMIT_VM ? "at a time"
						    : "of all at a time";
	unsigned missed;

	stats_inc(&d->d->stats, which);
	if (log_rate_ok(&d->limit_log, usec_now(d->d->loop), &missed))
		log_warnx("VM %u: too many queries %s (%u more times)",
		    ipc_vm(c->guest->link), what, missed);
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

static void
asker_add(struct lookup *l, struct asker *w, struct client *c,
    const uint8_t *origin, const struct query *q, const uint8_t *msg)
{
	w->lookup = l;
	w->client = c;
	w->start = usec_now(l->d->d->loop);
	if (origin != NULL)
		memcpy(w->origin, origin, ORIGIN_LEN);
	w->q = q;
	w->msg = msg;
	LIST_INSERT_HEAD(&c->askers, w, entry);
	TAILQ_INSERT_TAIL(&l->askers, w, next);
	l->nasker++;
	c->guest->nlookup++;
	if (c->tcp)
		c->nlookup++;
	count_lookups(l->d, 1);
}

/* The same question in a message that stays; it points into that. */
static void
query_move(struct query *to, const struct query *from, const uint8_t *msg)
{
	*to = *from;
	to->head.name = msg + DNS_HDRLEN;
}

static void
lookup_join(struct lookup *l, struct client *c, const uint8_t *origin,
    struct rd msg, const struct query *q)
{
	struct joined *w;

	if ((w = malloc(sizeof(*w) + q->head.end)) == NULL)
		return;
	memcpy(w->msg, msg.p, q->head.end);
	query_move(&w->q, q, w->msg);
	asker_add(l, &w->asker, c, origin, &w->q, w->msg);
	stats_inc(&l->d->d->stats, DNSS_MERGED);
}

static struct lookups *
same_of(struct dnsd *d, const struct query *q)
{
	return &d->same[query_hash(q, d->key) % DNSD_SAME];
}

/* A lookup of the same, while there is room for one more. */
static struct lookup *
lookup_find(struct dnsd *d, const struct query *q)
{
	struct lookup *l;

	if (!q->plain)
		return NULL;
	LIST_FOREACH (l, same_of(d, q), same) {
		if (query_same(&l->q, q) && l->nasker < DNSD_MAXASKERS)
			return l;
	}
	return NULL;
}

/* One with room for a message so long.  NULL: no memory. */
static struct lookup *
lookup_memory(struct dnsd *d, size_t len)
{
	size_t room = len > DNSD_SPARE_ROOM ? len : DNSD_SPARE_ROOM;
	struct lookup *l = LIST_FIRST(&d->spare);

	if (l == NULL || room > DNSD_SPARE_ROOM) {
		if ((l = malloc(sizeof(*l) + room)) == NULL)
			return NULL;
	} else {
		LIST_REMOVE(l, entry);
		d->nspare--;
	}
	memset(l, 0, offsetof(struct lookup, ask));
	l->room = room;
	l->len = len;
	return l;
}

/* For the first who asks; of its servers nothing is known yet. */
static struct lookup *
lookup_new(struct client *c, const uint8_t *origin, struct rd msg,
    const struct query *q)
{
	struct dnsd *d = c->d;
	struct lookup *l;

	if ((l = lookup_memory(d, msg.len)) == NULL)
		return NULL;
	l->rank = RANK_NONE;
	l->d = d;
	l->tcp = c->tcp;
	l->vm = ipc_vm(c->guest->link);
	TAILQ_INIT(&l->askers);
	memcpy(l->msg, msg.p, msg.len);
	query_move(&l->q, q, l->msg);
	ev_init(&l->timer, race_timer);
	ev_set_priority(&l->timer, TIMER_LATE);
	l->timer.data = l;
	LIST_INSERT_HEAD(&d->lookups, l, entry);
	l->open = l->q.plain;
	if (l->open)
		LIST_INSERT_HEAD(same_of(d, &l->q), l, same);
	asker_add(l, &l->first, c, origin, &l->q, l->msg);
	return l;
}

/* Asks the servers, or waits with those who have. */
static void
lookup_begin(struct client *c, const uint8_t *origin, struct rd msg,
    const struct query *q)
{
	struct lookup *l = lookup_find(c->d, q);

	if (l != NULL)
		lookup_join(l, c, origin, msg, q);
	else if ((l = lookup_new(c, origin, msg, q)) != NULL)
		race_start(l);
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
	else if (q->version != 0) /* RFC 6891 6.1.3 */
		answer_error(
		    c, origin, msg, q, DNS_BADVERS, DNS_EDE_NONE, NULL, NULL);
	else if (type == DNS_TYPE_AXFR || type == DNS_TYPE_IXFR)
		answer_error(c, origin, msg, q, DNS_NOTIMP,
		    DNS_EDE_NOT_SUPPORTED, "no transfers of zones", NULL);
	else
		return false;
	return true;
}

/* Not a query, but most likely meant to be one: RFC 9619 4, RFC 6891 6.1.1. */
static void
answer_malformed(struct client *c, const uint8_t *origin, struct rd msg)
{
	uint8_t out[DNS_HDRLEN];
	size_t len = query_refuse(msg, out);

	stats_inc(&c->d->d->stats, DNSS_MALFORMED);
	if (len > 0)
		client_answer(c, origin, out, len);
}

void
lookup_start(
    struct client *c, const uint8_t *origin, const uint8_t *p, size_t len)
{
	struct dnsd *d = c->d;
	struct rd msg = rd_init(p, len);
	struct query q;

	if (!rate_allowed(c->guest, usec_now(d->d->loop))) {
		over_limit(c, DNSS_LIMIT_RATE);
		return;
	}
	if (len > DNSD_MAXQUERY || query_parse(msg, &q) == -1) {
		answer_malformed(c, origin, msg);
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
	else
		lookup_begin(c, origin, msg, &q);
}

void
lookups_init(struct dnsd *d)
{
	size_t i;

	LIST_INIT(&d->lookups);
	LIST_INIT(&d->spare);
	for (i = 0; i < nitems(d->same); i++)
		LIST_INIT(&d->same[i]);
}

void
lookups_fini(struct dnsd *d)
{
	struct lookup *l;

	while ((l = LIST_FIRST(&d->spare)) != NULL) {
		LIST_REMOVE(l, entry);
		free(l);
	}
	d->nspare = 0;
}

void
lookups_cancel(struct dnsd *d)
{
	struct lookup *l, *next;

	LIST_FOREACH_SAFE(l, &d->lookups, entry, next)
	{
		if (l->ghost)
			lookup_free(l);
		else
			race_cancel(l);
	}
}

void
lookups_restart(struct dnsd *d)
{
	struct lookup *l, *next;

	LIST_FOREACH_SAFE(l, &d->lookups, entry, next)
	race_start(l);
}
