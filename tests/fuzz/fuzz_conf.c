/*
 * The administrator's files.  The first byte says which one this is: that of
 * --config, the DHCP settings, or resolv.conf.
 */

#include <sys/mman.h>
#include <unistd.h>

#include "common/log.h"
#include "vpnkit/conf.h"

#include "fuzz.h"

/* A file with that content; it stays for the next one. */
static const char *
file_with(const struct rd *r)
{
	static char path[64];
	static int fd = -1;

	if (fd == -1) {
		CHECK((fd = memfd_create("conf", MFD_CLOEXEC)) != -1);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	CHECK(ftruncate(fd, 0) == 0);
	CHECK(pwrite(fd, r->p, r->len, 0) == (ssize_t)r->len);
	return path;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct rd r = rd_init(data, len);
	char err[OPTIONS_ERRLEN];
	struct options op;
	struct conf c;
	uint8_t what = fuzz_u8(&r);
	const char *path = file_with(&r);

	log_set_level(LOG_LVL_ERROR);
	json_object_seed(1);
	options_init(&op);
	*err = '\0';
	if (what % 3 == 0 && conf_options_file(&op, path, err) == 0)
		options_finish(&op, err);
	CHECK(strlen(err) < sizeof(err));
	CHECK(conf_init(&c, &op) == 0);
	if (what % 3 == 1 && (op.dhcp_path = strdup(path)) != NULL) {
		conf_read_dhcp(&c);
		CHECK(conf_read_dhcp(&c) <= 0);
	}
	c.resolv_path = path;
	if (what % 3 == 2) {
		conf_read_resolv(&c);
		CHECK(conf_read_resolv(&c) == 0);
	}
	CHECK(json_is_string(c.domain) && json_is_array(c.search));
	conf_fini(&c);
	options_fini(&op);
	return 0;
}
