/*
 * What 9P requests do: a handler for each.  See fs.h.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/nitems.h"

#include "portd/front/fs_impl.h"

#define IOUNIT	   32768
#define IOUNIT_DIR 512

/* Why a request fails. */
enum refusal {
	R_OK = 0,
	R_NOFID,
	R_NOFILE,
	R_DENIED,
	R_INUSE,
	R_FIDS,
	R_ENTRIES,
	R_NOTOPEN,
	R_OFFSET,
	R_NOSESSION,
	R_MEMORY,
	R_MALFORMED,
};

static const struct {
	const char *text;
	uint32_t error; /* Linux's number, for 9P2000.u */
} refusals[] = {
	[R_NOFID] = { "fid not found", 9 },
	[R_NOFILE] = { "file not found", 2 },
	[R_DENIED] = { "permission denied", 13 },
	[R_INUSE] = { "fid already in use", 9 },
	[R_FIDS] = { "too many fids", 24 },
	[R_ENTRIES] = { "too many ports", 24 },
	[R_NOTOPEN] = { "fid is not open", 9 },
	[R_OFFSET] = { "bad offset in directory read", 22 },
	[R_NOSESSION] = { "no version agreed on", 71 },
	[R_MEMORY] = { "cannot allocate memory", 12 },
	[R_MALFORMED] = { "malformed request", 71 },
};

void
fs_waiter_refuse(struct fs_entry *e)
{
	struct fs_session *s = e->waiter;
	uint8_t buf[64];
	struct wr out = wr_init(buf, sizeof(buf));

	if (s == NULL)
		return;
	e->waiter = NULL;
	s->waits = NULL;
	e->fs->hooks->count(e->fs->arg, FSS_ERRORS);
	np_put_error(&out, s->wait_tag, refusals[R_NOFILE].text,
	    refusals[R_NOFILE].error, s->u);
	e->fs->hooks->reply(e->fs->arg, s, buf, out.len);
}

/* What a handler has: the request, and where its answer goes. */
struct call {
	struct fs_session *s;
	const struct np_msg *m;
	struct wr *out;
};

/*
 * Handlers: R_OK when the answer is written, or will be.
 */

static bool
str_is(const struct np_str *s, const char *text)
{
	return s->len == strlen(text) && memcmp(s->p, text, s->len) == 0;
}

/*
 * Of a dialect that is not ours only the first word counts, version(5): what
 * is behind the period is an offer.  Linux asks for 9P2000.L first.
 */
static const char *
version_pick(const struct np_str *v)
{
	if (str_is(v, "9P2000.u"))
		return "9P2000.u";
	if (str_is(v, "9P2000") ||
	    (v->len > 7 && memcmp(v->p, "9P2000.", 7) == 0))
		return "9P2000";
	return "unknown";
}

/* Begins everything anew, also in the middle of a session. */
static enum refusal
on_version(struct call *c)
{
	struct fs_session *s = c->s;
	const char *version = version_pick(&c->m->name);
	size_t start = c->out->len;

	fs_fids_free(s);
	if (c->m->msize < NP_MINMSIZE)
		return R_MALFORMED;
	s->msize = c->m->msize < NP_MAXMSIZE ? c->m->msize : NP_MAXMSIZE;
	s->versioned = version[0] == '9';
	s->u = strcmp(version, "9P2000.u") == 0;
	np_begin(c->out, NP_TVERSION + 1, c->m->tag);
	wr_le32(c->out, s->msize);
	np_put_str(c->out, version);
	np_end(c->out, start);
	return R_OK;
}

static enum refusal
on_auth(struct call *c)
{
	return R_DENIED;
}

/* An answer that is one qid, and an iounit where there is one. */
static void
answer_qid(struct call *c, const struct np_qid *q, const uint32_t *iounit)
{
	size_t start = c->out->len;

	np_begin(c->out, (uint8_t)(c->m->type + 1), c->m->tag);
	np_put_qid(c->out, q);
	if (iounit != NULL)
		wr_le32(c->out, *iounit);
	np_end(c->out, start);
}

static void
answer_empty(struct call *c)
{
	size_t start = c->out->len;

	np_begin(c->out, (uint8_t)(c->m->type + 1), c->m->tag);
	np_end(c->out, start);
}

static enum refusal
on_attach(struct call *c)
{
	struct fs_fid *f;

	if (fs_fid_find(c->s, c->m->fid) != NULL || c->m->fid == NP_NOFID)
		return R_INUSE;
	if ((f = fs_fid_new(c->s, c->m->fid)) == NULL)
		return R_FIDS;
	fs_fid_point(c->s, f, FS_ROOT, NULL);
	answer_qid(c, &f->qid, NULL);
	return R_OK;
}

/* What it would have stopped has been answered: see fs_session_waits(). */
static enum refusal
on_flush(struct call *c)
{
	answer_empty(c);
	return R_OK;
}

/* One step from *node and *e.  false: there is nothing of that name. */
static bool
walk_step(struct fs *fs, enum fs_node *node, struct fs_entry **e,
    const struct np_str *name)
{
	bool dot = str_is(name, ".");

	if (*node == FS_README || *node == FS_CTL ||
	    (*node == FS_ENTRY && ((*e)->active || !(*e)->alive)))
		return false;
	if (str_is(name, "..") || (dot && *node == FS_ROOT)) {
		*node = FS_ROOT;
		*e = NULL;
	} else if (*node == FS_ENTRY && str_is(name, "ctl")) {
		*node = FS_CTL;
	} else if (*node == FS_ROOT && str_is(name, "README")) {
		*node = FS_README;
	} else if (*node == FS_ROOT) {
		*node = FS_ENTRY;
		*e = fs_entry_find(fs, name->p, name->len);
		return *e != NULL;
	} else {
		return dot;
	}
	return true;
}

/* Puts the new fid where the walk has ended. */
static enum refusal
walk_end(
    struct call *c, struct fs_fid *f, enum fs_node node, struct fs_entry *e)
{
	if (e != NULL)
		fs_entry_ref(e); /* the old fid may be its last */
	if (c->m->newfid == c->m->fid)
		fs_fid_free(c->s, f);
	f = fs_fid_new(c->s, c->m->newfid);
	if (f != NULL)
		fs_fid_point(c->s, f, node, e);
	if (e != NULL)
		fs_entry_unref(e);
	return f != NULL ? R_OK : R_FIDS;
}

static enum refusal
on_walk(struct call *c)
{
	struct fs_fid *f = fs_fid_find(c->s, c->m->fid);
	struct np_qid qid[NP_MAXWALK];
	size_t n, i, start = c->out->len;
	struct fs_entry *e;
	enum fs_node node;
	enum refusal r;

	if (f == NULL)
		return R_NOFID;
	if (c->m->newfid == NP_NOFID ||
	    (c->m->newfid != c->m->fid &&
		fs_fid_find(c->s, c->m->newfid) != NULL))
		return R_INUSE;
	node = f->node;
	e = f->entry;
	for (n = 0; n < c->m->nwname; n++) {
		if (!walk_step(c->s->fs, &node, &e, &c->m->wname[n]))
			break;
		qid[n] = fs_qid(c->s->fs, node, e);
	}
	if (n == 0 && c->m->nwname > 0)
		return R_NOFILE;
	/* A walk that ends early answers how far it came, and moves nothing. */
	if (n == c->m->nwname && (r = walk_end(c, f, node, e)) != R_OK)
		return r;
	np_begin(c->out, NP_TWALK + 1, c->m->tag);
	wr_le16(c->out, (uint16_t)n);
	for (i = 0; i < n; i++)
		np_put_qid(c->out, &qid[i]);
	np_end(c->out, start);
	return R_OK;
}

static enum refusal
on_open(struct call *c)
{
	struct fs_fid *f = fs_fid_find(c->s, c->m->fid);
	const uint32_t iounit = IOUNIT;
	unsigned mode = NP_OMODE(c->m->mode);
	bool writes = mode == NP_OWRITE || mode == NP_ORDWR;

	if (f == NULL)
		return R_NOFID;
	if (!fs_fid_alive(f))
		return R_NOFILE;
	if (f->open)
		return R_INUSE;
	if (mode == NP_OEXEC || (writes && f->node != FS_CTL))
		return R_DENIED;
	f->open = true;
	f->mode = (uint8_t)mode;
	if (f->node == FS_CTL)
		f->entry->nctl++;
	f->qid = fs_qid(c->s->fs, f->node, f->entry);
	answer_qid(c, &f->qid, &iounit);
	return R_OK;
}

static bool
name_ok(const struct np_str *n)
{
	if (n->len == 0 || n->len > FS_NAMEMAX || str_is(n, ".") ||
	    str_is(n, "..") || str_is(n, "README"))
		return false;
	return memchr(n->p, '/', n->len) == NULL &&
	       memchr(n->p, '\0', n->len) == NULL;
}

/*
 * Directories in the root only.  A name that is there already gets a new
 * meaning; a forward of the old one goes on until its ctl is closed.
 */
static enum refusal
on_create(struct call *c)
{
	struct fs_fid *f = fs_fid_find(c->s, c->m->fid);
	const uint32_t iounit = IOUNIT_DIR;
	struct fs_entry *e, *old;

	if (f == NULL)
		return R_NOFID;
	if (f->node != FS_ROOT || f->open || !(c->m->perm & NP_DMDIR) ||
	    !name_ok(&c->m->name))
		return R_DENIED;
	old = fs_entry_find(c->s->fs, c->m->name.p, c->m->name.len);
	e = fs_entry_new(c->s->fs, c->m->name.p, c->m->name.len, c->s);
	if (e == NULL) {
		c->s->fs->hooks->count(c->s->fs->arg, FSS_ENTRIES);
		return R_ENTRIES;
	}
	if (old != NULL)
		fs_entry_hide(old);
	fs_fid_point(c->s, f, FS_ENTRY, e);
	f->open = true;
	f->mode = NP_OREAD;
	answer_qid(c, &f->qid, &iounit);
	return R_OK;
}

/* What was a directory when it was opened stays one to its reader. */
static bool
is_listing(const struct fs_fid *f)
{
	return (f->qid.type & NP_QTDIR) != 0;
}

/*
 * Who has just written a request and reads on without going back to the start
 * of the file, as shells do, means the answer from its beginning.
 */
static uint64_t
answer_offset(struct fs_fid *f, uint64_t offset)
{
	if (f->node != FS_CTL || f->entry->writer != f)
		return offset;
	if (!f->based || offset < f->base) {
		f->based = true;
		f->base = offset;
	}
	return offset - f->base;
}

static enum refusal
on_read(struct call *c)
{
	struct fs_fid *f = fs_fid_find(c->s, c->m->fid);
	static uint8_t nothing[1];
	size_t start = c->out->len, max, n = 0, head = NP_HDRLEN + 4;
	uint8_t *data;

	if (f == NULL)
		return R_NOFID;
	if (!f->open)
		return R_NOTOPEN;
	if (f->mode == NP_OWRITE)
		return R_DENIED;
	if (!fs_fid_alive(f) && f->node != FS_CTL)
		return R_NOFILE;
	max = c->s->msize - NP_IOHDR;
	if (c->m->count < max)
		max = c->m->count;
	data = max > 0 ? c->out->p + start + head : nothing;
	if (!is_listing(f))
		n = fs_read_file(f, answer_offset(f, c->m->offset), data, max);
	else if (fs_read_dir(c->s, f, c->m->offset, data, max, &n) == -1)
		return R_OFFSET;
	np_begin(c->out, NP_TREAD + 1, c->m->tag);
	wr_le32(c->out, (uint32_t)n);
	c->out->len += n;
	np_end(c->out, start);
	return R_OK;
}

/* The request: asks for the forward, whose answer is this one's. */
static void
entry_request(struct fs_entry *e, const struct np_msg *m)
{
	char err[SPEC_ERRLEN];
	const char *name;

	e->written = true;
	if (spec_parse((const char *)m->data.p, m->data.len, &e->spec, err) ==
	    -1) {
		snprintf(e->result, sizeof(e->result), "ERROR %s\n", err);
		return;
	}
	if ((name = e->fs->hooks->add(e->fs->arg, e)) == NULL)
		return;
	snprintf(e->result, sizeof(e->result), "ERROR %s\n",
	    spec_error_9p(&e->spec, name, "", err));
}

static enum refusal
on_write(struct call *c)
{
	struct fs_fid *f = fs_fid_find(c->s, c->m->fid);
	struct fs_entry *e;

	if (f == NULL)
		return R_NOFID;
	if (!f->open)
		return R_NOTOPEN;
	if (f->node != FS_CTL || f->mode == NP_OREAD)
		return R_DENIED;
	e = f->entry;
	if (!fs_fid_alive(f))
		return R_NOFILE;
	if (e->written)
		return R_DENIED;
	e->writer = f;
	e->waiter = c->s;
	c->s->waits = e;
	c->s->wait_tag = c->m->tag;
	c->s->wait_count = c->m->count;
	entry_request(e, c->m);
	if (c->s->waits == NULL || e->fwd != NULL)
		return R_OK; /* answered already, or will be */
	e->waiter = NULL;
	c->s->waits = NULL;
	fs_put_count(c->out, c->m->tag, c->m->count);
	return R_OK;
}

static enum refusal
on_clunk(struct call *c)
{
	struct fs_fid *f = fs_fid_find(c->s, c->m->fid);

	if (f == NULL)
		return R_NOFID;
	fs_fid_free(c->s, f);
	answer_empty(c);
	return R_OK;
}

/* The fid goes in any case. */
static enum refusal
on_remove(struct call *c)
{
	struct fs_fid *f = fs_fid_find(c->s, c->m->fid);
	enum refusal r = R_OK;

	if (f == NULL)
		return R_NOFID;
	if (f->entry == NULL)
		r = R_DENIED;
	else if (!fs_fid_alive(f))
		r = R_NOFILE;
	else
		fs_entry_kill(f->entry);
	fs_fid_free(c->s, f);
	if (r == R_OK)
		answer_empty(c);
	return r;
}

static enum refusal
on_stat(struct call *c)
{
	struct fs_fid *f = fs_fid_find(c->s, c->m->fid);
	size_t start = c->out->len, len;
	struct np_stat st;
	struct wr size;

	if (f == NULL)
		return R_NOFID;
	if (!fs_fid_alive(f) && f->node != FS_CTL)
		return R_NOFILE;
	fs_stat(f, &st);
	np_begin(c->out, NP_TSTAT + 1, c->m->tag);
	wr_le16(c->out, 0); /* the length of what follows, once more */
	len = c->out->len;
	np_put_stat(c->out, &st, c->s->u);
	size = wr_init(c->out->p + len - 2, 2);
	wr_le16(&size, (uint16_t)(c->out->len - len));
	np_end(c->out, start);
	return R_OK;
}

static enum refusal
on_wstat(struct call *c)
{
	return fs_fid_find(c->s, c->m->fid) == NULL ? R_NOFID : R_DENIED;
}

/* clang-format off */
static const struct {
	uint8_t type;
	enum refusal (*fn)(struct call *);
} handlers[] = {
	{ NP_TVERSION,	on_version },
	{ NP_TAUTH,	on_auth },
	{ NP_TATTACH,	on_attach },
	{ NP_TFLUSH,	on_flush },
	{ NP_TWALK,	on_walk },
	{ NP_TOPEN,	on_open },
	{ NP_TCREATE,	on_create },
	{ NP_TREAD,	on_read },
	{ NP_TWRITE,	on_write },
	{ NP_TCLUNK,	on_clunk },
	{ NP_TREMOVE,	on_remove },
	{ NP_TSTAT,	on_stat },
	{ NP_TWSTAT,	on_wstat },
};
/* clang-format on */

static enum refusal
dispatch(struct call *c)
{
	size_t i;

	if (!c->s->versioned && c->m->type != NP_TVERSION)
		return R_NOSESSION;
	for (i = 0; i < nitems(handlers); i++) {
		if (handlers[i].type == c->m->type)
			return handlers[i].fn(c);
	}
	return R_MALFORMED;
}

int
fs_input(struct fs_session *s, const uint8_t *p, size_t len, struct wr *out)
{
	enum refusal r = R_MALFORMED;
	struct np_msg m;
	struct call c = { s, &m, out };

	s->fs->hooks->count(s->fs->arg, FSS_REQUESTS);
	if (np_parse(p, len, s->u, &m) == 0)
		r = dispatch(&c);
	if (r == R_OK)
		return 0;
	s->fs->hooks->count(s->fs->arg, FSS_ERRORS);
	np_put_error(out, m.tag, refusals[r].text, refusals[r].error, s->u);
	/* Who has not even agreed on a version does not speak 9P. */
	return r == R_NOSESSION || (r == R_MALFORMED && !s->versioned) ? -1 : 0;
}
