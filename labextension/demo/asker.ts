/** Asks for a suggestion at each key, and shows what is left of the one there is while somebody types along. */

import type { Extension } from '@codemirror/state';
import { EditorView, type ViewUpdate } from '@codemirror/view';
import { SuggestionCache } from '../src/cache';
import type { ICompletionClient } from '../src/client';
import { type IPlace, Suggestion } from '../src/suggestion';
import { ServerError } from '../src/trouble';
import { chooseWindow } from '../src/window';
import type { IFrame, IRequest } from '../src/wire';
import { ghostOf, showGhost } from './ghost';

/** What the person has chosen. */
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
   * All of a suggestion is there, after so many milliseconds, and this is left of it; empty: there is none. `invoked`: the
   * person asked for it.
   */
  answered(rest: string, ms: number, invoked: boolean): void;
  /** What was suggested before is shown again: this is left of it; empty: it was dismissed. */
  recalled(text: string): void;
  failed(reason: unknown): void;
}

export class Asker {
  constructor(
    private readonly _client: Pick<ICompletionClient, 'complete'>,
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

  /** Let the model be loaded, and read what stands there. */
  warm(view: EditorView): void {
    const { signal } = new AbortController(); // whatever is asked meanwhile goes first
    this._client
      .complete(this._request(placeIn(view), 'warm'), signal, () => undefined)
      .then(() => this._listener.ready())
      .catch((reason: unknown) => this._listener.failed(reason));
  }

  /** Ask because the person wants to. */
  invoke(view: EditorView): void {
    this._dismissed = null;
    this._ask(view, 'invoke');
  }

  /** The person does not want what is shown: it does not come back at the next key. */
  dismiss(view: EditorView): void {
    const place = placeIn(view);
    const rest = this._suggestion?.rest(place);
    if (rest) {
      this._dismissed = new Suggestion(place, rest);
    }
    this.clear(view);
  }

  /** Forget what is shown and what is under way. */
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
    if (!this._dismissed?.restOnLine(placeIn(view))) {
      this._dismissed = null;
    }
    const rest = this._suggestion?.rest(placeIn(view));
    const typed = transactions.some(one => one.isUserEvent('input') || one.isUserEvent('delete'));
    if (rest) {
      this._show(view);
    } else if (typed && !view.composing) {
      if (!this._recall(view)) {
        this._ask(view, 'automatic'); // what the model has written by now is a guess that it starts from
      }
    } else {
      this._leave();
    }
  }

  /** Show what was suggested for this place before; who deletes back sees it at once. */
  private _recall(view: EditorView): boolean {
    const place = placeIn(view);
    const suggestion = this._cache.recall(this._request(place, 'automatic'), place)?.suggestion;
    if (!suggestion) {
      return false;
    }
    this._leave();
    this._suggestion = suggestion;
    this._listener.recalled(this._show(view));
    return true;
  }

  /** Show what is left of the suggestion, unless it was dismissed; return what is shown. */
  private _show(view: EditorView): string {
    const place = placeIn(view);
    const rest = this._suggestion?.rest(place) ?? '';
    const shown = this._dismissed?.hides(rest, place) ? '' : rest;
    showGhost(view, shown);
    return shown;
  }

  private _ask(view: EditorView, trigger: IRequest['trigger']): void {
    const place = placeIn(view);
    // What is shown stays when somebody asks for more; who asks once more sees what did not go on with it.
    const wantsAnother = this._suggestion?.hasDropped && this._suggestion.isFor(place);
    const shown = trigger === 'invoke' && !wantsAnother ? ghostOf(view) : '';
    this._leave();
    if (!view.state.selection.main.empty) {
      return;
    }
    const request = this._request(place, trigger);
    const suggestion = (this._suggestion = new Suggestion(place, shown));
    const abort = (this._abort = new AbortController());
    let ms = 0;
    const grow = ({ text, timings }: IFrame): void => {
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
          // That there is no model is worth knowing even if nobody waits for this answer any more.
          if (!abort.signal.aborted || reason instanceof ServerError) {
            this._listener.failed(reason);
          }
        }
      )
      .finally(() => suggestion.finish());
  }

  private _request({ text, offset }: IPlace, trigger: IRequest['trigger']): IRequest {
    const { language, path, eagerness } = this._choice();
    const cell = { id: '', type: 'code' as const, source: text, executed: null };
    return {
      ...chooseWindow(1, () => cell, 0, offset),
      path,
      language,
      kernel_id: null,
      extra: [],
      trigger,
      memory: false,
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

function placeIn({ state }: EditorView): IPlace {
  return { text: state.doc.toString(), offset: state.selection.main.head };
}
