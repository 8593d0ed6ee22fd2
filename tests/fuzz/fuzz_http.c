/*
 * HTTP as proxyd reads it: a head, found in two pieces as in one, parsed,
 * rewritten; and the body behind it.  What is taken must be taken again.
 */

#include "proxyd/body.h"
#include "proxyd/rewrite.h"

#include "fuzz.h"

static struct head head, again;
static uint8_t out[REWRITE_MAX];

static void
one_request(const struct head *h)
{
	struct wr w = wr_init(out, sizeof(out));
	struct head_scan s = { 0 };
	struct target t;
	const char *why;
	struct authority host = { .host = "x.example" };
	struct rewrite rw = { .head = h, .target = &t, .host = &host };

	if (target_parse(h, &t, &why) == -1)
		return;
	if (t.authority.host[0] != '\0')
		host = t.authority;
	rw.via = h->method.len & 1;
	rw.auth = "dTpw";
	rw.upgrade = h->upgrade;
	if (rewrite_request(&w, &rw) == -1)
		return;
	if (head_scan(&s, out, w.len, &why) == -1)
		return; /* longer than what came in */
	CHECK(s.off == w.len);
	CHECK(head_parse(out, w.len, HEAD_REQUEST, &again, &why) == 0 ||
	      h->nfield >= HEAD_MAXFIELDS - 3);
	CHECK(again.framing == h->framing && again.length == h->length);
	CHECK(target_parse(&again, &t, &why) == 0);
}

static void
one_body(const uint8_t *p, size_t len, enum framing f, uint64_t length)
{
	struct body a, b;
	ssize_t n, m = 0, k;
	size_t i;

	body_init(&a, f, length);
	body_init(&b, f, length);
	n = body_take(&a, p, len);
	CHECK(n == -1 || (size_t)n <= len);
	for (i = 0; i < len && !b.done; i++) {
		if ((k = body_take(&b, p + i, 1)) == -1)
			break;
		m += k;
	}
	if (n == -1)
		CHECK(!b.done && i < len);
	else
		CHECK(m == n && a.done == b.done);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct head_scan s = { 0 }, t = { 0 };
	enum head_kind kind;
	const char *why;
	ssize_t n, m;
	size_t cut;

	if (len < 2)
		return 0;
	kind = data[0] & 1 ? HEAD_RESPONSE : HEAD_REQUEST;
	cut = data[1];
	data += 2;
	len -= 2;
	n = head_scan(&s, data, len, &why);
	m = head_scan(&t, data, cut < len ? cut : len, &why);
	if (m == -2)
		m = head_scan(&t, data, len, &why);
	CHECK(n == m);
	if (n < 0)
		return 0;
	if (head_parse(data, (size_t)n, kind, &head, &why) == -1)
		return 0;
	if (kind == HEAD_REQUEST)
		one_request(&head);
	one_body(data + n, len - (size_t)n, head.framing, head.length);
	return 0;
}
