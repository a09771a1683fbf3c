"""Rules of the project that no tool checks for us."""

import ast
import importlib
import inspect
import os
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from infra import checkpoints
from infra import errors as infra_errors
from infra.checkpoints import REGISTRY
from infra.settings import PREFIX, Settings
from pipeline import errors as pipeline_errors
from pipeline.running.commands import run
from tests.patience import LONG_SECONDS

ROOT = Path(__file__).resolve().parents[1]
CODE = ("pipeline", "infra", "api", "workers", "lipfarm", "migrations", "bench")
MEBIBYTE = 1 << 20

#: Footage and weights; the demo's speech is FLAC, and documents have PNGs. The one exception is the
#: network that comes with lipfarm.
NEVER_COMMITTED = (".mp4", ".mkv", ".mov", ".webm", ".wav", ".pth", ".pt", ".onnx", ".safetensors")


@cache
def tracked() -> tuple[Path, ...]:
    if not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout")
    names = (
        run(["git", "-C", str(ROOT), "ls-files", "-z"], timeout=LONG_SECONDS).decode().split("\0")
    )
    return tuple(path for name in names if name and (path := ROOT / name).is_file())


def documents() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".md"]


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """Every call in the program: where, what (dotted), and the node."""
    for folder in CODE:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call):
                    where = f"{path.relative_to(ROOT)}:{node.lineno}"
                    yield where, ast.unparse(node.func), node


def is_set(call: ast.Call, name: str, value: object) -> bool:
    return any(
        word.arg == name and isinstance(word.value, ast.Constant) and word.value.value is value
        for word in call.keywords
    )


def error_classes() -> list[type[Exception]]:
    return [
        member
        for module in (pipeline_errors, infra_errors)
        for _, member in inspect.getmembers(module, inspect.isclass)
        if member.__module__ == module.__name__
        and member not in {pipeline_errors.PipelineError, infra_errors.InfraError}
    ]


def exit_table() -> dict[int, str]:
    text = (ROOT / "docs/cli.md").read_text().split("## Exit status")[1]
    rows = re.findall(r"^\| (\d+) \| (.*?) \|", text, re.MULTILINE)
    return {int(status): codes for status, codes in rows}


@cache
def command_line() -> click.Group:
    from lipfarm.cli import cli  # noqa: PLC0415 -- a broken command line fails its own tests only

    return cli


# --- errors ---


@pytest.mark.parametrize("error", error_classes(), ids=lambda error: error.__name__)
def test_every_error_is_in_the_table_of_exit_statuses(error):
    assert f"`{error.code}`" in exit_table()[error.exit_status]


@pytest.mark.parametrize("error", error_classes(), ids=lambda error: error.__name__)
def test_every_error_is_drawn_in_its_modules_tree(error):
    module = importlib.import_module(error.__module__)
    assert re.search(rf"── {error.__name__}\b", module.__doc__ or "")


def test_error_codes_are_used_once():
    codes = [error.code for error in error_classes()]
    assert len(codes) == len(set(codes))


def test_the_statuses_of_signals_are_documented():
    from lipfarm import cli  # noqa: PLC0415

    assert "`interrupted`" in exit_table()[cli.EXIT_INTERRUPTED]
    assert "`terminated`" in exit_table()[cli.EXIT_TERMINATED]


# --- documents ---


def test_every_make_target_a_document_names_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in documents():
        # In code only: "make sure" is English.
        code = re.findall(r"`([^`\n]+)`|^ {4}(.+)$", document.read_text(), re.MULTILINE)
        for line in ("".join(pair) for pair in code):
            for target in re.findall(r"^make ([a-z-]+)", line):
                assert target in targets, f"{document.name}: make {target}"


def test_every_module_of_commands_is_reached_and_every_name_is_its_own():
    modules = {path.stem for path in (ROOT / "lipfarm").glob("*_command*.py")}
    assert {command.callback.__module__ for command in _children(command_line()).values()} == {
        f"lipfarm.{module}" for module in modules
    }
    assert all(name == command.name for name, command in _children(command_line()).items())


def test_every_command_the_readme_shows_exists_with_its_options():
    names = "|".join(_children(command_line()))
    shown = [
        line
        for name in ("README.md", "docs/operations.md")
        for line in re.findall(rf"lipfarm ((?:{names})\b[^`\n]*)", _text(name))
    ]
    assert shown
    for line in shown:
        command = _find_command(line.split())
        for option in re.findall(r"--[a-z-]+", line):
            assert option in _options(command), f"lipfarm {line}"


def test_every_command_and_option_is_documented():
    text = _text("docs/cli.md")
    for path, command in _commands(command_line(), "lipfarm"):
        assert path in text
        for option in _options(command) - {"--help"}:
            assert f"`{option}`" in text or f"{option} " in text, f"{path} {option}"


def test_every_documented_option_exists():
    known = set().union(*(_options(c) for _, c in _commands(command_line(), "lipfarm")))
    text = _text("docs/cli.md")
    assert set(re.findall(r"--[a-z]+(?:-[a-z]+)*", text)) <= known | {"--help"}


def test_every_setting_is_documented_and_every_documented_one_exists():
    documented = set(re.findall(r"LIPFARM_[A-Z0-9_]+", _text("docs/operations.md")))
    settings = {PREFIX + name.upper() for name in Settings.model_fields}
    clients = {"LIPFARM_URL", "LIPFARM_API_KEY"}
    assert documented - clients == settings


def test_every_choice_of_an_option_is_documented():
    text = _text("docs/cli.md")
    for path, command in _commands(command_line(), "lipfarm"):
        for parameter in command.params:
            if isinstance(parameter.type, click.Choice):
                for choice in parameter.type.choices:
                    assert f"`{choice}`" in text, f"{path} {parameter.opts[0]} {choice}"


def test_every_checkpoint_is_documented_with_what_its_licence_allows():
    for name, entry in checkpoints.REGISTRY.items():
        row = re.search(rf"^\| `{name}` \|.*\| (yes|no) \|$", _text("docs/cli.md"), re.MULTILINE)
        assert row, name
        assert (row[1] == "yes") == entry.licence.commercial_use


def test_links_between_documents_lead_somewhere():
    for document in documents():
        for link in re.findall(r"\]\(([^)#\s]+)", document.read_text()):
            if "://" not in link:
                assert (document.parent / link).exists(), f"{document.relative_to(ROOT)}: {link}"


def test_every_decision_is_listed():
    listed = _text("docs/decisions/README.md")
    records = sorted(path.name for path in (ROOT / "docs/decisions").glob("[0-9]*.md"))
    assert [int(name[:4]) for name in records] == list(range(1, len(records) + 1))
    assert all(f"({name})" in listed for name in records)


# --- code ---


def test_checkpoints_are_loaded_as_data_only():
    loads = [(where, call) for where, name, call in calls() if name == "torch.load"]
    for where, call in loads:
        assert is_set(call, "weights_only", True), where


def test_nothing_goes_through_a_shell_or_a_pickle():
    for where, name, call in calls():
        assert not is_set(call, "shell", True), where
        assert name not in {"os.system", "os.popen", "subprocess.getoutput"}, where
        assert not re.match(r"(pickle|cPickle|dill|joblib|marshal)\.", name), where
        assert not is_set(call, "allow_pickle", True), where
        assert name not in {"eval", "exec"}, where


def test_media_is_never_opened_by_another_door():
    for where, name, _ in calls():
        assert name not in {"cv2.VideoCapture", "ffmpeg.run", "ffmpeg.probe"}, where


def test_modules_are_named_for_what_they_do():
    for folder in CODE:
        for path in (ROOT / folder).rglob("*.py"):
            assert path.stem not in {"utils", "util", "helpers", "helper", "misc", "common"}, path


def test_the_command_line_answers_without_loading_the_media_stack():
    script = (
        "import sys, lipfarm.cli\n"
        "print(*sorted({'torch', 'cv2', 'librosa', 'scipy', 'av'} & set(sys.modules)))"
    )
    assert run([sys.executable, "-c", script], timeout=LONG_SECONDS).decode().split() == []


def test_only_the_command_line_names_its_options():
    """A message of the others is read over HTTP, too: it has a ``field``, which each names itself.

    The texts are walked, not the exceptions: a message may be put together before it is raised.
    """
    named = {
        where: text
        for folder in ("pipeline", "infra", "workers", "api")
        for where, text in _texts(folder)
        if re.search(r"(?<![\w-])--[a-z]", text)
    }
    # Programs have options, too.
    of_programs = ("infra/services/postgres.py:",)
    assert [each for each in named.items() if not each[0].startswith(of_programs)] == []


def test_what_errors_are_about_is_known_to_the_command_line():
    known = {p.name for _, c in _commands(command_line(), "lipfarm") for p in c.params}
    about = {
        word.value.value
        for _, name, call in calls()
        for word in call.keywords
        if name.endswith("Error") and word.arg == "field" and isinstance(word.value, ast.Constant)
    }
    assert "work_dir" in about
    assert about <= known


def _texts(folder: str) -> Iterator[tuple[str, str]]:
    """Every text in the code, but for docstrings: where, and what it says."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        tree = ast.parse(path.read_text())
        docstrings = {
            id(node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        }
        for node in ast.walk(tree):
            is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
            if is_text and id(node) not in docstrings:
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node.value


# --- the repository ---


def test_no_footage_no_weights_and_nothing_large_is_committed():
    shipped = {entry.path for entry in REGISTRY.values() if entry.shipped}
    for path in set(tracked()) - shipped:
        assert path.suffix.lower() not in NEVER_COMMITTED, path
        assert path.stat().st_size <= MEBIBYTE, path


def test_what_is_shipped_is_committed_whole_and_small_with_its_card():
    for entry in (entry for entry in REGISTRY.values() if entry.shipped):
        assert entry.path in tracked()
        assert checkpoints.verify(entry.name) is checkpoints.State.SOUND
        assert entry.size <= 12_000_000
        card = entry.path.with_suffix(".md").read_text()
        assert entry.sha256 in card
        assert entry.licence.name in " ".join(card.split())


def test_direct_dependencies_are_pinned_and_the_constraints_agree():
    constraints = _pins((ROOT / "constraints.txt").read_text().splitlines())
    project = tomllib.loads(_text("pyproject.toml"))
    extras = project["project"]["optional-dependencies"].values()
    groups = project["dependency-groups"].values()
    for wanted in (project["project"]["dependencies"], *extras, *groups):
        for name, version in _pins(wanted).items():
            assert constraints.get(re.sub(r"\[.*\]", "", name)) == version, name


def test_constraints_name_versions_and_no_places():
    for line in _text("constraints.txt").splitlines():
        assert line.startswith("#") or re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9a-z.]*", line), line


def test_ci_runs_the_checks_and_the_tests():
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    assert "set -euo pipefail" in script.read_text()
    assert re.findall(r"^make (\w+)$", script.read_text(), re.MULTILINE) == ["check", "test"]


def _text(name: str) -> str:
    return (ROOT / name).read_text()


def _pins(lines: list[str]) -> dict[str, str]:
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pins}


def _options(command: click.Command) -> set[str]:
    return {"--help"} | {o for p in command.params for o in p.opts if o.startswith("--")}


def _commands(group: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Every command below ``group`` that does something itself, with its full name."""
    if not isinstance(group, click.Group):
        yield path, group
        return
    for name, command in _children(group).items():
        yield from _commands(command, f"{path} {name}")


def _find_command(words: list[str]) -> click.Command:
    command: click.Command = command_line()
    for word in words:
        if not isinstance(command, click.Group):
            break
        command = _children(command)[word]
    return command


def _children(group: click.Group) -> dict[str, click.Command]:
    context = click.Context(group)
    known = {name: group.get_command(context, name) for name in group.list_commands(context)}
    return {name: command for name, command in known.items() if command}
