"""Stops the start of a simulated kit, a local cloud or an emulator, in a quick test and in all that it runs.

Python imports this at its start when it finds it on its path; standard library only.
"""

import os
import sys

REPORT = "QUICK_TEST_REPORT"
"""Names the file that gets what was started; the watch acts only while it is set."""
WORDS = ("--simulate", "IOTPROVISION_SIMULATE", "iotprovision.simulator")
"""What is said to a program that starts one, or is one."""


def stop_if_no_quick_command(words):  # type: ignore[no-untyped-def]
    """Write down and refuse a command that has one of the words in it."""
    report = os.environ.get(REPORT)
    text = " ".join(map(str, words))
    if report and any(word in text for word in WORDS):
        with open(report, "a", encoding="utf-8") as file:  # noqa: PTH123 - pathlib would cost every program
            file.write(text + "\n")
        raise RuntimeError(f"a quick test may not start this: {text}")


def _on_event(event, arguments):  # type: ignore[no-untyped-def]
    if event == "subprocess.Popen":
        _, command, _, environment = arguments
        words = [command] if isinstance(command, (str, bytes)) else list(command)
        names = os.environ if environment is None else environment
        stop_if_no_quick_command([*words, *(name for name in map(str, names) if name in WORDS)])


if REPORT in os.environ:
    stop_if_no_quick_command(sys.orig_argv[1:])
sys.addaudithook(_on_event)
