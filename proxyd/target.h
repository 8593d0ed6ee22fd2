#ifndef TARGET_H
#define TARGET_H

/*
 * Request targets, RFC 9112 3.2, and Host.  Pure.
 *
 * A host is a name of letters, digits and "-._", or an address; what is not
 * plain enough to mean the same to everybody is refused.
 */

#include <stdbool.h>
#include <stdint.h>

#include "proxyd/head.h"

#define TARGET_HOSTMAX 253

enum target_form {
	TARGET_ORIGIN,	  /* /path?query */
	TARGET_ABSOLUTE,  /* http://host:port/path?query */
	TARGET_AUTHORITY, /* host:port, of CONNECT */
	TARGET_ASTERISK,  /* *, of OPTIONS */
};

struct authority {
	char host[TARGET_HOSTMAX + 1]; /* no brackets; "" for none */
	bool v6;		       /* an IPv6 address */
	uint16_t port;		       /* 0: none was given */
};

struct target {
	enum target_form form;
	struct authority authority; /* absolute and authority form */
	struct span path;	    /* with its query; "" if the URI has none */
};

/* "host" or "host:port".  -1: neither. */
int authority_parse(struct span, struct authority *);
/* -1: *why says what is wrong. */
int target_parse(const struct head *, struct target *, const char **why);

#endif
