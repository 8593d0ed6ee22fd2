/*
 * Written where things happen, a memcpy each; who reads it is not known here.
 */

#include <sys/mman.h>
#include <sys/stat.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bsd/string.h>

#include "dnsd/dnsd.h"

#define MAXNAMES 64 /* addresses of one answer */

static void
zones_text(const struct route_server *conf, char *buf, size_t size)
{
	char text[DNSTAB_TEXT];
	size_t i;

	buf[0] = '\0';
	for (i = 0; i < conf->nzone; i++) {
		dnstab_text(conf->zone[i].wire, conf->zone[i].len, text);
		/* Whole names, and whether there are more. */
		if (strlen(buf) + strlen(text) + sizeof("  ...") > size) {
			strlcat(buf, " ...", size);
			break;
		}
		if (i > 0)
			strlcat(buf, " ", size);
		strlcat(buf, text, size);
	}
}

static void
server_init(struct server *s)
{
	struct dnstab_server *r = &s->seen;
	char addr[IPADDR_STRLEN];

	memset(r, 0, sizeof(*r));
	snprintf(r->addr, sizeof(r->addr), "%s#%u",
	    ipaddr_str(&s->conf->addr, addr), s->conf->port);
	zones_text(s->conf, r->zones, sizeof(r->zones));
	r->order = s->conf->order;
	r->timeout_ms = s->conf->timeout_ms;
}

static void
server_put(struct server *s)
{
	s->seen_changed = false;
	s->seen.offline = s->offline;
	if (s->d->records != NULL)
		dnstab_put_server(s->d->records, s->num, &s->seen);
}

/* Many a time in a turn, and nobody can tell. */
static void
server_changed(struct server *s)
{
	s->seen_changed = true;
	s->d->records_owe = true;
}

void
records_turn(struct dnsd *d)
{
	size_t i;

	if (!d->records_owe)
		return;
	d->records_owe = false;
	for (i = 0; d->server != NULL && i < d->route.n; i++)
		if (d->server[i].seen_changed)
			server_put(&d->server[i]);
}

void
records_servers(struct dnsd *d)
{
	size_t i;

	if (d->records != NULL)
		dnstab_begin(d->records);
	for (i = 0; d->server != NULL && i < d->route.n; i++) {
		if (d->server[i].seen.addr[0] == '\0')
			server_init(&d->server[i]);
		server_put(&d->server[i]);
	}
}

void
records_asked(struct server *s)
{
	s->seen.asked++;
	server_changed(s);
}

void
records_unanswered(struct server *s)
{
	s->seen.missed++;
	server_changed(s);
}

void
records_state(struct server *s)
{
	server_changed(s);
}

/* As TCP smooths it, RFC 6298 2.3. */
void
records_answered(struct server *s, usec_t rtt)
{
	struct dnstab_server *r = &s->seen;
	uint32_t us = rtt < UINT32_MAX ? (uint32_t)rtt : UINT32_MAX;

	r->answered++;
	r->last_answer = usec_now(s->d->d->loop);
	if (us > 0) {
		r->rtt = r->rtt == 0 ? us : r->rtt - r->rtt / 8 + us / 8;
		if (r->rtt_min == 0 || us < r->rtt_min)
			r->rtt_min = us;
		if (us > r->rtt_max)
			r->rtt_max = us;
	}
	server_changed(s);
}

/* The addresses that the guest was told, and what it had asked for. */
static void
put_names(struct dnstab_file *f, const struct dnstab_query *q,
    const struct msg_head *h, struct rd msg)
{
	struct msg_walk w = msg_walk(msg, h);
	struct dnstab_name n;
	struct msg_rr rr;
	int i;

	n.when = q->when;
	n.vm = q->vm;
	strlcpy(n.name, q->name, sizeof(n.name));
	for (i = 0; i < MAXNAMES && msg_next(&w, &rr) == 1; i++) {
		if (w.section != SEC_ANSWER)
			break;
		if (rr.type == DNS_TYPE_A && rr.class == DNS_CLASS_IN &&
		    rr.rdata.len == 4 && rd_u32(&rr.rdata, &n.ip) == 0)
			dnstab_put_name(f, &n);
	}
}

void
records_answer(const struct client *c, const struct asker *a, const char *by,
    const uint8_t *msg, size_t len)
{
	struct dnstab_file *f = c->d->records;
	usec_t now = usec_now(c->d->d->loop);
	struct dnstab_query q;
	struct msg_head h;

	if (f == NULL || msg_head(rd_init(msg, len), &h) == -1)
		return;
	q.vm = c->answer == NULL ? ipc_vm(c->guest->link) : 0;
	q.type = h.type;
	q.rcode = h.flags & 15;
	q.took = a != NULL ? (uint32_t)(now - a->start) : 0;
	q.when = now;
	strncpy(q.by, by != NULL ? by : "", sizeof(q.by) - 1);
	q.by[sizeof(q.by) - 1] = '\0';
	dnstab_text(h.name, h.namelen, q.name);
	dnstab_put_query(f, &q);
	if (q.vm != 0)
		put_names(f, &q, &h, rd_init(msg, len));
}

void
records_take(struct daemon *dm, struct ipc *from, struct ipc_msg *m)
{
	struct dnsd *d = dm->data;
	int fd = ipc_take_fd(m, 0);
	struct stat st;
	void *p = MAP_FAILED;

	if (d->records == NULL && fstat(fd, &st) == 0 &&
	    st.st_size >= (off_t)DNSTAB_BYTES)
		p = mmap(NULL, DNSTAB_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
		    fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return;
	d->records = p;
	records_servers(d);
}

void
records_fini(struct dnsd *d)
{
	if (d->records != NULL)
		munmap(d->records, DNSTAB_BYTES);
	d->records = NULL;
}
