#ifndef MUX_H
#define MUX_H

/*
 * Many streams over one, as vpnkit's multiplexer has it: channels with
 * windows.  Pure: bytes of the tunnel in, bytes for the tunnel out, and hooks.
 *
 * Nothing is sent before the other end's window allows it, and nothing after
 * our own Shutdown or Close; a number is free again when both ends have sent
 * their Close.  What comes for a number that is not in use is read and
 * dropped: it was on its way when the channel ended.  Only bytes that are no
 * frame end the whole.
 */

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "portd/front/buf.h"
#include "portd/front/muxframe.h"

#define MUX_WIN	     65536
#define MUX_RENEW    32768  /* credit left at which more is given */
#define MUX_OVERRUN  262144 /* beyond the window; the peer lies behind it */
#define MUX_FIRSTID  0x7fffffffu
#define MUX_MAXCHANS 8192 /* with those that wait for the other's Close */
#define MUX_BUCKETS  1024
#define MUX_DATAMAX  16384	   /* of one frame we send */
#define MUX_OUTMAX   (256 * 1024)  /* bytes waiting; no more data then */
#define MUX_INPUTMAX (1024 * 1024) /* the same; no more is read then */

enum mux_stat {
	MUXS_OPENED,
	MUXS_REFUSED, /* closed by the other end before it said anything */
	MUXS_UNKNOWN, /* frames for a number that is not in use */
	MUXS_OPENS,   /* of the other end's: refused */
	MUXS_OVERRUN, /* channels closed for it */
	MUXS_BAD,     /* not a frame */
	MUXS__MAX
};

struct mux;

struct mux_chan {
	struct mux *mux; /* borrowed */
	uint32_t id;
	void *data;		      /* the owner's; NULL: it has let go */
	uint64_t sent, allowed;	      /* toward the VM */
	uint64_t got, taken, offered; /* from it */
	bool sent_shutdown, sent_close, got_shutdown;
	struct mux_chan *next; /* hash chain */
	LIST_ENTRY(mux_chan) entry;
};

struct mux_hooks {
	/* Bytes; tell of them with mux_taken() when they are gone. */
	void (*data)(struct mux_chan *, const uint8_t *, size_t);
	void (*window)(struct mux_chan *); /* more may be sent */
	void (*shutdown)(struct mux_chan *);
	/* The other end is done, both ways; the channel goes after this. */
	void (*closed)(struct mux_chan *);
	void (*count)(void *arg, enum mux_stat);
	/* Every frame, for who wants to see them. */
	void (*trace)(void *arg, bool sent, const struct mux_frame *);
};

struct mux {
	const struct mux_hooks *hooks; /* borrowed */
	void *arg;
	struct buf out; /* for the tunnel */
	uint32_t next_id;
	size_t nchan;
	LIST_HEAD(, mux_chan) chans; /* owned */
	struct mux_chan *bucket[MUX_BUCKETS];
	/* The frame that is being read. */
	uint8_t head[MUX_MAXHEAD];
	size_t headlen;
	uint32_t left; /* bytes of a Data frame still to come */
	uint32_t left_id;
	bool failed; /* out of memory, or bytes that are no frame */
};

void mux_init(struct mux *, const struct mux_hooks *, void *arg);
/* Without a word to anybody. */
void mux_fini(struct mux *);

/* -1: they are no frames, the tunnel is dead. */
int mux_input(struct mux *, const uint8_t *, size_t);

/* NULL: too many, or no memory. */
struct mux_chan *mux_open(struct mux *, const struct mux_dest *, void *data);
/* How much may be sent now in one frame. */
size_t mux_room(const struct mux_chan *);
/* Where to put at most max bytes, which mux_room() allowed; NULL: no memory. */
uint8_t *mux_begin(struct mux_chan *, size_t max);
void mux_end(struct mux_chan *, size_t n);
void mux_shutdown(struct mux_chan *);
/* The owner lets go; the channel is not to be touched any more. */
void mux_close(struct mux_chan *);
/* So many bytes of it are where they belong. */
void mux_taken(struct mux_chan *, size_t n);

#endif
