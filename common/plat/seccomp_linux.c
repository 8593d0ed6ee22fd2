/*
 * The system calls of each role.
 *
 * READER, STACK, RESOLVER, SERVER and OPENER have lists of what is allowed;
 * whatever is not on them kills the process with SIGSYS.  The supervisor has a
 * list of what is not: its children inherit its filter and still need nearly
 * everything to build their own sandboxes.
 *
 * Where a call is safe with some arguments only, the arguments are part of
 * the row; several rows of one call mean any of them.  Pointers cannot be
 * looked through, so what matters is whether there is one: a sendto() without
 * an address goes to the peer the socket was connected to by who made it, and
 * sendmsg() is OPENER's alone.  Landlock keeps a READER from the host's
 * abstract sockets only since Linux 6.12.  setsockopt() is on the lists only
 * with options that cannot lead a packet elsewhere: IP_OPTIONS with a source
 * route could, SO_BINDTODEVICE too.
 *
 * RESOLVER may connect its sockets to the addresses of one page, which it can
 * read only (common/servtab.h): the pointer must be that of a place in it, and
 * the length the one that all have.  What it says there it cannot change,
 * since the page cannot be written to, cut out or laid over: mmap() places
 * nothing where it is told to, munmap() and mremap() begin above 4 GiB, and the
 * page is below.
 *
 * Builds with SANITIZER_CALLS are for tests.  AddressSanitizer needs a few
 * more calls to print its report.  LeakSanitizer would need clone, ptrace and
 * /proc at the exit of every process, so it is switched off in programs that
 * lock themselves up; what the unit tests link is still checked by it.
 */

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>

#include <asm/ioctls.h>
#include <linux/sockios.h>

#include <seccomp.h>

#include "common/log.h"
#include "common/servtab.h"
#include "common/plat/seccomp_linux.h"

#include "config.h"

#define MAXARGS 3

#define RD  (1u << SANDBOX_READER)
#define ST  (1u << SANDBOX_STACK)
#define SV  (1u << SANDBOX_SERVER)
#define OP  (1u << SANDBOX_OPENER)
#define RE  (1u << SANDBOX_RESOLVER)
#define ALL (RD | ST | RE | SV | OP)

struct rule {
	unsigned roles; /* bits of enum sandbox_role */
	int nr;
	unsigned nargs;
	struct scmp_arg_cmp arg[MAXARGS];
};

/* clang-format off */
/*
 * The kernel takes only the lower half of an int from its register, so only
 * that half is compared.
 */
#define INT(i, v)	 { i, SCMP_CMP_MASKED_EQ, 0xffffffffu, v }
#define BITS(i, mask, v) { i, SCMP_CMP_MASKED_EQ, mask, v }
#define NOPTR(i)	 { i, SCMP_CMP_EQ, 0, 0 }
#define ABOVE_4G(i)	 { i, SCMP_CMP_GE, UINT64_C(1) << 32, 0 }
/* A place of the page, whichever: the bits that count them are not looked at. */
#define SERVER(i) \
	BITS(i, ~(sizeof(struct servtab) - sizeof(struct servtab_place)), \
	    SERVTAB_AT)

#define CALL(roles, name)	    { roles, SCMP_SYS(name), 0, { { 0 } } }
#define CALL1(roles, name, a)	    { roles, SCMP_SYS(name), 1, { a } }
#define CALL2(roles, name, a, b)    { roles, SCMP_SYS(name), 2, { a, b } }
#define CALL3(roles, name, a, b, c) { roles, SCMP_SYS(name), 3, { a, b, c } }

#define FCNTL(cmd) CALL1(ALL, fcntl, INT(1, cmd))
#define IOCTL(cmd) CALL1(ALL, ioctl, INT(1, cmd))
#define SOCKOPT(level, name) \
	CALL2(RD | ST | RE | SV, setsockopt, INT(1, level), INT(2, name))
#define SOCKTYPE (0xffffffffu & ~(unsigned)(SOCK_CLOEXEC | SOCK_NONBLOCK))
#define SOCKET(af, type, proto) \
	CALL3(OP, socket, INT(0, af), BITS(1, SOCKTYPE, type), INT(2, proto))

static const struct rule rules[] = {
	/* Bytes over descriptors the process has. */
	CALL(ALL, read), CALL(ALL, readv),
	CALL(ALL, write), CALL(ALL, writev),
	CALL(ALL, recvfrom), CALL(ALL, recvmsg), CALL(ALL, recvmmsg),
	CALL1(ALL, sendto, NOPTR(4)),
	CALL(OP, sendmsg), CALL(OP, sendmmsg),
	CALL(ALL, close), CALL(ALL, lseek), CALL(ALL, shutdown),
	CALL(ALL, getsockopt), CALL(ALL, getsockname), CALL(ALL, getpeername),

	/* What they are, and how they behave. */
	CALL(ALL, fstat),
	CALL1(ALL, newfstatat, INT(3, AT_EMPTY_PATH)),
	FCNTL(F_GETFL), FCNTL(F_SETFL), FCNTL(F_GETFD), FCNTL(F_SETFD),
	FCNTL(F_DUPFD_CLOEXEC), FCNTL(F_GET_SEALS),
	/* TCGETS: stdio asks whether a device is a terminal. */
	IOCTL(FIONREAD), IOCTL(FIONBIO), IOCTL(TCGETS),
	IOCTL(SIOCOUTQ), IOCTL(SIOCOUTQNSD),
	CALL(OP, setsockopt),
	SOCKOPT(SOL_SOCKET, SO_PEEK_OFF), SOCKOPT(SOL_SOCKET, SO_SNDBUF),
	SOCKOPT(SOL_SOCKET, SO_RCVBUF), SOCKOPT(SOL_SOCKET, SO_RCVLOWAT),
	SOCKOPT(SOL_SOCKET, SO_LINGER), SOCKOPT(SOL_SOCKET, SO_KEEPALIVE),
	SOCKOPT(SOL_SOCKET, SO_OOBINLINE), SOCKOPT(SOL_SOCKET, SO_PRIORITY),
	SOCKOPT(IPPROTO_TCP, TCP_NODELAY), SOCKOPT(IPPROTO_TCP, TCP_CORK),
	SOCKOPT(IPPROTO_TCP, TCP_QUICKACK), SOCKOPT(IPPROTO_TCP, TCP_MAXSEG),
	SOCKOPT(IPPROTO_TCP, TCP_KEEPIDLE), SOCKOPT(IPPROTO_TCP, TCP_KEEPCNT),
	SOCKOPT(IPPROTO_TCP, TCP_KEEPINTVL),
	SOCKOPT(IPPROTO_TCP, TCP_NOTSENT_LOWAT),
	SOCKOPT(IPPROTO_TCP, TCP_USER_TIMEOUT),
	SOCKOPT(IPPROTO_TCP, TCP_WINDOW_CLAMP),
	SOCKOPT(IPPROTO_UDP, UDP_SEGMENT), SOCKOPT(IPPROTO_UDP, UDP_GRO),
	SOCKOPT(IPPROTO_IP, IP_TTL), SOCKOPT(IPPROTO_IP, IP_TOS),
	SOCKOPT(IPPROTO_IP, IP_RECVTTL), SOCKOPT(IPPROTO_IP, IP_RECVTOS),
	SOCKOPT(IPPROTO_IP, IP_RECVERR), SOCKOPT(IPPROTO_IP, IP_PKTINFO),
	SOCKOPT(IPPROTO_IP, IP_MTU_DISCOVER),
	SOCKOPT(IPPROTO_IPV6, IPV6_UNICAST_HOPS),
	SOCKOPT(IPPROTO_IPV6, IPV6_TCLASS),
	SOCKOPT(IPPROTO_IPV6, IPV6_RECVHOPLIMIT),
	SOCKOPT(IPPROTO_IPV6, IPV6_RECVTCLASS),
	SOCKOPT(IPPROTO_IPV6, IPV6_RECVERR),
	SOCKOPT(IPPROTO_IPV6, IPV6_RECVPKTINFO),
	SOCKOPT(IPPROTO_IPV6, IPV6_MTU_DISCOVER),

	/* New descriptors. */
	CALL(RD | SV | OP, accept), CALL(RD | SV | OP, accept4),
	CALL1(RD | OP, socketpair, INT(0, AF_UNIX)),
	SOCKET(AF_INET, SOCK_STREAM, 0),
	SOCKET(AF_INET, SOCK_STREAM, IPPROTO_TCP),
	SOCKET(AF_INET, SOCK_DGRAM, 0),
	SOCKET(AF_INET, SOCK_DGRAM, IPPROTO_UDP),
	SOCKET(AF_INET, SOCK_DGRAM, IPPROTO_ICMP),
	SOCKET(AF_INET6, SOCK_STREAM, 0),
	SOCKET(AF_INET6, SOCK_STREAM, IPPROTO_TCP),
	SOCKET(AF_INET6, SOCK_DGRAM, 0),
	SOCKET(AF_INET6, SOCK_DGRAM, IPPROTO_UDP),
	SOCKET(AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6),
	SOCKET(AF_UNIX, SOCK_STREAM, 0),
	SOCKET(AF_UNIX, SOCK_DGRAM, 0),
	CALL(OP, bind), CALL(OP, listen), CALL(OP, connect),
	CALL2(RE, connect, SERVER(1), INT(2, SERVTAB_LEN)),

	/* The event loop. */
	CALL(ALL, epoll_create1), CALL(ALL, epoll_ctl),
	CALL(ALL, epoll_wait), CALL(ALL, epoll_pwait), CALL(ALL, epoll_pwait2),
	CALL(ALL, poll), CALL(ALL, ppoll),
	CALL(ALL, timerfd_create), CALL(ALL, timerfd_settime),
	CALL(ALL, timerfd_gettime), CALL(ALL, eventfd2),
	CALL(ALL, signalfd4),

	/* Memory, never executable. */
	CALL(ALL, brk), CALL(ALL, madvise),
	CALL(ALL & ~RE, munmap), CALL1(RE, munmap, ABOVE_4G(0)),
	CALL(ALL & ~RE, mremap),
	CALL2(RE, mremap, ABOVE_4G(0), INT(3, MREMAP_MAYMOVE)),
	CALL1(ALL & ~RE, mmap, BITS(2, PROT_EXEC, 0)),
	CALL2(RE, mmap, NOPTR(0), BITS(2, PROT_EXEC, 0)),
	CALL1(ALL, mprotect, BITS(2, PROT_EXEC, 0)),

	/* Time, random, itself. */
	CALL(ALL, clock_gettime), CALL(ALL, clock_getres),
	CALL(ALL, clock_nanosleep), CALL(ALL, gettimeofday), CALL(ALL, time),
	CALL(ALL, getrandom), CALL(ALL, sysinfo),
	CALL(ALL, getpid), CALL(ALL, getppid), CALL(ALL, gettid),
	CALL(ALL, getuid), CALL(ALL, geteuid),
	CALL(ALL, getgid), CALL(ALL, getegid),
	CALL(ALL, getrlimit), CALL1(ALL, prlimit64, NOPTR(2)),
	CALL1(ALL, prctl, INT(0, PR_GET_SECCOMP)),
	CALL(ALL, rt_sigaction), CALL(ALL, rt_sigprocmask),
	CALL(ALL, rt_sigreturn), CALL(ALL, rt_sigpending),
	CALL(ALL, futex), CALL(ALL, sched_yield), CALL(ALL, rseq),
	CALL2(ALL & ~SV, sched_setscheduler, INT(0, 0), INT(1, SCHED_OTHER)),
	CALL2(ALL & ~SV, sched_setscheduler, INT(0, 0), INT(1, SCHED_BATCH)),
	CALL(ALL, set_robust_list), CALL(ALL, restart_syscall),
	CALL(ALL, exit), CALL(ALL, exit_group),

#if SANITIZER_CALLS
	CALL(RE, mmap), CALL(RE, munmap), CALL(RE, mremap),
	CALL(ALL, open), CALL(ALL, openat), CALL(ALL, access),
	CALL(ALL, stat), CALL(ALL, lstat), CALL(ALL, newfstatat),
	CALL(ALL, readlink), CALL(ALL, readlinkat), CALL(ALL, getcwd),
	CALL(ALL, pipe), CALL(ALL, pipe2), CALL(ALL, uname),
	CALL(ALL, sigaltstack), CALL(ALL, prctl), CALL(ALL, getrusage),
	CALL(ALL, sched_getaffinity), CALL(ALL, process_vm_readv),
#endif
};

/*
 * The supervisor's: other processes' memory and descriptors, the kernel's own
 * code and keys, and interfaces whose only users here would be exploits.
 */
static const int denied[] = {
#if !SANITIZER_CALLS
	SCMP_SYS(ptrace), SCMP_SYS(personality),
#endif
	SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev),
	SCMP_SYS(process_madvise), SCMP_SYS(pidfd_getfd), SCMP_SYS(kcmp),
	SCMP_SYS(kexec_load), SCMP_SYS(kexec_file_load), SCMP_SYS(reboot),
	SCMP_SYS(init_module), SCMP_SYS(finit_module),
	SCMP_SYS(delete_module), SCMP_SYS(create_module),
	SCMP_SYS(bpf), SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd),
	SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(keyctl),
	SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter),
	SCMP_SYS(io_uring_register),
	SCMP_SYS(iopl), SCMP_SYS(ioperm), SCMP_SYS(modify_ldt),
	SCMP_SYS(vm86), SCMP_SYS(vm86old), SCMP_SYS(uselib),
	SCMP_SYS(swapon), SCMP_SYS(swapoff), SCMP_SYS(acct),
	SCMP_SYS(quotactl), SCMP_SYS(syslog), SCMP_SYS(lookup_dcookie),
	SCMP_SYS(open_by_handle_at), SCMP_SYS(fanotify_init),
	SCMP_SYS(move_pages), SCMP_SYS(migrate_pages), SCMP_SYS(vhangup),
	SCMP_SYS(settimeofday), SCMP_SYS(clock_settime),
	SCMP_SYS(adjtimex), SCMP_SYS(clock_adjtime),
};
/* clang-format on */

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))

#if SANITIZER_CALLS
const char *__asan_default_options(void);

const char *
__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

/* -1 with errno.  A call this architecture never had is no failure. */
static int
add_rule(scmp_filter_ctx ctx, uint32_t action, int nr, unsigned nargs,
    const struct scmp_arg_cmp *arg)
{
	int rc = seccomp_rule_add_array(ctx, action, nr, nargs, arg);

	if (rc == 0 || rc == -EDOM || rc == -EOPNOTSUPP)
		return 0;
	errno = -rc;
	return -1;
}

static int
add_allowed(scmp_filter_ctx ctx, enum sandbox_role role)
{
	const struct scmp_arg_cmp self = INT(0, (uint32_t)getpid());
	const struct rule *r;
	size_t i;

	for (i = 0; i < NITEMS(rules); i++) {
		r = &rules[i];
		if ((r->roles & (1u << role)) != 0 &&
		    add_rule(ctx, SCMP_ACT_ALLOW, r->nr, r->nargs, r->arg) ==
			-1)
			return -1;
	}
	/* For abort(). */
	return add_rule(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, &self);
}

static int
add_denied(scmp_filter_ctx ctx)
{
	size_t i;

	for (i = 0; i < NITEMS(denied); i++)
		if (add_rule(ctx, SCMP_ACT_KILL_PROCESS, denied[i], 0, NULL) ==
		    -1)
			return -1;
	return 0;
}

int
sandbox_filter(enum sandbox_role role)
{
	bool allow_list = role != SANDBOX_SUPERVISOR;
	scmp_filter_ctx ctx;
	int rc = -1;

	ctx = seccomp_init(allow_list ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ALLOW);
	if (ctx == NULL) {
		errno = ENOSYS; /* Linux before 4.14 */
		return -1;
	}
	/* Also the calls of the 32-bit and x32 interfaces. */
	if (seccomp_attr_set(
		ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) == 0 &&
	    seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2) == 0 &&
	    (allow_list ? add_allowed(ctx, role) : add_denied(ctx)) == 0 &&
	    (rc = seccomp_load(ctx)) < 0) {
		errno = -rc;
		rc = -1;
	}
	seccomp_release(ctx);
	return rc;
}
