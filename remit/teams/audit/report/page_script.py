"""The script of the page: sorts and narrows the findings, and unfolds everything for paper. All works without it."""

SCRIPT = """
"use strict";
(() => {
  const folded = [];
  addEventListener("beforeprint", () => {
    for (const item of document.querySelectorAll("details:not([open])")) { item.open = true; folded.push(item); }
  });
  addEventListener("afterprint", () => { for (const item of folded.splice(0)) item.open = false; });

  const table = document.getElementById("kept");
  if (!table) return;
  const body = table.tBodies[0], rows = [...body.rows], heads = [...table.tHead.rows[0].cells];
  const byId = (name) => document.getElementById(name);
  const text = byId("with-text"), skill = byId("with-skill"), levels = [...document.querySelectorAll("#filter button")];
  const said = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));

  const narrow = () => {
    const wanted = text.value.trim().toLowerCase();
    const pressed = levels.filter((button) => button.ariaPressed === "true").map((button) => button.dataset.severity);
    let count = 0;
    for (const row of rows) {
      row.hidden = !((!pressed.length || pressed.includes(row.dataset.severity))
        && (!skill.value || row.dataset.skill === skill.value) && said.get(row).includes(wanted));
      count += row.hidden ? 0 : 1;
    }
    byId("matches").textContent = `${count} of ${rows.length} shown`;
  };
  const reveal = () => {
    const row = location.hash && byId(decodeURIComponent(location.hash.slice(1)));
    if (!row || !row.hidden) return;
    text.value = skill.value = "";
    for (const button of levels) button.ariaPressed = "false";
    narrow();
    row.scrollIntoView();
  };
  for (const item of [text, skill]) item.addEventListener("input", narrow);
  for (const button of levels) {
    button.addEventListener("click", () => {
      button.ariaPressed = button.ariaPressed === "true" ? "false" : "true";
      narrow();
    });
  }
  addEventListener("hashchange", reveal);

  const order = (column) => (row) =>
    column === 0 ? row.dataset.order : row.cells[column].textContent.trim().toLowerCase();
  const compare = new Intl.Collator("en", { numeric: true }).compare;
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = order(column), way = down ? -1 : 1;
      body.append(...[...rows].sort((one, other) => way * compare(key(one), key(other))));
    });
  });
  byId("filter").hidden = false;
})();
"""
