#include <string.h>

#include "common/tape.h"

#define HEAD	 sizeof(struct tape_slot)
#define LIVE_LEN (8u << 20)
#define LIVE_MIN 64u /* slots */

const char *const tape_ring_name[TAPE__MAX] = {
	[TAPE_ALL] = "all",
	[TAPE_DNS] = "dns",
	[TAPE_NTP] = "ntp",
	[TAPE_ICMP] = "icmp",
	[TAPE_HTTP] = "http_proxy",
	[TAPE_BAD] = "bad",
};

/* Bytes of each ring, and how much of a packet it keeps (0: configured). */
static const struct {
	uint32_t bytes, snaplen;
} plan[TAPE__MAX] = {
	[TAPE_ALL] = { 256u << 10, 0 },
	[TAPE_DNS] = { 256u << 10, 1500 },
	[TAPE_NTP] = { 64u << 10, 1500 },
	[TAPE_ICMP] = { 16u << 10, 1500 },
	[TAPE_HTTP] = { 1u << 20, 1500 },
	[TAPE_BAD] = { 1u << 20, 1500 },
};

static uint32_t
stride_of(uint32_t snaplen)
{
	return ((uint32_t)HEAD + snaplen + 7) & ~7u;
}

static uint32_t
snaplen_of(enum tape_ring r, uint32_t snaplen)
{
	if (snaplen > UINT16_MAX)
		snaplen = UINT16_MAX;
	return plan[r].snaplen != 0 ? plan[r].snaplen : snaplen;
}

/* At least a few packets, however long. */
static uint32_t
slots_of(uint32_t bytes, uint32_t snaplen)
{
	uint32_t n = bytes / stride_of(snaplen);

	return n >= 4 ? n : 4;
}

static size_t
ring_bytes(enum tape_ring r, uint32_t snaplen)
{
	snaplen = snaplen_of(r, snaplen);
	return (size_t)slots_of(plan[r].bytes, snaplen) * stride_of(snaplen);
}

size_t
tape_bytes(uint32_t snaplen)
{
	size_t n = sizeof(struct tape_file);
	int r;

	for (r = 0; r < TAPE__MAX; r++)
		n += ring_bytes(r, snaplen);
	return n;
}

static uint32_t
live_slots(uint32_t snaplen)
{
	uint32_t n = slots_of(LIVE_LEN, snaplen);

	return n >= LIVE_MIN ? n : LIVE_MIN;
}

size_t
tape_live_bytes(uint32_t snaplen)
{
	if (snaplen > UINT16_MAX)
		snaplen = UINT16_MAX;
	return sizeof(struct tape_file) +
	       (size_t)live_slots(snaplen) * stride_of(snaplen);
}

/*
 * Writing.
 */

static struct tape_slot *
slot_at(const struct tape *t, enum tape_ring r, uint32_t i)
{
	return (void *)(t->ring[r].slot + (size_t)i * t->ring[r].stride);
}

/* The earlier process may have died of the packet that it was at. */
static void
ended(struct tape *t, enum tape_ring r)
{
	struct tape_desc *d = &t->file->ring[r];
	struct tape_slot *s;
	uint64_t open = d->open;

	if (open == 0)
		return;
	s = slot_at(t, r, (uint32_t)((open - 1) % t->ring[r].nslot));
	if (s->seq == open)
		memcpy(s->why, TAPE_ENDED, sizeof(TAPE_ENDED));
	__atomic_store_n(&d->open, 0, __ATOMIC_RELEASE);
}

static void
begin_ring(struct tape *t, enum tape_ring r, size_t off, uint32_t nslot,
    uint32_t snaplen)
{
	struct tape_desc *d = &t->file->ring[r];

	t->ring[r].slot = (uint8_t *)t->file + off;
	t->ring[r].stride = d->stride = stride_of(snaplen);
	t->ring[r].nslot = d->nslot = nslot;
	t->ring[r].snaplen = snaplen;
	/* What an earlier process has written stays readable. */
	t->ring[r].count = d->count;
	t->ring[r].next = (uint32_t)(d->count % nslot);
	d->off = off;
	ended(t, r);
	memset(d->name, 0, sizeof(d->name));
	memcpy(d->name, tape_ring_name[r], strlen(tape_ring_name[r]));
}

int
tape_begin(struct tape *t, void *file, size_t len, uint32_t snaplen)
{
	size_t off = sizeof(struct tape_file);
	int r;

	memset(t, 0, sizeof(*t));
	if (len < tape_bytes(snaplen))
		return -1;
	t->file = file;
	for (r = 0; r < TAPE__MAX; r++) {
		begin_ring(t, r, off,
		    slots_of(plan[r].bytes, snaplen_of(r, snaplen)),
		    snaplen_of(r, snaplen));
		off += ring_bytes(r, snaplen);
	}
	t->file->nring = TAPE__MAX;
	t->file->version = TAPE_VERSION;
	__atomic_store_n(&t->file->magic, TAPE_MAGIC, __ATOMIC_RELEASE);
	return 0;
}

int
tape_begin_live(struct tape *t, void *file, size_t len, uint32_t snaplen)
{
	memset(t, 0, sizeof(*t));
	if (snaplen > UINT16_MAX)
		snaplen = UINT16_MAX;
	if (len < tape_live_bytes(snaplen))
		return -1;
	t->file = file;
	begin_ring(t, TAPE_ALL, sizeof(struct tape_file), live_slots(snaplen),
	    snaplen);
	t->file->nring = 1;
	t->file->version = TAPE_VERSION;
	__atomic_store_n(&t->file->magic, TAPE_MAGIC, __ATOMIC_RELEASE);
	return 0;
}

static struct tape_slot *
put(struct tape *t, enum tape_ring r, enum tape_dir dir, usec_t when,
    const uint8_t *frame, size_t len, const char *why)
{
	struct tape_slot *s = slot_at(t, r, t->ring[r].next);
	size_t cap = len;

	if (cap > t->ring[r].snaplen)
		cap = t->ring[r].snaplen;
	__atomic_store_n(&s->seq, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	s->when = when;
	s->len = (uint32_t)len;
	s->cap = (uint16_t)cap;
	s->dir = (uint8_t)dir;
	s->why[0] = '\0';
	if (why != NULL)
		strncpy(s->why, why, TAPE_WHYLEN - 1);
	memcpy(s + 1, frame, cap);
	__atomic_store_n(&s->seq, ++t->ring[r].count, __ATOMIC_RELEASE);
	__atomic_store_n(
	    &t->file->ring[r].count, t->ring[r].count, __ATOMIC_RELEASE);
	if (++t->ring[r].next == t->ring[r].nslot)
		t->ring[r].next = 0;
	return s;
}

void
tape_put(struct tape *t, enum tape_ring r, enum tape_dir dir, usec_t when,
    const uint8_t *frame, size_t len, const char *why)
{
	if (t->ring[r].nslot != 0)
		(void)put(t, r, dir, when, frame, len, why);
}

void
tape_put_open(struct tape *t, enum tape_ring r, enum tape_dir dir, usec_t when,
    const uint8_t *frame, size_t len)
{
	if (t->ring[r].nslot == 0)
		return;
	/* Whoever sees the packet sees this as well. */
	__atomic_store_n(
	    &t->file->ring[r].open, t->ring[r].count + 1, __ATOMIC_RELAXED);
	t->ring[r].open = put(t, r, dir, when, frame, len, NULL);
}

void
tape_settle(struct tape *t, const char *why)
{
	struct tape_slot *s;
	uint64_t *open;
	int r;

	for (r = 0; r < TAPE__MAX; r++) {
		if ((s = t->ring[r].open) == NULL)
			continue;
		open = &t->file->ring[r].open;
		/* What was put meanwhile may have come around. */
		if (why != NULL && s->seq == *open)
			strncpy(s->why, why, TAPE_WHYLEN - 1);
		__atomic_store_n(open, 0, __ATOMIC_RELEASE);
		t->ring[r].open = NULL;
	}
}

#define HDR_ETH	  14
#define PORT_DNS  53
#define PORT_NTP  123
#define PORT_HTTP 3128

/* Only a look, at bytes that are there: the core does the checking. */
enum tape_ring
tape_classify(const uint8_t *f, size_t len)
{
	unsigned hdr, sport, dport;

	if (len < HDR_ETH + 24 || f[12] != 0x08 || f[13] != 0)
		return TAPE__MAX;
	if (f[23] == 1)
		return TAPE_ICMP;
	hdr = HDR_ETH + (f[14] & 15u) * 4;
	/* Of fragments only the first has ports. */
	if ((f[23] != 6 && f[23] != 17) || len < hdr + 4 ||
	    (f[20] & 0x1f) != 0 || f[21] != 0)
		return TAPE__MAX;
	sport = (unsigned)f[hdr] << 8 | f[hdr + 1];
	dport = (unsigned)f[hdr + 2] << 8 | f[hdr + 3];
	if (sport == PORT_DNS || dport == PORT_DNS)
		return TAPE_DNS;
	if (f[23] == 17 && (sport == PORT_NTP || dport == PORT_NTP))
		return TAPE_NTP;
	if (f[23] == 6 && (sport - PORT_HTTP < 2 || dport - PORT_HTTP < 2))
		return TAPE_HTTP;
	return TAPE__MAX;
}

/*
 * Reading.
 */

int
tape_check(const void *p, size_t len)
{
	const struct tape_file *f = p;

	if (len < sizeof(*f) ||
	    __atomic_load_n(&f->magic, __ATOMIC_ACQUIRE) != TAPE_MAGIC ||
	    f->version != TAPE_VERSION)
		return -1;
	return 0;
}

uint32_t
tape_nring(const struct tape_file *f)
{
	uint32_t n = f->nring;

	return n < TAPE_RINGS ? n : TAPE_RINGS;
}

/* A copy of a ring's description that was checked. */
static bool
sound(const void *p, size_t len, uint32_t ring, struct tape_desc *d)
{
	const struct tape_file *f = p;

	if (ring >= TAPE_RINGS)
		return false;
	memcpy(d, &f->ring[ring], sizeof(*d));
	d->name[sizeof(d->name) - 1] = '\0';
	return d->stride >= HEAD && d->stride % 8 == 0 && d->nslot > 0 &&
	       d->off >= sizeof(*f) && d->off % 8 == 0 && d->off < len &&
	       d->nslot <= (len - d->off) / d->stride;
}

bool
tape_ring(const void *p, size_t len, uint32_t ring, char *name, uint64_t *count,
    uint32_t *nslot)
{
	struct tape_desc d;

	if (!sound(p, len, ring, &d))
		return false;
	memcpy(name, d.name, sizeof(d.name));
	*count = d.count;
	*nslot = d.nslot;
	return true;
}

/* The slot of a packet that is all there; *r: see tape_get(). */
static const struct tape_slot *
slot_of(const void *p, size_t len, uint32_t ring, uint64_t seq,
    struct tape_desc *d, int *r)
{
	const struct tape_slot *s;
	uint64_t is;

	*r = 0;
	/* A ring that nobody has begun yet has nothing, so far. */
	if (!sound(p, len, ring, d))
		return NULL;
	*r = -1;
	if (seq == 0)
		return NULL;
	s = (const void *)((const uint8_t *)p + d->off +
			   (size_t)((seq - 1) % d->nslot) * d->stride);
	is = __atomic_load_n(&s->seq, __ATOMIC_ACQUIRE);
	if (is == seq) {
		*r = 1;
		return s;
	}
	if (is < seq && (is != 0 || d->count < seq + d->nslot))
		*r = 0;
	return NULL;
}

/* *open is read before the reason, which is there when it says so. */
static int
read_head(const void *p, uint32_t ring, const struct tape_desc *d,
    const struct tape_slot *s, uint64_t seq, struct tape_slot *head, bool *open)
{
	const struct tape_file *f = p;

	*open = __atomic_load_n(&f->ring[ring].open, __ATOMIC_ACQUIRE) == seq;
	memcpy(head, s, HEAD);
	if (head->cap > d->stride - HEAD)
		head->cap = (uint16_t)(d->stride - HEAD);
	if (head->len < head->cap)
		head->len = head->cap;
	head->why[TAPE_WHYLEN - 1] = '\0';
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&s->seq, __ATOMIC_RELAXED) == seq ? 1 : -1;
}

int
tape_peek(const void *p, size_t len, uint32_t ring, uint64_t seq,
    struct tape_slot *head, bool *open)
{
	const struct tape_slot *s;
	struct tape_desc d;
	int r;

	if ((s = slot_of(p, len, ring, seq, &d, &r)) == NULL)
		return r;
	return read_head(p, ring, &d, s, seq, head, open);
}

int
tape_get(const void *p, size_t len, uint32_t ring, uint64_t seq,
    struct tape_pkt *pkt)
{
	const struct tape_slot *s;
	struct tape_desc d;
	int r;

	if ((s = slot_of(p, len, ring, seq, &d, &r)) == NULL)
		return r;
	if (read_head(p, ring, &d, s, seq, &pkt->head, &pkt->open) == -1)
		return -1;
	memcpy(pkt->data, s + 1, pkt->head.cap);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&s->seq, __ATOMIC_RELAXED) == seq ? 1 : -1;
}
