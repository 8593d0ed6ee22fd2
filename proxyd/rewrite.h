#ifndef REWRITE_H
#define REWRITE_H

/*
 * Heads as they leave: requests for a proxy or for a server, responses for the
 * guest, and error pages.  Pure.
 *
 * Fields stay as they are and in their order, but for those of one connection
 * only (RFC 9110 7.6.1), Host, and what is for a proxy alone.
 */

#include <stdbool.h>

#include "common/wr.h"
#include "proxyd/head.h"
#include "proxyd/target.h"

#define REWRITE_MAX (HEAD_MAX + 4096) /* of any head that leaves */

struct rewrite {
	const struct head *head;
	const struct target *target;
	const struct authority *host; /* where to; port 0 means 80 */
	bool via;		      /* the next hop is a proxy */
	const char *auth;	      /* for the proxy, "" for none */
	bool keep_auth;		      /* the guest's own is for that proxy */
	bool upgrade;		      /* may be asked for */
	bool close;		      /* one request only */
};

/* -1: no room. */
int rewrite_request(struct wr *, const struct rewrite *);
/*
 * close: the guest's connection ends with this response; keep_alive: say that
 * it does not, to an HTTP/1.0 client.
 */
int rewrite_response(
    struct wr *, const struct head *, bool close, bool keep_alive);
/* The CONNECT of our own. */
int rewrite_connect(struct wr *, const struct authority *, const char *auth);
/*
 * A page that ends the connection; what goes into the status line and, made
 * safe, into the page.
 */
int rewrite_error(struct wr *, unsigned status, const char *what, bool head);

#endif
