/*
 * The forwards that clients have asked for, and portd, who makes them.  A new
 * portd is asked for all of them again, each on the port it had.  The
 * supervisor is told of each that is there: an administrator may see and end
 * it, and one of HTTP, whose client will not ask again, is told to the front
 * that follows this one.
 */

#include <stdlib.h>
#include <string.h>

#include <bsd/string.h>

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

static const char *
end_text(const struct fwd_spec *s, const struct fwd_end *e, char *buf)
{
	if (s->proto == FWD_UNIX)
		return e->path;
	return ipaddr_str(&e->ip, buf);
}

static void
fwd_hold(struct fwd *w)
{
	const struct fwd_spec *s = &w->want.spec;
	const struct ipaddr none = ipaddr_from_u32(0);
	char out[IPADDR_STRLEN], in[IPADDR_STRLEN];

	w->held = true;
	ipc_send(w->f->d->sup, IPC_PORT_HELD, NULL, 0,
	    "{s:I, s:s, s:s, s:s, s:i, s:i, s:s, s:i, s:s, s:s}", "id",
	    (json_int_t)w->id, "by", w->web ? "http" : "9p", "proto",
	    fwd_proto_name[s->proto], "addr", end_text(s, &s->out, out), "want",
	    (int)s->out.port, "port", (int)w->port, "dst",
	    ipaddr_str(s->proto == FWD_UNIX ? &none : &s->in.ip, in), "dport",
	    (int)s->in.port, "dpath", s->in.path, "note", w->want.annotation);
}

/* It is over, for whatever reason. */
static void
fwd_drop(struct fwd *w)
{
	if (w->held)
		ipc_send(w->f->d->sup, IPC_PORT_DROPPED, NULL, 0, "{s:I}", "id",
		    (json_int_t)w->id);
	fwd_free(w);
}

/* A forward that was there asks for the very port it had. */
static int
fwd_ask(struct fwd *w)
{
	const struct fwd_spec *s = &w->want.spec;
	const struct ipaddr none = ipaddr_from_u32(0);
	char out[IPADDR_STRLEN], in[IPADDR_STRLEN];

	if (w->f->portd == NULL)
		return 0;
	return ipc_send(w->f->portd, IPC_FORWARD_ADD, NULL, 0,
	    "{s:I, s:s, s:s, s:I, s:s, s:I, s:s, s:s, s:b}", "id",
	    (json_int_t)w->id, "proto", fwd_proto_name[s->proto], "addr",
	    end_text(s, &s->out, out), "port",
	    (json_int_t)(w->port != 0 ? w->port : s->out.port), "dst",
	    ipaddr_str(s->proto == FWD_UNIX ? &none : &s->in.ip, in), "dport",
	    (json_int_t)s->in.port, "dpath", s->in.path, "via",
	    w->f->tunnelled ? "tunnel" : "net", "proxy", false);
}

static struct fwd *
fwd_new(struct front *f, uint32_t id, const struct api_port *want)
{
	struct fwd *w, **pp;

	if ((w = calloc(1, sizeof(*w))) == NULL)
		return NULL;
	w->f = f;
	w->id = id;
	w->want = *want;
	pp = &f->fwd_by_id[id % FRONT_BUCKETS];
	w->next = *pp;
	*pp = w;
	TAILQ_INSERT_TAIL(&f->fwds, w, entries);
	f->nfwd++;
	front_now(f, FRONTS_FWDS, 1);
	return w;
}

/* A path that is no text cannot be asked for: all names on the bus are. */
const char *
fwd_add(struct front *f, const struct api_port *want, struct fs_entry *entry,
    struct fwd **out)
{
	struct fwd *w;

	if (f->nfwd >= FRONT_MAXFWDS) {
		front_count(f, FRONTS_FWD_LIMIT);
		return "EMFILE";
	}
	while (fwd_find(f, f->next_fwd) != NULL)
		f->next_fwd++;
	if ((w = fwd_new(f, f->next_fwd++, want)) == NULL)
		return "ENOMEM";
	w->entry = entry;
	w->web = entry == NULL;
	if (fwd_ask(w) == -1) {
		fwd_free(w);
		return "EILSEQ";
	}
	*out = w;
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
	fwd_drop(w);
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
			(void)fwd_ask(w);
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
	fwd_hold(w);
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
	fwd_drop(w);
}

void
book_failed(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct fwd *w = fwd_of(d, m);

	if (w != NULL && w->state != FWD_LEAVING)
		fwd_failed(w, ipc_str(m, "error"), ipc_str(m, "why"));
}

/* Whoever wanted it is told why. */
static void
fwd_gone(struct fwd *w, const char *why)
{
	struct fs_entry *e = w->entry;

	log_info("port %u is gone: %s", w->port, why);
	web_done(w, why);
	if (e != NULL && w->state == FWD_ASKED)
		fs_answer(e, 0, why);
	else if (e != NULL)
		fs_ended(e, why);
}

void
book_gone(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct fwd *w = fwd_of(d, m);

	if (w == NULL)
		return;
	if (w->state == FWD_LEAVING) {
		fwd_left(w);
		return;
	}
	fwd_gone(w, ipc_str(m, "why"));
	fwd_drop(w);
}

/*
 * What the supervisor says.
 */

static int
held_end(
    const struct ipc_msg *m, bool out, enum fwd_proto proto, struct fwd_end *e)
{
	const char *text = ipc_str(m, out		  ? "addr"
				      : proto == FWD_UNIX ? "dpath"
							  : "dst");

	e->port = (uint16_t)ipc_u64(m, out ? "want" : "dport");
	if (proto != FWD_UNIX)
		return ipaddr_parse(text, &e->ip);
	return strlcpy(e->path, text, sizeof(e->path)) < sizeof(e->path) ? 0
									 : -1;
}

/* The numbers are those that the front before this one gave. */
void
book_held(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct front *f = d->data;
	uint32_t id = (uint32_t)ipc_u64(m, "id");
	const char *name = ipc_str(m, "proto");
	int proto = spec_proto(name, strlen(name));
	struct api_port want;
	struct fwd *w;

	memset(&want, 0, sizeof(want));
	if (proto == -1 || fwd_find(f, id) != NULL)
		return;
	want.spec.proto = (enum fwd_proto)proto;
	strlcpy(want.annotation, ipc_str(m, "note"), sizeof(want.annotation));
	if (held_end(m, true, want.spec.proto, &want.spec.out) == -1 ||
	    held_end(m, false, want.spec.proto, &want.spec.in) == -1 ||
	    (w = fwd_new(f, id, &want)) == NULL)
		return;
	w->web = w->held = true;
	w->port = (uint16_t)ipc_u64(m, "port");
	(void)fwd_ask(w);
}

void
book_end(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	static const char why[] = "removed by the administrator";
	struct fwd *w = fwd_of(d, m);

	if (w == NULL || w->state == FWD_LEAVING)
		return;
	fwd_gone(w, why);
	fwd_remove(w);
	if (w->f->portd == NULL)
		fwd_left(w);
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
