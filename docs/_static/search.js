/**
 * The site's search: a whole question may be asked. Sections are ranked with BM25 by MiniSearch; words are reduced to
 * their stems, and words for the same thing find each other. The same code answers in the page and in the tests.
 */
"use strict";

(() => {
  /** Words that say nothing of what is looked for. */
  const EMPTY = new Set(
    (
      "a about after again all already also am an and another any anything are as ask asked at be because been before being both but by can cannot " +
      "come comes could did do does doing done each either else ever every exactly for from get gets getting given goes going got had has have having " +
      "here how i if in instead into is it its itself just know let like make makes many may me mean might mine more most much must my myself need needs " +
      "new no nor not now of on once one only onto or other our out over own per please possible put quite really right same say says see seem seems shall " +
      "she should show shows since so some somebody someone something still such sure take takes tell than that the their them then there these they thing things " +
      "this those though through to too tried try under until up upon us use used uses using very via want wants was way we well were what when where " +
      "whether which while who whole whom whose why will with within without would yes yet you your yours"
    ).split(" "),
  );

  /** Words and phrases for the same thing. Each group is found by any of its members, a little below the word itself. */
  const SAME = [
    [
      "gpu",
      "gpus",
      "graphics card",
      "graphics cards",
      "graphics unit",
      "video card",
      "nvidia",
      "cuda",
      "amd card",
    ],
    ["cpu", "processor", "processors"],
    ["ram", "memory", "out of memory"],
    [
      "suggestion",
      "completion",
      "ghost text",
      "grey text",
      "gray text",
      "inline completion",
      "autocomplete",
      "autocompletion",
      "auto complete",
      "prediction",
    ],
    ["accept", "confirm", "insert"],
    ["dismiss", "reject", "hide", "close"],
    [
      "key",
      "shortcut",
      "keybinding",
      "key binding",
      "keyboard",
      "hotkey",
      "keystroke",
      "bind",
      "rebind",
      "remap",
    ],
    ["off", "disable", "turn off", "switch off", "deactivate", "snooze"],
    ["enable", "turn on", "switch on", "activate"],
    ["install", "installation", "set up", "setup"],
    ["uninstall", "remove", "delete", "get rid of"],
    ["update", "upgrade", "newer version", "new version"],
    [
      "mac",
      "macos",
      "macbook",
      "apple",
      "osx",
      "os x",
      "m series",
      "m1",
      "m2",
      "m3",
      "m4",
    ],
    ["windows", "powershell", "win10", "win11"],
    [
      "offline",
      "no internet",
      "internet connection",
      "without a network",
      "no network",
      "air gapped",
      "airgapped",
    ],
    [
      "proxy",
      "firewall",
      "corporate network",
      "company network",
      "certificate",
    ],
    ["fast", "faster", "slow", "latency", "speed", "quick", "lag", "laggy"],
    [
      "train",
      "training",
      "fine tune",
      "fine tuning",
      "finetune",
      "finetuning",
      "tune",
      "tuning",
      "adapter",
      "lora",
    ],
    ["licence", "license", "licences", "licenses", "commercial", "copyright"],
    ["price", "cost", "free", "subscription", "pay", "paid", "money"],
    ["secret", "password", "credential", ".env"],
    [
      "privacy",
      "telemetry",
      "tracking",
      "external server",
      "sent",
      "send",
      "leaves",
      "upload",
    ],
    ["dataframe", "dataframes", "pandas", "polars", "column", "columns"],
    [
      "error",
      "problem",
      "wrong",
      "broken",
      "fails",
      "failed",
      "crash",
      "crashes",
      "trouble",
      "diagnose",
      "debug",
    ],
    ["administrator", "admin", "everybody", "all users", "everyone"],
    [
      "settings",
      "setting",
      "option",
      "configure",
      "configuration",
      "config",
      "preference",
      "trait",
    ],
    [
      "editor",
      "editors",
      "vs code",
      "vscode",
      "vim",
      "neovim",
      "jetbrains",
      "pycharm",
      "emacs",
    ],
    ["download", "fetch", "pull"],
    ["store", "stored", "kept", "keep", "saved"],
    [
      "reuse",
      "reused",
      "cache",
      "cached",
      "kept",
      "read again",
      "processed again",
    ],
    ["quality", "accuracy", "accurate", "how good", "how often"],
    ["frequency", "rarely", "more often", "too few", "eagerness", "eager"],
    ["delay", "debounce", "milliseconds", "pause", "wait"],
    ["browser", "jupyterlite", "webassembly", "wasm", "web page"],
    ["hub", "jupyterhub", "tljh", "kubernetes", "helm"],
    ["terminal", "console", "ipython", "shell prompt"],
    ["line", "lines", "multi line", "multiline", "single line"],
  ];

  /** How much a word counts by where it stands, and BM25's constants: chosen with the questions in research/. */
  const WEIGHTS = {
    title: 1.5,
    above: 0.5,
    code: 0.5,
    same: 0.5,
    fuzzy: 0.2,
    row: 0.8,
    k: 1.8,
    b: 0.5,
    d: 0.5,
  };

  const PHRASES = new Map();
  SAME.forEach((group, number) =>
    group.forEach((phrase) =>
      PHRASES.set(phrase, [...(PHRASES.get(phrase) ?? []), number]),
    ),
  );
  const LONGEST = Math.max(
    ...[...PHRASES.keys()].map((phrase) => phrase.split(" ").length),
  );

  const WORD = /[\p{L}\p{N}][\p{L}\p{N}_.+#'’]*[\p{L}\p{N}_+#]|[\p{L}\p{N}]/gu;

  /** The words of a text: “it's” is “it”, and “doesn't” is a word of its own, which says nothing. */
  const wordsOf = (text) =>
    (text.toLowerCase().match(WORD) ?? []).map((word) =>
      word.replaceAll("’", "'").replace(/'(?:s|d|m|ll|re|ve)$/, ""),
    );

  const isEmpty = (word) => EMPTY.has(word) || word.endsWith("n't");

  /** Make a search over sections; `library` has MiniSearch and the stemmer. */
  function make(sections, { MiniSearch, Stemmer }) {
    const stemmer = new Stemmer();
    const stem = (word) => stemmer.stemWord(word);
    const byStem = new Map();
    for (const [phrase, groups] of PHRASES) {
      const key = phrase.split(" ").map(stem).join(" ");
      byStem.set(key, [...new Set([...(byStem.get(key) ?? []), ...groups])]);
    }

    /** The terms of a text: stems, the parts of compound names, and `~n` for each group of words for the same thing. */
    function terms(text) {
      const words = wordsOf(text).flatMap((word) => {
        const parts = word.split(/[_.]+/).filter(Boolean);
        return parts.length > 1 ? [word, ...parts] : [word];
      });
      const stems = words.map(stem);
      const found = [];
      stems.forEach((term, at) => {
        if (!isEmpty(words[at])) {
          found.push(term);
        }
        for (
          let length = 1;
          length <= LONGEST && at + length <= stems.length;
          length++
        ) {
          for (const group of byStem.get(
            stems.slice(at, at + length).join(" "),
          ) ?? []) {
            found.push(`~${group}`);
          }
        }
      });
      return found;
    }

    const index = new MiniSearch({
      fields: ["title", "above", "text", "code"],
      extractField: (section, field) =>
        field === "above" ? section.above.join(" ") : section[field],
      tokenize: terms,
      processTerm: (term) => term,
      searchOptions: {
        boost: {
          title: WEIGHTS.title,
          above: WEIGHTS.above,
          text: 1,
          code: WEIGHTS.code,
        },
        boostTerm: (term) => (term.startsWith("~") ? WEIGHTS.same : 1),
        bm25: { k: WEIGHTS.k, b: WEIGHTS.b, d: WEIGHTS.d },
      },
    });
    index.addAll(sections);
    const byId = new Map(sections.map((section) => [section.id, section]));

    /** The part of a section's text that has most of what was asked, as pieces that are marked or not. */
    function excerpt({ text, match }, length = 220) {
      const places = [...text.matchAll(/[\p{L}\p{N}][\p{L}\p{N}+#]*/gu)]
        .map(({ 0: word, index }) => ({ word, at: index }))
        .filter(({ word }) => {
          const lower = word.toLowerCase();
          return !isEmpty(lower) && Object.hasOwn(match, stem(lower));
        });
      let begin = 0;
      let best = -1;
      for (const { at } of places) {
        const inside = places.filter(
          (place) => place.at >= at && place.at < at + length,
        ).length;
        if (inside > best) {
          [best, begin] = [inside, at];
        }
      }
      begin = begin < 60 ? 0 : text.lastIndexOf(" ", begin - 30) + 1;
      const end =
        begin + length >= text.length
          ? text.length
          : text.lastIndexOf(" ", begin + length);
      const pieces = [{ text: begin ? "… " : "", marked: false }];
      let from = begin;
      for (const { word, at } of places.filter(
        (place) => place.at >= begin && place.at + place.word.length <= end,
      )) {
        pieces.push(
          { text: text.slice(from, at), marked: false },
          { text: word, marked: true },
        );
        from = at + word.length;
      }
      pieces.push({
        text: text.slice(from, end) + (end < text.length ? " …" : ""),
        marked: false,
      });
      return pieces.filter((piece) => piece.text);
    }

    /** The sections that answer a question, the best first. `typing`: its last word may be unfinished. */
    return (question, { most = 20, typing = false } = {}) => {
      const asked = [...new Set(terms(question))];
      // What follows it stands for words for the same thing.
      const last = asked.findLast((term) => !term.startsWith("~"));
      const found = index.search(asked.join("\n"), {
        tokenize: (text) => text.split("\n").filter(Boolean),
        prefix: (term) => typing && term === last && term.length > 2,
        fuzzy: (term) =>
          term.startsWith("~") || term.length < 6 ? false : 0.2,
        weights: { fuzzy: WEIGHTS.fuzzy, prefix: 0.4 },
      });
      // What the index stores of a section is text alone.
      const sure = found.map(({ id, score, match }) => {
        const section = byId.get(id);
        return {
          ...section,
          match,
          score: score * section.weight * (section.heading ? WEIGHTS.row : 1),
        };
      });
      sure.sort((one, other) => other.score - one.score);
      const places = new Set();
      return sure
        .filter(
          (one) => !places.has(addressOf(one)) && places.add(addressOf(one)),
        )
        .slice(0, most)
        .map((one) => ({ ...one, excerpt: excerpt(one) }));
    };
  }

  /** The address of a section, relative to the site's root. */
  const addressOf = (found) =>
    `${found.page}.html${found.anchor ? `#${found.anchor}` : ""}`;

  globalThis.TurbopilotSearch = { make, addressOf };
})();
