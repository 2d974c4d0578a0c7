"use strict";
(() => {
  const form = document.getElementById("filters");
  if (form) {
    const found = JSON.parse(document.getElementById("data").textContent).rows;
    const rows = document.querySelector(".findings tbody").rows;
    const texts = found.map((each) => Object.values(each).join("\n").toLowerCase());
    const { text, severity, rule, server, state, count } = form.elements;

    const matches = (each) =>
      (!severity.value || each.severity === severity.value) &&
      (!rule.value || each.rule === rule.value) &&
      (!server.value || each.server === server.value) &&
      (!state.value || each.state === state.value || (state.value === "open" && each.state === "new"));

    const filter = () => {
      const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      found.forEach((each, index) => {
        const show = matches(each) && words.every((word) => texts[index].includes(word));
        rows[index].hidden = !show;
        shown += show ? 1 : 0;
      });
      count.value = `${shown.toLocaleString("en")} of ${found.length.toLocaleString("en")}`;
    };

    let waiting = 0;
    form.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(filter, 80);
    });
    form.addEventListener("reset", () => setTimeout(filter, 0));
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
