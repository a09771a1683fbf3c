"""``lipfarm``: the commands, their options, and how errors reach a person.

Heavy modules (torch, cv2, av) are imported by the command that needs them, so ``--help`` and
``lipfarm models`` answer at once.
"""

import errno
import importlib
import json
import os
import signal
import sys
import threading
from types import FrameType
from typing import Any, Final

import click

from infra.errors import InfraError
from pipeline.errors import MemoryExhaustedError, PipelineError, StorageFullError

#: As a shell reports a process ended by SIGINT, and by SIGTERM.
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143

#: As a shell reports a process ended by SIGPIPE.
EXIT_BROKEN_PIPE = 141

_AFTER_DESTRUCTOR_SECONDS: Final = 0.1

#: A bug of ours (EX_SOFTWARE of sysexits.h).
EXIT_BUG = 70


class _Terminated(BaseException):
    """SIGTERM arrived; unwinds like Ctrl-C so that everything cleans up after itself."""


#: Where each command stands; the module bears its name.
_MODULES: Final = {
    "api_command": ["api"],
    "batch_commands": ["batch", "estimate"],
    "doctor_command": ["doctor"],
    "dub_command": ["dub"],
    "farm_commands": ["audit", "collect", "migrate"],
    "fetch_command": ["fetch"],
    "generation_commands": ["cancel", "pause", "resume", "retry", "status", "watch"],
    "key_commands": ["keys", "projects"],
    "media_commands": ["frames", "waveform"],
    "models_command": ["models"],
    "submit_command": ["submit"],
    "train_commands": ["train"],
    "up_command": ["up"],
    "worker_command": ["reconciler", "worker"],
}
_MODULE_OF: Final = {name: module for module, names in _MODULES.items() for name in names}


class Commands(click.Group):
    """Imports a command when it is asked for: no command waits for another one's libraries."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- as click calls it
        return sorted(_MODULE_OF)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002
        cmd_name: str,
    ) -> click.Command | None:
        if cmd_name not in _MODULE_OF:
            return None
        module = importlib.import_module(f"lipfarm.{_MODULE_OF[cmd_name]}")
        command: click.Command = getattr(module, cmd_name)
        return command


@click.group(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="lipfarm")
def cli() -> None:
    """Re-render every speaking mouth of a film to match a dubbed dialogue track."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with a documented status (docs/cli.md)."""
    arguments = sys.argv[1:] if arguments is None else arguments
    _heed_signals()
    try:
        status = cli.main(arguments, standalone_mode=False)
    except click.exceptions.Abort:
        status = _fail("interrupted", "interrupted; run the same command again to continue", 130)
    except KeyboardInterrupt:
        status = _fail(
            "interrupted", "interrupted; run the same command again to continue", EXIT_INTERRUPTED
        )
    except _Terminated:
        status = _fail(
            "terminated", "terminated; run the same command again to continue", EXIT_TERMINATED
        )
    except click.ClickException as error:
        status = _fail("usage", error.format_message(), error.exit_code)
    except (PipelineError, InfraError) as error:
        status = _fail_with(error, arguments)
    except MemoryError:
        message = "out of memory; close other programs, or work on fewer segments at once"
        status = _fail_with(MemoryExhaustedError(message, field="workers"), arguments)
    except BrokenPipeError:
        # The reader of our stdout went away (`lipfarm … | head`); there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = EXIT_BROKEN_PIPE
    except OSError as error:
        status = _fail_for_os_error(error)
    except Exception as error:
        status = _fail_for_bug(error)
    sys.exit(status or 0)


def _fail_with(error: PipelineError | InfraError, arguments: list[str]) -> int:
    """Tell an error, and what the command that ran calls the field it is about."""
    name = None if error.field is None else _name_of(error.field, arguments)
    if name is None:
        return _fail(error.code, str(error), error.exit_status)
    return _fail(error.code, f"{error} ({name})", error.exit_status, option=name)


def _name_of(field: str, arguments: list[str]) -> str | None:
    """Of a field, the option or argument of the command that ran; None where it has none."""
    command: click.Command | None = cli
    for word in arguments:
        if not isinstance(command, click.Group):
            break
        command = command.get_command(click.Context(command), word)
    for parameter in command.params if command else ():
        if parameter.name == field:
            is_option = isinstance(parameter, click.Option)
            return max(parameter.opts, key=len) if is_option else parameter.human_readable_name
    return None


def _fail(code: str, message: str, status: int, **more: str) -> int:
    """One line on stderr; with ``--json`` also one event on stdout, which has ``more`` in it."""
    one_line = " ".join(message.split())
    click.echo(f"lipfarm: {one_line}", err=True)
    if "--json" in sys.argv:
        event: dict[str, Any] = {"event": "failed", "code": code, "message": one_line}
        click.echo(json.dumps(event | {"exit_status": status} | more))
    return status


def _fail_for_os_error(error: OSError) -> int:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        message = "no space left on the device; free some, then run the same command to continue"
        return _fail(StorageFullError.code, message, StorageFullError.exit_status)
    where = f": {error.filename}" if error.filename else ""
    return _fail("os_error", f"{error.strerror or error}{where}", 5)


def _fail_for_bug(error: Exception) -> int:
    """An error nobody foresaw. The traceback is shown only when asked for."""
    if os.environ.get("LIPFARM_DEBUG"):
        raise error
    message = f"a bug in lipfarm ({type(error).__name__}: {error})"
    hint = "; run with LIPFARM_DEBUG=1 for the details and please report it"
    return _fail("internal_error", message + hint, EXIT_BUG)


def _heed_signals() -> None:
    signal.signal(signal.SIGTERM, _raise_terminated)
    if sys.unraisablehook is sys.__unraisablehook__:  # a debugger's or a test's stays
        sys.unraisablehook = _send_again


def _send_again(dropped: "sys.UnraisableHookArgs") -> None:
    """A signal that came while a destructor ran, where Python drops exceptions, comes again."""
    number = {KeyboardInterrupt: signal.SIGINT, _Terminated: signal.SIGTERM}.get(dropped.exc_type)
    if number is None:
        sys.__unraisablehook__(dropped)
        return
    again = threading.Timer(_AFTER_DESTRUCTOR_SECONDS, os.kill, (os.getpid(), number))
    again.daemon = True
    again.start()


def _raise_terminated(_signal: int, _frame: FrameType | None) -> None:
    raise _Terminated
