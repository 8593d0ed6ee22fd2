/*
 * 9P sessions: their fids, and what they wait for.  See fs.h.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "portd/front/fs_impl.h"

/*
 * Fids.
 */

static struct fs_fid **
fid_slot(struct fs_session *s, uint32_t fid)
{
	struct fs_fid **pp = &s->fids[fid % FS_BUCKETS];

	while (*pp != NULL && (*pp)->fid != fid)
		pp = &(*pp)->next;
	return pp;
}

struct fs_fid *
fs_fid_find(struct fs_session *s, uint32_t fid)
{
	return *fid_slot(s, fid);
}

/* A number that is free; NULL: no room. */
struct fs_fid *
fs_fid_new(struct fs_session *s, uint32_t fid)
{
	struct fs_fid *f;

	if (s->nfid >= FS_MAXFIDS) {
		s->fs->hooks->count(s->fs->arg, FSS_FIDS);
		return NULL;
	}
	if ((f = calloc(1, sizeof(*f))) == NULL)
		return NULL;
	f->fid = fid;
	*fid_slot(s, fid) = f;
	s->nfid++;
	return f;
}

void
fs_fid_free(struct fs_session *s, struct fs_fid *f)
{
	struct fs_fid **pp = fid_slot(s, f->fid);

	fs_fid_leave(s, f);
	*pp = f->next;
	s->nfid--;
	free(f);
}

void
fs_fids_free(struct fs_session *s)
{
	size_t i;

	for (i = 0; i < FS_BUCKETS; i++) {
		while (s->fids[i] != NULL)
			fs_fid_free(s, s->fids[i]);
	}
}

void
fs_fid_point(struct fs_session *s, struct fs_fid *f, enum fs_node node,
    struct fs_entry *e)
{
	f->node = node;
	f->entry = e;
	if (e != NULL)
		fs_entry_ref(e);
	f->qid = fs_qid(s->fs, node, e);
}

/* Whether what it names is still in the tree. */
bool
fs_fid_alive(const struct fs_fid *f)
{
	return f->entry == NULL || f->entry->alive;
}

void
fs_put_count(struct wr *out, uint16_t tag, uint32_t count)
{
	size_t start = out->len;

	np_begin(out, NP_TWRITE + 1, tag);
	wr_le32(out, count);
	np_end(out, start);
}

/*
 * Sessions, and the tree as a whole.
 */

void
fs_init(struct fs *fs, const struct fs_hooks *hooks, void *arg)
{
	memset(fs, 0, sizeof(*fs));
	fs->hooks = hooks;
	fs->arg = arg;
	TAILQ_INIT(&fs->list);
}

void
fs_fini(struct fs *fs)
{
	while (!TAILQ_EMPTY(&fs->list))
		fs_entry_kill(TAILQ_FIRST(&fs->list));
}

struct fs_session *
fs_session_new(struct fs *fs, void *data)
{
	struct fs_session *s;

	if ((s = calloc(1, sizeof(*s))) == NULL)
		return NULL;
	s->fs = fs;
	s->data = data;
	s->msize = NP_MAXMSIZE;
	return s;
}

void
fs_session_free(struct fs_session *s)
{
	struct fs_entry *e, *next;

	if (s == NULL)
		return;
	/* Its own end is no answer to it. */
	if (s->waits != NULL)
		s->waits->waiter = NULL;
	fs_fids_free(s);
	/* Directories that it made and nobody has opened. */
	for (e = TAILQ_FIRST(&s->fs->list); e != NULL; e = next) {
		next = TAILQ_NEXT(e, entry);
		if (e->maker != s)
			continue;
		if (e->nctl == 0)
			fs_entry_kill(e);
		else
			e->maker = NULL;
	}
	free(s);
}

void *
fs_session_data(const struct fs_session *s)
{
	return s->data;
}

bool
fs_session_waits(const struct fs_session *s)
{
	return s->waits != NULL;
}

size_t
fs_session_msize(const struct fs_session *s)
{
	return s->msize;
}

void
fs_answer(struct fs_entry *e, uint16_t port, const char *error)
{
	struct fs_session *s = e->waiter;
	uint8_t buf[NP_IOHDR];
	struct wr out = wr_init(buf, sizeof(buf));
	char line[SPEC_STRLEN];

	if (error != NULL) {
		snprintf(e->result, sizeof(e->result), "ERROR %s\n", error);
		e->fwd = NULL;
	} else {
		e->spec.out.port = port;
		e->active = true;
		snprintf(e->result, sizeof(e->result), "OK %s\n",
		    spec_str(&e->spec, line));
	}
	e->waiter = NULL;
	if (s == NULL)
		return;
	s->waits = NULL;
	fs_put_count(&out, s->wait_tag, s->wait_count);
	e->fs->hooks->reply(e->fs->arg, s, buf, out.len);
}

void
fs_ended(struct fs_entry *e, const char *why)
{
	e->fwd = NULL;
	e->active = false;
	snprintf(e->result, sizeof(e->result), "ERROR %s\n", why);
}
