#ifndef FS_IMPL_H
#define FS_IMPL_H

/*
 * Between fs.c, the sessions and their fids, fs_ops.c, what is asked of them,
 * and fs_tree.c, what they look at.
 */

#include "portd/front/fs.h"

enum fs_node {
	FS_ROOT,
	FS_README,
	FS_ENTRY, /* a directory, or a file once the forward is there */
	FS_CTL,
};

struct fs_fid {
	uint32_t fid;
	enum fs_node node;
	struct fs_entry *entry; /* FS_ENTRY, FS_CTL; counted in its refs */
	struct np_qid qid;
	bool open;
	uint8_t mode;
	bool based;	     /* has read what came of its request */
	uint64_t base;	     /* from there */
	uint64_t dir_off;    /* where the listing goes on */
	uint64_t dir_seq;    /* behind which entry */
	struct fs_fid *next; /* hash chain */
};

struct fs_session {
	struct fs *fs; /* borrowed */
	void *data;
	bool versioned, u;
	uint32_t msize;
	size_t nfid, nown;
	struct fs_fid *fids[FS_BUCKETS]; /* owned */
	/* The write that waits for portd. */
	struct fs_entry *waits; /* borrowed */
	uint16_t wait_tag;
	uint32_t wait_count;
};

/* NULL: there is none of that number. */
struct fs_fid *fs_fid_find(struct fs_session *, uint32_t fid);
/* The number is free.  NULL: no room. */
struct fs_fid *fs_fid_new(struct fs_session *, uint32_t fid);
void fs_fid_free(struct fs_session *, struct fs_fid *);
void fs_fids_free(struct fs_session *);
void fs_fid_point(
    struct fs_session *, struct fs_fid *, enum fs_node, struct fs_entry *);
/* Whether what it names is still in the tree. */
bool fs_fid_alive(const struct fs_fid *);
/* The answer to a write. */
void fs_put_count(struct wr *, uint16_t tag, uint32_t count);
/* Another session takes away what one may be waiting for. */
void fs_waiter_refuse(struct fs_entry *);

extern const char fs_readme[];

/* A name made in the root.  NULL: no room, or no memory. */
struct fs_entry *fs_entry_new(
    struct fs *, const char *name, size_t len, struct fs_session *maker);
/* NULL: there is none. */
struct fs_entry *fs_entry_find(struct fs *, const char *name, size_t len);
void fs_entry_ref(struct fs_entry *);
void fs_entry_unref(struct fs_entry *);
/* Ends its forward and takes it out of the tree. */
void fs_entry_kill(struct fs_entry *);
/* Its name is somebody else's now; what its ctl holds goes on. */
void fs_entry_hide(struct fs_entry *);

/* A fid of that session goes: what it meant to its entry. */
void fs_fid_leave(struct fs_session *, struct fs_fid *);
struct np_qid fs_qid(struct fs *, enum fs_node, const struct fs_entry *);
void fs_stat(const struct fs_fid *, struct np_stat *);
/* The contents from an offset; at most max bytes. */
size_t fs_read_file(
    const struct fs_fid *, uint64_t offset, uint8_t *out, size_t max);
/* Whole stats; the listing goes on where the last one ended. */
int fs_read_dir(struct fs_session *, struct fs_fid *, uint64_t offset,
    uint8_t *out, size_t max, size_t *n);

#endif
