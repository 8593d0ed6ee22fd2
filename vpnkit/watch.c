/*
 * A file is watched by the directories in which something can happen to it:
 * its own and, when it is a symbolic link (as /etc/resolv.conf mostly is),
 * those of the targets, link by link.  Where a directory is missing, the
 * nearest one above it is watched, for the one that has to come first.  After
 * every change, and when a directory itself is moved or removed, all of them
 * are looked for again.
 *
 * Directories further up are not watched, most of which are busy with what is
 * not ours: when one of them is replaced, or a link to a directory, only
 * watch_again() sees it.
 *
 * An edit is seldom one event: most editors truncate first.  So the callback
 * comes only when nothing has happened for a moment.
 */

#include <sys/stat.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bsd/string.h>

#include "common/log.h"
#include "common/plat/plat.h"

#include "watch.h"

#define SETTLE_SECS 0.05
#define MAXTRIES    32 /* to find a directory that others make and remove */

static bool
has_place(const struct watch_file *f, int dir)
{
	size_t i;

	for (i = 0; i < f->nplace; i++) {
		if (f->place[i].dir == dir)
			return true;
	}
	return false;
}

/* Ends the watching of a directory, unless a file still has a place in it. */
static void
let_go(const struct watch *w, int dir)
{
	size_t i;

	for (i = 0; i < w->n; i++) {
		if (has_place(&w->file[i], dir))
			return;
	}
	plat_watch_drop(w->fd, dir);
}

/*
 * Watches the directory of path, or the nearest one above it that is there;
 * path, of PATH_MAX bytes, is then cut to what is missing in that one.
 */
static int
watch_nearest(int set, char *path)
{
	char buf[PATH_MAX];
	const char *dir;
	int watch;

	for (;;) {
		strlcpy(buf, path, sizeof(buf));
		dir = dirname(buf);
		watch = plat_watch_dir(set, dir);
		if (watch != -1 || (errno != ENOENT && errno != ENOTDIR) ||
		    strcmp(dir, ".") == 0 || strcmp(dir, "/") == 0)
			return watch;
		strlcpy(path, dir, PATH_MAX);
	}
}

static bool
is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/*
 * The same, and looks once more: what was missing may have been made before
 * the one above it was watched.
 */
static int
watch_surely(const struct watch *w, char *path)
{
	char whole[PATH_MAX];
	int i, watch;

	strlcpy(whole, path, sizeof(whole));
	watch = watch_nearest(w->fd, path);
	for (i = 0; i < MAXTRIES && watch != -1 && strcmp(path, whole) != 0 &&
		    is_dir(path);
	     i++) {
		let_go(w, watch);
		strlcpy(path, whole, PATH_MAX);
		watch = watch_nearest(w->fd, path);
	}
	return watch;
}

/* A place for path, which may be cut as above. */
static void
add_place(struct watch_file *f, char *path)
{
	struct watch_place *p = &f->place[f->nplace];
	char base[PATH_MAX];

	if ((p->dir = watch_surely(f->watch, path)) == -1) {
		log_warn("%s: changes will not be seen", path);
		return;
	}
	strlcpy(base, path, sizeof(base));
	if ((p->name = strdup(basename(base))) != NULL)
		f->nplace++;
}

/* The target of a link, relative ones seen from the link's directory. */
static bool
follow(char *path, size_t size)
{
	char target[PATH_MAX], dir[PATH_MAX];
	ssize_t n;

	if ((n = readlink(path, target, sizeof(target) - 1)) == -1)
		return false;
	target[n] = '\0';
	if (target[0] == '/')
		return strlcpy(path, target, size) < size;
	strlcpy(dir, path, sizeof(dir));
	n = snprintf(path, size, "%s/%s", dirname(dir), target);
	return n > 0 && (size_t)n < size;
}

static void
add_places(struct watch_file *f)
{
	int old[WATCH_MAXLINKS], i, n = 0;
	char path[PATH_MAX];

	while (f->nplace > 0) {
		old[n++] = f->place[--f->nplace].dir;
		free(f->place[f->nplace].name);
	}
	strlcpy(path, f->path, sizeof(path));
	for (i = 0; i < WATCH_MAXLINKS; i++) {
		add_place(f, path);
		if (!follow(path, sizeof(path)))
			break;
	}
	while (n > 0)
		let_go(f->watch, old[--n]);
}

/* An empty name is the directory itself, dir -1 whatever was lost. */
static bool
concerns(const struct watch_file *f, int dir, const char *name)
{
	const struct watch_place *p;

	for (p = f->place; p < f->place + f->nplace; p++) {
		if (p->dir == dir &&
		    (*name == '\0' || strcmp(p->name, name) == 0))
			return true;
	}
	return dir == -1;
}

static void
event(void *arg, int dir, const char *name)
{
	struct watch *w = arg;
	struct watch_file *f;

	for (f = w->file; f < w->file + w->n; f++) {
		if (concerns(f, dir, name))
			ev_timer_again(w->loop, &f->settle);
	}
}

static void
io_cb(struct ev_loop *loop, struct ev_io *io, int revents)
{
	struct watch *w = io->data;

	plat_watch_read(w->fd, event, w);
}

static void
settle_cb(struct ev_loop *loop, struct ev_timer *t, int revents)
{
	struct watch_file *f = t->data;

	ev_timer_stop(loop, t);
	add_places(f);
	f->changed(f->arg);
}

void
watch_init(struct watch *w, struct ev_loop *loop)
{
	memset(w, 0, sizeof(*w));
	w->loop = loop;
	if ((w->fd = plat_watch_new()) == -1) {
		log_warn("changes of files will not be seen");
		return;
	}
	ev_io_init(&w->io, io_cb, w->fd, EV_READ);
	w->io.data = w;
	ev_io_start(loop, &w->io);
}

void
watch_fini(struct watch *w)
{
	size_t i;

	for (i = 0; i < w->n; i++) {
		ev_timer_stop(w->loop, &w->file[i].settle);
		while (w->file[i].nplace > 0)
			free(w->file[i].place[--w->file[i].nplace].name);
	}
	if (w->fd == -1)
		return;
	ev_io_stop(w->loop, &w->io);
	close(w->fd);
}

void
watch_add(struct watch *w, const char *path, void (*changed)(void *), void *arg)
{
	struct watch_file *f;

	if (w->fd == -1 || w->n == WATCH_MAXFILES)
		return;
	f = &w->file[w->n++];
	f->watch = w;
	f->path = path;
	f->changed = changed;
	f->arg = arg;
	ev_timer_init(&f->settle, settle_cb, 0., SETTLE_SECS);
	f->settle.data = f;
	add_places(f);
}

void
watch_again(struct watch *w)
{
	size_t i;

	for (i = 0; i < w->n; i++)
		add_places(&w->file[i]);
}
