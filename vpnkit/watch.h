#ifndef WATCH_H
#define WATCH_H

/*
 * Files that are read again when they change: edited in place, renamed over,
 * deleted, created later, or replaced behind a symbolic link; also when that
 * happens to the directory they are in.
 */

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#define WATCH_MAXFILES 8
#define WATCH_MAXLINKS 8 /* symbolic links followed */

struct watch_place {
	int dir;    /* of plat_watch_dir() */
	char *name; /* owned: last component in it */
};

struct watch_file {
	struct watch *watch; /* borrowed */
	const char *path;    /* borrowed */
	/* Where a change can be seen: the path, and what its links name. */
	struct watch_place place[WATCH_MAXLINKS];
	size_t nplace;
	struct ev_timer settle; /* runs between a change and the callback */
	void (*changed)(void *arg);
	void *arg;
};

struct watch {
	struct ev_loop *loop; /* borrowed */
	int fd;		      /* owned; -1: this system cannot watch */
	struct ev_io io;
	struct watch_file file[WATCH_MAXFILES];
	size_t n;
};

/* A failure is logged and then nothing is watched. */
void watch_init(struct watch *, struct ev_loop *);
void watch_fini(struct watch *);
/* Path is borrowed for good; neither it nor its directory need exist. */
void watch_add(
    struct watch *, const char *path, void (*changed)(void *), void *arg);
/* Looks for all directories anew; the callbacks do not come by that. */
void watch_again(struct watch *);

#endif
