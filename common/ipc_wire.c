/* The frames of the bus as bytes. */

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/ipc.h"
#include "common/ipc_wire.h"
#include "common/rd.h"
#include "common/wr.h"

#define IPC_AHEAD_AT 5	    /* where it is in the header */
#define OUT_MIN	     1024   /* first size of the buffer */
#define OUT_KEEP     65536  /* an empty buffer above it is freed */
#define TEXT_MIN     512    /* room for a message of usual length */
#define RUN_MAX	     262144 /* more than a socket takes at once */

int
ipc_frame_head(
    const uint8_t *p, size_t len, struct ipc_frame *f, const char **why)
{
	static const uint8_t zero[2];
	struct rd r = rd_init(p, len);
	uint8_t nfd, ahead, pad[2];
	uint32_t n;

	if (rd_le32(&r, &n) == -1 || rd_u8(&r, &nfd) == -1 ||
	    rd_u8(&r, &ahead) == -1 || rd_bytes(&r, pad, sizeof(pad)) == -1)
		return -2;
	*why = NULL;
	if (memcmp(pad, zero, sizeof(pad)) != 0)
		*why = "bad header";
	else if (n > IPC_MAXLEN)
		*why = "message too long";
	else if (nfd + ahead > IPC_MAXFDS)
		*why = "too many descriptors";
	f->len = n;
	f->nfd = nfd;
	f->ahead = ahead;
	return *why == NULL ? 0 : -1;
}

void
ipc_close_fds(const int *fd, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (fd[i] != -1)
			close(fd[i]);
}

void
ipc_queue_clear(struct ipc_queue *q)
{
	if (q->nfd > 0)
		ipc_close_fds(q->fd + q->fdoff, q->nfd - q->fdoff);
	q->fdoff = q->nfd = 0;
	q->off = q->len = q->mid = q->ahead = 0;
}

void
ipc_queue_fini(struct ipc_queue *q)
{
	ipc_queue_clear(q);
	free(q->buf);
	free(q->fd);
}

size_t
ipc_queue_bytes(const struct ipc_queue *q)
{
	return q->len - q->off;
}

size_t
ipc_queue_fds(const struct ipc_queue *q)
{
	return q->nfd - q->fdoff;
}

static int
reserve_bytes(struct ipc_queue *q, size_t need)
{
	size_t cap = q->cap > 0 ? q->cap : OUT_MIN;
	uint8_t *p;

	if (q->cap - q->len >= need)
		return 0;
	/* Moving what is left pays when more than that has gone before. */
	if (q->off > q->len - q->off) {
		q->len -= q->off;
		memmove(q->buf, q->buf + q->off, q->len);
		q->off = 0;
	}
	while (cap - q->len < need)
		cap *= 2;
	if (cap <= q->cap)
		return 0;
	if ((p = realloc(q->buf, cap)) == NULL)
		return -1;
	q->buf = p;
	q->cap = cap;
	return 0;
}

static int
reserve_fds(struct ipc_queue *q, size_t n)
{
	size_t cap = q->fdcap > 0 ? q->fdcap : IPC_MAXFDS;
	int *p;

	if (q->fdcap - q->nfd >= n)
		return 0;
	if (q->fdoff > q->nfd - q->fdoff) {
		q->nfd -= q->fdoff;
		memmove(q->fd, q->fd + q->fdoff, q->nfd * sizeof(int));
		q->fdoff = 0;
	}
	while (cap - q->nfd < n)
		cap *= 2;
	if (cap == q->fdcap)
		return 0;
	if ((p = reallocarray(q->fd, cap, sizeof(int))) == NULL)
		return -1;
	q->fd = p;
	q->fdcap = cap;
	return 0;
}

/* Any value, by the library. */
static int
put_json(struct wr *w, const json_t *v)
{
	size_t room = w->cap - w->len;
	size_t n = json_dumpb(
	    v, (char *)w->p + w->len, room, JSON_COMPACT | JSON_ENCODE_ANY);

	if (n == 0 || n > room)
		return -1;
	w->len += n;
	return 0;
}

static int
put_str(struct wr *w, const struct ipc_val *v)
{
	if (!ipc_flat_plain(v->s, v->len))
		return put_json(w, v->json);
	if (wr_u8(w, '"') == -1 || wr_bytes(w, v->s, v->len) == -1)
		return -1;
	return wr_u8(w, '"');
}

static int
put_int(struct wr *w, int64_t v)
{
	char buf[24], *p = buf + sizeof(buf);
	uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;

	do {
		*--p = (char)('0' + u % 10);
		u /= 10;
	} while (u > 0);
	if (v < 0)
		*--p = '-';
	return wr_bytes(w, p, (size_t)(buf + sizeof(buf) - p));
}

static int
put_value(struct wr *w, const struct ipc_val *v)
{
	switch (v->kind) {
	case V_INT:
		return put_int(w, v->i);
	case V_BOOL:
		return v->i ? wr_bytes(w, "true", 4) : wr_bytes(w, "false", 5);
	case V_STR:
		return put_str(w, v);
	case V_NONE:
	case V_JSON:
		break;
	}
	return put_json(w, v->json);
}

/* The text of a checked message; names in the table need no escapes. */
static int
put_message(struct wr *w, enum ipc_type type, const struct ipc_val *val)
{
	const struct ipc_desc *d = &ipc_desc[type];
	size_t nfield = ipc_nfields(d), i;
	const char *name;

	if (wr_bytes(w, "{\"msg\":\"", 8) == -1 ||
	    wr_bytes(w, d->name, strlen(d->name)) == -1 || wr_u8(w, '"') == -1)
		return -1;
	for (i = 0; i < nfield; i++) {
		name = d->field[i].name;
		if (wr_bytes(w, ",\"", 2) == -1 ||
		    wr_bytes(w, name, strlen(name)) == -1 ||
		    wr_bytes(w, "\":", 2) == -1 || put_value(w, &val[i]) == -1)
			return -1;
	}
	return wr_u8(w, '}');
}

/* Appends one frame in the room there is; -1: it does not fit. */
static int
put_frame(struct ipc_queue *q, size_t room, enum ipc_type type,
    const struct ipc_val *val, size_t nfd)
{
	struct wr head, text;

	head = wr_init(q->buf + q->len, IPC_HDRLEN);
	text = wr_init(q->buf + q->len + IPC_HDRLEN, room - IPC_HDRLEN);
	if (put_message(&text, type, val) == -1)
		return -1;
	wr_le32(&head, (uint32_t)text.len);
	wr_u8(&head, (uint8_t)nfd);
	wr_zero(&head, IPC_HDRLEN - IPC_AHEAD_AT);
	q->len += IPC_HDRLEN + text.len;
	return 0;
}

const char *
ipc_queue_push(struct ipc_queue *q, enum ipc_type type,
    const struct ipc_val *val, const int *fd, size_t nfd)
{
	size_t room = IPC_HDRLEN + TEXT_MIN;

	/* Most messages are short; for the others the largest is tried. */
	if (reserve_fds(q, nfd) == -1 || reserve_bytes(q, room) == -1)
		return "out of memory";
	if (put_frame(q, room, type, val, nfd) == -1) {
		room = IPC_HDRLEN + IPC_MAXLEN;
		if (reserve_bytes(q, room) == -1)
			return "out of memory";
		if (put_frame(q, room, type, val, nfd) == -1)
			return "message too long";
	}
	if (nfd > 0)
		memcpy(q->fd + q->nfd, fd, nfd * sizeof(int));
	q->nfd += nfd;
	return NULL;
}

/* Whether a frame's descriptors leave with what is in the run already. */
static bool
run_takes(const struct ipc_run *run, const struct ipc_frame *f)
{
	return run->len == 0 ||
	       (run->nfd > 0 && run->nfd + f->nfd <= IPC_MAXFDS);
}

/* Writes into each frame of a run how many descriptors of later ones come with
 * it. */
static void
number_ahead(uint8_t *p, const struct ipc_run *run)
{
	size_t at, ahead = run->nfd;
	struct ipc_frame f;
	const char *why;

	for (at = 0; ahead > 0; at += IPC_HDRLEN + f.len) {
		ipc_frame_head(p + at, run->len - at, &f, &why);
		ahead -= f.nfd;
		p[at + IPC_AHEAD_AT] = (uint8_t)ahead;
	}
}

struct ipc_run
ipc_queue_next(struct ipc_queue *q)
{
	struct ipc_run run = { q->buf + q->off, q->mid, NULL, 0 };
	size_t left = q->len - q->off, sent = q->ahead;
	struct ipc_frame f;
	const char *why;

	while (run.len < left && run.len < RUN_MAX &&
	       ipc_frame_head(run.p + run.len, left - run.len, &f, &why) == 0) {
		if (sent > 0)
			sent -= f.nfd;
		else if (f.nfd > 0 && !run_takes(&run, &f))
			break;
		else if (f.nfd > 0) {
			run.fd = q->fd + q->fdoff;
			run.nfd += f.nfd;
		}
		run.len += IPC_HDRLEN + f.len;
	}
	number_ahead(q->buf + q->off, &run);
	return run;
}

void
ipc_queue_wrote(struct ipc_queue *q, const struct ipc_run *run, size_t n)
{
	struct ipc_frame f;
	const char *why;

	ipc_close_fds(run->fd, run->nfd);
	q->fdoff += run->nfd;
	q->ahead += run->nfd;
	if (q->fdoff == q->nfd)
		q->fdoff = q->nfd = 0;
	while (n > q->mid) {
		n -= q->mid;
		q->off += q->mid;
		ipc_frame_head(q->buf + q->off, q->len - q->off, &f, &why);
		q->mid = IPC_HDRLEN + f.len;
		q->ahead -= f.nfd;
	}
	q->off += n;
	q->mid -= n;
	if (q->off < q->len)
		return;
	q->off = q->len = 0;
	if (q->cap > OUT_KEEP) {
		free(q->buf);
		q->buf = NULL;
		q->cap = 0;
	}
}
