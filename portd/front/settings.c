/*
 * What requests to --http-api-path do: the settings of the HTTP proxy are
 * shown, or replaced.  The text is JSON when it leaves here; what it means,
 * the supervisor says, which has the settings.
 *
 * The answers are the original's: HTTP/1.0, a word for the reason, a body that
 * lasts until the end.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "portd/front/front.h"

#define PATH	  "/http_proxy.json"
#define QUOTEDMAX (IPC_MAXLEN - 1024) /* of the text, as a string in JSON */
#define TEXTMAX	  65536

/* clang-format off */
static const struct {
	int status;
	const char *word;
} words[] = {
	{ 200, "OK" }, { 400, "Bad_request" }, { 404, "Unknown" },
	{ 413, "Bad_request" }, { 500, "Internal_server_error" },
};
/* clang-format on */

/* Two texts, the second may be "". */
static void
answer(struct client *c, int status, const char *word, const char *text,
    const char *more)
{
	char head[128];
	size_t i;

	if (status != 200)
		front_count(c->f, FRONTS_HTTP_ERRORS);
	for (i = 0; i < nitems(words) && word == NULL; i++) {
		if (words[i].status == status)
			word = words[i].word;
	}
	snprintf(head, sizeof(head),
	    "HTTP/1.0 %d %s\r\nConnection: closed\r\n"
	    "\r\n",
	    status, word != NULL ? word : "Error");
	/* What has no room is cut short by the end. */
	if (buf_put(&c->out, head, strlen(head)) == 0 &&
	    buf_put(&c->out, text, strlen(text)) == 0)
		buf_put(&c->out, more, strlen(more));
	c->closing = true;
}

static void
unparsed(struct client *c, const char *why)
{
	answer(c, 400, NULL, "Failed to parse .json: ", why);
}

void
settings_bad(struct client *c, int status)
{
	answer(c, status == 413 ? status : 400, NULL,
	    "the request is not understood", "");
}

/* As one line of JSON that fits a message, owned; NULL: answered. */
static char *
compact(struct client *c, const char *body)
{
	char why[64], *text = NULL, *quoted = NULL;
	json_error_t je;
	json_t *v;

	v = json_loadb(body, c->req.body, JSON_REJECT_DUPLICATES, &je);
	if (v == NULL) {
		/* Its text may quote what it found there. */
		snprintf(why, sizeof(why), "line %d, column %d: not JSON",
		    je.line, je.column);
		unparsed(c, why);
		return NULL;
	}
	text = json_dumps(v, JSON_COMPACT);
	json_decref(v);
	if (text != NULL && (v = json_string(text)) != NULL) {
		quoted = json_dumps(v, JSON_ENCODE_ANY);
		json_decref(v);
	}
	if (quoted == NULL || strlen(quoted) > QUOTEDMAX ||
	    strlen(text) > TEXTMAX) {
		unparsed(c, "it is too long");
		free(text);
		text = NULL;
	}
	free(quoted);
	return text;
}

static void
set(struct client *c, const char *body)
{
	char *text = compact(c, body);

	if (text == NULL)
		return;
	if (ipc_send(c->f->d->sup, IPC_HTTP_SET, NULL, 0, "{s:I,s:s}", "id",
		(json_int_t)c->f->next_ask, "text", text) == -1)
		answer(c, 500, NULL, "", "");
	else
		c->asked = c->f->next_ask;
	explicit_bzero(text, strlen(text));
	free(text);
}

void
settings_request(struct client *c, const char *body)
{
	front_count(c->f, FRONTS_SETTINGS);
	/* 0 would be nothing asked. */
	if (++c->f->next_ask == 0)
		c->f->next_ask = 1;
	if (strcmp(c->req.path, PATH) == 0 && c->req.method == HTTP_POST) {
		set(c, body);
		return;
	}
	if (strcmp(c->req.path, PATH) != 0 || c->req.method != HTTP_GET) {
		answer(c, 404, NULL, "Try {GET,POST} " PATH, "");
		return;
	}
	if (ipc_send(c->f->d->sup, IPC_HTTP_SHOW, NULL, 0, "{s:I}", "id",
		(json_int_t)c->f->next_ask) == -1)
		answer(c, 500, NULL, "", "");
	else
		c->asked = c->f->next_ask;
}

/* Who asked may be gone. */
void
settings_answer(struct daemon *d, struct ipc *from, struct ipc_msg *m)
{
	uint32_t id = (uint32_t)ipc_u64(m, "id");
	struct front *f = d->data;
	int status = (int)ipc_u64(m, "status");
	struct client *c;

	TAILQ_FOREACH (c, &f->clients, entry) {
		if (c->asked == id && id != 0)
			break;
	}
	if (c == NULL)
		return;
	c->asked = 0;
	if (status == 400)
		unparsed(c, ipc_str(m, "text"));
	else
		answer(c, status, status == 404 ? "None set" : NULL,
		    ipc_str(m, "text"), "");
	client_resume(c);
}
