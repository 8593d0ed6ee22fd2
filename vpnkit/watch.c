/*
 * A file is watched by the directories in which something can happen to it:
 * its own and, when it is a symbolic link (as /etc/resolv.conf mostly is),
 * those of the targets, link by link.  After every change the links are
 * followed again.
 *
 * An edit is seldom one event: most editors truncate first.  So the callback
 * comes only when nothing has happened for a moment.
 */

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

/* Watches the directory of path for its last component. */
static void
add_place(struct watch_file *f, const char *path)
{
	struct watch_place *p = &f->place[f->nplace];
	char dir[PATH_MAX], base[PATH_MAX];

	strlcpy(dir, path, sizeof(dir));
	strlcpy(base, path, sizeof(base));
	p->dir = plat_watch_dir(f->watch->fd, dirname(dir));
	if (p->dir == -1) {
		log_warn("%s: changes will not be seen", path);
		return;
	}
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
	char path[PATH_MAX];
	int i;

	while (f->nplace > 0)
		free(f->place[--f->nplace].name);
	strlcpy(path, f->path, sizeof(path));
	for (i = 0; i < WATCH_MAXLINKS; i++) {
		add_place(f, path);
		if (!follow(path, sizeof(path)))
			break;
	}
}

static void
event(void *arg, int dir, const char *name)
{
	struct watch *w = arg;
	struct watch_file *f;
	size_t i;

	for (f = w->file; f < w->file + w->n; f++) {
		for (i = 0; i < f->nplace; i++) {
			if (f->place[i].dir == dir &&
			    strcmp(f->place[i].name, name) == 0)
				ev_timer_again(w->loop, &f->settle);
		}
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
