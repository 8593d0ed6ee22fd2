/*
 * The vmnet handshake, see vmnet.h.  Two messages come in, of one size each;
 * the state says which is awaited.  The client's magic is not looked at and
 * its commit neither: there are clients that send something else.
 */

#include <string.h>

#include "common/wr.h"

#include "vmnet.h"

#define VMNET_MAGIC   "VMN3T"
#define VMNET_COMMIT  "0123456789012345678901234567890123456789"
#define VMNET_UUIDLEN (UUID_STRLEN - 1)
/* A maximal packet has its Ethernet header and some slack around the MTU. */
#define VMNET_SLACK 50

enum { CMD_ETHERNET = 1, CMD_PREFERRED_IPV4 = 8 };
enum { REPLY_VIF = 1, REPLY_DISCONNECT = 2 };

const char *const vmnet_state_name[VMNETS__MAX] = {
	[VMNETS_NONE] = "none",
	[VMNETS_INIT] = "init",
	[VMNETS_COMMAND] = "command",
	[VMNETS_DECIDE] = "decide",
	[VMNETS_FRAMES] = "frames",
	[VMNETS_CLOSED] = "closed",
};

/* clang-format off */
static const enum vmnet_state edge[VMNETS__MAX][VMNETE__MAX] = {
	[VMNETS_INIT] = { [VMNETE_INIT] = VMNETS_COMMAND,
	    [VMNETE_BAD_VERSION] = VMNETS_CLOSED },
	[VMNETS_COMMAND] = { [VMNETE_COMMAND] = VMNETS_DECIDE,
	    [VMNETE_BAD_COMMAND] = VMNETS_CLOSED,
	    [VMNETE_BAD_UUID] = VMNETS_CLOSED },
	[VMNETS_DECIDE] = { [VMNETE_GRANT] = VMNETS_FRAMES,
	    [VMNETE_REFUSE] = VMNETS_CLOSED },
};

/* Bytes of the message that is awaited in each state. */
static const size_t msglen[VMNETS__MAX] = {
	[VMNETS_INIT] = VMNET_INITLEN,
	[VMNETS_COMMAND] = VMNET_CMDLEN,
};
/* clang-format on */

void
vmnet_init(struct vmnet *v)
{
	memset(v, 0, sizeof(*v));
	v->state = VMNETS_INIT;
}

int
vmnet_step(struct vmnet *v, enum vmnet_event event)
{
	enum vmnet_state next = edge[v->state][event];

	if (next == VMNETS_NONE)
		return -1;
	v->state = next;
	v->have = 0;
	return 0;
}

size_t
vmnet_want(const struct vmnet *v)
{
	return msglen[v->state] > v->have ? msglen[v->state] - v->have : 0;
}

static enum vmnet_event
parse_init(struct rd r)
{
	uint32_t version;

	if (rd_skip(&r, strlen(VMNET_MAGIC)) == -1 ||
	    rd_le32(&r, &version) == -1 || version != VMNET_VERSION)
		return VMNETE_BAD_VERSION;
	return VMNETE_INIT;
}

static enum vmnet_event
parse_command(struct rd r, struct vmnet_cmd *cmd)
{
	static const char none[VMNET_UUIDLEN];
	char text[VMNET_UUIDLEN];
	uint8_t op;

	memset(cmd, 0, sizeof(*cmd));
	if (rd_u8(&r, &op) == -1 ||
	    (op != CMD_ETHERNET && op != CMD_PREFERRED_IPV4))
		return VMNETE_BAD_COMMAND;
	if (rd_bytes(&r, text, sizeof(text)) == -1 ||
	    rd_le32(&r, &cmd->ip) == -1)
		return VMNETE_BAD_COMMAND;
	cmd->has_ip = op == CMD_PREFERRED_IPV4;
	cmd->anonymous = memcmp(text, none, sizeof(text)) == 0;
	if (!cmd->anonymous && uuid_parse(text, &cmd->uuid) == -1)
		return VMNETE_BAD_UUID;
	return VMNETE_COMMAND;
}

enum vmnet_event
vmnet_input(struct vmnet *v, struct rd *r)
{
	enum vmnet_event event;
	size_t n = vmnet_want(v);

	if (n > r->len)
		n = r->len;
	if (rd_bytes(r, v->buf + v->have, n) == -1)
		return VMNETE_MORE;
	v->have += n;
	if (msglen[v->state] == 0 || vmnet_want(v) > 0)
		return VMNETE_MORE;
	if (v->state == VMNETS_INIT)
		event = parse_init(rd_init(v->buf, v->have));
	else
		event = parse_command(rd_init(v->buf, v->have), &v->cmd);
	vmnet_step(v, event);
	return event;
}

void
vmnet_put_init(uint8_t out[VMNET_INITLEN])
{
	struct wr w = wr_init(out, VMNET_INITLEN);

	wr_bytes(&w, VMNET_MAGIC, strlen(VMNET_MAGIC));
	wr_le32(&w, VMNET_VERSION);
	wr_bytes(&w, VMNET_COMMIT, strlen(VMNET_COMMIT));
}

void
vmnet_put_vif(
    uint8_t out[VMNET_REPLYLEN], uint16_t mtu, const struct macaddr *mac)
{
	struct wr w = wr_init(out, VMNET_REPLYLEN);
	uint32_t max = (uint32_t)mtu + VMNET_SLACK;

	wr_u8(&w, REPLY_VIF);
	wr_le16(&w, mtu);
	wr_le16(&w, (uint16_t)(max > UINT16_MAX ? UINT16_MAX : max));
	wr_bytes(&w, mac->b, sizeof(mac->b));
	wr_zero(&w, w.cap - w.len);
}

void
vmnet_put_disconnect(uint8_t out[VMNET_REPLYLEN], const char *text)
{
	struct wr w = wr_init(out, VMNET_REPLYLEN);
	size_t len = strlen(text);

	if (len > UINT8_MAX)
		len = UINT8_MAX;
	wr_u8(&w, REPLY_DISCONNECT);
	wr_u8(&w, (uint8_t)len);
	wr_bytes(&w, text, len);
	wr_zero(&w, w.cap - w.len);
}
