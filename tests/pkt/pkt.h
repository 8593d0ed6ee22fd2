#ifndef PKT_H
#define PKT_H

/*
 * Packet scripts: one flow of the guest as a list of timed steps.
 *
 *	# comment			set mtu 1500
 *	+0   < S 0:0(0) win 65535 <mss 1460>	the guest sends
 *	+.2  > S. 0:0(0) ack 1		we must send, now
 *	*    > .  1:1(0) ack 1		we must send, some time
 *	+0   ! data 1000		the host side does something
 *	+0   ? written 1000		what must be so
 *
 * Flags are FSRP.UEW for FIN SYN RST PSH ACK URG ECE CWR, "-" for none.
 * Sequence numbers are relative to the initial ones of each side, windows as
 * on the wire.  "@1" behind the sign names another flow than the first.  In
 * what we send, the window, the options, and PSH are compared when given.
 *
 * Behind a segment: badsum (a wrong checksum), urg N (the urgent pointer),
 * off N (the data offset, whatever the options need), x N (N times the same).
 * Options of the guest: mss N, sackOK, wscale N, ts VAL ECR, sack A:B C:D, nop,
 * or raw HEX for bytes of its own making, filled up with zeros.
 */

#include <stdbool.h>

#include "common/usec.h"
#include "netstackd/core/tcp_wire.h"

#define PKT_MAXSTEP 512
#define PKT_MAXWORD 10
#define PKT_MAXLINE 256
#define PKT_NFLOW   4

struct pkt_seg {
	uint8_t flags;
	uint32_t seq, len; /* relative; len of the data */
	uint32_t ack;
	uint16_t win;
	struct tcp_opts opt;
	bool has_win, has_opt;
	bool badsum;
	uint16_t urg;
	uint8_t off; /* data offset in words; 0: the right one */
	uint8_t raw[TCP_HDRLEN_MAX - TCP_HDRLEN]; /* instead of opt */
	uint8_t nraw;
	bool icmp; /* instead of all else */
	uint8_t icmp_type, icmp_code;
};

struct pkt_step {
	int line;
	char what; /* '<', '>', '!', '?', 's' for set */
	bool any_time;
	usec_t after; /* the step before */
	int flow;
	uint32_t times; /* of this segment */
	struct pkt_seg seg;
	char text[PKT_MAXLINE]; /* cut up; words point into it */
	char *word[PKT_MAXWORD];
	int nword;
};

struct pkt_script {
	struct pkt_step step[PKT_MAXSTEP];
	int nstep;
	char error[PKT_MAXLINE]; /* "line 3: why", after -1 */
};

/* Reads a whole script of len bytes; segments stay words for iprun.c. */
int pkt_read_words(struct pkt_script *, const char *text, size_t len);
/* The same, of TCP. */
int pkt_read(struct pkt_script *, const char *text, size_t len);

/* A segment in the scripts' notation. */
void pkt_print(char *buf, size_t size, const struct pkt_seg *);

#endif
