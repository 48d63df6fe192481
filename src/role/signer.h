#ifndef ROLE_SIGNER_H
#define ROLE_SIGNER_H
/*
 * The signer: holds the CA keys and the issuance journal, and signs what its profiles
 * allow. It takes fields, never bytes to be signed; picks serials itself; journals and
 * fsyncs what it signed before any of it leaves (requests of one turn share an fsync).
 * Nothing it is asked can make it sign with another profile's rights, and it opens no
 * socket and no file once its jail is shut.
 */
int signer_main(int fd);

#endif
