/*
 * 9P2000, read only.  Nodes are numbers: the root, the directory of captures,
 * and then the files as tar.c has them.
 */

#include <stdlib.h>
#include <string.h>

#include "diagd/diagd.h"
#include "diagd/tree.h"

#define ROOT	0u
#define CAPTURE 1u
#define FILES	2u /* the first of them */

struct call {
	struct tree *t;
	const struct snapshot *s;
	const struct np_msg *m;
	struct wr *out;
};

static bool
is_dir(size_t node)
{
	return node < FILES;
}

/* The name of a node in its directory. */
static const char *
node_name(size_t node)
{
	const char *path, *slash;

	if (is_dir(node))
		return node == ROOT ? "/" : "capture";
	path = tar_name(node - FILES);
	slash = strchr(path, '/');
	return slash != NULL ? slash + 1 : path;
}

static size_t
node_parent(size_t node)
{
	if (is_dir(node) || strchr(tar_name(node - FILES), '/') == NULL)
		return ROOT;
	return CAPTURE;
}

/* The i-th node of a directory; 0: there are no more. */
static size_t
node_child(size_t dir, size_t i)
{
	size_t node;

	for (node = CAPTURE; node < FILES || tar_name(node - FILES) != NULL;
	     node++) {
		if (node_parent(node) == dir && i-- == 0)
			return node;
	}
	return 0;
}

static struct np_qid
node_qid(size_t node)
{
	return (
	    struct np_qid){ .type = is_dir(node) ? NP_QTDIR : 0, .path = node };
}

static void
node_stat(size_t node, size_t len, struct np_stat *st)
{
	*st = (struct np_stat){ .qid = node_qid(node),
		.mode = is_dir(node) ? NP_DMDIR | 0555 : 0444,
		.length = len,
		.name = node_name(node) };
}

/*
 * Fids.
 */

static struct tree_fid *
fid_find(struct tree *t, uint32_t fid)
{
	size_t i;

	for (i = 0; i < TREE_MAXFIDS; i++) {
		if (t->fid[i].used && t->fid[i].fid == fid)
			return &t->fid[i];
	}
	return NULL;
}

static struct tree_fid *
fid_new(struct tree *t, uint32_t fid, size_t node)
{
	size_t i;

	for (i = 0; i < TREE_MAXFIDS; i++) {
		if (t->fid[i].used)
			continue;
		t->fid[i] =
		    (struct tree_fid){ .used = true, .fid = fid, .node = node };
		return &t->fid[i];
	}
	return NULL;
}

static void
fid_free(struct tree *t, struct tree_fid *f)
{
	if (f->text != NULL)
		t->nopen--;
	free(f->text);
	memset(f, 0, sizeof(*f));
}

/*
 * Requests.  Each returns NULL, or why not.
 */

static void
answer_qid(struct call *c, size_t node, bool iounit)
{
	struct np_qid q = node_qid(node);
	size_t start = c->out->len;

	np_begin(c->out, (uint8_t)(c->m->type + 1), c->m->tag);
	np_put_qid(c->out, &q);
	if (iounit)
		wr_le32(c->out, c->t->msize - NP_IOHDR);
	np_end(c->out, start);
}

static void
answer_empty(struct call *c)
{
	size_t start = c->out->len;

	np_begin(c->out, (uint8_t)(c->m->type + 1), c->m->tag);
	np_end(c->out, start);
}

static bool
str_is(const struct np_str *s, const char *text)
{
	return s->len == strlen(text) && memcmp(s->p, text, s->len) == 0;
}

static const char *
on_version(struct call *c)
{
	size_t start = c->out->len;
	const char *version = "unknown";

	tree_fini(c->t);
	if (c->m->msize < NP_MINMSIZE)
		return "malformed request";
	if (c->m->name.len >= 6 && memcmp(c->m->name.p, "9P2000", 6) == 0)
		version =
		    str_is(&c->m->name, "9P2000.u") ? "9P2000.u" : "9P2000";
	c->t->msize = c->m->msize < NP_MAXMSIZE ? c->m->msize : NP_MAXMSIZE;
	c->t->versioned = version[0] == '9';
	c->t->u = version[0] == '9' && version[6] == '.';
	np_begin(c->out, NP_TVERSION + 1, c->m->tag);
	wr_le32(c->out, c->t->msize);
	np_put_str(c->out, version);
	np_end(c->out, start);
	return NULL;
}

static const char *
on_attach(struct call *c)
{
	if (c->m->fid == NP_NOFID || fid_find(c->t, c->m->fid) != NULL)
		return "fid already in use";
	if (fid_new(c->t, c->m->fid, ROOT) == NULL)
		return "too many fids";
	answer_qid(c, ROOT, false);
	return NULL;
}

static const char *
on_flush(struct call *c)
{
	answer_empty(c); /* all before it is answered */
	return NULL;
}

/* One step; false: there is no such file. */
static bool
step(size_t *node, const struct np_str *name)
{
	size_t i, n;

	if (!is_dir(*node))
		return false;
	if (str_is(name, ".."))
		*node = node_parent(*node);
	if (str_is(name, "..") || str_is(name, "."))
		return true;
	for (i = 0; (n = node_child(*node, i)) != 0; i++) {
		if (str_is(name, node_name(n))) {
			*node = n;
			return true;
		}
	}
	return false;
}

static const char *
on_walk(struct call *c)
{
	struct tree_fid *f = fid_find(c->t, c->m->fid);
	size_t i, n, node, start = c->out->len, at[NP_MAXWALK];
	struct np_qid q;

	if (f == NULL)
		return "fid not found";
	if (c->m->newfid == NP_NOFID || f->open ||
	    (c->m->newfid != c->m->fid && fid_find(c->t, c->m->newfid) != NULL))
		return "fid already in use";
	node = f->node;
	for (n = 0; n < c->m->nwname && step(&node, &c->m->wname[n]); n++)
		at[n] = node;
	if (n == 0 && c->m->nwname > 0)
		return "file not found";
	if (n == c->m->nwname && c->m->newfid == c->m->fid)
		f->node = node;
	else if (n == c->m->nwname && fid_new(c->t, c->m->newfid, node) == NULL)
		return "too many fids";
	np_begin(c->out, NP_TWALK + 1, c->m->tag);
	wr_le16(c->out, (uint16_t)n);
	for (i = 0; i < n; i++) {
		q = node_qid(at[i]);
		np_put_qid(c->out, &q);
	}
	np_end(c->out, start);
	return NULL;
}

static const char *
on_open(struct call *c)
{
	struct tree_fid *f = fid_find(c->t, c->m->fid);
	FILE *out;

	if (f == NULL)
		return "fid not found";
	if (f->open)
		return "fid already in use";
	/* Only to read, and neither to be cut nor removed at the end. */
	if (c->m->mode != NP_OREAD)
		return "permission denied";
	if (!is_dir(f->node)) {
		if (c->t->nopen == TREE_MAXOPEN)
			return "too many open files";
		if ((out = open_memstream(&f->text, &f->len)) == NULL)
			return "cannot allocate memory";
		tar_content(out, c->s, f->node - FILES);
		if (fclose(out) == EOF || f->text == NULL) {
			free(f->text);
			f->text = NULL;
			return "cannot allocate memory";
		}
		c->t->nopen++;
	}
	f->open = true;
	answer_qid(c, f->node, true);
	return NULL;
}

/* Whole stats, from the one that begins at the offset. */
static size_t
read_dir(struct call *c, const struct tree_fid *f, uint8_t *to, size_t max)
{
	struct wr all, w = wr_init(to, max);
	uint8_t one[512];
	uint64_t at = 0;
	struct np_stat st;
	size_t i, n;

	for (i = 0; (n = node_child(f->node, i)) != 0; i++) {
		all = wr_init(one, sizeof(one));
		node_stat(n, 0, &st);
		if (np_put_stat(&all, &st, c->t->u) == -1)
			break;
		if (at >= c->m->offset && wr_bytes(&w, one, all.len) == -1)
			break;
		at += all.len;
	}
	return w.len;
}

static const char *
on_read(struct call *c)
{
	struct tree_fid *f = fid_find(c->t, c->m->fid);
	size_t start = c->out->len, max = c->t->msize - NP_IOHDR, n = 0;
	uint8_t buf[NP_MAXMSIZE];

	if (f == NULL || !f->open)
		return f == NULL ? "fid not found" : "fid is not open";
	if (c->m->count < max)
		max = c->m->count;
	if (is_dir(f->node)) {
		n = read_dir(c, f, buf, max);
	} else if (c->m->offset < f->len) {
		n = f->len - (size_t)c->m->offset;
		if (n > max)
			n = max;
		memcpy(buf, f->text + c->m->offset, n);
	}
	np_begin(c->out, NP_TREAD + 1, c->m->tag);
	wr_le32(c->out, (uint32_t)n);
	wr_bytes(c->out, buf, n);
	np_end(c->out, start);
	return NULL;
}

static const char *
on_clunk(struct call *c)
{
	struct tree_fid *f = fid_find(c->t, c->m->fid);

	if (f == NULL)
		return "fid not found";
	fid_free(c->t, f);
	if (c->m->type == NP_TREMOVE) /* which ends the fid all the same */
		return "permission denied";
	answer_empty(c);
	return NULL;
}

static const char *
on_stat(struct call *c)
{
	struct tree_fid *f = fid_find(c->t, c->m->fid);
	size_t start = c->out->len;
	struct np_stat st;
	struct wr w;
	uint8_t one[512];

	if (f == NULL)
		return "fid not found";
	node_stat(f->node, f->len, &st);
	w = wr_init(one, sizeof(one));
	np_put_stat(&w, &st, c->t->u);
	np_begin(c->out, NP_TSTAT + 1, c->m->tag);
	wr_le16(c->out, (uint16_t)w.len);
	wr_bytes(c->out, one, w.len);
	np_end(c->out, start);
	return NULL;
}

static const struct {
	uint8_t type;
	const char *(*fn)(struct call *);
} calls[] = {
	{ NP_TVERSION, on_version },
	{ NP_TATTACH, on_attach },
	{ NP_TFLUSH, on_flush },
	{ NP_TWALK, on_walk },
	{ NP_TOPEN, on_open },
	{ NP_TREAD, on_read },
	{ NP_TCLUNK, on_clunk },
	{ NP_TREMOVE, on_clunk },
	{ NP_TSTAT, on_stat },
};

void
tree_init(struct tree *t)
{
	memset(t, 0, sizeof(*t));
	t->msize = NP_MAXMSIZE;
}

void
tree_fini(struct tree *t)
{
	size_t i;

	for (i = 0; i < TREE_MAXFIDS; i++)
		fid_free(t, &t->fid[i]);
	t->versioned = false;
}

size_t
tree_msize(const struct tree *t)
{
	return t->msize;
}

int
tree_input(struct tree *t, const struct snapshot *s, const uint8_t *p,
    size_t len, struct wr *out)
{
	const char *why = "permission denied"; /* auth, create, write, ... */
	struct np_msg m;
	struct call c = { t, s, &m, out };
	size_t i;

	if (np_parse(p, len, t->u, &m) == -1) {
		np_put_error(out, m.tag, "malformed request", 71, t->u);
		return 0;
	}
	if (m.type != NP_TVERSION && !t->versioned)
		return -1;
	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (calls[i].type == m.type)
			why = calls[i].fn(&c);
	}
	if (why != NULL)
		np_put_error(out, m.tag, why, 13, t->u);
	return 0;
}
