/*
 * Errors of the system, by number and by the name that travels on the bus, and
 * what they mean to the core.
 */

#include <errno.h>
#include <string.h>

#include "netstackd/netstackd.h"

/* clang-format off */
static const struct {
	int error;
	const char *name;
	enum net_error net;
} errors[] = {
	{ ECONNREFUSED,	 "ECONNREFUSED",  NET_EREFUSED },
	{ ECONNRESET,	 "ECONNRESET",	  NET_ERESET },
	{ ECONNABORTED,	 "ECONNABORTED",  NET_ERESET },
	{ EPIPE,	 "EPIPE",	  NET_EPIPE },
	{ ETIMEDOUT,	 "ETIMEDOUT",	  NET_ETIMEDOUT },
	{ ENETUNREACH,	 "ENETUNREACH",	  NET_ENETUNREACH },
	{ ENETDOWN,	 "ENETDOWN",	  NET_ENETUNREACH },
	{ EHOSTUNREACH,	 "EHOSTUNREACH",  NET_EHOSTUNREACH },
	{ EHOSTDOWN,	 "EHOSTDOWN",	  NET_EHOSTUNREACH },
	{ EACCES,	 "EACCES",	  NET_EADMIN },
	{ EPERM,	 "EPERM",	  NET_EADMIN },
	{ EMSGSIZE,	 "EMSGSIZE",	  NET_EMSGSIZE },
	{ EMFILE,	 "EMFILE",	  NET_ELIMIT },
	{ ENFILE,	 "ENFILE",	  NET_ELIMIT },
	{ ENOBUFS,	 "ENOBUFS",	  NET_ELIMIT },
	{ ENOMEM,	 "ENOMEM",	  NET_ELIMIT },
	/* No free local port: connect() says the first, bind() the second. */
	{ EADDRNOTAVAIL, "EADDRNOTAVAIL", NET_ELIMIT },
	{ EADDRINUSE,	 "EADDRINUSE",	  NET_ELIMIT },
};
/* clang-format on */

#define NERRORS (sizeof(errors) / sizeof(errors[0]))

enum net_error
neterr_from_errno(int error)
{
	size_t i;

	for (i = 0; i < NERRORS; i++) {
		if (errors[i].error == error)
			return errors[i].net;
	}
	return NET_EOTHER;
}

enum net_error
neterr_from_name(const char *name)
{
	size_t i;

	for (i = 0; i < NERRORS; i++) {
		if (strcmp(errors[i].name, name) == 0)
			return errors[i].net;
	}
	return NET_EOTHER;
}
