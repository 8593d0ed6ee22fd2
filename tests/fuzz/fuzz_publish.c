/* What leads somewhere as text: --publish, PORT:IP:PORT, and the files. */

#include "vpnkit/publish.h"

#include "fuzz.h"

/* What was understood is understood again when we say it. */
static void
again(const struct publish *p)
{
	char host[IPADDR_STRLEN], guest[IPADDR_STRLEN], text[512];
	const char *v6 = p->host.family == 6 ? "[%s]:%u-%u:%s:%u-%u%s%s"
					     : "%s:%u-%u:%s:%u-%u%s%s";
	const char *why;
	struct publish q;

	CHECK(p->guest.family == 4 && p->guest_port > 0 && p->count > 0);
	CHECK(p->guest_port + p->count - 1 <= UINT16_MAX);
	CHECK(p->host_port + p->count - 1 <= UINT16_MAX);
	CHECK(!(p->udp && p->proxy));
	ipaddr_str(&p->host, host);
	ipaddr_str(&p->guest, guest);
	if (p->path[0] != '\0') {
		CHECK(p->path[0] == '/' && p->count == 1 && !p->udp);
		snprintf(text, sizeof(text), "%s:%s:%u%s", p->path, guest,
		    p->guest_port, p->proxy ? "/proxy" : "");
	} else if (p->host_port == 0) {
		CHECK(p->count == 1);
		return;
	} else {
		snprintf(text, sizeof(text), v6, host, p->host_port,
		    p->host_port + p->count - 1, guest, p->guest_port,
		    p->guest_port + p->count - 1, p->udp ? "/udp" : "/tcp",
		    p->proxy ? "/proxy" : "");
	}
	CHECK(publish_parse(text, &q, &why) == 0);
	CHECK(strcmp(p->path, q.path) == 0 && p->count == q.count);
	CHECK(ipaddr_cmp(&p->host, &q.host) == 0);
	CHECK(ipaddr_cmp(&p->guest, &q.guest) == 0);
	CHECK(p->host_port == q.host_port && p->guest_port == q.guest_port);
	CHECK(p->udp == q.udp && p->proxy == q.proxy);
}

static void
files(const char *text, size_t len)
{
	static struct gwforward gw[16];
	static struct viaforward via[16];
	json_t *root = json_loadb(text, len, 0, NULL);
	const char *why = NULL;
	int n;

	if (root == NULL)
		return;
	n = gwforward_json(root, gw, 16, &why);
	CHECK(n >= -1 && n <= 16 && (n != -1 || why != NULL));
	for (; n > 0; n--)
		CHECK(gw[n - 1].port > 0 && gw[n - 1].dport > 0 &&
		      gw[n - 1].dst.family == 4);
	why = NULL;
	n = viaforward_json(root, via, 16, &why);
	CHECK(n >= -1 && n <= 16 && (n != -1 || why != NULL));
	for (; n > 0; n--)
		CHECK(via[n - 1].path[0] != '\0');
	json_decref(root);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = malloc(len + 1);
	const char *why = NULL;
	struct gwforward g;
	struct publish p;

	CHECK(text != NULL);
	memcpy(text, data, len);
	text[len] = '\0';
	if (publish_parse(text, &p, &why) == 0)
		again(&p);
	CHECK(why != NULL);
	if (publish_parse_end(text, &p, &why) == 0)
		CHECK(p.count > 0 && !p.proxy &&
		      (p.path[0] == '/' || p.host_port > 0));
	if (gwforward_parse(text, len % 2 == 0, &g) == 0)
		CHECK(g.port > 0 && g.dport > 0 && g.dst.family == 4);
	files(text, len);
	free(text);
	return 0;
}
