#include "kit_est.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "base/base64.h"
#include "codec/js.h"
#include "crypto/csr.h"
#include "crypto/p7.h"
#include "crypto/tls.h"
#include "io/http.h"
#include "io/loop.h"
#include "io/sock.h"

struct est {
	const struct kit_est_script *s;
	struct kit_est_seen *seen;
	int pending, lost;
};

#define must(call, e)                                                                    \
	do {                                                                             \
		if ((call) != 0) {                                                       \
			fprintf(stderr, "kit_est: %s\n", (e).text);                      \
			_exit(1);                                                        \
		}                                                                        \
	} while (0)

static void
reply(struct est *t, struct http_req *r, int status, struct span body)
{
	if (t->s->close)
		http_set(r, "Connection", "close");
	http_reply(r, status, body);
}

static void
reply_certs(struct est *t, struct http_req *r, struct span pem)
{
	struct err e;
	auto_cert_list l = {.n = 0};
	struct span ders[CERT_LIST_MAX];
	auto_buf p7 = BUF_INIT(P7_MAX), text = BUF_INIT(2 * P7_MAX);
	must(cert_list_parse(pem, "kit", &l, &e), e);
	for (size_t i = 0; i < l.n; i++)
		ders[i] = l.v[i]->der;
	must(p7_write(ders, l.n, &p7, &e), e);
	base64_put(&text, buf_span(&p7));
	http_set(r, "Content-Type", "application/pkcs7-mime; smime-type=certs-only");
	reply(t, r, 200, buf_span(&text));
}

static void
on_cacerts(struct est *t, struct http_req *r)
{
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	t->seen->cacerts++;
	buf_put_span(&pem, kit_root_pem());
	buf_put_span(&pem, kit_intermediate_pem());
	reply_certs(t, r, t->s->cacerts.len ? t->s->cacerts : buf_span(&pem));
}

static bool
is_bound(struct est *t, struct http_req *r, const struct csr *c)
{
	uint8_t raw[TLS_BINDING_MAX];
	size_t len;
	struct err e;
	auto_buf text = BUF_INIT(256);
	struct ssl_st *ssl = http_ssl(r);
	if (!ssl || (tls_channel_binding(ssl, TLS_UNIQUE, raw, &len, &e) &&
			tls_channel_binding(ssl, TLS_EXPORTER, raw, &len, &e)))
		return false;
	base64_put(&text, span_of(raw, len));
	return span_eq(c->challenge, buf_span(&text));
}

static void
issue(struct est *t, struct http_req *r, const struct csr *c)
{
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	kit_sign(
	    PROFILE_DEVICE, c->cn, NULL, c->spki, kit_now_ms(), t->s->leaf_life_s, &pem);
	t->seen->issued++;
	if (t->lost++ < t->s->lose)
		return http_drop(r);
	/* 4.2.3: the certificate alone; the kit puts the intermediate behind it */
	struct span leaf = buf_span(&pem);
	leaf = span_head(leaf, leaf.len - kit_intermediate_pem().len);
	reply_certs(t, r, leaf);
}

static void
on_enrol(struct est *t, struct http_req *r, bool again)
{
	struct err e;
	struct csr c;
	auto_buf der = BUF_INIT(CSR_MAX);
	const char *said = http_header(r, "Authorization");
	*(again ? &t->seen->reenrols : &t->seen->enrols) += 1;
	if (base64_parse_folded(http_body(r), &der, &e) ||
	    csr_parse(buf_span(&der), &c, &e))
		return reply(t, r, 400, SPAN_LIT("no request"));
	memcpy(t->seen->key, c.key_sha256, sizeof(t->seen->key));
	memcpy(t->seen->cn, c.cn, sizeof(t->seen->cn));
	bool bound = is_bound(t, r, &c);
	t->seen->bindings += bound;
	if (t->s->basic && (!said || strcmp(said, t->s->basic) != 0))
		reply(t, r, 401, SPAN_LIT("Unauthorized\r\nno"));
	else if (t->s->bound && !bound)
		reply(t, r, 400, SPAN_LIT("not this connection's"));
	else if (t->s->refuse)
		reply(t, r, t->s->refuse, SPAN_LIT("no certificate for you"));
	else if (t->pending++ < t->s->pending) {
		http_set(r, "Retry-After", "7");
		reply(t, r, 202, SPAN_NONE);
	} else
		issue(t, r, &c);
	csr_done(&c);
}

static void
on_checkin(struct est *t, struct http_req *r)
{
	struct err e;
	char text[256];
	t->seen->checkins++;
	if (t->s->no_checkin)
		return reply(t, r, t->s->no_checkin, SPAN_LIT("no check-in"));
	auto_(js_free) struct js *o = js_parse(http_body(r), 65536, 4, &e);
	snprintf(t->seen->custody, sizeof(t->seen->custody), "%s",
	    js_as_text(js_get(o, "custody")));
	snprintf(t->seen->generation, sizeof(t->seen->generation), "%s",
	    js_as_text(js_get(o, "generation")));
	t->seen->clock_ms = js_as_int(js_get(o, "clockMs"));
	t->seen->anchors = (int)js_len(js_get(o, "anchors"));
	snprintf(text, sizeof(text), "{\"nowMs\":%lld,\"pollSeconds\":3600}",
	    (long long)(t->s->now_ms ? t->s->now_ms : kit_now_ms()));
	reply(t, r, 200, span_str(t->s->checkin ? t->s->checkin : text));
}

static void
on_request(void *arg, struct http_req *r)
{
	struct est *t = arg;
	struct err e;
	auto_cert_list peer = {.n = 0};
	struct span at = http_target(r);
	t->seen->authenticated =
	    http_ssl(r) && tls_peer_chain(http_ssl(r), &peer, &e) == 0 && peer.n > 0;
	if (span_ends(at, SPAN_LIT("/cacerts")))
		return on_cacerts(t, r);
	if (span_ends(at, SPAN_LIT("/simpleenroll")))
		return on_enrol(t, r, false);
	if (span_ends(at, SPAN_LIT("/simplereenroll")))
		return on_enrol(t, r, true);
	if (span_eq_str(at, "/muster/checkin"))
		return on_checkin(t, r);
	reply(t, r, 404, SPAN_LIT("not found"));
}

static struct tls_server *
server_tls(const struct kit_est_script *s)
{
	struct err e;
	auto_(key_free) struct key *key = key_generate(KEY_P256, &e);
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	kit_sign(PROFILE_SERVER, "est", "127.0.0.1", key_spki(key),
	    s->at_ms ? s->at_ms : kit_now_ms(), s->life_s, &pem);
	struct tls_server *tls = tls_server_new(buf_span(&pem), key, &e);
	must(!tls, e);
	if (s->v12)
		SSL_CTX_set_max_proto_version(tls_server_ctx(tls), TLS1_2_VERSION);
	return tls;
}

static void
serve(const struct kit_est_script *s, struct kit_est_seen *seen, int fd)
{
	struct err e;
	struct est t = {.s = s, .seen = seen};
	const struct http_opts o = {.head_max = 16384,
	    .body_max = 65536,
	    .out_max = 65536,
	    .conns_max = 64,
	    .request_ms = 30000,
	    .idle_ms = 30000,
	    .write_ms = 30000};
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	struct loop *l = loop_new(&clock_system, &e);
	struct http *h = http_new(l, &o, on_request, &t, &e);
	http_set_tls(h, server_tls(s));
	must(http_listen(h, fd, &e), e);
	must(loop_run(l, &e), e);
	_exit(0);
}

struct kit_est
kit_est(const struct kit_est_script *s)
{
	struct err e;
	struct kit_est k;
	uint16_t port;
	int fd;
	kit_pki();
	k.seen = mmap(NULL, sizeof(*k.seen), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(k.seen != MAP_FAILED);
	assert_ok(sock_listen("127.0.0.1:0", false, &fd, &port, &e), &e);
	k.port = port;
	k.pid = fork();
	if (k.pid == 0)
		serve(s, k.seen, fd);
	close(fd);
	return k;
}

void
kit_est_done(struct kit_est *k)
{
	kill(k->pid, SIGKILL);
	waitpid(k->pid, NULL, 0);
	munmap(k->seen, sizeof(*k->seen));
}
