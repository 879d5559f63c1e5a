/** The theme's search field and the page of results, on the site's own search. */
"use strict";

(() => {
  const root = document.documentElement.dataset.content_root ?? "./";
  const WAIT = 120; // milliseconds after a key
  const done = new Map();

  /** Do something once: what has failed is tried again the next time. */
  const once = (name, make) => {
    if (!done.has(name)) {
      const going = make();
      done.set(name, going);
      going.catch(() => done.delete(name));
    }
    return done.get(name);
  };

  const load = (name) =>
    once(
      name,
      () =>
        new Promise((resolve, reject) => {
          const script = document.createElement("script");
          script.src = `${root}_static/${name}`;
          script.onload = resolve;
          script.onerror = () =>
            reject(new Error(`${name} could not be loaded.`));
          document.head.append(script);
        }),
    );

  /** What is searched is fetched when somebody searches, and not before. */
  const search = () =>
    once("search", async () => {
      await Promise.all(
        ["minisearch.js", "language_data.js", "search-sections.js"].map(load),
      );
      return TurbopilotSearch.make(globalThis.turbopilotSections, {
        MiniSearch,
        Stemmer,
      });
    });

  const element = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    Object.entries(attributes).forEach(([key, value]) =>
      made.setAttribute(key, value),
    );
    made.append(...children);
    return made;
  };

  function result(found) {
    const marked = found.excerpt.map(({ text, marked }) =>
      marked ? element("mark", {}, text) : text,
    );
    const link = element(
      "a",
      { href: root + TurbopilotSearch.addressOf(found) },
      found.title,
    );
    const parts = [element("div", { class: "site-search-title" }, link)];
    if (found.above.length) {
      parts.push(
        element("div", { class: "site-search-above" }, found.above.join(" › ")),
      );
    }
    parts.push(element("p", { class: "site-search-excerpt" }, ...marked));
    return element("li", {}, ...parts);
  }

  /** Put a list of results below a field, which arrows lead into. The field may be in a dialog. */
  function attach(form, place, most) {
    const dialog = form.closest("dialog");
    const input = form.querySelector('input[type="search"]');
    const status = element("p", {
      class: "site-search-status",
      role: "status",
    });
    const list = element("ol", {
      class: "site-search-results",
      "aria-label": "Search results",
    });
    place.append(status, list);
    let asked = 0;
    let waiting;

    const show = async (typing = true) => {
      clearTimeout(waiting);
      const question = input.value.trim();
      const number = ++asked;
      if (!question) {
        status.textContent = "";
        list.replaceChildren();
        return;
      }
      try {
        const found = (await search())(question, { most, typing });
        if (number !== asked) {
          return;
        }
        status.textContent = found.length
          ? `${found.length === most ? "The best " : ""}${found.length} ${found.length === 1 ? "result" : "results"}`
          : "Nothing was found. Try other words.";
        list.replaceChildren(...found.map(result));
      } catch (error) {
        status.textContent = `The search does not work: ${error.message}`;
      }
    };

    input.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(show, WAIT);
    });
    // A result on this page would stay behind the dialog; one that opens in another tab leaves it open.
    list.addEventListener("click", (event) => {
      const elsewhere = event.ctrlKey || event.metaKey || event.shiftKey;
      if (event.target.closest("a") && !elsewhere) {
        dialog?.close();
      }
    });
    place.parentElement.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && dialog?.open) {
        event.preventDefault();
        event.stopPropagation();
        dialog.close();
        return;
      }
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      const stops = [input, ...list.querySelectorAll("a")];
      const at = stops.indexOf(document.activeElement);
      if (step && at >= 0 && stops[at + step]) {
        event.preventDefault();
        stops[at + step].focus();
      }
    });
    return { input, show };
  }

  document.addEventListener("DOMContentLoaded", () => {
    const page = document.getElementById("site-search-page");
    document.querySelectorAll("form.bd-search").forEach((form) => {
      if (!page?.contains(form)) {
        const place = element("div", { class: "site-search-below" });
        form.after(place);
        attach(form, place, 6);
      }
    });
    if (page) {
      const { input, show } = attach(
        page.querySelector("form"),
        page.querySelector(".site-search-below"),
        20,
      );
      input.value = new URLSearchParams(location.search).get("q") ?? "";
      void show(false);
      page.querySelector("form").addEventListener("submit", (event) => {
        event.preventDefault();
        history.replaceState(null, "", `?q=${encodeURIComponent(input.value)}`);
        void show(false);
      });
      input.focus();
    }
  });
})();
