/** The requests in flight: the latest, and the one before it until the server has ended that. */

import type { CodeEditor } from '@jupyterlab/codeeditor';
import type { IInlineCompletionItem } from '@jupyterlab/completer';
import { Signal } from '@lumino/signaling';
import type { Availability } from './availability';
import type { ICompletionClient } from './client';
import { placeOf } from './editor';
import type { Outcomes } from './outcomes';
import { type IPlace, Suggestion } from './suggestion';
import type { IRequest } from './wire';

/** How often a request is sent again that an older one ended. */
const TRIES = 4;

/** How the requests are doing, for the status bar. */
export interface IActivity {
  thinking: boolean;
  lastMs: number | null;
}

/** What the completer is given, and what it leaves alone. */
export type ISuggestedItem = IInlineCompletionItem & {
  imports?: readonly string[];
  /** Where the line begins on which it begins; missing: where the cursor's does. */
  from?: number;
};

/** Something asked of the server, and where. */
export class Run {
  /** `invoked`: the person asked for it, rather than a key or a timer. `id`: the server's name for it. */
  constructor(
    readonly editor: CodeEditor.IEditor,
    readonly place: IPlace,
    readonly suggestion: Suggestion,
    readonly invoked: boolean,
    public id = ''
  ) {}

  /** What is left of the suggestion where the cursor is now; `null`: the cursor has left its way. */
  get rest(): string | null {
    return this.editor.isDisposed ? null : this.suggestion.rest(placeOf(this.editor));
  }

  readonly abort = new AbortController();
  item: ISuggestedItem | null = null;
  sent = false;
  shown = false;
  announced = false;
  /** Whether it may hold what is deleted elsewhere, or the server may answer otherwise soon. */
  passing = false;
  settled: Promise<void> = Promise.resolve();
}

export class InFlight {
  /** `finished` gets each latest request that was answered, `failed` each that was not. */
  constructor(
    private readonly _client: ICompletionClient,
    private readonly _availability: Availability,
    private readonly _outcomes: Outcomes,
    private readonly _finished: (run: Run, body: IRequest) => void,
    private readonly _failed: (run: Run) => void
  ) {
    _availability.changed.connect((_, { before, now }) => {
      const isAnother = before.model !== '' && before.model !== now.model;
      if (isAnother || (before.health && !now.health)) {
        this._report({ lastMs: null }); // that was another model, or another engine
      }
    });
  }

  latest: Run | null = null;
  readonly activity = new Signal<this, IActivity>(this);

  /** Send the request of a run after a delay. */
  send(run: Run, body: IRequest, delay: number): void {
    run.settled = this._send(run, body, delay);
  }

  /** Forget the latest; in the same editor the server may go on with it for what is asked next. */
  leave(editor: CodeEditor.IEditor | null): void {
    const run = this.latest;
    this.latest = null;
    if (!run) {
      return;
    }
    const here = run.editor === editor;
    if (run.sent || !here) {
      this.closeOlder();
    }
    if (run.sent && here) {
      this._older = run;
    } else {
      run.abort.abort();
    }
    // What is asked next may go on with it.
    this._outcomes.left(run, here && run.rest !== null);
    run.suggestion.finish();
  }

  /** Close the request before the latest, if the server has not ended it yet. */
  closeOlder(): void {
    this._older?.abort.abort();
    this._older = null;
  }

  /** Stop what is under way and forget it. */
  cancel(): void {
    this.leave(null);
    this.closeOlder();
  }

  /** The server has gone: what it was writing does not come. What is shown of it stays. */
  stall(): void {
    this.closeOlder();
    const run = this.latest;
    if (run && !run.suggestion.done) {
      run.abort.abort();
      run.suggestion.finish();
      this._failed(run); // at once: it may be asked again before whoever was writing has heard of it
    }
  }

  /** Do the same where it is nobody's decision, which says nothing of what is shown. */
  withdraw(): void {
    if (this.latest) {
      this.latest.shown = false;
    }
    this.cancel();
  }

  private async _send(run: Run, body: IRequest, delay: number): Promise<void> {
    const { abort, suggestion } = run;
    try {
      await sleep(delay, abort.signal);
      this._report({ thinking: true });
      this._asking = run;
      run.sent = true;
      const lastMs = await this._complete(run, body);
      if (lastMs !== null && this.latest === run) {
        this._report({ lastMs });
      }
      this._availability.answered();
      if (this.latest === run) {
        this._finished(run, body);
      }
    } catch (reason) {
      if (!abort.signal.aborted) {
        if (this.latest === run) {
          this._failed(run);
        }
        this._availability.failed(reason);
      }
    } finally {
      suggestion.finish();
      if (this._older === run) {
        this._older = null;
      }
      if (this._asking === run) {
        this._asking = null;
        this._report({ thinking: false });
      }
    }
  }

  /**
   * Ask the server. The request before may reach it later, on another connection, and ends this one there: then the
   * newest is asked again. Return the milliseconds that the answer took, without those in which a model was loaded.
   */
  private async _complete(run: Run, body: IRequest): Promise<number | null> {
    let overtaken = true;
    let ms: number | null = null;
    for (let tries = 0; overtaken && tries < TRIES && !run.abort.signal.aborted; tries++) {
      await this._client.complete(body, run.abort.signal, frame => {
        run.id = frame.id;
        run.suggestion.grow(frame.text, frame.imports);
        run.passing ||= frame.passing ?? false;
        this._passOn(run, frame.text, frame.imports);
        overtaken = frame.finish_reason === 'superseded' && this.latest === run;
        ms = frame.timings?.total_ms ?? ms;
      });
    }
    return ms;
  }

  /** What comes for the request before the latest may be right for the text as it is by now. */
  private _passOn(run: Run, text: string, imports?: string[]): void {
    if (this._older !== run || this.latest?.editor !== run.editor) {
      return;
    }
    const late = new Suggestion(run.suggestion.id, run.place);
    late.grow(text);
    const rest = late.rest(this.latest.place);
    if (rest) {
      this.latest.suggestion.grow(rest, imports);
      this.latest.passing ||= run.passing;
    }
  }

  private _report(change: Partial<IActivity>): void {
    this._state = { ...this._state, ...change };
    this.activity.emit(this._state);
  }

  private _state: IActivity = { thinking: false, lastMs: null };
  /** What was asked before the latest, until the server has ended it. */
  private _older: Run | null = null;
  /** What was sent to the server last, until it has ended. */
  private _asking: Run | null = null;
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(new Error('aborted'));
    });
  });
}
