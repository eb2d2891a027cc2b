"""The exports of the library, and every function with NULL, as the headers declare them."""

from __future__ import annotations

import re
from pathlib import Path

from conftest import BUILT, C99, CC, CPP17, HEADERS_ALONE, Installation, needed, run
from declarations import Function, Parameter, functions


def exported(library: Path) -> set[str]:
    """The names that programs can link with."""
    symbols = run("readelf", "--wide", "--dyn-syms", library)
    rows = [line.split() for line in symbols.splitlines()]
    return {row[7].split("@")[0] for row in rows if len(row) > 7 and row[4] in ("GLOBAL", "WEAK") and row[6] != "UND"}


def test_the_shared_library_exports_what_the_headers_declare(installed: Installation) -> None:
    declared = {function.name for function in functions(installed.include)}
    assert len(declared) > 60
    assert exported(installed.lib / "libcxsink.so") == declared


def test_the_shared_library_has_its_soname(installed: Installation) -> None:
    series = ".".join(installed.version.split(".")[:2])
    dynamic = run("readelf", "--wide", "--dynamic", installed.lib / "libcxsink.so")
    assert f"Library soname: [libcxsink.so.{series}]" in dynamic
    links = {path.name: path.resolve().name for path in installed.lib.glob("libcxsink.so*")}
    real = f"libcxsink.so.{installed.version}"
    assert links == {"libcxsink.so": real, f"libcxsink.so.{series}": real, real: real}


def test_the_shared_library_needs_only_the_systems_own(installed: Installation) -> None:
    dynamic = run("readelf", "--wide", "--dynamic", installed.lib / "libcxsink.so")
    needs = set(re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic))
    assert needs <= {"libgcc_s.so.1", "libm.so.6", "libc.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1"} | {
        name for name in needs if name.startswith("ld-linux")
    }


def test_each_header_stands_alone_in_c99_and_cpp17(installed: Installation) -> None:
    for header in HEADERS_ALONE:
        for compiler, suffix in (([*CC, *C99, "-Wundef"], "c"), ([needed("c++"), *CPP17, "-Wundef"], "cpp")):
            if header.endswith("pp") and suffix == "c":
                continue
            source = BUILT / f"alone.{suffix}"
            source.write_text(f"#include <{header}>\n#include <{header}>\nint main(void) {{ return 0; }}\n")
            run(*compiler, f"-I{installed.include}", "-fsyntax-only", source)


# --- NULL ---------------------------------------------------------------------------------------------------------

VALUES = {
    "const cxsink_config *": "config",
    "cxsink_config *": "config",
    "const cxsink_sink *": "sink",
    "cxsink_sink *": "sink",
    "const cxsink_sink *const *": "sinks",
    "const cxsink_dead_letters *": "letters",
    "const cxsink_validator *": "validator",
    "const cxsink_simulator *": "simulator",
    "cxsink_simulator *": "simulator",
    "const cxsink_error *": "error",
    "const cxsink_notice *": "notice",
    "const cxsink_buffer *": "buffer",
    "cxsink_error **": "&err",
    "const char *const *": "events",
    "const size_t *": "lens",
    "bool *": "&is_ok",
    "cxsink_step_fn": "on_step",
    "uint64_t *": "&number",
    "size_t *": "&len",
    "const uint64_t *": "offsets",
    "void *": "user_data",
    "cxsink_log_fn": "on_record",
    "cxsink_free_fn": "on_free",
    "cxsink_read_fn": "on_read",
    "int32_t": "0",
    "int64_t": "0",
    "uint64_t": "0",
    "uint32_t": "1",
    "size_t": "1",
    "bool": "true",
}
TEXTS = {"key": '"spool.path"', "value": "path", "path": '"/dev/null"', "json": '"{"', "name": '"events"'}
# For these NULL is an answer of its own.
OPTIONAL = {
    "cxsink_error_status": {"error"},
    "cxsink_config_set_log": {"fn", "user_data", "free_user_data"},
    "cxsink_sink_ingest_many": {"lens", "accepted"},
    "cxsink_check": {"on_step", "user_data", "is_ok", "out"},
    "cxsink_sink_import": {"user_data", "accepted"},
    "cxsink_sink_import_file": {"accepted"},
    "cxsink_sink_import_exported_file": {"accepted"},
    "cxsink_dead_letters_purge": {"out"},
    "cxsink_sink_replay": {"out"},
    "cxsink_replay": {"out"},
    "cxsink_sink_replay_forced": {"out"},
    "cxsink_replay_forced": {"out"},
}

PROGRAM = """
#include "check.h"

static void on_record(uint32_t level, const char *target, const char *message, size_t len, void *user_data)
{
    (void)level, (void)target, (void)message, (void)len, (void)user_data;
}

static void on_free(void *user_data)
{
    (void)user_data;
}

static void on_step(const char *step, size_t len, void *user_data)
{
    (void)step, (void)len, (void)user_data;
}

static ptrdiff_t on_read(char *buffer, size_t capacity, void *user_data)
{
    (void)buffer, (void)capacity, (void)user_data;
    return 0;
}

int main(int argc, char **argv)
{
    cxsink_config *config = config_in(argc > 1 ? argv[1] : ".");
    cxsink_sink *sink = opened(config);
    cxsink_error *err = NULL, *error = NULL;
    cxsink_dead_letters *letters = NULL;
    cxsink_validator *validator = NULL;
    cxsink_simulator *simulator = cxsink_simulator_new();
    cxsink_notice *notice = NULL;
    cxsink_buffer *buffer = NULL;
    uint64_t number = 0, offsets[1] = {0};
    size_t len = 0, lens[1] = {1};
    const char *events[1] = {"{"};
    const cxsink_sink *sinks[1];
    bool is_ok = false;
    char path[4096];
    void *user_data = NULL;

    snprintf(path, sizeof path, "%s/spool.db", argc > 1 ? argv[1] : ".");
    CHECK_STATUS(cxsink_dead_letters_open(config, &letters, &err), CXSINK_STATUS_OK);
    CHECK_STATUS(cxsink_validator_new(config, &validator, &err), CXSINK_STATUS_OK);
    CHECK_STATUS(cxsink_config_keys(&buffer, &err), CXSINK_STATUS_OK);
    CHECK(cxsink_config_set(config, "x", "y", &error) == CXSINK_STATUS_CONFIG);
    cxsink_sink_stop(sink);
    CHECK_STATUS(cxsink_sink_poll(sink, 0, &notice, &err), CXSINK_STATUS_OK);
    cxsink_sink_free(&sink);
    sink = opened(config);
    sinks[0] = sink;

CALLS

    cxsink_notice_free(&notice);
    cxsink_buffer_free(&buffer);
    cxsink_error_free(&error);
    cxsink_simulator_free(&simulator);
    cxsink_validator_free(&validator);
    cxsink_dead_letters_free(&letters);
    cxsink_sink_free(&sink);
    cxsink_config_free(&config);
    return checked(__FILE__);
}
"""


def value(parameter: Parameter, outs: list[str]) -> str:
    if parameter.type == "const char *":
        return TEXTS[parameter.name]
    if parameter.type.endswith("**") and parameter.type not in VALUES:
        outs.append(parameter.type.removesuffix("**").strip())
        return "&out"
    return VALUES[parameter.type]


def call(function: Function, nulls: set[str]) -> str:
    """The call with NULL for these, and with something good for the others."""
    outs: list[str] = []
    arguments = ["NULL" if p.name in nulls else value(p, outs) for p in function.parameters]
    expression = f"{function.name}({', '.join(arguments)})"
    before = f"{outs[0]} *out = ({outs[0]} *)&number; " if outs else ""
    must_refuse = function.type == "cxsink_status" and nulls - {"err"} - OPTIONAL.get(function.name, set())
    if function.name.endswith("_free"):
        # A variable of NULL, and none.
        kind = function.parameters[0].type.removesuffix("**").strip()
        return f"{{ {kind} *none = NULL; {function.name}(&none); {function.name}(NULL); CHECK(none == NULL); }}"
    if not must_refuse:
        after = f" {outs[0].strip()}_free(&out);" if outs else ""
        return f"{{ {before}(void){expression};{after} cxsink_error_free(&err); }}"
    expected = f"CHECK({expression} == CXSINK_STATUS_INVALID_ARGUMENT);"
    if "err" not in nulls:
        argument = next(p.name for p in function.parameters if p.name in nulls - OPTIONAL.get(function.name, set()))
        expected += f' CHECK(strstr(cxsink_error_message(err), "{function.name}: ") != NULL);'
        if len(nulls) == 1:
            expected += f' CHECK(strstr(cxsink_error_message(err), "{argument} is NULL") != NULL);'
    after = " CHECK(out == NULL);" if outs else ""
    return f"{{ {before}{expected}{after} cxsink_error_free(&err); }}"


def test_every_function_with_every_pointer_null(installed: Installation, tmp_path: Path) -> None:
    calls = []
    for function in functions(installed.include):
        pointers = [parameter.name for parameter in function.parameters if parameter.is_pointer]
        for pointer in pointers:
            calls.append(call(function, {pointer}))
            calls.append(call(function, {pointer, "err"} & set(pointers)))
        if pointers:
            calls.append(call(function, set(pointers)))
    assert len(calls) > 200
    source = BUILT / "null_pointers.c"
    source.write_text(PROGRAM.replace("CALLS", "\n".join(f"    {text}" for text in calls)))
    said = run(installed.build(source, f"-I{Path(__file__).parent}"), tmp_path)
    assert re.search(r"\d\d\d passed, 0 failed", said), said
