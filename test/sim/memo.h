#ifndef TEST_SIM_MEMO_H
#define TEST_SIM_MEMO_H
/*
 * Keys and certificates are parsed once for each text: OpenSSL takes a millisecond for
 * what a simulated day does a hundred times. What is parsed is immutable and counted, so
 * who asks cannot tell. The linker hands key_parse, cert_parse and cert_list_parse to us.
 */

/* Gives back what it holds. */
void memo_done(void);

#endif
