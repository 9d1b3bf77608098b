# SPDX-License-Identifier: Apache-2.0
"""`tagalong run`: the environment is set, and the program is started as if we were not there."""
import os
import signal
import subprocess

import pytest

from command import CLEAN, as_nobody, install, open_to_all, start, tagalong
from harness import paths

LIBRARY = str(paths.LIBRARY)
PRINT = ["sh", "-c", 'printf "%s" "$LD_PRELOAD"']


def variable(name, *words, env=None):
    done = tagalong("run", *words, "--", "sh", "-c", f'printf "%s" "${{{name}-unset}}"', env=env)
    assert done.status == 0, done.text
    return done.out


def test_preloads_the_library():
    assert tagalong("run", "--", *PRINT) == (0, LIBRARY, "")
    assert tagalong("run", *PRINT).out == LIBRARY


def test_appends_to_what_is_preloaded(tmp_path):
    other = tmp_path / "other.so"
    subprocess.run(["gcc", "-shared", "-o", other, "-x", "c", "/dev/null"], check=True)
    assert tagalong("run", *PRINT, env={"LD_PRELOAD": str(other)}).out == f"{other}:{LIBRARY}"


def test_preloads_once(tmp_path):
    link = tmp_path / "link.so"
    link.symlink_to(LIBRARY)
    for before in (LIBRARY, str(link)):
        assert tagalong("run", *PRINT, env={"LD_PRELOAD": before}).out == before
    assert tagalong("run", paths.COMMAND, "run", *PRINT).out == LIBRARY


@pytest.mark.parametrize("layout", [".", "../lib", "../lib/tagalong"])
def test_finds_the_library_beside_itself(tmp_path, layout):
    program = install(tmp_path, layout=layout)
    want = (program.parent / layout / "libtagalong.so").resolve()
    assert tagalong("run", *PRINT, program=program).out == str(want)
    link = tmp_path / "tagalong-link"
    link.symlink_to(program)
    assert tagalong("run", *PRINT, program=link).out == str(want)


def test_missing_library_is_said_clearly(tmp_path):
    done = tagalong("run", "true", program=install(tmp_path, library=False))
    assert done.status == 125
    assert "libtagalong.so is missing" in done.err and str(tmp_path) in done.err


def test_broken_library_is_said_clearly(tmp_path):
    program = install(tmp_path)
    (program.parent / "libtagalong.so").write_text("nonsense")
    done = tagalong("run", "true", program=program)
    assert done.status == 125 and "is not a shared library" in done.err


@pytest.mark.skipif(os.getuid() != 0, reason="changes user")
def test_unreadable_library_is_said_clearly(tmp_path):
    open_to_all(tmp_path)
    program = install(tmp_path)
    (program.parent / "libtagalong.so").chmod(0o600)
    done = tagalong("run", "true", program=program, preexec_fn=as_nobody)
    assert done.status == 125 and "cannot be read: Permission denied" in done.err


def test_library_in_a_folder_with_a_space(tmp_path):
    done = tagalong("run", "true", program=install(tmp_path / "a b"))
    assert done.status == 125 and "holds a space" in done.err


def test_exit_status_is_the_programs():
    for status in (0, 1, 7, 125, 255):
        assert tagalong("run", "sh", "-c", f"exit {status}").status == status
    assert tagalong("run", "sh", "-c", "kill -9 $$").status == -signal.SIGKILL
    assert tagalong("run", "--exec", "sh", "-c", "exit 9").status == 9


def test_process_and_signals_are_the_programs_with_exec():
    child = start("run", "--exec", "--", "sh", "-c", 'trap "exit 9" TERM; echo $$; while :; do sleep 0.05; done')
    assert int(child.stdout.readline()) == child.pid
    child.send_signal(signal.SIGTERM)
    assert child.wait(10) == 9
    child.communicate()


def test_arguments_stay_as_they_are():
    done = tagalong("run", "--", "printf", "<%s>", "a b", "", "--service", "$x", "ü")
    assert done.out == "<a b><><--service><$x><ü>"


def test_standard_input_is_the_programs():
    assert tagalong("run", "cat", stdin="hello").out == "hello"


def test_programs_that_do_not_start(tmp_path):
    done = tagalong("run", "no-such-program")
    assert done.status == 127 and "no-such-program: command not found" in done.err
    done = tagalong("run", tmp_path / "nothing")
    assert done.status == 127 and "No such file" in done.err
    (tmp_path / "plain").write_text("x")
    done = tagalong("run", tmp_path / "plain")
    assert done.status == 126 and "Permission denied" in done.err
    assert tagalong("run", tmp_path).status == 126


def test_options_set_variables(tmp_path):
    assert variable("OTEL_SERVICE_NAME", "--service", "api") == "api"
    assert variable("OTEL_EXPORTER_OTLP_ENDPOINT", "--endpoint", "http://x:1") == "http://x:1"
    assert variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "--endpoint", "http://x:1",
                    env={"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://y/"}) == "unset"
    assert variable("OTEL_TRACES_EXPORTER", "--console") == "console"
    assert variable("TAGALONG_LINK", "--link", "best") == "best"
    assert variable("TAGALONG_STATS", "--stats", "--console", "--log", os.devnull) == "true"
    assert variable("TAGALONG_LOG", "--log", "/dev/null") == "/dev/null"
    assert variable("OTEL_TRACES_SAMPLER_ARG", "--sample", "0.25") == "0.25"
    assert variable("TAGALONG_TRACES_FILE", "--file", tmp_path / "t") == str(tmp_path / "t")
    assert variable("A", "--env", "A=b=c", "-E", "D=") == "b=c"
    assert variable("D", "--env", "A=b=c", "-E", "D=") == ""
    assert variable("OTEL_SERVICE_NAME", env={"OTEL_SERVICE_NAME": "mine"}) == "mine"


def test_files_are_named_from_the_root(tmp_path):
    done = subprocess.run([paths.COMMAND, "run", "-f", "t.jsonl", "sh", "-c",
                           'printf "%s" "$TAGALONG_TRACES_FILE"'], cwd=tmp_path, env=CLEAN,
                          capture_output=True, text=True)
    assert done.stdout == str(tmp_path / "t.jsonl")


def test_mistakes_in_variables_are_said_and_the_program_runs():
    done = tagalong("run", "--console", "echo", "ran", env={
        "OTEL_BSP_SCHEDULE_DELAY": "soon", "TAGALONG_LNIK": "best", "OTEL_SERVICE_NMAE": "x",
        "OTEL_SOMETHING_OF_OTHERS": "1"})
    assert done.status == 0 and done.out == "ran\n"
    warnings = [line for line in done.err.splitlines() if line.startswith("tagalong: warning: ")]
    assert len(warnings) == 3
    assert any("OTEL_BSP_SCHEDULE_DELAY" in w and "soon" in w and "1000" in w for w in warnings)
    assert any("TAGALONG_LNIK" in w and "did you mean TAGALONG_LINK?" in w for w in warnings)
    assert any("OTEL_SERVICE_NMAE" in w and "OTEL_SERVICE_NAME?" in w for w in warnings)
    assert tagalong("run", "-q", "--console", "true", env={"TAGALONG_LNIK": "best"}).err == ""


def test_what_does_not_work_in_process_is_said():
    assert "https, which is not spoken" in tagalong("run", "--exec", "-e", "https://x", "true").err
    grpc = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    assert "grpc is not spoken" in tagalong("run", "--exec", "true", env=grpc).err
    assert tagalong("run", "--exec", "-e", "https://x", "-f", "/dev/null", "true").err == ""
    assert tagalong("run", "-e", "https://x", "true").err == ""
    assert tagalong("run", "true", env=grpc).err == ""


def test_says_when_a_program_will_not_be_traced():
    done = tagalong("run", "--console", "busybox", "echo", "hi")
    assert done.out == "hi\n" and "will not be traced" in done.err and "static" in done.err


def test_wrong_command_lines():
    for words in ([], ["--"], ["--service"], ["--link", "sometimes", "true"], ["--env", "x", "true"],
                  ["--sample", "2", "true"], ["--servce", "x", "true"], ["--console=1", "true"]):
        done = tagalong("run", *words)
        assert done.status == 125 and "usage: tagalong run" in done.err, words
    assert "did you mean --service?" in tagalong("run", "--servce", "x", "true").err


def test_help():
    for words in (["--help"], ["help"], ["-h"]):
        done = tagalong(*words)
        assert done.status == 0 and "doctor" in done.out
    for verb in ("run", "agent", "doctor", "view", "check", "version"):
        done = tagalong(verb, "--help")
        assert done.status == 0 and done.out.startswith(f"usage: tagalong {verb}")
        assert tagalong("help", verb).out == done.out
        assert all(len(line) <= 100 for line in done.out.splitlines() if "," not in line)
    assert "OTEL_TRACES_SAMPLER\n" in tagalong("run", "--help").out
    assert tagalong("--version") == tagalong("version")
    done = tagalong("veiw")
    assert done.status == 2 and "did you mean 'view'?" in done.err
    assert tagalong().status == 2


def completed(line):
    """What bash offers at the end of a line."""
    words = line.split(" ")
    script = (f"source {paths.ROOT}/scripts/completion/tagalong.bash\n"
              f"PATH={paths.BUILD}:$PATH\n"
              f"COMP_WORDS=({' '.join(repr(w) for w in words)})\n"
              f"COMP_CWORD={len(words) - 1}\n_tagalong\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"")
    out = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, env=CLEAN)
    assert not out.stderr
    return out.stdout.split()


def test_bash_completion():
    assert completed("tagalong ") == ["run", "agent", "doctor", "view", "check", "version", "help",
                                      "--help", "--version"]
    assert completed("tagalong d") == ["doctor"]
    assert completed("tagalong view --f") == ["--follow"]
    assert completed("tagalong run --ex") == ["--exec"]
    assert "sleep" in completed("tagalong run --exec slee")
    assert completed("tagalong run --link ") == ["exact", "best"]
    assert "--expect" in completed("tagalong check --e")
    assert "--help" in completed("tagalong run --")
    assert "/etc/passwd" in completed("tagalong view /etc/passw")
    assert "/etc/passwd" in completed("tagalong run --file /etc/passw")
    assert "sleep" in completed("tagalong run --service x -- slee")
    assert "/etc/passwd" in completed("tagalong run cat /etc/passw")
