/** Answers requests with a model in the page, in the same frames as the server. */

import type { IAnswer, IFrame, IRequest, ISuggestion, ITimings } from '../wire';
import { Composer, DEFAULTS, type IProgress, type ISettings, newProgress } from './answer';
import type { IEngine } from './engineinterface';
import { Layout } from './layout';
import { prefixOf, suffixOf } from './notebook';

export class Completer {
  constructor(
    private readonly _engine: IEngine,
    private readonly _settings: ISettings = DEFAULTS
  ) {
    this._layout = new Layout(_engine.vocabulary, _engine.contextSize, _settings);
  }

  /** Complete, calling `frame` as the text grows: each is a prefix of the next, the last is `done`. */
  async complete(request: IRequest, signal: AbortSignal, frame: (frame: IFrame) => void): Promise<void> {
    const { items, finish_reason, ...reported } = await this._answer(request, signal, frame);
    const { text, confidence, finish_reason: reason } = items.at(0) ?? NOTHING;
    frame({ ...reported, text, confidence, done: true, finish_reason: finish_reason ?? reason });
  }

  /** Several whole alternatives. */
  alternatives(request: IRequest, signal: AbortSignal): Promise<IAnswer> {
    return this._answer(request, signal, () => undefined);
  }

  private async _answer(
    request: IRequest,
    signal: AbortSignal,
    frame: (frame: IFrame) => void
  ): Promise<IAnswer> {
    const id = `page-${++this._count}`;
    const asked = performance.now();
    const { trigger } = request;
    const progress = newProgress();
    const awaited = trigger === 'automatic' || trigger === 'invoke';
    const turn = this._turns.enter(request.client, awaited, signal);
    const times = { asked, begun: asked };
    try {
      await turn.free;
      turn.signal.throwIfAborted();
      times.begun = performance.now();
      const composer = new Composer(request, this._engine, this._layout, this._settings);
      const writing = composer.write(this._draft(request, progress), progress, turn.signal);
      try {
        for (;;) {
          const step = await writing.next();
          turn.signal.throwIfAborted();
          if (step.done) {
            const { hiddenReason } = progress;
            const flags = hiddenReason && step.value.length === 0 ? { hidden_reason: hiddenReason } : {};
            const timings = timingsOf(times, progress);
            return { id, items: step.value, model: this._engine.name, timings, ...flags };
          }
          frame({ id, text: step.value.text, confidence: step.value.confidence });
        }
      } finally {
        await writing.return([]); // the engine stops, too
      }
    } catch (reason) {
      if (!turn.ended || signal.aborted) {
        throw reason;
      }
      const timings = timingsOf(times, progress);
      return { id, items: [], model: this._engine.name, timings, finish_reason: turn.ended };
    } finally {
      turn.leave();
    }
  }

  /** Return the rest of the previous suggestion if the user has typed along. */
  private _draft(request: IRequest, progress: IProgress): string {
    const [prefix, suffix] = [prefixOf(request), suffixOf(request)];
    const earlier = this._earlier;
    this._earlier = { prefix, suffix, progress };
    const written = earlier?.suffix === suffix ? earlier.prefix + earlier.progress.text : '';
    return written.startsWith(prefix) ? written.slice(prefix.length) : '';
  }

  private readonly _layout: Layout;
  private readonly _turns = new Turns();
  private _count = 0;
  /** the previous suggestion: a draft while the user types along */
  private _earlier: { prefix: string; suffix: string; progress: IProgress } | undefined;
}

const NOTHING: ISuggestion = { text: '', confidence: 0, finish_reason: 'stop' };

function timingsOf(
  { asked, begun }: { asked: number; begun: number },
  { usage, promptTokens, tokens }: IProgress
): ITimings {
  const whole = (ms: number) => Math.round(ms * 100) / 100;
  return {
    queue_ms: whole(begun - asked),
    context_ms: 0,
    prompt_tokens: promptTokens,
    cached_tokens: usage.cachedTokens,
    prompt_ms: whole(usage.promptMs),
    predicted_tokens: tokens,
    predicted_ms: whole(usage.predictedMs),
    drafted_tokens: usage.draftedTokens,
    accepted_tokens: usage.acceptedTokens,
    total_ms: whole(performance.now() - asked)
  };
}

/** The finish reason of a cancelled request, as the server reports it. */
type Ended = 'superseded' | 'yielded';

/** Queues the requests for the engine; prefetch requests yield to all others. */
export class Turns {
  /**
   * Join the queue. A newer request of a client cancels the older one; `awaited`: it is not a prefetch request. Of the
   * returned turn, `signal` is aborted when the request is cancelled, `ended` is why another request has cancelled it, or
   * null, and `free` resolves when the engine is free. Call `leave` in any case, once the engine is free.
   */
  enter(client: string, awaited: boolean, signal: AbortSignal) {
    const stop = new AbortController();
    for (const other of this._waiting) {
      if (!awaited && other.awaited) {
        stop.abort('yielded' satisfies Ended);
      } else if (awaited && !other.awaited) {
        other.stop.abort('yielded' satisfies Ended);
      } else if (client && other.client === client) {
        other.stop.abort('superseded' satisfies Ended);
      }
    }
    const own = { client, awaited, stop };
    const free = this._last;
    let left: () => void = () => undefined;
    this._last = new Promise(resolve => (left = resolve));
    this._waiting.add(own);
    return {
      signal: AbortSignal.any([signal, stop.signal]),
      get ended(): Ended | null {
        return stop.signal.aborted ? (stop.signal.reason as Ended) : null;
      },
      free,
      leave: () => {
        this._waiting.delete(own);
        void free.then(left);
      }
    };
  }

  private readonly _waiting = new Set<{ client: string; awaited: boolean; stop: AbortController }>();
  private _last: Promise<void> = Promise.resolve();
}
