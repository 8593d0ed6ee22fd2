/*
 * A tar archive (POSIX ustar) of what the suite does: packets as pcap, and
 * lists in the form that moby/vpnkit gave them.
 */

#include <stdlib.h>
#include <string.h>

#include "common/nitems.h"
#include "common/view/merge.h"
#include "diagd/diagd.h"

#define BLOCK 512

struct ustar {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8],
	    type, link[100], magic[6], version[2], uname[32], gname[32],
	    major[8], minor[8], prefix[155], pad[12];
};

_Static_assert(sizeof(struct ustar) == BLOCK, "a header is one block");

static void
put_file(FILE *out, const char *name, const char *p, size_t len, int64_t mtime)
{
	static const char zero[BLOCK];
	struct ustar h;
	const unsigned char *b = (const void *)&h;
	unsigned sum = 0;
	size_t i;

	memset(&h, 0, sizeof(h));
	snprintf(h.name, sizeof(h.name), "%s", name);
	memcpy(h.mode, "0000644", 8);
	memcpy(h.uid, "0000000", 8);
	memcpy(h.gid, "0000000", 8);
	snprintf(h.size, sizeof(h.size), "%011llo", (unsigned long long)len);
	snprintf(h.mtime, sizeof(h.mtime), "%011llo",
	    (unsigned long long)mtime & 077777777777ULL);
	memset(h.sum, ' ', sizeof(h.sum));
	h.type = '0';
	memcpy(h.magic, "ustar", 6);
	memcpy(h.version, "00", 2);
	for (i = 0; i < sizeof(h); i++)
		sum += b[i];
	snprintf(h.sum, 7, "%06o", sum & 0777777u);
	fwrite(&h, 1, sizeof(h), out);
	fwrite(p, 1, len, out);
	fwrite(zero, 1, (BLOCK - len % BLOCK) % BLOCK, out);
}

/*
 * Packets.
 */

static void
put32(FILE *out, uint32_t v)
{
	fwrite(&v, 1, sizeof(v), out);
}

/* Version 2.4 of libpcap's classic format, microseconds, Ethernet. */
void
pcap_head(FILE *out, uint32_t snaplen)
{
	static const uint16_t version[2] = { 2, 4 };

	put32(out, 0xa1b2c3d4);
	fwrite(version, 1, sizeof(version), out);
	put32(out, 0);
	put32(out, 4);
	put32(out, snaplen);
	put32(out, 1);
}

void
pcap_packet(FILE *out, const struct tape_pkt *p)
{
	uint64_t when = (uint64_t)p->head.when;

	put32(out, (uint32_t)(when / 1000000));
	put32(out, (uint32_t)(when % 1000000));
	put32(out, p->head.cap);
	put32(out, p->head.len);
	fwrite(p->data, 1, p->head.cap, out);
}

/* The tapes of all stacks, m of s->n; *left: packets that they have now. */
static size_t
tapes(const struct snapshot *s, uint32_t ring, struct merge *m, uint64_t *left)
{
	const struct file *f;
	uint64_t count;
	uint32_t nslot;
	char name[16];
	size_t i, n = 0;

	*left = 0;
	for (i = 0; i < s->n; i++) {
		f = &s->v[i].capture;
		if (f->p == NULL || tape_check(f->p, f->len) == -1 ||
		    !tape_ring(f->p, f->len, ring, name, &count, &nslot))
			continue;
		m[n++] = (struct merge){ f, ring, 1, 0 };
		*left += count < nslot ? count : nslot;
	}
	return n;
}

static void
put_pcap(FILE *out, const struct snapshot *s, uint32_t ring)
{
	struct tape_pkt *pkt = malloc(sizeof(*pkt));
	struct merge *m = calloc(s->n + 1, sizeof(*m));
	uint64_t left;
	size_t i, n;

	pcap_head(out, 65535);
	if (pkt != NULL && m != NULL) {
		n = tapes(s, ring, m, &left);
		for (; left > 0 && (i = merge_oldest(m, n, true)) < n; left--) {
			if (merge_take(&m[i], pkt))
				pcap_packet(out, pkt);
		}
	}
	free(m);
	free(pkt);
}

/*
 * Lists.
 */

static double
idle(const struct snapshot *s, const struct flowtab_flow *f)
{
	if (f->changed <= 0 || f->changed > s->now)
		return 0;
	return (double)(s->now - f->changed) / 1e6;
}

static void
put_some(FILE *out, const struct snapshot *s, bool ended)
{
	char a[PRINT_NUM], b[PRINT_NUM], proto[64];
	struct flow *v;
	size_t i, n = ended ? read_ends(s, &v) : read_flows(s, &v);

	for (i = 0; i < n; i++) {
		const struct flowtab_flow *f = &v[i].f;

		fprintf(out, "%s %s > %s socket = %s last_active = %.1f\n",
		    print_safe(f->proto, proto, sizeof(proto)),
		    print_addr(f->guest_ip, f->guest_port, a),
		    print_addr(f->host_ip, f->host_port, b),
		    ended ? "closed" : "open", idle(s, f));
	}
	free(v);
}

static void
put_flows(FILE *out, const struct snapshot *s)
{
	put_some(out, s, false);
	put_some(out, s, true);
}

static int
by_host(const void *pa, const void *pb)
{
	const struct flow *a = pa, *b = pb;

	if (a->f.host_ip != b->f.host_ip)
		return a->f.host_ip < b->f.host_ip ? -1 : 1;
	return a->f.changed < b->f.changed   ? 1
	       : a->f.changed > b->f.changed ? -1
					     : 0;
}

/* Each other end once, by the flow that was last active. */
static void
put_hosts(FILE *out, const struct snapshot *s, bool pairs)
{
	struct flow *v;
	size_t i, n = read_flows(s, &v);
	char a[PRINT_NUM], b[PRINT_NUM];

	if (n > 0)
		qsort(v, n, sizeof(*v), by_host);
	for (i = 0; i < n; i++) {
		const struct flowtab_flow *f = &v[i].f;

		if (f->host_ip == 0 ||
		    (i > 0 && f->host_ip == v[i - 1].f.host_ip))
			continue;
		print_addr(f->host_ip, 0, a);
		print_addr(f->guest_ip, 0, b);
		*strrchr(a, ':') = *strrchr(b, ':') = '\0';
		fprintf(out, "%s%s%s last_active_time = %.1f\n", a,
		    pairs ? " <-> " : "", pairs ? b : "", idle(s, f));
	}
	free(v);
}

static void
put_connections(FILE *out, const struct snapshot *s)
{
	static const struct style plain;

	show_print(out, s, &plain);
	fputc('\n', out);
	flows_print(out, s, 0, &plain);
}

static void
put_endpoints(FILE *out, const struct snapshot *s)
{
	put_hosts(out, s, false);
}

static void
put_pairs(FILE *out, const struct snapshot *s)
{
	put_hosts(out, s, true);
}

static const struct {
	const char *name;
	void (*list)(FILE *, const struct snapshot *); /* NULL: packets */
	uint32_t ring;
} files[] = {
	{ "connections", put_connections, 0 },
	{ "capture/all.pcap", NULL, TAPE_ALL },
	{ "capture/dns.pcap", NULL, TAPE_DNS },
	{ "capture/ntp.pcap", NULL, TAPE_NTP },
	{ "capture/icmp.pcap", NULL, TAPE_ICMP },
	{ "capture/http_proxy.pcap", NULL, TAPE_HTTP },
	{ "capture/bad.pcap", NULL, TAPE_BAD },
	{ "flows", put_flows, 0 },
	{ "endpoints", put_endpoints, 0 },
	{ "ports", put_pairs, 0 },
};

const char *
tar_name(size_t i)
{
	return i < nitems(files) ? files[i].name : NULL;
}

void
tar_content(FILE *f, const struct snapshot *s, size_t i)
{
	if (files[i].list != NULL)
		files[i].list(f, s);
	else
		put_pcap(f, s, files[i].ring);
}

void
tar_write(FILE *out, const struct snapshot *s, int64_t mtime)
{
	static const char zero[2 * BLOCK];
	const char *name;
	char *text;
	size_t i, len;
	FILE *f;

	for (i = 0; (name = tar_name(i)) != NULL; i++) {
		text = NULL;
		if ((f = open_memstream(&text, &len)) == NULL)
			continue;
		tar_content(f, s, i);
		fclose(f);
		put_file(out, name, text, len, mtime);
		free(text);
	}
	fwrite(zero, 1, sizeof(zero), out);
}
