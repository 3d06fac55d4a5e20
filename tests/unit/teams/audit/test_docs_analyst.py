"""What the documentation analyst says of snippets, links and names, what it leaves alone, and what the critic keeps."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import msgspec
import pytest

from remit.teams.audit.docs.anchor import slug
from remit.teams.audit.docs.document import LINE_LIMIT
from remit.teams.audit.docs.document_place import document_place, era_of
from remit.teams.audit.docs.link_text import links
from remit.teams.audit.docs.own_names import OwnNames
from remit.teams.audit.docs.scan import DOCUMENTS, MISSING, document_of, scan
from remit.teams.audit.docs.site import Site
from remit.teams.audit.docs.snippet import EFFORT, SNIPPET_LIMIT, Snippets, parse
from remit.teams.audit.judge.opinion import Opinion
from remit.teams.audit.message import Published
from remit.teams.audit.sighting import Scan
from remit.teams.audit.source import Source, load
from remit.testing import Bench

Write = Callable[[Mapping[str, str | bytes]], Path]
Audit = Callable[..., Awaitable[tuple[Bench, Published]]]
FENCE = "```"


def broken(text: str, path: str = "a.md") -> list[int]:
    """Give the lines at which the snippets of a document do not parse."""
    found, _code = Snippets().look(document_of(Source(path, text, "sha256:0")))
    return [item.line for item in found]


def fenced(code: str, info: str = "python") -> str:
    return f"Text.\n\n{FENCE}{info}\n{code}\n{FENCE}\n"


def rst(code: str, directive: str = ".. code-block:: python") -> str:
    body = "\n".join(f"    {line}" for line in code.split("\n"))
    return f"Text.\n\n{directive}\n\n{body}\n\nMore.\n"


def scanned(root: Path) -> Scan:
    """Look at a repository as the tool does: documents first, then the code."""
    files = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    documents = [path for path in files if path.endswith((".md", ".rst"))]
    return scan(root, (*documents, *(path for path in files if path.endswith(".py"))))


def said(root: Path) -> list[tuple[str, str, int]]:
    return [(item.rule, item.detail, item.line) for item in scanned(root).sightings]


# --- snippets ---


@pytest.mark.parametrize(
    "code",
    [
        "x = f(1",
        "def f(a)\n    return a",
        "variables = {\n    'a' 1,\n}",
        "for x in y\n    print(x)",
        "@app.task(base=Other):\ndef f():\n    pass",
        "call(processors=[A(B()])",
        "print 'x'",
        "settings = {\n    'a': 1\n    'b': 2\n}",
        "x = 1\n  y = 2",
        ">>> f(1",
        ">>> with a.b(c)  # why\n...     pass",
    ],
)
def test_a_snippet_that_no_reading_makes_python_is_seen(code: str) -> None:
    assert len(broken(fenced(code))) == 1
    assert len(broken(rst(code), "a.rst")) == 1


@pytest.mark.parametrize(
    "code",
    [
        "x = 1",
        "await f()\nasync with a as b:\n    ...",
        "return x",
        ">>> x = 1\n>>> x\n1\n>>> for y in x:\n...     y\n<Response [200]>",
        ">>> f(\n...     1)\nTraceback (most recent call last):\n  ...\nValueError: no",
        ">>> with a:\n>>>     b()",
        ">>> f(\n...     1,\n)\n>>> g()",
        ">>> 1 +\nSyntaxError: invalid syntax",
        "In [1]: x = 1\n\nIn [2]: x\nOut[2]: 1",
        "%timeit f(1)\n!pip install x\nx = 1",
        "%timeit f(1, \\\n  2)",
        "f?\nx = 1",
        "def f(): ...\nclass A:\n    ...",
        "f(1, ...)\nf(a=1, ...)\nx = {'a': 1, ...}\ndef g(self, ...): pass",
        "setup(...,\n      a=1,\n      ...)",
        "x = {\n    'a': 1,\n    ...\n}",
        "class A:\n...\n    def f(self):\n        pass",
        "    ... 'a': item.name ...",
        "builder = Builder(...)...  # more",
        "def f(x):\n    # your code here",
        "def f(x: int) -> str:",
        "class A(B):  # as above",
        "client.get(url: str, *, timeout: float = 1) -> Response",
        "except ValueError:\n    pass",
        "else:\n    pass",
        "case Point(x=0):\n    pass",
        "a=1,\nb=2,",
        "'a': 1,\n'b': 2,",
        "@app.get('/')",
        "@app.get('/')\n\n@app.post('/')",
        "    def f(self):\n        pass\n\nclass B:\n    pass",
        "# comment\n    x = 1\n    y = 2",
        "- x = 1\n+ x = 2\n  y = 3",
        "1 x = 1\n2 y = 2",
        "class Box[T]:\n    pass\ndef f[T: (int, str)](x: T) -> T:\n    return x\ntype Pair[T] = tuple[T, T]",
        "x = t'{a}'",
        'x = f"{a["b"]}"',
        "x = 1  # (1)!\ny = 2  # [!code focus]",
    ],
)
def test_a_snippet_that_its_readers_understand_is_left_alone(code: str) -> None:
    assert broken(fenced(code)) == []
    assert broken(rst(code), "a.rst") == []


@pytest.mark.parametrize(
    ("info", "seen"),
    [
        ("python", 1),
        ("py", 1),
        ("Python3", 1),
        ('python title="a.py" linenums="1" hl_lines="2 3"', 1),
        ("{ .python .annotate }", 1),
        ("{code-block} python\n:linenos:", 1),
        ("{code-cell} ipython3", 1),
        ("", 0),
        ("console", 0),
        ("toml", 0),
        ("python2", 0),
        ("python skip", 0),
        ('python title="settings.toml"', 0),
    ],
)
def test_only_a_block_that_says_it_is_python_is_read(info: str, seen: int) -> None:
    assert len(broken(fenced("x = (", info))) == seen


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("1. Do\n\n    ```python\n    x = (\n    ```\n", [4]),
        ("> ```python\n> x = (\n> ```\n", [2]),
        ("> ```python\n> x = (\nnot quoted\n", [2]),
        ("- ```python\n  x = (\n  ```\n", [2]),
        ("~~~python\nx = (\n~~~\n", [2]),
        ("````md\n```python\nx = (\n```\n````\n", []),
        ("<!--\n```python\nx = (\n```\n-->\n", []),
        ("```python\nx = (\n", []),
        ("---\na: b\n---\n```python\nx = (\n```\n", [5]),
        ("```python x = 1```\n\nText (\n", []),
    ],
)
def test_fences_are_found_where_markdown_has_them(text: str, lines: list[int]) -> None:
    assert broken(text) == lines


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (rst("x = (", ".. code:: python"), 1),
        (rst("x = (", ".. sourcecode:: python3\n    :linenos:\n    :emphasize-lines: 2"), 1),
        (rst("x = (", ".. code-block:: python\n    :caption: /etc/hosts"), 0),
        (rst("x = (", ".. code-block:: bash"), 0),
        (rst("x = (", "Like this::"), 0),
        (rst("x = (", ".. highlight:: python\n\nLike this::"), 1),
        (rst("pip install x y", ".. highlight:: python\n\nLike this::"), 0),
        (rst("x = (", ".. testcode::"), 1),
        (rst("x = (", ".. parsed-literal::"), 0),
        (rst("x = (", ".."), 0),
        ("Text.\n\n>>> f(1\n\nMore.\n", 1),
    ],
)
def test_blocks_are_found_where_restructured_text_has_them(text: str, seen: int) -> None:
    assert len(broken(text, "a.rst")) == seen


def test_the_cited_line_is_that_of_the_document(write: Write) -> None:
    root = write({"README.md": "# A\n\n" + fenced("a = 1\nb = f(\n\n")})

    (found,) = scanned(root).sightings

    source = load(root, "README.md")
    assert (found.line, found.text) == (7, "b = f(")
    assert source.line(found.line) == found.text
    assert [blob.digest for blob in scanned(root).blobs] == [source.digest]


@pytest.mark.parametrize(
    ("before", "code", "reason"),
    [
        ("", "{! docs_src/a.py [ln:1-9] !}\nx = (", "templating"),
        ("", '--8<-- "docs/a.py"\nx = (', "templating"),
        ("", "@<router>.message(F.text)", "placeholder"),
        ("", "connect(user=<your name>, key=[key...])", "placeholder"),
        ("This raises a `SyntaxError`:", "x = = 1", "no working code"),
        ("", "x = = 1  # ❌", "no working code"),
        ("With Python 2:", "print 'x'", "Python 2"),
        ("", "pip install x y\npython a.py --b", "shell"),
        ("", "x\nTraceback (most recent call last):", "prints"),
        ("", "An attempt has been made to start.", "text"),
        ("", "statement target value", "a notation"),
    ],
)
async def test_a_second_look_says_why_a_snippet_is_not_meant_to_parse(
    *, before: str, code: str, reason: str, write: Write, audit: Audit
) -> None:
    root = write({"docs/a.md": f"{before}\n\n{FENCE}python\n{code}\n{FENCE}\n", "p.py": "x = 1\n"})

    await audit(root)

    (opinion,) = opinions(root)
    assert (opinion.decision, opinion.finding.rule) == ("reject", "broken-snippet")
    assert reason in opinion.reason


def opinions(root: Path) -> list[Opinion]:
    """Give what was decided on the findings of the documentation analyst."""
    found = msgspec.json.decode((root / ".remit/findings.json").read_bytes(), type=tuple[Opinion, ...])
    return [item for item in found if item.finding.skill == "docs"]


async def test_a_crowd_of_templated_snippets_is_demoted_as_one(write: Write, audit: Audit) -> None:
    text = "".join(fenced(f"{{! docs_src/a{n}.py [ln:{n}-{n + 3}] !}}") for n in range(30))
    root = write({"docs/a.md": text, "p.py": "x = 1\n"})

    await audit(root)

    decided = [(item.decision, item.reason) for item in opinions(root)]
    sample = [reason for decision, reason in decided if decision == "reject"]
    crowd = {reason for decision, reason in decided if decision == "demote"}
    assert len(decided) == 30
    assert len(sample) == 5
    assert all("templating" in reason for reason in sample)
    assert {"30 findings of broken-snippet in docs are demoted together" in reason for reason in crowd} == {True}


# --- links ---


@pytest.mark.parametrize(
    ("line", "target"),
    [
        ("[a](missing.md)", "missing.md"),
        ("[a](../b.md)", ""),
        ("![a](img/x.png)", "img/x.png"),
        ('[a](missing.md "Title")', "missing.md"),
        ("[a](<with space.md>)", "with space.md"),
        ("[a](with%20space.md)", "with space.md"),
        ("[a](a_(b).md)", "a_(b).md"),
        ("[`a`](missing.md#part)", "missing.md"),
        ("[a](missing.md?raw=true)", "missing.md"),
        ("[a]: missing.md", "missing.md"),
        ('<img src="x.png">', "x.png"),
        ('<a href="LICENSE">', "LICENSE"),
        ("- nested\n    [a](missing.md)", "missing.md"),
        ("[a](there.md) [b](sub/) [c](sub/x.md)", ""),
        ("[a](https://x.y/z.md) [b](//x/y) [c](mailto:a@b)", ""),
        ("`[a](missing.md)`", ""),
        ("    [a](missing.md)", ""),
        ("<!-- [a](missing.md) -->", ""),
        ("[a](/missing.md)", ""),
        ("[a](../../issues/1) [b](issues/2)", ""),
        ("[a]({filename}/b.md) [b]({{ url }}) [c]({% link b.md %})", ""),
        ("[text](url) [a](path/to/x.md) [b](NNNN-title.md)", ""),
        ("[^a]: note.md is a file", ""),
        ("[a](built.md) ![b](_static/x.png)", ""),
        ("[a](module/x.py)", ""),
        ("[a](link/x.md)", ""),
    ],
)
def test_a_link_is_followed_within_the_repository(line: str, target: str, write: Write) -> None:
    files = {"README.md": f"# A\n\n{line}\n", "there.md": "", "sub/x.md": "", ".gitignore": "built.md\n"}
    root = write(files)
    (root / "module").mkdir()  # a submodule that nobody fetched
    (root / "link").symlink_to("/")

    assert [detail for rule, detail, _line in said(root) if rule == "broken-link"] == ([target] if target else [])


@pytest.mark.parametrize(
    ("line", "target"),
    [
        (".. image:: x.png", "x.png"),
        (".. figure:: /img/x.png", "/img/x.png"),
        (".. include:: ../CHANGES.rst", "../CHANGES.rst"),
        (".. literalinclude:: ../p/a.py", ""),
        (".. |logo| image:: x.png", "x.png"),
        (":doc:`missing`", "missing"),
        (":doc:`Title </sub/missing>`", "/sub/missing"),
        (":doc:`sub/there` :doc:`/text`", ""),
        (":doc:`api/made`", ""),
        (":doc:`python:library/x` :external+a:doc:`b`", ""),
        ("``:doc:`missing```", ""),
        (".. include:: <isonum.txt>", ""),
        (".. image:: x.*", ""),
        ("`a <page.html>`_ `b <name_>`_ `c <https://x.y>`_", ""),
    ],
)
def test_a_sphinx_document_is_held_against_its_sources(line: str, target: str, write: Write) -> None:
    root = write(
        {
            "docs/conf.py": "",
            "docs/a.rst": f"A\n=\n\n{line}\n",
            "docs/sub/there.rst": "",
            "docs/text.txt": "",
            "p/a.py": "",
        }
    )

    assert [detail for _rule, detail, _line in said(root)] == ([target] if target else [])


@pytest.mark.parametrize(
    ("marker", "link", "is_seen"),
    [
        ("mkdocs.yml", "[a](missing.md)", True),
        ("mkdocs.yml", "[a](../missing/)", False),
        ("mkdocs.yml", "[a](missing)", False),
        ("mkdocs.yml", "[a](page.html)", False),
        ("mkdocs.yml", '<img src="x.png">', False),
        ("mkdocs.yml", "[a](reference/made.md)", False),
        ("docs/conf.py", "[a](package.module.name)", False),
        ("_config.yml", "[a](missing.md)", False),
        ("docs/docusaurus.config.js", "[a](missing.md)", False),
    ],
)
def test_a_link_that_a_site_generator_may_resolve_is_left_alone(
    *, marker: str, link: str, is_seen: bool, write: Write
) -> None:
    root = write({marker: "", "docs/a.md": f"# A\n\n{link}\n", "p.py": ""})

    assert bool(said(root)) == is_seen


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("Quick start", "quick-start"),
        ("What's new?", "whats-new"),
        ("The `run()` method", "the-run-method"),
        ("A [link](b.md) here", "a-link-here"),
        ("C++ & C#", "c--c"),
        ("🚀 Go", "-go"),
        ("Größe", "größe"),
        ("snake_case", "snake_case"),
    ],
)
def test_a_heading_has_the_anchor_that_github_gives_it(heading: str, anchor: str) -> None:
    assert slug(heading) == anchor


@pytest.mark.parametrize(
    ("link", "is_seen"),
    [
        ("[a](#first-part)", False),
        ("[a](#First-Part)", False),
        ("[a](#same-1)", False),
        ("[a](#underlined)", False),
        ("[a](#named) [b](#marked) [c](#given)", False),
        ("[a](#top) [b](b.py#L10)", False),
        ("[a](b.md#there)", False),
        ("[a](#gone)", True),
        ("[a](b.md#gone)", True),
        ("[a](c.md#gone)", False),
    ],
)
def test_an_anchor_must_be_one_of_a_heading(*, link: str, is_seen: bool, write: Write) -> None:
    text = (
        "# First part\n\n## Same\n\n## Same\n\nUnderlined\n---\n\n<a id='named'></a>\n\n## X {#marked}\n\n(given)=\n\n"
    )
    root = write({"README.md": f"{text}{link}\n", "b.md": "# There\n", "c.md": "::: package.module\n", "b.py": ""})

    assert [rule for rule, _detail, _line in said(root)] == (["broken-anchor"] if is_seen else [])


def test_a_source_distribution_cannot_tell_which_links_are_broken_and_says_so(write: Write) -> None:
    root = write({"x.md": "[a](gone.md) [b](#nowhere)\n", "PKG-INFO": "Metadata-Version: 2.1\n"})

    scan = scanned(root)

    assert [item.rule for item in scan.sightings] == ["broken-anchor"]
    assert ["source distribution" in item.cause for item in scan.skipped if item.what == MISSING] == [True]


def test_what_is_said_again_and_again_is_said_once(write: Write) -> None:
    root = write({"README.md": "[a](x.md) [b](y.md)\n\n[a](x.md)\n\n[c](z.md)\n"})

    assert said(root) == [("broken-link", "x.md", 1), ("broken-link", "z.md", 5)]


# --- names ---

PACKAGE: Mapping[str, str | bytes] = {
    "src/shop/__init__.py": (
        "from shop.cart import Cart\nfrom shop import till\nfrom shop.till import pay\n__version__ = '1'\n"
    ),
    "src/shop/cart.py": (
        "import os\nfrom shop.base import Base\n\nLIMIT = 3\nif os:\n    EXTRA = 1\n\n\nclass Cart(Base):\n"
        "    size: int\n    kind = 1\n\n    def __init__(self):\n        self.items = []\n\n    def add(self): ...\n"
    ),
    "src/shop/base.py": "class Base:\n    def save(self): ...\n",
    "src/shop/open.py": "from other import Thing\n\n\nclass Open(Thing):\n    pass\n",
    "src/shop/late.py": "def __getattr__(name):\n    return 1\n",
    "src/shop/star.py": "from shop.cart import *\nfrom shop.base import Base\n",
    "src/shop/wild.py": "from other import *\n",
    "src/shop/till.py": "def pay(): ...\n",
    "src/shop/pay.py": "def other(): ...\n",
    "src/shop/_speed.c": "",
    "src/shop/broken.py": "def (\n",
    "src/shop/kinds.py": (
        "from abc import ABC\n\n\nclass Plain(ABC):\n    x = 1\n\n\nclass Failure(ValueError):\n    pass\n\n\n"
        "class Hooked:\n    def __getattr__(self, name): ...\n\n\nclass Made(metaclass=type):\n    pass\n"
    ),
    "src/shop/one.py": "from shop.two import *\n",
    "src/shop/two.py": "from shop.one import *\n",
}


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("shop.Cart", "there"),
        ("shop.cart.LIMIT", "there"),
        ("shop.cart.EXTRA", "there"),
        ("shop.cart.Cart.add", "there"),
        ("shop.cart.Cart.items", "there"),
        ("shop.cart.Cart.size", "there"),
        ("shop.Cart.save", "there"),
        ("shop.till.pay", "there"),
        ("shop.star.Cart", "there"),
        ("shop.cart.Basket", "absent"),
        ("shop.cart.Cart.remove", "absent"),
        ("shop.Cart.remove", "absent"),
        ("shop.Basket", "absent"),
        ("shop.star.Basket", "absent"),
        ("shop.nothing.at.all", "absent"),
        ("shop.kinds.Plain.y", "absent"),
        ("shop.kinds.Failure.args", "there"),
        ("shop.kinds.Failure.code", "absent"),
        ("shop.one.x", "absent"),
        ("shop.pay.x", "unsure"),
        ("shop.kinds.Hooked.x", "unsure"),
        ("shop.kinds.Made.x", "unsure"),
        ("shop.open.Open.x", "unsure"),
        ("shop.late.x", "unsure"),
        ("shop.wild.x", "unsure"),
        ("shop._speed", "unsure"),
        ("shop.broken.x", "unsure"),
        ("shop.cart.LIMIT.real", "unsure"),
        ("shop.__path__", "unsure"),
    ],
)
def test_a_name_is_absent_only_where_every_way_to_it_was_looked_at(name: str, answer: str, write: Write) -> None:
    root = write(PACKAGE)
    own = OwnNames(root, [*PACKAGE], Site(root))

    assert own.packages == {"shop"}
    assert own.find(name.split(".")) == answer


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("See `shop.cart.Basket`.", "shop.cart.Basket"),
        ("See `shop.cart.empty()`.", "shop.cart.empty"),
        ("See `shop.cart.Cart.remove(item)`.", "shop.cart.Cart.remove"),
        ("See `shop.Basket`.", "shop.Basket"),
        ("::: shop.cart.Basket", "shop.cart.Basket"),
        ("See `shop.cart.Cart` and `shop.cart.LIMIT`.", ""),
        ("See shop.cart.Basket.", ""),
        ("See `shop.svg`, `shop.example.com`, `shop.cart.py` and `shop.orders`.", ""),
        ("See `other.Basket`.", ""),
        (fenced("from shop.cart import Basket", "toml"), ""),
    ],
)
def test_a_name_in_a_document_must_be_in_the_code(text: str, found: str, write: Write) -> None:
    root = write({**PACKAGE, "docs/a.md": f"# A\n\n{text}\n"})

    assert [(rule, detail) for rule, detail, _line in said(root)] == ([("unknown-name", found)] if found else [])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (":class:`shop.cart.Basket`", "shop.cart.Basket"),
        (":meth:`~shop.cart.Cart.remove()`", "shop.cart.Cart.remove"),
        (":py:func:`pay <shop.till.give>`", "shop.till.give"),
        (".. autoclass:: shop.cart.Basket", "shop.cart.Basket"),
        ("``shop.cart.Basket``", "shop.cart.Basket"),
        (":class:`!shop.cart.Basket`", ""),
        ("``:class:`shop.cart.Basket```", ""),
        (":data:`shop.cart.LIMIT`", ""),
        (".. class:: Basket\n\nSee :class:`shop.cart.Basket`", ""),
    ],
)
def test_a_role_of_sphinx_must_name_something(text: str, found: str, write: Write) -> None:
    root = write({**PACKAGE, "docs/a.rst": f"A\n=\n\n{text}\n"})

    assert [detail for _rule, detail, _line in said(root)] == ([found] if found else [])


def test_what_one_page_pulls_in_and_is_gone_is_told_at_once(write: Write) -> None:
    gone = ".. automodule:: shop.a\n\n.. automodule:: shop.cart\n\n.. automodule:: shop.b\n\n.. automodule:: shop.c\n"
    root = write({**PACKAGE, "docs/a.rst": f"A\n=\n\n{gone}\nSee :class:`shop.cart.Basket`.\n"})

    one, together = sorted(scanned(root).sightings, key=lambda item: item.measure)

    assert (one.detail, one.measure) == ("shop.cart.Basket", 0)
    assert (together.line, together.detail, together.measure) == (4, "shop.a`, `shop.b` and `shop.c", 2)


def test_of_very_many_names_some_are_told_and_the_rest_counted(write: Write) -> None:
    gone = "".join(f".. automodule:: shop.m{n}\n\n" for n in range(8))

    ((_rule, detail, _line),) = said(write({**PACKAGE, "docs/a.rst": f"A\n=\n\n{gone}"}))

    assert detail == "shop.m0`, `shop.m1`, `shop.m2`, `shop.m3`, 3 more and `shop.m7"


@pytest.mark.parametrize(
    ("head", "decision"),
    [
        ("This page is a work in progress.", "demote"),
        ("# Design note: baskets", "demote"),
        ("Status: draft", "demote"),
        ("How to pay.", "keep"),
        ("How to draft a mail.", "keep"),
    ],
)
async def test_a_document_that_calls_itself_unfinished_need_not_be_so(
    head: str, decision: str, write: Write, audit: Audit
) -> None:
    text = f"{head}\n\nThere is `shop.cart.Basket`.\n\n" + fenced("from shop import Basket") + fenced("x = f(1")
    root = write({**PACKAGE, "docs/a.md": text})

    await audit(root)

    assert {item.decision for item in opinions(root)} == {decision}


def test_a_parser_counts_the_lines_of_the_document(write: Write) -> None:
    root = write({"README.md": "# A\n\n" + fenced("a = 1\nb = f(\n    1]")})

    (found,) = scanned(root).sightings

    assert (found.line, found.text) == (8, "1]")
    assert found.detail == "closing parenthesis ']' does not match opening parenthesis '(' on line 7"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("from shop.cart import Basket", ["shop.cart.Basket"]),
        ("import shop.orders", ["shop.orders"]),
        (">>> from shop import Basket", ["shop.Basket"]),
        ("def f():\n    from shop.cart import Basket", ["shop.cart.Basket"]),
        ("from shop.cart import (\n    Cart,\n    LIMIT,\n)\nfrom shop import *", []),
        ("try:\n    from shop.cart import Basket\nexcept ImportError:\n    pass", []),
        ("from other.cart import Basket", []),
        ("from .cart import Basket", []),
    ],
)
def test_an_import_in_a_snippet_must_work(code: str, found: list[str], write: Write) -> None:
    root = write({**PACKAGE, "docs/a.md": fenced(code)})

    assert [(rule, detail) for rule, detail, _line in said(root)] == [("unknown-import", name) for name in found]


# --- examples in docstrings ---


@pytest.mark.parametrize(
    ("docstring", "seen"),
    [
        ("'''Say it.\n\n    >>> print 1\n    1\n    '''", 1),
        ("'''Say it.\n\n    >>> print(1)\n    1\n    '''", 0),
        ("'''Say it.\n\n    >>> with a:\n    >>>     b()\n    '''", 0),
        ("'''Say it.\n\n    >>> x = '\\\\n'\n    '''", 0),
        ("'''Say it.'''\n    x = '>>> print 1'", 0),
    ],
)
def test_an_example_in_a_docstring_must_parse(docstring: str, seen: int, write: Write) -> None:
    root = write({"p/__init__.py": "", "p/a.py": f"def f():\n    {docstring}\n", "README.md": ""})

    assert [rule for rule, _detail, _line in said(root)] == ["broken-doctest"] * seen


# --- places and times ---


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("README.md", "shipped"),
        ("docs/a.md", "shipped"),
        ("examples/README.md", "shipped"),
        ("docs/ref/templates/a.rst", "shipped"),
        ("tests/README.md", "test"),
        ("p/_vendor/x/README.md", "vendored"),
        ("web/node_modules/x/README.md", "vendored"),
        ("{{ cookiecutter.name }}/README.md", "template"),
        ("p/templates/README.md", "template"),
        (".github/ISSUE_TEMPLATE/bug.md", "template"),
        (".github/PULL_REQUEST_TEMPLATE.md", "template"),
    ],
)
def test_documentation_is_shipped_wherever_its_readers_find_it(path: str, place: str) -> None:
    assert document_place(path) == place


def test_a_document_that_a_program_writes_is_generated() -> None:
    assert document_place("docs/a.md", "<!-- Auto-generated by x -->") == "generated"
    assert document_place("docs/a.md", "Text that is auto-generated.") == "shipped"


@pytest.mark.parametrize(
    ("path", "era"),
    [
        ("README.md", "current"),
        ("docs/changing-a-plan.md", "current"),
        ("docs/newsletter.md", "current"),
        ("docs/source/development_release.rst", "current"),
        ("docs/releases.md", "past"),
        ("docs/release-1.2.md", "past"),
        ("docs/api_release_notes.md", "past"),
        ("CHANGELOG.md", "past"),
        ("CHANGES.rst", "past"),
        ("docs/release-notes.md", "past"),
        ("docs/releases/1.2.rst", "past"),
        ("docs/whatsnew-3.0.rst", "past"),
        ("docs/migration.md", "past"),
        ("versioned_docs/version-1.0/a.md", "past"),
        ("docs/1.0/a.md", "past"),
        ("README.zh-CN.md", "translated"),
        ("README_ja.md", "translated"),
        ("docs/pt/a.md", "translated"),
        ("i18n/x/a.md", "translated"),
    ],
)
def test_the_time_of_a_document_is_read_from_its_path(path: str, era: str) -> None:
    assert era_of(path) == era


async def test_what_is_wrong_in_current_documents_is_kept(write: Write, audit: Audit) -> None:
    root = write(
        {
            **PACKAGE,
            "README.md": "[a](missing.md)\n",
            "docs/a.md": fenced("x = f(1") + "\nSee `shop.cart.Basket`.\n" + fenced("from shop import Basket"),
        }
    )

    await audit(root)

    decided = {(item.finding.rule, item.decision, item.finding.severity) for item in opinions(root)}
    assert decided == {
        ("broken-link", "keep", "low"),
        ("broken-snippet", "keep", "low"),
        ("unknown-name", "keep", "low"),
        ("unknown-import", "keep", "medium"),
    }


async def test_what_was_true_when_it_was_written_is_demoted(write: Write, audit: Audit) -> None:
    text = "[a](missing.md)\n\nSee `shop.cart.Basket`.\n\n" + fenced("x = f(1")
    root = write({**PACKAGE, "CHANGELOG.md": text, "docs/ja/a.md": text, "tests/README.md": text})

    await audit(root)

    decided = [(item.finding.path, item.finding.rule, item.decision) for item in opinions(root)]
    assert decided == [
        ("CHANGELOG.md", "broken-link", "demote"),
        ("CHANGELOG.md", "broken-snippet", "demote"),
        ("docs/ja/a.md", "broken-snippet", "demote"),
    ]


@pytest.mark.parametrize("words", ["It was removed in 2.0.", "Deprecated: use Cart.", "There is no longer one."])
async def test_a_name_that_the_text_calls_gone_is_talked_out(words: str, write: Write, audit: Audit) -> None:
    root = write({**PACKAGE, "docs/a.md": f"# A\n\nThere is `shop.cart.Basket`.\n{words}\n"})

    await audit(root)

    assert [(item.decision, item.finding.rule) for item in opinions(root)] == [("reject", "unknown-name")]


async def test_a_link_to_what_is_made_later_is_talked_out(write: Write, audit: Audit) -> None:
    root = write({"README.md": "The [reference](reference.md) is generated.\n", "p.py": "x = 1\n"})

    await audit(root)

    assert [(item.decision, item.reason) for item in opinions(root)] == [
        ("reject", "looked at again: the text says that it is made later")
    ]


async def test_a_templated_line_is_noise(write: Write, audit: Audit) -> None:
    root = write({"README.md": "[a](missing.md) {{ version }}\n", "p.py": "x = 1\n"})

    await audit(root)

    assert [item.decision for item in opinions(root)] == ["reject"]


async def test_a_repository_without_documents_says_what_was_not_checked(write: Write, audit: Audit) -> None:
    root = write({"p.py": "x = 1\n"})

    await audit(root)

    assert (
        "documentation: snippets, links, names: there are no documents to read."
        in (root / ".remit/report.md").read_text()
    )


async def test_the_same_documents_give_the_same_report(write: Write, audit: Audit) -> None:
    root = write({**PACKAGE, "README.md": "[a](x.md)\n" + fenced("x = (") + "`shop.cart.Basket`\n"})
    await audit(root)
    first = (root / ".remit/findings.json").read_bytes()

    await audit(root)

    assert (root / ".remit/findings.json").read_bytes() == first
    assert scanned(root) == scanned(root)


# --- hostile documents ---


@pytest.mark.parametrize("ending", [".md", ".rst"])
@pytest.mark.parametrize(
    "unit",
    [
        *("[", "](", "[a](b(c)", "`", "` `` ", '<a href="', "{#a", "{#a ", " ", "> ", "- ", "(", "<!--", "::", "@"),
        *(":doc:`a <", ".. |a", "a.a.", "…, ", "...", "{{", "\\", ">>> ("),
    ],
)
def test_no_document_makes_the_work_grow_faster_than_its_text(unit: str, ending: str, write: Write) -> None:
    """Every pattern would need hours for one of these if it began again behind every character."""
    line = unit * (LINE_LIMIT // len(unit))
    huge = unit * (1_048_576 // len(unit))
    directive = "```python\n{}\n```\n" if ending == ".md" else ".. code-block:: python\n\n    {}\n\n"
    text = f"{line}\n# {line}\n    {line}\n{huge}\n{directive.format(line[: SNIPPET_LIMIT - 10])}"
    root = write({f"docs/a{ending}": text, **PACKAGE})

    assert scanned(root).files == 1


def test_a_line_that_no_person_wrote_is_not_looked_at() -> None:
    found = document_of(Source("a.md", "[a](b.md)" * 200_000, ""))

    assert [*links(found)] == []


def test_a_parser_is_not_asked_about_deep_brackets_and_long_listings() -> None:
    assert parse("(" * 100 + ")" * 100) == (None, None)
    assert parse("x = 1\n" * SNIPPET_LIMIT) == (None, None)
    assert broken(fenced("[" * 5000)) == []


def test_the_effort_on_other_readings_has_an_end_which_is_said(write: Write) -> None:
    line = "x = = y\n" * 2000
    root = write({f"docs/a{n}.md": fenced(line) * 5 for n in range(20)})

    snippets = Snippets()
    for n in range(20):
        snippets.look(document_of(load(root, f"docs/a{n}.md")))

    assert snippets.left >= -SNIPPET_LIMIT * 2
    assert snippets.left < EFFORT
    assert [item.what for item in snippets.skipped()] == [f"{snippets.untried} snippets that do not parse"]


def test_odd_documents_are_named_or_read_but_stop_nothing(write: Write) -> None:
    files: dict[str, str | bytes] = {
        "latin.md": b"\xe9t\xe9",
        "empty.md": b"",
        "nul.md": b"[a](\0) [b](b\0.md)\n",
        "mac.md": b"# A\r\r```python\rx = (\r```\r",
        "form\ffeed.md": b"x\x0c\n",
        "bom.md": "\ufeff---\na: 1\n---\n".encode(),
        "surrogate.rst": "\ud800".encode("utf-8", "surrogatepass"),
    }
    root = write(files)
    (root / "out.md").symlink_to("/etc/hostname")

    found = scanned(root)

    assert {item.what for item in found.skipped} >= {"latin.md", "surrogate.rst", "out.md"}
    assert [(item.rule, item.path, item.line) for item in found.sightings if item.path == "mac.md"] == [
        ("broken-snippet", "mac.md", 4)
    ]


def test_an_audit_reads_so_many_documents_and_says_how_many_it_left(write: Write) -> None:
    root = write({"a.md": "x"})

    found = scan(root, ("a.md",) * (DOCUMENTS + 5))

    assert [item.what for item in found.skipped] == ["5 documents"]
