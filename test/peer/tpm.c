/*
 * An activation blob for test_tpm.py to try on a TPM: tpm EK SRK KEY writes it to its
 * output. EK, SRK: files of TPM2B_PUBLIC; KEY: text.
 */
#include <stdio.h>
#include <stdlib.h>

#include "crypto/tpm_cred.h"

static struct span
read_all(const char *path)
{
	static uint8_t room[2][TPM_PUB_MAX];
	static int n;
	uint8_t *p = room[n++ % 2];
	FILE *f = fopen(path, "rb");
	size_t len = f ? fread(p, 1, TPM_PUB_MAX, f) : 0;
	if (f)
		fclose(f);
	return span_of(p, len);
}

int
main(int argc, char **argv)
{
	struct err e = {0};
	struct tpm_pub ek, srk;
	auto_buf out = BUF_INIT(TPM_CRED_MAX);
	if (argc != 4)
		return 2;
	if (tpm_pub_parse(read_all(argv[1]), &ek, &e) ||
	    tpm_pub_parse(read_all(argv[2]), &srk, &e) ||
	    tpm_cred_activation(&ek, &srk, span_str(argv[3]), &out, &e)) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	return fwrite(out.p, 1, out.len, stdout) == out.len ? 0 : 1;
}
