"use strict";
// Tables of class "sortable": a button in a column's head sorts by it, once more the other way round.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  const valueOf = (row, index) => {
    const cell = row.cells[index];
    if (cell.classList.contains("number")) {
      return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
    }
    return cell.textContent.trim();
  };
  const compare = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true }));
  heads.forEach((head, index) => {
    head.querySelector("button")?.addEventListener("click", () => {
      // Of figures the largest is looked for first, of names the first.
      const first = head.classList.contains("number") && index > 0 ? "descending" : "ascending";
      const other = first === "ascending" ? "descending" : "ascending";
      const order = head.getAttribute("aria-sort") === first ? other : first;
      heads.forEach((each) => each.hasAttribute("aria-sort") && each.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", order);
      const rows = [...table.tBodies[0].rows].map((row) => [valueOf(row, index), row]);
      rows.sort(([a], [b]) => {
        // What is unknown comes last either way.
        if (a === null || b === null) return (a === null) - (b === null);
        return order === "ascending" ? compare(a, b) : compare(b, a);
      });
      table.tBodies[0].append(...rows.map(([, row]) => row));
    });
  });
}
// Commands: a button beside each puts it on the clipboard, or selects it where a page may not.
for (const button of document.querySelectorAll("button.copy")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const code = button.previousElementSibling;
    try {
      await navigator.clipboard.writeText(code.textContent.trim());
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
}
// Images: a click, Enter or the space bar enlarges one in its place.
for (const button of document.querySelectorAll("button.picture")) {
  button.addEventListener("click", () => {
    const large = button.closest("li").classList.toggle("large");
    button.setAttribute("aria-expanded", String(large));
  });
}
// A section with nothing in it is folded; who goes there wants to see why.
const unfold = () => {
  const target = document.getElementById(location.hash.slice(1));
  target?.querySelector("details.empty")?.setAttribute("open", "");
};
addEventListener("hashchange", unfold);
unfold();
