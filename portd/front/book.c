/*
 * The forwards that clients have asked for, and portd, who makes them.  A new
 * portd is asked for all of them again, each on the port it had.
 */

#include <stdlib.h>
#include <string.h>

#include "portd/front/front.h"

static struct fwd **
slot(struct front *f, uint32_t id)
{
	struct fwd **pp = &f->fwd_by_id[id % FRONT_BUCKETS];

	while (*pp != NULL && (*pp)->id != id)
		pp = &(*pp)->next;
	return pp;
}

struct fwd *
fwd_find(struct front *f, uint32_t id)
{
	return *slot(f, id);
}

static void
fwd_free(struct fwd *w)
{
	struct front *f = w->f;
	struct fwd **pp = slot(f, w->id);

	*pp = w->next;
	TAILQ_REMOVE(&f->fwds, w, entries);
	f->nfwd--;
	front_now(f, FRONTS_FWDS, -1);
	free(w);
}

/* A forward that is there asks for the very port it has. */
static void
fwd_ask(struct fwd *w)
{
	const struct fwd_spec *s = &w->want.spec;
	char out[IPADDR_STRLEN], in[IPADDR_STRLEN];
	bool path = s->proto == FWD_UNIX;

	if (w->f->portd == NULL)
		return;
	ipc_send(w->f->portd, IPC_FORWARD_ADD, NULL, 0,
	    "{s:I, s:s, s:s, s:I, s:s, s:I, s:s, s:s, s:b}", "id",
	    (json_int_t)w->id, "proto", fwd_proto_name[s->proto], "addr",
	    path ? s->out.path : ipaddr_str(&s->out.ip, out), "port",
	    (json_int_t)(w->state == FWD_ACTIVE ? w->port : s->out.port), "dst",
	    path ? "0.0.0.0" : ipaddr_str(&s->in.ip, in), "dport",
	    (json_int_t)s->in.port, "dpath", s->in.path, "via",
	    w->f->tunnelled ? "tunnel" : "net", "proxy", false);
}

const char *
fwd_add(struct front *f, const struct api_port *want, struct fs_entry *entry,
    struct fwd **out)
{
	struct fwd *w, **pp;

	if (f->nfwd >= FRONT_MAXFWDS) {
		front_count(f, FRONTS_FWD_LIMIT);
		return "EMFILE";
	}
	if ((w = calloc(1, sizeof(*w))) == NULL)
		return "ENOMEM";
	while (fwd_find(f, f->next_fwd) != NULL)
		f->next_fwd++;
	w->f = f;
	w->id = f->next_fwd++;
	w->want = *want;
	w->entry = entry;
	w->web = entry == NULL;
	pp = &f->fwd_by_id[w->id % FRONT_BUCKETS];
	w->next = *pp;
	*pp = w;
	TAILQ_INSERT_TAIL(&f->fwds, w, entries);
	f->nfwd++;
	front_now(f, FRONTS_FWDS, 1);
	*out = w;
	fwd_ask(w);
	return NULL;
}

/* Without portd there is nothing to wait for. */
void
fwd_remove(struct fwd *w)
{
	if (w->state == FWD_LEAVING)
		return;
	w->state = FWD_LEAVING;
	w->entry = NULL;
	if (w->f->portd != NULL)
		ipc_send(w->f->portd, IPC_FORWARD_REMOVE, NULL, 0, "{s:I}",
		    "id", (json_int_t)w->id);
}

static void
fwd_left(struct fwd *w)
{
	web_done(w, NULL);
	fwd_free(w);
}

void
book_portd(struct front *f)
{
	struct fwd *w, *next;

	for (w = TAILQ_FIRST(&f->fwds); w != NULL; w = next) {
		next = TAILQ_NEXT(w, entries);
		if (w->state == FWD_LEAVING)
			fwd_left(w);
		else
			fwd_ask(w);
	}
}

/* What it was listening on is gone with it. */
void
book_portd_gone(struct front *f)
{
	struct fwd *w, *next;

	for (w = TAILQ_FIRST(&f->fwds); w != NULL; w = next) {
		next = TAILQ_NEXT(w, entries);
		if (w->state == FWD_LEAVING)
			fwd_left(w);
	}
}

void
book_fini(struct front *f)
{
	while (!TAILQ_EMPTY(&f->fwds))
		fwd_free(TAILQ_FIRST(&f->fwds));
}

/*
 * What portd says.  Of a forward that is leaving only its end counts.
 */

static struct fwd *
fwd_of(struct daemon *d, const struct ipc_msg *m)
{
	return fwd_find(d->data, (uint32_t)ipc_u64(m, "id"));
}

void
book_added(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct fwd *w = fwd_of(d, m);
	char line[SPEC_STRLEN];

	if (w == NULL || w->state == FWD_LEAVING)
		return;
	w->port = (uint16_t)ipc_u64(m, "port");
	if (w->state == FWD_ACTIVE)
		return; /* of a portd that was started again */
	w->state = FWD_ACTIVE;
	log_debug("port %u: %s", w->port, spec_str(&w->want.spec, line));
	if (w->entry != NULL)
		fs_answer(w->entry, w->port, NULL);
	else
		web_done(w, NULL);
}

/* It cannot be had, or not again: whoever wanted it is told. */
static void
fwd_failed(struct fwd *w, const char *name, const char *why)
{
	struct fs_entry *e = w->entry;
	char text[SPEC_ERRLEN];

	front_count(w->f, FRONTS_FWD_FAILED);
	log_info("%s", spec_error_http(&w->want.spec, name, why, text));
	if (w->web)
		web_done(w, text);
	if (e != NULL) {
		spec_error_9p(&w->want.spec, name, why, text);
		if (w->state == FWD_ASKED)
			fs_answer(e, 0, text);
		else
			fs_ended(e, text);
	}
	fwd_free(w);
}

void
book_failed(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct fwd *w = fwd_of(d, m);

	if (w != NULL && w->state != FWD_LEAVING)
		fwd_failed(w, ipc_str(m, "error"), ipc_str(m, "why"));
}

void
book_gone(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct fwd *w = fwd_of(d, m);
	struct fs_entry *e;

	if (w == NULL)
		return;
	if (w->state == FWD_LEAVING) {
		fwd_left(w);
		return;
	}
	log_info("port %u is gone: %s", w->port, ipc_str(m, "why"));
	e = w->entry;
	web_done(w, ipc_str(m, "why"));
	if (e != NULL && w->state == FWD_ASKED)
		fs_answer(e, 0, ipc_str(m, "why"));
	else if (e != NULL)
		fs_ended(e, ipc_str(m, "why"));
	fwd_free(w);
}

/*
 * What the file system wants.
 */

static const char *
hook_add(void *arg, struct fs_entry *e)
{
	struct api_port want = { .spec = e->spec };
	const char *error;
	struct fwd *w;

	if ((error = fwd_add(arg, &want, e, &w)) == NULL)
		e->fwd = w;
	return error;
}

static void
hook_del(void *arg, struct fs_entry *e)
{
	fwd_remove(e->fwd);
}

static void
hook_reply(void *arg, struct fs_session *s, const void *p, size_t len)
{
	struct client *c = fs_session_data(s);

	if (buf_put(&c->out, p, len) == -1)
		c->closing = true;
	client_resume(c);
}

static void
hook_count(void *arg, enum fs_stat i)
{
	static const enum front_stat stat[FSS__MAX] = {
		[FSS_REQUESTS] = FRONTS_9P,
		[FSS_ERRORS] = FRONTS_9P_ERRORS,
		[FSS_FIDS] = FRONTS_9P_FIDS,
		[FSS_ENTRIES] = FRONTS_9P_NAMES,
	};

	front_count(arg, stat[i]);
}

const struct fs_hooks book_fs_hooks = { hook_add, hook_del, hook_reply,
	hook_count };
