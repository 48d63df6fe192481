#ifndef ROLE_KEYD_H
#define ROLE_KEYD_H
/*
 * The key holder: the one process that loads vendors' PKCS#11 modules and TPM libraries,
 * holds PINs and sessions, and makes signatures for the signer and for edges. Started
 * only where the configuration or ca/issuers.conf names a key in a token. Each link may
 * use the keys that its kind needs and no other: the signer those of the CAs and of OCSP,
 * an edge the server's, which is refused where it is a CA's as well. A token that is away
 * is tried again at the next signature.
 *
 * Such a module must be able to open files, devices and sockets, so its jail is the
 * weakest: no new privileges, no capabilities, no other program, limits;
 * docs/threat-model.md says what that leaves.
 */
int keyd_main(int fd);

#endif
