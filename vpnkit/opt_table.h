#ifndef OPT_TABLE_H
#define OPT_TABLE_H

/*
 * One row per flag; between the files of the option parser only.  Pure.
 */

#include "options.h"

enum opt_kind {
	K_FLAG,
	K_STR,
	K_INT,
	K_IP,
	K_MAC,
	K_NAMES, /* comma list of names */
	K_IPS,	 /* comma list of IPv4 addresses */
	K_FWDS,	 /* comma list of PORT:IP:PORT */
	K_URL,
	K_URLS, /* may be given again */
	K_PUBS, /* of --publish, too */
};

enum opt_class {
	C_NOW,
	C_OLD, /* had a meaning once; ignored */
};

enum opt_group { G_VM, G_ADDR, G_NAMES, G_OUT, G_IN, G_ADMIN, G_OLD };

struct opt {
	const char *name;
	const char *arg; /* placeholder in the help; NULL for a flag */
	const char *def; /* NULL: none */
	size_t off;
	enum opt_kind kind;
	enum opt_class class;
	enum opt_group group;
	bool extra;	  /* not in the original's HEAD */
	int64_t min, max; /* of a number; max also of a string's length */
	const char *help;
};

#define OPT_OFF(f) offsetof(struct options, f)

extern const struct opt opts[];
extern const size_t opt_n;

/* Writes one line to err, of OPTIONS_ERRLEN bytes; always -1. */
int opt_fail(char *err, const char *fmt, ...)
    __attribute__((__format__(printf, 2, 3)));

void opt_strlist_free(struct strlist *);

/* Puts the value, checked by the row, into its field. */
int opt_set(struct options *, const struct opt *, const char *value, char *err);

#endif
