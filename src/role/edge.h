#ifndef ROLE_EDGE_H
#define ROLE_EDGE_H
/*
 * The edge: holds the peers' connections, speaks their protocols, and knows nothing but a
 * TLS key that lives a day. It opens no file and no connection once its jail is shut, and
 * reads no peer's byte before.
 */

/* The process: fd is the link to main. Returns its exit status. */
int edge_main(int fd);

#endif
