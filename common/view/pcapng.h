#ifndef PCAPNG_H
#define PCAPNG_H

/*
 * Packets as a pcapng file, with what was dropped and why as comments; and
 * which of them the user wants.  Pure.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/tape.h"

struct filter {
	uint8_t proto; /* of IP; 0: any */
	bool arp;      /* only ARP */
	bool has_ip;
	uint32_t ip;   /* one of the two ends, host order */
	uint16_t port; /* the same; 0: any */
};

/* -1 with *why, a constant, when this is no word of a filter. */
int filter_word(
    struct filter *, const char *key, const char *value, const char **why);
bool filter_match(const struct filter *, const uint8_t *frame, size_t len);

/* -1: the file takes no more. */
int pcapng_head(FILE *);
/* One for each VM, numbered from 0 in this order. */
int pcapng_interface(FILE *, const char *name, uint32_t snaplen);
int pcapng_packet(FILE *, uint32_t interface, const struct tape_pkt *);

#endif
