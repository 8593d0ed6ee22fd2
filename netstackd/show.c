/*
 * The files of a stack, and packets into them.
 */

#include <sys/mman.h>
#include <sys/stat.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/rd.h"
#include "netstackd/netstackd.h"

/*
 * Files.
 */

/* Maps all of a file that nobody can shrink; NULL on error. */
static void *
map_all(int fd, size_t *len)
{
	struct stat st;
	void *p = MAP_FAILED;

	if (fd != -1 && fstat(fd, &st) == 0 && st.st_size > 0) {
		*len = (size_t)st.st_size;
		p = mmap(NULL, *len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	}
	if (fd != -1)
		close(fd);
	return p == MAP_FAILED ? NULL : p;
}

static void
tab_attach(struct show *sh, int fd)
{
	size_t len = 0;
	void *p = map_all(fd, &len);

	if (p == NULL)
		return;
	if (sh->tab != NULL || len < FLOWTAB_BYTES) {
		munmap(p, len);
		return;
	}
	sh->tab = p;
	flowtab_begin(sh->tab);
}

static void
tape_attach(struct show *sh, int fd, uint32_t snaplen)
{
	size_t len = 0;
	void *p = map_all(fd, &len);

	if (p == NULL)
		return;
	if (sh->tape.file != NULL ||
	    tape_begin(&sh->tape, p, len, snaplen) == -1)
		munmap(p, len);
	else
		sh->tape_len = len;
}

void
show_records(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct stackd *s = d->data;
	int tab = ipc_take_fd(m, 0), tape = ipc_take_fd(m, 1);

	tab_attach(&s->show, tab);
	tape_attach(&s->show, tape, (uint32_t)ipc_u64(m, "snaplen"));
}

void
show_capture(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct stackd *s = d->data;
	struct show_live *l = s->show.live;
	size_t len = 0;
	void *p = map_all(ipc_take_fd(m, 0), &len);

	while (l < s->show.live + SHOW_LIVE && l->tape.file != NULL)
		l++;
	if (p == NULL)
		return;
	if (l == s->show.live + SHOW_LIVE ||
	    tape_begin_live(
		&l->tape, p, len, (uint32_t)ipc_u64(m, "snaplen")) == -1) {
		munmap(p, len);
		return;
	}
	l->id = (uint32_t)ipc_u64(m, "id");
	l->len = len;
	s->show.nlive++;
}

static void
live_end(struct show *sh, struct show_live *l)
{
	munmap(l->tape.file, l->len);
	memset(l, 0, sizeof(*l));
	sh->nlive--;
}

void
show_capture_end(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	struct stackd *s = d->data;
	int i;

	for (i = 0; i < SHOW_LIVE; i++) {
		if (s->show.live[i].tape.file != NULL &&
		    s->show.live[i].id == ipc_u64(m, "id"))
			live_end(&s->show, &s->show.live[i]);
	}
}

/*
 * Packets.
 */

struct packet {
	enum tape_dir dir;
	usec_t when;
	const uint8_t *frame;
	size_t len;
	const char *why;
	bool open; /* the core has not had it yet */
};

static void
put(struct tape *t, enum tape_ring r, const struct packet *p)
{
	if (p->open)
		tape_put_open(t, r, p->dir, p->when, p->frame, p->len);
	else
		tape_put(t, r, p->dir, p->when, p->frame, p->len, p->why);
}

static void
put_all(struct show *sh, const struct packet *p)
{
	enum tape_ring r;
	int i;

	if (sh->tape.file != NULL) {
		put(&sh->tape, TAPE_ALL, p);
		if ((r = tape_classify(p->frame, p->len)) != TAPE__MAX)
			put(&sh->tape, r, p);
		if (p->why != NULL)
			put(&sh->tape, TAPE_BAD, p);
	}
	for (i = 0; sh->nlive > 0 && i < SHOW_LIVE; i++) {
		if (sh->live[i].tape.file != NULL)
			put(&sh->live[i].tape, TAPE_ALL, p);
	}
}

void
show_frame(struct stackd *s, enum tape_dir dir, const uint8_t *frame,
    size_t len, const char *why)
{
	struct packet p = { dir, stackd_now(s) + s->show.wall, frame, len, why,
		false };

	put_all(&s->show, &p);
}

void
show_input(struct stackd *s, const uint8_t *frame, size_t len)
{
	struct packet p = { TAPE_FROM_GUEST, stackd_now(s) + s->show.wall,
		frame, len, NULL, true };

	put_all(&s->show, &p);
}

void
show_input_done(
    struct stackd *s, const uint8_t *frame, size_t len, const char *why)
{
	struct packet p = { TAPE_FROM_GUEST, stackd_now(s) + s->show.wall,
		frame, len, why, false };
	int i;

	tape_settle(&s->show.tape, why);
	for (i = 0; s->show.nlive > 0 && i < SHOW_LIVE; i++)
		tape_settle(&s->show.live[i].tape, why);
	if (why != NULL)
		put(&s->show.tape, TAPE_BAD, &p);
}

void
show_datagrams(struct stackd *s, const uint8_t *frame, const struct vnet *v)
{
	uint8_t one[STACKD_DGRAM];
	struct vnet_cut c;
	size_t n;

	vnet_cut(&c, v, frame);
	while ((n = vnet_cut_next(&c, one, sizeof(one))) > 0)
		show_frame(s, TAPE_TO_GUEST, one, n, NULL);
}

void
show_moved(struct stackd *s, uint32_t id, uint64_t host, uint64_t guest)
{
	struct showflow *f;

	if (id >= s->show.nflow)
		return;
	f = &s->show.flow[id];
	f->to_host += host;
	f->to_guest += guest;
}

/* Each message of dnsd's has an address, a port and its length before it. */
static size_t
dns_len(const uint8_t *p, size_t n)
{
	struct rd r = rd_init(p, n);
	size_t sum = 0;
	uint16_t len;

	while (rd_skip(&r, SHOW_DNS_PREFIX - 2) == 0 && rd_u16(&r, &len) == 0 &&
	       rd_skip(&r, len) == 0)
		sum += len;
	return sum;
}

size_t
show_len(enum net_proto proto, const struct net_dgram *d)
{
	const uint8_t *p = d->iov[0].iov_base;
	size_t n = d->len < d->iov[0].iov_len ? d->len : d->iov[0].iov_len;
	size_t head;

	if (proto == NET_DNS)
		return dns_len(p, n);
	/* Raw sockets give IP's header too; no ICMP message begins like it. */
	head =
	    proto == NET_ICMP && n > 0 && p[0] >> 4 == 4 ? (p[0] & 15) * 4u : 0;
	return d->len > head ? d->len - head : 0;
}

void
show_fini(struct stackd *s)
{
	struct show *sh = &s->show;
	int i;

	ev_timer_stop(s->d->loop, &sh->timer);
	for (i = 0; i < SHOW_LIVE; i++) {
		if (sh->live[i].tape.file != NULL)
			live_end(sh, &sh->live[i]);
	}
	if (sh->tab != NULL)
		munmap(sh->tab, FLOWTAB_BYTES);
	if (sh->tape.file != NULL)
		munmap(sh->tape.file, sh->tape_len);
	free(sh->flow);
	free(sh->dirty);
	free(sh->free);
}
