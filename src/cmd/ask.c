/*
 * Passphrases from a file or a terminal. Never from an argument or the environment, which
 * other processes can read.
 */
#include "cmd/ask.h"

#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "io/file.h"

static int
take_line(struct span text, char *buf, size_t size)
{
	struct span rest = text, line = span_split(&rest, '\n');
	if (line.len && line.p[line.len - 1] == '\r')
		line.len--;
	return line.len && span_to_str(line, buf, size) ? (int)line.len : -1;
}

static int
from_file(const char *path, char *buf, size_t size)
{
	struct err e;
	auto_buf text = BUF_INIT(4096);
	if (file_read_secret(path, &text, &e)) {
		fprintf(stderr, "muster: %s\n", e.text);
		return -1;
	}
	return take_line(buf_span(&text), buf, size);
}

static int
from_terminal(const char *what, char *buf, size_t size)
{
	struct termios before, quiet;
	if (tcgetattr(STDIN_FILENO, &before))
		return -1;
	quiet = before;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	/* quiet before it asks: what is typed ahead of the flush is lost */
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	fprintf(stderr, "passphrase or PIN of %s: ", what);
	/* not by stdio, whose buffer would keep it */
	ssize_t n = read(STDIN_FILENO, buf, size - 1);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	fputc('\n', stderr);
	while (n > 0 && (buf[n - 1] == '\n' || buf[n - 1] == '\r'))
		n--;
	return n > 0 ? (int)n : -1;
}

int
ask_passphrase(void *arg, const char *what, char *buf, size_t size)
{
	if (arg)
		return from_file(arg, buf, size);
	return isatty(STDIN_FILENO) ? from_terminal(what, buf, size) : -1;
}
