/** Further suggestions for who asks: a provider of its own, since one answers once. */

import type {
  CompletionHandler,
  IInlineCompletionList,
  IInlineCompletionProvider
} from '@jupyterlab/completer';
import type { ICompletionClient } from './client';
import { type IContext, placeIn } from './document';
import { isAt } from './editor';
import { NOTHING, type Provider } from './provider';
import type { ISuggestion } from './wire';

export class Alternatives implements IInlineCompletionProvider {
  readonly name = 'Turbopilot, alternatives';
  readonly identifier = 'jupyter-turbopilot-alternatives';
  readonly schema;

  constructor(
    private readonly _main: Provider,
    private readonly _client: ICompletionClient
  ) {
    this.schema = this._main.schema;
  }

  async fetch(request: CompletionHandler.IRequest, context: IContext): Promise<IInlineCompletionList> {
    this._abort?.abort();
    const abort = (this._abort = new AbortController());
    const { invoked } = this._main;
    // The completer takes whoever answers first for the one to show.
    const main = await this._main.settled();
    const place = placeIn(request);
    const shown = withoutSpaces(main?.rest(place) ?? '');
    if (!invoked || !shown || this._main.settings.alternatives === 0) {
      return NOTHING;
    }
    const { editor } = context;
    // An answer that comes after the cursor has moved, or after Escape, is nobody's.
    const wanted = () => !abort.signal.aborted && editor != null && isAt(editor, place) && editor.hasFocus();
    if (!wanted()) {
      return NOTHING;
    }
    try {
      const answer = await this._client.alternatives(
        this._main.alternativesBody(request, context),
        abort.signal
      );
      const items = distinct(answer.items, shown).map(({ text, imports }) => ({ insertText: text, imports }));
      return wanted() ? { items } : NOTHING;
    } catch {
      return NOTHING;
    }
  }

  /** Give up the request for alternatives that is under way. */
  cancel(): void {
    this._abort?.abort();
  }

  private _abort: AbortController | null = null;
}

/** A text without the white space within its lines and at its ends; the indentation of further lines stays. */
function withoutSpaces(text: string): string {
  return text.trimEnd().replace(/(^|\S)[^\S\n]+/g, '$1');
}

/** Keep the items that differ from the text that is shown, and from each other, in more than white space. */
function distinct(items: readonly ISuggestion[], shown: string): ISuggestion[] {
  const seen = new Set<string>();
  return items.filter(({ text }) => {
    const bare = withoutSpaces(text);
    const isNew = !shown.startsWith(bare) && !seen.has(bare);
    seen.add(bare);
    return isNew;
  });
}
