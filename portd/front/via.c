/*
 * Destinations that are reached through a Unix socket: before the stream there
 * is a question, for where it shall lead, and an answer, yes or no; each is
 * JSON behind a 16-bit length.  portd holds the socket, too, and goes on with
 * it, so not a byte behind the answer is read here.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "portd/front/front.h"

#define VIA_SEC	   30. /* to answer in */
#define ANSWER_MAX 4096

struct via {
	struct front *f; /* borrowed */
	uint32_t id;	 /* portd's */
	unsigned portd;	 /* which one's */
	int fd;		 /* owned */
	struct ev_io rd, wr;
	struct ev_timer timer;
	struct buf out;
	uint8_t in[2 + ANSWER_MAX];
	size_t inlen;
	LIST_ENTRY(via) entry;
};

int
via_parse(const char *text, size_t len)
{
	json_t *o = json_loadb(text, len, 0, NULL);
	int r = json_is_true(json_object_get(o, "accepted"));

	json_decref(o);
	return r;
}

static void
via_free(struct via *v)
{
	struct ev_loop *loop = v->f->d->loop;

	ev_io_stop(loop, &v->rd);
	ev_io_stop(loop, &v->wr);
	ev_timer_stop(loop, &v->timer);
	close(v->fd);
	buf_free(&v->out);
	LIST_REMOVE(v, entry);
	v->f->nvia--;
	free(v);
}

static void
say(struct ipc *to, uint32_t id, bool accepted)
{
	ipc_send(to, IPC_VIA_ANSWER, NULL, 0, "{s:I, s:b}", "id",
	    (json_int_t)id, "accepted", accepted);
}

static void
via_end(struct via *v, bool accepted)
{
	if (!accepted)
		front_count(v->f, FRONTS_VIA_REFUSED);
	if (v->f->portd != NULL && v->portd == v->f->nportd)
		say(v->f->portd, v->id, accepted);
	via_free(v);
}

/* How many bytes the answer has in all, as far as that is known. */
static size_t
answer_len(const struct via *v)
{
	return v->inlen < 2 ? 2 : 2u + (size_t)(v->in[0] | v->in[1] << 8);
}

static void
read_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct via *v = w->data;
	size_t want = answer_len(v);
	ssize_t n;

	n = read(v->fd, v->in + v->inlen, want - v->inlen);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		v->inlen += (size_t)n;
	want = answer_len(v);
	if (n <= 0 || want > sizeof(v->in))
		via_end(v, false);
	else if (v->inlen > 2 && v->inlen == want)
		via_end(
		    v, via_parse((const char *)v->in + 2, v->inlen - 2) == 1);
	else if (want == 2 && v->inlen == 2)
		via_end(v, false); /* an answer of no bytes */
}

static void
write_cb(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct via *v = w->data;
	ssize_t n;

	n = write(v->fd, buf_data(&v->out), v->out.len);
	if (n == -1 && errno != EAGAIN && errno != EINTR) {
		via_end(v, false);
		return;
	}
	if (n > 0)
		buf_take(&v->out, (size_t)n);
	if (v->out.len == 0)
		ev_io_stop(loop, w);
}

static void
timer_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	via_end(w->data, false);
}

static int
put_question(struct via *v, const struct ipc_msg *m)
{
	char ip[IPADDR_STRLEN], text[256];
	struct ipaddr dst = ipc_addr(m, "dst");
	uint8_t len[2];
	int n;

	n = snprintf(text, sizeof(text),
	    "{\"protocol\":\"tcp\",\"src_ip\":\"0.0.0.0\",\"src_port\":0,"
	    "\"dst_ip\":\"%s\",\"dst_port\":%u}",
	    ipaddr_str(&dst, ip), (unsigned)ipc_u64(m, "dport"));
	len[0] = (uint8_t)n;
	len[1] = (uint8_t)(n >> 8);
	if (buf_put(&v->out, len, 2) == -1)
		return -1;
	return buf_put(&v->out, text, (size_t)n);
}

void
via_conn(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct front *f = d->data;
	struct via *v = NULL;

	front_count(f, FRONTS_VIA);
	if (f->nvia >= FRONT_MAXVIAS || (v = calloc(1, sizeof(*v))) == NULL ||
	    put_question(v, m) == -1) {
		front_count(f, FRONTS_VIA_REFUSED);
		free(v);
		say(from, (uint32_t)ipc_u64(m, "id"), false);
		return;
	}
	v->f = f;
	v->id = (uint32_t)ipc_u64(m, "id");
	v->portd = f->nportd;
	v->fd = ipc_take_fd(m, 0);
	ev_io_init(&v->rd, read_cb, v->fd, EV_READ);
	ev_io_init(&v->wr, write_cb, v->fd, EV_WRITE);
	ev_timer_init(&v->timer, timer_cb, VIA_SEC, 0.);
	ev_set_priority(&v->timer, TIMER_LATE);
	v->rd.data = v->wr.data = v->timer.data = v;
	LIST_INSERT_HEAD(&f->vias, v, entry);
	f->nvia++;
	ev_io_start(d->loop, &v->rd);
	ev_io_start(d->loop, &v->wr);
	ev_timer_start(d->loop, &v->timer);
}

void
via_fini(struct front *f)
{
	while (!LIST_EMPTY(&f->vias))
		via_free(LIST_FIRST(&f->vias));
}
