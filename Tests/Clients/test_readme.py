"""The README's lines for each client print what the README shows."""

import re

from conftest import ADMIN_KEY, ROOT


def blocks():
    """Every block of Python, and the text behind it."""
    text = (ROOT / "README.md").read_text()
    return re.findall(r"```python\n(.*?)```\n\n```\n(.*?)```", text, re.S)


def test_the_readme_shows_what_its_lines_print(sample_host, capsys):
    replaced = {
        "0.0.1:50001": sample_host.loopback.removeprefix("127.") + ":5000",
        "127.0.0.1:8080": sample_host.address,
        "127.0.0.1:9090": sample_host.admin_address,
        "a key of the file": ADMIN_KEY,
    }
    found = blocks()
    assert len(found) == 4
    names = {}
    for code, output in found:
        for old, new in replaced.items():
            code = code.replace(old, new)
        exec(compile(code, "README.md", "exec"), names)  # the README is ours
        assert capsys.readouterr().out == output
