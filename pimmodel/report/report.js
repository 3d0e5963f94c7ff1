// Sorts a table by the column whose head is clicked: up, down, then as it was.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const original = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  const status = table.closest("figure, section").querySelector(".status");
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const next = { none: "ascending", ascending: "descending", descending: "none" };
      const order = next[head.getAttribute("aria-sort") || "none"];
      for (const other of heads) other.removeAttribute("aria-sort");
      let rows = original;
      if (order !== "none") {
        head.setAttribute("aria-sort", order);
        const sign = order === "ascending" ? 1 : -1;
        const key = (row) => row.cells[column].dataset.order ?? row.cells[column].textContent;
        const number = original.every((row) => row.cells[column].classList.contains("number"));
        rows = [...original].sort((a, b) =>
          sign * (number ? Number(key(a)) - Number(key(b)) : key(a).localeCompare(key(b))));
      }
      body.append(...rows);
      if (status) status.textContent = order === "none" ? "in the original order" : `sorted by ${button.textContent.trim()}, ${order}`;
    });
  });
}
