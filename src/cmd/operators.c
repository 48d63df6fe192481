/*
 * muster operator: who may run this server, in which role, and their secrets. Everything
 * is asked of the running server, as an owner.
 */
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "cmd/cmd.h"
#include "cmd/operator.h"
#include "cmd/remote.h"
#include "codec/js.h"

#define LIFE_MAX_MS (INT64_C(3650) * 86400 * 1000)

struct args {
	struct remote r;
	const char *role, *life;
	bool no_secret;
};

/* On a narrow terminal who it is and what it may stay; -o json has all. */
static const struct render_column columns[] = {
    {"NAME", "name", RENDER_TEXT, RENDER_CUT},
    {"ROLE", "role", RENDER_TEXT, 0},
    {"APPLICATION", "appId", RENDER_TEXT, 0},
    {"CERTS", "certificates", RENDER_TEXT, 0},
    {"SIGNED IN", "signedInMs", RENDER_MS, RENDER_EXTRA},
    {"SECRET ENDS", "secretEndsMs", RENDER_MS, RENDER_EXTRA},
    {"SECRET MADE", "secretMs", RENDER_MS, RENDER_EXTRA},
    {NULL, NULL, RENDER_TEXT, 0},
};

static int
show(void *ctx, const struct js *row, struct err *e)
{
	(void)e;
	render_row(ctx, row);
	return 0;
}

static int
op_list(struct args *a, const char *name, struct err *e)
{
	(void)name;
	struct render *t = render_new(columns, a->r.form, stdout, render_width(stdout));
	int rc = remote_each(&a->r, "/muster/operators", show, t, e);
	render_free(t);
	return rc;
}

/* The secret goes to stdout alone, so that a script can pass it on. */
static void
print_operator(const struct args *a, const struct js *v)
{
	if (a->r.json) {
		remote_print(v);
		return;
	}
	fprintf(stderr, "%s: %s, application %s\n", remote_text(v, "name"),
	    remote_text(v, "role"), remote_text(v, "appId"));
	if (remote_text(v, "secret")[0]) {
		fprintf(stderr, "its secret, which is stored nowhere else:\n");
		printf("%s\n", remote_text(v, "secret"));
	}
}

static int
put(struct args *a, const char *name, const struct js *o, struct err *e)
{
	auto_(js_free) struct js *v = NULL;
	if (remote_send(
		&a->r, "PUT", remote_path(&a->r, "/muster/operators/", name), o, &v, e))
		return -1;
	print_operator(a, v);
	return 0;
}

static int
set_life(const struct args *a, struct js *o, struct err *e)
{
	int64_t life;
	if (!a->life)
		return 0;
	if (num_parse_duration_ms(span_str(a->life), 60000, LIFE_MAX_MS, &life, e))
		return err_wrap(e, "--life");
	js_set_int(o, "secretLifeMs", life);
	return 0;
}

static int
op_add(struct args *a, const char *name, struct err *e)
{
	auto_(js_free) struct js *o = js_object();
	if (!a->role)
		return err_set(e, ERR_USAGE, "--role is wanted");
	if (js_set_str(o, "role", span_str(a->role), e) || set_life(a, o, e))
		return -1;
	js_set_bool(o, "create", true);
	js_set_bool(o, "newSecret", !a->no_secret);
	return put(a, name, o, e);
}

/* A name that was mistyped would make a new operator. */
static int
need_known(struct args *a, const char *name, struct err *e)
{
	auto_(js_free) struct js *v = NULL;
	return remote_send(
	    &a->r, "GET", remote_path(&a->r, "/muster/operators/", name), NULL, &v, e);
}

static int
op_role(struct args *a, const char *name, struct err *e)
{
	auto_(js_free) struct js *o = js_object();
	if (!a->role)
		return err_set(e, ERR_USAGE, "--role is wanted");
	if (js_set_str(o, "role", span_str(a->role), e) || need_known(a, name, e))
		return -1;
	return put(a, name, o, e);
}

static int
op_rotate(struct args *a, const char *name, struct err *e)
{
	auto_(js_free) struct js *o = js_object();
	if (set_life(a, o, e) || need_known(a, name, e))
		return -1;
	js_set_bool(o, "newSecret", true);
	return put(a, name, o, e);
}

static int
op_remove(struct args *a, const char *name, struct err *e)
{
	auto_(js_free) struct js *v = NULL;
	if (remote_send(&a->r, "DELETE", remote_path(&a->r, "/muster/operators/", name),
		NULL, &v, e))
		return -1;
	fprintf(stderr, "%s is no operator any more\n", name);
	return 0;
}

static const struct {
	const char *name;
	int (*run)(struct args *a, const char *name, struct err *e);
	int args;
} verbs[] = {
    {"add", op_add, 1},
    {"list", op_list, 0},
    {"role", op_role, 1},
    {"rotate", op_rotate, 1},
    {"remove", op_remove, 1},
};

static int
run(struct args *a, int argc, char **argv, struct err *e)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(argv[0], verbs[i].name) != 0)
			continue;
		if (argc - 1 != verbs[i].args)
			return err_set(e, ERR_USAGE,
			    verbs[i].args ? "%s: NAME is wanted" : "%s: nothing more",
			    argv[0]);
		if (argc == 2 && !operator_is_name(argv[1]))
			return err_set(
			    e, ERR_USAGE, "NAME: letters, digits and -_.@ only");
		return remote_open(&a->r, e)
			   ? -1
			   : verbs[i].run(a, argc == 2 ? argv[1] : "", e);
	}
	return err_set(
	    e, ERR_USAGE, "no verb '%s'; muster operator --help lists them", argv[0]);
}

int
cmd_operator(int argc, char **argv, struct err *e)
{
	struct args a = {0};
	const struct opt own[] = {
	    {"role", "ROLE", OPT_TEXT, &a.role,
		"add, role: owner, registry, reader, none"},
	    {"life", "TIME", OPT_TEXT, &a.life,
		"add, rotate: how long the secret is good (default: until it is "
		"rotated)"},
	    {"no-secret", NULL, OPT_FLAG, &a.no_secret,
		"add: certificates alone will let it in"},
	};
	enum { OWN = sizeof(own) / sizeof(own[0]) };
	struct opt rows[OWN + REMOTE_ROWS + 1] = {{0}};
	memcpy(rows, own, sizeof(own));
	remote_rows(&a.r, rows + OWN, argc, argv);
	const struct opt_cmd cmd = {"muster operator VERB [OPTIONS]",
	    "Operators of a running server: people and programs that may use its service "
	    "API, each\nby a secret (as a service principal) or by certificates (muster "
	    "ca operator).\n\n"
	    "verbs:\n"
	    "  add     NAME: a new one; prints its secret, once\n"
	    "  list    who there is\n"
	    "  role    NAME: give it another role\n"
	    "  rotate  NAME: another secret; the old one and its tokens end now\n"
	    "  remove  NAME: neither secret nor certificates let it in any more",
	    rows, 1, 2};
	int at = opt_parse(&cmd, argc, argv, e);
	int rc = at <= 0 ? at : run(&a, argc - at, argv + at, e);
	remote_done(&a.r);
	return rc;
}
