#!/usr/bin/env python3
"""tools/check-layers finds what it is there to find: each test plants one fault in a small tree."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOL = os.path.join(ROOT, "tools/check-layers")
with open(os.path.join(ROOT, "docs/layers.md")) as f:
    LAW = f.read()


class CheckLayers(unittest.TestCase):
    def setUp(self):
        self.tree = tempfile.mkdtemp(prefix="layers-")
        self.addCleanup(shutil.rmtree, self.tree)
        self.plant("docs/layers.md", LAW)

    def plant(self, path, text):
        full = os.path.join(self.tree, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w") as f:
            f.write(text)

    def run_tool(self, *args):
        run = subprocess.run([sys.executable, TOOL, "--root", self.tree, *args], text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return run.returncode, run.stdout

    def refuses(self, path, text, says):
        self.plant(path, text)
        status, out = self.run_tool()
        self.assertEqual(status, 1, out)
        self.assertIn(says, out)

    def accepts(self, path, text):
        self.plant(path, text)
        self.assertEqual(self.run_tool(), (0, ""))

    def test_what_the_tables_allow_passes(self):
        self.accepts("src/codec/js.c", '#include "codec/js.h"\n#include <jansson.h>\n'
                     '#include "base/err.h"\n\nint\njs_parse(void)\n{\n\treturn 0;\n}\n')

    def test_include_of_a_layer_above_is_named_with_its_line(self):
        self.refuses("src/base/x.c", '#include <stdio.h>\n#include "io/loop.h"\n',
                     "src/base/x.c:2: base may not include io/loop.h")

    def test_endpoints_cannot_name_the_store(self):
        self.refuses("src/proto/x.c", '#include "store/store.h"\n', "proto may not include store/store.h")

    def test_a_single_header_allowed_does_not_open_its_folder(self):
        self.accepts("src/domain/x.c", '#include "store/store.h"\n')
        self.refuses("src/domain/y.c", '#include "store/sqlite.h"\n', "domain may not include store/sqlite.h")

    def test_a_header_taken_out_of_an_allowed_folder(self):
        self.refuses("src/codec/x.c", '#include "base/log.h"\n', "codec may not include base/log.h")

    def test_third_party_header_outside_its_folder(self):
        self.refuses("src/io/x.c", "#include <openssl/ssl.h>\n", "io may not use openssl (<openssl/ssl.h>)")

    def test_third_party_header_outside_its_one_file(self):
        self.refuses("src/codec/csv.c", "#include <jansson.h>\n", "jansson is for codec/js.c alone")

    def test_pure_folder_cannot_reach_the_kernel(self):
        self.refuses("src/codec/x.c", "#include <unistd.h>\n", "codec may not use posix (<unistd.h>)")

    def test_header_of_an_unknown_library(self):
        self.refuses("src/io/x.c", "#include <glib.h>\n", "<glib.h> belongs to no library")

    def test_folder_without_a_row(self):
        self.refuses("src/misc/x.h", "\n", "src/misc has no row")

    def test_own_header_not_named_from_src(self):
        self.refuses("src/base/x.c", '#include "err.h"\n', 'write "folder/err.h"')

    def test_text_made_by_the_build_is_the_folder_s_own(self):
        self.accepts("src/store/x.c", '#include "steps.inc"\n')

    def test_exported_function_of_another_name(self):
        self.refuses("src/base/x.c", "int\nx_ok(void)\n{\n\treturn 0;\n}\n\nint\nother(int a)\n{\n\treturn a;\n}\n",
                     "src/base/x.c:8: x.c exports other")

    def test_exported_object_of_another_name(self):
        self.refuses("src/base/x.c", "const struct row table[2] = {0};\n", "x.c exports table")

    def test_a_name_the_table_grants_is_no_finding(self):
        text = "int\nstore_open(void)\n{\n\treturn 0;\n}\n"
        self.accepts("src/store/sqlite_x.c", text)
        self.refuses("src/store/other.c", text, "other.c exports store_open")

    def test_static_names_are_free(self):
        self.accepts("src/base/x.c", "static int count;\nstatic const char *const names[] = {\"a\"};\n\n"
                     "static int\nother(void)\n{\n\treturn count;\n}\n")

    def test_name_exported_by_a_macro_is_seen_in_the_object(self):
        self.plant("src/base/x.c", "#define MAKE(n) int n(void); int n(void) { return 0; }\nMAKE(hidden)\n")
        build = os.path.join(self.tree, "build")
        where = os.path.join(build, "src/base/libbase.a.p")
        os.makedirs(where)
        subprocess.run(["cc", "-c", "-o", where + "/x.c.o", self.tree + "/src/base/x.c"], check=True)
        status, out = self.run_tool("--build", build)
        self.assertEqual(status, 1, out)
        self.assertIn("src/base/x.c:2: x.c exports hidden", out)

    def test_path_of_one_machine_in_any_text_file(self):
        self.refuses("README.md", "see /" + "home/ann/notes\n", "README.md:1: names a path of one machine")

    def test_a_row_that_points_up_is_an_error_of_the_table(self):
        self.plant("docs/layers.md", LAW.replace("randomness, state machines | `tbl` |", "x | `role` |"))
        status, out = self.run_tool()
        self.assertEqual(status, 2, out)
        self.assertIn("base may include role, which is not below it", out)


if __name__ == "__main__":
    unittest.main()
