/*
 * Guest data on its way to the host socket.
 *
 * In-order payload stays in the frames it came in: of one flow at a time it
 * is collected as iovecs, and written with one call when another flow's comes,
 * when there is enough, or when the batch of frames ends.  rcv_nxt moves by
 * what the host's kernel took, so that nothing else is ever acknowledged.
 * What it did not take goes to the flow's queue, to be written at the next
 * writable event; what does not fit there is dropped and the guest sends it
 * again.
 */

#include <errno.h>

#include "netstackd/core/tcp.h"

/* Leaves in iov what lies behind its first n bytes; the new count. */
static int
iov_advance(struct iovec *iov, int niov, size_t n)
{
	int i, gone = 0;

	while (gone < niov && n >= iov[gone].iov_len)
		n -= iov[gone++].iov_len;
	for (i = gone; i < niov; i++)
		iov[i - gone] = iov[i];
	niov -= gone;
	if (niov > 0) {
		iov[0].iov_base = (uint8_t *)iov[0].iov_base + n;
		iov[0].iov_len -= n;
	}
	return niov;
}

/*
 * Writes until all is taken or the socket says EAGAIN, because only that
 * promises an event.  Returns the iovecs left over, -1 on an error.
 */
static int
host_write(struct net *net, struct tcp *t, struct iovec *iov, int niov)
{
	ssize_t n;

	while (niov > 0 && !t->host_full) {
		n = net->hook->write(net->arg, t->f.id, iov, niov);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno != EAGAIN && errno != EWOULDBLOCK)
			return -1;
		if (n == -1) {
			t->host_full = true;
			break;
		}
		t->rcv_nxt += (uint32_t)n;
		t->ack_due = true;
		niov = iov_advance(iov, niov, (size_t)n);
	}
	return niov;
}

void
tcp_fin_check(struct net *net, usec_t now, struct tcp *t)
{
	if (!t->guest_fin || t->rcv_nxt != t->fin_in ||
	    tcp_event(t, TCPE_FIN) == -1)
		return;
	net->hook->shutdown(net->arg, t->f.id);
	t->rcv_nxt++;
	t->rcv_adv = seq_max(t->rcv_adv, t->rcv_nxt);
	t->ack_due = true;
	tcp_queue_free(net, &t->queue);
	if (t->state == TCPS_TIME_WAIT)
		tcp_time_wait(net, now, t);
}

int
tcp_queue_write(struct net *net, usec_t now, struct tcp *t)
{
	struct iovec iov[TCP_BATCH_IOV];
	int n;

	t->ack_now |= t->queue != NULL;
	while (!t->host_full) {
		n = tcp_queue_iov(t->queue, t->rcv_nxt, iov, TCP_BATCH_IOV);
		if (n == 0)
			break;
		if (host_write(net, t, iov, n) == -1) {
			tcp_abort(net, now, t);
			return -1;
		}
		tcp_queue_drop(net, &t->queue, t->rcv_nxt);
	}
	tcp_fin_check(net, now, t);
	return 0;
}

/* Keeps what the host would not take. */
static void
queue_rest(struct net *net, struct tcp *t, const struct iovec *iov, int niov)
{
	uint32_t seq = t->rcv_nxt;
	int i;

	stat_inc(net, NETS_TCP_PARTIAL);
	for (i = 0; i < niov; i++) {
		if (tcp_queue_add(net, &t->queue, seq, iov[i].iov_base,
			iov[i].iov_len) == -1) {
			stat_inc(net, NETS_TCP_OOO_FULL);
			return;
		}
		seq += (uint32_t)iov[i].iov_len;
	}
}

int
tcp_batch_write(struct net *net, usec_t now)
{
	struct tcp_net *tn = net->tcp;
	struct tcp *t = tn->batch;
	int left;

	if (t == NULL)
		return 0;
	tn->batch = NULL;
	t->ack_now |= t->queue != NULL; /* a hole may end here */
	left = host_write(net, t, tn->iov, tn->niov);
	if (left == -1) {
		tcp_abort(net, now, t);
		return -1;
	}
	if (left > 0)
		queue_rest(net, t, tn->iov, left);
	else
		tcp_queue_drop(net, &t->queue, t->rcv_nxt);
	return tcp_queue_write(net, now, t);
}

int
tcp_batch_add(struct net *net, usec_t now, struct tcp *t, uint32_t seq,
    const struct rd *r)
{
	struct tcp_net *tn = net->tcp;
	bool mine = tn->batch == t;

	if (tn->batch != NULL && (!mine || tn->niov == TCP_BATCH_IOV ||
				     tn->batch_len + r->len > TCP_BATCH_LEN)) {
		if (tcp_batch_write(net, now) == -1 && mine)
			return -1;
	}
	if (t->host_full || seq != tcp_expect(net, t)) {
		/* The write was cut short: this waits behind its rest. */
		if (tcp_queue_add(net, &t->queue, seq, r->p, r->len) == -1)
			stat_inc(net, NETS_TCP_OOO_FULL);
		return 0;
	}
	if (tn->batch == NULL) {
		tn->batch = t;
		tn->niov = 0;
		tn->batch_len = 0;
	}
	/* write() only reads what iovecs point to. */
	tn->iov[tn->niov].iov_base = (void *)(uintptr_t)r->p;
	tn->iov[tn->niov++].iov_len = r->len;
	tn->batch_len += (uint32_t)r->len;
	return 0;
}
