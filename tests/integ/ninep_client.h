#ifndef NINEP_CLIENT_H
#define NINEP_CLIENT_H

/*
 * As much of a 9P client as the control of ports needs.  How a message gets to
 * the server and its answer back is the caller's business.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "common/ninep.h"

#define NPC_MSIZE 8192

struct npc {
	/* Sends a message, gets one: its length, 0 at the end. */
	size_t (*xfer)(void *arg, const void *, size_t, void *, size_t);
	void *arg;
	uint8_t in[NPC_MSIZE], out[NPC_MSIZE];
	size_t len;	 /* of in */
	char error[256]; /* the last one of the server's */
};

/* Sends what is in w; 0 when the answer is the right one. */
static inline int
npc_call(struct npc *c, struct wr *w, uint8_t type)
{
	size_t n;

	np_end(w, 0);
	c->len = c->xfer(c->arg, c->out, w->len, c->in, sizeof(c->in));
	c->error[0] = '\0';
	if (c->len >= 9 && c->in[4] == NP_RERROR) {
		n = c->in[7];
		snprintf(c->error, sizeof(c->error), "%.*s", (int)n,
		    (const char *)c->in + 9);
	}
	return c->len >= 7 && c->in[4] == type + 1 ? 0 : -1;
}

static inline struct wr
npc_begin(struct npc *c, uint8_t type)
{
	struct wr w = wr_init(c->out, sizeof(c->out));

	np_begin(&w, type, type == NP_TVERSION ? NP_NOTAG : 1);
	return w;
}

/* The root is fid 0. */
static inline int
npc_attach(struct npc *c)
{
	struct wr w = npc_begin(c, NP_TVERSION);

	wr_le32(&w, NPC_MSIZE);
	np_put_str(&w, "9P2000");
	if (npc_call(c, &w, NP_TVERSION) == -1)
		return -1;
	w = npc_begin(c, NP_TATTACH);
	wr_le32(&w, 0);
	wr_le32(&w, NP_NOFID);
	np_put_str(&w, "test");
	np_put_str(&w, "");
	return npc_call(c, &w, NP_TATTACH);
}

/* From the root, by at most two names. */
static inline int
npc_walk(struct npc *c, uint32_t fid, const char *a, const char *b)
{
	uint16_t n = (uint16_t)((a != NULL) + (b != NULL));
	struct wr w = npc_begin(c, NP_TWALK);

	wr_le32(&w, 0);
	wr_le32(&w, fid);
	wr_le16(&w, n);
	if (a != NULL)
		np_put_str(&w, a);
	if (b != NULL)
		np_put_str(&w, b);
	if (npc_call(c, &w, NP_TWALK) == -1)
		return -1;
	return c->in[7] == n ? 0 : -1;
}

static inline int
npc_clunk(struct npc *c, uint32_t fid)
{
	struct wr w = npc_begin(c, NP_TCLUNK);

	wr_le32(&w, fid);
	return npc_call(c, &w, NP_TCLUNK);
}

static inline int
npc_remove(struct npc *c, uint32_t fid)
{
	struct wr w = npc_begin(c, NP_TREMOVE);

	wr_le32(&w, fid);
	return npc_call(c, &w, NP_TREMOVE);
}

static inline int
npc_open(struct npc *c, uint32_t fid, uint8_t mode)
{
	struct wr w = npc_begin(c, NP_TOPEN);

	wr_le32(&w, fid);
	wr_u8(&w, mode);
	return npc_call(c, &w, NP_TOPEN);
}

/* mkdir name, and its ctl opened as fid. */
static inline int
npc_ctl(struct npc *c, const char *name, uint32_t fid)
{
	struct wr w;

	if (npc_walk(c, fid, NULL, NULL) == -1)
		return -1;
	w = npc_begin(c, NP_TCREATE);
	wr_le32(&w, fid);
	np_put_str(&w, name);
	wr_le32(&w, NP_DMDIR | 0777);
	wr_u8(&w, NP_OREAD);
	if (npc_call(c, &w, NP_TCREATE) == -1 || npc_clunk(c, fid) == -1 ||
	    npc_walk(c, fid, name, "ctl") == -1)
		return -1;
	return npc_open(c, fid, NP_ORDWR);
}

/* A Twrite of its own; its length. */
static inline size_t
npc_write_msg(void *out, size_t size, uint32_t fid, const char *text)
{
	struct wr w = wr_init(out, size);

	np_begin(&w, NP_TWRITE, 1);
	wr_le32(&w, fid);
	wr_zero(&w, 8);
	wr_le32(&w, (uint32_t)strlen(text));
	wr_bytes(&w, text, strlen(text));
	np_end(&w, 0);
	return w.len;
}

static inline int
npc_write(struct npc *c, uint32_t fid, const char *text)
{
	struct wr w = wr_init(c->out, sizeof(c->out));

	w.len = npc_write_msg(c->out, sizeof(c->out), fid, text);
	return npc_call(c, &w, NP_TWRITE);
}

/* From the beginning; text gets a final zero. */
static inline int
npc_read(struct npc *c, uint32_t fid, char *text, size_t size)
{
	struct wr w = npc_begin(c, NP_TREAD);
	size_t n;

	wr_le32(&w, fid);
	wr_zero(&w, 8);
	wr_le32(&w, (uint32_t)size - 1);
	if (npc_call(c, &w, NP_TREAD) == -1)
		return -1;
	n = c->len - 11;
	memcpy(text, c->in + 11, n);
	text[n] = '\0';
	return 0;
}

/* A request from beginning to end; its ctl stays open as fid. */
static inline int
npc_forward(struct npc *c, const char *name, uint32_t fid, const char *spec,
    char *result, size_t size)
{
	if (npc_ctl(c, name, fid) == -1 || npc_write(c, fid, spec) == -1)
		return -1;
	return npc_read(c, fid, result, size);
}

#endif
