/*
 * The tree of names, and what is in its files; see fs.h.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "portd/front/fs_impl.h"

const char fs_readme[] =
    "This file system makes ports of a virtual machine reachable on its\n"
    "host.\n"
    "\n"
    "To add one, make a directory here, of any name; open the file ctl in\n"
    "it for reading and writing; write one request, and read what came of\n"
    "it: \"OK\" and the request, in which a host port 0 has become the real\n"
    "one, or \"ERROR\" and why.  The port is there for as long as that ctl\n"
    "stays open, and the directory has become a file that shows the\n"
    "request.  To end it, close ctl, or remove the file.\n"
    "\n"
    "A request is one line, the end on the host first:\n"
    "\n"
    "\ttcp:<host IP>:<port>:tcp:<VM IP>:<port>\n"
    "\tudp:<host IP>:<port>:udp:<VM IP>:<port>\n"
    "\tunix:<host path in base64>:unix:<VM path in base64>\n";

/*
 * Entries.
 */

struct fs_entry *
fs_entry_find(struct fs *fs, const char *name, size_t len)
{
	struct fs_entry *e;

	TAILQ_FOREACH (e, &fs->list, entry) {
		if (!e->hidden && strlen(e->name) == len &&
		    memcmp(e->name, name, len) == 0)
			return e;
	}
	return NULL;
}

void
fs_entry_ref(struct fs_entry *e)
{
	e->refs++;
}

void
fs_entry_unref(struct fs_entry *e)
{
	if (--e->refs == 0)
		free(e);
}

struct fs_entry *
fs_entry_new(
    struct fs *fs, const char *name, size_t len, struct fs_session *maker)
{
	struct fs_entry *e;

	if (fs->nentry >= FS_MAXENTRIES || maker->nown >= FS_MAXOWN ||
	    (e = calloc(1, sizeof(*e))) == NULL)
		return NULL;
	e->fs = fs;
	memcpy(e->name, name, len);
	e->seq = ++fs->seq;
	e->maker = maker;
	e->refs = 1;
	e->alive = true;
	TAILQ_INSERT_TAIL(&fs->list, e, entry);
	fs->nentry++;
	maker->nown++;
	return e;
}

void
fs_entry_kill(struct fs_entry *e)
{
	if (!e->alive)
		return;
	e->alive = false;
	fs_waiter_refuse(e);
	if (e->fwd != NULL)
		e->fs->hooks->del(e->fs->arg, e);
	e->active = false;
	e->fwd = NULL;
	TAILQ_REMOVE(&e->fs->list, e, entry);
	e->fs->nentry--;
	if (e->maker != NULL)
		e->maker->nown--;
	e->maker = NULL;
	fs_entry_unref(e);
}

void
fs_entry_hide(struct fs_entry *e)
{
	e->hidden = true;
	if (e->nctl == 0)
		fs_entry_kill(e);
}

/*
 * What holds a forward is the ctl its request was written to; before there is
 * a request, any that is open.  A ctl that was only looked at holds nothing:
 * Linux lets go of a fid after every stat().
 */
void
fs_fid_leave(struct fs_session *s, struct fs_fid *f)
{
	struct fs_entry *e = f->entry;

	if (e == NULL)
		return;
	if (f->node == FS_CTL && f->open) {
		e->nctl--;
		if (e->writer == f || (e->writer == NULL && e->nctl == 0))
			fs_entry_kill(e);
		if (e->writer == f)
			e->writer = NULL;
	}
	f->entry = NULL;
	fs_entry_unref(e);
}

/*
 * Nodes.
 */

static bool
is_dir(enum fs_node node, const struct fs_entry *e)
{
	return node == FS_ROOT || (node == FS_ENTRY && !e->active);
}

/* Never the same twice: nothing of this can be cached. */
struct np_qid
fs_qid(struct fs *fs, enum fs_node node, const struct fs_entry *e)
{
	struct np_qid q = { is_dir(node, e) ? NP_QTDIR : 0, 0, ++fs->qid };

	return q;
}

static void
stat_of(enum fs_node node, const struct fs_entry *e, const char *name,
    struct np_qid qid, struct np_stat *st)
{
	bool dir = is_dir(node, e);

	memset(st, 0, sizeof(*st));
	qid.type = dir ? NP_QTDIR : 0;
	st->qid = qid;
	st->mode = dir ? NP_DMDIR | 0555 : 0666;
	st->name = name;
}

void
fs_stat(const struct fs_fid *f, struct np_stat *st)
{
	static const char *const names[] = {
		[FS_ROOT] = "/",
		[FS_README] = "README",
		[FS_CTL] = "ctl",
	};

	stat_of(f->node, f->entry,
	    f->node == FS_ENTRY ? f->entry->name : names[f->node], f->qid, st);
}

size_t
fs_read_file(const struct fs_fid *f, uint64_t offset, uint8_t *out, size_t max)
{
	const struct fs_entry *e = f->entry;
	char spec[SPEC_STRLEN], line[SPEC_STRLEN + 1];
	const char *text = fs_readme;
	size_t len;

	if (f->node == FS_CTL)
		text = e->written ? e->result
				  : "ERROR no request received. Please read "
				    "the README.\n";
	if (f->node == FS_ENTRY) {
		snprintf(line, sizeof(line), "%s\n", spec_str(&e->spec, spec));
		text = line;
	}
	len = strlen(text);
	if (offset >= len)
		return 0;
	len -= (size_t)offset;
	if (len > max)
		len = max;
	memcpy(out, text + offset, len);
	return len;
}

/*
 * Listings.  The first three are what every directory has, then come the
 * entries of the root by their number.
 */

#define DIR_FIXED 3

/* The next name behind *seq.  false: there is none. */
static bool
dir_next(
    struct fs *fs, const struct fs_fid *f, uint64_t *seq, struct np_stat *st)
{
	struct np_qid qid = { 0, 0, ++fs->qid };
	struct fs_entry *e;

	if (*seq < 2) {
		stat_of(FS_ROOT, NULL, *seq == 0 ? "." : "..", qid, st);
		++*seq;
		return true;
	}
	if (*seq == 2) {
		stat_of(f->node == FS_ROOT ? FS_README : FS_CTL, f->entry,
		    f->node == FS_ROOT ? "README" : "ctl", qid, st);
		++*seq;
		return true;
	}
	if (f->node != FS_ROOT)
		return false;
	TAILQ_FOREACH (e, &fs->list, entry) {
		if (e->hidden || e->seq + DIR_FIXED <= *seq)
			continue;
		stat_of(FS_ENTRY, e, e->name, qid, st);
		*seq = e->seq + DIR_FIXED;
		return true;
	}
	return false;
}

int
fs_read_dir(struct fs_session *s, struct fs_fid *f, uint64_t offset,
    uint8_t *out, size_t max, size_t *n)
{
	struct wr w = wr_init(out, max);
	struct np_stat st;
	uint64_t seq;

	if (offset == 0)
		f->dir_off = f->dir_seq = 0;
	if (offset != f->dir_off)
		return -1;
	seq = f->dir_seq;
	while (dir_next(s->fs, f, &seq, &st)) {
		if (np_put_stat(&w, &st, s->u) == -1)
			break;
		f->dir_seq = seq;
	}
	f->dir_off += w.len;
	*n = w.len;
	return 0;
}
