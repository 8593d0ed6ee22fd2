#ifndef POLICY_H
#define POLICY_H

/*
 * Whom a guest, and whom the other daemons, may reach: a table of address
 * ranges with a verdict, first match wins.  Pure.
 *
 * The host's loopback is reached through host-ip only, and only when that is
 * enabled.  Addresses that mean this suite itself, other VMs, or everybody are
 * never handed to the host's routing.
 *
 * Guests speak IPv4 only; to IPv6 addresses lead sockets of proxyd, which may
 * not be a way around this: an IPv4 address inside of one counts as itself.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ipaddr.h"

enum policy_verdict {
	POLICY_DENY,
	POLICY_ALLOW,
	POLICY_LOOPBACK, /* connect to 127.0.0.1 instead */
};

struct policy_rule {
	uint32_t lo, hi; /* both belong to it; host order */
	enum policy_verdict verdict;
};

/* What --gateway-ip and so on say; host order, 0 is "not there". */
struct policy_conf {
	uint32_t gateway_ip, host_ip, lowest_ip, highest_ip;
};

#define POLICY_MAXRULES	  16
#define POLICY_MAXSERVERS 64
#define POLICY_MAXPROXIES 4
#define POLICY_MAXBINDS	  64
#define POLICY_MAXCLOSED  16

struct policy_server {
	struct ipaddr addr;
	uint16_t port;
};

/* Zeroed, it denies everything. */
struct policy {
	struct policy_rule rule[POLICY_MAXRULES];
	size_t nrule;
	struct policy_server server[POLICY_MAXSERVERS]; /* for dnsd */
	size_t nserver;
	struct policy_server proxy[POLICY_MAXPROXIES]; /* for proxyd */
	size_t nproxy;
	struct policy_server closed[POLICY_MAXCLOSED]; /* the suite's own */
	size_t nclosed;
	uint32_t gateway;	     /* its address; 0: none */
	uint32_t guest_lo, guest_hi; /* addresses of guests */
	struct ipaddr
	    bind[POLICY_MAXBINDS]; /* that ports may be published on */
	size_t nbind;
};

/* Replaces the rules; the servers stay. */
void policy_set(struct policy *, const struct policy_conf *);
enum policy_verdict policy_check(const struct policy *, const struct ipaddr *);

/* Parses "address#port".  -1: not that, or no room; nothing is added then. */
int policy_add_server(struct policy *, const char *);
void policy_clear_servers(struct policy *);
/* May dnsd ask this one? */
bool policy_is_server(
    const struct policy *, const struct ipaddr *, uint16_t port);

/* The same for the proxies of the configuration that are an address. */
int policy_add_proxy(struct policy *, const char *);
void policy_clear_proxies(struct policy *);
/*
 * Where a socket of proxyd may lead on behalf of a guest: where the guest's
 * own may, and, via, to a configured proxy.
 */
enum policy_verdict policy_fetch(const struct policy *, bool via,
    const struct ipaddr *, uint16_t port);
/* Replaces the addresses that may be bound; -1: not an address, not added. */
void policy_clear_binds(struct policy *);
int policy_add_bind(struct policy *, const char *);
/* 0.0.0.0 among them means every address. */
bool policy_may_bind(const struct policy *, const struct ipaddr *);
/*
 * TCP ports of the suite itself, which no guest reaches whatever the rules and
 * the redirections say.  policy_add_closed() is -1 as policy_add_server().
 */
void policy_clear_closed(struct policy *);
int policy_add_closed(struct policy *, const char *);
bool policy_is_closed(
    const struct policy *, const struct ipaddr *, uint16_t port);
/* Is it the address a guest may have? */
bool policy_is_guest(const struct policy *, const struct ipaddr *);

#endif
