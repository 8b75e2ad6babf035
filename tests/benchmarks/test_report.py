"""The benchmarks' README: each command writes its own section, and says where its figures come from."""

import hashlib

import pytest

from benchmarks import report

TEXT = """# Title
<!-- begin one -->
old
<!-- end one -->
words between
<!-- begin two -->
kept
<!-- end two -->
"""


@pytest.fixture
def readme(tmp_path, monkeypatch):
    path = tmp_path / "README.md"
    path.write_text(TEXT)
    monkeypatch.setattr(report, "README", path)
    return path


def test_a_section_is_replaced_and_the_others_stay(readme):
    report.publish("one", r"new \1 text", write=True)
    assert readme.read_text() == TEXT.replace("old", r"new \1 text")


def test_without_write_nothing_is_written(readme, capsys):
    report.publish("one", "new", write=False)
    assert readme.read_text() == TEXT
    assert capsys.readouterr().out == "new\n"


def test_a_section_without_a_place_is_named(readme):
    with pytest.raises(SystemExit, match="begin three"):
        report.publish("three", "new", write=True)


def test_a_table():
    assert (
        report.table(["what", "ms"], [["a", 1.5], ["b", 2]]) == "| what | ms |\n| --- | --: |\n| a | 1.5 |\n| b | 2 |"
    )


def test_figures_name_command_machine_and_weights(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    text = report.provenance(tmp_path, "benchmarks.app", ["--detector", "/home/somebody/yunet.onnx", "--write"])
    assert "`python -m benchmarks.app --detector yunet.onnx --write`" in text
    assert hashlib.sha256(b"weights").hexdigest()[:12] in text and "cores" in text and "/home" not in text


@pytest.mark.parametrize("section", ["inference", "app", "load", "training", "allocator", "depthwise", "static"])
def test_the_readme_has_a_place_for_each_command(repository, section):
    text = (repository / "benchmarks" / "README.md").read_text()
    assert text.count(f"<!-- begin {section} -->") == text.count(f"<!-- end {section} -->") == 1
    assert text.index(f"<!-- begin {section} -->") < text.index(f"<!-- end {section} -->")
