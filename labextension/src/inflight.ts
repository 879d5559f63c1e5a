/** The requests for suggestions that are in flight, and the one whose suggestion may be shown. */

import type { CodeEditor } from '@jupyterlab/codeeditor';
import type { IInlineCompletionItem } from '@jupyterlab/completer';
import { UUID } from '@lumino/coreutils';
import { Signal } from '@lumino/signaling';
import type { Availability } from './availability';
import { SuggestionCache } from './cache';
import type { IClient } from './client';
import type { ICurrent, Trigger } from './decision';
import type { HiddenReason } from './decline';
import { positionOf } from './editor';
import type { Outcomes } from './outcomes';
import { isDenial } from './requesterror';
import { type IPosition, Suggestion } from './suggestion';
import type { IRequest } from './wire';

/** The server ends older requests of a page itself. A browser opens few connections, so the page closes the oldest. */
const MOST_OPEN = 2;

/** The maximum time in milliseconds for which the status item shows *busy* after a timeout. */
export const TIMEOUT_SHOWN = 10_000;

/** The activity of the server for this page, for the status bar. */
export interface IActivity {
  generating: boolean;
  lastMs: number | null;
  /** Whether the last request timed out without a text, less than `TIMEOUT_SHOWN` ago. */
  isTimedOut: boolean;
  /** The reason for which the last automatic request has no suggestion. */
  hiddenReason: HiddenReason | null;
  /** The table of the kernel whose column the last suggestion names at the cursor. */
  table?: string;
}

/** A call of the provider. */
export interface ICall {
  editor: CodeEditor.IEditor;
  position: IPosition;
  trigger: Trigger;
}

/** An item for the completer, with fields that it ignores. */
export type ISuggestedItem = IInlineCompletionItem & {
  imports?: readonly string[];
  /** The number of characters at the end that are typed as keys. */
  opens?: number;
  /** Start of the line that the suggestion begins on; missing: of the cursor's line. */
  from?: number;
};

/**
 * A request for a suggestion, and what the user has seen of the suggestion. States: not shown, shown; `announced` once
 * its complete text was emitted.
 */
export class SuggestionRequest {
  /** `id`: the server's name for its response. */
  constructor(
    readonly editor: CodeEditor.IEditor,
    readonly suggestion: Suggestion,
    readonly trigger: Trigger,
    public id = ''
  ) {}

  /** The rest of the text at the cursor; `null`: the text before or after the cursor differs. */
  get rest(): string | null {
    return this.editor.isDisposed ? null : this.suggestion.rest(positionOf(this.editor));
  }

  stateAt(position: IPosition): ICurrent {
    const { trigger, shown, suggestion } = this;
    return {
      trigger,
      shown,
      done: suggestion.done,
      isHere: suggestion.isFor(position),
      hasRest: Boolean(suggestion.rest(position)),
      isUsedUp: suggestion.isUsedUpAt(position),
      hasDropped: suggestion.hasDropped
    };
  }

  /** Start with the rest of another request's text. */
  keep({ id, rest, suggestion, shown, shownAt, reportedAs }: SuggestionRequest): void {
    this.suggestion.grow(rest ?? '', suggestion.imports, suggestion.opensIn(rest ?? ''));
    Object.assign(this, { id, shown, shownAt, reportedAs });
  }

  /** identifies it to the completer */
  readonly token = UUID.uuid4();
  item: ISuggestedItem | null = null;
  shown = false;
  shownAt: number | null = null;
  /** the `id` for which the server was notified that it is shown */
  reportedAs = '';
  announced = false;
  isCacheable = true;
  /** whether it timed out without a text */
  isTimedOut = false;
}

/** The components that requests use, and the functions that are called with their outcome. */
interface IParts {
  client: Pick<IClient, 'complete'>;
  availability: Availability;
  outcomes: Outcomes;
  /** A current request has a suggestion. */
  finished: (request: SuggestionRequest, body: IRequest) => void;
  /** A current request has failed. */
  failed: (request: SuggestionRequest) => void;
  /** The administrator does not allow a request. */
  denied: (body: IRequest, message: string) => void;
}

/**
 * The current request, and the connections of those that it has replaced: the server may continue their generation for
 * it, but their frames are dropped. States: no current request, one that is waited for, one that is done.
 */
export class InFlight {
  constructor(private readonly _parts: IParts) {
    _parts.availability.changed.connect((_, { before, now }) => {
      const isAnother = before.model !== '' && before.model !== now.model;
      if (isAnother || (before.health && !now.health)) {
        this._report({ lastMs: null, isTimedOut: false }); // the last latency belongs to another model or engine
      }
      if (before.open && !now.open) {
        this._close();
        if (this.current && !this.current.suggestion.done) {
          this.current.suggestion.finish(); // the shown text stays
          this._parts.failed(this.current); // at once: the server may be back before the connection has ended
        }
      }
    });
  }

  current: SuggestionRequest | null = null;
  readonly cache = new SuggestionCache();
  readonly activity = new Signal<this, IActivity>(this);

  /**
   * Make a request for a call the current one, and send it after a delay unless the answer is cached. `keep`: it begins
   * with the shown text.
   */
  start(
    { editor, position, trigger }: ICall,
    body: IRequest,
    keep: boolean,
    delay: number
  ): SuggestionRequest {
    const before = this.current;
    const cached = trigger === 'automatic' ? this.cache.lookup(body, position) : null;
    const suggestion = cached?.suggestion ?? new Suggestion(position);
    const request = new SuggestionRequest(editor, suggestion, trigger, cached?.id);
    if (keep && before) {
      request.keep(before);
    }
    this._replace(request, before?.editor === editor && before.rest !== null);
    this._report({ hiddenReason: null, table: suggestion.table });
    if (cached) {
      this._close();
    } else {
      setTimeout(() => void this._send(request, body), delay);
    }
    return request;
  }

  /** An automatic request is not sent. */
  decline(hiddenReason: HiddenReason): void {
    this._report({ hiddenReason });
  }

  cancel(): void {
    this._replace(null, false);
    this._close();
  }

  /** Yield the rest of the text at the cursor whenever it changes, while the request is the current one. */
  async *rests(request: SuggestionRequest, last = ''): AsyncGenerator<string> {
    for (;;) {
      const { done } = request.suggestion;
      const { rest } = request;
      if (rest === null || this.current !== request) {
        return;
      }
      if (rest && rest !== last) {
        last = rest;
        yield rest;
      }
      if (done) {
        return;
      }
      await request.suggestion.changed();
    }
  }

  /** `mayReturn`: the next suggestion may be the same. */
  private _replace(next: SuggestionRequest | null, mayReturn: boolean): void {
    const before = this.current;
    this.current = next;
    if (before) {
      this._parts.outcomes.left(before, mayReturn);
      before.suggestion.finish();
    }
  }

  /** Close the oldest open requests; `most` stay open. */
  private _close(most = 0): void {
    while (this._open.length > most) {
      this._open.shift()?.abort();
    }
  }

  private async _send(request: SuggestionRequest, body: IRequest): Promise<void> {
    if (this.current !== request || request.suggestion.done) {
      return;
    }
    const abort = new AbortController();
    this._open.push(abort);
    this._close(MOST_OPEN);
    this._report({ generating: true, isTimedOut: false });
    try {
      await this._parts.client.complete(
        body,
        abort.signal,
        ({
          id,
          text,
          imports,
          opens = '',
          table,
          uncached,
          timings,
          finish_reason,
          hidden_reason: hiddenReason = null
        }) => {
          if (this.current === request) {
            request.id = id;
            request.isTimedOut = finish_reason === 'deadline' && !text;
            request.isCacheable &&= !uncached;
            request.suggestion.grow(text + opens, imports, opens.length);
            request.suggestion.table = table;
            if (timings) {
              const { isTimedOut } = request;
              // The latency excludes model loading; a timeout has none.
              this._report({ lastMs: isTimedOut ? null : timings.total_ms, isTimedOut, hiddenReason, table });
              if (isTimedOut) {
                clearTimeout(this._timeoutTimer);
                this._timeoutTimer = setTimeout(() => this._report({ isTimedOut: false }), TIMEOUT_SHOWN);
              }
            }
          }
        }
      );
      this._parts.availability.answered();
      if (this.current === request && request.suggestion.text) {
        const { suggestion, id, isCacheable, trigger } = request;
        if (isCacheable && trigger === 'automatic') {
          this.cache.remember(body, { suggestion, id });
        }
        this._parts.finished(request, body);
      }
    } catch (reason) {
      if (isDenial(reason)) {
        this._parts.denied(body, reason.message);
      } else if (!abort.signal.aborted) {
        if (this.current === request) {
          this._parts.failed(request);
        }
        this._parts.availability.failed(reason);
      }
    } finally {
      request.suggestion.finish();
      this._open = this._open.filter(other => other !== abort);
      this._report({ generating: this._open.length > 0 });
    }
  }

  private _report(change: Partial<IActivity>): void {
    this._activity = { ...this._activity, ...change };
    this.activity.emit(this._activity);
  }

  private _timeoutTimer?: ReturnType<typeof setTimeout>;
  private _activity: IActivity = { generating: false, lastMs: null, isTimedOut: false, hiddenReason: null };
  /** of the requests that have been sent and not ended, the oldest first */
  private _open: AbortController[] = [];
}
