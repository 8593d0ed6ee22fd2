/*
 * Congestion control toward the guest, and what of ours is in flight.
 *
 * RFC 5681 slow start and congestion avoidance, counted in bytes (RFC 3465,
 * without its limit per ACK: guests acknowledge whole bursts at once), from
 * ten segments (RFC 6928).  cwnd grows only while it is what limits us.
 *
 * Losses: with SACK the scoreboard and pipe of RFC 6675; without it NewReno,
 * RFC 6582, where every duplicate ACK stands for a segment that has left.
 * A retransmission is lost when the guest has reported what was sent after it.
 * The end of a flight is probed (RFC 8985 7), and what the guest then reports
 * makes everything before it lost; segments have no times of their own here.
 *
 * After a timeout the scoreboard is forgotten, because the guest may have
 * dropped what it reported (RFC 2018 8), and everything is sent again from
 * snd_una but for what it reports anew.
 */

#include <stdlib.h>
#include <string.h>

#include "netstackd/core/tcp.h"

void
tcp_cc_init(struct tcp *t)
{
	uint32_t iw = t->mss * 10u;

	/* RFC 6928 2: the smaller of ten segments and 14600 bytes, but two. */
	if (iw > 14600)
		iw = t->mss * 2u > 14600 ? t->mss * 2u : 14600;
	t->cwnd = iw;
	t->ssthresh = TCP_CWND_MAX;
	t->recover = t->iss;
}

/* Leaves recovery with a window that does not burst (RFC 6582 3.2, step 3). */
static void
recovery_over(struct tcp *t)
{
	uint32_t flight = t->snd_nxt - t->snd_una;
	uint32_t small = (flight > t->mss ? flight : t->mss) + t->mss;

	t->recovery = false;
	t->dupacks = 0;
	t->cwnd = t->ssthresh < small ? t->ssthresh : small;
}

static void
partial_ack(struct tcp *t, uint32_t n)
{
	uint32_t left = n / t->mss;

	t->dupacks = t->dupacks > left ? (uint16_t)(t->dupacks - left) : 0;
	t->high_rxt = seq_max(t->high_rxt, t->snd_una);
	t->again_max = t->snd_max; /* not later than now */
	if (!t->sack_on)
		t->rexmit_una = true; /* NewReno: the next hole starts here */
}

static void
grow(struct tcp *t, uint32_t n)
{
	if (t->cwnd < t->ssthresh) {
		/* One ACK may be for all that was sent before a timeout. */
		t->cwnd = n < t->ssthresh - t->cwnd ? t->cwnd + n : t->ssthresh;
	} else {
		t->cwnd_acked += n;
		if (t->cwnd_acked >= t->cwnd) {
			t->cwnd_acked -= t->cwnd;
			t->cwnd += t->mss;
		}
	}
	if (t->cwnd > TCP_CWND_MAX)
		t->cwnd = TCP_CWND_MAX;
}

void
tcp_cc_acked(struct tcp *t, uint32_t n)
{
	uint32_t flight = t->snd_max - t->snd_una + n; /* before this ACK */

	t->lost_to = seq_max(t->lost_to, t->snd_una);
	if (t->loss && seq_geq(t->snd_una, t->recover))
		t->loss = false;
	if (t->recovery) {
		if (seq_geq(t->snd_una, t->recover))
			recovery_over(t);
		else
			partial_ack(t, n);
		return;
	}
	t->dupacks = 0;
	if (t->loss || flight >= t->cwnd / 2)
		grow(t, n);
}

/* RFC 5681 (4). */
static uint32_t
half_flight(const struct tcp *t)
{
	uint32_t half = (t->snd_max - t->snd_una) / 2;

	return half > 2u * t->mss ? half : 2u * t->mss;
}

/*
 * A retransmission was lost itself when enough that was sent after it has
 * come (as RFC 8985 6.2 would tell from its times).
 */
static void
again_lost(struct tcp *t)
{
	const struct tcp_sack *k = t->sack;

	if (k != NULL && seq_gt(t->high_rxt, t->snd_una) &&
	    seq_gt(k->r[k->n - 1].end,
		t->again_max + (TCP_DUPTHRESH - 1u) * t->mss))
		t->rexmit_una = true;
}

/*
 * Another sign that something is missing at snd_una.  Enough of them, or
 * enough reported beyond it, begin a recovery, one for each window (RFC 6582
 * 3.2: not before everything of the last one is acknowledged).
 */
void
tcp_cc_dupack(struct net *net, struct tcp *t)
{
	stat_inc(net, NETS_TCP_DUPACK);
	if (t->dupacks < UINT16_MAX)
		t->dupacks++;
	if (t->recovery)
		again_lost(t);
	if (t->recovery || t->loss || seq_lt(t->snd_una, t->recover))
		return;
	if (t->dupacks < TCP_DUPTHRESH && !seq_gt(tcp_sack_lost(t), t->snd_una))
		return;
	stat_inc(net, NETS_TCP_FAST);
	t->ssthresh = half_flight(t);
	t->cwnd = t->ssthresh;
	t->cwnd_acked = 0;
	t->recover = t->snd_max;
	t->high_rxt = t->snd_una;
	t->recovery = true;
	t->rexmit_una = true;
	t->rtt_running = false;
}

void
tcp_cc_lost_by_time(struct net *net, struct tcp *t)
{
	if (t->sack == NULL)
		return;
	t->lost_to = t->sack->r[t->sack->n - 1].start;
	tcp_cc_dupack(net, t);
}

/*
 * RFC 8985 7.4: a probe that was sent twice, and that the guest did not report
 * as a double, has repaired a loss; that counts as any other.
 */
void
tcp_cc_tail_acked(struct tcp *t, const struct tcp_seg *s, bool news)
{
	const struct tcp_range *first = &s->opt.sack[0];
	bool twice = s->opt.nsack > 0 && seq_leq(first->end, s->ack);

	if (!t->tail_out)
		return;
	if (news && t->sack != NULL &&
	    seq_gt(t->sack->r[t->sack->n - 1].end, t->tail_seq)) {
		t->lost_to = t->sack->r[t->sack->n - 1].start;
		t->tail_out = false;
	} else if (seq_geq(s->ack, t->tail_end)) {
		t->tail_out = t->tail_again && !twice && s->ack == t->tail_end;
		if (t->tail_again && !twice && !t->tail_out && !t->recovery) {
			t->ssthresh = t->cwnd / 2 > 2u * t->mss ? t->cwnd / 2
								: 2u * t->mss;
			t->cwnd = t->ssthresh;
		}
	}
}

void
tcp_cc_timeout(struct tcp *t)
{
	/* RFC 5681 3.1: a second timeout of one segment changes nothing. */
	if (t->rexmits <= 1)
		t->ssthresh = half_flight(t);
	t->cwnd = t->mss;
	t->cwnd_acked = 0;
	t->recover = t->snd_max;
	t->loss = true;
	t->recovery = t->rexmit_una = t->rtt_running = t->tail_out = false;
	t->dupacks = 0;
	t->snd_nxt = t->lost_to = t->snd_una;
	free(t->sack);
	t->sack = NULL;
}

/* Bytes reported of [snd_una, end). */
static uint32_t
sacked_before(const struct tcp_sack *k, uint32_t end)
{
	uint32_t sum = 0;
	int i;

	for (i = 0; i < k->n && seq_lt(k->r[i].start, end); i++)
		sum += seq_min(k->r[i].end, end) - k->r[i].start;
	return sum;
}

/*
 * RFC 6675 4, SetPipe: what is missing counts once unless it is lost, and
 * once more when it was sent again.
 */
static uint32_t
recovery_pipe(const struct tcp *t)
{
	uint32_t lost = tcp_sack_lost(t), pipe = 0, seq = t->snd_una, end;

	for (; seq_lt(seq, t->snd_nxt); seq = end) {
		seq = tcp_sack_hole(t, seq, &end);
		end = seq_min(end, t->snd_nxt);
		if (seq_geq(seq, end))
			break;
		pipe += seq_ahead(seq_max(seq, lost), end);
		pipe += seq_ahead(seq, seq_min(t->high_rxt, end));
	}
	return pipe;
}

uint32_t
tcp_cc_pipe(const struct tcp *t)
{
	uint32_t flight = t->snd_nxt - t->snd_una, gone;

	if (t->sack == NULL) {
		gone = t->sack_on ? 0 : (uint32_t)t->dupacks * t->mss;
		return flight > gone ? flight - gone : 0;
	}
	if (t->recovery)
		return recovery_pipe(t);
	return flight - sacked_before(t->sack, t->snd_nxt);
}

/* Takes [b->start, b->end) in; whether any of it is new. */
static bool
sack_add(struct tcp_sack *k, struct tcp_range b)
{
	int i = 0, j;

	while (i < k->n && seq_lt(k->r[i].end, b.start))
		i++;
	for (j = i; j < k->n && seq_leq(k->r[j].start, b.end); j++) {
		if (seq_leq(k->r[j].start, b.start) &&
		    seq_geq(k->r[j].end, b.end))
			return false;
		b.start = seq_min(b.start, k->r[j].start);
		b.end = seq_max(b.end, k->r[j].end);
	}
	/* r[i..j) become b.  What does not fit is not believed: harmless. */
	if (i == j && k->n == TCP_NRANGE)
		return false;
	memmove(&k->r[i + 1], &k->r[j], (size_t)(k->n - j) * sizeof(b));
	k->r[i] = b;
	k->n += 1 - (j - i);
	return true;
}

bool
tcp_sack_update(struct tcp *t, const struct tcp_opts *o)
{
	bool news = false;
	int i;

	for (i = 0; i < o->nsack; i++) {
		/* Also leaves out D-SACK (RFC 2883), which tells of the past.
		 */
		if (seq_leq(o->sack[i].start, t->snd_una) ||
		    seq_geq(o->sack[i].start, o->sack[i].end) ||
		    seq_gt(o->sack[i].end, t->snd_max))
			continue;
		if (t->sack == NULL &&
		    (t->sack = calloc(1, sizeof(*t->sack))) == NULL)
			return false;
		news |= sack_add(t->sack, o->sack[i]);
	}
	return news;
}

void
tcp_sack_forget(struct tcp *t, uint32_t before)
{
	struct tcp_sack *k = t->sack;
	int i = 0;

	if (k == NULL)
		return;
	while (i < k->n && seq_leq(k->r[i].end, before))
		i++;
	k->n -= i;
	memmove(k->r, k->r + i, (size_t)k->n * sizeof(k->r[0]));
	if (k->n == 0) {
		free(k);
		t->sack = NULL;
	} else {
		k->r[0].start = seq_max(k->r[0].start, before);
	}
}

uint32_t
tcp_sack_hole(const struct tcp *t, uint32_t seq, uint32_t *end)
{
	const struct tcp_sack *k = t->sack;
	int i;

	*end = t->snd_max;
	for (i = 0; k != NULL && i < k->n; i++) {
		if (seq_lt(seq, k->r[i].start)) {
			*end = k->r[i].start;
			break;
		}
		if (seq_lt(seq, k->r[i].end))
			seq = k->r[i].end;
	}
	return seq;
}

uint32_t
tcp_sack_lost(const struct tcp *t)
{
	const struct tcp_sack *k = t->sack;
	uint32_t above = 0;
	int i, ranges = 0;

	for (i = k != NULL ? k->n - 1 : -1; i >= 0; i--) {
		above += k->r[i].end - k->r[i].start;
		ranges++;
		if (ranges >= TCP_DUPTHRESH ||
		    above > (TCP_DUPTHRESH - 1u) * t->mss)
			return seq_max(k->r[i].start, t->lost_to);
	}
	return t->lost_to;
}
