/*
 * A client without a socket: its queries are lookups like a guest's, and the
 * answers come back here.  The id of a query is its place in a
 * ring: what is not answered when the ring comes round was dropped by a limit,
 * and fails then.
 */

#include <stdlib.h>
#include <string.h>

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
	struct dnsd *d;	       /* borrowed */
	struct ipc *proxy;     /* borrowed; who asks, NULL: nobody */
	struct client *client; /* borrowed; its guest's */
	uint16_t next;	       /* place in the ring */
	struct ask ring[RESOLVE_RING];
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

void
resolve_answer(struct resolve *r, const uint8_t *msg, size_t len)
{
	struct answer a;

	if (answer_parse(rd_init(msg, len), &a) == -1 || a.id >= RESOLVE_RING ||
	    !r->ring[a.id].used)
		return;
	if (a.nip > 0)
		answered(r, &r->ring[a.id], &a, "");
	else if (a.rcode == DNS_NOERROR || a.rcode == DNS_NXDOMAIN)
		answered(r, &r->ring[a.id], NULL, "not found");
	else
		answered(r, &r->ring[a.id], NULL, "no answer");
}

/* A new proxyd knows nothing of what the old one asked. */
static int
attach(struct resolve *r, struct ipc *from)
{
	if (r->proxy == from)
		return 0;
	resolve_peer_gone(r, r->proxy);
	if ((r->client = client_bare(r->d, from, r)) == NULL)
		return -1;
	r->proxy = from;
	return 0;
}

void
resolve_ask(struct resolve *r, struct ipc *from, struct ipc_msg *m)
{
	static const uint8_t nowhere[ORIGIN_LEN];
	uint8_t query[ANSWER_QUERYMAX];
	struct ask *k;
	size_t len;

	if (attach(r, from) == -1)
		return;
	k = &r->ring[r->next];
	if (k->used)
		answered(r, k, NULL, "no answer");
	len = answer_query(query, r->next, ipc_str(m, "name"));
	*k = (struct ask){ true, (uint32_t)ipc_u64(m, "id") };
	r->next = (uint16_t)((r->next + 1) % RESOLVE_RING);
	if (len == 0)
		answered(r, k, NULL, "not a name");
	else
		lookup_start(r->client, nowhere, query + 2, len - 2);
}

void
resolve_peer_gone(struct resolve *r, struct ipc *link)
{
	if (link == NULL || r->proxy != link)
		return;
	client_peer_gone(r->d, link);
	r->proxy = NULL;
	r->client = NULL;
	memset(r->ring, 0, sizeof(r->ring));
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
	return r;
}

/* Its client is freed with all guests'. */
void
resolve_free(struct resolve *r)
{
	free(r);
}
