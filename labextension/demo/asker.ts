/** Requests a suggestion at each keystroke, and shows the rest of the current one while the user types along. */

import type { Extension } from '@codemirror/state';
import { EditorView, type ViewUpdate } from '@codemirror/view';
import { SuggestionCache } from '../src/cache';
import type { IClient, ICompletionFrame } from '../src/client';
import { type IPosition, Suggestion } from '../src/suggestion';
import { ServerError } from '../src/requesterror';
import { chooseWindow } from '../src/window';
import type { IRequest } from '../src/wire';
import { ghostOf, showGhost } from './ghost';

/** The user's choices. */
export interface IChoice {
  language: string;
  /** the name of a file in that language */
  path: string;
  eagerness: NonNullable<IRequest['eagerness']>;
}

export interface IListener {
  /** The model is there. */
  ready(): void;
  /**
   * A suggestion is complete after `ms` milliseconds; `rest`: its shown text, empty if there is none. `invoked`: the user
   * requested it explicitly.
   */
  answered(rest: string, ms: number, invoked: boolean): void;
  /** A cached suggestion is shown again; `text`: its shown text, empty if it was dismissed. */
  recalled(text: string): void;
  failed(reason: unknown): void;
}

export class Asker {
  constructor(
    private readonly _client: Pick<IClient, 'complete'>,
    private readonly _choice: () => IChoice,
    private readonly _listener: IListener
  ) {}

  /** Follows an editor. */
  get extension(): Extension {
    return [
      EditorView.updateListener.of(update => this._updated(update)),
      EditorView.domEventHandlers({
        compositionend: (_, view) => {
          setTimeout(() => this._ask(view, 'automatic')); // the composed text is in the document by then
        },
        blur: (_, view) => this.clear(view)
      })
    ];
  }

  /** Load the model and evaluate the prompt. */
  warm(view: EditorView): void {
    const { signal } = new AbortController(); // requests take precedence over the warm-up
    this._client
      .complete(this._request(positionIn(view), 'warmup'), signal, () => undefined)
      .then(() => this._listener.ready())
      .catch((reason: unknown) => this._listener.failed(reason));
  }

  /** Send an explicit request. */
  invoke(view: EditorView): void {
    this._dismissed = null;
    this._ask(view, 'invoke');
  }

  /** Dismiss the shown suggestion: the next keystroke does not show it again. */
  dismiss(view: EditorView): void {
    const position = positionIn(view);
    const rest = this._suggestion?.rest(position);
    if (rest) {
      this._dismissed = new Suggestion(position, rest);
    }
    this.clear(view);
  }

  /** Remove the shown suggestion and cancel the request. */
  clear(view: EditorView): void {
    this._leave();
    showGhost(view, '');
  }

  private _updated({ view, docChanged, selectionSet, transactions }: ViewUpdate): void {
    if (!docChanged) {
      if (selectionSet) {
        this.clear(view);
      }
      return;
    }
    if (!this._dismissed?.restOnLine(positionIn(view))) {
      this._dismissed = null;
    }
    const rest = this._suggestion?.rest(positionIn(view));
    const typed = transactions.some(one => one.isUserEvent('input') || one.isUserEvent('delete'));
    if (rest) {
      this._show(view);
    } else if (typed && !view.composing) {
      if (!this._recall(view)) {
        this._ask(view, 'automatic'); // the text generated so far serves as a draft
      }
    } else {
      this._leave();
    }
  }

  /** Show a cached suggestion for this position. */
  private _recall(view: EditorView): boolean {
    const position = positionIn(view);
    const suggestion = this._cache.lookup(this._request(position, 'automatic'), position)?.suggestion;
    if (!suggestion) {
      return false;
    }
    this._leave();
    this._suggestion = suggestion;
    this._listener.recalled(this._show(view));
    return true;
  }

  /** Show the rest of the suggestion, unless it was dismissed; return the shown text. */
  private _show(view: EditorView): string {
    const position = positionIn(view);
    const rest = this._suggestion?.rest(position) ?? '';
    const shown = this._dismissed?.hides(rest, position) ? '' : rest;
    showGhost(view, shown);
    return shown;
  }

  private _ask(view: EditorView, trigger: IRequest['trigger']): void {
    const position = positionIn(view);
    // An explicit request keeps the shown text; a repeated one shows the text that did not continue it.
    const wantsAnother = this._suggestion?.hasDropped && this._suggestion.isFor(position);
    const shown = trigger === 'invoke' && !wantsAnother ? ghostOf(view) : '';
    this._leave();
    if (!view.state.selection.main.empty) {
      return;
    }
    const request = this._request(position, trigger);
    const suggestion = (this._suggestion = new Suggestion(position, shown));
    const abort = (this._abort = new AbortController());
    let ms = 0;
    const grow = ({ text, timings }: ICompletionFrame): void => {
      ms = timings?.total_ms ?? ms; // without the time that it takes to load the model
      suggestion.grow(text);
      if (this._suggestion === suggestion) {
        this._show(view);
      }
    };
    this._client
      .complete(request, abort.signal, grow)
      .then(
        () => {
          this._listener.ready();
          if (suggestion.text) {
            this._cache.remember(request, { suggestion, id: '' });
          }
          if (this._suggestion === suggestion) {
            this._listener.answered(this._show(view), ms, trigger === 'invoke');
          }
        },
        (reason: unknown) => {
          // Report a missing model even if this request was cancelled.
          if (!abort.signal.aborted || reason instanceof ServerError) {
            this._listener.failed(reason);
          }
        }
      )
      .finally(() => suggestion.finish());
  }

  private _request({ text, offset }: IPosition, trigger: IRequest['trigger']): IRequest {
    const { language, path, eagerness } = this._choice();
    const cell = { id: '', type: 'code' as const, source: text, executed: null };
    return {
      ...chooseWindow(1, () => cell, 0, offset),
      path,
      language,
      kernel_id: null,
      documents: [],
      trigger,
      notebook_index: false,
      lines: 'auto',
      eagerness,
      stream: true,
      client: 'page',
      sequence: 0,
      n: 1,
      max_tokens: null,
      temperature: 0
    };
  }

  private _leave(): void {
    this._abort?.abort();
    this._abort = null;
    this._suggestion = null;
  }

  private readonly _cache = new SuggestionCache();
  private _suggestion: Suggestion | null = null;
  private _dismissed: Suggestion | null = null;
  private _abort: AbortController | null = null;
}

function positionIn({ state }: EditorView): IPosition {
  return { text: state.doc.toString(), offset: state.selection.main.head };
}
