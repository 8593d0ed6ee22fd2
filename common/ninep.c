/*
 * 9P2000 on the wire; see ninep.h.
 */

#include <string.h>

#include "common/ninep.h"

/* What upstream shows for everything: the same moment, the same people. */
#define STAT_TIME 1146711721u
#define STAT_TYPE 0xffffu
#define STAT_DEV  UINT32_MAX

static int
get_u64(struct rd *r, uint64_t *v)
{
	struct rd save = *r;
	uint32_t lo, hi;

	if (rd_le32(r, &lo) == -1 || rd_le32(r, &hi) == -1) {
		*r = save;
		return -1;
	}
	*v = (uint64_t)hi << 32 | lo;
	return 0;
}

static int
get_str(struct rd *r, struct np_str *s)
{
	struct rd sub;
	uint16_t len;

	if (rd_le16(r, &len) == -1 || rd_sub(r, len, &sub) == -1)
		return -1;
	s->p = (const char *)sub.p;
	s->len = len;
	return 0;
}

static int
get_version(struct rd *r, bool u, struct np_msg *m)
{
	if (rd_le32(r, &m->msize) == -1)
		return -1;
	return get_str(r, &m->name);
}

/* uname and aname, and in 9P2000.u a number for uname: all ignored. */
static int
get_who(struct rd *r, bool u, struct np_msg *m)
{
	struct np_str s;
	uint32_t n;

	if (get_str(r, &s) == -1 || get_str(r, &s) == -1)
		return -1;
	return u ? rd_le32(r, &n) : 0;
}

static int
get_auth(struct rd *r, bool u, struct np_msg *m)
{
	return rd_le32(r, &m->newfid) == -1 ? -1 : get_who(r, u, m);
}

static int
get_fid(struct rd *r, bool u, struct np_msg *m)
{
	return rd_le32(r, &m->fid);
}

static int
get_attach(struct rd *r, bool u, struct np_msg *m)
{
	return get_fid(r, u, m) == -1 ? -1 : get_auth(r, u, m);
}

static int
get_flush(struct rd *r, bool u, struct np_msg *m)
{
	return rd_le16(r, &m->oldtag);
}

static int
get_walk(struct rd *r, bool u, struct np_msg *m)
{
	size_t i;

	if (get_fid(r, u, m) == -1 || rd_le32(r, &m->newfid) == -1 ||
	    rd_le16(r, &m->nwname) == -1 || m->nwname > NP_MAXWALK)
		return -1;
	for (i = 0; i < m->nwname; i++) {
		if (get_str(r, &m->wname[i]) == -1)
			return -1;
	}
	return 0;
}

static int
get_open(struct rd *r, bool u, struct np_msg *m)
{
	return get_fid(r, u, m) == -1 ? -1 : rd_u8(r, &m->mode);
}

static int
get_create(struct rd *r, bool u, struct np_msg *m)
{
	struct np_str extension;

	if (get_fid(r, u, m) == -1 || get_str(r, &m->name) == -1 ||
	    rd_le32(r, &m->perm) == -1 || rd_u8(r, &m->mode) == -1)
		return -1;
	return u ? get_str(r, &extension) : 0;
}

static int
get_read(struct rd *r, bool u, struct np_msg *m)
{
	if (get_fid(r, u, m) == -1 || get_u64(r, &m->offset) == -1)
		return -1;
	return rd_le32(r, &m->count);
}

static int
get_write(struct rd *r, bool u, struct np_msg *m)
{
	return get_read(r, u, m) == -1 ? -1 : rd_sub(r, m->count, &m->data);
}

/* Its stat is refused whatever is in it. */
static int
get_wstat(struct rd *r, bool u, struct np_msg *m)
{
	return get_fid(r, u, m) == -1 ? -1 : rd_skip(r, r->len);
}

/* clang-format off */
static const struct {
	uint8_t type;
	int (*get)(struct rd *, bool, struct np_msg *);
} gets[] = {
	{ NP_TVERSION,	get_version },
	{ NP_TAUTH,	get_auth },
	{ NP_TATTACH,	get_attach },
	{ NP_TFLUSH,	get_flush },
	{ NP_TWALK,	get_walk },
	{ NP_TOPEN,	get_open },
	{ NP_TCREATE,	get_create },
	{ NP_TREAD,	get_read },
	{ NP_TWRITE,	get_write },
	{ NP_TCLUNK,	get_fid },
	{ NP_TREMOVE,	get_fid },
	{ NP_TSTAT,	get_fid },
	{ NP_TWSTAT,	get_wstat },
};
/* clang-format on */

int
np_frame(const uint8_t *p, size_t len, size_t max)
{
	struct rd r = rd_init(p, len);
	uint32_t size;

	if (rd_le32(&r, &size) == -1)
		return 0;
	if (size < NP_HDRLEN || size > max)
		return -1;
	return size <= len ? (int)size : 0;
}

int
np_parse(const uint8_t *p, size_t len, bool u, struct np_msg *m)
{
	struct rd r = rd_init(p, len);
	uint32_t size;
	size_t i;

	memset(m, 0, sizeof(*m));
	m->tag = NP_NOTAG;
	if (rd_le32(&r, &size) == -1 || size != len ||
	    rd_u8(&r, &m->type) == -1 || rd_le16(&r, &m->tag) == -1)
		return -1;
	for (i = 0; i < sizeof(gets) / sizeof(gets[0]); i++) {
		if (gets[i].type == m->type)
			return gets[i].get(&r, u, m) == 0 && r.len == 0 ? 0
									: -1;
	}
	return -1;
}

/*
 * Answers.  The buffer of an answer holds the largest message.
 */

void
np_begin(struct wr *w, uint8_t type, uint16_t tag)
{
	wr_le32(w, 0);
	wr_u8(w, type);
	wr_le16(w, tag);
}

void
np_end(struct wr *w, size_t start)
{
	struct wr size = wr_init(w->p + start, 4);

	wr_le32(&size, (uint32_t)(w->len - start));
}

int
np_put_str(struct wr *w, const char *s)
{
	size_t start = w->len, len = strlen(s);

	if (wr_le16(w, (uint16_t)len) == -1 || wr_bytes(w, s, len) == -1) {
		w->len = start;
		return -1;
	}
	return 0;
}

static int
put_u64(struct wr *w, uint64_t v)
{
	if (wr_le32(w, (uint32_t)v) == -1)
		return -1;
	return wr_le32(w, (uint32_t)(v >> 32));
}

int
np_put_qid(struct wr *w, const struct np_qid *q)
{
	if (wr_u8(w, q->type) == -1 || wr_le32(w, q->version) == -1)
		return -1;
	return put_u64(w, q->path);
}

static int
put_owner(struct wr *w, bool u)
{
	if (np_put_str(w, "uid") == -1 || np_put_str(w, "gid") == -1 ||
	    np_put_str(w, "muid") == -1)
		return -1;
	if (!u)
		return 0;
	/* No extension; root by number: Linux asks for owners it can map. */
	return np_put_str(w, "") == -1 ? -1 : wr_zero(w, 12);
}

int
np_put_stat(struct wr *w, const struct np_stat *st, bool u)
{
	size_t start = w->len;
	struct wr size;

	if (wr_le16(w, 0) == -1 || wr_le16(w, STAT_TYPE) == -1 ||
	    wr_le32(w, STAT_DEV) == -1 || np_put_qid(w, &st->qid) == -1 ||
	    wr_le32(w, st->mode) == -1 || wr_le32(w, STAT_TIME) == -1 ||
	    wr_le32(w, STAT_TIME) == -1 || put_u64(w, st->length) == -1 ||
	    np_put_str(w, st->name) == -1 || put_owner(w, u) == -1) {
		w->len = start;
		return -1;
	}
	size = wr_init(w->p + start, 2);
	return wr_le16(&size, (uint16_t)(w->len - start - 2));
}

void
np_put_error(
    struct wr *w, uint16_t tag, const char *text, uint32_t error, bool u)
{
	size_t start = w->len;

	np_begin(w, NP_RERROR, tag);
	np_put_str(w, text);
	if (u)
		wr_le32(w, error);
	np_end(w, start);
}
