"""The style of the page: light and dark, wide and narrow, and on paper. It names no font that is not there already."""

STYLE = """
:root {
  --paper: #f5f6f8; --card: #ffffff; --ink: #1a1d23; --muted: #565c68; --line: #d9dde4; --link: #0b57a8;
  --accent: #1f5fbf; --track: #dfe5ee; --code: #eef1f5;
  --high: #a8201a; --high-paper: #fdeceb; --medium: #7a4f00; --medium-paper: #fdf1d8;
  --low: #245a85; --low-paper: #e6f1fa; --note: #565c68; --note-paper: #eef1f5;
  --heavy: #c9362e; --some: #d08a00; --quiet: #8a92a0;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif;
  --mono: ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", "DejaVu Sans Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #111317; --card: #1a1d23; --ink: #e7e9ee; --muted: #a4abb8; --line: #323843; --link: #8ab8f5;
    --accent: #6ea8f7; --track: #2c323d; --code: #262b34;
    --high: #ff9d94; --high-paper: #3b1d1b; --medium: #f2c46b; --medium-paper: #38290c;
    --low: #93c6f2; --low-paper: #16293b; --note: #a4abb8; --note-paper: #262b34;
    --heavy: #f0675e; --some: #e0a52e; --quiet: #6f7887;
  }
}
* { box-sizing: border-box; }
html { color-scheme: light dark; scroll-padding-top: 1rem; -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; max-width: 70rem; padding: 1.5rem 1.25rem 3rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 var(--sans); overflow-wrap: anywhere;
}
h1, h2, h3, p, ul, ol, figure { margin: 0; }
h1 { font-size: 1.1rem; letter-spacing: 0.01em; }
h2 { font-size: 1.35rem; line-height: 1.25; margin-bottom: 0.75rem; letter-spacing: -0.01em; }
h3 { font-size: 1.02rem; line-height: 1.4; }
p + p, p + ul, ul + p, ul + h3, p + h3 { margin-top: 0.5rem; }
ul { padding-left: 1.2rem; }
a { color: var(--link); text-underline-offset: 0.15em; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 3px; }
code { font: 0.88em/1.5 var(--mono); unicode-bidi: isolate; }
.aside { color: var(--muted); font-size: 0.88rem; }
.aside b { color: var(--ink); font-weight: 600; }
.skip { position: absolute; left: -100vw; }
.skip:focus { position: static; }

.top {
  display: grid; grid-template-columns: auto 1fr; grid-auto-flow: column; grid-auto-columns: 15rem;
  gap: 0.5rem 1.6rem; align-items: center; background: var(--card); border: 1px solid var(--line);
  border-radius: 14px; padding: 1rem 1.4rem;
}
h1 .aside { display: inline-block; font-weight: 400; margin-left: 0.5rem; }
.verdict { font-size: 1.12rem; line-height: 1.45; font-weight: 600; margin-top: 0.2rem; }
.trend h2 { font-size: 0.88rem; color: var(--muted); margin: 0; font-weight: 600; letter-spacing: 0; }
.ring { width: 8.5rem; }
.ring circle { fill: none; stroke-width: 11; }
.ring .track { stroke: var(--track); }
.ring .arc { stroke: var(--accent); }
.ring .number { font: 700 42px var(--sans); fill: var(--ink); }
.ring .of { font: 13px var(--sans); fill: var(--muted); }
.spark { display: block; width: 100%; max-width: 15rem; }
.spark .line { fill: none; stroke: var(--accent); stroke-width: 2.5; stroke-linejoin: round; }
.spark .dot { fill: var(--accent); }
.spark text { font: 12px var(--sans); fill: var(--muted); }
.spark .last { font: 700 14px var(--sans); fill: var(--ink); }

nav { margin: 1rem 0 0; }
nav ul { display: flex; flex-wrap: wrap; gap: 0.3rem 1.1rem; padding: 0; list-style: none; font-size: 0.92rem; }
nav + main > section:first-child { margin-top: 1.1rem; }
section { margin-top: 2.6rem; }

.first { list-style: none; padding: 0; display: grid; gap: 0.75rem; counter-reset: first; }
.first > li {
  counter-increment: first; position: relative; background: var(--card); border: 1px solid var(--line);
  border-radius: 12px; padding: 0.7rem 1.1rem 0.75rem 3.4rem;
  display: grid; grid-template-columns: minmax(0, 7fr) minmax(0, 6fr); gap: 0.3rem 1.5rem; align-items: start;
}
.first > li::before {
  content: counter(first); position: absolute; left: 1rem; top: 0.7rem; width: 1.75rem; height: 1.75rem;
  border-radius: 50%; background: var(--ink); color: var(--card); font-weight: 700; line-height: 1.75rem;
  text-align: center;
}
.first h3 code { font-size: 1rem; }
.first p { margin-top: 0.2rem; }
.action {
  border: 1px solid currentColor; border-radius: 99px; padding: 0.05rem 0.65rem; font-size: 0.85rem; color: var(--link);
  margin-right: 0.4rem; -webkit-box-decoration-break: clone; box-decoration-break: clone;
}
.evidence {
  list-style: none; padding: 0.15rem 0 0; display: grid; grid-template-columns: minmax(0, 1fr); gap: 0.3rem;
  font-size: 0.9rem; line-height: 1.45;
}
.evidence .of { display: grid; grid-template-columns: 6.4rem 4.8rem minmax(0, 1fr); align-items: baseline; }
.evidence .level { margin-right: 0.5rem; min-width: 0; }
.cited { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.cited wbr { display: none; }
.cited code { color: var(--muted); }
.level {
  display: inline-block; min-width: 6.3em; padding: 0 0.5em; border-radius: 5px; font-size: 0.85rem; font-weight: 600;
  white-space: nowrap;
}
.level.high { color: var(--high); background: var(--high-paper); }
.level.medium { color: var(--medium); background: var(--medium-paper); }
.level.low { color: var(--low); background: var(--low-paper); }
.level.note { color: var(--note); background: var(--note-paper); }

figure {
  margin-top: 0.75rem; background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  padding: 0.75rem;
}
.chart { display: block; width: 100%; font-family: var(--sans); }
.chart.narrow { display: none; }
.chart text { fill: var(--muted); }
.chart .name {
  font-family: var(--mono); fill: var(--ink); paint-order: stroke; stroke: var(--card); stroke-width: 3px;
}
.chart .name.first { font-weight: 700; }
.grid { stroke: var(--line); }
.lead { stroke: var(--muted); }
.bubble { stroke-width: 1.5; }
.bubble.quiet { fill: none; stroke: var(--quiet); stroke-dasharray: 3 2; }
.bubble.some { fill: var(--some); fill-opacity: 0.3; stroke: var(--some); }
.bubble.heavy { fill: var(--heavy); fill-opacity: 0.5; stroke: var(--heavy); stroke-width: 2.5; }
.legend {
  display: flex; flex-wrap: wrap; gap: 0.25rem 1.3rem; list-style: none; padding: 0.5rem 0 0; font-size: 0.9rem;
}
.legend li { display: flex; align-items: center; gap: 0.45rem; }
.key { width: 18px; height: 18px; flex: none; }
.funnel { display: block; width: 100%; height: 1.4rem; border-radius: 6px; }
.part.kept, .swatch.kept { fill: var(--accent); background: var(--accent); }
.part.demoted, .swatch.demoted { fill: var(--some); background: var(--some); }
.part.rejected, .swatch.rejected { fill: var(--quiet); background: var(--quiet); }
.swatch { width: 0.9rem; height: 0.9rem; border-radius: 3px; flex: none; }

table { width: 100%; border-collapse: collapse; margin-top: 0.75rem; background: var(--card); font-size: 0.93rem; }
caption { text-align: left; color: var(--muted); font-size: 0.88rem; padding-bottom: 0.35rem; }
th, td { text-align: left; vertical-align: top; padding: 0.5rem 0.7rem; border: 1px solid var(--line); }
th { font-size: 0.85rem; color: var(--muted); font-weight: 600; }
th button {
  all: unset; cursor: pointer; color: var(--link); text-decoration: underline dotted; text-underline-offset: 0.2em;
}
th button:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
th[aria-sort=ascending] button::after { content: " ↑"; }
th[aria-sort=descending] button::after { content: " ↓"; }
th { overflow-wrap: normal; }
.stacked, .numbers { table-layout: fixed; }
.kept th:nth-child(1) { width: 7.2rem; }
.kept th:nth-child(2) { width: 30%; }
.kept th:nth-child(4) { width: 7rem; }
.sides caption { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; }
.sides th:nth-child(1) { width: 9rem; }
.sides th:nth-child(2) { width: 6rem; }
.sides th:nth-child(4) { width: 9rem; }
.sides th:nth-child(5) { width: 30%; }
.thrown th:nth-child(1), .thrown th:nth-child(2) { width: 6rem; }
.thrown th:nth-child(4) { width: 48%; }
.mended th:nth-child(1), .mended th:nth-child(3) { width: 34%; }
.figures th + th { width: 7rem; }
.numbers th + th { width: 6rem; }
.numbers td + td, .numbers th + th, .figures td + td, .figures th + th {
  text-align: right; font-variant-numeric: tabular-nums;
}
td ul { padding-left: 1rem; }
td > ul:only-child { list-style: none; padding: 0; display: grid; gap: 0.25rem; }
tr:target { outline: 3px solid var(--accent); outline-offset: -2px; }
.id { font-family: var(--mono); font-size: 0.78rem; }
.snippet { margin-top: 0.25rem; }
.snippet code {
  display: block; background: var(--code); border-radius: 5px; padding: 0.2rem 0.5rem; white-space: pre-wrap;
}
pre {
  margin: 0.3rem 0 0; background: var(--code); border-radius: 5px; padding: 0.25rem 0.5rem; white-space: pre-wrap;
  font: 0.8rem/1.5 var(--mono); unicode-bidi: isolate;
}
pre .at { color: var(--muted); user-select: none; }
.order { margin-top: 0.75rem; }
.after { font-weight: 600; }

details { margin-top: 0.6rem; }
summary { cursor: pointer; padding: 0.2rem 0; }
#conflicts summary { font-weight: 600; }
#filter { display: flex; flex-wrap: wrap; gap: 0.5rem 1rem; align-items: center; font-size: 0.93rem; }
#filter[hidden] { display: none; }
#filter div { display: flex; flex-wrap: wrap; gap: 0.4rem; }
#filter button { cursor: pointer; }
#filter button .level { min-width: 0; }
#filter button[aria-pressed=true] { border-color: var(--accent); box-shadow: inset 0 0 0 2px var(--accent); }
input, select, #filter button {
  font: inherit; color: inherit; background: var(--card); border: 1px solid var(--muted); border-radius: 6px;
  padding: 0.25rem 0.5rem; max-width: 100%;
}
output { color: var(--muted); }
footer {
  margin-top: 3rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--muted); font-size: 0.92rem;
}

@media screen and (max-width: 46rem) {
  body { padding: 0.5rem 0.75rem 2rem; }
  .top { display: flow-root; padding: 0.7rem 0.8rem; }
  .top > * + * { margin-top: 0.6rem; }
  .top .said { margin-top: 0; font-size: 0.9rem; line-height: 1.4; }
  .verdict { font-size: 0.95rem; line-height: 1.4; }
  .ring { float: left; width: 4.2rem; margin: 0 0.7rem 0.2rem 0; }
  .trend { clear: both; }
  nav { margin-top: 0.5rem; overflow-x: auto; }
  nav ul { flex-wrap: nowrap; white-space: nowrap; }
  nav + main > section:first-child { margin-top: 0.6rem; }
  h2 { font-size: 1.2rem; margin-bottom: 0.5rem; }
  .first > li { display: block; padding: 0.8rem 0.9rem 0.9rem; }
  .first p { clear: both; }
  .evidence .of { display: block; }
  h1 .aside { margin-left: 0; }
  .cited { white-space: normal; }
  .first > li::before { position: static; float: left; margin: -0.1rem 0.6rem 0.2rem 0; }
  .chart.wide { display: none; }
  .chart.narrow { display: block; }
  figure { padding: 0.4rem; }
  .stacked thead { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; }
  .stacked, .stacked caption, .stacked tbody, .stacked tr, .stacked td { display: block; }
  .stacked tr[hidden] { display: none; }
  .stacked { background: none; }
  .stacked tr {
    background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 0.5rem 0.75rem;
  }
  .stacked tr + tr { margin-top: 0.6rem; }
  .stacked td { border: 0; padding: 0.2rem 0; text-align: left; }
  .stacked td::before { content: attr(data-head) ": "; color: var(--muted); font-size: 0.85rem; }
  .numbers th, .numbers td { padding: 0.4rem; }
  .numbers th + th { width: 4.4rem; font-size: 0.75rem; }
  .stacked.figures td { text-align: left; }
  .stacked.figures td + td { display: inline-block; margin-right: 0.8rem; }
}
@media print {
  :root {
    --paper: #ffffff; --card: #ffffff; --ink: #000000; --muted: #444444; --line: #bbbbbb; --link: #000000;
    --accent: #1f5fbf; --track: #dddddd; --code: #f2f2f2;
    --high: #8c1712; --high-paper: #ffffff; --medium: #6b4500; --medium-paper: #ffffff;
    --low: #1c4a70; --low-paper: #ffffff; --note: #444444; --note-paper: #ffffff;
    --heavy: #c9362e; --some: #d08a00; --quiet: #777777;
  }
  html { color-scheme: light; font-size: 9pt; }
  body { max-width: none; padding: 0; }
  section { margin-top: 1.8rem; }
  th, td { padding: 0.2rem 0.45rem; }
  .first > li { display: block; }
  .figures th + th { width: 5.5rem; }
  nav, .skip, #filter { display: none; }
  svg, .swatch, .first > li::before, .level { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .first > li, figure, tr, .top { break-inside: avoid; }
  h2, h3, summary, caption, thead { break-after: avoid; }
  .sides { break-inside: avoid; }
  thead { display: table-header-group; }
  details::details-content { content-visibility: visible; block-size: auto; opacity: 1; }
  summary { list-style: none; }
  th button { display: contents; color: inherit; }
  .cited { white-space: normal; }
  .evidence a::after { content: " (" attr(href) ")"; color: var(--muted); font-size: 0.85em; }
}
"""
