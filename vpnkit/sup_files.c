/*
 * The files that the options name, and resolv.conf: who hears of a change, and
 * in what order.  A broken one leaves what was there before.
 */

#include "common/log.h"

#include "sup.h"

static void
dhcp_changed(void *arg)
{
	struct sup *s = arg;

	if (conf_read_dhcp(&s->conf) != 1)
		return;
	log_info("%s: new settings", s->op->dhcp_path);
	vm_conf_changed(&s->vms);
}

static void
gateway_changed(void *arg)
{
	struct sup *s = arg;
	struct child *c;

	if (ports_read_gateway(&s->ports) != 1)
		return;
	log_info("%s: new forwards", s->op->gateway_forwards);
	/* portd first: a stack may use the new ones at once. */
	if (s->kid[ROLE_PORT] != NULL && s->kid[ROLE_PORT]->ipc != NULL)
		ports_send_gateway(&s->ports, s->kid[ROLE_PORT]->ipc);
	TAILQ_FOREACH (c, &s->kids.list, entry) {
		if (c->role == ROLE_STACK && c->ipc != NULL)
			ports_send_gateway(&s->ports, c->ipc);
	}
}

static void
forwards_changed(void *arg)
{
	struct sup *s = arg;

	if (ports_read_via(&s->ports) != 1)
		return;
	log_info("%s: new forwards", s->op->forwards);
	if (s->kid[ROLE_PORT] != NULL && s->kid[ROLE_PORT]->ipc != NULL)
		ports_send_via(&s->ports, s->kid[ROLE_PORT]->ipc);
}

/*
 * Written again with the same servers it still tells that the host may be on
 * another network, where they say other things: dnsd forgets what it has.
 */
static void
resolv_changed(void *arg)
{
	struct sup *s = arg;
	int got = conf_read_resolv(&s->conf);

	if (got == -1)
		return;
	if (got == 1) {
		log_info("%s: new name servers", s->conf.resolv_path);
		/* portd first: dnsd may use the new ones at once. */
		sup_resend(s, ROLE_PORT);
	}
	s->conf.network++;
	sup_resend(s, ROLE_DNS);
}

static void
dns_changed(void *arg)
{
	struct sup *s = arg;

	if (conf_read_dns(&s->conf) != 1)
		return;
	log_info("%s: new name servers", s->op->dns);
	sup_resend(s, ROLE_PORT);
	sup_resend(s, ROLE_DNS);
	if (s->conf.search_changed)
		vm_conf_changed(&s->vms);
}

static void
hosts_changed(void *arg)
{
	struct sup *s = arg;

	if (conf_read_hosts(&s->conf) != 1)
		return;
	log_info("%s: new names", s->op->hosts);
	sup_resend(s, ROLE_DNS);
}

static void
http_changed(void *arg)
{
	struct sup *s = arg;

	if (conf_read_http(&s->conf) == 1)
		sup_http_resend(s);
}

void
sup_files_init(struct sup *s)
{
	const struct options *op = s->op;

	/* Watch first, then read: no change is lost in between. */
	watch_init(&s->watch, s->loop);
	if (op->dhcp_path != NULL)
		watch_add(&s->watch, op->dhcp_path, dhcp_changed, s);
	watch_add(&s->watch, s->conf.resolv_path, resolv_changed, s);
	if (op->dns != NULL && *op->dns != '\0')
		watch_add(&s->watch, op->dns, dns_changed, s);
	if (op->hosts != NULL && *op->hosts != '\0')
		watch_add(&s->watch, op->hosts, hosts_changed, s);
	if (op->http != NULL)
		watch_add(&s->watch, op->http, http_changed, s);
	if (op->gateway_forwards != NULL)
		watch_add(&s->watch, op->gateway_forwards, gateway_changed, s);
	if (op->forwards != NULL)
		watch_add(&s->watch, op->forwards, forwards_changed, s);
	conf_read_dhcp(&s->conf);
	conf_read_resolv(&s->conf);
	conf_read_dns(&s->conf);
	conf_read_hosts(&s->conf);
	conf_read_http(&s->conf);
	ports_read_gateway(&s->ports);
	ports_read_via(&s->ports);
}

void
sup_reload(struct sup *s)
{
	watch_again(&s->watch);
	dhcp_changed(s);
	resolv_changed(s);
	dns_changed(s);
	hosts_changed(s);
	http_changed(s);
	gateway_changed(s);
	forwards_changed(s);
	portlist_retry(&s->ports.list);
}
