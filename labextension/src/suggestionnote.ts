/** The note under a line with ghost text: the number of the suggestion among several, and the imports it adds. */

import type { InlineCompleter } from '@jupyterlab/completer';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Completers } from './completers';
import type { ISuggestedItem } from './inflight';

/** The style sheet shows this text under the line with ghost text in an editor. */
const PROPERTY = '--jp-turbopilot-note';
const NOTED = 'jp-mod-turbopilot-noted';
/** The class of an editor whose ghost text comes from Turbopilot; it has a higher contrast than JupyterLab's own. */
const OURS = 'jp-mod-turbopilot-ours';

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

/** Update the note when a completer shows something else, and mark its editor while one of `identifiers` suggests it. */
export function noteSuggestions(
  completers: Completers,
  identifiers: readonly string[],
  trans: TranslationBundle
): void {
  completers.created.connect((_, completer) => {
    const write = (): void => {
      const host = completer.editor?.host;
      const note = describeCurrent(trans, completer);
      const provider = completer.current?.provider.identifier;
      host?.classList.toggle(OURS, provider !== undefined && identifiers.includes(provider));
      host?.classList.toggle(NOTED, note !== '');
      // JSON strings are CSS strings as long as a note has neither line breaks nor control characters.
      host?.style.setProperty(PROPERTY, JSON.stringify(note));
    };
    const update = (): void => {
      completer.current?.stream.disconnect(write);
      completer.current?.stream.connect(write);
      write();
    };
    completer.model?.suggestionsChanged.connect(update);
    completer.model?.filterTextChanged.connect(update);
    completers.cycled.connect((_, other) => {
      if (other === completer) {
        update();
      }
    });
  });
}
