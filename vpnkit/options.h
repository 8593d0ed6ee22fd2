#ifndef OPTIONS_H
#define OPTIONS_H

/*
 * The command line of vpnkit, and the same names from a configuration file.
 * One table, in options.c, has every flag.  Pure: nothing is opened here.
 *
 *	options_init, options_parse, options_file for each member of the
 *	file, options_finish: defaults are filled in and everything checked.
 *
 * On error these return -1 and err, of OPTIONS_ERRLEN bytes, has one line for
 * the user.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/ipaddr.h"

#define OPTIONS_ERRLEN 512
#define OPTIONS_NAMES  64 /* names in one list: what the bus carries */

struct strlist {
	char **v; /* owned */
	size_t n;
};

enum opt_given {
	GIVEN_NOT,
	GIVEN_FILE,
	GIVEN_LINE,
};

struct options {
	/* Strings are owned; NULL when not given and without a default. */
	char *ethernet, *ethernet_qemu;
	struct strlist ethernet_dgram;
	int64_t mtu;
	struct ipaddr gateway_ip, host_ip, lowest_ip, highest_ip;
	struct macaddr server_mac;
	char *domain, *dhcp_path;
	struct strlist gateway_names, host_names, vm_names;
	char *dns, *hosts;
	struct strlist tcpv4_forwards, udpv4_forwards;
	char *gateway_forwards, *forwards;
	char *http, *http_api_path;
	bool http_from_environment;
	struct strlist port, publish;
	char *vsock_path, *port_forwards, *tunnel_protocol;
	struct strlist allowed_bind;
	int64_t max_connections; /* -1: no limit */
	int64_t listen_backlog;
	struct strlist introspection, diagnostics, pcap;
	int64_t pcap_snaplen;
	char *admin, *metrics, *log;
	char *config, *unused;
	bool preserve_source;
	bool debug, check, help, version;
	uint8_t *given; /* owned; an enum opt_given for each row */
};

/* Without memory for it, options_parse() says so. */
void options_init(struct options *);
void options_fini(struct options *);

/* Stops at --help or --version, whose field is then set. */
int options_parse(struct options *, int argc, char *const argv[], char *err);
/*
 * One value from the file, by its full name; a list is one call per item, a
 * flag "true" or "false".  The command line wins.
 */
int options_file(
    struct options *, const char *name, const char *value, char *err);
int options_finish(struct options *, char *err);

/*
 * What to warn of: flags that were given and do nothing.  Start with *row = 0
 * and call until NULL; the text is in buf of OPTIONS_ERRLEN bytes.
 */
const char *options_note(const struct options *, size_t *row, char *buf);

/* How to reach the forwarder in the VM; NULL: there is no tunnel. */
const char *options_tunnel(const struct options *);

void options_help(FILE *);

/* Whether diagd is needed: it only watches, for who wants to. */
static inline bool
options_want_diag(const struct options *op)
{
	return op->pcap.n > 0 || op->diagnostics.n > 0 ||
	       op->introspection.n > 0 || op->metrics != NULL;
}

#endif
