"""The page: safe with whatever a repository says, complete by itself, and readable by eye, by ear, without scripts."""

import base64
import hashlib
import re
import unicodedata
from collections.abc import Awaitable, Callable, Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.teams.audit.finding import Finding
from remit.teams.audit.mending import Dropped, Patch, Setback, Verification
from remit.teams.audit.message import AuditRequest, Published
from remit.teams.audit.report import page
from remit.teams.audit.report.bubble import BUBBLES, cloud
from remit.teams.audit.report.conflict import Card, Side
from remit.teams.audit.report.hotspot import hotspots
from remit.teams.audit.report.label import Box, Spot, placed
from remit.teams.audit.report.markdown import Draft
from remit.teams.audit.report.page_markup import LONGEST, clipped, code, element, join, prose, text, visible
from remit.teams.audit.report.page_script import SCRIPT
from remit.teams.audit.report.page_style import STYLE
from remit.teams.audit.report.quoted import QUOTED, Quote
from remit.teams.audit.report.selection import FINDINGS_SHOWN
from remit.teams.audit.report.trend import TrendPoint
from remit.teams.audit.sighting import Measure, Skipped
from remit.teams.audit.tools.scratch import Stored
from remit.testing import Bench
from tests.unit.teams.audit.conftest import Write, new_bench
from tests.unit.teams.audit.drafts import drafted, opinion

Audit = Callable[..., Awaitable[tuple[Bench, Published]]]
BenchFor = Callable[[Path], Bench]

VOID = {"meta", "link", "input", "br", "wbr"}
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src="https://example.org/x" onerror="alert(1)">',
    "' onmouseover='alert(1)",
    "]]><!-- --></style></title><svg onload=alert(1)>",
    "&lt;b&gt; &amp; &#60;",
    "javascript:alert(1)//`not code` and one ` more",
    "\u202egpj.yp\u2069\u200b\u00ad\ufeff",
    "nul \0 bell \a escape \x1b[31m delete \x7f\x85",
    "line\nline\r\n\tend\u2028\u2029",
    "long/" * 900,
    "\u05d0\u05d1\u05d2/\u0627\u0628.py",
    "\U0001f469\u200d\U0001f4bb\U000e0041",
]


class Parsed(HTMLParser):
    """A page as a strict reader sees it: every element is closed in its turn."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[tuple[str, ...], str]] = []
        self.open: list[str] = []
        self.comments: list[str] = []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _value in attrs}) == len(attrs), f"an attribute twice in {tag}"
        self.tags.append(tag)
        self.attributes.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((tuple(self.open), data))

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def said(self, inside: str = "") -> str:
        """Give all text, or that in one kind of element; what is no text for a reader is left out."""
        unread = {"script", "style"}
        return "".join(
            data for path, data in self.texts if (inside in path if inside else not unread.intersection(path))
        )

    def values(self, name: str, tag: str = "") -> list[str]:
        return [found[name] for kind, found in self.attributes if name in found and tag in {"", kind}]


def finding(path: str = "a.py", line: int = 1, **fields: object) -> Finding:
    plain = Finding(
        fingerprint=f"f{line:04x}",
        rule="complex-function",
        severity="medium",
        path=path,
        line=line,
        symbol="f",
        snippet="x = 'a b'",
        message="`f` has complexity 20",
        skill="code",
        tools=("ast",),
        blob="sha256:1",
    )
    return msgspec.structs.replace(plain, **fields)


def measured(path: str, complexity: int, lines: int, commits: int = 0) -> tuple[Measure, ...]:
    counted = (Measure(path=path, name="commits", value=commits),) if commits else ()
    sizes = Measure(path=path, name="complexity", value=complexity), Measure(path=path, name="lines", value=lines)
    return (*counted, *sizes)


def full_of(word: str) -> Draft:
    """A draft that says a word wherever a repository has a say."""
    spoken = finding(word, symbol=word, snippet=word, message=word, tools=(word,))
    sides = (Side(by=("code",), value=word), Side(by=("security",), value=f"{word}2"))
    reason = {"text": word, "tools": [word], "score": 1}
    contested = [
        Card(
            key=f"file.{word}", field="action", base=word, sides=sides, rule=word, rungs=(word,), result=word, stands=1
        ),
        Card(key="finding.f0001", field="x", base=reason, sides=sides, rule="r", rungs=(), result=reason, stands=word),
    ]
    dropped = (Dropped(name=word, reason=word),)
    patch = Patch(
        name=word,
        rules=(word,),
        path=word,
        blob="b",
        findings=(word,),
        file=Stored(name=word, digest="d", size_bytes=1),
    )
    setback = Setback(to=word, failed=dropped, patches=(word,), paths=(word,))
    inventory = msgspec.structs.replace(drafted().inventory, name=word)
    return drafted(
        opinion(spoken),
        opinion(finding(word, 2, rule=word, snippet=word), "reject", reason=word),
        opinion(finding(word, 3, snippet=word), "demote", reason=word),
        measures=measured(word, 5, 50, 3),
        conflicts=tuple(contested),
        quotes={spoken.fingerprint: Quote(first=1, lines=(word, word))},
        actions={word: word},
        inventory=inventory,
        skipped=(Skipped(what=word, cause=word),),
        verification=Verification(patches=(patch,), dropped=dropped, failed=1, more=2, setback=setback),
    )


def skeleton(parsed: Parsed) -> list[str]:
    """The elements of a page, but for those that mark code, joints in it, and labels of the chart."""
    return [tag for tag in parsed.tags if tag not in {"code", "wbr", "text", "line"}]


def trend_of(*scores: int) -> tuple[TrendPoint, ...]:
    return tuple(
        TrendPoint(commit=f"{n}" * 40, committed_at=f"2024-01-0{n}T12:30:00+00:00", score=score, kept=n)
        for n, score in enumerate(scores, 1)
    )


def links_of(parsed: Parsed) -> Iterator[tuple[str, bool]]:
    ids = set(parsed.values("id"))
    for target in parsed.values("href"):
        yield target, not target.startswith("#") or target[1:] in ids


# --- whatever a repository says ---


@pytest.mark.parametrize("word", HOSTILE)
def test_what_a_repository_says_is_text_and_changes_nothing_around_it(word: str) -> None:
    source = page.text(full_of(word), trend_of(80, 90))
    parsed = Parsed(source)

    assert skeleton(parsed) == skeleton(Parsed(page.text(full_of("x"), trend_of(80, 90))))
    assert parsed.comments == []
    assert source.encode()
    assert clipped(visible(word), LONGEST) in parsed.said()


@given(st.text(min_size=1, max_size=60))
def test_no_text_at_all_is_markup(word: str) -> None:
    parsed = Parsed(join(text(word), element("p", word, title=word), code(word), prose(word)))

    assert [tag for tag in parsed.tags if tag not in {"code", "wbr"}] == ["p"]
    assert parsed.values("title") == [visible(word)]


def test_no_character_that_hides_or_turns_something_is_in_a_page() -> None:
    turning = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    shown = visible("".join(map(chr, range(0x110000))))

    left = {char for char in set(shown) if unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"}}
    assert left == {"\t", "\n"}
    assert not [char for char in set(shown) if unicodedata.bidirectional(char) in turning]
    assert not {"\u200b", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u3164", "\U000e0041"} & set(shown)
    assert text("half \udc80\ud800").encode() == b"half \\udc80\\ud800"
    assert visible("a\u202eb\0") == "a\\u202eb\\x00"
    assert visible("café 中文 \ufffd") == "café 中文 \ufffd"


def test_a_long_text_loses_its_middle_and_says_so() -> None:
    said = clipped("a" * 200 + "b" * 200, 11)

    assert said == "aaaaa…bbbbb"
    assert clipped("short", 11) == "short"


def test_backticks_mark_code_unless_one_is_left_over() -> None:
    assert prose("`f` is <long>") == "<code>f</code> is &lt;long&gt;"
    assert prose("a ` b") == "a ` b"


def test_the_page_of_the_largest_report_is_below_a_megabyte() -> None:
    words = ["<&'\"" * 2000, "\u202e" * 4000]
    found = [
        opinion(
            finding(f"{n}/{words[n % 2]}", n, message=words[0], snippet=words[1], symbol=words[0], rule=f"r{n % 40}")
        )
        for n in range(1, 400)
    ]
    out = [opinion(finding(words[0], n), "reject", reason=f"{n} {words[1]}") for n in range(400, 700)]
    measures = tuple(item for n in range(400) for item in measured(f"{n}/{words[0]}", n, n, n + 1))

    quotes = {item.finding.fingerprint: Quote(first=1, lines=(words[0],) * 5) for item in found[:QUOTED]}
    assert len(page.text(drafted(*found, *out, measures=measures, quotes=quotes)).encode()) < 1 << 20


# --- complete by itself ---


async def test_the_page_of_an_audit_is_whole_and_every_link_leads_somewhere(project: Path, audit: Audit) -> None:
    _bench, reply = await audit(project)

    source = (project / ".remit/report.html").read_text()
    parsed = Parsed(source)
    ids = parsed.values("id")
    assert len(ids) == len(set(ids))
    assert [target for target, is_there in links_of(parsed) if not is_there] == []
    outside = [target for target in parsed.values("href") if not target.startswith("#")]
    assert outside
    assert [target for target in outside if not (project / ".remit" / target).exists()] == []
    assert str(reply.score) in parsed.said("text")
    assert str(project) not in source
    assert parsed.said("title").startswith("Audit of shop")
    assert parsed.said("h1").startswith("Audit of shop")


async def test_the_page_asks_for_nothing_and_runs_nothing_but_its_own(project: Path, audit: Audit) -> None:
    await audit(project)

    parsed = Parsed((project / ".remit/report.html").read_text())
    named = {name for _tag, found in parsed.attributes for name in found}
    assert not {"src", "srcset", "action", "style", "xlink:href", "ping", "background"} & named
    assert [name for name in named if name.startswith("on")] == []
    assert {"link", "img", "iframe", "object", "embed", "base", "form"}.isdisjoint(parsed.tags)
    assert not re.search(r"url\(|@import|https?:|//", STYLE)
    assert not re.search(r"https?:|fetch|XMLHttp|import\(|eval|innerHTML", SCRIPT)
    assert not [value for _tag, found in parsed.attributes for value in found.values() if "://" in value]


def test_the_policy_of_the_page_allows_its_own_style_and_script_by_their_digests() -> None:
    parsed = Parsed(page.text(drafted()))

    rules = dict(rule.split(" ", 1) for rule in parsed.values("content")[0].split("; "))
    assert parsed.values("http-equiv") == ["Content-Security-Policy"]
    assert rules["default-src"] == "'none'"
    assert rules["style-src"] == digest(parsed.said("style"))
    assert rules["script-src"] == digest(parsed.said("script"))
    assert set(rules) == {"default-src", "style-src", "script-src", "base-uri", "form-action"}
    assert parsed.tags.count("script") == parsed.tags.count("style") == 1


def digest(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


async def test_two_audits_of_one_tree_give_the_same_page(project: Path, audit: Audit, tmp_path: Path) -> None:
    outs = [tmp_path / "one", tmp_path / "two"]
    for out in outs:
        await audit(project, str(out))

    pages = [(out / "report.html").read_bytes() for out in outs]
    assert pages[0] == pages[1]


def test_an_audit_that_kept_nothing_and_read_nothing_still_gives_a_page() -> None:
    said = Parsed(page.text(drafted())).said()

    assert "Nothing was kept." in said
    assert "No file that ships was measured" in said
    assert "Nothing was left out." in said


# --- what it says ---


async def test_the_first_screen_says_the_score_the_verdict_and_what_to_mend_with_links_to_its_evidence(
    project: Path, audit: Audit
) -> None:
    _bench, reply = await audit(project)

    parsed = Parsed((project / ".remit/report.html").read_text())
    said = parsed.said()
    assert reply.verdict in said
    assert said.index("Fix these five first") < said.index("Where trouble gathers")
    for sentence in reply.fix_first:
        path, _colon, reasons = sentence.partition(": ")
        assert path in parsed.said("h3")
        assert f"{reasons[:1].upper()}{reasons[1:]}.".replace("`", "") in said
    cited = [target for target in parsed.values("href", "a") if target.startswith("#f-")]
    assert len(cited) >= len(reply.fix_first)
    assert set(cited) <= {f"#{name}" for name in parsed.values("id", "tr")}
    assert "shop/cart.py:7" in said


def test_rows_that_the_first_screen_links_to_are_there_even_beyond_the_limit() -> None:
    many = [
        opinion(finding("z.py", n, severity="high", measure=1, rule="dynamic-code"))
        for n in range(1, FINDINGS_SHOWN + 11)
    ]
    joined = [
        opinion(finding("a.py", 900, severity="low")),
        opinion(finding("a.py", 901, severity="low", skill="security", rule="missing-timeout")),
    ]

    parsed = Parsed(page.text(drafted(*many, *joined)))

    rows = [name for name in parsed.values("id", "tr") if name.startswith("f-")]
    assert len(rows) == FINDINGS_SHOWN + 2
    assert [target for target, is_there in links_of(parsed) if not is_there] == []
    assert "10 more stand in findings.json." in parsed.said()


async def test_conflicts_and_what_was_thrown_out_are_told_in_the_words_of_the_text(project: Path, audit: Audit) -> None:
    await audit(project)

    said = Parsed((project / ".remit/report.html").read_text()).said()
    markdown = (project / ".remit/report.md").read_text()
    section = markdown.split("## Conflicts by rule\n\n")[1].splitlines()
    assert [line for line in section[:2] if line not in said] == []
    assert "owner, then most_urgent" in said
    assert "then the critic: simplify" in said
    for line in markdown.split("and why\n\n")[1].split("\n## ")[0].splitlines():
        if line:
            count, reason = re.fullmatch(r"- (\d+) \w+: (.*) \(for example .*\)", line).groups()  # type: ignore[union-attr]  # a line that does not match fails here
            assert reason.replace("`", "") in said, count


def test_an_open_conflict_says_that_nobody_decided_what_stands() -> None:
    sides = (Side(by=("code",), value=8), Side(by=("security",), value=12))
    card = Card(key="file.a.py", field="risk", base=None, sides=sides, rule="max", rungs=(), result=12, stands=3)

    assert "now: 3, which nobody decided" in Parsed(page.text(drafted(conflicts=(card,)))).said()


async def test_a_rollback_on_the_way_is_told(project: Path, bench_for: BenchFor) -> None:
    said = Parsed(page.text(full_of("cp9"))).said()

    assert "What went wrong on the way" in said
    assert "The run was rolled back to cp9: not every patch held." in said
    assert "What went wrong on the way" not in Parsed(page.text(drafted())).said()


@pytest.mark.parametrize("scores", [(), (90,)])
def test_a_first_audit_shows_no_trend(scores: tuple[int, ...]) -> None:
    parsed = Parsed(page.text(drafted(), trend_of(*scores)))

    assert parsed.said("h2").startswith("Fix")
    assert "polyline" not in parsed.tags
    assert not [label for label in parsed.values("aria-label") if label.startswith("Score of each audit")]


def test_all_that_was_kept_comes_before_what_was_thrown_out_and_counted_which_is_folded() -> None:
    draft = drafted(opinion(finding()), opinion(finding(line=2), "reject", reason="in tests"))
    parsed = Parsed(page.text(draft))

    names = parsed.values("id", "section")
    assert names.index("findings") < names.index("thrown-out") < names.index("counts")
    folded = parsed.said("details")
    assert "in tests" in folded
    assert "What became of the findings, by rule" in folded
    assert "Findings that the critic kept" not in folded
    assert "open" not in [found for tag, found in parsed.attributes if tag == "details"][-1]


def test_a_finding_shows_the_lines_around_its_place_as_text() -> None:
    quote = Quote(first=6, lines=("def fetch(url):", "    return get('<b>')", "", "x"))
    parsed = Parsed(page.text(drafted(opinion(finding(line=7)), quotes={"f0007": quote})))

    assert parsed.said("pre") == "   6 def fetch(url):\n   7     return get('<b>')\n   8 \n   9 x\n"
    hit = "".join(data for path, data in parsed.texts if "pre" in path and "b" in path)
    assert hit == "   7     return get('<b>')\n"


async def test_the_lines_around_a_finding_are_of_the_file_that_was_audited_and_hold_no_secret(write: Write) -> None:
    code = 'import requests\n\nAPI_KEY = "hQ7xW2mZ9kLp4vT8sN3d"\nrequests.get("https://x.example")\n'
    root = write({"p/m.py": code, "p/__init__.py": "", "tests/test_m.py": "from p import m\n"})
    bench = new_bench(root)

    await bench.flow("audit", AuditRequest(path=str(root)))

    source = (root / ".remit/report.html").read_text()
    said = Parsed(source).said("pre")
    assert '   4 requests.get("https://x.example")' in said
    assert "[taken out]" in said
    assert "hQ7xW2mZ9kLp4vT8sN3d" not in source


def test_the_trend_is_a_line_a_difference_and_a_table_without_times_of_day() -> None:
    source = page.text(drafted(), trend_of(70, 84, 90))
    parsed = Parsed(source)

    assert parsed.tags.count("polyline") == 1
    assert "+6 since the audit of 2222222222; 3 audits on record." in parsed.said()
    assert "of commit 3333333333, 2024-01-03" in parsed.said()
    assert "12:30" not in source
    assert "As at the audit of 1111111111" in Parsed(page.text(drafted(), trend_of(90, 90))).said()


# --- the chart ---


def test_with_a_history_bubbles_go_by_commits_and_without_one_by_lines_and_the_page_says_so() -> None:
    one = opinion(finding("a.py"))

    with_git = Parsed(page.text(drafted(one, measures=measured("a.py", 9, 90, 7) + measured("b.py", 2, 20, 1))))
    without = Parsed(page.text(drafted(one, measures=measured("a.py", 9, 90))))

    assert "its area is its lines" in with_git.said()
    assert "its area is the weight of its findings" in without.said()
    assert "commits that changed the file →" in with_git.said("text")
    assert (
        "a.py: complexity 9, 90 lines, 7 commits, 1 finding kept of weight 4; number 1 to mend first"
        in with_git.said("title")
    )
    assert "lines of the file →" in without.said("text")
    assert "This is no git repository, so files go to the right by their lines" in without.said()


def test_files_of_one_name_are_told_apart_by_their_folders() -> None:
    paths = ["a/app.py", "b/app.py", "a/__init__.py", "a/only.py"]
    measures = tuple(item for n, path in enumerate(paths) for item in measured(path, 9 * n, 90 * n + 9))

    said = Parsed(page.text(drafted(*(opinion(finding(path)) for path in paths), measures=measures))).said("text")

    assert all(name in said for name in ("a/app.py", "b/app.py", "a/__init__.py", "only.py"))
    assert "a/only.py" not in said


def test_of_very_many_files_the_longest_are_drawn_and_always_those_to_mend_first() -> None:
    measures = tuple(item for n in range(300) for item in measured(f"f{n:03}.py", n, 1000 - n))
    spot = finding("f299.py")

    found = cloud(measures, [spot], hotspots([spot]))

    assert found.measured == 300
    assert len(found.bubbles) == BUBBLES
    assert [item.path for item in found.bubbles[:3]] == ["f299.py", "f000.py", "f001.py"]
    draft = drafted(opinion(spot), measures=measures)
    assert f"{BUBBLES} of 300 files are drawn" in Parsed(page.text(draft)).said()


coordinates = st.floats(30, 470, allow_nan=False)
spots = st.lists(
    st.builds(Spot, x=coordinates, y=coordinates, radius=st.floats(3, 30), width=st.floats(10, 160)), max_size=14
)


@given(spots)
def test_labels_lie_inside_the_plot_and_on_no_other_label(found: list[Spot]) -> None:
    plot = Box(0, 0, 500, 500)

    labels = [label.box for label in placed(found, plot, height=16, points=[]) if label is not None]

    assert all(plot.holds(box) for box in labels)
    assert not [pair for n, box in enumerate(labels) for pair in labels[n + 1 :] if box.meets(pair)]
    assert placed(found, plot, height=16, points=[]) == placed(found, plot, height=16, points=[])


def test_a_label_keeps_off_other_points_where_it_can() -> None:
    plot, spot = Box(0, 0, 500, 500), Spot(x=250, y=250, radius=10, width=60)

    alone = placed([spot], plot, height=16, points=[])[0]
    beside = placed([spot], plot, height=16, points=[Box(260, 230, 400, 270)])[0]

    assert alone is not None
    assert beside is not None
    assert alone.box.left > spot.x
    assert beside.box.right < spot.x


def test_drawn_labels_do_not_overlap_whatever_files_are_called() -> None:
    paths = [f"{n}/{'中文' * 20}.py" if n % 2 else f"{n}/{'w' * 80}.py" for n in range(40)]
    measures = tuple(item for n, path in enumerate(paths) for item in measured(path, 50 + n % 3, 100 + n, 5 + n % 4))

    parsed = Parsed(page.text(drafted(*(opinion(finding(path)) for path in paths), measures=measures)))

    labels = [
        (float(found["x"]), float(found["y"]), float(found["textlength"]), float(found["font-size"]))
        for tag, found in parsed.attributes
        if tag == "text" and found.get("class", "").startswith("name")
    ]
    boxes = [Box(x, y - size, x + width, y) for x, y, width, size in labels]
    wide = [box for box, (_x, _y, _width, size) in zip(boxes, labels, strict=True) if size == 14]
    narrow = [box for box in boxes if box not in wide]
    assert len(wide) >= 5
    assert narrow
    for drawn in (wide, narrow):
        assert not [pair for n, box in enumerate(drawn) for pair in drawn[n + 1 :] if box.meets(pair)]


# --- for every reader ---


async def test_headings_go_down_one_by_one_and_tables_and_pictures_say_what_they_are(
    project: Path, audit: Audit
) -> None:
    await audit(project)

    parsed = Parsed((project / ".remit/report.html").read_text())
    levels = [int(tag[1]) for tag in parsed.tags if re.fullmatch(r"h\d", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(later - before <= 1 for before, later in pairwise(levels))
    assert parsed.tags.count("caption") == parsed.tags.count("table") > 0
    pictures = [found for tag, found in parsed.attributes if tag == "svg" and "aria-hidden" not in found]
    assert all(found["role"] == "img" and found["aria-label"] for found in pictures)
    assert {"header", "nav", "main", "footer"} <= set(parsed.tags)
    assert all(found.get("scope") == "col" for tag, found in parsed.attributes if tag == "th")
    assert parsed.values("lang", "html") == ["en"]


def test_without_scripts_nothing_is_hidden_but_what_only_scripts_use() -> None:
    parsed = Parsed(page.text(drafted(opinion(finding()))))

    hidden = [found.get("id") for _tag, found in parsed.attributes if "hidden" in found]
    assert hidden == ["filter"]


PAIRS = [
    *[(ink, paper) for ink in ("ink", "muted", "link") for paper in ("paper", "card", "code")],
    *[(level, f"{level}-paper") for level in ("high", "medium", "low", "note")],
    ("card", "ink"),
]


@pytest.mark.parametrize("scheme", [0, 1, 2])
@pytest.mark.parametrize(("ink", "paper"), PAIRS)
def test_what_is_written_stands_out_in_light_in_the_dark_and_on_paper(scheme: int, ink: str, paper: str) -> None:
    colours = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in STYLE.split(":root {")[1:]]
    known = colours[0] | colours[scheme]

    lighter, darker = sorted((luminance(known[ink]), luminance(known[paper])), reverse=True)

    assert (lighter + 0.05) / (darker + 0.05) >= 4.5


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
