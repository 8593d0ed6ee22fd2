/*
 * One stream, opened when the first name is asked for.  The id of a query is
 * its place in a ring: what is not answered when the ring comes round was
 * dropped by a limit, and fails then.
 */

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"
#include "common/rd.h"
#include "dnsd/answer.h"
#include "dnsd/dnsd.h"
#include "dnsd/resolve.h"

#define RESOLVE_RING 1024

struct ask {
	bool used;
	uint32_t id;
};

struct resolve {
	struct dnsd *d;	   /* borrowed */
	struct ipc *proxy; /* borrowed; who asks, NULL: nobody */
	int fd;		   /* owned: our end of the stream; -1: none */
	struct ev_io rd;
	uint16_t next; /* place in the ring */
	struct ask ring[RESOLVE_RING];
	size_t inlen;
	uint8_t in[2 + DNS_MAXMSG];
};

static void
answered(
    struct resolve *r, struct ask *k, const struct answer *a, const char *error)
{
	json_t *addrs = json_array();
	char text[IPADDR_STRLEN];
	struct ipaddr ip;
	size_t i;

	for (i = 0; a != NULL && i < a->nip; i++) {
		ip = ipaddr_from_u32(a->ip[i]);
		json_array_append_new(
		    addrs, json_string(ipaddr_str(&ip, text)));
	}
	k->used = false;
	ipc_send(r->proxy, IPC_RESOLVED, NULL, 0, "{s:I,s:o,s:s}", "id",
	    (json_int_t)k->id, "addrs", addrs, "error", error);
}

static void
message(struct resolve *r, struct rd msg)
{
	struct answer a;

	if (answer_parse(msg, &a) == -1 || a.id >= RESOLVE_RING ||
	    !r->ring[a.id].used)
		return;
	if (a.nip > 0)
		answered(r, &r->ring[a.id], &a, "");
	else if (a.rcode == DNS_NOERROR || a.rcode == DNS_NXDOMAIN)
		answered(r, &r->ring[a.id], NULL, "not found");
	else
		answered(r, &r->ring[a.id], NULL, "no answer");
}

/* Nothing that was asked will be answered. */
static void
stream_close(struct resolve *r)
{
	size_t i;

	if (r->fd == -1)
		return;
	ev_io_stop(r->d->d->loop, &r->rd);
	close(r->fd);
	r->fd = -1;
	for (i = 0; i < RESOLVE_RING; i++) {
		if (r->ring[i].used && r->proxy != NULL)
			answered(r, &r->ring[i], NULL, "no answer");
		r->ring[i].used = false;
	}
}

static void
read_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct resolve *r = w->data;
	struct rd in, next, msg;
	uint16_t len;
	ssize_t n;

	n = read(r->fd, r->in + r->inlen, sizeof(r->in) - r->inlen);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		stream_close(r);
		return;
	}
	in = rd_init(r->in, r->inlen + (size_t)n);
	for (next = in;
	     rd_u16(&next, &len) == 0 && rd_sub(&next, len, &msg) == 0;
	     in = next)
		message(r, msg);
	memmove(r->in, in.p, in.len);
	r->inlen = in.len;
}

static int
stream_open(struct resolve *r)
{
	if (r->fd != -1)
		return 0;
	if ((r->fd = client_stream(r->d, r->proxy)) == -1)
		return -1;
	r->inlen = 0;
	ev_io_init(&r->rd, read_cb, r->fd, EV_READ);
	r->rd.data = r;
	ev_io_start(r->d->d->loop, &r->rd);
	return 0;
}

void
resolve_ask(struct resolve *r, struct ipc *from, struct ipc_msg *m)
{
	struct ask *k = &r->ring[r->next];
	uint8_t query[ANSWER_QUERYMAX];
	size_t len;

	if (r->proxy != from)
		resolve_peer_gone(r, r->proxy);
	r->proxy = from;
	if (k->used)
		answered(r, k, NULL, "no answer");
	len = answer_query(query, r->next, ipc_str(m, "name"));
	*k = (struct ask){ true, (uint32_t)ipc_u64(m, "id") };
	r->next = (uint16_t)((r->next + 1) % RESOLVE_RING);
	if (len == 0)
		answered(r, k, NULL, "not a name");
	else if (stream_open(r) == -1 ||
		 write(r->fd, query, len) != (ssize_t)len)
		answered(r, k, NULL, "no answer");
}

void
resolve_peer_gone(struct resolve *r, struct ipc *link)
{
	if (link == NULL || r->proxy != link)
		return;
	r->proxy = NULL;
	stream_close(r);
	client_peer_gone(r->d, link);
}

struct resolve *
resolve_new(struct dnsd *d)
{
	struct resolve *r;

	if ((r = calloc(1, sizeof(*r))) == NULL) {
		log_warn("names for proxyd");
		return NULL;
	}
	r->d = d;
	r->fd = -1;
	return r;
}

void
resolve_free(struct resolve *r)
{
	if (r == NULL)
		return;
	r->proxy = NULL;
	stream_close(r);
	free(r);
}
