#include "tools/tap_net.h"

#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>

#include <bsd/string.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/nsfs.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TUN_PATH   "/dev/net/tun"
#define TAP_TXQLEN 4096 /* frames the kernel holds while we are busy */

#define RESOLV_PATH "/etc/resolv.conf"
#define RESOLV_MAX  4096

static int
write_file(const char *path, const char *text)
{
	size_t len = strlen(text);
	ssize_t n;
	int fd;

	if ((fd = open(path, O_WRONLY | O_CLOEXEC)) == -1)
		return -1;
	n = write(fd, text, len);
	close(fd);
	return n == (ssize_t)len ? 0 : -1;
}

/*
 * Without rights of its own the process becomes root of a user namespace, so
 * that it may have a network, and so that package managers and their like
 * work in it; files are still made as the user outside.
 */
static void
enter_user(void)
{
	char map[64];
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS) == -1)
		err(TAP_EXIT, "cannot make a user and a network namespace");
	/* user_namespaces(7): a gid map needs this first. */
	if (write_file("/proc/self/setgroups", "deny") == -1 && errno != ENOENT)
		err(TAP_EXIT, "/proc/self/setgroups");
	snprintf(map, sizeof(map), "0 %u 1\n", uid);
	if (write_file("/proc/self/uid_map", map) == -1)
		err(TAP_EXIT, "/proc/self/uid_map");
	snprintf(map, sizeof(map), "0 %u 1\n", gid);
	if (write_file("/proc/self/gid_map", map) == -1)
		err(TAP_EXIT, "/proc/self/gid_map");
}

/*
 * Joining takes rights over the namespace: who has none of his own joins the
 * user namespace that owns it first, and is root there.
 */
static void
enter_existing(const char *where)
{
	char path[64];
	int fd, user;

	if (where[strspn(where, "0123456789")] == '\0') {
		snprintf(path, sizeof(path), "/proc/%.32s/ns/net", where);
		where = path;
	}
	if ((fd = open(where, O_RDONLY | O_CLOEXEC)) == -1)
		err(TAP_EXIT, "%s", where);
	if (setns(fd, CLONE_NEWNET) == -1) {
		if (errno != EPERM)
			err(TAP_EXIT, "cannot join %s", where);
		user = ioctl(fd, NS_GET_USERNS);
		if (user == -1 || setns(user, CLONE_NEWUSER) == -1 ||
		    setns(fd, CLONE_NEWNET) == -1)
			err(TAP_EXIT, "not permitted to join %s", where);
		close(user);
	}
	close(fd);
	if (unshare(CLONE_NEWNS) == -1)
		err(TAP_EXIT, "cannot make a mount namespace");
}

void
tap_enter(const struct tap_conf *c)
{
	if (c->netns != NULL)
		enter_existing(c->netns);
	else if (unshare(CLONE_NEWNET | CLONE_NEWNS) == -1) {
		if (errno != EPERM)
			err(TAP_EXIT, "cannot make a network namespace");
		enter_user();
	}
	/* What is mounted from here on stays here. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1)
		err(TAP_EXIT, "cannot make mounts private");
}

static int
tun_open(struct ifreq *ifr, bool vnet)
{
	int fd;

	fd = open(TUN_PATH, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1 && (errno == ENOENT || errno == ENODEV))
		errx(TAP_EXIT,
		    TUN_PATH " is not there; is the tun module loaded?");
	if (fd == -1)
		err(TAP_EXIT, TUN_PATH);
	ifr->ifr_flags = IFF_TAP | IFF_NO_PI;
	if (vnet)
		ifr->ifr_flags |= IFF_VNET_HDR;
	if (ioctl(fd, TUNSETIFF, ifr) == -1)
		err(TAP_EXIT, "cannot make a TAP device");
	return fd;
}

static void
set(int s, unsigned long req, struct ifreq *ifr, const char *what)
{
	if (ioctl(s, req, ifr) == -1)
		err(TAP_EXIT, "%s: cannot set %s", ifr->ifr_name, what);
}

static void
set_addr(
    int s, unsigned long req, struct ifreq *ifr, uint32_t ip, const char *what)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };

	sin.sin_addr.s_addr = htonl(ip);
	memcpy(&ifr->ifr_addr, &sin, sizeof(sin));
	set(s, req, ifr, what);
}

static void
loopback_up(int s)
{
	struct ifreq ifr = { .ifr_name = "lo" };

	if (ioctl(s, SIOCGIFFLAGS, &ifr) == -1)
		err(TAP_EXIT, "lo: cannot get flags");
	ifr.ifr_flags |= IFF_UP;
	set(s, SIOCSIFFLAGS, &ifr, "up");
}

/* A netlink message about one link. */
struct link_msg {
	struct nlmsghdr h;
	struct ifinfomsg ifi;
	uint8_t attr[64];
};

static void
link_attr(struct link_msg *m, unsigned short type, const void *p, size_t len)
{
	struct rtattr rta = { (unsigned short)RTA_LENGTH(len), type };
	uint8_t *at = (uint8_t *)m + NLMSG_ALIGN(m->h.nlmsg_len);

	memcpy(at, &rta, sizeof(rta));
	memcpy(at + RTA_LENGTH(0), p, len);
	m->h.nlmsg_len = NLMSG_ALIGN(m->h.nlmsg_len) + RTA_SPACE(len);
}

/* Sends it and reads the kernel's answer; -1 with errno. */
static int
link_send(struct link_msg *m)
{
	struct {
		struct nlmsghdr h;
		struct nlmsgerr e;
		uint8_t more[256];
	} a;
	int s, ret = -1;

	s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (s == -1)
		return -1;
	if (send(s, m, m->h.nlmsg_len, 0) != -1 &&
	    recv(s, &a, sizeof(a), 0) >= (ssize_t)NLMSG_LENGTH(sizeof(a.e))) {
		errno = -a.e.error;
		ret = a.e.error == 0 ? 0 : -1;
	}
	close(s);
	return ret;
}

/*
 * Netlink because inside a user namespace the ioctl for the queue length is
 * not permitted.
 */
static void
set_link(int s, struct ifreq *ifr, const struct tap_conf *c)
{
	struct link_msg m = { 0 };
	uint32_t mtu = c->mtu, qlen = TAP_TXQLEN;

	if (ioctl(s, SIOCGIFINDEX, ifr) == -1)
		err(TAP_EXIT, "%s: cannot get its number", ifr->ifr_name);
	m.h.nlmsg_len = NLMSG_LENGTH(sizeof(m.ifi));
	m.h.nlmsg_type = RTM_NEWLINK;
	m.h.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	m.ifi.ifi_index = ifr->ifr_ifindex;
	m.ifi.ifi_flags = m.ifi.ifi_change = IFF_UP;
	link_attr(&m, IFLA_ADDRESS, c->mac.b, sizeof(c->mac.b));
	link_attr(&m, IFLA_MTU, &mtu, sizeof(mtu));
	link_attr(&m, IFLA_TXQLEN, &qlen, sizeof(qlen));
	if (link_send(&m) == -1)
		err(TAP_EXIT, "%s: cannot set it up", ifr->ifr_name);
}

static void
set_router(int s, struct ifreq *ifr, uint32_t router)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct rtentry rt = { .rt_flags = RTF_UP | RTF_GATEWAY };

	memcpy(&rt.rt_dst, &sin, sizeof(sin));
	memcpy(&rt.rt_genmask, &sin, sizeof(sin));
	sin.sin_addr.s_addr = htonl(router);
	memcpy(&rt.rt_gateway, &sin, sizeof(sin));
	rt.rt_dev = ifr->ifr_name;
	/* A namespace we joined may have a default route that is to stay. */
	if (ioctl(s, SIOCADDRT, &rt) == -1 && errno != EEXIST)
		err(TAP_EXIT, "%s: cannot set the default route",
		    ifr->ifr_name);
}

int
tap_open(const struct tap_conf *c)
{
	struct ifreq ifr = { .ifr_name = "tap%d" };
	const struct dhcp_lease *l = c->lease;
	int fd, s;

	fd = tun_open(&ifr, c->vnet);
	s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s == -1)
		err(TAP_EXIT, "socket");
	loopback_up(s);
	set_link(s, &ifr, c);
	set_addr(s, SIOCSIFADDR, &ifr, l->ip, "address");
	set_addr(s, SIOCSIFNETMASK, &ifr, l->mask, "netmask");
	set_addr(s, SIOCSIFBRDADDR, &ifr, l->ip | ~l->mask, "broadcast");
	if (l->router != 0)
		set_router(s, &ifr, l->router);
	close(s);
	return fd;
}

/*
 * A sysfs shows the network namespace of whoever mounted it.  The mounts below
 * the old one that programs look for are taken over.  Only a convenience: not
 * every container may mount one.
 */
static void
mount_sys(void)
{
	int cgroup;

	cgroup = open_tree(AT_FDCWD, "/sys/fs/cgroup",
	    OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		NULL) == 0 &&
	    cgroup != -1)
		(void)move_mount(cgroup, "", AT_FDCWD, "/sys/fs/cgroup",
		    MOVE_MOUNT_F_EMPTY_PATH);
	if (cgroup != -1)
		close(cgroup);
}

static void
resolv_text(const struct dhcp_lease *l, char *out, size_t len)
{
	struct in_addr a;
	unsigned i;

	out[0] = '\0';
	for (i = 0; i < l->ndns; i++) {
		a.s_addr = htonl(l->dns[i]);
		strlcat(out, "nameserver ", len);
		strlcat(out, inet_ntoa(a), len);
		strlcat(out, "\n", len);
	}
	if (l->nsearch == 0 && l->domain[0] == '\0')
		return;
	strlcat(out, "search", len);
	for (i = 0; i < l->nsearch; i++) {
		strlcat(out, " ", len);
		strlcat(out, l->search[i], len);
	}
	if (l->nsearch == 0) {
		strlcat(out, " ", len);
		strlcat(out, l->domain, len);
	}
	strlcat(out, "\n", len);
}

/*
 * The file lives in a tmpfs that is mounted over /tmp just long enough to bind
 * it, so nothing is left in a directory others see.
 */
static int
bind_resolv(const char *text)
{
	static const char file[] = "/tmp/resolv.conf";
	int fd, ret = -1;

	if (mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		"size=64k,mode=0755") == -1)
		return -1;
	fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd != -1) {
		if (fchmod(fd, 0644) == 0 &&
		    write(fd, text, strlen(text)) == (ssize_t)strlen(text))
			ret = mount(file, RESOLV_PATH, NULL, MS_BIND, NULL);
		close(fd);
	}
	if (umount2("/tmp", MNT_DETACH) == -1)
		err(TAP_EXIT, "cannot unmount /tmp");
	return ret;
}

void
tap_mounts(const struct dhcp_lease *l)
{
	char text[RESOLV_MAX];

	mount_sys();
	resolv_text(l, text, sizeof(text));
	if (bind_resolv(text) == -1)
		warn("cannot replace " RESOLV_PATH);
}
