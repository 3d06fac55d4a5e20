"""Text from a repository in report.md: readers see it, and nothing in it is a link, a tag or a heading."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from remit.teams.audit.report.markdown_text import code, prose
from tests.unit.teams.audit.conftest import Audit, Write

READER = MarkdownIt("commonmark").enable("table")
HOSTILE = {"html_inline", "html_block", "image", "link_open"}
PIECES = st.sampled_from(
    ["`", "``", "](", "[", "!", "<img src=x>", "<a", "\n", "# x", "\x1b[31m", "\u202e", "|", "a", " ", "\\"]
)


def kinds(text: str) -> set[str]:
    def every(tokens: list[Token]) -> set[str]:
        return {kind for token in tokens for kind in {token.type} | every(token.children or [])}

    return every(READER.parse(text))


@example("```<img src=x>`")
@example("\\`<img src=x>`")
@given(st.lists(PIECES, max_size=12).map("".join))
def test_whatever_a_repository_says_stays_text(said: str) -> None:
    for told in (code(said), prose(said)):
        assert "\n" not in told
        assert told.isprintable()
        assert not kinds(f"- x {told}") & (HOSTILE | {"heading_open"})
    assert "code_inline" in kinds(f"- x {code(said)}") or not said.strip()


def test_code_between_backticks_stays_code() -> None:
    assert prose("`a[0](x)` calls `<b>`") == "`a[0](x)` calls `<b>`"


@pytest.mark.parametrize(
    "name",
    ["a\n\n# EVIL\n\n![a](http:evil).py", "x](http:e) <img src=x> \x1b[31m \u202e.py", "`<img src=q>`.py", "|a|.py"],
)
async def test_the_name_of_a_file_is_no_markup_in_the_report(write: Write, audit: Audit, name: str) -> None:
    root = write({name: "import os\neval(x)\neval(y)  # é\n", "a.py": "", "b.md": f"[x]({name})\n"})
    (root / f"link {name}").symlink_to("a.py")

    await audit(root)

    report = (root / ".remit" / "report.md").read_text()
    assert not kinds(report) & HOSTILE
    assert "# EVIL" not in report.splitlines()
    assert report.replace("\n", "").isprintable()
    assert all(line.replace("\\|", "").count("|") in {0, 5, 6} for line in report.splitlines() if line.startswith("|"))
