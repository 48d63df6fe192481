#!/usr/bin/env python3
"""Writes the rows of schema_steps[] from schema/NNNN-name.sql, for inclusion by schema.c.

usage: embed.py OUT SQL...
Fails when the numbers are not 1, 2, 3, ... without a gap.
"""
import os
import sys


def quoted(line):
    text = line.rstrip("\n").replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
    return '\t"' + text + '\\n"\n'


def main(out, paths):
    with open(out, "w", encoding="ascii") as f:
        for want, path in enumerate(sorted(paths, key=os.path.basename), 1):
            name = os.path.basename(path)
            if int(name[:4]) != want:
                sys.exit(f"{path}: number {want:04} is missing")
            with open(path, encoding="ascii") as sql:
                text = "".join(quoted(line) for line in sql)
            f.write(f'{{"{name}",\n{text}}},\n')


main(sys.argv[1], sys.argv[2:])
