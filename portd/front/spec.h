#ifndef SPEC_H
#define SPEC_H

/*
 * One forward as its client writes it, and what a client is told when it
 * cannot be had.  Pure.
 *
 *	tcp:IP:PORT:tcp:IP:PORT		udp:IP:PORT:udp:IP:PORT
 *	unix:B64PATH:unix:B64PATH
 *
 * The first end is the host's, the second one the virtual machine's.  Texts of
 * errors are what docker and its users know from vpnkit (9P) and from Go's
 * net package (HTTP): programs look for pieces of them.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/ipaddr.h"

#define SPEC_PATHMAX 107  /* what sockaddr_un holds, less the final zero */
#define SPEC_TEXTMAX 1024 /* of a request */
#define SPEC_STRLEN  384  /* of spec_str(): two paths in base 64 */
#define SPEC_ERRLEN  1536

enum fwd_proto { FWD_TCP, FWD_UDP, FWD_UNIX, FWD__MAX };

extern const char *const fwd_proto_name[FWD__MAX];

struct fwd_end {
	struct ipaddr ip;
	uint16_t port;
	char path[SPEC_PATHMAX + 1]; /* FWD_UNIX only, else "" */
};

struct fwd_spec {
	enum fwd_proto proto;
	struct fwd_end out, in; /* the host's, the virtual machine's */
};

/* White space behind it is nothing.  -1: err, of SPEC_ERRLEN, has a text. */
int spec_parse(const char *text, size_t len, struct fwd_spec *, char *err);
/* The same form again, into SPEC_STRLEN bytes; returns them. */
const char *spec_str(const struct fwd_spec *, char *buf);
int spec_cmp(const struct fwd_spec *, const struct fwd_spec *);
/* -1: no such protocol. */
int spec_proto(const char *name, size_t len);

/*
 * Why the host's end could not be had, of an errno's name ("EADDRINUSE"), into
 * SPEC_ERRLEN bytes; returns them.  why: what to do about it, "" if unknown.
 */
const char *spec_error_9p(
    const struct fwd_spec *, const char *name, const char *why, char *buf);
const char *spec_error_http(
    const struct fwd_spec *, const char *name, const char *why, char *buf);

#endif
