#ifndef TAPSHIM_H
#define TAPSHIM_H

/*
 * What the files of the shim share.
 *
 *	tapshim.c	  the loop, and frames between TAP and socket
 *	tapshim_conn.c	  the TAP, the socket, the handshake
 *	tapshim_offload.c what a virtio card would do: one large segment of
 *			  the guest's kernel becomes frames, and back
 */

#include <sys/uio.h>
#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ETH_HDRLEN   14
#define SUPER_MAX    70000 /* a virtio header and the largest segment */
#define STAGE_FRAMES 4096
#define MERGES	     16 /* flows that are put together at once */
#define MERGE_SEGS   64
#define MERGE_HDRLEN 128

enum framing {
	FRAMING_VMNET, /* 16-bit little-endian length */
	FRAMING_QEMU,  /* 32-bit big-endian length */
	FRAMING_SEQ,   /* a message of a SOCK_SEQPACKET for each frame */
};

/* Frames on their way to the socket, in one buffer. */
struct stage {
	uint8_t *buf;	 /* owned */
	size_t off, len; /* [off, len) is not written yet */
	/* FRAMING_SEQ: where each is, and how many have left. */
	struct {
		uint32_t off, len;
	} frame[STAGE_FRAMES];
	unsigned nframe, sent;
};

/* Segments of one flow that will be one for the guest's kernel. */
struct merge {
	bool used;
	bool closed; /* the last was short: nothing may follow */
	uint32_t next_seq;
	unsigned mss, segs;
	size_t hdrlen, paylen; /* of the frame that it will be */
	uint8_t flags;	       /* of all segments together */
	const uint8_t *first;  /* borrowed: the frame of the first segment */
	struct iovec iov[1 + MERGE_SEGS];
	uint8_t hdr[sizeof(struct virtio_net_hdr) + MERGE_HDRLEN];
};

struct shim_stats {
	unsigned long out_frames, out_bytes, out_reads, out_super, out_writes,
	    out_stalls; /* TAP to socket */
	unsigned long in_frames, in_bytes, in_reads, in_writes, in_merged,
	    in_drops; /* socket to TAP */
};

struct shim {
	enum framing framing;
	size_t prefix; /* bytes before each frame */
	bool offload;
	unsigned mtu;
	int tap, sock, signals; /* owned */
	bool stop;
	struct stage out;
	uint8_t *in; /* owned: what the socket gave, in_len bytes */
	size_t in_len;
	uint8_t *super; /* owned: what the TAP gave */
	struct merge merge[MERGES];
	struct shim_stats stat;
};

/* tapshim.c */
/* Where the next frame goes, and that it is there. */
uint8_t *stage_next(struct shim *);
void stage_commit(struct shim *, size_t len);
void tap_write(struct shim *, const struct iovec *, int n);
void tap_write_frame(struct shim *, const uint8_t *frame, size_t len);

/* tapshim_conn.c: each ends the program when it fails. */
void shim_open_tap(struct shim *, const char *ifname);
void shim_connect(struct shim *, const char *path);
/* FRAMING_VMNET.  Writes "MAC MTU" to vif_path when it is not NULL. */
void shim_greet(struct shim *, const char *vif_path);

/* tapshim_offload.c */
void offload_out(struct shim *, const uint8_t *super, size_t len);
void offload_in(struct shim *, const uint8_t *frame, size_t len);
void offload_flush(struct shim *); /* writes what was put together */

#endif
