#ifndef HTTPCONF_H
#define HTTPCONF_H

/*
 * The HTTP proxy's settings: the JSON of --http and of /http_proxy.json, and
 * the environment's http_proxy, as proxyd is told them.  Pure but for jansson.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTPCONF_ERRLEN	  512
#define HTTPCONF_HOSTMAX  255
#define HTTPCONF_AUTHMAX  1024 /* base64 */
#define HTTPCONF_RULES	  160  /* of exclude, and of allow */
#define HTTPCONF_RULELEN  255
#define HTTPCONF_PORTS	  64
#define HTTPCONF_ERRORMAX 1024

enum { HTTPCONF_HTTP, HTTPCONF_HTTPS, HTTPCONF__MAX };

struct httpproxy {
	char host[HTTPCONF_HOSTMAX + 1]; /* "": none; no brackets */
	uint16_t port;
	char auth[HTTPCONF_AUTHMAX + 1]; /* what follows "Basic"; "": none */
};

struct httpconf {
	bool enabled; /* there are settings */
	struct httpproxy proxy[HTTPCONF__MAX];
	/* Owned; NULL unless enabled. */
	json_t *ports[HTTPCONF__MAX]; /* strings of decimal numbers */
	json_t *exclude, *allow;      /* strings */
	json_t *json;		      /* every key, as it may be shown */
	bool allow_enabled;
	char allow_error[HTTPCONF_ERRORMAX + 1];
};

/*
 * From a JSON text.  -1: err, of HTTPCONF_ERRLEN bytes, says what is wrong
 * and where, and c is as it was.  A proxy that cannot be used is no error but
 * absent; then 0 and err says why, else err is "".
 */
int httpconf_parse(struct httpconf *c, const char *text, size_t len, char *err);
/* From http_proxy, https_proxy and no_proxy; NULL for what is not set. */
int httpconf_environment(struct httpconf *c, const char *http,
    const char *https, const char *no, char *err);
/* No settings; c must be zeroed the first time. */
void httpconf_clear(struct httpconf *);

#endif
