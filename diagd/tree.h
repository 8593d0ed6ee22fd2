#ifndef TREE_H
#define TREE_H

/*
 * --introspection: the files of --diagnostics as a tree that 9P clients read.
 * A session is bytes in and bytes out; what a file holds is made when it is
 * opened.  Pure but for the snapshot's memory.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/ninep.h"
#include "common/view/view.h"

#define TREE_MAXFIDS 64
#define TREE_MAXOPEN 8 /* of them with a file's contents */

struct tree_fid {
	bool used, open;
	uint32_t fid;
	size_t node;
	char *text; /* owned; of an open file */
	size_t len;
};

struct tree {
	bool versioned, u;
	uint32_t msize;
	size_t nopen;
	struct tree_fid fid[TREE_MAXFIDS];
};

void tree_init(struct tree *);
void tree_fini(struct tree *);
/* The longest message it takes now. */
size_t tree_msize(const struct tree *);
/*
 * One whole message; out has room for NP_MAXMSIZE bytes and gets the answer.
 * -1: the session cannot go on.
 */
int tree_input(struct tree *, const struct snapshot *, const uint8_t *, size_t,
    struct wr *out);

#endif
