"""README and docs are true: every Python snippet runs and prints what it says, commands and links are as stated."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\s*$")


def snippets(text: str) -> str:
    """The ```python blocks of a page, on the lines where they stand; every other line is left empty."""
    kept, language = [], None
    for line in text.splitlines():
        fence = FENCE.match(line)
        if fence:
            language = (fence[1] or "text") if language is None else None
            kept.append("")
        else:
            kept.append(line if language == "python" else "")
    assert language is None, "a code block is not closed"
    return "\n".join(kept) + "\n"


def promised(code: str) -> list[str]:
    """What the comments '# -> text' promise to be printed, in order: whole lines, '...' standing for anything."""
    return re.findall(r"# -> (.*)$", code, re.MULTILINE)


def _run(code: str, name: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = folder / f"{name}.py"  # on its page's line numbers, so that a traceback points into the page
    path.write_text(code)
    command = [sys.executable, "-W", "error", str(path)]
    env = {k: v for k, v in os.environ.items() if k != "LAZYXLA_NUMPY"}  # as a reader runs it
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=300, env=env)


def _check(code: str, name: str, folder: Path) -> None:
    done = _run(code, name, folder)
    assert done.returncode == 0, done.stderr
    printed = done.stdout.splitlines()
    for line in promised(code):
        pattern = re.escape(line).replace(re.escape("..."), ".*")
        kept = next((i for i, text in enumerate(printed) if re.fullmatch(pattern, text.strip())), None)
        assert kept is not None, f"{name} promises {line!r}; what was printed after the last promise kept: {printed}"
        printed = printed[kept + 1 :]


@pytest.mark.parametrize("page", [p for p in PAGES if snippets(p.read_text()).strip()], ids=lambda p: p.stem)
def test_the_snippets_of_a_page_run_and_print_what_they_say(page, tmp_path):
    _check(snippets(page.read_text()), page.stem, tmp_path)


@pytest.mark.parametrize(
    "code, what",
    [
        ("1 / 0", "ZeroDivisionError"),
        ("print(3)  # -> 4", "promises '4'"),
        ("print(14)  # -> 4", "promises '4'"),
        ("print(2)\nprint(1)  # -> 1\nprint(3)  # -> 2", "promises '2'"),
    ],
)
def test_a_wrong_snippet_is_found(code, what, tmp_path):
    page = f"# Title\n\n```python\n{code}\n```\n"
    with pytest.raises(AssertionError, match=what):
        _check(snippets(page), "page", tmp_path)


def test_only_python_blocks_are_taken_and_lines_stay_where_they_are():
    assert snippets("a\n```python\nx = 1\n```\nb\n```bash\nls\n```\n") == "\n\nx = 1\n\n\n\n\n\n"


def test_quoted_code_stands_where_the_page_says():
    """In ```text blocks, what follows a line '# path.py' is quoted from that file, paragraph by paragraph."""
    quoted = 0
    for page in PAGES:
        for block in re.findall(r"^```text\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
            for path, code in re.findall(r"^# (\S+\.py)\n(.*?)(?=^# \S+\.py$|\Z)", block, re.MULTILINE | re.DOTALL):
                source = (ROOT / path).read_text()
                for paragraph in code.strip().split("\n\n"):
                    assert paragraph in source, f"{page.name} quotes from {path} what is not there:\n{paragraph}"
                    quoted += 1
    assert quoted >= 4


def test_the_two_commands_are_in_the_readme_and_ci_runs_the_second():
    readme = (ROOT / "README.md").read_text()
    assert 'pip install ".[examples]" && python examples/digits.py --device xla' in readme
    test_line = 'pip install -e ".[test]" && pytest'
    assert f"\n{test_line}\n" in readme
    assert test_line in (ROOT / ".ci" / "run").read_text()
    assert (ROOT / "examples" / "digits.py").is_file()


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda p: p.stem)
def test_links_between_pages_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []
