/*
 * One client inside of dnsd, as if it were a stream's.  The id of a query is
 * its place in a ring: what is not answered when the ring comes round was
 * dropped by a limit, or is slow, and fails then.  Its answer may still come,
 * and is not that to the question which has the place now.
 */

#include <stdlib.h>
#include <string.h>

#include <strings.h>

#include "common/log.h"
#include "common/rd.h"
#include "dnsd/answer.h"
#include "dnsd/dnsd.h"
#include "dnsd/resolve.h"

#define RESOLVE_RING 1024
#define HEADLEN	     12 /* of a message, before its question */

struct ask {
	uint32_t id;
	int family;
	uint8_t *name; /* owned; as in messages; NULL: nobody asks */
	size_t len;    /* with the type and the class behind it */
};

struct resolve {
	struct dnsd *d;	       /* borrowed */
	struct ipc *proxy;     /* borrowed; who asks, NULL: nobody */
	struct client *client; /* borrowed; NULL: not yet */
	uint16_t next;	       /* place in the ring */
	struct ask ring[RESOLVE_RING];
};

static void
ask_end(struct ask *k)
{
	free(k->name);
	k->name = NULL;
}

static void
answered(
    struct resolve *r, struct ask *k, const struct answer *a, const char *error)
{
	json_t *addrs = json_array();
	char text[IPADDR_STRLEN];
	size_t i;

	for (i = 0; a != NULL && i < a->nip; i++)
		json_array_append_new(
		    addrs, json_string(ipaddr_str(&a->ip[i], text)));
	ask_end(k);
	ipc_send(r->proxy, IPC_RESOLVED, NULL, 0, "{s:I,s:o,s:s}", "id",
	    (json_int_t)k->id, "addrs", addrs, "error", error);
}

/*
 * Lengths of labels are below the letters, so they count as they are, as do
 * the types.
 */
static bool
is_about(const struct ask *k, struct rd msg)
{
	size_t i;

	if (k->name == NULL || rd_skip(&msg, HEADLEN) == -1 || msg.len < k->len)
		return false;
	for (i = 0; i < k->len; i++) {
		if (strncasecmp((const char *)msg.p + i,
			(const char *)k->name + i, 1) != 0)
			return false;
	}
	return true;
}

static void
message(void *arg, struct rd msg)
{
	struct resolve *r = arg;
	struct ask *k;
	struct answer a;
	uint16_t id;

	if (answer_id(msg, &id) == -1 || id >= RESOLVE_RING)
		return;
	k = &r->ring[id];
	if (!is_about(k, msg) || answer_parse(msg, k->family, &a) == -1)
		return;
	if (a.nip > 0)
		answered(r, k, &a, "");
	else if (a.rcode == DNS_NOERROR)
		answered(r, k, NULL, "no address");
	else if (a.rcode == DNS_NXDOMAIN)
		answered(r, k, NULL, "not found");
	else
		answered(r, k, NULL, "no answer");
}

/* Keeps the name of a query, which has one question.  False: no memory. */
static bool
ask_begin(struct ask *k, const uint8_t *query, size_t len)
{
	k->len = len - HEADLEN;
	if ((k->name = malloc(k->len)) == NULL)
		return false;
	memcpy(k->name, query + HEADLEN, k->len);
	return true;
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
	if (k->name != NULL)
		answered(r, k, NULL, "no answer");
	k->family = ipc_bool(m, "v6") ? 6 : 4;
	len = answer_query(query, r->next, ipc_str(m, "name"), k->family);
	k->id = (uint32_t)ipc_u64(m, "id");
	r->next = (uint16_t)((r->next + 1) % RESOLVE_RING);
	if (len == 0)
		answered(r, k, NULL, "not a name");
	else if (r->client == NULL || !ask_begin(k, query + 2, len - 2))
		answered(r, k, NULL, "no answer");
	else
		lookup_start(r->client, NULL, query + 2, len - 2);
}

void
resolve_peer_gone(struct resolve *r, struct ipc *link)
{
	size_t i;

	if (link == NULL || r->proxy != link)
		return;
	r->proxy = NULL;
	r->client = NULL;
	for (i = 0; i < RESOLVE_RING; i++)
		ask_end(&r->ring[i]);
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
	size_t i;

	for (i = 0; r != NULL && i < RESOLVE_RING; i++)
		ask_end(&r->ring[i]);
	free(r);
}
