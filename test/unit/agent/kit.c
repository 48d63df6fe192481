#include "kit.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/mqtt_link.h"
#include "base/rand.h"
#include "base/clock.h"
#include "codec/topic.h"
#include "crypto/issuer.h"
#include "crypto/tls.h"
#include "io/file.h"
#include "io/loop.h"

static struct issuer *root, *intermediate;
static struct buf root_pem, intermediate_pem;

const struct keystore_place kit_place = {KEY_P256, "", KIT_ID};

#define must(call, e)                                                                    \
	do {                                                                             \
		if ((call) != 0)                                                         \
			fail_msg("%s", (e).text);                                        \
	} while (0)

struct span
kit_intermediate_pem(void)
{
	return buf_span(&intermediate_pem);
}

int64_t
kit_now_ms(void)
{
	return clock_wall_ms(&clock_system);
}

static struct issuer *
issuer_of(struct span der, struct key *key, struct buf *pem)
{
	struct err e;
	*pem = BUF_INIT(CERT_PEM_MAX);
	cert_write_pem(der, pem);
	struct issuer *i = issuer_new(buf_span(pem), key, &e);
	if (!i)
		fail_msg("%s", e.text);
	return i;
}

void
kit_pki(void)
{
	struct err e;
	if (root)
		return;
	auto_(key_free) struct key *rk = key_generate(KEY_P256, &e);
	auto_(key_free) struct key *ik = key_generate(KEY_P256, &e);
	auto_buf rd = BUF_INIT(CERT_MAX), id = BUF_INIT(CERT_MAX);
	int64_t now_s = kit_now_ms() / 1000;
	must(issuer_self_sign(rk, "Test Root", NULL, now_s, 86400 * 365, &rd, &e), e);
	root = issuer_of(buf_span(&rd), rk, &root_pem);
	struct issuer_request r = {.profile = PROFILE_INTERMEDIATE,
	    .cn = "Test Device CA",
	    .spki = key_spki(ik),
	    .now_s = now_s};
	struct issuer_result ignored;
	must(issuer_sign(root, &r, &id, &ignored, &e), e);
	intermediate = issuer_of(buf_span(&id), ik, &intermediate_pem);
}

struct span
kit_root_pem(void)
{
	return buf_span(&root_pem);
}

void
kit_sign(enum profile_id profile, const char *cn, const char *san, struct span spki,
    int64_t at_ms, int64_t life_s, struct buf *out)
{
	struct err e;
	auto_buf der = BUF_INIT(CERT_MAX);
	struct issuer_request r = {.profile = profile,
	    .cn = cn,
	    .san = &san,
	    .n_san = san ? 1 : 0,
	    .spki = spki,
	    .now_s = at_ms / 1000,
	    .life_s = life_s};
	struct issuer_result ignored;
	must(issuer_sign(intermediate, &r, &der, &ignored, &e), e);
	cert_write_pem(buf_span(&der), out);
	buf_put_span(out, buf_span(&intermediate_pem));
}

void
kit_leaf(const char *cn, const struct key *key, struct buf *out)
{
	kit_leaf_of(cn, key_spki(key), out);
}

void
kit_leaf_of(const char *cn, struct span spki, struct buf *out)
{
	kit_sign(PROFILE_DEVICE, cn, NULL, spki, kit_now_ms(), 0, out);
}

void
kit_foreign_root(struct key *key, struct buf *out)
{
	struct err e;
	auto_buf der = BUF_INIT(CERT_MAX);
	must(issuer_self_sign(
		 key, "Foreign Root", NULL, kit_now_ms() / 1000, 86400 * 365, &der, &e),
	    e);
	cert_write_pem(buf_span(&der), out);
}

char *
kit_dir(void)
{
	const char *tmp = getenv("TMPDIR");
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/muster-agent-XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(path));
	return own_strdup(path);
}

void
kit_dir_done(char *dir)
{
	struct err e;
	must(file_remove_tree(dir, &e), e);
	free(dir);
}

char *
kit_device(const char *dir, const char *extra)
{
	struct err e;
	char path[PATH_MAX], ca[PATH_MAX + 8];
	snprintf(path, sizeof(path), "%s/dev", dir);
	snprintf(ca, sizeof(ca), "%s/ca.pem", path);
	auto_buf conf = BUF_INIT(AGENT_CONFIG_FILE_MAX);
	buf_printf(
	    &conf, "[device]\nid = " KIT_ID "\n[dps]\nid_scope = 0ne1\n%s\n", extra);
	must(file_mkdir(path, 0700, &e), e);
	must(file_write(ca, kit_root_pem(), 0644, &e), e);
	must(keystore_create(path, buf_span(&conf), SPAN_LIT(KIT_KEY), &e), e);
	return own_strdup(path);
}

/* --- the broker --- */

int
kit_free_port(void)
{
	/* below the ports that the kernel gives to clients, so that nobody who merely
	 * connects takes it between this and the broker's start */
	for (;;) {
		int port = 12000 + (int)rand_below(20000);
		struct sockaddr_in a = {.sin_family = AF_INET,
		    .sin_port = htons((uint16_t)port),
		    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_true(fd >= 0);
		int rc = bind(fd, (struct sockaddr *)&a, sizeof(a));
		close(fd);
		if (rc == 0)
			return port;
	}
}

static bool
answers(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	    .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok = connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
	close(fd);
	return ok;
}

static void
broker_files(const char *dir, const char *san, int port)
{
	struct err e;
	char path[PATH_MAX];
	auto_(key_free) struct key *key = key_generate(KEY_P256, &e);
	auto_buf pem = BUF_INIT(CERT_PEM_MAX), cert = BUF_INIT(CERT_PEM_MAX),
		 conf = BUF_INIT(4096);
	must(key_write(key, &pem, &e), e);
	kit_sign(PROFILE_SERVER, "broker", san, key_spki(key), kit_now_ms(), 0, &cert);
	/* mosquitto drops root: the directory and what is in it must be its to read */
	assert_int_equal(chmod(dir, 0755), 0);
	snprintf(path, sizeof(path), "%s/broker.key", dir);
	must(file_write(path, buf_span(&pem), 0644, &e), e);
	snprintf(path, sizeof(path), "%s/broker.pem", dir);
	must(file_write(path, buf_span(&cert), 0644, &e), e);
	buf_printf(&conf,
	    "listener %d 127.0.0.1\ncertfile %s/broker.pem\nkeyfile %s/broker.key\n"
	    "allow_anonymous true\nlog_type none\npersistence false\n",
	    port, dir, dir);
	snprintf(path, sizeof(path), "%s/broker.conf", dir);
	must(file_write(path, buf_span(&conf), 0644, &e), e);
}

/* Ends with the test, also one that failed, and holds none of its output open: whoever
 * reads that would wait for a broker nobody ends. */
static void
run_broker(const char *conf)
{
	int null = open("/dev/null", O_RDWR);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	execl("/usr/sbin/mosquitto", "mosquitto", "-c", conf, (char *)NULL);
	_exit(127);
}

struct kit_broker
kit_broker(const char *dir, const char *san, int port)
{
	if (access("/usr/sbin/mosquitto", X_OK))
		skip();
	struct kit_broker b = {.port = port ? port : kit_free_port()};
	char conf[PATH_MAX];
	broker_files(dir, san, b.port);
	snprintf(conf, sizeof(conf), "%s/broker.conf", dir);
	b.pid = fork();
	if (b.pid == 0)
		run_broker(conf);
	for (int i = 0; i < 1000; i++) {
		if (answers(b.port))
			return b;
		usleep(20000);
	}
	fail_msg("mosquitto does not answer on port %d", b.port);
	return b;
}

void
kit_broker_done(struct kit_broker *b)
{
	kill(b->pid, SIGKILL);
	waitpid(b->pid, NULL, 0);
	b->pid = -1;
}

/* --- the provisioning service --- */

struct kit_dps {
	struct kit_dps_script script;
	struct mqtt_link *link;
	struct tls_client *tls;
	bool ready;
	int requests, polls, later;
};

static void
on_dps_open(void *arg)
{
	struct kit_dps *d = arg;
	struct err e;
	must(mqtt_link_subscribe(d->link, "$dps/registrations/#", &e), e);
}

static void
on_dps_suback(void *arg, int granted)
{
	struct kit_dps *d = arg;
	d->ready = granted <= 1;
}

static void
dps_answer(
    struct kit_dps *d, struct span rid, int status, int64_t retry_s, const char *body)
{
	struct err e;
	int mid;
	auto_buf topic = BUF_INIT(1024);
	topic_write_dps_response(&topic, status, rid, retry_s);
	must(mqtt_link_publish(d->link, buf_text(&topic), span_str(body), &mid, &e), e);
}

static void
on_dps_message(void *arg, struct span topic, struct span payload)
{
	struct kit_dps *d = arg;
	struct topic_dps t;
	struct err e;
	char body[512];
	if (topic_parse_dps(topic, &t, &e))
		return; /* its own answers */
	d->requests++;
	if (d->script.refuse_status)
		return dps_answer(d, t.rid, d->script.refuse_status, 0,
		    "{\"errorCode\":401002,\"message\":\"Unauthorized\"}");
	if (d->later++ < d->script.later)
		return dps_answer(d, t.rid, 429, 1, "{\"errorCode\":429001}");
	if (d->polls++ < d->script.polls)
		return dps_answer(d, t.rid, 202, 1,
		    "{\"operationId\":\"4.ab.cd\",\"status\":\"assigning\"}");
	snprintf(body, sizeof(body),
	    "{\"operationId\":\"4.ab.cd\",\"status\":\"assigned\",\"registrationState\":{"
	    "\"assignedHub\":\"%s\",\"deviceId\":\"" KIT_ID
	    "\",\"substatus\":\"initialAssignment\"}}",
	    d->script.hub);
	dps_answer(d, t.rid, 200, 0, body);
}

static void
on_dps_closed(void *arg, const struct err *why)
{
	fail_msg("the test's provisioning service: %s", why->text);
}

static bool
dps_is_ready(void *arg)
{
	return ((struct kit_dps *)arg)->ready;
}

struct kit_dps *
kit_dps(struct loop *l, int port, const struct kit_dps_script *s)
{
	static const struct mqtt_link_ops ops = {
	    on_dps_open, on_dps_suback, NULL, on_dps_message, on_dps_closed};
	struct err e;
	struct kit_dps *d = own_alloc(sizeof(*d));
	d->script = *s;
	struct tls_client_options to = {.roots_pem = kit_root_pem()};
	d->tls = tls_client_new(&to, &e);
	assert_non_null(d->tls);
	must(tls_client_pin_host(d->tls, "127.0.0.1", &e), e);
	struct mqtt_link_opts o = {.host = "127.0.0.1",
	    .port = port,
	    .client_id = "the-service",
	    .user = "the-service",
	    .clean = true,
	    .keepalive_ms = 60000,
	    .connect_ms = 5000,
	    .tls = d->tls};
	must(mqtt_link_open(l, &o, &ops, d, &d->link, &e), e);
	assert_true(kit_until(l, dps_is_ready, d, 5000));
	return d;
}

int
kit_dps_requests(const struct kit_dps *d)
{
	return d->requests;
}

void
kit_dps_free(struct kit_dps *d)
{
	mqtt_link_free(d->link);
	tls_client_free(d->tls);
	free(d);
}

void
kit_conf(struct buf *out, int dps_port, int hub_port, const char *hub)
{
	buf_printf(out,
	    "host = 127.0.0.1\nport = %d\n[telemetry]\ninterval = 200ms\n[agent]\n"
	    "backoff_min = 100ms\nbackoff_max = 1s\n[hub]\nport = %d\n"
	    "connect_timeout = 5s\n%s",
	    dps_port, hub_port, hub);
}

bool
kit_until(struct loop *l, bool (*cond)(void *arg), void *arg, int64_t ms)
{
	struct err e;
	int64_t end = loop_now_ms(l) + ms;
	while (!cond(arg) && loop_now_ms(l) < end)
		must(loop_turn(l, 50, &e), e);
	return cond(arg);
}
