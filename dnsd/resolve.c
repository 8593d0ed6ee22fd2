/*
 * One client inside of dnsd, as if it were a stream's.  The id of a query is
 * its place in a ring: what is not answered when the ring comes round was
 * dropped by a limit, and fails then.
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
	struct client *client; /* borrowed; NULL: not yet */
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

static void
message(void *arg, struct rd msg)
{
	struct resolve *r = arg;
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

void
resolve_ask(struct resolve *r, struct ipc *from, struct ipc_msg *m)
{
	struct ask *k = &r->ring[r->next];
	uint8_t query[ANSWER_QUERYMAX];
	size_t len;

	if (r->proxy != from)
		resolve_peer_gone(r, r->proxy);
	r->proxy = from;
	if (r->client == NULL)
		r->client = client_inside(r->d, from, message, r);
	if (k->used)
		answered(r, k, NULL, "no answer");
	len = answer_query(query, r->next, ipc_str(m, "name"));
	*k = (struct ask){ true, (uint32_t)ipc_u64(m, "id") };
	r->next = (uint16_t)((r->next + 1) % RESOLVE_RING);
	if (len == 0)
		answered(r, k, NULL, "not a name");
	else if (r->client == NULL)
		answered(r, k, NULL, "no answer");
	else
		lookup_start(r->client, NULL, query + 2, len - 2);
}

void
resolve_peer_gone(struct resolve *r, struct ipc *link)
{
	if (link == NULL || r->proxy != link)
		return;
	r->proxy = NULL;
	r->client = NULL;
	memset(r->ring, 0, sizeof(r->ring));
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
	return r;
}

void
resolve_free(struct resolve *r)
{
	free(r);
}
