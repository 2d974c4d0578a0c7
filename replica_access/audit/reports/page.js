"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);

  const form = document.getElementById("filters");
  if (form) {
    const found = data.rows;
    const rows = document.querySelector(".findings tbody").rows;
    const texts = found.map((each) => Object.values(each).join("\n").toLowerCase());
    const { text, severity, rule, server, state, count } = form.elements;
    const spec = form.elements.spec || { value: "" }; // where there are several
    const ofSpecs = [...document.querySelectorAll("[data-spec]")];

    const matches = (each) =>
      (!spec.value || each.spec === spec.value) &&
      (!severity.value || each.severity === severity.value) &&
      (!rule.value || each.rule === rule.value) &&
      (!server.value || each.server === server.value) &&
      (!state.value || each.state === state.value || (state.value === "open" && each.state === "new"));

    // What is chosen stands in the address, so that a view can be passed on.
    const choices = { text, spec, severity, rule, server, state };
    const remember = () => {
      const chosen = Object.entries(choices).filter(([, input]) => input.value).map(([name, input]) => [name, input.value]);
      const hash = new URLSearchParams(chosen).toString();
      if (hash || location.hash.includes("=")) history.replaceState(null, "", `#${hash}`);
    };
    const recall = () => {
      for (const [name, value] of new URLSearchParams(location.hash.slice(1))) {
        if (Object.hasOwn(choices, name)) choices[name].value = value;
      }
    };
    recall();

    const filter = () => {
      const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      found.forEach((each, index) => {
        const show = matches(each) && words.every((word) => texts[index].includes(word));
        rows[index].hidden = !show;
        shown += show ? 1 : 0;
      });
      ofSpecs.forEach((part) => { part.hidden = Boolean(spec.value) && part.dataset.spec !== spec.value; });
      remember();
      count.value = `${shown.toLocaleString("en")} of ${found.length.toLocaleString("en")}`;
    };

    let waiting = 0;
    form.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(filter, 80);
    });
    form.addEventListener("reset", () => setTimeout(filter, 0));
    addEventListener("hashchange", () => {
      recall();
      filter();
      if (spec.value) document.getElementById("findings").scrollIntoView();
    });
    form.addEventListener("submit", (event) => event.preventDefault());
    document.addEventListener("keydown", (event) => {
      const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
      if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
        event.preventDefault();
        text.focus();
      } else if (event.key === "Escape" && event.target === text) {
        text.value = "";
        filter();
      }
    });
    form.hidden = false;
    filter();
  }

  // --- roles by schemas: a cell opens the objects and the ways behind it ---
  const element = (name, said, ...children) => {
    const made = document.createElement(name);
    if (said) made.textContent = said;
    made.append(...children);
    return made;
  };

  const way = (through, by) =>
    [through && `through ${through}`, by && `granted by ${by}`].filter(Boolean).join(", ") || "as owner";

  const held = ([kind, list, total, privileges, through, by]) => {
    const names = data.access.names[list];
    const more = total > names.length ? ` … and ${(total - names.length).toLocaleString("en")} more` : "";
    const objects = element("details", "", element("summary", `${total.toLocaleString("en")} × ${kind}`));
    objects.append(element("p", names.join(", ") + more));
    return element("tr", "", element("td", privileges), element("td", way(through, by)), element("td", "", objects));
  };

  const dialog = element("dialog");
  const show = (cell) => {
    const head = element("tr", "", ...["Privileges", "Way", "On"].map((name) => element("th", name)));
    const close = element("button", "Close");
    close.type = "button";
    close.addEventListener("click", () => dialog.close());
    const parts = [element("h3", `${cell.role} in ${cell.place}`)];
    if (cell.closed.length) {
      parts.push(element("p", `Of no use as it is: ${cell.role} lacks ${cell.closed.join(" and ")}.`));
    }
    parts.push(element("table", "", element("thead", "", head), element("tbody", "", ...cell.held.map(held))), close);
    dialog.replaceChildren(...parts);
    dialog.showModal();
  };

  const roles = document.getElementById("roles");
  if (roles) {
    document.body.append(dialog);
    const tables = [...document.querySelectorAll(".matrix")];
    document.getElementById("access").addEventListener("click", (event) => {
      const button = event.target.closest("button[data-cell]");
      if (button) show(data.access.cells[Number(button.dataset.cell)]);
    });
    const { role } = roles.elements;
    roles.addEventListener("input", () => {
      const wanted = role.value.toLowerCase();
      for (const row of tables.flatMap((table) => [...table.tBodies[0].rows])) {
        row.hidden = !row.cells[0].textContent.toLowerCase().includes(wanted);
      }
    });
    roles.addEventListener("submit", (event) => event.preventDefault());
    roles.hidden = false;
  }

  // Paper cannot be clicked: what is folded is printed open, and folded again afterwards.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    opened.forEach((each) => { each.open = true; });
  });
  addEventListener("afterprint", () => {
    opened.forEach((each) => { each.open = false; });
    opened = [];
  });
})();
