#ifndef BODY_H
#define BODY_H

/*
 * Where a body ends, as its bytes go by: by length, by chunks (RFC 9112 7.1)
 * or by the end of the connection.  Pure.
 *
 * Chunks pass as they are, once they are seen to be right: sizes of hex digits
 * only, CR LF at every end, extensions and trailers without control
 * characters and of limited length.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proxyd/head.h"

#define BODY_MAXEXT	1024  /* bytes of one chunk's extensions */
#define BODY_MAXTRAILER 16384 /* bytes of all trailers */

enum chunk_state {
	CHUNK_SIZE,
	CHUNK_EXT,
	CHUNK_SIZE_LF,
	CHUNK_DATA,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	CHUNK_TRAILER, /* at the start of a line */
	CHUNK_FIELD,   /* in its name */
	CHUNK_VALUE,
	CHUNK_FIELD_LF,
	CHUNK_END_LF,
};

struct body {
	enum framing framing;
	uint64_t left; /* of the length, or of this chunk's data */
	enum chunk_state state;
	unsigned digits; /* of the size */
	unsigned ext, trailer;
	bool done;
};

void body_init(struct body *, enum framing, uint64_t length);
/*
 * How many of the next len bytes belong to the body; body.done is set with its
 * last.  -1: it is malformed; nothing of these bytes is to be passed on.
 */
ssize_t body_take(struct body *, const void *, size_t len);

#endif
