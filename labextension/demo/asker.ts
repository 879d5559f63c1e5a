/** Requests a suggestion at each keystroke, and shows the rest of the current one while the user types along. */

import type { Extension } from '@codemirror/state';
import { EditorView, type ViewUpdate } from '@codemirror/view';
import type { IClient } from '../src/client';
import { Generation } from '../src/generation';
import { ServerError } from '../src/requesterror';
import type { IPosition, Trigger } from '../src/suggestion';
import { chooseWindow } from '../src/window';
import type { IRequest } from '../src/wire';
import { showGhost } from './ghost';

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
          setTimeout(() => this._call(view, 'automatic')); // the composed text is in the document by then
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
    this._call(view, 'invoke');
  }

  /** Dismiss the shown suggestion: the next keystroke does not show it again. */
  dismiss(view: EditorView): void {
    const generation = this._of(view);
    generation.dismiss(generation.visible);
    showGhost(view, '');
  }

  /** Remove the shown suggestion and cancel the request. */
  clear(view: EditorView): void {
    this._of(view).cancel();
    showGhost(view, '');
  }

  private _updated({ view, docChanged, selectionSet, transactions }: ViewUpdate): void {
    if (docChanged) {
      const typed = transactions.some(one => one.isUserEvent('input') || one.isUserEvent('delete'));
      this._call(view, 'automatic', typed && !view.composing);
    } else if (selectionSet) {
      this.clear(view);
    }
  }

  /** Show the rest of the current suggestion if it answers the call, or a cached one, or request another. */
  private _call(view: EditorView, trigger: Trigger, mayRequest = true): void {
    const generation = this._of(view);
    const position = positionIn(view);
    const isSelected = !view.state.selection.main.empty;
    void generation.answer({
      position,
      trigger,
      obstacle: () => (isSelected ? 'selection' : mayRequest ? null : 'composing'),
      hasFocus: () => true,
      mayShow: () => true,
      body: () => this._request(position, trigger),
      schedule: send => send(),
      declined: () => undefined
    });
    this._show(generation);
  }

  /** Show the rest of the current suggestion, unless it was dismissed; return the shown text. */
  private _show({ current, editor, visible }: Generation<EditorView>): string {
    if (current) {
      current.shown = visible !== '';
    }
    showGhost(editor, visible);
    return visible;
  }

  /** The generation of the only editor. */
  private _of(view: EditorView): Generation<EditorView> {
    return (this._generation ??= new Generation(view, {
      complete: (body, signal, frame) => this._client.complete(body, signal, frame),
      positionOf: positionIn,
      isOpen: () => true,
      check: () => Promise.resolve(),
      started: ({ done }, generation) => {
        this._ms = 0;
        if (done) {
          this._listener.recalled(this._show(generation));
        }
      },
      open: () => undefined,
      received: ({ timings }, _, generation) => {
        this._ms = timings?.total_ms ?? this._ms; // without the time that it takes to load the model
        this._show(generation);
      },
      answered: (_, suggestion, generation) => {
        this._listener.ready();
        if (suggestion) {
          this._listener.answered(this._show(generation), this._ms, suggestion.trigger === 'invoke');
        }
      },
      failed: (_, reason, isAborted) => {
        // Report a missing model even if this request was cancelled.
        if (!isAborted || reason instanceof ServerError) {
          this._listener.failed(reason);
        }
      },
      left: () => undefined
    }));
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

  private _generation: Generation<EditorView> | null = null;
  /** the generation time of the current suggestion in milliseconds */
  private _ms = 0;
}

function positionIn({ state }: EditorView): IPosition {
  return { text: state.doc.toString(), offset: state.selection.main.head };
}
