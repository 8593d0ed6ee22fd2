#ifndef NAMES_H
#define NAMES_H

/*
 * What the configuration says, as values: the names the suite answers itself
 * and the servers it asks for all others.  Pure.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ipaddr.h"

#define NAMES_MAX    192 /* three lists of 64 */
#define NAME_WIRELEN 255 /* RFC 1035 2.3.4, with the root's zero */
#define NAME_LABEL   63

struct name {
	uint8_t wire[NAME_WIRELEN]; /* RFC 1035 3.1, lower case */
	uint8_t len;
	uint32_t ip; /* host order */
};

struct names {
	size_t n;
	struct name name[NAMES_MAX];
};

/* Binds the text of a name to an address.  -1: not a name, or no room. */
int names_add(struct names *, const char *text, uint32_t ip);
/*
 * The addresses bound to a name in wire form, whatever its case; at most max.
 */
size_t names_find(const struct names *, const uint8_t *wire, size_t len,
    uint32_t *ip, size_t max);

/* "address#port".  -1: it is not. */
int server_parse(const char *, struct ipaddr *, uint16_t *port);

/* ASCII only, RFC 4343; labels' length bytes are never letters. */
bool name_equal(const uint8_t *a, const uint8_t *b, size_t len);

#endif
