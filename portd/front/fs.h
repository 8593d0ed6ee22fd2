#ifndef FS_H
#define FS_H

/*
 * The file system that is the control of ports, and the 9P sessions that look
 * at it.  Pure: bytes in, bytes out, and hooks that ask for a forward.
 *
 *	/README		what this is
 *	/NAME/		asked for, not yet there: made with mkdir
 *	/NAME/ctl	write a request (spec.h) once, then read what became of
 *it /NAME		a file once the forward is there: its request
 *
 * A forward lives as long as its request's ctl is open.  There is one tree for
 * all sessions.  A session waits while its request is with portd: one answer
 * after the other, in order.
 */

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/wr.h"
#include "common/ninep.h"
#include "portd/front/spec.h"

#define FS_NAMEMAX    255
#define FS_MAXFIDS    4096 /* of one session */
#define FS_MAXENTRIES 4096 /* names in the tree */
#define FS_MAXOWN     1024 /* of them, made by one session */
#define FS_BUCKETS    64
#define FS_RESULTMAX  (SPEC_ERRLEN + 16)

enum fs_stat {
	FSS_REQUESTS,
	FSS_ERRORS,
	FSS_FIDS,    /* refused: too many fids of a session */
	FSS_ENTRIES, /* refused: too many names */
	FSS__MAX
};

struct fs;
struct fs_session;

struct fs_entry {
	struct fs *fs; /* borrowed */
	char name[FS_NAMEMAX + 1];
	uint64_t seq;		   /* order in the listing */
	bool alive;		   /* in the list */
	bool hidden;		   /* another has its name now */
	bool written, active;	   /* has a request; which is a forward */
	unsigned refs;		   /* fids, and the tree */
	unsigned nctl;		   /* ctl fids that are open */
	struct fs_fid *writer;	   /* borrowed; the request's */
	struct fs_session *maker;  /* borrowed; NULL: gone */
	struct fs_session *waiter; /* borrowed; has asked, gets the answer */
	struct fwd_spec spec;
	char result[FS_RESULTMAX];
	void *fwd; /* the hooks'; NULL: nothing asked for */
	TAILQ_ENTRY(fs_entry) entry;
};

struct fs_hooks {
	/*
	 * Asks for the entry's spec and sets fwd; fs_answer() follows, maybe at
	 * once.  NULL, or an errno's name: it cannot even be asked.
	 */
	const char *(*add)(void *arg, struct fs_entry *);
	/* It is not wanted any more, answered or not; fwd is then NULL. */
	void (*del)(void *arg, struct fs_entry *);
	/* The answer, or error, a session has been waiting for. */
	void (*reply)(void *arg, struct fs_session *, const void *, size_t);
	void (*count)(void *arg, enum fs_stat);
};

struct fs {
	const struct fs_hooks *hooks; /* borrowed */
	void *arg;
	uint64_t qid, seq;
	size_t nentry;
	TAILQ_HEAD(fs_list, fs_entry) list; /* owned */
};

void fs_init(struct fs *, const struct fs_hooks *, void *arg);
void fs_fini(struct fs *); /* after all sessions */

/* data is the owner's.  NULL: no memory. */
struct fs_session *fs_session_new(struct fs *, void *data);
/* Lets go of everything it has: its forwards end. */
void fs_session_free(struct fs_session *);
void *fs_session_data(const struct fs_session *);
/* Whether its last request is not answered yet. */
bool fs_session_waits(const struct fs_session *);
/* How long a message may be now. */
size_t fs_session_msize(const struct fs_session *);

/*
 * One whole message; out has room for NP_MAXMSIZE bytes.  Nothing is written
 * when the answer comes later.  -1: the session cannot go on.
 */
int fs_input(struct fs_session *, const uint8_t *, size_t, struct wr *out);

/* What came of a request: error NULL and the host's real port, or a text. */
void fs_answer(struct fs_entry *, uint16_t port, const char *error);
/* The forward has ended by itself; fwd is forgotten. */
void fs_ended(struct fs_entry *, const char *why);

#endif
