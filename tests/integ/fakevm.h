#ifndef FAKEVM_H
#define FAKEVM_H

/*
 * A VM without a machine: a client of the vmnet (or QEMU, or datagram) socket
 * that does the handshake, sends and receives frames, and builds and reads
 * packets by hand.
 *
 * Everything that waits has a timeout in milliseconds and waits in poll().
 * Addresses and ports are in host order.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FV_INIT	    49
#define FV_CMD	    41
#define FV_REPLY    258
#define FV_MAXFRAME 65535
#define FV_WAIT	    60000 /* ms; long enough under load and ASan */

#define FV_IP(a, b, c, d)                                                      \
	((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 |      \
	    (uint32_t)(d))
#define FV_GATEWAY FV_IP(192, 168, 65, 1)
#define FV_HOST	   FV_IP(192, 168, 65, 2)

extern const uint8_t fv_server[6]; /* the default server's MAC */
extern const uint8_t fv_bcast[6];

enum fv_framing { FV_VMNET, FV_QEMU, FV_DGRAM };

struct fakevm {
	int fd;
	enum fv_framing framing;
	uint8_t mac[6];
	uint16_t mtu, maxlen; /* of the Vif */
	uint32_t ip;	      /* set by fv_dhcp(), or by the test */
	char text[256];	      /* of a Disconnect */
	char server[108];     /* where datagrams go; "": it is connected */
	/* What was read and not yet taken. */
	uint8_t *buf;
	size_t len;
};

/* Connects only; retries until timeout.  -1: no. */
int fv_connect(struct fakevm *, const char *path, enum fv_framing);
/*
 * A datagram client with a socket of its own at a path, or, after an @, with an
 * abstract name.  It is connected to the server's, as vfkit's is, or only sends
 * there, as QEMU's does.
 */
int fv_dgram(
    struct fakevm *, const char *own, const char *server, bool connected);
void fv_close(struct fakevm *);

/*
 * The handshake.  uuid is 36 characters or NULL for none; ip is 0 or the
 * preferred address.  1: a Vif; 2: a Disconnect, with its text; -1: the server
 * closed or broke the protocol.
 */
void fv_put_init(uint8_t out[FV_INIT], uint32_t version);
void fv_put_command(
    uint8_t out[FV_CMD], uint8_t command, const char *uuid, uint32_t ip);
int fv_greet(struct fakevm *, const char *uuid, uint32_t ip);
/* fv_connect() and fv_greet(): -1 unless it got a Vif. */
int fv_open(struct fakevm *, const char *path, const char *uuid);

/* Bytes: all of them or -1.  fv_recv_all(): -1 also on the end. */
int fv_send_all(struct fakevm *, const void *, size_t);
/* Until the server has read everything. */
int fv_sent(struct fakevm *);
int fv_recv_all(struct fakevm *, void *, size_t);
/* 1: the server has closed; 0: bytes came instead; -1: neither. */
int fv_eof(struct fakevm *, int timeout_ms);

/* One frame.  A datagram socket that is another client's is waited for. */
int fv_send(struct fakevm *, const uint8_t *frame, size_t len);
/* Its length, 0 when none came in time, -1 at the end of the stream. */
int fv_recv(struct fakevm *, uint8_t *frame, size_t cap, int timeout_ms);

/*
 * Packets.  A builder writes the whole frame and returns its length; out must
 * hold FV_MAXFRAME bytes.
 */
struct fv_pkt {
	uint8_t dst[6], src[6];
	uint16_t type;
	/* ARP */
	uint16_t arp_op;
	uint8_t arp_sha[6], arp_tha[6];
	/* ARP: sender and target. */
	uint32_t ip_src, ip_dst;
	uint8_t proto, ttl;
	uint16_t sport, dport;
	/* ICMP */
	uint8_t icmp_type, icmp_code;
	uint16_t icmp_id, icmp_seq;
	/* TCP */
	uint32_t seq, ack;
	uint16_t window;
	uint8_t flags;
	const uint8_t *data; /* of the innermost header, in the frame */
	size_t len;
};

enum { FV_FIN = 1, FV_SYN = 2, FV_RST = 4, FV_PSH = 8, FV_ACK = 16 };

size_t fv_arp(uint8_t *out, const struct fv_pkt *);
size_t fv_udp(uint8_t *out, const struct fv_pkt *);
size_t fv_icmp(uint8_t *out, const struct fv_pkt *);
/* A SYN gets an MSS option of 1460. */
size_t fv_tcp(uint8_t *out, const struct fv_pkt *);
/* A frame of just an Ethernet header and len bytes of fill. */
size_t fv_raw(uint8_t *out, const uint8_t dst[6], const uint8_t src[6],
    uint16_t type, uint8_t fill, size_t len);
/* -1: cut short, or a checksum is wrong.  Other types: only the header. */
int fv_parse(const uint8_t *frame, size_t len, struct fv_pkt *);

/* A packet of this VM, to the server's MAC, with its own addresses. */
struct fv_pkt fv_from(const struct fakevm *, uint8_t proto, uint32_t dst);

/*
 * Receives until want says yes; other frames are dropped.  The packet's data
 * is valid until the next call.  -1: it did not come.
 */
int fv_expect(struct fakevm *, bool (*want)(const struct fv_pkt *, void *),
    void *arg, struct fv_pkt *, int timeout_ms);

/* Who has this address: 0 with its MAC, -1 when nobody says. */
int fv_whohas(struct fakevm *, uint32_t ip, uint8_t mac[6], int timeout_ms);
/* A DISCOVER as rootlesskit sends it, until an OFFER comes; sets ip. */
int fv_dhcp(struct fakevm *, int timeout_ms);
/* One echo request and its reply. */
int fv_ping(struct fakevm *, uint32_t ip, uint16_t seq, int timeout_ms);
/* Echo requests of 1400 bytes, numbered from 0, whose replies nobody reads. */
int fv_send_pings(struct fakevm *, unsigned n);
/* Reads until nothing comes for so long: the number of frames, -1 when one of
 * them was not whole. */
int fv_drain(struct fakevm *, int timeout_ms);
/* A UUID for every number. */
const char *fv_uuid(unsigned n);

#endif
