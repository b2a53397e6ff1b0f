"use strict";
// Headings of tables that sort become buttons; without this script they are headings.
for (const table of document.querySelectorAll("table.sorts")) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const order = [...body.rows];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => {
      const was = head.getAttribute("aria-sort");
      for (const other of heads) other.removeAttribute("aria-sort");
      const key = (row) => {
        const cell = row.cells[column];
        if (cell.classList.contains("n")) return cell.dataset.v === undefined ? NaN : Number(cell.dataset.v);
        return cell.textContent;
      };
      const numbers = body.rows[0].cells[column].classList.contains("n");
      const falling = was === null ? numbers : was === "ascending";
      const sign = falling ? -1 : 1;
      const rows = [...order].sort((a, b) => {
        const x = key(a), y = key(b);
        if (typeof x === "string") return sign * x.localeCompare(y, "en", { numeric: true });
        if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
        return sign * (x - y);
      });
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      body.append(...rows);
    });
    head.replaceChildren(button);
  });
}
