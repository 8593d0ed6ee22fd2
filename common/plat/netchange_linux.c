/*
 * Changes of the host's network, as rtnetlink(7) tells them: addresses of IPv4
 * that come and go, and default routes.  Not those of IPv6, which each router
 * advertisement repeats, nor other routes, which containers make all day.
 */

#include <sys/socket.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "common/plat/plat.h"

int
plat_netchange_new(void)
{
	struct sockaddr_nl sa = { .nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE |
			     RTMGRP_IPV6_ROUTE };
	int fd;

	fd = socket(
	    AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd == -1)
		return -1;
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool
is_change(const struct nlmsghdr *h)
{
	struct rtmsg rt;

	switch (h->nlmsg_type) {
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return true;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		if (h->nlmsg_len < NLMSG_LENGTH(sizeof(rt)))
			return false;
		memcpy(&rt, NLMSG_DATA(h), sizeof(rt));
		return rt.rtm_dst_len == 0 && rt.rtm_type == RTN_UNICAST &&
		       (rt.rtm_flags & RTM_F_CLONED) == 0;
	default:
		return false;
	}
}

bool
plat_netchange_read(int fd)
{
	_Alignas(struct nlmsghdr) char buf[8192];
	const struct nlmsghdr *h;
	bool changed = false;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		for (h = (void *)buf; NLMSG_OK(h, (size_t)n);
		     h = NLMSG_NEXT(h, n))
			changed = changed || is_change(h);
	}
	/* Some were lost: nobody knows which. */
	return changed || (n == -1 && errno == ENOBUFS);
}
