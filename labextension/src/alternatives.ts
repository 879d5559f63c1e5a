/** Alternatives for an explicit request. A second provider, because a provider can reply only once per request. */

import type {
  CompletionHandler,
  IInlineCompletionList,
  IInlineCompletionProvider
} from '@jupyterlab/completer';
import { Signal } from '@lumino/signaling';
import type { IClient } from './client';
import { type IContext, positionIn } from './document';
import { isAt } from './editor';
import { NOTHING, type Provider } from './provider';
import type { ISuggestion } from './wire';

export class Alternatives implements IInlineCompletionProvider {
  readonly name = 'Turbopilot, alternatives';
  readonly identifier = 'jupyter-turbopilot-alternatives';
  readonly schema;

  constructor(
    private readonly _main: Provider,
    private readonly _client: IClient
  ) {
    this.schema = this._main.schema;
  }

  /** Whether the alternatives of the last call are being generated, or the server has none; null: they were not requested. */
  progress: 'generating' | 'none' | null = null;

  /** Emitted when the last call has ended without alternatives. */
  readonly ended = new Signal<this, void>(this);

  async fetch(request: CompletionHandler.IRequest, context: IContext): Promise<IInlineCompletionList> {
    this.cancel();
    const abort = (this._abort = new AbortController());
    this.progress = this._main.invoked && this._main.settings.alternatives > 0 ? 'generating' : null;
    const list = await this._request(request, context, abort);
    if (abort === this._abort && this.progress && list.items.length === 0) {
      this.progress = 'none';
      this.ended.emit();
    }
    return list;
  }

  private async _request(
    request: CompletionHandler.IRequest,
    context: IContext,
    abort: AbortController
  ): Promise<IInlineCompletionList> {
    const { invoked, settings } = this._main;
    // The completer shows the first reply that it receives, so wait for the main suggestion.
    const suggestion = await this._main.settled();
    const { editor } = context;
    const position = positionIn(request);
    const shown = withoutSpaces(suggestion?.rest(position) ?? '');
    // Drop a reply that arrives after the cursor has moved, or after the user has pressed Escape or disabled suggestions.
    const isWanted = () =>
      !abort.signal.aborted &&
      editor != null &&
      isAt(editor, position) &&
      editor.hasFocus() &&
      !this._main.declinesAlternatives(request, context);
    if (!invoked || !shown || settings.alternatives === 0 || !isWanted()) {
      return NOTHING;
    }
    const body = this._main.alternativesBody(request, context);
    const answer = await this._client.alternatives(body, abort.signal).catch(() => null);
    if (!answer || !isWanted()) {
      return NOTHING;
    }
    // Reading several costs nothing. If the shown suggestion is not among the items, there is one more than the user wants.
    const most = answer.items.some(({ read }) => read) ? Infinity : settings.alternatives;
    const items = distinct(answer.items, shown).slice(0, most);
    return { items: items.map(({ text, imports }) => ({ insertText: text, imports })) };
  }

  /** Cancel the request for alternatives. */
  cancel(): void {
    this._abort?.abort();
  }

  private _abort: AbortController | null = null;
}

/** Remove white space within and at the end of lines; keep the indentation of further lines. */
function withoutSpaces(text: string): string {
  return text.trimEnd().replace(/(^|\S)[^\S\n]+/g, '$1');
}

/**
 * Return the items that differ from the shown text and from each other in more than white space, in their order: by
 * probability. A prefix of the shown text is often more probable than that.
 */
function distinct(items: readonly ISuggestion[], shown: string): ISuggestion[] {
  const seen = new Set(['', shown]);
  return items.filter(({ text }) => {
    const bare = withoutSpaces(text);
    const isNew = !seen.has(bare);
    seen.add(bare);
    return isNew;
  });
}
