/*
 * What a program of the guest learns of a datagram that did not arrive:
 *
 *	udperr ADDR PORT SIZE	sends one that may not be fragmented, and
 *				prints the error that comes, and the path MTU
 *				the kernel then believes in
 */

#include <sys/socket.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_MS 20000

int
main(int argc, char *argv[])
{
	static char data[65507];
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct pollfd p = { .events = 0 };
	int e = 0, mtu = 0, dont = IP_PMTUDISC_DO, on = 1;
	socklen_t len = sizeof(e);
	size_t size;

	if (argc != 4 || inet_pton(AF_INET, argv[1], &sin.sin_addr) != 1)
		errx(2, "usage: udperr ADDR PORT SIZE");
	sin.sin_port = htons((uint16_t)atoi(argv[2]));
	size = strtoul(argv[3], NULL, 10);
	p.fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (setsockopt(
		p.fd, IPPROTO_IP, IP_MTU_DISCOVER, &dont, sizeof(dont)) == -1 ||
	    setsockopt(p.fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on)) == -1 ||
	    connect(p.fd, (struct sockaddr *)&sin, sizeof(sin)) == -1)
		err(1, "%s", argv[1]);
	if (size > sizeof(data) || send(p.fd, data, size, 0) == -1)
		e = errno;
	else if (poll(&p, 1, PATIENCE_MS) == 1)
		getsockopt(p.fd, SOL_SOCKET, SO_ERROR, &e, &len);
	len = sizeof(mtu);
	getsockopt(p.fd, IPPROTO_IP, IP_MTU, &mtu, &len);
	printf("%s, %d\n", strerror(e), mtu);
	return 0;
}
