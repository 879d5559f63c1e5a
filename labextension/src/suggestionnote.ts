/** The note under a line with ghost text, with JupyterLab's toolbar beside it, and their positions. */

import type { InlineCompleter } from '@jupyterlab/completer';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Completers } from './completers';
import { ghostIn, type IGhost, isEndVisible, revealGhost, scrollBack } from './editor';
import type { ISuggestedItem } from './accept';

/** Properties for the style sheet: the text under the line with ghost text, and the position of JupyterLab's toolbar. */
const NOTE = '--jp-turbopilot-note';
const TOOLBAR = '--jp-turbopilot-toolbar';
const NOTED = 'jp-mod-turbopilot-noted';
/** The class of an editor whose ghost text comes from Turbopilot, and of JupyterLab's toolbar for it. The text has a higher contrast than JupyterLab's own. */
const OURS = 'jp-mod-turbopilot-ours';
/** The class of JupyterLab's toolbar for a single suggestion. */
const SINGLE = 'jp-mod-turbopilot-single';
/** Milliseconds without scrolling by mouse or touch before ghost text may scroll. */
const SETTLE = 500;

/** Milliseconds without ghost text after which the editor scrolls back: the next text may appear meanwhile. */
const SCROLL_BACK = 300;
/** Pixels between the note and the toolbar, and to the edge of the editor. */
const GAP = 8;

export function describeImports(trans: TranslationBundle, imports: readonly string[]): string {
  return imports.length > 0 ? trans.__('adds %1', imports.join('; ')) : '';
}

/** Describe what a completer shows; empty for a single suggestion without imports. */
export function describeCurrent(trans: TranslationBundle, { current, model }: InlineCompleter): string {
  const items = model?.completions?.items ?? [];
  const number =
    current && items.length > 1 ? trans.__('%1 of %2', items.indexOf(current) + 1, items.length) : '';
  const imports = describeImports(trans, (current as ISuggestedItem | null)?.imports ?? []);
  return [number, imports].filter(Boolean).join(' · ');
}

/**
 * Update the note when a completer shows something else, and mark its editor while one of `identifiers` suggests it.
 * `hint`: the note when the user has asked for another suggestion and there is only one. Return a function that updates it.
 */
export function noteSuggestions(
  completers: Completers,
  identifiers: readonly string[],
  trans: TranslationBundle,
  hint: () => string
): () => void {
  let scrolledAt = -SETTLE;
  const scrolled = ({ timeStamp }: Event): void => void (scrolledAt = timeStamp);
  for (const type of ['wheel', 'touchmove']) {
    window.addEventListener(type, scrolled, { capture: true, passive: true });
  }
  const appearedAt = new WeakMap<object, number>();
  /** the single suggestion at which the user has asked for another */
  let single: object | null = null;
  const update = (completer: InlineCompleter): void => {
    const { current, editor, node } = completer;
    const isOurs = identifiers.includes(current?.provider.identifier ?? '');
    const isAsked = isOurs && current === single && isSingle(completer);
    const note = [describeCurrent(trans, completer), isAsked && hint()].filter(Boolean).join(' · ');
    editor?.host.classList.toggle(OURS, isOurs);
    // A toolbar that the user has set to be always displayed takes the position of the note.
    editor?.host.classList.toggle(NOTED, note !== '' || (isOurs && node.dataset.display === 'always'));
    // JSON strings are CSS strings as long as a note has neither line breaks nor control characters.
    editor?.host.style.setProperty(NOTE, JSON.stringify(note));
    node.classList.toggle(OURS, isOurs);
    node.classList.toggle(SINGLE, isSingle(completer));
    if (!current || !editor) {
      setTimeout(
        () => editor && !(completer.current && completer.editor === editor) && scrollBack(editor),
        SCROLL_BACK
      );
      return;
    }
    const since = appearedAt.get(current) ?? performance.now();
    appearedAt.set(current, since);
    requestAnimationFrame(() => {
      const ghost = completer.current === current && !editor.isDisposed ? ghostIn(editor) : null;
      if (ghost) {
        fitNote(ghost, editor.host, node);
        if (scrolledAt + SETTLE <= since) {
          revealGhost(ghost);
        }
        positionToolbar(ghost, node);
      }
    });
  };
  completers.rendered.connect((_, completer) => update(completer));
  completers.cycled.connect((_, completer) => {
    single = completer.current;
    update(completer);
  });
  const follow = (): void => {
    const { editor, node } = completers.active ?? {};
    const ghost = editor && ghostIn(editor);
    if (ghost && node) {
      positionToolbar(ghost, node);
    }
  };
  document.addEventListener('scroll', follow, { capture: true, passive: true });
  return () => completers.active && update(completers.active);
}

/** Return whether a completer shows a single suggestion. */
export function isSingle({ model }: InlineCompleter): boolean {
  return model?.completions?.items.length === 1;
}

/** Fit the note into the visible part of the editor, and leave room for the toolbar beside it. */
function fitNote({ line, scroller }: IGhost, { style }: HTMLElement, toolbar: HTMLElement): void {
  const padding = parseFloat(getComputedStyle(line).paddingLeft);
  const left = line.getBoundingClientRect().left - scroller.getBoundingClientRect().left;
  const start = left + padding + scroller.scrollLeft;
  style.setProperty(`${NOTE}-left`, `${start}px`);
  style.setProperty(`${NOTE}-width`, `${scroller.clientWidth - start - GAP - toolbar.offsetWidth}px`);
  style.setProperty(`${NOTE}-height`, `${toolbar.offsetHeight}px`);
}

/** Position the toolbar beside the note. JupyterLab puts it above the cursor, where it covers code. */
function positionToolbar(ghost: IGhost, { offsetHeight, style }: HTMLElement): void {
  const { line, scroller } = ghost;
  const note = getComputedStyle(line, '::after');
  const end = parseFloat(note.left) + (parseFloat(note.width) || 0);
  style.setProperty(`${TOOLBAR}-left`, `${scroller.getBoundingClientRect().left + end + GAP}px`);
  style.setProperty(`${TOOLBAR}-top`, `${line.getBoundingClientRect().bottom - offsetHeight}px`);
  style.visibility = isEndVisible(ghost) ? '' : 'hidden';
}
