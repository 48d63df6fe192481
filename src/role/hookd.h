#ifndef ROLE_HOOKD_H
#define ROLE_HOOKD_H
/*
 * The caller of webhooks (custom allocation, docs/allocation.md): the one process of the
 * server that connects out, so that it holds nothing: no database, no key, no listener,
 * and it cannot read the home. Started by main when the core first has somebody to ask.
 * What a webhook answers is parsed here and goes to the core as fields.
 */
int hookd_main(int fd);

#endif
