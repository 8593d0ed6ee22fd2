#ifndef VNET_H
#define VNET_H

/*
 * The header a TAP with IFF_VNET_HDR has before each frame (virtio 1.2, 5.1.6):
 * what the sender's kernel has left to the card.  That is a checksum, which
 * then has the sum of the pseudo header in its place, and the cutting of a
 * large TCP packet into segments, or of a large UDP one into datagrams.  Pure.
 *
 * A guest has a say in all of it.  What passes vnet_read() is safe for the
 * other functions.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/rd.h"

#define VNET_HDRLEN 10

struct vnet {
	/* The checksum from start on to the end goes to off behind start. */
	bool sum;
	uint16_t start, off;
	uint16_t seg;	 /* payload of each segment; 0: not to be cut */
	bool udp;	 /* to be cut into datagrams; nobody may leave us that */
	uint16_t hdrlen; /* of all headers, if seg */
	/* What follows is not in the header but was found in the frame. */
	bool plain;    /* the checksum is that of IPv4's TCP or UDP */
	uint16_t ip;   /* where IPv4 begins, if plain */
	uint16_t plen; /* payload, if seg */
};

/*
 * Takes the header; r becomes the frame.  -1: too short, or it says what
 * cannot be, or what nobody was asked to leave to us.
 */
int vnet_read(struct rd *r, struct vnet *);

/* VNET_HDRLEN bytes at p. */
void vnet_write(uint8_t *p, const struct vnet *);

/* Completes the checksum of a frame, if it is left open. */
void vnet_complete(uint8_t *frame, size_t len, const struct vnet *);

/* A frame that is cut into its segments. */
struct vnet_cut {
	const struct vnet *v; /* borrowed */
	const uint8_t *frame; /* borrowed */
	size_t done;	      /* of the payload */
	uint16_t n;	      /* segments so far */
	bool over;
};

/* Only with seg. */
void vnet_cut(struct vnet_cut *, const struct vnet *, const uint8_t *frame);
/*
 * The next one, whole with all its checksums, to out.  Its length; 0: there
 * are no more, or room is too little.
 */
size_t vnet_cut_next(struct vnet_cut *, uint8_t *out, size_t room);

#endif
