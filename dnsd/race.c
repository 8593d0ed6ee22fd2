/*
 * Whom to ask, when, and whom to believe.
 *
 * The servers of a lookup are in groups of one order.  A group is asked all at
 * once, and its first good answer is taken.  The next group is asked when this
 * one has nothing good to say or has kept silent for a moment; what it answers
 * counts when the groups before it have failed.  A server that has left
 * questions unanswered is offline: it is not waited for any more, but still
 * asked now and then, and any answer of its brings it back.
 *
 * The servers of a resolv.conf are groups of one server each, and there what
 * any of them says of a name is believed, also that there is none.
 */

#include <stdlib.h>
#include <string.h>

#include "dnsd/dnsd.h"

#define HEDGE	       (800 * USEC_MS) /* silence before the next group */
#define HEDGE_IN_TURN  (400 * USEC_MS)
#define MISSED_IN_TURN 2
#define PROBE_EVERY    USEC_SEC
#define ALL_OFFLINE    USEC_SEC /* the wait when no server is in sight */
#define GHOST_SEC      2.
#define LONGEST	       (10 * USEC_SEC)
#define CUT_WAIT       (2 * USEC_SEC) /* for the whole of what was cut */
#define TCP_ALONE      3	      /* times silent, before UDP as well */
#define LATE	       (50 * USEC_MS) /* for a timer: nobody ran */

/* When to ask the silent ones again, since the beginning; then each second. */
static const unsigned resend_ms[] = { 400, 800, 1200, 2000, 2800, 3600, 4400 };

static usec_t
now_of(const struct lookup *l)
{
	return usec_now(l->d->d->loop);
}

static usec_t
next_resend(const struct lookup *l)
{
	unsigned n = nitems(resend_ms), ms;

	ms = l->tick < n ? resend_ms[l->tick]
			 : resend_ms[n - 1] + 1000 * (l->tick - n + 1);
	return l->start + ms * USEC_MS;
}

static struct asking *
ask_of(struct lookup *l, const struct server *s)
{
	size_t i;

	for (i = 0; i < l->nask; i++)
		if (l->ask[i].server == s)
			return &l->ask[i];
	return NULL;
}

static uint32_t
order_of(const struct lookup *l, size_t i)
{
	return l->ask[i].server->conf->order;
}

static bool
has_attempt(const struct lookup *l, const struct server *s)
{
	size_t i;

	for (i = 0; i < l->nattempt; i++)
		if (l->attempt[i].server == s)
			return true;
	return false;
}

static void
cancel_attempts(struct lookup *l, const struct server *s)
{
	size_t i;

	for (i = 0; i < l->nattempt; i++)
		if (s == NULL || l->attempt[i].server == s)
			upstream_cancel(&l->attempt[i]);
}

void
race_cancel(struct lookup *l)
{
	cancel_attempts(l, NULL);
	free(l->best);
	l->best = NULL;
	l->by = NULL;
	l->rank = RANK_NONE;
	l->nask = 0;
}

/*
 * What a server's silence and its answers mean to others.
 */

/*
 * Who has answered others since it was last asked this is not silent: the
 * question was lost on its way, or it has nothing to say to it.
 */
static bool
is_silent(const struct asking *ask)
{
	return ask->server->heard < ask->last;
}

static void
log_server(struct server *s, const char *what)
{
	char addr[IPADDR_STRLEN];
	unsigned missed;

	if (log_rate_ok(&s->log, usec_now(s->d->d->loop), &missed))
		log_info("%s#%u %s (%u more changes)",
		    ipaddr_str(&s->conf->addr, addr), s->conf->port, what,
		    missed);
}

/* n questions, of which the first was asked then. */
static void
server_missed(struct server *s, unsigned n, usec_t since)
{
	struct dnsd *d = s->d;

	if (s->missed == 0)
		s->unheard = since;
	s->missed += n;
	upstream_flush(s);
	records_missed(s, n);
	if (s->offline ||
	    s->missed <= (d->in_turn ? MISSED_IN_TURN - 1 : d->offline_after))
		return;
	s->offline = true;
	s->probed = usec_now(d->d->loop);
	stats_inc(&d->d->stats, DNSS_OFFLINE);
	records_missed(s, 0);
	log_server(s, "does not answer");
}

static void
server_alive(struct server *s)
{
	s->missed = 0;
	s->heard = usec_now(s->d->d->loop);
	if (!s->offline)
		return;
	s->offline = false;
	records_missed(s, 0);
	log_server(s, "answers again");
}

/*
 * Asking.
 */

/*
 * A free place, or that of the attempt at this server which is there longest,
 * also when sockets are scarce: asking again must not take the last ones from
 * those who have not asked yet.
 */
static struct attempt *
attempt_place(struct lookup *l, const struct server *s)
{
	bool scarce = l->d->nsock >= l->d->maxsock / 2;
	bool may_add = !(scarce && has_attempt(l, s));
	size_t i;

	for (i = 0; may_add && i < l->nattempt; i++)
		if (l->attempt[i].server == NULL)
			return &l->attempt[i];
	if (may_add && i < nitems(l->attempt)) {
		l->nattempt++;
		l->attempt[i].server = NULL;
		return &l->attempt[i];
	}
	for (i = 0; i < l->nattempt; i++) {
		if (l->attempt[i].server == s) {
			upstream_cancel(&l->attempt[i]);
			return &l->attempt[i];
		}
	}
	return NULL;
}

static void
ask_done(struct lookup *l, struct asking *ask)
{
	ask->state = ASK_DONE;
	cancel_attempts(l, ask->server);
}

static void
ask_send(struct lookup *l, struct asking *ask)
{
	struct attempt *a = attempt_place(l, ask->server);

	if (a == NULL)
		return;
	a->lookup = l;
	ask->last = now_of(l);
	if (ask->sent++ > 0)
		stats_inc(&l->d->d->stats, DNSS_RETRIES);
	records_asked(ask->server);
	if (upstream_ask(ask->server, a, ask->tcp) == 0)
		return;
	if (ask->tcp && !ask->cut) {
		/* Without TCP it may still be asked the common way. */
		ask->tcp = false;
		if (upstream_ask(ask->server, a, false) == 0)
			return;
	}
	l->failed = true;
	if (!has_attempt(l, ask->server))
		ask_done(l, ask);
}

static void
ask_begin(struct lookup *l, struct asking *ask, bool all_offline)
{
	struct server *s = ask->server;

	ask->state = ASK_PENDING;
	ask->since = now_of(l);
	ask->tcp = l->tcp;
	ask->probe = s->offline && !all_offline;
	if (ask->probe && ask->since - s->probed < PROBE_EVERY) {
		ask->state = ASK_DONE;
		return;
	}
	if (s->offline)
		s->probed = ask->since;
	ask_send(l, ask);
}

static usec_t
timeout_of(const struct server *s)
{
	return s->conf->timeout_ms * USEC_MS;
}

static bool
all_offline(const struct lookup *l)
{
	size_t i;

	for (i = 0; i < l->nask; i++)
		if (!l->ask[i].server->offline)
			return false;
	return true;
}

/*
 * One of them was not heard of for as long as it may take, and the others are
 * silent, too: there is no server.  Less than that says little where the way
 * to them is a slow one.
 */
static bool
long_silent(const struct lookup *l)
{
	const struct server *s;
	usec_t most;
	size_t i;

	for (i = 0; i < l->nask; i++) {
		s = l->ask[i].server;
		most = timeout_of(s) < LONGEST ? timeout_of(s) : LONGEST;
		if (now_of(l) - s->unheard >= most)
			return true;
	}
	return false;
}

/* When a server is given up. */
static usec_t
ends_at(const struct asking *ask)
{
	usec_t most = timeout_of(ask->server);

	/* By then the guest may as well have what there is. */
	if (ask->cut && most > CUT_WAIT)
		most = CUT_WAIT;
	return ask->since + most;
}

/*
 * Deciding.
 */

/* Whether one of [i, end) may still say something that is waited for. */
static bool
group_waits(const struct lookup *l, size_t i, size_t end)
{
	for (; i < end; i++)
		if (l->ask[i].state == ASK_PENDING && !l->ask[i].probe)
			return true;
	return false;
}

static size_t
group_end(const struct lookup *l, size_t i)
{
	uint32_t order = order_of(l, i);

	while (i < l->nask && order_of(l, i) == order)
		i++;
	return i;
}

static void
arm(struct lookup *l)
{
	usec_t now = now_of(l), at = next_resend(l), t;
	size_t i;

	if (l->deadline < at)
		at = l->deadline;
	for (i = 0; i < l->nask; i++) {
		if (l->ask[i].state != ASK_PENDING)
			continue;
		t = ends_at(&l->ask[i]);
		if (t < at)
			at = t;
	}
	l->due = at > now ? at : now;
	ev_timer_stop(l->d->d->loop, &l->timer);
	ev_timer_set(&l->timer, (double)(l->due - now) / USEC_SEC, 0.);
	ev_timer_start(l->d->d->loop, &l->timer);
}

/*
 * Nobody ran when the time was over, and what has come meanwhile may not have
 * been looked at: then the loop turns once more.
 */
static bool
look_first(struct lookup *l, usec_t now)
{
	if (now - l->due < LATE)
		return false;
	l->due = USEC_NEVER; /* once is enough */
	ev_timer_set(&l->timer, 0., 0.);
	ev_timer_start(l->d->d->loop, &l->timer);
	return true;
}

static void
race_end(struct lookup *l)
{
	uint8_t *best = l->best;

	if (l->rank == RANK_NONE) {
		lookup_fail(l);
		return;
	}
	l->best = NULL;
	lookup_finish(l, best, l->bestlen);
	free(best);
}

/* Asks the group that begins at i; true: what it has said decides. */
static bool
group_step(struct lookup *l, size_t i, size_t end, bool alone)
{
	bool all = l->all_offline;
	size_t k;

	for (k = i; k < end; k++)
		if (l->ask[k].state == ASK_IDLE)
			ask_begin(l, &l->ask[k], all);
	return alone && l->rank_order == order_of(l, i) &&
	       (l->rank == RANK_GOOD ||
		   (l->rank == RANK_CUT && !group_waits(l, i, end)));
}

/* Goes on as far as is possible now.  The lookup may be gone. */
static void
race_step(struct lookup *l)
{
	usec_t hedge = l->d->in_turn ? HEDGE_IN_TURN : HEDGE;
	bool waiting = false;
	size_t i, end;

	for (i = 0; i < l->nask; i = end) {
		end = group_end(l, i);
		if (group_step(l, i, end, !waiting)) {
			race_end(l);
			return;
		}
		if (!group_waits(l, i, end))
			continue;
		waiting = true;
		if (now_of(l) - l->ask[i].since < hedge)
			break;
	}
	if (waiting)
		arm(l);
	else
		race_end(l);
}

void
race_start(struct lookup *l)
{
	struct dnsd *d = l->d;
	uint8_t list[ROUTE_MAXASKED];
	uint32_t longest = 0;
	size_t i;

	l->nask =
	    route_select(&d->route, l->q.head.name, l->q.head.namelen, list);
	l->tick = 0;
	l->failed = false;
	l->start = now_of(l);
	for (i = 0; i < l->nask; i++) {
		l->ask[i] = (struct asking){ .server = &d->server[list[i]] };
		if (l->ask[i].server->conf->timeout_ms > longest)
			longest = l->ask[i].server->conf->timeout_ms;
	}
	l->all_offline = all_offline(l);
	l->deadline = longest * USEC_MS + (d->in_turn ? 0 : HEDGE);
	if (l->deadline > LONGEST)
		l->deadline = LONGEST;
	if (l->all_offline && l->deadline > ALL_OFFLINE && long_silent(l))
		l->deadline = ALL_OFFLINE;
	l->deadline += l->start;
	race_step(l);
}

static void
expire(struct lookup *l, usec_t now)
{
	struct asking *ask;

	for (ask = l->ask; ask < l->ask + l->nask; ask++) {
		if (ask->state != ASK_PENDING ||
		    (now < ends_at(ask) && now < l->deadline))
			continue;
		if (is_silent(ask))
			server_missed(ask->server, ask->sent, ask->since);
		ask_done(l, ask);
	}
}

/* Those that are silent are asked once more; connections need no help. */
static void
resend(struct lookup *l)
{
	struct asking *ask;

	l->tick++;
	for (ask = l->ask; ask < l->ask + l->nask; ask++) {
		if (ask->state != ASK_PENDING || ask->probe)
			continue;
		if (l->d->in_turn && is_silent(ask))
			server_missed(ask->server, 1, ask->since);
		/* A firewall may swallow TCP where UDP gets through. */
		if (ask->tcp && !ask->cut && l->tick == TCP_ALONE)
			ask->tcp = false;
		if (!ask->tcp)
			ask_send(l, ask);
	}
}

void
race_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct lookup *l = w->data;
	usec_t now = usec_now(loop);

	if (l->ghost) {
		lookup_free(l);
		return;
	}
	if (look_first(l, now))
		return;
	expire(l, now);
	if (now >= l->deadline) {
		race_end(l);
		return;
	}
	if (now >= next_resend(l))
		resend(l);
	race_step(l);
}

/*
 * What the attempts come to.
 */

static enum rank
rank_of(const struct msg_head *h, bool tcp)
{
	switch (h->flags & 15) {
	case DNS_NOERROR:
		break;
	case DNS_NXDOMAIN:
		return RANK_NXDOMAIN;
	default:
		return RANK_ERROR;
	}
	return (h->flags & DNS_TC) != 0 && !tcp ? RANK_CUT : RANK_GOOD;
}

static void
keep_best(struct lookup *l, enum rank rank, const struct server *s,
    const uint8_t *msg, size_t len)
{
	uint32_t order = s->conf->order;
	uint8_t *p;

	if (rank < l->rank || (rank == l->rank && order >= l->rank_order) ||
	    (p = malloc(len)) == NULL)
		return;
	memcpy(p, msg, len);
	free(l->best);
	l->best = p;
	l->bestlen = len;
	l->rank = rank;
	l->rank_order = order;
	l->by = s;
}

/* Whether nobody who comes before this server can still say otherwise. */
static bool
decides(const struct lookup *l, const struct asking *ask, enum rank rank)
{
	size_t i;

	if (l->d->in_turn)
		return rank == RANK_GOOD || rank == RANK_NXDOMAIN;
	for (i = 0; i < l->nask && order_of(l, i) < ask->server->conf->order;
	     i++)
		if (group_waits(l, i, i + 1))
			return false;
	return rank == RANK_GOOD;
}

void
lookup_answer(struct lookup *l, struct attempt *a, uint8_t *msg, size_t len,
    const struct msg_head *h)
{
	struct server *s = a->server;
	enum rank rank = rank_of(h, a->tcp);
	struct asking *ask;

	server_alive(s);
	if (l->ghost || (ask = ask_of(l, s)) == NULL) {
		lookup_free(l);
		return;
	}
	/* Asked twice, it is not known which of them it answers. */
	records_answered(s, ask->sent == 1 ? now_of(l) - ask->since : 0);
	ask_done(l, ask);
	if (decides(l, ask, rank)) {
		l->by = s;
		lookup_finish(l, msg, len);
		return;
	}
	keep_best(l, rank, s, msg, len);
	if (rank == RANK_CUT) {
		stats_inc(&l->d->d->stats, DNSS_CUT);
		ask->state = ASK_PENDING;
		ask->since = now_of(l);
		ask->tcp = ask->cut = true;
		ask_send(l, ask);
	}
	race_step(l);
}

void
lookup_attempt_failed(struct lookup *l, struct attempt *a)
{
	struct server *s = a->server;
	bool tcp = a->tcp;
	struct asking *ask;

	upstream_cancel(a);
	if (l->ghost || (ask = ask_of(l, s)) == NULL) {
		lookup_free(l);
		return;
	}
	l->failed = true;
	if (tcp && !ask->cut) {
		ask->tcp = false;
		ask_send(l, ask);
	} else if (!has_attempt(l, s)) {
		if (!tcp)
			server_missed(s, 1, ask->since);
		ask_done(l, ask);
	}
	race_step(l);
}

void
lookup_ask_again(struct lookup *l, struct attempt *a)
{
	struct server *s = a->server;
	struct asking *ask;

	upstream_cancel(a);
	if (l->ghost || (ask = ask_of(l, s)) == NULL) {
		lookup_free(l);
		return;
	}
	ask_send(l, ask);
	race_step(l);
}

/*
 * The guests have their answer, but a server that was thought to be gone has
 * not given one: the lookup stays, without a guest, until it has or a moment is
 * over.
 */
bool
race_linger(struct lookup *l)
{
	bool any = false;
	struct asking *ask;

	for (ask = l->ask; ask < l->ask + l->nask; ask++) {
		if (ask->state == ASK_PENDING && ask->probe &&
		    has_attempt(l, ask->server))
			any = true;
		else
			cancel_attempts(l, ask->server);
	}
	if (!any)
		return false;
	ev_timer_stop(l->d->d->loop, &l->timer);
	ev_timer_set(&l->timer, GHOST_SEC, 0.);
	ev_timer_start(l->d->d->loop, &l->timer);
	return true;
}
