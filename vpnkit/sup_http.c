/*
 * Settings of the HTTP proxy while it runs: who has to hear of new ones, and
 * what clients of --http-api-path ask.
 */

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/string.h>

#include "common/log.h"

#include "sup.h"

void
sup_http_resend(struct sup *s)
{
	log_info("HTTP proxy: %s",
	    s->conf.http.enabled ? "new settings" : "no settings any more");
	/* The stacks last: proxyd knows what it will be sent. */
	sup_resend(s, ROLE_PORT);
	sup_resend(s, ROLE_PROXY);
	vm_conf_changed(&s->vms);
}

/*
 * front has what a client of --http-api-path asked for.  It speaks with the
 * virtual machine, too, so without that option it is told nothing.
 */

static void
http_answer(struct child *c, struct ipc_msg *m, int status, const char *text)
{
	json_int_t id = (json_int_t)ipc_u64(m, "id");

	if (ipc_send(c->ipc, IPC_HTTP_ANSWER, NULL, 0, "{s:I,s:i,s:s}", "id",
		id, "status", status, "text", text) == -1)
		ipc_send(c->ipc, IPC_HTTP_ANSWER, NULL, 0, "{s:I,s:i,s:s}",
		    "id", id, "status", 500, "text", "");
}

void
sup_http_show(struct sup *s, struct child *c, struct ipc_msg *m)
{
	char *text = NULL;

	if (s->op->http_api_path != NULL && s->conf.http.enabled)
		text = json_dumps(s->conf.http.json, JSON_COMPACT);
	if (text == NULL) {
		http_answer(c, m, 404, "");
		return;
	}
	http_answer(c, m, 200, text);
	/* There may be passwords in it. */
	explicit_bzero(text, strlen(text));
	free(text);
}

void
sup_http_set(struct sup *s, struct child *c, struct ipc_msg *m)
{
	char err[HTTPCONF_ERRLEN];
	int r;

	if (s->op->http_api_path == NULL) {
		http_answer(c, m, 404, "");
		return;
	}
	r = conf_set_http(&s->conf, ipc_str(m, "text"), err);
	if (r == -1)
		log_warnx("settings of the HTTP proxy: %s; they stay", err);
	else if (r == 1)
		sup_http_resend(s);
	http_answer(c, m, r == -1 ? 400 : 200, r == -1 ? err : "");
}
