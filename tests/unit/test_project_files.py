"""What the project says of itself in several files is the same in all of them."""

import fnmatch
import importlib
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

import unlearning_core
from unlearning_core.files import INSTALLED, ROOT
from unlearning_core.visitors.rules import rules

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
BUNDLED = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
INSTRUCTIONS = {
    "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "ONBUILD", "RUN",
    "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
}  # fmt: skip


def pins(name: str) -> dict[str, Version]:
    """Package and version of every line of a requirements file."""
    lines = [line.partition("#")[0].strip() for line in (ROOT / name).read_text(encoding="utf-8").splitlines()]
    pairs = [line.split("==") for line in lines if line]
    return {package: Version(version) for package, version in pairs}


def ranges(lines: list[str]) -> dict[str, Requirement]:
    return {requirement.name: requirement for requirement in map(Requirement, lines)}


DOCKERFILES = ("Dockerfile", "space/Dockerfile")
"""One's own dashboard, and the demo for strangers."""


def instructions(file: str) -> list[tuple[str, str]]:
    """(instruction, arguments) of a Dockerfile, comments left out, continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / file).read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = [line.strip() for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def arguments(file: str, wanted: str) -> list[str]:
    return [rest for word, rest in instructions(file) if word == wanted]


def copied(file: str) -> list[str]:
    """What a Dockerfile copies from the checkout."""
    return [source for rest in arguments(file, "COPY") for source in rest.split()[:-1]]


def test_every_pinned_package_is_in_the_range_that_the_package_asks_for() -> None:
    asked = ranges([*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["neurox"]])
    pinned = pins("requirements.txt")
    assert set(asked) == set(pinned)
    outside = {name: str(asked[name]) for name, version in pinned.items() if version not in asked[name].specifier}
    assert outside == {}


@pytest.mark.parametrize("extra", ["dev", "models"])
def test_an_extra_asks_for_what_its_requirements_file_pins(extra: str) -> None:
    exact = {name: f"=={version}" for name, version in pins(f"requirements-{extra}.txt").items()}
    asked = ranges(PROJECT["optional-dependencies"][extra])
    assert {name: str(requirement.specifier) for name, requirement in asked.items()} == exact


def test_the_harness_that_is_pinned_is_in_the_range_that_its_extra_asks_for() -> None:
    pinned = pins("requirements-benchmarks.txt")
    asked = ranges(PROJECT["optional-dependencies"]["benchmarks"])
    assert {name: pinned[name] in requirement.specifier for name, requirement in asked.items()} == {"lm-eval": True}


def test_python_is_at_least_the_version_that_the_tests_and_the_types_are_checked_on() -> None:
    checked = PYPROJECT["tool"]["mypy"]["python_version"]
    assert PROJECT["requires-python"] == f">={checked}"
    assert f"Programming Language :: Python :: {checked}" in PROJECT["classifiers"]


@pytest.mark.parametrize("command", PROJECT["scripts"])
def test_a_command_is_a_function_of_the_package(command: str) -> None:
    module, function = PROJECT["scripts"][command].split(":")
    assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.slow
def test_the_module_and_the_command_do_the_same(tmp_path: Path) -> None:
    module, function = PROJECT["scripts"]["unlearn"].split(":")
    ways = (["-m", "unlearning_core"], ["-c", f"from {module} import {function}; {function}()"])
    environment = {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    done = [
        subprocess.run(
            [sys.executable, *way, "run", "nowhere.json"],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
        )
        for way in ways
    ]  # fmt: skip
    assert [each.returncode for each in done] == [2, 2]
    assert "nowhere.json does not exist" in done[0].stderr
    assert done[0].stderr == done[1].stderr


def test_a_checkout_is_its_own_root() -> None:
    assert not INSTALLED
    assert Path(__file__).resolve().parents[2] == ROOT
    assert (ROOT / "pyproject.toml").is_file()


@pytest.mark.parametrize("source", BUNDLED)
def test_the_wheel_takes_a_part_of_the_checkout_under_the_same_name(source: str) -> None:
    assert (ROOT / source).exists()
    assert BUNDLED[source] == f"unlearning_core/_bundled/{source}"


def test_citation_and_changelog_name_the_version_and_the_licence() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == unlearning_core.__version__
    assert citation["license"] == PROJECT["license"] == "Apache-2.0"
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").split()[:2] == ["Apache", "License"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## \[(\d.*?)\] - (\d{4}-\d\d-\d\d)$", changelog, flags=re.MULTILINE)
    assert released[0] == (citation["version"], str(citation["date-released"]))


def test_contributing_names_files_and_make_targets_that_there_are() -> None:
    words = re.findall(r"`([^`]+)`", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    paths = [re.sub(r"<[^>]*>.*", "", word) for word in words if re.fullmatch(r"[\w<>./-]*(/|\.\w+)", word)]
    assert len(paths) > 15
    assert [path for path in paths if not (ROOT / path).exists()] == []
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = [word.removeprefix("make ") for word in words if word.startswith("make ")]
    assert targets
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, flags=re.MULTILINE)] == []


@pytest.mark.parametrize("file", DOCKERFILES)
def test_the_dockerfile_has_only_instructions_that_docker_knows(file: str) -> None:
    words = [word for word, _ in instructions(file)]
    assert set(words) <= INSTRUCTIONS
    assert words[0] == "FROM"
    assert arguments(file, "FROM") == ["python:3.11-slim"]


@pytest.mark.parametrize("file", DOCKERFILES)
def test_what_the_dockerfile_copies_is_there_and_is_all_that_the_wheel_is_built_from(file: str) -> None:
    assert [source for source in copied(file) if not (ROOT / source).exists()] == []
    needed = ["pyproject.toml", "requirements.txt", PROJECT["readme"], *PROJECT["license-files"], *BUNDLED]
    needed += PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    missing = [path for path in needed if not any(Path(path).is_relative_to(source) for source in copied(file))]
    assert missing == []


@pytest.mark.parametrize("file", DOCKERFILES)
def test_docker_is_given_what_the_dockerfile_copies_and_nothing_that_a_person_made(file: str) -> None:
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()

    def is_given(path: str) -> bool:
        given = True
        for rule in rules:
            pattern = rule.removeprefix("!")
            if any(fnmatch.fnmatch(part, pattern) for part in (path, *map(str, Path(path).parents))):
                given = rule.startswith("!")
        return given

    wanted = [*BUNDLED, *(source for source in copied(file) if source != "models")]
    assert [path for path in wanted if not is_given(path)] == []
    assert not any(
        map(is_given, ("runs/one/log.txt", "logs/app.log", "models/smollm2/config.json", ".venv/bin/python"))
    )


@pytest.mark.parametrize("file", DOCKERFILES)
def test_the_image_serves_the_dashboard_as_a_user_without_rights_and_says_whether_it_is_well(file: str) -> None:
    (command,) = (json.loads(rest) for rest in arguments(file, "CMD"))
    assert command[0] in PROJECT["scripts"]
    port = command[command.index("--port") + 1]
    assert arguments(file, "EXPOSE") == [port]
    assert f"localhost:{port}/_stcore/health" in arguments(file, "HEALTHCHECK")[0]
    user = arguments(file, "USER")[-1]
    assert user not in ("root", "0")
    assert any(re.fullmatch(rf"useradd --create-home (--uid \d+ )?{user}", rest) for rest in arguments(file, "RUN"))


def test_the_space_names_the_port_of_its_dockerfile_and_keeps_to_rules() -> None:
    readme = (ROOT / "space" / "README.md").read_text(encoding="utf-8")
    head = yaml.safe_load(readme.split("---")[1])
    assert head["sdk"] == "docker"
    assert [str(head["app_port"])] == arguments("space/Dockerfile", "EXPOSE")
    assert len(head["short_description"]) <= 60  # what a Space's card holds
    (command,) = (json.loads(rest) for rest in arguments("space/Dockerfile", "CMD"))
    assert "--public" in command
    assert command[command.index("--host") + 1] == "0.0.0.0"
    found = rules(space_environment())
    assert found is not None
    assert found.jobs_at_once == found.jobs_each == 1
    assert found.hub_models == found.hub_datasets == ()


def space_environment() -> dict[str, str]:
    """What the Space's Dockerfile sets."""
    return dict(pair.split("=", 1) for rest in arguments("space/Dockerfile", "ENV") for pair in rest.split())
