#ifndef URL_H
#define URL_H

/*
 * The forms in which the command line names a socket: a path, an inherited
 * descriptor, or a hypervisor's address.  Pure.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/ipaddr.h"

#define URL_PATHMAX 107 /* what sockaddr_un holds, less the final zero */
#define URL_CID_ANY UINT32_MAX

enum url_kind {
	URL_PATH,    /* PATH: a Unix socket to bind there */
	URL_FD,	     /* fd:N: inherited, already listening */
	URL_VSOCK,   /* vsock://:PORT or vsock://CID:PORT */
	URL_HYPERV,  /* hyperv-connect://, hyperv-listen://, hvsock:// */
	URL_LAUNCHD, /* launchd:NAME: inherited, already listening */
};

struct url {
	enum url_kind kind;
	const char *path; /* borrowed from the text */
	int fd;
	uint32_t cid, port;
};

/*
 * "ADDRESS:PORT", an IPv6 address in brackets: 1 with both; 0: it is something
 * else; -1 with *why: it means to be that, and is not one.
 */
int url_tcp(
    const char *text, struct ipaddr *, uint16_t *port, const char **why);
/* -1 with *why, a constant, when text is none of these. */
int url_parse(const char *text, struct url *, const char **why);

#endif
