/** The note under a line with grey text: which imports are added with it. */

import type { InlineCompleter } from '@jupyterlab/completer';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Completers } from './completers';
import type { ISuggestedItem } from './inflight';

/** What the style sheet writes under the line with grey text in an editor. */
const PROPERTY = '--jp-turbopilot-note';
const NOTED = 'jp-mod-turbopilot-noted';
/** What an editor has while the grey text in it is ours: only then it is brighter than JupyterLab's own. */
const OURS = 'jp-mod-turbopilot-ours';

/** The import lines that come with what a completer shows. */
function importsOf(completer: InlineCompleter): readonly string[] {
  return (completer.current as ISuggestedItem | null)?.imports ?? [];
}

export function describeImports(trans: TranslationBundle, imports: readonly string[]): string {
  return trans.__('adds %1', imports.join('; '));
}

/** Keep the note of each completer as what it shows, and its editor marked where that is by one of `identifiers`. */
export function noteImports(
  completers: Completers,
  identifiers: readonly string[],
  trans: TranslationBundle
): void {
  completers.created.connect((_, completer) => {
    const write = (): void => {
      const host = completer.editor?.host;
      const imports = importsOf(completer);
      const provider = completer.current?.provider.identifier;
      host?.classList.toggle(OURS, provider !== undefined && identifiers.includes(provider));
      host?.classList.toggle(NOTED, imports.length > 0);
      // As a string of CSS, which JSON's are: no name has more in it than letters.
      host?.style.setProperty(PROPERTY, JSON.stringify(describeImports(trans, imports)));
    };
    const update = (): void => {
      completer.current?.stream.disconnect(write);
      completer.current?.stream.connect(write);
      write();
    };
    completer.model?.suggestionsChanged.connect(update);
    completer.model?.filterTextChanged.connect(update);
    const cycle = completer.cycle.bind(completer);
    completer.cycle = direction => {
      cycle(direction);
      update();
    };
  });
}
