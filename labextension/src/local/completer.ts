/** Answers requests with a model in the page, in the frames that the server would send. */

import type { IAnswer, IFrame, IRequest, ISuggestion, ITimings } from '../wire';
import { Composer, DEFAULTS, type IProgress, type ISettings, type ISources, newProgress } from './answer';
import type { IEngine } from './engineinterface';
import { Layout } from './layout';
import { prefixOf, suffixOf } from './notebook';
import { type Ended, Turns } from './turns';

/** An answer's place and its beginning: a guess at what follows while somebody types along. */
interface IEarlier {
  prefix: string;
  suffix: string;
  progress: IProgress;
}

export class Completer {
  constructor(
    private readonly _engine: IEngine,
    private readonly _settings: ISettings = DEFAULTS
  ) {
    this._layout = new Layout(_engine.vocabulary, _engine.contextSize, _settings);
  }

  /** Yield the answer's frames, each text a beginning of the next; the last is `done`. */
  async *frames(request: IRequest, sources: ISources, signal: AbortSignal): AsyncGenerator<IFrame> {
    const answering = this._answer(request, sources, signal);
    let step = await answering.next();
    for (; !step.done; step = await answering.next()) {
      yield step.value;
    }
    const { id, model, timings, items, finish_reason } = step.value;
    const { text, confidence, finish_reason: reason } = items.at(0) ?? NOTHING;
    yield { id, text, confidence, done: true, finish_reason: finish_reason ?? reason, model, timings };
  }

  /** Return all answers at once. */
  async answer(request: IRequest, sources: ISources, signal: AbortSignal): Promise<IAnswer> {
    const answering = this._answer(request, sources, signal);
    for (;;) {
      const step = await answering.next();
      if (step.done) {
        return step.value;
      }
    }
  }

  private async *_answer(
    request: IRequest,
    sources: ISources,
    signal: AbortSignal
  ): AsyncGenerator<IFrame, IAnswer> {
    const id = `page-${++this._count}`;
    const asked = performance.now();
    const awaited = request.trigger === 'automatic' || request.trigger === 'invoke';
    const turn = this._turns.enter(request.client, awaited, signal);
    const progress = newProgress();
    let begun = asked;
    const told = (items: ISuggestion[], ended: Ended | null): IAnswer => ({
      id,
      items,
      model: this._engine.name,
      timings: timingsOf(asked, begun, progress),
      ...(ended ? { finish_reason: ended } : {})
    });
    try {
      await turn.free;
      turn.signal.throwIfAborted();
      begun = performance.now();
      const composer = new Composer(request, this._engine, this._layout, this._settings, sources);
      const writing = composer.write(this._draft(request, progress), progress, turn.signal);
      for (;;) {
        const step = await writing.next();
        turn.signal.throwIfAborted();
        if (step.done) {
          return told(step.value, null);
        }
        yield { id, text: step.value.text, confidence: step.value.confidence };
      }
    } catch (reason) {
      if (turn.ended && !signal.aborted) {
        return told([], turn.ended);
      }
      throw reason;
    } finally {
      turn.leave();
    }
  }

  /** What an earlier answer says about this place, if what was typed since agrees with it. */
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
  private _earlier: IEarlier | undefined;
}

const NOTHING: ISuggestion = { text: '', confidence: 0, finish_reason: 'stop' };

function timingsOf(asked: number, begun: number, { usage, promptTokens, tokens }: IProgress): ITimings {
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
