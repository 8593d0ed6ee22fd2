/*
 * Socket names of the command line.  Every form has one function; a text with
 * a scheme is looked up in a table, anything else is a path.
 */

#include <bsd/stdlib.h>
#include <limits.h>
#include <string.h>

#include "url.h"

/* Plain decimal digits only: strtonum() also takes blanks and signs. */
static int
digits(const char *s, long long max, long long *v)
{
	const char *err;

	if (*s == '\0' || s[strspn(s, "0123456789")] != '\0')
		return -1;
	*v = strtonum(s, 0, max, &err);
	return err == NULL ? 0 : -1;
}

static int
url_fd(const char *s, struct url *u, const char **why)
{
	long long v;

	if (digits(s, INT_MAX, &v) == -1) {
		*why = "fd: wants the number of a descriptor";
		return -1;
	}
	u->fd = (int)v;
	return 0;
}

static int
url_vsock(const char *s, struct url *u, const char **why)
{
	const char *colon;
	char cid[16];
	long long v = URL_CID_ANY;
	size_t n;

	*why = "wants vsock://:PORT or vsock://CID:PORT";
	if ((colon = strchr(s, ':')) == NULL)
		return -1;
	if ((n = (size_t)(colon - s)) >= sizeof(cid))
		return -1;
	memcpy(cid, s, n);
	cid[n] = '\0';
	if (n > 0 && digits(cid, UINT32_MAX, &v) == -1)
		return -1;
	u->cid = (uint32_t)v;
	if (digits(colon + 1, UINT32_MAX, &v) == -1)
		return -1;
	u->port = (uint32_t)v;
	return 0;
}

static int
url_hyperv(const char *s, struct url *u, const char **why)
{
	if (*s != '\0' && *s != '/')
		return 0;
	*why = "wants the name of a virtual machine";
	return -1;
}

/* A name among the Sockets of the job's property list. */
static int
url_launchd(const char *s, struct url *u, const char **why)
{
	u->path = s;
	if (*s != '\0' && strlen(s) <= URL_PATHMAX)
		return 0;
	*why = "wants the name of a socket";
	return -1;
}

static int
url_path(const char *s, struct url *u, const char **why)
{
	if (*s == '\0') {
		*why = "is empty";
		return -1;
	}
	if (strstr(s, "://") != NULL) {
		*why = "has an unknown scheme";
		return -1;
	}
	if (strlen(s) > URL_PATHMAX) {
		*why = "is a path of more than 107 bytes, too long for a "
		       "Unix socket";
		return -1;
	}
	u->path = s;
	return 0;
}

/* clang-format off */
static const struct {
	const char *prefix;
	enum url_kind kind;
	int (*parse)(const char *, struct url *, const char **);
} forms[] = {
	{ "fd:",		URL_FD,		url_fd },
	{ "vsock://",		URL_VSOCK,	url_vsock },
	{ "hyperv-connect://",	URL_HYPERV,	url_hyperv },
	{ "hyperv-listen://",	URL_HYPERV,	url_hyperv },
	{ "hvsock://",		URL_HYPERV,	url_hyperv },
	{ "launchd:",		URL_LAUNCHD,	url_launchd },
	{ "",			URL_PATH,	url_path },
};
/* clang-format on */

int
url_parse(const char *text, struct url *u, const char **why)
{
	size_t i, n;

	memset(u, 0, sizeof(*u));
	u->fd = -1;
	for (i = 0;; i++) {
		n = strlen(forms[i].prefix);
		if (strncmp(text, forms[i].prefix, n) == 0)
			break; /* The last form matches everything. */
	}
	u->kind = forms[i].kind;
	return forms[i].parse(text + n, u, why);
}

int
url_tcp(
    const char *text, struct ipaddr *a, uint16_t *port, const char **why)
{
	const char *colon = strrchr(text, ':');
	char addr[IPADDR_STRLEN];
	long long v;
	size_t n;

	if (colon == NULL || strchr(text, '/') != NULL ||
	    strncmp(text, "fd:", 3) == 0 || strncmp(text, "launchd:", 8) == 0)
		return 0;
	*why = "wants the number of a port, 1 to 65535";
	if (digits(colon + 1, UINT16_MAX, &v) == -1 || v == 0)
		return -1;
	*port = (uint16_t)v;
	*why = "wants an address, [ADDRESS] for IPv6, before the port";
	n = (size_t)(colon - text);
	if (*text == '[' && n > 2 && text[n - 1] == ']') {
		text++;
		n -= 2;
	} else if (memchr(text, ':', n) != NULL) {
		return -1;
	}
	if (n >= sizeof(addr))
		return -1;
	memcpy(addr, text, n);
	addr[n] = '\0';
	if (ipaddr_parse(addr, a) == -1)
		return -1;
	/* Every address of the host: guests could not be kept from it. */
	*why = "wants one address, not all of them";
	return strcmp(addr, "::") == 0 || strcmp(addr, "0.0.0.0") == 0 ? -1 : 1;
}
