#ifndef NINEP_H
#define NINEP_H

/*
 * 9P2000 and 9P2000.u on the wire: what clients ask, into a struct, and the
 * answers, into a buffer.  Pure.
 *
 *	u32 size of all, u8 type, u16 tag, ...		little-endian
 *	string: u16 length, bytes
 *	qid: u8 type, u32 version, u64 path
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/rd.h"
#include "common/wr.h"

#define NP_HDRLEN   7
#define NP_MAXMSIZE 16384
#define NP_MINMSIZE 256 /* an answer of a few names must fit */
#define NP_MAXWALK  16
#define NP_NOTAG    0xffff
#define NP_NOFID    UINT32_MAX
#define NP_IOHDR    24 /* what read and write have beside the data */

enum np_type {
	NP_TVERSION = 100,
	NP_TAUTH = 102,
	NP_TATTACH = 104,
	NP_RERROR = 107,
	NP_TFLUSH = 108,
	NP_TWALK = 110,
	NP_TOPEN = 112,
	NP_TCREATE = 114,
	NP_TREAD = 116,
	NP_TWRITE = 118,
	NP_TCLUNK = 120,
	NP_TREMOVE = 122,
	NP_TSTAT = 124,
	NP_TWSTAT = 126,
};

#define NP_QTDIR    0x80
#define NP_DMDIR    0x80000000u
#define NP_OREAD    0
#define NP_OWRITE   1
#define NP_ORDWR    2
#define NP_OEXEC    3
#define NP_OMODE(m) ((m)&3)

struct np_str {
	const char *p; /* borrowed from the message; no final zero */
	size_t len;
};

/* A request; which fields mean something follows from the type. */
struct np_msg {
	uint8_t type;
	uint16_t tag;
	uint32_t fid, newfid; /* newfid also auth's and attach's afid */
	uint32_t msize, perm, count;
	uint64_t offset;
	uint16_t oldtag;
	uint8_t mode;
	struct np_str name;		 /* create's name, version's string */
	struct np_str wname[NP_MAXWALK]; /* walk */
	uint16_t nwname;
	struct rd data; /* write: exactly count bytes */
};

struct np_qid {
	uint8_t type;
	uint32_t version;
	uint64_t path;
};

struct np_stat {
	struct np_qid qid;
	uint32_t mode;
	uint64_t length;
	const char *name; /* borrowed */
};

/*
 * The length of the message that begins at p.  0: more bytes are needed; -1:
 * it is shorter than any message or longer than max, nothing good can follow.
 */
int np_frame(const uint8_t *p, size_t len, size_t max);
/*
 * One whole message.  u: 9P2000.u was agreed on.  -1: it is not what its type
 * says; type and tag are set when they are there.
 */
int np_parse(const uint8_t *p, size_t len, bool u, struct np_msg *);

/* Begins an answer and, when it is complete, sets its size. */
void np_begin(struct wr *, uint8_t type, uint16_t tag);
void np_end(struct wr *, size_t start);
int np_put_str(struct wr *, const char *);
int np_put_qid(struct wr *, const struct np_qid *);
/* With its leading size.  -1: it does not fit, nothing is written. */
int np_put_stat(struct wr *, const struct np_stat *, bool u);
/* A whole Rerror. */
void np_put_error(
    struct wr *, uint16_t tag, const char *text, uint32_t error, bool u);

#endif
