#ifndef NAMES_H
#define NAMES_H

/*
 * Names: in wire form, and those we answer ourselves, with their addresses.
 * Pure.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ipaddr.h"

#define NAMES_MAX    16384 /* of one table */
#define NAME_WIRELEN 255   /* RFC 1035 2.3.4, with the root's zero */
#define NAME_LABEL   63

struct name {
	uint8_t wire[NAME_WIRELEN]; /* RFC 1035 3.1, lower case */
	uint8_t len;
};

/* The text of a name; a dot at the end is allowed, the root alone is not. */
int name_parse(const char *, struct name *);
/* ASCII only, RFC 4343; labels' length bytes are never letters. */
bool name_equal(const uint8_t *a, const uint8_t *b, size_t len);
/* Whether a name is the zone or below it; both in wire form. */
bool name_in_zone(const uint8_t *name, size_t len, const struct name *zone);
/* The same for the same letters in any case. */
uint64_t name_hash(const uint8_t *name, size_t len, uint64_t key);

struct names; /* a table */

/* key: a secret, as guests choose what is looked for.  NULL: no memory. */
struct names *names_new(uint64_t key);
void names_free(struct names *);
/* -1: not a name, or no room. */
int names_add(struct names *, const char *text, const struct ipaddr *);
size_t names_count(const struct names *); /* different ones */
/*
 * Whether the name is there, whatever its case, and at most max of its
 * addresses of a family, 0 for any, in the order in which they were added.
 */
bool names_find(const struct names *, const uint8_t *wire, size_t len,
    uint8_t family, struct ipaddr *, size_t max, size_t *n);

#endif
