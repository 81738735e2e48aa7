"""Every block of Python in the README runs, in order, as a reader would run it."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.slow
def test_readme_code_runs(tmp_path, monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.S)
    assert blocks
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    # What the first block claims by its figure: ten labels a class are enough.
    assert names["accuracy"] > 0.95
    assert (tmp_path / "digits_classifier.keras").exists()


def test_readme_pictures_exist():
    for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README.read_text()):
        assert (README.parent / picture).exists(), picture


def code_without_comments(text: str) -> list[str]:
    return [
        re.sub(r"\s*#.*", "", line).rstrip()
        for block in re.findall(r"```\w*\n(.*?)```", text, re.S)
        for line in block.splitlines()
        if re.sub(r"\s*#.*", "", line).strip()
    ]


def test_the_chinese_readme_keeps_step():
    chinese = README.with_suffix(".zh.md").read_text()
    assert code_without_comments(chinese) == code_without_comments(README.read_text())
    pictures = re.findall(r"\]\((docs/images/[^)]+)\)", README.read_text())
    assert re.findall(r"\]\((docs/images/[^)]+)\)", chinese) == pictures
    for link in re.findall(r"\]\(([^)#]+)", chinese):
        assert (README.parent / link).exists(), link
