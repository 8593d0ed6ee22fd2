#include "dnsd/health.h"

#include "dnsd/dnsd.h"

#define MISSED_IN_TURN 2
#define OFFLINE_AFTER  (3 * USEC_SEC)
#define GONE_AFTER     (5 * USEC_SEC) /* since it is offline */

static usec_t
now_of(const struct server *s)
{
	return usec_now(s->d->d->loop);
}

usec_t
health_timeout(const struct server *s)
{
	usec_t most = s->conf->timeout_ms * USEC_MS;

	return most < HEALTH_LONGEST ? most : HEALTH_LONGEST;
}

static void
log_server(struct server *s, const char *what)
{
	char addr[IPADDR_STRLEN];
	unsigned missed;

	if (log_rate_ok(&s->log, now_of(s), &missed))
		log_info("%s#%u %s (%u more changes)",
		    ipaddr_str(&s->conf->addr, addr), s->conf->port, what,
		    missed);
}

/* A time that is shorter was set by who knows how quick that server is. */
static usec_t
offline_after(const struct server *s)
{
	usec_t most = health_timeout(s);

	return most < OFFLINE_AFTER ? most : OFFLINE_AFTER;
}

static bool
is_offline(const struct server *s)
{
	unsigned may = s->d->in_turn ? MISSED_IN_TURN : s->d->offline_after;

	return s->missed > may && now_of(s) - s->unheard >= offline_after(s);
}

void
health_silent(struct server *s, usec_t asked, bool again)
{
	if (s->missed == 0)
		s->unheard = asked > s->heard ? asked : s->heard;
	if (!again || s->missed == 0)
		s->missed++;
	upstream_flush(s);
	if (s->offline || !is_offline(s))
		return;
	s->offline = true;
	s->since = s->probed = now_of(s);
	stats_inc(&s->d->d->stats, DNSS_OFFLINE);
	records_state(s);
	log_server(s, "does not answer");
}

void
health_heard(struct server *s)
{
	s->missed = 0;
	s->heard = now_of(s);
	if (!s->offline)
		return;
	s->offline = false;
	records_state(s);
	log_server(s, "answers again");
}

void
health_datagram(struct server *s, const uint8_t *p, size_t len)
{
	if (len >= DNS_HDRLEN && (p[2] & DNS_QR >> 8) != 0)
		health_heard(s);
}

bool
health_doubtful(const struct server *s)
{
	return s->missed > 0 && now_of(s) - s->unheard >= health_timeout(s);
}

bool
health_gone(const struct server *s)
{
	return s->offline && now_of(s) - s->since >= GONE_AFTER;
}
